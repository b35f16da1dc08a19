"""Reading a review transcript: the whole text in which a model was asked to review code.

It holds the contract, the brief, the runs with their configurations, the code, and for a derived experiment the
base code, under headings. What was answered is not read.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from assay.errors import InputError
from assay.submission import limits
from assay.submission.brief import Brief, Run
from assay.submission.bundle import files_of_object, looks_like_code
from assay.submission.record import SourceFile

# The headings that mean something; any other line that begins with `#` is part of the text around it.
_HEADINGS = {
    "hypothesis": r"(?:Research )?Hypothesis",
    "method": r"(?:Current )?Research Method|Method|Proposed Method",
    "design": r"Experiment(?:al)? (?:Design|Strategy)",
    "runs": r"(?:Experiment(?:al)? )?Runs|Run Variations",
    "experiment": r"Current Experiment\b.*",
    "expected": r"Expected Results?",
    "metric": r"Primary Metric",
    "base": r".*\bBase Code\b.*\bReference\b.*",
    "code": r".*\bCode\b.*",
    "instructions": r"Instructions",
}
MAX_HEADING_LENGTH = 200
_HEADING = re.compile("|".join(f"(?P<{key}>{pattern})" for key, pattern in _HEADINGS.items()))

_RUN_ENTRY = re.compile(r"(?m)^[ \t]*+(Method|Model|Dataset):[ \t]*+(\S.*)$")
_RUN_VARIATIONS = re.compile(r"(?im)^[ \t]*+(?:[-*][ \t]*+)?Run Variations:[ \t]*+(\S.*)$")
_FENCE = re.compile(r"(?m)^[ \t]*+```(\w*+)[ \t]*+$")
_QUOTED = re.compile(r"'((?:[^'\\]++|\\.)*+)'|\"((?:[^\"\\]++|\\.)*+)\"", re.DOTALL)


@dataclass(slots=True)
class Transcript:
    """What a transcript holds, taken apart."""

    contract: str | None
    brief: Brief
    files: dict[str, SourceFile]
    base: dict[str, SourceFile] | None = None


@dataclass(slots=True)
class _Section:
    key: str
    title: str
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip()


def read_transcript(text: str, where: str, known_paths: Iterable[str], reply_keys: Mapping[str, str]) -> Transcript:
    """Take a transcript apart.

    Args:
        text: The whole text.
        where: How error messages call it.
        known_paths: The files that contracts name.
        reply_keys: Ready key to contract, by which the instructions tell which contract they state.

    Raises:
        InputError: where no code is found in it.
    """
    if len(text) > limits.MAX_FILE_BYTES:
        raise InputError(f"{where}: more than {limits.MAX_FILE_BYTES:,} characters")
    sections = _sections(text)
    paths = tuple(known_paths)
    code: dict[str, SourceFile] | None = None
    base: dict[str, SourceFile] | None = None
    for section in sections:
        bundle = _bundle_in(section.text)
        if bundle is None:
            continue
        files = files_of_object(bundle, f"{where} ({section.title or 'text'})", paths)
        if section.key == "base":
            base = files
        elif code is None:
            code = files
    if code is None:
        raise InputError(f"{where}: neither a JSON code bundle nor a review transcript with one in it")
    instructions = "\n".join(section.text for section in sections if section.key in ("", "instructions"))
    return Transcript(_contract(instructions, reply_keys), brief_of(sections), code, base)


def read_markdown_brief(text: str) -> Brief:
    """The brief in a Markdown text with a transcript's headings."""
    return brief_of(_sections(text))


def brief_of(sections: list[_Section]) -> Brief:
    """The brief that sections hold."""
    texts: dict[str, list[str]] = {}
    for section in sections:
        texts.setdefault(section.key, []).append(section.text)
    parts = {key: "\n\n".join(text for text in found if text) for key, found in texts.items()}
    hypothesis = parts.get("hypothesis", "")
    method = parts.get("method", "")
    metric = parts.get("metric") or _quoted(hypothesis, "primary_metric")
    expected = parts.get("expected") or _quoted(hypothesis, "expected_result") or _json_entry(method, "Expected Result")
    design = "\n\n".join(part for part in (parts.get("design", ""), parts.get("experiment", "")) if part)
    runs = _runs(parts.get("runs", "")) or _variations(parts.get("experiment", "") or parts.get("runs", ""))
    direction = re.search(
        r"(?im)^[-* \t]*+direction[ \t]*+:[ \t]*+(maximi[sz]e|minimi[sz]e)\b", parts.get("metric", "") or design
    )
    return Brief(
        hypothesis=hypothesis,
        method=method,
        design=design,
        runs=runs,
        primary_metric=metric.splitlines()[0].strip(" -*") if metric else None,
        direction=direction.group(1).lower().replace("s", "z") if direction else None,
        expected=expected or "",
    )


