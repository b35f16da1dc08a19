"""An abstract interpreter for the programs of a submission.

It walks through the statements of a program with the configuration that Hydra composed for a run. What the program
reads out of the configuration is known, and so are the constants that it makes of it; what comes out of libraries is
not. A condition that is not known sends it into both branches; what happens there is not certain.

Nothing of the submission is executed, and no object of Python's own is reached through its names: only the operations
that are written out here are carried out, on constants, on containers made here, and on OmegaConf's containers.
"""

from __future__ import annotations

import ast
import builtins
import operator
from argparse import ArgumentParser
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import PosixPath, PurePosixPath
from types import TracebackType
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from assay.analysis.enactment.configurations import CONTAINERS, DICT_METHODS, LIST_METHODS, Configurations, RaisedError
from assay.analysis.enactment.exception_names import SAME_EXCEPTION, catches, library_exception
from assay.analysis.enactment.syntax_questions import (
    as_load,
    captured,
    changing,
    leaves,
    module_paths,
    stored_names,
    yields,
)
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    CALL,
    CONSTANTS,
    TURN,
    Choice,
    Class,
    Counted,
    External,
    FilePath,
    Function,
    Instance,
    Items,
    Managed,
    Method,
    Module,
    Node,
    Pairs,
    Parser,
    Scope,
    choice,
    is_constant,
    marks_of,
)
from assay.analysis.python_source import FunctionNode, PythonFile

MAX_STEPS = 120_000
MAX_CALLS = 40
MAX_SAME_CALLS = 3
MAX_TURNS = 40
MAX_TEXT = 20_000
MAX_EVENTS = 4_000
MAX_BITS = 256
MAX_SHAKEN = 2_000
MAX_ITEMS = 1_000
MAX_AGAIN = 2
ROOT = "/submission"
NOT_FOLLOWED = "it could not be followed"

NORMAL, RETURN, BREAK, CONTINUE, RAISE = "normal", "return", "break", "continue", "raise"

# Kinds of regions. A statement in a `LOOP` is carried out for each batch; one in a `BRANCH` perhaps once, one in a
# `REPEAT` perhaps many times. One in a `TRY` is carried out, but what follows may find it undone half way; one in a
# `SEARCH` is, and many times. An exception ends the first three and the program goes on behind them.
BRANCH, LOOP, REPEAT, TRY, SEARCH = "branch", "loop", "repeat", "try", "search"

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


ENDED = frozenset({BRANCH, LOOP, REPEAT})


class ExhaustedError(Exception):
    """The enactment has taken as many steps as it may."""


class CaughtError(Exception):
    """An exception of the submission that one of its own `try` statements catches.

    Args:
        names: Names of the exception's class and of its bases.
        value: The exception.
        sure: Whether it is certain that the statement catches it.
    """

    def __init__(self, names: tuple[str, ...], value: object = ANYTHING, *, sure: bool = True) -> None:
        super().__init__(names)
        self.names = names
        self.value = value
        self.sure = sure


class LeftError(Exception):
    """An exception of the submission ends the innermost region: what stands behind it there is not carried out.

    Args:
        depth: How many regions there are around it.
    """

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.depth = depth


class EndedError(Exception):
    """The program ends here."""


class Attempt:
    """A `try` statement whose body is being enacted.

    Args:
        names: The names of the exceptions that it catches; `?` where a handler catches something unknown.
        depth: How many regions there are around it.
        guards: Whether it stands for a `try` of the submission.
        reached: Whether an exception on one of several ways leads to its handlers.
    """

    __slots__ = ("depth", "guards", "names", "reached")

    def __init__(self, names: tuple[str, ...], depth: int, *, guards: bool = True) -> None:
        self.names = names
        self.depth = depth
        self.guards = guards
        self.reached = False


class Region:
    """A part of the program that may not be entered, or more than once. An exception of the submission ends it."""

    __slots__ = ("depth", "kind", "machine")

    def __init__(self, machine: Machine, kind: str) -> None:
        self.machine = machine
        self.kind = kind
        self.depth = 0

    def __enter__(self) -> None:
        machine = self.machine
        self.depth = len(machine.regions)
        machine.made += 1
        machine.regions.append((machine.made, self.kind))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        del self.machine.regions[self.depth :]
        return kind is LeftError and self.kind in ENDED


