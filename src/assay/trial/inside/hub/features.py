"""The columns of a dataset as the table writes them, and what the `datasets` library and Parquet call them.

A feature is written `string`, `int32`, `float32`, `bool`, `label(negative|positive)` or `label(1000)`, `image`,
`audio(16000)`, `translation(de|en)`, `list<FEATURE>`, `struct{name: FEATURE, ...}`; columns are `name: FEATURE` parted
by `;`. `\\|` stands for a bar inside the name of a label. `messages` is short for the list of turns of a conversation.
"""

# ruff: noqa: SIM905 - a list of words reads best as a text

from __future__ import annotations

import re
from typing import Any, NamedTuple

# Those of https://huggingface.co/docs/datasets/v4.4.0/package_reference/main_classes#datasets.Value that occur here.
VALUES = frozenset(
    (
        "string large_string bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
        "float16 float32 float64 date32 binary"
    ).split()
) | {"timestamp[s]", "timestamp[ms]", "timestamp[us]", "timestamp[ns]"}
_MESSAGES = "list<struct{content: string, role: string}>"
_VALUE = re.compile(r"[a-z0-9_]+(?:\[[a-z]+\])?")
_NAME = re.compile(r"\s*([^:;{}<>,]+?)\s*:\s*")
_DEEPEST = 12
"""How many features may lie in one another."""


class Feature(NamedTuple):
    """One column, or a part of one.

    Args:
        kind: `value`, `label`, `image`, `audio`, `translation`, `list` or `struct`.
        dtype: Of a value, its type.
        names: Of a label its names, of a translation its languages.
        parts: Of a struct its fields by name; of a list its only part, without a name.
        rate: Of audio, the sampling rate in hertz.
    """

    kind: str
    dtype: str = ""
    names: tuple[str, ...] = ()
    parts: tuple[tuple[str, Feature], ...] = ()
    rate: int = 0


class FeatureError(ValueError):
    """A feature that is not written as this module says."""


def parse_columns(text: str) -> dict[str, Feature]:
    """Read `name: FEATURE; name: FEATURE`.

    Raises:
        FeatureError: The text is no such list.
    """
    columns: dict[str, Feature] = {}
    at = 0
    while text[at:].strip():
        match = _NAME.match(text, at)
        if match is None:
            raise FeatureError(f"expected `name: feature` at {text[at : at + 40]!r}")
        columns[match.group(1)], at = _parse(text, match.end(), 0)
        rest = text[at:].lstrip()
        if rest and not rest.startswith(";"):
            raise FeatureError(f"unexpected {rest[:30]!r} after column {match.group(1)}")
        at = len(text) - len(rest) + (1 if rest else 0)
    return columns


def parse_feature(text: str) -> Feature:
    """Read one feature.

    Raises:
        FeatureError: The text is no feature.
    """
    feature, at = _parse(text.strip(), 0, 0)
    if text.strip()[at:].strip():
        raise FeatureError(f"unexpected {text.strip()[at : at + 30]!r}")
    return feature


def _parse(text: str, at: int, depth: int) -> tuple[Feature, int]:
    if depth > _DEEPEST:
        raise FeatureError(f"more than {_DEEPEST} features in one another")
    match = re.compile(r"\s*").match(text, at)
    at = match.end() if match else at
    for word in ("label", "translation", "audio"):
        if text.startswith(word + "(", at):
            return _parse_bracket(word, text, at + len(word) + 1)
    if text.startswith("list<", at):
        inner, at = _parse(text, at + 5, depth + 1)
        return Feature("list", parts=(("", inner),)), _after(text, at, ">")
    if text.startswith("struct{", at):
        at += 7
        parts: list[tuple[str, Feature]] = []
        while True:
            match = _NAME.match(text, at)
            if match is None:
                raise FeatureError(f"expected `name: feature` in a struct at {text[at : at + 40]!r}")
            inner, at = _parse(text, match.end(), depth + 1)
            parts.append((match.group(1), inner))
            if not text.startswith(",", at):
                return Feature("struct", parts=tuple(parts)), _after(text, at, "}")
            at += 1
    match = _VALUE.match(text, at)
    word = match.group() if match else ""
    if word == "image":
        return Feature("image"), at + len(word)
    if word == "messages":
        return _parse(_MESSAGES, 0, depth + 1)[0], at + len(word)
    if word not in VALUES:
        raise FeatureError(f"unknown feature {word or text[at : at + 30]!r}")
    return Feature("value", dtype=word), at + len(word)


