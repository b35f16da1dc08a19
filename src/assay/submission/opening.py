"""Opening a submission, whatever form it comes in."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from assay.contracts import known_paths, load_contract, reply_keys
from assay.errors import InputError
from assay.submission import limits
from assay.submission.brief import Brief
from assay.submission.bundle import files_of_object, load_json, looks_like_code
from assay.submission.folder import read_folder, source_file
from assay.submission.record import SourceFile, Submission
from assay.submission.revision import is_bare_repository, read_revision


def open_submission(
    source: str | Path,
    *,
    contract: str = "auto",
    rev: str | None = None,
    base: str | Path | None = None,
    brief: Brief | None = None,
) -> Submission:
    """Read a submission.

    Args:
        source: A folder, a git repository (with `rev`), a JSON code bundle, a review transcript, or `-` for
            either of the last two on standard input.
        contract: The contract it will be reviewed against; its files give short bundle keys their meaning.
        rev: Git revision to read instead of the files as they are.
        base: The foundation of a derived submission, in any of the same forms.
        brief: A brief that replaces the one the source may hold.

    Raises:
        InputError: where something cannot be read.
    """
    submission = _open(str(source), contract, rev)
    if not submission.files:
        raise InputError(f"{source}: no files to review")
    if base is not None:
        foundation = _open(str(base), contract, None)
        if not foundation.files:
            raise InputError(f"{base}: no files; name the base that the submission specialises")
        submission = replace(submission, base=foundation)
    return replace(submission, brief=brief) if brief is not None else submission


def _open(source: str, contract: str, rev: str | None) -> Submission:
    submission = _read(source, contract, rev)
    for part in (submission, submission.base):
        if part is not None:
            python = (file.text or "" for path, file in part.files.items() if path.endswith(".py"))
            limits.check_amount_of_python(part.name, python)
    return submission


def _read(source: str, contract: str, rev: str | None) -> Submission:
    if not source:
        raise InputError("an empty path; name a folder or a file (. is this folder)")
    if rev is not None:
        name = f"{source}@{rev}"
        return Submission(name, read_revision(Path(source), rev), kind="revision")
    if source == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise InputError("standard input is closed; give it a bundle or a transcript")
        try:
            data = sys.stdin.buffer.read(limits.MAX_FILE_BYTES + 1)
        except OSError as error:
            raise InputError(f"standard input: {error.strerror or error}") from None
        return _from_text("standard input", limits.decode("standard input", data), contract)
    path = Path(source)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"{source!r}: {getattr(error, 'strerror', None) or error}") from None
    if is_folder:
        if is_bare_repository(path):
            raise InputError(f"{source}: a bare git repository; name what to review with --rev")
        return Submission(source, read_folder(path))
    if not exists:
        raise InputError(f"{source}: no such file or folder")
    return _from_text(source, limits.decode(source, limits.read_input(path)), contract)


def _from_text(name: str, text: str, contract: str) -> Submission:
    own = load_contract(contract).required if contract != "auto" else ()
    paths = (*own, *(path for path in known_paths() if path not in own))
    if text.lstrip().startswith(("{", "[")):
        value = load_json(text, name)
        if looks_like_code(value) or not isinstance(value, dict):
            return Submission(name, files_of_object(value, name, paths), kind="bundle")
        raise InputError(f"{name}: a JSON object without code; a bundle has keys such as train_py or src/train.py")
    if not text.strip():
        raise InputError(f"{name}: empty")
    from assay.submission.transcript import read_transcript

    found = read_transcript(text, name, paths, reply_keys())
    base = Submission(f"{name} (base code)", found.base, kind="bundle") if found.base else None
    return Submission(name, found.files, found.brief, base, found.contract, "transcript")


def lay_runs(submission: Submission, *folders: str) -> Submission:
    """Add the run configurations that only the brief holds, as `FOLDER/RUN_ID.yaml`.

    Args:
        submission: What was opened.
        folders: The folders of run files that the contract accepts. The first one takes them, unless the
            submission keeps its run files in another.
    """
    files = dict(submission.files)
    used = [folder for folder in folders if any(path.startswith(f"{folder}/") for path in files)]
    folder = (used or folders)[0]
    for run in submission.brief.runs:
        path = f"{folder}/{run.run_id}.yaml"
        if run.config is None or not run.run_id.strip() or "/" in run.run_id or not run.run_id.isprintable():
            continue
        if any(f"{other}/{run.run_id}{suffix}" in files for other in folders for suffix in (".yaml", ".yml")):
            continue
        data = run.config.encode("utf-8", "replace")
        file = source_file(path, data, len(data))
        files[path] = SourceFile(path, file.text, file.size, laid=True)
    return replace(submission, files=dict(sorted(files.items())))