class Machine:
    """One program of a submission with one configuration.

    Args:
        files: The Python files of the submission, by path.
        texts: The other files that the program may read, by path.
        libraries: What calls of library functions do.
    """

    def __init__(self, files: dict[str, PythonFile], texts: dict[str, str], libraries: Libraries) -> None:
        self.files = files
        self.texts = texts
        self.libraries = libraries
        self.configurations = Configurations(lambda: self.region)
        self.modules: dict[str, Module] = {}
        self.events: list[dict[str, object]] = []
        self.entered: set[tuple[str, int]] = set()
        self.steps = 0
        self.frames: list[Scope] = []
        self.calling: list[object] = []
        self.regions: list[tuple[int, str]] = []
        self.tries: list[Attempt] = []
        self.handling: list[CaughtError | None] = []
        self.changes = 0
        self.again = 0
        self.eager: ast.AST | None = None
        self.made = 0
        self.stops = 0
        self.complete = True
        self.reason = ""
        self.doubt = False
        self.argv: object = Items([], open=True)
        self.environment = Pairs({}, open=True)
        self.disk: dict[str, object] = {}
        self.resolvers: set[str] = set()
        self.moved = False
        self.entry: Callable[[Function, External], object] | None = None
        self.heard: frozenset[str] | None = None
        self.changing, self.declared = changing(files)
        self._module_paths = module_paths(files)
        # the submission's own modules, under the names that a changed `sys.path` gives them
        self.own_names = frozenset(name.rpartition(".")[2] for name in self._module_paths)
        self._seen: set[object] = set()
        self._keys: list[object] = []
        self._called_back: set[object] = set()
        self._where: list[ast.AST] = []

    # -- what is known of the way here ---------------------------------------------------------------------------

    @property
    def region(self) -> int:
        """The innermost region that may not be entered, or more than once."""
        return self.regions[-1][0] if self.regions else 0

    def within(self, kind: str) -> Region:
        """A region that may not be entered (`branch`), or that is entered for each batch (`loop`)."""
        return Region(self, kind)

    def certainty(self) -> str:
        """Whether the program certainly comes here: `yes`, `loop` (once a batch), or `maybe`."""
        if self.doubt:
            return "maybe"
        found = "yes"
        for _, kind in self.regions:
            if kind in (BRANCH, REPEAT):
                return "maybe"
            if kind == LOOP:
                found = "loop"
        return found

    def weak(self, region: int) -> bool:
        """Whether a change to something that was made in a region may not happen, or more than once."""
        if self.region == region:
            return False
        self.changes += 1
        return True

    def mixed(self, old: object, new: object) -> object:
        """What holds where a change may have happened."""
        if any(kind in (LOOP, REPEAT, SEARCH) for _, kind in self.regions):
            return choice([old, new, External("?", marks_of(old, new))])
        return choice([old, new])

    def emit(self, kind: str, node: ast.AST | None, **data: object) -> None:
        """Record an event, if anybody wants to hear of its kind."""
        if self.heard is not None and kind not in self.heard:
            return
        frame = self.frames[-1] if self.frames else None
        path = frame.file.path if frame else None
        certain = self.certainty()
        line, column = getattr(node, "lineno", None), getattr(node, "col_offset", -1) + 1
        shown = tuple(data.values())
        key: object = (kind, path, line, column, certain, shown)
        try:
            known = key in self._seen
        except TypeError:
            key = (kind, path, line, column, certain, repr(shown))
            known = key in self._seen
        if known:
            return
        if len(self.events) >= MAX_EVENTS:
            self.complete, self.reason = False, "more happens than is recorded"
            return
        self._seen.add(key)
        self._keys.append(key)
        self.events.append(
            {
                "kind": kind,
                "file": path,
                "line": line,
                "column": column,
                "end_line": getattr(node, "end_lineno", None),
                "end_column": (getattr(node, "end_col_offset", None) or -1) + 1,
                "certain": certain,
                "guarded": any(attempt.guards for attempt in self.tries),
                "stops": self.stops,
                "function": self._function_name(),
                "frames": self._frames(),
                **data,
            }
        )

    def _forget_events(self, count: int) -> None:
        """Take back what was recorded after the first so many events."""
        self._seen.difference_update(self._keys[count:])
        del self._keys[count:], self.events[count:]

    def _frames(self) -> list[tuple[str, int]]:
        """The calls that lead here, outermost first."""
        places: list[tuple[str, int]] = []
        for frame, call in zip(self.frames[-7:], self._where[-7:], strict=True):
            line = getattr(call, "lineno", 0)
            if line:
                places.append((frame.file.path, line))
        return places[-6:]

    def _function_name(self) -> str:
        return self.calling[-1].name if self.calling and isinstance(self.calling[-1], Function) else ""

    # -- faults ----------------------------------------------------------------------------------------------------

    def fault(self, fault: RaisedError, node: ast.AST, recover: object = ANYTHING, **data: object) -> object:
        """An operation raises here: go to the handler that catches it, or record it and go on."""
        if self._goes_to_handler(fault.names, ANYTHING):
            raise self.left()
        self.emit("fault", node, names=list(fault.names), message=fault.message, key=fault.key, **data)
        if self.certainty() == "yes":
            self.stops += 1
        return recover

    def throw(self, names: tuple[str, ...], value: object, node: ast.AST, message: str) -> None:
        """The program raises an exception: go to the handler that catches it, or record it.

        It comes back only where the program certainly stops here; then what follows is enacted as if it did not.
        """
        if not self._goes_to_handler(names, value):
            self.emit("raise", node, names=list(names), message=message)
            if self.certainty() == "yes":
                self.stops += 1
                return
        raise self.left()

    def _goes_to_handler(self, names: tuple[str, ...], value: object) -> bool:
        """Whether a handler may catch an exception that is raised here.

        Raises:
            CaughtError: where nothing but the exception leads to the handler.
        """
        for attempt in reversed(self.tries):
            caught = catches(attempt.names, names)
            if caught is False:
                continue
            if self._boundary() <= attempt.depth:
                raise CaughtError(names, value, sure=caught is True)
            attempt.reached = True
            return True
        return False

    def _boundary(self) -> int:
        """How many regions there are up to the innermost one that an exception ends."""
        for place in range(len(self.regions), 0, -1):
            if self.regions[place - 1][1] in ENDED:
                return place
        return 0

    def left(self) -> LeftError:
        """What is raised where an exception of the submission ends the innermost region."""
        return LeftError(self._boundary())

    def exit(self, value: object, node: ast.AST) -> object:
        """The program asks to end: `sys.exit(value)`."""
        if self._goes_to_handler(("SystemExit", "BaseException"), ANYTHING):
            raise self.left()
        fails = isinstance(value, str) or (isinstance(value, int) and value % 256 != 0)
        self.emit("exit", node, fails=fails)
        if self.certainty() != "yes":
            # a program that ends well here does not come to what follows
            self.doubt = self.doubt or not fails
            raise self.left() if self._boundary() else EndedError
        if not fails:
            raise EndedError
        self.stops += 1
        return ANYTHING

    # -- modules ---------------------------------------------------------------------------------------------------

    def run(self, path: str) -> None:
        """Enact a file as a program."""
        file = self.files.get(path)
        if file is None or file.tree is None:
            self.complete, self.reason = False, f"{path} could not be read"
            return
        scope = Scope(file, is_module=True)
        scope.names["__name__"] = "__main__"
        scope.names["__file__"] = f"{ROOT}/{path}"
        self.modules["__main__"] = Module("__main__", scope)
        OmegaConf.register_new_resolver("oc.env", self._environment_value, replace=True)
        try:
            self._body(scope, file.tree.body)
        except ExhaustedError:
            self.complete, self.reason = False, "it takes too many steps"
        except (CaughtError, LeftError, EndedError):
            pass
        except RecursionError:
            self.complete, self.reason = False, "it nests too deeply"
        except (ValueError, TypeError, OverflowError, LookupError, AttributeError) as error:
            self.complete, self.reason = False, f"{NOT_FOLLOWED} ({type(error).__name__})"
        finally:
            OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)

    def _environment_value(self, key: str, default: object = None) -> object:
        """`${oc.env:KEY}`: known where the program has set it itself."""
        value = self.environment.pairs.get(key)
        if isinstance(value, str) and key not in self.environment.doubtful:
            return value
        return self.configurations.unknown()

    def _body(self, scope: Scope, body: list[ast.stmt]) -> str:
        self.frames.append(scope)
        self._where.append(body[0] if body else ast.Pass())
        scope.region = self.region
        depth = len(self.regions)
        try:
            return self.block(body, scope)
        except LeftError as left:
            if left.depth <= depth:
                raise
            return RAISE
        finally:
            self.frames.pop()
            self._where.pop()
            del self.regions[depth:]

    def module(self, name: str) -> object:
        """A module by its dotted name: one of the submission, or a library's."""
        if name in self.modules:
            return self.modules[name]
        path = self._module_paths.get(name)
        if path is None:
            return External(name)
        file = self.files.get(path)
        if file is None or file.tree is None:
            return External("?")
        scope = Scope(file, is_module=True)
        scope.names["__name__"] = name
        scope.names["__file__"] = f"{ROOT}/{path}"
        made = Module(name, scope)
        self.modules[name] = made
        self._body(scope, file.tree.body)
        return made

    # -- statements ------------------------------------------------------------------------------------------------

    def block(self, body: list[ast.stmt], scope: Scope) -> str:
        """Enact statements in order; how they end."""
        for statement in body:
            self.step()
            self._where[-1] = statement
            how = self._STATEMENTS.get(type(statement))
            status = how(self, statement, scope) if how else NORMAL
            if status != NORMAL:
                return status
            if scope.doubt:
                self._doubtful(scope)
        return NORMAL

    def _doubtful(self, scope: Scope) -> None:
        """What follows in the turn or call may not be reached: a region that lasts to its end."""
        if not any(number == scope.covered for number, _ in self.regions):
            self.made += 1
            scope.covered = self.made
            self.regions.append((self.made, BRANCH))

    def turn(self, body: list[ast.stmt], scope: Scope) -> str:
        """Enact a turn of a loop, or another body that statements may leave early."""
        depth, doubt = len(self.regions), scope.doubt
        try:
            return self.block(body, scope)
        except LeftError as left:
            if left.depth <= depth:
                raise
            return RAISE
        finally:
            del self.regions[depth:]
            if scope.doubt == TURN:
                scope.doubt = doubt

    def step(self) -> None:
        """Count a step."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise ExhaustedError

    def _import(self, node: ast.Import, scope: Scope) -> str:
        for alias in node.names:
            made = self.module(alias.name)
            if alias.asname:
                self.bind(scope, alias.asname, made)
            else:
                first = alias.name.partition(".")[0]
                # `import src.model` binds `src`: a path that leads to the modules
                self.bind(scope, first, External(first) if isinstance(made, External) else External(f"own:{first}"))
        return NORMAL

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> str:
        name = scope.file._absolute(node) if node.level else (node.module or "")
        made = self.module(name)
        for alias in node.names:
            if alias.name == "*":
                if isinstance(made, Module):
                    public = self.turns(made.scope.names.get("__all__"), keep=True)
                    for key, held in list(made.scope.names.items()):
                        if key in public if public is not None else not key.startswith("_"):
                            self.bind(scope, key, held)
                continue
            value: object
            if isinstance(made, Module):
                value = made.scope.names.get(alias.name, ABSENT)
                if value is ABSENT:
                    value = self.module(f"{name}.{alias.name}")
                    if isinstance(value, External):
                        value = ANYTHING
            elif f"{name}.{alias.name}" in self._module_paths:
                value = self.module(f"{name}.{alias.name}")
            elif isinstance(made, External):
                value = made.then(f".{alias.name}")
            else:
                value = ANYTHING
            self.bind(scope, alias.asname or alias.name, value)
        return NORMAL

    def _expression(self, node: ast.Expr, scope: Scope) -> str:
        self.eval(node.value, scope)
        return NORMAL

    def _assign(self, node: ast.Assign, scope: Scope) -> str:
        value = self.eval(node.value, scope)
        for target in node.targets:
            self.assign(target, value, scope)
        return NORMAL

    def _annotated(self, node: ast.AnnAssign, scope: Scope) -> str:
        if node.value is not None:
            self.assign(node.target, self.eval(node.value, scope), scope)
        return NORMAL

    def _augmented(self, node: ast.AugAssign, scope: Scope) -> str:
        load = as_load(node.target)
        old = self.eval(load, scope)
        new = self.eval(node.value, scope)
        if isinstance(old, Items) and old.kind == "list" and isinstance(node.op, ast.Add):
            self.extend(old, new)
            return NORMAL
        if isinstance(old, Items) and old.kind in ("list", "set"):
            self.shake(old)
            return NORMAL
        if isinstance(old, Pairs) and isinstance(node.op, ast.BitOr):
            self.update_pairs(old, new, node)
            return NORMAL
        if isinstance(old, Choice) and any(isinstance(one, Items | Pairs | Instance | Node) for one in old.values):
            self.havoc(old.values)
            self.assign(node.target, ANYTHING, scope)
            return NORMAL
        if isinstance(old, Node | Instance | Pairs):
            self.havoc([old])
            if not isinstance(old, Pairs):
                self.assign(node.target, ANYTHING, scope)
            return NORMAL
        self.assign(node.target, self.binary(node.op, old, new), scope)
        return NORMAL

    def extend(self, items: Items, value: object) -> None:
        """`items += value`."""
        is_weak = self.weak(items.region)
        turns = self.turns(value)
        if is_weak and not items.items:
            items.hollow = True
        if turns is not None and len(items.items) + len(turns) <= MAX_ITEMS:
            items.items += turns
            items.hollow = items.hollow and (is_weak or not turns)
            items.open = items.open or is_weak
        else:
            items.hollow = items.hollow or not items.items
            items.open = True

    def append(self, items: Items, value: object) -> None:
        """`items.append(value)`."""
        if self.weak(items.region):
            items.hollow = items.hollow or not items.items
            items.open = True
        else:
            items.hollow = False
        if len(items.items) < MAX_ITEMS:
            items.items.append(value)
        else:
            items.open = True

    def shake(self, items: Items) -> None:
        """Elements may have come, gone or changed places."""
        self.weak(items.region)
        items.open = items.hollow = True

    def update_pairs(self, pairs: Pairs, value: object, node: ast.AST) -> None:
        """`pairs.update(value)`."""
        if isinstance(value, Node):
            value = self.configurations.container(value.config, resolve=True)
        if isinstance(value, Pairs):
            for key, one in list(value.pairs.items()):
                if key in value.doubtful:
                    with self.within(BRANCH):
                        self.set_item(pairs, key, one, node)
                else:
                    self.set_item(pairs, key, one, node)
            if not value.open:
                return
        self.set_item(pairs, ANYTHING, ANYTHING, node)

    def havoc(self, values: Iterable[object]) -> None:
        """Something unknown may have changed these values, and what they hold."""
        pending, seen = list(values), set[int]()
        while pending and len(seen) < MAX_SHAKEN:
            value = pending.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Items):
                pending += value.items
                if value.kind != "tuple":
                    self.shake(value)
            elif isinstance(value, Pairs):
                pending += value.pairs.values()
                self.weak(value.region)
                value.open = True
                value.doubtful.update(value.pairs)
                for key, one in value.pairs.items():
                    value.pairs[key] = _unsure(one)
            elif isinstance(value, Instance):
                pending += value.attributes.values()
                self.weak(value.region)
                value.open = True
                value.doubtful.update(value.attributes)
                for name, one in value.attributes.items():
                    value.attributes[name] = _unsure(one)
            elif isinstance(value, Node):
                self.changes += 1
                self.configurations.shake(value.config)
            elif isinstance(value, Choice):
                pending += value.values
            elif isinstance(value, Function) and value.bound:
                pending.append(value.this)

    def _delete(self, node: ast.Delete, scope: Scope) -> str:
        for target in node.targets:
            if isinstance(target, ast.Name):
                if not self.regions:
                    scope.names.pop(target.id, None)
            elif isinstance(target, ast.Subscript):
                receiver = self.eval(target.value, scope)
                key = ANYTHING if isinstance(target.slice, ast.Slice) else self.eval(target.slice, scope)
                self.remove(receiver, key)
            elif isinstance(target, ast.Attribute):
                self.remove(self.eval(target.value, scope), target.attr)
        return NORMAL

    def remove(self, receiver: object, key: object) -> None:
        """`del receiver[key]`, or `del receiver.key`."""
        if isinstance(receiver, Node):
            self.changes += 1
            if is_constant(key) and self.certainty() == "yes":
                self.configurations.remove(receiver.config, key)
            else:
                self.configurations.shake(receiver.config)
        elif isinstance(receiver, Pairs):
            is_weak = self.weak(receiver.region)
            if not is_constant(key):
                receiver.doubtful.update(receiver.pairs)
            elif is_weak and key in receiver.pairs:
                receiver.doubtful.add(key)
            else:
                receiver.pairs.pop(key, None)
                receiver.doubtful.discard(key)
        elif isinstance(receiver, Items):
            self.shake(receiver)
        elif isinstance(receiver, Instance) and isinstance(key, str):
            self.weak(receiver.region)
            receiver.attributes.pop(key, None)
            receiver.open = True
        elif isinstance(receiver, Choice):
            self.havoc(receiver.values)

    def _return(self, node: ast.Return, scope: Scope) -> str:
        scope.returns.append(self.eval(node.value, scope) if node.value is not None else None)
        return RETURN

    def _raise(self, node: ast.Raise, scope: Scope) -> str:
        if node.exc is None:
            again = self.handling[-1] if self.handling else None
            if again is None:
                # which exception it is, is not known
                if self._goes_to_handler(("?", "Exception", "BaseException"), ANYTHING) or self._boundary():
                    raise self.left()
                return RAISE
            self.throw(again.names, again.value, node, "")
            return NORMAL
        value = self.eval(node.exc, scope)
        if node.cause is not None:
            self.eval(node.cause, scope)
        if isinstance(value, Class):
            value = self.call(value, [], {}, node)
        names = self._exception_names(value)
        if "SystemExit" in names:
            keys = dict(value.keys) if isinstance(value, External) else {}
            self.exit(keys.get("0") if not isinstance(value, External) or value.path == "SystemExit()" else None, node)
            return NORMAL
        self.throw(names, value, node, self._message(value))
        return NORMAL

    def _message(self, value: object) -> str:
        if isinstance(value, External):
            return next((str(one) for name, one in value.keys if name == "0"), "")[:300]
        return ""

    def _exception_names(self, value: object) -> tuple[str, ...]:
        """Names of an exception's class and bases; `?` among them where there may be others."""
        if isinstance(value, Instance):
            value = value.cls
        if isinstance(value, Class):
            names = [one.node.name for one in value.lineage()]
            for one in value.lineage():
                for base in one.bases:
                    names += library_exception(base.path) if isinstance(base, External) else []
                    if not isinstance(base, External | Class):
                        names.append("?")
            return tuple(dict.fromkeys([*names, "Exception", "BaseException"]))
        if isinstance(value, External):
            return library_exception(value.path.removesuffix("()"))
        return ("?", "Exception", "BaseException")

    def _if(self, node: ast.If, scope: Scope) -> str:
        known = self.truth(self.eval(node.test, scope))
        if known is True:
            return self.block(node.body, scope)
        if known is False:
            return self.block(node.orelse, scope)
        return self.fork(
            scope,
            lambda: self.block(node.body, scope),
            lambda: self.block(node.orelse, scope) if node.orelse else NORMAL,
        )

    def fork(self, scope: Scope, *ways: Callable[[], str]) -> str:
        """Several ways of which the program takes one."""
        before = scope.names
        ends: list[tuple[str, dict[str, object]]] = []
        for way in ways:
            scope.names = dict(before)
            status = RAISE
            with self.within(BRANCH):
                status = way()
            ends.append((status, scope.names))
        return self._joined_ways(scope, ends)

    def _joined_ways(self, scope: Scope, ends: list[tuple[str, dict[str, object]]]) -> str:
        """Go on after several ways: with the names of those that go on; those that leave are remembered."""
        going = [names for status, names in ends if status == NORMAL]
        leaving = {status for status, _ in ends if status in (RETURN, BREAK, CONTINUE)}
        if not going and len(leaving) == 1:
            scope.names = joined([names for status, names in ends if status in leaving])
            return leaving.pop()
        for status, names in ends:
            if scope.loops and status in (BREAK, CONTINUE):
                scope.loops[-1][status == CONTINUE].append(names)
        if leaving:
            scope.doubt = max(scope.doubt, CALL if RETURN in leaving else TURN)
        if not going:
            scope.names = ends[0][1]
            return RAISE
        scope.names = joined(going)
        return NORMAL

    def _for(self, node: ast.For | ast.AsyncFor, scope: Scope) -> str:
        source = self.eval(node.iter, scope)
        turns = self.turns(source)
        if turns is not None and len(turns) <= MAX_TURNS:
            return self._each(node, turns, scope)
        item = turns[0] if turns else self.element(source)
        return self._loop(
            node, scope, LOOP if turns or self.runs_for_batches(source) else REPEAT, (node.target, item), ends=True
        )

    def _each(self, node: ast.For | ast.AsyncFor, turns: list[object], scope: Scope) -> str:
        """Enact a loop turn for turn."""
        breaks: list[dict[str, object]] = []
        continues: list[dict[str, object]] = []
        depth, doubt = len(self.regions), scope.doubt
        status = NORMAL
        for item in turns:
            continues.clear()
            self.assign(node.target, item, scope)
            scope.loops.append((breaks, continues))
            try:
                status = self.turn(node.body, scope)
            finally:
                scope.loops.pop()
            if status in (NORMAL, CONTINUE):
                scope.names = joined([scope.names, *continues])
            elif continues:
                # some way has gone on to the next turn
                breaks += [scope.names] if status == BREAK else []
                if status == RETURN:
                    scope.doubt = CALL
                scope.names = joined(continues)
            else:
                break
            status = NORMAL
            if breaks and scope.doubt < CALL:
                # the loop may have ended already
                scope.doubt = TURN
                self._doubtful(scope)
        if scope.doubt == TURN:
            scope.doubt = doubt
            del self.regions[depth:]
        if status == NORMAL and node.orelse:
            if scope.doubt:
                self._doubtful(scope)
            if not breaks:
                return self.block(node.orelse, scope)
            at_break = joined(breaks)
            breaks = []

            def broken() -> str:
                scope.names = dict(at_break)
                return NORMAL

            return self.fork(scope, broken, lambda: self.block(node.orelse, scope))
        if breaks or status == BREAK:
            scope.names = joined([scope.names, *breaks] if status in (NORMAL, BREAK) else breaks)
            if status == RETURN:
                scope.doubt = CALL
            return NORMAL
        return status

    def _while(self, node: ast.While, scope: Scope) -> str:
        known = self.truth(self.eval(node.test, scope))
        if known is False:
            return self.block(node.orelse, scope) if node.orelse else NORMAL
        ends = not (isinstance(node.test, ast.Constant) and known)
        return self._loop(node, scope, LOOP if known else REPEAT, None, ends=ends)

    def _loop(
        self,
        node: ast.For | ast.AsyncFor | ast.While,
        scope: Scope,
        kind: str,
        target: tuple[ast.expr, object] | None,
        *,
        ends: bool,
    ) -> str:
        """Enact the body once for all turns: what it changes is not known when it begins."""
        tested = stored_names(node.test) if isinstance(node, ast.While) else frozenset()
        for name in stored_names(*node.body) | tested:
            if name in scope.names and not isinstance(scope.names[name], Node | Function | Class | Module):
                scope.names[name] = choice([scope.names[name], External("?", marks_of(scope.names[name]))])
        before = dict(scope.names)
        changes, events, stops, doubt = self.changes, len(self.events), self.stops, scope.doubt
        breaks: list[dict[str, object]] = []
        continues: list[dict[str, object]] = []
        status = NORMAL
        for again in (False, True):
            if again:
                # the turn has changed what the next one begins with
                self._forget_events(events)
                self.stops = stops
                scope.names = joined([before, scope.names])
                self.again += 1
            breaks, continues = [], []
            scope.loops.append((breaks, continues))
            status = RAISE
            try:
                with self.within(kind):
                    if target is not None:
                        self.assign(target[0], target[1], scope)
                    status = self.turn(node.body, scope)
                    if isinstance(node, ast.While) and status in (NORMAL, CONTINUE):
                        self.eval(node.test, scope)
            finally:
                scope.loops.pop()
                self.again -= again
            if self.changes == changes or self.again >= MAX_AGAIN:
                break
        if status == RETURN:
            scope.doubt = CALL
        elif scope.doubt == TURN:
            scope.doubt = doubt
        leaves = bool(breaks) or status == BREAK
        if not ends and not leaves:
            return RETURN if scope.doubt == CALL else RAISE
        after = [*breaks, *continues]
        if status in (NORMAL, BREAK, CONTINUE) or not after:
            after.append(scope.names)
        if kind == REPEAT:
            after.append(before)
        scope.names = dict(joined(after))
        for name in tested:
            scope.names[name] = _unsure(scope.names.get(name, ANYTHING))
        if not node.orelse:
            return NORMAL
        if scope.doubt:
            self._doubtful(scope)
        return (
            self.fork(scope, lambda: NORMAL, lambda: self.block(node.orelse, scope))
            if leaves
            else self.block(node.orelse, scope)
        )

    def runs_for_batches(self, source: object) -> bool:
        """Whether a loop over this value stands for work that cannot be nothing: epochs, batches, samples."""
        if isinstance(source, External):
            path = source.path
            return any(word in path for word in ("DataLoader", "load_dataset", "range()", "trange()", "datasets."))
        if isinstance(source, Instance):
            paths = [base.path for one in source.cls.lineage() for base in one.bases if isinstance(base, External)]
            return any("Data" in path or path.startswith("torch.") for path in paths)
        if isinstance(source, Counted):
            return source.batches
        if isinstance(source, Choice):
            return all(self.runs_for_batches(one) for one in source.values)
        return False

    def turns(self, source: object, *, keep: bool = False) -> list[object] | None:
        """The elements of a value that can be gone through, in order; None where they are not known.

        Args:
            keep: Whether this is a look only: an iterator is not used up by it.
        """
        if isinstance(source, Items):
            if source.open:
                return None
            found = list(source.items)
            if source.kind == "iterator" and not keep:
                source.open = source.hollow = True
            return found
        if isinstance(source, str):
            return list(source) if len(source) <= MAX_TURNS else None
        if isinstance(source, Pairs) and not source.attributes:
            return None if source.open or source.doubtful else list(source.pairs)
        if isinstance(source, Node):
            config = source.config
            if not isinstance(config, CONTAINERS) or not self.configurations.is_sure(config):
                return None
            if config._is_none() or config._is_missing():
                return None
            if isinstance(config, DictConfig):
                return [self.configurations.abstract(key) for key in config]
            return [self._peek(config, index) for index in range(len(config))]
        return None

    def _peek(self, config: object, key: object) -> object:
        try:
            return self.configurations.item(config, key)
        except RaisedError:
            return ANYTHING

    def element(self, source: object) -> object:
        """An element of a value that is not known as a whole."""
        if isinstance(source, Items):
            return choice([*source.items, ANYTHING]) if source.items else ANYTHING
        if isinstance(source, Pairs):
            return ANYTHING
        if isinstance(source, External):
            return source.then("[*]")
        if isinstance(source, Counted):
            return Items([ANYTHING, source.inner], "tuple", region=self.region)
        if isinstance(source, Choice):
            return choice([self.element(one) for one in source.values])
        return ANYTHING

    def _with(self, node: ast.With | ast.AsyncWith, scope: Scope) -> str:
        return self._with_items(list(node.items), node.body, scope)

    def _with_items(self, items: list[ast.withitem], body: list[ast.stmt], scope: Scope) -> str:
        """`with` its first manager around the rest."""
        if not items:
            return self.block(body, scope)
        item, rest = items[0], items[1:]
        value = self.eval(item.context_expr, scope)
        if isinstance(value, Managed):
            return self._with_generator(value, item, rest, body, scope)
        method = value.cls.method("__exit__") if isinstance(value, Instance) else None
        entered, close = self.libraries.enter(self, value)
        if item.optional_vars is not None:
            self.assign(item.optional_vars, entered, scope)
        if method is not None and isinstance(value, Instance):
            return self._with_instance(value, method, rest, body, scope)
        swallowed = _swallowed(value)
        try:
            if swallowed:
                return self._attempt(body, [], swallowed, scope, rest)
            return self._with_items(rest, body, scope)
        finally:
            if close is not None:
                close()

    def _with_instance(
        self, value: Instance, method: Function, rest: list[ast.withitem], body: list[ast.stmt], scope: Scope
    ) -> str:
        """`with` an object of the submission: its `__exit__` may catch what the body raises."""
        swallows = any(
            isinstance(one, ast.Return)
            and one.value is not None
            and not (isinstance(one.value, ast.Constant) and not one.value.value)
            for one in ast.walk(method.node)
        )
        status = RAISE
        try:
            if swallows:
                status = self._attempt(body, [], ("?",), scope, rest)
            else:
                status = self._with_items(rest, body, scope)
        except (CaughtError, LeftError):
            with self.within(BRANCH):
                self.call(method.bound_to(value), [ANYTHING, ANYTHING, ANYTHING], {}, method.node)
            raise
        self.call(method.bound_to(value), [ANYTHING if swallows else None] * 3, {}, method.node)
        return status

    def _with_generator(
        self, managed: Managed, item: ast.withitem, rest: list[ast.withitem], body: list[ast.stmt], scope: Scope
    ) -> str:
        """`with` a generator function: the body is carried out where it yields."""
        ends: list[str] = []
        before = dict(scope.names)
        after: list[dict[str, object]] = []

        def carry(yielded: object) -> None:
            # where it may yield at several places, each is a way of its own
            scope.names = dict(before) if after else scope.names
            self.frames.append(scope)
            self._where.append(body[0])
            try:
                if item.optional_vars is not None:
                    self.assign(item.optional_vars, yielded, scope)
                ends.append(self._with_items(rest, body, scope))
                after.append(scope.names)
                scope.names = joined(after)
            finally:
                self.frames.pop()
                self._where.pop()

        function = Function(
            managed.function.node,
            managed.function.scope,
            managed.function.this,
            managed.function.bound,
            managed.function.owner,
            [],
            managed.function.defaults,
        )
        self._call_function(
            function,
            list(managed.positional),
            dict(managed.keywords),
            item.context_expr,
            managed.is_open,
            managed=carry,
        )
        if not ends:
            with self.within(BRANCH):
                carry(ANYTHING)
        found = set(ends)
        if len(found) == 1:
            return found.pop()
        if found - {NORMAL}:
            scope.doubt = CALL
        return NORMAL

    def _try(self, node: ast.Try, scope: Scope) -> str:
        if not node.finalbody:
            return self._attempted(node, scope)
        tries = len(self.tries)
        if leaves(node.finalbody, ast.Return, ast.Break, ast.Continue):
            # leaving it that way takes the place of an exception
            self.tries.append(Attempt(("?",), len(self.regions)))
        try:
            status = self._attempted(node, scope)
        except (CaughtError, LeftError, EndedError):
            del self.tries[tries:]
            last = self.block(node.finalbody, scope)
            if last != NORMAL:
                return last
            raise
        finally:
            del self.tries[tries:]
        last = self.block(node.finalbody, scope)
        return last if last != NORMAL else status

    def _attempted(self, node: ast.Try, scope: Scope) -> str:
        if not node.handlers:
            status = self.block(node.body, scope)
            return self.block(node.orelse, scope) if status == NORMAL and node.orelse else status
        names: list[str] = []
        for handler in node.handlers:
            names += self._handled(handler, scope)
        return self._attempt(node.body, node.handlers, tuple(names), scope, [], node.orelse)

    def _attempt(
        self,
        body: list[ast.stmt],
        handlers: list[ast.ExceptHandler],
        names: tuple[str, ...],
        scope: Scope,
        managers: list[ast.withitem],
        orelse: Iterable[ast.stmt] = (),
    ) -> str:
        """Enact a body whose exceptions are caught: by handlers, or by nothing that does anything (`suppress`)."""
        depth, tries, doubt = len(self.regions), len(self.tries), scope.doubt
        if not handlers or not all(_ends(handler.body) for handler in handlers):
            self.made += 1
            self.regions.append((self.made, TRY))
        before = scope.names
        scope.names = dict(before)
        attempt = Attempt(names, len(self.regions))
        self.tries.append(attempt)
        inner = len(self.regions)
        thrown: CaughtError | None = None
        status = RAISE
        try:
            status = self._with_items(managers, body, scope)
        except CaughtError as caught:
            if catches(names, caught.names) is not False:
                thrown = caught
            elif not attempt.reached:
                raise
            else:
                # on another way a handler is reached, and the program goes on behind it
                for outer in self.tries[:tries]:
                    outer.reached = True
        except LeftError as left:
            if left.depth <= inner and not attempt.reached:
                raise
        finally:
            del self.tries[tries:]
            del self.regions[depth:]
        if scope.doubt > doubt:
            self._doubtful(scope)
        after = scope.names
        # where in the body an exception comes is not known, so what the body binds may be bound or not
        start = dict(joined([before, after]))
        for name in stored_names(*body):
            if name in start:
                start[name] = _unsure(start[name])
        ends: list[tuple[str, dict[str, object]]] = []
        if thrown is None:
            if status == NORMAL and orelse:
                status = self._else(list(orelse), handlers, scope)
                after = scope.names
            ends.append((status, after))
        elif thrown.sure and not handlers:
            scope.names = start
            return NORMAL
        elif thrown.sure and catches(tuple(self._handled(handlers[0], scope)), thrown.names) is True:
            kinds = self._handled(handlers[0], scope)
            if len(handlers) == 1 or any(kind in ("*", "Exception", "BaseException") for kind in kinds):
                scope.names = start
                if handlers[0].name:
                    self.bind(scope, handlers[0].name, thrown.value)
                return self._handle(handlers[0], scope, thrown)
        for handler in handlers:
            self._perhaps(handler, scope, dict(start), thrown, ends)
        if not handlers:
            ends.append((NORMAL, start))
        if thrown is not None and not thrown.sure and self.tries:
            # it may be caught further out, too
            scope.doubt = CALL
        return self._joined_ways(scope, ends)

    def _else(self, body: list[ast.stmt], handlers: list[ast.ExceptHandler], scope: Scope) -> str:
        """The `else` of a `try`: it is not reached where a handler goes on behind it."""
        if all(isinstance(handler.body[-1], ast.Raise) for handler in handlers):
            return self.block(body, scope)
        status = RAISE
        with self.within(BRANCH):
            status = self.block(body, scope)
        return status

    def _perhaps(
        self,
        handler: ast.ExceptHandler,
        scope: Scope,
        names: dict[str, object],
        thrown: CaughtError | None,
        ends: list[tuple[str, dict[str, object]]],
    ) -> None:
        """A handler that may be carried out."""
        scope.names = names
        if handler.name:
            self.bind(scope, handler.name, thrown.value if thrown is not None else ANYTHING)
        status = RAISE
        with self.within(BRANCH):
            status = self._handle(handler, scope, None)
        ends.append((status, scope.names))

    def _handle(self, handler: ast.ExceptHandler, scope: Scope, caught: CaughtError | None) -> str:
        self.handling.append(caught)
        try:
            return self.block(handler.body, scope)
        finally:
            self.handling.pop()

    def _handled(self, handler: ast.ExceptHandler, scope: Scope) -> list[str]:
        """The names of the exceptions that a handler catches."""
        if handler.type is None:
            return ["*"]
        value = self.eval(handler.type, scope)
        names: list[str] = []
        for one in value.items if isinstance(value, Items) and not value.open else [value]:
            if isinstance(one, Class):
                names.append(one.node.name)
            elif isinstance(one, External) and one.path != "?" and not one.path.endswith((")", "]")):
                name = one.path.rpartition(".")[2]
                names += [SAME_EXCEPTION.get(name, name)]
            else:
                names.append("?")
        return names

    def _function(self, node: FunctionNode, scope: Scope) -> str:
        made: object = self.define(node, scope)
        for decorator in reversed(node.decorator_list):
            if isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "deleter", "getter"):
                known = scope.names.get(node.name)
                if isinstance(known, Function) and isinstance(made, Function):
                    if decorator.attr == "setter":
                        known.setter = made
                    made = known if decorator.attr != "getter" else ANYTHING
                    continue
            value = self.eval(decorator, scope)
            if isinstance(value, External) and value.path != "?":
                if isinstance(made, Function):
                    made.decorators.append(value)
            else:
                made = self.call(value, [made], {}, decorator)
        self.bind(scope, node.name, made)
        return NORMAL

    def define(self, node: FunctionNode | ast.Lambda, scope: Scope) -> Function:
        """The function that a definition makes."""
        made = Function(node, scope, owner=scope.owner if scope.is_class else None)
        arguments = node.args
        named = [*arguments.posonlyargs, *arguments.args]
        for parameter, default in zip(named[len(named) - len(arguments.defaults) :], arguments.defaults, strict=True):
            made.defaults[parameter.arg] = self.eval(default, scope)
        for parameter, given in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if given is not None:
                made.defaults[parameter.arg] = self.eval(given, scope)
        return made

    def _class(self, node: ast.ClassDef, scope: Scope) -> str:
        made = Class(node, scope, [self.eval(base, scope) for base in node.bases], region=self.region)
        made.vague = any(
            word.arg != "metaclass" or self.eval(word.value, scope) != External("abc.ABCMeta") for word in node.keywords
        )
        decorators = [self.eval(one, scope) for one in node.decorator_list]
        inner = Scope(scope.file, scope, owner=made, is_class=True, region=self.region)
        made.names = inner.names
        self.block(node.body, inner)
        made.names = inner.names
        value: object = made
        for decorator in reversed(decorators):
            if isinstance(decorator, External) and decorator.path != "?":
                made.decorators.append(decorator)
                made.vague = made.vague or not decorator.path.startswith(_PLAIN_CLASS_DECORATORS)
            else:
                value = self.call(decorator, [value], {}, node)
        self.bind(scope, node.name, value)
        return NORMAL

    def _match(self, node: ast.Match, scope: Scope) -> str:
        subject = self.eval(node.subject, scope)
        ways: list[Callable[[], str]] = []
        for case in node.cases:
            known = self._pattern(case.pattern, subject, scope)
            if known is None or ways:
                for name in captured(case.pattern):
                    self.bind(scope, name, ANYTHING)
            if case.guard is not None and known is not False:
                guard: bool | None = None
                if known is True and not ways:
                    guard = self.truth(self.eval(case.guard, scope))
                else:
                    with self.within(BRANCH):
                        guard = self.truth(self.eval(case.guard, scope))
                known = guard if known is True else (False if guard is False else None)
            if known is True and not ways:
                return self.block(case.body, scope)
            if known is not False:
                ways.append(lambda body=case.body: self.block(body, scope))  # type: ignore[misc]
            if known is True:
                break
        else:
            ways.append(lambda: NORMAL)
        return self.fork(scope, *ways) if len(ways) > 1 else NORMAL

    def _pattern(self, pattern: ast.pattern, subject: object, scope: Scope) -> bool | None:
        if isinstance(pattern, ast.MatchValue):
            return self.compare(ast.Eq(), subject, self.eval(pattern.value, scope))
        if isinstance(pattern, ast.MatchSingleton):
            return subject is pattern.value if is_constant(subject) else None
        if isinstance(pattern, ast.MatchOr):
            found = [self._pattern(one, subject, scope) for one in pattern.patterns]
            return True if True in found else (None if None in found else False)
        if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
            if pattern.name:
                self.bind(scope, pattern.name, subject)
            return True
        return None

    def _assert(self, node: ast.Assert, scope: Scope) -> str:
        known = self.truth(self.eval(node.test, scope))
        if known is False:
            self.throw(("AssertionError", "Exception", "BaseException"), ANYTHING, node, "")
        return NORMAL

    def _global(self, node: ast.Global | ast.Nonlocal, scope: Scope) -> str:
        outer = scope.outer
        for name in node.names:
            target = outer
            while target is not None and target.outer is not None:
                if isinstance(node, ast.Nonlocal) and name in target.names:
                    break
                target = target.outer
            if target is not None:
                scope.declared[name] = target
        return NORMAL

    _STATEMENTS: dict[type[ast.stmt], Callable[..., str]] = {
        ast.Import: _import,
        ast.ImportFrom: _import_from,
        ast.Expr: _expression,
        ast.Assign: _assign,
        ast.AnnAssign: _annotated,
        ast.AugAssign: _augmented,
        ast.Delete: _delete,
        ast.Return: _return,
        ast.Raise: _raise,
        ast.If: _if,
        ast.For: _for,
        ast.AsyncFor: _for,
        ast.While: _while,
        ast.With: _with,
        ast.AsyncWith: _with,
        ast.Try: _try,
        ast.TryStar: _try,
        ast.FunctionDef: _function,
        ast.AsyncFunctionDef: _function,
        ast.ClassDef: _class,
        ast.Match: _match,
        ast.Assert: _assert,
        ast.Global: _global,
        ast.Nonlocal: _global,
        ast.Break: lambda self, node, scope: BREAK,
        ast.Continue: lambda self, node, scope: CONTINUE,
    }

    # -- names and targets -------------------------------------------------------------------------------------------

    def bind(self, scope: Scope, name: str, value: object) -> None:
        """Bind a name in a scope."""
        target = scope.declared.get(name, scope)
        if target is not scope and self.weak(target.region):
            value = self.mixed(target.names.get(name, ANYTHING), value)
        target.names[name] = value

    def lookup(self, scope: Scope, name: str) -> object:
        """What a name stands for."""
        one: Scope | None = scope.declared.get(name, scope)
        first = True
        while one is not None:
            if (first or not one.is_class) and name in one.names:
                value = one.names[name]
                if name in self.declared or (name in self.changing and one.is_module and not scope.is_module):
                    return _unsure(value)
                return value
            first = False
            one = one.outer
        return External(name) if name in _BUILTINS else ANYTHING

    def assign(self, target: ast.expr, value: object, scope: Scope) -> None:
        """Assign a value to a target."""
        if isinstance(target, ast.Name):
            self.bind(scope, target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            self._unpack(target.elts, value, scope)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value, scope)
        elif isinstance(target, ast.Attribute):
            self.set_attribute(self.eval(target.value, scope), _mangled(target.attr, scope), value, target)
        elif isinstance(target, ast.Subscript):
            receiver = self.eval(target.value, scope)
            if isinstance(target.slice, ast.Slice):
                self.havoc([receiver])
            else:
                self.set_item(receiver, self.eval(target.slice, scope), value, target)

    def _unpack(self, targets: list[ast.expr], value: object, scope: Scope) -> None:
        turns = self.turns(value)
        starred = next((place for place, one in enumerate(targets) if isinstance(one, ast.Starred)), None)
        if turns is not None and starred is None and len(turns) == len(targets):
            for target, item in zip(targets, turns, strict=True):
                self.assign(target, item, scope)
            return
        for place, target in enumerate(targets):
            if isinstance(target, ast.Starred):
                self.assign(target, Items([], open=True, hollow=True), scope)
            elif starred is not None and place > starred:
                self.assign(target, self.element(value), scope)
            elif isinstance(value, External):
                self.assign(target, value.then(f"[{place}]"), scope)
            elif isinstance(value, Choice):
                self.assign(target, choice([self.item(one, place, None) for one in value.values]), scope)
            else:
                self.assign(target, self.element(value), scope)

    def set_attribute(self, receiver: object, name: str, value: object, node: ast.AST) -> None:
        """`receiver.name = value`."""
        if isinstance(receiver, Node):
            self.write(receiver, name, value, node, attribute=True)
        elif isinstance(receiver, Instance):
            found = receiver.cls.find(name)
            if isinstance(found, Function) and found.setter is not None:
                self.call(found.setter.bound_to(receiver), [value], {}, node)
                return
            if receiver.cls.find("__setattr__") is not ABSENT or isinstance(found, Instance):
                self.havoc([receiver])
                value = ANYTHING
            old = receiver.attributes.get(name, ABSENT)
            if self.weak(receiver.region):
                if old is ABSENT:
                    receiver.doubtful.add(name)
                value = self.mixed(receiver.cls.find(name) if old is ABSENT else old, value)
            else:
                receiver.doubtful.discard(name)
            receiver.attributes[name] = value
        elif isinstance(receiver, Class):
            is_weak = self.weak(receiver.region)
            receiver.names[name] = self.mixed(receiver.names.get(name, ABSENT), value) if is_weak else value
        elif isinstance(receiver, Module):
            names = receiver.scope.names
            is_weak = self.weak(receiver.scope.region)
            names[name] = self.mixed(names.get(name, ABSENT), value) if is_weak else value
        elif isinstance(receiver, Pairs) and receiver.attributes:
            self.set_item(receiver, name, value, node)
        elif isinstance(receiver, Choice):
            for one in receiver.values:
                with self.within(BRANCH):
                    self.set_attribute(one, name, value, node)
        elif isinstance(receiver, External):
            if receiver.path.startswith("own:"):
                module = self.module(receiver.path[4:])
                if isinstance(module, Module):
                    self.set_attribute(module, name, value, node)
            self.libraries.set_attribute(self, receiver, name, value, node)

    def set_item(self, receiver: object, key: object, value: object, node: ast.AST) -> None:
        """`receiver[key] = value`."""
        if isinstance(receiver, Node):
            self.write(receiver, key, value, node)
        elif isinstance(receiver, Pairs):
            is_weak = self.weak(receiver.region)
            if not is_constant(key):
                receiver.open = True
                for name, one in receiver.pairs.items():
                    receiver.pairs[name] = choice([one, value, External("?", marks_of(value))])
            elif not is_weak:
                receiver.pairs[key] = value
                receiver.doubtful.discard(key)
            elif key in receiver.pairs:
                receiver.pairs[key] = self.mixed(receiver.pairs[key], value)
            else:
                receiver.pairs[key] = self.mixed(value, value)
                receiver.doubtful.add(key)
        elif isinstance(receiver, Items):
            is_weak = self.weak(receiver.region)
            if isinstance(key, int) and -len(receiver.items) <= key < len(receiver.items):
                receiver.items[key] = self.mixed(receiver.items[key], value) if is_weak else value
            else:
                receiver.items[:] = [choice([one, value, External("?", marks_of(value))]) for one in receiver.items]
                receiver.open = True
        elif isinstance(receiver, Instance):
            method = receiver.cls.method("__setitem__")
            if method is not None:
                self.call(method.bound_to(receiver), [key, value], {}, node)
            else:
                receiver.open = True
        elif isinstance(receiver, Choice):
            for one in receiver.values:
                with self.within(BRANCH):
                    self.set_item(one, key, value, node)
        elif isinstance(receiver, External):
            self.libraries.set_item(self, receiver, key, value, node)

    def write(self, receiver: Node, key: object, value: object, node: ast.AST, *, attribute: bool = False) -> None:
        """Write into a configuration."""
        config = receiver.config
        keys = key.values if isinstance(key, Choice) else (key,)
        for one in keys:
            path = self.configurations.key_of(config, one) if is_constant(one) else None
            new = value
            sure = len(keys) == 1 and self.is_sure(config)
            if not sure:
                self.changes += 1
            if not sure and is_constant(one):
                if self.configurations.has(config, one) is False:
                    self.configurations.doubt(config, one)
                try:
                    new = self.mixed(self.configurations.item(config, one), value)
                except RaisedError:
                    new = self.mixed(value, value)
            if not is_constant(one):
                self.configurations.shake(config)
                self.emit("write", node, path=None, marks=tuple(sorted(marks_of(value, one))))
                continue
            try:
                if sure:
                    self.configurations.settle(config, one)
                self.configurations.write(config, one, new, attribute=attribute)
            except RaisedError as fault:
                self.fault(fault, node, what="write")
            self.emit("write", node, path=path, marks=tuple(sorted(marks_of(value))), constant=is_constant(value))

    def is_sure(self, config: object) -> bool:
        """Whether a change to a configuration certainly happens, once."""
        return not self.weak(self.configurations.region_of(config)) and not self.doubt

    # -- expressions -------------------------------------------------------------------------------------------------

    def eval(self, node: ast.expr | None, scope: Scope) -> object:
        """What an expression holds."""
        self.step()
        how = self._EXPRESSIONS.get(type(node))  # type: ignore[arg-type]
        return how(self, node, scope) if how else ANYTHING

    def _name(self, node: ast.Name, scope: Scope) -> object:
        return self.lookup(scope, node.id)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> object:
        return self.attribute(self.eval(node.value, scope), _mangled(node.attr, scope), node)

    def attribute(self, receiver: object, name: str, node: ast.AST) -> object:
        """`receiver.name`."""
        if isinstance(receiver, External):
            if receiver.path.startswith("own:"):
                dotted = f"{receiver.path[4:]}.{name}"
                if dotted in self._module_paths:
                    return self.module(dotted)
                found = self.module(receiver.path[4:])
                if isinstance(found, Module):
                    return found.scope.names.get(name, ANYTHING)
                return External(f"own:{dotted}")
            return self.libraries.attribute(self, receiver, name, node)
        if isinstance(receiver, Node):
            return self._read_attribute(receiver, name, node)
        if isinstance(receiver, Instance):
            return self._instance_attribute(receiver, name, node)
        if isinstance(receiver, Class):
            return self._class_attribute(receiver, name)
        if isinstance(receiver, Function):
            plain = name == "__name__" and not receiver.decorators and not isinstance(receiver.node, ast.Lambda)
            return receiver.name if plain and "__name__" not in self.changing else ANYTHING
        if isinstance(receiver, Module):
            found = receiver.scope.names.get(name, ABSENT)
            if found is ABSENT:
                return ANYTHING if name.startswith("__") else self.module(f"{receiver.name}.{name}")
            return _unsure(found) if name in self.changing or name in self.declared else found
        if isinstance(receiver, Pairs) and receiver.attributes:
            if name == "__dict__":
                return self.shared_pairs(receiver)
            if name in receiver.pairs:
                return _unsure(receiver.pairs[name]) if receiver.open else receiver.pairs[name]
            return ANYTHING
        if isinstance(receiver, Choice):
            able = [one for one in receiver.values if not is_constant(one) or hasattr(type(one), name)]
            return choice([self.attribute(one, name, node) for one in able]) if able else ANYTHING
        if isinstance(receiver, Super):
            return receiver.attribute(name)
        if is_constant(receiver) and not name.startswith("__") and not hasattr(type(receiver), name):
            kind = type(receiver).__name__
            names = ("AttributeError", "Exception")
            shown = f"'{kind}' object has no attribute '{name}'"
            return self.fault(RaisedError(names, shown), node, what="attribute", of=kind)
        if isinstance(receiver, str | Items | Pairs | FilePath | Parser):
            if isinstance(receiver, FilePath):
                found_path = self.libraries.path_attribute(receiver, name)
                if found_path is not ABSENT:
                    return found_path
            return Method(receiver, name) if name in _METHODS[_kind_of(receiver)] else ANYTHING
        return ANYTHING

    def shared_pairs(self, pairs: Pairs) -> Pairs:
        """The dictionary behind the attributes of a namespace."""
        made = Pairs(pairs.pairs, pairs.open, pairs.region, doubtful=pairs.doubtful)
        # what is put into it under a name that is not known, is not seen from the other side
        pairs.open = True
        return made

    def _class_attribute(self, receiver: Class, name: str) -> object:
        if name in ("__name__", "__qualname__") and receiver.find(name) is ABSENT and not receiver.vague:
            return receiver.node.name if name == "__name__" else ANYTHING
        found = receiver.find(name)
        if found is ABSENT or receiver.find("__getattribute__") is not ABSENT or isinstance(found, Instance):
            return ANYTHING
        if isinstance(found, Function):
            if found.has("property", "functools.cached_property"):
                return ANYTHING
            return found.bound_to(receiver) if found.has("classmethod") else found
        if name in self.changing or not _keeps_names(receiver):
            return _unsure(found) if _keeps_names(receiver) else ANYTHING
        return found

    def _read_attribute(self, receiver: Node, name: str, node: ast.AST) -> object:
        config = receiver.config
        is_mapping = isinstance(config, DictConfig)
        if name in (DICT_METHODS if is_mapping else LIST_METHODS):
            return Method(receiver, name)
        if name.startswith("_"):
            return ANYTHING
        return self.read(receiver, name, node, lambda: self.configurations.attribute(config, name), "attribute")

    def read(self, receiver: Node, key: object, node: ast.AST, how: Callable[[], object], by: str) -> object:
        """Read an entry of a configuration, and record it."""
        path = self.configurations.key_of(receiver.config, key)
        try:
            value = how()
        except RaisedError as fault:
            value = self.fault(fault, node, what="read", path=path, by=by)
            self.emit("read", node, path=path, by=by, found=False)
            return value
        self.emit("read", node, path=path, by=by, found=True, marks=tuple(sorted(marks_of(value))))
        return value

    def _instance_attribute(self, receiver: Instance, name: str, node: ast.AST) -> object:
        if name == "__class__":
            return receiver.cls
        if name.startswith("__") and name.endswith("__") and not isinstance(receiver.cls.find(name), Function):
            self.havoc([receiver])
            return ANYTHING
        found = receiver.cls.find(name)
        if isinstance(found, Function) and found.has("property", "functools.cached_property", "abc.abstractproperty"):
            return self.call(found.bound_to(receiver), [], {}, node)
        if receiver.cls.find("__getattribute__") is not ABSENT:
            return ANYTHING
        if name in receiver.attributes:
            value = receiver.attributes[name]
            if receiver.open or (name in self.changing and self.regions):
                return _unsure(value)
            return value
        if isinstance(found, Function):
            if found.has("staticmethod"):
                return found
            return found.bound_to(receiver.cls if found.has("classmethod") else receiver)
        if isinstance(found, Instance) or receiver.open:
            return ANYTHING
        if found is not ABSENT:
            if not _keeps_names(receiver.cls):
                return ANYTHING
            return _unsure(found) if name in self.changing else found
        if receiver.cls.closed:
            return ANYTHING
        bases = (base for one in receiver.cls.lineage() for base in one.bases if isinstance(base, External))
        return next(bases, ANYTHING).then("()").then(f".{name}")

    def _subscript(self, node: ast.Subscript, scope: Scope) -> object:
        receiver = self.eval(node.value, scope)
        if isinstance(node.slice, ast.Slice):
            return self._sliced(receiver, node.slice, scope)
        return self.item(receiver, self.eval(node.slice, scope), node)

    def _sliced(self, receiver: object, node: ast.Slice, scope: Scope) -> object:
        ends = [self.eval(one, scope) if one is not None else None for one in (node.lower, node.upper, node.step)]
        numbers = [one for one in ends if one is None or isinstance(one, int)]
        known = len(numbers) == 3 and numbers[2] != 0
        if isinstance(receiver, str) and known:
            return ANYTHING if ROOT in receiver else receiver[slice(*numbers)]
        if isinstance(receiver, Items) and known and not receiver.open and receiver.kind in ("list", "tuple"):
            return Items(receiver.items[slice(*numbers)], receiver.kind, region=self.region)
        return receiver.then("[:]") if isinstance(receiver, External) else ANYTHING

    def item(self, receiver: object, key: object, node: ast.AST | None) -> object:
        """`receiver[key]`."""
        if isinstance(receiver, Node):
            place = node or ast.Pass()
            if isinstance(key, Choice):
                return choice([self.item(receiver, one, node) for one in key.values])
            if not is_constant(key):
                self.emit("read", place, path=None, by="item", found=None)
                return ANYTHING
            return self.read(receiver, key, place, lambda: self.configurations.item(receiver.config, key), "item")
        if isinstance(receiver, Pairs):
            if is_constant(key) and key in receiver.pairs:
                if receiver.path is not None and node is not None:
                    path = f"{receiver.path}.{key}" if receiver.path else str(key)
                    self.emit("read", node, path=path, by="copy", found=True)
                return _unsure(receiver.pairs[key]) if receiver.open else receiver.pairs[key]
            if receiver.open or not is_constant(key):
                return choice([*receiver.pairs.values(), ANYTHING]) if len(receiver.pairs) < 8 else ANYTHING
            if node is None:
                return ANYTHING
            path = f"{receiver.path}.{key}" if receiver.path else str(key)
            absent = ("KeyError", "LookupError", "Exception")
            kind = "copy" if receiver.path is not None else "dict"
            return self.fault(RaisedError(absent, f"KeyError: {key!r}", path), node, what="item", by=kind)
        if isinstance(receiver, Items):
            if isinstance(key, int) and not receiver.open and receiver.kind in ("list", "tuple"):
                if -len(receiver.items) <= key < len(receiver.items):
                    return receiver.items[key]
                return ANYTHING
            return self.element(receiver)
        if isinstance(receiver, str):
            if isinstance(key, int) and -len(receiver) <= key < len(receiver):
                return ANYTHING if ROOT in receiver else receiver[key]
            if isinstance(key, str) and node is not None:
                names = ("TypeError", "Exception")
                return self.fault(RaisedError(names, "string indices must be integers", key), node, what="text")
            return ANYTHING
        if isinstance(receiver, Choice):
            return choice([self.item(one, key, None) for one in receiver.values])
        if isinstance(receiver, External):
            return self.libraries.item(self, receiver, key, node)
        if isinstance(receiver, Instance):
            method = receiver.cls.method("__getitem__")
            if method is not None:
                return self.call(method.bound_to(receiver), [key], {}, node or ast.Pass())
        return ANYTHING

    def _call(self, node: ast.Call, scope: Scope) -> object:
        is_eager, self.eager = self.eager is node, None
        callee = self.eval(node.func, scope)
        positional: list[object] = []
        keywords: dict[str, object] = {}
        is_open = False
        consumes = (isinstance(callee, External) and callee.path in _CONSUMERS) or (
            isinstance(callee, Method) and callee.name in ("join", "extend", "update")
        )
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                turns = self.turns(self.eval(argument.value, scope))
                if turns is None:
                    is_open = True
                elif not is_open:
                    positional += turns
                continue
            self.eager = argument if consumes else None
            value = self.eval(argument, scope)
            if is_open:
                # it is not known which argument it is
                self.havoc([value])
            else:
                positional.append(value)
        self.eager = None
        for word in node.keywords:
            value = self.eval(word.value, scope)
            if word.arg is not None:
                keywords[word.arg] = value
                continue
            if isinstance(value, Node):
                self.emit("read", node, path=self.configurations.path_of(value.config), by="expansion", found=True)
                value = self.configurations.container(value.config, resolve=True, deep=False)
            elif isinstance(value, Pairs) and value.path is not None:
                self.emit("read", node, path=value.path, by="expansion", found=True)
            if isinstance(value, Pairs):
                keywords.update({key: one for key, one in value.pairs.items() if isinstance(key, str)})
                is_open = is_open or value.open or bool(value.doubtful)
            else:
                is_open = True
        # `super()` without arguments means the method that it stands in
        if isinstance(callee, External) and callee.path == "super" and not positional:
            return self._super(scope)
        self._where[-1] = node
        self.eager = node if is_eager else None
        return self.call(callee, positional, keywords, node, is_open=is_open)

    def _super(self, scope: Scope) -> object:
        one: Scope | None = scope
        while one is not None and one.this is None:
            one = one.outer
        if one is None or one.owner is None or not isinstance(one.this, Instance | Class):
            return ANYTHING
        return Super(one.this, one.owner)

    def call(
        self,
        callee: object,
        positional: list[object],
        keywords: dict[str, object],
        node: ast.AST,
        *,
        is_open: bool = False,
    ) -> object:
        """What a call gives."""
        self.step()
        if isinstance(callee, Function):
            return self._call_function(callee, positional, keywords, node, is_open)
        if isinstance(callee, Class):
            return self._instantiate(callee, positional, keywords, node, is_open)
        if isinstance(callee, Method):
            return self.libraries.method(self, callee, positional, keywords, node, is_open)
        if isinstance(callee, External):
            return self.libraries.call(self, callee, positional, keywords, node, is_open)
        if isinstance(callee, Instance):
            return self._call_instance(callee, positional, keywords, node, is_open)
        if isinstance(callee, Choice):
            found = []
            for one in callee.values:
                with self.within(BRANCH):
                    found.append(self.call(one, positional, keywords, node, is_open=is_open))
            return choice([*found, ANYTHING]) if len(found) < len(callee.values) else choice(found)
        self.callbacks([*positional, *keywords.values()], node)
        self.havoc([*positional, *keywords.values()])
        return ANYTHING

    def _call_instance(
        self, callee: Instance, positional: list[object], keywords: dict[str, object], node: ast.AST, is_open: bool
    ) -> object:
        for name in ("__call__", "forward"):
            found = callee.cls.method(name)
            if found is not None and (name == "__call__" or not callee.cls.closed):
                return self._call_function(found.bound_to(callee), positional, keywords, node, is_open)
        self.havoc([callee, *positional, *keywords.values()])
        return ANYTHING

    def search(self, objective: object, trial: object, node: ast.AST, catches_some: bool) -> object:
        """A search calls its objective, once a trial; what the objective raises may end the trial only."""
        names = ("TrialPruned", "?") if catches_some else ("TrialPruned",)
        result: object = ANYTHING
        count = len(self.tries)
        with self.within(SEARCH):
            self.tries.append(Attempt(names, len(self.regions), guards=catches_some))
            try:
                result = self.call(objective, [trial], {}, node)
            except CaughtError as caught:
                if catches(names, caught.names) is False:
                    raise
            finally:
                del self.tries[count:]
        return result

    def consumes(self, node: ast.AST) -> bool:
        """Whether a call stands where all that it gives is gone through at once."""
        return self.eager is node

    @property
    def builtins(self) -> frozenset[str]:
        """Names of Python's own functions."""
        return _BUILTINS

    def text_length(self, text: str) -> object:
        """`len(text)`."""
        return ANYTHING if ROOT in text else len(text)

    def is_made_up(self, text: str) -> bool:
        """Whether a text names the folder of the submission, which has another name where it runs."""
        return ROOT in text

    def is_method(self, receiver: Node, name: str) -> bool:
        """Whether a name after a dot is a method of a configuration, whatever keys it has."""
        return name in (DICT_METHODS if isinstance(receiver.config, DictConfig) else LIST_METHODS)

    def callbacks(self, values: list[object], node: ast.AST) -> None:
        """Functions that something unknown was given: it may call them."""
        for value in values:
            if isinstance(value, Items):
                self.callbacks([one for one in value.items[:8] if isinstance(one, Function | Instance)], node)
            elif isinstance(value, Instance):
                for name in ("__call__", "__getitem__", "forward"):
                    method = value.cls.method(name)
                    if method is not None:
                        self._call_back(method.bound_to(value), (value, name), node)
            elif isinstance(value, Function):
                self._call_back(value, (value.node, value.scope, value.this), node)
            elif isinstance(value, Choice):
                self.callbacks([one for one in value.values if isinstance(one, Function | Instance)], node)

    def _call_back(self, function: Function, key: object, node: ast.AST) -> None:
        if key in self._called_back or self.calling.count(function):
            return
        self._called_back.add(key)
        with self.within(REPEAT):
            self._call_function(function, [], {}, node, True)

    def _call_function(
        self,
        callee: Function,
        positional: list[object],
        keywords: dict[str, object],
        node: ast.AST,
        is_open: bool,
        managed: Callable[[object], None] | None = None,
    ) -> object:
        if callee.decorators:
            for one in callee.decorators:
                if not isinstance(one, External):
                    continue
                if one.path == "hydra.main()" and not positional and not keywords and self.entry is not None:
                    return self.entry(_undecorated(callee), one)
                if one.path == "contextlib.contextmanager":
                    return Managed(_undecorated(callee), tuple(positional), tuple(keywords.items()), is_open)
                if not one.path.startswith(_PLAIN_DECORATORS):
                    # what the decorator does to the call is not known: it may catch, repeat or omit it
                    self.havoc([*positional, *keywords.values()])
                    with self.within(REPEAT):
                        self._call_function(_undecorated(callee), positional, keywords, node, is_open)
                    return ANYTHING
        body = callee.node
        depth = sum(1 for one in self.calling if isinstance(one, Function) and one.node is body)
        if len(self.calling) >= MAX_CALLS or depth >= MAX_SAME_CALLS:
            # what it would have changed is not known
            self.havoc([callee.this, *positional, *keywords.values()])
            self.doubt = self.doubt or self.certainty() != "maybe"
            return ANYTHING
        file = callee.scope.file
        scope = Scope(
            file, callee.scope, owner=callee.owner, this=callee.this if callee.bound else None, region=self.region
        )
        scope.managed = managed
        self._parameters(callee, scope, positional, keywords, is_open)
        self.entered.add((file.path, getattr(body, "lineno", 0)))
        if managed is None and not isinstance(body, ast.Lambda) and self._runs_later(body):
            return self._generator(callee, scope, node)
        return self._carried_out(callee, scope, node)

    def _carried_out(self, callee: Function, scope: Scope, node: ast.AST) -> object:
        """Enact the body of a function."""
        body = callee.node
        regions, tries = len(self.regions), len(self.tries)
        self.calling.append(callee)
        self.frames.append(scope)
        self._where.append(node)
        status = NORMAL
        try:
            if isinstance(body, ast.Lambda):
                return self.eval(body.body, scope)
            status = self.block(body.body, scope)
        except LeftError as left:
            if left.depth <= regions:
                raise
            status = RAISE
        finally:
            self.frames.pop()
            self.calling.pop()
            self._where.pop()
            del self.regions[regions:], self.tries[tries:]
        if status == NORMAL:
            scope.returns.append(None)
        elif status == RAISE and not scope.returns and self._boundary():
            # every way through it ends in an exception
            raise self.left()
        return choice(scope.returns) if scope.returns else ANYTHING

    def _runs_later(self, body: FunctionNode) -> bool:
        """Whether a call does not carry out the body: that of a generator, or of a coroutine."""
        return isinstance(body, ast.AsyncFunctionDef) or yields(body)

    def _generator(self, callee: Function, scope: Scope, node: ast.AST) -> object:
        """A generator or coroutine: its body is carried out as far as somebody asks."""
        result: object = ANYTHING
        with self.within(REPEAT):
            result = self._carried_out(callee, scope, node)
        if isinstance(callee.node, ast.AsyncFunctionDef) and not scope.yields:
            return _unsure(result)
        return Items(scope.yields, "iterator", open=True, region=self.region, hollow=True)

    def _parameters(
        self, callee: Function, scope: Scope, positional: list[object], keywords: dict[str, object], is_open: bool
    ) -> None:
        arguments = callee.node.args
        given = [callee.this, *positional] if callee.bound else list(positional)
        named = [*arguments.posonlyargs, *arguments.args]
        left = dict(keywords)
        for place, parameter in enumerate(named):
            if place < len(given):
                scope.names[parameter.arg] = given[place]
            elif parameter.arg in left:
                scope.names[parameter.arg] = left.pop(parameter.arg)
            elif is_open:
                scope.names[parameter.arg] = ANYTHING
            else:
                scope.names[parameter.arg] = callee.defaults.get(parameter.arg, ANYTHING)
        for parameter in arguments.kwonlyargs:
            if parameter.arg in left:
                scope.names[parameter.arg] = left.pop(parameter.arg)
            else:
                scope.names[parameter.arg] = ANYTHING if is_open else callee.defaults.get(parameter.arg, ANYTHING)
        if arguments.vararg:
            scope.names[arguments.vararg.arg] = Items(given[len(named) :], "tuple", open=is_open, region=self.region)
        if arguments.kwarg:
            scope.names[arguments.kwarg.arg] = Pairs(held(left), open=is_open, region=self.region)

    def _instantiate(
        self, cls: Class, positional: list[object], keywords: dict[str, object], node: ast.AST, is_open: bool
    ) -> object:
        made = Instance(cls, region=self.region)
        self.entered.add((cls.scope.file.path, cls.node.lineno))
        if cls.find("__new__") is not ABSENT or any(one.vague for one in cls.lineage()):
            made.open = True
        init = cls.method("__init__")
        dataclass = next((one for one in cls.lineage() if one.decorators and _is_dataclass(one)), None)
        if dataclass is not None and (init is None or not _keeps_own_init(cls, dataclass, init)):
            self._dataclass(made, dataclass, positional, keywords, is_open)
            after = cls.method("__post_init__")
            if after is not None:
                self._call_function(after.bound_to(made), [], {}, node, True)
        elif init is not None:
            self._call_function(init.bound_to(made), positional, keywords, node, is_open)
        elif not cls.closed:
            self.callbacks([*positional, *keywords.values()], node)
            self.havoc([*positional, *keywords.values()])
            made.open = True
        made_elsewhere = any(one.vague and one.node.keywords for one in cls.lineage()) or any(
            isinstance(base, External) and base.path.endswith("TypedDict")
            for one in cls.lineage()
            for base in one.bases
        )
        return ANYTHING if made_elsewhere or cls.find("__new__") is not ABSENT else made

    def _dataclass(
        self, made: Instance, cls: Class, positional: list[object], keywords: dict[str, object], is_open: bool
    ) -> None:
        """What the constructor of a dataclass does (https://docs.python.org/3/library/dataclasses.html)."""
        fields = [
            one.target.id
            for kind in reversed(cls.lineage())
            if _is_dataclass(kind)
            for one in kind.node.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        ]
        plain = all(isinstance(one, External) and one.path == "dataclasses.dataclass" for one in cls.decorators)
        plain = plain and "_" not in fields
        for place, name in enumerate(dict.fromkeys(fields)):
            default = cls.find(name)
            is_field = isinstance(default, External) and default.path.startswith("dataclasses.field")
            plain = plain and not (isinstance(default, External) and dict(default.keys).keys() & {"init", "kw_only"})
            if is_field or default is ABSENT or is_open:
                value = keywords.get(name, ANYTHING)
            else:
                value = keywords.get(name, default)
            if place < len(positional):
                value = positional[place]
            # fields with options may not be arguments at all, or ones by name only
            made.attributes[name] = value if plain or name in keywords or not positional else ANYTHING
            if is_field and isinstance(default, External) and name not in keywords:
                self._factory(made, name, default, place < len(positional))

    def _factory(self, made: Instance, name: str, field: External, given: bool) -> None:
        """The default of `field(default=...)` where it is known."""
        keys = dict(field.keys)
        if not given and "default" in keys:
            made.attributes[name] = keys["default"]

    def _constant(self, node: ast.Constant, scope: Scope) -> object:
        return node.value if isinstance(node.value, CONSTANTS) else ANYTHING

    def _joined_text(self, node: ast.JoinedStr, scope: Scope) -> object:
        parts: list[str] = []
        unknown = False
        marks: frozenset[str] = frozenset()
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
                continue
            assert isinstance(part, ast.FormattedValue)
            value = self.eval(part.value, scope)
            marks |= marks_of(value)
            text = self.text_of(value) if part.format_spec is None and part.conversion == -1 else None
            if part.format_spec is not None:
                self.eval(part.format_spec, scope)
            if text is None:
                unknown = True
            else:
                parts.append(text)
        if unknown or sum(map(len, parts)) > MAX_TEXT:
            return External("?", marks)
        return "".join(parts)

    def text_of(self, value: object) -> str | None:
        """`str(value)`, where it is known."""
        if isinstance(value, str | bool | int | float) or value is None:
            if isinstance(value, int) and value.bit_length() > MAX_BITS:
                return None
            text = str(value)
            return text if len(text) <= MAX_TEXT else None
        if isinstance(value, FilePath):
            return value.text
        return None

    def _items(self, node: ast.List | ast.Tuple | ast.Set, scope: Scope) -> object:
        kind = "list" if isinstance(node, ast.List) else ("tuple" if isinstance(node, ast.Tuple) else "set")
        made = Items([], kind, region=self.region)
        for one in node.elts:
            if isinstance(one, ast.Starred):
                turns = self.turns(self.eval(one.value, scope))
                if turns is None or len(made.items) + len(turns) > MAX_ITEMS:
                    made.open = True
                    made.hollow = made.hollow or not made.items
                else:
                    made.items += turns
            else:
                made.items.append(self.eval(one, scope))
        return made

    def _pairs(self, node: ast.Dict, scope: Scope) -> object:
        made = Pairs({}, region=self.region)
        for key, value in zip(node.keys, node.values, strict=True):
            held = self.eval(value, scope)
            if key is None:
                if isinstance(held, Node):
                    path = self.configurations.path_of(held.config)
                    held = self.configurations.container(held.config, path, resolve=True, deep=False)
                self.update_pairs(made, held, node)
                continue
            name = self.eval(key, scope)
            self.set_item(made, name, held, node)
        return made

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, scope: Scope
    ) -> object:
        inner = Scope(scope.file, scope, owner=scope.owner, this=scope.this, region=self.region)
        is_mapping = isinstance(node, ast.DictComp)
        is_lazy = isinstance(node, ast.GeneratorExp)
        kind = "iterator" if is_lazy else ("set" if isinstance(node, ast.SetComp) else "list")
        items = Items([], kind, region=self.region)
        lazy = is_lazy and self.eager is not node
        self.eager = None
        pairs = Pairs({}, region=self.region)

        def make() -> None:
            if isinstance(node, ast.DictComp):
                key = self.eval(node.key, inner)
                value = self.eval(node.value, inner)
                if is_constant(key) and not self.regions[start:]:
                    pairs.pairs[key] = value
                else:
                    if is_constant(key):
                        pairs.pairs[key] = choice([pairs.pairs.get(key, value), value, ANYTHING])
                        pairs.doubtful.add(key)
                    pairs.open = True
                return
            items.items.append(self.eval(node.elt, inner))
            if self.regions[start:]:
                items.open = items.hollow = True

        def go(place: int) -> None:
            if place == len(node.generators):
                make()
                return
            generator = node.generators[place]
            source = self.eval(generator.iter, inner)
            turns = self.turns(source)
            if turns is not None and len(turns) <= MAX_TURNS:
                for one in turns:
                    self.assign(generator.target, one, inner)
                    tested(generator.ifs, 0, place)
                return
            items.open = pairs.open = items.hollow = True
            with self.within(LOOP if self.runs_for_batches(source) else REPEAT):
                self.assign(generator.target, self.element(source), inner)
                tested(generator.ifs, 0, place)

        def tested(tests: list[ast.expr], number: int, place: int) -> None:
            while number < len(tests):
                known = self.truth(self.eval(tests[number], inner))
                number += 1
                if known is False:
                    return
                if known is None:
                    with self.within(BRANCH):
                        tested(tests, number, place)
                    return
            go(place + 1)

        start = len(self.regions)
        self.frames.append(inner)
        self._where.append(node)
        try:
            if lazy:
                # it is carried out as far as somebody asks
                with self.within(REPEAT):
                    go(0)
            else:
                go(0)
        finally:
            self.frames.pop()
            self._where.pop()
        return pairs if is_mapping else items

    def _lambda(self, node: ast.Lambda, scope: Scope) -> object:
        return self.define(node, scope)

    def _conditional(self, node: ast.IfExp, scope: Scope) -> object:
        known = self.truth(self.eval(node.test, scope))
        if known is not None:
            return self.eval(node.body if known else node.orelse, scope)
        found: list[object] = []
        for one in (node.body, node.orelse):
            with self.within(BRANCH):
                found.append(self.eval(one, scope))
        if not found:
            raise self.left()
        return choice(found)

    def _boolean(self, node: ast.BoolOp, scope: Scope) -> object:
        is_or = isinstance(node.op, ast.Or)
        found: list[object] = []
        depth = len(self.regions)
        try:
            for one in node.values:
                value = self.eval(one, scope)
                known = self.truth(value)
                if known is None:
                    found.append(value)
                    # what stands further right may not be evaluated
                    self.made += 1
                    self.regions.append((self.made, BRANCH))
                elif known is is_or:
                    found.append(value)
                    return choice(found)
                elif one is node.values[-1]:
                    found.append(value)
        except LeftError as left:
            if left.depth <= depth:
                raise
        finally:
            del self.regions[depth:]
        return choice(found) if found else ANYTHING

    def _unary(self, node: ast.UnaryOp, scope: Scope) -> object:
        value = self.eval(node.operand, scope)
        if isinstance(node.op, ast.Not):
            known = self.truth(value)
            return External("?", marks_of(value)) if known is None else not known
        if isinstance(value, int | float):
            if isinstance(node.op, ast.USub):
                return -value
            return value if isinstance(node.op, ast.UAdd) else ANYTHING
        return External("?", marks_of(value))

    def _binary(self, node: ast.BinOp, scope: Scope) -> object:
        one, other = self.eval(node.left, scope), self.eval(node.right, scope)
        marks = marks_of(one, other)
        if marks:
            self.emit("use", node, marks=tuple(sorted(marks)), by="operator")
        if isinstance(one, str) and isinstance(node.op, ast.Div | ast.Sub | ast.Mult | ast.Pow):
            wrong = isinstance(other, float) or (isinstance(other, int) and not isinstance(node.op, ast.Mult))
            if wrong and not isinstance(other, bool):
                message = f"unsupported operand: text {one[:40]!r} and the number {other}"
                return self.fault(RaisedError(("TypeError", "Exception"), message), node, what="operator")
        return self.binary(node.op, one, other)

    def binary(self, op: ast.operator, one: object, other: object) -> object:
        """An operation on two values."""
        if isinstance(one, FilePath) and isinstance(op, ast.Div):
            text = self.text_of(other)
            return ANYTHING if text is None else FilePath(join_path(one.text, text))
        if isinstance(other, FilePath) and isinstance(op, ast.Div) and isinstance(one, str):
            return FilePath(join_path(one, other.text))
        if isinstance(one, Items) and isinstance(other, Items) and isinstance(op, ast.Add):
            is_open, kinds = one.open or other.open, {one.kind, other.kind}
            if len(kinds) > 1 or not kinds <= {"list", "tuple"} or len(one.items) + len(other.items) > MAX_ITEMS:
                return ANYTHING
            return Items(
                [*one.items, *other.items], one.kind, is_open, self.region,
                hollow=(one.hollow or not one.items) and (other.hollow or not other.items),
            )  # fmt: skip
        if isinstance(one, Pairs) and isinstance(other, Pairs) and isinstance(op, ast.BitOr):
            both = {**one.pairs, **other.pairs}
            for key in other.doubtful & one.pairs.keys():
                both[key] = choice([one.pairs[key], other.pairs[key]])
            if other.open:
                both = {key: _unsure(value) for key, value in both.items()}
            doubtful = (one.doubtful | other.doubtful) - (one.pairs.keys() - one.doubtful)
            doubtful -= other.pairs.keys() - other.doubtful
            return Pairs(both, one.open or other.open, self.region, doubtful=doubtful)
        how = _BINARY.get(type(op))
        if how and is_constant(one) and is_constant(other) and _is_small(op, one, other):
            try:
                return how(one, other)
            except (TypeError, ValueError, ArithmeticError):
                return ANYTHING
        return External("?", marks_of(one, other))

    def _compare(self, node: ast.Compare, scope: Scope) -> object:
        one = self.eval(node.left, scope)
        result: bool | None = True
        depth = len(self.regions)
        every: frozenset[str] = frozenset()
        try:
            for op, right in zip(node.ops, node.comparators, strict=True):
                other = self.eval(right, scope)
                marks = marks_of(one, other)
                if marks:
                    every |= marks
                    self.emit("use", node, marks=tuple(sorted(marks)), by="comparison")
                known = self.compare(op, one, other)
                if known is False:
                    return False if result is True else ANYTHING
                if known is None and result is True and len(node.ops) > 1:
                    result = None
                    # what stands further right may not be evaluated
                    self.made += 1
                    self.regions.append((self.made, BRANCH))
                result = None if known is None else result
                one = other
        except LeftError as left:
            if left.depth <= depth:
                raise
        finally:
            del self.regions[depth:]
        return External("?", every) if result is None else result

    def compare(self, op: ast.cmpop, one: object, other: object) -> bool | None:
        """A comparison; None where it is not known."""
        if isinstance(one, Choice) or isinstance(other, Choice):
            lefts = one.values if isinstance(one, Choice) else (one,)
            rights = other.values if isinstance(other, Choice) else (other,)
            found = {self.compare(op, left, right) for left in lefts for right in rights}
            return found.pop() if len(found) == 1 else None
        if isinstance(op, ast.In | ast.NotIn):
            known = self.contains(other, one)
            return known if known is None or isinstance(op, ast.In) else not known
        if isinstance(op, ast.Is | ast.IsNot):
            if other is None or one is None:
                left = other if one is None else one
                known = None if isinstance(left, External | Node) else (left is None)
                if isinstance(left, External) and _is_something(left):
                    known = False
                if isinstance(left, Node) and isinstance(left.config, CONTAINERS) and not left.config._is_none():
                    known = False
            elif isinstance(one, bool) and isinstance(other, bool):
                known = one is other
            else:
                known = None
            return known if known is None or isinstance(op, ast.Is) else not known
        if isinstance(op, ast.Eq | ast.NotEq):
            known = self._equal(one, other)
            return known if known is None or isinstance(op, ast.Eq) else not known
        how = _COMPARE.get(type(op))
        if how and is_constant(one) and is_constant(other) and not _names_root(one, other):
            try:
                return bool(how(one, other))
            except TypeError:
                return None
        return None

    def _equal(self, one: object, other: object, budget: list[int] | None = None) -> bool | None:
        if is_constant(one) and is_constant(other):
            return None if _names_root(one, other) else bool(one == other)
        if isinstance(one, Items) and isinstance(other, Items) and not one.open and not other.open:
            if one.kind != other.kind or one.kind not in ("list", "tuple"):
                return None
            if len(one.items) != len(other.items):
                return False
            budget = budget if budget is not None else [MAX_SHAKEN]
            result: bool | None = True
            for left, right in zip(one.items, other.items, strict=True):
                budget[0] -= 1
                known = self._equal(left, right, budget) if budget[0] > 0 else None
                if known is False:
                    return False
                result = None if known is None else result
            return result
        if (one is None or other is None) and isinstance(other if one is None else one, Items | Pairs | FilePath):
            return False
        return None

    def contains(self, container: object, key: object) -> bool | None:
        """`key in container`; None where it is not known."""
        if isinstance(key, Choice):
            found = {self.contains(container, one) for one in key.values}
            return found.pop() if len(found) == 1 else None
        if isinstance(container, Node) and is_constant(key):
            return self.configurations.has(container.config, key)
        if isinstance(container, Pairs) and is_constant(key):
            if key in container.pairs:
                return None if key in container.doubtful or container.attributes else True
            return None if container.open else False
        if isinstance(container, Items) and is_constant(key):
            if container.open or container.kind == "iterator":
                return None
            found_in = [self._equal(one, key) for one in container.items]
            if True in found_in:
                return True
            return None if None in found_in else False
        if isinstance(container, str) and isinstance(key, str):
            return None if _names_root(container, key) else key in container
        return None

    def truth(self, value: object) -> bool | None:
        """Whether a value is true; None where it is not known."""
        if is_constant(value):
            return bool(value)
        if isinstance(value, Items):
            if value.kind == "iterator":
                return True
            if value.items and not value.hollow:
                return True
            return None if value.open or value.hollow else False
        if isinstance(value, Pairs):
            if value.attributes or any(key not in value.doubtful for key in value.pairs):
                return True
            return None if value.open or value.doubtful else False
        if isinstance(value, Node):
            config = value.config
            if not isinstance(config, CONTAINERS) or not self.configurations.is_sure(config):
                return None
            return not (config._is_none() or config._is_missing()) and len(config) > 0
        if isinstance(value, Function | Class | Module | FilePath | Method):
            return True
        if isinstance(value, Instance):
            plain = value.cls.find("__len__") is ABSENT and value.cls.find("__bool__") is ABSENT
            return True if plain and value.cls.closed else None
        if isinstance(value, Choice):
            found = {self.truth(one) for one in value.values}
            return found.pop() if len(found) == 1 else None
        if isinstance(value, External) and _is_something(value):
            return True
        return None

    def _walrus(self, node: ast.NamedExpr, scope: Scope) -> object:
        value = self.eval(node.value, scope)
        self.assign(node.target, value, scope)
        return value

    def _yield(self, node: ast.Yield | ast.YieldFrom | ast.Await, scope: Scope) -> object:
        value = self.eval(node.value, scope) if node.value is not None else None
        if isinstance(node, ast.Yield):
            managed = self.frames[-1].managed if self.frames else None
            if callable(managed):
                managed(value)
                return None
            scope.yields.append(value)
        elif isinstance(node, ast.YieldFrom):
            scope.yields.append(self.element(value))
        else:
            return value
        return ANYTHING

    def _starred(self, node: ast.Starred, scope: Scope) -> object:
        self.eval(node.value, scope)
        return ANYTHING

    _EXPRESSIONS: dict[type[ast.expr], Callable[..., object]] = {
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.Subscript: _subscript,
        ast.Call: _call,
        ast.Constant: _constant,
        ast.JoinedStr: _joined_text,
        ast.List: _items,
        ast.Tuple: _items,
        ast.Set: _items,
        ast.Dict: _pairs,
        ast.ListComp: _comprehension,
        ast.SetComp: _comprehension,
        ast.GeneratorExp: _comprehension,
        ast.DictComp: _comprehension,
        ast.Lambda: _lambda,
        ast.IfExp: _conditional,
        ast.BoolOp: _boolean,
        ast.UnaryOp: _unary,
        ast.BinOp: _binary,
        ast.Compare: _compare,
        ast.NamedExpr: _walrus,
        ast.Yield: _yield,
        ast.YieldFrom: _yield,
        ast.Await: _yield,
        ast.Starred: _starred,
    }


