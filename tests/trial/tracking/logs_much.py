"""Logs a run in many ways, then prints what W&B says of it: run by a test against the real client and the stand-in."""

# it does on purpose what W&B refuses
# mypy: disable-error-code="arg-type,dict-item,attr-defined"

import json

import numpy as np
import wandb


def told(call, *arguments, **named):
    try:
        answer = call(*arguments, **named)
    except Exception as error:
        return f"{type(error).__module__}.{type(error).__name__}: {error}".strip()
    return answer if isinstance(answer, str | int | float | list | None) else type(answer).__name__


def without_times(row):
    return {name: value for name, value in row.items() if name not in ("_runtime", "_timestamp")}


out = {"log before init": told(lambda: wandb.log({"a": 1}))}
out["summary before init"] = told(lambda: wandb.summary.update({"a": 1}))
for wrong in ({"config": [1, 2]}, {"id": "a/b"}, {"project": "p/q"}, {"mode": "onlin"}, {"projct": "p"}):
    out[f"init({wrong})"] = told(wandb.init, **{"project": "p", "entity": "team", **wrong})
    wandb.finish()
tagged = wandb.init(entity="team", project="p", id="tagged", tags="ab", group="g", job_type="train", notes="n")
out["tagged"] = [list(tagged.tags), tagged.group, tagged.job_type, tagged.notes]
out["reinit"] = wandb.init(entity="team", project="p", id="next", reinit=True).id
out["second init"] = told(lambda: wandb.init(entity="team", project="p", id="third").id)
wandb.finish()
config = {"lr": 0.1, "model": {"name": "x", "layers": [1, 2]}, "none": None, "pair": (1, 2), "half": np.float32(0.5)}
run = wandb.init(entity="team", project="p", id="proposed-a", name="proposed-a", resume="allow", config=config)
out["at first"] = [run.resumed, run.step, run.name, run.id, run.project, run.entity, run.path]
for step in range(4):
    wandb.log({"loss": 1.0 / (step + 1), "val": {"acc": step / 10, "deep": {"x": step}}}, step=step)
wandb.log({"loss": float("nan"), "np": np.float64(2.5), "int": np.int64(3)})
wandb.log({"big": float("inf"), "negative": float("-inf")})
out["backwards"] = told(lambda: wandb.log({"late": 1}, step=2))
wandb.log({"part": 1}, commit=False)
wandb.log({"other part": 1})
out["step"] = run.step
out["a list logged"] = told(lambda: wandb.log([1, 2]))
out["a number for a name"] = told(lambda: wandb.log({1: 2}))
out["steps"] = [told(wandb.log, {"a": 1}, step=step) for step in ("3", 3.7, -1)]
wandb.log({})
wandb.log({"a": 1}, step=np.int64(20))
wandb.log({"odd": {1}, "function": len, "a.b": 1, "a/b": 2, "by number": {1: 2}})
wandb.log({"text": "word", "flag": True, "list": [1, 2, 3], "none": None, "array": np.arange(5)})
wandb.log({"long": list(range(200)), "matrix": np.arange(40).reshape(5, 8)})
wandb.define_metric("highest", summary="max")
wandb.define_metric("lowest/*", summary="min")
for value in (1.0, 3.5, 2.0):
    wandb.log({"highest": value, "lowest/a": value})
wandb.summary["final"] = 0.9
wandb.summary["whole"] = 2.0
wandb.summary["nan"] = float("nan")
wandb.summary["inf"] = float("inf")
wandb.summary["nested"] = {"a": {"b": 1}, "nan": float("nan")}
wandb.summary["np"] = np.float32(0.25)
wandb.summary["rows"] = [[1, 0], [0, 1]]
wandb.summary["many"] = [0.5] * 200
run.summary.update({"u": 1, "losses": [float("nan"), 1.0]})
out["own summary"] = [run.summary["final"], run.summary.get("missing"), told(lambda: run.summary["missing"])]
out["another value"] = told(lambda: wandb.config.update({"lr": 0.2}))
wandb.config.update({"lr": 0.2}, allow_val_change=True)
wandb.config.more = 5
wandb.finish()
out["log after the end"] = told(lambda: wandb.log({"a": 1}))
out["run.log after the end"] = told(lambda: run.log({"a": 1}))
out["summary after the end"] = told(lambda: run.summary.update({"z": 1}))

api = wandb.Api()
out["unknown"] = told(lambda: api.run("team/p/missing"))
out["no path"] = told(lambda: api.run("a/b/c/d"))
found = api.run("team/p/proposed-a")
out["about it"] = [found.state, found.name, found.id, found.entity, found.project, found.path, found.tags]
out["config"] = found.config
out["summary"] = found.summary._json_dict
out["summary types"] = {name: type(found.summary[name]).__name__ for name in sorted(found.summary.keys())}
out["of a summary"] = [
    told(lambda: found.summary["missing"]), found.summary.get("missing"), "final" in found.summary,
    found.summary["nested"]["a"]["b"],
]  # fmt: skip
out["rows"] = [without_times(row) for row in found.scan_history()]
print(json.dumps(out))
