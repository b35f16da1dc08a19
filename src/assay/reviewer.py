"""Reviewing a submission: open it, choose its contract, hear the gates, give the verdict."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from assay.analysis.enactment.session import take_session
from assay.analysis.project import Project
from assay.contracts import Contract, load_contract
from assay.errors import InputError
from assay.excerpt import excerpts_of
from assay.finding import Consequence, Finding, Severity
from assay.rules.registry import all_rules, check_named_rules, find_rules
from assay.rules.rule import NotApplicable, Proved, Rule, Undecided
from assay.submission.brief import Brief
from assay.submission.opening import lay_runs, open_submission
from assay.submission.record import Submission
from assay.verdict import Coverage, Verdict, ordered, requirement_statuses

if TYPE_CHECKING:
    from assay.trial.record import Rehearsal
    from assay.trial.rehearsal import TrialOptions

_GATES = ("static", "compose", "trial")
_IGNORE_COMMENT = re.compile(r"#\s*assay:\s*ignore\b(?:\s*\[([^\]]*)\]?)?")


def review(
    source: str | Path | Submission,
    *,
    contract: str | Path = "auto",
    rev: str | None = None,
    base: str | Path | None = None,
    brief: str | Path | Brief | None = None,
    as_of: datetime.date | None = None,
    env: str | Path | None = None,
    resolve: bool = False,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    trust_ignores: bool = False,
    require_decided: bool = False,
    trial: bool | TrialOptions | Rehearsal = False,
    say: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Review a submission by reading it. Without `trial` nothing of it is executed.

    With `env` or `resolve` the libraries that it uses are read too; see `docs/environment.md`. With `trial` its own
    commands are rehearsed in a sandbox as well; see `docs/trial.md`.

    Args:
        source: A folder, a git repository (with `rev`), a JSON code bundle, a review transcript, `-` for either
            of the last two on standard input, or a submission that is already open.
        contract: Name of a built-in contract, path of a YAML file, or `auto`.
        rev: Git revision to review instead of the files as they are. It does not concern `base`.
        base: The foundation of a derived submission, in any form that `source` can have.
        brief: The brief, or the path of a file that holds it.
        as_of: The day on which dependencies are looked at; today where it is not given.
        env: A virtual environment in which the submission would run, or the Python program of one.
        resolve: Whether uv builds such an environment as of that day, from what the submission declares.
        select: Beginnings of rule codes (`CFG`, `PKG002`); only these rules are heard. All, where it is empty.
        ignore: Beginnings of rule codes that are not heard.
        trust_ignores: Whether `# assay: ignore[CODE]` comments inside the submission count.
        require_decided: Whether undecided rows count as not ready.
        trial: Whether its commands are rehearsed, and how; or what an earlier rehearsal of it saw. `env` then names
            the environment of the rehearsal too.
        say: Is told, in a few words, what happens in the rehearsal.

    Raises:
        InputError: where the submission or the call cannot be read.

    Example:
        >>> verdict = review("examples/gsm8k-lora")  # doctest: +SKIP
        >>> verdict.ready  # doctest: +SKIP
        False
    """
    begin = time.perf_counter()
    contract = str(contract)
    # the child gets ready while the submission is read, and works while the rules are loaded
    with take_session() as session:
        if env is not None and resolve:
            raise InputError("an environment is given or resolved, not both")
        if isinstance(source, Submission):
            if rev is not None or base is not None or brief is not None:
                raise InputError("rev, base and brief go with a path; an open submission has its own")
            submission = source
        else:
            submission = open_submission(source, rev=rev, base=base, brief=_brief(brief), contract=contract)
        chosen, reason = choose_contract(submission, contract)
        if chosen.run_folders:
            submission = lay_runs(submission, *chosen.run_folders)
        project = Project(submission, chosen, as_of=as_of)
        project.start_enactment(session)
        rules = find_rules(select, ignore)
        check_named_rules(chosen)
        # once and for all: a file with a YAML bomb or a tag makes the submission unreadable, whichever rules are heard
        for part in (project, project.base):
            if part is not None:
                part.yaml  # noqa: B018
        seconds: dict[str, float] = {}
        try:
            if env is not None or resolve:
                started = time.perf_counter()
                project.use_environment(Path(env) if env is not None else None)
                seconds["environment"] = time.perf_counter() - started
            if trial is not False:
                seconds |= _rehearse(project, trial, Path(env) if env is not None else None, say)
            findings, coverage = run_rules(project, rules)
        finally:
            project.close()
        if trust_ignores:
            findings = _without_ignored(findings, submission, coverage)
        findings = ordered(findings, chosen)
        return Verdict(
            submission=submission.name,
            contract=chosen,
            contract_reason=reason,
            findings=tuple(findings),
            requirements=requirement_statuses(chosen, findings, coverage),
            evidence=(
                "static",
                *(("compose",) if project.is_enacted else ()),
                *(("environment",) if env is not None or resolve else ()),
                *(("trial",) if project.rehearsal is not None and project.rehearsal.steps else ()),
            ),
            seconds={"static": time.perf_counter() - begin - sum(seconds.values()), **seconds},
            require_decided=require_decided,
            kind=submission.kind,
            as_of=project.as_of,
            excerpts=excerpts_of(findings, submission),
            rehearsal=project.rehearsal,
        )


