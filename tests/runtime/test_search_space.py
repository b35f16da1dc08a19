"""A search space is checked as a whole before anything runs, and values reach the configuration and what follows it."""

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError

from assay.runtime.errors import ExperimentError
from assay.runtime.search_space import Parameter, read_space

CONFIG = """
run_id: proposed
mode: full
results_dir: out
seed: 3
dropout: 0.1
training: {learning_rate: 0.01, batch_size: 32, optimizer: adam, nesterov: false, warmup: null, decay: 0}
scheduler: {base: "${training.learning_rate}", gamma: 0.5, steps: [10, 20]}
small: {layers: 2}
model: ${small}
head: {width: 8, gamma: 1.0}
"""


def config(space, base=CONFIG):
    cfg = OmegaConf.create(base)
    cfg.optuna = {"n_trials": 3, "direction": "maximize", "seed": 0, "search_space": space}
    OmegaConf.set_struct(cfg, True)
    return cfg


def entry(text):
    return OmegaConf.create("e: " + text).e


LR = entry("{type: loguniform, low: 1e-4, high: 1e-1}")


def test_every_type_is_read():
    space = read_space(
        config(
            {
                "training.learning_rate": LR,
                "dropout": entry("{type: uniform, low: 0, high: 0.5, step: 0.1}"),
                "head.width": entry("{type: int, low: 1, high: 64, log: true}"),
                "training.batch_size": entry("{type: int, low: 8, high: 32, step: 8}"),
                "training.optimizer": entry("{type: categorical, choices: [adam, sgd, null]}"),
            }
        )
    )

    assert space.parameters == (
        Parameter("training.learning_rate", "float", 1e-4, 1e-1, None, True),
        Parameter("dropout", "float", 0, 0.5, 0.1, False),
        Parameter("head.width", "int", 1, 64, None, True),
        Parameter("training.batch_size", "int", 8, 32, 8, False),
        Parameter("training.optimizer", "categorical", choices=("adam", "sgd", None)),
    )


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("learning_rate", "training.learning_rate"),
        ("batch_size", "training.batch_size"),
        ("training.batch_size", "training.batch_size"),
        ("scheduler.steps.1", "scheduler.steps.1"),
        # the seed of the search is none of the run's keys
        ("seed", "seed"),
    ],
)
def test_a_name_is_a_path_or_the_end_of_exactly_one(name, key):
    assert [
        p.key
        for p in read_space(
            config({name: entry("{type: int, low: 1, high: 2}")} if key != "training.learning_rate" else {name: LR})
        ).parameters
    ] == [key]


