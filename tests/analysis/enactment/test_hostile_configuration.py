"""Configuration that wants to execute, read or exhaust something gets nowhere."""

from __future__ import annotations

import itertools
import json
import resource
import textwrap
import time

import pytest

from assay.analysis.enactment.session import Session

ASK: dict[str, object] = {"config_dir": "config", "config_name": "config", "version_base": None, "overrides": []}
SECRET = "hf_not_for_your_eyes"


def composed(files, *, asks=({},), timeout=60):
    session = Session()
    session.send({"files": files, "compositions": [{**ASK, **ask} for ask in asks]})
    return session.answer(timeout)


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Packages that leave a mark when they are imported, wherever a careless Python would look for them."""
    marker = tmp_path / "executed"
    code = textwrap.dedent(
        f"""
        open({str(marker)!r}, "a").write(__name__ + "\\n")
        def run(*args, **kwargs):
            open({str(marker)!r}, "a").write("run\\n")
        class Plugin:
            def __init__(self, *args, **kwargs): run()
        """
    )
    home = tmp_path / "home"
    for name in ("evil", "hydra_plugins", "hydra_plugins/evil_launcher", "assay_plugins"):
        package = home / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(code)
        (package / "stolen.yaml").write_text("stolen: 1\n")
    for name in ("sitecustomize", "usercustomize", "yaml", "omegaconf", "json", "antlr4"):
        (home / f"{name}.py").write_text(code)
    monkeypatch.chdir(home)
    for name in ("PYTHONPATH", "HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("HF_TOKEN", SECRET)
    yield marker
    assert not marker.exists(), marker.read_text()


SEARCH = [
    "hydra:\n  searchpath: [pkg://evil]\n",
    "hydra: {searchpath: ['pkg://evil']}\n",
    "hydra:\n  searchpath: ['${where}']\nwhere: pkg://evil\n",
    "hydra:\n  searchpath: ${where}\nwhere: [pkg://evil]\n",
    "where: &w [pkg://evil]\nhydra:\n  searchpath: *w\n",
    "hydra:\n  searchpath: ['${oc.decode:pkg}://evil']\n",
    "hydra:\n  searchpath: [pkg://hydra.conf, pkg://evil]\n",
    "hydra:\n  searchpath: [pkg://hydra.conf.., structured://evil]\n",
    "hydra:\n  searchpath: [file:///etc]\n",
    "hydra:\n  searchpath: [../..]\n",
    "hydra:\n  searchpath: ['file://${oc.env:HOME}/../..']\n",
]


@pytest.mark.parametrize("config", SEARCH)
def test_foreign_search_paths_are_refused_before_anything_is_imported(planted, config):
    files = {"config/config.yaml": config + "a: 1\n", "config/x.yaml": "b: 1\n"}
    answer = composed(files)
    assert answer["compositions"][0]["refusal"]["kind"] == "foreign-search-path", answer


def test_search_paths_that_come_by_other_ways_are_refused(planted):
    asks = [
        {"overrides": ["hydra.searchpath=[pkg://evil]"]},
        {"config_dir": "pkg://evil"},
        {"config_dir": "../.."},
        {"config_dir": "/etc"},
        {"config_name": "pkg://evil/stolen"},
        {"config_name": "../../../../etc/passwd"},
    ]
    answers = composed({"config/config.yaml": "a: 1\n"}, asks=asks)["compositions"]
    kinds = [answer["refusal"]["kind"] for answer in answers]
    assert kinds == ["foreign-search-path"] * 4 + ["no-such-config"] * 2


@pytest.mark.parametrize(
    "config",
    [
        "hydra:\n  launcher:\n    _target_: evil.Plugin\n",
        "hydra:\n  sweeper:\n    _target_: evil.Plugin\n",
        "hydra:\n  callbacks:\n    mine:\n      _target_: evil.Plugin\n",
        "_target_: evil.run\nnested:\n  _target_: evil.run\n  _args_: [1]\n",
        "hydra:\n  job_logging:\n    handlers:\n      x:\n        (): evil.run\n",
        "hydra:\n  hydra_logging:\n    handlers:\n      x:\n        class: evil.Plugin\n",
        "a: !!python/object/apply:evil.run []\n",
        "a: !!python/name:evil.run\n",
        "a: !!python/module:evil\n",
        "a: !!python/object/new:evil.Plugin []\n",
        "a: !!python/object/apply:os.system ['touch executed']\n",
        "a: ${evil:run}\nb: ${oc.create:'_target_:\\ evil.run'}\n",
        "defaults:\n  - _self_\n  - override hydra/launcher: evil_launcher\n",
        "defaults:\n  - pkg://evil/stolen\n",
        "defaults:\n  - evil@pkg://evil: stolen\n",
        "hydra:\n  job:\n    env_set:\n      LD_PRELOAD: /tmp/evil.so\n    chdir: true\n  output_subdir: /tmp\n",
    ],
)
def test_targets_tags_and_plugins_execute_nothing(planted, config):
    answer = composed({"config/config.yaml": config}, asks=[{}, {"overrides": ["hydra/launcher=evil_launcher"]}])
    assert "stolen" not in json.dumps(answer.get("compositions", [{}])[0].get("keys", []))


def test_no_value_of_the_callers_environment_is_seen(planted):
    config = (
        "a: ${oc.env:HF_TOKEN}\nb: ${oc.env:PYTHONPATH,none}\ndefaults:\n  - _self_\n"
        "  - run: ${oc.env:HF_TOKEN,nothing}\n"
    )
    copying = "hydra:\n  job:\n    env_copy: [HF_TOKEN]\n"
    answer = composed({"config/config.yaml": config, "config/copy.yaml": copying}, asks=[{}, {"config_name": "copy"}])
    assert SECRET not in json.dumps(answer)
    assert "run/nothing" in answer["compositions"][0]["refusal"]["message"]
    # what the job's environment would be is none of the program's configuration
    assert answer["compositions"][1]["keys"] == []


def test_files_outside_the_submission_are_not_read(planted, tmp_path):
    (tmp_path / "outside.yaml").write_text("stolen: 1\n")
    climbing = "/".join([".."] * 12)
    for default in (f"{climbing}{tmp_path}/outside", f"{tmp_path}/outside", f"x@y: {climbing}{tmp_path}/outside"):
        answer = composed({"config/config.yaml": f"defaults:\n  - {default}\na: 1\n", "config/x/b.yaml": "c: 1\n"})
        assert "stolen" not in json.dumps(answer)
        assert "refusal" in answer["compositions"][0], answer


LETTERS = "abcdefghijklmnopqrstuvwxyz"
ALIASES = "a: &a [x, x]\n" + "".join(
    f"{this}: &{this} [*{before}, *{before}]\n" for before, this in itertools.pairwise(LETTERS)
)


def _nested(depth):
    return "".join(f"{'  ' * level}k:\n" for level in range(depth)) + "  " * depth + "v: 1\n"


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("aliases", ALIASES),
        ("doubling", "a0: xxxxxxxxxx\n" + "".join(f"a{n + 1}: ${{a{n}}}${{a{n}}}\n" for n in range(60))),
        ("many keys", "".join(f"key{n}: {n}\n" for n in range(100_000))),
        ("many interpolations", "a: 1\n" + "".join(f"k{n}: x${{a}}${{b{n}}}\n" for n in range(20_000))),
        ("nested", _nested(90)),
        ("nested too deeply", _nested(2_000)),
        ("brackets", "a: " + "[" * 100_000 + "\n"),
        ("nested interpolation", "a: " + "${" * 3_000 + "b" + "}" * 3_000 + "\n"),
        ("long interpolation", "a: '" + "${b}" * 50_000 + "'\nb: 1\n"),
        ("includes itself", "defaults:\n  - config\na: 1\n"),
        ("long defaults", "defaults:\n" + "  - _self_\n" + "  - optional x: y\n" * 5_000),
        ("cycle", "a: ${b}\nb: ${c.d}\nc: ${a}\n"),
    ],
)  # fmt: skip
def test_time_and_memory_are_bounded(name, config):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    answer = composed({"config/config.yaml": config}, asks=[{"overrides": ["hydra.job.chdir=false"]}] * 3)
    assert time.monotonic() - begin < 45
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert spent.ru_utime - before.ru_utime < 25
    assert spent.ru_maxrss < 1_600_000
    assert len(json.dumps(answer)) < 3_000_000
    assert ("failed" in answer) or len(answer["compositions"]) == 3


def test_what_comes_out_of_doubling_values_is_small():
    config = "a0: xxxxxxxxxx\n" + "".join(f"a{n + 1}: ${{a{n}}}${{a{n}}}\n" for n in range(60)) + "z: ${a60}${nobody}\n"
    answer = composed({"config/config.yaml": config})
    assert answer["compositions"][0]["broken"] == [["z", "missing-key", "`nobody` is not there"]]
