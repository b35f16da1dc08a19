"""The command line. No logic lives here: each command reads its options, calls the package, prints a report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assay import __version__
from assay.finding import Severity

if TYPE_CHECKING:
    from assay.several import Answer

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


Standins = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Schemas of further datasets and models (YAML), for stand-ins.")
]
Online = Annotated[
    bool,
    typer.Option(
        "--online", help="Ask the Hub for schemas and model configurations that no table has; never data or weights."
    ),
]


def _number(value: float) -> float:
    if value != value:
        raise typer.BadParameter("nan is no number of seconds")
    return value


TimeLimit = Annotated[
    float, typer.Option(metavar="SECONDS", min=10, callback=_number, help="End a rehearsal after this long.")
]
TrialJobs = Annotated[
    int, typer.Option(min=0, help="Commands of one rehearsal side by side (0: as many as there are cores, at most 4).")
]
Runs = Annotated[int, typer.Option(min=1, help="Rehearse at most this many runs.")]
DEFAULT_SECONDS = 1_200.0
DEFAULT_RUNS = 8


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
    trial: Annotated[
        bool, typer.Option("--trial", help="Rehearse its commands too, in a sandbox with stand-ins (see `trial`).")
    ] = False,
    standins: Standins = None,
    online: Online = False,
    time_limit: TimeLimit = DEFAULT_SECONDS,
    trial_jobs: TrialJobs = 0,
    runs: Runs = DEFAULT_RUNS,
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
    from assay.report.progress import progress, tell_of_rehearsal
    from assay.several import review_several

    rehearsed: dict[str, Any] = {}
    if not trial and (online or standins is not None):
        raise typer.BadParameter(
            "it says how to rehearse: add --trial", param_hint="--online" if online else "--standins"
        )
    if trial:
        from assay.trial.rehearsal import TrialOptions

        rehearsed["trial"] = TrialOptions(env, standins, online, time_limit, trial_jobs, runs)
        if not quiet:
            rehearsed["say"] = tell_of_rehearsal
    with progress(len(paths), quiet=quiet or trial) as report_progress:
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
            **rehearsed,
        )
    raise typer.Exit(_reported(answers, output_format, output, severity, verbose=verbose, quiet=quiet))


def _reported(
    answers: Sequence[Answer],
    output_format: Format,
    output: Path | None,
    severity: Severity,
    *,
    verbose: bool,
    quiet: bool,
) -> int:
    """Report answers; the exit status that they stand for together."""
    from assay.report import emit

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
    return max(answer.status for answer in answers)


@app.command()
def trial(
    path: Annotated[
        str, typer.Argument(help="A folder, a git repository (with --rev), a JSON code bundle or a review transcript.")
    ],
    contract: Annotated[str, typer.Option(help="auto, a contract's name, or a YAML file.")] = "auto",
    rev: Annotated[str | None, typer.Option(help="Rehearse this git revision.")] = None,
    base: Annotated[Path | None, typer.Option(help="What a derived submission specialises.")] = None,
    brief: Annotated[Path | None, typer.Option(help="The brief, instead of a transcript's own.")] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="DATE", help="Resolve dependencies as of this day (default: today)."
        ),
    ] = None,
    env: Annotated[
        Path | None, typer.Option(help="Rehearse in this virtual environment, instead of one that uv builds.")
    ] = None,
    standins: Standins = None,
    online: Online = False,
    time_limit: TimeLimit = DEFAULT_SECONDS,
    trial_jobs: TrialJobs = 0,
    runs: Runs = DEFAULT_RUNS,
    output_format: Annotated[Format, typer.Option("--format", help="Form of the report.")] = Format.TEXT,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the report to this file.")] = None,
    severity: Annotated[Severity, typer.Option(help="Show findings from this weight on.")] = Severity.NOTE,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the status of every requirement.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one line a finding, and nothing else.")] = False,
) -> None:
    """Rehearse a submission's own commands in a sandbox, and say what that shows. Exit status: as of `review`."""
    from assay.report.progress import tell_of_rehearsal
    from assay.several import review_several
    from assay.trial.rehearsal import TrialOptions

    answers = review_several(
        [path],
        contract=contract,
        rev=rev,
        base=base,
        brief=brief,
        as_of=as_of.date() if as_of else None,
        # what stops the environment from being built is said by a rule about packaging
        select=("TRL", "PKG010"),
        trial=TrialOptions(env, standins, online, time_limit, trial_jobs, runs),
        say=None if quiet else tell_of_rehearsal,
    )
    status = _reported(answers, output_format, output, severity, verbose=verbose, quiet=quiet)
    rehearsed = answers[0].verdict.rehearsal if answers[0].verdict else None
    if status == 0 and rehearsed is not None and not rehearsed.steps:
        # ready would sound as if it had run
        complain(f"{path}: nothing was rehearsed")
        status = EXIT_UNREADABLE
    raise typer.Exit(status)


@app.command()
def standins(
    file: Annotated[Path | None, typer.Argument(help="Schemas of your own (YAML), which win over the tables.")] = None,
    output_format: Annotated[ListFormat, typer.Option("--format", help="Form of the list.")] = ListFormat.TEXT,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the list to this file.")] = None,
) -> None:
    """List the datasets that a rehearsal has stand-ins for: configurations, splits, columns and the source of each."""
    from assay.report import terminal_width, write, write_lines
    from assay.report.standin_list import standin_lines, standins_json

    if output_format is ListFormat.JSON:
        write(standins_json(file), output)
    else:
        write_lines(standin_lines(file, terminal_width() or 100), output)


@app.command()
def cache(
    prune: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Give up what was not used for longest, until this much is left (20GB, 0)."),
    ] = None,
) -> None:
    """List the environments that Assay keeps for rehearsals and for --resolve, or prune them to a size."""
    from assay.report import terminal_width, write_lines
    from assay.report.cache_list import cache_lines

    write_lines(cache_lines(prune, terminal_width() or 100))


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
