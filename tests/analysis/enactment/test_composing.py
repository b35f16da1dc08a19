"""The child composes what `@hydra.main` would hand over, and says why where Hydra refuses."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest
from omegaconf.base import Container

from assay.analysis.enactment.child import lay_out
from assay.analysis.enactment.composing import Composed, Composer, Refusal

GROUP = "# @package _global_\nrun_id: a\nmodel:\n  name: tiny\n  layers: [1, 2, 3]\ntraining:\n  lr: 1e-3\n"
FILES = {
    "config/config.yaml": (
        "defaults:\n  - _self_\n  - optional data: none\n  - run: ???\n\nrun_id: ???\nmode: full\nresults_dir: out\n"
        "name: ${run_id}-${mode}\nwhen: ${now:%Y}\ntraining: {lr: 0.5, epochs: 2}\n"
    ),
    "config/plain.yaml": "run: null\nmode: full\nresults_dir: out\ntraining: {}\nnested: {a: {b: [1, {c: 2}]}}\n",
    "config/first.yaml": "defaults:\n  - run: a\n  - _self_\nmode: full\nresults_dir: out\nrun_id: own\n",
    "config/chosen.yaml": (
        "defaults:\n  - run: a\n  - extra: ${run}\n  - sub/deep@here: x\n"
        "  - _self_\n  - override hydra/job_logging: none\n"
        "mode: full\nresults_dir: out\nhydra:\n  run:\n    dir: .\n  job:\n    chdir: false\n"
    ).replace(
        "  - override hydra/job_logging: none\n  - _self_\n", "  - _self_\n  - override hydra/job_logging: none\n"
    ),
    "config/both.yaml": "defaults:\n  - run: [a, b]\n  - _self_\nmode: full\nresults_dir: out\n",
    "config/inner.yaml": "defaults:\n  - plain\n  - run@training.other: b\n  - _self_\nmode: trial\n",
    "config/run/a.yaml": GROUP,
    "config/run/b.yaml": GROUP.replace("run_id: a", "run_id: b").replace("# @package _global_\n", ""),
    "config/extra/a.yaml": "value: 1\n",
    "config/sub/deep/x.yaml": "# comment\nx: ${oc.env:NOBODY,none}\ny: '???'\n",
    "config/runs/a.yaml": GROUP,
}
LINE = ["results_dir=somewhere", "mode=trial"]
CASES = [
    ("config", ["run=a", *LINE], None),
    ("config", ["run=b", *LINE], None),
    ("config", ["run=a", *LINE], "1.1"),
    ("config", ["run=a", *LINE, "training.lr=3", "+training.new={a: [1,2]}", "~when"], "1.3"),
    ("config", ["run=a", "+extra=a", "hydra.run.dir=x", *LINE], "1.2"),
    ("plain", LINE, None),
    ("plain", ["++training.lr=1e-5", "nested.a.b=[]", "+nested.a={z: 1}"], None),
    ("first", ["run=b", *LINE], None),
    ("first", LINE, "1.1"),
    ("chosen", ["run=a", *LINE], None),
    ("both", LINE, None),
    ("inner", ["run@training.other=a", *LINE], None),
    (None, ["+a=b"], None),
    ("plain", [], "1.1"),
]
REFERENCE = """
import json, sys, warnings
import hydra
from omegaconf.base import Container
warnings.simplefilter("ignore")
answers = []
for name, words, base in json.loads(sys.argv[1]):
    sys.argv = ["main.py", *words]

    @hydra.main(config_path="../config", config_name=name, version_base=base)
    def main(cfg):
        answers.append(described(cfg))

    main()
