"""CPL004: a mark that stands for code which was left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, string_value
from assay.analysis.source_comments import Comment, hash_comments, python_comments
from assay.finding import Consequence, Finding, Severity
from assay.rules.rule import Example, Outcome, Rule

_SHOWN = 5
_CODE = r"(?:code|file|script|function|method|class|module|implementation|logic|methods|functions|classes|imports|loop)"
_BRACKETED = re.compile(
    r"\[(?:UNCHANGED|OMITTED|TRUNCATED|SNIP|SAME AS (?:BEFORE|ABOVE)|EXISTING CODE|REST UNCHANGED)\]"
)
# What a comment says where code was left out. The whole comment is looked at, from its beginning.
_SAME = r"(?:(?:is|are|remains?|stays?|goes)\s+)?(?:unchanged|the\s+same|same|omitted|as\s+before|identical)"
_END = r"(?=\W*$|\s+as\s+(?:before|above)\b|\s+(?:from|for\s+brevity)\b)"
_ELIDED = re.compile(
    rf"""
    (?:the\s+)?(?:rest|remainder)\s+of\s+(?:the\s+|this\s+)?(?:\w+\s+)?{_CODE}\s*(?:{_SAME}|here){_END}
    | (?:the\s+)?(?:remaining|existing|other|previous)\s+(?:\w+\s+)?{_CODE}\s*{_SAME}{_END}
    | (?:the\s+)?existing\s+(?:\w+\s+)?{_CODE}\s+(?:goes\s+)?here\W*$
    | (?:{_CODE}|details|definition|body|implementation\s+details|helpers?|code\s+above|code\s+below)?\s*
        \(?(?:is\s+|are\s+|was\s+|were\s+)?(?:omitted|shortened|truncated|abbreviated|elided|skipped)\s+for\s+brevity
    | (?:\.\.\.|…)\s*\(?\s*(?:the\s+)?(?:rest|remaining|remainder|existing|other|previous|unchanged|omitted|same|
        truncated|continued|as\s+before|keep)\b
        (?:\W*$|[\w\s]{{0,40}}\b{_CODE}\W*$|[^.]{{0,60}}(?:\.\.\.|…|\b(?:unchanged|omitted)\b))
    | (?:add|insert|put|write|place|fill\s+in|implement)\s+(?:\w+\s+){{0,3}}{_CODE}\s+(?:goes\s+)?here\W*$
    | (?:your\s+)(?:\w+\s+)?{_CODE}\s+(?:goes\s+)?here\W*$
    | (?:actual\s+|real\s+|the\s+)?(?:\w+\s+)?{_CODE}\s+goes\s+here\b
    | <\s*(?:snip|unchanged|omitted|rest\s+of\s+\w+)\s*>
    """,
    re.IGNORECASE | re.VERBOSE,
)  # fmt: skip
_TALK = re.compile(
    r"\b(?:omitted|shortened|truncated) for brevity\b|\bsimplified (?:version|implementation)\b|\bcode unchanged\b|"
    r"\bunchanged (?:from|since)\b|\bsame as before\b|\b(?:implementation|your code|code) (?:goes )?here\b|"
    r"\brest of (?:the )?(?:code|file) (?:is |remains )?(?:unchanged|the same)\b|^(?:\.\.\.|…)$",
    re.IGNORECASE,
)
# a sentence, unless it speaks of the text of the program
_SENTENCE = re.compile(
    r"(?!.*\b(?:code|file|script|implementation|module)\b)(?:the|all)\s[^.…\[]*\b(?:is|are|remains?|stays?)\b[^…\[]*$",
    re.IGNORECASE,
)
# a statement that does something
_CODE_LINE = re.compile(r"(?!return\b|pass\b|\.\.\.|#|def\b|class\b|raise\b|@|if __name__)\w.*")
_CORE = {"main": "B1.1", "train": "B1.1", "evaluate": "B1.2"}


class CodeLeftOut(Rule):
    """A mark stands where code should be: `[UNCHANGED]`, `# rest of the code unchanged`, a bare `...` between statements.

    Code generators shorten what they think is known. The text then reads well and cannot be run as it was meant: what
    the mark stands for is in no file of the submission.

    A bracketed mark, a comment that begins with such a phrase and a bare `...` beside other statements block. The same
    words within a sentence, such as "a simplified version of the loss", are a warning.
    """

    code = "CPL004"
    name = "code-left-out"
    requirements = ("E1.1", "D4.4", "D4.1", "B1.1", "B1.2")
    message = "code is left out: {shown}{more}"
    explanation = "{meaning}."
    repair = "Write out the code that the mark stands for, and remove the mark."

    VALID = (
        Example(
            {
                "src/model.py": (
                    "from typing import Protocol, overload\n\nimport torch\n\n\n"
                    "class Net(Protocol):\n    size: int\n\n    def run(self) -> int: ...\n\n    ...\n\n\n"
                    "class DataError(Exception): ...\n\n\n"
                    "@overload\ndef size(x: int) -> int: ...\n@overload\ndef size(x: str) -> str: ...\n"
                    "def size(x):\n    return x\n\n\n"
                    "def last(x: torch.Tensor) -> tuple[int, ...]:\n"
                    "    try:\n        x = x[..., -1]\n    except IndexError: ...\n    return tuple(x.shape)\n"
                )
            }
        ),
        # headings and explanations
        Example(
            {
                "src/train.py": (
                    "# Other helper functions below\nx = 1\n# Put imports here to keep the start fast\nimport os\n"
                    "# The rest of the loop is the same for both modes\nprint(os, x)\n# ... other layers are frozen\n"
                )
            }
        ),
        Example({"src/train.py": "# the shape stays unchanged here\nprint('a [..] b ...')\n"}),
    )
    INVALID = (
        Example(
            {"src/train.py": "def run(x):\n    # [UNCHANGED]\n    return x\n"},
            contract="derived",
            at=("src/train.py:2",),
            repaired={"src/train.py": "def run(x):\n    return x\n"},
        ),
        Example(
            {"src/train.py": "import torch\n\n# ... existing code ...\n\n\ndef run(x):\n    return x\n"},
            at=("src/train.py:3",),
            repaired={"src/train.py": "import torch\n\n\ndef run(x):\n    return x\n"},
        ),
        Example(
            {"src/evaluate.py": "def table(rows):\n    # Rest of the function unchanged\n    return rows\n"},
            at=("src/evaluate.py:2",),
            repaired={"src/evaluate.py": "def table(rows):\n    return sorted(rows)\n"},
        ),
        # a sentence on the code that follows it: a warning
        Example(
            {
                "src/train.py": "for x in rows:\n    # the rest of the loop is the same\n    loss = step(x)\n    loss.backward()\n"
            },
            at=("src/train.py:2",),
        ),
        Example(
            {"src/train.py": "def run(x):\n    # Add the training loop here\n    return x\n"},
            at=("src/train.py:2",),
            repaired={"src/train.py": "def run(x):\n    return x + 1\n"},
        ),
        Example(
            {"src/train.py": "def run(x):\n    x = x + 1\n    ...\n    return x\n"},
            at=("src/train.py:3",),
            repaired={"src/train.py": "def run(x):\n    x = x + 1\n    return x\n"},
        ),
        Example(
            {"src/model.py": '"""A simplified version of the loss in the paper."""\n\nx = 1\n'}, at=("src/model.py:1",)
        ),
        # behind a statement the words may speak of its value: a warning
        Example({"src/train.py": "print('a' * 9)  # shortened for brevity\n"}, at=("src/train.py:1",)),
        Example({"src/model.py": "def run(x):\n    if x:\n        ...\n    return x\n"}, at=("src/model.py:3",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        base = project.contract.family == "base"
        rows = {project.contract.role(role): row for role, row in _CORE.items()}
        for path in project.paths:
            text = project.submission.text(path)
            if text is None or project.submission.files[path].laid:
                continue
            if path in project.python:
                lines = project.python[path].lines
                said = [_in_comment(comment) for comment in python_comments(project.python[path])]
                marks = [mark and _weighed(mark, lines) for mark in said] + [*_in_code(project.python[path])]
            elif path in project.yaml or path == "pyproject.toml":
                marks = [_in_comment(comment) for comment in hash_comments(text)]
            else:
                continue
            found = {line: (shown, certain) for line, shown, certain in sorted(filter(None, marks), key=lambda m: m[2])}
            chosen = sorted(sorted(found, key=lambda line: (not found[line][1], line))[:_SHOWN])
            for line in chosen:
                shown, certain = found[line]
                hidden = len(found) - len(chosen) if line == chosen[-1] else 0
                row = rows.get(path)
                yield self._finding(path, line, shown, certain and (not base or row is not None), row, hidden)

    def _finding(self, path: str, line: int, shown: str, certain: bool, row: str | None, hidden: int) -> Finding:
        return self.finding(
            path,
            line,
            severity=Severity.BLOCKING if certain else Severity.WARNING,
            consequence=Consequence.BREAKS_CONTRACT,
            requirements=("E1.1", "D4.1" if shown == "`...`" else "D4.4", *([row] if row else [])),
            message=None if certain else "code may be left out: {shown}{more}",
            detail=shown,
            shown=shown,
            more=f" ({hidden} more in this file)" if hidden else "",
            meaning=_GONE if certain else _DOUBT,
        )


_GONE = "What the mark stands for is in no file of the submission"
_DOUBT = "Either something is missing here, or the words mean nothing of the kind"

_Found = tuple[int, str, bool]


def _in_comment(comment: Comment) -> _Found | None:
    if _BRACKETED.search(comment.text):
        return comment.line, _short(comment.text), True
    bare = comment.text.strip(" ([<>])")
    if _ELIDED.match(bare) or _ELIDED.match(comment.text):
        # what stands behind a statement may speak of the value in it
        return comment.line, _short(comment.text), comment.alone or "omitted" in comment.text.lower()
    return (comment.line, _short(comment.text), False) if _TALK.search(comment.text) else None


def _weighed(mark: _Found, lines: list[str]) -> _Found:
    """A whole sentence on the code that follows it is no certain mark: `# the rest of the loop is the same`."""
    line, shown, certain = mark
    if not certain or not _SENTENCE.match(shown) or not 0 < line < len(lines):
        return mark
    indent = len(lines[line - 1]) - len(lines[line - 1].lstrip())
    follows = lines[line]
    near = len(follows) - len(follows.lstrip()) == indent and _CODE_LINE.match(follows.strip()) is not None
    return line, shown, not near


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _in_code(file: PythonFile) -> Iterator[_Found]:
    for node in file.nodes:
        text = string_value(node.value) if isinstance(node, ast.Expr) else None
        for number, line in enumerate(text.split("\n") if text else (), getattr(node, "lineno", 1)):
            if _BRACKETED.search(line):
                yield number, _short(line), True
            elif _TALK.search(line.strip()) and ">>>" not in (text or ""):
                yield number, _short(line), False
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and not isinstance(node, ast.ClassDef):
                yield from _bare_ellipses(block, sole=isinstance(node, _BRANCHES))


_BRANCHES = ast.If | ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith | ast.Try | ast.match_case


def _bare_ellipses(block: list[ast.stmt], *, sole: bool) -> Iterator[_Found]:
    """Each bare `...` of a block: beside other statements it stands for code; alone, where `sole`, perhaps."""
    others = [statement for statement in block if not _is_constant(statement)]
    if others or sole:
        certain = any(not isinstance(statement, ast.Pass) for statement in others)
        yield from ((item.lineno, "`...`", certain) for item in block if _is_constant(item, Ellipsis))


def _is_constant(statement: ast.stmt, *values: object) -> bool:
    held = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(held, ast.Constant) and (not values or held.value in values)
