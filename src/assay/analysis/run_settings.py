"""Values that the configurations of all runs give a key."""

from __future__ import annotations

from assay import yaml_tree
from assay.analysis.project import Project


def common_setting(project: Project, *keys: str) -> object:
    """The value of a key where every run has the same one, from its own file or from config.yaml; else None."""
    found = _settings(project, keys)
    values = [yaml_tree.to_python(node) if isinstance(node, yaml_tree.Scalar) else None for node in found]
    return values[0] if all(value == values[0] for value in values) else None


def common_length(project: Project, *keys: str) -> int | None:
    """How many elements the list under a key has, where every run has one of that length; else None."""
    lengths = {len(node.items) if isinstance(node, yaml_tree.Sequence) else None for node in _settings(project, keys)}
    return lengths.pop() if len(lengths) == 1 else None


def _settings(project: Project, keys: tuple[str, ...]) -> list[yaml_tree.Node | None]:
    """What each run has under a key: from its own file, or else from config.yaml."""
    roots = [file.root for file in project.run_files.values()]
    main = project.yaml.get(project.contract.role("config") or "")
    shared = yaml_tree.find(main.root, *keys) if main else None
    return [yaml_tree.find(root, *keys) or shared for root in roots] or [shared]


def never_searches(project: Project) -> bool:
    """Whether every run's configuration asks for no trials of a search at all."""
    trials = common_setting(project, "optuna", "n_trials")
    return bool(project.run_files) and trials == 0 and not isinstance(trials, bool)
