"""MDL005: a gated model is named, and no token is given."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.model_knowledge import known_model, model_uses
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# what gives the hub a token: huggingface.co/docs/huggingface_hub/quick-start#authentication
_TOKEN = re.compile(
    r"HF_TOKEN|HUGGING_?FACE_?HUB_TOKEN|HUGGINGFACE_TOKEN|use_auth_token|huggingface_hub|hf_token|\btoken\s*=\s*"
)


def _run(name: str) -> dict[str, str]:
    return {
        "src/model.py": "from transformers import AutoModel\n\ndef build(cfg):\n"
        "    return AutoModel.from_pretrained(cfg.model.name)\n",
        "config/runs/a.yaml": f"model:\n  name: {name}\n",
    }


class GatedModel(Rule):
    """Some owners give their models only to accounts that accepted a licence. Without a token of such an account the hub
    answers 401, and loading stops.

    A machine may have such a token in its environment or its cache, so this is a warning: the submission runs only there.
    """

    code = "MDL005"
    name = "gated-model"
    requirements = ("E4.2", "D3.4", "D2.2")
    severity = Severity.WARNING
    consequence = None
    message = "{name} is gated, and nothing in the submission gives a token"
    explanation = (
        "It loads only where an account that accepted the licence is logged in; elsewhere the hub answers 401."
    )
    repair = "Say in the brief that HF_TOKEN is needed, or take a model that is open to all."

    VALID = (
        Example(_run("Qwen/Qwen3-8B")),
        Example({**_run("meta-llama/Llama-2-7b-hf"), "src/main.py": "import os\ntoken = os.environ['HF_TOKEN']\n"}),
        Example(_run("some-team/Llama-2-7b-hf")),
        # the name is only written in the configuration
        Example({"config/runs/a.yaml": "model:\n  name: meta-llama/Llama-2-7b-hf\n"}),
    )
    INVALID = (Example(_run("meta-llama/Llama-2-7b-hf"), at=("config/runs/a.yaml:2",)),)

    def check(self, project: Project) -> Iterator[Outcome]:
        if any(_TOKEN.search(project.submission.text(path) or "") for path in project.paths):
            return
        done: set[tuple[str, int | None]] = set()
        for use in model_uses(project):
            model = known_model(use.name)
            file, place, frames = use.place()
            if model is None or not model.gated or (file, use.origin.line) in done:
                continue
            done.add((file, use.origin.line))
            yield self.finding(file, place, run=use.scenario.run or None, frames=frames, name=use.name)
