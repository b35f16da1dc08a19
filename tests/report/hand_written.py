"""Verdicts to report on: written by hand, so that no rule's change changes a report's test."""

from __future__ import annotations

from dataclasses import replace

from assay.contracts import load_contract
from assay.excerpt import excerpts_of
from assay.finding import Consequence, Evidence, Finding, Frame, Severity
from assay.submission import SourceFile, Submission
from assay.verdict import Coverage, Verdict, ordered, requirement_statuses

TRAIN = """\
import hydra
import torch


def train(cfg, model, loader):
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.training.learning_rate)
    for batch in loader:
        loss = model(**batch).loss
        loss.backward()

    return float(loss)


@hydra.main(config_path="../config", config_name="config", version_base=None)
def main(cfg):
    print(f"run {cfg.run.run_id}")


if __name__ == "__main__":
    main()
"""
CONFIG = "run: ???\nresults_dir: results\ntraining:\n  lr: 1.0e-4\n  name: 学習 [bold]rate[/bold]\n"

FINDINGS = (
    Finding(
        rule="CFG003",
        requirements=("E2.2",),
        severity=Severity.BLOCKING,
        consequence=Consequence.CRASHES,
        message="training.learning_rate is read, but no configuration sets it",
        explanation="OmegaConf raises ConfigAttributeError before the first batch.",
        repair="Set training.learning_rate in config/config.yaml, or read training.lr.",
        file="src/train.py",
        line=6,
        column=62,
        end_line=6,
        end_column=84,
        symbol="train",
        run="proposed-lora-gsm8k",
        evidence=Evidence("compose", "Key 'learning_rate' is not in struct", (Frame("src/train.py", 20),)),
    ),
    Finding(
        rule="TRN001",
        requirements=("E1.1", "X2"),
        severity=Severity.BLOCKING,
        consequence=Consequence.TRAINS_NOTHING,
        message="the loop never steps optimizer",
        explanation="Gradients add up and no parameter changes.",
        repair="Call optimizer.step() and optimizer.zero_grad() after loss.backward().",
        file="src/train.py",
        line=9,
        column=9,
        end_line=9,
        end_column=24,
        evidence=Evidence("static", "", (Frame("src/train.py", 7), Frame("src/train.py", 9))),
    ),
    Finding(
        rule="LAY001",
        requirements=("E5.1",),
        severity=Severity.BLOCKING,
        consequence=Consequence.BREAKS_CONTRACT,
        message="src/evaluate.py is missing",
        explanation="The contract's commands and the other files refer to it by this name.",
        repair="Add src/evaluate.py.",
        file="src/evaluate.py",
    ),
    Finding(
        rule="CFG010",
        requirements=("E2.3",),
        severity=Severity.WARNING,
        consequence=None,
        message="training.name is set, but nothing reads it",
        explanation="Changing it changes nothing.",
        repair="Remove it.",
        file="config/config.yaml",
        line=5,
        column=9,
    ),
    Finding(
        rule="PKG009",
        requirements=(),
        severity=Severity.NOTE,
        consequence=None,
        message="no lock file",
        explanation="Two installations may differ.",
        repair="Commit uv.lock.",
    ),
)


def verdict_of(files, findings=(), name="example", contract="experiment", **changes) -> Verdict:
    made = {path: SourceFile.of_text(path, text) for path, text in files.items()}
    submission = Submission(name, dict(sorted(made.items())))
    chosen = load_contract(contract)
    listed = ordered(findings, chosen)
    verdict = Verdict(
        submission=name,
        contract=chosen,
        contract_reason="guessed: there is a config/config.yaml",
        findings=tuple(listed),
        requirements=requirement_statuses(chosen, listed, Coverage(silent={"E2.1"}, not_applicable={"E3.1": "none"})),
        seconds={"static": 0.1},
        excerpts=excerpts_of(listed, submission),
    )
    return replace(verdict, **changes)