class Libraries:
    """What the enactment knows of libraries. This one knows nothing."""

    def call(
        self,
        machine: Machine,
        callee: External,
        positional: list[object],
        keywords: dict[str, object],
        node: ast.AST,
        is_open: bool,
    ) -> object:
        machine.callbacks([*positional, *keywords.values()], node)
        return callee.then("()", marks_of(*positional, *keywords.values()))

    def attribute(self, machine: Machine, receiver: External, name: str, node: ast.AST) -> object:
        return receiver.then(f".{name}")

    def item(self, machine: Machine, receiver: External, key: object, node: ast.AST | None) -> object:
        return receiver.then("[]")

    def set_attribute(self, machine: Machine, receiver: External, name: str, value: object, node: ast.AST) -> None:
        """`receiver.name = value`."""

    def set_item(self, machine: Machine, receiver: External, key: object, value: object, node: ast.AST) -> None:
        """`receiver[key] = value`."""

    def method(
        self,
        machine: Machine,
        callee: Method,
        positional: list[object],
        keywords: dict[str, object],
        node: ast.AST,
        is_open: bool,
    ) -> object:
        return ANYTHING

    def path_attribute(self, path: FilePath, name: str) -> object:
        return ABSENT

    def enter(self, machine: Machine, value: object) -> tuple[object, Callable[[], None] | None]:
        """What `with value as x` binds, and what to do at its end."""
        return value, None


