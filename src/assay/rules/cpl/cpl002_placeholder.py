"""CPL002: a placeholder that was never filled in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from assay import yaml_tree
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, string_value
from assay.analysis.source_comments import Comment, hash_comments, python_comments
from assay.finding import Consequence, Finding, Severity
from assay.rules.rule import Example, Outcome, Rule

_SHOWN = 5
_LONGEST_VALUE = 200

# A note of work to do, at the beginning of a comment, or within it where a colon follows.
_NOTE = re.compile(r"^(?:TODO|FIXME|TBD)(?=$|[\s:(,.!])|\b(?:TODO|FIXME)(?:\([^)]*\))?:|^(?:todo|fixme)\s*:")
_MARK = re.compile(
    r"^PLACEHOLDER\b|\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_PLACEHOLDER\b|\bPLACEHOLDER_[A-Z0-9_]+\b|\bPLACEHOLDER:"
)
# The placeholders of a foundation, which no other submission may hold, and one that no foundation may.
_OF_A_BASE = re.compile(r"\b(?:DATASET|MODEL|(?:SPECIFIC_)?CONFIG)_PLACEHOLDER\b")
_OF_THE_CORE = re.compile(
    r"\b(?:ALGORITHM|METHOD|TRAINING(?:_LOOP)?|LOSS|OPTIMI[ZS]ER|UPDATE|STEP|LOGIC)_PLACEHOLDER\b"
)
_MENTION = re.compile(r"\b(?i:place-?holders?)\b|\b(?:TODO|FIXME|TBD)s?\b|^XXX\b(?!-)")
_DENIED = re.compile(
    r"\b(?:no|not|none|never|without|free of|instead of|rather than|any|replac\w+|remov\w+)\b[^.;]{0,40}$",
    re.IGNORECASE,
)
# The whole of a value: `<your entity>`, `YOUR_API_KEY`, `your-username`, `TBD`.
_VALUE = re.compile(
    r"<\s*(?i:your|insert|enter|fill)(?:\b|_)[^<>]{0,60}>|\[\s*(?:your|insert)\b[^\[\]]{0,60}\]|(?:INSERT_)?YOUR_[A-Z0-9_]+"
    r"|your (?:[a-z0-9]+ ){0,3}(?:entity|username|api key|token)"
    r"|your[-_](?:[a-z0-9]+[-_]){0,3}(?:entity|username|user|team|project|organi[sz]ation|name|key|token|path|dataset|"
    r"model|here)|TBD|TODO|FIXME|PLACEHOLDER|<\s*(?:TODO|TBD|PLACEHOLDER)\s*>|(?:[A-Z0-9]+_)+PLACEHOLDER"
    r"|PLACEHOLDER(?:_[A-Z0-9]+)+"
)  # fmt: skip
_TEMPLATE_CALLS = frozenset(
    {"replace", "sub", "split", "find", "index", "count", "partition", "startswith", "endswith", "add_tokens",
     "convert_tokens_to_ids", "format_map", "substitute"}
)  # fmt: skip
_LEFT = "The mark says that this part is still to be written"
_DOUBT = "Either this part is still to be written, or the text only speaks of placeholders"
_CORE = ("main", "train", "evaluate")


class PlaceholderLeft(Rule):
    """Code, comments or configuration still hold a mark for something to be filled in.

    A code generator that leaves `# TODO: add the metric`, `DATASET_PLACEHOLDER` or `entity: your-entity` says itself
    that this part is not done. The mark blocks where it cannot be read in another way: a comment that begins with
    TODO, FIXME or PLACEHOLDER, an upper-case `..._PLACEHOLDER`, or a whole value such as `<your entity>`. The mere word
    in a comment or docstring is a warning, and so is a mark that the program itself looks for (a template's variable,
    a check that the value was replaced).

    A foundation (contract `base`) is made of placeholders for data and model; there a mark in `main`, `train` or
    `evaluate` is a warning, and blocks where its name says that it stands for the algorithm (`LOSS_PLACEHOLDER`).
    """

    code = "CPL002"
    name = "placeholder-left"
    requirements = ("E1.1", "D2.1", "D2.2", "D2.3", "D2.7", "B2.3", "B1.1")
    message = "a placeholder is left: {shown}{more}"
    explanation = "{meaning}."
    repair = "Write what it stands for, and remove the mark."

    VALID = (
        Example({"src/train.py": "# no TODO left\nplaceholder_ids = [0]\n\n\ndef run(x, todo):\n    return x, todo\n"}),
        Example({"src/train.py": "import tensorflow as tf\n\nx = tf.placeholder(tf.float32)\n"}),
        Example({"src/train.py": "GREETING = 'your name'\n", "config/config.yaml": "ask: your name\n"}),
        Example({"src/train.py": "MASK = '<mask>'\nkinds = {'xxx': 1}\n", "config/config.yaml": "name: todo-list\n"}),
        Example({"src/model.py": "# PLACEHOLDER: the real models follow\nnets = {}\n"}, contract="base"),
    )
    INVALID = (
        # the name of a token of the program's own: a warning
        Example(
            {"src/preprocess.py": "# IMAGE_PLACEHOLDER marks where the patches go\nIMAGE_PLACEHOLDER = '<image>'\n"},
            at=("src/preprocess.py:1",),
        ),
        Example(
            {"src/train.py": "def loss(x):\n    # TODO: add the penalty\n    return x\n"},
            at=("src/train.py:2",),
            repaired={"src/train.py": "def loss(x):\n    return x + abs(x)\n"},
        ),
        Example(
            {"src/preprocess.py": "def load():\n    return 'DATASET_PLACEHOLDER'\n"},
            contract="derived",
            at=("src/preprocess.py:2",),
            repaired={"src/preprocess.py": "def load():\n    return 'ag_news'\n"},
        ),
        Example(
            {"config/config.yaml": "wandb:\n  entity: your-entity  # TODO\n  project: study\n"},
            at=("config/config.yaml:2",),
            repaired={"config/config.yaml": "wandb:\n  entity: lab\n  project: study\n"},
        ),
        Example(
            {"src/main.py": "TEAM = '<YOUR_ENTITY>'\n"},
            at=("src/main.py:1",),
            repaired={"src/main.py": "TEAM = 'lab'\n"},
        ),
        # the word alone: warnings
        Example({"config/config.yaml": "width: 8  # placeholder, the search sets it\n"}, at=("config/config.yaml:1",)),
        Example(
            {"src/train.py": "KEY = 'QUESTION_PLACEHOLDER'\n\n\ndef ask(text, q):\n    return text.replace(KEY, q)\n"},
            at=("src/train.py:1",),
        ),
        # one of several in a list, or the hint of an input field
        Example(
            {"src/main.py": "MARKS = ['TODO', 'HACK']\nCOUNTS = {'FIXME': 0}\nshow(placeholder='your-name')\n"},
            at=("src/main.py:1", "src/main.py:2", "src/main.py:3"),
        ),
        Example(
            {
                "src/main.py": "def check(name):\n    if name == 'DATASET_PLACEHOLDER':\n        raise ValueError(name)\n"
            },
            at=("src/main.py:2",),
        ),
        # a foundation: a warning, and only in the core of the algorithm
        Example(
            {"src/train.py": "# TODO: the loop\nx = 1\n", "src/model.py": "# TODO: models\nx = 1\n"},
            contract="base",
            at=("src/train.py:1",),
        ),
        Example(
            {"src/train.py": "for batch in []:\n    # ALGORITHM_PLACEHOLDER: the update\n    pass\n"},
            contract="base",
            at=("src/train.py:2",),
            repaired={"src/train.py": "for batch in []:\n    batch.update()\n"},
        ),
        # within a longer value; another name may be a template's
        Example(
            {"config/smoke_test.yaml": "about: averages on DATASET_PLACEHOLDER\nprompt: 'Q: QUESTION_PLACEHOLDER'\n"},
            contract="derived",
            at=("config/smoke_test.yaml:1", "config/smoke_test.yaml:2"),
            repaired={"config/smoke_test.yaml": "about: averages on digits\n"},
        ),
        # many in one file: five, and how many more
        Example(
            {"src/main.py": "".join(f"# TODO: step {number}\nx = {number}\n" for number in range(7))},
            at=tuple(f"src/main.py:{line}" for line in (1, 3, 5, 7, 9)),
            repaired={"src/main.py": "x = 1\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        base = project.contract.family == "base"
        core = {project.contract.role(role) for role in _CORE}
        for path in project.paths:
            text = project.submission.text(path)
            if text is None or project.submission.files[path].laid or (base and path not in core):
                continue
            if path in project.python:
                marks = list(_python_marks(project.python[path]))
            elif path in project.yaml:
                marks = list(_yaml_marks(project, path, text))
            elif path == "pyproject.toml":
                marks = [mark for comment in hash_comments(text) if (mark := _in_comment(comment))]
            else:
                continue
            marks = _one_a_line(marks)
            if base:
                marks = [
                    Mark(mark.line, mark.shown, bool(_OF_THE_CORE.search(mark.shown))) for mark in marks if mark.certain
                ]
            # the certain ones first, so that the number shown hides none of them
            chosen = sorted(sorted(marks, key=lambda mark: not mark.certain)[:_SHOWN], key=lambda mark: mark.line)
            for mark in chosen:
                last = mark is chosen[-1]
                yield self._finding(project, path, mark, len(marks) - len(chosen) if last else 0)

    def _finding(self, project: Project, path: str, mark: Mark, hidden: int) -> Finding:
        rows = ["E1.1", "D2.7", "B2.3", "B1.1"]
        if "PLACEHOLDER" in mark.shown:
            roles = {project.contract.role("preprocess"): "D2.1", project.contract.role("model"): "D2.2"}
            named = {"DATASET_PLACEHOLDER": "D2.1", "MODEL_PLACEHOLDER": "D2.2"}
            rows += [roles[path]] if path in roles else []
            rows += [row for name, row in named.items() if name in mark.shown]
        if path in project.yaml:
            rows.append("D2.3")
        return self.finding(
            path,
            mark.line,
            severity=Severity.BLOCKING if mark.certain else Severity.WARNING,
            consequence=Consequence.BREAKS_CONTRACT,
            requirements=tuple(dict.fromkeys(rows)),
            detail=mark.shown,
            message=None if mark.certain else "there is talk of a placeholder: {shown}{more}",
            shown=mark.shown,
            more=f" ({hidden} more in this file)" if hidden else "",
            meaning=_LEFT if mark.certain else _DOUBT,
        )


class Mark(NamedTuple):
    """One place that speaks of a placeholder; `certain` where it cannot mean anything else."""

    line: int
    shown: str
    certain: bool


def _one_a_line(marks: list[Mark]) -> list[Mark]:
    best: dict[int, Mark] = {}
    for mark in marks:
        known = best.get(mark.line)
        if known is None or (mark.certain and not known.certain):
            best[mark.line] = mark
    return [best[line] for line in sorted(best)]


def _in_comment(comment: Comment) -> Mark | None:
    return _in_prose(comment.line, comment.text, certain=True)


def _in_prose(line: int, text: str, *, certain: bool) -> Mark | None:
    """What a comment, or one line of a docstring, says of a placeholder."""
    if certain and (match := _NOTE.search(text) or _MARK.search(text)):
        denied = _DENIED.search(text[max(0, match.start() - 60) : match.start()])
        return None if denied else Mark(line, _short(text), True)
    match = _MENTION.search(text)
    if match is None or _DENIED.search(text[max(0, match.start() - 60) : match.start()]):
        return None
    return Mark(line, _short(text), False)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _yaml_marks(project: Project, path: str, text: str) -> Iterator[Mark]:
    for comment in hash_comments(text):
        if mark := _in_comment(comment):
            yield mark
    pending: list[yaml_tree.Node] = list(project.yaml[path].documents)
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml_tree.Scalar):
            if len(node.text) <= _LONGEST_VALUE and _VALUE.fullmatch(node.text.strip()):
                yield Mark(node.line, _short(node.text), True)
            elif match := _MARK.search(node.text):
                yield Mark(node.line, _short(node.text), bool(_OF_A_BASE.fullmatch(match.group())))
        elif isinstance(node, yaml_tree.Sequence):
            pending.extend(node.items)
        else:
            pending.extend(part for pair in node.pairs for part in pair)


def _python_marks(file: PythonFile) -> Iterator[Mark]:
    # names that the program gives a value: a comment on one says what it is for
    bound = {node.id for node in file.nodes_of(ast.Name) if isinstance(node.ctx, ast.Store)} if file.tree else set()
    for comment in python_comments(file):
        if mark := _in_comment(comment):
            known = (match := _MARK.search(comment.text)) is not None and match.group() in bound
            yield mark._replace(certain=mark.certain and not (known and not _OF_A_BASE.search(mark.shown)))
    if file.tree is None:
        return
    expected = _looked_for(file)
    for node in file.nodes_of(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Constant):
        if isinstance(node, FunctionNode | ast.ClassDef) and "placeholder" in node.name.lower():
            yield Mark(node.lineno, node.name, False)
        text = string_value(node)
        if text is None:
            continue
        if isinstance(file.parents.get(node), ast.Expr):
            before = ""
            for number, line in enumerate(text.split("\n"), node.lineno):  # type: ignore[attr-defined]
                mark = _in_docstring(number, line.strip(), before)
                if mark:
                    yield mark
                before = line.strip()
        elif len(text) <= _LONGEST_VALUE and _VALUE.fullmatch(text.strip()):
            certain = text.strip() not in expected and (bool(_MARK.search(text)) or not _is_listed(file, node))
            yield Mark(node.lineno, _short(text), certain)  # type: ignore[attr-defined]
        elif match := _MARK.search(text):
            yield Mark(node.lineno, _short(text), False if match.group() in expected else _says_it(text))  # type: ignore[attr-defined]


def _in_docstring(line: int, text: str, before: str) -> Mark | None:
    """What a line of a docstring says; a sentence may begin on the line before."""
    note = re.match(r"(?:TODO|FIXME|PLACEHOLDER)\s*(?:\([^)]*\))?:", text)
    if note:
        return Mark(line, _short(text), True)
    match = _MENTION.search(text)
    if match and _DENIED.search(f"{before[-60:]} {text[max(0, match.start() - 60) : match.start()]}"):
        return None
    return _in_prose(line, text, certain=False)


def _is_listed(file: PythonFile, node: ast.AST) -> bool:
    """Whether a text is one of several in a list or a key of a table, or what an input field shows while it is empty."""
    parent = file.parents.get(node)
    if isinstance(parent, ast.keyword):
        return parent.arg in ("placeholder", "help", "metavar", "description")
    if isinstance(parent, ast.Dict):
        return any(node is key for key in parent.keys)
    return isinstance(parent, ast.List | ast.Tuple | ast.Set)


def _says_it(text: str) -> bool:
    """Whether a longer text, such as an error message, calls its own place a placeholder."""
    return text.lstrip().startswith("PLACEHOLDER:")


def _looked_for(file: PythonFile) -> frozenset[str]:
    """Texts that the program itself compares with or replaces, and names of texts that it does this with."""
    found: set[str] = set()
    constants: dict[str, str] = {}
    for statement in file.nodes_of(ast.Assign):
        if (text := string_value(statement.value)) is not None:
            constants.update({target.id: text for target in statement.targets if isinstance(target, ast.Name)})
    for node in file.nodes_of(ast.Compare, ast.Call, ast.MatchValue):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TEMPLATE_CALLS:
            parts = list(node.args)
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        for part in parts:
            inner = part.elts if isinstance(part, ast.Set | ast.Tuple | ast.List) else [part]
            for element in inner:
                if (text := string_value(element)) is not None:
                    found.add(text.strip())
                elif isinstance(element, ast.Name) and element.id in constants:
                    found.add(constants[element.id].strip())
    return frozenset(found)
