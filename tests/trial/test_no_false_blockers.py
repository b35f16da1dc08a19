"""Code that works on a real machine is not blocked for what a rehearsal puts in the place of the real things."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.finding import Finding, Severity
from assay.rules.registry import find_rules
from assay.rules.rule import Undecided
from assay.rules.trl.rehearsals import one_step, rehearsal, trained
from assay.rules.trl.trl001_stops import CommandStops
from assay.submission import SourceFile, Submission
from assay.trial.causes import explain
from assay.trial.reading import made_up_data, moved, optimizer_steps, row_counts
from assay.trial.record import Stop, TrialFrame
from assay.trial.rehearsal import TrialOptions, rehearse
from assay.trial.shortening import cut_numbers, shortened
from tests.trial import tiny_submission

DATA = {"kind": "dataset", "name": "owner/sums", "rows": {"train": 400}}
CUT = {"kind": "shrunk", "what": "batch size", "from": 64, "to": 8}
SEARCH = {"kind": "shrunk", "what": "optuna trials", "from": 20, "to": 2}
MIXED = {"kind": "cuda", "op": "autocast", "dtype": "torch.float16", "enabled": True}
MULTIPLIED = "mat1 and mat2 shapes cannot be multiplied "
LLAMA, BERT, T5 = "meta-llama/Llama-2-7b-hf", "bert-base-uncased", "google-t5/t5-small"
DETACHED = "element 0 of tensors does not require grad and does not have a grad_fn"
LINES = {
    1: "rows, targets = load(cfg)",
    2: "answer = int(row['answer'].split('####')[1])",
    3: "assert x.shape[0] == cfg.training.batch_size",
    4: "if len(rows) < 1000:",
    5: "    raise ValueError('the data is not whole')",
    6: "if cfg.kind not in KINDS:",
    7: "    raise ValueError('no such kind')",
    8: "assert cfg.kind in KINDS",
}


def project_of(files):
    return Project(
        Submission("example", {path: SourceFile.of_text(path, text) for path, text in files.items()}),
        load_contract("experiment"),
    )


@pytest.fixture(scope="module")
def project():
    return project_of({"src/train.py": "\n".join(LINES.values()) + "\n", "src/main.py": "x = 1\n"})


def told(project, kind, message, line, *events, mode="full"):
    """What the rule says of a stop that a second run confirmed."""
    stop = Stop(
        kind, message, (TrialFrame("src/train.py", line, "run"),), confirmed=True,
        text=f'Traceback (most recent call last):\n  File "src/train.py", line {line}, in run\n{kind}: {message}\n',
    )  # fmt: skip
    project.rehearsal = rehearsal(one_step(*events, mode=mode, status=1, stops=(stop,)))
    found = [outcome for outcome in CommandStops().check(project) if isinstance(outcome, Finding)]
    unsure = [o for o in CommandStops().check(project) if isinstance(o, Undecided) and "but" in o.reason]
    assert len(found) + len(unsure) == 1
    return "blocks" if found else unsure[0].reason.rpartition("but ")[2]


@pytest.mark.parametrize(
    ("kind", "message", "line", "event", "doubt"),
    [
        ("ValueError", "The least populated class in y has only 1 member, which is too few.", 1, DATA, "fewer rows"),
        ("ValueError", "Sample larger than population or is negative", 1, DATA, "fewer rows"),
        ("ValueError", "Only one class present in y_true. ROC AUC score is not defined", 1, DATA, "fewer rows"),
        ("IndexError", "index 1999 is out of bounds for axis 0 with size 400", 1, DATA, "fewer rows"),
        ("IndexError", "list index out of range", 2, DATA, "made up"),
        ("ValueError", "invalid literal for int() with base 10: 'a quiet river'", 2, DATA, "made up"),
        ("AttributeError", "'NoneType' object has no attribute 'group'", 1, DATA, "made up"),
        ("AssertionError", "", 3, CUT, "checks a size"),
        ("ValueError", "the data is not whole", 5, DATA, "checks a size"),
        ("RuntimeError", "Encountered zero total variance in all trees.", 1, SEARCH, "two trials"),
        ("RuntimeError", "scatter(): Expected self.dtype to be equal to src.dtype", 1, MIXED, "mixed precision"),
        ("RuntimeError", "both vectors to have same dtype, but found Half and Float", 1, MIXED, "mixed precision"),
    ],
)  # fmt: skip
def test_a_stop_that_stand_ins_bring_about_does_not_block(project, kind, message, line, event, doubt):
    assert doubt in told(project, kind, message, line, event)
    # where nothing was made up, cut or mapped, it is the program's own
    assert told(project, kind, message, line) == "blocks"


@pytest.mark.parametrize(
    ("kind", "message", "line"),
    [
        ("ValueError", "no such kind", 7),
        ("AssertionError", "", 8),
        ("IndexError", "list index out of range", 1),
        ("IndexError", "index 10 is out of bounds for axis 0 with size 10", 1),
        ("RuntimeError", DETACHED, 1),
    ],
)
def test_what_stand_ins_do_not_change_blocks(project, kind, message, line):
    assert told(project, kind, message, line, DATA, CUT, SEARCH) == "blocks"


@pytest.mark.parametrize("type_", ["model", "dataset"])
def test_an_assumed_form_proves_no_missing_layer_and_no_missing_key(project, type_):
    assumed = {"kind": "standin", "type": type_, "repo": "owner/x", "basis": "assumed"}
    for kind, message in (
        ("AttributeError", "'Decoder' object has no attribute 'h'"),
        ("KeyError", "'utterance'"),
        ("RuntimeError", "mat1 and mat2 shapes cannot be multiplied (4x8 and 16x2)"),
    ):
        assert "assumed" in told(project, kind, message, 1, assumed)
    for kind, message in (
        ("NameError", "name 'foo' is not defined"),
        ("RuntimeError", "Trying to backward through the graph a second time"),
        ("omegaconf.errors.ConfigAttributeError", "Missing key base_lr\n    full_key: training.base_lr"),
    ):
        assert told(project, kind, message, 1, assumed) == "blocks"


@pytest.mark.parametrize(
    ("name", "kind", "message", "line", "blocks"),
    [
        # no run has all of its layers, nor its width
        (LLAMA, "IndexError", "tuple index out of range", "x = out.hidden_states[16]", False),
        (LLAMA, "IndexError", "index 31 is out of range", "layer = model.model.layers[31]", False),
        (LLAMA, "IndexError", "tuple index out of range", "x = out.hidden_states[which]", True),
        (LLAMA, "RuntimeError", MULTIPLIED + "(8x256 and 4096x2)", "Linear(4096, 2)", False),
        (LLAMA, "RuntimeError", MULTIPLIED + "(8x256 and 512x2)", "Linear(512, 2)", True),
        # a run has it whole
        (BERT, "RuntimeError", MULTIPLIED + "(8x768 and 1024x2)", "Linear(1024, 2)", True),
        (BERT, "IndexError", "tuple index out of range", "x = out.hidden_states[19]", True),
        # a run has its width, and not its layers
        ("google-bert/bert-large-uncased", "IndexError", "tuple index out of range", "x = out.hidden_states[9]", False),
        # the second run is one with two layers where nothing is said of sizes
        (T5, "ValueError", "Target modules {'q'} not found in the base model.", "C(layers_to_transform=[4])", False),
        (T5, "ValueError", "Target modules {'q_proj'} not found in the base model.", "range(10), layers = 12", True),
        (T5, "RuntimeError", DETACHED, "p.requires_grad = 'layer.5' in name", False),
        (T5, "RuntimeError", DETACHED, "loss = torch.tensor(loss.item())", True),
        (T5, "IndexError", "tuple index out of range", "x = out.hidden_states[9]", True),
    ],
)  # fmt: skip
def test_a_cut_model_proves_nothing_where_the_program_names_the_real_ones_numbers(name, kind, message, line, blocks):
    model = {"kind": "model", "name": name, "config": {"num_hidden_layers": 2, "hidden_size": 64}}
    optimizer = {"kind": "optimizer", "id": 1, "parameters": 4, "frozen": 4 * ("requires_grad" in line)}
    said = told(project_of({"src/train.py": line + "\n"}), kind, message, 1, model, optimizer)
    assert said == "blocks" if blocks else "stand-in of the model" in said


def test_what_follows_from_a_change_of_the_rehearsals_own_does_not_block(project):
    place = (TrialFrame("src/train.py", 1, "run"),)
    scaler = Stop("AssertionError", "No inf checks were recorded for this optimizer.", place, confirmed=True)
    other = Stop("TypeError", "f() missing 1 required positional argument: 'x'", place, confirmed=True)
    for first, confirmed, blocked in (
        (Stop("RuntimeError", DETACHED, place, shim="detached-loss"), True, {"src/train.py: TypeError"}),
        (Stop("RuntimeError", DETACHED, place, shim="detached-loss"), False, set()),
        (Stop("RuntimeError", DETACHED, place, doubt="no time was left"), False,
         {"src/train.py: TypeError", "src/train.py: AssertionError"}),
    ):  # fmt: skip
        stops = (replace(first, confirmed=confirmed), scaler, other)
        project.rehearsal = rehearsal(one_step(status=1, stops=stops))
        found = [outcome for outcome in CommandStops().check(project) if isinstance(outcome, Finding)]
        assert {f"{one.file}: {one.evidence.detail.partition(':')[0]}" for one in found} == blocked


def test_what_a_step_says_of_its_data_and_its_steps():
    step = one_step(DATA, {"kind": "shrunk", "what": "random_split", "to": [320, 80]})
    assert made_up_data(step)
    assert row_counts(step) == {400, 320, 80}
    assert not made_up_data(one_step({"kind": "dataset", "name": "csv", "rows": {"train": 400}}))
    assert row_counts(one_step(CUT)) == frozenset()
    handed_on = one_step(*trained(0)[:1], {"kind": "step", "pid": 9, "optimizer": 1, "n": 3})
    assert optimizer_steps(handed_on) == 3
    assert moved(handed_on) is None
    assert moved(one_step({"kind": "step", "moved": 0})) is False


def test_numbers_that_are_the_method_stay():
    # a schedule of noise over three steps goes below zero, where it is scaled by a thousand over their number
    text = "noise_steps: 1000\nnum_inner_steps: 5\nleapfrog_steps: 10\nrefine_steps: 8\n"
    assert shortened(text) == text


def test_numbers_that_a_rehearsal_cuts_are_known():
    text = "training:\n  epochs: 30\n  lr: 3\n  polish_steps: 8\n  eval_steps: 2\n"
    assert cut_numbers(text) == [("epochs", 30), ("polish_steps", 8)]


def test_an_explanation_without_a_place_is_none_of_stand_ins(project):
    assert explain(Stop("SystemExit", "no accuracy"), one_step(DATA), project).name == "ends-by-itself"


# A mask of minus infinity kept as a parameter, rows without labels beside labelled ones, an optimizer that needs no
# gradients, an evaluation under attack, and a check of the batch's size: each is right, and was blocked once.
LOOP = """\
from pathlib import Path

