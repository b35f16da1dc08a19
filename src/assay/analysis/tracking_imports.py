"""Which code of a submission may record to W&B besides plain `wandb` calls."""

from __future__ import annotations

import ast

from assay.analysis.fact_table import read_table
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile


def integrations() -> frozenset[str]:
    """Import names of the libraries that can record to W&B by themselves."""
    return frozenset(row["module"] for row in read_table("wandb_integrations"))


def names_wandb(file: PythonFile) -> bool:
    """Whether a file imports wandb or a part of a library that is named after it, or passes its name as a text."""
    if any(name in item.target.lower() for item in file.imports for name in ("wandb", "weightsandbiases")):
        return True
    return any(isinstance(node, ast.Constant) and node.value in ("wandb", "WANDB_MODE") for node in file.nodes)


def logs_through_library(file: PythonFile) -> bool:
    """Whether a file hands training to a library that can record to W&B by itself, or imports what cannot be read."""
    roots = {item.module.partition(".")[0] for item in file.imports}
    trainers = ("Trainer", "TrainingArguments", "Accelerator", "Fabric", "YOLO")
    uses_trainer = any(name.rpartition(".")[2].endswith(trainers) for _, name in file.calls)
    return bool((uses_trainer and integrations() & roots) or "assay" in roots or _imports_dynamically(file))


def files_besides_evaluate(project: Project) -> list[PythonFile]:
    """The Python files of the training side."""
    evaluate = project.contract.role("evaluate")
    return [file for path, file in project.python.items() if path != evaluate]


def _imports_dynamically(file: PythonFile) -> bool:
    return any(name in ("importlib.import_module", "__import__", "exec", "eval") for _, name in file.calls) or any(
        item.name == "*" for item in file.imports
    )