class Super:
    """`super()` inside a method."""

    def __init__(self, this: Instance | Class, owner: Class) -> None:
        self.this = this
        self.owner = owner

    def attribute(self, name: str) -> object:
        """What the classes after the owner bind a name to."""
        cls = self.this.cls if isinstance(self.this, Instance) else self.this
        lineage = cls.lineage()
        after = lineage[lineage.index(self.owner) + 1 :] if self.owner in lineage else []
        for one in after:
            found = one.names.get(name, ABSENT)
            if isinstance(found, Function):
                if found.has("property", "functools.cached_property"):
                    return ANYTHING
                if found.has("staticmethod"):
                    return found
                return found.bound_to(cls if found.has("classmethod") else self.this)
            if found is not ABSENT:
                return ANYTHING
        return External("super()").then(f".{name}")


_BUILTINS = frozenset(dir(builtins))


def join_path(one: str, other: str) -> str:
    """`one / other` for paths."""
    return str(PurePosixPath(one) / other)


# https://docs.python.org/3/library/exceptions.html#OSError


def _swallowed(value: object) -> tuple[str, ...]:
    """Names of the exceptions that a context manager may keep to itself."""
    if isinstance(value, External):
        return ("?",) if value.path == "?" or any(word in value.path for word in _SWALLOWERS) else ()
    if isinstance(value, Choice):
        return ("?",) if any(_swallowed(one) for one in value.values) else ()
    return ()