import torch
import wandb
from torch.utils.data import DataLoader, TensorDataset


class Zeroth(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure):
        params = [p for group in self.param_groups for p in group["params"]]
        noise = [torch.randn_like(p) for p in params]
        found = []
        for sign in (1, -2):
            for p, z in zip(params, noise):
                p.add_(z, alpha=sign * 1e-3)
            found.append(float(closure()))
        for p, z in zip(params, noise):
            p.add_(z, alpha=1e-3 - self.defaults["lr"] * (found[0] - found[1]) / 2e-3)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(6, 3)
        self.mask = torch.nn.Parameter(torch.full((6, 6), float("-inf")).triu(1), requires_grad=False)

    def forward(self, x):
        weights = (x[:, :, None] * x[:, None, :] + self.mask).softmax(-1)
        return self.head((weights @ x[:, :, None])[:, :, 0])


def data(cfg, unlabelled=False):
    generator = torch.Generator().manual_seed(cfg.seed)
    y = torch.randint(0, 3, (256,), generator=generator)
    x = torch.randn(256, 6, generator=generator) + torch.nn.functional.one_hot(y, 6)
    return TensorDataset(x, torch.full_like(y, -100) if unlabelled else y)


def run(cfg):
    torch.manual_seed(cfg.seed)
    loss_of = torch.nn.functional.cross_entropy
    log = None
    if cfg.mode == "full":
        log = wandb.init(id=cfg.run_id, project=cfg.wandb.project, resume="allow", mode="offline", config=dict(cfg))
    (Path(cfg.results_dir) / cfg.run_id).mkdir(parents=True, exist_ok=True)
    net, gate = Net(), torch.nn.Linear(6, 3)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    zeroth = Zeroth(gate.parameters(), {"lr": 0.01})
    labelled = DataLoader(data(cfg), batch_size=cfg.training.batch_size)
    unlabelled = DataLoader(data(cfg, True), batch_size=cfg.training.batch_size)
    for number, ((x, y), (u, _)) in enumerate(zip(labelled, unlabelled)):
        if cfg.mode == "trial" and number == 2:
            break
        if cfg.method.name == "checked":
            assert x.shape[0] == cfg.training.batch_size
        loss = loss_of(net(x), y) - 0.1 * net(u).softmax(-1).square().sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        zeroth.step(lambda: loss_of(gate(x), y))
        if log is not None:
            log.log({"train_loss": loss.item()})
    value = []
    for number, (x, y) in enumerate(DataLoader(data(cfg), batch_size=32)):
        if number == 6:
            break
        x.requires_grad_()
        loss_of(net(x), y).backward()
        value.append(loss_of(net(x + 0.1 * x.grad.sign()), y).item())
    if log is not None:
        log.log({"val_loss": sum(value) / len(value)})
        log.summary["val_loss"] = sum(value) / len(value)
        log.finish()
