"""Expressions other than calls, and what names and targets stand for."""

from __future__ import annotations

import ast
from collections.abc import Callable

from assay.analysis.enactment.configurations import RaisedError
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.operations import MAX_ITEMS, MAX_TEXT, MAX_TURNS, ROOT
from assay.analysis.enactment.regions import BRANCH, BUILTINS, LOOP, REPEAT, LeftError, unsure
from assay.analysis.enactment.values import (
    ANYTHING,
    CONSTANTS,
    Choice,
    External,
    Function,
    Items,
    Node,
    Pairs,
    Scope,
    choice,
    is_constant,
    marks_of,
)
from assay.analysis.python_source import FunctionNode


class Expressions(Machine):
    """The part of the interpreter that evaluates expressions, and assigns to names and other targets."""

    # -- names and targets ---------------------------------------------------------------------------------------------

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
                    return unsure(value)
                return value
            first = False
            one = one.outer
        return External(name) if name in BUILTINS else ANYTHING

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

    # -- names, attributes and items -----------------------------------------------------------------------------------

    def _name(self, node: ast.Name, scope: Scope) -> object:
        return self.lookup(scope, node.id)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> object:
        return self.attribute(self.eval(node.value, scope), _mangled(node.attr, scope), node)

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

    # -- constants and containers --------------------------------------------------------------------------------------

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
        self.where.append(node)
        try:
            if lazy:
                # it is carried out as far as somebody asks
                with self.within(REPEAT):
                    go(0)
            else:
                go(0)
        finally:
            self.frames.pop()
            self.where.pop()
        return pairs if is_mapping else items

    # -- functions and conditions --------------------------------------------------------------------------------------

    def _lambda(self, node: ast.Lambda, scope: Scope) -> object:
        return self.define(node, scope)

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

    # -- operators -----------------------------------------------------------------------------------------------------

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

    # -- others --------------------------------------------------------------------------------------------------------

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


EXPRESSIONS: dict[type[ast.expr], Callable[..., object]] = {
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.Subscript: Expressions._subscript,
    ast.Constant: Expressions._constant,
    ast.JoinedStr: Expressions._joined_text,
    ast.List: Expressions._items,
    ast.Tuple: Expressions._items,
    ast.Set: Expressions._items,
    ast.Dict: Expressions._pairs,
    ast.ListComp: Expressions._comprehension,
    ast.SetComp: Expressions._comprehension,
    ast.GeneratorExp: Expressions._comprehension,
    ast.DictComp: Expressions._comprehension,
    ast.Lambda: Expressions._lambda,
    ast.IfExp: Expressions._conditional,
    ast.BoolOp: Expressions._boolean,
    ast.UnaryOp: Expressions._unary,
    ast.BinOp: Expressions._binary,
    ast.Compare: Expressions._compare,
    ast.NamedExpr: Expressions._walrus,
    ast.Yield: Expressions._yield,
    ast.YieldFrom: Expressions._yield,
    ast.Await: Expressions._yield,
    ast.Starred: Expressions._starred,
}


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