def _rehearse(
    project: Project, asked: bool | TrialOptions | Rehearsal, env: Path | None, say: Callable[[str], None]
) -> dict[str, float]:
    """Rehearse a submission; the seconds that it took, by part."""
    from assay.analysis.resolution import Resolution
    from assay.trial.record import Rehearsal
    from assay.trial.rehearsal import TrialOptions, rehearse

    if isinstance(asked, Rehearsal):
        project.rehearsal = asked
        return {}
    options = asked if isinstance(asked, TrialOptions) else TrialOptions()
    if env is not None and options.env is None:
        options = replace(options, env=env)
    begin = time.perf_counter()
    project.rehearsal = rehearse(project, options, say)
    if project.resolution is None and project.rehearsal.refusal:
        # a submission that nobody can install is a matter of its packaging
        project.resolution = Resolution(refusal=project.rehearsal.refusal)
    took = time.perf_counter() - begin
    building = min(took, project.rehearsal.seconds.get("environment", 0.0))
    return {"trial-environment": building, "trial": took - building}


def choose_contract(submission: Submission, asked: str) -> tuple[Contract, str]:
    """The contract to review against, and how it was chosen.

    Raises:
        InputError: where none was asked for and the files do not tell.
    """
    if asked != "auto":
        return load_contract(asked), "as asked for"
    if submission.stated_contract:
        return load_contract(submission.stated_contract), "stated by the transcript"
    if "config/config.yaml" in submission:
        if any(path.startswith("config/run/") for path in submission.files) and "trial_mode" in (
            submission.text("config/config.yaml") or ""
        ):
            return load_contract("experiment@2025-10"), "guessed: config/run/ and trial_mode in config/config.yaml"
        return load_contract("experiment"), "guessed: there is a config/config.yaml"
    if "config/smoke_test.yaml" in submission or "config/full_experiment.yaml" in submission:
        if submission.base is not None:
            return load_contract("derived"), "guessed: there are variation files, and a base was given"
        if any("_PLACEHOLDER" in (file.text or "") for file in submission.files.values()):
            return load_contract("base"), "guessed: there are variation files and placeholders"
        return load_contract("derived"), "guessed: there are variation files and no placeholders"
    raise InputError(
        f"{submission.name}: neither config/config.yaml nor config/smoke_test.yaml, so the contract cannot be "
        "guessed; name it with --contract"
    )


def run_rules(project: Project, rules: dict[str, type[Rule]]) -> tuple[list[Finding], Coverage]:
    """What the rules say of a submission.

    A rule that fails leaves its rows undecided and says so; it never ends the review.
    """
    contract = project.contract
    findings: list[Finding] = []
    coverage = Coverage()
    proved: set[str] = set()
    unheard: set[str] = set()
    project.start_ruff()
    # what needs the enactment, or an environment's type checker, comes last, so that it happens meanwhile
    for code, kind in sorted(all_rules().items(), key=_turn):
        bears_on = rows_of(kind.requirements, code, contract)
        if not bears_on:
            continue
        decides = rows_of(kind.decides, code, contract)
        if kind.gate == "trial" and project.rehearsal is None:
            for row in decides:
                coverage.open.setdefault(row, []).append(f"{code} needs a rehearsal (--trial)")
            continue
        if code not in rules:
            for row in decides:
                coverage.open.setdefault(row, []).append(f"{code} was not selected")
            unheard.update(bears_on)
            continue
        project.unread_roles.clear()
        try:
            outcomes = list(kind().check(project))
        except InputError:
            raise
        except Exception as error:
            outcomes = [Undecided(f"{code} failed on this submission ({type(error).__name__}: {error})")]
            unheard.update(bears_on)
        coverage.silent.update(decides)
        if kind.gate != "static":
            coverage.composed.update(decides)
        if project.unread_roles:
            # a rule vouches for its own rows, not for those that name it: it may have had nothing to look at
            reason = f"{code} could read no file for {', '.join(sorted(project.unread_roles))}"
            for row in set(decides).difference(kind.decides):
                coverage.open.setdefault(row, []).append(reason)
        for outcome in outcomes:
            if isinstance(outcome, Finding):
                rows = rows_of(outcome.requirements, code, contract)
                if rows:
                    findings.append(replace(outcome, requirements=rows))
                continue
            if isinstance(outcome, Proved):
                (coverage.rehearsed if kind.gate == "trial" else proved).update(outcome.requirements)
                continue
            # a row that names the rule stands or falls with all that the rule says
            rows = rows_of(outcome.requirements, code, contract) if outcome.requirements else bears_on
            if isinstance(outcome, Undecided):
                # what reading decided stays so where a rehearsal cannot tell
                left = coverage.silent - coverage.open.keys() if kind.gate == "trial" else set()
                for row in set(rows or bears_on) - left:
                    coverage.open.setdefault(row, []).append(outcome.reason)
            elif isinstance(outcome, NotApplicable):
                for row in rows:
                    coverage.not_applicable.setdefault(row, outcome.reason)
    for row in proved.intersection(contract.ids) - unheard:
        # what the other rules could not tell, a proof does
        coverage.open.pop(row, None)
        coverage.silent.add(row)
        coverage.composed.add(row)
    return _without_repetitions(_with_what_was_seen(findings)), coverage


