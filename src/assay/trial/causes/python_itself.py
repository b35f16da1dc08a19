"""Causes that Python reports of any program: imports, names, files, JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.libraries.distributions import canonical, provides
from assay.analysis.project import Project
from assay.analysis.wanted_packages import meant_packages
from assay.trial.causes.known import Known, Words, known
from assay.trial.causes.locating import of_declared, of_hydra_main, of_launches, of_values
from assay.trial.record import Step, Stop, TrialFrame

_OWN = ("src", "config")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def _launches(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_hydra_main(project)
    yield from of_launches(project)


def _own_module(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether a module of the submission itself is not found where a process was started."""
    first = words["module"].partition(".")[0]
    path = words["module"].replace(".", "/")
    files = project.submission.files
    there = (
        f"{path}.py" in files or f"{path}/__init__.py" in files or any(name.startswith(f"{path}/") for name in files)
    )
    return words if there and (first in _OWN or there) else None


def _distribution(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """The distribution that provides a module which is not installed."""
    module = words["module"]
    if module.partition(".")[0] == "src":
        return None
    named = sorted(provides(module))
    best = next((name for name in named if canonical(name) == canonical(module.partition(".")[0])), None)
    name = best or (named[0] if len(named) == 1 else "")
    shown = name or module.partition(".")[0]
    doubt = _lacking(project, {canonical(each) for each in (*named, module.partition(".")[0])})
    undeclared = f"{shown} is not among the dependencies, and nothing brings it along"
    return {
        **words,
        "name": shown,
        "said": f"`{module}` cannot be imported" if doubt else undeclared,
        "action": f"install:{name}" if name else "",
        "doubt": doubt,
    }


def _lacking(project: Project, names: set[str]) -> str:
    """Why a missing module may be the environment's fault: it does not hold all that is declared."""
    meant = meant_packages(project.pyproject, project.submission.text("requirements.txt")).dependencies
    declared = {canonical(match.group()) for text in meant if (match := _NAME.match(text.strip()))}
    if there := sorted(declared & names):
        return f"{there[0]} is declared, and the environment of the rehearsal does not hold it"
    held = project.rehearsal.packages if project.rehearsal is not None else {}
    absent = sorted(declared - held.keys() - {canonical("assay")}) if held else []
    # what is absent might have brought the module along
    return f"the environment of the rehearsal does not hold {absent[0]}, which is declared" if absent else ""


def _is_of_library(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether the file is one of a library's or of the machine's, which proves nothing about the submission."""
    path = words.get("path", "")
    doubt = ""
    if re.search(r"/(?:proc|sys|dev|run|mnt|data|scratch)/|nvidia|\.ssh", path):
        doubt = "the file may be there where it runs"
    return {**words, "doubt": doubt}


def _declared(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_declared(project, words.get("name", ""))


def _named_argument(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether the evaluation reads `run_ids=[...]`, name and all, as JSON."""
    if step.mode not in ("evaluate", "refuse") or not stop.frames:
        return None
    place = stop.frames[-1]
    lines = (project.submission.text(place.file) or "").split("\n")
    return words if "run_ids" in "".join(lines[place.line - 1 : place.line]) else None


CAUSES: tuple[Known, ...] = (
    known(
        "argument-with-its-name",
        "JSONDecodeError",
        r"Expecting value: line 1 column 1",
        "the contract's command gives `run_ids=[...]`, and the program reads all of it, name included, as JSON",
        "Take what follows the `=`: `argument.partition('=')[2]`.",
        area="evaluation",
        fill=_named_argument,
    ),
    known(
        "own-module-not-found",
        "ModuleNotFoundError",
        r"No module named '(?P<module>[\w.]+)'",
        "a process is started where `{module}` is not found: the working directory is not the submission's root",
        "Pass `version_base=None` (or `1.3`) to `hydra.main` so that it stays there, or start the child with "
        "`cwd=hydra.utils.get_original_cwd()`.",
        action="working-directory",
        area="launch",
        points=_launches,
        fill=_own_module,
    ),
    known(
        "own-module-not-found",
        "exit CalledProcessError SystemExit",
        r"Error while finding module specification for '(?P<module>[\w.]+)'|No module named '?(?P<other>src[\w.]*)",
        "a process is started where `{module}{other}` is not found: the working directory is not the submission's root",
        "Pass `version_base=None` (or `1.3`) to `hydra.main` so that it stays there, or start the child with "
        "`cwd=hydra.utils.get_original_cwd()`.",
        action="working-directory",
        area="launch",
        points=_launches,
    ),
    known(
        "distribution-not-declared",
        "ModuleNotFoundError ImportError",
        r"No module named '(?P<module>[\w.]+)'",
        "{said}",
        "Declare {name} in pyproject.toml.",
        action="{action}",
        doubt="{doubt}",
        area="packaging",
        points=_declared,
        fill=_distribution,
    ),
    known(
        "name-not-in-module",
        "ImportError",
        r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'",
        "`{module}` has no `{name}` in the version that is resolved",
        "Import what that version has, or ask for one that has it.",
    ),
    known(
        "name-not-defined",
        "NameError UnboundLocalError",
        r"name '(?P<name>\w+)' is not defined|local variable '(?P<other>\w+)'",
        "`{name}{other}` is used where it has no value",
        "Define or import it first.",
    ),
    known(
        "moved-relative-path",
        "FileNotFoundError",
        r"(?:\[Errno 2\] No such file or directory|Unable to find|does not exist)[^'\"]*['\"](?P<path>"
        r"[^'\"]*config[^'\"]*)['\"]",
        "a file of the configuration is looked for where it is not: `{path}`",
        "Find it from the file's own place (`Path(__file__)`), or keep the working directory.",
        action="working-directory",
        area="launch",
        points=_launches,
    ),
    known(
        "file-not-found",
        "FileNotFoundError NotADirectoryError",
        r"(?:\[Errno \d+\] )?(?:No such file or directory|Not a directory|[^']*): '(?P<path>[^']*)'",
        "there is no file `{path}` where it is opened",
        "Write it first, or name where it is.",
        doubt="{doubt}",
        points=lambda stop, step, project, words: of_values(project, step, (words.get("path", ""),)),
        fill=_is_of_library,
    ),
    known(
        "not-json",
        "TypeError",
        r"Object of type (?P<kind>[\w.]+) is not JSON serializable|keys must be str, int, float, bool "
        r"or None, not (?P<other>\w+)",
        "a {kind}{other} is written as JSON, which it cannot be",
        "Convert it to a plain value first: `float(x)`, `bool(x)`, `x.tolist()`, `dict(x)`.",
    ),
    known(
        "text-as-number",
        "TypeError",
        r"(?:'(?P<op>[<>=!+*/-]+)' not supported between instances of '(?:str|float|int)' and '(?:str|float|int)'|"
        r"can't multiply sequence by non-int of type 'float'|bad operand type for unary -: 'str'|"
        r"unsupported operand type\(s\) for (?P<other>\S+): '(?:str|float|int)' and '(?:str|float|int)"
        r"'|must be real number, not str)",
        "a text is used as a number",
        "Write the number so that YAML takes it for one (`5.0e-4`), or convert it with `float`.",
        points=lambda stop, step, project, words: _text_numbers(project, step),
    ),
    known(
        "divided-by-zero",
        "ZeroDivisionError",
        r".*",
        "something is divided by zero",
        "Treat a divisor of zero: leave the ratio out, or say that there is none.",
        doubt="the numbers come from stand-ins",
    ),
    known(
        "missing-argument",
        "TypeError",
        r"(?P<name>[\w.<>]+)\(\) (?:missing (?P<count>\d+) required (?:positional|keyword-only) argume"
        r"nts?: (?P<which>.*)|"
        r"got an unexpected keyword argument '(?P<other>\w+)'|takes .*? positional arguments? but .*? "
        r"(?:was|were) given)",
        "`{name}` is called with other arguments than it takes",
        "Call it as it is defined.",
    ),
    known(
        "no-such-attribute",
        "AttributeError",
        r"(?:module )?'(?P<owner>[\w.]+)'(?: object)? has no attribute '(?P<name>\w+)'",
        "`{owner}` has no attribute `{name}`",
        "Use one that it has.",
    ),
    known(
        "usage-refused",
        "SystemExit",
        r"^2$",
        "the program refuses the contract's command line",
        "Take the arguments that the contract's command gives.",
        area="launch",
    ),
    known(
        "ends-by-itself",
        "SystemExit",
        r"(?P<said>.*)",
        "the program gives up by itself: {said}",
        "Let the contract's command come to its end.",
    ),
    known(
        "ends-without-traceback",
        "exit",
        r"(?P<said>.*)",
        "the command ends with {said}, and no process of it says why",
        "Let the error that ends a child be seen, and run the command as the contract gives it.",
        doubt="no traceback was seen",
    ),
)


def _text_numbers(project: Project, step: Step) -> Iterator[TrialFrame]:
    """Where a YAML file writes a number in a form that PyYAML takes for a text."""
    pattern = re.compile(r"^\s*(?:-\s*)?(?:[\w.-]+\s*:\s*)?[-+]?\d+(?:\.\d*)?[eE][-+]?\d+\s*(?:#.*)?$")
    for path, file in project.yaml.items():
        if step.run and project.contract.is_run_file(path) and step.run not in path:
            continue
        for number, line in enumerate(file.text.split("\n"), 1):
            if pattern.match(line) and not re.search(r"\d\.\d*[eE][-+]", line):
                yield TrialFrame(path, number, "")
