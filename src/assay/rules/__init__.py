"""The static rules: one module per rule, one folder per family."""

from assay.rules.registry import all_rules, find_rules
from assay.rules.rule import Example, NotApplicable, Outcome, Rule, Undecided

__all__ = ["Example", "NotApplicable", "Outcome", "Rule", "Undecided", "all_rules", "find_rules"]
