"""LCH001: a child's two pipes are read one after the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, keyword, string_value
from assay.analysis.text_pattern import PatternReader, arguments
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_STREAMS = ("stdout", "stderr")
# A file that uses one of these may serve both pipes at once.
_CONCURRENT = {
    "threading", "_thread", "multiprocessing", "concurrent", "joblib", "asyncio", "anyio", "trio", "gevent", "eventlet",
    "select", "selectors", "fcntl", "pty",
}  # fmt: skip
_INTERPRETERS = ("python", "uv", "torchrun", "accelerate", "deepspeed", "bash", "sh")
_NOT_CERTAIN = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.Match, ast.ExceptHandler, ast.IfExp, ast.BoolOp, ast.Lambda,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, FunctionNode, ast.ClassDef,
)  # fmt: skip
_HARMLESS = frozenset({"poll", "returncode", "pid", "args"})
# Each child costs a look at its whole function.
_MAX_CHILDREN = 10


def _launcher(body: str, before: str = "") -> dict[str, str]:
    lines = body.replace("\n", "\n    ").rstrip()
    return {"src/main.py": f"import subprocess\nimport sys\n{before}\n\ndef launch(cmd):\n    {lines}\n"}


_START = "proc = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)\n"
_LOOPS = _START + "for line in proc.stdout:\n    print(line)\nfor line in proc.stderr:\n    print(line)\nproc.wait()\n"
_COPY = "\n\ndef copy(stream, target):\n    for line in iter(stream.readline, ''):\n        target.write(line)\n"
_COPIES = _START + "copy(proc.stdout, sys.stdout)\ncopy(proc.stderr, sys.stderr)\n"
_WAIT = _START + "proc.wait()\nprint(proc.stdout.read(), proc.stderr.read())\n"
_LINES = _LOOPS.replace(
    "for line in proc.stdout:", "while True:\n    line = proc.stdout.readline()\n    if not line: break"
)
_THREADS = _launcher(
    _START + "error_reader = threading.Thread(target=copy, args=(proc.stderr, sys.stderr))\nerror_reader.start()\n"
    "copy(proc.stdout, sys.stdout)\nerror_reader.join()\nproc.wait()\n",
    "import threading\n" + _COPY,
)


class TwoPipes(Rule):
    """A child is started with two pipes, and one is read to its end before the other is looked at.

    A pipe holds 64 KiB on Linux (`man 7 pipe`). A child that writes more than that to the pipe nobody reads waits
    for room; its parent waits for the end of the other pipe: both wait for ever. Progress bars and warnings alone
    fill standard error. The same holds for `wait()` before anything is read, of which the documentation of
    subprocess warns. The rule follows a child within one function and into functions of the same file that are
    given a pipe; it is silent where anything else is done with the child first.
    """

    code = "LCH001"
    name = "two-pipe-deadlock"
    requirements = ("B4.4", "D5.2", "X2")
    message = "a child's {read} is read to its end before its {other} is read"
    explanation = "A child that writes more than 64 KiB to a pipe that nobody reads waits for ever, and main with it."
    repair = "Read each pipe in a thread of its own, and wait for the child afterwards."

    VALID = (
        Example(_THREADS, contract="base"),
        Example(_launcher(_START + "out, err = proc.communicate()\nprint(out, err)\n"), contract="base"),
        Example(_launcher(_LOOPS.replace("stderr=subprocess.PIPE", "stderr=open('e.log', 'w')")), contract="base"),
        Example(_launcher(_LOOPS.replace("cmd,", "['git', 'log'],")), contract="base"),
        # the shell joins the two
        Example(_launcher(_LOOPS.replace("cmd,", "cmd + ' 2>&1', shell=True,")), contract="base"),
        # another module may start the threads
        Example(_launcher(_COPIES, "from src.pumps import copy\n"), contract="derived"),
        # the loop ends before the pipe does
        Example(_launcher(_LOOPS.replace("print(line)", "if 'ready' in line: break")), contract="base"),
    )
    INVALID = (
        Example(_launcher(_LOOPS), contract="base", at=("src/main.py:6",), repaired=_THREADS),
        Example(_launcher(_COPIES, _COPY), contract="derived", at=("src/main.py:11",), repaired=_THREADS),
        Example(_launcher(_WAIT), contract="base", at=("src/main.py:6",), repaired=_THREADS),
        Example(_launcher(_LINES), contract="base", at=("src/main.py:6",), repaired=_THREADS),
        # where nothing asks for the output, the risk is a warning
        Example(_launcher(_LOOPS), contract="experiment", at=("src/main.py:6",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        asked = project.contract.family in ("base", "derived")
        for file in project.python.values():
            children = [call for call, name in file.calls if name == "subprocess.Popen" and _has_two_pipes(file, call)]
            # `2>` joins or redirects the pipes in a shell
            if not children or "2>" in file.text or "set_blocking" in file.text:
                continue
            if any(item.module.partition(".")[0] in _CONCURRENT for item in file.imports):
                continue
            for call in children[:_MAX_CHILDREN]:
                function = file.function_of(call)
                uses = _uses(function, _bound_to(file, call), bindings=1) if function else []
                first = _first_wait(file, uses, set(file.ancestors(call)))
                if function is None or first is None or _is_other_program(file, call, function):
                    continue
                read = _attribute(file, first)
                lines = {use.lineno for use in uses if use is first or _attribute(file, use) in _STREAMS}
                yield self.finding(
                    file.path,
                    call,
                    severity=None if asked and file.path == project.contract.role("main") else Severity.WARNING,
                    requirements=("B4.4", "D5.2") if asked else ("X2",),
                    symbol=file.symbol_of(call) or None,
                    message=None if read in _STREAMS else "a child with two pipes is waited for before they are read",
                    read=read,
                    other="stderr" if read == "stdout" else "stdout",
                    frames=tuple(Frame(file.path, line) for line in sorted(lines)[:4]),
                )


def _has_two_pipes(file: PythonFile, call: ast.Call) -> bool:
    return all(file.qualified(keyword(call, stream)) == "subprocess.PIPE" for stream in _STREAMS)


def _bound_to(file: PythonFile, call: ast.Call) -> str:
    """The plain name that a child is bound to; empty where there is none."""
    parent = file.parents[call]
    target = parent.targets[0] if isinstance(parent, ast.Assign) else getattr(parent, "optional_vars", None)
    return target.id if isinstance(target, ast.Name) else ""


def _is_other_program(file: PythonFile, call: ast.Call, function: FunctionNode) -> bool:
    """Whether the command, or one that a call of its function gives, is spelled out and starts no Python."""
    reader = PatternReader(file)
    commands = [reader.value_of(call.args[0] if call.args else keyword(call, "args"))]
    if isinstance(name := commands[0], ast.Name):
        calls = (other for other, called in file.calls if called == function.name)
        commands += [reader.value_of(arguments(function, other).get(name.id)) for other in calls]
    for first in commands:
        while isinstance(first, ast.List | ast.Tuple | ast.BinOp):
            first = first.left if isinstance(first, ast.BinOp) else first.elts[0] if first.elts else None
        words = (string_value(first) or "").split()
        if words and not words[0].rpartition("/")[2].startswith(_INTERPRETERS):
            return True
    return False


def _uses(function: FunctionNode, name: str, bindings: int) -> list[ast.Name]:
    """Where a function reads a name; nothing where it binds it more often than that."""
    named = [node for node in descend(function) if isinstance(node, ast.Name) and node.id == name]
    read = [node for node in named if isinstance(node.ctx, ast.Load)]
    return read if len(named) - len(read) == bindings else []


def _first_wait(file: PythonFile, uses: list[ast.Name], around: set[ast.AST], follow: bool = True) -> ast.Name | None:
    """The first thing done with a child or a pipe, where that waits for its end whenever what is `around` it happens."""
    use = next((use for use in uses if not _is_harmless(file, use)), None)
    wait = _wait(file, use, follow) if use else None
    for up in file.ancestors(wait) if wait else ():
        if up in around:
            return use
        if isinstance(up, _NOT_CERTAIN):
            break
    return None


def _is_harmless(file: PythonFile, use: ast.Name) -> bool:
    taken = _attribute(file, use)
    up = file.parents[file.parents[use] if taken in _STREAMS else use]
    if taken == "poll":
        return (loop := _while(file, use)) is None or bool(_others(file, loop, use))
    return taken in _HARMLESS or isinstance(up, ast.Compare | ast.Assert)


def _wait(file: PythonFile, use: ast.Name, follow: bool) -> ast.AST | None:
    """The call or the loop that waits for the end of a child or a pipe; None where a use of it is anything else."""
    pipe = file.parents[use] if _attribute(file, use) in _STREAMS else use
    up = file.parents[pipe]
    above = file.parents[up]
    if isinstance(up, ast.Call):
        return up if follow and not _others(file, up, use) and _function_waits(file, up, pipe) else None
    loop: ast.AST | None = up
    if isinstance(up, ast.Attribute) and isinstance(above, ast.Call):
        if up.attr in ("wait", "read", "readlines") and not above.args and not above.keywords:
            return above
        if above.func is not up:
            loop = file.parents[above] if file.qualified(above.func) == "iter" else None
        elif up.attr in ("poll", "read", "readline") and not isinstance(file.parents[above], ast.Attribute):
            loop = _while(file, use)
    return loop if loop and not _others(file, loop, use) and _runs_to_end(file, loop) else None


def _function_waits(file: PythonFile, call: ast.Call, pipe: ast.AST) -> bool:
    """Whether a statement calls a plain function of the same file that reads the pipe it is given to its end."""
    same = [function for function in file.functions if function.name == file.qualified(call.func)]
    if len(same) != 1 or same[0].decorator_list or not isinstance(file.parents[call], ast.Expr):
        return False
    parameter = next((name for name, value in arguments(same[0], call).items() if value is pipe), "")
    return _first_wait(file, _uses(same[0], parameter, bindings=0), {same[0]}, follow=False) is not None


def _runs_to_end(file: PythonFile, loop: ast.AST) -> bool:
    """Whether a loop is left only at the end of what it reads: by itself, or under `if not line`."""
    exits = [node for node in descend(loop) if isinstance(node, ast.Break | ast.Return)]
    if not isinstance(loop, ast.While):
        return isinstance(loop, ast.For) and not exits
    asks = any(isinstance(node, ast.Attribute) and node.attr in ("poll", "readline") for node in descend(loop.test))
    tests = [up.test if isinstance(up := file.parents[end], ast.If) and end in up.body else None for end in exits]
    nots = [test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else None for test in tests]
    return (asks or isinstance(loop.test, ast.Constant)) and all(isinstance(operand, ast.Name) for operand in nots)


def _while(file: PythonFile, use: ast.Name) -> ast.While | None:
    """The innermost loop around a use, where that is a `while`."""
    loop = next((up for up in file.ancestors(use) if isinstance(up, ast.For | ast.While | FunctionNode)), None)
    return loop if isinstance(loop, ast.While) else None


def _attribute(file: PythonFile, use: ast.Name) -> str:
    """The attribute that is taken of a name; empty where none is."""
    up = file.parents[use]
    return up.attr if isinstance(up, ast.Attribute) else ""


def _others(file: PythonFile, whole: ast.AST, use: ast.Name) -> set[str]:
    """What else is taken of the same name within a loop or a call."""
    same = (node for node in descend(whole) if isinstance(node, ast.Name) and node.id == use.id and node is not use)
    return {_attribute(file, node) for node in same} - _HARMLESS
