"""The overlay: a virtual environment of a few files, laid over the one that holds the packages.

It holds what watches the submission, so that the environment itself stays as it is and can be shared. Python finds both
by `.pth` files, so that children are followed too which clear their variables or set a PYTHONPATH of their own.
"""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.trial.environment import TrialEnvironment

PACKAGE = "assay_trial_inside"
SETTINGS = "settings.json"
_INSIDE = Path(__file__).with_name("inside")
_COMPILE_SECONDS = 120

# What stands for `uv` in the overlay. The environment is built already: `run` becomes its Python or the program named,
# `sync` and `lock` have nothing to do, and what would install more says so.
_UV = """\
#!/bin/sh
here=$(dirname "$0")
case "$1" in
--version|-V|version|self) echo "uv 0.9.0"; exit 0 ;;
sync|lock|venv) exit 0 ;;
run) shift ;;
*) echo "uv $1: not in a rehearsal, whose packages are installed already" >&2; exit 2 ;;
esac
while [ $# -gt 0 ]; do
    case "$1" in
    --) shift; break ;;
    -m|--module) exec "$here/python" "$@" ;;
    -s|--script) shift; exec "$here/python" "$@" ;;
    --with|--with-editable|--with-requirements|--extra|--no-extra|--group|--no-group|--only-group|--env-file|--python|-p\\
    |--project|--directory|--package|--index|--default-index|--index-url|--extra-index-url|--find-links|--config-file\\
    |--cache-dir|--color|--link-mode|--resolution|--prerelease|--exclude-newer|-w|-i|-f) shift; shift ;;
    -*) shift ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || exit 0
program=$1
shift
case "$program" in
python|python3|python3.*) exec "$here/python" "$@" ;;
*.py) exec "$here/python" "$program" "$@" ;;
esac
[ ! -d "$program" ] || exec "$here/python" "$program" "$@"
PATH="$here:$PATH" exec "$program" "$@"
"""


def lay_overlay(
    folder: Path, environment: TrialEnvironment, settings: Mapping[str, Any], added: tuple[Path, ...] = ()
) -> Path:
    """Lay an overlay, in place of the one that may be there.

    Args:
        folder: Where to; everything in it is replaced.
        environment: The environment below it.
        settings: What `trial/inside` is told, as JSON.
        added: Folders of packages beside the environment's own, searched after them.

    Returns:
        The overlay's `bin/python`.

    Raises:
        OSError: where that cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    programs = folder / "bin"
    version = ".".join(map(str, environment.python_version))
    site = folder / "lib" / f"python{version}" / "site-packages"
    programs.mkdir(parents=True)
    site.mkdir(parents=True)
    (folder / "lib64").symlink_to("lib")
    (folder / "pyvenv.cfg").write_text(
        f"home = {environment.python.parent}\nimplementation = CPython\nversion_info = {version}\n"
        "include-system-site-packages = false\n",
        encoding="utf-8",
    )
    (programs / "python").symlink_to(environment.python)
    for name in ("python3", f"python{version}"):
        (programs / name).symlink_to("python")
    _write_program(programs / "uv", _UV)
    _lead_to_programs(programs, (environment.folder, *added))
    # a line that begins with `import` is run, the others would not read the .pth files that lie where they lead
    # Python reads .pth files of a virtual environment twice
    lines = [
        f"import sys, site; {str(path)!r} in sys.path or site.addsitedir({str(path)!r})\n"
        for path in (*environment.sites, *added)
    ]
    (site / "0_environment.pth").write_text("".join(lines), encoding="utf-8")
    (site / "1_inside.pth").write_text(f"import {PACKAGE}.start\n", encoding="utf-8")
    inside = site / PACKAGE
    shutil.copytree(_INSIDE, inside, ignore=shutil.ignore_patterns("__pycache__"))
    (inside / SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
    _compile(inside, environment)
    return programs / "python"


def _lead_to_programs(programs: Path, environments: tuple[Path, ...]) -> None:
    """Let the programs of the environments be found: scripts run under the overlay's Python, others as they are."""
    for environment in environments:
        for path in sorted((environment / "bin").glob("*")):
            here = programs / path.name
            if here.is_symlink() or here.exists() or path.name.startswith(("python", "activate", "pip", "deactivate")):
                continue
            if not path.is_file() or not os.access(path, os.X_OK):
                continue
            if _is_python_script(path):
                _write_program(here, f'#!/bin/sh\nexec "$(dirname "$0")/python" {_shell_quoted(path)} "$@"\n')
            else:
                here.symlink_to(path)


def _is_python_script(path: Path) -> bool:
    with path.open("rb") as file:
        begin = file.read(200)
    first, _, rest = begin.partition(b"\n")
    return first.startswith(b"#!") and (b"python" in first or rest.startswith(b"'''exec'"))


def _shell_quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


def _write_program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _compile(folder: Path, environment: TrialEnvironment) -> None:
    """Compile what lies there, since the submission's processes may not write beside it."""
    if environment.python_version == sys.version_info[:2] and sys.implementation.name == "cpython":
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(folder, quiet=2, invalidation_mode=unchecked)
        return
    command = [str(environment.python), "-I", "-S", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash"]
    subprocess.run(
        [*command, str(folder)], stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMPILE_SECONDS, check=False,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
