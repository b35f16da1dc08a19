"""API008: a comparison that can never be true."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.library_references import LibraryReferences
from assay.analysis.name_origins import How, Origin, Origins
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, string_value
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_CASES = {"lower": str.lower, "upper": str.upper, "casefold": str.casefold, "title": str.title}


class NeverTrue(Rule):
    """A text is turned to lower case and then compared with one that holds capitals, or the like.

    The comparison is never true, and the branch below it is dead: `name = cfg.get("name", "Adam").lower()` followed by
    `if name == "Adam"`. It blocks where that text is the default which the code itself gives to the name: the default is
    then recognised by no comparison. Also found: a name that would have to equal two different constants at once, and
    `type(x) == "str"`, which compares a class with a text.
    """

    code = "API008"
    name = "never-true"
    requirements = ("E1.3", "D1.3", "B1.1")
    severity = Severity.WARNING
    consequence = Consequence.BREAKS_CONTRACT
    message = "This comparison can never be true: {why}"
    explanation = "{effect}."
    repair = "{remedy}."

    VALID = (
        Example({"src/main.py": "name = load().lower()\nif name in {'adam', 'sgd', '2D'.lower()}:\n    print(name)\n"}),
        Example({"src/main.py": "name = load().lower()\nname = load()\nif name == 'Adam':\n    print(name)\n"}),
        Example({"src/main.py": "def f(a, b):\n    return a == 'x' and b == 'y'\n"}),
        Example({"src/main.py": "if str(type(3)) == \"<class 'int'>\" or type(3).__name__ == 'int':\n    print(1)\n"}),
    )
    INVALID = (
        Example(
            {
                "src/main.py": "def pick(cfg):\n    name = cfg.get('name', 'DATA_HERE').lower()\n    if name in {'digits', 'DATA_HERE'}:\n        return 1\n    raise ValueError(name)\n"
            },
            at=("src/main.py:3",),
            repaired={
                "src/main.py": "def pick(cfg):\n    name = cfg.get('name', 'DATA_HERE').lower()\n    if name in {'digits', 'data_here'}:\n        return 1\n    raise ValueError(name)\n"
            },
        ),
        Example({"src/main.py": "def pick(name):\n    return name.upper() == 'sgd'\n"}, at=("src/main.py:2",)),
        Example({"src/main.py": "def pick(name):\n    return name == 'a' and name == 'b'\n"}, at=("src/main.py:2",)),
        Example({"src/main.py": "def pick(x):\n    return type(x) == 'str'\n"}, at=("src/main.py:2",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        self._texts: tuple[str, frozenset[str]] = ("", frozenset())
        for file in project.python.values():
            origins = project.shared(LibraryReferences).origins(file)
            for node in file.nodes_of(ast.Compare, ast.BoolOp):
                if isinstance(node, ast.Compare) and len(node.ops) == 1:
                    yield from self._compare(file, origins, node)
                elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
                    yield from self._both(file, node)

    def _compare(self, file: PythonFile, origins: Origins, node: ast.Compare) -> Iterator[Outcome]:
        left, right = node.left, node.comparators[0]
        if isinstance(node.ops[0], ast.Eq):
            pairs = [(left, [right]), (right, [left])]
        elif isinstance(node.ops[0], ast.In) and isinstance(right, ast.Tuple | ast.List | ast.Set):
            pairs = [(left, list(right.elts))]
        else:
            return
        for value, others in pairs:
            texts = [text for other in others if (text := string_value(other)) is not None]
            if isinstance(node.ops[0], ast.Eq) and texts and _is_type_of(file, value):
                yield self._warn(
                    file, node, "it compares a class with a text", "Compare with the class, or use isinstance"
                )
            made, case = _case_of(origins, value)
            if not case or made is None:
                continue
            dead = [text for text in texts if _CASES[case](text) != text]
            if dead:
                yield self._dead(file, node, made, case, dead)

    def _dead(self, file: PythonFile, node: ast.Compare, made: ast.Call, case: str, dead: list[str]) -> Outcome:
        why = f"the text went through `.{case}()`, and {_quoted(dead)} does not look like that"
        default = _default_of(made)
        right = node.comparators[0]
        matched = default is not None and _CASES[case](default) in self._compared(file)
        remedy = f"Write {_quoted([_CASES[case](text) for text in dead])} in the comparison"
        if default in dead and not matched and not _has_another_way(file, node):
            effect = f"The code's own default {_quoted([default or ''])} is recognised by no comparison"
            return self._say(file, right, Severity.BLOCKING, why, effect, remedy)
        return self._warn(file, node, why, remedy)

    def _compared(self, file: PythonFile) -> frozenset[str]:
        """The texts that the comparisons of a file hold."""
        if self._texts[0] != file.path:
            found = (text for node in file.nodes_of(ast.Compare) for text in _texts(node))
            self._texts = file.path, frozenset(found)
        return self._texts[1]

    def _both(self, file: PythonFile, node: ast.BoolOp) -> Iterator[Outcome]:
        wanted: dict[str, object] = {}
        for value in node.values:
            if not isinstance(value, ast.Compare) or len(value.ops) != 1 or not isinstance(value.ops[0], ast.Eq):
                continue
            name, constant = file.qualified(value.left), value.comparators[0]
            if not name or not isinstance(constant, ast.Constant):
                continue
            if name in wanted and wanted[name] != constant.value:
                yield self._warn(
                    file, node, f"`{name}` would have to equal two constants at once", "Join the comparisons with `or`"
                )
                return
            wanted[name] = constant.value

    def _warn(self, file: PythonFile, node: ast.AST, why: str, remedy: str) -> Outcome:
        return self._say(file, node, Severity.WARNING, why, "What depends on it never runs", remedy)

    def _say(self, file: PythonFile, node: ast.AST, severity: Severity, why: str, effect: str, remedy: str) -> Outcome:
        return self.finding(file.path, node, severity=severity, why=why, effect=effect, remedy=remedy)


def _case_of(origins: Origins, value: ast.expr) -> tuple[ast.Call | None, str]:
    """The call that settles the case of a text, directly or through a name that is assigned once."""
    if isinstance(value, ast.Name):
        found: list[Origin] = origins.of(value)
        if len(found) != 1 or found[0].how is not How.VALUE or found[0].expression is None:
            return None, ""
        value = found[0].expression
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _CASES:
        return (value, value.func.attr) if not value.args and not value.keywords else (None, "")
    return None, ""


def _default_of(made: ast.Call) -> str | None:
    """The default in `x.get(key, default).lower()`."""
    inner = made.func.value if isinstance(made.func, ast.Attribute) else None
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "str" and inner.args:
        inner = inner.args[0]
    if (
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Attribute)
        and inner.func.attr in ("get", "pop", "getenv")
    ):
        return string_value(inner.args[1]) if len(inner.args) > 1 else None
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "getattr":
        return string_value(inner.args[2]) if len(inner.args) > 2 else None
    return None


def _has_another_way(file: PythonFile, node: ast.Compare) -> bool:
    """Whether an `else`, or what follows the branch, may do what the default asks for; an exception does not."""
    branch = file.parents.get(node)
    if not isinstance(branch, ast.If):
        return True
    while len(branch.orelse) == 1 and isinstance(branch.orelse[0], ast.If):
        branch = branch.orelse[0]
    if branch.orelse:
        return not isinstance(branch.orelse[-1], ast.Raise)
    top = branch
    while isinstance(up := file.parents.get(top), ast.If) and top in up.orelse:
        top = up
    block = next((body for name in ("body", "orelse") if top in (body := getattr(file.parents.get(top), name, []))), [])
    later = block[block.index(top) + 1 :] if top in block else []
    return bool(later) and not isinstance(later[-1], ast.Raise)


def _texts(node: ast.Compare) -> Iterator[str]:
    for side in [node.left, *node.comparators]:
        for item in side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]:
            if (text := string_value(item)) is not None:
                yield text


def _is_type_of(file: PythonFile, value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and file.qualified(value.func) == "type" and len(value.args) == 1


def _quoted(texts: list[str]) -> str:
    return ", ".join(f'"{text[:60]}"' for text in texts[:3])
