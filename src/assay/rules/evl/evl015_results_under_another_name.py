"""EVL015: evaluate reads results from a file that train does not write."""

from __future__ import annotations

import ast
import fnmatch
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from assay.analysis.name_origins import How, origins_of
from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword, string_value
from assay.analysis.run_variations import texts
from assay.analysis.text_pattern import Hole, PatternReader
from assay.rules.rule import Example, Outcome, Rule, Undecided

_DATA = (".json", ".jsonl", ".csv", ".tsv", ".npy", ".npz", ".pkl", ".pickle", ".parquet", ".feather", ".h5")
# libraries that read and write no file whose name the program does not give
_PLAIN = frozenset(
    {"torch", "torchvision", "numpy", "pandas", "yaml", "matplotlib", "seaborn", "tqdm", "sklearn", "scipy"}
)
# arguments that hold the path: of functions, and of methods of a path that take none
_READERS = re.compile(r"open|io\.open|pandas\.read_\w+|numpy\.(load|loadtxt|genfromtxt)|torch\.load")
_PATH_METHODS = frozenset({"read_text", "read_bytes", "open"})
_SEARCHES = frozenset({"glob", "rglob", "iglob"})
_LISTS = frozenset({"iterdir", "listdir", "scandir", "walk"})
_KEEPS_ITEMS = frozenset({"sorted", "list", "tuple", "set", "tqdm", "tqdm.tqdm", "reversed", "enumerate"})
# names of a configuration's path: it holds no results, and the texts in it are looked at by themselves
_CONFIGURATION = re.compile(r"^(config|cfg|yaml|conf)(_?(file|path))?$|_(config|cfg|yaml)(_?(file|path))?$")
_TRAIN = "import json\njson.dump({'loss': 1.0}, open(folder / 'results.json', 'w'))\n"
_EVALUATE = "import json\n\n\ndef load(folder):\n    return json.load(open(folder / 'results.json'))\n"


