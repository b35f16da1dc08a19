"""CPL006: a foundation uses another deep-learning framework than PyTorch."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_OTHERS = {
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "tf_keras": "Keras",
    "jax": "JAX",
    "flax": "Flax",
    "haiku": "Haiku",
    "equinox": "Equinox",
    "mxnet": "MXNet",
    "paddle": "PaddlePaddle",
    "mindspore": "MindSpore",
    "chainer": "Chainer",
    "tinygrad": "tinygrad",
    "theano": "Theano",
    "caffe2": "Caffe2",
    "cntk": "CNTK",
}
# they bring PyTorch along
_OF_PYTORCH = frozenset(
    {
        "torch", "lightning", "pytorch_lightning", "fastai", "accelerate", "ignite", "composer", "catalyst", "transformers",
        "peft", "trl", "diffusers", "timm", "sentence_transformers", "setfit", "open_clip", "monai", "skorch", "gluonts",
        "stable_baselines3", "sb3_contrib", "tianshou", "segmentation_models_pytorch", "ultralytics", "flair", "nemo", "dgl",
        "deepspeed", "braindecode", "neuralforecast", "tsai", "kornia", "avalanche", "gpytorch", "botorch", "pyro",
    }
)  # fmt: skip


class OtherFramework(Rule):
    """A foundation is written with PyTorch, and with no other deep-learning framework beside it.

    Two frameworks in one program compete for the memory of the GPU, and what is built on the foundation has to know both.
    The rule looks at the imports of all files; one that is allowed to fail is a warning.
    """

    code = "CPL006"
    name = "other-framework"
    requirements = ("B6.1",)
    message = "{what}"
    explanation = "PyTorch is the framework of the foundation, and the only one."
    repair = "{change}."

    VALID = (
        Example({"src/train.py": "import torch\n"}, contract="base"),
        Example({"src/train.py": "import pytorch_lightning as pl\n"}, contract="base"),
        Example({"src/model.py": "import torch.nn as nn\n", "src/train.py": "import json\n"}, contract="base"),
        Example({"src/train.py": "from torch.utils.tensorboard import SummaryWriter\n"}, contract="base"),
        Example({"src/train.py": "from transformers import Trainer\nTrainer(model=m).train()\n"}, contract="base"),
    )
    INVALID = (
        Example(
            {"src/train.py": "import torch\nimport tensorflow as tf\n"},
            contract="base",
            at=("src/train.py:2",),
            repaired={"src/train.py": "import torch\n"},
        ),
        Example(
            {"src/train.py": "import numpy as np\n", "src/model.py": "import sklearn\n"},
            contract="base",
            at=("src/train.py",),
            repaired={"src/train.py": "import torch\n"},
        ),
        # it may be missing: a warning
        Example(
            {"src/train.py": "import torch\n\ntry:\n    import jax\nexcept ImportError:\n    jax = None\n"},
            contract="base",
            at=("src/train.py:4",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        train = project.role("train")
        files = list(project.python.values())
        roots: set[str] = set()
        told: set[str] = set()
        for file in files:
            for item in file.imports:
                root = item.module.partition(".")[0]
                roots.add(root)
                if root in _OTHERS and root not in told:
                    told.add(root)
                    yield self.finding(
                        file.path,
                        item.node,
                        severity=Severity.WARNING if item.guarded else None,
                        symbol=root,
                        what=f"{_OTHERS[root]} is imported beside PyTorch"
                        if "torch" in roots
                        else f"{_OTHERS[root]} is imported",
                        change="Write it with PyTorch",
                    )
        if any(file.tree is None for file in files) or train is None or not train.nodes[1:]:
            yield Undecided("part of the code cannot be read")
        elif not roots & _OF_PYTORCH and not told and not any("torch" in root for root in roots):
            yield self.finding(
                train.path, what="no file imports PyTorch", change="Write models and training with PyTorch"
            )
