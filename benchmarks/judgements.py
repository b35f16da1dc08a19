"""What a person made of findings, kept beside the benchmarks and found again by what a finding says.

Each line of `field_judgements.jsonl` is one judgement: `key` (a hash of the state, the rule, the place and the
message), `judgement` (`true` or `false`), `reason` in a few words, and `state`, `rule` and `at` for whoever reads the
file. A finding that says something else is another finding, and has to be read again.

A label can be pointed at by chance, by findings about another defect nearby. Such a label has a line too, with the
judgement `elsewhere`, and a key of its place and of all that points at it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from reviewed import general_place_of, place_of

FILE = Path(__file__).with_name("field_judgements.jsonl")
CONTEXT_BEFORE, CONTEXT_AFTER = 8, 12


def key_of(state: str, finding: dict[str, Any]) -> str:
    """The name under which the judgement on a finding is kept."""
    told = [state, finding["rule"], finding["file"], finding["line"], finding["message"]]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()[:16]


def key_of_label(state: str, label: dict[str, Any], hits: list[dict[str, Any]]) -> str:
    """The name under which the judgement on what points at a label is kept."""
    told = [
        state,
        label["order"],
        label["file"],
        label["line"],
        sorted(f"{one['rule']} {one['message']}" for one in hits),
    ]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()[:16]


class Judgements:
    """The judgements of a file."""

    def __init__(self, path: Path = FILE) -> None:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.rows = [json.loads(line) for line in lines if line.strip()]
        self.by_key = {row["key"]: row for row in self.rows}

    def of(self, state: str, finding: dict[str, Any]) -> tuple[str, str]:
        """`true`, `false` or `not read`, and the reason."""
        row = self.by_key.get(key_of(state, finding))
        return (row["judgement"], row["reason"]) if row else ("not read", "")

    def elsewhere(self, state: str, label: dict[str, Any], hits: list[dict[str, Any]]) -> bool:
        """Whether all that points at a label was read and is about something else."""
        row = self.by_key.get(key_of_label(state, label, hits))
        return row is not None and row["judgement"] == "elsewhere"

    def earlier(self, state: str, finding: dict[str, Any]) -> str:
        """What was said of another message of the same rule at the same place."""
        for row in self.rows:
            if (row["state"], row["rule"], row["at"]) == (state, finding["rule"], general_place_of(finding)):
                return f"{row['judgement']}: {row['reason']}"
        return ""


def shown_for_judging(state: str, finding: dict[str, Any], text: str | None, earlier: str = "") -> str:
    """A finding with the code around its place and a line to be completed and put into the file."""
    row = {
        "key": key_of(state, finding),
        "state": state,
        "rule": finding["rule"],
        "at": general_place_of(finding),
        "judgement": "?",
        "reason": "",
    }
    lines = [
        f"=== {state} {finding['rule']} {place_of(finding)} ({finding['consequence']})",
        finding["message"],
        finding["explanation"],
    ]
    lines += [f"evidence: {finding['evidence']['detail']}"] if finding["evidence"]["detail"] else []
    lines += [f"  through {frame['file']}:{frame['line']}" for frame in finding["evidence"]["frames"]]
    lines += [f"judged before, under another message: {earlier}"] if earlier else []
    if text is not None and finding["line"] is not None:
        code = text.split("\n")
        first = max(0, finding["line"] - 1 - CONTEXT_BEFORE)
        for number, line in enumerate(code[first : finding["line"] + CONTEXT_AFTER], first + 1):
            lines.append(f"{'>' if number == finding['line'] else ' '}{number:5} {line[:200]}")
    lines.append(json.dumps(row, ensure_ascii=False))
    return "\n".join(lines)
