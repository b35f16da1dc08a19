"""One W&B run, from `wandb.init` to `finish`, that never ends or holds up the training that it reports on.

`track.jsonl` holds everything; W&B gets a copy. So an outage is said in one line, and the run goes on.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import json_ready

# "local": track.jsonl only
WandbMode = Literal["online", "offline", "local"]

# W&B's own words for its modes, older ones included
_MODES: dict[str, WandbMode] = {
    "online": "online",
    "run": "online",
    "shared": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "local",
}
# Key in the W&B configuration that says which keys were registered, and key in the W&B summary that says how many rows
# were tracked: a reader can tell a run that W&B has in full from one that it has in part.
REGISTERED_KEY = "_assay"
ROWS_KEY = "_assay_rows"


def quiet_wandb() -> Any:
    """The module `wandb`, told to keep what is no warning to itself.

    Warnings and errors stay: that some data could not be uploaded is told in no other way. W&B takes these settings at
    its first use in a process, so everything here comes to W&B through this function.
    """
    wandb = importlib.import_module("wandb")
    wandb.setup(_settings(quiet=True, show_info=False))
    return wandb


def has_stored_key() -> bool:
    """Whether W&B finds a key where `wandb login` puts one; not where W&B is not installed."""
    try:
        from wandb.sdk.lib import wbauth
    except ImportError:
        return False
    try:
        return wbauth.read_netrc_auth(host=quiet_wandb().setup().settings.base_url) is not None
    except Exception:
        # a key in a wrong form, or a W&B that does not start: starting the run will say so
        return True


def has_key(environment: Mapping[str, str], stored_key: Callable[[], bool] = has_stored_key) -> bool:
    """Whether W&B has a key to work with.

    Args:
        environment: Variables.
        stored_key: Says whether `wandb login` left a key; asked only where the environment has none.
    """
    return bool(environment.get("WANDB_API_KEY") or environment.get("WANDB_IDENTITY_TOKEN_FILE")) or stored_key()


def wandb_mode(
    section: Mapping[str, Any],
    environment: Mapping[str, str],
    stored_key: Callable[[], bool] = has_stored_key,
) -> tuple[WandbMode, str]:
    """Decides how W&B takes part in a run.

    Args:
        section: `wandb` of the configuration: entity, project and, where it has one, mode.
        environment: Variables. `WANDB_MODE` beats `mode` of the section.
        stored_key: As in `has_key`.

    Returns:
        The mode, and why it is not `online` (empty where it is).

    Raises:
        ExperimentError: The mode that was asked for does not exist, or no project is named.
    """
    if not section:
        return "local", "the configuration has no section wandb"
    asked = environment.get("WANDB_MODE") or section.get("mode") or "online"
    source = "WANDB_MODE" if environment.get("WANDB_MODE") else "wandb.mode"
    if asked not in _MODES:
        raise ExperimentError(f"{source}={asked}: no mode of W&B; use online, offline or disabled", status=2)
    mode = _MODES[asked]
    if mode != "local" and not section.get("project"):
        raise ExperimentError("wandb.project is missing in the configuration: name the W&B project", status=2)
    if mode != "online":
        return mode, f"{source}={asked}"
    if has_key(environment, stored_key):
        return "online", ""
    return "offline", "no W&B key: set WANDB_API_KEY or run `wandb login`"


class WandbSession:
    """A W&B run whose id is the run id. What goes wrong with W&B is said once and does not end the run.

    Attributes:
        mode: How the run is tracked in the end.
        url: Address of the W&B run where it is tracked online.
        entity: Whose project it is in; None where that is the default of a key not used yet.

    Args:
        run_id: Id and name of the W&B run.
        folder: W&B keeps its files in `wandb/` below it.
        section: Entity (None is the default of the key) and project.
        config: What JSON can hold.
        series: Registered for rows.
        summary: Registered for the summary.
        resumed: Whether this folder holds earlier attempts of the run.
        mode: How to start; `online` becomes `offline` where W&B cannot be reached, and `local` where it cannot run.
        init_seconds: Time that W&B has to start.
        finish_seconds: Time that W&B has for what is not uploaded when the run ends.
        say: Takes one line for a person.
    """

    def __init__(
        self,
        run_id: str,
        folder: Path,
        section: Mapping[str, Any],
        config: Mapping[str, Any],
        *,
        series: Sequence[str],
        summary: Sequence[str],
        resumed: bool,
        mode: WandbMode,
        init_seconds: float,
        finish_seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self.mode: WandbMode = mode
        self.url: str | None = None
        self.entity: str | None = section.get("entity")
        self._say = say
        self._finish_seconds = finish_seconds
        self._next_step = 0
        self._folder = folder / "wandb"
        self._run: Any = None
        self._sending = False
        if mode == "local":
            return
        registered = {"series": list(series), "summary": list(summary)}
        call: dict[str, Any] = {
            "id": run_id,
            "name": run_id,
            "resume": "allow",
            "reinit": "finish_previous",
            "entity": section.get("entity"),
            "project": section.get("project"),
            "config": {**config, REGISTERED_KEY: registered},
            "allow_val_change": True,
            "dir": os.fspath(folder),
        }
        self._start(call, init_seconds)
        if not resumed:
            self._leave_foreign_run(call, init_seconds)
        if self._sending:
            self._take_over(sorted(set(series) & set(summary)))

    def told(self, reason: str) -> str:
        """One line that says where the run is tracked.

        Args:
            reason: Why it is not tracked online, where that was decided beforehand.
        """
        because = f" ({reason})" if reason else ""
        if self.mode == "online":
            return f"tracking at {self.url}"
        if self.mode == "offline":
            return f"tracking offline{because}: {self._how_to_upload()}"
        return f"tracking in track.jsonl only, without W&B{because}"

    def lacks(self, step: int) -> range:
        """Steps before `step` that W&B has not: an attempt that was killed, or was offline, kept them from it."""
        return range(self._next_step, step) if self._sending else range(0)

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Sends one row. Steps that W&B has from an earlier attempt are not sent again: it would drop them."""
        if self._sending and step >= self._next_step:
            self._next_step = step + 1
            self._send("logging", lambda: self._run.log(dict(values), step=step, commit=True))

    def summarize(self, values: Mapping[str, Any]) -> None:
        """Sends values of the summary."""
        # W&B leaves out a not-a-number that is set in the summary; as a string it keeps it
        sent = {name: json_ready(value) for name, value in values.items()}
        if self._sending:
            self._send("writing the summary", lambda: self._run.summary.update(sent))

    def finish(self, *, rows: int, failed: bool) -> None:
        """Ends the W&B run, within `finish_seconds`."""
        if self._run is None:
            return
        self.summarize({ROWS_KEY: rows})
        try:
            self._run.finish(exit_code=int(failed))
        except TimeoutError:
            self._say(f"W&B did not take everything within {self._finish_seconds:g} seconds; {self._how_to_upload()}")
        except Exception as error:
            self._say(f"W&B: ending the run failed ({_reason(error)}); {self._how_to_upload()}")

    def _how_to_upload(self) -> str:
        option = "--include-online " if self.mode == "online" else ""
        return f"`wandb sync {option}{self._folder}` uploads it later"

    def _start(self, call: Mapping[str, Any], seconds: float) -> None:
        try:
            self._run = self._init(call, seconds)
        except Exception as error:
            if self.mode == "offline":
                self._say(f"W&B cannot be used ({_reason(error)}): tracked in track.jsonl only")
                self.mode = "local"
                return
            self._say(f"W&B cannot be reached ({_reason(error)}): tracking offline")
            self._start_offline(call, seconds)
        else:
            self._sending = True

    def _take_over(self, summed_up: Sequence[str]) -> None:
        self._folder = Path(self._run.dir).parent
        if self.mode == "online":
            self.url = str(self._run.url)
            self.entity = str(self._run.entity)
            self._next_step = self._run.starting_step
        # W&B would take the last row of a series for its summary; what a run sums up, it says itself
        for name in summed_up:
            self._send("registering a key", partial(self._run.define_metric, name, summary="none"))

    def _leave_foreign_run(self, call: Mapping[str, Any], seconds: float) -> None:
        """Goes offline where W&B has rows under this id that this folder does not know: it would drop new ones."""
        if self.mode != "online" or not self._run.starting_step:
            return
        self._say(
            f"{self._run.url} holds rows of an earlier run with this id, which this folder does not know: tracking "
            "offline; delete that run, or give this one another id"
        )
        self._send("leaving the earlier run", partial(self._run.finish, exit_code=0))
        self._start_offline(call, seconds)

    def _start_offline(self, call: Mapping[str, Any], seconds: float) -> None:
        self.mode = "offline"
        with contextlib.suppress(Exception):  # W&B's service keeps an id in use that failed to start
            quiet_wandb().teardown()
        self._start(call, seconds)

    def _init(self, call: Mapping[str, Any], seconds: float) -> Any:
        wandb = quiet_wandb()
        settings = _settings(
            console="off",
            init_timeout=seconds,
            finish_timeout=self._finish_seconds,
            finish_timeout_raises=True,
            use_dot_wandb=False,
        )
        return wandb.init(**call, mode=self.mode, settings=settings)

    def _send(self, what: str, call: Callable[[], Any]) -> None:
        """Calls W&B; where that fails in whatever way, says so and sends nothing more: training does not end for it."""
        try:
            call()
        except Exception as error:
            self._sending = False
            self._say(f"W&B: {what} failed ({_reason(error)}): from here on tracked in track.jsonl only")


def _settings(**wanted: Any) -> Any:
    """Settings of W&B, without those that the installed version does not know."""
    wandb = importlib.import_module("wandb")
    known = wandb.Settings.model_fields
    return wandb.Settings(**{name: value for name, value in wanted.items() if name in known})


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
