"""CLI002: evaluate does not take `key=value` arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.command_line import CommandLine, reads_no_arguments
from assay.analysis.project import Project
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule, Undecided

_POSITIONAL = """import argparse
import json

parser = argparse.ArgumentParser()
parser.add_argument("results_dir")
parser.add_argument("run_ids", help='a list, such as run_ids=["a"]')
args = parser.parse_args()
run_ids = json.loads(args.run_ids)
print("=" * 60)
"""
_PAIRS = """import json
import sys

arguments = dict(item.split("=", 1) for item in sys.argv[1:])
run_ids = json.loads(arguments["run_ids"])
"""


def _evaluate(text: str) -> dict[str, str]:
    return {"src/evaluate.py": text}


class KeyValueArguments(Rule):
    """The contract calls evaluate with `results_dir=PATH run_ids='["a","b"]'`; evaluate reads something else.

    A positional argument of argparse receives the whole text, `results_dir=PATH`: the folder of that name is not
    meant, and `run_ids=[...]` is no JSON. An option, `--results_dir`, makes the same call end with a usage error.
    Hydra, `OmegaConf.from_cli` and code that parts each argument at its `=` take it. A file in which anything could
    do that is left alone.
    """

    code = "CLI002"
    name = "no-key-value-arguments"
    requirements = ("E2.4", "E8.1")
    message = "evaluate takes {kind} where the contract passes `key=value`"
    explanation = "{meaning}."
    repair = "Part each argument at its first `=`, or use `OmegaConf.from_cli()`."

    VALID = (
        Example(_evaluate(_PAIRS)),
        Example(_evaluate("from omegaconf import OmegaConf\n\nargs = OmegaConf.from_cli()\n")),
        Example(
            _evaluate(
                "import hydra\n\n\n@hydra.main(version_base=None, config_path='../config', config_name='config')\ndef main(cfg):\n    print(cfg.run_ids)\n"
            )
        ),
        # argparse may be given pairs that were parted first
        Example(
            _evaluate(
                "import argparse\nimport sys\n\nparser = argparse.ArgumentParser()\nparser.add_argument('--results_dir')\nparser.add_argument('--run_ids')\n"
                "args = parser.parse_args(['--' + item for item in sys.argv[1:]])\n"
            )
        ),
        Example(
            _evaluate(
                "import argparse\nimport sys\n\n\ndef main(argv=None):\n    parser = argparse.ArgumentParser()\n    parser.add_argument('--run_ids')\n"
                "    args = parser.parse_args(argv)\n\n\nmain([f'--{word}' for word in sys.argv[1:]])\n"
            )
        ),
        Example(
            _evaluate(_POSITIONAL.replace("args.run_ids)", "args.run_ids.removeprefix('run_ids='))")),
        ),
        Example(_evaluate(_POSITIONAL.replace('"run_ids",', '"run_ids", type=lambda text: text[8:],'))),
        # the list is cut out of whatever stands around it
        Example(_evaluate(_POSITIONAL.replace("args.run_ids)", "args.run_ids[args.run_ids.index('['):])"))),
        # read elsewhere
        Example(
            {
                "src/evaluate.py": "from src.options import read\n\nargs = read()\n",
                "src/options.py": "import sys\n\n\ndef read():\n    return sys.argv[1:]\n",
            }
        ),
        # a contract with another command line
        Example(_evaluate(_POSITIONAL), contract="base"),
    )
    INVALID = (
        Example(_evaluate(_POSITIONAL), at=("src/evaluate.py:5",), repaired=_evaluate(_PAIRS)),
        Example(
            _evaluate(
                "import argparse\n\n\ndef parse():\n    parser = argparse.ArgumentParser()\n    parser.add_argument('--results_dir')\n"
                "    parser.add_argument('--run_ids')\n    return parser.parse_args()\n"
            ),
            at=("src/evaluate.py:6",),
            repaired=_evaluate(_PAIRS),
        ),
        # the words are only shown
        Example(
            _evaluate(
                "import argparse\nimport sys\n\nprint(' '.join(sys.argv))\nparser = argparse.ArgumentParser()\nparser.add_argument('--run_ids')\n"
                "args = parser.parse_args()\n"
            ),
            at=("src/evaluate.py:6",),
            repaired=_evaluate(_PAIRS),
        ),
        Example(
            _evaluate("import json\nimport sys\n\nresults_dir = sys.argv[1]\nrun_ids = json.loads(sys.argv[2])\n"),
            at=("src/evaluate.py:5",),
            repaired=_evaluate(_PAIRS),
        ),
        Example(
            _evaluate("RUNS = ['a', 'b']\n\n\ndef main():\n    for run in RUNS:\n        print(run)\n\n\nmain()\n"),
            at=("src/evaluate.py",),
            repaired=_evaluate(_PAIRS),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if "results_dir=" not in project.contract.commands.get("evaluate", ""):
            return
        file = project.role("evaluate")
        if file is None or file.tree is None:
            yield Undecided("there is no evaluate that could be read")
            return
        line = file.shared(CommandLine)
        positional = [argument for argument in line.arguments if argument.positional]
        read = _element_read_as_json(line)
        places: list[ast.Call] = []
        if reads_no_arguments(project, file):
            kind, meaning = "no arguments", "It cannot be told which runs to compare, nor where to write"
        elif line.may_take_pairs:
            return
        elif read is not None and not line.parsers:
            places = [read]
            kind, meaning = "the bare values", "The argument holds its name as well, so that it is no JSON"
        elif line.dynamic:
            yield Undecided(f"how evaluate takes its arguments cannot be told ({line.dynamic})")
            return
        elif positional:
            places = [argument.call for argument in positional]
            kind = "positional arguments"
            meaning = "Each receives the whole text, name included: the folder is another, and the list of runs no JSON"
        else:
            places = [argument.call for argument in line.arguments] or line.parsers
            kind, meaning = "options", "argparse ends the call: it was told of no positional argument"
        yield self.finding(
            file.path,
            places[0] if places else None,
            kind=kind,
            meaning=meaning,
            frames=tuple(Frame(file.path, call.lineno) for call in places[1:]),
            symbol=file.symbol_of(places[0]) or None if places else None,
        )


def _element_read_as_json(line: CommandLine) -> ast.Call | None:
    """The call that reads JSON from one element of `sys.argv`, or None."""
    elements = {line.file.parents.get(node) for node in line.reads_argv}
    for call, name in line.file.calls:
        if name in ("json.loads", "ast.literal_eval") and call.args and call.args[0] in elements:
            element = call.args[0]
            if isinstance(element, ast.Subscript) and isinstance(element.slice, ast.Constant):
                return call
    return None
