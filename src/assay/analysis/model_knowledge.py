"""What is known of models: families, names on the hub, and the calls of a submission that name them.

Tables: `model_families.tsv`, `models.tsv` and `vision_models.tsv`. The functions that judge a name are pure;
`model_uses` is the one place that says which calls there are and what they are given.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from assay import yaml_tree
from assay.analysis.called import MISSING, UNKNOWN, Called, calls_in
from assay.analysis.fact_table import read_table
from assay.analysis.own_modules import attributes_set
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, string_value
from assay.analysis.run_scenarios import Scenario, Value, run_scenarios
from assay.finding import Frame

# https://huggingface.co/docs/huggingface_hub/v1.1.0/package_reference/utilities#huggingface_hub.utils.validate_repo_id,
# the grammar of huggingface_hub/utils/_validators.py, versions 0.11 to 1.1
_REPOSITORY = re.compile(r"(\b[\w\-.]+\b/)?\b[\w\-.]{1,96}\b")
_ADDRESS = re.compile(r"(?:hf|https?)://", re.IGNORECASE)
_HUB_PREFIX = re.compile(r"(?:hf://|https?://(?:www\.)?(?:huggingface\.co|hf\.co)/)(?:models/)?", re.IGNORECASE)
# what may be a folder or file of the user's own, or stands for a name that is still to come
_LOCAL = re.compile(
    r"^(?:[.~/\\]|data|models?|checkpoints?|outputs?|results?|cache|artifacts|saved|weights|tmp|runs?|logs?|exp|ckpts?)"
    r"(?:/|$)|\\|\.(?:pt|pth|bin|json|safetensors|ckpt|gguf|onnx)$|placeholder|<|\$\{"
    r"|(?:^|[-_/])(?:best|final|saved|ckpt|checkpoint|output|trained|finetuned|local)",
    re.IGNORECASE,
)
# calls that may put a folder next to the program
_MAKES = re.compile(r"save|symlink|copy|move|rename|mkdir|makedirs|extract|unpack|download|clone|export|dump|write")
_MAKES_FOLDER = ("subprocess.run", "subprocess.check_call", "subprocess.call", "os.system", "TrainingArguments")
_TOKENS = re.compile(r"[a-z]+|[0-9]+")
# parts of a name that say how a model was trained or packed, not which one it is
_TRIMMINGS = frozenset({"hf", "chat", "instruct", "it", "base", "meta", "v", "model", "pretrained"})
_MAX_USES = 150
# a single word that may stand for a family by itself
_TELLING = 6

_HEADS = frozenset({"score", "qa_outputs", "classifier", "lm_head", "classification_head"})


class Family(NamedTuple):
    """Models of one architecture.

    Args:
        model_type: Its name in transformers' configuration.
        kind: `decoder`, `encoder`, `encoder-decoder`, `vision`, `audio` or `multimodal`.
        tasks: What auto classes take it, by the end of their names: `CausalLM`, `Seq2SeqLM`, ...
        classes: The classes that those give.
        lora: The modules that PEFT adapts by default.
        adaptable: Names of its modules that an adapter can wrap.
        containers: Names of its modules that hold others, or that no adapter wraps.
        others: Names of other modules, of kinds that depend on the configuration.
        open: Whether it may have modules of other names, taken from another model.
        since: The oldest release of transformers, of those looked at, that has it.
    """

    model_type: str
    kind: str
    tasks: frozenset[str]
    classes: frozenset[str]
    lora: tuple[str, ...]
    adaptable: frozenset[str]
    containers: frozenset[str]
    others: frozenset[str]
    open: bool
    since: str


class Model(NamedTuple):
    """A model on the hub.

    Args:
        id: Its id with the owner.
        family: Its `model_type`.
        alias: The name without an owner under which the hub still gives it; empty where it has none.
        gated: Whether its owner grants access to accounts.
        pads: Whether its tokenizer has a padding token; None where that differs between releases or is not known.
        plain: Whether its repository is known to hold no modelling code of its own.
    """

    id: str
    family: str
    alias: str = ""
    gated: bool = False
    pads: bool | None = None
    plain: bool = False


def families() -> Mapping[str, Family]:
    """The families by `model_type`."""
    return {name: _family(name) for name in _family_rows()}


@cache
def _family_rows() -> Mapping[str, Mapping[str, str]]:
    return {row["model_type"]: row for row in read_table("model_families")}


@cache
def _family(model_type: str) -> Family:
    row = _family_rows()[model_type]
    return Family(
        row["model_type"],
        row["kind"],
        frozenset(row["tasks"].split()),
        frozenset(row["classes"].split()),
        tuple(row["lora"].split()),
        frozenset(row["adaptable"].split()),
        frozenset(row["containers"].split()),
        frozenset(row["others"].split()),
        row["open"] == "yes",
        row["since"],
    )


@cache
def models() -> tuple[Model, ...]:
    """The known models."""
    return tuple(map(_model, read_table("models")))


def _model(row: Mapping[str, str]) -> Model:
    return Model(
        row["id"],
        row["family"],
        row["alias"],
        row["gated"] == "yes",
        {"yes": True, "no": False}.get(row["pads"]),
        row["code"] == "no",
    )


@cache
def _by_name() -> Mapping[str, Mapping[str, str]]:
    """Ids and aliases, in lower case, to the rows of models."""
    rows = read_table("models")
    found = {row["id"].lower(): row for row in rows}
    found.update({row["alias"].lower(): row for row in rows if row["alias"]})
    return found


@cache
def _by_tokens() -> Mapping[tuple[str, ...], tuple[Model, ...]]:
    found: dict[tuple[str, ...], tuple[Model, ...]] = {}
    for model in models():
        name = tokens(model.id.rpartition("/")[2])
        for form in dict.fromkeys((name, _trimmed(name, frozenset({"hf", "meta"})), _trimmed(name, _TRIMMINGS))):
            found[form] = (*found.get(form, ()), model)
    return found


@cache
def families_with(class_name: str) -> frozenset[str]:
    """The families that use a class of transformers."""
    return frozenset(name for name, row in _family_rows().items() if class_name in row["classes"].split())


def tokens(name: str) -> tuple[str, ...]:
    """A name in the form in which case and separators make no difference: `Qwen2.5-7B` is qwen, 2, 5, 7, b."""
    return tuple(_TOKENS.findall(name.lower()))


def _trimmed(name: tuple[str, ...], parts: frozenset[str]) -> tuple[str, ...]:
    return tuple(part for part in name if part not in parts) or name


def known_model(name: str) -> Model | None:
    """The model that a name on the hub stands for, aliases included. The hub does not tell case apart."""
    row = _by_name().get(name.lower())
    return None if row is None else _model(row)


def suggestion(name: str) -> Model | None:
    """The model that a name which is no id most likely means, or None."""
    plain = _HUB_PREFIX.sub("", name).strip("/ ")
    found = known_model(plain)
    if found is not None:
        return found
    whole = tokens(plain.rpartition("/")[2][:100])
    if not whole or len(plain) > 100:
        return None
    for form in (whole, _trimmed(whole, frozenset({"hf", "meta"})), _trimmed(whole, _TRIMMINGS)):
        candidates = _by_tokens().get(form, ())
        if candidates:
            # the name closest to what was written: the one that shares the most of its parts
            return min(candidates, key=lambda model: len(set(tokens(model.id.rpartition("/")[2])) ^ set(whole)))
    if len(whole) < 2 and len(whole[0]) < _TELLING:
        return None
    longer = [model for model in models() if tokens(model.id.rpartition("/")[2])[: len(whole)] == whole]
    return min(longer, key=lambda model: len(model.id)) if longer else None


def family_of(name: str) -> Family | None:
    """The family of a model by its id, or by the id that its name most likely means.

    A copy under another owner (`OWNER/Llama-2-7b-hf`) is of the same family as the original.
    """
    model = known_model(name) or suggestion(name)
    return _family(model.family) if model is not None and model.family in _family_rows() else None


def id_problem(name: str) -> str:
    """Why huggingface_hub refuses a text as the id of a repository; empty where it does not."""
    if name.count("/") > 1:
        return "it has more than one slash"
    if not _REPOSITORY.fullmatch(name):
        if len(name.rpartition("/")[2]) > 96:
            return "a name has at most 96 characters"
        return "an id is letters, digits, '-', '_' and '.', and neither '-' nor '.' stands at an end"
    if "--" in name or ".." in name:
        return "'--' and '..' are not allowed"
    return "it ends with '.git'" if name.endswith(".git") else ""


def is_address(name: str) -> bool:
    """Whether a text is an address such as `hf://owner/name`, which no loader of transformers takes."""
    return _ADDRESS.match(name) is not None


def may_be_local(project: Project, name: str) -> bool:
    """Whether a text may be a folder: it looks like a path, or the submission has files below it or writes it."""
    if is_address(name):
        return False
    if _LOCAL.search(name):
        return True
    prefix = name.rstrip("/") + "/"
    if any(path.startswith(prefix) or path == name for path in project.submission.files):
        return True
    return bool({name, prefix} & project.shared(_named_elsewhere))


def _named_elsewhere(project: Project) -> frozenset[str]:
    """The texts that are given to calls which may write a folder of that name: anything but a loader."""
    found: set[str] = set()
    for file in project.python.values():
        for call, called in file.calls:
            if not called.endswith(_MAKES_FOLDER) and not _MAKES.search(called.rpartition(".")[2]):
                continue
            values = [*call.args, *(item.value for item in call.keywords)]
            for value in values:
                for text in [string_value(value), *(string_value(part) for part in getattr(value, "elts", ()))]:
                    if text is not None:
                        found.update((text, text.rpartition("/")[0]))
    return frozenset(found)


class ModelUse(NamedTuple):
    """A call that loads something of a model by its name, with one value of that name.

    Args:
        called: The call; `runs` are the runs in which it has this value, `certain` whether it is certainly reached.
        name: The name it is given.
        origin: What gives the name: its file and place, and the places it passes through.
        reached: Whether the call runs whenever its function does, and the program uses that function.
        tried: Whether a `try` may catch what it raises, or a branch that cannot be decided leads to it.
        scenario: The run.
        fixed: Whether nothing else can give the name another value.
    """

    called: Called
    name: str
    origin: Value
    reached: bool
    tried: bool
    scenario: Scenario
    fixed: bool

    @property
    def loader(self) -> str:
        """The class that loads it: `AutoTokenizer`; `pipeline` for that function."""
        parts = self.called.name.split(".")
        return parts[-2] if parts[-1] == "from_pretrained" and len(parts) > 1 else parts[-1]

    @property
    def is_tokenizer(self) -> bool:
        """Whether it loads a tokenizer."""
        return "Tokenizer" in self.loader

    @property
    def is_model(self) -> bool:
        """Whether it loads a model, not a tokenizer, a configuration or a processor."""
        other = ("Tokenizer", "Config", "Processor", "Extractor", "pipeline")
        return not any(part in self.loader for part in other)

    @property
    def node(self) -> ast.Call | int:
        return self.called.place

    @property
    def frame(self) -> Frame:
        """The place of the call."""
        place = self.called.place
        return Frame(self.called.file, place if isinstance(place, int) else place.lineno)

    def place(self) -> tuple[str, ast.AST | yaml_tree.Node | int | None, tuple[Frame, ...]]:
        """Where the name is spelled out, and the places from there to the call."""
        if self.origin.file and self.origin.file != self.called.file:
            return self.origin.file, self.origin.place, (*self.origin.frames, self.frame)
        return self.called.file, self.origin.place or self.called.place, ()


def model_calls(project: Project) -> Iterator[Called]:
    """The calls that load something by the name of a model."""
    patched = attributes_set(project)
    for called in calls_in(project, "transformers.*"):
        # the submission puts something of its own in the place of the class
        if patched & set(called.name.split(".")):
            continue
        if called.name == "transformers.pipeline" or called.name.endswith(".from_pretrained"):
            yield called


def model_uses(project: Project) -> tuple[ModelUse, ...]:
    """Every call that loads something by the name of a model, once for each run and value, those merged that agree."""
    return project.shared(_all_uses)


def _all_uses(project: Project) -> tuple[ModelUse, ...]:
    return tuple(_uses(project))


def _uses(project: Project) -> Iterator[ModelUse]:
    values = run_scenarios(project)
    for number, called in enumerate(model_calls(project)):
        if number >= _MAX_USES or not isinstance(called.place, ast.Call):
            return
        file = project.python[called.file]
        argument = name_argument(called)
        if argument is None:
            continue
        called_anyway = values.is_called(file, called.place)
        used = called_anyway or values.is_used(file, called.place)
        merged: dict[tuple[str, int, str], ModelUse] = {}
        for scenario in values.scenarios:
            passes = values.passes(file, called.place, scenario)
            value = values.value(file, argument, scenario)
            if passes is False or not isinstance(value.value, str) or not value.value.strip():
                continue
            use = ModelUse(
                replace(called, certain=called_anyway and passes is True, runs=(scenario.run,) if scenario.run else ()),
                value.value,
                value,
                reached=used and passes is True,
                tried=passes is None,
                scenario=scenario,
                fixed=value.sure,
            )
            line = getattr(value.place, "line", getattr(value.place, "lineno", 0))
            key = (value.file, line, value.value)
            # of the two modes of a run, the one that says more
            if key not in merged or (use.called.certain, use.reached) > (
                merged[key].called.certain,
                merged[key].reached,
            ):
                merged[key] = use
        yield from merged.values()


def name_argument(called: Called) -> ast.expr | None:
    """The expression that names the model in a call that loads one."""
    if not isinstance(called.place, ast.Call):
        return None
    call = called.place
    if any(isinstance(item, ast.Starred) for item in call.args):
        return None
    wanted = {"pretrained_model_name_or_path"}
    position = 0
    if called.name == "transformers.pipeline":
        wanted, position = {"model"}, 1
    for item in call.keywords:
        if item.arg in wanted:
            return item.value
    return call.args[position] if len(call.args) > position else None


def may_run_other_code(use: ModelUse) -> bool:
    """Whether a call may take the model's own code, which may bring other classes and modules."""
    given = use.called.argument(None, "trust_remote_code")
    if given is MISSING or given is False:
        return False
    # a copy under another owner may hold code
    model = known_model(use.name) or (suggestion(use.name) if "/" not in use.name else None)
    return model is None or not model.plain


