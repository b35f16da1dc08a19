"""Shim "lora-targets": adapters go to every linear layer, where the modules that were named cannot be adapted.

The stop itself is told before; this only lets a rehearsal see what comes after it.
"""

from __future__ import annotations

import functools
from typing import Any

from . import events, settings

NAME = "lora-targets"


@events.guarded
def install(module: Any) -> None:
    """Let `peft.get_peft_model` adapt what it can, where the rehearsal asks for it."""
    if not settings.shim(NAME):
        return
    real = module.get_peft_model

    @functools.wraps(real)
    def get_peft_model(model: Any, peft_config: Any, *args: Any, **keywords: Any) -> Any:
        if hasattr(peft_config, "target_modules"):
            events.emit("applied", name=NAME, keys=[str(peft_config.target_modules)])
            peft_config.target_modules = "all-linear"
        return real(model, peft_config, *args, **keywords)

    module.get_peft_model = get_peft_model
