"""The command line. No logic lives here: each command reads its options, calls the package, prints a report."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from assay import __version__
from assay.finding import Severity

app = typer.Typer(
    name="assay",
    help="Decide whether a machine-learning experiment can be believed.",
    add_completion=False,
    pretty_exceptions_enable=False,
    # plain help: Rich would cost as much as a review
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EXIT_UNREADABLE = 2


class Format(StrEnum):
    """Forms of a report."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


class ListFormat(StrEnum):
    """Forms of a list."""

    TEXT = "text"
    JSON = "json"


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"assay {__version__}")
        raise typer.Exit


def complain(text: object) -> None:
    """Say in one line on standard error what is wrong."""
    from assay.report.styled_text import visible

    typer.echo(f"assay: {visible(' '.join(str(text).split()))}", err=True)


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Decide whether a machine-learning experiment can be believed."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(EXIT_UNREADABLE)


@app.command()
def review(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Folders, git repositories (with --rev), JSON code bundles, review transcripts; - is standard input."
        ),
    ],
    contract: Annotated[str, typer.Option(help="auto, a contract's name, or a YAML file.")] = "auto",
    rev: Annotated[str | None, typer.Option(help="Review this git revision.")] = None,
    base: Annotated[
        str | None, typer.Option(help="What a derived submission specialises; --rev does not concern it.")
    ] = None,
    brief: Annotated[
        Path | None, typer.Option(help="The brief (YAML, JSON or Markdown), instead of a transcript's own.")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="DATE",
            help="Look at dependencies as of this day, --resolve included (default: today).",
        ),
    ] = None,
    env: Annotated[
        Path | None, typer.Option(help="Read libraries in this virtual environment (needs ty: assay[env]).")
    ] = None,
    resolve: Annotated[
        bool, typer.Option("--resolve", help="Let uv build that environment, wheels only, and keep it (assay[env]).")
    ] = False,
    output_format: Annotated[Format, typer.Option("--format", help="Form of the report.")] = Format.TEXT,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the report to this file.")] = None,
    select: Annotated[list[str] | None, typer.Option(help="Hear only rules whose codes begin so (CFG,PKG002).")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Do not hear rules whose codes begin so.")] = None,
    severity: Annotated[Severity, typer.Option(help="Show findings from this weight on.")] = Severity.NOTE,
    require_decided: Annotated[
        bool, typer.Option("--require-decided", help="Undecided requirements count as not ready.")
    ] = False,
    trust_ignores: Annotated[
        bool, typer.Option("--trust-ignores", help="Honour `# assay: ignore[CODE]` inside the submission.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Review this many paths at once.")] = 1,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the status of every requirement.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one line a finding, and nothing else.")] = False,
) -> None:
    """Say, with evidence, whether submissions are ready. Exit status: 0 ready, 1 not ready, 2 unreadable."""
    from assay.report import emit
    from assay.report.progress import progress
    from assay.several import review_several

    with progress(len(paths), quiet=quiet) as report_progress:
        answers = review_several(
            paths,
            jobs=jobs,
            report_progress=report_progress,
            contract=contract,
            rev=rev,
            base=base,
            brief=brief,
            as_of=as_of.date() if as_of else None,
            env=env,
            resolve=resolve,
            select=tuple(select or ()),
            ignore=tuple(ignore or ()),
            require_decided=require_decided,
            trust_ignores=trust_ignores,
        )
    for error in dict.fromkeys(answer.error for answer in answers if answer.verdict is None):
        complain(error)
    for answer in answers:
        if answer.verdict and answer.verdict.is_guessed and output_format is not Format.TEXT and not quiet:
            complain(f"{answer.path}: contract {answer.verdict.contract.name}, {answer.verdict.contract_reason}")
    verdicts = [answer.verdict for answer in answers if answer.verdict]
    if verdicts:
        emit(
            verdicts,
            output_format.value,
            output,
            severity,
            verbose=verbose,
            quiet=quiet,
            unreadable=len(answers) - len(verdicts),
        )
    raise typer.Exit(max(answer.status for answer in answers))


@app.command()
def new(
    name: Annotated[
        str, typer.Argument(help="The new folder. Its last part (letters, digits, . _ -) names the project.")
    ],
    contract: Annotated[str, typer.Option(help="What to write: experiment, base or derived.")] = "experiment",
    base: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What a derived submission specialises: as --contract base wrote it."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Make it in this folder (default: the working directory).")
    ] = None,
) -> None:
    """Write a small complete submission to start from. Exit status: 0 written, 2 refused, and nothing changed."""
    from assay.report import write_lines
    from assay.scaffold import new_submission
    from assay.scaffold.checkout import running_checkout

    submission = new_submission(name, contract, into=into, base=base, checkout=running_checkout())
    submission.write()
    write_lines(submission.lines())


@app.command()
def rules(
    output_format: Annotated[ListFormat, typer.Option("--format", help="Form of the list.")] = ListFormat.TEXT,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the list to this file.")] = None,
) -> None:
    """List the rules: code, name, weight, and the requirements that each bears on."""
    from assay.report import terminal_width, write, write_lines
    from assay.report.catalogue import rule_lines, rules_json

    if output_format is ListFormat.JSON:
        write(rules_json(), output)
    else:
        write_lines(rule_lines(terminal_width() or 100), output)


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="Code or name of a rule.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the page to this file.")] = None,
) -> None:
    """Explain a rule: what it looks for, what it says, and its examples."""
    from assay.report import write_page
    from assay.report.catalogue import explanation

    write_page(explanation(code), output)


@app.command()
def contracts(
    name: Annotated[
        str | None, typer.Argument(help="Show this contract (a name, or a YAML file) with its requirements.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the list to this file.")] = None,
) -> None:
    """List the contracts, or show one."""
    from assay.report import terminal_width, write_lines
    from assay.report.catalogue import contract_lines, contract_list_lines

    write_lines(contract_lines(name, terminal_width() or 100) if name else contract_list_lines(), output)
