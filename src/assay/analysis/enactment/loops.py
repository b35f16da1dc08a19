"""Loops: turn for turn where the elements are known, and once for all turns where they are not."""

from __future__ import annotations

import ast
from collections.abc import Callable

from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.operations import MAX_TURNS
from assay.analysis.enactment.regions import BREAK, CONTINUE, LOOP, NORMAL, RAISE, REPEAT, RETURN, joined, unsure
from assay.analysis.enactment.syntax_questions import stored_names
from assay.analysis.enactment.values import (
    ANYTHING,
    CALL,
    TURN,
    Class,
    External,
    Function,
    Module,
    Node,
    Scope,
    choice,
    marks_of,
)

MAX_AGAIN = 2


class Loops(Machine):
    """The part of the interpreter that carries out `for` and `while`."""

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
                self.doubt_the_rest(scope)
        if scope.doubt == TURN:
            scope.doubt = doubt
            del self.regions[depth:]
        if status == NORMAL and node.orelse:
            if scope.doubt:
                self.doubt_the_rest(scope)
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
                self.forget_events(events)
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
            scope.names[name] = unsure(scope.names.get(name, ANYTHING))
        if not node.orelse:
            return NORMAL
        if scope.doubt:
            self.doubt_the_rest(scope)
        return (
            self.fork(scope, lambda: NORMAL, lambda: self.block(node.orelse, scope))
            if leaves
            else self.block(node.orelse, scope)
        )


LOOPS: dict[type[ast.stmt], Callable[..., str]] = {
    ast.For: Loops._for,
    ast.AsyncFor: Loops._for,
    ast.While: Loops._while,
}
