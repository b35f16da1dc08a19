"""CLI001: main does not take the command line that the contract gives it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.command_line import Argument, CommandLine, reads_no_arguments
from assay.analysis.configuration_loading import hydra_decorator
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_FLAG = re.compile(r"(--[a-z-]+)(?:\s+(?!--)(\S+))?")


def _main(text: str) -> dict[str, str]:
    return {"src/main.py": text}


def _parser(lines: str) -> dict[str, str]:
    return _main(f"import argparse\n\nparser = argparse.ArgumentParser()\n{lines}args = parser.parse_args()\n")


_GROUP = """group = parser.add_mutually_exclusive_group(required=True)
group.add_argument("--smoke-test", action="store_true")
group.add_argument("--full-experiment", action="store_true")
"""
_RESULTS = 'parser.add_argument("--results-dir", required=True)\n'


class MissingFlag(Rule):
    """The contract starts main with `--smoke-test` or `--full-experiment`, exactly one, and `--results-dir PATH`.

    argparse refuses an option that it was not told of, and does not take `--results_dir` for `--results-dir`. It
    does complete a beginning: an option `--results-directory` takes `--results-dir`, as its documentation says
    under "Argument abbreviations". The rule reads parsers that are written out; any other is left undecided.
    """

    code = "CLI001"
    name = "missing-command-line-flag"
    requirements = ("B4.1", "D1.1")
    decides = ("B4.1",)
    message = "main does not take `{flag}`"
    explanation = "The contract's command `{command}` ends with a usage error."
    repair = "Give the parser `{flag}`."

    VALID = (
        Example(_parser(_GROUP + _RESULTS), contract="base"),
        Example(_parser(_GROUP + 'parser.add_argument("--results-directory", type=str)\n'), contract="derived"),
        # several names, and optional arguments of its own
        Example(
            _parser(
                _GROUP
                + _RESULTS.replace('"--results-dir"', '"--out", "--results-dir"')
                + 'parser.add_argument("--seed", default=1)\n'
            ),
            contract="base",
        ),
        # checked by hand
        Example(
            _main("""import argparse


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--smoke-test", action="store_true")
    parser.add_argument("--full-experiment", action="store_true")
    parser.add_argument("--results-dir", required=True)
    args = parser.parse_args()
    if args.smoke_test == args.full_experiment:
        parser.error("give one of the two")
