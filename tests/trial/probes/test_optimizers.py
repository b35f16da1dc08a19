"""What is told of optimizers, backward passes and schedulers, and that they work as without the probes."""

from __future__ import annotations

import pytest

from tests.trial.inside.watched_run import Stage

TRAINING = """\
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.used = torch.nn.Linear(4, 1)
        self.unused = torch.nn.Linear(4, 1)
        self.still = torch.nn.Parameter(torch.ones(1))
    def forward(self, x):
        return self.used(x) + 0 * self.still
torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 / (1 + n))
for n in range(5):
    optimizer.zero_grad()
    loss = net(torch.ones(2, 4)).pow(2).mean()
    loss.backward()
    optimizer.step()
    scheduler.step()
other = torch.optim.AdamW([{"params": [torch.nn.Parameter(torch.zeros(3))], "lr": 0.5}], lr=1e-3)
early = torch.optim.lr_scheduler.StepLR(other, 1)
early.step()
other.step()
other.step()
"""


def test_optimizers_are_told_with_what_never_had_a_gradient_or_moved_and_schedulers_with_their_order(
    stage: Stage,
) -> None:
    stage.write({"train.py": TRAINING})
    ran = stage.run("train.py")
    assert ran.status == 0, ran.errors
    first, other = ran.of("optimizer")
    assert first["cls"] == "torch.optim.sgd.SGD"
    assert first["groups"] == [{"lr": 0.1, "parameters": 5, "elements": 11, "weight_decay": 0.0}]
    assert first["frames"] == [["train.py", 12, "<module>"]]
    assert other["groups"][0]["lr"] == 0.5
    steps = ran.of("step", optimizer=first["id"])
    assert [step["n"] for step in steps] == [1, 2, 3, 4, 5]
    assert steps[0] | {"t": 0, "pid": 0} == {
        "kind": "step", "optimizer": 1, "n": 1, "lrs": [0.1], "moved": 2, "unmoved": 3, "without_gradient": 2,
        "frozen": 0, "finite": True, "scaled": False, "frames": [["train.py", 18, "<module>"]], "t": 0, "pid": 0,
    }  # fmt: skip
    end = ran.of("optimizer-end", optimizer=first["id"])[-1]
    assert end["steps"] == 5
    assert end["never_gradient"] == ["Net.unused.weight", "Net.unused.bias"]
    assert end["zero_gradient"] == ["Net.still"]
    assert sorted(end["never_moved"]) == ["Net.still", "Net.unused.bias", "Net.unused.weight"]
    assert (end["lr_min"], end["lr_max"], end["inert"]) == (pytest.approx(0.02), 0.1, False)
    inert = ran.of("optimizer-end", optimizer=other["id"])[-1]
    assert inert["inert"] is True
    assert inert["never_gradient"] == ["parameter 0 of shape (3,)"]
    (model,) = ran.of("model")
    assert (model["name"], model["own"], model["parameters"]) == ("Net", ["train.py", 2], 11)
    assert not ran.of("nonfinite")
    told = ran.of("scheduler", op="step")
    assert [(event["cls"], event["before_optimizer"]) for event in told] == [("LambdaLR", False)] * 5 + [
        ("StepLR", True)
    ]
    assert told[-1]["frames"] == [["train.py", 22, "<module>"]]


BACKWARD = """\
import torch
x = torch.ones(2, requires_grad=True)
(3 * x).sum().backward()
(gradient,) = torch.autograd.grad((x * x).sum(), x)
assert gradient.tolist() == [2, 2]
(2 * x).backward(torch.ones(2))
torch.autograd.backward([x.sum(), (2 * x).sum()])
z = torch.ones(1, dtype=torch.complex64, requires_grad=True)
(z.abs() ** 2).sum().backward()
parameter = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.SGD([parameter], lr=0.1)
(parameter.sum() * float("nan")).backward()
optimizer.step()
optimizer.param_groups[0]["lr"] = float("inf")
optimizer.step()
for n in range(100):
    x.sum().backward()
"""


def test_each_backward_pass_is_told_and_the_first_numbers_that_are_not_finite(stage: Stage) -> None:
    stage.write({"train.py": BACKWARD})
    ran = stage.run("train.py")
    assert ran.status == 0, ran.errors
    passes = ran.of("backward")
    assert [(event["call"], event["loss"], event["finite"]) for event in passes[:6]] == [
        ("backward", 6.0, True), ("grad", 2.0, True), ("backward", None, True), ("backward", None, True),
        ("backward", 1.0, True), ("backward", "nan", False),
    ]  # fmt: skip
    assert [event["n"] for event in passes] == [*range(1, 61), 64]
    assert [(event["what"], event["name"], event["n"]) for event in ran.of("nonfinite")] == [
        ("loss", "loss", 6), ("gradient", "parameter 0 of shape (2,)", 1),
        ("parameter", "parameter 0 of shape (2,)", 1), ("lr", "torch.optim.sgd.SGD", 2),
    ]  # fmt: skip


