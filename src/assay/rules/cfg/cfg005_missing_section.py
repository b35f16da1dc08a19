"""CFG005: the configuration of a run lacks a section that the contract requires."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from assay.analysis.project import Project
from assay.analysis.python_source import descend, string_value
from assay.analysis.run_defaults import run_ids, taken_over
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided
from assay.yaml_tree import Mapping, Node, Scalar, Sequence

_NAME = re.compile(r"\w+")
_SETTERS = (".update", ".merge", ".create", ".setdefault", ".from_dotlist")
_RUN = (
    "run_id: a\nmethod: proposed\nmodel: {name: m}\ndataset: {name: d}\ntraining: {epochs: 1}\noptuna: {n_trials: 0}\n"
)
_COMMON = _RUN.replace("run_id: a\nmethod: proposed\n", "")
_NO_OPTUNA = _RUN.replace("optuna: {n_trials: 0}\n", "")


class MissingSection(Rule):
    """A run's configuration has to hold the sections that the contract names, in its own file or in config.yaml.

    The rule looks for each name at every level of both files and of every other file under config/, because a
    group, a `# @package` line or a nested `run:` may put it anywhere. What a run file takes over from another run
    file through its defaults list counts as its own. The rule speaks only where the name is nowhere.
    """

    code = "CFG005"
    name = "missing-configuration-section"
    requirements = ("E2.2",)
    message = "the configuration of run `{run_id}` has no `{section}`"
    explanation = "Neither {path} nor {config} holds the key, so code that reads it finds nothing."
    repair = "Add `{section}` to {path}."

    VALID = (
        Example({"config/config.yaml": "mode: full\n", "config/runs/a.yaml": _RUN}),
        Example({"config/config.yaml": "optuna: {n_trials: 0}\n", "config/runs/a.yaml": _NO_OPTUNA}),
        Example({"config/config.yaml": "mode: full\n", "config/runs/a.yaml": "run:\n  " + _RUN.replace("\n", "\n  ")}),
        # a group of its own
        Example(
            {
                "config/config.yaml": "defaults:\n  - optuna: small\n",
                "config/runs/a.yaml": _NO_OPTUNA,
            }
        ),
        # taken over from a file that several runs have in common, and that is no run itself
        Example(
            {
                "config/config.yaml": "mode: full\n",
                "config/runs/_common.yaml": "# @package _global_\n" + _COMMON,
                "config/runs/a.yaml": "# @package _global_\ndefaults: [_common, _self_]\nrun_id: a\nmethod: proposed\n",
                "config/runs/b.yaml": "defaults:\n  - /runs/a@_here_\n  - _self_\nrun_id: b\n",
            }
        ),
        # a structured configuration may add any key
        Example(
            {
                "config/config.yaml": "mode: full\n",
                "config/runs/a.yaml": _NO_OPTUNA,
                "src/train.py": "from hydra.core.config_store import ConfigStore\n\nConfigStore.instance().store(name='base')\n",
            }
        ),
        Example(
            {
                "config/config.yaml": "mode: full\n",
                "config/runs/a.yaml": _NO_OPTUNA,
                "src/train.py": "from omegaconf import OmegaConf\n\nbase = OmegaConf.structured(Settings)\n",
            }
        ),
    )
    INVALID = (
        Example(
            {"config/config.yaml": "mode: full\n", "config/runs/a.yaml": _NO_OPTUNA},
            at=("config/runs/a.yaml",),
            repaired={"config/runs/a.yaml": _RUN},
        ),
        Example(
            {
                "config/config.yaml": "mode: full\n",
                "config/runs/_common.yaml": "model: {name: m}\ndataset: {name: d}\ntraining: {epochs: 1}\n",
                "config/runs/a.yaml": "defaults: [_common, _self_]\nrun_id: a\nmethod: proposed\n",
            },
            at=("config/runs/a.yaml",),
            repaired={"config/runs/_common.yaml": _COMMON},
        ),
        # the code sets it by itself: not in the configuration, yet nothing fails
        Example(
            {
                "config/config.yaml": "mode: full\n",
                "config/runs/a.yaml": _RUN.replace("run_id: a\n", ""),
                "src/main.py": "def main(cfg):\n    cfg.run_id = cfg.run\n",
            },
            at=("config/runs/a.yaml",),
        ),
        Example(
            {
                "config/config.yaml": "mode: full\n",
                "config/runs/a.yaml": _NO_OPTUNA,
                "src/train.py": "from omegaconf import OmegaConf\n\nDEFAULTS = {'optuna': {'n_trials': 0}}\n\n\n"
                "def main(cfg):\n    return OmegaConf.merge(DEFAULTS, cfg)\n",
            },
            at=("config/runs/a.yaml",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        contract = project.contract
        config = contract.role("config")
        if not contract.sections or config is None:
            return
        called = [name for file in project.python.values() for _, name in file.calls]
        if any("ConfigStore" in name or name.endswith("OmegaConf.structured") for name in called):
            yield Undecided("a structured configuration may add sections")
            return
        shared: set[str] = set()
        for path, file in project.yaml.items():
            if contract.is_run_file(path):
                continue
            if file.error is not None:
                yield Undecided(f"{path} does not parse")
                return
            shared |= _names(file.documents)
        if config not in project.yaml:
            yield Undecided(f"{config} is missing")
            return
        if not project.run_files:
            yield Undecided("there is no run file to look at")
        set_by_code = _assigned(project, set(contract.sections))
        runs = set(run_ids(project))
        for path, file in project.run_files.items():
            if not isinstance(file.root, Mapping) or PurePosixPath(path).stem not in runs:
                continue
            parts = [file, *(project.run_files[other] for other in taken_over(project)[path])]
            if broken := next((part.path for part in parts if part.error is not None), None):
                yield Undecided(f"{broken} does not parse")
                continue
            there = shared.union(*(_names(part.documents) for part in parts))
            laid = project.submission.files[path].laid
            for section in contract.sections:
                if section in there:
                    continue
                certain = not laid and section not in set_by_code
                run_id = path.rpartition("/")[2].rpartition(".")[0]
                yield self.finding(
                    path,
                    severity=None if certain else Severity.WARNING,
                    run_id=run_id,
                    run=run_id,
                    section=section,
                    symbol=section,
                    path=path,
                    config=config,
                )


def _names(documents: tuple[Node, ...]) -> set[str]:
    """Every key at any level, and the groups and packages that a defaults list names."""
    names: set[str] = set()
    seen: set[int] = set()
    pending: list[Node] = list(documents)
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Sequence):
            pending.extend(node.items)
        elif isinstance(node, Mapping):
            for key, value in node.pairs:
                if isinstance(key, Scalar):
                    names.update(_NAME.findall(key.text))
                    if key.text == "defaults" and isinstance(value, Sequence):
                        names.update(
                            name
                            for item in value.items
                            if isinstance(item, Scalar)
                            for name in _NAME.findall(item.text)
                        )
                pending.append(value)
    return names


def _assigned(project: Project, names: set[str]) -> set[str]:
    """Those of the names that code sets as an attribute, a key, or through a configuration that it builds."""
    found: set[str] = set()
    for file in project.python.values():
        values = {
            target.id: node.value
            for node in (file.tree.body if file.tree else ())
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in file.nodes_of(ast.Attribute, ast.Subscript, ast.Call):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                found.add(string_value(node.slice) or "")
            elif isinstance(node, ast.Call) and file.qualified(node.func).endswith(_SETTERS):
                found.update(item.arg or "" for item in node.keywords)
                given = [node, *(values[name] for item in node.args if (name := getattr(item, "id", "")) in values)]
                texts = (string_value(inner) for part in given for inner in descend(part))
                found.update(name for text in texts if text and len(text) < 200 for name in _NAME.findall(text))
    return found & names
