"""LCH004: main starts several run variations at once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.name_origins import own_calls
from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule

_STARTS = frozenset(
    {
        "subprocess.run",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.Popen",
        "os.system",
    }
)
_SPREADS = frozenset(
    {"submit", "map", "starmap", "apply_async", "imap", "imap_unordered", "map_async", "starmap_async"}
)
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_OTHER_PROGRAMS = frozenset({"nvidia-smi", "wget", "curl", "git", "pip", "uv", "unzip", "tar"})
_POOLS = frozenset({"concurrent", "multiprocessing", "joblib", "ray", "dask", "asyncio", "pathos"})
# of which one variation may have several
_PARTS = re.compile(r"seed|fold|repeat|replicate|shard", re.IGNORECASE)
_MAX_CALLS = 2_000
_HEAD = "import subprocess\nfrom concurrent.futures import ThreadPoolExecutor\n\n\n"
_START = "def start(run):\n    subprocess.run(['python', '-m', 'src.train', run], check=True)\n\n\n"


class VariationsAtOnce(Rule):
    """main starts train for one run variation after the other.

    Variations that run at once share the GPU: they run out of memory, and their times cannot be compared. The rule finds
    a function that starts a process and is handed to a pool of workers, and processes that are started in one loop and
    waited for in a later one. Threads that copy the output of a child are no such thing.
    """

    code = "LCH004"
    name = "variations-at-once"
    requirements = ("B4.3", "D1.1")
    message = "the run variations are started at once"
    explanation = (
        "They share one GPU and one processor, so they may fail for want of memory, and no time can be compared."
    )
    repair = "Start each variation in a plain loop, and wait for its end there."

    VALID = (
        Example({"src/main.py": _HEAD + _START + "for run in runs:\n    start(run)\n"}, contract="base"),
        Example(
            {
                "src/main.py": _HEAD + "def copy(pipe):\n    print(pipe.read())\n\n\nfor run in runs:\n"
                "    child = subprocess.Popen(['python', '-m', 'src.train', run])\n    with ThreadPoolExecutor() as pool:\n"
                "        pool.map(copy, (child.stdout, child.stderr))\n    child.wait()\n"
            },
            contract="base",
        ),
        # the seeds of a variation together, the variations one after another
        Example(
            {
                "src/main.py": _HEAD + _START + "with ThreadPoolExecutor(2) as pool:\n    for run in runs:\n"
                "        list(pool.map(start, [f'{run}-{seed}' for seed in seeds]))\n"
            },
            contract="base",
        ),
        Example(
            {
                "src/main.py": _HEAD + "for run in runs:\n    children = []\n    for seed in seeds:\n"
                "        children.append(subprocess.Popen(['python', '-m', 'src.train', run, seed]))\n"
                "    for child in children:\n        child.wait()\n"
            },
            contract="base",
        ),
        # each is waited for before the next one starts
        Example({"src/main.py": _HEAD + _START + "with ThreadPoolExecutor() as pool:\n    for run in runs:\n        pool.submit(start, run).result()\n"}, contract="base"),
        Example({"src/main.py": _HEAD + _START + "with ThreadPoolExecutor() as pool:\n    for run in runs:\n        future = pool.submit(start, run)\n        while not future.done():\n            print('training')\n"}, contract="base"),
        Example({"src/main.py": _HEAD + "def fetch(url):\n    subprocess.run(['wget', url], check=True)\n\n\nwith ThreadPoolExecutor() as pool:\n    pool.map(fetch, urls)\nsubprocess.run(['python', '-m', 'src.train'])\n"}, contract="base"),
        Example({"src/main.py": _HEAD + _START + "with ThreadPoolExecutor(max_workers=1) as pool:\n    pool.map(start, runs)\n"}, contract="base"),
    )  # fmt: skip
    INVALID = (
        Example(
            {"src/main.py": _HEAD + _START + "with ThreadPoolExecutor(4) as pool:\n    pool.map(start, runs)\n"},
            contract="base",
            at=("src/main.py:10",),
            repaired={"src/main.py": _HEAD + _START + "for run in runs:\n    start(run)\n"},
        ),
        Example(
            {
                "src/main.py": _HEAD + "children = []\nfor run in runs:\n"
                "    children.append(subprocess.Popen(['python', '-m', 'src.train', run]))\nfor child in children:\n    child.wait()\n"
            },
            contract="base",
            at=("src/main.py:7",),
            repaired={"src/main.py": _HEAD + _START + "for run in runs:\n    start(run)\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        main = project.role("main")
        if main is None or main.tree is None or "train" not in main.text:
            return
        uses = used_names(project.python.values())
        calls = own_calls(project)
        pooled = any(item.module.partition(".")[0] in _POOLS for item in main.imports)
        for call, name in main.calls[:_MAX_CALLS]:
            starter: FunctionNode | None = None
            spreads = isinstance(call.func, ast.Attribute) and call.func.attr in _SPREADS
            if pooled and spreads and call.args and isinstance(call.args[0], ast.Name):
                own = calls.named(main, call.args[0])
                starter = own[1] if own is not None and _starts(main, own[1]) else None
                if starter is not None and (_is_awaited(main, call) or _is_kept_apart(starter)):
                    continue
            collected = name == "subprocess.Popen" and _is_collected(main, call)
            if (starter is None and not collected) or is_dead(main, call, uses):
                continue
            if not collected and _may_be_one_worker(main):
                continue
            yield self.finding(
                main.path,
                call,
                symbol=main.symbol_of(call) or None,
                frames=(Frame(main.path, starter.lineno),) if starter is not None else (),
            )
            return


def _starts(file: PythonFile, function: FunctionNode) -> bool:
    return any(isinstance(node, ast.Call) and file.qualified(node.func) in _STARTS for node in descend(function))


def _is_awaited(file: PythonFile, call: ast.Call) -> bool:
    """Whether variations may follow each other: outside all loops, or waited for in a loop around the start."""
    loops: list[ast.AST] = []
    for up in file.ancestors(call):
        if isinstance(up, FunctionNode):
            break
        if isinstance(up, ast.For | ast.While | _COMPREHENSIONS):
            loops.append(up)
    if isinstance(call.func, ast.Attribute) and call.func.attr not in ("submit", "apply_async"):
        # within a loop, it may spread the seeds of one variation
        return bool(loops) or any(
            _PARTS.search(text)
            for given in call.args[1:]
            for node in descend(given)
            if (text := node.id if isinstance(node, ast.Name) else string_value(node) or "")
        )
    if not loops:
        return True
    if isinstance(loops[0], _COMPREHENSIONS):
        return isinstance(file.parents.get(call), ast.Attribute) or len(loops) > 1
    waits = {"result", "get", "wait", "done", "join"}
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in waits
        and not node.args
        for node in descend(loops[-1])
    )


def _is_kept_apart(starter: FunctionNode) -> bool:
    """Whether a function lets one caller in at a time, or starts some other program than train."""
    for node in descend(starter):
        text = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if any(word in text.lower() for word in ("lock", "semaphore")):
            return True
        if isinstance(node, ast.Constant) and node.value in _OTHER_PROGRAMS:
            return True
    return False


def _may_be_one_worker(file: PythonFile) -> bool:
    """Whether a pool is told by anything but a number above 1 how many workers it has."""
    for call, name in file.calls:
        if not name.endswith(("PoolExecutor", "Pool", "Parallel")):
            continue
        given = [
            *call.args[:1],
            *(k.value for k in call.keywords if k.arg in ("max_workers", "processes", "n_jobs", None)),
        ]
        if any(
            not (isinstance(item, ast.Constant) and isinstance(item.value, int) and item.value > 1) for item in given
        ):
            return True
    return False


def _is_collected(file: PythonFile, call: ast.Call) -> bool:
    """Whether children that a loop starts are put into a list, and nothing in that loop waits for them."""
    loop: ast.For | None = None
    for up in file.ancestors(call):
        if isinstance(up, FunctionNode):
            break
        if isinstance(up, ast.For):
            # the outermost: the seeds of one variation may be started together
            loop = up
    if loop is None:
        return False
    above = file.parents.get(call)
    kept = isinstance(above, ast.Call) and isinstance(above.func, ast.Attribute) and above.func.attr == "append"
    waits = {"wait", "communicate", "poll", "join", "stdout", "stderr"}
    return kept and not any(isinstance(node, ast.Attribute) and node.attr in waits for node in descend(loop))
