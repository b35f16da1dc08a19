"""YAML as a tree that knows where each value stands, read without constructing anything.

The tree is built from libyaml's events, one at a time, so that nesting, aliases and tags are bounded before they
can cost anything. Scalars keep their text; `Scalar.resolve` gives them the value that PyYAML (YAML 1.1) or
OmegaConf (the same, with floats such as `1e-4`) would give.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from assay.errors import InputError

MAX_DEPTH = 100
MAX_NODES = 100_000
LONG_TEXT = 200

_CORE_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "binary")
)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# PyYAML's implicit resolvers (YAML 1.1, https://yaml.org/type/), without the ones that no configuration uses.
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF")
_INT = re.compile(r"[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
# OmegaConf's loader replaces the float resolver (omegaconf/_utils.py, get_yaml_loader): exponents need no sign or dot.
_OMEGACONF_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)"
    r"|\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)

# YAML ends a line at these too; nobody who shows a file by its lines does
_OTHER_LINE_ENDS = re.compile("[\x85\u2028\u2029]")


class YamlSyntaxError(Exception):
    """Text that is no YAML. `line` and `column` count from 1."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


@dataclass(slots=True)
class Scalar:
    """A single value. `plain` is False where it was quoted or written as a block."""

    text: str
    plain: bool
    tag: str | None
    line: int
    column: int
    end_line: int

    def resolve(self, *, omegaconf: bool = False) -> Any:
        """The Python value that PyYAML's safe loader gives it (with `omegaconf`, the one that OmegaConf gives)."""
        if self.tag is not None:
            return _construct(self.text, self.tag.removeprefix("tag:yaml.org,2002:"))
        if not self.plain:
            return self.text
        if _NULL.fullmatch(self.text):
            return None
        if _BOOL.fullmatch(self.text):
            return self.text.lower() in ("yes", "true", "on")
        if _INT.fullmatch(self.text):
            return _construct(self.text, "int")
        if (_OMEGACONF_FLOAT if omegaconf else _FLOAT).fullmatch(self.text):
            return _construct(self.text, "float")
        return self.text


