"""CFG010: a configuration holds an interpolation that fails when it is read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from assay import yaml_tree
from assay.analysis.compositions import Composition, compositions, registered_resolvers
from assay.analysis.configuration_faults import is_interpolation
from assay.analysis.hydra_entry import HydraEntry
from assay.analysis.import_time import is_unconditional
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

# https://omegaconf.readthedocs.io/en/2.3_branch/custom_resolvers.html and Hydra's `setup_globals`
_BUILT_IN = re.compile(r"oc\..*|hydra|now|python_version")
_RESOLVER = re.compile(r"\$\{\s*([A-Za-z_][\w.]*)\s*:")
_RESOLVING = frozenset({"omegaconf.OmegaConf.resolve", "omegaconf.OmegaConf.to_object"})
_RESOLVING_IF_ASKED = frozenset({"omegaconf.OmegaConf.to_container", "omegaconf.OmegaConf.to_yaml"})
_HARMLESS = ("print", "omegaconf.OmegaConf.to_yaml", "omegaconf.OmegaConf.to_container")
_MAX_PER_FILE = 3

_READS = """import hydra
from omegaconf import OmegaConf


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    print(OmegaConf.to_yaml(cfg, resolve=True))


if __name__ == "__main__":
    main()
"""
_CONFIG = "defaults:\n  - _self_\n  - run: ???\n\nmode: full\nresults_dir: results\n"
_RUN = "# @package _global_\nrun_id: a\ntraining:\n  lr: {lr}\n"


def _files(lr: str, main: str = _READS) -> dict[str, str]:
    return {"src/main.py": main, "config/config.yaml": _CONFIG, "config/run/a.yaml": _RUN.format(lr=lr)}


class BrokenInterpolation(Rule):
    """A value `${...}` refers to a key that is not there, or to a resolver that nobody registers.

    Such a value is found only when it is read: the configuration composes, prints without resolving, and breaks in
    the middle of the run, or when it is resolved for the record. The finding blocks where the program certainly
    resolves the whole configuration; elsewhere it warns.
    """

    code = "CFG010"
    name = "broken-interpolation"
    gate = "compose"
    requirements = ("E2.2",)
    severity = Severity.WARNING
    consequence = Consequence.CRASHES
    message = "`{key}` cannot be read: {why}"
    explanation = "The run ends where the value is read."
    repair = "Write the value, refer to a key that exists, or register the resolver."

    VALID = (
        Example(_files("0.1")),
        Example(_files("${training.base}\n  base: 0.1")),
        Example(_files("${oc.env:LR,0.1}")),
        Example(_files("${times:2,3}", _READS.replace("@hydra", "OmegaConf.register_new_resolver('times', lambda a, b: a * b)\n\n\n@hydra", 1))),
        # Hydra's own are there while the function runs
        Example(_files("${hydra:runtime.cwd}")),
        # the name of the resolver is computed
        Example(_files("${f:1}", _READS.replace("@hydra", "for name in ('f', 'g'):\n    OmegaConf.register_new_resolver(name, float)\n\n\n@hydra", 1))),
    )  # fmt: skip
    INVALID = (
        Example(
            _files("${training.base}"),
            at=("config/run/a.yaml:4",),
            repaired={"config/run/a.yaml": _RUN.format(lr="0.1")},
        ),
        Example(
            _files("${search:lr}"), at=("config/run/a.yaml:4",), repaired={"config/run/a.yaml": _RUN.format(lr="0.1")}
        ),
        # a warning: nothing certainly reads it
        Example(_files("${search:lr}", _READS.replace(", resolve=True", "")), at=("config/run/a.yaml:4",)),
        # run files that code loads count as well
        Example(
            {
                "src/main.py": "from omegaconf import OmegaConf\n\nrun = OmegaConf.load('config/runs/a.yaml')\n",
                "config/runs/a.yaml": "training:\n  lr: ${search:lr}\n",
            },
            at=("config/runs/a.yaml:2",),
        ),
        # the program certainly comes to the read
        Example(
            {
                "config/config.yaml": "run: ???\nresults_dir: results\nmode: full\n",
                "src/main.py": "import hydra\nfrom omegaconf import OmegaConf\n\n\n"
                "@hydra.main(version_base=None, config_path='../config', config_name='config')\ndef main(cfg):\n"
                "    run = OmegaConf.load(f'config/runs/{cfg.run}.yaml')\n    print(run.training.lr)\n\n\nmain()\n",
                "config/runs/a.yaml": "training:\n  lr: ${search:lr}\n",
            },
            at=("config/runs/a.yaml:2",),
            repaired={"config/runs/a.yaml": "training:\n  lr: 0.1\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        said: dict[tuple[str, str], list[Composition]] = {}
        for made in compositions(project).made:
            for key, _, why in made.broken:
                said.setdefault((key, why), []).append(made)
        done: set[tuple[str, int]] = set()
        counts: dict[str, int] = {}
        for (key, why), alike in said.items():
            path, node = _place(project, alike[0], key)
            if path is None or (node is not None and (path, node.line) in done):
                continue
            if node is not None:
                done.add((path, node.line))
            counts[path] = counts.get(path, 0) + 1
            if counts[path] > _MAX_PER_FILE:
                continue
            entry = alike[0].entry
            read = _whole_read(entry) if entry.certain else None
            yield self.finding(
                path,
                node,
                severity=Severity.BLOCKING if read is not None else Severity.WARNING,
                symbol=key,
                run=alike[0].run if len({made.run for made in alike}) == 1 else None,
                frames=(Frame(entry.file.path, read.lineno),) if read is not None else (),
                key=key,
                why=why,
            )
        yield from self._unregistered(project, done)

    def _unregistered(self, project: Project, done: set[tuple[str, int]]) -> Iterator[Outcome]:
        """Resolvers that run files use, whoever loads them, and that nobody registers."""
        known = registered_resolvers(project)
        if known is None:
            return
        failing = [
            fault
            for fault in project.enactment.seen("fault")
            if is_interpolation(fault) and fault.sure and not fault.guarded
        ]
        for path, file in project.run_files.items():
            found: list[tuple[str, yaml_tree.Scalar, str]] = []
            for key, node in _scalars(file.root):
                for name in _RESOLVER.findall(node.text[:2_000]) if "${" in node.text else ():
                    if name not in known and not _BUILT_IN.fullmatch(name) and (path, node.line) not in done:
                        found.append((key, node, name))
                        break
            if found:
                key, node, name = found[0]
                run = PurePosixPath(path).stem
                reads = [
                    fault
                    for fault in failing
                    if run in fault.runs
                    and (fault.data.get("what") == "resolve" or fault.data["key"] in {one for one, _, _ in found})
                ]
                more = f" and {len(found) - 1} more values of this file" if len(found) > 1 else ""
                yield self.finding(
                    path, node, symbol=key, run=run,
                    severity=Severity.BLOCKING if reads else Severity.WARNING,
                    frames=tuple(dict.fromkeys(Frame(read.file, read.line) for read in reads))[:6],
                    key=key, why=f"no resolver `{name}` is registered{more and f' ({more.strip()})'}",
                )  # fmt: skip


def _place(project: Project, made: Composition, key: str) -> tuple[str | None, yaml_tree.Scalar | None]:
    """Where the value of a key is written: in the run's file, else in the primary configuration."""
    paths = [path for path in project.run_files if PurePosixPath(path).stem == made.run]
    base = f"{made.entry.config_dir}/{made.entry.config_name}"
    paths += [path for path in (base, f"{base}.yaml", f"{base}.yml") if path in project.yaml]
    paths += [path for path in project.yaml if path not in paths]
    names = key.split(".")
    for path in paths:
        # a group without `@package _global_` adds the name of its folder in front
        for keys in (names, names[1:]):
            node = _value(project.yaml[path].root, keys)
            if isinstance(node, yaml_tree.Scalar) and "${" in node.text:
                return path, node
    return (paths[0] if paths else None), None


