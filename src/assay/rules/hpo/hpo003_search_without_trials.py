"""HPO003: a run has a search space and no trials."""

from __future__ import annotations

from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.parameter_search import SPACE
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_SPACE = "  search_space:\n    training.lr: {type: uniform, low: 0, high: 1}\n"


class SearchWithoutTrials(Rule):
    """A run that gives a search space also gives the number of trials, which is above 0 in full mode.

    With `n_trials: 0` the search is left out in full mode as it is in trial mode, and the run trains with the values
    that happen to stand in its file. That may be meant, so the finding is a warning, as it is where the number is no
    whole number.
    """

    code = "HPO003"
    name = "search-without-trials"
    requirements = ("E7.3", "E9.3")
    severity = Severity.WARNING
    message = "a search space is given, and optuna.n_trials is {shown}"
    explanation = "Nothing is searched in full mode."
    repair = "Give the number of trials, or leave the search space empty."

    VALID = (
        Example({"config/runs/a.yaml": "optuna:\n  n_trials: 20\n" + _SPACE}),
        Example({"config/runs/a.yaml": "optuna:\n  n_trials: 0\n  search_space: {}\n"}),
        Example({"config/runs/a.yaml": "optuna:\n  n_trials: ${trials}\n" + _SPACE}),
        # the number stands in config.yaml, or nowhere that is read here
        Example({"config/config.yaml": "optuna: {n_trials: 5}\n", "config/runs/a.yaml": "optuna:\n" + _SPACE}),
        Example({"config/runs/a.yaml": "optuna:\n" + _SPACE}),
    )
    INVALID = (
        Example({"config/runs/a.yaml": "optuna:\n  n_trials: 0\n" + _SPACE}, at=("config/runs/a.yaml:2",)),
        Example({"config/runs/a.yaml": "optuna:\n  n_trials: null\n" + _SPACE}, at=("config/runs/a.yaml:2",)),
        Example(
            {"config/config.yaml": "optuna: {n_trials: 0}\n", "config/runs/a.yaml": "optuna:\n" + _SPACE},
            at=("config/runs/a.yaml:1",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        config = project.yaml.get(project.contract.role("config") or "")
        shared = yaml_tree.find(config.root, "optuna", "n_trials") if config is not None else None
        for path, file in project.run_files.items():
            optuna = yaml_tree.find(file.root, "optuna")
            space = yaml_tree.find(optuna, SPACE)
            if not isinstance(optuna, yaml_tree.Mapping) or not isinstance(space, yaml_tree.Mapping) or not space.pairs:
                continue
            own = optuna.get("n_trials")
            trials = own or shared
            if not isinstance(trials, yaml_tree.Scalar) or "${" in trials.text or trials.text == "???":
                continue
            value = trials.resolve(omegaconf=True)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                continue
            place = (
                own
                if own is not None
                else file.root.key("optuna")
                if isinstance(file.root, yaml_tree.Mapping)
                else None
            )
            shown = trials.text.strip()[:40] or "empty"
            yield self.finding(path, place, shown=shown, symbol="optuna.n_trials")
