"""Shim "untracked-log": what is logged where no W&B run was started is dropped; the stop itself is told before."""

from __future__ import annotations

import functools
from typing import Any

from . import events, settings

NAME = "untracked-log"


@events.guarded
def install(module: Any) -> None:
    """Let `wandb.log` pass without a run, where the rehearsal asks for it."""
    if not settings.shim(NAME):
        return
    refusing = module.log

    @functools.wraps(refusing)
    def log(*args: Any, **keywords: Any) -> Any:
        try:
            return refusing(*args, **keywords)
        except Exception as error:
            if module.run is not None or "wandb.init" not in str(error):
                raise
            kind = type(error)
            events.emit(
                "shim",
                name=NAME,
                type=f"{kind.__module__}.{kind.__qualname__}",
                message=str(error),
                frames=events.own_frames(),
                library_frames=events.library_frames(),
            )
            return None

    module.log = log