sys.stdout.write("\\n@@" + json.dumps(answers))
"""


def described(node):
    """All that tells one configuration from another: the kind of each node, its flags and its content, unresolved."""
    flags = {name: value for name, value in (node._metadata.flags or {}).items() if value is not None}
    plain = {"kind": type(node).__name__, "flags": flags}
    content = node._content if isinstance(node, Container) else None
    if isinstance(content, dict):
        plain["items"] = [[repr(key), described(child)] for key, child in content.items()]
    elif isinstance(content, list):
        plain["items"] = [described(child) for child in content]
    else:
        plain["value"] = repr(node._value())
    return plain


def spoil(node):
    """Empty a configuration from below."""
    content = node._content if isinstance(node, Container) else None
    for child in list(content.values() if isinstance(content, dict) else content or ()):
        spoil(child)
    if isinstance(content, dict | list):
        node._set_flag("struct", False)
        content.clear()
    else:
        node._val = "spoilt"


@pytest.fixture
def composer(tmp_path):
    lay_out(tmp_path, FILES)
    return Composer(tmp_path)


def test_it_composes_what_hydra_main_hands_over(tmp_path, composer):
    program = tmp_path / "src" / "main.py"
    program.parent.mkdir()
    program.write_text(inspect.getsource(described) + REFERENCE)
    command = [sys.executable, str(program), json.dumps(CASES)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = json.loads(done.stdout.rpartition("@@")[2])
    # twice: what is remembered from the first time must not show in the second
    for _ in range(2):
        for (name, words, base), wanted in zip(CASES, expected, strict=True):
            outcome = composer.compose("config", name, words, base)
            assert isinstance(outcome, Composed), (name, words, outcome)
            assert json.loads(json.dumps(described(outcome.config))) == wanted, (name, words)
            # whatever is done to a configuration concerns nobody else
            spoil(outcome.config)


@pytest.mark.parametrize(
    ("files", "name", "words", "expected"),
    [
        ({}, "plain", ["rum=a"], Refusal("unknown-override", "'rum'", "rum=a", None, "rum")),
        ({}, "plain", ["training.lr=1"], Refusal("unknown-override", "", "training.lr=1", None, "training.lr")),
        ({}, "plain", ["mode.x=1"], Refusal("unknown-override", "mode", "mode.x=1", None, "mode.x")),
        ({}, "plain", ["runs=a"], Refusal("unknown-override", "defaults list", "runs=a", None, "runs")),
        ({}, "config", LINE, Refusal("missing-default", "run=<OPTION>", None, "config/config.yaml", "run")),
        ({}, "config", ["run=zzz"], Refusal("no-such-option", "run/zzz", "run=zzz", "config/config.yaml", "run")),
        ({}, "nothing", [], Refusal("no-such-config", "nothing", None, None, "nothing")),
        (
            {}, "plain", ["hydra.job.on=1"],
            Refusal("hydra-schema", "'on'", "hydra.job.on=1", None, "hydra.job.on"),
        ),
        (
            {"config/plain.yaml": "hydra:\n  job:\n    no_such: 1\n"}, "plain", [],
            Refusal("hydra-schema", "no_such", None, "config/plain.yaml", "hydra.job.no_such"),
        ),
        (
            {"config/plain.yaml": "hydra:\n  job:\n    num: much\n"}, "plain", [],
            Refusal("hydra-schema", "much", None, "config/plain.yaml", "hydra.job.num"),
        ),
        ({}, "plain", ["mode=[1"], Refusal("bad-override", "", "mode=[1", None, None)),
        ({}, "plain", ["mode=a,b"], Refusal("bad-override", "Ambiguous", "mode=a,b", None, None)),
        ({}, None, ["run=a"], Refusal("unknown-override", "run", "run=a", None, "run")),
        ({"config/plain.yaml": "a: [1\n"}, "plain", [], Refusal("yaml", "", None, None, None)),
        ({"config/plain.yaml": "a: 1\na: 2\n"}, "plain", [], Refusal("yaml", "duplicate key a", None, None, None)),
        ({"config/plain.yaml": "a: ${b\n"}, "plain", [], Refusal("interpolation", "", None, None, "a")),
        (
            {"config/plain.yaml": "defaults:\n  - runs: ${run}\nrun: a\n"}, "plain", ["run=a"],
            Refusal("interpolation", "${run}", None, None, None),
        ),
        (
            {"config/plain.yaml": "defaults:\n  a: b\n"}, "plain", [],
            Refusal("bad-defaults", "must be a list", None, "config/plain.yaml", "defaults"),
        ),
        (
            {"config/plain.yaml": "defaults:\n  - _self_\n  - _self_\n"}, "plain", [],
            Refusal("bad-defaults", "Duplicate _self_", None, None, "defaults"),
        ),
        (
            {"config/plain.yaml": "defaults:\n  - run: a\n  - override hydra/launcher: ours\n"}, "plain", [],
            Refusal("plugin-absent", "ours", None, None, "hydra/launcher"),
        ),
        (
            {}, "plain", ["hydra/sweeper=ours"],
            Refusal("plugin-absent", "ours", "hydra/sweeper=ours", None, "hydra/sweeper"),
        ),
        (
            {}, "plain", ["hydra.searchpath=[pkg://evil]"],
            Refusal("foreign-search-path", "pkg://evil", "hydra.searchpath=[pkg://evil]", None, "hydra.searchpath"),
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_to_blame(tmp_path, files, name, words, expected):
    lay_out(tmp_path, {**FILES, **files})
    refused = Composer(tmp_path).compose("config", name, words, None)
    assert isinstance(refused, Refusal), refused
    assert expected.message in refused.message
    assert "\n" not in refused.message
    assert str(tmp_path) not in refused.message
    assert "site-packages" not in refused.message
    assert (refused.kind, refused.override, refused.key) == (expected.kind, expected.override, expected.key)
    if expected.file:
        assert refused.file == expected.file


def test_an_absent_folder_is_no_configuration(tmp_path):
    assert Composer(tmp_path).compose("conf", "config", [], None).kind == "no-such-config"  # type: ignore[union-attr]


def test_a_folder_of_the_submission_may_be_searched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(
        tmp_path,
        {
            "config/c.yaml": "defaults:\n  - _self_\n  - more: m\nhydra:\n  searchpath: [file://shared]\n",
            "shared/more/m.yaml": "m: 1\n",
        },
    )
    outcome = Composer(tmp_path).compose("config", "c", [], None)
    assert isinstance(outcome, Composed)
    assert outcome.config.more.m == 1


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("a: ${b}\nb: 1\n", []),
        ("a: ${b.c}\nb: {c: [1]}\nd: ${b.c.0}\ne: ${b[c]}\n", []),
        ("a: ${nobody}\n", [("a", "missing-key")]),
        ("a: ${b.c.d}\nb: {c: 1}\n", [("a", "missing-key")]),
        ("a: ${b.3}\nb: [1, 2]\n", [("a", "missing-key")]),
        ("a: ${b}\nb: ???\n", [("a", "missing-value")]),
        ("a: ${b}\nb: ${c}\nc: ${b}\n", [("a", "cycle"), ("b", "cycle"), ("c", "cycle")]),
        ("a: {b: 1, c: '${.b}', d: '${..a.b}', e: '${.z}'}\n", [("a.e", "missing-key")]),
        ("a: [1, '${.0}', '${nobody}']\n", [("a.2", "missing-key")]),
        ("a: 'x ${b} ${nobody} y'\nb: 1\n", [("a", "missing-key")]),
        ("a: ${ours:1}\nb: ${theirs:1}\n", [("b", "unknown-resolver")]),
        ("a: ${oc.env:X}\nb: ${now:%H}\nc: ${hydra:job.name}\nd: ${oc.select:nobody,1}\n", []),
        ("a: ${oc.decode:${nobody}}\n", [("a", "missing-key")]),
        ("a: ${b.c}\nb: ${d}\nd: {c: 1}\n", []),
        ("a: ${${b}}\nb: c\nc: 1\n", []),
        ("a: ${hydra.job.name}\n", [("a", "missing-key")]),
        ("a: \\${nobody}\n", []),
    ],
)
def test_interpolations_that_certainly_fail(tmp_path, yaml, expected):
    lay_out(tmp_path, {"c.yaml": yaml})
    composer = Composer(tmp_path, frozenset({"ours"}))
    outcome = composer.compose(".", "c", [], None)
    assert isinstance(outcome, Composed), outcome
    assert [(found.key, found.kind) for found in composer.unresolved(outcome.config)] == expected
