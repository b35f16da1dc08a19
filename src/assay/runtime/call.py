"""The command line of a run: run=ID results_dir=PATH mode=trial|full, and what else Hydra takes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from assay.runtime.errors import ExperimentError
from assay.runtime.modes import MODES

RUN_FOLDERS = ("runs", "run")
# with these Hydra shows something and starts no run: https://hydra.cc/docs/1.3/advanced/hydra-command-line-flags/
_SHOWING = ("--help", "-h", "--hydra-help", "--version", "--shell-completion", "-sc")
_SWEEPING = ("--multirun", "-m")
_GLOBAL = "@_global_"
# what Hydra's parser of overrides takes for a text as it stands, and words that it takes for something else
_BARE = re.compile(r"(?:[A-Za-z_/]|\.\.?/)[\w./+@%-]*", re.ASCII)
_WORDS = frozenset({"null", "true", "false", "nan", "inf"})


class Call(NamedTuple):
    """A command line as Hydra gets it.

    Args:
        words: Flags and overrides, `run=ID` turned into the choice of a run file.
        choice: What that choice starts with, such as `+runs@_global_=`; empty where nothing is chosen.
    """

    words: list[str]
    choice: str

    def as_given(self, overrides: Sequence[str]) -> list[str]:
        """Overrides of a job as a person writes them, for a child process."""
        if not self.choice:
            return list(overrides)
        return [f"run={word.removeprefix(self.choice)}" if word.startswith(self.choice) else word for word in overrides]


def read_call(words: Sequence[str], config: Path, program: str) -> Call:
    """Check a command line, and turn the run that it names into the choice of a run file.

    The run file becomes one more entry of the defaults list, laid over config.yaml at its root, so that the words of
    the command line have the last say on its keys too.

    Args:
        words: The command line, without the program.
        config: Folder of config.yaml.
        program: Name of the program, for messages.

    Raises:
        ExperimentError: run, results_dir or mode is missing, twice or wrong, or there is no such run file.
    """
    if any(word in _SHOWING for word in words):
        return Call(list(words), "")
    if not (config / "config.yaml").is_file():
        raise ExperimentError(f"{program}: there is no {config / 'config.yaml'}; write it there", status=2)
    given = {name: [word for word in words if word.startswith(f"{name}=")] for name in ("run", "results_dir", "mode")}
    for name, found in given.items():
        if len(found) != 1 or not found[0].partition("=")[2]:
            how = "twice" if len(found) > 1 else "missing"
            raise ExperimentError(
                f"{program}: {name} is {how}; usage: python -u -m {program} run=ID results_dir=PATH mode=trial|full",
                status=2,
            )
    values = {name: found[0].partition("=")[2].strip("'\"") for name, found in given.items()}
    if values["mode"] not in MODES:
        raise ExperimentError(f"{program}: mode={values['mode']}; mode is trial or full", status=2)
    folders = {_folder_of(run, config, program) for run in values["run"].split(",")}
    if len(folders) > 1:
        raise ExperimentError(
            f"{program}: run={values['run']}; these run files lie in different folders of {config}", status=2
        )
    group = folders.pop()
    choice = f"+{group}{_GLOBAL}="
    place = words.index(given["run"][0])
    chosen = f"{choice}{_quoted_each(given['run'][0].partition('=')[2])}"
    results = given["results_dir"][0].partition("=")[2]
    if not ("," in results and any(word in _SWEEPING for word in words)):
        results = quoted(str(Path(results).expanduser()) if results.startswith("~/") else results)
    # side by side: between flags, Hydra's parser takes overrides in one place only
    sent = [*words[:place], chosen, *_own_settings(words, config), *words[place + 1 :]]
    return Call([f"results_dir={results}" if word == given["results_dir"][0] else word for word in sent], choice)


def quoted(value: str) -> str:
    """A text as Hydra's parser of overrides reads it back: in quotes, unless it needs none, has some or is a link."""
    if value[0] in "'\"" or "${" in value:
        return value
    if _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    # a backslash counts as one, except before a quote: https://hydra.cc/docs/1.3/advanced/override_grammar/basic/
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    return "'" + re.sub(r"(\\+)$", r"\1\1", escaped) + "'"


def _quoted_each(runs: str) -> str:
    return runs if runs[0] in "'\"" else ",".join(quoted(run) for run in runs.split(","))


def run_ids(config: Path) -> list[str]:
    """The runs that have a file, in order of their names."""
    return sorted({path.stem for folder in RUN_FOLDERS for path in (config / folder).glob("*.yaml")})


def _folder_of(run: str, config: Path, program: str) -> str:
    for folder in RUN_FOLDERS:
        if run and Path(run).name == run and (config / folder / f"{run}.yaml").is_file():
            return folder
    known = run_ids(config)
    if not known:
        raise ExperimentError(f"{program}: run={run}; there are no run files in {config / 'runs'}", status=2)
    near = difflib.get_close_matches(run, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ExperimentError(f"{program}: run={run}; {hint}the runs are {', '.join(known)}", status=2)


def _own_settings(words: Sequence[str], config: Path) -> list[str]:
    """Settings for Hydra itself, where neither the caller nor config.yaml has any: no folders and files of its own."""
    text = (config / "config.yaml").read_text(encoding="utf-8", errors="replace")
    if any(line.startswith("hydra:") for line in text.splitlines()) or any(word.startswith("hydra.") for word in words):
        return []
    return [
        "hydra.run.dir=.",
        "hydra.sweep.dir=${results_dir}",
        "hydra.sweep.subdir=.",
        "hydra.output_subdir=null",
        "hydra/job_logging=stdout",
    ]
