"""MDL011: a module or optimizer of the submission is built by no run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_MAIN = """import hydra
import torch

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
    run and in both modes; a class that is built on any branch that may be taken counts as reached.
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
    )
    INVALID = (
        Example(_files("Plain(4, 1)"), at=("src/model.py:9",)),
        Example(_files("dict(plain=Plain, gate=Gate).get(cfg.method)(4, 1)", "plain"), at=("src/model.py:9",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        enactment = project.enactment
        started = [program for program in enactment.programs if program.mode != "evaluate"]
        if not enactment.complete or not started or any(one.composed == "repaired" for one in started):
            return
        if any(not one.data["words"] for one in enactment.seen("launch")):
            return
        entered = {place for program in enactment.programs for place in program.entered}
        built = {
            (file.path, node) for file in project.python.values() for node in file.classes
            if (file.path, node.lineno) in entered
        }  # fmt: skip
        if not built:
            return
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
                yield self.finding(
                    path, node, symbol=node.name, name=node.name, count=runs or 1, s="" if runs == 1 else "s"
                )


def _acts(node: ast.ClassDef) -> bool:
    """Whether a class is a module or an optimizer by what it defines."""
    names = {item.name for item in node.body if isinstance(item, FunctionNode)}
    return "forward" in names or {"__init__", "step"} <= names


def _last(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else (base.id if isinstance(base, ast.Name) else "")