_SWALLOWERS = ("suppress", "raises", "Raises", "catch", "ignore", "ExitStack", "contextmanager")


def _ends(body: list[ast.stmt]) -> bool:
    """Whether nothing comes after some statements: their last one leaves."""
    last = body[-1]
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        called = last.value.func
        return isinstance(called, ast.Attribute) and called.attr == "exit"
    return isinstance(last, ast.Raise | ast.Return | ast.Continue | ast.Break)


def _unsure(value: object) -> object:
    """A value that may have been changed in the meantime."""
    return value if isinstance(value, Function | Class | Module) else choice([value, External("?", marks_of(value))])


def joined(ways: list[dict[str, object]]) -> dict[str, object]:
    """The names of several ways: what they agree on, and choices of the rest."""
    if len(ways) == 1:
        return ways[0]
    found: dict[str, object] = {}
    for names in ways:
        for name, value in names.items():
            if name in found:
                continue
            values = [value]
            for one in ways:
                other = one.get(name, ABSENT)
                if other is ABSENT:
                    other = External(name) if name in _BUILTINS else value
                if other is not value:
                    values.append(other)
            found[name] = value if len(values) == 1 else choice(values)
    return found


def held(words: dict[str, object]) -> dict[object, object]:
    """Keyword arguments as the entries of a dictionary."""
    return dict(words.items())


