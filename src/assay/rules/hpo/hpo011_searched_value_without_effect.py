"""HPO011: a searched value reaches nothing that the program reads afterwards."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from assay import yaml_tree
from assay.analysis.enacted_runs import Program, Seen
from assay.analysis.parameter_search import parameter_search
from assay.analysis.project import Project
from assay.analysis.python_source import string_value
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

# How distributions are called: in Optuna's `suggest_*` methods (optuna.readthedocs.io, Trial, 4.5), and by what is
# drawn; a type that the code does not name is one of these, or a slip.
_TYPES = frozenset(
    {
        "float", "int", "integer", "categorical", "choice", "uniform", "loguniform", "log_uniform", "log",
        "discrete_uniform", "quniform", "int_uniform", "intloguniform", "log_float", "log_int", "bool", "range",
    }
)  # fmt: skip

_MAIN = """import copy

import hydra
import optuna
from omegaconf import OmegaConf, open_dict

from src.model import fit


def objective(trial, base):
    cfg = copy.deepcopy(base)
    for name, space in cfg.optuna.search_space.items():
        value = trial.suggest_float(name, space.low, space.high)
        with open_dict(cfg):
            {}
    return fit(cfg)


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    if cfg.mode == "full":
        study = optuna.create_study(direction="minimize")
        study.optimize(lambda trial: objective(trial, cfg), n_trials=cfg.optuna.n_trials)
        print(study.best_params)
    fit(cfg)


if __name__ == "__main__":
    main()
"""
_MODEL = """import torch


def fit(cfg):
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=cfg.training.lr)
    loss = model(torch.ones(2, 4)).mean()
    loss.backward()
    optimizer.step()
    return float(loss)
"""
_CONFIG = "defaults:\n  - _self_\n  - run: ???\n\nresults_dir: results\nmode: full\n"
_RUN = """# @package _global_
run_id: a
training: {lr: 0.1}
optuna:
  n_trials: 5
  search_space:
    NAME: {low: 0.001, high: 0.1}
