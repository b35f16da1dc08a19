"""Causes that W&B, Optuna and plotting libraries report."""

from __future__ import annotations

from assay.trial.causes.known import Known, known

CAUSES: tuple[Known, ...] = (
    known(
        "logged-without-a-run",
        "Error UsageError",
        r"You must call `?wandb\.init\(\)`? before `?wandb\.(?P<name>\w+)",
        "`wandb.{name}` is called where no run was started",
        "Guard it by the mode, or by `if wandb.run is not None`.",
        action="shim:untracked-log",
        area="tracking",
    ),
    known(
        "no-run-to-ask",
        "AttributeError",
        r"'NoneType' object has no attribute '(?P<name>summary|log|config|id|url|finish|name|get_url)'",
        "`{name}` of a W&B run is asked for where there is none",
        "Guard it by the mode, or by `if wandb.run is not None`.",
        area="tracking",
    ),
    known(
        "run-not-tracked",
        "CommError ValueError",
        r"(?:Could not find run|run (?P<run>\S+) (?:was )?not found)",
        "the evaluation asks W&B for a run that nothing was tracked of",
        "Track each run under its run id, in the project that the evaluation reads.",
        area="tracking",
    ),
    known(
        "tracking-without-key",
        "UsageError AuthenticationError CommError",
        r"(?:api_key not configured|No API key configured|not logged in)",
        "W&B is used without a key",
        "Set the mode before W&B is used.",
        doubt="a key may be there where it runs",
        area="tracking",
    ),
    known(
        "no-trial-completed",
        "ValueError",
        r"(?:No trials are completed yet|Record does not exist)",
        "the search's best values are asked for although no trial came to its end",
        "Let errors of a trial be seen: do not turn them into pruned trials.",
        area="training",
        inside=r"\boptuna\b",
    ),
    known(
        "space-of-a-search",
        "ValueError TypeError",
        r"(?:The `?low`? value must be|`low` value|CategoricalDistribution|The value of `log`)",
        "a searched range is not one: its lower end is not below its upper one, or not above zero on a log scale",
        "Mend the range in the run's configuration.",
        area="configuration",
        inside=r"\boptuna\b",
    ),
    known(
        "no-figure-backend",
        "TclError ImportError",
        r"(?:no display name|Cannot load backend '(?P<name>\w+)')",
        "figures are drawn on a screen",
        "Use the backend `Agg`.",
        area="evaluation",
    ),
)
