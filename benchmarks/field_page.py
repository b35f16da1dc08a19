"""The page about the field: what `benchmarks/field.py` measured, in tables."""

from __future__ import annotations

import statistics
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from judgements import Judgements
from public_scripts import LAYOUT_FAMILIES, LAYOUT_RULES, Outcome, Script
from repairs import Repair
from review import slope
from reviewed import general_place_of, place_of

from assay.rules.registry import all_rules

# How a defect was found, in the order of the page, and in words.
KINDS = {
    "static": "reading",
    "compose": "composing the configuration",
    "real-data": "the real data or model",
    "trial": "a trial on stand-ins",
    "gpu": "a GPU",
    "environment": "the runner's environment",
}
FOR_THIS_GATE = ("static", "compose", "real-data")


@dataclass(frozen=True, slots=True)
class Claim:
    """A finding on a state."""

    state: str
    finding: dict[str, Any]


@dataclass(slots=True)
class State:
    """A reviewed state.

    Args:
        name: What the page calls it.
        contract: Its contract.
        pointed: Its labels in order, each with the findings that point at it.
        blocking: All blocking findings.
        seconds: Time of the review.
    """

    name: str
    contract: str
    pointed: list[tuple[dict[str, Any], list[dict[str, Any]]]]
    blocking: list[dict[str, Any]]
    seconds: float

    def caught(self, *kinds: str) -> int:
        """How many of its labels are pointed at."""
        return sum(bool(hits) for label, hits in self.pointed if not kinds or label["how_found"] in kinds)

    def total(self, *kinds: str) -> int:
        """How many labels it has."""
        return sum(not kinds or label["how_found"] in kinds for label, _ in self.pointed)


