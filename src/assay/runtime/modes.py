"""What `mode=trial` and `mode=full` change in a configuration. Applied once, before the experiment sees it."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

MODES = ("trial", "full")
# A loop over batches takes this many of them in a trial: one shows that a step works, a second that it can be repeated.
TRIAL_BATCHES = 2

# What libraries and papers call these settings. A trial sets them where they stand in the section `training`.
EPOCHS = frozenset({"epochs", "num_epochs", "n_epochs", "max_epochs", "num_train_epochs"})
STEPS = frozenset({"max_steps", "num_steps", "max_train_steps", "num_train_steps", "total_steps"})
ACCUMULATION = frozenset(
    {
        "accumulation",
        "accumulation_steps",
        "accumulate_grad_batches",
        "grad_accumulation",
        "grad_accumulation_steps",
        "gradient_accumulation",
        "gradient_accumulation_steps",
    }
)
SEEDS = "seeds"


def apply_mode(cfg: DictConfig) -> None:
    """Change a composed configuration, in place, into that of its mode.

    `trial`: W&B is disabled, nothing is searched, and in the section `training` there is one epoch, no accumulation of
    gradients (so that two batches reach an optimizer step), at most two steps, and one seed. `full`: W&B is online,
    unless the configuration says offline.

    Args:
        cfg: Holds `mode`, which is `trial` or `full`. A value that is an interpolation follows what it names.
    """
    trial = cfg.mode == "trial"
    with open_dict(cfg):
        if cfg.get("wandb") is None:
            cfg.wandb = {}
        if trial:
            cfg.wandb.mode = "disabled"
        elif cfg.wandb.get("mode") != "offline":
            cfg.wandb.mode = "online"
    if not trial:
        return
    optuna = cfg.get("optuna")
    if isinstance(optuna, DictConfig) and "n_trials" in optuna:
        optuna.n_trials = 0
    training = cfg.get("training")
    if isinstance(training, DictConfig):
        for section, name in list(_settings(training)):
            _make_small(section, name)


def _settings(section: DictConfig) -> Iterator[tuple[DictConfig, str]]:
    for name in map(str, section):
        if OmegaConf.is_missing(section, name) or OmegaConf.is_interpolation(section, name):
            continue
        value = section[name]
        if isinstance(value, DictConfig):
            yield from _settings(value)
        else:
            yield section, name


def _make_small(section: DictConfig, name: str) -> None:
    value = section[name]
    if name == SEEDS and isinstance(value, ListConfig):
        section[name] = list(value)[:1]
    elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
        if name in EPOCHS or name in ACCUMULATION:
            section[name] = 1
        elif name in STEPS:
            section[name] = min(value, TRIAL_BATCHES)
