"""An abstract interpreter for the programs of a submission.

It walks through the statements of a program with the configuration that Hydra composed for a run. What the program
reads out of the configuration is known, and so are the constants that it makes of it; what comes out of libraries is
not. A condition that is not known sends it into both branches; what happens there is not certain.

Nothing of the submission is executed, and no object of Python's own is reached through its names: only the operations
that are written out here are carried out, on constants, on containers made here, and on OmegaConf's containers.

The machine itself keeps the state, records what happens, and walks from statement to statement. It rests on what is
known of the way here (`regions`) and of values (`operations`). What each kind of statement and expression does is
written in the parts of the `interpreter`.
"""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from omegaconf import OmegaConf
from omegaconf.resolvers import oc

from assay.analysis.enactment.configurations import RaisedError
from assay.analysis.enactment.operations import ROOT, Operations
from assay.analysis.enactment.regions import NORMAL, RAISE, REPEAT, CaughtError, EndedError, ExhaustedError, LeftError
from assay.analysis.enactment.syntax_questions import changing, module_paths
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    TURN,
    Class,
    External,
    FilePath,
    Function,
    Instance,
    Items,
    Method,
    Module,
    Node,
    Pairs,
    Scope,
    marks_of,
)
from assay.analysis.own_library import LIBRARY, is_hidden
from assay.analysis.python_source import FunctionNode, PythonFile

MAX_STEPS = 120_000
MAX_EVENTS = 4_000
NOT_FOLLOWED = "it could not be followed"