FAULTS = [
    # the entry by itself
    ("dropout", "0.5", ["dropout", "0.5", "type:"]),
    ("dropout", "{low: 0, high: 1}", ["dropout", "no type", "uniform, loguniform, int, categorical"]),
    ("training", "{learning_rate: {type: uniform, low: 0.0, high: 1.0}}", ["no type", "training.learning_rate: {...}"]),
    ("dropout", "{type: unifrom, low: 0, high: 1}", ["'unifrom'", "did you mean uniform?"]),
    ("dropout", "{type: LogUniform, low: 0.1, high: 1}", ["did you mean loguniform?"]),
    ("dropout", "{type: zipf, low: 0.1, high: 1}", ["'zipf': There are uniform"]),
    ("dropout", "{type: [uniform], low: 0, high: 1}", ["unknown type ['uniform']"]),
    ("dropout", "{type: uniform, low: 0}", ["has no high"]),
    ("dropout", "{type: uniform}", ["has no high and no low"]),
    ("dropout", "{type: uniform, low: 0, high: 1, log: true}", ["has log", "high, low, step"]),
    ("dropout", "{type: uniform, low: 0, hihg: 1, high: 1}", ["has hihg"]),
    ("dropout", "{type: uniform, low: 0.5, high: 0.1}", ["begins at 0.5", "end 0.1"]),
    ("dropout", "{type: loguniform, low: 0.0, high: 1}", ["logarithmic", "begins at 0.0"]),
    ("head.width", "{type: int, low: 0, high: 8, log: true}", ["logarithmic", "begins at 0"]),
    ("head.width", "{type: int, low: 1, high: 9, step: 2, log: true}", ["logarithmic and has a step"]),
    ("head.width", "{type: int, low: 1, high: 8, log: 'yes'}", ["log: 'yes'"]),
    ("head.width", "{type: int, low: 1, high: 8, step: 0}", ["step 0"]),
    ("head.width", "{type: int, low: 1, high: 8, step: 2}", ["does not reach its end 8 from 1 in steps of 2"]),
    ("head.width", "{type: int, low: 1.5, high: 8}", ["whole numbers", "1.5 as its low"]),
    ("dropout", "{type: uniform, low: 0, high: '1e-1'}", ["the text '1e-1' as its high", "without quotes: 0.1"]),
    ("dropout", "{type: uniform, low: zero, high: 1}", ["the text 'zero' as its low"]),
    ("dropout", "{type: uniform, low: false, high: 1}", ["False as its low"]),
    ("dropout", "{type: uniform, low: 0, high: .inf}", ["inf as its high"]),
    ("dropout", "{type: uniform, low: .nan, high: 1}", ["nan as its low"]),
    ("dropout", "{type: categorical, choices: []}", ["no choices"]),
    ("dropout", "{type: categorical, choices: 0.1}", ["no choices"]),
    ("dropout", "{type: categorical, choices: [0.1, 0.1]}", ["the choice 0.1 twice"]),
    ("dropout", "{type: categorical, choices: [0.1, .nan]}", ["nan"]),
    ("dropout", "{type: categorical, choices: [[1, 2]]}", ["the choice [1, 2]"]),
    # the name
    ("droput", "{type: uniform, low: 0, high: 1}", ["droput is no key", "did you mean dropout?"]),
    ("training.learningrate", "{type: uniform, low: 0, high: 1}", ["did you mean training.learning_rate"]),
    ("zzz", "{type: uniform, low: 0, high: 1}", ["zzz is no key of the configuration"]),
    ("gamma", "{type: uniform, low: 0, high: 1}", ["scheduler.gamma or head.gamma"]),
    ("training", "{type: uniform, low: 0, high: 1}", ["training is a section"]),
    ("scheduler.steps", "{type: categorical, choices: [1]}", ["scheduler.steps is a section"]),
    ("optuna.seed", "{type: int, low: 0, high: 1}", ["optuna.seed belongs to"]),
    ("mode", "{type: categorical, choices: [full]}", ["mode belongs to"]),
    ("run_id", "{type: categorical, choices: [a]}", ["run_id belongs to"]),
    ("n_trials", "{type: int, low: 0, high: 1}", ["n_trials is no key"]),
    (
        "scheduler.base",
        "{type: uniform, low: 0, high: 1}",
        ["cut a link", "${training.learning_rate}", "(training.learning_rate)"],
    ),
    ("base", "{type: uniform, low: 0, high: 1}", ["cut a link", "(training.learning_rate)"]),
    ("model.layers", "{type: int, low: 1, high: 4}", ["model is ${small}", "(small.layers)"]),
    # what the key is now
    ("dropout", "{type: categorical, choices: [0.1, a]}", ["the choice 'a'", "dropout is 0.1, a number"]),
    ("training.optimizer", "{type: uniform, low: 0, high: 1}", ["range of numbers", "'adam', text"]),
    ("training.nesterov", "{type: int, low: 0, high: 1}", ["False, true or false"]),
    ("dropout", "{type: categorical, choices: [true, false]}", ["the choice True", "a number"]),
    ("training.batch_size", "{type: uniform, low: 1, high: 64}", ["fractions", "whole number 32", "32.0"]),
    ("training.decay", "{type: categorical, choices: [0, 0.1]}", ["fractions", "whole number 0"]),
]