"""


def test_right_code_is_not_blocked_by_a_real_rehearsal(tmp_path):
    for name in ("torch", "hydra", "wandb"):
        pytest.importorskip(name)
    runs = {"proposed-many": ("many", 1), "comparative-checked": ("checked", 1)}
    files = {**tiny_submission.files(runs=runs), "src/train.py": LOOP}
    files = {path: text.replace("accumulate: 1", "batch_size: 64") for path, text in files.items()}
    tiny_submission.lay(tmp_path, files)
    project = project_of(files)
    # the interpreter's own environment; its jobs are started one by one, so that little is asked of the machine
    project.rehearsal = rehearse(project, TrialOptions(env=Path(sys.prefix), jobs=1, cache=tmp_path / "cache"))
    if project.rehearsal.undecided or project.rehearsal.refusal:
        pytest.skip(project.rehearsal.undecided or project.rehearsal.refusal)
    steps = {step.name: step for step in project.rehearsal.steps}
    assert steps["trial:proposed-many"].completed
    assert steps["full:proposed-many"].completed
    # it did stop there, in both runs, and no more is proved by that than that batches were cut
    assert steps["trial:comparative-checked"].stops[0].type == "AssertionError"
    blocking = [
        (code, outcome.message, outcome.file)
        for code, rule in find_rules(select=["TRL"]).items()
        for outcome in rule().check(project)
        if isinstance(outcome, Finding)
        if outcome.severity is Severity.BLOCKING and outcome.file != "src/evaluate.py"
    ]
    assert blocking == []
