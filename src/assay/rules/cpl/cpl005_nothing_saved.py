"""CPL005: the foundation saves no model, or cannot load one again."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

# https://pytorch.org/tutorials/beginner/saving_loading_models.html, https://huggingface.co/docs/safetensors,
# https://lightning.ai/docs/pytorch/stable/common/checkpointing_basic.html
_SAVES = frozenset(
    {
        "save", "save_file", "save_model", "save_pretrained", "save_checkpoint", "save_state", "save_weights", "push_to_hub",
        "ModelCheckpoint", "dump", "savez", "savez_compressed", "savetxt", "export", "save_safetensors",
    }
)  # fmt: skip
_LOADS = frozenset(
    {
        "load", "load_file", "load_model", "load_state_dict", "from_pretrained", "load_checkpoint", "load_state",
        "load_from_checkpoint", "load_weights", "load_safetensors",
    }
)  # fmt: skip
_PICKLES = re.compile(r"(pickle|joblib|cloudpickle|dill|torch)\.(dumps?|Pickler)")
_SAVE = "import torch\n\ntorch.save(model.state_dict(), 'model.pt')\n"
_LOAD = "model.load_state_dict(torch.load('model.pt'))\n"


class NothingSaved(Rule):
    """A foundation saves its models and can load them again, so that evaluation, and whoever comes later, has them.

    The rule looks for calls that save and calls that load in all files. None that saves is a proof: nothing is left of a
    model once train ends. None that loads is a warning.
    """

    code = "CPL005"
    name = "nothing-saved"
    requirements = ("B1.3",)
    message = "no file {act} a model"
    explanation = "{effect}"
    repair = "{change}."

    VALID = (
        Example(
            {"src/train.py": "json.dump({k: v.tolist() for k, v in model.state_dict().items()}, stream)\n"},
            contract="base",
        ),
        Example({"src/train.py": _SAVE + _LOAD}, contract="base"),
        Example(
            {"src/train.py": "from safetensors.torch import save_file\nsave_file(x, 'a')\n", "src/model.py": _LOAD},
            contract="base",
        ),
        Example({"src/train.py": "from transformers import Trainer\nTrainer(model=m).train()\n"}, contract="base"),
        Example(
            {"src/train.py": "import pickle\npath.write_bytes(pickle.dumps(model.state_dict()))\n" + _LOAD},
            contract="base",
        ),
        Example(
            {"src/train.py": "import numpy as np\nnp.savez_compressed(path, **weights)\n" + _LOAD}, contract="base"
        ),
        Example(
            {
                "src/train.py": "from functools import partial\nimport torch\n\nkeep = partial(torch.save, f=path)\n"
                "keep(model.state_dict())\n" + _LOAD
            },
            contract="base",
        ),
    )
    INVALID = (
        Example(
            {
                "src/train.py": "import torch\n\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\noptimizer.step()\n"
            },
            contract="base",
            at=("src/train.py",),
            repaired={"src/train.py": _SAVE + _LOAD},
        ),
        # a warning
        Example({"src/train.py": _SAVE}, contract="base", at=("src/train.py",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        train = project.role("train")
        files = list(project.python.values())
        if train is None or not train.nodes[1:] or any(file.tree is None for file in files):
            yield Undecided("part of the code cannot be read")
            return
        called = {
            call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
            for file in files
            for call, name in file.calls
        }
        if any(name.endswith(("Trainer", "Fabric", "Accelerator")) for name in called):
            yield Undecided("a library may save the models")
            return
        used = {
            node.id if isinstance(node, ast.Name) else node.attr
            for file in files
            for node in file.nodes_of(ast.Name, ast.Attribute)
        }
        # `json.dump` saves no model, and a method of some other name may
        saves = {
            name
            for name in called
            if name in _SAVES - {"dump"} or name.startswith(("save_", "_save", "write_checkpoint"))
        }
        # a function may be handed on: `partial(torch.save, ...)`
        saves |= used & (_SAVES - {"dump", "export"})
        saves |= {name for file in files for _, name in file.calls if _PICKLES.fullmatch(name)}
        if not saves and "tolist" in used and used & {"state_dict", "named_parameters", "parameters"}:
            yield Undecided("the weights may be written as text")
        elif not saves:
            yield self.finding(
                train.path, act="saves", effect="Nothing is left of a model once train ends.",
                change="Save the weights: torch.save(model.state_dict(), path)",
            )  # fmt: skip
        elif not any(name in _LOADS or name.startswith("load_") for name in called):
            yield self.finding(
                train.path, severity=Severity.WARNING, act="loads", effect="What train saves is never used again.",
                change="Load the weights where they are needed: model.load_state_dict(torch.load(path))",
            )  # fmt: skip
