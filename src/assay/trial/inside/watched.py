"""Calls that get data and models: what they were asked for, and which exceptions passed through them.

An exception that passes through here and is followed by no stop was caught by the submission, which went on with
something else.
"""

from __future__ import annotations

import contextlib
import functools
import sys

from . import events, imports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# library -> module that defines, names: functions, or methods of classes
CALLS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "datasets": (
        (
            "datasets.load",
            ("load_dataset", "load_dataset_builder", "load_from_disk", "load_metric"),
        ),
        ("datasets.inspect", ("get_dataset_config_names", "get_dataset_split_names")),
    ),
    "evaluate": (("evaluate.loading", ("load",)),),
    "transformers": (
        ("transformers.modeling_utils", ("PreTrainedModel.from_pretrained",)),
        ("transformers.models.auto.auto_factory", ("_BaseAutoModelClass.from_pretrained",)),
        ("transformers.models.auto.configuration_auto", ("AutoConfig.from_pretrained",)),
        ("transformers.models.auto.tokenization_auto", ("AutoTokenizer.from_pretrained",)),
        ("transformers.models.auto.processing_auto", ("AutoProcessor.from_pretrained",)),
        ("transformers.models.auto.image_processing_auto", ("AutoImageProcessor.from_pretrained",)),
        ("transformers.models.auto.feature_extraction_auto", ("AutoFeatureExtractor.from_pretrained",)),
        ("transformers.configuration_utils", ("PretrainedConfig.from_pretrained", "PreTrainedConfig.from_pretrained")),
        ("transformers.tokenization_utils_base", ("PreTrainedTokenizerBase.from_pretrained",)),
        ("transformers.pipelines", ("pipeline",)),
    ),
    "torch": (("torch.serialization", ("load",)), ("torch.hub", ("load", "load_state_dict_from_url"))),
    "torchvision": (("torchvision.datasets.vision", ("VisionDataset.__init__",)),),
    "timm": (("timm.models._factory", ("create_model",)), ("timm.models.factory", ("create_model",))),
    "peft": (
        ("peft.mapping", ("get_peft_model",)),
        ("peft.mapping_func", ("get_peft_model",)),
        ("peft.peft_model", ("PeftModel.from_pretrained",)),
    ),
    "diffusers": (("diffusers.pipelines.pipeline_utils", ("DiffusionPipeline.from_pretrained",)),),
    "sentence_transformers": (("sentence_transformers.SentenceTransformer", ("SentenceTransformer.__init__",)),),
}

_installed: set[str] = set()
# exceptions that were told, so that the outer of two watched calls is silent
_MARK = "_assay_told"
_depth = 0


def install(module: ModuleType) -> None:
    """Watch the calls of a library, and its public names for them."""
    library = module.__name__
    if library in _installed:
        return
    _installed.add(library)
    for home, names in CALLS.get(library, ()):
        imports.when_imported(home, functools.partial(_watch, library, names))


def _watch(library: str, names: tuple[str, ...], home: ModuleType) -> None:
    for name in names:
        owner, _, method = name.rpartition(".")
        if owner:
            _watch_method(library, getattr(home, owner, None), owner, method)
        elif callable(getattr(home, name, None)):
            plain = getattr(home, name)
            watched = _watched(f"{library}.{name}", plain)
            # `from .load import load_dataset` has bound it elsewhere in the library already
            for other in list(sys.modules.values()):
                where = getattr(other, "__name__", "") or ""
                if (where + ".").startswith(library + ".") and _dict(other).get(name) is plain:
                    setattr(other, name, watched)


def _dict(module: Any) -> dict[str, Any]:
    try:
        return dict(vars(module))
    except TypeError:
        return {}


def _watch_method(library: str, owner: Any, name: str, method: str) -> None:
    if not isinstance(owner, type) or method not in vars(owner):
        return
    plain = vars(owner)[method]
    call = f"{library}.{name}" if method == "__init__" else f"{library}.{name}.{method}"
    if isinstance(plain, classmethod):
        setattr(owner, method, classmethod(_watched(call, plain.__func__)))
    elif isinstance(plain, staticmethod):
        setattr(owner, method, staticmethod(_watched(call, plain.__func__)))
    elif callable(plain):
        setattr(owner, method, _watched(call, plain))


def _watched(call: str, plain: Any) -> Any:
    of_data = call in ("datasets.load_dataset", "datasets.load_from_disk")

    @functools.wraps(plain)
    def watched(*args: Any, **keywords: Any) -> Any:
        global _depth
        outermost = _depth == 0
        _depth += 1
        try:
            found = plain(*args, **keywords)
        except Exception as error:
            if outermost or of_data:
                _raised(call, args, keywords, error)
            raise
        finally:
            _depth -= 1
        if of_data:
            _dataset(call, args, keywords, found)
        return found

    return watched


@events.guarded
def _raised(call: str, args: tuple[Any, ...], keywords: dict[str, Any], error: BaseException) -> None:
    if getattr(error, _MARK, False):
        return
    with contextlib.suppress(AttributeError, TypeError):
        setattr(error, _MARK, True)
    name = type(error).__qualname__
    if type(error).__module__ != "builtins":
        name = f"{type(error).__module__}.{name}"
    asked = [_short(value) for value in args] + [f"{key}={_short(value)}" for key, value in keywords.items()]
    own, _ = events.frames_of(error.__traceback__)
    above = events.own_frames(sys._getframe(2))
    events.emit("raised", call=call, type=name, message=str(error)[:1500], frames=[*above, *own], asked=asked[:12])


def _short(value: Any) -> str:
    return (
        repr(value)[:120]
        if isinstance(value, (str, int, float, bool, list, tuple, dict, type(None)))
        else type(value).__name__
    )


@events.guarded
def _dataset(call: str, args: tuple[Any, ...], keywords: dict[str, Any], found: Any) -> None:
    given = dict(zip(("name", "config"), args))  # noqa: B905, as Python 3.9 knows no strict
    if "path" in keywords:
        given["name"] = keywords["path"]
    if "name" in keywords:
        given["config"] = keywords["name"]
    splits = found if isinstance(found, dict) else {str(getattr(found, "split", "") or ""): found}
    rows, columns = {}, {}
    for split, part in splits.items():
        # a stream has no length
        rows[str(split)] = len(part) if hasattr(part, "__len__") else None
        columns[str(split)] = list(getattr(part, "column_names", None) or ())
    events.emit(
        "dataset",
        call=call,
        name=str(given.get("name", "")),
        config=given.get("config"),
        split=keywords.get("split"),
        rows=rows,
        columns=columns,
        streaming=bool(keywords.get("streaming")),
        frames=events.own_frames(sys._getframe(2)),
    )
    from . import columns as columns_module

    columns_module.loaded(str(given.get("name", "")), found, events.own_frames(sys._getframe(2)))