@pytest.mark.parametrize(("name", "text", "words"), FAULTS, ids=[f"{name} {text}" for name, text, _ in FAULTS])
def test_what_cannot_be_searched_is_said_in_a_line(name, text, words):
    with pytest.raises(ExperimentError) as caught:
        read_space(config({name: entry(text)}))

    assert caught.value.status == 2
    for word in ["optuna.search_space", *words]:
        assert word in str(caught.value)


def test_one_key_under_two_names_is_a_fault():
    with pytest.raises(ExperimentError, match=r"training\.learning_rate twice, as learning_rate and as training"):
        read_space(config({"learning_rate": LR, "training.learning_rate": LR}))


@pytest.mark.parametrize("space", [{}, None])
def test_an_empty_space_is_a_fault(space):
    with pytest.raises(ExperimentError, match="search_space is empty"):
        read_space(config(space))


def test_so_are_none_and_one_that_is_no_mapping():
    cfg = config({})
    OmegaConf.set_struct(cfg, False)
    del cfg.optuna.search_space
    OmegaConf.set_struct(cfg, True)
    with pytest.raises(ExperimentError, match="search_space is empty"):
        read_space(cfg)
    for space in (["dropout"], "dropout"):
        with pytest.raises(ExperimentError, match="is not a mapping"):
            read_space(config(space))


def test_a_bound_may_be_an_interpolation():
    [parameter] = read_space(
        config({"dropout": entry("{type: uniform, low: 0.0, high: '${scheduler.gamma}'}")}, CONFIG)
    ).parameters

    assert parameter.high == 0.5


def test_a_bound_that_resolves_to_nothing_is_a_fault():
    with pytest.raises(ExperimentError, match="cannot be resolved"):
        read_space(config({"dropout": {"type": "uniform", "low": 0, "high": "${nowhere}"}}))


@pytest.mark.parametrize("text", ["{type: uniform, low: 0.0, high: 1.0}", "{type: categorical, choices: [a, 1]}"])
def test_a_key_that_is_null_takes_any_kind(text):
    assert read_space(config({"training.warmup": entry(text)})).parameters[0].key == "training.warmup"


def test_a_key_that_is_to_be_given_takes_any_kind():
    cfg = config({"width": entry("{type: int, low: 1, high: 4}")}, CONFIG.replace("width: 8", "width: '???'"))

    assert read_space(cfg).apply(cfg, {"head.width": 3}).head.width == 3


def test_a_path_wins_over_the_end_of_another():
    cfg = config({"dropout": entry("{type: uniform, low: 0.0, high: 1.0}")}, CONFIG + "\nother: {dropout: 0.2}")

    assert read_space(cfg).parameters[0].key == "dropout"


def test_values_reach_a_copy_and_what_is_linked_to_them():
    cfg = config({"training.learning_rate": LR, "scheduler.steps.1": entry("{type: int, low: 1, high: 9}")})
    space = read_space(cfg)
    OmegaConf.set_struct(cfg, False)
    before = OmegaConf.to_yaml(cfg)

    candidate = space.apply(cfg, {"training.learning_rate": 0.5, "scheduler.steps.1": 7})

    assert (candidate.training.learning_rate, candidate.scheduler.base) == (0.5, 0.5)
    assert candidate.scheduler.steps == [10, 7]
    assert OmegaConf.to_yaml(cfg) == before
    with pytest.raises(ConfigAttributeError):
        candidate.training.learning_rat = 1


def test_a_read_only_configuration_can_be_searched_and_stays_read_only():
    cfg = config({"dropout": entry("{type: uniform, low: 0.0, high: 1.0}")})
    OmegaConf.set_readonly(cfg, True)

    candidate = read_space(cfg).apply(cfg, {"dropout": 0.4})

    assert candidate.dropout == 0.4
    assert OmegaConf.is_readonly(candidate)


@pytest.mark.parametrize("values", [{}, {"dropout": 0.1, "seed": 1}, {"seed": 1}])
def test_values_of_other_keys_are_refused(values):
    cfg = config({"dropout": entry("{type: uniform, low: 0.0, high: 1.0}")})

    with pytest.raises(ValueError, match="search space has"):
        read_space(cfg).apply(cfg, values)