def _value(node: yaml_tree.Node | None, keys: list[str]) -> yaml_tree.Node | None:
    for key in keys:
        if isinstance(node, yaml_tree.Mapping):
            node = node.get(key)
        elif isinstance(node, yaml_tree.Sequence) and key.isdigit() and int(key) < len(node.items):
            node = node.items[int(key)]
        else:
            return None
    return node if keys else None


def _scalars(root: yaml_tree.Node | None) -> Iterator[tuple[str, yaml_tree.Scalar]]:
    """The values of a file with their dotted keys; what aliases repeat once."""
    pending: list[tuple[str, yaml_tree.Node]] = [("", root)] if root is not None else []
    seen: set[int] = set()
    while pending:
        key, node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml_tree.Scalar):
            yield key, node
        elif isinstance(node, yaml_tree.Sequence):
            pending += reversed([(f"{key}.{number}", item) for number, item in enumerate(node.items)])
        else:
            pending += reversed([(f"{key}.{name}".lstrip("."), value) for name, value in node.items()])


def _whole_read(entry: HydraEntry) -> ast.Call | None:
    """The call by which the decorated function certainly resolves all of its configuration, as Hydra hands it over."""
    function = entry.function
    if function is None or not function.args.args:
        return None
    file, name = entry.file, function.args.args[0].arg
    uses = [node for node in descend(function) if isinstance(node, ast.Name) and node.id == name]
    for use in uses:
        call = file.parents.get(use)
        if not isinstance(use.ctx, ast.Load) or not isinstance(call, ast.Call):
            if not _only_looks(file, use):
                return None
            continue
        called = file.qualified(call.func)
        if call.args[:1] == [use] and (called in _RESOLVING or (called in _RESOLVING_IF_ASKED and _asks(call))):
            certain = file.function_of(call) is function and is_unconditional(file, call, function)
            return call if certain else None
        if called not in _HARMLESS:
            return None
    return None


def _asks(call: ast.Call) -> bool:
    value = keyword(call, "resolve")
    return isinstance(value, ast.Constant) and value.value is True


def _only_looks(file: PythonFile, use: ast.Name) -> bool:
    """Whether a use of the configuration reads an attribute of it and neither sets nor calls one."""
    node: ast.AST | None = use
    while isinstance(parent := file.parents.get(node) if node is not None else None, ast.Attribute | ast.Subscript):
        node = parent
        if not isinstance(parent.ctx, ast.Load):
            return False
    return not isinstance(node, ast.Name) and not (isinstance(parent, ast.Call) and parent.func is node)
