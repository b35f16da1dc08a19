"""Whether `assay review` finds what is known to be wrong in the five source transcripts.

    python benchmarks/seeds.py DIR [--json FILE]

DIR holds the transcripts 000 to 004. Each must come out not ready, with the two keys of its contract first, with a
blocking finding at every place below, and without a single finding of a syntax error (none of the five has one).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measured import measure, print_table, write_json


@dataclass(frozen=True, slots=True)
class Defect:
    """A known defect.

    Args:
        what: What is wrong.
        file: The file that is to blame.
        lines: Lines of which each must be pointed at; empty where the file as a whole is meant.
    """

    what: str
    file: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Seed:
    """What is expected of one transcript, named by the number it begins with."""

    contract: str
    ready_key: str
    issue_key: str
    defects: tuple[Defect, ...]


SIX_EMPTY = (
    "config/config.yaml", "pyproject.toml", "src/main.py", "src/model.py", "src/preprocess.py", "src/train.py",
)  # fmt: skip
_TASK = "iter1-Llama-2-7B-chat-7B-CNN-DailyMail-summarisation"
RUN_FILES = (f"config/runs/comparative-1-{_TASK}.yaml", f"config/runs/proposed-{_TASK}.yaml")
SEEDS = {
    "000": Seed(
        "derived",
        "is_experiment_code_ready",
        "experiment_code_issue",
        (
            Defect("no run variation is listed", "config/smoke_test.yaml"),
            Defect("no run variation is listed", "config/full_experiment.yaml"),
            Defect("placeholders are left", "config/full_experiment.yaml", (6, 10, 11)),
            Defect("a placeholder is left", "src/preprocess.py", (61,)),
            Defect("a placeholder is left", "src/model.py", (64,)),
            Defect("no branch builds the dataset of the experiment", "src/preprocess.py", (64,)),
            Defect("no branch builds the model of the experiment", "src/model.py", (66,)),
            Defect("two pipes are read one after the other", "src/main.py", (47,)),
        ),
    ),
    "001": Seed(
        "base",
        "is_base_code_ready",
        "base_code_issue",
        (
            Defect("CIFAR-10 is loaded", "src/preprocess.py", (70, 71)),
            Defect("a dict with tuples as keys is dumped to JSON", "src/evaluate.py", (115,)),
            Defect("the gradient of the hyperparameters is built under no_grad", "src/train.py", (81,)),
            Defect("a comparison can never be true", "src/preprocess.py", (49,)),
            Defect("two pipes are read one after the other", "src/main.py", (42,)),
        ),
    ),
    "002": Seed(
        "experiment",
        "is_code_ready",
        "code_issue",
        (
            *(Defect("the file is empty", path) for path in SIX_EMPTY),
            Defect("a confusion matrix is invented where predictions are missing", "src/evaluate.py", (140,)),
        ),
    ),
    "003": Seed(
        "experiment",
        "is_code_ready",
        "code_issue",
        (
            Defect("dependencies are a table", "pyproject.toml", (7,)),
            Defect("arguments are positional", "src/evaluate.py", (116,)),
            Defect("results are written by train", "src/train.py", (189, 198)),
            Defect("sklearn.metrics has no ttest_ind", "src/evaluate.py", (14,)),
            Defect("OmegaConf has no deepcopy", "src/train.py", (226,)),
            Defect("a run of W&B has no get_url", "src/train.py", (60,)),
            Defect("an nn.Parameter is overwritten by a tensor", "src/model.py", (100,)),
            Defect("the outer optimizer has no gradient path", "src/train.py", (97,)),
            Defect("no code reads what the search sets", "src/train.py", (218,)),
            Defect("GSM8K is loaded without a configuration", "src/preprocess.py", (60, 74)),
        ),
    ),
    "004": Seed(
        "experiment",
        "is_code_ready",
        "code_issue",
        (
            Defect("dependencies are a table", "pyproject.toml", (7,)),
            Defect("the module utils is missing", "src/train.py", (37,)),
            Defect("arguments are positional", "src/evaluate.py", (22,)),
            Defect("figure names are random", "src/evaluate.py", (89, 121)),
            Defect("datasets has no load_metric", "src/train.py", (30,)),
            Defect("an attribute of a text is read", "src/train.py", (50,)),
            Defect("a sequence-to-sequence class is to load a decoder", "src/model.py", (82,)),
            Defect("the model's name is none on the hub", RUN_FILES[0], (4,)),
            Defect("the model's name is none on the hub", RUN_FILES[1], (4,)),
            Defect("the objective returns a value that nobody sets", "src/train.py", (246,)),
            Defect("no code reads what the search sets", "src/train.py", (230,)),
            Defect("a key is read that train never logs", "src/evaluate.py", (30,)),
            Defect("there is no significance test", "src/evaluate.py"),
        ),
    ),
}
SYNTAX_RULE = "IMP001"
SLACK = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[tuple[object, ...]] = []
    record = []
    for path in sorted(options.folder.glob("*.txt")):
        seed = SEEDS.get(path.name[:3])
        if seed is None:
            continue
        done = measure([sys.executable, "-m", "assay", "review", str(path), "--format", "json"])
        verdict = json.loads(done.output) if done.status in (0, 1) else {}
        failed = list(failures(seed, verdict))
        count = sum(finding["severity"] == "blocking" for finding in verdict.get("findings", ()))
        rows.append((path.stem, seed.contract, "passed" if not failed else "FAILED", count, f"{done.seconds:.2f}"))
        record.append({"seed": path.name, "failed": failed, "blocking": count, "seconds": done.seconds})
    print_table(("transcript", "contract", "bars", "blocking", "seconds"), rows)
    for entry in record:
        for failure in entry["failed"]:
            print(f"{entry['seed']}: {failure}")
    missing = sorted(set(SEEDS) - {entry["seed"][:3] for entry in record})
    if missing:
        print(f"no transcript in {options.folder} begins with {', '.join(missing)}")
    write_json(options.json, record)
    return int(bool(missing) or any(entry["failed"] for entry in record))


def failures(seed: Seed, verdict: dict[str, Any]) -> list[str]:
    """The bars that a verdict does not reach."""
    if not verdict:
        return ["could not be reviewed"]
    failed = []
    if list(verdict)[:2] != [seed.ready_key, seed.issue_key]:
        failed.append(f"the first keys are {list(verdict)[:2]}")
    if verdict.get(seed.ready_key) is not False:
        failed.append("it came out ready")
    if verdict["contract"] != seed.contract:
        failed.append(f"it was reviewed against {verdict['contract']}")
    blocking = [finding for finding in verdict["findings"] if finding["severity"] == "blocking"]
    for defect in seed.defects:
        for line in defect.lines or (None,):
            if not any(_points_at(finding, defect.file, line) for finding in blocking):
                failed.append(f"nothing blocking at {defect.file}{f':{line}' if line else ''}: {defect.what}")
    failed += [
        f"a syntax error is claimed at {finding['file']}:{finding['line']}"
        for finding in verdict["findings"]
        if finding["rule"] == SYNTAX_RULE
    ]
    return failed


def _points_at(finding: dict[str, Any], file: str, line: int | None) -> bool:
    if finding["file"] != file:
        return False
    return line is None or (finding["line"] is not None and abs(finding["line"] - line) <= SLACK)


if __name__ == "__main__":
    sys.exit(main())
