"""Submissions that no one would write: the rules' own examples, cut, spliced, doubled, with values exchanged."""

from __future__ import annotations

import ast
import random
import re
from functools import cache

from assay.contracts import builtin_names
from assay.rules import all_rules
from assay.rules.rule import Example
from assay.submission import Brief, Run, SourceFile, Submission

TOML_VALUES = (
    "[]",
    "1",
    "{}",
    "true",
    "'x'",
    "[[1]]",
    "[{}]",
    "{a = 1}",
    "1979-05-27",
    "''",
    "['']",
    "nan",
    "-1",
    "[1, 'a']",
)
YAML_VALUES = (
    "[]",
    "1",
    "{}",
    "true",
    "",
    "~",
    "[[1]]",
    "[{}]",
    "{a: 1}",
    "2020-01-01",
    "''",
    "???",
    "${x}",
    "-1e400",
    ".nan",
    "[~]",
    "|\n  text",
    "&a [1]",
    "{[]: 1}",
    "{1: 2}",
    "${oc.env:X}",
    "- a",
)
EXPRESSIONS = (
    "None",
    "1",
    "''",
    "'x'",
    "[]",
    "{}",
    "()",
    "x",
    "x.y",
    "x()",
    "*x",
    "lambda: 0",
    "f'{x}'",
    "b''",
    "...",
    "-1",
    "1e999",
    "[*a, 1]",
    "{**a}",
    "(yield)",
    "await x",
    "not x",
    "x[0]",
    "x[:]",
    "a if b else c",
    "[i for i in x]",
    "x == y",
    "(y := 1)",
    "10 ** 99",
    "'%s' % x",
    "True",
    "1j",
    "{1, 2}",
    "x.y.z()()",
    "getattr(x, 'y')",
)
STATEMENTS = (
    "pass",
    "return",
    "yield",
    "global x",
    "del x",
    "raise",
    "import a.b as c",
    "from . import *",
    "from .. import a",
    "x: int",
    "class A: pass",
    "def f(*, a, **k): ...",
    "async def f(): pass",
    "with a as b, c: pass",
    "try: pass\nfinally: pass",
    "match x:\n case {'a': [1, *_]}: pass",
    "@x\ndef f(a, /, b=1, *c): return",
    "for x.y in z: break\nelse: pass",
    "x += 1",
    "while 1: continue",
    "type(x)",
    "assert x, y",
    "from __future__ import annotations",
    "if __name__ == '__main__': main()",
    "try: pass\nexcept* A: pass",
    "nonlocal x",
    "(a, *b), c = d",
    "print >>x",
    "exec 'x'",
)
PIECES = (
    "\n",
    " ",
    "\t",
    "#",
    '"',
    "'",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ":",
    "=",
    "-",
    ".",
    ",",
    "\\",
    "0",
    "é",
    "\x85",
    "\u2028",
    "\x00",
    "\f",
    "\r",
    "%s",
    "{0}",
    "{}",
    "\ufeff",
    "${",
    "*",
    "&",
    "!",
    "|",
    ">",
    "<<: ",
    "def ",
    "import ",
    "PLACEHOLDER",
    "TODO",
)


@cache
def examples() -> tuple[Example, ...]:
    """Every example of every rule."""
    return tuple(example for rule in all_rules().values() for example in (*rule.VALID, *rule.INVALID))


@cache
def fragments(suffix: str) -> tuple[str, ...]:
    """All texts of files with a suffix in the examples."""
    texts = {text for example in examples() for path, text in example.files.items() if path.endswith(suffix) and text}
    return tuple(sorted(texts)) or ("",)


def submission(seed: int) -> tuple[Submission, str]:
    """A submission, and the contract to review it against."""
    chance = random.Random(seed)
    example = chance.choice(examples())
    files = {path: text for path, text in example.files.items() if text is not None}
    base = dict(example.base) if example.base else None
    if chance.random() < 0.3:
        other = chance.choice(examples())
        files |= {path: text for path, text in other.files.items() if text is not None and chance.random() < 0.5}
    for _ in range(chance.randint(1, 6)):
        target = base if base and chance.random() < 0.3 else files
        if target:
            path = chance.choice(sorted(target))
            target[path] = mutated(chance, path, target[path])
    if chance.random() < 0.1 and files:
        del files[chance.choice(sorted(files))]
    if chance.random() < 0.1:
        files[
            chance.choice(
                ("src/train.py/x.py", "config/runs/.yaml", "config/run/a.yml", "src/ü.py", "a b.py", ".python-version")
            )
        ] = "1"
    brief = example.brief if chance.random() < 0.7 else odd_brief(chance)
    made = _laid(files, brief, _laid(base, Brief(), None) if base else None)
    names = builtin_names() if chance.random() < 0.2 else (example.contract,)
    return made, chance.choice(names)


