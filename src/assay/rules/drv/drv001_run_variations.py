"""DRV001: a run variation is missing from a variation file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.project import Project, YamlFile
from assay.analysis.run_variations import RunList, run_list, texts
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided
from assay.submission.brief import Brief, Run

_BRIEF = Brief(runs=(Run("baseline-a"), Run("proposed-a")))
_BOTH = "experiments:\n  - run_id: baseline-a\n  - run_id: proposed-a\n"
_SMOKE, _FULL = "config/smoke_test.yaml", "config/full_experiment.yaml"


class RunVariations(Rule):
    """Every run variation of the brief stands in `config/smoke_test.yaml` and in `config/full_experiment.yaml`.

    Main starts what these files list. A variation that is missing there is never trained, and the comparison lacks it; a
    file that still lists the foundation's stand-in run trains nothing that the experiment asks for. The rule looks for
    each id as a value or a key anywhere in the file.
    """

    code = "DRV001"
    name = "run-variations"
    requirements = ("D2.4", "D2.6")
    decides = ("D2.4",)
    message = "{path} lacks {what}"
    explanation = "Main starts only the runs that this file lists."
    repair = "Add {what} to the list of runs in {path}."

    VALID = (
        Example({_SMOKE: _BOTH, _FULL: _BOTH}, contract="derived", brief=_BRIEF),
        Example(
            {_SMOKE: "runs:\n  baseline-a: {lr: 1}\n  proposed-a: {lr: 1}\n", _FULL: _BOTH},
            contract="derived",
            brief=_BRIEF,
        ),
        # an empty list beside the one that counts
        Example(
            {_SMOKE: _BOTH, _FULL: "experiments: []\nruns: [baseline-a, proposed-a]\n"},
            contract="derived",
            brief=_BRIEF,
        ),
        # without a brief nobody knows the variations
        Example({_SMOKE: "experiments:\n  - run_id: x\n", _FULL: "experiments:\n  - run_id: x\n"}, contract="derived"),
    )
    INVALID = (
        Example(
            {_SMOKE: "seed: 0\nexperiments:\n  - run_id: dummy\n", _FULL: _BOTH},
            contract="derived",
            brief=_BRIEF,
            at=("config/smoke_test.yaml:2",),
            repaired={_SMOKE: _BOTH},
        ),
        Example(
            {_SMOKE: _BOTH, _FULL: "experiments:\n  # to be filled in\nseed: 0\n"},
            contract="derived",
            at=("config/full_experiment.yaml:1",),
            repaired={_FULL: _BOTH},
        ),
        # the file spells out ids, and not this one, though all its words occur
        Example(
            {_SMOKE: _BOTH, _FULL: "experiments:\n  - run_id: baseline-a\n  - run_id: proposed-b\n"},
            contract="derived",
            brief=_BRIEF,
            at=("config/full_experiment.yaml:1",),
            repaired={_FULL: _BOTH},
        ),
        # the same variations in another spelling, or made from a grid that only the program knows: warnings
        Example(
            {_SMOKE: _BOTH, _FULL: "experiments:\n  - run_id: Baseline_A\n  - run_id: Proposed_A\n"},
            contract="derived",
            brief=_BRIEF,
            at=("config/full_experiment.yaml:1",),
        ),
        Example(
            {_SMOKE: _BOTH, _FULL: "dataset: a\nruns:\n  - {name: baseline}\n  - {name: proposed}\n"},
            contract="derived",
            brief=_BRIEF,
            at=("config/full_experiment.yaml:2",),
        ),
        Example(
            {_SMOKE: _BOTH, _FULL: "methods: [baseline, proposed]\nmodels: [a]\n"},
            contract="derived",
            brief=_BRIEF,
            at=("config/full_experiment.yaml:1",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        wanted = project.brief.run_ids
        if not wanted:
            yield Undecided("the brief names no run variations")
        for path in project.contract.variation_files:
            file = project.yaml.get(path)
            if file is None or file.error is not None:
                yield Undecided(f"{path} is missing or no YAML")
                continue
            yield from self._check_file(path, file, wanted)

    def _check_file(self, path: str, file: YamlFile, wanted: tuple[str, ...]) -> Iterator[Outcome]:
        runs = run_list(file.root)
        rows = ("D2.4", "D2.6") if "smoke" in path else ("D2.4",)
        if runs is not None and not runs.entries:
            what = f"every run variation ({_listed(wanted)})" if wanted else "any run variation"
            yield self.finding(path, runs.key, requirements=rows, path=path, what=what, symbol=runs.key.text)
            return
        values = {text.strip() for document in file.documents for text in texts(document)}
        missing = [run for run in wanted if run not in values]
        if not missing:
            return
        close = {_normal(value) for value in values}
        # where no id is spelled out, each may be put together from a method, a model and a dataset
        spelled = len(missing) < len(wanted)
        words = set() if spelled else {word for value in values for word in _words(value)}
        open_ids = {run for run in missing if _normal(run) in close or set(_words(run)) <= words}
        certain = [run for run in missing if run not in open_ids] if _tells_its_ids(runs) else []
        yield self.finding(
            path,
            runs.key if runs else 1,
            severity=None if certain else Severity.WARNING,
            requirements=rows,
            path=path,
            what=f"the run variation{'s' if len(certain or missing) > 1 else ''} {_listed(certain or missing)}",
            symbol=runs.key.text if runs else None,
            detail=f"it lists {_listed([run or '?' for run in runs.ids])}" if runs else "it holds no list of runs",
        )


def _tells_its_ids(runs: RunList | None) -> bool:
    """Whether the file spells out the id of every run that it lists."""
    return runs is not None and all(run is not None and "${" not in run and "{" not in run for run in runs.ids)


def _normal(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _listed(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown
