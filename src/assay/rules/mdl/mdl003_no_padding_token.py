"""MDL003: a tokenizer without a padding token is asked to pad."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.model_knowledge import ModelUse, known_model, model_uses
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword
from assay.analysis.run_scenarios import run_scenarios
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_SETS = re.compile(r"pad_token(?:_id)?\s*=(?!=)|add_special_tokens|add_tokens|['\"]_?pad_token|special_tokens_map")
_PADS = frozenset({True, "longest", "max_length"})
_TOKENIZER = re.compile(r"tok", re.IGNORECASE)
_METHODS = frozenset({"", "__call__", "encode", "encode_plus", "batch_encode_plus", "pad"})
# libraries whose functions leave the tokenizer that they are given as it is
_LEAVE_ALONE = ("transformers.", "torch.", "datasets.", "functools.", "evaluate.", "wandb.", "src.")
_COLLATORS = ("transformers.DataCollatorWithPadding", "transformers.DataCollatorForSeq2Seq")


def _files(call: str, name: str = "gpt2", more: str = "") -> dict[str, str]:
    return {
        "src/main.py": "from transformers import AutoTokenizer\n"
        f"tokenizer = AutoTokenizer.from_pretrained('{name}')\n{more}batch = {call}\n"
    }


class NoPaddingToken(Rule):
    """GPT-2, Llama 2 and Llama 3 come without a padding token, and transformers refuses to pad with such a tokenizer.

    Where the tokenizer's model is one of those, a call asks for padding, and nothing in the submission gives the
    tokenizer a padding token, the first batch raises `ValueError: Asking to pad but the tokenizer does not have a padding
    token`. A data collator that pads is a warning: it may never be asked to.
    """

    code = "MDL003"
    name = "no-padding-token"
    requirements = ("E3.1", "D3.1")
    message = "the tokenizer of {name} has no padding token, and none is set, but {what}"
    explanation = "Padding with it raises ValueError at the first batch."
    repair = "Set one after loading: tokenizer.pad_token = tokenizer.eos_token."

    VALID = (
        Example(_files("tokenizer(texts, padding=True)", more="tokenizer.pad_token = tokenizer.eos_token\n")),
        Example(_files("tokenizer(texts, padding=True)", "bert-base-uncased")),
        Example(_files("tokenizer(texts, padding=False)")),
        Example(_files("tokenizer(texts, truncation=True)")),
        Example(
            _files("tokenizer(texts, padding=True)", more="tokenizer.add_special_tokens({'pad_token': '<pad>'})\n")
        ),
        # a copy of Llama whose tokenizer may have been given one
        Example(_files("tokenizer(texts, padding=True)", "some-team/Llama-2-7b-hf")),
        # the loader gives it one
        Example(
            {
                "src/main.py": "from transformers import AutoTokenizer\n"
                "tokenizer = AutoTokenizer.from_pretrained('gpt2', pad_token='<pad>')\n"
                "batch = tokenizer(['a'], padding=True)\n"
            }
        ),
        # a run file gives it one
        Example(
            {
                "src/main.py": "from transformers import AutoTokenizer\n"
                "tokenizer = AutoTokenizer.from_pretrained('gpt2', **cfg.tokenizer)\nbatch = tokenizer(['a'], padding=True)\n",
                "config/runs/a.yaml": "tokenizer:\n  pad_token: <pad>\n",
            }
        ),
        # another tokenizer pads
        Example(
            {
                "src/main.py": "from transformers import AutoTokenizer\ntok = AutoTokenizer.from_pretrained('gpt2')\n"
                "other = AutoTokenizer.from_pretrained('bert-base-uncased')\nbatch = other(['a'], padding=True)\n"
            }
        ),
        Example(_files("conv(texts, padding='max_length')")),
    )
    INVALID = (
        # a function of another library may have set one: a warning
        Example(
            _files(
                "tokenizer(texts, padding=True)",
                more="from trl import setup_chat_format\nmodel, tokenizer = setup_chat_format(model, tokenizer)\n",
            ),
            at=("src/main.py:2",),
        ),
        Example(
            _files("tokenizer(texts, padding=True)"),
            at=("src/main.py:2",),
            repaired=_files("tokenizer(texts, padding=True)", more="tokenizer.pad_token = tokenizer.eos_token\n"),
        ),
        Example(
            {
                "src/preprocess.py": "from transformers import AutoTokenizer\n\nclass Collator:\n"
                "    def __init__(self, tok):\n        self.tok = tok\n\n    def __call__(self, batch):\n"
                "        return self.tok(batch, padding='longest')\n\ndef prepare(cfg):\n"
                "    return Collator(AutoTokenizer.from_pretrained(cfg.model.name))\n",
                "src/main.py": "from src.preprocess import prepare\n\ndef main(cfg):\n    prepare(cfg)\n",
                "config/runs/a.yaml": "model:\n  name: meta-llama/Llama-2-7b-chat-hf\n",
            },
            at=("src/preprocess.py:11",),
            repaired={"config/runs/a.yaml": "model:\n  name: Qwen/Qwen3-8B\n"},
        ),
        Example(
            {
                "src/main.py": "from transformers import AutoTokenizer, DataCollatorWithPadding\n"
                "tokenizer = AutoTokenizer.from_pretrained('gpt2')\ncollator = DataCollatorWithPadding(tokenizer)\n"
            },
            at=("src/main.py:2",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        loads = [use for use in model_uses(project) if use.is_tokenizer]
        # with a tokenizer that nothing is known of, a call may belong to that one
        lacking = [use for use in loads if (model := known_model(use.name)) is not None and model.pads is False]
        if not lacking or any(_SETS.search(file.text) for file in project.python.values()):
            return
        if any("pad_token" in (project.submission.text(path) or "") for path in project.yaml):
            return
        calls = list(_padding_calls(project))
        if not calls:
            return
        foreign = _is_handed_on(project)
        done: set[tuple[str, int]] = set()
        for use in lacking:
            same_run = [other for other in loads if other.scenario.run == use.scenario.run]
            place = (use.frame.file, use.frame.line)
            if place in done or {other.name for other in same_run} != {use.name}:
                continue
            done.add(place)
            hard = [item for item in calls if item[3]]
            severity, consequence = _weight(project, use, [] if foreign else hard)
            chosen = hard or calls
            yield self.finding(
                use.called.file,
                use.node,
                severity=severity,
                consequence=consequence,
                run=use.scenario.run or None,
                detail=f"padding at {chosen[0][0].path}:{chosen[0][1].lineno}",
                frames=tuple(Frame(file.path, call.lineno) for file, call, _, _ in chosen),
                name=use.name,
                what=f"{chosen[0][2]} pads",
            )


def _weight(
    project: Project, use: ModelUse, hard: list[tuple[PythonFile, ast.Call, str, bool]]
) -> tuple[Severity, Consequence | None]:
    """How sure it is that a padding call is reached."""
    if not use.fixed or not use.reached:
        return Severity.WARNING, None
    scenarios = run_scenarios(project)
    reached = [
        (file, call)
        for file, call, _, _ in hard
        if scenarios.is_used(file, call) and scenarios.passes(file, call, use.scenario) is True
    ]
    if not reached:
        return Severity.WARNING, None
    if use.called.certain and any(scenarios.is_called(file, call) for file, call in reached):
        return Severity.BLOCKING, Consequence.CRASHES
    return Severity.BLOCKING, Consequence.BREAKS_CONTRACT


def _is_handed_on(project: Project) -> bool:
    """Whether a tokenizer is given to a function of another library, which may set the token: `setup_chat_format`."""
    own = {node.name for file in project.python.values() for node in (*file.functions, *file.classes)}
    for file in project.python.values():
        bound = {item.bound: item for item in file.imports}
        for call, name in file.calls:
            item = bound.get(_root(call.func))
            if item is None or name.startswith(_LEAVE_ALONE) or name.rpartition(".")[2] in own:
                continue
            values = [*call.args, *(one.value for one in call.keywords)]
            if any(isinstance(value, ast.Name) and _TOKENIZER.search(value.id) for value in values):
                return True
    return False


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _padding_calls(project: Project) -> Iterator[tuple[PythonFile, ast.Call, str, bool]]:
    """The calls that pad, how they are written, and whether they do so whenever they run."""
    for file in project.python.values():
        for call, name in file.calls:
            if name in _COLLATORS:
                yield file, call, name.rpartition(".")[2], False
                continue
            owner, method = _called_on(call.func)
            if not _TOKENIZER.search(owner) or method not in _METHODS:
                continue
            given = keyword(call, "padding")
            value = given.value if isinstance(given, ast.Constant) else None
            if value is not None and (value is True or (isinstance(value, str) and value in _PADS)):
                yield file, call, f"{owner}(padding={value!r})", True


def _called_on(function: ast.expr) -> tuple[str, str]:
    """The name of what is called, and the method: `self.tok.pad` is tok and pad, `tok` is tok and nothing."""
    if isinstance(function, ast.Name):
        return function.id, ""
    if not isinstance(function, ast.Attribute):
        return "", ""
    if function.attr in _METHODS:
        below = function.value
        return (below.attr if isinstance(below, ast.Attribute) else getattr(below, "id", "")), function.attr
    return function.attr, ""