def _undecorated(function: Function) -> Function:
    return Function(function.node, function.scope, function.this, function.bound, function.owner, [], function.defaults)


# Decorators after which a call still does what the function says, when and as often as it is called.
_PLAIN_DECORATORS = (
    "functools.wraps", "functools.lru_cache", "functools.cache", "functools.cached_property",
    "staticmethod", "classmethod", "property", "abc.", "typing.", "typing_extensions.", "torch.", "hydra.main",
    "functools.total_ordering", "contextlib.contextmanager", "dataclasses.", "transformers.", "accelerate.", "numba.",
    "jax.", "wandb.", "atexit.",
)  # fmt: skip
_PLAIN_CLASS_DECORATORS = ("dataclasses.dataclass", "functools.total_ordering", "typing.", "enum.unique")
# Functions that go through all of what they are given at once.
_CONSUMERS = frozenset({"list", "tuple", "set", "frozenset", "dict", "sorted", "sum", "max", "min"})


def _mangled(name: str, scope: Scope) -> str:
    """A private name as Python keeps it inside a class."""
    if not name.startswith("__") or name.endswith("__"):
        return name
    one: Scope | None = scope
    while one is not None and one.owner is None:
        one = one.outer
    if one is None or one.owner is None:
        return name
    owner = one.owner.node.name.lstrip("_")
    return f"_{owner}{name}" if owner else name


