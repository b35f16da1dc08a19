"""Tokenizers of stand-ins: small, written by hand, with the special tokens and settings of the real one.

The format is that of the tokenizers library (https://huggingface.co/docs/tokenizers/api/tokenizer and the files that it
writes); the parts of each kind are those that transformers builds itself in convert_slow_tokenizer.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_BASIC = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
# common words, so that a text has about as many tokens as with a real tokenizer
_WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "was",
    "for",
    "that",
    "on",
    "with",
    "as",
    "it",
    "he",
    "by",
    "at",
    "his",
    "from",
    "are",
    "be",
    "this",
    "have",
    "an",
    "not",
    "which",
    "or",
    "had",
    "but",
    "you",
    "her",
    "she",
    "were",
    "they",
    "one",
    "all",
    "we",
    "there",
    "been",
    "has",
    "their",
    "more",
    "when",
    "will",
    "would",
    "who",
    "if",
    "no",
    "out",
    "up",
    "so",
    "what",
    "can",
    "some",
    "than",
    "about",
    "into",
    "other",
    "them",
    "time",
    "its",
    "only",
    "these",
    "two",
    "may",
    "then",
    "do",
    "first",
    "any",
    "my",
    "now",
    "such",
    "like",
    "our",
    "over",
    "man",
    "me",
    "even",
    "most",
    "made",
    "after",
    "also",
    "did",
    "many",
    "before",
    "must",
    "through",
    "back",
    "years",
    "where",
    "much",
    "your",
    "way",
    "well",
    "down",
    "should",
    "because",
    "each",
    "just",
    "those",
    "people",
    "how",
    "too",
    "little",
    "state",
    "good",
    "very",
    "make",
    "world",
    "still",
    "own",
    "see",
    "men",
    "work",
    "long",
    "get",
    "here",
    "between",
    "both",
    "life",
    "being",
    "under",
    "never",
    "day",
    "same",
    "another",
    "know",
    "while",
    "last",
    "might",
    "us",
    "great",
    "old",
    "year",
    "off",
    "come",
    "since",
    "against",
    "go",
    "came",
    "right",
    "used",
    "take",
    "three",
    "film",
    "movie",
    "review",
    "story",
    "question",
    "answer",
    "total",
    "number",
    "many",
    "much",
    "dollars",
    "hours",
    "price",
    "cost",
    "image",
    "label",
    "class",
    "positive",
    "negative",
    "model",
    "data",
    "set",
    "train",
]
_LIMIT_OF_WORDS = 160


def byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in byte-level BPE (GPT-2's table)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    found = {byte: chr(byte) for byte in kept}
    rest = [byte for byte in range(256) if byte not in found]
    found.update({byte: chr(256 + index) for index, byte in enumerate(rest)})
    return found


def _merged(mark: str, ending: str = "") -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces of the common words and the merges that lead to them, with the mark of a word's beginning (or its end)."""
    pieces: dict[str, None] = {}
    merges: dict[tuple[str, str], None] = {}
    for word in _WORDS[:_LIMIT_OF_WORDS]:
        letters = [*([mark] if mark else []), *word]
        if ending:
            letters[-1] += ending
        whole = letters[0]
        for letter in letters[1:]:
            merges[(whole, letter)] = None
            whole += letter
            pieces[whole] = None
    return list(pieces), list(merges)


class Vocabulary:
    """Which token has which id, in the stand-in.

    Args:
        tokens: Id to token, without gaps.
        ids: The real tokenizer's ids of special tokens to those of the stand-in.
        length: How many tokens the tokenizer has.
    """

    def __init__(self, base: list[str], special: Mapping[str, int], length: int) -> None:
        # ids at the beginning are written into many programs (pad 0, [CLS] 101): they stay
        low = {id: token for token, id in special.items() if id < 128}
        high = sorted((id, token) for token, id in special.items() if id >= 128)
        rest = iter([token for token in dict.fromkeys(base) if token not in special])
        tokens: list[str] = []
        for id in range(max(low, default=-1) + 1):
            tokens.append(low.get(id, f"[unused{id}]"))
        tokens += rest
        self.ids: dict[int, int] = {id: id for id in low}
        for id, token in high:
            while length and len(tokens) < id:
                tokens.append(f"[filler{len(tokens)}]")
            self.ids[id] = len(tokens)
            tokens.append(token)
        while len(tokens) < length:
            tokens.append(f"[filler{len(tokens)}]")
        self.tokens = tokens

    @property
    def length(self) -> int:
        return len(self.tokens)

    def by_token(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}