SURVIVAL = """\
import copy, io, pickle, warnings
import torch
def fitted(make, closure=False, steps=4):
    torch.manual_seed(1)
    net = torch.nn.Linear(3, 1)
    optimizer = make(net.parameters())
    def loss():
        optimizer.zero_grad()
        value = net(torch.ones(2, 3)).pow(2).mean()
        value.backward()
        return value
    for _ in range(steps):
        if closure:
            optimizer.step(loss)
        else:
            loss()
            optimizer.step()
    return net, optimizer
for make, closure in (
    (lambda p: torch.optim.LBFGS(p, lr=0.1), True),
    (lambda p: torch.optim.AdamW(p, lr=0.1, foreach=True), False),
    (lambda p: torch.optim.AdamW(p, lr=0.1, fused=True), False),
    (lambda p: torch.optim.Adam(p, lr=torch.tensor(0.1), capturable=False, foreach=False), False),
    (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), True),
):
    net, optimizer = fitted(make, closure)
    again = copy.deepcopy(optimizer)
    again.load_state_dict(optimizer.state_dict())
    held = pickle.loads(pickle.dumps(optimizer))
    assert type(held) is type(optimizer)
    file = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "net": net.state_dict()}, file)
    file.seek(0)
    torch.load(file, weights_only=True)
    if not closure:
        held.step()
        again.step()
pickle.loads(pickle.dumps(torch.optim.lr_scheduler.StepLR)), pickle.loads(pickle.dumps(torch.load))
assert pickle.loads(pickle.dumps(torch.zeros)) is torch.zeros
copy.deepcopy(net)
class Own(torch.optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {"lr": 1.0})
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.add_(parameter.grad, alpha=-group["lr"])
net, own = fitted(Own)
assert isinstance(own, torch.optim.Optimizer) and "__init__" in Own.__dict__
# tensors that have no values, and tensors that stand for many
with torch.device("meta"):
    ghost = torch.nn.Linear(1000, 1000)
ghosts = torch.optim.SGD(ghost.parameters(), lr=0.1)
ghost.weight.grad = torch.zeros_like(ghost.weight)
ghosts.step()
from torch.func import functional_call, grad, jacrev, vmap
assert grad(lambda x: (x ** 3).sum())(torch.ones(2)).tolist() == [3, 3]
assert vmap(grad(lambda x: (x ** 2).sum()))(torch.ones(2, 2)).tolist() == [[2, 2], [2, 2]]
jacrev(lambda x: x ** 2)(torch.ones(2))
functional_call(net, dict(net.named_parameters()), (torch.ones(1, 3),))
# second order, sparse, half, empty, one that TorchScript made
x = torch.ones(2, requires_grad=True)
(first,) = torch.autograd.grad((x ** 3).sum(), x, create_graph=True)
first.sum().backward()
assert x.grad.tolist() == [6, 6]
table = torch.nn.Embedding(5, 2, sparse=True)
sparse = torch.optim.SparseAdam(table.parameters(), lr=0.1)
table(torch.tensor([1, 2])).sum().backward()
sparse.step()
half = torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
nothing = torch.nn.Parameter(torch.ones(0))
mixed = torch.optim.SGD([half, nothing], lr=0.1)
(half * 2).sum().backward()
mixed.step()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    @torch.jit.script
    def scripted(x: torch.Tensor, n: int) -> torch.Tensor:
        y = torch.zeros([n], device=x.device) + torch.ones_like(x).sum()
        if torch.is_autocast_enabled():
            y = y + 1
        return y.to(torch.float32)
    assert scripted(torch.ones(3), 2).tolist() == [3, 3]
    torch.jit.trace(net, torch.ones(1, 3))
compiled = torch.compile(net, mode="reduce-overhead")
assert list(compiled.state_dict()) == ["_orig_mod.weight", "_orig_mod.bias"] and compiled._orig_mod is net
assert compiled.eval().training is net.training is False and compiled.train().training is net.training is True
compiled.mark = 3
assert net.mark == compiled.mark and compiled.in_features == 3 and compiled(torch.ones(1, 3)).shape == (1, 1)
pickle.loads(pickle.dumps(compiled)), copy.deepcopy(compiled)
assert torch.compile(dynamic=True)(len) is len
one = torch.optim.lr_scheduler.OneCycleLR(torch.optim.SGD(net.parameters(), 0.1), 0.1, total_steps=3)
chained = torch.optim.lr_scheduler.SequentialLR(own, [
    torch.optim.lr_scheduler.ConstantLR(own), torch.optim.lr_scheduler.ExponentialLR(own, 0.9)], [1])
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(own)
chained.step(); plateau.step(1.0)
copy.deepcopy(chained.state_dict())
print("end", scripted(torch.ones(1), 1).item())
"""


def test_what_programs_do_with_torch_works_as_without_the_probes(stage: Stage) -> None:
    stage.write({"all.py": SURVIVAL})
    ran = stage.run("all.py")
    assert (ran.status, ran.output) == (0, "end 1.0\n"), ran.errors
    lbfgs = ran.of("optimizer", cls="torch.optim.lbfgs.LBFGS")[0]["id"]
    step = ran.of("step", optimizer=lbfgs)[0]
    assert (step["moved"], step["without_gradient"]) == (2, 0)
    own = ran.of("optimizer", cls="__main__.Own")[0]["id"]
    assert [event["moved"] for event in ran.of("step", optimizer=own)] == [2] * 4
    ghosts = ran.of("optimizer", frames=[["all.py", 53, "<module>"]])[0]["id"]
    assert [event["finite"] for event in ran.of("step", optimizer=ghosts)] == [True]
