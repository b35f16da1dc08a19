"""CFG004: a number that PyYAML reads as text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.configuration_loading import (
    OMEGACONF_LOAD,
    PYYAML_MANY,
    PYYAML_ONE,
    certainly_loaded,
    uses_hydra,
)
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword, string_value
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.yaml_tree import Mapping, Node, Scalar, Sequence

_NUMBER = re.compile(r"([-+]?)(\d[\d_]*|\d[\d_]*\.[\d_]*|\.\d[\d_]*)[eE]([-+]?)(\d+)")
# Settings that are numbers in every library that has them; another key may hold a text such as a commit's `12e4`.
_QUANTITY = re.compile(
    r"(?:.*[._-])?(?:lr|lrs|rate|wd|decay|eps|epsilon|alpha|beta\d?|gamma|lambda|eta|tau|rho|sigma|momentum|dropout"
    r"|temperature|tol|tolerance|coef|coeff|penalty|threshold)(?:[._-](?:\d|init|min|max|start|end|final))?"
)
# `int` is none of them: it refuses `1e-3`.
_CONVERSIONS = frozenset({"float", "decimal.Decimal", "numpy.float32", "numpy.float64", "ast.literal_eval", "eval"})
# Calls that make numbers of whatever they are given.
_CONVERT_ALL = ("add_implicit_resolver", "pandas.to_numeric", ".astype")
# Libraries that give configuration values the types of declared fields.
_TYPED = frozenset(
    {"pydantic", "pydantic_settings", "dacite", "cattrs", "marshmallow", "hydra_zen", "ruamel", "omegaconf"}
)
# Enough for any real submission; a hostile one may not make the rule slow.
_MAX_KEYS = 50

_YAML = "runs:\n  - run_id: a\n    training: {epochs: 1}\n    optimizer:\n      lr: 1e-3\n"
_GOOD_YAML = _YAML.replace("1e-3", "1.0e-3")
_MAIN = """import yaml

from src.train import train

train(yaml.safe_load(open("config/full_experiment.yaml")))
"""
_TRAIN = """import torch


def train(cfg):
    model = torch.nn.Linear(1, 1)
    settings = cfg["runs"][0]["optimizer"]
    optimizer = torch.optim.SGD(model.parameters(), lr=settings["lr"])
    optimizer.step()
