"""MDL011: a module or optimizer of the submission is built by no run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.name_uses import used_names
from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, string_value
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_MAIN = """import hydra
import torch

import src.model
from src.model import Gate, Plain


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    model = {}
    print(model(torch.ones(1, 4)))


if __name__ == "__main__":
    main()
"""
_MODEL = """import torch


class Plain(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x)


class Gate(Plain):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))
"""
_LOOKUPS = re.compile(
    r"globals|locals|eval|exec|__import__|(.+\.)?(import_module|instantiate|get_class|get_object|locate|resolve_name)"
)
_CONFIG = "defaults:\n  - _self_\n  - run: ???\n\nresults_dir: results\nmode: full\n"


def _files(model: str, *methods: str) -> dict[str, str]:
    runs = {
        f"config/run/{name}.yaml": f"# @package _global_\nrun_id: {name}\nmethod: {name}\n"
        for name in methods or ("plain", "gate")
    }
    return {
        "src/main.py": _MAIN.replace("{}", model),
        "src/model.py": _MODEL,
        "config/config.yaml": _CONFIG,
        **runs,
    }


class ClassNoRunReaches(Rule):
    """A class with a `forward` or an optimizer's `step` that no run of the experiment ever builds.

    The proposed method can be absent without a crash: its class stands in the code, a condition or a registry passes it
    over, and the run trains something else under its name. All programs are enacted, with the configuration of every
    run and in both modes; a class that is built on any branch that may be taken counts as reached. Where a run comes to
    an error, or cannot be followed to its end, only a class that nothing in the submission names is reported.
    """

    code = "MDL011"
    name = "class-no-run-reaches"
    gate = "compose"
    requirements = ("E1.3", "E4.1", "D2.5")
    severity = Severity.WARNING
    consequence = None
    message = "no run builds {name}"
    explanation = (
        "None of the {count} run{s} comes to it, in either mode: what it implements has no effect on the results."
    )
    repair = "Build it in the runs that it is meant for, or remove it."

    VALID = (
        Example(_files("(Gate if cfg.method == 'gate' else Plain)(4, 1)")),
        # a base counts with what is derived from it
        Example(_files("Gate(4, 1)", "gate")),
        Example(_files("dict(plain=Plain, gate=Gate).get(cfg.method)(4, 1)")),
        # which one is not known
        Example(_files("(Gate if torch.cuda.is_available() else Plain)(4, 1)", "plain")),
        Example(_files("getattr(src.model, open('name').read())(4, 1) or Plain(4, 1)")),
        # one run stops at an error: what it would build then is not known
        Example(_files("(cfg.method == 'gate' and cfg.width and Gate or Plain)(4, 1)", "plain", "gate")),
    )
    INVALID = (
        Example(_files("Plain(4, 1)"), at=("src/model.py:9",)),
        Example(_files("dict(plain=Plain, gate=Gate).get(cfg.method)(4, 1)", "plain"), at=("src/model.py:9",)),
        # a run stops at an error, and nothing names the class
        Example(
            {**_files("Plain(4, cfg.width)"), "src/model.py": _MODEL.replace("Gate", "Lost")}, at=("src/model.py:9",)
        ),
        # evaluation stops at an error, and imports no models
        Example(
            {**_files("Plain(4, 1)"), "src/evaluate.py": "import json\n\nprint(json.loads('{}')['a'], {}['b'])\n"},
            at=("src/model.py:9",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        enactment = project.enactment
        started = [program for program in enactment.programs if program.mode != "evaluate"]
        if not started or any(_looks_up(file, set(project.python)) for file in project.python.values()):
            return
        unseen = [one for one in enactment.programs if not enactment.follows(one)]
        # of what evaluation builds only the files that it imports have to be known
        open_files = set(project.python)
        if not enactment.left_out and all(one.mode == "evaluate" for one in unseen):
            files = [project.python[one.path] for one in unseen if one.path in project.python]
            open_files = {each.path for file in files for each in (file, *reached_files(project, file))}
        entered = {place for program in enactment.programs for place in program.entered}
        built = {
            (file.path, node) for file in project.python.values() for node in file.classes
            if (file.path, node.lineno) in entered
        }  # fmt: skip
        if not built and not open_files:
            return
        # a class that nothing names is built by no run, seen or not
        named = used_names(project.python.values())
        texts = {
            text
            for file in project.python.values()
            for node in file.nodes_of(ast.Constant)
            if (text := string_value(node))
        }
        bases = {name for _, node in built for base in node.bases if (name := _last(base))}
        classes = [node for file in project.python.values() for node in file.classes]
        while more := {_last(base) for node in classes if node.name in bases for base in node.bases} - bases - {""}:
            bases |= more
        if project.base is not None:
            # a derived submission keeps what its foundation has
            bases |= {node.name for file in project.base.python.values() for node in file.classes}
        runs = len(project.run_files)
        for path, file in project.python.items():
            for node in file.classes:
                if (path, node) in built or node.name in bases or not _acts(node) or file.function_of(node) is not None:
                    continue
                if path in open_files and (named[node.name] or any(node.name in text for text in texts)):
                    continue
                yield self.finding(
                    path, node, symbol=node.name, name=node.name, count=runs or 1, s="" if runs == 1 else "s"
                )


def _acts(node: ast.ClassDef) -> bool:
    """Whether a class is a module or an optimizer by what it defines."""
    names = {item.name for item in node.body if isinstance(item, FunctionNode)}
    return "forward" in names or {"__init__", "step"} <= names


def _looks_up(file: PythonFile, paths: set[str]) -> bool:
    """Whether a file may come to classes of the submission by names that are worked out."""
    own = {path.removesuffix(".py").rpartition("/")[2] for path in paths}
    for call, name in file.calls:
        if _LOOKUPS.fullmatch(name):
            return True
        by_name = name == "getattr" and len(call.args) > 1 and string_value(call.args[1]) is None
        if (by_name or name == "vars") and call.args:
            module = file.qualified(call.args[0])
            if module.rpartition(".")[2] in own or not isinstance(call.args[0], ast.Name | ast.Attribute):
                return True
    return any(
        node.attr in ("__dict__", "__subclasses__") or file.qualified(node) == "sys.modules"
        for node in file.nodes_of(ast.Attribute)
    )


def _last(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else (base.id if isinstance(base, ast.Name) else "")
