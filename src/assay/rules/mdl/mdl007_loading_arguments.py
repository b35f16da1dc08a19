"""MDL007: from_pretrained is given a data type, a device map or a quantisation that it refuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from packaging.version import Version

from assay.analysis.called import MISSING, Called, calls_in
from assay.analysis.import_time import catches
from assay.analysis.library_interface import LibraryInterface
from assay.analysis.project import Project
from assay.analysis.python_source import keyword
from assay.analysis.run_scenarios import Scenario, Value, run_scenarios
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

# names of torch.dtype: docs.pytorch.org/docs/stable/tensor_attributes.html
_TYPES = frozenset(
    {
        "float32", "float", "float64", "double", "float16", "half", "bfloat16", "complex64", "cfloat", "complex128",
        "cdouble", "complex32", "chalf", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "short", "int32", "int",
        "int64", "long", "bool", "quint8", "qint8", "qint32", "quint4x2", "quint2x4", "float8_e4m3fn", "float8_e5m2",
        "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2",
    }
)  # fmt: skip
_MEANT = {
    "fp16": "float16", "f16": "float16", "16": "float16", "float_16": "float16", "fp32": "float32", "f32": "float32",
    "32": "float32", "bf16": "bfloat16", "bfp16": "bfloat16", "bfloat": "bfloat16", "fp64": "float64",
}  # fmt: skip
# transformers/integrations/accelerate.py, check_and_set_device_map (5.23.0); modelling_utils.py before
_MAPS = frozenset({"auto", "balanced", "balanced_low_0", "sequential"})
# device types of torch, c10/core/DeviceType.h
_DEVICE = re.compile(
    r"(?:cpu|cuda|ipu|xpu|mkldnn|opengl|opencl|ideep|hip|ve|fpga|maia|xla|lazy|vulkan|mps|meta|hpu|mtia|npu|privateuseone"
    r"|disk|mlu|musa|sdaa)(?::\d+)?"
)
_LOADERS = re.compile(r"transformers\.(?:AutoModel\w*|\w+Model|\w+For\w+|\w+HeadModel)\.from_pretrained")
_CAUGHT = frozenset({"Exception", "BaseException", "ValueError", "TypeError", "AttributeError"})
# huggingface/transformers, release 5.0.0: load_in_8bit and load_in_4bit are no arguments any more
_WITHOUT_FLAGS = Version("5.0.0")


def _loads(arguments: str, more: str = "") -> dict[str, str]:
    return {
        "src/main.py": "from transformers import AutoModelForCausalLM, BitsAndBytesConfig\n"
        f"{more}model = AutoModelForCausalLM.from_pretrained('gpt2', {arguments})\n"
    }


class LoadingArguments(Rule):
    """`from_pretrained` checks some of its arguments only when it loads, long after a check of the configuration.

    A data type that is a text has to be `auto` or the name of a `torch.dtype`: `fp16`, `bf16` and `torch.float16` are
    none. A device map that is a text is `auto`, `balanced`, `balanced_low_0`, `sequential` or a device: `gpu` is none.
    `load_in_8bit` next to `load_in_4bit`, or next to `quantization_config`, is refused, and since transformers 5 both
    flags are arguments of `BitsAndBytesConfig` alone.
    """

    code = "MDL007"
    name = "loading-arguments"
    requirements = ("E4.3", "D2.2", "E4.1")
    message = "{what}"
    explanation = "{effect}"
    repair = "{right}"

    VALID = (
        Example(_loads("torch_dtype='float16'")),
        Example(_loads("dtype='auto', device_map='auto'")),
        Example(_loads("device_map='cuda:0'")),
        Example(_loads("device_map={'': 0}, torch_dtype=dtype", "import torch\ndtype = torch.float16\n")),
        Example(_loads("quantization_config=BitsAndBytesConfig(load_in_8bit=True)")),
        Example(_loads("load_in_8bit=False, quantization_config=quant", "quant = BitsAndBytesConfig()\n")),
        # chosen by the name
        Example(
            {
                "src/main.py": "import torch\nfrom transformers import AutoModel\nTYPES = {'fp16': torch.float16}\n\n"
                "def main(cfg):\n    AutoModel.from_pretrained('gpt2', torch_dtype=TYPES[cfg.model.dtype])\n\nmain(None)\n",
                "config/runs/a.yaml": "model:\n  dtype: fp16\n",
            }
        ),
    )
    INVALID = (
        Example(_loads("torch_dtype='fp16'"), at=("src/main.py:2",), repaired=_loads("torch_dtype='float16'")),
        Example(
            {
                "src/main.py": "from transformers import AutoModel\n\ndef main(cfg):\n"
                "    AutoModel.from_pretrained('gpt2', torch_dtype=cfg.model.dtype)\n\nmain(None)\n",
                "config/runs/a.yaml": "model:\n  dtype: bf16\n",
            },
            at=("config/runs/a.yaml:2",),
            repaired={"config/runs/a.yaml": "model:\n  dtype: bfloat16\n"},
        ),
        Example(_loads("device_map='gpu'"), at=("src/main.py:2",), repaired=_loads("device_map='cuda'")),
        Example(
            _loads("load_in_8bit=True, quantization_config=quant", "quant = BitsAndBytesConfig(load_in_4bit=True)\n"),
            at=("src/main.py:3",),
            repaired=_loads("quantization_config=quant", "quant = BitsAndBytesConfig(load_in_4bit=True)\n"),
        ),
        Example(
            _loads(
                "quantization_config=quant",
                "quant = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype='bf16')\n",
            ),
            at=("src/main.py:2",),
            repaired=_loads(
                "quantization_config=quant",
                "quant = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype='bfloat16')\n",
            ),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        release = project.shared(LibraryInterface).release("transformers")
        for called in calls_in(project, "transformers.*"):
            if not isinstance(called.place, ast.Call):
                continue
            if called.name == "transformers.BitsAndBytesConfig":
                yield from self._texts(project, called, {"bnb_4bit_compute_dtype": False})
                yield from self._both(project, called)
            elif _LOADERS.fullmatch(called.name):
                yield from self._texts(project, called, {"torch_dtype": True, "dtype": True})
                yield from self._map(project, called)
                yield from self._both(project, called)
                yield from self._flags(project, called, release)

    def _texts(self, project: Project, called: Called, names: dict[str, bool]) -> Iterator[Outcome]:
        """Data types that are no name of a torch.dtype."""
        for name, auto in names.items():
            for scenario, value in _values(project, called, name):
                if value.value in _TYPES or (auto and value.value == "auto"):
                    continue
                meant = _MEANT.get(value.value.lower().strip(), value.value.removeprefix("torch."))
                right = f"Write {meant}." if meant in _TYPES else "Write the name of a torch.dtype, such as bfloat16."
                raised = "ValueError" if auto else "AttributeError"
                yield self._at(
                    project,
                    called,
                    scenario,
                    value,
                    what=f"{name} is {value.value!r}, which is no torch.dtype",
                    effect=f"transformers looks it up as a member of torch and raises {raised}.",
                    right=right,
                )
                break

    def _map(self, project: Project, called: Called) -> Iterator[Outcome]:
        """Device maps that are neither a strategy nor a device."""
        for scenario, value in _values(project, called, "device_map"):
            if value.value in _MAPS or _DEVICE.fullmatch(value.value):
                continue
            yield self._at(
                project,
                called,
                scenario,
                value,
                what=f"device_map is {value.value!r}, which is neither a strategy nor a device",
                effect="torch knows no device of this name, and loading raises an error.",
                right="Write auto, cuda or cpu.",
            )
            break

    def _both(self, project: Project, called: Called) -> Iterator[Outcome]:
        flags = [name for name in ("load_in_8bit", "load_in_4bit") if called.argument(None, name) is True]
        config = called.argument(None, "quantization_config")
        is_loader = called.name.endswith(".from_pretrained")
        if len(flags) == 2:
            what, right = "load_in_8bit and load_in_4bit are both True", "Keep one of the two."
        elif flags and is_loader and config is not MISSING and config is not None and not _may_be_none(project, called):
            what, right = f"{flags[0]} and quantization_config are both given", f"Remove {flags[0]}."
        else:
            return
        yield self._at(
            project, called, None, Value(), what=what, effect="transformers refuses that with ValueError.", right=right
        )

    def _flags(self, project: Project, called: Called, release: Version | None) -> Iterator[Outcome]:
        flags = [name for name in ("load_in_8bit", "load_in_4bit") if called.argument(None, name) is True]
        if len(flags) != 1 or release is None or release < _WITHOUT_FLAGS or "quantization_config" in called.keywords:
            return
        yield self._at(
            project,
            called,
            None,
            Value(),
            what=f"{flags[0]} is no argument of from_pretrained in transformers {release}",
            effect="It reaches the model's constructor, which raises TypeError.",
            right=f"Pass quantization_config=BitsAndBytesConfig({flags[0]}=True).",
        )

    def _at(
        self,
        project: Project,
        called: Called,
        scenario: Scenario | None,
        value: Value,
        *,
        what: str,
        effect: str,
        right: str,
    ) -> Outcome:
        assert isinstance(called.place, ast.Call)
        file = project.python[called.file]
        scenarios = run_scenarios(project)
        chosen = scenario or scenarios.scenarios[0]
        sure = value.sure and scenarios.passes(file, called.place, chosen) is True
        sure = sure and not catches(file, called.place, _CAUGHT)
        if sure and scenarios.is_called(file, called.place):
            severity, consequence = Severity.BLOCKING, Consequence.CRASHES
        elif sure and scenarios.is_used(file, called.place):
            severity, consequence = Severity.BLOCKING, Consequence.BREAKS_CONTRACT
        else:
            severity, consequence = Severity.WARNING, Consequence.BREAKS_CONTRACT
        elsewhere = bool(value.file) and value.file != called.file
        return self.finding(
            value.file if elsewhere else called.file,
            (value.place or called.place) if elsewhere else called.place,
            severity=severity,
            consequence=consequence,
            symbol=file.symbol_of(called.place) or None,
            run=chosen.run or None,
            frames=(Frame(called.file, called.place.lineno),) if elsewhere else (),
            what=what,
            effect=effect,
            right=right,
        )


def _values(project: Project, called: Called, name: str) -> Iterator[tuple[Scenario, Value]]:
    """The texts that an argument has in the runs."""
    assert isinstance(called.place, ast.Call)
    file = project.python[called.file]
    given = keyword(called.place, name)
    if given is None:
        return
    scenarios = run_scenarios(project)
    for scenario in scenarios.scenarios:
        value = scenarios.value(file, given, scenario)
        if isinstance(value.value, str) and scenarios.passes(file, called.place, scenario) is not False:
            yield scenario, value


def _may_be_none(project: Project, called: Called) -> bool:
    """Whether the quantisation given may be None: anything but a call, or a name that holds one."""
    assert isinstance(called.place, ast.Call)
    given = keyword(called.place, "quantization_config")
    held = run_scenarios(project).only_assignment(project.python[called.file], given)
    return not isinstance(given, ast.Call) and not isinstance(held, ast.Call)
