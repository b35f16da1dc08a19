"""What DAT012 and MDL010 have in common: a configured name for which no branch is written."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.dispatch import Missed, kind_of, missed_choices, stand_ins_only
from assay.analysis.project import Project
from assay.finding import Consequence, Frame
from assay.rules.rule import Outcome, Rule


def unimplemented(rule: Rule, project: Project, kind: str, rows: tuple[str, ...]) -> Iterator[Outcome]:
    """The names of a kind that runs configure and no branch takes, then the functions that take stand-ins alone.

    Args:
        rule: The rule that reports them.
        project: The submission.
        kind: `dataset` or `model`.
        rows: The requirements that a function breaks which takes stand-ins alone.
    """
    places: dict[tuple[str, int, str], list[Missed]] = {}
    for missed in missed_choices(project):
        if kind_of(missed.path, missed.function, missed.file) == kind:
            line = getattr(missed.place, "lineno", 0)
            places.setdefault((missed.file, line, missed.value), []).append(missed)
    for (file, _, value), found in places.items():
        first = found[0]
        more = f" (and {len(found) - 1} more run{'s' if len(found) > 2 else ''})" if len(found) > 1 else ""
        yield rule.finding(
            file,
            first.place,
            symbol=first.function,
            run=first.run or None,
            detail=f"{'.'.join(first.path)}: {value}",
            frames=(Frame(first.run_file, first.line), *(Frame(path, line) for path, line in first.calls)),
            function=first.function,
            value=value,
            run_file=f"{first.run_file}:{first.line}",
            path=".".join(first.path),
            raised=first.raised,
            known=", ".join(first.implemented[:8]) or "nothing",
            more=more,
            who=first.run,
        )
    if not set(rows).intersection(project.contract.ids):
        return
    reported = {(file, line) for file, line, _ in places}
    for choice in stand_ins_only(project, kind):
        if (choice.file, choice.place.lineno) in reported:
            continue
        yield rule.finding(
            choice.file,
            choice.place,
            consequence=Consequence.BREAKS_CONTRACT,
            requirements=rows,
            symbol=choice.function,
            message="{function} refuses every {kind} but a stand-in ({known})",
            explanation="No run of the experiment can use a {kind} of its own.",
            repair="Implement the experiment's {kind} in {function}.",
            function=choice.function,
            kind=kind,
            known=", ".join(choice.options[:8]),
        )
