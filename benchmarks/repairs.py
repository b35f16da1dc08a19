"""Whether a finding falls silent once the defect that it points at is repaired.

For each label that a blocking finding points at, and that later commits repaired, the last of those commits is
reviewed too. A finding of the reviewed state is still there if a blocking finding of the same rule stands in the same
file at the line where the old one ended up, or, where the repair rewrote that line, in what it put there, or anywhere
with the same words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from reviewed import Mirror, Reviews, blocking

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


@dataclass(slots=True)
class Repair:
    """One label and the commit that repaired it.

    Args:
        state: The reviewed state, as the page calls it.
        name: The repaired state, as the page calls it.
        label: The label.
        alone: Whether that commit repairs no other label.
        touched: Whether the commits between the two changed the file that the label names.
        findings: The findings that pointed at the label.
        left: Those that are still there, each with the finding of the repaired state.
        files: The files of the repaired state that findings still stand in.
    """

    state: str
    name: str
    label: dict[str, Any]
    alone: bool
    touched: bool
    findings: list[dict[str, Any]]
    left: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


class Lines:
    """Where the lines of a file are after a change.

    Args:
        diff: The change, as `git diff -U0` prints it.
    """

    def __init__(self, diff: str) -> None:
        self.hunks = [
            (int(old), int(count or 1), int(new), int(added or 1)) for old, count, new, added in _HUNK.findall(diff)
        ]

    def after(self, line: int) -> tuple[int, int] | None:
        """The first and last line that a line has become; None where it is gone."""
        shift = 0
        for old, count, new, added in self.hunks:
            if count == 0:
                # inserted after this line
                if line <= old:
                    break
            elif line < old:
                break
            elif line < old + count:
                return (new, new + added - 1) if added else None
            shift += added - count
        return line + shift, line + shift

    def rewrote(self, line: int) -> bool:
        """Whether the change took this line out or put another in its place."""
        return any(count and old <= line < old + count for old, count, _, _ in self.hunks)


def repairs_of(
    state: dict[str, Any],
    name: str,
    pointed: list[tuple[dict[str, Any], list[dict[str, Any]]]],
    labels: list[dict[str, Any]],
    mirror: Mirror,
    reviews: Reviews,
) -> list[Repair]:
    """The repairs of one reviewed state.

    Args:
        state: The reviewed state.
        name: What the page calls it.
        pointed: Its labels, each with the findings that point at it.
        labels: All labels of the corpus.
        mirror: The repositories.
        reviews: Where verdicts are made and kept.
    """
    repository = state["repo"]
    caught = [(label, found) for label, found in pointed if found and label.get("fix_commits")]
    # numbered among all repairs of the state, so that a number stays what it is when another defect is caught
    last = {label["fix_commits"][-1] for label, _ in pointed if label.get("fix_commits")}
    dates = {commit: mirror.date(repository, commit) for commit in last}
    numbers = {commit: number for number, commit in enumerate(sorted(dates, key=lambda one: (dates[one], one)), 1)}
    made = []
    for label, found in caught:
        commit = label["fix_commits"][-1]
        sharing = [one for one in labels if one["repo"] == repository and commit in (one.get("fix_commits") or ())]
        diff = mirror.git(repository, "diff", "-U0", state["commit"], commit, "--", label["file"]).decode(
            errors="replace"
        )
        repair = Repair(name, f"{name}.{numbers[commit]}", label, len(sharing) == 1, bool(diff), found)
        files = {}

        def read(commit: str = commit) -> dict[str, bytes]:
            return mirror.files(repository, commit)

        full = mirror.commit(repository, commit)
        verdict = reviews.review(f"{repository.replace('/', '+')}@{full[:12]}", read, state["contract"], dates[commit])
        later = blocking(verdict)
        for finding in found:
            file = finding["file"]
            if file is None:
                diff = ""
            elif file != label["file"]:
                diff = mirror.git(repository, "diff", "-U0", state["commit"], commit, "--", file).decode(
                    errors="replace"
                )
            same = _still_there(finding, later, Lines(diff))
            if same is not None:
                repair.left.append((finding, same))
                if same["file"] is not None and same["file"] not in files:
                    files[same["file"]] = mirror.show(repository, commit, same["file"]).decode("utf-8", "replace")
        repair.files = files
        made.append(repair)
    return made


def _still_there(finding: dict[str, Any], later: list[dict[str, Any]], lines: Lines) -> dict[str, Any] | None:
    of_rule = [one for one in later if one["rule"] == finding["rule"] and one["file"] == finding["file"]]
    if finding["line"] is None:
        alike = [one for one in of_rule if one["line"] is None and _words(one) == _words(finding)]
        return alike[0] if alike else None
    place = lines.after(finding["line"])
    for one in of_rule:
        if one["line"] is not None and place is not None and place[0] <= one["line"] <= place[1]:
            return one
    if lines.rewrote(finding["line"]):
        return next((one for one in of_rule if _words(one) == _words(finding)), None)
    return None


def _words(finding: dict[str, Any]) -> str:
    return re.sub(r"\d+", "0", finding["message"])
