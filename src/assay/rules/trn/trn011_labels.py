"""TRN011: labels are shifted twice, or padding counts in the loss."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.model_knowledge import family_of, model_uses
from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import keyword, string_value
from assay.analysis.tensor_values import Scope, TrainingCode, training_code
from assay.analysis.training_loops import backwards, stands_below
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

# The decoders of encoder-decoder models take labels as they are, and so do some others (modeling files of
# transformers 4.57).
_SHIFT_NOTHING = tuple(
    f"transformers.{name}"
    for name in (
        "Bart", "BigBirdPegasus", "Blenderbot", "CpmAnt", "MBart", "Marian", "Mvp", "PLBart", "Pegasus", "ProphetNet",
        "Speech2Text", "TrOCR", "Whisper", "XLNet", "XLMProphetNet",
    )
)  # fmt: skip
_HEAD = "import torch\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n\n"
_GPT2 = "import torch\nfrom transformers import GPT2LMHeadModel as AutoModelForCausalLM\n\n\n"
_TRAIN = (
    "def train(name, batches, opt):\n    model = AutoModelForCausalLM.from_pretrained(name)\n    for ids in batches:\n{shift}"
    "        loss = model(input_ids={inputs}, labels={labels}).loss\n        opt.zero_grad()\n        loss.backward()\n        opt.step()\n\n\ntrain(1, 2, 3)\n"
)
_PAD = (
    "def encode(name, rows):\n    tok = AutoTokenizer.from_pretrained(name)\n"
    "    batch = tok(rows, padding='max_length', truncation=True, return_tensors='pt')\n"
    "    batch['labels'] = batch['input_ids'].clone()\n{mask}    return batch\n\n\n"
    "def train(name, rows):\n    model = AutoModelForCausalLM.from_pretrained(name)\n    model(**encode(name, rows)).loss.backward()\n\n\ntrain(1, 2)\n"
)


class Labels(Rule):
    """A causal language model of transformers shifts its labels itself. Labels that are shifted by hand as well
    (`input_ids=x[:, :-1], labels=x[:, 1:]`) train the model to predict the token after the next.

    A warning stands where labels are a plain copy of input ids that are padded to a fixed length and nothing in the
    submission names -100, the value that the loss leaves out: then the model mostly learns to write padding.
    """

    code = "TRN011"
    name = "labels"
    requirements = ("X2", "E3.1", "D3.1", "E1.3")
    consequence = Consequence.BREAKS_CONTRACT
    message = "{what}"
    explanation = "{effect}"
    repair = "{cure}"

    VALID = (
        Example({"src/train.py": _HEAD + _TRAIN.format(shift="", inputs="ids", labels="ids")}),
        # shifted by hand, and compared by hand
        Example(
            {
                "src/train.py": _HEAD + "def loss(model, ids):\n    logits = model(input_ids=ids).logits\n"
                "    return torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:])\n"
            }
        ),
        # an own model, which does not shift
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(shift="", inputs="ids[:, :-1]", labels="ids[:, 1:]").replace(
                    "AutoModelForCausalLM.from_pretrained(name)", "build(name)"
                )
            }
        ),
        Example(
            {"src/train.py": _HEAD + _PAD.format(mask="    batch['labels'][batch['attention_mask'] == 0] = -100\n")}
        ),
        Example({"src/train.py": _HEAD + _PAD.format(mask="").replace("'max_length'", "False")}),
        # the decoder of BART does not shift
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(shift="", inputs="ids[:, :-1]", labels="ids[:, 1:]").replace(
                    "(name)", "('facebook/bart-base')"
                )
            }
        ),
        # a collator masks
        Example(
            {
                "src/train.py": "from transformers import DataCollatorForLanguageModeling\n"
                + _HEAD
                + _PAD.format(mask="")
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _GPT2 + _TRAIN.format(shift="", inputs="ids[:, :-1]", labels="ids[:, 1:]")},
            at=("src/train.py:8",),
            repaired={"src/train.py": _HEAD + _TRAIN.format(shift="", inputs="ids", labels="ids")},
        ),
        Example(
            {
                "src/train.py": _GPT2
                + _TRAIN.format(shift="        x, y = ids[:, :-1], ids[:, 1:]\n", inputs="x", labels="y")
            },
            at=("src/train.py:9",),
            repaired={"src/train.py": _HEAD + _TRAIN.format(shift="", inputs="ids", labels="ids")},
        ),
        # which class is built depends on a name that is not known here: a warning
        Example(
            {"src/train.py": _HEAD + _TRAIN.format(shift="", inputs="ids[:, :-1]", labels="ids[:, 1:]")},
            at=("src/train.py:8",),
        ),
        Example({"src/train.py": _HEAD + _PAD.format(mask="")}, at=("src/train.py:8",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        uses = code.uses
        for scope in code.scopes.values():
            for call in scope.calls:
                given, labels = keyword(call, "input_ids"), keyword(call, "labels")
                if given is None or labels is None or is_dead(scope.file, call, uses):
                    continue
                shifts = _shifts(project, code, scope, call.func)
                if shifts == "no" or not _is_trained_on(scope, call):
                    continue
                if _shifted(scope, given) == "without the last" and _shifted(scope, labels) == "without the first":
                    yield self.finding(
                        scope.file.path,
                        call,
                        severity=None if shifts == "yes" else Severity.WARNING,
                        symbol=scope.file.symbol_of(call) or None,
                        what="labels are shifted by hand, and the model shifts them again",
                        effect="The model learns to predict the token after the next one.",
                        cure="Give the model input_ids and labels of the same positions.",
                    )
        yield from self._padding(project, code)

    def _padding(self, project: Project, code: TrainingCode) -> Iterator[Outcome]:
        """Labels that copy padded input ids, where nothing masks them."""
        padded = shifts = False
        copies: list[tuple[Scope, ast.stmt]] = []
        for scope in code.scopes.values():
            if any("DataCollator" in (item.name or "") for item in scope.file.imports):
                return
            for node in scope.nodes:
                if (isinstance(node, ast.Constant) and node.value == 100) or _names(node) & {
                    "ignore_index",
                    "masked_fill",
                }:
                    return
                if isinstance(node, ast.keyword) and node.arg == "padding" and string_value(node.value) == "max_length":
                    padded = True
                if isinstance(node, ast.Call) and _is_causal_load(scope, node):
                    shifts = True
                if isinstance(node, ast.Assign) and _copies_ids(node):
                    copies.append((scope, node))
        if padded and shifts:
            for scope, statement in copies:
                yield self.finding(
                    scope.file.path,
                    statement,
                    severity=Severity.WARNING,
                    symbol=scope.file.symbol_of(statement) or None,
                    what="labels copy padded input ids, and nothing masks the padding",
                    effect="The loss counts padding: the model mostly learns to predict the padding token.",
                    cure="Set labels to -100 where the attention mask is 0.",
                )


def _names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Attribute):
        return {node.attr}
    if isinstance(node, ast.keyword):
        return {node.arg or ""}
    return {node.id} if isinstance(node, ast.Name) else set()


def _is_causal_load(scope: Scope, call: ast.Call) -> bool:
    name = scope.file.qualified(call.func)
    return name.startswith("transformers.") and name.endswith(
        ("ForCausalLM.from_pretrained", "LMHeadModel.from_pretrained")
    )


def _shifts(project: Project, code: TrainingCode, scope: Scope, func: ast.expr) -> str:
    """Whether what is called is a causal language model of transformers that shifts its labels: yes, no or perhaps."""
    made = code.constructed(scope, func)
    causal = bool(made) and all(
        name.startswith("transformers.")
        and name.endswith(("ForCausalLM.from_pretrained", "LMHeadModel.from_pretrained"))
        and not name.startswith(_SHIFT_NOTHING)
        for name in made
    )
    if not causal or not any(".AutoModel" in name for name in made):
        return "yes" if causal else "no"
    # which class an auto class builds follows from the name of the model
    found = [
        family_of(use.name) for use in model_uses(project) if use.is_model and use.loader == "AutoModelForCausalLM"
    ]
    kinds = {family.kind if family is not None else "" for family in found}
    return "yes" if kinds == {"decoder"} else "no" if kinds and "decoder" not in kinds | {""} else "perhaps"


def _is_trained_on(scope: Scope, call: ast.Call) -> bool:
    """Whether the loss of a model's output is the one that a backward of the function differentiates."""
    parent = scope.file.parents.get(call)
    if isinstance(parent, ast.Attribute) and parent.attr == "loss":
        holder: ast.AST | None = scope.file.parents.get(parent)
        while isinstance(holder, ast.BinOp):
            holder = scope.file.parents.get(holder)
        names = [part.id for part in getattr(holder, "targets", []) if isinstance(part, ast.Name)]
        return any(
            stands_below(scope.file, call, item.loss) or any(name in _read(item.loss) for name in names)
            for item in backwards(scope)
        )
    if isinstance(parent, ast.Assign):
        outputs = [part.id for part in parent.targets if isinstance(part, ast.Name)]
        losses = {
            name
            for name, bound in scope.bindings.items()
            for item in bound
            if item.value is not None and any(f"{one}.loss" in _chains(item.value) for one in outputs)
        }
        return any(
            _read(item.loss) & losses or any(f"{one}.loss" in _chains(item.loss) for one in outputs)
            for item in backwards(scope)
        )
    return False


