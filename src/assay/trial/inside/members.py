"""Shim "members": names that programs use of libraries which do not have them, with their evident meaning.

The stop itself is told before; this only lets a rehearsal see what comes after it.
"""

from __future__ import annotations

import copy
import importlib
from typing import Any

from . import events, settings

NAME = "members"


@events.guarded
def install(module: Any) -> None:
    """Give a library that was just imported the names that it lacks."""
    shims = settings.get("shims") or ()
    library = module.__name__
    if NAME in shims:
        for path, make in _MEMBERS.get(library, {}).items():
            owner_name, _, name = path.rpartition(".")
            owner = getattr(module, owner_name) if owner_name else module
            _give(owner, name, make, module, f"{library}.{path}")
    for shim in shims:
        kind, _, rest = str(shim).partition(":")
        there, _, name = rest.partition(":")
        if kind == "member" and there == library:
            _give(
                module, name, _MEMBERS.get(library, {}).get(name) or _absent(library, name), module, f"{library}.{name}"
            )


def _give(owner: Any, name: str, make: Any, module: Any, told: str) -> None:
    try:
        present = getattr(owner, name, None) is not None
    except Exception:
        # some modules raise of their own for names that were removed
        present = False
    if not present:
        setattr(owner, name, make(module))
        events.emit("applied", name=NAME, keys=[told])


def _absent(library: str, name: str) -> Any:
    """What stands for a name that nobody knows: it can be imported, and stops where it is used."""

    def make(module: Any) -> Any:
        def absent(*args: Any, **keywords: Any) -> Any:
            raise ImportError(f"cannot import name {name!r} from {library!r}")

        return absent

    return make


def _to_json(module: Any) -> Any:
    def to_json(configuration: Any, *args: Any, resolve: bool = True, **keywords: Any) -> str:
        import json

        container = module.OmegaConf.to_container(configuration, resolve=resolve)
        return json.dumps(container, indent=keywords.get("indent"))

    return staticmethod(to_json)


def _binom_test(module: Any) -> Any:
    def binom_test(x: Any, n: Any = None, p: float = 0.5, alternative: str = "two-sided") -> float:
        if n is None:
            x, n = x[0], x[0] + x[1]
        return float(module.binomtest(int(x), int(n), p, alternative).pvalue)

    return binom_test


def _of(library: str, name: str) -> Any:
    return lambda module: getattr(importlib.import_module(library), name)


# Library to its names: what makes them, from the library's module. Most were removed, by the notes of the releases that
# did so (numpy 1.24, scipy 1.12, datasets 3.0, transformers 5.0); OmegaConf never had these (omegaconf.readthedocs.io).
_MEMBERS: dict[str, dict[str, Any]] = {
    "omegaconf": {
        "OmegaConf.to_json": _to_json,
        "OmegaConf.deepcopy": lambda module: staticmethod(copy.deepcopy),
        "OmegaConf.copy": lambda module: staticmethod(copy.deepcopy),
    },
    "numpy": {
        "float": lambda module: float,
        "int": lambda module: int,
        "bool": lambda module: bool,
        "object": lambda module: object,
        "Inf": lambda module: module.inf,
        "NaN": lambda module: module.nan,
    },
    "scipy.stats": {"binom_test": _binom_test},
    "datasets": {"load_metric": _of("evaluate", "load")},
    "sklearn.metrics": {"ttest_ind": _of("scipy.stats", "ttest_ind"), "ttest_rel": _of("scipy.stats", "ttest_rel")},
    "transformers": {"AdamW": _of("torch.optim", "AdamW")},
}
