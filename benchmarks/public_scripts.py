"""Well-kept public training scripts of other layouts: what is said of them that would mean that they do not work.

    python benchmarks/public_scripts.py --mirror MIRROR [--cache FOLDER]

`public_scripts.tsv` names them: repository, path, licence, what lies beside the script (relative to its folder, or to
the repository where it begins with a slash), and the arguments that it is started with. None is part of this project;
MIRROR holds the repositories. Each is laid out as a submission of its own: the script is `src/train.py`, what lies
beside it goes where `python -m src.train` would import it from. It is reviewed under the contract `experiment` as of
the day of its last commit, and enacted with its own command line.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from measured import print_table
from reviewed import Mirror, Reviews, denies_that_it_runs, place_of

from assay.analysis.enactment.child import lay_out
from assay.analysis.enactment.composing import Composer
from assay.analysis.enactment.enacting import enact

TABLE = Path(__file__).with_name("public_scripts.tsv")
# What these rules ask for belongs to the layout of the contract, which no public script claims to keep.
LAYOUT_FAMILIES = ("LAY", "CLI", "LCH", "PKG", "CPL", "DRV", "TRK", "EVL", "MOD")
LAYOUT_RULES = ("CFG005", "CFG006", "CFG007", "CFG008", "CFG012", "CFG014")
SUFFIXES = (".py", ".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Script:
    """A row of the table."""

    repository: str
    path: str
    licence: str
    beside: tuple[str, ...]
    arguments: str

    @property
    def name(self) -> str:
        """Repository and path."""
        return f"{self.repository}: {self.path}"


@dataclass(slots=True)
class Outcome:
    """What came of one script.

    Args:
        script: The script.
        findings: Blocking findings of layout-independent rules that deny that it runs.
        stops: Places where the enactment says that it certainly stops.
        set_aside: How many other findings deny that it runs, by family.
        lines: Its length.
        events: How many things the enactment saw it do.
        complete: Whether it was enacted to its end.
        reason: Why not.
        seconds: Time of the review.
    """

    script: Script
    findings: list[dict[str, Any]] = field(default_factory=list)
    stops: list[dict[str, Any]] = field(default_factory=list)
    set_aside: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    events: int = 0
    complete: bool = False
    reason: str = ""
    seconds: float = 0.0


def read_table(path: Path = TABLE) -> list[Script]:
    """The scripts of the table."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    scripts = []
    for line in lines[1:]:
        repository, name, licence, beside, arguments = line.split("\t")
        scripts.append(Script(repository, name, licence, tuple(beside.split()), arguments))
    return scripts


def counts(rule: str) -> bool:
    """Whether a rule speaks of code of any layout."""
    return not rule.startswith(LAYOUT_FAMILIES) and rule not in LAYOUT_RULES


def look_at(script: Script, mirror: Mirror, reviews: Reviews) -> Outcome:
    """Review a script and enact it."""
    laid: dict[str, bytes] = {}

    def files() -> dict[str, bytes]:
        if not laid:
            laid.update(_laid_out(script, mirror))
        return laid

    name = f"{script.repository}+{script.path}".replace("/", "+")
    name += "@" + hashlib.sha256(repr((script, mirror.commit(script.repository))).encode()).hexdigest()[:8]
    date = mirror.date(script.repository, "HEAD")
    verdict = reviews.review(f"public/{name}", files, "experiment", date)
    enacted = reviews.kept(f"public/{name}.enacted", lambda: _enacted(files(), script.arguments))
    outcome = Outcome(script, seconds=verdict["score_seconds"])
    outcome.lines, outcome.events = enacted["lines"], enacted["events"]
    outcome.complete, outcome.reason, outcome.stops = enacted["complete"], enacted["reason"], enacted["stops"]
    for finding in filter(denies_that_it_runs, verdict["findings"]):
        if counts(finding["rule"]):
            outcome.findings.append(finding)
        else:
            outcome.set_aside[finding["rule"][:3]] += 1
    return outcome


def _laid_out(script: Script, mirror: Mirror) -> dict[str, bytes]:
    folder = PurePosixPath(script.path).parent
    files: dict[str, bytes] = {}
    for wanted in script.beside:
        root = PurePosixPath() if wanted.startswith("/") else folder
        for path in mirror.names(script.repository, "HEAD", str(root / wanted.lstrip("/"))):
            if path.endswith(SUFFIXES):
                files[str(PurePosixPath(path).relative_to(root))] = mirror.show(script.repository, "HEAD", path)
    files["src/train.py"] = mirror.show(script.repository, "HEAD", script.path)
    return files


def _enacted(files: dict[str, bytes], arguments: str) -> dict[str, Any]:
    texts = {path: content.decode("utf-8", "replace") for path, content in files.items()}
    request = {
        "files": texts,
        "runs": [],
        "modes": ["full"],
        "commands": {"full": f"python -m src.train {arguments}".strip()},
    }
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder), texts)
        programs = enact(request, Composer(Path(folder)))["programs"]
    events = [event for program in programs for event in program["events"]]
    stops = [
        {name: event.get(name) for name in ("kind", "certain", "file", "line", "names", "message")}
        for event in events
        if event["kind"] in ("fault", "raise", "refused") and event["certain"] != "maybe" and not event["guarded"]
    ]
    return {
        "lines": texts["src/train.py"].count("\n"),
        "events": len(events),
        "complete": bool(programs) and all(program["complete"] for program in programs),
        "reason": next((program["reason"] for program in programs if program["reason"]), ""),
        "stops": stops,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "assay-field")
    options = parser.parse_args()
    mirror, reviews = Mirror(options.mirror), Reviews(options.cache)
    outcomes = [look_at(script, mirror, reviews) for script in read_table() if mirror.has(script.repository)]
    print_table(
        ("script", "lines", "findings", "enacted", "stops", "seconds"),
        [
            (
                one.script.name,
                one.lines,
                len(one.findings),
                "to its end" if one.complete else "in part",
                len(one.stops),
                f"{one.seconds:.2f}",
            )
            for one in outcomes
        ],
    )
    for one in outcomes:
        for finding in one.findings:
            print(f"{one.script.name}: {finding['rule']} {place_of(finding)} {finding['message']}")
        for stop in one.stops:
            print(f"{one.script.name}: {stop['kind']} {stop['file']}:{stop['line']} {stop['message']}")
    return int(any(one.findings or one.stops for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
