"""MDL004: PEFT's target modules are not in the model."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from assay import yaml_tree
from assay.analysis.import_time import catches
from assay.analysis.model_knowledge import (
    Family,
    ModelUse,
    Targets,
    family_of,
    judge_targets,
    may_run_other_code,
    model_uses,
)
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword, string_value
from assay.analysis.run_scenarios import Value, run_scenarios
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Place, Rule

# tuners that wrap linear layers by name (peft/tuners); those that take other modules are left out
_TUNERS = frozenset({"LoraConfig", "AdaLoraConfig"})
# what narrows or replaces the choice
_NARROWS = ("layers_to_transform", "layers_pattern", "exclude_modules", "target_parameters", "modules_to_save")
_CAUGHT = frozenset({"Exception", "BaseException", "ValueError"})

_HEAD = "from peft import LoraConfig, get_peft_model\nfrom transformers import AutoModelForCausalLM\n\n"


def _model(targets: str) -> str:
    return (
        f"{_HEAD}def build(cfg):\n    model = AutoModelForCausalLM.from_pretrained(cfg.model.name)\n"
        f"    return get_peft_model(model, LoraConfig(target_modules={targets}))\n"
    )


_MAIN = "from src.model import build\n\ndef main(cfg):\n    build(cfg)\n\nmain(None)\n"


def _run(name: str, targets: str = "[q_proj, v_proj]") -> str:
    return f"run_id: a\nmodel:\n  name: {name}\n  lora:\n    targets: {targets}\n"


class LoraTargets(Rule):
    """PEFT looks for its target modules by the ends of their names. Where none is there it stops with `Target modules ...
    not found in the base model`, and where one is a module that holds others it stops with `Target module ... is not
    supported`.

    The names differ from family to family: Llama's `q_proj` is `c_attn` in GPT-2 and `query` in RoBERTa, and `output` in
    BERT and RoBERTa is a container around `output.dense`. The rule knows the names of each family in every release of
    transformers that was looked at, and judges targets that are written in the code or in a run file. Some targets of
    many that are missing do no harm, so they are a note at most.
    """

    code = "MDL004"
    name = "lora-targets"
    requirements = ("E4.1", "E4.3", "D2.2")
    message = "{what} of {name} ({family})"
    explanation = "{effect}"
    repair = "Name linear modules of {family}, such as {right}."

    VALID = (
        Example(
            {
                "src/model.py": _model("['q_proj', 'v_proj']"),
                "src/main.py": _MAIN,
                "config/runs/a.yaml": _run("Qwen/Qwen3-8B"),
            }
        ),
        Example(
            {
                "src/model.py": _model("['q_proj', 'c_attn']"),
                "src/main.py": _MAIN,
                "config/runs/a.yaml": _run("openai-community/gpt2"),
            }
        ),
        Example(
            {
                "src/model.py": _model("'all-linear'"),
                "src/main.py": _MAIN,
                "config/runs/a.yaml": _run("openai-community/gpt2"),
            }
        ),
        Example(
            {
                "src/model.py": _model("list(cfg.model.lora.targets)"),
                "src/main.py": _MAIN,
                "config/runs/a.yaml": _run("roberta-base", "[query, intermediate.dense, output.dense]"),
            }
        ),
        Example(
            {
                "src/model.py": _model("['attn_qkv']"),
                "src/main.py": _MAIN,
                "config/runs/a.yaml": _run("some-team/own-model"),
            }
        ),
        # a module that the code puts into the model
        Example(
            {
                "src/model.py": _model("['extra_proj']")
                + "\n\nclass Block(torch.nn.Module):\n    def __init__(self):\n        self.extra_proj = torch.nn.Linear(2, 2)\n",
                "src/main.py": _MAIN,
                "config/runs/a.yaml": _run("openai-community/gpt2"),
            }
        ),
        # chosen by the family
        Example(
            {
                "src/model.py": f"{_HEAD}def build(cfg):\n    model = AutoModelForCausalLM.from_pretrained(cfg.model.name)\n"
                "    names = ['c_attn'] if 'gpt2' in cfg.model.name else ['q_proj']\n"
                "    return get_peft_model(model, LoraConfig(target_modules=names))\n",
                "src/main.py": _MAIN,
                "config/runs/a.yaml": _run("openai-community/gpt2"),
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/model.py": _model("['q_proj', 'v_proj']"),
                "src/main.py": _MAIN,
                "config/runs/a.yaml": _run("openai-community/gpt2"),
            },
            at=("src/model.py:6",),
            repaired={"src/model.py": _model("['c_attn']")},
        ),
        Example(
            {
                "src/model.py": _model("list(cfg.model.lora.targets)"),
                "src/main.py": _MAIN,
                "config/runs/a.yaml": _run("roberta-base", "[query, intermediate, output]"),
            },
            at=("config/runs/a.yaml:5",),
            repaired={"config/runs/a.yaml": _run("roberta-base", "[query, intermediate.dense, output.dense]")},
        ),
        # the trial takes another model
        Example(
            {
                "src/model.py": _model("['q_proj', 'v_proj']"),
                "src/main.py": "from src.model import build\n\ndef main(cfg):\n    if cfg.mode == 'trial':\n"
                "        cfg.model.name = 'gpt2'\n    build(cfg)\n\nmain(None)\n",
                "config/runs/a.yaml": _run("Qwen/Qwen3-8B"),
            },
            at=("src/model.py:6",),
            repaired={"src/model.py": _model("'all-linear'")},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        loads = [use for use in model_uses(project) if use.is_model]
        made = _own_names(project)
        for path, file in project.python.items():
            for call, name in file.calls:
                if not name.startswith("peft.") or name.rpartition(".")[2] not in _TUNERS:
                    continue
                given = keyword(call, "target_modules")
                if given is None or any(keyword(call, one) is not None for one in _NARROWS):
                    continue
                found: dict[tuple[str, int | None], _Case] = {}
                for case in _cases(project, file, call, given, loads):
                    key = (case.targets.file, case.targets.line)
                    if key not in found or case.rank > found[key].rank:
                        found[key] = case
                for case in found.values():
                    # the submission may have put a module of that name into the model
                    if not any(target.rpartition(".")[2] in made for target in case.targets.value):
                        yield self._finding(path, call, given, case)

    def _finding(self, path: str, call: ast.Call, given: ast.expr, case: _Case) -> Outcome:
        names = case.targets.value
        elsewhere = case.targets.file != path
        right = ", ".join(case.family.lora or sorted(case.family.adaptable)[:4])
        if len(case.judged.absent) == len(names):
            what = f"none of the target modules {', '.join(names[:8])} is a module"
            effect = "PEFT stops with ValueError: Target modules not found in the base model."
        else:
            shown = ", ".join(case.judged.containers[:8])
            what = f"the target {'module' if len(case.judged.containers) == 1 else 'modules'} {shown} hold" + (
                "s other modules" if len(case.judged.containers) == 1 else " other modules"
            )
            effect = "PEFT cannot wrap them and stops with ValueError: Target module is not supported."
            if "dense" in case.family.adaptable:
                right = ", ".join(f"{name}.dense" for name in case.judged.containers[:2])
        severity, consequence = case.weight
        _, _, frames = case.use.place()
        return self.finding(
            case.targets.file if elsewhere else path,
            _first_wrong(case) if elsewhere else given,
            severity=severity,
            consequence=consequence,
            run=case.use.scenario.run or None,
            detail=f"{case.use.name} is {case.family.model_type}; mode={case.use.scenario.mode or 'any'}",
            frames=(
                *([Frame(case.use.origin.file, case.use.origin.line)] if case.use.origin.line else []),
                *frames,
                Frame(path, call.lineno),
            ),
            what=what,
            effect=effect,
            name=case.use.name,
            family=case.family.model_type,
            right=right,
        )


class _Case(NamedTuple):
    """Targets that do not fit a model, and how sure that is."""

    use: ModelUse
    family: Family
    targets: Value
    judged: Targets
    certain: bool
    reached: bool

    @property
    def rank(self) -> tuple[bool, bool]:
        return self.certain, self.reached

    @property
    def weight(self) -> tuple[Severity, Consequence | None]:
        if self.certain:
            return Severity.BLOCKING, Consequence.CRASHES
        return (Severity.BLOCKING, Consequence.BREAKS_CONTRACT) if self.reached else (Severity.WARNING, None)


def _own_names(project: Project) -> frozenset[str]:
    """The names that the submission gives to modules: attributes it sets, and texts given to `add_module` and the like."""
    found: set[str] = set()
    for file in project.python.values():
        for node in file.nodes_of(ast.Attribute):
            if not isinstance(node.ctx, ast.Load):
                found.add(node.attr)
        for call, name in file.calls:
            last = name.rpartition(".")[2] or getattr(call.func, "attr", "")
            if last in ("add_module", "register_module", "setattr", "ModuleDict", "OrderedDict", "set_submodule"):
                found.update(text for node in descend(call) if (text := string_value(node)) is not None)
    return frozenset(found)


def _first_wrong(case: _Case) -> Place:
    """The first target in a list of a run file that does not fit."""
    place = case.targets.place
    wrong = case.judged.containers or case.judged.absent
    for item in place.items if isinstance(place, yaml_tree.Sequence) else ():
        if isinstance(item, yaml_tree.Scalar) and item.text in wrong:
            return item
    return place


def _cases(
    project: Project, file: PythonFile, call: ast.Call, given: ast.expr, loads: list[ModelUse]
) -> Iterator[_Case]:
    scenarios = run_scenarios(project)
    if catches(file, call, _CAUGHT):
        return
    here = _loaded_with(file, file.function_of(call), loads)
    named: dict[tuple[str, str], set[str]] = {}
    for use in here:
        named.setdefault((use.scenario.path, use.scenario.mode), set()).add(use.name)
    for use in here:
        if len(named[use.scenario.path, use.scenario.mode]) != 1:
            continue
        family = family_of(use.name)
        passes = scenarios.passes(file, call, use.scenario)
        targets = scenarios.value(file, given, use.scenario)
        names = targets.value
        if family is None or passes is False or not isinstance(names, list) or not names:
            continue
        if not all(isinstance(name, str) for name in names):
            continue
        judged = judge_targets(family, names)
        if judged is None or (len(judged.absent) < len(names) and not judged.containers):
            continue
        sure = passes is True and targets.sure and use.fixed and use.reached and not may_run_other_code(use)
        called = use.called.certain and scenarios.is_called(file, call)
        yield _Case(use, family, targets, judged, sure and called, sure and scenarios.is_used(file, call))


def _loaded_with(file: PythonFile, function: ast.AST | None, loads: list[ModelUse]) -> list[ModelUse]:
    """The models that are loaded in a function, or anywhere in its file where the function loads none."""
    own = [use for use in loads if use.called.file == file.path and not isinstance(use.node, int)]
    if function is None or function not in file.shared(_loading):
        return own
    return [use for use in own if isinstance(use.node, ast.Call) and file.function_of(use.node) is function]


def _loading(file: PythonFile) -> frozenset[ast.AST | None]:
    """The functions that load a model, None among them for the module itself."""
    return frozenset(file.function_of(node) for node, name in file.calls if name.endswith(".from_pretrained"))