"""


def _files(train: str = _TRAIN, text: str = _YAML) -> dict[str, str]:
    return {"config/full_experiment.yaml": text, "src/main.py": _MAIN, "src/train.py": train}


def _with(more: str) -> dict[str, str]:
    return _files(f"{_TRAIN}\n\n{more}")


class NumberReadAsText(Rule):
    """A value such as `1e-4` stands in a YAML file that the program loads with PyYAML.

    PyYAML follows YAML 1.1, in which a float has a dot, and its exponent a sign: `1e-4`, `1E5` and `2.e5` are
    strings. OmegaConf, and with it Hydra, replaces that rule and reads floats, so only files that PyYAML loads
    are looked at. A learning rate that is a text is no parameter: an optimizer refuses it, and so does arithmetic.
    Where the program may make a number of it, or the key may well hold a text, the finding is a warning.
    """

    code = "CFG004"
    name = "number-read-as-text"
    requirements = ("B4.7", "D4.3")
    message = "PyYAML reads `{key}: {text}` as text, not as a number"
    explanation = "The program gets a text, which optimizers and arithmetic refuse."
    repair = "Write `{better}`."

    VALID = (
        Example(_files(text=_GOOD_YAML), contract="base"),
        Example(_files(_TRAIN.replace('settings["lr"]', 'float(settings["lr"])')), contract="base"),
        # OmegaConf reads floats
        Example(
            {
                "config/full_experiment.yaml": _YAML,
                "src/main.py": "from omegaconf import OmegaConf\n\ncfg = OmegaConf.load('config/full_experiment.yaml')\n",
            },
            contract="derived",
        ),
        # quoted on purpose, or no number at all
        Example(_files(text=_YAML.replace("lr: 1e-3", "tag: '1e-3'\n      hash: 12e4f")), contract="base"),
        # Hydra loads the run files
        Example(
            {
                "config/config.yaml": "defaults:\n  - runs: a\n",
                "config/runs/a.yaml": "training: {lr: 1e-4}\n",
                "src/main.py": "import hydra\n\n\n@hydra.main(version_base=None, config_path='../config', config_name='config')\ndef main(cfg):\n    print(cfg)\n",
            }
        ),
    )
    INVALID = (
        Example(_files(), contract="derived", at=("config/full_experiment.yaml:5",), repaired=_files(text=_GOOD_YAML)),
        # a text by its key, perhaps; or the program may convert it: only a warning
        Example(_files(text=_YAML.replace("lr:", "commit:")), contract="base", at=("config/full_experiment.yaml:5",)),
        Example(
            _with("def numbers(section):\n    return {key: float(value) for key, value in section.items()}\n"),
            contract="base",
            at=("config/full_experiment.yaml:5",),
        ),
        Example(
            _with("import argparse\n\nparser = argparse.ArgumentParser()\nparser.add_argument('--rate', type=float)\n"),
            contract="base",
            at=("config/full_experiment.yaml:5",),
        ),
        Example(_with("rates = list(map(float, [])) \n"), contract="base", at=("config/full_experiment.yaml:5",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        python = [file for file in project.python.values() if file.tree is not None]
        if any(item.module.partition(".")[0] in _TYPED for file in python for item in file.imports):
            return
        converted, certain = _converted_names(python), not _converts_more(python)
        for path in _paths(project):
            by_key: dict[str, list[Scalar]] = {}
            for key, scalar in _texts(project.yaml[path].root):
                by_key.setdefault(key, []).append(scalar)
            for key, scalars in list(by_key.items())[:_MAX_KEYS]:
                if key.replace("-", "_") in converted:
                    continue
                proved = certain and _QUANTITY.fullmatch(key.lower()) and certainly_loaded(project, path)
                yield self.finding(
                    path,
                    scalars[0],
                    severity=Severity.BLOCKING if proved else Severity.WARNING,
                    symbol=key or None,
                    key=key,
                    text=scalars[0].text,
                    better=_better(scalars[0].text),
                    frames=tuple(Frame(path, scalar.line) for scalar in scalars[1:20]),
                )


def _paths(project: Project) -> list[str]:
    """The YAML files whose values PyYAML gives to the program."""
    readers = [file for role in ("main", "train") if (file := project.role(role)) is not None]
    names = {name for file in readers for _, name in file.calls}
    if not names & (PYYAML_ONE | PYYAML_MANY) or OMEGACONF_LOAD in names:
        return []
    if project.contract.family == "experiment":
        if any(uses_hydra(file) for file in readers):
            return []
        listed: tuple[str, ...] = tuple(project.run_files)
    else:
        listed = project.contract.variation_files
    return [path for path in listed if path in project.yaml and project.yaml[path].root is not None]


def _texts(root: Node | None) -> Iterator[tuple[str, Scalar]]:
    """The values that look like numbers and are none to PyYAML, each with the key it stands under."""
    pending: list[tuple[Node, str]] = [(root, "")] if root is not None else []
    seen: set[int] = set()
    while pending:
        node, key = pending.pop()
        if isinstance(node, Scalar):
            if node.plain and node.tag is None and _NUMBER.fullmatch(node.text) and isinstance(node.resolve(), str):
                yield key, node
        elif id(node) not in seen:
            seen.add(id(node))
            if isinstance(node, Sequence):
                pending.extend((item, key) for item in reversed(node.items))
            elif isinstance(node, Mapping):
                pending.extend((value, name.text) for name, value in reversed(node.pairs) if isinstance(name, Scalar))


def _better(text: str) -> str:
    match = _NUMBER.fullmatch(text)
    assert match is not None
    sign, digits, exponent_sign, exponent = match.groups()
    if "." not in digits:
        digits += ".0"
    elif digits.startswith("."):
        digits = f"0{digits}"
    return f"{sign}{digits}e{exponent_sign or '+'}{exponent}"


def _converts_more(files: list[PythonFile]) -> bool:
    """Whether the program may make numbers of values that it does not name.

    A conversion stands as a function (`map(float, values)`, `type=float`), or is called with a parameter, the variable
    of a loop, or an item under a key that is a variable.
    """
    for file in files:
        # torch makes no tensor of a text, numpy an array of any
        numpy = (call for call, name in file.calls if name.startswith("numpy."))
        if any(name.endswith(_CONVERT_ALL) for _, name in file.calls) or any(keyword(call, "dtype") for call in numpy):
            return True
        varying = {node.arg for node in file.nodes_of(ast.arg)}
        for loop in file.nodes_of(ast.comprehension, ast.For):
            varying.update(inner.id for inner in descend(loop.target) if isinstance(inner, ast.Name))
        for node in file.nodes_of(ast.Name, ast.Attribute):
            if file.qualified(node) not in _CONVERSIONS:
                continue
            parent = file.parents.get(node)
            if isinstance(parent, ast.keyword | ast.Dict):
                return True
            if not isinstance(parent, ast.Call):
                continue
            if parent.func is not node:
                if file.qualified(parent.func) != "isinstance":
                    return True
                continue
            value = parent.args[0] if parent.args else None
            if isinstance(value, ast.Name) and value.id in varying:
                return True
            if isinstance(value, ast.Subscript) and string_value(value.slice) is None:
                return True
    return False


def _converted_names(files: list[PythonFile]) -> set[str]:
    """What conversions name, as text, variable or attribute."""
    found: set[str] = set()
    for file in files:
        for call, name in file.calls:
            if name in _CONVERSIONS or name.endswith((".float", ".float32", ".float64", ".tensor", ".as_tensor")):
                for node in descend(call):
                    if isinstance(node, ast.Name):
                        found.add(node.id)
                    elif isinstance(node, ast.Attribute):
                        found.add(node.attr)
                    elif text := string_value(node):
                        found.add(text)
    return found
