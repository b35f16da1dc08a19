"""DAT009: a gated dataset, and nothing in the submission that speaks of a token."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.called import MISSING
from assay.analysis.dataset_knowledge import requests
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# https://huggingface.co/docs/huggingface_hub/v1.1.0/package_reference/environment_variables#hftoken and `login`
_TOKEN = re.compile(r"HF_TOKEN|HUGGING_?FACE_?HUB_TOKEN|HUGGINGFACE_TOKEN|huggingface_hub[.\w ]*login|hf auth login")


def _preprocess(text: str) -> dict[str, str]:
    return {"src/preprocess.py": "from datasets import load_dataset\n\n\n" + text}


class GatedDataset(Rule):
    """The owner of a gated dataset lets only accounts in that have accepted its terms. Without a token of such an account
    `load_dataset` raises `DatasetNotFoundError`.

    A token may be set up on the machine, so this is a warning. A submission that gives a token, or names the variable
    that holds one, knows of it.
    """

    code = "DAT009"
    name = "gated-dataset"
    requirements = ("E3.1", "D3.4")
    severity = Severity.WARNING
    consequence = None
    message = "{dataset} is gated, and nothing here speaks of a token"
    explanation = (
        "Without the token of an account that has accepted its terms, load_dataset raises DatasetNotFoundError."
    )
    repair = "Say that HF_TOKEN is needed and stop with that message where it is missing, or use an open dataset."

    VALID = (
        Example(_preprocess("data = load_dataset('ILSVRC/imagenet-1k', token=token)\n")),
        Example(
            {"README.md": "Set HF_TOKEN.\n", **_preprocess("data = load_dataset('imagenet-1k', split='validation')\n")}
        ),
        Example(_preprocess("data = load_dataset('uoft-cs/cifar10')\n")),
    )
    INVALID = (Example(_preprocess("data = load_dataset('ILSVRC/imagenet-1k')\n"), at=("src/preprocess.py:4",)),)

    def check(self, project: Project) -> Iterator[Outcome]:
        told: bool | None = None
        seen: set[tuple[str, object]] = set()
        for request in requests(project):
            called = request.called
            place = (called.file, getattr(called.place, "lineno", called.place))
            if request.dataset is None or not request.dataset.gated or place in seen:
                continue
            seen.add(place)
            if any(called.argument(None, name) is not MISSING for name in ("token", "use_auth_token")):
                continue
            if told is None:
                files = project.submission.files
                told = any(_TOKEN.search(project.submission.text(path) or "") for path in files)
            if not told:
                yield self.finding(
                    called.file,
                    called.place,
                    symbol=request.name,
                    detail=request.dataset.source,
                    dataset=request.name,
                )