@dataclass(slots=True)
class Field:
    """All that was measured."""

    judgements: Judgements
    states: list[State] = field(default_factory=list)
    unmatched: list[Claim] = field(default_factory=list)
    sample: list[Claim] = field(default_factory=list)
    ran: list[tuple[str, str, float]] = field(default_factory=list)
    alarms: list[Claim] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)
    public: list[Outcome] = field(default_factory=list)
    absent: list[Script] = field(default_factory=list)
    composed: list[dict[str, float]] = field(default_factory=list)

    def elsewhere(self, *kinds: str) -> int:
        """How many labels were read and are pointed at only by findings about another defect."""
        return sum(
            self.judgements.elsewhere(state.name, label, hits)
            for state in self.states
            for label, hits in state.pointed
            if hits and (not kinds or label["how_found"] in kinds)
        )

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Labels pointed at and labels, by how the defect was found."""
        present = {label["how_found"] for state in self.states for label, _ in state.pointed}
        kinds = [*(kind for kind in KINDS if kind in present), *sorted(present.difference(KINDS))]
        return {
            kind: (sum(one.caught(kind) for one in self.states), sum(one.total(kind) for one in self.states))
            for kind in kinds
        }

    def all_labels(self) -> tuple[int, int]:
        """Labels pointed at and labels."""
        return sum(one.caught() for one in self.states), sum(one.total() for one in self.states)

    def first_defects(self) -> tuple[int, int]:
        """States whose first defect is pointed at, and states with defects."""
        firsts = [one.pointed[0][1] for one in self.states if one.pointed]
        return sum(map(bool, firsts)), len(firsts)

    def judged(self, claims: Sequence[Claim]) -> Counter[str]:
        """How many of some findings are true, false and not read."""
        return Counter(self.judgements.of(claim.state, claim.finding)[0] for claim in claims)


def page(measured: Field) -> str:
    """The whole page."""
    parts = [
        _opening(measured),
        _catch_rates(measured),
        _precision(measured),
        _states_that_ran(measured),
        _public(measured),
        _repairs(measured),
        _times(measured),
    ]
    return "\n".join(_wrapped(line) for part in parts for line in part).rstrip() + "\n"


def _wrapped(line: str) -> str:
    if line.startswith(("|", "#", "<")):
        return line
    later = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, 120, subsequent_indent=later, break_long_words=False, break_on_hyphens=False)


def _opening(measured: Field) -> Iterator[str]:
    yield "# The field"
    yield ""
    yield "<!-- Made by benchmarks/field.py --page. Do not edit. -->"
    yield ""
    yield (
        "What `assay review` finds in real experiments: code that a language model wrote, that another model reviewed, "
        "and that people then had to repair until it ran. Every repair was read and labelled with its cause. This page "
        "covers the development half of that corpus. Rules were written with it at hand, so its catch rates are no "
        "forecast for code that nobody has seen. The repositories are not named here: S01 to S24 are the reviewed "
        "states by date."
    )
    yield ""
    caught, total = measured.all_labels()
    reading = [measured.by_kind().get(kind, (0, 0)) for kind in ("static", "compose")]
    real = measured.by_kind().get("real-data", (0, 0))
    first, states = measured.first_defects()
    sampled = measured.judged(measured.sample)
    alarms = measured.judged(measured.alarms)
    public = sum(len(one.findings) + len(one.stops) for one in measured.public)
    left = [Claim(repair.name, same) for repair in measured.repairs for _, same in repair.left]
    rows = [
        ("defects found by reading or composing", _of(*map(sum, zip(*reading, strict=True))), "58 of 63"),
        ("defects found with real data", _of(*real), "8 of 13"),
        ("first defect of a state", _of(first, states), "21 of 24"),
        ("all labelled defects", _of(caught, total), ""),
        ("findings without a label that are true", _of(sampled["true"], len(measured.sample)), "38 of 40"),
        ("false claims about states that ran", _of(alarms.total() - alarms["true"], len(measured.alarms)), "0"),
        (f"claims about {len(measured.public)} public scripts", public, "0"),
        (
            "repaired defects with a wrong finding left",
            _of(sum(_wrong(measured, repair) for repair in measured.repairs), len(measured.repairs)),
            "0",
        ),
    ]
    yield from _table(("question", "measured", "aim"), rows)
    unread = sampled["not read"] + alarms["not read"] + measured.judged(left)["not read"]
    if unread:
        yield f"{unread} findings below have not been read yet. Until then they count as wrong."
        yield ""


def _catch_rates(measured: Field) -> Iterator[str]:
    yield "## Catch rates"
    yield ""
    yield (
        "A labelled defect counts as caught when a blocking finding points at it: the same file and at most five lines "
        "away, the same name in the same file, or, for packaging, a packaging finding."
    )
    yield ""
    kinds = measured.by_kind()
    rows: list[tuple[object, ...]] = [
        (KINDS.get(kind, kind), caught, total, _share(caught, total), measured.elsewhere(kind))
        for kind, (caught, total) in kinds.items()
    ]
    caught, total = measured.all_labels()
    first, states = measured.first_defects()
    rows += [("all", caught, total, _share(caught, total), measured.elsewhere())]
    rows += [("the first defect of a state", first, states, _share(first, states), "")]
    yield from _table(("the defect shows by", "caught", "of", "share", "by another finding"), rows)
    yield (
        "That measure is generous. All that it counts was read, and the last column tells how many of the caught are "
        "pointed at only by findings about another defect nearby."
    )
    yield ""
    yield "The same by state. Before the slash: caught; after it: labelled."
    yield ""
    yield from _table(
        ("state", "contract", "reading", "composing", "real data", "other", "first", "blocking", "unmatched"),
        [
            (
                one.name,
                one.contract,
                *(_fraction(one, kind) for kind in FOR_THIS_GATE),
                _fraction(one, *(kind for kind in kinds if kind not in FOR_THIS_GATE)),
                ("yes" if one.pointed[0][1] else "no") if one.pointed else "",
                len(one.blocking),
                sum(claim.state == one.name for claim in measured.unmatched),
            )
            for one in sorted(measured.states, key=lambda one: one.name)
        ],
    )
    missed = Counter(
        (label["how_found"], label["category"])
        for one in measured.states
        for label, hits in one.pointed
        if not hits and label["how_found"] in FOR_THIS_GATE
    )
    yield "Missed, of those that reading, composing or knowledge of the real data could show:"
    yield ""
    yield from _table(
        ("the defect shows by", "what it is about", "missed"),
        [(KINDS[kind], category.replace("-", " "), count) for (kind, category), count in sorted(missed.items())],
    )


def _precision(measured: Field) -> Iterator[str]:
    yield "## Precision"
    yield ""
    counted = measured.judged(measured.sample)
    true, false, unread = (counted[name] for name in ("true", "false", "not read"))
    yield (
        f"{len(measured.unmatched)} blocking findings point at no label. That does not make them wrong: people "
        f"repaired what stopped them, and left the rest. {len(measured.sample)} of them, drawn with seed 0, were held "
        f"against the code: {true} are true, {false} are false, {unread} are not read."
    )
    yield ""
    yield from _judged(measured, measured.sample)
    every = measured.judged(measured.unmatched)
    if every["not read"] < len(measured.unmatched) - len(measured.sample):
        yield (
            f"Of all {len(measured.unmatched)}, {every['true']} were read and are true, {every['false']} are false, "
            f"{every['not read']} are not read."
        )
        yield ""


def _states_that_ran(measured: Field) -> Iterator[str]:
    yield "## States that ran"
    yield ""
    yield (
        f"{len(measured.ran)} states verifiably ran to their end as committed. A finding that such a state crashes or "
        f"trains nothing is an alarm until it is proved right: {len(measured.alarms)} in all."
    )
    yield ""
    if measured.alarms:
        yield from _judged(measured, measured.alarms)


def _public(measured: Field) -> Iterator[str]:
    yield "## Public training scripts"
    yield ""
    yield (
        "Training scripts that many people use, from projects with other layouts. Each is laid out as a submission "
        "of its own (`src/train.py`, with the modules that it imports where it needs them) and reviewed under the "
        "contract `experiment` as of the day of its last commit. Then it is enacted with its own command line. What "
        "counts is a blocking finding that says `crashes` or `trains-nothing`, and a place where the enactment "
        "certainly stops. There must be none."
    )
    yield ""
    families, codes = ", ".join(LAYOUT_FAMILIES), ", ".join(LAYOUT_RULES)
    yield (
        f"All rules are heard but those that ask for the layout of the contract: the families {families}, and {codes}, "
        "which need a `config/config.yaml` with run files."
    )
    yield ""
    counted = sorted({code[:3] for code in all_rules()}.difference(LAYOUT_FAMILIES))
    lines = sum(one.lines for one in measured.public)
    yield (
        f"{len(measured.public)} scripts with {lines:,} lines, without the modules beside them, of "
        f"{len({one.script.repository for one in measured.public})} repositories; families heard: {', '.join(counted)}."
    )
    yield ""
    yield from _table(
        ("script", "licence", "lines", "findings", "enacted", "stops"),
        [
            (
                f"{one.script.repository} `{one.script.path}`",
                one.script.licence,
                one.lines,
                len(one.findings),
                "to its end" if one.complete else "in part",
                len(one.stops),
            )
            for one in measured.public
        ],
    )
    for one in measured.public:
        for finding in one.findings:
            yield f"- {one.script.name}: {finding['rule']} at `{place_of(finding)}`, {finding['message']}"
        for stop in one.stops:
            yield f"- {one.script.name}: stops at `{stop['file']}:{stop['line']}`, {stop['message']}"
    if measured.absent:
        yield f"Not there, and left out: {', '.join(one.name for one in measured.absent)}."
        yield ""


def _repairs(measured: Field) -> Iterator[str]:
    yield "## Repairs"
    yield ""
    yield (
        "For each caught defect that a later commit repaired, that commit is reviewed too. The finding that pointed at "
        "the defect has to be gone. Lines are followed through the diff. A commit that repairs no other label tells "
        "most."
    )
    yield ""
    rows: list[tuple[object, ...]] = []
    for words, chosen in (
        ("all", measured.repairs),
        ("repaired by a commit of their own", [one for one in measured.repairs if one.alone]),
    ):
        silent = [one for one in chosen if not one.left]
        right = [one for one in chosen if one.left and not _wrong(measured, one)]
        rows.append(
            (
                words,
                len(chosen),
                sum(one.touched for one in chosen),
                len(silent),
                len(right),
                len(chosen) - len(silent) - len(right),
            )
        )
    yield from _table(
        (
            "caught defects",
            "repaired",
            "the repair touches the file",
            "all findings silent",
            "a finding is left, rightly",
            "a finding is left, wrongly or not read",
        ),
        rows,
    )
    left: dict[tuple[str, str, str, str], Claim] = {}
    for repair in measured.repairs:
        for _, same in repair.left:
            left.setdefault((repair.name, same["rule"], place_of(same), same["message"]), Claim(repair.name, same))
    if left:
        yield (
            "What is left. `true` means that the finding is right about the repaired state; S03.2 is the second repair "
            "of S03."
        )
        yield ""
        yield from _judged(measured, list(left.values()))


def _times(measured: Field) -> Iterator[str]:
    yield "## Times"
    yield ""
    seconds = [one.seconds for one in measured.states]
    if seconds:
        yield (
            f"A state of the corpus takes {statistics.median(seconds):.2f} s in the median and {max(seconds):.2f} s at "
            "most, without the start of Python."
        )
        yield ""
    if measured.composed:
        yield (
            "The whole command on `examples/gsm8k-lora-repaired`, with copies of its run files added. Every run is "
            "composed for both modes. The aim is 0.5 s with up to four compositions and 40 ms for each further one."
        )
        yield ""
        yield from _table(
            ("run files", "compositions", "median, s", "fastest, s"),
            [
                (one["run_files"], one["compositions"], f"{one['seconds']:.2f}", f"{one['fastest']:.2f}")
                for one in measured.composed
            ],
        )
        yield f"Each further composition takes {slope(measured.composed) * 1000:.0f} ms."
        yield ""


def _wrong(measured: Field, repair: Repair) -> bool:
    return any(measured.judgements.of(repair.name, same)[0] != "true" for _, same in repair.left)


def _judged(measured: Field, claims: Sequence[Claim]) -> Iterator[str]:
    rows = []
    for claim in claims:
        judgement, reason = measured.judgements.of(claim.state, claim.finding)
        code = claim.finding["rule"]
        name = all_rules()[code].name.replace("-", " ") if code in all_rules() else ""
        rows.append(
            (
                claim.state,
                f"[{code}](rules/{code}.md) {name}",
                f"`{general_place_of(claim.finding)}`",
                judgement,
                reason,
            )
        )
    yield from _table(("state", "rule", "place", "judgement", "why"), rows)


def _fraction(state: State, *kinds: str) -> str:
    total = state.total(*kinds) if kinds else 0
    return f"{state.caught(*kinds)}/{total}" if total else ""


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else ""


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    numeric = [
        bool(rows) and all(isinstance(row[column], int | float) for row in rows) for column in range(len(headings))
    ]
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "|".join("---:" if one else "---" for one in numeric) + "|"
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""