def _read(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _chains(node: ast.AST) -> set[str]:
    return {
        f"{part.value.id}.{part.attr}"
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name)
    }


def _shifted(scope: Scope, node: ast.expr, steps: int = 3) -> str:
    """Which end of a sequence a slice over its second axis leaves out by one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
        # .contiguous(), .clone()
        return _shifted(scope, node.func.value, steps - 1) if steps else ""
    if isinstance(node, ast.Name) and steps:
        bound = scope.bindings.get(node.id, [])
        if len(bound) != 1 or bound[0].augmented or bound[0].value is None:
            return ""
        value = bound[0].value
        if bound[0].item is not None:
            value = (
                value.elts[bound[0].item] if isinstance(value, ast.Tuple) and bound[0].item < len(value.elts) else node
            )
        return _shifted(scope, value, steps - 1)
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Tuple) or len(node.slice.elts) != 2:
        return ""
    rows, part = node.slice.elts
    if not isinstance(rows, ast.Slice) or not isinstance(part, ast.Slice) or rows.lower or rows.upper or part.step:
        return ""
    if part.lower is None and part.upper is not None and _number(part.upper) == -1:
        return "without the last"
    return "without the first" if part.upper is None and _number(part.lower) == 1 else ""


def _number(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -node.operand.value if isinstance(node.operand.value, int) else None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else None


def _copies_ids(node: ast.Assign) -> bool:
    """`batch["labels"] = batch["input_ids"].clone()`, and its like."""
    target = node.targets[0]
    if len(node.targets) != 1 or not isinstance(target, ast.Subscript) or string_value(target.slice) != "labels":
        return False
    value = node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in ("clone", "copy"):
        value = value.func.value
    return isinstance(value, ast.Subscript) and string_value(value.slice) == "input_ids"
