"""Read at the start of each Python of the overlay, by its `1_inside.pth`: hooks for libraries, nothing else.

It costs milliseconds where no library is imported, and nothing where the variable ASSAY_TRIAL is `off`.
"""

from __future__ import annotations

import os

# Which modules of this package install themselves into which library, once that was imported, in this order.
HOOKS: dict[str, tuple[str, ...]] = {
    "torch": ("optimizers", "backward", "numbers", "cuda", "schedulers", "shims", "shrinking", "loading", "watched"),
    "transformers": ("models_made", "shrinking", "watched", "members"),
    "datasets": ("columns", "watched"),
    "hydra": ("hydra_config",),
    "omegaconf": ("hydra_config", "members"),
    "numpy": ("members",),
    "scipy.stats": ("members",),
    "optuna": ("search",),
    "wandb": ("wandb_standin", "untracked"),
    "torchvision": ("torchvision_data", "watched"),
    "timm": ("models_made", "watched"),
    "pynvml": ("nvml",),
    "requests": ("network",),
    "httpx": ("network",),
    "urllib3": ("network",),
    "nltk": ("downloads",),
    "spacy": ("downloads",),
    "torch.hub": ("downloads",),
    "sklearn.datasets": ("downloads",),
    "matplotlib.figure": ("files",),
    "peft": ("models_made", "watched", "adapters"),
    "diffusers": ("models_made", "watched"),
    "sentence_transformers": ("models_made", "watched"),
    "evaluate": ("watched",),
}
# Libraries whose version is told when they are imported.
VERSIONS = (
    "torch",
    "transformers",
    "datasets",
    "peft",
    "wandb",
    "optuna",
    "hydra",
    "torchvision",
    "timm",
    "evaluate",
    "accelerate",
    "lightning",
    "diffusers",
    "sentence_transformers",
    "bitsandbytes",
)


def start() -> None:
    """Register all hooks in this process."""
    from . import events, imports, settings, stops

    if not settings.values():
        return
    import sys

    events.emit(
        "process",
        argv=list(getattr(sys, "orig_argv", sys.argv)),
        parent=os.getppid(),
        python=sys.executable,
    )
    stops.install()
    for library, owners in HOOKS.items():
        for owner in owners:
            if _present(owner):
                imports.when_imported(library, imports.installing(owner))
    for shim in settings.get("shims") or ():
        kind, _, rest = str(shim).partition(":")
        if kind == "member":
            imports.when_imported(rest.partition(":")[0], imports.installing("members"))
    for library in VERSIONS:
        imports.when_imported(library, _tell_version)
    from . import files

    files.watch()


def _present(owner: str) -> bool:
    folder = os.path.dirname(os.path.abspath(__file__))
    return os.path.exists(os.path.join(folder, owner + ".py"))


def _tell_version(module: object) -> None:
    from . import events

    name = str(getattr(module, "__name__", ""))
    events.emit("library", name=name, version=str(getattr(module, "__version__", "")))


def _start() -> None:
    if os.environ.get("ASSAY_TRIAL") == "off":
        return
    try:
        start()
    except Exception as error:
        try:
            from . import events

            events.failed("start", error)
        except Exception:
            # the submission runs, watched or not
            return


if __name__.startswith("assay_trial_inside"):
    _start()
