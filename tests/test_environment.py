"""Reviews with an environment: real uv, real ty, small packages from the package index. Nothing foreign is executed."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

import assay
from assay.analysis import resolution
from assay.analysis.environment import open_environment
from assay.analysis.resolution import Resolution, resolve
from assay.analysis.wanted_packages import Wanted
from assay.cli import app
from assay.submission import SourceFile, Submission

DAY = datetime.date(2025, 11, 28)
HEAD = '[project]\nname = "demo"\nversion = "0.1.0"\nrequires-python = ">=3.10"\n'
RULES = ("PKG010", "API02")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache of this module's own; what uv itself keeps stays where it is."""
    before = dict(os.environ)
    uv = subprocess.run([str(resolution.find_uv()), "cache", "dir"], capture_output=True, text=True, check=True)
    os.environ["UV_CACHE_DIR"] = uv.stdout.strip()
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield resolution.cache_folder()
    os.environ.clear()
    os.environ.update(before)


def submission(main, dependencies='"omegaconf", "packaging"', more="", **files):
    texts = {"src/main.py": main, "pyproject.toml": f"{HEAD}dependencies = [{dependencies}]\n{more}", **files}
    return Submission("demo", {path: SourceFile.of_text(path, text) for path, text in sorted(texts.items())})


def review(*arguments, **more):
    return assay.review(
        submission(*arguments, **more), contract="experiment", resolve=True, as_of=DAY, select=RULES
    )  # fmt: skip


def x1(verdict):
    return next(row for row in verdict.requirements if row.id == "X1")


WRONG = (
    "import packaging.versions\n"
    "from omegaconf import OmegaConf, Configuration  # type: ignore\n"
    "OmegaConf.deepcopy({})  # ty: ignore\n"
    "OmegaConf.to_yaml({}, indent=2)\n"
)


def test_a_resolved_environment_shows_what_its_libraries_lack(cache):
    verdict = review(WRONG)
    assert [(finding.rule, finding.line) for finding in verdict.blocking] == [
        ("API020", 1), ("API021", 2), ("API021", 3), ("API022", 4),
    ]  # fmt: skip
    assert verdict.evidence == ("static", "environment")
    assert set(verdict.seconds) == {"static", "environment"}
    assert verdict.as_dict()["as_of"] == "2025-11-28"
    assert all(finding.evidence.kind == "environment" for finding in verdict.findings)
    (folder,) = [path for path in (cache / "environments").iterdir() if path.is_dir()]
    environment = open_environment(folder / "bin" / "python")
    assert environment.version("omegaconf") == "2.3.0"
    # OmegaConf needs a distribution that exists as source alone: it was left out, and nothing older was taken for it
    assert environment.left_out.keys() == {"antlr4-python3-runtime"}
    assert environment.doubtful == frozenset()
    assert list(environment.site_packages[0].rglob("*.pyc"))
    # the second time nothing is built, and uv is not asked
    begin = (folder / "assay.json").stat().st_mtime_ns
    again = review(WRONG)
    assert again.seconds["environment"] < 1.5
    assert (folder / "assay.json").stat().st_mtime_ns == begin
    # an environment of one's own, through the command line
    (folder.parent / "demo" / "src").mkdir(parents=True)
    for path, file in submission(WRONG).files.items():
        (folder.parent / "demo" / path).write_text(str(file.text))
    called = ["review", str(folder.parent / "demo"), "--contract", "experiment", "--select", "API02", "-q", "--env"]
    given = CliRunner().invoke(app, [*called, str(folder)])
    shutil.rmtree(folder.parent / "demo")
    assert given.exit_code == 1
    assert given.stdout.count(" blocking: ") == 4


@pytest.mark.parametrize(
    ("dependencies", "python", "said", "line"),
    [
        ('"packaging>=9999"', ">=3.10", "packaging", 5),
        ('"attrs", "packaging>=25", "packaging<20"', ">=3.10", "packaging", 5),
        ('"numpy>=2.3"', ">=3.9", "Raise requires-python", 5),
    ],
)
def test_uv_s_refusal_is_a_finding(dependencies, python, said, line):
    more = submission("x = 1\n", dependencies).files["pyproject.toml"].text
    verdict = review("x = 1\n", **{"pyproject.toml": str(more).replace(">=3.10", python)})
    (finding,) = verdict.blocking
    assert (finding.rule, finding.line, finding.consequence) == ("PKG010", line, "crashes")
    assert said in finding.explanation + finding.repair
    assert "/" not in finding.evidence.detail
    assert review("x = 1\n", **{"pyproject.toml": str(more).replace(">=3.10", python)}).findings == verdict.findings


