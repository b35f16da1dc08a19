"""DRV005: the smoke test is as large as the full experiment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.project import Project
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_SIZE = re.compile(r"(?:.*_)?(?:epochs?|steps|iterations|samples|examples|batches|trials|seeds)", re.IGNORECASE)
_TOLD = re.compile(r"(?:.*_)?(?:description|goal|title|author|notes?|comment|date)|name", re.IGNORECASE)
_FULL = "epochs: 50\ntrain_samples: 10000\nruns: [{run_id: a}]\n"


class SmokeTestNotLight(Rule):
    """The smoke test runs every variation in a light form, to show within minutes that the program works.

    Where every number that says how much is done (epochs, steps, samples, seeds) is the same in smoke_test.yaml as in
    full_experiment.yaml, the smoke test takes as long as the experiment. The code may cut it short by itself, so this
    is a warning. A smoke test with other data or another model is lighter in its own way, so any other setting that
    differs keeps the rule silent.
    """

    code = "DRV005"
    name = "smoke-test-not-light"
    requirements = ("D2.6",)
    severity = Severity.WARNING
    message = "the smoke test is no lighter than the full experiment ({shown})"
    explanation = "Showing that the program works takes as long as the experiment itself."
    repair = "Lower the epochs, steps or samples in {path}."

    VALID = (
        Example(
            {"config/smoke_test.yaml": _FULL.replace("50", "1"), "config/full_experiment.yaml": _FULL},
            contract="derived",
        ),
        Example(
            {"config/smoke_test.yaml": "max_batches: 2\n" + _FULL, "config/full_experiment.yaml": _FULL},
            contract="derived",
        ),
        Example(
            {"config/smoke_test.yaml": "runs: [{run_id: a}]\n", "config/full_experiment.yaml": "runs: [{run_id: a}]\n"},
            contract="derived",
        ),
    )
    INVALID = (
        Example(
            {"config/smoke_test.yaml": _FULL, "config/full_experiment.yaml": _FULL},
            contract="derived",
            at=("config/smoke_test.yaml:1",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        files = {path.rpartition("/")[2]: project.yaml.get(path) for path in project.contract.variation_files}
        smoke, full = files.get("smoke_test.yaml"), files.get("full_experiment.yaml")
        if smoke is None or full is None or smoke.error is not None or full.error is not None:
            return
        light, whole = _sizes(smoke.root), _sizes(full.root)
        if not light or [item[:2] for item in _settings(smoke.root)] != [item[:2] for item in _settings(full.root)]:
            return
        shown = ", ".join(f"{key}: {text}" for key, text, _ in light[:3])
        frames = tuple(Frame(full.path, line) for _, _, line in whole[:3])
        yield self.finding(smoke.path, light[0][2], shown=shown, path=smoke.path, frames=frames)


def _sizes(root: yaml_tree.Node | None) -> list[tuple[str, str, int]]:
    """Every number that says how much is done."""
    return [item for item in _settings(root) if _SIZE.fullmatch(item[0])]


def _settings(root: yaml_tree.Node | None) -> list[tuple[str, str, int]]:
    """Every value that a key has, besides descriptions, in the order of the text: the key, the value, and the line."""
    found: list[tuple[str, str, int]] = []
    pending = [root] if root is not None else []
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml_tree.Sequence):
            pending.extend(node.items)
        elif isinstance(node, yaml_tree.Mapping):
            for key, value in node.pairs:
                plain = isinstance(key, yaml_tree.Scalar) and isinstance(value, yaml_tree.Scalar)
                if plain and not _TOLD.fullmatch(key.text[:80]):  # type: ignore[union-attr]
                    found.append((key.text[:80], value.text, key.line))  # type: ignore[union-attr]
                pending.append(value)
    return sorted(found, key=lambda item: item[2])
