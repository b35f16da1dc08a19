"""How many labelled defects of real generated experiments `assay review` points at, and what else it says of them.

    python benchmarks/field.py DIR --mirror MIRROR [--cache FOLDER] [--unmatched 40] [--repo TEXT] [--json FILE]

DIR holds the labels and the script score.py that says when a finding points at one; MIRROR holds the repositories.
Printed are: what was caught, by how the defect was found; a sample of the blocking findings that match no label, drawn
with seed 0, to be read and judged; and every blocking finding that claims a crash, or that nothing is trained, on a
state that verifiably ran. Verdicts are kept in the cache folder as long as assay stays the same.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.util
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

from measured import print_table, write_json

import assay
from assay.errors import InputError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "assay-field")
    parser.add_argument("--labels", default="dev", help="Name of the file of labels, without .json.")
    parser.add_argument("--unmatched", type=int, default=40, metavar="N")
    parser.add_argument("--repo", default="", help="Only repositories whose name holds this.")
    parser.add_argument("--slack", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    score = _script(options.folder / "score.py")
    labels = json.loads((options.folder / f"{options.labels}.json").read_text(encoding="utf-8"))
    states = json.loads((options.folder / f"{options.labels}_states.json").read_text(encoding="utf-8"))
    states = [state for state in states if options.repo in state["repo"]]

    caught: Counter[str] = Counter()
    total: Counter[str] = Counter()
    first_caught = first_total = 0
    unmatched: list[tuple[str, dict[str, Any]]] = []
    rules: Counter[str] = Counter()
    rows: list[tuple[object, ...]] = []
    for state in states:
        verdict = _verdict(options, score, state["repo"], state["commit"], state["date"], state["contract"])
        name = f"{state['repo']}@{state['short']}"
        wanted = [label for label in labels if _counts(label, state)]
        blocking = [finding for finding in verdict["findings"] if finding["severity"] == "blocking"]
        hits = [[f for f in blocking if score.points_at(f, label, options.slack)] for label in wanted]
        for label, found in zip(wanted, hits, strict=True):
            total[label["how_found"]] += 1
            caught[label["how_found"]] += bool(found)
        if wanted:
            number = min(range(len(wanted)), key=lambda index: wanted[index]["order"])
            first_total += 1
            first_caught += bool(hits[number])
            unmatched += [(name, f) for f in blocking if not any(f in found for found in hits)]
        rules.update(finding["rule"] for finding in blocking)
        rows.append((name, f"{sum(map(bool, hits))}/{len(wanted)}", len(blocking), f"{verdict['score_seconds']:.2f}"))
    print_table(("state", "caught", "blocking", "seconds"), rows)

    print()
    kinds = [(kind, f"{caught[kind]}/{total[kind]}") for kind in sorted(total)]
    kinds += [
        ("first defect of a state", f"{first_caught}/{first_total}"),
        ("all", f"{caught.total()}/{total.total()}"),
    ]
    print_table(("how found", "caught"), kinds)
    print(f"\n{len(unmatched)} blocking findings match no label. To be read and judged:")
    sample = random.Random(0).sample(unmatched, min(options.unmatched, len(unmatched)))
    for name, finding in sample:
        print(f"  {name} {_shown(finding)}")

    alarms = []
    for repo, commit in score.RAN if options.labels == "dev" else ():
        if options.repo in repo:
            date = score.git(options.mirror, repo, "log", "-1", "--format=%cI", commit).decode().strip()
            verdict = _verdict(options, score, repo, commit, date, "auto")
            claims = [f for f in verdict["findings"] if f["severity"] == "blocking" and _denies_that_it_ran(f)]
            alarms += [(f"{repo}@{commit}", finding) for finding in claims]
    print(f"\n{len(alarms)} blocking findings deny that a state ran which did:")
    for name, finding in alarms:
        print(f"  {name} {_shown(finding)}")
    write_json(
        options.json,
        {
            "caught": dict(caught), "total": dict(total), "first": [first_caught, first_total],
            "unmatched": len(unmatched), "alarms": alarms, "blocking_by_rule": dict(rules), "sample": sample,
        },
    )  # fmt: skip
    return int(bool(alarms))


def _counts(label: dict[str, Any], state: dict[str, Any]) -> bool:
    return (
        (label["repo"], label["generated_commit"]) == (state["repo"], state["short"])
        and label["blocking"]
        and label["in_reviewed_code"]
        and label["category"] != "not-a-defect"
    )


def _denies_that_it_ran(finding: dict[str, Any]) -> bool:
    return finding["consequence"] in ("crashes", "trains-nothing")


def _shown(finding: dict[str, Any]) -> str:
    return f"{finding['rule']} {finding['file']}:{finding['line']} {finding['message'][:200]}"


def _verdict(
    options: argparse.Namespace, score: ModuleType, repo: str, commit: str, date: str, contract: str
) -> dict[str, Any]:
    """The verdict on one state, from the cache where this very assay has given it before."""
    kept = options.cache / _fingerprint() / f"{repo.replace('/', '+')}@{commit[:12]}.json"
    if kept.exists():
        known: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return known
    with tempfile.TemporaryDirectory() as folder:
        score.materialise(options.mirror, repo, commit, Path(folder))
        begin = time.perf_counter()
        try:
            verdict = assay.review(folder, contract=contract, as_of=datetime.date.fromisoformat(date[:10])).as_dict()
        except InputError as error:
            print(f"{repo}@{commit[:7]}: {error}", file=sys.stderr)
            verdict = {"findings": [], "error": str(error)}
        verdict["score_seconds"] = time.perf_counter() - begin
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(verdict), encoding="utf-8")
    return verdict


def _fingerprint() -> str:
    """A name for the state that assay itself is in."""
    package = Path(assay.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"{path}: no such file; DIR holds the labels and score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
