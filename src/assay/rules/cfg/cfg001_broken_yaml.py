"""CFG001: a YAML file cannot be loaded."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from itertools import islice

import yaml

from assay.analysis.configuration_loading import PYYAML_MANY, PYYAML_ONE, certainly_loaded
from assay.analysis.project import Project, YamlFile
from assay.analysis.python_source import PythonFile, descend
from assay.analysis.stray_yaml import stray_text
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.yaml_tree import Mapping, Node, Scalar, Sequence

# The loader stops at the first; a few more save a round.
_MAX_KEYS = 5
# https://docs.python.org/3/library/string.html#template-strings, os.path.expandvars, Jinja
_FILLING = frozenset({"substitute", "safe_substitute", "expandvars", "render", "from_string"})
_LOADS = PYYAML_ONE | PYYAML_MANY
_HYDRA_MAIN = """import hydra


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    print(cfg.mode)


if __name__ == "__main__":
    main()
"""
_LAUNCHER = """import yaml

with open("config/smoke_test.yaml") as stream:
    runs = yaml.safe_load(stream)["runs"]
"""


class BrokenYaml(Rule):
    """A YAML file of the submission does not parse, or repeats a key where the loader forbids it.

    A program stops where it loads the file: Hydra before the first line of `main`, a launcher before its first
    run. PyYAML alone takes the last of two equal keys; OmegaConf, which Hydra loads every file with, refuses them
    (`omegaconf/_utils.py`, `get_yaml_loader`). Text that is no YAML at all, such as a code fence, is CFG002.
    """

    code = "CFG001"
    name = "broken-yaml"
    requirements = ("E1.2", "E2.2", "D4.1", "D4.3", "B4.7")
    message = "this is no valid YAML: {problem}"
    explanation = "Whatever loads {path} stops here."
    repair = "Correct the YAML at line {line}."

    VALID = (
        Example({"config/config.yaml": "mode: full\nwandb: {project: a}\n", "src/main.py": _HYDRA_MAIN}),
        # PyYAML takes the last of two equal keys
        Example({"config/smoke_test.yaml": "runs: []\nruns: []\n", "src/main.py": _LAUNCHER}, contract="base"),
        # so it does for a run file that PyYAML loads
        Example(
            {
                "config/runs/a.yaml": "run_id: a\nrun_id: a\n",
                "src/main.py": _HYDRA_MAIN,
                "src/train.py": "import yaml\n\nrun = yaml.safe_load(open('config/runs/a.yaml'))\n",
            }
        ),
        # keys that are numbers may repeat even for OmegaConf
        Example({"config/config.yaml": "1: a\n1: b\n", "src/main.py": _HYDRA_MAIN}),
    )
    INVALID = (
        # a template, which is YAML once its values are put in: a warning
        Example(
            {
                "config/smoke_test.yaml": "runs: [{run_id: a, width: ${width}}]\n",
                "src/main.py": "import string\nimport yaml\n\nwith open('config/smoke_test.yaml') as stream:\n"
                "    runs = yaml.safe_load(string.Template(stream.read()).substitute(width=8))\n",
            },
            contract="base",
            at=("config/smoke_test.yaml:1",),
        ),
        Example(
            {"config/config.yaml": "mode: full\nlayers: [1, 2\nwandb: {}\n", "src/main.py": _HYDRA_MAIN},
            at=("config/config.yaml:3",),
            repaired={"config/config.yaml": "mode: full\nlayers: [1, 2]\nwandb: {}\n"},
        ),
        Example(
            {"config/config.yaml": "mode: full\nseed: 1\nmode: trial\n", "src/main.py": _HYDRA_MAIN},
            at=("config/config.yaml:3",),
            repaired={"config/config.yaml": "mode: full\nseed: 1\n"},
        ),
        Example(
            {"config/smoke_test.yaml": "runs:\n  - run_id: a\n   seed: 1\n", "src/main.py": _LAUNCHER},
            contract="base",
            at=("config/smoke_test.yaml:3",),
            repaired={"config/smoke_test.yaml": "runs:\n  - run_id: a\n    seed: 1\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for path, file in project.yaml.items():
            if file.error is not None:
                if stray_text(file) is None and _pyyaml_agrees(file):
                    yield self._finding(project, path, file.error.problem, file.error.line)
            elif _omegaconf_loads(project, path):
                for key in islice(_repeated(file.documents[:1]), _MAX_KEYS):
                    yield self._finding(project, path, f"the key `{key.text}` is repeated", key.line)

    def _finding(self, project: Project, path: str, problem: str, line: int) -> Outcome:
        severity, consequence = weight(project, path)
        shown = problem.replace("\n", " ")[:200]
        return self.finding(
            path, line, severity=severity, consequence=consequence, problem=shown, path=path, line=line, detail=shown
        )


def weight(project: Project, path: str) -> tuple[Severity, Consequence]:
    """What it means that a YAML file cannot be loaded."""
    file = project.submission.files.get(path)
    contract = project.contract
    known = path == contract.role("config") or contract.is_run_file(path) or path in contract.variation_files
    if (file is not None and file.laid) or not known or any(map(_fills_in, project.python.values())):
        return Severity.WARNING, Consequence.BREAKS_CONTRACT
    if certainly_loaded(project, path):
        return Severity.BLOCKING, Consequence.CRASHES
    return Severity.BLOCKING, Consequence.BREAKS_CONTRACT


def _fills_in(file: PythonFile) -> bool:
    """Whether a program may put values into a text before it is loaded as YAML."""
    for call, name in file.calls:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
        if method in _FILLING:
            return True
        if name in _LOADS and any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("format", "format_map", "replace", "sub")
            for given in call.args[:1]
            for node in descend(given)
        ):
            return True
    return False


def _omegaconf_loads(project: Project, path: str) -> bool:
    """Whether OmegaConf, and not PyYAML by itself, certainly loads a file."""
    if project.contract.family != "experiment" or not certainly_loaded(project, path):
        return False
    readers = (project.role("main"), project.role("train"))
    by_itself = any(name in PYYAML_ONE for file in readers if file is not None for _, name in file.calls)
    return path == project.contract.role("config") or not by_itself


def _pyyaml_agrees(file: YamlFile) -> bool:
    """Whether PyYAML's own parser, which most programs use, refuses the text as libyaml does."""
    try:
        for _ in yaml.parse(file.text, Loader=yaml.SafeLoader):
            pass
    except yaml.YAMLError:
        return True
    except (RecursionError, ValueError):
        return True
    # undefined aliases are noticed by the composer, not by the parser
    return file.error is not None and "undefined alias" in file.error.problem


def _repeated(documents: tuple[Node, ...]) -> Iterator[Scalar]:
    pending: deque[Node] = deque(documents)
    seen_nodes: set[int] = set()
    while pending:
        node = pending.popleft()
        if id(node) in seen_nodes:
            continue
        seen_nodes.add(id(node))
        if isinstance(node, Sequence):
            pending.extend(node.items)
        elif isinstance(node, Mapping):
            names: set[str] = set()
            for key, value in node.pairs:
                if isinstance(key, Scalar) and _is_text(key):
                    if key.text in names:
                        yield key
                    names.add(key.text)
                pending.append(value)


def _is_text(key: Scalar) -> bool:
    """Whether OmegaConf takes a key for a text; others, and `<<`, may repeat. `1:30` is a number of base 60."""
    special = key.plain and (key.text in ("<<", "=") or (":" in key.text and key.text[0] in "+-0123456789"))
    return not special and isinstance(key.resolve(omegaconf=True), str)
