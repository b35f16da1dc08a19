"""Calls: of functions and methods of the submission, of its classes and objects, and of libraries."""

from __future__ import annotations

import ast
from collections.abc import Callable

from assay.analysis.enactment.exception_names import catches
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.objects import Super
from assay.analysis.enactment.regions import (
    BRANCH,
    NORMAL,
    RAISE,
    REPEAT,
    SEARCH,
    Attempt,
    CaughtError,
    LeftError,
    unsure,
)
from assay.analysis.enactment.syntax_questions import yields
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    Choice,
    Class,
    External,
    Function,
    Instance,
    Items,
    Managed,
    Method,
    Node,
    Pairs,
    Scope,
    choice,
)
from assay.analysis.own_library import EXPERIMENT
from assay.analysis.python_source import FunctionNode

MAX_CALLS = 40
MAX_SAME_CALLS = 3

# Decorators after which a call still does what the function says, when and as often as it is called.
_PLAIN_DECORATORS = (
    "functools.wraps", "functools.lru_cache", "functools.cache", "functools.cached_property",
    "staticmethod", "classmethod", "property", "abc.", "typing.", "typing_extensions.", "torch.", "hydra.main",
    "functools.total_ordering", "contextlib.contextmanager", "dataclasses.", "transformers.", "accelerate.", "numba.",
    "jax.", "wandb.", "atexit.",
)  # fmt: skip
# Decorators that make a program of a function, which is called without arguments.
_ENTRIES = frozenset({"hydra.main()", EXPERIMENT})
# Functions that go through all of what they are given at once.
_CONSUMERS = frozenset({"list", "tuple", "set", "frozenset", "dict", "sorted", "sum", "max", "min"})


class Calls(Machine):
    """The part of the interpreter that carries out calls."""

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
        self.where[-1] = node
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
            return self.call_function(callee, positional, keywords, node, is_open)
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
                return self.call_function(found.bound_to(callee), positional, keywords, node, is_open)
        self.havoc([callee, *positional, *keywords.values()])
        return ANYTHING

    def search(self, objective: object, given: list[object], node: ast.AST, catches_some: bool) -> object:
        """A search calls its objective, once a trial; what the objective raises may end the trial only."""
        names = ("TrialPruned", "?") if catches_some else ("TrialPruned",)
        result: object = ANYTHING
        count = len(self.tries)
        with self.within(SEARCH):
            self.tries.append(Attempt(names, len(self.regions), guards=catches_some))
            try:
                result = self.call(objective, given, {}, node)
            except CaughtError as caught:
                if catches(names, caught.names) is False:
                    raise
            finally:
                del self.tries[count:]
        return result

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
                self.callbacks([one for one in value.values if isinstance(one, Function | Instance | Method)], node)
            elif isinstance(value, Method) and value.name == "partial" and isinstance(value.receiver, tuple):
                function, given, named = value.receiver
                if isinstance(function, Function):
                    key = (function.node, function.scope, id(value.receiver))
                    self._call_back(function, key, node, list(given), dict(named))
                else:
                    self.callbacks([function], node)
                    self.havoc([function, *given, *named.values()])
            elif isinstance(value, Method):
                self.havoc([value])

    def _call_back(
        self,
        function: Function,
        key: object,
        node: ast.AST,
        given: list[object] | None = None,
        named: dict[str, object] | None = None,
    ) -> None:
        if key in self.called_back or self.calling.count(function):
            return
        self.called_back.add(key)
        with self.within(REPEAT):
            self.call_function(function, given or [], named or {}, node, True)

    # -- functions -----------------------------------------------------------------------------------------------------

    def call_function(
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
                if one.path in _ENTRIES and not positional and not keywords and self.entry is not None:
                    return self.entry(_undecorated(callee), one)
                if one.path == "contextlib.contextmanager":
                    return Managed(_undecorated(callee), tuple(positional), tuple(keywords.items()), is_open)
                if not one.path.startswith(_PLAIN_DECORATORS):
                    # what the decorator does to the call is not known: it may catch, repeat or omit it
                    self.havoc([*positional, *keywords.values()])
                    with self.within(REPEAT):
                        self.call_function(_undecorated(callee), positional, keywords, node, is_open)
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
        self.where.append(node)
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
            self.where.pop()
            del self.regions[regions:], self.tries[tries:]
        if status == NORMAL:
            scope.returns.append(None)
        elif status == RAISE and not scope.returns and self.boundary():
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
            return unsure(result)
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

    # -- classes -------------------------------------------------------------------------------------------------------

    def _instantiate(
        self, cls: Class, positional: list[object], keywords: dict[str, object], node: ast.AST, is_open: bool
    ) -> object:
        made = Instance(cls, region=self.region)
        self.entered.add((cls.scope.file.path, cls.node.lineno))
        if cls.find("__new__") is not ABSENT or any(one.vague for one in cls.lineage()):
            made.open = True
        maker = next((one.metaclass for one in cls.lineage() if one.metaclass is not None), None)
        if maker is not None and maker.find("__call__") is not ABSENT:
            # whether it makes an object, and how, is not known
            made.open = True
            self.havoc([*positional, *keywords.values()])
            with self.within(REPEAT):
                self._initialised(made, positional, keywords, node, is_open)
        else:
            self._initialised(made, positional, keywords, node, is_open)
        made_elsewhere = any(one.vague and one.node.keywords for one in cls.lineage()) or any(
            isinstance(base, External) and base.path.endswith("TypedDict")
            for one in cls.lineage()
            for base in one.bases
        )
        return ANYTHING if made_elsewhere or cls.find("__new__") is not ABSENT else made

    def _initialised(
        self, made: Instance, positional: list[object], keywords: dict[str, object], node: ast.AST, is_open: bool
    ) -> None:
        """What a constructor does to a new object."""
        cls = made.cls
        init = cls.method("__init__")
        dataclass = next((one for one in cls.lineage() if one.decorators and _is_dataclass(one)), None)
        if dataclass is not None and (init is None or not _keeps_own_init(cls, dataclass, init)):
            self._dataclass(made, dataclass, positional, keywords, is_open)
            after = cls.method("__post_init__")
            if after is not None:
                self.call_function(after.bound_to(made), [], {}, node, True)
        elif init is not None:
            self.call_function(init.bound_to(made), positional, keywords, node, is_open)
        elif not cls.closed:
            self.callbacks([*positional, *keywords.values()], node)
            self.havoc([*positional, *keywords.values()])
            made.open = True

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


CALLS: dict[type[ast.expr], Callable[..., object]] = {ast.Call: Calls._call}


def _undecorated(function: Function) -> Function:
    return Function(function.node, function.scope, function.this, function.bound, function.owner, [], function.defaults)


def held(words: dict[str, object]) -> dict[object, object]:
    """Keyword arguments as the entries of a dictionary."""
    return dict(words.items())


def _is_dataclass(cls: Class) -> bool:
    return any(isinstance(one, External) and one.path.startswith("dataclasses.dataclass") for one in cls.decorators)


def _keeps_own_init(cls: Class, dataclass: Class, init: Function) -> bool:
    """Whether a constructor of the submission comes before the one that a dataclass makes."""
    lineage = cls.lineage()
    return init.owner in lineage and lineage.index(init.owner) <= lineage.index(dataclass)
