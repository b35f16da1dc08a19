"""Makes the weights of a stand-in: a child of the hub, in the submission's own environment.

It reads one request a line (JSON) from standard input and answers one line each. It runs by its path under `python -I`,
so it imports nothing from beside it: the names there (`tokenizers`, `datasets`) are those of libraries.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any


def main() -> int:
    """Answer requests until standard input ends."""
    _limit_memory()
    # what libraries print must not stand between the answers
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = _MAKERS[request["kind"]](request) if request["kind"] in _MAKERS else {"error": "unknown kind"}
        except BaseException as error:  # whatever a library raises is an answer
            if isinstance(error, KeyboardInterrupt):
                raise
            answer = {"error": f"{type(error).__name__}: {str(error)[:2000]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


# Bytes that this process writes to memory, at most: it lies in the same sandbox as the program that is rehearsed. What
# does not fit fails with an error of its own, which is an answer like any other.
_MEMORY = 5 * 2**29
# parameters: saving takes a copy of them
_MOST = 270_000_000


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


# Importing models of transformers brings these along where they are installed; none is needed to make one, and they
# cost as much time as all the rest. A name that stands for None cannot be imported, and counts as not installed.
_NOT_NEEDED = [
    "sklearn",
    "scipy",
    "pandas",
    "matplotlib",
    "torchvision",
    "accelerate",
    "peft",
    "datasets",
    "bitsandbytes",
    "tensorflow",
    "jax",
    "flax",
    "librosa",
    "soundfile",
    "PIL",
    "cv2",
    "deepspeed",
    "flash_attn",
    "wandb",
    "optuna",
    "evaluate",
    "IPython",
]


def _import_little() -> None:
    for name in _NOT_NEEDED:
        if name not in sys.modules:
            sys.modules[name] = None  # type: ignore[assignment]


def _import_all() -> None:
    for name in _NOT_NEEDED:
        if sys.modules.get(name, sys) is None:
            del sys.modules[name]


def _defaults(request: dict[str, Any]) -> dict[str, Any]:
    """The configuration that the library gives to a family (`model_type`), and its class for the main task."""
    _import_little()
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto as auto

    kind = request["model_type"]
    config = AutoConfig.for_model(kind)
    given = json.loads(config.to_json_string(use_diff=False))
    for key in ("transformers_version", "architectures", "_name_or_path"):
        given.pop(key, None)
    for task in ("CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "MASKED_LM", "IMAGE_CLASSIFICATION", "PRETRAINING"):
        name = getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {}).get(kind)
        if name:
            break
    else:
        name = auto.MODEL_MAPPING_NAMES.get(kind, "")
    return {"done": True, "config": given, "architecture": name if isinstance(name, str) else name[0]}


def _transformers(request: dict[str, Any]) -> dict[str, Any]:
    """A model of transformers from its configuration: `config`, `architecture`, `dtype`, `seed`, `target` (folder)."""
    _import_little()
    import torch
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call,unused-ignore]
    torch.manual_seed(int(request["seed"]))
    torch.set_num_threads(int(request.get("threads", 1)))
    values = dict(request["config"])
    kind = values.pop("model_type")
    config = transformers.AutoConfig.for_model(kind, **values)
    config.architectures = [request["architecture"]] if request["architecture"] else None
    cls = getattr(transformers, request["architecture"] or "", None)
    notes: list[str] = []
    if cls is None:
        if request["architecture"]:
            notes.append("this release of transformers has no " + request["architecture"])
        cls = transformers.AutoModel

    def build() -> Any:
        if cls is transformers.AutoModel:
            return cls.from_config(config)  # type: ignore[no-untyped-call,unused-ignore]
        return cls._from_config(config) if hasattr(cls, "_from_config") else cls(config)

    # first without memory: how large it would be
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in build().parameters())
    if size > _MOST:
        return {"error": f"it would have {size} parameters"}
    model = build()
    model = model.to(getattr(torch, request["dtype"], torch.float32))
    _make_finite(model)
    model.save_pretrained(request["target"], safe_serialization=True, max_shard_size="100GB")
    if request.get("pickled"):
        torch.save(model.state_dict(), os.path.join(request["target"], "pytorch_model.bin"))
    count = sum(parameter.numel() for parameter in model.parameters())
    return {"done": True, "parameters": count, "notes": notes, "class": type(model).__name__}


def _make_finite(model: Any) -> None:
    """Memory that an initialisation left untouched may hold anything."""
    import torch

    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                tensor.normal_(0.0, 0.02)


def _write_weights(state: dict[str, Any], path: str) -> None:
    """A file in the format of safetensors, one tensor after the other: the library itself holds all of them twice."""
    import torch

    names = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16"}
    names.update({torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"})
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in state.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in state.values():
            file.write(memoryview(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()))


def _timm(request: dict[str, Any]) -> dict[str, Any]:
    """A model of timm at its full size: `name` (with its tag), `seed`, `target` (folder)."""
    _import_all()
    import timm  # type: ignore[import-not-found,import-untyped,unused-ignore]
    import torch

    torch.manual_seed(int(request["seed"]))
    torch.set_num_threads(int(request.get("threads", 1)))
    model = timm.create_model(request["name"], pretrained=False)
    os.makedirs(request["target"], exist_ok=True)
    _write_weights(model.state_dict(), os.path.join(request["target"], "model.safetensors"))
    given: dict[str, Any] = dict(getattr(model, "pretrained_cfg", None) or {})
    kept = {
        key: value
        for key, value in given.items()
        if key not in ("hf_hub_id", "hf_hub_filename", "url", "file", "source", "architecture", "state_dict")
        and (value is None or isinstance(value, (str, int, float, bool, list, tuple)))
    }
    config = {
        "architecture": request["name"].partition(".")[0],
        "num_classes": getattr(model, "num_classes", 1000),
        "num_features": getattr(model, "num_features", 0),
        "pretrained_cfg": kept,
    }
    with open(os.path.join(request["target"], "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    count = sum(parameter.numel() for parameter in model.parameters())
    return {"done": True, "parameters": count, "notes": [], "class": type(model).__name__}


_MAKERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "defaults": _defaults,
    "transformers": _transformers,
    "timm": _timm,
}

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        sys.exit(main())
