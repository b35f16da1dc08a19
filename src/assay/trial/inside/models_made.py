"""Models: those that a library makes by a name, and the submission's own classes."""

from __future__ import annotations

import atexit
import functools
import inspect
import sys
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import cuda, events, imports

# Models of one kind and name that are told: a search builds the same one again and again.
TOLD = 3
# Own modules that are remembered until the next look, at most.
PENDING = 300

_counts: dict[tuple[str, str], int] = {}
_places: dict[type, list[Any] | None] = {}
_pending: list[tuple[Any, list[list[Any]]]] = []
_deep = 0


def install(module: ModuleType) -> None:
    """Watch how a library makes models: transformers, timm, peft, diffusers, sentence_transformers."""
    library = module.__name__.partition(".")[0]
    if library == "transformers":
        imports.when_imported("transformers.modeling_utils", _watch_transformers)
        imports.when_imported("transformers.models.auto.auto_factory", _watch_auto)
    elif library == "timm":
        _watch_function(module, "create_model", "timm.create_model")
        imports.when_imported(
            "timm.models", lambda models: _watch_function(models, "create_model", "timm.create_model")
        )
    elif library == "peft":
        _watch_peft(module)
    elif library == "diffusers":
        imports.when_imported("diffusers.models.modeling_utils", _watch_diffusers)
    elif library == "sentence_transformers":
        _watch_sentences(module)


def watch_modules(torch: ModuleType) -> None:
    """Watch which modules of the submission's own classes are built."""
    cls: Any = torch.nn.Module
    real = cls.__init__

    @functools.wraps(real)
    def building(self: Any, *args: Any, **keywords: Any) -> None:
        kind = type(self)
        if (_places[kind] if kind in _places else _place(kind)) is not None:
            _remember(self)
        real(self, *args, **keywords)

    cls.__init__ = building
    atexit.register(look)


@events.guarded
def _place(cls: type) -> list[Any] | None:
    """File and line where a class of the submission stands; None for a class of somebody else."""
    _places[cls] = None
    path = getattr(sys.modules.get(cls.__module__), "__file__", None)
    own = events.own_file(path) if path else None
    if own is not None:
        try:
            line = inspect.findsource(cls)[1] + 1
        except (OSError, TypeError, IndexError):
            line = 1
        _places[cls] = [own, line]
    return _places[cls]


@events.guarded
def _remember(module: Any) -> None:
    if len(_pending) < PENDING:
        _pending.append((weakref.ref(module), events.own_frames()))


@events.guarded
def look() -> None:
    """Tell of the outermost own modules that were built since the last look; by now they have their parameters."""
    waiting = [(reference(), frames) for reference, frames in _pending]
    _pending.clear()
    modules = [(module, frames) for module, frames in waiting if module is not None]
    inner: set[int] = set()
    for module, _ in modules:
        # a module whose own __init__ failed has nothing to ask for
        if "_modules" in module.__dict__:
            inner.update(id(child) for child in list(module.modules())[1:])
    for module, frames in modules:
        if id(module) not in inner and "_modules" in module.__dict__:
            _tell(module, "own", type(module).__name__, frames=frames)


@events.guarded
def _tell(model: Any, call: str, name: str, frames: list[list[Any]] | None = None) -> None:
    key = (call, name)
    _counts[key] = _counts.get(key, 0) + 1
    if _counts[key] > TOLD or not hasattr(model, "parameters"):
        return
    parameters = list(model.parameters())
    cls = type(model)
    events.emit(
        "model",
        call=call,
        name=name,
        cls=f"{cls.__module__}.{cls.__qualname__}",
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        own=_places[cls] if cls in _places else _place(cls),
        dtype=str(parameters[0].dtype) if parameters else None,
        # how small a stand-in is, the hub tells; the configuration says what it was told
        shrunk=None,
        config=_facts(getattr(model, "config", None)),
        frames=events.own_frames() if frames is None else frames,
    )


def _facts(config: Any) -> dict[str, Any]:
    """What a model's configuration says of the sizes that memory and defects depend on."""
    names = (
        "model_type",
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_labels",
        "pad_token_id",
        "name_or_path",
    )
    return {name: value for name in names if (value := getattr(config, name, None)) is not None}


def _name(value: Any) -> str:
    return value if isinstance(value, str) else str(getattr(value, "name_or_path", "") or type(value).__name__)


def _outermost(real: Callable[..., Any], call: str, args: Any, keywords: Any, name: str) -> Any:
    """Call a maker of models, and tell what it made unless another maker called it."""
    global _deep
    _deep += 1
    try:
        model = real(*args, **keywords)
    finally:
        _deep -= 1
    if not _deep:
        _tell(model[0] if isinstance(model, tuple) else model, call, name)
    return model


def _watch_function(module: Any, function: str, call: str) -> None:
    real = getattr(module, function, None)
    if real is None or getattr(real, "watched_by_trial", False):
        return

    @functools.wraps(real)
    def made(*args: Any, **keywords: Any) -> Any:
        first = args[0] if args else keywords.get("model_name") or keywords.get("model")
        return _outermost(real, call, args, keywords, _name(first))

    made.watched_by_trial = True  # type: ignore[attr-defined]
    setattr(module, function, made)


def _watch_classmethod(cls: Any, method: str, call: str, maps: bool = False) -> None:
    if method not in vars(cls):
        return
    real = vars(cls)[method].__func__

    @functools.wraps(real)
    def made(kind: Any, *args: Any, **keywords: Any) -> Any:
        if maps:
            cuda.mapped_device_map(keywords)
        first = args[0] if args else keywords.get("pretrained_model_name_or_path", keywords.get("config"))
        return _outermost(real, f"{kind.__name__}.{call}", (kind, *args), keywords, _name(first))

    setattr(cls, method, classmethod(made))


def _watch_transformers(module: ModuleType) -> None:
    _watch_classmethod(module.PreTrainedModel, "from_pretrained", "from_pretrained", maps=True)


def _watch_auto(module: ModuleType) -> None:
    _watch_classmethod(module._BaseAutoModelClass, "from_pretrained", "from_pretrained", maps=True)
    _watch_classmethod(module._BaseAutoModelClass, "from_config", "from_config")


def _watch_diffusers(module: ModuleType) -> None:
    _watch_classmethod(module.ModelMixin, "from_pretrained", "from_pretrained", maps=True)


def _watch_peft(module: ModuleType) -> None:
    _watch_function(module, "get_peft_model", "peft.get_peft_model")
    imports.when_imported("peft.mapping", lambda inner: _watch_function(inner, "get_peft_model", "peft.get_peft_model"))
    cls = module.PeftModel
    real = vars(cls)["from_pretrained"].__func__

    @functools.wraps(real)
    def from_pretrained(kind: Any, model: Any, *args: Any, **keywords: Any) -> Any:
        name = args[0] if args else keywords.get("model_id")
        return _outermost(real, f"{kind.__name__}.from_pretrained", (kind, model, *args), keywords, _name(name))

    cls.from_pretrained = classmethod(from_pretrained)


def _watch_sentences(module: ModuleType) -> None:
    cls = module.SentenceTransformer
    real = cls.__init__

    @functools.wraps(real)
    def building(self: Any, *args: Any, **keywords: Any) -> None:
        global _deep
        _deep += 1
        try:
            real(self, *args, **keywords)
        finally:
            _deep -= 1
        if not _deep:
            _tell(self, "SentenceTransformer", _name(args[0] if args else keywords.get("model_name_or_path", "")))

    cls.__init__ = building
