"""Reading a submission from a JSON code bundle: one object, file by file, as a code generator hands it over.

A key is a file's name with its dot replaced (`train_py`, `config_yaml`, `smoke_test_yaml`) or its path
(`src/train.py`, `config/runs/a.yaml`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from assay.errors import InputError
from assay.submission import limits
from assay.submission.folder import source_file
from assay.submission.record import SourceFile

MAX_PATH_LENGTH = 1_000
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def key_of(path: str) -> str:
    """The bundle key of a file: `src/train.py` is `train_py`."""
    return PurePosixPath(path).name.replace(".", "_")


def read_bundle(text: str, where: str, known_paths: Iterable[str]) -> dict[str, SourceFile]:
    """All files of a bundle, by path.

    Args:
        text: The JSON text.
        where: How error messages call it.
        known_paths: The files that contracts name; they give short keys their meaning.

    Raises:
        InputError: where the text is not a JSON object of strings, or a key names no file.
    """
    return files_of_object(load_json(text, where), where, known_paths)


def load_json(text: str, where: str) -> Any:
    """The value of a JSON text, refused in one line where it is broken or nested too deeply."""
    if len(text) > limits.MAX_FILE_BYTES:
        raise InputError(f"{where}: more than {limits.MAX_FILE_BYTES:,} characters")
    limits.check_json_nesting(where, text)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise InputError(f"{where}: the key {_shown(twice)} stands twice in one object")
        return value

    try:
        value = json.loads(text, strict=False, object_pairs_hook=unique)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except json.JSONDecodeError as error:
        raise InputError(f"{where}:{error.lineno}:{error.colno}: broken JSON: {error.msg}") from None
    except UnicodeEncodeError:
        raise InputError(
            f"{where}: an escape such as \\ud800 that is half a character; it is not valid Unicode"
        ) from None
    except (RecursionError, ValueError) as error:
        raise InputError(f"{where}: broken JSON: {error}") from None


def files_of_object(value: Any, where: str, known_paths: Iterable[str]) -> dict[str, SourceFile]:
    """The files of a decoded bundle."""
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: a code bundle is a JSON object of file to text, not {_kind(value)}")
    if not value:
        raise InputError(f"{where}: the code bundle is empty")
    if len(value) > limits.MAX_FILES:
        raise InputError(f"{where}: more than {limits.MAX_FILES:,} files")
    # the first path of a name is meant: that of the contract that was asked for
    paths = {key_of(path): path for path in reversed(tuple(known_paths))}
    files: dict[str, SourceFile] = {}
    for key, text in value.items():
        path = paths.get(key) or _as_path(key)
        if path is None:
            known = ", ".join(sorted(paths))
            raise InputError(f"{where}: key {_shown(key)} names no file; use a path (src/train.py) or one of {known}")
        if not isinstance(text, str):
            raise InputError(f"{where}: the value of {_shown(key)} is {_kind(text)}, not the file's text")
        if path in files:
            raise InputError(f"{where}: two keys name {path}")
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"{where}: the text of {_shown(key)} holds half a character (a lone surrogate)") from None
        files[path] = source_file(path, data, len(data))
    return dict(sorted(files.items()))


def looks_like_code(value: Any) -> bool:
    """Whether a decoded JSON value is a code bundle: an object with at least one key such as `train_py`."""
    return isinstance(value, Mapping) and any(
        isinstance(key, str) and re.fullmatch(r"\w+_(?:py|ya?ml|toml)|[\w./-]+\.(?:py|ya?ml|toml)", key)
        for key in value
    )


def _as_path(key: str) -> str | None:
    path = PurePosixPath(key)
    if len(key) > MAX_PATH_LENGTH or not key.isprintable():
        return None
    if "." not in path.name.strip(".") and path.name not in (".gitignore", ".gitkeep", "LICENSE", "README"):
        return None
    if path.is_absolute() or ".." in path.parts or "\\" in key or str(path) != key:
        return None
    return key


def _shown(key: str) -> str:
    return repr(key if len(key) <= 100 else f"{key[:100]}...")


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "an object", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
