"""The best weights are those at the best finite score, whatever the model became afterwards."""

import math

import pytest

torch = pytest.importorskip("torch")

from assay.runtime.best_weights import BestWeights, NoFiniteScoreError  # noqa: E402
from assay.runtime.errors import ExperimentError  # noqa: E402


def model(inputs=2):
    return torch.nn.Sequential(torch.nn.Linear(inputs, 2), torch.nn.BatchNorm1d(2))


def fill(module, number):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(number)


def scored(direction, scores):
    """A model whose weights were 0, 1, 2, ... at the scores, and what was kept."""
    module = model()
    best = BestWeights(module, direction)
    taken = []
    for number, score in enumerate(scores):
        fill(module, number)
        taken.append(best.update(score))
    return module, best, taken


@pytest.mark.parametrize(
    ("direction", "scores", "taken", "score"),
    [
        ("maximize", [0.1, 0.3, 0.2], [True, True, False], 0.3),
        ("minimize", [0.3, 0.1, 0.2], [True, True, False], 0.1),
        ("maximize", [0.5, 0.5], [True, False], 0.5),
        ("minimize", [0.5, 0.5], [True, False], 0.5),
        ("maximize", [math.nan, -7.0, math.nan], [False, True, False], -7.0),
        ("minimize", [math.nan, 7.0, math.nan], [False, True, False], 7.0),
        ("maximize", [0.5, math.inf], [True, False], 0.5),
        ("minimize", [0.5, -math.inf], [True, False], 0.5),
        ("maximize", [-1.0, 0.0], [True, True], 0.0),
    ],
)
def test_the_first_best_finite_score_is_kept(direction, scores, taken, score):
    module, best, got = scored(direction, scores)

    assert (got, best.score) == (taken, score)
    best.restore()
    kept = float(max(number for number, better in enumerate(taken) if better))
    assert all(torch.equal(parameter, torch.full_like(parameter, kept)) for parameter in module.parameters())


def test_buffers_are_kept_too():
    module = model()
    best = BestWeights(module, "maximize")
    module(torch.randn(4, 2))
    before = module[1].running_mean.clone()
    best.update(1)
    module(torch.randn(4, 2) + 5)

    best.restore()

    assert torch.equal(module[1].running_mean, before)


def test_a_score_may_be_a_tensor():
    _, best, _ = scored("maximize", [torch.tensor(0.25)])

    assert type(best.score) is float
    assert best.score == 0.25


def test_without_any_score_there_is_nothing_to_restore():
    with pytest.raises(ExperimentError, match=r"call update\(score\)") as caught:
        BestWeights(model(), "maximize").restore()

    assert not isinstance(caught.value, NoFiniteScoreError)


def test_without_a_finite_score_training_diverged():
    _, best, _ = scored("maximize", [math.nan, math.inf])

    with pytest.raises(NoFiniteScoreError, match="none of 2 scores"):
        best.restore()


def test_another_direction_is_refused():
    with pytest.raises(ValueError, match="'higher'"):
        BestWeights(model(), "higher")  # type: ignore[arg-type]


def test_what_is_kept_goes_through_a_checkpoint():
    _, best, _ = scored("maximize", [0.1, 0.3, 0.2])
    other = model()
    loaded = BestWeights(other, "maximize")

    loaded.load_state_dict(best.state_dict())

    assert loaded.score == 0.3
    assert not loaded.update(0.3)
    loaded.restore()
    assert torch.equal(other[0].weight, torch.ones(2, 2))


def test_what_is_loaded_is_a_copy():
    _, best, _ = scored("maximize", [0.1])
    state = best.state_dict()
    module = model()
    loaded = BestWeights(module, "maximize")
    loaded.load_state_dict(state)
    state["weights"]["0.weight"].fill_(9)

    loaded.restore()

    assert torch.equal(module[0].weight, torch.zeros(2, 2))


def test_nothing_kept_goes_through_a_checkpoint():
    loaded = BestWeights(model(), "maximize")
    loaded.load_state_dict(scored("maximize", [math.nan])[1].state_dict())

    with pytest.raises(NoFiniteScoreError):
        loaded.restore()


def test_what_was_kept_for_another_direction_or_model_is_refused():
    _, best, _ = scored("maximize", [0.1])

    with pytest.raises(ValueError, match="minimize"):
        BestWeights(model(), "minimize").load_state_dict(best.state_dict())
    with pytest.raises(ValueError, match=r"0\.weight"):
        BestWeights(model(3), "maximize").load_state_dict(best.state_dict())
    with pytest.raises(ValueError, match="bias"):
        BestWeights(torch.nn.Linear(2, 2), "maximize").load_state_dict(best.state_dict())
