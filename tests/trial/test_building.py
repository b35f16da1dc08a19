"""The environment of a rehearsal: real uv, small packages from the package index."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assay.analysis import resolution
from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.errors import InputError
from assay.submission import SourceFile, Submission
from assay.trial import cached
from assay.trial.environment import CannotAddError, add, prepare
from assay.trial.overlay import lay_overlay

DAY = datetime.date(2025, 11, 28)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def project(pyproject: str | None, main: str = "x = 1\n", **files: str) -> Project:
    texts = {"src/main.py": main, **({} if pyproject is None else {"pyproject.toml": pyproject}), **files}
    held = {path: SourceFile.of_text(path, text) for path, text in sorted(texts.items())}
    return Project(Submission("demo", held), load_contract("experiment"), as_of=DAY)


def listed(*dependencies: str, python: str = ">=3.9") -> str:
    return (
        f'[project]\nname = "demo"\nversion = "0"\nrequires-python = "{python}"\ndependencies = {list(dependencies)}\n'
    )


def runs(environment, script, folder, added=()):
    python = lay_overlay(folder / "overlay", environment, {}, added)
    command = [python, "-c", script]
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    ).stdout.strip()


def test_what_is_declared_is_there_source_alone_included(cache, tmp_path):
    # numpy 2.3 has no release for Python 3.9: that is a matter of packaging, and stops no rehearsal
    said: list[str] = []
    asked = project(listed("hydra-core>=1.3.2", "packaging>=25"))
    made = prepare(asked, cache=cache, say=said.append)
    assert (made.refusal, made.undecided, made.notes, made.declared_refusal) == ("", "", (), "")
    assert made.packages["antlr4-python3-runtime"] == "4.9.3"
    assert made.python_version == sys.version_info[:2]
    assert said
    assert runs(made, "import hydra, packaging; print(hydra.__version__)", tmp_path) == made.packages["hydra-core"]
    assert list(made.sites[0].rglob("*.pyc"))
    # from the cache, nothing is asked or built
    said.clear()
    assert prepare(asked, cache=cache, say=said.append) == made
    assert not said
    # what was imported beside it fits what is there
    added = add(made, ("omegaconf", "iniconfig"), cache=cache)
    assert [path.name.partition("-")[0] for path in added.glob("*.dist-info")] == ["iniconfig"]
    assert runs(made, "import iniconfig; print(iniconfig.__name__)", tmp_path, (added,)) == "iniconfig"
    with pytest.raises(CannotAddError, match="packaging"):
        add(made, ("packaging<20",), cache=cache)
    with pytest.raises(CannotAddError, match="index does not have it"):
        add(made, ("no-such-distribution-of-assay",), cache=cache)


@pytest.mark.parametrize(
    ("pyproject", "holds", "said"),
    [
        ('[project]\nname = "d"\n[project.dependencies]\niniconfig = "^1.0"\n', ("iniconfig", "2"), "carets"),
        ('[tool.poetry.dependencies]\npython = "^3.9"\niniconfig = "^1.0"\n', ("iniconfig", "2"), "carets"),
        (listed("iniconfig^1.1"), ("iniconfig", "2"), "is no requirement"),
        (listed("iniconfig @ git+https://example.org/x"), ("iniconfig", "2"), "from the package index"),
        (listed("iniconfig", "iniconfig>=9"), ("iniconfig", "2"), "all bounds"),
        (listed("iniconfig", "packaging>=25", "packaging<20"), ("packaging", "25"), "upper bounds"),
        (listed("iniconfig", "no-such-distribution-of-assay"), ("iniconfig", "2"), "index does not have it"),
        (listed("iniconfig", "torch-scatter"), ("iniconfig", "2"), "source alone"),
        ("no [ TOML", ("iniconfig", "2"), "guessed"),
        (None, ("iniconfig", "2"), "guessed"),
    ],
)
def test_what_cannot_be_resolved_is_relaxed_and_told(cache, pyproject, holds, said):
    made = prepare(project(pyproject, "import iniconfig\nimport src.model\n"), cache=cache)
    assert (made.refusal, made.undecided) == ("", "")
    assert made.packages[holds[0]].startswith(holds[1])
    assert said in " ".join(made.notes)


def test_uv_s_own_words_on_what_is_declared_are_kept(cache):
    made = prepare(project(listed("iniconfig>=9")), cache=cache)
    assert "iniconfig" in made.declared_refusal
    lacking = prepare(project(listed("iniconfig", "no-such-distribution-of-assay")), cache=cache)
    assert lacking.left_out == {"no-such-distribution-of-assay": "the package index does not have it"}


def test_requirements_are_read_where_the_project_file_names_none(cache):
    made = prepare(
        project(None, **{"requirements.txt": "# pinned\niniconfig==2.0.0  # why\n-r more.txt\n"}), cache=cache
    )
    assert made.packages["iniconfig"] == "2.0.0"


def test_two_at_once_build_one(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: prepare(project(listed("iniconfig")), cache=tmp_path), range(2)))
    assert made[0].folder == made[1].folder
    assert len(cached.entries(tmp_path)) == 1


def test_no_network_blames_nobody(monkeypatch, tmp_path):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    made = prepare(project(listed("iniconfig")), cache=tmp_path)
    assert not made.exists
    assert not made.refusal
    assert made.undecided
    assert "127.0.0.1" not in made.undecided


def test_a_missing_uv_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(resolution, "find_uv", lambda: None)
    with pytest.raises(InputError, match=r"pip install 'assay\[env\]'"):
        prepare(project(listed("iniconfig")), cache=tmp_path)


SCRIPT = """
import datetime, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_building import listed, prepare, project
try:
    prepare(project(listed("scipy>=1.15", "pandas>=2")), cache=Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_kill_leaves_nothing_half_built_and_nobody_at_work(tmp_path):
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    cache = tmp_path / "cache"
    environments = cache / "environments"
    for seconds in (0.0, 0.5):
        process = subprocess.Popen([sys.executable, "-c", script, str(cache)])
        _until(lambda p=process: bool(list(environments.glob(".*-*"))) or p.poll() is not None)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        _until(lambda: not _at_work(cache))
        # a kill before uv was started leaves a folder with nothing in it, which the next build removes
        assert not [left for left in environments.glob(".*-*") if any(left.iterdir())]
    made = prepare(project(listed("scipy>=1.15", "pandas>=2")), cache=cache)
    assert made.has("scipy", "pandas")
    assert not list(environments.glob(".*-*"))


def _at_work(folder: Path) -> bool:
    """Whether some process was started with a path in a folder."""
    found = False
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found = found or (str(folder).encode() in path.read_bytes())
        except OSError:
            continue
    return found


def _until(holds):
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def test_a_full_disk_is_said_in_one_line(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    mount = f'mount -t tmpfs -o size=3m none "{small}" && exec "$@"'
    inside = ["unshare", "-rm", "sh", "-c", mount, "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*inside, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no disk can be made here")
    done = subprocess.run(
        [*inside, sys.executable, "-c", script, str(small)], capture_output=True, text=True, check=False,
        env={**os.environ, "UV_LINK_MODE": "copy"},
    )  # fmt: skip
    assert done.stdout.startswith("InputError")
    assert "disk is full" in done.stdout or "No space left" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_submission_that_depends_on_assay_gets_this_one(cache, tmp_path):
    pytest.importorskip("wandb")
    made = prepare(project(listed("assay", "iniconfig", python=">=3.11")), cache=cache)
    assert (made.refusal, made.undecided) == ("", "")
    assert "assay" in made.packages
    where = runs(made, "import assay, hydra; print(assay.__file__)", tmp_path)
    assert Path(where).is_relative_to(cache)
