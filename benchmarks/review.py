"""How long `assay review` takes, and how much memory, on a submission of seven files and on larger ones.

    python benchmarks/review.py [FOLDER] [--runs 7] [--scales 1,10,100] [--more 0,2,6,10] [--env DIR] [--json FILE]

Each size is the same submission with its Python definitions repeated under new names. Measured is the whole command,
the start of Python and ruff included: the median of the wall times, and the largest memory of the process tree.

Then the submission gets more run files, copies of its own under new ids. A run is composed in both modes, so two run
files are four compositions of the contract's own command lines, and each further one is two more. With --env the
submission is reviewed once more, with a virtual environment.
"""

from __future__ import annotations

import argparse
import ast
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from measured import Measurement, measure, print_table, write_json

EXAMPLE = Path(__file__).parents[1] / "examples" / "gsm8k-lora-repaired"
# Time per character may grow by this factor from the smallest size with a measurable share to the largest.
LINEAR_WITHIN = 2.0
RUN_FOLDERS = ("config/runs", "config/run")
# trial and full
MODES = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--scales", default="1,10,100")
    parser.add_argument("--more", default="0,2,6,10", help="Numbers of run files to add.")
    parser.add_argument("--env", type=Path, help="A virtual environment to review with.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scales = [int(scale) for scale in options.scales.split(",")]

    start = statistics.median(measure([sys.executable, "-c", "pass"]).seconds for _ in range(options.runs))
    version = statistics.median(
        measure([sys.executable, "-m", "assay", "--version"]).seconds for _ in range(options.runs)
    )
    sizes = [_of_size(options.folder, scale, options.runs) for scale in scales]

    base = sizes[0]
    rows = []
    for size in sizes:
        rows.append(
            (
                f"{size['scale']}x",
                f"{size['characters']:,}",
                f"{size['seconds']:.3f}",
                f"{size['fastest']:.3f}",
                f"{size['peak_mib']:.0f}",
                f"{size['seconds'] / base['seconds']:.1f}",
                f"{start / size['seconds']:.0%}",
                int(size["findings"]),
            )
        )
    print_table(
        ("size", "characters", "median s", "fastest s", "peak MiB", "times 1x", "Python's start", "findings"), rows
    )
    print(f"\nPython starts in {start:.3f} s; `assay --version` takes {version:.3f} s.")
    growth = _growth(sizes, version)
    if growth is not None:
        word = "linear" if growth <= LINEAR_WITHIN else "MORE THAN LINEAR"
        print(
            f"Time per character, without the start, from {scales[-2]}x to {scales[-1]}x: times {growth:.2f} ({word})."
        )
    more = [int(number) for number in options.more.split(",")]
    composed = compositions(options.folder, more, options.runs)
    print()
    print_table(
        ("run files", "compositions", "median s", "fastest s"),
        [(one["run_files"], one["compositions"], f"{one['seconds']:.3f}", f"{one['fastest']:.3f}") for one in composed],
    )
    print()
    if len(composed) > 1:
        print(f"Each further composition takes {slope(composed) * 1000:.0f} ms.")
    with_environment = None
    if options.env is not None:
        command = [sys.executable, "-m", "assay", "review", str(options.folder), "--quiet", "--env", str(options.env)]
        with_environment = statistics.median(measure(command).seconds for _ in range(options.runs + 1))
        print(f"With the environment: {with_environment:.3f} s.")
    write_json(
        options.json,
        {
            "python_start": start, "assay_version": version, "sizes": sizes, "growth": growth,
            "compositions": composed, "with_environment": with_environment,
        },
    )  # fmt: skip
    return int(growth is not None and growth > LINEAR_WITHIN)


def _growth(sizes: list[dict[str, float]], start: float) -> float | None:
    if len(sizes) < 2:
        return None
    before, after = sizes[-2:]
    rate_before = max(before["seconds"] - start, 1e-3) / before["characters"]
    return (after["seconds"] - start) / after["characters"] / rate_before


def _of_size(folder: Path, scale: int, runs: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "submission"
        shutil.copytree(folder, copy)
        for path in copy.rglob("*.py"):
            path.write_text(repeated(path.read_text(encoding="utf-8"), scale), encoding="utf-8")
        characters = sum(len(path.read_bytes()) for path in copy.rglob("*") if path.is_file())
        command = [sys.executable, "-m", "assay", "review", str(copy), "--quiet"]
        measured: list[Measurement] = [measure(command) for _ in range(runs if scale < 100 else max(3, runs // 2))]
    if any(one.status not in (0, 1) for one in measured):
        raise SystemExit(f"{folder} at {scale}x could not be reviewed")
    return {
        "scale": scale,
        "characters": characters,
        "seconds": statistics.median(one.seconds for one in measured),
        "fastest": min(one.seconds for one in measured),
        "peak_mib": max(one.peak_bytes for one in measured) / 2**20,
        "findings": measured[0].output.count("\n"),
    }


def compositions(folder: Path, more: list[int], runs: int) -> list[dict[str, float]]:
    """What a review takes with so many more run files."""
    made = []
    for number in more:
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / "submission"
            shutil.copytree(folder, copy)
            files = _with_more_runs(copy, number)
            command = [sys.executable, "-m", "assay", "review", str(copy), "--quiet"]
            measured = [measure(command) for _ in range(runs)]
        if any(one.status not in (0, 1) for one in measured):
            raise SystemExit(f"{folder} with {files} run files could not be reviewed")
        times = [one.seconds for one in measured]
        made.append(
            {
                "run_files": files,
                "compositions": MODES * files,
                "seconds": statistics.median(times),
                "fastest": min(times),
            }
        )
    return made


def slope(composed: list[dict[str, float]]) -> float:
    """Seconds that each further composition takes, by least squares over the medians."""
    if len(composed) < 2:
        return 0.0
    counts = [one["compositions"] for one in composed]
    return statistics.linear_regression(counts, [one["seconds"] for one in composed]).slope


def _with_more_runs(folder: Path, number: int) -> int:
    """Add copies of a submission's run files under new ids, and tell how many it has then."""
    present = sorted(path for name in RUN_FOLDERS for path in (folder / name).glob("*.yaml"))
    if not present:
        raise SystemExit(f"{folder}: no run files to copy")
    for count in range(number):
        model = present[count % len(present)]
        new = f"{model.stem}-{count + 2}"
        text = re.sub(r"(?m)^(\s*run_id:).*$", rf"\g<1> {new}", model.read_text(encoding="utf-8"))
        model.with_name(f"{new}.yaml").write_text(text, encoding="utf-8")
    return len(present) + number


def repeated(text: str, times: int) -> str:
    """A Python text whose undecorated top-level definitions stand in it so many times, each time under new names."""
    lines = text.split("\n")
    definitions = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.decorator_list
    ]
    if not definitions:
        return text
    block = "\n\n\n".join("\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in definitions)
    names = re.compile(r"\b(" + "|".join(re.escape(node.name) for node in definitions) + r")\b")
    copies = [names.sub(rf"\g<1>_{number}", block) for number in range(2, times + 1)]
    at = definitions[-1].end_lineno or len(lines)
    return "\n".join([*lines[:at], *(f"\n\n{copy}" for copy in copies), *lines[at:]])


if __name__ == "__main__":
    sys.exit(main())
