"""Report and continue: what is told of a stop that is passed over, and that nothing else is touched."""

from __future__ import annotations

import pytest

from tests.trial.inside.watched_run import Stage

# shim -> a program that stops without it, the type of the error, a part of its message
STOPS = {
    "duplicate-groups": (
        """\
net = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD([{"params": net.parameters()}, {"params": [net.bias], "lr": 0.5}], lr=0.1)
assert [len(group["params"]) for group in optimizer.param_groups] == [2, 0]
net(torch.ones(1, 2)).sum().backward()
optimizer.step()
""",
        "ValueError",
        "more than one parameter group",
    ),
    "empty-optimizer": (
        "optimizer = torch.optim.AdamW([], lr=0.1)\noptimizer.zero_grad()\noptimizer.step()\n",
        "ValueError",
        "empty parameter list",
    ),
    "unscale": (
        """\
scaler = torch.amp.GradScaler("cuda")
half = torch.nn.Linear(2, 1).half()
optimizer = torch.optim.SGD(half.parameters(), lr=0.1)
with torch.autocast("cuda"):
    loss = half(torch.ones(1, 2)).float().sum() / 1000
scaler.scale(loss).backward()
scaler.unscale_(optimizer)
scaler.step(optimizer)
scaler.update()
""",
        "ValueError",
        "Attempting to unscale FP16 gradients.",
    ),
    "detached-loss": (
        "torch.ones(1).sum().backward()\ntorch.autograd.grad(torch.ones(()), torch.ones(2, requires_grad=True))\n",
        "RuntimeError",
        "does not require grad",
    ),
    "unused-grad": (
        """\
x, y = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
gradients = torch.autograd.grad(x.sum(), (x, y))
assert [gradient.tolist() for gradient in gradients] == [[1, 1], [0, 0, 0]]
assert torch.autograd.grad(x.sum(), (y,), allow_unused=True) == (None,)
""",
        "RuntimeError",
        "not have been used in the graph",
    ),
    "label-lengths": (
        """\
loss = torch.nn.functional.cross_entropy(torch.ones(6, 4), torch.zeros(4).long())
torch.nn.CrossEntropyLoss()(torch.ones(4, 4), torch.zeros(6).long())
assert abs(loss.item() - 1.3863) < 1e-3
""",
        "ValueError",
        "to match target batch_size",
    ),
    "ragged-labels": (
        """\
rows = [{"input_ids": torch.ones(3).long(), "labels": torch.ones(n).long()} for n in (2, 3)]
batch = next(iter(torch.utils.data.DataLoader(rows, batch_size=2)))
assert batch["labels"].tolist() == [[1, 1, -100], [1, 1, 1]]
""",
        "RuntimeError",
        "equal size",
    ),
}
PRELUDE = "import torch\n"
ALL = """\
import runpy, sys, traceback
import torch
for name in sys.argv[1:]:
    try:
        runpy.run_path(name + ".py")
    except Exception as error:
        traceback.print_exc()
        print(name, type(error).__name__, str(error).splitlines()[0])
"""


def test_each_shim_tells_what_it_passes_over_and_goes_on(stage: Stage) -> None:
    stage.write({f"{name}.py": PRELUDE + program for name, (program, _, _) in STOPS.items()} | {"all.py": ALL})
    ran = stage.run("all.py", *STOPS, shims=[*STOPS])
    assert (ran.status, ran.output) == (0, ""), ran.errors
    told = {event["name"]: event for event in ran.of("shim")}
    for name, (_, kind, message) in STOPS.items():
        assert (told[name]["type"], told[name]["frames"][-1][0]) == (kind, f"{name}.py"), name
        assert message in told[name]["message"], name
        assert told[name]["text"]
    assert told["duplicate-groups"]["library_frames"][-1][2] == "add_param_group"
    assert not ran.of("stop")


