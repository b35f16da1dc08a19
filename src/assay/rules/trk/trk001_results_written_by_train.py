"""TRK001: train writes or prints results as JSON."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.json_output import unproved_absence_of_json
from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword, string_value
from assay.analysis.text_pattern import Pattern, PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_RESULT = re.compile(
    r"result|metric|summar|score|predict(?!or)|accurac|perplexit|(?:^|_)(?:acc|loss|f1|em|bleu|rouge[a-z0-9]*|auc|"
    r"auroc|ppl|mse|rmse|mae|pred|preds)(?:_|$)",
    re.IGNORECASE,
)
# settings, and the state of a training that is kept to go on with it
_SETTING = re.compile(
    r"config|cfg|param|hparam|args|vocab|label2id|id2label|label_map|tokeni[sz]er|schema|manifest|search_space"
    r"|checkpoint|ckpt|state|meta(?:data)?(?:[._-]|$)|(?:model|data|dataset|split)_summary|\.jsonl$"
    r"|_(?:batch_size|every|interval|freq|steps|strategy|split|name|fn|type|dir|path|direction|ids|idx|indices)$",
    re.IGNORECASE,
)
_CONFIGURATION = re.compile(r"(?:self\.)?_?(?:cfg|config|conf|args|opts?|options|hparams|params|settings)(?:\.|$)")
_STREAMS = frozenset({"sys.stdout", "sys.__stdout__"})


def _train(text: str) -> dict[str, str]:
    return {"src/train.py": text}


class ResultsWrittenByTrain(Rule):
    """In this contract the numbers of a run live in W&B, and evaluate reads them there. Train writes no file of results
    and prints no results as JSON.

    A second copy of the numbers is a second truth: it is not tied to the run's id, it survives a run that was repeated,
    and whoever reads it skips the record that can be checked. The rule looks for `json.dump` into a file that is opened
    for writing, for `write_text(json.dumps(...))`, and for a printed `json.dumps(...)`. The resolved configuration,
    checkpoints, tokenizers, chosen hyper-parameters and files that are appended to are no results. Where neither the
    file's name nor what is written shows that it holds results, the rule warns.

    The requirement is met where train, and what it imports, provably makes no JSON at all: no name or text speaks of it,
    nothing is opened for writing, and what is printed has words in it.
    """

    code = "TRK001"
    name = "results-written-by-train"
    requirements = ("E6.6",)
    decides = ("E6.6",)
    message = "{path} {act} {what}{named}"
    explanation = "Results belong to the W&B run alone; evaluate reads them from there and writes the files."
    repair = "Remove this output and log the values with wandb.log or wandb.summary."

    VALID = (
        Example(
            _train(
                "import json\nfrom pathlib import Path\nPath('o/best_params.json').write_text(json.dumps({'lr': 1}))\n"
            )
        ),
        Example(_train("import json\nwith open('log.jsonl', 'a') as log:\n    log.write(json.dumps({'loss': 1.0}))\n")),
        Example(_train("import json\nwith open('results.json') as file:\n    old = json.load(file)\n")),
        Example(_train("import json\nimport wandb\nwandb.log({'table': json.dumps({'acc': 1.0})})\n")),
        Example(_train("import json\nprint('best', json.dumps(study.best_params))\n")),
        Example(
            _train(
                "from omegaconf import OmegaConf\nimport torch\nOmegaConf.save(cfg, out / 'config.yaml')\n"
                "torch.save(model.state_dict(), out / 'best.pt')\ntokenizer.save_pretrained(out)\n"
            )
        ),
        Example(_train("import json\nprint(json.dumps({'run_id': 'a', 'accuracy': 0.5}))\n"), contract="base"),
        # settings, whatever they are called
        Example(
            _train("import json\nprint(json.dumps({'train_batch_size': 8, 'eval_batch_size': 16, 'eval_every': 5}))\n")
        ),
        Example(_train("import json\nprint(json.dumps(model_summary))\n")),
    )
    INVALID = (
        Example(
            _train(
                "import json\n\ndef main(cfg, em):\n"
                "    json.dump({'em': em}, open(cfg.dir / 'final_metrics.json', 'w'), indent=2)\n\nmain(1, 2)\n"
            ),
            at=("src/train.py:4",),
            repaired=_train("import wandb\n\ndef main(cfg, em):\n    wandb.summary['em'] = em\n\nmain(1, 2)\n"),
        ),
        Example(
            _train("import json\nwith (out / 'results.json').open('w') as file:\n    file.write(json.dumps(found))\n"),
            at=("src/train.py:3",),
            repaired=_train("import wandb\nwandb.summary.update(found)\n"),
        ),
        Example(
            _train("import json\nmetrics = train()\nprint(json.dumps(metrics))\n"),
            at=("src/train.py:3",),
            repaired=_train("import wandb\nmetrics = train()\nwandb.summary.update(metrics)\n"),
        ),
        # it may be a log of the training: a warning
        Example(
            _train("import json\nfor step in range(3):\n    print(json.dumps({'step': step, 'loss': f(step)}))\n"),
            at=("src/train.py:3",),
        ),
        Example(
            _train(
                "import json\n\ndef note(metrics):\n    print(json.dumps(metrics))\n\n"
                "for step in range(3):\n    note({'loss': f(step)})\n"
            ),
            at=("src/train.py:4",),
        ),
        # nothing says that these are results: a warning
        Example(
            _train(
                "import json\nwith open('run_info.json', 'w') as file:\n"
                "    json.dump({'run_id': cfg.run_id, 'loss': cfg.training.loss, 'metric': cfg['metric']}, file)\n"
            ),
            at=("src/train.py:3",),
        ),
        Example(
            _train("import json\nwith open(path, 'w') as file:\n    json.dump(thing, file)\n"), at=("src/train.py:3",)
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if unproved := unproved_absence_of_json(project):
            yield Undecided(unproved)
        uses = used_names(project.python.values())
        for role in ("train", "main"):
            file = project.role(role)
            if file is None:
                continue
            reader = PatternReader(file)
            looped = {name for call, name in file.calls if _is_in_loop(file, call)}
            for call, called in file.calls:
                for dumped, where in _outputs(reader, call, called):
                    literals = [part for part in where.name.parts if isinstance(part, str)] if where else []
                    proof = _holds_results(reader, dumped, "".join(literals))
                    if proof is None:
                        continue
                    # lines of JSON from within the loop are a log
                    function = file.function_of(call)
                    logs = where is None and (_is_in_loop(file, call) or (function and function.name in looped))
                    sure = proof and role == "train" and not logs and not is_dead(file, call, uses)
                    yield self.finding(
                        file.path,
                        call,
                        severity=None if sure else Severity.WARNING,
                        symbol=file.symbol_of(call) or None,
                        path=file.path,
                        act="writes" if where else "prints",
                        what="results as JSON" if proof else "JSON",
                        named=f" ({where.name.text})" if where and literals else "",
                    )


def _outputs(reader: PatternReader, call: ast.Call, called: str) -> Iterator[tuple[ast.expr, Pattern | None]]:
    """What a call writes as JSON: the value, and the file; no file for standard output."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    values: list[ast.expr] = []
    target: ast.expr | None = None
    if called == "json.dump" and len(call.args) >= 2:
        values, target = call.args[:1], call.args[1]
    elif called == "print" and keyword(call, "file") is None:
        values = _dumped(reader, call.args)
    elif method in ("write", "write_text") and isinstance(call.func, ast.Attribute):
        values, target = _dumped(reader, call.args[:1]), call.func.value
    paths: list[Pattern] | list[None] = [None]
    if target is not None and reader.file.qualified(target) not in _STREAMS:
        paths = reader.fold_at_calls(target) if method == "write_text" else _files_written(reader, target)
    yield from ((value, path) for value in values for path in paths)


