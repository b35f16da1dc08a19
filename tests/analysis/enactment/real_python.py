"""Runs small programs for real, in a child of their own, and says how each of them ended.

The request on standard input is a list of programs and a list of environments; the answer has, for each program and
environment, the exception with the lines of the program in its traceback, and what its names held at the end.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf

PLAIN = (str, int, float, bool, type(None))


def shown(value, depth=6):
    """A value as JSON holds it, with its kind; None for what is no plain value."""
    if isinstance(value, PLAIN):
        return {"is": value, "kind": type(value).__name__}
    if depth == 0:
        return None
    if isinstance(value, (DictConfig, ListConfig)):
        try:
            return {"config": shown(OmegaConf.to_container(value, resolve=False), depth - 1)}
        except Exception:
            return None
    if type(value) in (list, tuple):
        return {type(value).__name__: [shown(one, depth - 1) for one in value]}
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {"dict": {key: shown(one, depth - 1) for key, one in value.items()}}
    return None


def run(text):
    """Run one program."""
    names = {"__name__": "__main__", "__file__": str(Path("main.py").resolve())}
    ended: dict[str, object] = {"error": None, "lines": []}
    Path("main.py").write_text(text, encoding="utf-8")
    sys.argv = ["main.py"]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(text, "main.py", "exec"), names)
    except SystemExit as error:
        if error.code not in (None, 0):
            ended["error"] = "SystemExit"
    except BaseException as error:
        ended["error"] = type(error).__name__
        steps = traceback.extract_tb(error.__traceback__)
        ended["lines"] = [step.lineno for step in steps if step.filename == "main.py"]
    ended["names"] = {name: shown(value) for name, value in names.items() if not name.startswith("__")}
    return ended


def main():
    request = json.load(sys.stdin)
    kept = dict(os.environ)
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for text in request["programs"]:
            ends = []
            for environment in request["environments"]:
                os.environ.clear()
                os.environ.update(kept)
                os.environ.update(environment)
                OmegaConf.clear_resolvers()
                ends.append(run(text))
                for left in Path().iterdir():
                    left.unlink()
            answers.append(ends)
        os.chdir("/")
    json.dump(answers, sys.stdout)


main()