def _is_dataclass(cls: Class) -> bool:
    return any(isinstance(one, External) and one.path.startswith("dataclasses.dataclass") for one in cls.decorators)


def _keeps_own_init(cls: Class, dataclass: Class, init: Function) -> bool:
    """Whether a constructor of the submission comes before the one that a dataclass makes."""
    lineage = cls.lineage()
    return init.owner in lineage and lineage.index(init.owner) <= lineage.index(dataclass)


def _keeps_names(cls: Class) -> bool:
    """Whether a name of a class's body is what an attribute of the class and its objects gives."""
    return not any(one.vague for one in cls.lineage()) and all(
        isinstance(base, Class) or (isinstance(base, External) and base.path.startswith(_KEEPING_BASES))
        for one in cls.lineage()
        for base in one.bases
    )


_KEEPING_BASES = (
    "object", "abc.", "typing.Generic", "typing.Protocol", "torch.", "Exception", "ValueError", "RuntimeError",
    "transformers.", "lightning.", "pytorch_lightning.",
)  # fmt: skip


def _names_root(*values: object) -> bool:
    """Whether a text names the folder of the submission, which has another name where it runs."""
    return any(isinstance(value, str) and ROOT in value for value in values)


def _kind_of(receiver: object) -> str:
    if isinstance(receiver, Items):
        return receiver.kind
    return type(receiver).__name__


