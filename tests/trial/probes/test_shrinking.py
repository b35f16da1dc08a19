"""Shorter texts, generations and trainings with transformers, models that are told, devices that it is given."""

from __future__ import annotations

import pytest

from tests.trial.inside.watched_run import LIMITS, Stage

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

PRELUDE = """\
import warnings
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
inner = Tokenizer(models.WordLevel({"<end>": 0, "one": 1, "two": 2}, unk_token="<end>"))
inner.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", unk_token="<end>", pad_token="<end>")
config = GPT2Config(vocab_size=8, n_positions=512, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=7)
model = AutoModelForCausalLM.from_config(config)
"""
SIZES = """\
text = "one two " * 200
def length(**keywords):
    return len(tokenizer(text, **keywords)["input_ids"])
assert length() == 400
assert length(max_length=16, truncation=True) == 16
assert length(max_length=256, truncation=True) == 128
assert len(tokenizer("one", padding="max_length", max_length=256)["input_ids"]) == 128
assert len(tokenizer("one", padding="max_length", max_length=300)["input_ids"]) == 300
windows = tokenizer(text, max_length=256, truncation=True, stride=100, return_overflowing_tokens=True)
assert len(windows["input_ids"][0]) == 256
batch = tokenizer(["one two", "one"], return_tensors="pt", padding=True)
from transformers import StoppingCriteriaList
kept = model.generate(batch["input_ids"], max_new_tokens=64, min_new_tokens=64, do_sample=False)
print(kept.shape[1] - 2)
model.generate(batch["input_ids"], max_new_tokens=3, num_beams=2, stopping_criteria=StoppingCriteriaList())
"""


def test_texts_and_generations_are_cut(stage: Stage) -> None:
    stage.write({"train.py": PRELUDE + SIZES})
    ran = stage.run("train.py", limits={**LIMITS, "tokens": 128, "new_tokens": 8})
    assert (ran.status, ran.output) == (0, "8\n"), ran.errors
    told = {event["what"]: (event["from"], event["to"]) for event in ran.of("shrunk")}
    assert told == {"tokens": (256, 128), "new_tokens": (None, 8)}
    (made,) = ran.of("model")
    assert made["call"] == "AutoModelForCausalLM.from_config"
    assert (made["config"]["model_type"], made["config"]["vocab_size"]) == ("gpt2", 8)


TRAINER = """\
from transformers import Trainer, TrainingArguments, default_data_collator
model.save_pretrained("kept"); tokenizer.save_pretrained("kept")
for place in ("auto", "cuda", {"": 0}, "cuda:0", torch.device("cuda"), 0):
    loaded = AutoModelForCausalLM.from_pretrained("kept", device_map=place)
    assert loaded.device.type == "cpu"
GPT2LMHeadModel.from_pretrained("kept", device_map="auto").to("cuda").generate(torch.ones(1, 2, device="cuda").long())
from transformers import pipeline
pipeline("text-generation", model="kept", device=0)("one", max_new_tokens=2)
rows = [{"input_ids": [1, 2, 1], "labels": [1, 2, 1]}] * 64
for precision in ({"fp16": True}, {"bf16": True}):
    arguments = TrainingArguments(
        "out", max_steps=100, eval_strategy="steps", eval_steps=50, save_strategy="no", report_to=[], logging_steps=50,
        per_device_train_batch_size=4, disable_tqdm=True, **precision)
    assert (arguments.max_steps, arguments.eval_steps) == (4, 2) and arguments.device.type == "cuda", arguments.device
    trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows[:8])
    trainer.train()
    # all steps that a run may take were taken by the first; later passes end soon
    assert trainer.state.global_step == 4 or 1 <= trainer.state.global_step < 4 and "bf16" in precision
from accelerate import Accelerator
from accelerate.state import AcceleratorState
AcceleratorState._reset_state(True)
accelerator = Accelerator(mixed_precision="fp16")
assert accelerator.device.type == "cuda"
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
loader = torch.utils.data.DataLoader(rows, batch_size=2, collate_fn=default_data_collator)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
for n, batch in enumerate(loader):
    with accelerator.accumulate(model), accelerator.autocast():
        accelerator.backward(model(**batch).loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(); optimizer.zero_grad()
    if n == 2:
        break
accelerator.unwrap_model(model)
print("end")
"""


def test_trainer_and_accelerate_take_the_gpu_that_is_not_there(stage: Stage) -> None:
    stage.write({"train.py": PRELUDE + TRAINER})
    ran = stage.run("train.py", mode="full", limits={**LIMITS, "steps": 4})
    assert ran.status == 0, ran.errors
    assert ran.output.endswith("end\n")
    told = {event["what"]: (event["from"], event["to"]) for event in ran.of("shrunk")}
    assert (told["steps"], told["eval_steps"]) == ((100, 4), (50, 2))
    assert {"device_map", "autocast", "GradScaler"} <= {event["op"] for event in ran.of("cuda")}
    assert {event["scaled"] for event in ran.of("step")} == {True, False}
    assert ran.of("model", call="AutoModelForCausalLM.from_pretrained")[0]["name"] == "kept"
    assert not [event for event in ran.of("scheduler") if event["before_optimizer"]]
