"""What the functions and methods do that handle paths and files.

A program reads the texts of the submission and what it wrote itself; nothing else is looked at.
"""

from __future__ import annotations

import json
import posixpath
import shlex
from pathlib import PurePosixPath

import yaml

from assay.analysis.enactment.describing import copy_of, held_of, json_text
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.operations import ROOT, join_path
from assay.analysis.enactment.registry import Call, model
from assay.analysis.enactment.values import ABSENT, ANYTHING, External, FilePath, Items, marks_of

_FOUND = "pathlib.Path().glob()"


# -- where a path leads ------------------------------------------------------------------------------------------


def place_of(machine: Machine, text: str) -> str:
    """Where in the submission a path leads; the path itself where it leads elsewhere.

    Where Hydra has changed the working directory, a relative path to a file of the submission leads nowhere. That is
    LCH003; here the program goes on as if it were repaired.
    """
    if text == ROOT or text.startswith(ROOT + "/"):
        text = text[len(ROOT) :].lstrip("/")
    elif machine.moved and not text.startswith("/"):
        return text if text in machine.texts else f"?/{text}"
    parts: list[str] = []
    for part in PurePosixPath(text).parts:
        if part == ".." and parts:
            parts.pop()
        elif part not in (".", "/"):
            parts.append(part)
    return "/".join(parts) if not text.startswith("/") else text


def text_at(machine: Machine, text: str) -> str | None:
    """The text of a file of the submission, or of one that the program wrote."""
    place = place_of(machine, text)
    if place in machine.disk:
        written = machine.disk[place]
        return written if isinstance(written, str) else None
    return machine.texts.get(place)


def exists(machine: Machine, text: str) -> object:
    """Whether there is a file or folder at a path; unknown for what a run may have made or removed."""
    place = place_of(machine, text)
    if place in machine.disk or (machine.moved and not text.startswith("/")):
        return ANYTHING
    if place in machine.texts or place in machine.files:
        return True
    if any(name.startswith(place + "/") for name in machine.texts):
        return True
    return ANYTHING


def listed(machine: Machine, text: str, pattern: str | None) -> object:
    """The configuration files in a folder of the submission, where a pattern asks for them."""
    place = place_of(machine, text)
    if not place or pattern is None or not pattern.endswith((".yaml", ".yml")):
        return External(_FOUND)
    prefix = f"{place}/"
    found = [name for name in machine.texts if name.startswith(prefix)]
    if "**" not in pattern:
        found = [name for name in found if "/" not in name[len(prefix) :]]
    shown = [name for name in found if PurePosixPath(name).match(pattern.replace("**/", ""))]
    if not shown or any(name.startswith(prefix) for name in machine.disk):
        return External(_FOUND)
    return Items([FilePath(join_path(text, name[len(prefix) :])) for name in sorted(shown)], region=machine.region)


def _named(given: object) -> str | None:
    """The path that a text, a path or an open file stands for."""
    if isinstance(given, External) and given.path.startswith("open()"):
        given = next((one for name, one in given.keys if name == "0"), None)
    if isinstance(given, FilePath):
        return given.text
    return given if isinstance(given, str) else None


def file_text(machine: Machine, given: object) -> str | None:
    """The text of the file that a path or an open file stands for."""
    named = _named(given)
    return text_at(machine, named) if named is not None else None


def file_value(machine: Machine, given: object) -> object | None:
    """What the program wrote into the file, where this is known."""
    named = _named(given)
    return machine.disk.get(place_of(machine, named)) if named is not None else None


def keep(machine: Machine, given: object, value: object, *, as_json: bool = False) -> None:
    """The program writes a value into a file."""
    named = _named(given)
    if named is None:
        return
    place = place_of(machine, named)
    # a file that may have been written before, or not, holds something that is not known
    sure = machine.certainty() == "yes" and not machine.tries
    machine.disk[place] = copy_of(value, 0, as_json=as_json) if sure else ANYTHING


# -- pathlib -----------------------------------------------------------------------------------------------------


@model("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath")
def _path(call: Call) -> object:
    texts = [call.machine.text_of(one) for one in call.positional]
    known = [one for one in texts if one is not None]
    if len(known) < len(texts):
        return External("pathlib.Path()")
    return FilePath(str(PurePosixPath(*known)))


def path_attribute(path: FilePath, name: str) -> object:
    """An attribute of a path that is no method; `ABSENT` for others."""
    pure = PurePosixPath(path.text)
    if name == "parent":
        return FilePath(str(pure.parent))
    if name == "parents":
        return Items([FilePath(str(one)) for one in pure.parents], "tuple")
    if name in ("name", "stem", "suffix"):
        return ANYTHING if path.text == ROOT else str(getattr(pure, name))
    return ABSENT


