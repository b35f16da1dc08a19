"""Where a program asks whether it runs in trial or in full mode, and what it does then."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from assay.analysis.expressions import last_part, scope_nodes, tests_around
from assay.analysis.own_functions import Own, OwnFunctions
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend

_MODES = frozenset({"mode", "run_mode", "exec_mode", "execution_mode"})
_FLAGS = frozenset({"trial_mode", "is_trial", "trial_run", "is_trial_mode", "in_trial", "is_full", "full_mode"})
# another thing's mode: `cfg.wandb.mode`, `scheduler.mode`
_OTHERS = frozenset({"wandb", "scheduler", "early_stopping", "compile", "tracking", "checkpoint", "monitor", "wb"})
_VALUES = frozenset({"trial", "full"})
_MAX_CALLERS = 8
_MAX_QUESTIONS = 60


def run_mode(project: Project) -> RunMode:
    """What a submission does with the mode, worked out once."""
    return project.shared(RunMode)


def is_mode(node: ast.AST) -> bool:
    """Whether an expression is the mode of the run (`cfg.mode`), or a flag for it (`cfg.trial_mode`)."""
    name = last_part(node)
    if name in _FLAGS:
        return True
    owner = ""
    if isinstance(node, ast.Attribute | ast.Subscript):
        owner = last_part(node.value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = last_part(node.func.value)
    return name in _MODES and owner not in _OTHERS


class RunMode:
    """What a submission's Python files do with the mode."""

    def __init__(self, project: Project) -> None:
        self.files = [file for file in project.python.values() if file.tree is not None]
        self.own = project.shared(OwnFunctions)
        # whether the contract's trial is asked for with a flag of its own, not with `mode=trial`
        self.is_flag = "mode=full" not in project.contract.commands.get("full", "").split()

    @cached_property
    def _aliases(self) -> dict[PythonFile, set[str]]:
        """Names that hold the answer to a question about the mode: `quick = cfg.mode == "trial"`."""
        return {
            file: {
                target.id
                for node in file.nodes_of(ast.Assign)
                if isinstance(node.value, ast.Compare | ast.BoolOp | ast.UnaryOp)
                if any(_compares(part) for part in descend(node.value))
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for file in self.files
        }

    def asks(self, file: PythonFile, test: ast.AST) -> bool:
        """Whether a condition has to do with the mode."""
        for part in descend(test):
            if _compares(part) or (isinstance(part, ast.expr) and last_part(part) in _FLAGS):
                return True
            if isinstance(part, ast.Name) and part.id in self._aliases.get(file, set()):
                return True
        return False

    @cached_property
    def questions(self) -> list[tuple[PythonFile, ast.AST]]:
        """The `if`, `while`, `match` and conditional expressions whose condition has to do with the mode."""
        found: list[tuple[PythonFile, ast.AST]] = []
        for file in self.files:
            for node in file.nodes_of(
                ast.If, ast.IfExp, ast.While, ast.Match, ast.BoolOp, ast.comprehension, ast.Assert
            ):
                if isinstance(node, ast.If | ast.IfExp | ast.While):
                    tests: list[ast.AST] = [node.test]
                elif isinstance(node, ast.Match):
                    tests = [node.subject] if is_mode(node.subject) else []
                    found += [(file, node)] if tests else []
                    continue
                elif isinstance(node, ast.BoolOp | ast.comprehension | ast.Assert):
                    # `mode == "trial" and (...)` outside an `if`
                    tests = [node]
                else:
                    continue
                if any(self.asks(file, test) for test in tests):
                    found.append((file, node))
        return found

    @cached_property
    def passed_on(self) -> list[tuple[PythonFile, ast.AST]]:
        """Places where the mode goes somewhere that cannot be followed: an index, an argument of a library, a field."""
        found: list[tuple[PythonFile, ast.AST]] = []
        for file in self.files:
            for node in file.nodes_of(ast.Name, ast.Attribute, ast.Subscript):
                loaded = isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Load)
                if loaded and is_mode(node) and not self._is_plain_use(file, node):
                    found.append((file, node))
        return found

    @cached_property
    def answers(self) -> list[tuple[PythonFile, ast.AST]]:
        """Comparisons of the mode whose outcome goes where it is not followed: an argument, a field, a return value."""
        found: list[tuple[PythonFile, ast.AST]] = []
        for file in self.files:
            for node in file.nodes:
                if not _compares(node):
                    continue
                for up in file.ancestors(node):
                    if isinstance(up, ast.BoolOp | ast.UnaryOp | ast.Compare):
                        continue
                    plain = isinstance(up, ast.If | ast.IfExp | ast.While | ast.Assert | ast.Match | ast.comprehension)
                    bound = isinstance(up, ast.Assign) and all(isinstance(item, ast.Name) for item in up.targets)
                    if not plain and not bound:
                        found.append((file, node))
                    break
            held = self._aliases[file]
            found += [
                (file, node)
                for node in file.nodes
                if isinstance(node, ast.Name)
                and node.id in held
                and isinstance(node.ctx, ast.Load)
                and isinstance(file.parents.get(node), ast.Call | ast.keyword | ast.Return | ast.Assign | ast.Dict)
            ]
        return found

    def _is_plain_use(self, file: PythonFile, node: ast.AST) -> bool:
        """Whether an expression is compared, printed, tested, or handed to a parameter with the same name."""
        for up in file.ancestors(node):
            if isinstance(up, ast.Compare | ast.JoinedStr | ast.FormattedValue | ast.Raise | ast.Assert | ast.BoolOp):
                return True
            if isinstance(up, ast.If | ast.IfExp | ast.While | ast.UnaryOp | ast.Match):
                return True
            if isinstance(up, ast.Assign):
                return all(last_part(target) in _MODES | _FLAGS for target in up.targets)
            if isinstance(up, ast.keyword):
                # `wandb.init(mode=...)` decides something; a function of the submission is read itself
                call = file.parents.get(up)
                own = isinstance(call, ast.Call) and self.own.called(file, call.func) is not None
                return own and up.arg in _MODES | _FLAGS
            if isinstance(up, ast.Call):
                if last_part(up.func) in (
                    "print",
                    "info",
                    "debug",
                    "warning",
                    "error",
                    "str",
                    "format",
                    "lower",
                    "strip",
                ):
                    return True
                own_function = self.own.called(file, up.func)
                if own_function is None:
                    return False
                parameters = [item.arg for item in own_function[1].args.args]
                return bool(set(parameters) & (_MODES | _FLAGS))
            if isinstance(up, ast.stmt):
                return False
        return False

    def regions(self) -> Iterator[ast.AST] | None:
        """The nodes of all regions; None where there are too many questions to follow them all."""
        if len(self.questions) > _MAX_QUESTIONS:
            return None
        return (node for file, question in self.questions for node in self.region(file, question))

    def region(self, file: PythonFile, question: ast.AST) -> Iterator[ast.AST]:
        """What a question decides: its whole statement, the bodies of the submission's functions called there, and the
        constants of the submission named there.
        """
        top: ast.AST = question
        if not isinstance(question, ast.If | ast.While | ast.Match):
            top = next((up for up in file.ancestors(question) if isinstance(up, ast.stmt)), question)
            if not isinstance(
                top,
                ast.Assign
                | ast.AnnAssign
                | ast.Expr
                | ast.Return
                | ast.AugAssign
                | ast.If
                | ast.While
                | ast.For
                | ast.With,
            ):
                top = question
        seen: set[FunctionNode] = set()
        named: set[str] = set()
        pending: list[tuple[PythonFile, ast.AST, int]] = [(file, top, 0)]
        while pending:
            home, node, depth = pending.pop()
            for part in descend(node):
                yield part
                own = self.own.called(home, part.func) if isinstance(part, ast.Call) and depth < 3 else None
                if own is not None and own[1] not in seen:
                    seen.add(own[1])
                    pending.append((own[0], own[1], depth + 1))
                if isinstance(part, ast.Name) and part.id.isupper() and part.id not in named:
                    named.add(part.id)
                    pending += [
                        (other, other.constants[part.id], 3) for other in self.files if part.id in other.constants
                    ]

    def conditions(self, file: PythonFile, node: ast.AST) -> list[tuple[PythonFile, ast.expr]] | None:
        """The conditions under which a node runs, up to the programs' first lines; None where that cannot be told."""
        found = [(file, test) for test in tests_around(file, node)]
        function = file.function_of(node)
        seen: set[FunctionNode] = set()
        while function is not None:
            calls = self.own.calls_of.get(function, [])
            entry = bool(function.decorator_list) or function.name == "main"
            if function in seen or (not calls and not entry) or len(calls) > _MAX_CALLERS:
                return None
            seen.add(function)
            if _may_leave_before(function, node):
                return None
            if len(calls) != 1:
                return found if entry and not calls else None
            file, node = calls[0]
            found += [(file, test) for test in tests_around(file, node)]
            function = file.function_of(node)
        return found

    def objective(self, file: PythonFile, call: ast.Call) -> Own | None:
        """The function that `study.optimize` is given, a nested one or one called in a lambda included."""
        given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "func"), None)
        if isinstance(given, ast.Lambda) and isinstance(given.body, ast.Call):
            given = given.body.func
        elif isinstance(given, ast.Call) and (maker := self.own.called(file, given.func)) is not None:
            return _made_by(*maker)
        if given is None:
            return None
        found = self.own.called(file, given)
        if found is None and isinstance(given, ast.Name):
            near = [function for function in file.functions if function.name == given.id]
            found = (file, near[0]) if len(near) == 1 else None
        return found

    def searches(self) -> Iterator[tuple[PythonFile, ast.Call]]:
        """The calls of `optimize` on an Optuna study."""
        for file in self.files:
            if not any(item.module.partition(".")[0] == "optuna" for item in file.imports):
                continue
            for call, _ in file.calls:
                if isinstance(call.func, ast.Attribute) and call.func.attr == "optimize":
                    yield file, call