def odd_brief(chance: random.Random) -> Brief:
    """A brief with run ids and metrics of any kind."""
    words = (
        "",
        "a",
        "proposed",
        "comparative-1-x",
        "../x",
        "a\nb",
        "é" * 50,
        "{0}",
        "null",
        "1",
        "%s",
        " ",
        "a.b",
        "[",
    )
    runs = tuple(
        Run(
            chance.choice(words),
            chance.choice((None, *words)),
            config=chance.choice((None, "", *fragments(".yaml")[:20])),
        )
        for _ in range(chance.randint(0, 4))
    )
    return Brief(chance.choice(words), chance.choice(words), chance.choice(words), runs, chance.choice((None, *words)))


def mutated(chance: random.Random, path: str, text: str) -> str:
    """A text after one mutation that suits its kind, or one that suits any text."""
    kinds = [_cut, _spliced, _doubled, _pieced]
    if path.endswith(".py"):
        kinds += [_other_expression, _other_expression, _swapped_expressions, _swapped_expressions, _other_statement]
    if path.endswith((".toml", ".yaml", ".yml")):
        kinds += [_other_value] * 5
    text = text[:20_000]
    return chance.choice(kinds)(chance, path, text)


def _span(chance: random.Random, text: str) -> tuple[int, int]:
    begin = chance.randint(0, len(text))
    return begin, min(len(text), begin + chance.choice((0, 1, 3, 10, 50, 500)))


def _cut(chance: random.Random, path: str, text: str) -> str:
    begin, end = _span(chance, text)
    return text[:begin] + (text[end:] if chance.random() < 0.7 else "")


def _doubled(chance: random.Random, path: str, text: str) -> str:
    begin, end = _span(chance, text)
    return text[:end] + text[begin:end] * chance.choice((1, 1, 2, 30)) + text[end:]


def _spliced(chance: random.Random, path: str, text: str) -> str:
    other = chance.choice(fragments(path[path.rfind(".") :]))
    begin, end = _span(chance, other)
    at = chance.randint(0, len(text))
    return text[:at] + (other[begin:end] if chance.random() < 0.5 else other) + text[at:]


def _pieced(chance: random.Random, path: str, text: str) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice(PIECES) * chance.choice((1, 1, 2, 20)) + text[at:]


def _other_value(chance: random.Random, path: str, text: str) -> str:
    """A key's value, a key or a table header exchanged for something of another kind."""
    toml = path.endswith(".toml")
    places = list(re.finditer(r"(?m)(?<==)[^=\n]+$|^\[.+\]$" if toml else r"(?m)(?<=:)[ ][^\n]*$|^[^\n:]+(?=:)", text))
    if not places:
        return _pieced(chance, path, text)
    place = chance.choice(places)
    value = chance.choice(TOML_VALUES if toml else YAML_VALUES)
    if toml and place.group().startswith("["):
        value = chance.choice((f"[{place.group()}]", place.group().replace("]", ".x]"), "[project]", "[tool.uv]", ""))
    elif not toml and chance.random() < 0.3:
        value = chance.choice(("1", "null", "? [a]", "'", "<<", "true", place.group() * 2)) if place.start() else value
    return f"{text[: place.start()]} {value}{text[place.end() :]}"


def _segments(text: str) -> list[tuple[int, int]]:
    """Begin and end of every expression of a Python text that parses."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line.encode("utf-8", "replace")) + 1)
    return [
        (starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.expr)
        and node.end_lineno is not None
        and node.end_col_offset is not None
        and node.end_lineno < len(starts)
    ]


def _replaced(text: str, span: tuple[int, int], new: str) -> str:
    data = text.encode("utf-8", "replace")
    return (data[: span[0]] + new.encode("utf-8", "replace") + data[span[1] :]).decode("utf-8", "replace")


def _other_expression(chance: random.Random, path: str, text: str) -> str:
    spans = _segments(text)
    return _replaced(text, chance.choice(spans), chance.choice(EXPRESSIONS)) if spans else _cut(chance, path, text)


def _swapped_expressions(chance: random.Random, path: str, text: str) -> str:
    donor = chance.choice(fragments(".py")) if chance.random() < 0.4 else text
    spans, others = _segments(text), _segments(donor)
    if not spans or not others:
        return _spliced(chance, path, text)
    begin, end = chance.choice(others)
    piece = donor.encode("utf-8", "replace")[begin:end].decode("utf-8", "replace")
    return _replaced(text, chance.choice(spans), f"({piece})" if chance.random() < 0.5 else piece)


def _other_statement(chance: random.Random, path: str, text: str) -> str:
    lines = text.split("\n")
    at = chance.randint(0, len(lines) - 1)
    margin = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    new = "\n".join(margin + line for line in chance.choice(STATEMENTS).split("\n"))
    lines[at : at + chance.randint(0, 1)] = [new]
    return "\n".join(lines)


def _laid(files: dict[str, str], brief: Brief, base: Submission | None) -> Submission:
    made = {}
    for path, text in sorted(files.items()):
        clean = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
        made[path] = SourceFile.of_text(path, clean)
    return Submission("fuzz", made, brief, base)
