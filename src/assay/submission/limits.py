"""What a submission may hold: sizes, counts, encodings and nesting, checked before any parser sees a file.

A submission is hostile until shown otherwise. The limits are far above what experiment code needs, and a file
that passes them cannot exhaust a parser (PyYAML's C loader, for one, dies of 200,000 open brackets).
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from assay.errors import InputError

MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_TOTAL_BYTES = 50 * 1024 * 1024
MAX_FILES = 10_000
MAX_RUNS = 1_000
MAX_NESTING = 200
MAX_TOML_CHARACTERS = 1_000_000
MAX_TOML_KEY_PARTS = 50
# Syntax trees and what rules remember take up to 4 KB for each word or sign (measured: one name a line, CPython 3.11);
# the largest of 24 generated experiments has 13,000 of them.
MAX_PYTHON_TOKENS = 500_000

# Files whose text rules may read. Anything else is listed with its size and left alone.
TEXT_SUFFIXES = frozenset(
    {".py", ".pyi", ".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".txt", ".md", ".rst", ".sh", ".lock"}
)
# Files whose text decides a verdict: one of these that cannot be read makes the submission unreadable.
CODE_SUFFIXES = frozenset({".py", ".pyi", ".yaml", ".yml", ".toml"})

# Possessive throughout, and a string may stay open (to the end of its line, or of the text for three quotes):
# no text makes this look at a character more than twice.
_BRACKET_OR_STRING = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+(?:""")?+'
    r"|'''(?:[^'\\]++|\\.|'(?!''))*+(?:''')?+"
    r'|"(?:[^"\\\n]++|\\.)*+"?+'
    r"|'(?:[^'\\\n]++|\\.)*+'?+"
    r"|\#[^\n]*+"
    r"|[\[{(\]})]",
    re.DOTALL,
)
_JSON_BRACKET_OR_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?+|[\[{\]}]', re.DOTALL)
_DOTTED = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)++""")
_PYTHON_TOKEN = re.compile(r"\w++|[^\w\s]")
_CODING = re.compile(rb"^[ \t\f]*+#.*?coding[:=][ \t]*+([-\w.]{1,40})")
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ARCHIVES = ((b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x1f\x8b", "gzip"), (b"7z\xbc\xaf", "7z"))
# Encodings that hide what a reader of the bytes sees, or whose decoders need quadratic time.
_REFUSED_ENCODINGS = re.compile(r"utf-(?:7|16|32).*|punycode|idna|undefined|(?:raw.)?unicode.escape")


def is_text(path: str) -> bool:
    """Whether a file of this name is read as text."""
    return PurePosixPath(path).suffix.lower() in TEXT_SUFFIXES or PurePosixPath(path).name.startswith(".git")


def is_code(path: str) -> bool:
    """Whether a file of this name must be readable for a verdict to be given."""
    return PurePosixPath(path).suffix.lower() in CODE_SUFFIXES


def read_input(path: Path) -> bytes:
    """The bytes of a file that the caller names: a bundle, a transcript, a brief, a contract.

    Raises:
        InputError: where there is no such file, it is no regular file, or it is too large.
    """
    try:
        # O_NONBLOCK: opening a pipe must not wait for its other end
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{path}: not a regular file")
            data = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    kind = next((name for mark, name in _ARCHIVES if data.startswith(mark)), None)
    if kind is not None:
        raise InputError(f"{path}: a {kind} archive; unpack it and name what is inside")
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{path}: more than the {MAX_FILE_BYTES:,} bytes that one file may have")
    return data


def decode(path: str, data: bytes) -> str:
    """The text of a source file.

    Honours a byte order mark, and the coding line of a Python file (PEP 263); otherwise the text is UTF-8.

    Raises:
        InputError: where the file is binary, too large, or in an encoding that is unknown or not for source code.
    """
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{path}: {len(data):,} bytes, more than the {MAX_FILE_BYTES:,} that one file may have")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if encoding == "utf-16" and is_code(path):
        raise InputError(f"{path}: UTF-16, which neither Python nor its tools read; save the file as UTF-8")
    if encoding != "utf-16" and b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise InputError(f"{path}:{line}: NUL byte; this is a binary file, not source text")
    if encoding is None:
        encoding = _declared_encoding(path, data) if path.endswith((".py", ".pyi")) else "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not valid {encoding}; save the file as UTF-8") from None
    except (LookupError, ValueError):
        raise InputError(f"{path}: unknown encoding {encoding!r}; save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _declared_encoding(path: str, data: bytes) -> str:
    for line in data[:10_000].splitlines()[:2]:
        match = _CODING.match(line)
        if match:
            name = match.group(1).decode("ascii", "replace")
            try:
                info = codecs.lookup(name)
            except LookupError:
                raise InputError(f"{path}: unknown encoding {name!r}; save the file as UTF-8") from None
            if not getattr(info, "_is_text_encoding", True) or _REFUSED_ENCODINGS.fullmatch(info.name):
                raise InputError(f"{path}: {name!r} is no encoding for source code; save the file as UTF-8")
            return info.name
        if line.strip() and not line.lstrip().startswith(b"#"):
            break
    return "utf-8"


def check_nesting(path: str, text: str) -> None:
    """Refuse brackets nested more than `MAX_NESTING` deep outside strings and comments.

    YAML has brackets in plain text; `yaml_tree` bounds its nesting where it reads it.

    Raises:
        InputError: with the line at which the limit is passed.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".toml":
        _check_toml(path, text)
    if suffix in (".yaml", ".yml") or text.count("[") + text.count("{") + text.count("(") <= MAX_NESTING:
        return
    _check_nesting(path, text, _JSON_BRACKET_OR_STRING if suffix == ".json" else _BRACKET_OR_STRING)


