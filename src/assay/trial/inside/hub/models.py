"""Repositories of models: the facts of the real one, its sizes shrunk, its weights made by a child when asked for."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from . import tokenizers
from .repositories import Content, Repository

_LAYERS = 2
_WIDTH = 64
_HEADS = 4
# without shrinking: as many parameters and words as a model may have before layers, then width, then words are cut.
# What they make of a batch with lengths as they are must fit into memory, and a processor get through it in seconds.
_GUARD = 160_000_000
_GUARDED_WORDS = 60_000
_GUARDED_LAYERS = 4
_GUARDED_WIDTH = 256
# seconds: a library that does not import in this time never will
_PATIENCE = 240

# A file of weights that holds none: libraries initialise what is missing, while they refuse a file of no bytes. The
# format (https://huggingface.co/docs/safetensors): length of the header in eight bytes, header as JSON, tensors.
_HEADER = b'{"__metadata__":{"format":"pt"}}'
_NO_WEIGHTS = len(_HEADER).to_bytes(8, "little") + _HEADER

_LAYER_KEYS = frozenset(
    [
        "num_hidden_layers",
        "n_layer",
        "n_layers",
        "num_layers",
        "num_decoder_layers",
        "encoder_layers",
        "decoder_layers",
        "num_encoder_layers",
    ]
)
_WIDTH_KEYS = frozenset(["hidden_size", "n_embd", "d_model", "dim", "n_embed"])
_INNER_KEYS = frozenset(
    [
        "intermediate_size",
        "d_ff",
        "ffn_dim",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
        "n_inner",
        "hidden_dim",
        "ffn_hidden_size",
        "moe_intermediate_size",
        "shared_expert_intermediate_size",
        "classifier_proj_size",
    ]
)
_HEAD_KEYS = frozenset(
    [
        "num_attention_heads",
        "n_head",
        "n_heads",
        "num_heads",
        "encoder_attention_heads",
        "decoder_attention_heads",
        "num_decoder_heads",
    ]
)
_PART_KEYS = frozenset(("embedding_size", "word_embed_proj_dim", "projection_dim", "rotary_dim"))
# lists with one number a stage, of models whose width grows
_STAGES = frozenset(("hidden_sizes", "embed_dims", "conv_dim", "tdnn_dim"))
# a family that takes over another's configuration says null for what it calls otherwise
_ABSENT = frozenset(("hidden_size", "num_attention_heads", "num_hidden_layers"))
_ID_KEY = re.compile(r"(?:_token_id|_token_index)$|^(?:pad|bos|eos|unk|cls|sep|mask)_index$")
_ID_LISTS = frozenset(("suppress_tokens", "begin_suppress_tokens", "bad_words_ids"))


def present_name(id: str, catalogue: Mapping[str, Any]) -> str:
    """The id under which the hub has a model now, where that is not the one given; case does not count there."""
    found = str(catalogue.get("names", {}).get(id.lower(), ""))
    return found if found != id else ""


class Facts:
    """What is known of a model.

    Args:
        id: Its id.
        row: Its row in the table with those that it is like, merged: config, generation, tokenizer, other.
        basis: `table`, `user`, `online` or `assumed`.
        note: Why it is assumed.
        gated: Whether it asks for an account.
    """

    def __init__(self, id: str, row: Mapping[str, Any], basis: str, note: str = "", gated: bool = False) -> None:
        self.id = id
        self.config: dict[str, Any] = dict(row.get("config", {}))
        self.generation: dict[str, Any] | None = row.get("generation") or None
        self.tokenizer: dict[str, Any] = dict(row.get("tokenizer", {}))
        self.other: dict[str, Any] = dict(row.get("other", {}))
        self.basis = basis
        self.note = note
        self.gated = gated


def facts_of(id: str, catalogue: Mapping[str, Any]) -> Facts | None:
    """What is known of a model by its id, or assumed by the family that its name tells; None where nothing is."""
    rows: Mapping[str, Any] = catalogue.get("rows", {})
    model = catalogue.get("models", {}).get(id)
    if id in rows:
        gated = bool(model and model.get("gated")) or bool(rows[id].get("other", {}).get("gated"))
        return Facts(id, _merged(id, rows), str(rows[id].get("basis") or "table"), gated=gated)
    if model is not None:
        family = str(model["family"])
        row = _merged(family, rows) if family in rows else _bare(family, rows)
        found = Facts(
            id, row, "table", "" if family in rows else "sizes and tokenizer made up", bool(model.get("gated"))
        )
        if model.get("pads") is False:
            found.tokenizer["roles"] = {**found.tokenizer.get("roles", {}), "pad_token": None}
        return found
    if "/" not in id:
        return None
    like = _like(id, catalogue)
    if not like:
        return None
    return Facts(id, _merged(like, rows), "assumed", "taken for a model like " + like)


def _bare(family: str, rows: Mapping[str, Any]) -> dict[str, Any]:
    """A row for a family of which only the name is known: a tokenizer like GPT-2's, default sizes."""
    tokenizer = rows.get("gpt2", {}).get("tokenizer", {})
    return {"config": {"model_type": family}, "tokenizer": tokenizer}


