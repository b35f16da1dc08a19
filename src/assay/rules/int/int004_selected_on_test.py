"""INT004: the test split decides which checkpoint or which parameters are kept."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice

from assay.analysis.expressions import scope_nodes, words, words_of
from assay.analysis.own_functions import Own
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend
from assay.analysis.run_settings import never_searches
from assay.analysis.split_flow import SplitFlow
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule

_TEST = frozenset({"test"})
_MAX_DEPTH = 6
_MAX_DECISIONS = 30
_MODEL = frozenset(
    {"model", "net", "network", "checkpoint", "ckpt", "state", "weights", "adapter", "pretrained", "params"}
)
_FEEDS = frozenset({"append", "extend", "update", "add", "add_batch"})
_HEAD = (
    "from datasets import load_dataset\nimport torch\n\ntest = load_dataset('ag_news', split='test')\n"
    "train = load_dataset('ag_news', split='train')\n"
)
_LOOP = (
    "\ndef fit(model):\n    best = 0\n    for epoch in range(3):\n        accuracy = evaluate(model, {data})\n"
    "        if accuracy > best:\n            best = accuracy\n            torch.save(model.state_dict(), 'best.pt')\n"
)


class SelectedOnTest(Rule):
    """The test split is for the last measurement. Once it has chosen the checkpoint that is kept, or the parameters of the
    search, the score on it is no longer one on unseen data.

    The rule follows `load_dataset(..., split="test")`, `data["test"]` and `torchvision` datasets with `train=False` through
    names, functions and loaders. It blocks where a score that is computed on nothing but test data decides whether a model
    is saved, or is what the objective of an Optuna study returns. A dataset without a validation split is no excuse: hold
    out part of its training data.
    """

    code = "INT004"
    name = "selected-on-test"
    requirements = ("X5",)
    message = "{what} is chosen by {score}, which is measured on the test split"
    explanation = "The test score was used to choose, so it no longer says how the model does on unseen data."
    repair = (
        "Choose on a validation split (hold out part of the training data) and use the test split once, at the end."
    )

    VALID = (
        Example(
            {"src/train.py": _HEAD + "dev = load_dataset('ag_news', split='train[:5%]')\n" + _LOOP.format(data="dev")}
        ),
        # one part of the test split is for validation, the other for the end
        Example(
            {
                "src/train.py": _HEAD
                + "dev, last = test.select(range(50)), test.select(range(50, 100))\n"
                + _LOOP.format(data="dev")
            }
        ),
        Example(
            {
                "src/train.py": _HEAD
                + "parts = [load_dataset('ag_news', split=one) for one in ('test[:50%]', 'test[50%:]')]\n"
                "dev = load_dataset('ag_news', split='test[:50%]')\n" + _LOOP.format(data="dev")
            }
        ),
        # under the name test stands something else
        Example(
            {
                "src/train.py": _HEAD
                + "parts = load_dataset('glue', 'sst2')\nparts['test'] = parts['validation']\n"
                + _LOOP.format(data="parts['test']")
            }
        ),
        # the test score is tracked, and chooses nothing
        Example(
            {
                "src/train.py": _HEAD
                + "best = 0\naccuracy = evaluate(model, test)\nif accuracy > best:\n    best = accuracy\n"
            }
        ),
        # a table is kept, and no model
        Example(
            {
                "src/train.py": _HEAD
                + _LOOP.format(data="test").replace("torch.save(model.state_dict(), 'best.pt')", "save_table(rows)")
            }
        ),
        # the part that train_test_split calls test
        Example(
            {
                "src/train.py": _HEAD + "parts = train.train_test_split(test_size=0.1)\n"
                "dev = parts['test']\n" + _LOOP.format(data="dev")
            }
        ),
        Example({"src/train.py": _HEAD + "dev = choose(train, test)\n" + _LOOP.format(data="dev")}),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _LOOP.format(data="test")},
            at=("src/train.py:11",),
            repaired={
                "src/train.py": _HEAD + "dev = load_dataset('ag_news', split='train[:5%]')\n" + _LOOP.format(data="dev")
            },
        ),
        Example(
            {
                "src/preprocess.py": "from torch.utils.data import DataLoader\nfrom torchvision import datasets\n\n"
                "def loaders(cfg):\n    held = datasets.CIFAR10(cfg.root, train=False)\n"
                "    seen = datasets.CIFAR10(cfg.root, train=True)\n    return DataLoader(seen), DataLoader(held)\n",
                "src/train.py": "import optuna\nfrom src.preprocess import loaders\n\n"
                "def fit(cfg):\n    train_loader, val_loader = loaders(cfg)\n    model = learn(train_loader)\n"
                "    return measure(model, val_loader)\n\n"
                "def objective(trial):\n    return fit(draw(trial))\n\n"
                "study = optuna.create_study()\nstudy.optimize(objective, n_trials=9)\n",
            },
            at=("src/train.py:10",),
            repaired={
                "src/preprocess.py": "from torch.utils.data import DataLoader, random_split\n"
                "from torchvision import datasets\n\n"
                "def loaders(cfg):\n    seen = datasets.CIFAR10(cfg.root, train=True)\n"
                "    seen, held = random_split(seen, [45000, 5000])\n    return DataLoader(seen), DataLoader(held)\n"
            },
        ),
        Example(
            {
                "src/train.py": _HEAD + "\ndef check(model, best):\n    right = total = 0\n    for batch in test:\n"
                "        right += score(model, batch)\n        total += 1\n    accuracy = right / total\n"
                "    if accuracy > best:\n        torch.save(model.state_dict(), 'best.pt')\n        best = accuracy\n"
                "    return best\n"
            },
            at=("src/train.py:13",),
            repaired={"src/train.py": _HEAD + "\ndef check(model):\n    torch.save(model.state_dict(), 'last.pt')\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        flow = project.shared(SplitFlow)
        for file in project.python.values():
            if "best" not in file.text and ".optimize(" not in file.text:
                continue
            decisions = ((node, _deciding_score(file, node)) for node in file.nodes_of(ast.If))
            for node, score in islice((item for item in decisions if item[1] is not None), _MAX_DECISIONS):
                if score is not None:
                    place = _on_test(flow, file, score, 0)
                    if place is not None:
                        yield self.finding(
                            file.path,
                            node,
                            symbol=file.symbol_of(node) or None,
                            what="the checkpoint that is kept",
                            score=_name(score),
                            frames=(Frame(*place),),
                        )
            if never_searches(project):
                continue
            searches = (call for call, _ in file.calls if _last(call.func) == "optimize" and call.args)
            for call in islice(searches, _MAX_DECISIONS):
                yield from self._objective(flow, file, call)

    def _objective(self, flow: SplitFlow, file: PythonFile, call: ast.Call) -> Iterator[Outcome]:
        objective: Own | None = None
        given = call.args[0]
        if isinstance(given, ast.Lambda) and isinstance(given.body, ast.Call):
            objective = flow.own.called(file, given.body.func)
        elif isinstance(given, ast.Name):
            objective = flow.own.called(file, given)
            if objective is None:
                near = [function for function in file.functions if function.name == given.id]
                objective = (file, near[0]) if len(near) == 1 else None
        if objective is None:
            return
        home, function = objective
        returned = [node for node in scope_nodes(function) if isinstance(node, ast.Return) and node.value is not None]
        places = [_on_test(flow, home, node.value, 0) for node in returned if node.value is not None]
        if returned and all(places):
            last = returned[-1]
            yield self.finding(
                home.path,
                last,
                symbol=home.symbol_of(last) or None,
                what="the best trial of the search",
                score=_name(last.value) if last.value is not None else "a score",
                frames=tuple(Frame(*place) for place in places if place),
            )


def _name(node: ast.AST) -> str:
    """A short name for a score."""
    if isinstance(node, ast.Name):
        return node.id
    return next((part.id for part in descend(node) if isinstance(part, ast.Name)), "a score")


def _deciding_score(file: PythonFile, node: ast.If) -> ast.expr | None:
    """The score in `if score > best: best = score; torch.save(...)`."""
    test = node.test
    if isinstance(test, ast.BoolOp):
        compared = [part for part in test.values if isinstance(part, ast.Compare)]
        test = compared[0] if len(compared) == 1 and isinstance(test.op, ast.And) else test
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    if not isinstance(test.ops[0], ast.Gt | ast.Lt | ast.GtE | ast.LtE):
        return None
    left, right = test.left, test.comparators[0]
    best = {side for side in (left, right) if "best" in words_of(_last(side))}
    if len(best) != 1:
        return None
    score = right if left in best else left
    kept = _last(best.pop())
    names = {
        _last(target)
        for statement in node.body
        for part in descend(statement)
        if isinstance(part, ast.Assign)
        for target in part.targets
    }
    saves = any(
        isinstance(part, ast.Call) and _keeps_model(file, part)
        for statement in node.body
        for part in descend(statement)
    )
    return score if kept in names and saves else None


def _keeps_model(file: PythonFile, call: ast.Call) -> bool:
    """Whether a call keeps the model, and not only a number or a table."""
    held = set(words_of(_last(call.func)))
    if "state" in held and "dict" in held:
        return True
    if file.qualified(call.func) == "torch.save":
        return True
    return bool(({"save", "dump", "deepcopy"} & held) and _MODEL & {*held, *words(call)})


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _on_test(
    flow: SplitFlow, file: PythonFile, node: ast.expr, depth: int, index: int | None = None
) -> tuple[str, int] | None:
    """Where a score is measured, if that is certainly done on test data alone: file and line."""
    if depth > _MAX_DEPTH:
        return None
    key = _key(flow, file, node) if isinstance(node, ast.Subscript) else None
    if isinstance(node, ast.Subscript):
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            index = node.slice.value
        node = node.value
    if isinstance(node, ast.Attribute):
        # `meter.value`, where the meter is fed in a loop over test data
        return _fed_on_test(flow, file, node.value) if isinstance(node.value, ast.Name) else None
    if isinstance(node, ast.Tuple) and index is not None and index < len(node.elts):
        return _on_test(flow, file, node.elts[index], depth + 1)
    if isinstance(node, ast.Dict):
        found = [
            v for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant) and k.value == key
        ]
        return _on_test(flow, file, found[0], depth + 1) if len(found) == 1 and key is not None else None
    if isinstance(node, ast.Call):
        return _measured(flow, file, node, depth, index, key)
    if isinstance(node, ast.Name):
        scope = file.function_of(node) or file.tree
        if scope is None:
            return None
        bound = [(value, place) for value, place in _values(scope, node.id) if not isinstance(value, ast.Constant)]
        places = []
        for value, place in bound:
            if isinstance(value, ast.Call | ast.Subscript | ast.Dict | ast.Name) and value is not node:
                if isinstance(value, ast.Dict) and key is not None:
                    entries = [
                        v
                        for k, v in zip(value.keys, value.values, strict=True)
                        if isinstance(k, ast.Constant) and k.value == key
                    ]
                    found_at = _on_test(flow, file, entries[0], depth + 1) if len(entries) == 1 else None
                elif isinstance(value, ast.Call):
                    found_at = _measured(flow, file, value, depth + 1, place if place is not None else index, key)
                    found_at = found_at or _fed_on_test(flow, file, value)
                else:
                    found_at = _on_test(flow, file, value, depth + 1, place if place is not None else index)
                places.append(found_at)
            else:
                places.append(_fed_on_test(flow, file, value))
        return places[0] if places and all(places) else None
    return _fed_on_test(flow, file, node)


def _key(flow: SplitFlow, file: PythonFile, node: ast.Subscript) -> str | None:
    return flow.text(file, node.slice)


def _values(scope: FunctionNode | ast.Module, name: str) -> Iterator[tuple[ast.expr, int | None]]:
    """What a scope assigns to a name, with the place in a tuple."""
    for node in scope_nodes(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value, None
                elif isinstance(target, ast.Tuple):
                    for place, item in enumerate(target.elts):
                        if isinstance(item, ast.Name) and item.id == name:
                            yield node.value, place
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            own = isinstance(node.target, ast.Name) and node.target.id == name
            if own and node.value is not None:
                yield node.value, None


def _measured(
    flow: SplitFlow, file: PythonFile, call: ast.Call, depth: int, index: int | None, key: str | None
) -> tuple[str, int] | None:
    """Where a call measures on test data: it is given nothing else, or the function of the submission does so."""
    if isinstance(call.func, ast.Name) and call.func.id in ("float", "max", "min", "round") and call.args:
        real = [item for item in call.args if "best" not in words_of(_last(item))]
        return _on_test(flow, file, real[0], depth + 1) if len(real) == 1 else None
    given = [*call.args, *(item.value for item in call.keywords)]
    known = [flow.splits(file, item) for item in given if isinstance(item, ast.Name | ast.Subscript | ast.Call)]
    data = [splits for splits in known if splits]
    if data:
        return (file.path, call.lineno) if all(splits == _TEST for splits in data) else None
    own = flow.own.called(file, call.func)
    if own is None:
        return None
    home, function = own
    returned = [node.value for node in scope_nodes(function) if isinstance(node, ast.Return) and node.value is not None]
    places = []
    for value in returned:
        inner: ast.expr = value
        if key is not None and isinstance(value, ast.Name | ast.Dict):
            inner = ast.Subscript(value=value, slice=ast.Constant(value=key), ctx=ast.Load())
        places.append(_on_test(flow, home, inner, depth + 1, index))
    return places[0] if places and all(places) else None


def _fed_on_test(flow: SplitFlow, file: PythonFile, node: ast.AST) -> tuple[str, int] | None:
    """Where the parts of a score are summed up, if that is in loops over test data alone."""
    names = {part.id for part in descend(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
    first = next((part for part in descend(node) if isinstance(part, ast.Name)), None)
    scope = (file.function_of(first) or file.tree) if first is not None else None
    if scope is None:
        return None
    loops: list[ast.For | ast.AsyncFor] = []
    for part in scope_nodes(scope):
        fed = isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name) and part.target.id in names
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in _FEEDS:
            fed = isinstance(part.func.value, ast.Name) and part.func.value.id in names
        if fed:
            around = next((up for up in file.ancestors(part) if isinstance(up, ast.For | ast.AsyncFor)), None)
            if around is None:
                return None
            loops.append(around)
    if not loops or not all(flow.splits(file, loop.iter) == _TEST for loop in loops):
        return None
    return file.path, loops[0].lineno
