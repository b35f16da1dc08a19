"""Where numbers ceased to be finite, in the slower run that watches each operation."""

from __future__ import annotations

from tests.trial.inside.watched_run import Stage

PRELUDE = """\
import torch
parameter = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.SGD([parameter], lr=0.1)
"""
# each program, with the origin that is told: operation, note, line
PROGRAMS = {
    "rate": (
        """\
distances = torch.ones(3)
bandwidth = distances[distances > 5].median()
optimizer.param_groups[0]["lr"] = 0.1 * bandwidth.item()
parameter.sum().backward()
optimizer.step()
""",
        ("median", "empty input", 5),
    ),
    "loss": (
        """\
def loss(x):
    mask = torch.full((2,), float("-inf"))
    return torch.log_softmax(mask + x, 0).sum()
loss(parameter).backward()
optimizer.step()
""",
        ("log_softmax", "infinite input", 6),
    ),
    "gradient": (
        """\
value = (parameter - 1).sqrt().sum()
(0 * value).backward()
optimizer.step()
""",
        ("SqrtBackward0", "the gradient of sqrt is NaN", 4),
    ),
    "parameter": (
        """\
with torch.no_grad():
    parameter.div_(torch.zeros(2))
(0 * torch.nan_to_num(parameter)).sum().backward()
optimizer.step()
""",
        ("div_", "", 5),
    ),
    "mask": (
        """\
scores = parameter.masked_fill(torch.tensor([True, False]), float("-inf"))
torch.softmax(scores, 0)[1].backward()
optimizer.step()
""",
        None,
    ),
}
# one process for all of them: what was told is forgotten in between
EACH = """\
import runpy, sys
import torch
from assay_trial_inside import numbers
for name in sys.argv[1:]:
    numbers.stop_tracing()
    numbers._seen.clear()
    numbers._last_number = None
    numbers._start_tracing(torch)
    runpy.run_path(name + ".py")
"""


def test_the_first_operation_whose_result_is_not_finite_is_the_origin(stage: Stage) -> None:
    stage.write({f"{name}.py": PRELUDE + program for name, (program, _) in PROGRAMS.items()} | {"all.py": EACH})
    ran = stage.run("all.py", *PROGRAMS, trace_numbers=True)
    assert ran.status == 0, ran.errors
    origins = {event["frames"][-1][0]: event for event in ran.of("nonfinite", what="origin")}
    for name, (_, origin) in PROGRAMS.items():
        found = origins.get(f"{name}.py")
        told = found and (found["name"], found["note"], found["frames"][-1][1])
        assert told == origin, name
