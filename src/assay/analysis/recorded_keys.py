"""Which keys the training side of a submission can record in W&B."""

from __future__ import annotations

import ast
import re
from functools import cached_property

from assay.analysis.name_origins import How, Origin, is_generator, origins_of, own_calls, returns_of
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword, string_value
from assay.analysis.text_pattern import Hole, Pattern, PatternReader, arguments
from assay.analysis.tracking_imports import files_besides_evaluate, logs_through_library

_MAX_STEPS = 600
_MAX_PATTERNS = 2_000
_MAX_KEY = 200
# Where these are used, the names of attributes may become keys.
_REFLECTION = frozenset({"asdict", "vars", "locals", "_asdict", "__dict__", "namedtuple", "NamedTuple", "fields"})
_RESHAPING = frozenset({"replace", "lower", "upper", "title", "capitalize", "strip", "removeprefix", "removesuffix"})
_TRAINERS = ("Trainer", "TrainingArguments", "LightningModule", "Fabric")
_SEPARATORS = "_/.- :"
_SAME_KEYS = frozenset({"dict", "copy.copy", "copy.deepcopy", "collections.OrderedDict"})
_EMPTY = frozenset({"collections.defaultdict", "collections.Counter"})
# https://docs.wandb.ai/ref/python/watch, https://docs.wandb.ai/guides/models/app/settings-page/system-metrics
_BY_ITSELF = ("_", "gradients/", "parameters/", "system.", "system/")
_NOT_PLAIN = re.compile(r"[^a-z0-9]")


def recorded_keys(project: Project) -> RecordedKeys:
    """What the training side of a submission can record, worked out once."""
    return project.shared(RecordedKeys)