"""),
            contract="base",
        ),
        # other ways to read a command line are not judged here
        Example(
            _main("import sys\n\nsmoke = '--smoke-test' in sys.argv\nfull = '--full-experiment' in sys.argv\n"),
            contract="base",
        ),
        Example(
            _parser(
                'for mode in ("smoke-test", "full-experiment"):\n    parser.add_argument(f"--{mode}", action="store_true")\n'
                + _RESULTS
            ),
            contract="base",
        ),
        # the words are put into the parser's spelling first
        Example(
            _main(
                "import argparse\nimport sys\n\n\ndef main(argv=None):\n    parser = argparse.ArgumentParser()\n"
                "    parser.add_argument('--results_dir')\n    args = parser.parse_args(argv)\n\n\n"
                "main(['--' + word[2:].replace('-', '_') for word in sys.argv[1:]])\n"
            ),
            contract="base",
        ),
        # arguments are added under another name, or by another file
        Example(
            _parser("add = parser.add_argument\nadd('--smoke-test')\nadd('--results-dir')\n"),
            contract="base",
        ),
        Example(
            _main(
                "import argparse\nfrom src.train import add_flags\n\n\ndef build():\n    return argparse.ArgumentParser()\n\n\n"
                "parser = build()\nadd_flags(parser)\nargs = parser.parse_args()\n"
            ),
            contract="base",
        ),
        Example(
            _main("import launcher\n\n\ndef main(results_dir):\n    print(results_dir)\n\n\nlauncher.start(main)\n"),
            contract="base",
        ),
        Example(
            {"src/main.py": "from src.options import parse\n\nargs = parse()\n", "src/options.py": "import click\n"},
            contract="base",
        ),
    )
    INVALID = (
        Example(
            _parser(_GROUP + 'parser.add_argument("--results_dir", required=True)\n'),
            contract="base",
            at=("src/main.py:7",),
            repaired=_parser(_GROUP + _RESULTS),
        ),
        Example(
            _parser('parser.add_argument("--smoke-test", action="store_true")\n' + _RESULTS),
            contract="derived",
            at=("src/main.py:3",),
            repaired=_parser(_GROUP + _RESULTS),
        ),
        # `--smoke-test` wants a value here
        Example(
            _parser(_GROUP.replace('"--smoke-test", action="store_true"', '"--smoke-test"') + _RESULTS),
            contract="base",
            at=("src/main.py:5",),
            repaired=_parser(_GROUP + _RESULTS),
        ),
        # the contract's command gives no configuration
        Example(
            _parser(_GROUP + _RESULTS + 'parser.add_argument("--config", required=True)\n'),
            contract="base",
            at=("src/main.py:8",),
            repaired=_parser(_GROUP + _RESULTS + 'parser.add_argument("--config", default="config/smoke_test.yaml")\n'),
        ),
        # both, or neither, are taken: a warning
        Example(
            _parser(_GROUP.replace("parser.add_mutually_exclusive_group(required=True)", "parser") + _RESULTS),
            contract="base",
            at=("src/main.py:5",),
        ),
        Example(
            _main(
                "import hydra\n\n\n@hydra.main(config_path='../config', config_name='smoke_test')\ndef main(cfg):\n    print(cfg)\n"
            ),
            contract="base",
            at=("src/main.py:4",),
            repaired=_parser(_GROUP + _RESULTS),
        ),
        # nothing is read at all
        Example(
            _main("def main():\n    print('all runs')\n\n\nmain()\n"),
            contract="base",
            at=("src/main.py",),
            repaired=_parser(_GROUP + _RESULTS),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        commands: dict[str, str] = {}
        valued: dict[str, bool] = {}
        for command in project.contract.commands.values():
            for flag, value in _FLAG.findall(command.partition("src.main")[2]):
                commands.setdefault(flag, command)
                valued[flag] = bool(value)
        if not commands:
            return
        main = project.role("main")
        if main is None or main.tree is None:
            yield Undecided("there is no main that could be read")
            return
        line = main.shared(CommandLine)
        if not line.dynamic:
            yield from self._check_parser(line, commands, valued)
        elif hydra_decorator(main) is not None and not line.reads_argv:
            flag, command = next(iter(commands.items()))
            yield self.finding(
                main.path,
                hydra_decorator(main),
                message="main takes its command line through Hydra, which knows no `{flag}`",
                flag=flag,
                command=command,
                repair="Parse the command line with argparse, and read the YAML file that it names.",
            )
        elif reads_no_arguments(project, main):
            yield self.finding(
                main.path,
                message="main reads no command line",
                explanation="`{command}` cannot say which configuration is meant, nor where results go.",
                flag=", ".join(commands),
                command=next(iter(commands.values())),
            )
        else:
            yield Undecided(
                f"main's command line is not a parser that can be read ({line.other_style or line.dynamic})"
            )

    def _check_parser(self, line: CommandLine, commands: dict[str, str], valued: dict[str, bool]) -> Iterator[Outcome]:
        path = line.file.path
        takers = {flag: _taker(line, flag) for flag in commands}
        for flag, argument in takers.items():
            if argument is None:
                near = [other.call for other in line.arguments if _plain(flag) in map(_plain, other.names)]
                yield self.finding(path, (near or line.parsers)[0], flag=flag, symbol=flag, command=commands[flag])
            elif argument.takes_value is (not valued[flag]):
                yield self.finding(
                    path,
                    argument.call,
                    symbol=flag,
                    message="`{flag}` takes no value" if valued[flag] else "`{flag}` wants a value",
                    repair="Give it no action, so that it takes a path."
                    if valued[flag]
                    else "Give it `action='store_true'`.",
                    flag=flag,
                    command=commands[flag],
                )
        if None in takers.values():
            return
        for argument in line.arguments:
            if argument.required and argument not in takers.values():
                yield self.finding(
                    path,
                    argument.call,
                    symbol=argument.names[0],
                    message="main requires `{flag}`, which the contract's command does not give",
                    repair="Give it a default.",
                    flag=argument.names[0],
                    command=next(iter(commands.values())),
                )
        yield from self._check_switches(line, [taker for flag, taker in takers.items() if taker and not valued[flag]])

    def _check_switches(self, line: CommandLine, switches: list[Argument]) -> Iterator[Outcome]:
        group = _exclusive_group(line.file, {argument.group for argument in switches})
        required = keyword(group, "required") if group else None
        if isinstance(required, ast.Constant) and required.value is True:
            return
        if group or _are_read_together(line.file, switches):
            yield Undecided("whether exactly one flag is given is checked by hand, if it is")
            return
        listed = " and ".join(f"`{argument.names[0]}`" for argument in switches)
        yield self.finding(
            line.file.path,
            switches[0].call,
            severity=Severity.WARNING,
            message="nothing asks for exactly one of {listed}",
            explanation="A call with both, or with neither, is taken and does one of the two.",
            repair="Put them into `add_mutually_exclusive_group(required=True)`.",
            listed=listed,
            frames=tuple(Frame(line.file.path, argument.call.lineno) for argument in switches[1:]),
        )


def _taker(line: CommandLine, flag: str) -> Argument | None:
    """The argument that takes a flag, by its name or because the flag is the beginning of one name only."""
    exact = [argument for argument in line.arguments if flag in argument.names]
    longer = [argument for argument in line.arguments if any(name.startswith(flag) for name in argument.names)]
    return exact[0] if exact else longer[0] if len(longer) == 1 else None


def _plain(name: str) -> str:
    return name.lstrip("-").replace("_", "-").lower()


def _exclusive_group(main: PythonFile, names: set[str]) -> ast.Call | None:
    """The call that makes the mutually exclusive group of that one name, or None."""
    for call, _ in main.calls:
        made = isinstance(call.func, ast.Attribute) and call.func.attr == "add_mutually_exclusive_group"
        targets = getattr(main.parents[call], "targets", [])
        if made and {target.id for target in targets if isinstance(target, ast.Name)} == names:
            return call
    return None


def _are_read_together(main: PythonFile, switches: list[Argument]) -> bool:
    """Whether one statement reads all of these arguments, so that it may ask for exactly one."""
    wanted = {_plain(argument.names[-1]).replace("-", "_") for argument in switches}
    read: dict[ast.AST, set[str]] = {}
    for node in main.nodes_of(ast.Attribute):
        if node.attr in wanted:
            statement = next(up for up in main.ancestors(node) if isinstance(up, ast.stmt))
            read.setdefault(statement, set()).add(node.attr)
    return wanted in read.values()
