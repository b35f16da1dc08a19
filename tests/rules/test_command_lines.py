"""How programs take their command lines: what the rules accept, what they refuse, what they leave open."""

from __future__ import annotations

import pytest

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.finding import Severity
from assay.reviewer import run_rules
from assay.rules import all_rules
from assay.submission import SourceFile, Submission


def review(code, files, contract="experiment"):
    made = {path: SourceFile.of_text(path, text) for path, text in sorted(files.items())}
    project = Project(Submission("example", made), load_contract(contract))
    try:
        return run_rules(project, {code: all_rules()[code]})
    finally:
        project.close()


def findings(code, files, contract="experiment"):
    return review(code, files, contract)[0]


PARSER = "import argparse\nimport json\nimport re\nimport sys\n\nparser = argparse.ArgumentParser()\n"
TWO = "parser.add_argument('results_dir')\nparser.add_argument('run_ids')\n"

ACCEPTED = {
    "a loop over the arguments": "import sys\n\nfor item in sys.argv[1:]:\n    key, value = item.split('=', 1)\n",
    "a partition": "import sys\n\npairs = {item.partition('=')[0]: item.partition('=')[2] for item in sys.argv[1:]}\n",
    "a prefix": "import sys\n\nruns = [item[8:] for item in sys.argv if item.startswith('run_ids=')]\n",
    "a pattern": "import re\nimport sys\n\npairs = dict(re.findall(r'(\\w+)=(\\S+)', ' '.join(sys.argv)))\n",
    "OmegaConf": "from omegaconf import OmegaConf\n\ncfg = OmegaConf.from_cli()\n",
    "a dotlist": "import sys\n\nfrom omegaconf import OmegaConf\n\ncfg = OmegaConf.from_dotlist(sys.argv[1:])\n",
    "Hydra": "import hydra\n\n\n@hydra.main(version_base=None)\ndef main(cfg):\n    pass\n",
    "Fire": "import fire\n\nfire.Fire(lambda *pairs: pairs)\n",
    "rewritten arguments": PARSER
    + "sys.argv[1:] = ['--' + item for item in sys.argv[1:]]\nparser.add_argument('--run_ids')\nparser.parse_args()\n",
    "a list made for the parser": PARSER
    + "parser.add_argument('--run_ids')\nparser.parse_args(['--' + item for item in sys.argv[1:]])\n",
    "arguments let through": PARSER + "parser.add_argument('--seed')\nargs, pairs = parser.parse_known_args()\n",
    "several values": PARSER + "parser.add_argument('pairs', nargs='*')\nargs = parser.parse_args()\n",
    "a conversion": PARSER + "def value(text):\n    return text.split('=')[-1]\n\n\n"
    "parser.add_argument('run_ids', type=value)\nparser.parse_args()\n",
    "a conversion from elsewhere": "from src.model import value\n"
    + PARSER
    + "parser.add_argument('run_ids', type=value)\nparser.parse_args()\n",
    "an action of its own": PARSER + "parser.add_argument('run_ids', action=Pair)\nparser.parse_args()\n",
    "a search for the list": PARSER
    + TWO
    + "args = parser.parse_args()\njson.loads(re.search(r'\\[.*\\]', args.run_ids).group())\n",
    "a cut": PARSER + TWO + "args = parser.parse_args()\njson.loads(args.run_ids[8:])\n",
    "names under a loop": PARSER
    + "for name in ('results_dir', 'run_ids'):\n    parser.add_argument(name)\nparser.parse_args()\n",
    "a parser made elsewhere": "from src.model import parse\n\nargs = parse()\n",
    "a parser completed elsewhere": "from src.model import add_all\n"
    + PARSER
    + "add_all(parser)\nargs = parser.parse_args()\n",
}