"""


def _files(write: str, name: str = "lr", model: str = _MODEL) -> dict[str, str]:
    return {
        "src/main.py": _MAIN.replace("{}", write),
        "src/model.py": model,
        "config/config.yaml": _CONFIG,
        "config/run/a.yaml": _RUN.replace("NAME", name),
    }


class SearchedValueWithoutEffect(Rule):
    """The search draws a value, and nothing that the program does afterwards depends on it.

    The value is followed from `trial.suggest_*` through the configuration, dictionaries and calls. It has an effect
    where the program reads the key that it was put under, or computes or calls a library with it; being printed, logged
    or written down is none. Trials that differ in nothing but such values are all the same.
    """

    code = "HPO011"
    name = "searched-value-without-effect"
    gate = "compose"
    requirements = ("E7.3",)
    decides = ("E7.3",)
    consequence = Consequence.BREAKS_CONTRACT
    message = "the search draws {names}, and nothing reads {them} afterwards"
    explanation = "{put}Trials differ in nothing that matters: the search is an expensive repetition ({which})."
    repair = "Put the value under the key that the training code reads, such as `training.lr`."

    VALID = (
        Example(_files("cfg.training[name] = value")),
        Example(_files("OmegaConf.update(cfg, f'training.{name}', value)")),
        Example(_files("OmegaConf.update(cfg, name, value)", "training.lr")),
        Example(_files("cfg.training.update({name: value})")),
        # it goes through a dictionary
        Example(
            _files(
                "cfg[name] = value",
                model=_MODEL.replace("fit(cfg):", "fit(cfg):\n    flat = dict(cfg)").replace(
                    "cfg.training.lr", "flat.get('lr', 0.1)"
                ),
            )
        ),
        # what becomes of the configuration is not known
        Example(
            _files("cfg[name] = value", model=_MODEL.replace("fit(cfg):", "fit(cfg):\n    torch.manual_seed(cfg)"))
        ),
        Example(_files("cfg.training.lr = value")),
        # a plain dictionary by a path of any depth
        Example(
            _files(
                "tree = OmegaConf.to_container(cfg)\n            node = tree\n            *above, last = name.split('.')\n"
                "            for part in above:\n                node = node[part]\n            node[last] = value\n"
                "            cfg = OmegaConf.create(tree)",
                "training.lr",
            )
        ),
    )
    INVALID = (
        Example(
            _files("cfg[name] = value"),
            at=("src/main.py:13",),
            repaired=_files("cfg.training[name] = value"),
        ),
        Example(
            _files("OmegaConf.update(cfg, name.replace('_', '.'), value)", "training_learning_rate"),
            at=("src/main.py:13",),
            repaired=_files("OmegaConf.update(cfg, name, value)", "training.lr"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        enactment = project.enactment
        searching = [one for one in enactment.seen("suggest") if isinstance(one.data["name"], str)]
        if enactment.failed:
            yield Undecided(f"the programs could not be enacted: {enactment.failed}")
            return
        reported: dict[tuple[str, str], list[tuple[str, Seen, Program]]] = {}
        for one in searching:
            for program in one.programs:
                if not program.complete:
                    yield Undecided(f"{program.path} was not enacted to its end: {program.reason}")
                elif not self._matters(project, str(one.data["name"]), program):
                    reported.setdefault((one.file, one.function), []).append((str(one.data["name"]), one, program))
        if not reported:
            reason = self._doubt(project)
            if reason:
                yield Undecided(reason)
        for found in reported.values():
            names = list(dict.fromkeys(name for name, _, _ in found))
            first = found[0][1]
            writes = [
                write
                for write in enactment.seen("write")
                if set(names).intersection(write.data["marks"]) and found[0][2] in write.programs
            ]
            paths = list(dict.fromkeys(str(write.data["path"]) for write in writes if write.data["path"]))
            runs = tuple(dict.fromkeys(program.run for _, _, program in found if program.run))
            yield self.finding(
                first.file,
                first.place,
                severity=Severity.BLOCKING if first.sure else Severity.WARNING,
                names=", ".join(f"`{name}`" for name in names[:6]) + (" and more" if len(names) > 6 else ""),
                them="it" if len(names) == 1 else "them",
                put=f"It is put under {', '.join(f'`{path}`' for path in paths[:4])}. " if paths else "",
                which=f"run{'s' if len(runs) > 1 else ''} {', '.join(runs[:3])}" if runs else first.where(),
                run=runs[0] if runs else None,
                symbol=first.function or None,
                detail=f"no read of the value of {names[0]} in the enactment of {found[0][2].path}",
                frames=tuple(Frame(write.file, write.line) for write in writes[:4]),
            )

    def _doubt(self, project: Project) -> str:
        """Why the search may do nothing although nothing is found against it; empty where it is all known."""
        if not self._all_matter(project):
            return "not every searched name is known to reach a value that is read"
        kind = next(_strange_types(project), None)
        if kind is not None:
            return f"a search space has the type `{kind}`, which the code does not name"
        for one in project.enactment.seen("search"):
            returned = one.data.get("returns")
            if one.data.get("phase") == "end" and isinstance(returned, Mapping) and "is" in returned:
                return "the objective returns the same for every trial, as far as it is followed"
        return ""

    def _all_matter(self, project: Project) -> bool:
        """Whether every name that a run searches is certainly drawn, and something reads or computes with it."""
        wanted = {(_run_of(item.run), item.name) for item in parameter_search(project).searched if item.active}
        drawn = {
            (program.run, str(one.data["name"]))
            for one in project.enactment.seen("suggest")
            if one.certain == "yes"
            for program in one.programs
        }
        used = {
            (program.run, mark)
            for one in project.enactment.seen("read", "use")
            for mark in one.data.get("marks") or ()
            for program in one.programs
        }
        return bool(wanted) and wanted <= drawn and wanted <= used

    def _matters(self, project: Project, name: str, program: Program) -> bool:
        """Whether anything in a program depends on a searched value, or may."""
        paths: set[str] = set()
        for seen in project.enactment.seen("read", "use", "write", "escape"):
            if program not in seen.programs and not any(_is_alike(program, one) for one in seen.programs):
                continue
            marks = seen.data.get("marks") or ()
            if seen.kind in ("read", "use") and (name in marks or "?" in marks):
                return True
            if seen.kind == "write" and name in marks:
                if seen.data["path"] is None:
                    return True
                paths.add(str(seen.data["path"]))
        if not paths:
            # what became of the value is not known: it was put where the enactment does not follow it
            return True
        for seen in project.enactment.seen("read", "escape"):
            if not any(_is_alike(program, one) for one in seen.programs):
                continue
            path = seen.data.get("path")
            if seen.kind == "read" and (path is None or seen.data.get("by") not in ("expansion", "items", "copy")):
                if path is None:
                    return True
                continue
            if any(_is_below(one, str(path or "")) for one in paths):
                return True
        return False


def _strange_types(project: Project) -> Iterator[str]:
    """The types of search spaces that no text in the code has, and that are no usual ones."""
    texts: set[str] | None = None
    for item in parameter_search(project).searched:
        kind = yaml_tree.find(item.entry, "type")
        if not isinstance(kind, yaml_tree.Scalar) or "${" in kind.text or kind.text.lower() in _TYPES:
            continue
        if texts is None:
            nodes = (node for file in project.python.values() for node in file.nodes_of(ast.Constant))
            texts = {text.lower() for node in nodes if (text := string_value(node))}
        if kind.text.lower() not in texts:
            yield kind.text[:80]


def _run_of(path: str) -> str:
    """The run that a run file configures, by its name."""
    return PurePosixPath(path).stem


def _is_alike(one: Program, other: Program) -> bool:
    return (one.path, one.run, one.mode) == (other.path, other.run, other.mode)


def _is_below(path: str, node: str) -> bool:
    return not node or path == node or path.startswith(f"{node}.")
