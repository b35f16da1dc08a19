"""EVL016: no program prints what experiment it is."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, string_value
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_PROGRAMS = ("main", "train", "evaluate")
# anything by which a line may come to a stream: rather one too many
_SAYS = re.compile(
    r"p?print\w*|pp|write\w*|writelines|echo|secho|info|warn(ing)?|debug|error|critical|exception|log|notice|success|say|show"
    r"|display|dump|output|emit|report\w*|describe\w*|banner|rule|tqdm|trange"
)
# libraries that print nothing about an experiment by themselves
_QUIET = frozenset({"torch", "torchvision", "numpy", "pandas", "yaml", "matplotlib", "seaborn", "sklearn", "scipy"})
_STREAMS = re.compile(r"stdout|stderr|__stdout__|console|logger|logging", re.IGNORECASE)
_ABOUT = re.compile(
    r"descri|experiment|conf|cfg|run|data|model|method|variation|arg|setting|hyper|param|title|summary|overview|hypothes"
    r"|purpose|study|spec|yaml|info|task|banner|header|intro|name|epochs|seed",
    re.IGNORECASE,
)


class NoDescription(Rule):
    """The foundation says on its output which experiment runs: its description, its settings.

    Whoever reads the log of a run weeks later has nothing else to tell it from the others. The rule blocks where neither
    main nor train nor evaluate, nor a file that they import, has any means of printing. It warns where they print, and
    nothing that is printed speaks of the experiment, of its configuration or of the run.
    """

    code = "EVL016"
    name = "no-description"
    requirements = ("B5.3",)
    message = "no program prints a description of the experiment"
    explanation = "{why}: the log of a run does not tell which experiment it is."
    repair = "Print the description and the settings of the run before it is trained."

    VALID = (
        Example(
            {"src/main.py": "import subprocess\nsubprocess.run(['python', '-m', 'src.train'])\n",
             "src/train.py": "print(cfg['description'])\n", "src/evaluate.py": "print('{}')\n"},
            contract="base",
        ),
        Example(
            {"src/main.py": "say = print\nsay('loss')\n", "src/train.py": "text = describe(config)\nprint(text)\n",
             "src/evaluate.py": "print('{}')\n"},
            contract="base",
        ),
        Example(
            {"src/main.py": "import logging\nlogging.getLogger('a').info('study of %s', x)\n", "src/train.py": "x = 1\n",
             "src/evaluate.py": "x = 1\n"},
            contract="base",
        ),
        # it is printed by a file that train imports
        Example(
            {"src/main.py": "x = 1\n", "src/train.py": "from src.model import tell\ntell()\n", "src/evaluate.py": "x = 1\n",
             "src/model.py": "import sys\n\n\ndef tell():\n    print('experiment', file=sys.stderr)\n"},
            contract="base",
        ),
        # a program is missing: another rule says so
        Example({"src/train.py": "x = 1\n"}, contract="base"),
    )  # fmt: skip
    INVALID = (
        Example(
            {"src/main.py": "x = 1\n", "src/train.py": "loss = 1\n", "src/evaluate.py": "best = 2\n"},
            contract="base",
            at=("src/train.py",),
            repaired={"src/train.py": "print('experiment', 1)\n"},
        ),
        # something else is printed: a warning
        Example(
            {"src/main.py": "print('ready')\n", "src/train.py": "print('loss', 1.0)\n", "src/evaluate.py": "x = 1\n"},
            contract="base",
            at=("src/train.py",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        programs = [project.role(role) for role in _PROGRAMS]
        started = [file for file in programs if file is not None and file.nodes[1:]]
        if len(started) < len(_PROGRAMS):
            yield Undecided("a program is missing or cannot be read")
            return
        files = list(dict.fromkeys([*started, *(each for file in started for each in reached_files(project, file))]))
        imports = [item for file in files for item in file.imports]
        if any(file.tree is None for file in files) or any(
            item.name == "*" or item.module.partition(".")[0] in ("assay", "importlib", "runpy") for item in imports
        ):
            yield Undecided("part of what the programs do is not seen")
            return
        said = [(file, node) for file in files for node in _output(file)]
        if said and any(_is_about(file, node) for file, node in said):
            return
        train = started[1]
        if said:
            why = "What is printed speaks of neither the experiment nor its configuration"
            yield self.finding(train.path, severity=Severity.WARNING, why=why)
            return
        own = {part for file in project.python.values() for part in file.module.split(".")}
        if {item.module.partition(".")[0] for item in imports} - own - _QUIET - sys.stdlib_module_names:
            yield Undecided("a library may print a description")
        elif not any(_may_print(file) for file in files):
            yield self.finding(train.path, why="Nothing is printed at all")


def _output(file: PythonFile) -> list[ast.Call]:
    """The calls by which something may be printed."""
    found = []
    for call, name in file.calls:
        last = call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
        streams = [*call.args, *(item.value for item in call.keywords), call.func]
        if _SAYS.fullmatch(last) or any(_STREAMS.search(file.qualified(node)) for node in streams):
            found.append(call)
    return found


def _may_print(file: PythonFile) -> bool:
    """Whether a file names anything that prints, without calling it."""
    return any(
        _SAYS.fullmatch(name) or _STREAMS.search(name)
        for node in file.nodes_of(ast.Name, ast.Attribute)
        for name in (node.id if isinstance(node, ast.Name) else node.attr,)
    )


def _is_about(file: PythonFile, call: ast.Call) -> bool:
    """Whether what a call prints may speak of the experiment: by its texts, its names, and what these stand for."""
    nodes: list[ast.AST] = [*call.args, *(item.value for item in call.keywords)]
    names = {node.id for given in nodes for node in descend(given) if isinstance(node, ast.Name)}
    for statement in file.nodes_of(ast.Assign):
        if any(isinstance(target, ast.Name) and target.id in names for target in statement.targets):
            nodes.append(statement.value)
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = [last]
    for given in nodes:
        for node in descend(given):
            words.append(string_value(node) or getattr(node, "id", "") or getattr(node, "attr", "") or "")
    return any(_ABOUT.search(word) for word in words if isinstance(word, str))