def _check_toml(path: str, text: str) -> None:
    """Refuse what tomllib needs quadratic time for: dotted keys of many parts."""
    if len(text) > MAX_TOML_CHARACTERS:
        raise InputError(f"{path}: more than {MAX_TOML_CHARACTERS:,} characters of TOML")
    for match in _DOTTED.finditer(text):
        if match.group().count(".") >= MAX_TOML_KEY_PARTS:
            line = text.count("\n", 0, match.start()) + 1
            raise InputError(f"{path}:{line}: a dotted key of more than {MAX_TOML_KEY_PARTS} parts")


def check_json_nesting(where: str, text: str) -> None:
    """Refuse JSON nested more than `MAX_NESTING` deep.

    Raises:
        InputError: with the line at which the limit is passed.
    """
    if text.count("[") + text.count("{") > MAX_NESTING:
        _check_nesting(where, text, _JSON_BRACKET_OR_STRING)


def _check_nesting(where: str, text: str, pattern: re.Pattern[str]) -> None:
    depth = 0
    for match in pattern.finditer(text):
        token = match.group()
        if token in "[{(":
            depth += 1
            if depth > MAX_NESTING:
                line = text.count("\n", 0, match.start()) + 1
                raise InputError(f"{where}:{line}: brackets nested more than {MAX_NESTING} deep")
        elif token in "]})":
            depth = max(0, depth - 1)


def check_amount_of_python(where: str, texts: Iterable[str]) -> None:
    """Refuse more Python than its syntax trees leave memory for.

    Raises:
        InputError: where there is more than `MAX_PYTHON_TOKENS` of it.
    """
    kept = list(texts)
    if sum(map(len, kept)) <= MAX_PYTHON_TOKENS:
        return
    tokens = 0
    for text in kept:
        tokens += sum(1 for _ in _PYTHON_TOKEN.finditer(text))
        if tokens > MAX_PYTHON_TOKENS:
            raise InputError(f"{where}: more than {MAX_PYTHON_TOKENS:,} words and signs of Python; name less of it")