def matches(target: str, names: frozenset[str]) -> bool:
    """Whether PEFT's test of a target against the end of a module's path can hold, by the last part of the target."""
    return target.rpartition(".")[2] in names


class Targets(NamedTuple):
    """How target names fare against a family.

    Args:
        absent: Those that name no module.
        containers: Those that name modules which hold others and which PEFT cannot wrap.
    """

    absent: tuple[str, ...]
    containers: tuple[str, ...]


def judge_targets(family: Family, targets: list[str]) -> Targets | None:
    """What is wrong with the names of target modules; None where the family's modules are not all known."""
    if family.open or not family.adaptable:
        return None
    every = family.adaptable | family.containers | family.others | _HEADS
    absent = tuple(name for name in targets if not matches(name, every) and not name.isdigit())
    whole = tuple(name for name in targets if "." not in name and name in family.containers)
    return Targets(absent, whole)


def expected_class(family: Family) -> str:
    """The auto class that a family is loaded with for generating text, or the nearest."""
    for task in ("CausalLM", "Seq2SeqLM", "MaskedLM", "ImageClassification", "CTC", "SpeechSeq2Seq"):
        if task in family.tasks:
            return f"AutoModelFor{task}"
    return "AutoModel"


def constant_of(file: PythonFile, project: Project, node: ast.expr | None, scenario: Scenario) -> object:
    """The value of an expression in a run, `UNKNOWN` where it is not certain."""
    value = run_scenarios(project).value(file, node, scenario)
    return value.value if value.sure else UNKNOWN