def test_without_its_shim_each_program_stops(stage: Stage) -> None:
    stage.write({f"{name}.py": PRELUDE + program for name, (program, _, _) in STOPS.items()} | {"all.py": ALL})
    ran = stage.run("all.py", *STOPS)
    assert [line.split()[:2] for line in ran.output.splitlines()] == [
        [name, kind] for name, (_, kind, _) in STOPS.items()
    ]
    assert not ran.of("shim")


TRANSFORMERS = """\
import sys
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BatchEncoding, GPT2Config, GPT2ForSequenceClassification, PreTrainedModel
from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast, default_data_collator
words = {"<end>": 0, "one": 1, "two": 2}
inner = Tokenizer(models.WordLevel(words, unk_token="<end>"))
inner.pre_tokenizer = pre_tokenizers.Whitespace()
def tokenizer():
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", unk_token="<end>")
class Bare(PreTrainedModel):
    config_class = GPT2Config
    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(2, 2)
        self.post_init()
def pads():
    one = tokenizer()
    assert one(["one two", "one"], padding=True)["input_ids"] == [[1, 2], [1, 0]]
    assert one.pad_token == "<end>"
    DataCollatorWithPadding(tokenizer())([{"input_ids": [1, 2]}, {"input_ids": [1]}])
def classifies():
    config = GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1, pad_token_id=None, eos_token_id=0)
    assert GPT2ForSequenceClassification(config)(torch.ones(2, 3).long()).logits.shape == (2, 2)
def adapts():
    import peft
    config = GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1, pad_token_id=None, eos_token_id=0)
    model = peft.get_peft_model(GPT2ForSequenceClassification(config), peft.LoraConfig(task_type="SEQ_CLS"))
    assert model(torch.ones(2, 3).long()).logits.shape == (2, 2)
def attends():
    config = GPT2Config(n_embd=8, n_head=1)
    config._attn_implementation = "sdpa"
    assert Bare(config).config._attn_implementation == "eager"
def decodes():
    assert tokenizer().decode([1, -100]) in ("one <end>", "one")
    tokenizer().batch_decode(torch.tensor([[1, -100], [2, 1]]))
def evens():
    batch = BatchEncoding({"input_ids": [[1, 2], [1, 2]], "labels": [[1], [1, 2]]}, tensor_type="pt")
    assert batch["labels"].tolist() == [[1, -100], [1, 2]]
    pad = tokenizer()
    pad.pad_token = "<end>"
    batch = DataCollatorWithPadding(pad)([{"input_ids": [1, 2], "labels": [1]}, {"input_ids": [1], "labels": [1, 2]}])
    assert batch["labels"].tolist() == [[1, -100], [1, 2]]
    default_data_collator([{"labels": [1], "x": 1.0}, {"labels": [1, 2], "x": 2.0}])
def drops():
    batch = BatchEncoding({"input_ids": [[1, 2]], "text": ["one two"]}, tensor_type="pt")
    assert list(batch) == ["input_ids"]
for name in ("pads", "classifies", "adapts", "attends", "decodes", "evens", "drops"):
    try:
        globals()[name]()
    except (ValueError, OverflowError, TypeError) as error:
        print(name, type(error).__name__)
"""
OF_TRANSFORMERS = ["padding-token", "sdpa", "negative-ids-in-decode", "ragged-labels", "text-columns"]


def test_shims_for_transformers_and_peft(stage: Stage) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("peft")
    stage.write({"train.py": TRANSFORMERS})
    ran = stage.run("train.py", shims=OF_TRANSFORMERS)
    assert (ran.status, ran.output) == (0, ""), ran.errors
    told = {(event["name"], event["frames"][-1][2]) for event in ran.of("shim")}
    assert told == {
        ("padding-token", "pads"), ("padding-token", "classifies"), ("padding-token", "adapts"), ("sdpa", "__init__"),
        ("negative-ids-in-decode", "decodes"), ("ragged-labels", "evens"), ("text-columns", "drops"),
    }  # fmt: skip
    bare = stage.run("train.py")
    assert [line.split()[0] for line in bare.output.splitlines()] == [
        "pads", "classifies", "adapts", "attends", "decodes", "evens", "drops",
    ], bare.errors  # fmt: skip
    assert not bare.of("shim")