def _sections(text: str) -> list[_Section]:
    sections = [_Section("", "")]
    for line in text.split("\n"):
        is_heading = line.startswith("# ") and len(line) <= MAX_HEADING_LENGTH
        match = _HEADING.fullmatch(line[2:].strip()) if is_heading else None
        if match and match.lastgroup:
            sections.append(_Section(match.lastgroup, line[2:].strip()))
        else:
            sections[-1].lines.append(line)
    return sections


def _bundle_in(text: str) -> dict[str, object] | None:
    """The first code bundle that begins at the start of a line."""
    decoder = json.JSONDecoder(strict=False)
    read_until = looked_at = 0
    for match in re.finditer(r"^[ \t]*+(?=\{\s*+\")", text, re.MULTILINE):
        begin = match.end()
        if begin < read_until:
            continue
        try:
            value, read_until = decoder.raw_decode(text, begin)
            looked_at += read_until - begin
        except json.JSONDecodeError as error:
            # the error counts all lines before its place
            looked_at += 2 * error.pos - begin
        except (ValueError, RecursionError):
            looked_at += len(text) - begin
        else:
            if looks_like_code(value):
                return dict(value)
        # broken objects inside broken objects: each would be read to its end again
        if looked_at > 3 * limits.MAX_FILE_BYTES:
            return None
    return None


def _contract(instructions: str, reply_keys: Mapping[str, str]) -> str | None:
    named = [contract for key, contract in reply_keys.items() if re.search(rf"\b{re.escape(key)}\b", instructions)]
    if not named:
        return None
    if named[0] == "experiment" and "trial_mode=true" in instructions:
        return "experiment@2025-10"
    return named[0]


def _runs(text: str) -> tuple[Run, ...]:
    runs: list[Run] = []
    for item in re.split(r"(?m)^[ \t]*[-*][ \t]*Run ID:", text)[1:]:
        head, _, rest = item.partition("\n")
        run_id = head.strip().strip("`'\"")
        if not run_id:
            continue
        before = rest.partition("```")[0]
        entries = {key: value.rstrip() for key, value in _RUN_ENTRY.findall(before)}
        if len(runs) >= limits.MAX_RUNS:
            raise InputError(f"more than {limits.MAX_RUNS:,} runs in one brief")
        runs.append(Run(run_id, entries.get("Method"), entries.get("Model"), entries.get("Dataset"), _fenced(rest)))
    return tuple(runs)


def _fenced(text: str) -> str | None:
    """The text of the first fenced block. Its first line may be indented more than the rest (a template's trace)."""
    fences = list(itertools.islice(_FENCE.finditer(text), 100))
    opening = next((number for number, fence in enumerate(fences) if fence.group(1) in ("", "yaml", "yml")), None)
    closing = (
        next((fence for fence in fences[opening + 1 :] if not fence.group(1)), None) if opening is not None else None
    )
    if opening is None or closing is None:
        return None
    lines = text[fences[opening].end() + 1 : closing.start()].rstrip().split("\n")
    rest = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    margin = min(rest, default=0)
    lines = [lines[0].lstrip(), *(line[margin:] for line in lines[1:])]
    return "\n".join(lines) + "\n"


def _variations(text: str) -> tuple[Run, ...]:
    # a description may use the same words before a list in prose: the line that lists something counts
    lists = _RUN_VARIATIONS.findall(text)
    listed = lists[-1].strip() if lists else ""
    names: list[str] = []
    if listed.startswith("["):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = ast.literal_eval(listed[:20_000])
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            value = listed.strip("[]").split(",")
        names = [str(name).strip() for name in value if isinstance(name, str | int | float) and str(name).strip()]
    elif listed:
        names = [name.strip() for name in listed.split(",") if name.strip()]
    if len(names) > limits.MAX_RUNS:
        raise InputError(f"more than {limits.MAX_RUNS:,} runs in one brief")
    return tuple(Run(name.strip("`'\"")) for name in dict.fromkeys(names))


def _quoted(text: str, key: str) -> str | None:
    """The value in `key='...'`, as Python prints an object's fields."""
    place = re.search(rf"\b{key}=(?=['\"])", text)
    match = _QUOTED.match(text, place.end()) if place else None
    if match is None:
        return None
    return (match.group(1) or match.group(2) or "").replace("\\n", "\n").replace("\\'", "'")


def _json_entry(text: str, key: str) -> str | None:
    try:
        value = json.loads(text, strict=False) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    entry = value.get(key) if isinstance(value, dict) else None
    return entry.encode("utf-8", "replace").decode("utf-8") if isinstance(entry, str) else None