REFUSED = {
    "positional": (PARSER + TWO + "args = parser.parse_args()\njson.loads(args.run_ids)\n", 7),
    "inside a function": (
        "import argparse\n\n\ndef read(argv=None):\n    p = argparse.ArgumentParser()\n"
        "    p.add_argument('results_dir')\n"
        "    p.add_argument('run_ids', nargs=None)\n    return p.parse_args(argv)\n",
        6,
    ),
    "only one of them": (PARSER + "parser.add_argument('run_ids')\nparser.parse_args()\n", 7),
    "options": (
        PARSER + "parser.add_argument('--results_dir')\nparser.add_argument('--run_ids')\nparser.parse_args()\n",
        7,
    ),
    "an empty parser": (PARSER + "parser.parse_args()\n", 6),
    "a ruler is no separator": (
        PARSER + TWO + "args = parser.parse_args()\nprint('=' * 60)\nlines = ['=====']\nnote = {'level (p=0.05)': 1}\n",
        7,
    ),
    "by their places": ("import json\nimport sys\n\nruns = json.loads(sys.argv[2])\n", 4),
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_evaluate_may_take_pairs_in_many_ways(text):
    files = {"src/evaluate.py": text, "src/model.py": "import sys\n\n\ndef parse():\n    return sys.argv\n"}
    assert findings("CLI002", files) == []


@pytest.mark.parametrize(("text", "line"), REFUSED.values(), ids=REFUSED.keys())
def test_evaluate_without_pairs_breaks_the_contract(text, line):
    (finding,) = findings("CLI002", {"src/evaluate.py": text})
    assert finding.line == line
    assert finding.severity is Severity.BLOCKING
    assert finding.consequence == "breaks-contract"


def test_the_other_arguments_are_named_as_frames():
    (finding,) = findings("CLI002", {"src/evaluate.py": REFUSED["positional"][0]})
    assert [frame.line for frame in finding.evidence.frames] == [8]


@pytest.mark.parametrize("text", [ACCEPTED["several values"], ACCEPTED["a parser made elsewhere"]])
def test_what_cannot_be_told_is_left_undecided(text):
    files = {"src/evaluate.py": text, "src/model.py": "import sys\n\n\ndef parse():\n    return sys.argv\n"}
    _, coverage = review("CLI002", files)
    assert coverage.open["E2.4"]


FLAGS = (
    "parser.add_argument('--smoke-test', action='store_true')\n"
    + "parser.add_argument('--full-experiment', action='store_true')\n"
)
EXCLUSIVE = "group = parser.add_mutually_exclusive_group(required=True)\n" + FLAGS.replace("parser.", "group.")


@pytest.mark.parametrize(
    "arguments",
    [
        EXCLUSIVE + "parser.add_argument('-r', '--results-dir', type=str)\n",
        EXCLUSIVE + "parser.add_argument('--results-directory')\n",
        EXCLUSIVE + "parser.add_argument('--results-dir')\nparser.add_argument('extra', nargs='?')\n",
        EXCLUSIVE.replace("action='store_true'", "action=argparse.BooleanOptionalAction")
        + "parser.add_argument('--results-dir')\n",
    ],
)
def test_main_may_name_its_flags_in_many_ways(arguments):
    found, coverage = review("CLI001", {"src/main.py": PARSER + arguments + "args = parser.parse_args()\n"}, "base")
    assert found == []
    assert "B4.1" in coverage.silent
    assert "B4.1" not in coverage.open


@pytest.mark.parametrize(
    ("arguments", "severity"),
    [
        (EXCLUSIVE + "parser.add_argument('--results_dir')\n", "blocking"),
        (EXCLUSIVE + "parser.add_argument('--results-dir', action='store_true')\n", "blocking"),
        (EXCLUSIVE + "parser.add_argument('--results-dir')\nparser.add_argument('config')\n", "blocking"),
        (FLAGS + "parser.add_argument('--results-dir')\n", "warning"),
    ],
)
def test_main_without_its_flags(arguments, severity):
    (finding,) = findings("CLI001", {"src/main.py": PARSER + arguments + "args = parser.parse_args()\n"}, "base")
    assert finding.severity == severity


def test_another_parser_than_argparse_leaves_main_undecided():
    text = (
        "import click\n\n\n@click.command()\n@click.option('--smoke-test')\ndef main(**given):\n    pass\n\n\nmain()\n"
    )
    found, coverage = review("CLI001", {"src/main.py": text}, "base")
    assert found == []
    assert coverage.open["B4.1"]


def test_a_main_that_hands_its_words_on_takes_pairs():
    text = PARSER + "parser.add_argument('overrides', nargs='*')\nargs = parser.parse_args()\n"
    assert findings("CLI003", {"src/main.py": text}) == []


def test_code_that_runs_another_module_may_read_the_command_line_there():
    files = {"src/main.py": "import runpy\n\nrunpy.run_module('src.train', run_name='__main__')\n"}
    assert findings("CLI003", files) == []


@pytest.mark.parametrize(
    "ending",
    [
        "if __name__ == '__main__':\n    main()\n",
        "main()\n",
        "raise SystemExit(main())\n",
        "try:\n    main()\nexcept KeyboardInterrupt:\n    pass\n",
        "import sys\n\nsys.exit(main())\n",
        "from src.train import start\n\nstart()\n",
        "import atexit\n\natexit.register(main)\n",
        "for step in range(3):\n    print(step)\n",
    ],
)
def test_a_program_is_started_in_many_ways(ending):
    assert findings("CLI004", {"src/main.py": f"def main():\n    pass\n\n\n{ending}"}) == []


def test_a_program_that_starts_nothing_trains_nothing():
    (finding,) = findings(
        "CLI004", {"src/main.py": "import logging\n\nlogging.basicConfig()\n\n\ndef main():\n    pass\n"}
    )
    assert finding.consequence == "trains-nothing"
