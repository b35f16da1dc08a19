"""HPO006: the search sets a value that no code reads."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from assay import yaml_tree
from assay.analysis.name_origins import How
from assay.analysis.parameter_search import SPACE, ParameterSearch, Searched, parameter_search
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, keyword, string_value
from assay.analysis.run_variations import texts
from assay.analysis.text_pattern import arguments
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule

_UPDATE = "omegaconf.OmegaConf.update"
_BEST = frozenset({"best_params", "params"})
_ROOTS = frozenset({"cfg", "config", "conf", "args", "hparams", "opt", "options", "settings", "configuration"})
_SHOWN = 6
_MAX_ROUTES = 10
_MAX_LOOPS = 200
_RUN = "training: {{lr: 0.1}}\noptuna:\n  n_trials: 10\n  search_space:\n    {name}: {{type: uniform, low: 0.0, high: 1.0}}\n"


def _example(update: str, name: str = "lr", read: str = "cfg.training.lr") -> dict[str, str]:
    return {
        "src/train.py": "import copy\n\nimport optuna\nfrom omegaconf import OmegaConf\n\n\ndef objective(trial, base):\n"
        "    cfg = copy.deepcopy(base)\n    for name, space in base.optuna.search_space.items():\n"
        f"        value = trial.suggest_float(name, space.low, space.high)\n        {update}\n    return 1 / {read}\n",
        "config/runs/a.yaml": _RUN.format(name=name),
    }


class SearchedNameNeverRead(Rule):
    """Each name of `optuna.search_space` becomes a path in the configuration, and the code that trains reads that path.

    A name that lacks its section (`lr` in place of `training.lr`) sets a new key at the top of the configuration. Where
    the configuration takes new keys, training goes on with the old value, so that all trials are the same; where it does
    not, OmegaConf raises an error. The same happens where underscores are turned into dots: `lora_r` becomes `lora.r`.

    The rule follows how a name becomes a path, and asks whether the run's configuration holds that path and whether any
    code may read it. Where the code looks for the name in its sections, or gives some names a treatment of their own, it
    says nothing.
    """

    code = "HPO006"
    name = "searched-name-never-read"
    yields_to = ("HPO011",)
    requirements = ("E7.3",)
    message = "the search sets {paths}, which no code reads"
    explanation = "The configuration of {runs} has no such key: the update fails, or training never sees the value."
    repair = "Set the paths that the code reads, such as `training.lr`: in the search space, or where its names become paths."

    VALID = (
        Example(_example("OmegaConf.update(cfg, name, value)", "training.lr")),
        Example(_example("OmegaConf.update(cfg, f'training.{name}', value)")),
        # it looks where the name belongs
        Example(
            _example(
                "if name in cfg.training:\n            cfg.training[name] = value\n        else:\n"
                "            OmegaConf.update(cfg, name, value)"
            )
        ),
        Example(_example("OmegaConf.update(cfg, name, value)", read="cfg.lr")),
        Example(_example("OmegaConf.update(cfg, name, value)", read="cfg.get('lr', 0.1)")),
        # the run's configuration refers to it
        Example(
            {
                **_example("OmegaConf.update(cfg, name, value)", name="rate"),
                "config/config.yaml": "training: {lr: '${rate}'}\n",
            }
        ),
        Example(_example("OmegaConf.update(cfg, name, value)", read="fit(**cfg)")),
        Example(_example("OmegaConf.update(cfg, TABLE[name], value)")),
    )
    INVALID = (
        Example(
            _example("OmegaConf.update(cfg, name, value)"),
            at=("src/train.py:11",),
            repaired=_example("OmegaConf.update(cfg, f'training.{name}', value)"),
        ),
        Example(
            _example("OmegaConf.update(cfg, name.replace('_', '.'), value)", "warmup_lr", "cfg.training.warmup_lr"),
            at=("src/train.py:11",),
            repaired=_example("OmegaConf.update(cfg, f'training.{name}', value)"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        search = parameter_search(project)
        if not search.searched or any(file.tree is None for file in project.python.values()):
            return
        routes = [route for file in search.files for route in islice(_routes(search, file), _MAX_ROUTES)]
        if not routes:
            return
        reads = _Reads(search)
        lost: list[tuple[Searched, str]] = []
        first = routes[0]
        for item in search.searched:
            path = first.path_of(item.name)
            if path and item.active and not _exists(search.merged(item.run), path) and not reads.may_read(path):
                lost.append((item, path))
        # two places that make different paths of a name are not understood
        if not lost or len({route.path_of(item.name) for route in routes for item, _ in lost}) != len(
            {path for _, path in lost}
        ):
            return
        paths = list(dict.fromkeys(path for _, path in lost))
        runs = list(dict.fromkeys(yaml_name(item.run) for item, _ in lost))
        shown = ", ".join(f"`{path}`" for path in paths[:_SHOWN])
        yield self.finding(
            first.file.path,
            first.call,
            symbol=first.file.symbol_of(first.call) or None,
            paths=f"{shown} and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else shown,
            runs=", ".join(runs[:3]),
            frames=(
                *(Frame(route.file.path, route.call.lineno) for route in routes[1:3]),
                *(Frame(item.file, item.key.line) for item, _ in lost[:_SHOWN]),
            ),
        )


def yaml_name(path: str) -> str:
    """The run that a run file belongs to, by its name."""
    return path.rpartition("/")[2].rpartition(".")[0]


class _Route(NamedTuple):
    """A place where a searched name becomes a path, and how."""

    file: PythonFile
    call: ast.Call
    path_of: Callable[[str], str]


def _routes(search: ParameterSearch, file: PythonFile) -> Iterator[_Route]:
    """The calls of a file that set every searched name, or every best value, by a path that is made of the name alone."""
    looked = 0
    for call, called in file.calls:
        loop = next((up for up in file.ancestors(call) if isinstance(up, ast.For | FunctionNode)), None)
        if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Tuple):
            continue
        key: ast.expr | None = None
        if called == _UPDATE:
            key = call.args[1] if len(call.args) > 1 else keyword(call, "key")
        elif (own := search.calls.called(file, call)) is not None:
            key = _set_by_path(own[1], call)
        name = _made_of(key)
        if key is None or name is None:
            continue
        if not _runs_through_names(search, file, loop, name.id):
            continue
        # names may have a treatment of their own
        looked += 1
        if looked > _MAX_LOOPS:
            return
        if any(
            isinstance(node, ast.Name) and node.id == name.id
            for item in descend(loop)
            if isinstance(item, ast.If | ast.IfExp | ast.Try | ast.Match | ast.While)
            for node in descend(item.test if isinstance(item, ast.If | ast.IfExp | ast.While) else item)
        ):
            continue
        path_of = _path_of(key)
        if path_of is not None:
            yield _Route(file, call, path_of)


def _made_of(key: ast.expr | None) -> ast.Name | None:
    """The one name that a path is made of."""
    names = [node for node in descend(key) if isinstance(node, ast.Name)] if key is not None else []
    return names[0] if len(names) == 1 else None


def _path_of(key: ast.expr) -> Callable[[str], str] | None:
    if isinstance(key, ast.Name):
        return str
    if isinstance(key, ast.Call) and isinstance(key.func, ast.Attribute) and isinstance(key.func.value, ast.Name):
        given = [string_value(item) for item in key.args]
        if key.func.attr == "replace" and len(given) == 2 and given[0] and given[1] is not None:
            old, new = given[0], given[1]
            return lambda name: name.replace(old, new)
        return None
    if isinstance(key, ast.JoinedStr):
        texts_ = [string_value(part) for part in key.values]
        if texts_.count(None) == 1 and all(
            isinstance(part, ast.Constant)
            or (isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name))
            for part in key.values
        ):
            return lambda name: "".join(name if text is None else text for text in texts_)
    return None


def _set_by_path(function: FunctionNode, call: ast.Call) -> ast.expr | None:
    """What a call gives a function of the submission as the path by which it sets a value; None where it does more."""
    nodes = list(descend(function))
    split = [
        node.func.value
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split"
    ]
    stores = any(isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) for node in nodes)
    if len(split) != 1 or not stores or any(isinstance(node, ast.If | ast.IfExp | ast.Try) for node in nodes):
        return None
    return arguments(function, call).get(split[0].id) if isinstance(split[0], ast.Name) else None


def _runs_through_names(search: ParameterSearch, file: PythonFile, loop: ast.For, name: str) -> bool:
    """Whether a loop runs through the searched names, or through the best values, and binds a name to each."""
    if not (isinstance(loop.target, ast.Tuple) and loop.target.elts and isinstance(loop.target.elts[0], ast.Name)):
        return False
    if loop.target.elts[0].id != name or not isinstance(loop.iter, ast.Call):
        return False
    source = loop.iter.func
    if not isinstance(source, ast.Attribute) or source.attr != "items":
        return False
    held: ast.expr | None = source.value
    if isinstance(held, ast.Name):
        origins = search.origins[file].of(held)
        held = origins[0].expression if len(origins) == 1 and origins[0].how is How.VALUE else None
    if isinstance(held, ast.Subscript):
        return string_value(held.slice) == SPACE
    return isinstance(held, ast.Attribute) and held.attr in (SPACE, *_BEST)


def _exists(roots: list[yaml_tree.Node], path: str) -> bool:
    """Whether a configuration holds a path, or what it holds cannot be told from the files."""
    keys = path.split(".")
    for root in roots:
        for place in range(1, len(keys) + 1):
            node = yaml_tree.find(root, *keys[:place])
            if place == len(keys) and node is not None:
                return True
            if isinstance(node, yaml_tree.Scalar) and "${" in node.text:
                return True
            if isinstance(node, yaml_tree.Mapping) and node.key("<<") is not None:
                return True
        if isinstance(root, yaml_tree.Mapping) and root.key("<<") is not None:
            return True
    return False


class _Reads:
    """What the code of a submission may read from the top of a configuration, or below a section of it."""

    def __init__(self, search: ParameterSearch) -> None:
        self._search = search
        self._by_attribute: dict[str, list[tuple[PythonFile, ast.Attribute]]] = {}
        self._by_text: dict[str, list[tuple[PythonFile, ast.AST]]] = {}
        self._spread: list[tuple[PythonFile, ast.expr]] = []
        for file in search.files:
            for node in file.nodes:
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    self._by_attribute.setdefault(node.attr, []).append((file, node))
                elif (text := string_value(node)) is not None:
                    self._by_text.setdefault(text, []).append((file, node))
                elif isinstance(node, ast.keyword) and node.arg is None:
                    self._spread.append((file, node.value))
        values = (text for file in search.project.yaml.values() for root in file.documents for text in texts(root))
        self._interpolations = [text for text in values if "${" in text]

    def may_read(self, path: str) -> bool:
        """Whether some code may read a path, for all that reading tells."""
        *above, last = path.split(".")
        holder = above[-1] if above else None
        if any(last in text for text in self._interpolations):
            return True
        if any(self._may_be(file, node.value, holder) for file, node in self._by_attribute.get(last, ())):
            return True
        for file, node in self._by_text.get(last, ()):
            parent = file.parents.get(node)
            if isinstance(parent, ast.Dict) and node in parent.keys:
                continue
            if isinstance(parent, ast.Subscript):
                if isinstance(parent.ctx, ast.Load) and self._may_be(file, parent.value, holder):
                    return True
            elif isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute) and parent.func.attr == "get":
                if self._may_be(file, parent.func.value, holder):
                    return True
            else:
                return True
        if path != last and path in self._by_text:
            return True
        return any(self._may_be(file, node, holder) for file, node in self._spread)

    def _may_be(self, file: PythonFile, node: ast.expr, holder: str | None, depth: int = 0) -> bool:
        """Whether an expression may be the section of that name; without a name, the whole configuration."""
        if isinstance(node, ast.Call):
            # `OmegaConf.to_container(cfg.model)`, `vars(args)`, `cfg.get("model")`
            if isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
                return holder is not None and string_value(node.args[0]) in (holder, None)
            return any(self._may_be(file, item, holder, depth + 1) for item in node.args) if depth < 4 else True
        last = node.attr if isinstance(node, ast.Attribute) else None
        if isinstance(node, ast.Subscript):
            last = string_value(node.slice)
            if last is None:
                return True
        if last is not None:
            return last == holder or last in _ROOTS
        if not isinstance(node, ast.Name) or depth > 4:
            return True
        if node.id == "self" or any(item.bound == node.id for item in file.imports):
            return False
        return self._name_may_be(file, node, holder, depth)

    def _name_may_be(self, file: PythonFile, node: ast.Name, holder: str | None, depth: int) -> bool:
        origins = self._search.origins[file].of(node)
        for item in origins:
            if item.how is How.VALUE and isinstance(item.expression, ast.Attribute | ast.Subscript | ast.Call):
                if not self._may_be(file, item.expression, holder, depth + 1):
                    continue
            elif item.how is How.VALUE and not isinstance(
                item.expression, ast.Name | ast.IfExp | ast.BoolOp | ast.Await
            ):
                # a literal, a comprehension or a sum is no part of a configuration
                continue
            elif item.how is How.ELEMENT and not (holder and _is_part_by_part(item.expression)):
                continue
            elif item.how is How.PARAMETER and item.function is not None and isinstance(item.node, ast.arg):
                if item.node is item.function.args.kwarg:
                    # whoever fills it spreads a configuration there, not here
                    continue
                given = self._search.calls.given(item.function, item.node.arg)
                if given and not any(self._may_be(other, value, holder, depth + 1) for other, value in given):
                    continue
            return True
        return not origins


def _is_part_by_part(node: ast.expr | None) -> bool:
    """Whether a loop runs through the sections of something."""
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr in ("items", "values")
