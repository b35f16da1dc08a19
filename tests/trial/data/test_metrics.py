"""The scripts of metrics, as `evaluate` runs them."""

from __future__ import annotations

import ast

import pytest

from assay.trial.inside.hub import metrics


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    library = pytest.importorskip("evaluate")
    folder = tmp_path_factory.mktemp("metrics")

    def loaded(name: str, *args):
        place = folder / f"{name}.py"
        place.write_text(metrics.script(name))
        return library.load(str(place), *args, cache_dir=str(folder / "cache"))

    # once for all tests: the process remembers where the modules lie
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaluate.config.HF_MODULES_CACHE", str(folder / "modules"))
        yield loaded


def test_every_script_is_a_program():
    for name in metrics.names():
        ast.parse(metrics.script(name))


def test_f1_of_two_of_three(load):
    assert load("f1").compute(predictions=[1, 0, 1], references=[1, 1, 1]) == {"f1": pytest.approx(0.8)}


def test_bleu_of_one_word_too_few(load):
    found = load("bleu").compute(predictions=["the cat sat on the mat"], references=[["the cat sat on the mat ."]])
    assert found["bleu"] == pytest.approx(0.8465, abs=1e-4)
    assert found["precisions"] == [1.0] * 4


def test_glue_wants_a_task(load):
    with pytest.raises(KeyError, match="configuration name"):
        load("glue", "none")


def test_a_missing_dependency_is_named(load):
    try:
        import rouge_score  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="rouge_score"):
            load("rouge")


def test_only_metrics_have_repositories():
    found = metrics.repository("evaluate-metric/accuracy")
    assert found is not None
    assert found.type == "space"
    assert metrics.repository("somebody/accuracy") is None
    assert metrics.repository("evaluate-metric/nothing") is None