def path_method(call: Call, receiver: FilePath) -> object:
    """A method of a path."""
    machine, name = call.machine, call.name
    text = receiver.text
    if name in ("resolve", "absolute"):
        if not text.startswith("/") and machine.moved:
            return ANYTHING
        whole = join_path(ROOT, text)
        return FilePath(posixpath.normpath(whole) if name == "resolve" else whole)
    if name == "expanduser":
        return ANYTHING if text.startswith("~") else receiver
    if name in ("exists", "is_file", "is_dir"):
        return exists(machine, text)
    if name == "joinpath":
        parts = [machine.text_of(part) for part in call.positional]
        known = [part for part in parts if part is not None]
        return FilePath(str(PurePosixPath(text, *known))) if len(known) == len(parts) else ANYTHING
    if name in ("with_suffix", "with_name") and call.positional and isinstance(call.positional[0], str):
        try:
            return FilePath(str(getattr(PurePosixPath(text), name)(call.positional[0])))
        except ValueError:
            return ANYTHING
    if name == "as_posix":
        return text
    if name == "open":
        return _opened(machine, text, call.first(0, "mode", "r"))
    if name == "read_text":
        found = text_at(machine, text)
        return found if found is not None else ANYTHING
    if name in ("write_text", "write_bytes"):
        keep(machine, text, call.first(0, "data", ANYTHING))
        return ANYTHING
    if name in ("unlink", "rename", "replace", "rmdir", "touch", "symlink_to", "hardlink_to"):
        for place in (text, *(machine.text_of(one) or "" for one in call.positional)):
            machine.disk[place_of(machine, place)] = ANYTHING
        return ANYTHING
    if name in ("glob", "rglob", "iterdir"):
        pattern = call.first(0, "pattern", None)
        shown = pattern if isinstance(pattern, str) else None
        return listed(machine, text, f"**/{shown}" if shown and name == "rglob" else shown)
    return ANYTHING


@model("pathlib.Path.cwd")
def _cwd(call: Call) -> object:
    return ANYTHING if call.machine.moved else FilePath(ROOT)


# -- os, shutil --------------------------------------------------------------------------------------------------


@model("os.getcwd")
def _getcwd(call: Call) -> object:
    return ANYTHING if call.machine.moved else ROOT


@model("os.path.join")
def _join(call: Call) -> object:
    texts = [call.machine.text_of(one) for one in call.positional]
    known = [one for one in texts if one is not None]
    if not texts or len(known) < len(texts):
        return External("?", marks_of(*call.positional))
    return posixpath.join(*known)


@model("os.path.abspath", "os.path.realpath")
def _abspath(call: Call) -> object:
    text = call.machine.text_of(call.first(0, "path"))
    if text is None or (call.machine.moved and not text.startswith("/")):
        return ANYTHING
    return posixpath.normpath(join_path(ROOT, text))


@model("os.path.dirname", "os.path.basename")
def _dirname(call: Call) -> object:
    text = call.machine.text_of(call.first(0, "p"))
    if text is None or (text == ROOT and call.name.endswith("basename")):
        return ANYTHING
    return posixpath.dirname(text) if call.name.endswith("dirname") else posixpath.basename(text)


@model("os.path.exists", "os.path.isfile", "os.path.isdir")
def _exists(call: Call) -> object:
    text = call.machine.text_of(call.first(0, "path"))
    return ANYTHING if text is None else exists(call.machine, text)


@model(
    "os.remove", "os.unlink", "os.rename", "os.replace", "os.symlink", "os.link", "shutil.copy", "shutil.copy2",
    "shutil.copyfile", "shutil.move", "shutil.rmtree", "shutil.copytree", open_too=True,
)  # fmt: skip
def _moved(call: Call) -> object:
    machine = call.machine
    for one in call.values:
        text = machine.text_of(one)
        if text is None:
            continue
        place = place_of(machine, text)
        machine.disk[place] = ANYTHING
        for name in [name for name in machine.texts if name.startswith(f"{place}/")]:
            machine.disk[name] = ANYTHING
    return External(f"{call.name}()")


@model("open", "io.open")
def _open(call: Call) -> object:
    text = call.machine.text_of(call.first(0, "file", ANYTHING))
    return External("open()") if text is None else _opened(call.machine, text, call.first(1, "mode", "r"))


def _opened(machine: Machine, text: str, mode: object) -> object:
    if not isinstance(mode, str) or not set(mode) <= set("rbt"):
        # what is written into it later may not be seen
        machine.disk[place_of(machine, text)] = ANYTHING
    return External("open()", keys=(("0", text),))


# -- JSON, YAML --------------------------------------------------------------------------------------------------


@model("json.dumps")
def _dumps(call: Call) -> object:
    if len(call.positional) == 1 and not call.keywords.keys() - {"indent", "ensure_ascii"}:
        return json_text(call.positional[0]) if not call.keywords else External("json.dumps()")
    return External("json.dumps()", marks_of(*call.values))


@model("json.loads")
def _loads(call: Call) -> object:
    text = call.first(0, "s")
    if isinstance(text, str) and len(call.values) == 1:
        try:
            return held_of(json.loads(text), call.machine.region)
        except (ValueError, RecursionError):
            return ANYTHING
    return External("json.loads()")


@model("json.load", "yaml.safe_load", "yaml.load", "yaml.full_load", "yaml.unsafe_load")
def _load(call: Call) -> object:
    machine = call.machine
    given = call.first(0, "fp" if call.name == "json.load" else "stream", ANYTHING)
    text = given if isinstance(given, str) else file_text(machine, given)
    if text is None:
        written = file_value(machine, given)
        return copy_of(written, machine.region) if written not in (None, ANYTHING) else External("yaml.load()")
    try:
        if call.name == "json.load":
            return held_of(json.loads(text), machine.region)
        return held_of(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), machine.region)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError):
        return ANYTHING


@model("yaml.safe_dump", "yaml.dump", "json.dump")
def _dump(call: Call) -> object:
    target = call.first(1, "fp" if call.name == "json.dump" else "stream")
    if target is not ABSENT:
        keep(call.machine, target, call.first(0, "obj", ANYTHING), as_json=call.name == "json.dump")
        return None
    return ANYTHING


@model("shlex.split")
def _shlex(call: Call) -> object:
    text = call.first(0, "s")
    if isinstance(text, str) and len(call.values) == 1:
        try:
            return Items(list(shlex.split(text)), region=call.machine.region)
        except ValueError:
            return ANYTHING
    return ANYTHING
