"""MDL008: torchvision or timm has no model, or no weights, of this name."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from assay.analysis.fact_table import read_table
from assay.analysis.import_time import catches
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword
from assay.analysis.run_scenarios import Scenario, Value, run_scenarios
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_BY_NAME = {
    "timm.create_model": ("timm", "model_name"),
    "timm.models.create_model": ("timm", "model_name"),
    "torchvision.models.get_model": ("torchvision", "name"),
}
_CAUGHT = frozenset({"Exception", "BaseException", "RuntimeError", "ValueError", "KeyError", "AttributeError"})
# what registers further models
_REGISTERS = re.compile(r"register_model|timm\.models\.registry|_model_entrypoints")
_WORDS = re.compile(r"[a-z]+|[0-9]+")


def _files(call: str) -> dict[str, str]:
    return {"src/main.py": f"import timm\nimport torchvision\nmodel = {call}\n"}


class UnknownVisionModel(Rule):
    """timm and torchvision build a model by its registered name, and know no other.

    `resnet_50` is `resnet50` in both, `vit_b16` is `vit_b_16` in torchvision and `vit_base_patch16_224` in timm. The rule
    knows the names of several releases, from old to new. It blocks where a name is in none of them and a known name
    differs from it in its separators alone or in little else, because a later release may bring names of its own. Names
    of weights, such as `IMAGENET1K_V3`, are judged by the members of the model's enumeration.
    """

    code = "MDL008"
    name = "unknown-vision-model"
    requirements = ("E4.1", "D2.2", "E4.2")
    message = "{library} has no {what} {name!r}"
    explanation = "{called} raises an error for a name that is not registered."
    repair = "{right}"

    VALID = (
        Example(_files("timm.create_model('vit_base_patch16_224', pretrained=True)")),
        Example(_files("timm.create_model('vit_base_patch16_224.augreg_in21k')")),
        Example(_files("timm.create_model('hf_hub:timm/resnet50.a1_in1k')")),
        Example(_files("timm.create_model(name)")),
        Example(_files("torchvision.models.get_model('resnet50', weights='DEFAULT')")),
        Example(_files("torchvision.models.resnet50(weights='IMAGENET1K_V2')")),
        Example(_files("torchvision.models.resnet50(pretrained=True)")),
        Example(_files("torchvision.models.get_weight('ResNet50_Weights.DEFAULT')")),
        Example(
            {
                "src/main.py": "import timm\n@timm.models.register_model\ndef resnet_50(pretrained=False):\n    return None\n"
                "\nmodel = timm.create_model('resnet_50')\n"
            }
        ),
    )
    INVALID = (
        Example(
            _files("timm.create_model('resnet_50')"),
            at=("src/main.py:3",),
            repaired=_files("timm.create_model('resnet50')"),
        ),
        Example(
            _files("torchvision.models.resnet18(weights='IMAGENET1K_V3')"),
            at=("src/main.py:3",),
            repaired=_files("torchvision.models.resnet18(weights='IMAGENET1K_V1')"),
        ),
        Example(
            {
                "src/main.py": "import timm\n\ndef main(cfg):\n    timm.create_model(cfg.model.name)\n\nmain(None)\n",
                "config/runs/a.yaml": "model:\n  name: vit-tiny-patch16-224\n",
            },
            at=("config/runs/a.yaml:2",),
            repaired={"config/runs/a.yaml": "model:\n  name: vit_tiny_patch16_224\n"},
        ),
        # perhaps a name of a later release
        Example(_files("timm.create_model('hyperformer_9000')"), at=("src/main.py:3",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        registers = any(_REGISTERS.search(file.text) for file in project.python.values())
        for path, file in project.python.items():
            for call, called in file.calls:
                if called in _BY_NAME and not registers:
                    yield from self._by_name(project, path, file, call, called)
                elif called.startswith("torchvision.models."):
                    yield from self._weights(project, path, file, call, called)

    def _by_name(self, project: Project, path: str, file: PythonFile, call: ast.Call, called: str) -> Iterator[Outcome]:
        library, name = _BY_NAME[called]
        given = call.args[0] if call.args else keyword(call, name)
        done: set[tuple[str, int | None]] = set()
        for scenario, value in _texts(project, file, call, given):
            if (value.file, value.line) in done or _is_known(library, value.value):
                continue
            done.add((value.file, value.line))
            near = _nearest(library, value.value)
            yield self._at(
                project,
                _Place(path, file, call, scenario, value, called, library),
                "model",
                near,
                sure=bool(near) and _words(near) == _words(value.value.partition(".")[0]),
            )

    def _weights(self, project: Project, path: str, file: PythonFile, call: ast.Call, called: str) -> Iterator[Outcome]:
        known = _weights().get(called.removeprefix("torchvision.models."))
        given = keyword(call, "weights")
        if not known or given is None or ".quantization." in called:
            # those of a quantised model have names of their own
            return
        for scenario, value in _texts(project, file, call, given):
            member = value.value.rpartition(".")[2]
            if member in known:
                continue
            near = next(iter(difflib.get_close_matches(member, sorted(known), 1)), "DEFAULT")
            place = _Place(path, file, call, scenario, value, called, "torchvision")
            yield self._at(project, place, f"weights for {called.rpartition('.')[2]} called", near, sure=True)
            break

    def _at(self, project: Project, at: _Place, what: str, near: str, *, sure: bool) -> Outcome:
        scenarios = run_scenarios(project)
        sure = sure and at.value.sure and scenarios.passes(at.file, at.call, at.scenario) is True
        sure = sure and not catches(at.file, at.call, _CAUGHT)
        severity, consequence = Severity.WARNING, Consequence.BREAKS_CONTRACT
        if sure and scenarios.is_called(at.file, at.call):
            severity, consequence = Severity.BLOCKING, Consequence.CRASHES
        elif sure and scenarios.is_used(at.file, at.call):
            severity = Severity.BLOCKING
        elsewhere = bool(at.value.file) and at.value.file != at.path
        return self.finding(
            at.value.file if elsewhere else at.path,
            at.value.place if elsewhere else at.call,
            severity=severity,
            consequence=consequence,
            symbol=at.file.symbol_of(at.call) or None,
            run=at.scenario.run or None,
            frames=(Frame(at.path, at.call.lineno),) if elsewhere else (),
            library=at.library,
            what=what,
            name=at.value.value,
            called=at.called,
            right=f"Write {near}." if near else f"Take a name that {at.library} lists.",
        )


class _Place(NamedTuple):
    """A call with a name that is not known, and where the name comes from."""

    path: str
    file: PythonFile
    call: ast.Call
    scenario: Scenario
    value: Value
    called: str
    library: str


def _texts(
    project: Project, file: PythonFile, call: ast.Call, given: ast.expr | None
) -> Iterator[tuple[Scenario, Value]]:
    """The texts that an argument has in the runs."""
    scenarios = run_scenarios(project)
    for scenario in scenarios.scenarios:
        value = scenarios.value(file, given, scenario)
        plain = isinstance(value.value, str) and 0 < len(value.value) < 100
        if plain and scenarios.passes(file, call, scenario) is not False:
            yield scenario, value


@cache
def _names(library: str) -> frozenset[str]:
    return frozenset(row["name"] for row in read_table("vision_models") if row["library"] == library)


@cache
def _weights() -> Mapping[str, frozenset[str]]:
    """Builder of torchvision, with its submodule, to the members of its weights."""
    found = {}
    for row in read_table("vision_models"):
        if row["library"] == "torchvision" and row["weights"]:
            path = f"{row['path']}." if row["path"] else ""
            found[f"{path}{row['function']}"] = frozenset(row["weights"].split())
    return found


def _is_known(library: str, name: str) -> bool:
    if library == "timm":
        # a source before a colon, a tag after a dot (timm/models/_factory.py, parse_model_name and split_model_name_tag)
        return ":" in name or "/" in name or name.partition(".")[0] in _names("timm")
    return name.lower() in {known.lower() for known in _names("torchvision")}


def _words(name: str) -> tuple[str, ...]:
    return tuple(_WORDS.findall(name.lower()))


def _nearest(library: str, name: str) -> str:
    """The known name that was most likely meant: one that differs in its separators alone, or in little else."""
    plain = name.partition(".")[0] if library == "timm" else name
    for known in sorted(_names(library), key=len):
        if _words(known) == _words(plain):
            return known
    return next(iter(difflib.get_close_matches(plain.lower(), sorted(_names(library)), 1, 0.85)), "")