def _merged(name: str, rows: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what it takes from the rows that it is like."""
    chain: list[str] = []
    while name and name in rows and name not in chain:
        chain.append(name)
        name = str(rows[name].get("like") or "")
    merged: dict[str, Any] = {}
    for step in reversed(chain):
        for part in ("config", "tokenizer", "other"):
            merged[part] = {**merged.get(part, {}), **(rows[step].get(part) or {})}
        generation = rows[step].get("generation")
        if generation is not None:
            merged["generation"] = generation
    return merged


def _like(id: str, catalogue: Mapping[str, Any]) -> str:
    """The row that an unknown id is most likely like: a copy under another owner, or one of a family by its name."""
    rows: Mapping[str, Any] = catalogue.get("rows", {})
    name = id.rpartition("/")[2].lower()
    for known in rows:
        if "/" in known and known.rpartition("/")[2].lower() == name:
            return str(known)
    for known, model in catalogue.get("models", {}).items():
        if known.rpartition("/")[2].lower() == name and model["family"] in rows:
            return str(model["family"])
    for pattern, row in catalogue.get("patterns", ()):
        if row in rows and re.search(pattern, name):
            return str(row)
    return ""


class Shrinking:
    """How the sizes of a model become those of its stand-in.

    Args:
        layers: Layers that are left; None for all.
        width: Its new width; None for the real one.
    """

    def __init__(self, layers: int | None, width: int | None) -> None:
        self.layers = layers
        self.width = width

    def __call__(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration with other sizes. What depends on them goes along: heads, inner widths, lists of layers."""
        real = next((int(config[key]) for key in sorted(_WIDTH_KEYS) if _is_number(config.get(key))), 0)
        heads = next((int(config[key]) for key in sorted(_HEAD_KEYS) if _is_number(config.get(key))), 0)
        found: dict[str, Any] = {}
        for key, value in config.items():
            found[key] = self._value(key, value, real, heads)
        if self.width is not None and real and heads and _is_number(config.get("head_dim")):
            # a head that is wider than width / heads stays so
            plain = real / heads
            found["head_dim"] = max(8, 8 * round(self.width / self._heads(heads) * int(config["head_dim"]) / plain / 8))
        if self.layers is not None:
            if isinstance(found.get("attention_types"), list):
                # of GPT-Neo: kinds of layers, and how often they come
                kinds = found["attention_types"][0][0]
                found["attention_types"] = [[kinds, max(1, self.layers // len(kinds))]]
            for key in ("layer_types", "block_types"):
                if isinstance(found.get(key), list) and all(isinstance(item, str) for item in found[key]):
                    kinds = list(dict.fromkeys(found[key]))
                    found[key] = (kinds * self.layers)[: self.layers]
        return found

    def _heads(self, real: int) -> int:
        return min(real, _HEADS) if self.width is not None else real

    def _value(self, key: str, value: Any, real: int, heads: int) -> Any:
        if isinstance(value, dict) and (key.endswith("_config") or key in ("encoder", "decoder", "generator")):
            return self(value)
        if self.layers is not None:
            if key in _LAYER_KEYS and _is_number(value):
                return min(value, self.layers)
            if key == "depths":
                return [1 if self.layers <= _LAYERS else min(depth, 2) for depth in value]
        if self.width is None:
            return value
        if key in _STAGES and isinstance(value, list):
            # each stage keeps its ratio to the first
            first = self.width // 4 if self.width >= _GUARDED_WIDTH else 16
            return [max(8, first * item // value[0]) for item in value]
        if not _is_number(value):
            return value
        if key in _WIDTH_KEYS:
            return min(value, self.width)
        if key in _INNER_KEYS:
            return max(16, 16 * round(value * self.width / real / 16)) if real > self.width else value
        if key in _HEAD_KEYS:
            return self._heads(value)
        if key in ("num_key_value_heads", "num_kv_heads"):
            return self._heads(heads) if value == heads else min(value, max(1, self._heads(heads) // 2))
        if key == "embed_dim":
            return min(value, 24)
        if key in _PART_KEYS:
            return (
                value if real and real <= self.width else min(value, self.width if value >= real else self.width // 2)
            )
        if key == "d_kv":
            return min(value, self.width // _HEADS)
        if key in ("num_experts", "num_local_experts", "n_routed_experts"):
            return min(value, 4)
        if key == "num_experts_per_tok":
            return min(value, 2)
        return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def parameters_of(config: Mapping[str, Any]) -> int:
    """About how many parameters a configuration gives: weights of its layers and of its embedding."""
    total = 0
    for key, value in config.items():
        if isinstance(value, dict) and key.endswith("_config"):
            total += parameters_of(value)

    def first(keys: Any, otherwise: int) -> int:
        return next((int(config[key]) for key in sorted(keys) if _is_number(config.get(key))), otherwise)

    width = first(_WIDTH_KEYS, 0)
    layers = sum(int(value) for key, value in config.items() if key in _LAYER_KEYS and _is_number(value))
    inner = first(_INNER_KEYS, 4 * width)
    experts = max(1, first(("num_experts", "num_local_experts", "n_routed_experts"), 1))
    total += layers * (4 * width * width + 3 * width * inner * experts)
    words = width * first(("vocab_size",), 0)
    return total + words * (1 if config.get("tie_word_embeddings", True) else 2)


def plan(config: Mapping[str, Any], words: int, shrink: bool) -> tuple[Shrinking, bool]:
    """How to shrink a model, and whether its vocabulary stays whole.

    Args:
        config: Its real configuration.
        words: The real length of its vocabulary.
        shrink: Whether it is to be tiny. Otherwise it keeps what the memory allows.
    """
    if shrink:
        return Shrinking(_LAYERS, _WIDTH), False
    for shrinking, whole in (
        (Shrinking(None, None), True),
        (Shrinking(_GUARDED_LAYERS, None), True),
        (Shrinking(_GUARDED_LAYERS, _GUARDED_WIDTH), True),
    ):
        if words <= _GUARDED_WORDS and parameters_of({**shrinking(config), "vocab_size": words}) <= _GUARD:
            return shrinking, whole
    return Shrinking(_GUARDED_LAYERS, _GUARDED_WIDTH), False


def _renumbered(data: Any, ids: Mapping[int, int], key: str = "") -> Any:
    """A configuration with the ids of special tokens as the stand-in's tokenizer has them."""
    if key in ("lang_to_id", "task_to_id") and isinstance(data, dict):
        return {name: ids[value] for name, value in data.items() if value in ids}
    if isinstance(data, dict):
        return {name: _renumbered(value, ids, name) for name, value in data.items()}
    if key == "forced_decoder_ids" and isinstance(data, list):
        return [[place, ids.get(value, value)] for place, value in data]
    if _ID_KEY.search(key):
        if isinstance(data, list):
            return [ids.get(value, value) for value in data]
        return ids.get(data, data) if _is_number(data) else data
    if key in _ID_LISTS and isinstance(data, list):
        return [ids[value] for value in data if value in ids]
    return data


def _gap(real: int, tokens: int, length: int, whole: bool) -> int:
    """Rows of the embedding beyond the tokenizer's tokens (negative where it has fewer): as many as in the real one in
    proportion, and at least eight where the real one has a gap."""
    gap = real - tokens
    if whole or gap == 0:
        return gap
    if gap < 0:
        return gap
    return max(8, gap * length // max(tokens, 1))


def repository(id: str, catalogue: Mapping[str, Any], maker: Maker, settings: Mapping[str, Any]) -> Repository | None:
    """The repository of a model; None where nothing is known of it."""
    architecture = timm_architecture(id, catalogue)
    if architecture:
        return _timm_repository(id, architecture, maker)
    facts = facts_of(id, catalogue)
    if facts is None:
        return None
    shrink = settings.get("shrink", True) is not False
    config = dict(facts.config)
    tokens = int(facts.tokenizer.get("length", 0))
    text = config.get("text_config") if isinstance(config.get("text_config"), dict) else None
    words = int((text or config).get("vocab_size", 0) or config.get("vocab_size", 0) or 0)
    labels = int(facts.other.get("labels", 0))
    if labels:
        names = [f"LABEL_{index}" for index in range(labels)]
        config["id2label"] = {str(index): name for index, name in enumerate(names)}
        config["label2id"] = {name: index for index, name in enumerate(names)}
    shrinking, whole = plan(config, words, shrink)
    config = shrinking(config)
    files: dict[str, Content] = {}
    generation = facts.generation
    config = {key: value for key, value in config.items() if value is not None or key not in _ABSENT}
    if facts.tokenizer:
        built = tokenizers.build(facts.tokenizer, whole)
        files.update(built.files)
        length = built.vocabulary.length
        ids = built.vocabulary.ids
        new = length + _gap(words, tokens or words, length, whole) if words else length
        config = _renumbered(config, ids)
        generation = _renumbered(generation, ids)
        if text is not None and "vocab_size" in text:
            config["text_config"] = {**config["text_config"], "vocab_size": new}
        if "vocab_size" in config or text is None:
            config["vocab_size"] = new
    architectures = config.get("architectures") or []
    seed = int(hashlib.sha256(id.encode("utf-8")).hexdigest()[:8], 16)
    request = {
        "kind": "transformers",
        "config": config,
        "architecture": str(architectures[0]) if architectures else "",
        "dtype": str(config.get("torch_dtype") or "float32"),
        "seed": seed,
        "pickled": bool(facts.other.get("pickled")),
    }
    weights = Weights(id, request, maker)
    if set(config) <= {"model_type", "vocab_size"}:
        # nothing is known but the family: the library's own defaults, made small
        request["defaults"] = True
        files["config.json"] = weights.file("config.json")
    else:
        files["config.json"] = _json(config)
    if generation:
        files["generation_config.json"] = _json(generation)
    files["model.safetensors"] = weights.file("model.safetensors")
    if request["pickled"]:
        files["pytorch_model.bin"] = weights.file("pytorch_model.bin")
    width = next((config[key] for key in sorted(_WIDTH_KEYS) if _is_number(config.get(key))), 0)
    for path, content in facts.other.get("files", {}).items():
        if isinstance(content, dict) and "word_embedding_dimension" in content:
            content = {**content, "word_embedding_dimension": width}
        files[path] = content.encode("utf-8") if isinstance(content, str) else _json(content)
    files["README.md"] = (f"---\nlibrary_name: transformers\n---\n\n# {id}\n").encode()
    files[".gitattributes"] = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
    files = {path: content for path, content in files.items() if path not in facts.other.get("without", ())}
    return Repository(
        id,
        files,
        basis=facts.basis,
        note=facts.note,
        seed=json.dumps(request, sort_keys=True),
        gated=facts.gated,
        ahead=weights.ahead,
        about=facts.other.get("about", {"library_name": "transformers", "tags": ["transformers", "safetensors"]}),
    )


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def timm_architecture(id: str, catalogue: Mapping[str, Any]) -> str:
    """The name in timm of a repository `timm/NAME.TAG`; empty where it is none."""
    owner, _, name = id.partition("/")
    return name if owner == "timm" and name.partition(".")[0] in catalogue.get("timm", ()) else ""


def _timm_repository(id: str, name: str, maker: Maker) -> Repository:
    seed = int(hashlib.sha256(id.encode("utf-8")).hexdigest()[:8], 16)
    weights = Weights(id, {"kind": "timm", "name": name, "seed": seed, "library": "timm"}, maker)
    files: dict[str, Content] = {
        "config.json": weights.file("config.json"),
        "model.safetensors": weights.file("model.safetensors"),
        "pytorch_model.bin": weights.file("pytorch_model.bin"),
        "README.md": (f"---\nlibrary_name: timm\n---\n\n# {id}\n").encode(),
    }
    about = {"library_name": "timm", "tags": ["timm", "image-classification"]}
    return Repository(id, files, seed=str(seed), about=about, ahead=weights.ahead)


class Weights:
    """The made files of one model.

    Args:
        id: Its id.
        request: What the maker is told.
        maker: The process that makes them.
    """

    def __init__(self, id: str, request: dict[str, Any], maker: Maker) -> None:
        self.id = id
        self.request = request
        self._maker = maker

    def ahead(self) -> None:
        """Begin to make them while the submission is busy with other things: configuration, tokenizer, its imports."""
        threading.Thread(target=self.file("model.safetensors"), daemon=True).start()

    def file(self, name: str) -> Callable[[], bytes | Path]:
        """What gives one of its files; one without any weights where they cannot be made."""

        def content() -> bytes | Path:
            path = self._maker.folder(self.id, self.request) / name
            if path.is_file():
                return path
            return _NO_WEIGHTS if name.endswith(".safetensors") else b""

        return content


class Maker:
    """The process that makes weights, and the folder that keeps them.

    Args:
        standins: The folder, shared by the steps of a rehearsal.
        journal: Takes events.
    """

    def __init__(self, standins: Path, journal: Callable[..., None]) -> None:
        self._folder = standins / "models"
        self._journal = journal
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._versions = ""

    def folder(self, id: str, request: Mapping[str, Any]) -> Path:
        """The folder with the files of a model, made unless it is there. A failure is noted, and leaves it empty."""
        text = json.dumps([id, request, _versions()], sort_keys=True)
        target = self._folder / (
            re.sub(r"[^\w.\-]", "--", id) + "-" + hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]
        )
        if (target / "made").exists():
            return target
        self._folder.mkdir(parents=True, exist_ok=True)
        # the hubs of steps that run side by side share the folder
        with self._lock, _locked(target.with_name(target.name + ".lock")):
            if (target / "made").exists():
                return target
            target.mkdir(exist_ok=True)
            answer = self._ask({**self._completed(request), "target": str(target)})
            if answer.get("done"):
                (target / "made").write_text(json.dumps(answer), encoding="utf-8")
                for note in answer.get("notes", ()):
                    self._journal("standin", repo=id, type="model", basis="assumed", note=str(note))
            else:
                message = "its weights could not be made: " + str(answer.get("error"))[:500]
                (target / "made").write_text(json.dumps(answer), encoding="utf-8")
                self._journal("standin", repo=id, type="model", basis="assumed", note=message, failed=True)
        return target

    def _completed(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A request with the sizes that the installed library gives to a family, shrunk."""
        if not request.get("defaults"):
            return request
        answer = self._ask({"kind": "defaults", "model_type": request["config"]["model_type"]})
        if not answer.get("done"):
            return request
        words = request["config"].get("vocab_size", 0)
        config = Shrinking(_LAYERS, _WIDTH)(answer["config"])
        for key, value in config.items():
            if _ID_KEY.search(key) and _is_number(value) and value >= words:
                # the only special token of its tokenizer is the last
                config[key] = words - 1
        config["model_type"] = request["config"]["model_type"]
        if "vocab_size" in config:
            config["vocab_size"] = words
        return {**request, "config": config, "architecture": answer["architecture"]}

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        watch = threading.Timer(_PATIENCE, process.kill)
        watch.daemon = True
        watch.start()
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            answer = json.loads(line) if line else {"error": "the process that makes weights ended"}
        except (OSError, ValueError) as error:
            answer = {"error": repr(error)}
        finally:
            watch.cancel()
        return answer if isinstance(answer, dict) else {"error": "no answer"}

    def _started(self) -> subprocess.Popen[str]:
        kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment.update(
            ASSAY_TRIAL="off",
            HF_HUB_OFFLINE="1",
            TRANSFORMERS_OFFLINE="1",
            OMP_NUM_THREADS="1",
            CUDA_VISIBLE_DEVICES="",
            USE_TF="0",
            USE_FLAX="0",
            TOKENIZERS_PARALLELISM="false",
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("maker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=str(self._folder),
            env=environment,
            encoding="utf-8",
        )

    def close(self) -> None:
        """End the process."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


def _versions() -> str:
    """Versions of the libraries that decide the names of weights."""
    from importlib import metadata

    found = []
    for name in ("transformers", "torch", "timm"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(name + " " + metadata.version(name))
    return ", ".join(found)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; other processes wait. It ends with the process."""
    handle = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
