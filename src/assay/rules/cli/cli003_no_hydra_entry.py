"""CLI003: main does not take Hydra's `key=value` command line."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.command_line import CommandLine, reads_no_arguments
from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule, Undecided

_HYDRA = """import hydra


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    print(cfg.run)


main()
"""


def _main(text: str) -> dict[str, str]:
    return {"src/main.py": text}


class NoHydraEntry(Rule):
    """The contract calls main with `run=ID results_dir=PATH mode=full`; main builds a command line of another kind.

    That is Hydra's way to override a configuration. An argparse parser takes such words for positional arguments:
    where it has none the call ends with a usage error, and where it has some they receive `run=ID` as a whole.
    """

    code = "CLI003"
    name = "no-hydra-entry-point"
    requirements = ("E2.3", "E7.1", "E9.1")
    message = "main does not take `run=ID results_dir=PATH`: it {kind}"
    explanation = "The contract's command `{command}` does not select a run."
    repair = "Make main an `@hydra.main` function over config/config.yaml."

    VALID = (
        Example(_main(_HYDRA)),
        Example(
            _main(
                "from hydra import compose, initialize\n\nwith initialize(config_path='../config'):\n    cfg = compose('config')\n"
            )
        ),
        Example(_main("from omegaconf import OmegaConf\n\ncfg = OmegaConf.from_cli()\n")),
        Example(_main("import sys\n\npairs = dict(item.partition('=')[::2] for item in sys.argv[1:])\n")),
        # a library that is handed a function may read the command line
        Example(_main("import launcher\n\n\ndef main(run):\n    print(run)\n\n\nlauncher.start(main)\n")),
        # each word is cut behind its name
        Example(
            _main(
                "import argparse\n\nparser = argparse.ArgumentParser()\n"
                "parser.add_argument('run', type=lambda text: text[4:])\nargs = parser.parse_args()\n"
            )
        ),
        # the entry point is another file's
        Example(
            {"src/main.py": "from src.train import main\n\nmain()\n", "src/train.py": _HYDRA.removesuffix("main()\n")}
        ),
        Example(
            _main(
                "import argparse\n\nparser = argparse.ArgumentParser()\nargs, overrides = parser.parse_known_args()\n"
            )
        ),
    )
    INVALID = (
        Example(
            _main(
                "import argparse\n\nparser = argparse.ArgumentParser()\nparser.add_argument('--run', required=True)\n"
                "parser.add_argument('--mode', default='full')\nargs = parser.parse_args()\n"
            ),
            at=("src/main.py:4",),
            repaired=_main(_HYDRA),
        ),
        Example(
            _main("import subprocess\n\nsubprocess.run(['python', '-m', 'src.train'], check=True)\n"),
            at=("src/main.py",),
            repaired=_main(_HYDRA),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        command = project.contract.commands.get("full", "")
        if "run={run_id}" not in command:
            return
        main = project.role("main")
        if main is None or main.tree is None:
            yield Undecided("there is no main that could be read")
            return
        line = main.shared(CommandLine)
        places: list[ast.Call] = []
        if reads_no_arguments(project, main):
            kind = "reads no command line"
        elif line.may_take_pairs:
            return
        elif line.dynamic or not all(other.shared(CommandLine).takes_none for other in reached_files(project, main)):
            yield Undecided("how main takes its command line cannot be told")
            return
        else:
            places = [argument.call for argument in line.arguments] or line.parsers
            kind = "builds an argparse parser of its own"
        yield self.finding(
            main.path,
            places[0] if places else None,
            kind=kind,
            command=command,
            frames=tuple(Frame(main.path, call.lineno) for call in places[1:]),
        )
