"""MDL006: PEFT's task type does not exist, or does not fit the model."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.import_time import catches
from assay.analysis.model_knowledge import family_of, model_uses
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword
from assay.analysis.run_scenarios import run_scenarios
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

# peft/utils/peft_types.py, class TaskType, versions 0.10.0 to 0.21.2
_TASKS = frozenset({"SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"})
_FITS = {"SEQ_2_SEQ_LM": frozenset({"encoder-decoder", "audio", "multimodal"}), "CAUSAL_LM": frozenset({"decoder"})}


def _files(task: str, name: str = "Qwen/Qwen3-8B", loader: str = "AutoModelForCausalLM") -> dict[str, str]:
    return {
        "src/main.py": f"from peft import LoraConfig, TaskType, get_peft_model\nfrom transformers import {loader}\n"
        f"model = {loader}.from_pretrained('{name}')\n"
        f"model = get_peft_model(model, LoraConfig(r=8, task_type={task}))\n"
    }


class PeftTask(Rule):
    """PEFT wraps a model in a class for its task, which expects the inputs of such models.

    A member that `TaskType` does not have stops the program where it is read. `SEQ_2_SEQ_LM` on a decoder passes it
    `decoder_input_ids`, and `CAUSAL_LM` on an encoder-decoder prepares its inputs as if it had no encoder: what follows
    depends on the release, so that is a warning.
    """

    code = "MDL006"
    name = "peft-task"
    requirements = ("E4.3", "D2.2", "E4.1")
    message = "{what}"
    explanation = "{effect}"
    repair = "Use TaskType.{right}."

    VALID = (
        Example(_files("TaskType.CAUSAL_LM")),
        Example(_files("'CAUSAL_LM'")),
        Example(_files("TaskType.SEQ_2_SEQ_LM", "google/flan-t5-base", "AutoModelForSeq2SeqLM")),
        Example(_files("'SEQ_CLS'", "roberta-base", "AutoModelForSequenceClassification")),
        Example(_files("TaskType.SEQ_2_SEQ_LM", "some-team/own")),
        Example(_files("task")),
        # models of both kinds are loaded
        Example(
            {
                "src/main.py": "from peft import LoraConfig\nfrom transformers import AutoModelForCausalLM, T5Model\n"
                "a = AutoModelForCausalLM.from_pretrained('gpt2')\nb = T5Model.from_pretrained('t5-small')\n"
                "c = LoraConfig(task_type='SEQ_2_SEQ_LM')\n"
            }
        ),
    )
    INVALID = (
        Example(
            _files("TaskType.SEQ2SEQ_LM", "google/flan-t5-base", "AutoModelForSeq2SeqLM"),
            at=("src/main.py:4",),
            repaired=_files("TaskType.SEQ_2_SEQ_LM", "google/flan-t5-base", "AutoModelForSeq2SeqLM"),
        ),
        Example(_files("'SEQ_2_SEQ_LM'"), at=("src/main.py:4",)),
        Example(_files("TaskType.CAUSAL_LM", "google/flan-t5-base", "AutoModelForSeq2SeqLM"), at=("src/main.py:4",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for path, file in project.python.items():
            for node in file.nodes_of(ast.Attribute):
                if not node.attr.isupper() or node.attr in _TASKS:
                    continue
                name = file.qualified(node)
                if name.startswith("peft.") and name.rpartition(".")[0].endswith(".TaskType"):
                    yield self._missing(project, path, file, node)
            for call, name in file.calls:
                task = _task(file, keyword(call, "task_type")) if name.startswith("peft.") else ""
                if task in _FITS:
                    yield from self._unfit(project, path, call, task)

    def _missing(self, project: Project, path: str, file: PythonFile, node: ast.Attribute) -> Outcome:
        scenarios = run_scenarios(project)
        certain = all(scenarios.passes(file, node, one) is True for one in scenarios.scenarios)
        certain = certain and scenarios.is_called(file, node)
        caught = catches(file, node, frozenset({"AttributeError", "Exception", "BaseException"}))
        near = next((task for task in sorted(_TASKS) if _plain(task) == _plain(node.attr)), "CAUSAL_LM")
        return self.finding(
            path,
            node,
            severity=Severity.BLOCKING if certain and not caught else Severity.WARNING,
            consequence=Consequence.CRASHES,
            what=f"peft.TaskType has no {node.attr}",
            effect="Reading it raises AttributeError.",
            right=near,
        )

    def _unfit(self, project: Project, path: str, call: ast.Call, task: str) -> Iterator[Outcome]:
        uses = [use for use in model_uses(project) if use.is_model and use.called.file == path]
        kinds = {(family.kind, use.name) for use in uses if (family := family_of(use.name)) is not None}
        unknown = any(family_of(use.name) is None for use in uses)
        wrong = [(kind, name) for kind, name in sorted(kinds) if kind not in _FITS[task]]
        apart = all(kind in ("decoder", "encoder-decoder") for kind, _ in kinds)
        if unknown or not wrong or len(wrong) != len(kinds) or not apart:
            return
        kind, name = wrong[0]
        yield self.finding(
            path,
            keyword(call, "task_type"),
            severity=Severity.WARNING,
            what=f"the task type {task} does not fit {name}, which is {'a' if kind == 'decoder' else 'an'} {kind}",
            effect="PEFT's wrapper passes inputs on that are not made for such a model.",
            right="CAUSAL_LM" if kind == "decoder" else "SEQ_2_SEQ_LM",
        )


def _task(file: PythonFile, node: ast.expr | None) -> str:
    """A task type by its name: `"CAUSAL_LM"` or `TaskType.CAUSAL_LM`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    name = file.qualified(node)
    return name.rpartition(".")[2] if ".TaskType." in name else ""


def _plain(task: str) -> str:
    return task.replace("_", "")
