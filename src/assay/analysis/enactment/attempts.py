"""`try` and `with`: bodies whose exceptions may be caught, or followed by something in any case."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from assay.analysis.enactment.exception_names import SAME_EXCEPTION, catches
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.regions import (
    BRANCH,
    NORMAL,
    RAISE,
    TRY,
    Attempt,
    CaughtError,
    EndedError,
    LeftError,
    joined,
    unsure,
)
from assay.analysis.enactment.syntax_questions import leaves, stored_names
from assay.analysis.enactment.values import (
    ANYTHING,
    CALL,
    Choice,
    Class,
    External,
    Function,
    Instance,
    Items,
    Managed,
    Scope,
)

# Words in the names of context managers that may keep an exception to themselves.
_SWALLOWERS = ("suppress", "raises", "Raises", "catch", "ignore", "ExitStack", "contextmanager")


class Attempts(Machine):
    """The part of the interpreter that carries out `try` and `with`."""

    # -- `with` --------------------------------------------------------------------------------------------------------

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
            self.where.append(body[0])
            try:
                if item.optional_vars is not None:
                    self.assign(item.optional_vars, yielded, scope)
                ends.append(self._with_items(rest, body, scope))
                after.append(scope.names)
                scope.names = joined(after)
            finally:
                self.frames.pop()
                self.where.pop()

        function = Function(
            managed.function.node,
            managed.function.scope,
            managed.function.this,
            managed.function.bound,
            managed.function.owner,
            [],
            managed.function.defaults,
        )
        self.call_function(
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

    # -- `try` ---------------------------------------------------------------------------------------------------------

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
            self.doubt_the_rest(scope)
        after = scope.names
        # where in the body an exception comes is not known, so what the body binds may be bound or not
        start = dict(joined([before, after]))
        for name in stored_names(*body):
            if name in start:
                start[name] = unsure(start[name])
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
        return self.join_ways(scope, ends)

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


ATTEMPTS: dict[type[ast.stmt], Callable[..., str]] = {
    ast.With: Attempts._with,
    ast.AsyncWith: Attempts._with,
    ast.Try: Attempts._try,
    ast.TryStar: Attempts._try,
}


def _swallowed(value: object) -> tuple[str, ...]:
    """Names of the exceptions that a context manager may keep to itself."""
    if isinstance(value, External):
        return ("?",) if value.path == "?" or any(word in value.path for word in _SWALLOWERS) else ()
    if isinstance(value, Choice):
        return ("?",) if any(_swallowed(one) for one in value.values) else ()
    return ()


def _ends(body: list[ast.stmt]) -> bool:
    """Whether nothing comes after some statements: their last one leaves."""
    last = body[-1]
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        called = last.value.func
        return isinstance(called, ast.Attribute) and called.attr == "exit"
    return isinstance(last, ast.Raise | ast.Return | ast.Continue | ast.Break)