class Machine(Operations, ABC):
    """One program of a submission with one configuration.

    Args:
        files: The Python files of the submission, by path.
        texts: The other files that the program may read, by path.
        libraries: What calls of library functions do.
    """

    # what carries out a statement or an expression of each kind
    statements: ClassVar[dict[type[ast.stmt], Callable[..., str]]]
    expressions: ClassVar[dict[type[ast.expr], Callable[..., object]]]

    def __init__(self, files: dict[str, PythonFile], texts: dict[str, str], libraries: Libraries) -> None:
        super().__init__()
        self.files = files
        self.texts = texts
        self.libraries = libraries
        self.modules: dict[str, Module] = {}
        self.events: list[dict[str, object]] = []
        self.entered: set[tuple[str, int]] = set()
        self.steps = 0
        self.frames: list[Scope] = []
        self.calling: list[object] = []
        self.handling: list[CaughtError | None] = []
        self.again = 0
        self.eager: ast.AST | None = None
        self.stops = 0
        self.complete = True
        self.reason = ""
        self.argv: object = Items([], open=True)
        self.environment = Pairs({}, open=True)
        self.disk: dict[str, object] = {}
        self.resolvers: set[str] = set()
        self.moved = False
        # what the program has put in place of functions and modules of libraries, by dotted name
        self.replaced: dict[str, list[object]] = {}
        self.entry: Callable[[Function, External], object] | None = None
        # what `assay.runtime` knows of the run, once it has started one
        self.running: object = None
        self.hides_library = is_hidden(files)
        self.heard: frozenset[str] | None = None
        self.changing, self.declared = changing(files)
        self.module_paths = module_paths(files)
        # the submission's own modules, under the names that a changed `sys.path` gives them
        self.own_names = frozenset(name.rpartition(".")[2] for name in self.module_paths)
        self._seen: set[object] = set()
        self._keys: list[object] = []
        self.called_back: set[object] = set()
        self.where: list[ast.AST] = []

    # -- what happens --------------------------------------------------------------------------------------------------

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

    def forget_events(self, count: int) -> None:
        """Take back what was recorded after the first so many events."""
        self._seen.difference_update(self._keys[count:])
        del self._keys[count:], self.events[count:]

    def _frames(self) -> list[tuple[str, int]]:
        """The calls that lead here, outermost first."""
        places: list[tuple[str, int]] = []
        for frame, call in zip(self.frames[-7:], self.where[-7:], strict=True):
            line = getattr(call, "lineno", 0)
            if line:
                places.append((frame.file.path, line))
        return places[-6:]

    def _function_name(self) -> str:
        return self.calling[-1].name if self.calling and isinstance(self.calling[-1], Function) else ""

    # -- faults --------------------------------------------------------------------------------------------------------

    def fault(self, fault: RaisedError, node: ast.AST, recover: object = ANYTHING, **data: object) -> object:
        """An operation raises here: go to the handler that catches it, or record it and go on."""
        if self.goes_to_handler(fault.names, ANYTHING):
            raise self.left()
        self.emit("fault", node, names=list(fault.names), message=fault.message, key=fault.key, **data)
        if self.certainty() == "yes":
            self.stops += 1
        return recover

    def throw(self, names: tuple[str, ...], value: object, node: ast.AST, message: str) -> None:
        """The program raises an exception: go to the handler that catches it, or record it.

        It comes back only where the program certainly stops here; then what follows is enacted as if it did not.
        """
        if not self.goes_to_handler(names, value):
            self.emit("raise", node, names=list(names), message=message)
            if self.certainty() == "yes":
                self.stops += 1
                return
        raise self.left()

    def exit(self, value: object, node: ast.AST) -> object:
        """The program asks to end: `sys.exit(value)`."""
        if self.goes_to_handler(("SystemExit", "BaseException"), ANYTHING):
            raise self.left()
        fails = isinstance(value, str) or (isinstance(value, int) and value % 256 != 0)
        self.emit("exit", node, fails=fails)
        if self.certainty() != "yes":
            # a program that ends well here does not come to what follows
            self.doubt = self.doubt or not fails
            raise self.left() if self.boundary() else EndedError
        if not fails:
            raise EndedError
        self.stops += 1
        return ANYTHING

    # -- programs and modules ------------------------------------------------------------------------------------------

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

    def replace(self, path: str, value: object, node: ast.AST) -> None:
        """`path = value`, for the dotted name of something in a library: from now on it is not what it was."""
        name = path.removeprefix("builtins.").removeprefix("__builtins__.")
        if "(" in name or "[" in name or "?" in name:
            return
        self.replaced.setdefault(name, []).append(value)
        # what the library itself does with it is not known
        self.havoc([value])
        self.callbacks([value], node)

    def is_replaced(self, path: str) -> bool:
        """Whether the program has replaced what a dotted name of a library leads to, or something on the way."""
        return bool(self.replaced) and bool(self._replacing(path))

    def _replacing(self, path: str) -> list[object]:
        name = path.removeprefix("builtins.").removeprefix("__builtins__.")
        return [
            value
            for known, values in self.replaced.items()
            if name == known or name.startswith((f"{known}.", f"{known}("))
            for value in (values if name == known else [ANYTHING])
        ]

    def call_replaced(
        self, path: str, positional: list[object], keywords: dict[str, object], node: ast.AST, is_open: bool
    ) -> object:
        """Call what was put in place of a function of a library, or the function itself where it was put back."""
        for value in self._replacing(path):
            if isinstance(value, Function) and any(
                isinstance(one, Function) and one.node is value.node for one in self.calling
            ):
                continue
            if isinstance(value, Function | Class | Instance | Method):
                with self.within(REPEAT):
                    self.call(value, positional, keywords, node, is_open=is_open)
        self.havoc([*positional, *keywords.values()])
        self.callbacks([*positional, *keywords.values()], node)
        return ANYTHING

    def _body(self, scope: Scope, body: list[ast.stmt]) -> str:
        self.frames.append(scope)
        self.where.append(body[0] if body else ast.Pass())
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
            self.where.pop()
            del self.regions[depth:]

    def module(self, name: str) -> object:
        """A module by its dotted name: one of the submission, or a library's."""
        if self.is_replaced(name):
            return ANYTHING
        if name in self.modules:
            return self.modules[name]
        path = self.module_paths.get(name)
        if path is None:
            return External("?" if self.hides_library and name.partition(".")[0] == LIBRARY else name)
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

    # -- statements and expressions ------------------------------------------------------------------------------------

    def block(self, body: list[ast.stmt], scope: Scope) -> str:
        """Enact statements in order; how they end."""
        for statement in body:
            self.step()
            self.where[-1] = statement
            how = self.statements.get(type(statement))
            status = how(self, statement, scope) if how else NORMAL
            if status != NORMAL:
                return status
            if scope.doubt:
                self.doubt_the_rest(scope)
        return NORMAL

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

    def eval(self, node: ast.expr | None, scope: Scope) -> object:
        """What an expression holds."""
        self.step()
        how = self.expressions.get(type(node))  # type: ignore[arg-type]
        return how(self, node, scope) if how else ANYTHING

    def step(self) -> None:
        """Count a step."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise ExhaustedError

    def consumes(self, node: ast.AST) -> bool:
        """Whether a call stands where all that it gives is gone through at once."""
        return self.eager is node

    # -- what the parts do for each other, and for the models of libraries ---------------------------------------------

    @abstractmethod
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

    @abstractmethod
    def call_function(
        self,
        callee: Function,
        positional: list[object],
        keywords: dict[str, object],
        node: ast.AST,
        is_open: bool,
        managed: Callable[[object], None] | None = None,
    ) -> object:
        """What a call of a function of the submission gives."""

    @abstractmethod
    def subclassed(self, made: Class, words: dict[str, object], node: ast.AST, is_open: bool) -> None:
        """What making a class calls: its metaclass, `__set_name__` of what its body binds, and `__init_subclass__`."""

    @abstractmethod
    def callbacks(self, values: list[object], node: ast.AST) -> None:
        """Functions that something unknown was given: it may call them."""

    @abstractmethod
    def search(self, objective: object, given: list[object], node: ast.AST, catches_some: bool) -> object:
        """A search calls its objective, once a trial; what the objective raises may end the trial only."""

    @abstractmethod
    def attribute(self, receiver: object, name: str, node: ast.AST) -> object:
        """`receiver.name`."""

    @abstractmethod
    def set_attribute(self, receiver: object, name: str, value: object, node: ast.AST) -> None:
        """`receiver.name = value`."""

    @abstractmethod
    def item(self, receiver: object, key: object, node: ast.AST | None) -> object:
        """`receiver[key]`."""

    @abstractmethod
    def set_item(self, receiver: object, key: object, value: object, node: ast.AST) -> None:
        """`receiver[key] = value`."""

    @abstractmethod
    def update_pairs(self, pairs: Pairs, value: object, node: ast.AST) -> None:
        """`pairs.update(value)`."""

    @abstractmethod
    def write(self, receiver: Node, key: object, value: object, node: ast.AST, *, attribute: bool = False) -> None:
        """Write into a configuration."""

    @abstractmethod
    def assign(self, target: ast.expr, value: object, scope: Scope) -> None:
        """Assign a value to a target."""

    @abstractmethod
    def bind(self, scope: Scope, name: str, value: object) -> None:
        """Bind a name in a scope."""

    @abstractmethod
    def define(self, node: FunctionNode | ast.Lambda, scope: Scope) -> Function:
        """The function that a definition makes."""


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