_METHODS: dict[str, frozenset[str]] = {
    "str": frozenset(dir(str)),
    "list": frozenset(dir(list)),
    "tuple": frozenset(dir(tuple)),
    "set": frozenset(dir(set)),
    "iterator": frozenset(),
    "Pairs": frozenset(dir(OrderedDict)),
    "FilePath": frozenset(name for name in dir(PosixPath) if callable(getattr(PosixPath, name))),
    "Parser": frozenset(dir(ArgumentParser)),
}


def _is_small(op: ast.operator, one: Any, other: Any) -> bool:
    """Whether the result of an operation stays small."""
    size = sum(len(value) for value in (one, other) if isinstance(value, str | bytes))
    if isinstance(op, ast.Mult):
        if isinstance(one, str | bytes) or isinstance(other, str | bytes):
            count = other if isinstance(one, str | bytes) else one
            return isinstance(count, int) and size * max(count, 0) <= MAX_TEXT
        return all(not isinstance(value, int) or value.bit_length() <= 256 for value in (one, other))
    if isinstance(op, ast.Mod) and isinstance(one, str | bytes):
        # a width in the format may ask for any length
        return size <= 200 and not any(character.isdigit() for character in str(one)) and "*" not in str(one)
    return size <= MAX_TEXT


def _is_something(value: External) -> bool:
    """Whether a value is certainly neither None nor false: a module, class or function of a library."""
    return (
        value.path != "?"
        and "()" not in value.path
        and "[" not in value.path
        and "." in value.path
        and (value.path.split(".", 1)[0] in _PLAIN_LIBRARIES)
        and value.path.rpartition(".")[2][:1].isupper()
    )


_PLAIN_LIBRARIES = frozenset({"torch", "transformers", "datasets", "peft", "sklearn", "scipy", "numpy", "pandas"})
