"""DAT002: a foundation fixes a concrete pretrained model."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.data_sources import hub_model
from assay.analysis.project import Project
from assay.analysis.python_source import keyword
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# not models: transforms, weights enumerations and lookups
_NO_BUILDERS = frozenset({"get_model", "get_weight", "get_model_weights", "get_model_builder", "list_models"})


class RealModelInBase(Rule):
    """A foundation leaves the model open. Weights fetched under a fixed name make every derived experiment start from one
    model.

    `from_pretrained` with a name written in the code blocks. A fixed architecture of torchvision or timm may be an example
    that the derivation replaces, so it is a warning.
    """

    code = "DAT002"
    name = "real-model-in-base"
    requirements = ("B7.1", "B2.2")
    message = "{called} fixes a concrete model{which}"
    explanation = "A foundation has placeholders for models; the derived experiment fills them in."
    repair = "Take the name from the configuration, or put a marked MODEL_PLACEHOLDER in its place."

    VALID = (
        Example(
            {"src/model.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained(cfg['model'])\n"},
            contract="base",
        ),
        Example(
            {
                "src/model.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained('MODEL_PLACEHOLDER')\n"
            },
            contract="base",
        ),
        # the program's own folders
        Example(
            {
                "src/model.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained('runs/step-100')\n"
            },
            contract="base",
        ),
        Example({"src/model.py": "class Net:\n    pass\n\nnet = Net.from_pretrained('./saved')\n"}, contract="base"),
    )
    INVALID = (
        Example(
            {
                "src/model.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained('bert-base-uncased')\n"
            },
            contract="base",
            at=("src/model.py:2",),
            repaired={
                "src/model.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained(cfg['model'])\n"
            },
        ),
        Example(
            {"src/model.py": "from torchvision import models\nnet = models.resnet18()\n"},
            contract="base",
            at=("src/model.py:2",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for file in project.python.values():
            reader = PatternReader(file)
            own = {node.name for node in file.classes}
            for call, called in file.calls:
                name, weight = None, None
                if isinstance(call.func, ast.Attribute) and call.func.attr == "from_pretrained":
                    given = call.args[0] if call.args else keyword(call, "pretrained_model_name_or_path")
                    name = hub_model(reader, given)
                    if name is None or called.partition(".")[0] in own | {"cls", "self"}:
                        continue
                elif called == "timm.create_model":
                    name, weight = hub_model(reader, call.args[0] if call.args else None), Severity.WARNING
                    if name is None:
                        continue
                elif called.startswith("torchvision.models."):
                    last = called.rpartition(".")[2]
                    if not last.islower() or last in _NO_BUILDERS or called.count(".") > 3:
                        continue
                    weight = Severity.WARNING
                else:
                    continue
                yield self.finding(
                    file.path,
                    call,
                    severity=weight,
                    symbol=file.symbol_of(call) or None,
                    called=called or "from_pretrained",
                    which=f", {name}" if name else "",
                )
