"""MDL009: a pretrained model is named, and its architecture is built with random weights."""

from __future__ import annotations

from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.model_knowledge import known_model, model_uses
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.analysis.run_scenarios import run_scenarios
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_WEIGHTS = ("load_state_dict", "load_checkpoint", "safetensors", "load_pretrained")


def _files(build: str, name: str = "Qwen/Qwen3-8B") -> dict[str, str]:
    return {
        "src/model.py": "from transformers import AutoConfig, AutoModelForCausalLM\n\ndef build(cfg):\n"
        f"    config = AutoConfig.from_pretrained(cfg.model.name)\n    return {build}\n",
        "config/runs/a.yaml": f"model:\n  name: {name}\n",
    }


class RandomWeights(Rule):
    """`from_config` builds an architecture and fills it with random numbers. Where the run names a pretrained model, the
    experiment then trains another one than it reports.

    The rule speaks where a run file names a known model, the code builds a model of transformers from a configuration,
    and nothing loads weights: no `from_pretrained` of a model and no state dict. A study may want a model without its
    training, so this is a warning.
    """

    code = "MDL009"
    name = "random-weights"
    requirements = ("E4.2", "X4")
    severity = Severity.WARNING
    consequence = None
    message = "the run names {name}, and {called} builds its architecture with random weights"
    explanation = "Nothing in the submission loads the pretrained weights, so the named model is not used."
    repair = "Load it with from_pretrained, or name the run for a model that is trained from scratch."

    VALID = (
        Example(_files("AutoModelForCausalLM.from_pretrained(cfg.model.name, config=config)")),
        Example(_files("AutoModelForCausalLM.from_config(config)", "own-net")),
        Example(
            _files(
                "AutoModelForCausalLM.from_config(config) if cfg.model.scratch else "
                "AutoModelForCausalLM.from_pretrained(cfg.model.name)"
            )
        ),
        Example(
            {
                **_files("AutoModelForCausalLM.from_config(config)"),
                "src/main.py": "model.load_state_dict(weights)\n",
            }
        ),
    )
    INVALID = (Example(_files("AutoModelForCausalLM.from_config(config)"), at=("src/model.py:5",)),)

    def check(self, project: Project) -> Iterator[Outcome]:
        named = _named(project)
        if not named or any(use.is_model for use in model_uses(project)):
            return
        if any(_loads_weights(file) for file in project.python.values()):
            return
        scenarios = run_scenarios(project)
        for path, file in project.python.items():
            for call, called in file.calls:
                if not called.startswith("transformers.") or not called.endswith((".from_config", "._from_config")):
                    continue
                if not any(scenarios.passes(file, call, one) is True for one in scenarios.scenarios):
                    continue
                run_file, node = named
                yield self.finding(
                    path,
                    call,
                    symbol=file.symbol_of(call) or None,
                    detail=f"{run_file}:{node.line}",
                    name=node.text,
                    called=called.removeprefix("transformers."),
                )


def _named(project: Project) -> tuple[str, yaml_tree.Scalar] | None:
    """A known model that a run file names in its section on the model, and where."""
    for path, file in project.run_files.items():
        section = yaml_tree.find(file.root, "model")
        for _, value in section.items() if isinstance(section, yaml_tree.Mapping) else ():
            if isinstance(value, yaml_tree.Scalar) and known_model(value.text) is not None:
                return path, value
    return None


def _loads_weights(file: PythonFile) -> bool:
    """Whether a file loads weights in another way, or loads a model by a class or name that is not seen."""
    if any(word in file.text for word in _WEIGHTS):
        return True
    return any(
        name.endswith(".from_pretrained") and not name.split(".")[-2].endswith(("Config", "Tokenizer", "TokenizerFast"))
        for _, name in file.calls
    )
