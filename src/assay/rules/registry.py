"""Finding the rules: every module below this package that defines one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache

from assay import rules as package
from assay.contracts import Contract
from assay.errors import InputError
from assay.rules.rule import Rule


@cache
def all_rules() -> dict[str, type[Rule]]:
    """Every rule by its code, sorted by code."""
    for family in pkgutil.iter_modules(package.__path__, "assay.rules."):
        if family.ispkg:
            for module in pkgutil.iter_modules(importlib.import_module(family.name).__path__, f"{family.name}."):
                importlib.import_module(module.name)
    found: dict[str, type[Rule]] = {}
    for rule in Rule.__subclasses__():
        if rule.__module__.startswith("assay.rules."):
            if rule.code in found:
                raise RuntimeError(f"two rules have the code {rule.code}")
            found[rule.code] = rule
    return dict(sorted(found.items()))


def find_rules(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> dict[str, type[Rule]]:
    """The rules whose code begins with one of `select` (all, where it is empty) and with none of `ignore`.

    Letter case does not matter, and one text may hold several prefixes with commas between them.

    Raises:
        InputError: where one of the prefixes is the beginning of no rule's code.
    """
    rules = all_rules()
    chosen, dropped = _prefixes(select), _prefixes(ignore)
    for prefix in (*chosen, *dropped):
        if not prefix or not any(code.startswith(prefix) for code in rules):
            raise InputError(f"no rule begins with {prefix!r}; `assay rules` lists them")
    return {
        code: rule
        for code, rule in rules.items()
        if (not chosen or code.startswith(chosen)) and not (dropped and code.startswith(dropped))
    }


def check_named_rules(contract: Contract) -> None:
    """Refuse a contract with a row that names a rule which does not exist.

    Raises:
        InputError: with the first code that no rule has.
    """
    for requirement in contract.requirements:
        for code in requirement.rules:
            if code not in all_rules():
                raise InputError(f"contract {contract.name}: no rule has the code {code!r}; `assay rules` lists them")


def _prefixes(texts: Iterable[str]) -> tuple[str, ...]:
    # a text is an iterable of its letters, each of which begins many codes
    listed = [texts] if isinstance(texts, str) else texts
    return tuple(prefix.strip().upper() for text in listed for prefix in text.split(","))
