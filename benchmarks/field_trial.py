"""What a rehearsal finds in real generated experiments, besides what reading finds.

    python benchmarks/field_trial.py DIR --mirror MIRROR [--results FILE.jsonl] [--states S19 S21] [--again | --read]

DIR holds the labels and score.py, MIRROR the repositories, as for field.py. Each reviewed state is rehearsed once, that
takes minutes; what came of it is appended to the results, and a later call goes on with the states that are not there.
What was seen is kept in --cache; with --read, rules are heard again on that. Printed is what was caught, by how the
defect was found.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pickle
import tempfile
import time
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from field import counts, load_script
from measured import print_table
from reviewed import Mirror, Reviews, blocking, denies_that_it_runs, general_place_of

import assay
from assay.trial.record import Rehearsal
from assay.trial.rehearsal import TrialOptions

RESULTS = Path(__file__).with_name("field_trial.jsonl")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "assay-field-trial")
    parser.add_argument("--states", nargs="*", default=[], metavar="S", help="Only these.")
    parser.add_argument("--again", action="store_true", help="Rehearse them although there are results.")
    parser.add_argument("--read", action="store_true", help="Hear the rules on what earlier rehearsals saw.")
    parser.add_argument("--seconds", type=float, default=480.0, help="How long one rehearsal may take.")
    parser.add_argument("--slack", type=int, default=5)
    options = parser.parse_args()
    score = load_script(options.folder / "score.py")
    labels = json.loads((options.folder / "dev.json").read_text(encoding="utf-8"))
    states = json.loads((options.folder / "dev_states.json").read_text(encoding="utf-8"))
    mirror = Mirror(options.mirror)
    asked: list[tuple[str, str, str, str, str, list[dict[str, Any]]]] = []
    for number, state in enumerate(sorted(states, key=lambda one: (one["date"], one["commit"])), 1):
        wanted = sorted((label for label in labels if counts(label, state)), key=lambda label: label["order"])
        asked.append((f"S{number:02}", state["repo"], state["commit"], state["date"], state["contract"], wanted))
    for number, (repository, short) in enumerate(score.RAN, 1):
        commit = mirror.commit(repository, short)
        asked.append((f"R{number}", repository, commit, mirror.date(repository, commit), "auto", []))
    known = {} if options.again or options.read else _read(options.results)
    for name, repository, commit, date, contract, wanted in asked:
        if (options.states and name not in options.states) or name in known:
            continue
        kept = options.cache / f"{name}.pickle"
        if options.read and not kept.exists():
            continue
        options.cache.mkdir(parents=True, exist_ok=True)
        seen: TrialOptions | Rehearsal = TrialOptions(seconds=options.seconds)
        if options.read:
            seen = pickle.loads(kept.read_bytes())
        verdict, rehearsal = _reviewed(mirror.files(repository, commit), contract, date, seen)
        if not options.read:
            kept.write_bytes(pickle.dumps(rehearsal))
        kept.with_suffix(".json").write_text(json.dumps(verdict), encoding="utf-8")
        row = _row(name, verdict, wanted, score, options.slack)
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{name}: {row['seconds']:.0f} s, {sum(row['caught'].values())}/{sum(row['labelled'].values())} caught")
    _print(_read(options.results))
    return 0


def _reviewed(
    files: dict[str, bytes], contract: str, date: str, trial: TrialOptions | Rehearsal
) -> tuple[dict[str, Any], Rehearsal | None]:
    """The verdict as JSON has it, and what the rehearsal saw."""
    with tempfile.TemporaryDirectory() as folder:
        for path, content in files.items():
            place = Path(folder).joinpath(*PurePosixPath(path).parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        begin = time.perf_counter()
        made = assay.review(folder, contract=contract, as_of=datetime.date.fromisoformat(date[:10]), trial=trial)
        rehearsal = made.rehearsal
        took = time.perf_counter() - begin
    return {**made.as_dict(), "score_seconds": took}, rehearsal


def _row(name: str, verdict: dict[str, Any], wanted: list[dict[str, Any]], score: Any, slack: int) -> dict[str, Any]:
    """What is kept of a state: numbers, and the places that only the rehearsal names."""
    found = blocking(verdict)
    hits = [(label, [one for one in found if score.points_at(one, label, slack)]) for label in wanted]
    matched = [one for _, ones in hits for one in ones]
    trial = [one for one in found if one["rule"].startswith("TRL")]
    return {
        "state": name,
        "assay": Reviews(Path()).fingerprint,
        "seconds": round(verdict["score_seconds"], 1),
        "labelled": Counter(label["how_found"] for label in wanted),
        "caught": Counter(label["how_found"] for label, ones in hits if ones),
        "by_trial": Counter(
            label["how_found"] for label, ones in hits if any(one["rule"].startswith("TRL") for one in ones)
        ),
        "first": bool(hits and hits[0][1]),
        "trial": [[one["rule"], general_place_of(one)] for one in trial],
        "unmatched": [[one["rule"], general_place_of(one)] for one in trial if one not in matched],
        "denied": [[one["rule"], general_place_of(one)] for one in found if denies_that_it_runs(one)],
    }


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The last row of each state."""
    if not path.exists():
        return {}
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["state"]: row for row in rows}


def _print(rows: dict[str, dict[str, Any]]) -> None:
    reviewed = [row for name, row in sorted(rows.items()) if name.startswith("S")]
    print_table(
        ("state", "caught", "of", "by the rehearsal", "unmatched", "first", "seconds"),
        [
            (
                row["state"],
                sum(row["caught"].values()),
                sum(row["labelled"].values()),
                sum(row["by_trial"].values()),
                len(row["unmatched"]),
                "yes" if row["first"] else "no",
                f"{row['seconds']:.0f}",
            )
            for row in reviewed
        ],
    )
    for kind in sorted({kind for row in reviewed for kind in row["labelled"]}):
        total = sum(row["labelled"].get(kind, 0) for row in reviewed)
        print(f"{kind}: {sum(row['caught'].get(kind, 0) for row in reviewed)} of {total}")
    labelled = [row for row in reviewed if row["labelled"]]
    print(
        f"all: {sum(sum(row['caught'].values()) for row in reviewed)} of "
        f"{sum(sum(row['labelled'].values()) for row in reviewed)}, first defect: "
        f"{sum(row['first'] for row in labelled)} of {len(labelled)}, "
        f"rehearsed findings without a label: {sum(len(row['unmatched']) for row in reviewed)}"
    )
    for name, row in sorted(rows.items()):
        if name.startswith("R"):
            print(f"{name} ran: {len(row['denied'])} findings deny it: {row['denied']}")


if __name__ == "__main__":
    raise SystemExit(main())