class RecordedKeys:
    """What the training side can log, and what it can write into the summary.

    The answer errs on one side: a key of which it says that nothing records it is written nowhere in the training side,
    not even in parts.

    Attributes:
        unknown: Why the keys are not all known; empty where they are.
        log_calls: The calls that log.
    """

    def __init__(self, project: Project) -> None:
        self.unknown = ""
        self.log_calls: list[tuple[PythonFile, ast.Call]] = []
        self._files = files_besides_evaluate(project)
        self._calls = own_calls(project)
        self._origins = {file: origins_of(file) for file in self._files}
        self._readers = {file: PatternReader(file) for file in self._files}
        self._read_names: dict[PythonFile, dict[str, list[ast.Name]]] = {}
        self._words: set[str] = set()
        self._summary_words: set[str] = set()
        self._patterns: set[tuple[str | None, ...]] = set()
        self._reshapes = False
        self._pending: list[tuple[PythonFile, ast.expr]] = []
        self._keys: list[tuple[PythonFile, ast.expr]] = []
        if any("sync_tensorboard" in file.text for file in project.yaml.values()):
            self.unknown = "what TensorBoard records may be logged too"
        for file in self._files:
            self._read(file)
        self._follow()

    def may_log(self, key: str) -> bool:
        """Whether train may log a key, for all that reading tells."""
        return self._may(key, self._words)

    def may_summarise(self, key: str) -> bool:
        """Whether a key may stand in the summary, which holds the last value of everything that is logged."""
        return self._may(key, self._all_words)

    def _may(self, key: str, words: set[str]) -> bool:
        if self.unknown or key.startswith(_BY_ITSELF) or len(key) > _MAX_KEY or key in words:
            return True
        plain = self._plain_words if words is self._words else self._plain_words | self._plain_summary_words
        if self._reshapes and _NOT_PLAIN.sub("", key.lower()) in plain:
            return True
        return _is_made_of(key, words) or any(_fits(parts, key) for parts in self._patterns)

    @cached_property
    def _plain_words(self) -> set[str]:
        """The letters and digits of every text that is no key of the summary alone."""
        return {_NOT_PLAIN.sub("", word.lower()) for word in self._words}

    @cached_property
    def _plain_summary_words(self) -> set[str]:
        return {_NOT_PLAIN.sub("", word.lower()) for word in self._summary_words}

    @cached_property
    def _all_words(self) -> set[str]:
        return self._words | self._summary_words

    def _read(self, file: PythonFile) -> None:
        if file.tree is None:
            self.unknown = f"{file.path} cannot be read"
            return
        imported = [item.target for item in file.imports]
        foreign = any("wandb" in name.lower() and name.partition(".")[0] != "wandb" for name in imported)
        if logs_through_library(file) or foreign or any(name.endswith(_TRAINERS) for name in imported):
            self.unknown = "a library may log by itself"
        reflects = any(
            (isinstance(node, ast.Name) and node.id in _REFLECTION)
            or (isinstance(node, ast.Attribute) and node.attr in _REFLECTION)
            for node in file.nodes
        )
        for node in file.nodes:
            text = string_value(node)
            if text is not None and len(text) <= _MAX_KEY:
                target = self._summary_words if _is_summary_key(file, node) else self._words
                target.add(text)
                self._note_setting(file, node, text)
            elif isinstance(node, ast.keyword) and node.arg:
                self._words.add(node.arg)
                self._note_setting(file, node, node.arg)
            elif isinstance(node, ast.Attribute):
                self._reshapes |= node.attr in _RESHAPING
                if isinstance(node.ctx, ast.Store) and _is_summary(node.value):
                    self._summary_words.add(node.attr)
                if reflects:
                    self._words.add(node.attr)
            elif reflects and isinstance(node, ast.Name):
                self._words.add(node.id)
            if isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call):
                self._note_pattern(file, node)
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _is_summary(node.value):
                self._keys.append((file, node.slice))
        self._find_logs(file)

    def _note_setting(self, file: PythonFile, node: ast.AST, text: str) -> None:
        listed = isinstance(file.parents.get(node), ast.keyword | ast.List | ast.Tuple)
        if text == "wandb" and isinstance(node, ast.Constant) and listed:
            self.unknown = "a library is told to log to W&B"
        elif text == "sync_tensorboard":
            self.unknown = "what TensorBoard records is logged too"

    def _note_pattern(self, file: PythonFile, node: ast.JoinedStr | ast.BinOp | ast.Call) -> None:
        if isinstance(file.parents.get(node), ast.BinOp | ast.FormattedValue) or len(self._patterns) > _MAX_PATTERNS:
            return
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Attribute) and node.func.attr == "format"):
            return
        parts = self._readers[file].fold(node).parts
        literal = "".join(part for part in parts if isinstance(part, str))
        if any(isinstance(part, Hole) for part in parts) and sum(map(str.isalnum, literal)) > 1:
            self._patterns.add(tuple(part if isinstance(part, str) else None for part in parts))
        elif literal and len(literal) <= _MAX_KEY:
            self._words.add(literal)

    def _find_logs(self, file: PythonFile) -> None:
        called = {call.func for call, _ in file.calls}
        bound = {item.bound: item.target for item in file.imports}
        for call, name in file.calls:
            payload = call.args[0] if call.args else keyword(call, "data") or keyword(call, "row")
            if isinstance(call.func, ast.Attribute) and call.func.attr in ("update", "setdefault"):
                if _is_summary(call.func.value) and call.args:
                    (self._pending if call.func.attr == "update" else self._keys).append((file, call.args[0]))
                continue
            is_log = name == "wandb.log" or (
                isinstance(call.func, ast.Attribute)
                and call.func.attr == "log"
                and bound.get(_root(call.func), "wandb").partition(".")[0] == "wandb"
            )
            if not is_log or payload is None or _is_level(file, payload):
                continue
            self.log_calls.append((file, call))
            self._pending.append((file, payload))
        for node in file.nodes_of(ast.Name, ast.Attribute):
            if isinstance(node.ctx, ast.Load) and node not in called:
                is_log = file.qualified(node) == "wandb.log" or (
                    isinstance(node, ast.Attribute)
                    and node.attr == "log"
                    and bound.get(_root(node), "wandb").partition(".")[0] == "wandb"
                    and not isinstance(file.parents.get(node), ast.Attribute)
                )
                if is_log and not self._follow_alias(file, node):
                    self.unknown = self.unknown or "the logging function is handed on"

    def _follow_alias(self, file: PythonFile, node: ast.expr) -> bool:
        """Note what is logged through a name that stands for the logging function; whether all of it is seen."""
        parent = file.parents.get(node)
        if isinstance(parent, ast.IfExp):
            node, parent = parent, file.parents.get(parent)
        if isinstance(parent, ast.keyword):
            keyword_node, parent = parent, file.parents.get(parent)
            node = keyword_node.value
        if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
            return self._note_calls_of(file, parent.targets[0].id, None)
        if not isinstance(parent, ast.Call) or (own := self._calls.called(file, parent)) is None:
            return False
        target, function = own
        names = [name for name, value in arguments(function, parent).items() if value is node]
        return len(names) == 1 and target in self._origins and self._note_calls_of(target, names[0], function)

    def _note_calls_of(self, file: PythonFile, name: str, function: ast.AST | None) -> bool:
        uses = [node for node in file.nodes_of(ast.Name) if node.id == name]
        for use in uses:
            if not isinstance(use.ctx, ast.Load) or (function is not None and function not in file.ancestors(use)):
                continue
            parent = file.parents.get(use)
            if isinstance(parent, ast.Call) and parent.func is use:
                if parent.args:
                    self.log_calls.append((file, parent))
                    self._pending.append((file, parent.args[0]))
            elif not isinstance(parent, ast.If | ast.IfExp | ast.BoolOp | ast.Compare | ast.UnaryOp):
                return False
        return True

    def _follow(self) -> None:
        """Make sure that all keys come from this submission, and not from what a library returns."""
        seen: set[ast.AST] = set()
        for _ in range(_MAX_STEPS):
            if self.unknown or not (self._pending or self._keys):
                return
            if self._keys:
                file, node = self._keys.pop()
                known = node in seen or self._known_key(file, node)
            else:
                file, node = self._pending.pop()
                known = node in seen or self._known_mapping(file, node)
            seen.add(node)
            if not known:
                self.unknown = f"the keys logged in {file.path}:{getattr(node, 'lineno', 1)} are made elsewhere"
        self.unknown = self.unknown or "too much is logged to follow"

    def _known_mapping(self, file: PythonFile, node: ast.expr) -> bool:
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                (self._pending.append((file, value)) if key is None else self._keys.append((file, key)))
            return True
        if isinstance(node, ast.DictComp):
            self._keys.append((file, node.key))
            return True
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            self._pending += [(file, node.left), (file, node.right)]
            return True
        if isinstance(node, ast.IfExp):
            self._pending += [(file, node.body), (file, node.orelse)]
            return True
        if isinstance(node, ast.BoolOp):
            self._pending += [(file, value) for value in node.values]
            return True
        if isinstance(node, ast.Constant):
            return node.value is None
        if isinstance(node, ast.Call):
            return self._known_call(file, node)
        if isinstance(node, ast.Name):
            return self._known_name(file, node)
        return False

    def _known_call(self, file: PythonFile, node: ast.Call) -> bool:
        name = file.qualified(node.func)
        if name in _SAME_KEYS:
            self._pending += [(file, argument) for argument in node.args]
            self._pending += [(file, item.value) for item in node.keywords if item.arg is None]
            return True
        if name in _EMPTY:
            return len(node.args) < 2
        if isinstance(node.func, ast.Attribute) and node.func.attr == "copy" and not node.args:
            self._pending.append((file, node.func.value))
            return True
        return self._known_returns(file, node, ())

    def _known_returns(self, file: PythonFile, node: ast.expr, path: tuple[int, ...]) -> bool:
        own = self._calls.called(file, node) if isinstance(node, ast.Call) else None
        if own is None or own[0] not in self._origins or is_generator(own[1]):
            return False
        returned = [item.value for item in returns_of(own[1]) if item.value is not None]
        for value in returned:
            part: ast.expr = value
            for place in path:
                if not isinstance(part, ast.Tuple) or place >= len(part.elts):
                    return False
                part = part.elts[place]
            self._pending.append((own[0], part))
        return bool(returned)

    def _known_name(self, file: PythonFile, node: ast.Name) -> bool:
        origins = self._origins[file].of(node)
        scope = next((up for up in file.ancestors(node) if isinstance(up, ast.FunctionDef)), file.nodes[0])
        for use in self._uses_of(file).get(node.id, ()):
            parent = file.parents.get(use)
            if isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store) and parent.value is use:
                self._keys.append((file, parent.slice))
            above = file.parents.get(parent) if parent is not None else None
            if isinstance(parent, ast.Attribute) and parent.attr == "update" and isinstance(above, ast.Call):
                self._pending += [(file, argument) for argument in above.args]
            if isinstance(parent, ast.Call) and use in parent.args and scope in file.ancestors(use):
                self._note_stores(file, parent, use)
        return bool(origins) and all(self._known_origin(file, origin, scope) for origin in origins)

    def _uses_of(self, file: PythonFile) -> dict[str, list[ast.Name]]:
        """The places where each name of a file is read."""
        if file not in self._read_names:
            found: dict[str, list[ast.Name]] = {}
            for node in file.nodes_of(ast.Name):
                if isinstance(node.ctx, ast.Load):
                    found.setdefault(node.id, []).append(node)
            self._read_names[file] = found
        return self._read_names[file]

    def _note_stores(self, file: PythonFile, call: ast.Call, given: ast.Name) -> None:
        """Note the keys that a function of the submission adds to a dictionary which it is given."""
        own = self._calls.called(file, call)
        if own is None or own[0] not in self._origins:
            return
        names = {name for name, value in arguments(own[1], call).items() if value is given}
        for node in descend(own[1]):
            stored = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
            if stored and isinstance(node.value, ast.Name) and node.value.id in names:  # type: ignore[attr-defined]
                self._keys.append((own[0], node.slice))  # type: ignore[attr-defined]

    def _known_origin(self, file: PythonFile, origin: Origin, scope: ast.AST) -> bool:
        if origin.how is How.VALUE and origin.expression is not None:
            self._pending.append((file, origin.expression))
            return True
        if origin.how is How.PART and origin.expression is not None:
            if isinstance(origin.expression, ast.Tuple) and len(origin.path) == 1:
                elements = origin.expression.elts
                self._pending += [(file, elements[origin.path[0]])] if origin.path[0] < len(elements) else []
                return origin.path[0] < len(elements)
            return self._known_returns(file, origin.expression, origin.path)
        if origin.how is How.PARAMETER and origin.function is not None and isinstance(origin.node, ast.arg):
            given = self._calls.given(origin.function, origin.node.arg)
            if not given or any(other not in self._origins for other, _ in given):
                return False
            self._pending += given
            return True
        return False

    def _known_key(self, file: PythonFile, node: ast.expr) -> bool:
        pattern: Pattern = self._readers[file].fold(node)
        if any(isinstance(part, str) and any(map(str.isalnum, part)) for part in pattern.parts):
            return True
        if not pattern.parts or isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.JoinedStr | ast.BinOp):
            self._keys += [(file, hole.expression) for hole in pattern.holes if hole.expression is not None]
            return bool(pattern.holes)
        if isinstance(node, ast.IfExp):
            self._keys += [(file, node.body), (file, node.orelse)]
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _RESHAPING:
            self._keys.append((file, node.func.value))
            return True
        if not isinstance(node, ast.Name):
            return False
        origins = self._origins[file].of(node)
        return bool(origins) and all(self._known_key_origin(file, origin) for origin in origins)

    def _known_key_origin(self, file: PythonFile, origin: Origin) -> bool:
        if origin.how is How.VALUE and origin.expression is not None:
            self._keys.append((file, origin.expression))
            return True
        if origin.how is How.PARAMETER and origin.function is not None and isinstance(origin.node, ast.arg):
            given = self._calls.given(origin.function, origin.node.arg)
            self._keys += given or []
            return bool(given) and all(other in self._origins for other, _ in given or [])
        if origin.how is not How.ELEMENT:
            return False
        source = origin.expression
        if isinstance(source, ast.Name):
            source = self._readers[file].value_of(source)
        if isinstance(source, ast.List | ast.Tuple | ast.Set):
            items = source.elts
            if origin.path:
                items = [
                    item.elts[origin.path[0]]
                    for item in source.elts
                    if isinstance(item, ast.Tuple) and origin.path[0] < len(item.elts)
                ]
            self._keys += [(file, item) for item in items]
            return len(items) == len(source.elts)
        if isinstance(source, ast.Dict) and not origin.path:
            self._pending.append((file, source))
            return True
        if isinstance(source, ast.Call):
            if isinstance(source.func, ast.Attribute) and source.func.attr in ("items", "keys") and not source.args:
                self._pending.append((file, source.func.value))
                return origin.path in ((0,), ())
            return file.qualified(source.func) in ("range", "enumerate") and origin.path in ((), (0,))
        return False

    @cached_property
    def writes_summary(self) -> bool:
        """Whether anything on the training side names a summary."""
        return any(_is_summary(node) for file in self._files for node in file.nodes)