def _parse_bracket(word: str, text: str, at: int) -> tuple[Feature, int]:
    # the names of labels may hold brackets of their own, so the closing one is the first that nothing opened
    depth, end = 1, at
    while end < len(text) and depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0) if text[end - 1] != "\\" else 0
        end += 1
    if depth:
        raise FeatureError(f"no closing bracket after {word}(")
    inner = text[at : end - 1]
    if word == "audio":
        if not inner.isdigit():
            raise FeatureError(f"audio({inner}): expected a sampling rate in hertz")
        return Feature("audio", rate=int(inner)), end
    if word == "label" and inner.isdigit():
        return Feature("label", names=tuple([str(number) for number in range(min(int(inner), 100_000))])), end
    names = tuple([re.sub(r"\\(.)", r"\1", name) for name in re.split(r"(?<!\\)\|", inner)])
    return Feature(word, names=names), end


def _after(text: str, at: int, closing: str) -> int:
    if not text.startswith(closing, at):
        raise FeatureError(f"expected {closing!r} at {text[at : at + 30]!r}")
    return at + 1


def recorded(feature: Feature) -> Any:
    """The feature as the library records it in the metadata of a Parquet file, in a form that all read since 2.0."""
    if feature.kind == "value":
        return {"dtype": feature.dtype, "_type": "Value"}
    if feature.kind == "label":
        return {"names": list(feature.names), "_type": "ClassLabel"}
    if feature.kind == "image":
        return {"_type": "Image"}
    if feature.kind == "audio":
        return {"sampling_rate": feature.rate, "_type": "Audio"}
    if feature.kind == "translation":
        return {"languages": list(feature.names), "_type": "Translation"}
    if feature.kind == "list":
        inner = feature.parts[0][1]
        # a list of records is written in brackets; `Sequence` of records would be a record of lists
        return [recorded(inner)] if inner.kind == "struct" else {"feature": recorded(inner), "_type": "Sequence"}
    return {name: recorded(part) for name, part in feature.parts}


def arrow_type(feature: Feature) -> Any:
    """The type of the column in Arrow."""
    import pyarrow as pa  # type: ignore[import-untyped,import-not-found,unused-ignore]

    if feature.kind == "label":
        return pa.int64()
    if feature.kind in ("image", "audio"):
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if feature.kind == "translation":
        return pa.struct([(language, pa.string()) for language in feature.names])
    if feature.kind == "list":
        return pa.list_(arrow_type(feature.parts[0][1]))
    if feature.kind == "struct":
        return pa.struct([(name, arrow_type(part)) for name, part in feature.parts])
    if feature.dtype.startswith("timestamp["):
        return pa.timestamp(feature.dtype[10:-1])
    named = {"bool": pa.bool_, "binary": pa.binary, "string": pa.string, "large_string": pa.large_string}
    return named.get(feature.dtype, getattr(pa, feature.dtype, pa.string))()


def as_yaml(columns: dict[str, Feature], indent: str) -> str:
    """The columns as the `features` of a dataset card."""
    return "".join(_yaml_entry(name, feature, indent) for name, feature in columns.items())


def _yaml_entry(name: str, feature: Feature, indent: str) -> str:
    return "{}- name: {}\n{}".format(indent, quoted(name), _yaml_type(feature, indent + "  "))


def _yaml_type(feature: Feature, indent: str) -> str:
    if feature.kind == "value":
        return f"{indent}dtype: {quoted(feature.dtype)}\n"
    if feature.kind == "image":
        return f"{indent}dtype: image\n"
    if feature.kind == "audio":
        return f"{indent}dtype:\n{indent}  audio:\n{indent}    sampling_rate: {feature.rate}\n"
    if feature.kind == "label":
        names = "".join(f"{indent}      '{number}': {quoted(name)}\n" for number, name in enumerate(feature.names))
        return f"{indent}dtype:\n{indent}  class_label:\n{indent}    names:\n{names}"
    if feature.kind == "translation":
        names = "".join(f"{indent}    - {quoted(name)}\n" for name in feature.names)
        return f"{indent}dtype:\n{indent}  translation:\n{indent}    languages:\n{names}"
    if feature.kind == "struct":
        return "{}struct:\n{}".format(indent, "".join(_yaml_entry(name, part, indent) for name, part in feature.parts))
    inner = feature.parts[0][1]
    if inner.kind == "value":
        return f"{indent}sequence: {quoted(inner.dtype)}\n"
    if inner.kind == "struct":
        return "{}list:\n{}".format(indent, "".join(_yaml_entry(name, part, indent) for name, part in inner.parts))
    return "{}sequence:\n{}".format(indent, _yaml_type(inner, indent + "  "))


def quoted(text: str) -> str:
    """A string as YAML reads it back unchanged."""
    return "'{}'".format(text.replace("'", "''"))
