"""DRV002: a definition of the base is gone from the derived code."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from assay.analysis.definitions import Definition, definitions, found_elsewhere, share, total_shapes
from assay.analysis.name_uses import used_names
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_BASE = {
    "src/train.py": "def clip(values, low):\n    kept = [v for v in values if v > low]\n    kept.sort()\n    return kept\n\n"
    "def main():\n    print(clip([1], 0))\n",
}
_REPORT = "\ndef report(rows):\n    print(len(rows))\n"
_WIDER = {"src/train.py": _BASE["src/train.py"] + _REPORT}
_SIMILAR = 0.6
_UNCLEAR = "The derived code keeps every definition of its base; reading cannot tell what does the same here."
# more lost and more new definitions than these are not compared one by one
_MOST = 300


class LostDefinition(Rule):
    """A derived submission keeps every function, class and method of its base, or improves it.

    What is gone takes its behaviour with it, unless the code lives on under another name. The rule is silent where a new
    definition does much the same, where the statements stand elsewhere now, where the base's definition was a stand-in
    made to be replaced, and where the name is still used (from a library, say). It blocks where the base itself used the
    definition, the rest of its file is mostly kept, and nothing with a related name or similar statements took its place.
    """

    code = "DRV002"
    name = "lost-definition"
    requirements = ("D1.1",)
    message = "{definition} of the base ({origin}) is gone"
    explanation = "The derived code keeps every definition of its base, and nothing here does the same."
    repair = "Bring {definition} back, as it was or improved."

    VALID = (
        Example(_BASE, contract="derived", base=_BASE),
        # renamed
        Example({"src/train.py": _BASE["src/train.py"].replace("clip", "keep_above")}, contract="derived", base=_BASE),
        # moved
        Example(
            {"src/model.py": _BASE["src/train.py"].partition("def main")[0], "src/train.py": "def main():\n    pass\n"},
            contract="derived",
            base=_BASE,
        ),
        Example(
            {"src/train.py": "def main():\n    pass\n"},
            contract="derived",
            base={
                "src/train.py": "class DummyModel:\n    def go(self):\n        return 1\n\ndef main():\n    DummyModel()\n"
            },
        ),
        Example({"src/train.py": "x = 1\n"}, contract="derived"),
    )
    INVALID = (
        Example(
            {"src/train.py": "def main():\n    print([1])\n" + _REPORT},
            contract="derived",
            base=_WIDER,
            at=("src/train.py",),
            repaired=_WIDER,
        ),
        # half of the file is gone: a warning
        Example(
            {"src/train.py": "def main():\n    print([1])\n"}, contract="derived", base=_BASE, at=("src/train.py",)
        ),
        # the base did not use it: a warning
        Example(
            {"src/train.py": "def main():\n    print([1])\n"},
            contract="derived",
            base={"src/train.py": _BASE["src/train.py"].replace("print(clip([1], 0))", "print([1])")},
            at=("src/train.py",),
        ),
        # a library may do it now: a warning
        Example(
            {"src/train.py": "import torch\n\n\ndef main():\n    print(torch.clamp(1, 0))\n"},
            contract="derived",
            base=_BASE,
            at=("src/train.py",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.base is None:
            yield Undecided("no base was given", ("D1.1", "D1.2", "D1.3"))
            return
        files = list(project.python.values())
        if any(file.tree is None for file in (*files, *project.base.python.values())):
            yield Undecided("a file of the base or of the derived code cannot be read")
            return
        before, after = definitions(project.base.python.values()), definitions(files)
        names_before = {item.symbol for item in before}
        new = [item for item in after if item.symbol not in names_before]
        uses, uses_before = used_names(files), used_names(project.base.python.values())
        known = {node.name for file in files for node in (*file.functions, *file.classes)}
        known |= {item.bound for file in files for item in file.imports}
        known |= {name for file in files for name in file.defined}
        total_before, total_after = total_shapes(before), total_shapes(after)
        new_stems = {stem for item in new for stem in item.stems}
        kept_files = _mostly_kept(before, known)
        attributes = {node.attr for file in files for node in file.nodes_of(ast.Attribute)}
        classes = {item.name: item for item in after if isinstance(item.node, ast.ClassDef)}
        sites = _CallSites(before, after)
        lost: set[str] = set()
        compared = 0
        for item in before:
            if item.is_stand_in or item.owner in lost or item.name in known:
                continue
            if item.owner and (item.owner not in classes or _inherits_unknown(classes[item.owner], classes)):
                continue
            if isinstance(item.node, ast.ClassDef):
                lost.add(item.name)
            compared += 1
            if compared > _MOST:
                yield Undecided("more definitions of the base are gone than are compared one by one", ("D1.1",))
                return
            if item.name in uses or item.name in attributes or _lives_on(item, new, total_before, total_after):
                continue
            # where most of a file was written anew, reading cannot tell what took whose place
            certain = (
                uses_before[item.name] > 0
                and item.file.path in kept_files
                and len(new) <= _MOST
                and not item.stems & new_stems
                and not sites.may_be_replaced(item.name)
                and not item.name.startswith("__")
                and found_elsewhere(item.shapes, item, None, total_before, total_after) < 0.4
            )
            yield self.finding(
                item.file.path if item.file.path in project.python else None,
                severity=None if certain else Severity.WARNING,
                explanation=None if certain else _UNCLEAR,
                symbol=item.symbol,
                definition=item.symbol,
                origin=f"{item.file.path}:{item.node.lineno}",
            )


def _lives_on(item: Definition, new: list[Definition], total_before: Counter[str], total_after: Counter[str]) -> bool:
    """Whether another definition does much the same, or the statements stand somewhere else now."""
    if item.shapes and found_elsewhere(item.shapes, item, None, total_before, total_after) >= 0.7:
        return True
    return any(
        share(item.shapes, other.shapes) >= _SIMILAR and type(other.node) is type(item.node)
        for other in new[:_MOST]
        if len(other.statements) <= 4 * len(item.statements) + 4
    )


class _CallSites:
    """Where the functions of the base and of the derived code call what.

    A place is the kind of a statement, with the variables that it binds.
    """

    def __init__(self, before: list[Definition], after: list[Definition]) -> None:
        self._before = before
        self._after = after

    @cached_property
    def _sites(self) -> dict[str, set[tuple[str, tuple[str, ...]]]]:
        """What the base calls, with the functions and places in which it does."""
        found: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
        for item in self._before:
            for name, place in _calls(item):
                found.setdefault(name, set()).add((item.symbol, place))
        return found

    @cached_property
    def _known(self) -> dict[str, set[str]]:
        """The base's functions, with what they call."""
        found: dict[str, set[str]] = {}
        for name, sites in self._sites.items():
            for symbol, _ in sites:
                found.setdefault(symbol, set()).add(name)
        return found

    @cached_property
    def _now(self) -> dict[tuple[str, tuple[str, ...]], set[str]]:
        """The functions and places of the derived code, with what is called there."""
        found: dict[tuple[str, tuple[str, ...]], set[str]] = {}
        for item in self._after:
            for name, place in _calls(item):
                found.setdefault((item.symbol, place), set()).add(name)
        return found

    def may_be_replaced(self, name: str) -> bool:
        """Whether a function that called a definition of the base now calls something new in such a place."""
        return any(self._now.get(site, set()) - self._known[site[0]] for site in self._sites.get(name, ()))


def _calls(item: Definition) -> list[tuple[str, tuple[str, ...]]]:
    """What a function calls, by the last part of its name, and the place."""
    if isinstance(item.node, ast.ClassDef):
        return []
    found = []
    for statement in item.statements:
        pending: list[ast.AST] = [statement]
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        place = (type(statement).__name__, *(inner.id for inner in targets if isinstance(inner, ast.Name)))
        while pending:
            node = pending.pop()
            if isinstance(node, ast.Call):
                func = node.func
                name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
                found.append((name, place))
            pending.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt))
    return found


def _mostly_kept(before: list[Definition], known: set[str]) -> set[str]:
    """The files of the base of whose definitions more than half still exist by name."""
    there: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    for item in before:
        (there if item.name in known else gone)[item.file.path] += 0 if item.is_stand_in else 1
    return {path for path in there if there[path] > gone[path]}


def _inherits_unknown(item: Definition, classes: dict[str, Definition]) -> bool:
    """Whether a class has a base that may bring the method in."""
    bases = item.node.bases if isinstance(item.node, ast.ClassDef) else []
    plain = {"object", "Module", "Dataset", "ABC"}
    return any(item.file.qualified(base).rpartition(".")[2] not in plain for base in bases)
