"""What Assay knows, listed: its rules and its contracts."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterator

from assay.contracts import builtin_names, load_contract
from assay.errors import InputError
from assay.report.rule_page import rule_page
from assay.report.styled_text import Line, cells, visible, wrapped
from assay.rules.registry import all_rules, check_named_rules


def rules_json() -> str:
    """Every rule as a JSON list."""
    listed = [
        {
            "code": rule.code,
            "name": rule.name,
            "severity": rule.severity.value,
            "consequence": rule.consequence.value if rule.consequence and rule.severity.value == "blocking" else None,
            "requirements": list(rule.requirements),
            "decides": list(rule.decides),
            "description": inspect.getdoc(rule) or "",
            "message": rule.message,
            "explanation": rule.explanation,
            "repair": rule.repair,
        }
        for rule in all_rules().values()
    ]
    return json.dumps(listed, indent=2, ensure_ascii=False) + "\n"


def rule_lines(width: int) -> Iterator[Line]:
    """Every rule as a line of a table."""
    rules = list(all_rules().values())
    names = max((len(rule.name) for rule in rules), default=0)
    for rule in rules:
        lead = 8 + names + 2 + 10
        for number, rows in enumerate(wrapped(" ".join(rule.requirements), max(20, width - lead))):
            if number:
                yield [(" " * lead, ""), (rows, "dim")]
                continue
            severity = rule.severity.value
            yield [
                (f"{rule.code:<8}", "strong"),
                (f"{rule.name:<{names}}  ", ""),
                (f"{severity:<10}", severity),
                (rows, "dim"),
            ]


def explanation(code: str) -> str:
    """The page of a rule, as Markdown.

    Raises:
        InputError: where no rule has the code; it names the nearest one.
    """
    rules = all_rules()
    names = {rule.name: rule for rule in rules.values()}
    rule = rules.get(code.upper()) or names.get(code.lower())
    if rule is None:
        near = difflib.get_close_matches(code.upper(), rules, 1, 0.5)
        near = near or difflib.get_close_matches(code.lower(), names, 1, 0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"no rule {visible(code)!r}; {hint}`assay rules` lists them")
    return rule_page(rule)


def contract_list_lines() -> Iterator[Line]:
    """Every built-in contract as a line."""
    contracts = [load_contract(name) for name in builtin_names()]
    names = max(len(contract.name) for contract in contracts)
    for contract in contracts:
        rows = f"{len(contract.requirements)} requirements, {len(contract.required)} files"
        yield [(f"{contract.name:<{names}}  ", "strong"), (contract.title, ""), (f"  ({rows})", "dim")]


def contract_lines(name: str, width: int) -> Iterator[Line]:
    """One contract: its files, commands and requirements.

    Raises:
        InputError: where there is no such contract, or it names a rule that does not exist.
    """
    contract = load_contract(name)
    check_named_rules(contract)
    yield [(visible(contract.name), "strong"), (f"  {visible(contract.title)}" if contract.title else "", "")]
    yield []
    folders = [f"{folder}/*.yaml" for folder in contract.run_folders[:1]]
    listed = [
        ("files", ", ".join([*contract.required, *folders])),
        *((purpose, command) for purpose, command in contract.commands.items()),
        ("reply", f"{contract.ready_key}, {contract.issue_key}"),
    ]
    for label, text in listed:
        for number, line in enumerate(wrapped(visible(text), width - 12)):
            yield [(f"  {label if number == 0 else '':<10}", "dim"), (line, "")]
    yield []
    ids = max((cells(row.id) for row in contract.requirements), default=0)
    for row in contract.requirements:
        codes = [code for code, rule in all_rules().items() if row.id in rule.requirements or code in row.rules]
        for number, line in enumerate(wrapped(visible(row.text), width - ids - 4)):
            yield [(f"  {row.id if number == 0 else '':<{ids}}  ", "strong"), (line, "")]
        gates = ", ".join(row.decided_by)
        rules = f"; rules {' '.join(codes)}" if codes else ""
        for line in wrapped(f"decided by {gates}{rules}", width - ids - 4):
            yield [(" " * (ids + 4), ""), (line, "dim")]