class Built:
    """A tokenizer's files and what its model must know of it.

    Args:
        files: Contents by path.
        vocabulary: Its tokens.
    """

    def __init__(self, files: dict[str, bytes], vocabulary: Vocabulary) -> None:
        self.files = files
        self.vocabulary = vocabulary


def build(facts: Mapping[str, Any], whole: bool) -> Built:
    """Make a tokenizer.

    Args:
        facts: `model` (kind: `byte-bpe`, `sentencepiece-bpe`, `wordpiece`, `unigram`, `clip-bpe`, `letters`), `class`,
            `length` (of the real one), `specials` and `extras` (token to real id), `roles` (bos_token and so on),
            `max` (length), `chat` (a name of `_CHATS`), `template` (`bos`, `bos-eos`, `eos`, `bert`, `roberta`),
            further keys of the kind, and `config`: further keys of tokenizer_config.json.
        whole: Whether the vocabulary is as long as the real one.
    """
    special: dict[str, int] = {**facts.get("specials", {}), **facts.get("extras", {})}
    kind = str(facts.get("model", "byte-bpe"))
    base, merges = _pieces(kind)
    vocabulary = Vocabulary(base, special, int(facts.get("length", 0)) if whole else 0)
    ids = vocabulary.by_token()
    files: dict[str, bytes] = {}
    model, parts = _model(kind, facts, vocabulary, merges)
    fast = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": ids[token], "content": token, **_flags(token, facts)}
            for token in sorted(special, key=lambda token: ids[token])
        ],
        **parts,
        "model": model,
    }
    processor = _template(facts, ids)
    if processor is not None:
        fast["post_processor"] = processor
    left_out = set(facts.get("without", ()))
    if "tokenizer.json" not in left_out and kind != "letters":
        files["tokenizer.json"] = _json(fast)
    files.update(_slow_files(kind, vocabulary, merges, facts))
    files["tokenizer_config.json"] = _json(_settings(facts, ids))
    if "special_tokens_map.json" not in left_out:
        files["special_tokens_map.json"] = _json(_special_map(facts))
    return Built({path: content for path, content in files.items() if path not in left_out}, vocabulary)


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _flags(token: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    flags: dict[str, Any] = dict(_BASIC)
    flags["special"] = token not in facts.get("extras", {})
    # <mask> of RoBERTa, BART and ALBERT takes the space before it along
    if token in facts.get("lstrip", ("<mask>",)):
        flags["lstrip"] = True
    return flags


def _pieces(kind: str) -> tuple[list[str], list[tuple[str, str]]]:
    printable = [chr(code) for code in range(33, 127)]
    if kind == "byte-bpe":
        pieces, merges = _merged("\u0120")
        return [*byte_letters().values(), *pieces], merges
    if kind == "clip-bpe":
        pieces, merges = _merged("", "</w>")
        letters = list(byte_letters().values())
        return [*letters, *(letter + "</w>" for letter in letters), *pieces], merges
    if kind == "sentencepiece-bpe":
        pieces, merges = _merged("\u2581")
        return [*(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *printable, *pieces], merges
    if kind == "wordpiece":
        letters = [*printable, *(chr(code) for code in range(192, 256))]
        return [*letters, *("##" + letter for letter in letters), *_WORDS, "##s", "##ing", "##ed", "##er"], []
    if kind == "letters":
        return ["|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"], []
    letters = [*printable, *(chr(code) for code in range(192, 256))]
    return ["\u2581", *letters, *("\u2581" + word for word in _WORDS), "s", "ing", "ed", "er"], []


def _model(
    kind: str, facts: Mapping[str, Any], vocabulary: Vocabulary, merges: list[tuple[str, str]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `model` of tokenizer.json, and its normalizer, pre-tokenizer, post-processor and decoder."""
    ids = vocabulary.by_token()
    parts: dict[str, Any] = {"normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
    prefix = bool(facts.get("prefix_space", False))
    bpe: dict[str, Any] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": ids,
        "merges": [" ".join(merge) for merge in merges],
    }
    unknown = facts.get("roles", {}).get("unk_token")
    if kind == "byte-bpe":
        level = {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": True}
        if facts.get("split"):
            split = {"type": "Split", "pattern": {"Regex": facts["split"]}, "behavior": "Isolated", "invert": False}
            level = {**level, "use_regex": False}
            parts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
        else:
            parts["pre_tokenizer"] = level
        if facts.get("normalizer"):
            parts["normalizer"] = {"type": facts["normalizer"]}
        parts["post_processor"] = {**level, "trim_offsets": False}
        parts["decoder"] = {**level, "use_regex": True}
        return bpe, parts
    if kind == "clip-bpe":
        bpe.update(unk_token=unknown, end_of_word_suffix="</w>", continuing_subword_prefix="")
        split = {
            "type": "Split",
            "pattern": {"Regex": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"},
            "behavior": "Removed",
            "invert": True,
        }
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        spaces = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}
        parts["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}, spaces, {"type": "Lowercase"}]}
        parts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
        parts["decoder"] = level
        return bpe, parts
    if kind == "sentencepiece-bpe":
        bpe.update(unk_token=unknown, fuse_unk=True, byte_fallback=True)
        replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
        before = [{"type": "Prepend", "prepend": "\u2581"}] if prefix else []
        parts["normalizer"] = {"type": "Sequence", "normalizers": [*before, replace]}
        parts["decoder"] = {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                *([{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []),
            ],
        }
        return bpe, parts
    if kind == "wordpiece":
        lower = bool(facts.get("lower", True))
        parts["normalizer"] = {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": lower,
        }
        parts["pre_tokenizer"] = {"type": "BertPreTokenizer"}
        parts["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}
        return (
            {
                "type": "WordPiece",
                "unk_token": unknown or "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": ids,
            },
            parts,
        )
    if facts.get("lower"):
        parts["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Lowercase"}]}
    space = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    parts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]}
    parts["decoder"] = space
    scores = [[token, _score(token, facts)] for token in vocabulary.tokens]
    return {"type": "Unigram", "unk_id": ids.get(str(unknown), 0), "vocab": scores, "byte_fallback": False}, parts


def _score(token: str, facts: Mapping[str, Any]) -> float:
    if token in facts.get("specials", {}) or token in facts.get("extras", {}):
        return 0.0
    return -5.0 if len(token) > 1 else -10.0


def _template(facts: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any] | None:
    """The post-processor that adds special tokens around a text."""
    kind = facts.get("template", "")
    roles = facts.get("roles", {})
    if not kind:
        return None
    begin = {"bert": roles.get("cls_token"), "roberta": roles.get("cls_token")}.get(kind, roles.get("bos_token"))
    end = {"bert": roles.get("sep_token"), "roberta": roles.get("sep_token")}.get(kind, roles.get("eos_token"))
    if kind == "roberta":
        return {
            "type": "RobertaProcessing",
            "sep": [end, ids[str(end)]],
            "cls": [begin, ids[str(begin)]],
            "trim_offsets": True,
            "add_prefix_space": bool(facts.get("prefix_space", False)),
        }
    before = begin if kind in ("bos", "bos-eos", "bert", "xlm", "clip") else None
    after = end if kind in ("eos", "bos-eos", "bert", "xlm", "clip") else None
    second = 1 if kind in ("bert", "bos") else 0

    def marked(token: Any, type: int) -> list[dict[str, Any]]:
        return [{"SpecialToken": {"id": token, "type_id": type}}] if token else []

    def text(name: str, type: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": type}}

    single = [*marked(before, 0), text("A", 0), *marked(after, 0)]
    again = before if kind == "bos" else None
    pair = [*single, *marked(again, second), text("B", second), *marked(after, second)]
    used = [str(token) for token in (before, after) if token]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": {token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in used},
    }


def _slow_files(
    kind: str, vocabulary: Vocabulary, merges: list[tuple[str, str]], facts: Mapping[str, Any]
) -> dict[str, bytes]:
    """The files that tokenizers written in Python read."""
    # tokens above the base are not in these files but in tokenizer_config.json, as in the real ones
    extras = facts.get("outside", ())
    ids = {token: id for token, id in vocabulary.by_token().items() if token not in extras}
    if kind in ("byte-bpe", "clip-bpe"):
        lines = "#version: 0.2\n" + "".join(" ".join(merge) + "\n" for merge in merges)
        return {"vocab.json": json.dumps(ids, ensure_ascii=False).encode("utf-8"), "merges.txt": lines.encode("utf-8")}
    if kind == "wordpiece":
        return {"vocab.txt": ("\n".join(vocabulary.tokens) + "\n").encode("utf-8")}
    if kind == "letters":
        return {"vocab.json": json.dumps(ids, ensure_ascii=False).encode("utf-8")}
    name = str(facts.get("spm", ""))
    return {name: sentencepiece_model(kind, vocabulary, facts)} if name else {}


def sentencepiece_model(kind: str, vocabulary: Vocabulary, facts: Mapping[str, Any]) -> bytes:
    """A model file of SentencePiece, as Protocol Buffers.

    Its messages: https://github.com/google/sentencepiece/blob/v0.2.0/src/sentencepiece_model.proto
    """
    import struct

    def number(value: int) -> bytes:
        out = bytearray()
        value &= (1 << 64) - 1
        while True:
            out.append((value & 0x7F) | (0x80 if value > 0x7F else 0))
            value >>= 7
            if not value:
                return bytes(out)

    def whole(field: int, value: int) -> bytes:
        return number(field << 3) + number(value)

    def text(field: int, value: bytes) -> bytes:
        return number(field << 3 | 2) + number(len(value)) + value

    unknown = facts.get("roles", {}).get("unk_token")
    outside = set(facts.get("outside", ()))
    out = bytearray()
    for index, token in enumerate(vocabulary.tokens):
        if token in outside:
            continue
        # NORMAL 1, UNKNOWN 2, CONTROL 3, USER_DEFINED 4, BYTE 6
        if token == unknown:
            type = 2
        elif token in facts.get("specials", {}):
            type = 3
        elif token in facts.get("extras", {}):
            type = 4
        else:
            type = 6 if token.startswith("<0x") and kind == "sentencepiece-bpe" else 1
        score = _score(token, facts) if kind == "unigram" else -float(index)
        piece = text(1, token.encode("utf-8")) + number(2 << 3 | 5) + struct.pack("<f", score) + whole(3, type)
        out += text(1, piece)
    ids = vocabulary.by_token()
    trainer = whole(3, 1 if kind == "unigram" else 2) + whole(35, 1 if kind == "sentencepiece-bpe" else 0)
    trainer += whole(40, ids.get(str(unknown), 0))
    for field, role in ((41, "bos_token"), (42, "eos_token"), (43, "pad_token")):
        trainer += whole(field, ids.get(str(facts.get("roles", {}).get(role)), -1))
    out += text(2, trainer)
    prefix = kind == "unigram" or bool(facts.get("prefix_space", False))
    normalizer = text(1, b"identity") + whole(3, int(prefix)) + whole(4, int(kind == "unigram")) + whole(5, 1)
    out += text(3, normalizer)
    return bytes(out)


def _settings(facts: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any]:
    """tokenizer_config.json."""
    special = {**facts.get("specials", {}), **facts.get("extras", {})}
    roles: dict[str, Any] = dict(facts.get("roles", {}))
    found: dict[str, Any] = {
        "added_tokens_decoder": {
            str(ids[token]): {"content": token, **_flags(token, facts)}
            for token in sorted(special, key=lambda token: ids[token])
        },
        "clean_up_tokenization_spaces": bool(facts.get("clean_up", False)),
        "model_max_length": facts.get("max", 1000000000000000019884624838656),
    }
    if facts.get("class"):
        found["tokenizer_class"] = facts["class"]
    found.update(roles)
    chat = facts.get("chat")
    if chat:
        found["chat_template"] = CHATS[chat]
    found.update(facts.get("config", {}))
    return dict(sorted(found.items()))


def _special_map(facts: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for role, token in facts.get("roles", {}).items():
        if token is not None:
            found[role] = token
    more = facts.get("config", {}).get("additional_special_tokens")
    if more:
        found["additional_special_tokens"] = more
    return found


_TURNS = "{% for message in messages %}"
# How each family lays out a conversation. Sources: the documentation of each (see the table); the wording is our own.
CHATS: Mapping[str, str] = {
    "chatml": _TURNS
    + "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "qwen3": _TURNS
    + "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    + "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
    + "{% endif %}",
    "llama2": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    + "{% set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    + "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}{% for message in rest %}"
    + "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    + "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    + "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + (system if loop.first else '') "
    + "+ message['content'] | trim + ' [/INST]' }}"
    + "{% else %}{{ ' ' + message['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}",
    "mistral": "{{ bos_token }}" + _TURNS + "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}",
    "llama3": "{{ bos_token }}"
    + _TURNS
    + "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    + "{{ message['content'] | trim + '<|eot_id|>' }}"
    + "{% endfor %}{% if add_generation_prompt %}"
    + "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    + "{% endif %}"
    + _TURNS
    + "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' "
    + "+ message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    + "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
    "gemma3": "{{ bos_token }}"
    + _TURNS
    + "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\\n' "
    + "+ (message['content'] if message['content'] is string else '') | trim + '<end_of_turn>\\n' }}{% endfor %}"
    + "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
    "zephyr": _TURNS
    + "{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}{% endfor %}"
    + "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    "phi3": _TURNS
    + "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}"
    + "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}",
    "smollm2": "{% if messages[0]['role'] != 'system' %}"
    + "{{ '<|im_start|>system\\nYou are a helpful AI assistant.<|im_end|>\\n' }}{% endif %}"
    + _TURNS
    + "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
}
