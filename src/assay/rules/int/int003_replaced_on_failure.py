"""INT003: where the model or method that was asked for fails, another one is used."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.data_sources import hub_model
from assay.analysis.expressions import is_same, last_part, root_name, words, words_of
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword, string_value
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# https://docs.pytorch.org/docs/2.9/hub.html, https://timm.fast.ai, https://huggingface.co/docs/peft/v0.17.0
_BUILDERS = frozenset({"timm.create_model", "torch.hub.load", "sentence_transformers.SentenceTransformer"})
_SAYS = frozenset({"print", "warn", "warning", "info", "error", "exception"})
_BESIDE = ("Tokenizer", "Processor", "Config", "FeatureExtractor")
_HEAD = "from torch import nn\nfrom transformers import AutoModel\n\nclass Small(nn.Module):\n    pass\n\n"


class ReplacedOnFailure(Rule):
    """When a model cannot be built, a program that builds another one and goes on reports results of an experiment that
    nobody asked for.

    The rule reads `try` blocks that build a model whose handler neither raises nor ends the program. It blocks where the
    handler puts another model into the same name, or returns one: a hub name written in the handler, or a class of the
    submission. Another tokenizer, a part that is left out, and a method that stands in for an unknown name are warnings.
    """

    code = "INT003"
    name = "replaced-on-failure"
    requirements = ("X4", "E4.2", "D3.4")
    message = "where {wanted} fails, {given} takes its place"
    explanation = "The run goes on and reports results of something else than what was asked for."
    repair = "Let the error stop the run, or say in the configuration which one to use."

    VALID = (
        Example(
            {
                "src/model.py": _HEAD
                + "def build(cfg):\n    try:\n        return AutoModel.from_pretrained(cfg.model.name)\n"
                "    except OSError as error:\n        raise SystemExit(f'no such model: {error}')\n"
            }
        ),
        # the same model, loaded in another way
        Example(
            {
                "src/model.py": _HEAD
                + "try:\n    model = AutoModel.from_pretrained(name, attn_implementation='flash_attention_2')\n"
                "except ImportError:\n    model = AutoModel.from_pretrained(name)\n"
            }
        ),
        Example(
            {
                "src/model.py": _HEAD + "try:\n    model = AutoModel.from_pretrained(cfg.model.name)\n"
                "except OSError:\n    model = AutoModel.from_pretrained(cfg.model.path)\n"
            }
        ),
        # a copy on this machine
        Example(
            {
                "src/model.py": _HEAD + "try:\n    model = AutoModel.from_pretrained('gpt2')\n"
                "except OSError:\n    model = AutoModel.from_pretrained('./models/gpt2')\n"
            }
        ),
        Example({"src/model.py": _HEAD + "try:\n    model = Small()\nexcept TypeError:\n    model = None\n"}),
    )
    INVALID = (
        Example(
            {
                "src/model.py": _HEAD + "try:\n    model = AutoModel.from_pretrained(cfg.model.name)\n"
                "except Exception:\n    model = AutoModel.from_pretrained('gpt2')\n"
            },
            at=("src/model.py:10",),
            repaired={"src/model.py": _HEAD + "model = AutoModel.from_pretrained(cfg.model.name)\n"},
        ),
        Example(
            {
                "src/model.py": _HEAD
                + "def build(cfg):\n    try:\n        return AutoModel.from_pretrained(cfg.model.name)\n"
                "    except Exception as error:\n        print(error)\n        return Small()\n"
            },
            at=("src/model.py:12",),
            repaired={
                "src/model.py": _HEAD + "def build(cfg):\n    return AutoModel.from_pretrained(cfg.model.name)\n"
            },
        ),
        Example(
            {
                "src/model.py": "from peft import get_peft_model\n\ntry:\n    model = get_peft_model(model, options)\n"
                "except Exception as error:\n    print(error)\n"
            },
            at=("src/model.py:5",),
        ),
        Example(
            {"src/model.py": _HEAD + "kind = {'small': Small}.get(cfg.model.name, Small)\n"}, at=("src/model.py:7",)
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        evaluate = project.role("evaluate")
        modules = {
            node.name
            for file in project.python.values()
            for node in file.classes
            if any("module" in words(base) or "model" in words_of(last_part(base)) for base in node.bases)
        }
        for file in project.python.values():
            if file is evaluate:
                continue
            reader = PatternReader(file)
            for node in file.nodes_of(ast.Try):
                if node.handlers:
                    yield from self._tried(reader, node, modules)
            yield from self._default(file, modules)

    def _tried(self, reader: PatternReader, node: ast.Try, modules: set[str]) -> Iterator[Outcome]:
        file = reader.file
        wanted = _built(file, node.body, modules)
        if not wanted:
            return
        for handler in node.handlers:
            if any(isinstance(part, ast.Raise) for statement in handler.body for part in descend(statement)):
                continue
            if any(_ends(file, part) for statement in handler.body for part in descend(statement)):
                continue
            given = _built(file, handler.body, modules)
            for target, call in wanted.items():
                other = given.get(target)
                if other is not None and not _is_same_thing(call, other):
                    # another setting of the configuration, or a part that is made of the same model
                    if not _is_certain(reader, other, modules) or _takes_same(call, handler.body):
                        continue
                    sure = not _beside(call)
                    yield self.finding(
                        file.path,
                        file.parents.get(other, other) if isinstance(file.parents.get(other), ast.stmt) else other,
                        severity=None if sure else Severity.WARNING,
                        requirements=("X4", "E4.2") if sure else ("X4",),
                        symbol=file.symbol_of(other) or None,
                        wanted=_label(file, call),
                        given=_label(file, other),
                    )
                elif (
                    other is None and file.qualified(call.func).endswith("get_peft_model") and not _leaves(handler.body)
                ):
                    yield self.finding(
                        file.path,
                        handler,
                        severity=Severity.WARNING,
                        requirements=("X4",),
                        symbol=file.symbol_of(call) or None,
                        message="where {wanted} fails, the model is used without it",
                        wanted=_label(file, call),
                    )

    def _default(self, file: PythonFile, modules: set[str]) -> Iterator[Outcome]:
        """A class of a model that is taken where a name is not known."""
        for call, _ in file.calls:
            if not isinstance(call.func, ast.Attribute) or call.func.attr != "get" or len(call.args) != 2:
                continue
            key, default = call.args
            if isinstance(default, ast.Name) and default.id in modules and _is_setting(key):
                yield self.finding(
                    file.path,
                    call,
                    severity=Severity.WARNING,
                    requirements=("X4",),
                    symbol=file.symbol_of(call) or None,
                    message="where {wanted} is no known name, {given} takes its place",
                    repair="Refuse a name that is not known.",
                    wanted=last_part(key),
                    given=default.id,
                )


def _is_setting(node: ast.AST) -> bool:
    """Whether an expression is a name out of the configuration: `cfg.model.name`."""
    root = root_name(node)
    return (
        root is not None and not isinstance(node, ast.Name) and last_part(node) in ("name", "type", "method", "model")
    )


def _built(file: PythonFile, block: list[ast.stmt], modules: set[str]) -> dict[str, ast.Call]:
    """The models that a block binds to names, or returns (under the name `return`)."""
    found: dict[str, ast.Call] = {}
    for statement in block:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            name, value = last_part(statement.targets[0]), statement.value
        elif isinstance(statement, ast.Return) and statement.value is not None:
            name, value = "return", statement.value
        else:
            continue
        call = next((part for part in _chain(value) if _builds(file, part, modules)), None)
        if call is not None and name:
            found[name] = call
    return found


def _chain(node: ast.expr) -> Iterator[ast.Call]:
    """A call, and the calls whose results it is a method of: `A().to(device)`."""
    for _ in range(10):
        if isinstance(node, ast.Call):
            yield node
            node = node.func
        elif isinstance(node, ast.Attribute):
            node = node.value
        else:
            return


def _builds(file: PythonFile, call: ast.Call, modules: set[str]) -> bool:
    name = file.qualified(call.func)
    last = name.rpartition(".")[2]
    if last == "from_pretrained" or name in _BUILDERS or last == "get_peft_model":
        return True
    return name.startswith("torchvision.models.") or last in modules


def _is_certain(reader: PatternReader, call: ast.Call, modules: set[str]) -> bool:
    """Whether a call builds something that the configuration does not name."""
    name = reader.file.qualified(call.func)
    if name.rpartition(".")[2] in modules:
        return True
    first = call.args[0] if call.args else keyword(call, "pretrained_model_name_or_path")
    return name.endswith(".from_pretrained") and hub_model(reader, first) is not None


def _is_same_thing(one: ast.Call, other: ast.Call) -> bool:
    """Whether two calls ask for the same model, perhaps with other options."""
    if bool(one.args) and bool(other.args):
        return is_same(one.args[0], other.args[0]) and (
            last_part(one.func) == "from_pretrained" or is_same(one.func, other.func)
        )
    return is_same(one.func, other.func)


def _takes_same(wanted: ast.Call, block: list[ast.stmt]) -> bool:
    """Whether a block hands what the first call asks for to anything else: `Wrapper(load(cfg.model.name))`."""
    if not wanted.args:
        return False
    return any(
        is_same(item, wanted.args[0])
        for statement in block
        for node in descend(statement)
        if isinstance(node, ast.Call) and last_part(node.func) not in _SAYS
        for item in node.args
    )


def _beside(call: ast.Call) -> bool:
    owner = last_part(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    return any(part in owner for part in _BESIDE)


def _ends(file: PythonFile, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and file.qualified(node.func) in (
        "sys.exit",
        "exit",
        "quit",
        "os._exit",
        "os.abort",
    )


def _leaves(block: list[ast.stmt]) -> bool:
    return any(isinstance(statement, ast.Return | ast.Continue | ast.Break) for statement in block)


def _label(file: PythonFile, call: ast.Call) -> str:
    name = file.qualified(call.func)
    first = string_value(call.args[0]) if call.args else None
    short = ".".join(name.split(".")[-2:]) if name.endswith("from_pretrained") else name.rpartition(".")[2]
    return f"{short}({first!r})" if first is not None else short
