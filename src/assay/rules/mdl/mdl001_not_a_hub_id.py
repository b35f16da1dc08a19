"""MDL001: a name given to from_pretrained is no repository on the hub."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.model_knowledge import (
    ModelUse,
    family_of,
    id_problem,
    is_address,
    known_model,
    may_be_local,
    model_uses,
    suggestion,
)
from assay.analysis.project import Project
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

# what may put a folder of that name next to the program
_BRINGS_FOLDERS = re.compile(
    r"snapshot_download|local_dir|git clone|hf_hub_download|huggingface-cli|\bchdir\((?![^)\n]*(?:cwd|orig|old|prev|root|__file__))|symlink|save_pretrained\([^)\n]{0,200}name"
)

# families of which transformers 2 and 3 knew checkpoints without an owner; an old name of one may still be redirected
_ONCE_CANONICAL = frozenset({"bart", "mbart", "layoutlm", "electra", "reformer", "longformer", "mobilebert"})

_LOADS = (
    "from transformers import AutoModelForCausalLM\n\n"
    "def build(cfg):\n    return AutoModelForCausalLM.from_pretrained(cfg.model.name)\n"
)
_MAIN = "from src.model import build\n\ndef main(cfg):\n    build(cfg)\n\nmain(None)\n"


def _run(name: str) -> str:
    return f"run_id: a\nmodel:\n  name: {name}\n"


class NotAHubId(Rule):
    """`from_pretrained` takes the id of a repository, `owner/name`, or a folder. The name that a paper gives a model is
    neither.

    `Qwen2.5-7B` lacks its owner: the hub answers 404, because only canonical models of the years to 2020, such as `gpt2`,
    have ids without one. `hf://owner/name` and `https://huggingface.co/owner/name` are addresses, which the check of ids
    refuses before anything is asked. The rule reads names written in the code and names that come from a run file. It is
    silent about what may be a folder, and about names without an owner that look like none of the known models.
    """

    code = "MDL001"
    name = "not-a-hub-id"
    requirements = ("E4.2", "D2.2")
    message = "{name} is no model on the Hugging Face hub: {why}"
    explanation = "{loader}.from_pretrained finds neither a folder nor a repository of this name and stops."
    repair = "{repair}"

    VALID = (
        Example({"src/model.py": _LOADS, "src/main.py": _MAIN, "config/runs/a.yaml": _run("Qwen/Qwen2.5-7B")}),
        Example({"src/model.py": _LOADS, "src/main.py": _MAIN, "config/runs/a.yaml": _run("bert-base-uncased")}),
        Example({"src/model.py": _LOADS, "src/main.py": _MAIN, "config/runs/a.yaml": _run("checkpoints/qwen")}),
        # a name of the program's own, which another branch builds
        Example(
            {
                "src/model.py": "from transformers import AutoModel\n\ndef build(cfg):\n    if cfg.model.kind == 'own':\n"
                "        return Net()\n    return AutoModel.from_pretrained(cfg.model.name)\n\nclass Net:\n    x = 1\n",
                "config/runs/a.yaml": "run_id: a\nmodel:\n  name: Qwen2.5-7B\n  kind: own\n",
            }
        ),
        # a folder that the program writes
        Example(
            {
                "src/main.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained('a/b')\n"
                "model.save_pretrained('Llama-2-7B')\nagain = AutoModel.from_pretrained('Llama-2-7B')\n"
            }
        ),
        # a table of names
        Example(
            {
                "src/model.py": "from transformers import AutoModel\nIDS = {'Qwen2.5-7B': 'Qwen/Qwen2.5-7B'}\n\n"
                "def build(cfg):\n    return AutoModel.from_pretrained(IDS[cfg.model.name])\n",
                "config/runs/a.yaml": _run("Qwen2.5-7B"),
            }
        ),
        # set before it is used
        Example(
            {
                "src/model.py": _LOADS,
                "src/main.py": "from src.model import build\n\ndef main(cfg):\n    cfg.model.name = 'Qwen/Qwen2.5-7B'\n"
                "    build(cfg)\n",
                "config/runs/a.yaml": _run("Qwen2.5-7B"),
            }
        ),
        # the names of another library
        Example(
            {
                "src/model.py": "import timm\n\ndef build(cfg):\n    return timm.create_model(cfg.model.name)\n",
                "config/runs/a.yaml": _run("resnet50"),
            }
        ),
        Example({"src/model.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained('./saved')\n"}),
    )
    INVALID = (
        # the command that starts the program sets another name: a warning
        Example(
            {
                "src/model.py": _LOADS,
                "src/main.py": _MAIN + "import subprocess\nsubprocess.run(['a', 'run.model.name=Qwen/Qwen2.5-7B'])\n",
                "config/runs/a.yaml": _run("Qwen2.5-7B"),
            },
            at=("config/runs/a.yaml:3",),
        ),
        Example(
            {"src/model.py": _LOADS, "src/main.py": _MAIN, "config/runs/a.yaml": _run("Qwen2.5-7B")},
            at=("config/runs/a.yaml:3",),
            repaired={"config/runs/a.yaml": _run("Qwen/Qwen2.5-7B")},
        ),
        Example(
            {"src/model.py": _LOADS, "src/main.py": _MAIN, "config/runs/a.yaml": _run("hf://Qwen/Qwen2.5-7B")},
            at=("config/runs/a.yaml:3",),
            repaired={"config/runs/a.yaml": _run("Qwen/Qwen2.5-7B")},
        ),
        Example(
            {
                "src/main.py": "from transformers import AutoTokenizer\ntok = AutoTokenizer.from_pretrained('Llama-2-7B')\n"
            },
            at=("src/main.py:2",),
            repaired={
                "src/main.py": "from transformers import AutoTokenizer\n"
                "tok = AutoTokenizer.from_pretrained('meta-llama/Llama-2-7b-hf')\n"
            },
        ),
        Example(
            {
                "src/model.py": "from transformers import AutoModel\n\ndef build(cfg):\n    name = cfg.model.get('start', 'x')\n"
                "    return AutoModel.from_pretrained(name, cache_dir='.cache')\n",
                "src/main.py": _MAIN,
                "config/runs/a.yaml": "run_id: a\nmodel:\n  name: x\n  start: hf://google/flan-t5-base\n",
            },
            at=("config/runs/a.yaml:4",),
            repaired={"config/runs/a.yaml": "run_id: a\nmodel:\n  name: x\n  start: google/flan-t5-base\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        files = project.submission.files
        folders = any(_BRINGS_FOLDERS.search(project.submission.text(path) or "") for path in files)
        found: dict[tuple[str, int, str], list[ModelUse]] = {}
        for use in model_uses(project):
            file, place, _ = use.place()
            line = place if isinstance(place, int) else getattr(place, "line", getattr(place, "lineno", 0))
            found.setdefault((file, line, use.name), []).append(use)
        for (_, _, name), uses in found.items():
            why, sure = _why(project, name)
            if not why:
                continue
            meant = suggestion(name)
            best = max(uses, key=lambda use: (use.fixed and use.called.certain, use.fixed and use.reached))
            severity, consequence = _weight(best, sure and (not folders or is_address(name)))
            file, place, _ = best.place()
            frames = [frame for use in uses for frame in use.place()[2]]
            yield self.finding(
                file,
                place,
                severity=severity,
                consequence=consequence,
                run=best.scenario.run or None,
                detail=f"{best.called.name}({name!r})",
                frames=_distinct(frames),
                name=name,
                why=why,
                loader=best.loader,
                repair=_repair(name, meant.id if meant else ""),
            )


def _why(project: Project, name: str) -> tuple[str, bool]:
    """Why a name is no id, and whether that is beyond doubt."""
    if is_address(name):
        return "it is an address, and an id stands alone", True
    if may_be_local(project, name) or len(name) > 200:
        return "", False
    problem = id_problem(name)
    if problem:
        return problem, name.count("/") < 2
    if "/" not in name and known_model(name) is None:
        if family_of(name) is None and name.islower():
            # perhaps a name of the program's own, or a folder
            return "", False
        family = family_of(name)
        old = name.islower() and family is not None and family.model_type in _ONCE_CANONICAL
        return "the owner is missing", family is not None and not old
    return "", False


def _weight(use: ModelUse, sure: bool) -> tuple[Severity, Consequence | None]:
    if sure and use.fixed and use.called.certain:
        return Severity.BLOCKING, Consequence.CRASHES
    if sure and use.fixed and use.reached:
        return Severity.BLOCKING, Consequence.BREAKS_CONTRACT
    return Severity.WARNING, None


def _repair(name: str, meant: str) -> str:
    if meant and meant.lower() != name.lower():
        return f"Write {meant}, or the id of another copy of the model that the account may read."
    if is_address(name):
        return "Write the id alone, owner/name."
    return "Write the id as the model's page on the hub shows it, owner/name."


def _distinct(frames: list[Frame]) -> tuple[Frame, ...]:
    return tuple(dict.fromkeys(frames))