def test_nothing_of_the_submission_is_executed(tmp_path):
    """A local source distribution whose build leaves a mark is refused before uv sees it."""
    mark = tmp_path / "mark"
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "setup.py").write_text(
        f"open({str(mark)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='evil', version='1')\n"
    )
    ways = [
        {"dependencies": f'"evil @ file://{tmp_path}/evil"'},
        {"dependencies": '"evil"', "more": f'[tool.uv.sources]\nevil = {{ path = "{tmp_path}/evil" }}\n'},
        {
            "dependencies": "", "more": '[build-system]\nrequires = ["setuptools"]\n',
            "setup.py": f"open({str(mark)!r}, 'w').close()\n",
        },
        {"dependencies": '"attrs"', ".python-version": f"{tmp_path}/evil/python", "uv.toml": "no-build = false\n"},
    ]  # fmt: skip
    for way in ways:
        verdict = review("x = 1\n", **way)
        assert not verdict.blocking
    assert not mark.exists()
    assert "address or a path" in x1(review("x = 1\n", **ways[0])).reason


def test_settings_for_uv_in_the_submission_are_not_obeyed():
    elsewhere = '[[tool.uv.index]]\nurl = "http://127.0.0.1:9/simple"\ndefault = true\n'
    assert [finding.rule for finding in review("import attrs.nothing\n", '"attrs"', elsewhere).blocking] == ["API020"]
    # there may be such a version where the submission would look
    verdict = review("x = 1\n", '"attrs>=9999"', elsewhere)
    assert not verdict.findings
    assert "[tool.uv] sets index" in x1(verdict).reason


def test_no_network_blames_nobody(monkeypatch, tmp_path):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    verdict = review("x = 1\n", '"attrs"')
    assert not verdict.findings
    assert x1(verdict).status == "undecided"
    assert "127.0.0.1" not in x1(verdict).reason


def test_source_alone_blames_nobody():
    # torch-scatter has no wheels, and its build would have to run
    verdict = review("import numpy\n", '"torch-scatter"')
    assert not verdict.findings
    assert "foreign code" in x1(verdict).reason


def test_two_reviews_build_one_environment(tmp_path):
    wanted = Wanted(dependencies=("iniconfig",), requires_python=">=3.10")

    def made(_: int) -> Resolution:
        return resolve(wanted, DAY, (10, None), tmp_path)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(made, range(2)))
    folders = {str(answer.environment.folder) for answer in answers if answer.environment}
    assert len(folders) == 1
    assert [path.name for path in (tmp_path / "environments").iterdir() if path.name.startswith(".")] == []


def test_secrets_stay_with_the_caller(monkeypatch):
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "UV_PUBLISH_TOKEN", "UV_CONFIG_FILE"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("UV_INDEX_LAB_PASSWORD", "for the index alone")
    kept = {name for name in os.environ if resolution._KEPT.fullmatch(name)}
    assert "UV_INDEX_LAB_PASSWORD" in kept
    assert not kept & {"HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "UV_PUBLISH_TOKEN", "UV_CONFIG_FILE"}


def test_what_is_missing_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("assay.analysis.resolution.find_uv", lambda: None)
    with pytest.raises(assay.InputError, match=r"pip install 'assay\[env\]'"):
        review("x = 1\n")
    with pytest.raises(assay.InputError, match="no such environment"):
        assay.review(submission("x = 1\n"), contract="experiment", env=tmp_path / "nothing")
    with pytest.raises(assay.InputError, match="no virtual environment"):
        assay.review(submission("x = 1\n"), contract="experiment", env=tmp_path)
    with pytest.raises(assay.InputError, match="not both"):
        assay.review(submission("x = 1\n"), contract="experiment", env=sys.prefix, resolve=True)
    monkeypatch.setattr("assay.analysis.ty_check.find_ty", lambda: None)
    with pytest.raises(assay.InputError, match=r"pip install 'assay\[env\]'"):
        assay.review(submission("x = 1\n"), contract="experiment", env=sys.prefix)
