"""A rule as a page of Markdown: what it looks for, what it says, and the examples that are its tests."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from string import Formatter

from assay.contracts import builtin_names, load_contract
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Rule
from assay.trial.record import Rehearsal

FAMILIES = {
    "PKG": "packaging",
    "IMP": "syntax, names and imports",
    "API": "removed or misused library interfaces",
    "CFG": "configuration",
    "CLI": "command line",
    "LCH": "process launch",
    "LIB": "the library of this package",
    "CPL": "completeness",
    "DRV": "derived against base",
    "DAT": "data",
    "MDL": "models",
    "TRN": "training loop",
    "HPO": "search space",
    "TRK": "tracking",
    "EVL": "evaluation",
    "MOD": "trial and full mode",
    "INT": "integrity",
    "LAY": "file layout",
    "TRL": "trial",
}
_CONSEQUENCES = {
    Consequence.CRASHES: "the program stops",
    Consequence.TRAINS_NOTHING: "nothing, or something else, is trained",
    Consequence.BREAKS_CONTRACT: "a requirement of the contract is not kept",
}
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json", ".sh": "bash"}
_SHOWN_FILES = 4
_SHOWN_EVENTS = 4


def rule_page(rule: type[Rule]) -> str:
    """The Markdown page of a rule."""
    weight = rule.severity.value
    if rule.severity is Severity.BLOCKING and rule.consequence:
        weight += f": {_CONSEQUENCES[rule.consequence]}"
    parts = [
        f"# {rule.name} ({rule.code})",
        f"*{_family(rule).capitalize()}.* {weight.capitalize()}.",
        inspect.getdoc(rule) or "",
        "## What it says",
        f"> **{_template(rule.message)}.**\n> {_template(rule.explanation)}\n>\n> Repair: {_template(rule.repair)}",
        "## Requirements",
        _requirements(rule),
    ]
    if rule.INVALID:
        parts.append("## Found")
        parts += [part for example in rule.INVALID for part in _invalid(example)]
    if rule.VALID:
        parts.append("## Not found")
        for example in rule.VALID:
            parts.append(f"Under the contract `{example.contract}`:")
            parts += _files(example.files, set(), example)
    return "\n\n".join(part for part in parts if part) + "\n"


def rule_index(rules: Iterable[type[Rule]]) -> str:
    """The Markdown index of all rule pages."""
    listed = list(rules)
    lines = [
        "# Rules",
        "",
        f"{len(listed)} rules. Each page is made from the rule itself by `python docs/rules/generate.py`; the examples "
        "on it are the rule's tests. `assay explain CODE` prints the same page.",
    ]
    for family in dict.fromkeys(_family(rule) for rule in listed):
        lines += ["", f"## {family.capitalize()}", "", "| code | name | weight | requirements |", "|---|---|---|---|"]
        lines += [
            f"| [{rule.code}]({rule.code}.md) | {rule.name} | {rule.severity.value} | {', '.join(rule.requirements)} |"
            for rule in listed
            if _family(rule) == family
        ]
    return "\n".join(lines) + "\n"


def _family(rule: type[Rule]) -> str:
    prefix = rule.code.rstrip("0123456789")
    return FAMILIES.get(prefix, prefix)


def _requirements(rule: type[Rule]) -> str:
    lines = ["| id | contract | requirement |", "|---|---|---|"]
    contracts = [load_contract(name) for name in builtin_names() if "@" not in name]
    for row in rule.requirements:
        homes = [contract for contract in contracts if row in contract.ids]
        names = ", ".join(contract.name for contract in homes)
        text = next((item.text for contract in homes for item in contract.requirements if item.id == row), "")
        lines.append(f"| {row} | {names} | {_escaped(text)} |")
    if rule.decides:
        lines += ["", f"Met where this rule and the others that decide it are silent: {', '.join(rule.decides)}."]
    return "\n".join(lines)


def _invalid(example: Example) -> list[str]:
    places = ", ".join(f"`{place}`" for place in example.at)
    touched = {place.split(":")[0] for place in example.at} | set(example.repaired)
    day = f", reviewed as of {example.as_of}" if example.as_of else ""
    parts = [f"At {places}, under the contract `{example.contract}`{day}:"]
    parts += _files(example.files, touched, example)
    parts += _rehearsed(example.rehearsed, "A rehearsal saw")
    removed = [path for path, text in example.repaired.items() if text is None]
    kept = {path: text for path, text in example.repaired.items() if text is not None}
    if example.repaired:
        gone = f" ({', '.join(f'`{path}`' for path in removed)} removed)" if removed else ""
        parts.append(f"After the repair{gone}:")
        parts += _files(kept, set(kept), example)
        parts += _rehearsed(example.rehearsed_after, "Then a rehearsal sees")
    return parts


def _rehearsed(rehearsal: Rehearsal | None, lead: str) -> list[str]:
    """What a rehearsal saw, a line for each step, stop and event."""
    if rehearsal is None:
        return []
    lines = []
    for step in rehearsal.steps:
        lines.append(f"{step.name}: {step.skipped or f'exit status {step.status}'}")
        for stop in step.stops:
            told = "confirmed" if stop.confirmed else stop.doubt or "not confirmed"
            place = f" at {stop.frames[-1].file}:{stop.frames[-1].line}" if stop.frames else ""
            lines.append(f"  stop {stop.type}: {stop.message}{place} ({told})")
        counted: dict[str, int] = {}
        for event in step.events:
            kind = str(event["kind"])
            counted[kind] = counted.get(kind, 0) + 1
            if counted[kind] <= _SHOWN_EVENTS:
                lines.append(f"  {json.dumps(event)}")
        lines += [
            f"  and {count - _SHOWN_EVENTS} more of {kind}" for kind, count in counted.items() if count > _SHOWN_EVENTS
        ]
        lines += [f"  written: {name}" for name in step.written]
    return [f"{lead}:", "```text\n" + "\n".join(lines) + "\n```"]


def _files(files: Mapping[str, str], wanted: set[str], example: Example) -> list[str]:
    """The files of an example, those in `wanted` first; files beyond the first few are named only."""
    ordered = sorted(files, key=lambda path: path not in wanted)
    shown = ordered[:_SHOWN_FILES] if len(ordered) > _SHOWN_FILES else ordered
    if len(ordered) > _SHOWN_FILES and wanted:
        shown = [path for path in ordered if path in wanted]
    parts = [_block(path, files[path]) for path in shown]
    rest = [f"`{path}`" for path in ordered if path not in shown]
    if rest:
        parts.append(("and " if shown else "Files: ") + ", ".join(rest))
    if example.base and files is example.files:
        parts.append("The base:")
        parts += [_block(path, text) for path, text in list(example.base.items())[:_SHOWN_FILES]]
    return parts


def _block(path: str, text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    language = _LANGUAGES.get(PurePosixPath(path).suffix, "text")
    return f"`{path}`\n\n{fence}{language}\n{text.rstrip()}\n{fence}"


def _template(text: str) -> str:
    """A format string for people: doubled braces are single ones, and placeholders keep theirs."""
    page = ""
    for literal, name, _, _ in Formatter().parse(text):
        page += literal
        if name is not None:
            is_code = page.count("`") % 2 == 1
            if not literal and page.endswith("}`"):
                # two placeholders side by side are one piece of code
                page = f"{page[:-1]}{{{name}}}`"
            else:
                page += f"{{{name}}}" if is_code else f"`{{{name}}}`"
    return page


def _escaped(text: str) -> str:
    """Text for a Markdown table, in which nothing is markup."""
    return re.sub(r"([\\`*_|<\[\]])", r"\\\1", text)
