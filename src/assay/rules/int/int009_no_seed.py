"""INT009: no seed is set."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.expressions import words_of
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, keyword
from assay.analysis.run_variations import texts
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

# libraries that seed by themselves or are told to by their own settings:
# https://huggingface.co/docs/transformers/v4.57.0/main_classes/trainer (seed=42), https://lightning.ai/docs/pytorch/2.5.5
_LOOPS = frozenset(
    {"lightning", "pytorch_lightning", "accelerate", "trl", "assay", "keras", "fastai", "ray", "ultralytics"}
)
_TRAINERS = frozenset({"Trainer", "Seq2SeqTrainer", "TrainingArguments", "Seq2SeqTrainingArguments", "SFTTrainer"})
_FIXES = frozenset({"seed", "seeds", "deterministic", "determinism", "reproducible", "reproducibility", "rng", "prng"})
# calls that draw random numbers, and some below them that draw none
_DRAWS = ("torch.nn.", "torch.rand", "torch.normal", "torch.bernoulli", "torch.multinomial", "torch.distributions.",
          "numpy.random.", "random.", "torch.utils.data.random_split", "tensorflow.keras.", "tensorflow.random.",
          "torchvision.models.", "timm.", "peft.", "torch_geometric.")  # fmt: skip
_DRAWS_NOTHING = (
    "torch.nn.functional.",
    "torch.nn.utils.",
    "torch.nn.Parameter",
    "torch.nn.parameter.",
    "torch.nn.Identity",
)
_DRAWN = frozenset({"shuffle", "from_config", "init_weights", "dropout", "train_test_split", "RandomCrop"})
_RANDOM = frozenset({"torch", "tensorflow", "jax"})


class NoSeed(Rule):
    """Without a seed a run cannot be repeated, and the spread over seeds, which every comparison needs, cannot be known.

    The rule looks for anything that sets a seed: `torch.manual_seed`, `np.random.seed`, `set_seed`, a generator, a
    `random_state`. It blocks where a program that trains with PyTorch, TensorFlow or JAX speaks of a seed nowhere. Where
    seeds are given to single calls alone, and nothing sets the global one, it warns.
    """

    code = "INT009"
    name = "no-seed"
    requirements = ("X6",)
    message = "nothing sets a seed"
    explanation = "Weights, order of the data and augmentation differ each time, so no result can be repeated."
    repair = (
        "Call torch.manual_seed, numpy.random.seed and random.seed with a configured seed before anything is built."
    )

    VALID = (
        Example({"src/train.py": "import torch\n\ntorch.manual_seed(cfg.training.seed)\n"}),
        Example({"src/train.py": "from transformers import Trainer\nimport torch\n\nTrainer(model=model).train()\n"}),
        Example({"src/train.py": "import yaml\n\nprint(yaml.__version__)\n"}),
        Example({"src/train.py": "import numpy as np\n\nrng = np.random.default_rng(7)\n"}),
        Example(
            {
                "src/train.py": "import torch\nfrom transformers import enable_full_determinism\n\n"
                "enable_full_determinism(4)\nnetwork = torch.nn.Linear(2, 2)\n"
            }
        ),
        # nothing is random
        Example({"src/train.py": "import torch\n\nprint(torch.linalg.solve(torch.eye(2), torch.ones(2)))\n"}),
        Example({"src/train.py": "import torch\nfrom src.model import fix_seeds\n\nfix_seeds(3)\n"}),
    )
    INVALID = (
        Example(
            {"src/train.py": "import torch\n\nnetwork = torch.nn.Linear(2, 2)\n"},
            at=("src/train.py",),
            repaired={"src/train.py": "import torch\n\ntorch.manual_seed(0)\nnetwork = torch.nn.Linear(2, 2)\n"},
        ),
        Example(
            {"src/train.py": "import torch\n\ndata = data.shuffle(seed=42)\nnetwork = torch.nn.Linear(2, 2)\n"},
            at=("src/train.py",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        train = project.role("train")
        files = list(project.python.values())
        if train is None or not train.nodes[1:] or any(file.tree is None for file in files):
            yield Undecided("the training code is missing or cannot be read")
            return
        evaluate = project.role("evaluate")
        modules = {item.module.partition(".")[0] for file in files if file is not evaluate for item in file.imports}
        if not modules & _RANDOM:
            return
        if any(_sets_seed(file) for file in files):
            return
        names = {item.name for file in files for item in file.imports if item.name}
        if modules & _LOOPS or names & _TRAINERS or any(file.defined & {"*"} for file in files):
            yield Undecided("a library may set the seed")
            return
        if not any(_draws(file) for file in files):
            yield Undecided("nothing in the program is certainly random")
            return
        values = {text for file in project.yaml.values() for document in file.documents for text in texts(document)}
        if any("seed" in text for text in values):
            yield Undecided("the configuration may name a function that sets the seed")
            return
        if any(_speaks_of_seed(file) for file in files):
            yield self.finding(
                train.path,
                severity=Severity.WARNING,
                message="seeds are given to single calls, and nothing sets the global one",
                explanation="Initial weights, dropout and the order of batches still differ each time.",
            )
        else:
            yield self.finding(train.path)


def _sets_seed(file: PythonFile) -> bool:
    """Whether a call in a file may set a seed for more than itself."""
    for call, name in file.calls:
        last = name.rpartition(".")[2] or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
        if _FIXES & set(words_of(last)):
            return True
        if last in ("default_rng", "RandomState", "PRNGKey", "key", "Random") and (call.args or call.keywords):
            return True
    return False


def _draws(file: PythonFile) -> bool:
    """Whether a file makes layers, draws numbers, shuffles, or trains a pretrained model with its dropout."""
    names = {name for _, name in file.calls}
    if any(name.startswith("torch.optim.") for name in names) and any(
        name.endswith("from_pretrained") for name in names
    ):
        return True
    for call, name in file.calls:
        if name.startswith(_DRAWS) and not name.startswith(_DRAWS_NOTHING) and not name.endswith("Loss"):
            return True
        if (name.rpartition(".")[2] or getattr(call.func, "attr", "")) in _DRAWN:
            return True
        asked = [keyword(call, word) for word in ("shuffle", "do_sample")]
        if any(part is not None and not (isinstance(part, ast.Constant) and not part.value) for part in asked):
            return True
    return any(file.qualified(base).startswith("torch.nn.") for node in file.classes for base in node.bases)


def _speaks_of_seed(file: PythonFile) -> bool:
    """Whether a name, keyword or text of a file has to do with seeds."""
    for node in file.nodes:
        text = ""
        if isinstance(node, ast.Name):
            text = node.id
        elif isinstance(node, ast.Attribute):
            text = node.attr
        elif isinstance(node, ast.keyword | ast.arg):
            text = node.arg or ""
        elif isinstance(node, FunctionNode):
            text = node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value[:200]
        if "seed" in text.lower() or text == "random_state":
            return True
    return False
