"""Interpolations of a configuration that certainly fail when they are read, found without evaluating one.

Texts are taken apart with OmegaConf's own grammar; of what they refer to only the existence is asked, so that values
which double themselves cost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.base import Container, Node
from omegaconf.errors import GrammarParseError
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser as Grammar
from omegaconf.grammar_parser import parse

MAX_NODES = 100_000
MAX_FOUND = 200
MAX_HOPS = 50
MAX_TEXT = 2_000
MAX_PARSED = 100_000

# The usual form; whatever does not have it goes through the grammar, which is slow.
_PLAIN = re.compile(r"\$\{(\.*)([A-Za-z_][\w-]*(?:\.[\w-]+)*)\}")


class Broken(NamedTuple):
    """An interpolation that fails when it is read.

    Args:
        key: Dotted key of the value that holds it.
        kind: `unknown-resolver`, `missing-key`, `missing-value` (the target is `???`) or `cycle`.
        message: What OmegaConf will complain about, on one line.
    """

    key: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class _Reference:
    """One interpolation: of a key (with the number of leading dots), or of a resolver."""

    name: str
    dots: int = 0
    resolver: bool = False


def broken_interpolations(config: DictConfig, resolvers: frozenset[str]) -> list[Broken]:
    """What certainly fails, in the order of the configuration, at most `MAX_FOUND` entries.

    Args:
        config: A configuration; it is left as it is.
        resolvers: Resolvers that the program registers, beside those of OmegaConf and Hydra.
    """
    found: list[Broken] = []
    left = MAX_PARSED
    for key, node in _texts(config):
        text = node._value()
        left -= min(len(text), MAX_TEXT)
        if len(text) > MAX_TEXT or left < 0:
            continue
        for reference in _references(text):
            problem = _problem(config, node, reference, resolvers)
            if problem is not None:
                found.append(Broken(key, *problem))
                break
        if len(found) >= MAX_FOUND:
            break
    return found


def _texts(config: DictConfig) -> Iterator[tuple[str, Node]]:
    """The values that hold interpolations, with their dotted keys."""
    pending: list[tuple[str, Any]] = [("", config)]
    seen = 0
    while pending and seen < MAX_NODES:
        key, node = pending.pop()
        seen += 1
        if isinstance(node, Node) and node._is_interpolation():
            if isinstance(node._value(), str):
                yield key, node
        elif isinstance(node, Container):
            pending += reversed([(f"{key}.{name}" if key else str(name), child) for name, child in _children(node)])


def _children(node: Any) -> list[tuple[Any, Any]]:
    content = node._content
    if isinstance(content, dict):
        return list(content.items())
    return list(enumerate(content)) if isinstance(content, list) else []


def _references(text: str) -> list[_Reference]:
    """The interpolations of a text that reading it certainly evaluates, as far as their names are written out."""
    if match := _PLAIN.fullmatch(text):
        return [_Reference(match.group(2), len(match.group(1)))]
    try:
        tree = parse(text)
    except (GrammarParseError, RecursionError):
        return []
    found: list[_Reference] = []
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        children = getattr(node, "children", None) or []
        if isinstance(node, Grammar.InterpolationNodeContext):
            reference = _of_node(children)
            if reference is not None:
                found.append(reference)
        elif isinstance(node, Grammar.InterpolationResolverContext):
            name = next((child for child in children if isinstance(child, Grammar.ResolverNameContext)), None)
            if name is not None and "$" not in name.getText():
                found.append(_Reference(name.getText(), resolver=True))
        pending += reversed(children)
    return found


def _of_node(children: list[Any]) -> _Reference | None:
    dots, keys = 0, []
    for child in children:
        if isinstance(child, Grammar.ConfigKeyContext):
            keys.append(child.getText())
        elif child.getText() == "." and not keys:
            dots += 1
    if not keys or any("$" in key or "." in key for key in keys):
        return None
    return _Reference(".".join(keys), dots)


def _problem(
    config: DictConfig, node: Node, reference: _Reference, resolvers: frozenset[str]
) -> tuple[str, str] | None:
    """Why a reference fails, as kind and message; None where it does not, or nobody can tell."""
    if reference.resolver:
        if reference.name in resolvers or OmegaConf.has_resolver(reference.name):
            return None
        return "unknown-resolver", f"no resolver `{reference.name[:80]}` is registered"
    visited = {id(node)}
    current = reference
    origin: Any = node
    for _ in range(MAX_HOPS):
        target = _find(config, origin, current)
        if target is _UNKNOWN:
            return None
        if target is None:
            return "missing-key", f"`{'.' * reference.dots}{reference.name[:80]}` is not there"
        if target._is_missing():
            return "missing-value", f"`{reference.name[:80]}` is not set (???)"
        if not target._is_interpolation() or not isinstance(target._value(), str):
            return None
        if id(target) in visited:
            return "cycle", f"`{reference.name[:80]}` refers to itself"
        visited.add(id(target))
        match = _PLAIN.fullmatch(target._value())
        if match is None:
            return None
        origin, current = target, _Reference(match.group(2), len(match.group(1)))
    return None


_UNKNOWN: Any = object()


def _find(config: DictConfig, origin: Node, reference: _Reference) -> Any:
    """The node that a reference means; None where there is none, `_UNKNOWN` where that takes an evaluation."""
    place: Any = config
    if reference.dots:
        place = origin
        for _ in range(reference.dots):
            place = place._get_parent()
            if place is None:
                return None
    for name in reference.name.split("."):
        if not isinstance(place, Container):
            return None
        if place._is_interpolation():
            return _UNKNOWN
        content = place._content
        if isinstance(place, ListConfig):
            if not isinstance(content, list) or not name.isdigit():
                return None if isinstance(content, list) else _UNKNOWN
            place = content[int(name)] if int(name) < len(content) else None
        elif isinstance(content, dict):
            place = _item(content, name)
        else:
            return None
        if place is None:
            return None
        if isinstance(place, Node) and place._is_interpolation() and name != reference.name.split(".")[-1]:
            return _UNKNOWN
    return place


def _item(content: dict[Any, Any], name: str) -> Any:
    """The child of a name; keys may be numbers or truths that the text spells."""
    if name in content:
        return content[name]
    return next((value for key, value in content.items() if not isinstance(key, str) and str(key) == name), None)