def _turn(item: tuple[str, type[Rule]]) -> tuple[bool, bool, int]:
    """When a rule is heard."""
    kind = item[1]
    return kind.gate == "trial", kind.late, _GATES.index(kind.gate)


def _with_what_was_seen(findings: list[Finding]) -> list[Finding]:
    """The findings, with a stop that a rehearsal saw where reading foretold it as evidence of that finding."""
    foretold = [
        number
        for number, finding in enumerate(findings)
        if finding.consequence is Consequence.CRASHES and finding.evidence.kind != "trial" and finding.line is not None
    ]
    kept = list(findings)
    gone: set[int] = set()
    for number, seen in enumerate(findings):
        if seen.evidence.kind != "trial" or seen.consequence is not Consequence.CRASHES or seen.file is None:
            continue
        stops_at = (seen.file, seen.line)
        said = next((other for other in foretold if _covers(findings[other], stops_at)), None)
        if said is None:
            continue
        told = kept[said]
        detail = "; ".join(filter(None, (told.evidence.detail, f"seen in a rehearsal: {seen.evidence.detail}")))
        frames = tuple(dict.fromkeys((*told.evidence.frames, *seen.evidence.frames)))
        rows = tuple(dict.fromkeys((*told.requirements, *seen.requirements)))
        kept[said] = replace(told, requirements=rows, evidence=replace(told.evidence, detail=detail, frames=frames))
        gone.add(number)
    return [finding for number, finding in enumerate(kept) if number not in gone]


def _covers(finding: Finding, place: tuple[str, int | None]) -> bool:
    file, line = place
    if line is None or finding.line is None:
        return False
    if finding.file == file and finding.line <= line <= (finding.end_line or finding.line):
        return True
    # a value in a file that is no program stops nothing by itself: its frames say where it does
    leads = finding.file is None or not finding.file.endswith(".py")
    return leads and any((frame.file, frame.line) == place for frame in finding.evidence.frames)


def _without_repetitions(findings: list[Finding]) -> list[Finding]:
    """The findings without those of rules that yield to another rule's finding at the same place, no lighter one."""
    places: dict[tuple[str | None, int | None], list[Finding]] = {}
    for finding in findings:
        for place in ((finding.file, finding.line), *((frame.file, frame.line) for frame in finding.evidence.frames)):
            places.setdefault(place, []).append(finding)
    rules = all_rules()

    def yields(finding: Finding) -> bool:
        others = rules[finding.rule].yields_to
        return any(
            other.rule in others and (other.severity is finding.severity or other.severity is Severity.BLOCKING)
            for other in places[finding.file, finding.line]
        )

    return [finding for finding in findings if not yields(finding)]


def rows_of(ids: tuple[str, ...], code: str, contract: Contract) -> tuple[str, ...]:
    """Those of a rule's requirements that a contract has, and the rows of the contract that name the rule."""
    named = [requirement.id for requirement in contract.requirements if code and code in requirement.rules]
    return tuple(dict.fromkeys([*(row for row in ids if row in contract.ids), *named]))


def _brief(brief: str | Path | Brief | None) -> Brief | None:
    if brief is None or isinstance(brief, Brief):
        return brief
    from assay.submission.brief_file import read_brief

    return read_brief(Path(brief))


def _without_ignored(findings: list[Finding], submission: Submission, coverage: Coverage) -> list[Finding]:
    """The findings that no comment at their line ignores; the rows of the others are left open."""
    lines = {path: (submission.text(path) or "").split("\n") for path in {finding.file for finding in findings} if path}
    kept = []
    for finding in findings:
        if not _is_ignored(finding, lines.get(finding.file or "", [])):
            kept.append(finding)
            continue
        for row in finding.requirements:
            coverage.open.setdefault(row, []).append(f"{finding.rule} is ignored by a comment at {finding.place}")
    return kept


def _is_ignored(finding: Finding, lines: list[str]) -> bool:
    if finding.line is None or not 0 < finding.line <= len(lines):
        return False
    match = _IGNORE_COMMENT.search(lines[finding.line - 1])
    if match is None:
        return False
    if match.group(1) is None:
        return True
    # brackets name codes: what is no code there ignores nothing
    codes = (code.strip() for code in match.group(1).split(","))
    return any(code and finding.rule.startswith(code) for code in codes)