class ResultsUnderAnotherName(Rule):
    """Train and evaluate share one format of results: what the one writes the other reads.

    A foundation whose train writes `results.json` and whose evaluate looks for `metrics.json` works in each half and never
    as a whole: the comparison finds nothing. The rule compares the names of data files that are written out in evaluate
    with those of all other files and of the configuration. It blocks where evaluate certainly reads a file by name, none of
    the names it knows stands anywhere else, and the others write one of the same kind under another name. Where names
    are put together at run time, or a library may write files of its own, it says nothing.
    """

    code = "EVL015"
    name = "results-under-another-name"
    requirements = ("B5.2",)
    message = "evaluate reads {read}, which nothing writes"
    explanation = "The other programs keep their results in {written}: there is nothing that evaluate could compare."
    repair = "Read {written}, or write {read}."

    VALID = (
        Example({"src/train.py": _TRAIN, "src/evaluate.py": _EVALUATE}, contract="base"),
        Example(
            {"src/train.py": _TRAIN.replace("'results.json'", "f'{kind}.json'"),
             "src/evaluate.py": _EVALUATE.replace("results", "metrics")},
            contract="base",
        ),
        Example(
            {"src/train.py": _TRAIN.replace("folder / 'results.json'", "path.with_suffix('.json')"),
             "src/evaluate.py": _EVALUATE.replace("results", "metrics")},
            contract="base",
        ),
        # any file of the kind, or one of several names
        Example(
            {"src/train.py": _TRAIN, "src/evaluate.py": "import json\nall = [json.load(open(p)) for p in d.glob('*.json')]\n"},
            contract="base",
        ),
        Example(
            {"src/train.py": _TRAIN,
             "src/evaluate.py": _EVALUATE.replace("results", "metrics") + "    # or\n    return open('results.json')\n"},
            contract="base",
        ),
        # main writes it, from what train prints
        Example(
            {"src/train.py": _TRAIN, "src/evaluate.py": _EVALUATE.replace("results", "metrics"),
             "src/main.py": "import json\njson.dump(found, open(folder / 'metrics.json', 'w'))\n"},
            contract="base",
        ),
        # evaluate takes it from what was printed
        Example(
            {"src/train.py": _TRAIN, "src/main.py": "log = open(folder / 'stdout.log', 'w')\n",
             "src/evaluate.py": _EVALUATE.replace("results", "metrics") + "\n\nprint(open(folder / 'stdout.log').read())\n"},
            contract="base",
        ),
        # another file reads for it
        Example(
            {"src/train.py": _TRAIN, "src/evaluate.py": "from src.model import load\n" + _EVALUATE.replace("results", "metrics"),
             "src/model.py": "def load(path):\n    return open(path / 'results.json')\n"},
            contract="base",
        ),
        # main hands the results over, and what is read besides may be missing
        Example(
            {
                "src/train.py": _TRAIN,
                "src/evaluate.py": "import json\n\n\ndef compare(results, folder):\n"
                "    if (folder / 'published.json').exists():\n"
                "        results.append(json.loads((folder / 'published.json').read_text()))\n",
                "src/main.py": "from src.evaluate import compare\ncompare(results, folder)\n",
            },
            contract="base",
        ),
        # the name comes with the configuration, or with the arguments
        Example(
            {"src/train.py": _TRAIN, "src/evaluate.py": "import json\ndata = json.load(open(folder / cfg['file']))\n",
             "config/smoke_test.yaml": "file: results.json\n"},
            contract="base",
        ),
        # a library writes files of its own
        Example(
            {"src/train.py": "import transformers\n" + _TRAIN, "src/evaluate.py": _EVALUATE.replace("results", "all_results")},
            contract="base",
        ),
        Example({"src/train.py": "import json\nprint(json.dumps({'loss': 1.0}))\n", "src/evaluate.py": _EVALUATE},
                contract="base"),
    )  # fmt: skip
    INVALID = (
        Example(
            {"src/train.py": _TRAIN, "src/evaluate.py": _EVALUATE.replace("results", "metrics")},
            contract="base",
            at=("src/evaluate.py:5",),
            repaired={"src/evaluate.py": _EVALUATE},
        ),
        Example(
            {
                "src/train.py": _TRAIN,
                "src/evaluate.py": "import json\n\nfor path in root.rglob('metrics.json'):\n    json.load(open(path))\n",
            },
            contract="base",
            at=("src/evaluate.py:3",),
            repaired={
                "src/evaluate.py": "import json\n\nfor path in root.rglob('results.json'):\n    json.load(open(path))\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        evaluate = project.role("evaluate")
        others = [file for file in project.python.values() if file is not evaluate]
        if evaluate is None or project.role("train") is None:
            yield Undecided("train or evaluate is missing")
            return
        if any(file.tree is None for file in project.python.values()):
            yield Undecided("a file cannot be read")
            return
        reads, is_open = _reads_of(evaluate)
        main = project.role("main")
        if main is not None and evaluate in reached_files(project, main):
            # main may hand the results over, and a file that may be missing is another thing
            reads = [read for read in reads if not _is_guarded(evaluate, read.call)]
        elsewhere = any(_path_read(*call) for file in reached_files(project, evaluate) for call in file.calls)
        own = {part for file in project.python.values() for part in file.module.split(".")}
        roots = {item.module.partition(".")[0] for file in project.python.values() for item in file.imports}
        known = {_last(text) for text in _texts(evaluate)}
        settings = {_last(text) for file in project.yaml.values() for root in file.documents for text in texts(root)}
        written = {_last(text) for file in others for text in _texts(file)}
        named = sorted(text for text in written if text.endswith(_DATA) and not _is_open_name(text))
        if is_open or elsewhere or not reads:
            yield Undecided("which files evaluate reads is not all written out in it")
            return
        if roots - _PLAIN - own - sys.stdlib_module_names or any(_makes_names(file) for file in others):
            yield Undecided("the names of files are put together, or a library writes some")
            return
        made = _written_by(evaluate)
        if any(_may_be(one, text) for one in known | settings for text in written):
            return
        if any(read.name in written and not read.name.endswith((".yaml", ".yml")) for read in reads):
            return
        for read in reads:
            suffix = f".{read.name.rpartition('.')[2]}"
            same = [text for text in named if text.endswith(suffix)]
            if not read.name.endswith(_DATA) or read.name in made or not same:
                continue
            shown = " or ".join(same[:3])
            yield self.finding(
                evaluate.path, read.call, symbol=evaluate.symbol_of(read.call) or None, read=read.name, written=shown
            )
            return


class _Read(NamedTuple):
    """A call that reads a file, or searches for one, and the file's name."""

    call: ast.Call
    name: str


def _is_guarded(file: PythonFile, call: ast.Call) -> bool:
    """Whether a file is read only where something holds, or may be missing."""
    return any(isinstance(up, ast.If | ast.IfExp | ast.Try) for up in file.ancestors(call))


def _reads_of(file: PythonFile) -> tuple[list[_Read], bool]:
    """The files that a program reads by a name that is written out, and whether there may be others."""
    reader, origins = PatternReader(file), origins_of(file)
    found: list[_Read] = []
    for call, name in file.calls:
        given = _path_read(call, name)
        if given is None:
            continue
        for pattern in reader.fold_at_calls(given):
            last = pattern.name
            if last.constant is not None:
                if not _is_open_name(last.constant):
                    found.append(_Read(call, last.constant))
                continue
            # what a search has found
            hole = last.parts[0]
            if isinstance(hole, Hole) and _CONFIGURATION.search(hole.label.rpartition(".")[2]):
                continue
            at = hole.expression if isinstance(hole, Hole) and len(last.parts) == 1 else None
            sources = origins.of(at) if isinstance(at, ast.Name) else []
            if not sources or not all(one.how is How.ELEMENT and _is_search(file, one.expression) for one in sources):
                return found, True
    return found, any(
        name in ("exec", "eval", "__import__", "importlib.import_module", "runpy.run_module", "runpy.run_path", "input")
        or name.startswith(("sys.stdin", "subprocess."))
        for _, name in file.calls
    )


def _path_read(call: ast.Call, name: str) -> ast.expr | None:
    """The path that a call reads, or searches; None where it reads nothing."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method in _SEARCHES or name in ("glob.glob", "glob.iglob"):
        return call.args[0] if call.args else None
    if _READERS.fullmatch(name):
        mode = keyword(call, "mode") or (call.args[1] if name in ("open", "io.open") and len(call.args) > 1 else None)
        if name in ("open", "io.open") and mode is not None and not (string_value(mode) or "r").startswith("r"):
            return None
        return call.args[0] if call.args else None
    if method in _PATH_METHODS and isinstance(call.func, ast.Attribute):
        mode = keyword(call, "mode") or (call.args[0] if method == "open" and call.args else None)
        if mode is None or (string_value(mode) or "r").startswith("r"):
            return call.func.value
    return None


def _is_search(file: PythonFile, node: ast.expr | None) -> bool:
    """Whether something runs through what a search by a written pattern finds."""
    for _ in range(4):
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SEARCHES:
            return bool(node.args) and string_value(node.args[0]) is not None
        if file.qualified(node.func) not in _KEEPS_ITEMS or not node.args:
            return False
        node = node.args[0]
    return False


def _written_by(file: PythonFile) -> set[str]:
    """Names of files that a program writes itself."""
    reader = PatternReader(file)
    found: set[str] = set()
    for call, name in file.calls:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if method.startswith(("write_", "to_", "save", "open")) or name == "open" or ".save" in name:
            nodes = [*call.args, *((call.func.value,) if isinstance(call.func, ast.Attribute) else ())]
            if _path_read(call, name) is None:
                found |= {text for node in nodes if (text := reader.fold(node).name.constant)}
    return found


def _texts(file: PythonFile) -> Iterator[str]:
    for node in file.nodes_of(ast.Constant):
        text = string_value(node)
        if text and not isinstance(file.parents.get(node), ast.Expr):
            yield text


def _last(text: str) -> str:
    return text.rstrip("/").rpartition("/")[2].strip()


def _is_open_name(text: str) -> bool:
    """Whether a text is only a part of a name, or stands for several."""
    return text.startswith(".") or any(letter in text for letter in "*?[]{}%$ \n")


def _may_be(known: str, written: str) -> bool:
    """Whether a text of evaluate may mean a file that is named elsewhere."""
    if not known or not written:
        return False
    if known == written:
        return known.endswith(_DATA)
    # a pattern, or a suffix that is compared with
    data = written.endswith(_DATA)
    if data and known.startswith(".") and written.endswith(known):
        return True
    return data and any(letter in known for letter in "*?[") and fnmatch.fnmatch(written, known)


def _makes_names(file: PythonFile) -> bool:
    """Whether a file puts names of data files together from parts."""
    for node in file.nodes_of(ast.Constant):
        text = string_value(node)
        if text is None or isinstance(file.parents.get(node), ast.Expr):
            continue
        parent = file.parents.get(node)
        is_part = isinstance(parent, ast.JoinedStr) or (
            isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add | ast.Mod)
        )
        bare = text.strip(".").lower()
        if text.endswith(_DATA) and (is_part or _is_open_name(_last(text))):
            return True
        if f".{bare}" in _DATA or (is_part and text.endswith(".") and " " not in text):
            return True
    return any(
        (isinstance(call.func, ast.Attribute) and call.func.attr in ("with_suffix", "with_name", "with_stem"))
        or name in ("exec", "eval", "__import__", "importlib.import_module", "runpy.run_module")
        for call, name in file.calls
    )