@dataclass(slots=True)
class Sequence:
    """A list. `items` may hold the same node twice, where an alias repeats it."""

    line: int
    column: int
    end_line: int = 0
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping, as the list of its pairs in order; a repeated key stays visible."""

    line: int
    column: int
    end_line: int = 0
    pairs: list[tuple[Node, Node]] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """The value of a key (the last one, as YAML loaders take it), or None."""
        found = None
        for name, value in self.pairs:
            if isinstance(name, Scalar) and name.text == key:
                found = value
        return found

    def key(self, key: str) -> Scalar | None:
        """The node of a key itself, for its position."""
        return next((name for name, _ in self.pairs if isinstance(name, Scalar) and name.text == key), None)

    def items(self) -> Iterator[tuple[str, Node]]:
        """The pairs whose keys are scalars, keys as text."""
        for name, value in self.pairs:
            if isinstance(name, Scalar):
                yield name.text, value


Node = Scalar | Sequence | Mapping


def parse(path: str, text: str) -> list[Node]:
    """The documents of a YAML text; an empty text holds none.

    Raises:
        YamlSyntaxError: where the text is no YAML.
        InputError: where it is nested too deeply, repeats too much by aliases, or carries a tag that constructs
            something.
    """
    return _Builder(path).build(text)


def to_python(node: Node | None, *, omegaconf: bool = False) -> Any:
    """The plain dicts, lists and values that a safe loader would construct."""
    if node is None:
        return None
    if isinstance(node, Scalar):
        return node.resolve(omegaconf=omegaconf)
    if isinstance(node, Sequence):
        return [to_python(item, omegaconf=omegaconf) for item in node.items]
    return {_key(name, omegaconf): to_python(value, omegaconf=omegaconf) for name, value in node.pairs}


def find(node: Node | None, *keys: str) -> Node | None:
    """The node below a path of mapping keys, or None where the path ends early."""
    for key in keys:
        if not isinstance(node, Mapping):
            return None
        node = node.get(key)
    return node


def _key(node: Node, omegaconf: bool) -> Any:
    value = to_python(node, omegaconf=omegaconf)
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


class _Builder:
    def __init__(self, path: str) -> None:
        self.path = path
        self.anchors: dict[str, Node] = {}
        self.weights: dict[int, int] = {}
        self.count = 0
        self.last_line = 1
        self.line_ends: list[int] | None = None

    def build(self, text: str) -> list[Node]:
        documents: list[Node] = []
        open_nodes: list[tuple[Sequence | Mapping, Node | None, str | None]] = []
        loader = None
        self.last_line = text.count("\n") + 1
        if _OTHER_LINE_ENDS.search(text):
            self.line_ends = [match.start() for match in re.finditer("\n", text)]
        if len(re.findall(r"(?m)^%TAG", text)) > MAX_DEPTH:
            # libyaml compares each with all before it
            raise InputError(f"{self.path}: more than {MAX_DEPTH} %TAG lines; configuration needs none")
        try:
            # the loader decodes the text, and refuses characters that YAML does not have, as soon as it is made
            loader = _LOADER(text)
            while True:
                event = loader.get_event()
                if isinstance(event, yaml.StreamEndEvent):
                    return documents
                self._take(event, open_nodes, documents)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
            raise YamlSyntaxError(f"a character that YAML does not allow ({error.reason})", line, 1) from None
        except UnicodeEncodeError as error:
            line = text.count("\n", 0, error.start) + 1
            raise YamlSyntaxError("half a character (a lone surrogate)", line, 1) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = " ".join(part for part in (error.context, error.problem) if part)
            raise YamlSyntaxError(problem, *(self._place(mark) if mark else (1, 1))) from None
        except yaml.YAMLError as error:
            raise YamlSyntaxError(str(error), 1, 1) from None
        finally:
            if loader is not None:
                loader.dispose()

    def _take(
        self, event: Any, open_nodes: list[tuple[Sequence | Mapping, Node | None, str | None]], documents: list[Node]
    ) -> None:
        line, column = self._place(event.start_mark)
        end_line, _ = self._place(event.end_mark)
        node: Node
        if isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            if name not in self.anchors:
                raise YamlSyntaxError(f"undefined alias {name[:100]!r}", line, column)
            node = self.anchors[name]
            self._attach(node, open_nodes, documents)
        elif isinstance(event, yaml.ScalarEvent):
            plain = event.style is None or event.style == ""
            node = Scalar(event.value, plain, self._tag(event, line), line, column, end_line)
            if event.anchor:
                self.anchors[event.anchor] = node
            self._attach(node, open_nodes, documents)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._tag(event, line)
            node = Sequence(line, column) if isinstance(event, yaml.SequenceStartEvent) else Mapping(line, column)
            if len(open_nodes) >= MAX_DEPTH:
                raise InputError(f"{self.path}:{line}: YAML nested more than {MAX_DEPTH} deep")
            open_nodes.append((node, None, event.anchor))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            node, _, anchor = open_nodes.pop()
            node.end_line = line
            # an anchor holds from the end of its node: a node that contains itself is refused as undefined
            if anchor:
                self.anchors[anchor] = node
            self._attach(node, open_nodes, documents)

    def _place(self, mark: Any) -> tuple[int, int]:
        """Line and column of a mark, from 1."""
        if self.line_ends is None:
            # what is left out at the very end may be said to stand below the last line
            return min(mark.line + 1, self.last_line), mark.column + 1
        before = bisect.bisect_left(self.line_ends, mark.index)
        return before + 1, mark.index - (self.line_ends[before - 1] if before else -1)

    def _tag(self, event: Any, line: int) -> str | None:
        tag: str | None = event.tag
        if tag is None or tag == "!":
            return None
        if tag not in _CORE_TAGS:
            raise InputError(f"{self.path}:{line}: YAML tag {tag[:100]!r}; configuration is plain data, remove the tag")
        return tag

    def _attach(
        self,
        node: Node,
        open_nodes: list[tuple[Sequence | Mapping, Node | None, str | None]],
        documents: list[Node],
    ) -> None:
        # long texts weigh more: an alias repeats them for nothing, whoever writes them out again pays
        weight = self.weights.get(id(node), 1)
        if isinstance(node, Scalar):
            weight += len(node.text) // LONG_TEXT
        self.count += 1
        if self.count > MAX_NODES:
            raise InputError(f"{self.path}:{node.line}: YAML of more than {MAX_NODES:,} values")
        if open_nodes:
            parent, key, anchor = open_nodes[-1]
            if isinstance(parent, Sequence):
                parent.items.append(node)
            elif key is None:
                open_nodes[-1] = (parent, node, anchor)
            else:
                parent.pairs.append((key, node))
                open_nodes[-1] = (parent, None, anchor)
            total = self.weights.get(id(parent), 1) + weight
            if total > MAX_NODES:
                raise InputError(f"{self.path}:{parent.line}: YAML that grows to more than {MAX_NODES:,} values")
            self.weights[id(parent)] = total
        else:
            documents.append(node)


def _construct(text: str, kind: str) -> Any:
    try:
        if kind == "int":
            digits = text.replace("_", "")
            sign = -1 if digits.startswith("-") else 1
            digits = digits.lstrip("+-")
            if digits.startswith(("0b", "0x")):
                return sign * int(digits, 0)
            return sign * int(digits, 8 if len(digits) > 1 and digits.startswith("0") else 10)
        if kind == "float":
            plain = text.replace("_", "").lower()
            return float(plain.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return text
    if kind == "bool":
        return text.lower() in ("yes", "true", "on")
    return None if kind == "null" else text
