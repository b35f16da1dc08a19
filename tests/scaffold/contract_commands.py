"""The command lines of contracts, run as written, without a network."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

# W&B leaves a variable of its service in a process that has used it
UNWANTED = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "WANDB_")


@cache
def without_network():
    """Words before a command that keep it from the network; none where this machine has no means."""
    for words in (["bwrap", "--dev-bind", "/", "/", "--unshare-net", "--"], ["unshare", "-n", "--"]):
        if (
            shutil.which(words[0])
            and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
        ):
            return words
    return []


def run_in(folder, line):
    """Run a command line of a contract as written, in the environment that runs the tests."""
    words, environment = prepared(line)
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def prepared(line):
    """The words and the environment variables with which a command line of a contract is run."""
    words = shlex.split(line)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    binaries = Path(sys.executable).parent
    environment |= {
        "PATH": f"{binaries}{os.pathsep}{environment['PATH']}",
        "UV_NO_SYNC": "1",
        "UV_OFFLINE": "1",
        "UV_PROJECT_ENVIRONMENT": sys.prefix,
        "OMP_NUM_THREADS": "1",
    }
    if sys.prefix == sys.base_prefix or not shutil.which("uv", path=environment["PATH"]):
        # uv itself, or an environment for it, is not here
        words = [sys.executable, *words[words.index("python") + 1 :]]
    return [*without_network(), *words], environment
