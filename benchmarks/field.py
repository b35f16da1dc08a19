"""How many labelled defects of real generated experiments `assay review` points at, and what else it says of them.

    python benchmarks/field.py DIR --mirror MIRROR [--page docs/field.md] [--judge] [--cache FOLDER] [--json FILE]

DIR holds the labels and the script score.py that says when a finding points at one; MIRROR holds the repositories.
Printed are: what was caught, by how the defect was found; a sample of the blocking findings that match no label, drawn
with seed 0, to be read and judged; every blocking finding that claims a crash, or that nothing is trained, on a state
that verifiably ran; and what is left of findings once the defect is repaired.

With --page, public training scripts are reviewed and times are measured too, and all of it is written to one page.
With --judge, what nobody has judged yet is printed with its code and a line for `field_judgements.jsonl`.
Verdicts are kept in the cache folder as long as assay stays the same, so a command that was ended goes on from there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from field_page import Claim, Field, State, page
from judgements import Judgements, shown_for_judging
from measured import print_table, write_json
from public_scripts import look_at, read_table
from repairs import repairs_of
from review import EXAMPLE, compositions
from reviewed import Mirror, Reviews, blocking, denies_that_it_runs, place_of

MORE_RUN_FILES = [0, 2, 6, 10]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "assay-field")
    parser.add_argument("--labels", default="dev", help="Name of the file of labels, without .json.")
    parser.add_argument("--unmatched", type=int, default=40, metavar="N")
    parser.add_argument("--repo", default="", help="Only repositories whose name holds this.")
    parser.add_argument("--slack", type=int, default=5)
    parser.add_argument("--runs", type=int, default=7, help="How often a review is timed for the page.")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--judge", action="store_true", help="Print what is not judged yet.")
    parser.add_argument("--judge-all", action="store_true", help="As --judge, with all that match no label.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    score = load_script(options.folder / "score.py")
    labels = json.loads((options.folder / f"{options.labels}.json").read_text(encoding="utf-8"))
    all_states = json.loads((options.folder / f"{options.labels}_states.json").read_text(encoding="utf-8"))
    names = {
        (state["repo"], state["commit"]): f"S{number:02}"
        for number, state in enumerate(sorted(all_states, key=lambda one: (one["date"], one["commit"])), 1)
    }
    mirror, reviews, judgements = Mirror(options.mirror), Reviews(options.cache), Judgements()

    field = Field(judgements=judgements)
    read: dict[str, tuple[str, str]] = {}
    for row in (row for row in all_states if options.repo in row["repo"]):
        name = names[row["repo"], row["commit"]]
        read[name] = row["repo"], row["commit"]
        verdict = _verdict(mirror, reviews, row["repo"], row["commit"], row["date"], row["contract"])
        wanted = sorted((label for label in labels if counts(label, row)), key=lambda label: label["order"])
        found = blocking(verdict)
        pointed = [(label, [one for one in found if score.points_at(one, label, options.slack)]) for label in wanted]
        state = State(name, row["contract"], pointed, found, verdict["score_seconds"])
        field.states.append(state)
        if wanted:
            matched = [one for _, hits in pointed for one in hits]
            field.unmatched += [Claim(name, one) for one in found if one not in matched]
        field.repairs += repairs_of(row, name, pointed, labels, mirror, reviews)
    field.sample = random.Random(0).sample(field.unmatched, min(options.unmatched, len(field.unmatched)))
    for number, (repo, commit) in enumerate(score.RAN if options.labels == "dev" else (), 1):
        if options.repo in repo:
            full = mirror.commit(repo, commit)
            read[f"R{number}"] = repo, full
            verdict = _verdict(mirror, reviews, repo, full, mirror.date(repo, full), "auto")
            field.ran.append((f"R{number}", str(verdict.get("contract", "")), verdict["score_seconds"]))
            claims = filter(denies_that_it_runs, verdict["findings"])
            field.alarms += [Claim(f"R{number}", finding) for finding in claims]

    _print(field)
    if options.page is not None:
        for script in read_table():
            if mirror.has(script.repository):
                field.public.append(look_at(script, mirror, reviews))
            else:
                field.absent.append(script)
        field.composed = compositions(EXAMPLE, MORE_RUN_FILES, options.runs)
        options.page.write_text(page(field), encoding="utf-8")
        print(f"\n{options.page} is written.")
    if options.judge or options.judge_all:
        wanted_claims = field.unmatched if options.judge_all else field.sample
        for claim, text in _unread(field, wanted_claims, mirror, read):
            print()
            print(shown_for_judging(claim.state, claim.finding, text, judgements.earlier(claim.state, claim.finding)))
    write_json(options.json, _as_json(field))
    return int(any(judgements.of(claim.state, claim.finding)[0] != "true" for claim in field.alarms))


def counts(label: dict[str, Any], state: dict[str, Any]) -> bool:
    return (
        (label["repo"], label["generated_commit"]) == (state["repo"], state["short"])
        and label["blocking"]
        and label["in_reviewed_code"]
        and label["category"] != "not-a-defect"
    )


def _verdict(
    mirror: Mirror, reviews: Reviews, repository: str, commit: str, date: str, contract: str
) -> dict[str, Any]:
    name = f"{repository.replace('/', '+')}@{commit[:12]}"
    return reviews.review(name, lambda: mirror.files(repository, commit), contract, date)


def _unread(
    field: Field, wanted: list[Claim], mirror: Mirror, read: dict[str, tuple[str, str]]
) -> Iterator[tuple[Claim, str | None]]:
    """What nobody has judged yet, each with the text of its file."""
    seen = set()
    for claim in [*field.alarms, *wanted]:
        if field.judgements.of(claim.state, claim.finding)[0] == "not read":
            repository, commit = read[claim.state]
            file = claim.finding["file"]
            known = file is not None and file in mirror.names(repository, commit, file)
            text = mirror.show(repository, commit, file).decode("utf-8", "replace") if known else None
            yield claim, text
    for repair in field.repairs:
        for _, same in repair.left:
            told = (repair.name, json.dumps(same, sort_keys=True))
            if field.judgements.of(repair.name, same)[0] == "not read" and told not in seen:
                seen.add(told)
                yield Claim(repair.name, same), repair.files.get(same["file"] or "")


def _print(field: Field) -> None:
    print_table(
        ("state", "caught", "blocking", "seconds"),
        [
            (one.name, f"{one.caught()}/{len(one.pointed)}", len(one.blocking), f"{one.seconds:.2f}")
            for one in field.states
        ],
    )
    print()
    kinds = [(kind, f"{caught}/{total}") for kind, (caught, total) in field.by_kind().items()]
    first, states = field.first_defects()
    kinds += [("first defect of a state", f"{first}/{states}"), ("all", "{}/{}".format(*field.all_labels()))]
    print_table(("how found", "caught"), kinds)
    print(f"\n{len(field.unmatched)} blocking findings match no label. To be read and judged:")
    for claim in field.sample:
        print(f"  {claim.state} {_shown(claim.finding)}: {field.judgements.of(claim.state, claim.finding)[0]}")
    print(f"\n{len(field.alarms)} blocking findings deny that a state ran which did:")
    for claim in field.alarms:
        print(f"  {claim.state} {_shown(claim.finding)}: {field.judgements.of(claim.state, claim.finding)[0]}")
    left = [(repair.name, same) for repair in field.repairs for _, same in repair.left]
    print(f"\n{len(field.repairs)} labels are caught and were repaired; left of their findings:")
    for name, finding in left:
        print(f"  {name} {_shown(finding)}: {field.judgements.of(name, finding)[0]}")
    print(f"\nMedian review: {statistics.median([one.seconds for one in field.states] or [0]):.2f} s.")


def _shown(finding: dict[str, Any]) -> str:
    return f"{finding['rule']} {place_of(finding)} {finding['message'][:200]}"


def _as_json(field: Field) -> dict[str, Any]:
    kinds = field.by_kind()
    return {
        "caught": {kind: caught for kind, (caught, _) in kinds.items()},
        "total": {kind: total for kind, (_, total) in kinds.items()},
        "first": field.first_defects(),
        "unmatched": len(field.unmatched),
        "sample": [(claim.state, claim.finding) for claim in field.sample],
        "alarms": [(claim.state, claim.finding) for claim in field.alarms],
        "blocking_by_rule": dict(Counter(finding["rule"] for state in field.states for finding in state.blocking)),
    }


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"{path}: no such file; DIR holds the labels and score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