def _is_made_of(key: str, words: set[str]) -> bool:
    """Whether a key is made of words with separators between them."""
    ends = [place for place, letter in enumerate(key) if letter in _SEPARATORS] + [len(key)]
    reached = {0}
    for end in ends:
        starts = [start for start in reached if key[start:end] in words or key[start:end].isdigit()]
        if starts and end == len(key):
            return True
        if starts:
            reached.add(end + 1)
    return False


def _fits(parts: tuple[str | None, ...], key: str) -> bool:
    """Whether a key can come from a text with holes. The parts are looked for in order, without going back."""
    place = 0
    for number, part in enumerate(parts):
        if part is None:
            continue
        found = key.find(part, place)
        if found < 0 or (number == 0 and found):
            return False
        place = found + len(part)
    return parts[-1] is None or key.endswith(parts[-1])


def _is_summary(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "summary"
    return isinstance(node, ast.Name) and node.id in ("summary", "wandb_summary")


def _is_summary_key(file: PythonFile, node: ast.AST) -> bool:
    """Whether a text is a key that is written into a summary, and nothing else."""
    parent = file.parents.get(node)
    if isinstance(parent, ast.Subscript) and isinstance(parent.value, ast.Attribute):
        return parent.value.attr == "summary"
    if isinstance(parent, ast.Dict) and node in parent.keys:
        call = file.parents.get(parent)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "update":
            return isinstance(call.func.value, ast.Attribute) and call.func.value.attr == "summary"
    return False


def _is_level(file: PythonFile, node: ast.expr) -> bool:
    """Whether what a `log` is given first is a level of Python's logging, or a number."""
    number = isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    return number or file.qualified(node).startswith("logging.")


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