def _made_by(file: PythonFile, maker: FunctionNode) -> Own | None:
    """The function that another one defines and returns."""
    inner = {node.name: node for node in scope_nodes(maker) if isinstance(node, FunctionNode)}
    returned = [node.value for node in scope_nodes(maker) if isinstance(node, ast.Return)]
    names = {item.id if isinstance(item, ast.Name) else "" for item in returned}
    name = names.pop() if len(names) == 1 else ""
    return (file, inner[name]) if name in inner else None


def _compares(node: ast.AST) -> bool:
    """Whether a node is a comparison of the mode with `trial` or `full`."""
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    texts = {part.value for side in sides for part in descend(side) if isinstance(part, ast.Constant)}
    return any(is_mode(side) for side in sides) and bool(_VALUES & {text for text in texts if isinstance(text, str)})


def _may_leave_before(function: FunctionNode, node: ast.AST) -> bool:
    """Whether a function may return, or end the program, before it comes to a node."""
    line = getattr(node, "lineno", 0)
    return any(
        (
            isinstance(part, ast.Return)
            or (isinstance(part, ast.Call) and last_part(part.func) in ("exit", "quit", "_exit"))
        )
        and part.lineno < line
        for part in scope_nodes(function)
        if isinstance(part, ast.Return | ast.Call)
    )
