"""What the enactment holds for certain is what Python does.

Small programs run for real, each in several environments that the enactment does not know. An exception that is
certain in the enactment must be raised, at that line, in every environment. A value that is known at the end must be
the value.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from assay.analysis.enactment.configurations import MARK
from assay.analysis.enactment.interpreter import Interpreter
from assay.analysis.enactment.machine import NOT_FOLLOWED
from assay.analysis.enactment.modelled import Modelled
from assay.analysis.enactment.values import ABSENT, CONSTANTS, Choice, External, Items, Node, Pairs
from assay.analysis.python_source import PythonFile

HERE = Path(__file__).parent
ENVIRONMENTS: tuple[dict[str, str], ...] = (
    {},
    {"FLAG": "1", "N": "1"},
    {"FLAG": "1", "N": "5"},
    {"N": "5"},
    {"FLAG": "1", "N": "0"},
)


def programs(name):
    """The programs of a file, by their titles."""
    parts = (HERE / name).read_text(encoding="utf-8").split("### ")[1:]
    return {title: text for title, _, text in (part.partition("\n") for part in parts)}


PROGRAMS = {**programs("programs.txt"), **programs("configurations.txt")}
# Programs that raise in every environment, and of which the enactment does not say so for certain.
UNSEEN = {
    "suppress of another",
    "exception of another kind passes",
    "JSON round trip",
    "lists",
    "to_container of a dictionary",
}


def enacted(text):
    """The machine after a program."""
    machine = Interpreter({"main.py": PythonFile("main.py", text)}, {}, Modelled())
    machine.run("main.py")
    return machine


def really(texts, environments=ENVIRONMENTS):
    """How programs end, for each environment."""
    request = json.dumps({"programs": list(texts), "environments": list(environments)})
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "real_python.py")],
        input=request,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONPATH": ":".join(sys.path)},
    )
    return json.loads(done.stdout)


def certain(machine):
    """The exceptions that the enactment is certain of."""
    return [
        event
        for event in machine.events
        if event["kind"] in ("fault", "raise") and event["certain"] != "maybe" and not event["guarded"]
    ]


def agrees(machine, held, real):
    """Whether what the enactment holds may be what Python had."""
    if real is None or isinstance(held, External) or held is ABSENT:
        return True
    if isinstance(held, Choice):
        return any(agrees(machine, one, real) for one in held.values)
    if isinstance(held, CONSTANTS):
        if "is" not in real or type(held).__name__ != real["kind"]:
            return False
        return held == real["is"] or (isinstance(held, float) and math.isnan(held))
    if isinstance(held, Items):
        return _items_agree(machine, held, real)
    if isinstance(held, Pairs):
        return _pairs_agree(machine, held, real)
    if isinstance(held, Node):
        return "config" in real and _config_agrees(machine, held, real["config"])
    return not {"is", "list", "dict"}.intersection(real)


def _items_agree(machine, held, real):
    if held.kind in ("iterator", "set"):
        return "is" not in real
    items = real.get(held.kind)
    if items is None:
        return False
    if held.items and not held.hollow and not items:
        return False
    if held.open:
        return True
    return len(items) == len(held.items) and all(
        agrees(machine, one, other) for one, other in zip(held.items, items, strict=True)
    )


def _pairs_agree(machine, held, real):
    entries = real.get("dict")
    if entries is None:
        return held.attributes
    keys = {key for key in held.pairs if isinstance(key, str)}
    sure = keys - held.doubtful
    if sure - entries.keys() and not (held.open and held.doubtful >= keys):
        return False
    if not held.open and entries.keys() - keys:
        return False
    if held.open:
        return True
    return all(agrees(machine, held.pairs[key], entries[key]) for key in keys & entries.keys())


def _config_agrees(machine, held, real):
    configurations = machine.configurations
    if not configurations.is_sure(held.config) or MARK in json.dumps(
        OmegaConf.to_container(held.config, resolve=False), ensure_ascii=False
    ):
        return True
    return agrees(machine, configurations.container(held.config, resolve=False), real)


def complaints(text, ends, *, same_line=True):
    """What the enactment of a program holds against what Python did.

    Args:
        same_line: Whether Python must raise the very exception. It may raise another one before, which is not followed.
    """
    machine = enacted(text)
    found = []
    if NOT_FOLLOWED in machine.reason:
        found.append(f"the enactment broke off: {machine.reason}")
    first = next(iter(certain(machine)), None)
    scope, lines = machine.modules["__main__"].scope, text.split("\n")
    for end in ends:
        if first is not None:
            names = first["names"]
            if end["error"] is None:
                found.append(f"line {first['line']} does not raise {names[0]}: {first.get('message')}")
            elif same_line and (
                (first["line"] not in end["lines"] and lines[first["line"] - 1].strip() != "raise")
                or end["error"] not in names[:2]
            ):
                found.append(f"{names[0]} at line {first['line']}, but it is {end['error']} at {end['lines']}")
        elif end["error"] is None and not machine.doubt:
            found += [
                f"{name} holds {held!r}, but it is {end['names'][name]}"
                for name, held in scope.names.items()
                if name in end["names"] and not agrees(machine, held, end["names"][name])
            ]
    return found


@pytest.fixture(scope="module")
def ends():
    return dict(zip(PROGRAMS, really(PROGRAMS.values()), strict=True))


@pytest.mark.parametrize("title", PROGRAMS)
def test_what_is_certain_happens(title, ends):
    assert complaints(PROGRAMS[title], ends[title]) == []


@pytest.mark.parametrize("title", PROGRAMS)
def test_what_always_happens_is_seen(title, ends):
    if not all(end["error"] not in (None, "SystemExit") for end in ends[title]):
        assert title not in UNSEEN
        return
    seen = bool(certain(enacted(PROGRAMS[title])))
    assert seen is (title not in UNSEEN)
