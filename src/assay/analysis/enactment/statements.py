"""Statements that neither loop nor catch: imports, assignments, definitions, conditions and what leaves."""

from __future__ import annotations

import ast
from collections.abc import Callable

from assay.analysis.enactment.exception_names import library_exception
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.regions import BRANCH, BREAK, CONTINUE, NORMAL, RAISE, REPEAT, RETURN
from assay.analysis.enactment.syntax_questions import as_load, captured
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    Choice,
    Class,
    External,
    Function,
    Instance,
    Items,
    Module,
    Node,
    Pairs,
    Scope,
    is_constant,
)
from assay.analysis.python_source import FunctionNode

# Decorators that leave a class what it is.
_PLAIN_CLASS_DECORATORS = ("dataclasses.dataclass", "functools.total_ordering", "typing.", "enum.unique")


class Statements(Machine):
    """The part of the interpreter that carries out simple statements, conditions and definitions."""

    # -- imports -------------------------------------------------------------------------------------------------------

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
            elif f"{name}.{alias.name}" in self.module_paths:
                value = self.module(f"{name}.{alias.name}")
            elif isinstance(made, External):
                value = made.then(f".{alias.name}")
            else:
                value = ANYTHING
            self.bind(scope, alias.asname or alias.name, value)
        return NORMAL

    # -- assignments ---------------------------------------------------------------------------------------------------

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

    # -- conditions ----------------------------------------------------------------------------------------------------

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

    # -- leaving -------------------------------------------------------------------------------------------------------

    def _return(self, node: ast.Return, scope: Scope) -> str:
        scope.returns.append(self.eval(node.value, scope) if node.value is not None else None)
        return RETURN

    def _raise(self, node: ast.Raise, scope: Scope) -> str:
        if node.exc is None:
            again = self.handling[-1] if self.handling else None
            if again is None:
                # which exception it is, is not known
                if self.goes_to_handler(("?", "Exception", "BaseException"), ANYTHING) or self.boundary():
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

    def _assert(self, node: ast.Assert, scope: Scope) -> str:
        known = self.truth(self.eval(node.test, scope))
        if known is False:
            self.throw(("AssertionError", "Exception", "BaseException"), ANYTHING, node, "")
        return NORMAL

    # -- definitions ---------------------------------------------------------------------------------------------------

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

    def _class(self, node: ast.ClassDef, scope: Scope) -> str:
        made = Class(node, scope, [self.eval(base, scope) for base in node.bases], region=self.region)
        words: dict[str | None, object] = {}
        for word in node.keywords:
            value = self.eval(word.value, scope)
            if word.arg is None and isinstance(value, Pairs) and not value.open and not value.doubtful:
                words.update({key: one for key, one in value.pairs.items() if isinstance(key, str)})
            else:
                words[word.arg] = value
        # a metaclass may be among the words that are not known
        self.doubt = self.doubt or None in words
        metaclass = words.pop("metaclass", None)
        made.vague = bool(words) or metaclass not in (None, External("abc.ABCMeta"))
        made.metaclass = metaclass if isinstance(metaclass, Class) else None
        decorators = [self.eval(one, scope) for one in node.decorator_list]
        inner = Scope(scope.file, scope, owner=made, is_class=True, region=self.region)
        made.names = inner.names
        self.block(node.body, inner)
        made.names = inner.names
        self.subclassed(made, {word: one for word, one in words.items() if word is not None}, node, None in words)
        value = made
        for decorator in reversed(decorators):
            if isinstance(decorator, External) and decorator.path != "?":
                made.decorators.append(decorator)
                made.vague = made.vague or not decorator.path.startswith(_PLAIN_CLASS_DECORATORS)
            else:
                value = self.call(decorator, [value], {}, node)
        self.bind(scope, node.name, value)
        return NORMAL

    def subclassed(self, made: Class, words: dict[str, object], node: ast.AST, is_open: bool) -> None:
        """What making a class calls: its metaclass, `__set_name__` of what its body binds, and `__init_subclass__`."""
        metaclass = next((one.metaclass for one in made.lineage() if one.metaclass is not None), None)
        if metaclass is not None:
            self._made_by(metaclass, made, node)
        for name, value in list(made.names.items()):
            for one in value.values if isinstance(value, Choice) else (value,):
                hook = one.cls.method("__set_name__") if isinstance(one, Instance) else None
                if hook is not None and one is value:
                    self.call_function(hook.bound_to(one), [made, name], {}, node, False)
                elif hook is not None:
                    with self.within(BRANCH):
                        self.call_function(hook.bound_to(one), [made, name], {}, node, False)
        found = next(
            (one.names["__init_subclass__"] for one in made.lineage()[1:] if "__init_subclass__" in one.names), None
        )
        if isinstance(found, Function):
            self.call_function(found.bound_to(made), [], words, node, is_open)
        elif found is not None:
            self.call(found, [made], words, node, is_open=is_open)
        bases = [base for one in made.lineage() for base in one.bases]
        for base in bases:
            if isinstance(base, Choice):
                self._perhaps_subclassed([one for one in base.values if isinstance(one, Class)], made, words, node)
            elif not isinstance(base, Class) and not (isinstance(base, External) and base.path != "?"):
                # it may be any class of the submission
                hooked = ("__init_subclass__", "metaclass")
                self.doubt = self.doubt or any(word in file.text for file in self.files.values() for word in hooked)

    def _perhaps_subclassed(self, bases: list[Class], made: Class, words: dict[str, object], node: ast.AST) -> None:
        """A class is made whose base may be one of several."""
        for base in bases:
            metaclass = next((one.metaclass for one in base.lineage() if one.metaclass is not None), None)
            if metaclass is not None:
                self._made_by(metaclass, made, node)
            hook = base.method("__init_subclass__")
            if hook is not None:
                with self.within(BRANCH):
                    self.call_function(hook.bound_to(made), [], words, node, True)

    def _made_by(self, metaclass: Class, made: Class, node: ast.AST) -> None:
        """A metaclass of the submission makes a class: it may do so in any way, and keep it anywhere."""
        name = node.name if isinstance(node, ast.ClassDef) else ANYTHING
        for method, this in (("__prepare__", metaclass), ("__new__", None), ("__init__", made)):
            hook = metaclass.method(method)
            if hook is None:
                continue
            given: list[object] = [name, ANYTHING, Pairs({}, open=True)] if this is not None else [metaclass, name]
            with self.within(REPEAT):
                self.call_function(hook.bound_to(this) if this is not None else hook, given, {}, node, True)
        self.havoc([value for one in (*made.lineage(), *metaclass.lineage()) for value in one.names.values()])


STATEMENTS: dict[type[ast.stmt], Callable[..., str]] = {
    ast.Import: Statements._import,
    ast.ImportFrom: Statements._import_from,
    ast.Expr: Statements._expression,
    ast.Assign: Statements._assign,
    ast.AnnAssign: Statements._annotated,
    ast.AugAssign: Statements._augmented,
    ast.Delete: Statements._delete,
    ast.Return: Statements._return,
    ast.Raise: Statements._raise,
    ast.If: Statements._if,
    ast.FunctionDef: Statements._function,
    ast.AsyncFunctionDef: Statements._function,
    ast.ClassDef: Statements._class,
    ast.Match: Statements._match,
    ast.Assert: Statements._assert,
    ast.Global: Statements._global,
    ast.Nonlocal: Statements._global,
    ast.Break: lambda self, node, scope: BREAK,
    ast.Continue: lambda self, node, scope: CONTINUE,
}