def _dumped(reader: PatternReader, texts: list[ast.expr]) -> list[ast.expr]:
    """The values that texts are made of by `json.dumps`."""
    holes = [hole.expression for text in texts for hole in reader.fold(text).holes]
    calls = [node for node in holes if isinstance(node, ast.Call) and reader.file.qualified(node.func) == "json.dumps"]
    return [call.args[0] for call in calls if call.args]


def _files_written(reader: PatternReader, stream: ast.expr) -> list[Pattern]:
    """The paths of a file object that is opened for writing from its beginning; none where that is not certain."""
    opened: ast.expr | None = reader.value_of(stream)
    if isinstance(opened, ast.Name):
        # `with open(...) as name:`, the innermost one around the use
        withs = (up for up in reader.file.ancestors(stream) if isinstance(up, ast.With | ast.AsyncWith))
        items = (item for up in withs for item in up.items if getattr(item.optional_vars, "id", "") == opened.id)
        opened = next((item.context_expr for item in items), None)
    if not isinstance(opened, ast.Call):
        return []
    path: ast.expr | None = None
    position = 0
    if reader.file.qualified(opened.func) in ("open", "io.open", "builtins.open") and opened.args:
        path, position = opened.args[0], 1
    elif isinstance(opened.func, ast.Attribute) and opened.func.attr == "open":
        path = opened.func.value
    mode = opened.args[position] if len(opened.args) > position else keyword(opened, "mode")
    overwrites = mode is not None and set(reader.fold(mode).constant or "") & {"w", "x"}
    return reader.fold_at_calls(path) if path is not None and overwrites else []


def _holds_results(reader: PatternReader, dumped: ast.expr, name: str) -> bool | None:
    """True where the output is one of results, None where it is one of settings, False where nothing shows it.

    The file's name says so before what is written does: the name of a variable or function, or the keys of a dictionary.
    """
    if _SETTING.search(name):
        return None
    value = reader.value_of(dumped)
    called = value.func if isinstance(value, ast.Call) else None
    words = [name, *(reader.file.qualified(node).rpartition(".")[2] for node in (dumped, called))]
    if isinstance(value, ast.Dict):
        pairs = zip(value.keys, value.values, strict=True)
        words.extend(string_value(key) or "" for key, item in pairs if not _is_setting(reader, item))
    settings = [bool(_SETTING.search(word)) for word in words]
    if any(_RESULT.search(word) and not setting for word, setting in zip(words, settings, strict=True)):
        return True
    return None if any(settings) else False


def _is_setting(reader: PatternReader, value: ast.expr) -> bool:
    """Whether a value is a setting, not a measurement: a text such as `"mse"`, a name, or a part of the configuration."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "get":
        value = value.func.value
    while isinstance(value, ast.Subscript):
        value = value.value
    name = reader.file.qualified(value)
    return string_value(value) is not None or name.endswith(".__name__") or _CONFIGURATION.match(name) is not None


def _is_in_loop(file: PythonFile, call: ast.Call) -> bool:
    return any(isinstance(up, ast.For | ast.While) for up in file.ancestors(call))
