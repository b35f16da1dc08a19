"""Coverage-guided fuzzing of a whole review. Run by hand, for as long as you like:

    uv venv /tmp/fuzzing && uv pip install --python /tmp/fuzzing/bin/python atheris -e . pytest hypothesis
    /tmp/fuzzing/bin/python tests/fuzz/atheris_review.py -max_total_time=300 -timeout=20 -rss_limit_mb=3000 [CORPUS]

The first byte chooses the form (files, bundle, transcript, brief, contract, mutated examples of the rules); the rest is
its content. Anything but a verdict or an InputError ends the run and is written to a crash file.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["assay"]):
    from assay.contracts import load_contract
    from assay.errors import InputError
    from assay.reviewer import review
    from assay.rules import all_rules
    from assay.submission import Submission
    from assay.submission.brief_file import read_brief
    from assay.submission.folder import source_file
    from assay.submission.opening import open_submission
    from assay.verdict import Verdict

    all_rules()  # they are imported when they are first asked for

from tests.fuzz.mutation import submission
from tests.submission.conftest import SEVEN

NAMES = ("src/train.py", "src/evaluate.py", "src/main.py", "config/config.yaml", "config/runs/a.yaml", "pyproject.toml")
FOLDER = Path(tempfile.mkdtemp())


def files_of(data: bytes) -> Submission:
    """The seven files, those overwritten that the data holds, one after another, divided by a byte."""
    files = {path: source_file(path, text.encode(), len(text)) for path, text in SEVEN.items()}
    for name, part in zip(NAMES, data.split(b"\xfe"), strict=False):
        files[name] = source_file(name, part, len(part))
    return Submission("fuzz", dict(sorted(files.items())))


def check(verdict: Verdict) -> None:
    """A verdict that says of no rule that it failed, and that can be written down."""
    failed = [row.reason for row in verdict.requirements if "failed on this submission" in row.reason]
    if failed:
        raise AssertionError(failed[0])
    json.dumps(verdict.as_dict()).encode("utf-8")


def test_one_input(data: bytes) -> None:
    form, content = data[:1], data[1:]
    path = FOLDER / {b"b": "bundle.json", b"t": "transcript.txt", b"y": "brief.yaml", b"c": "contract.yaml"}.get(
        form, "x"
    )
    try:
        if form in (b"b", b"t"):
            path.write_bytes(content)
            check(review(open_submission(path), contract="experiment"))
        elif form == b"y":
            path.write_bytes(content)
            read_brief(path)
        elif form == b"c":
            path.write_bytes(content)
            load_contract(str(path))
        elif form == b"m":
            made, contract = submission(int.from_bytes(content[:6], "big"))
            check(review(made, contract=contract))
        else:
            check(review(files_of(content), contract="experiment"))
    except InputError:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
