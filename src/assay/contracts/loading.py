"""Loading contracts: the built-in ones by name, a user's own by path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from assay.contracts.contract import Contract, Requirement
from assay.errors import InputError

_SAFE_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FOLDER = Path(__file__).parent


@cache
def builtin_names() -> tuple[str, ...]:
    """The names of the contracts that come with assay, dialects after what they are dialects of."""
    return tuple(sorted(path.name.removesuffix(".yaml") for path in _FOLDER.glob("*.yaml")))


def load_contract(name: str) -> Contract:
    """A contract by name, or by the path of a YAML file.

    Raises:
        InputError: where there is no such contract, or the file does not describe one.
    """
    return _builtin(name) if name in builtin_names() else contract_of(_description(name), name)


@cache
def _builtin(name: str) -> Contract:
    return contract_of(_description(name), name)


def known_paths() -> tuple[str, ...]:
    """Every file that a built-in contract requires."""
    paths = [path for name in builtin_names() for path in load_contract(name).required]
    return tuple(dict.fromkeys(paths))


def reply_keys() -> dict[str, str]:
    """Ready key to contract, for the contracts that are no dialects."""
    return {load_contract(name).ready_key: name for name in builtin_names() if "@" not in name}


def contract_of(data: Mapping[str, Any], where: str) -> Contract:
    """The contract that a description gives; what it `extends` fills in what it does not say."""
    data = _extended(data, where)
    files = data.get("files") or {}
    configuration = data.get("configuration") or {}
    reply = data.get("reply") or {}
    return Contract(
        name=str(data["name"]),
        title=str(data.get("title", "")),
        ready_key=reply["ready"],
        issue_key=reply["issue"],
        required=tuple(files.get("required", ())),
        exempt=tuple(files.get("exempt", ())),
        roles=dict(data.get("roles") or {}),
        run_folders=tuple(configuration.get("runs", ())),
        sections=tuple(configuration.get("sections", ())),
        variation_files=tuple(configuration.get("variations", ())),
        commands=dict(data.get("commands") or {}),
        requirements=tuple(
            Requirement(row["id"], row["text"], tuple(row.get("decided_by", ())), tuple(row.get("rules", ())))
            for row in data["requirements"]
        ),
    )


def _extended(data: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """A description with everything that it takes from the contract it extends."""
    parent = data.get("extends")
    if parent is None:
        return data
    if parent not in builtin_names():
        raise InputError(f"{where}: extends {parent!r}; a contract can extend {', '.join(builtin_names())}")
    own = {key: value for key, value in data.items() if key != "extends"}
    return _merged(_extended(_description(parent), parent), own)


def _description(name: str) -> dict[str, Any]:
    if name in builtin_names():
        text = (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        description: dict[str, Any] = yaml.load(text, Loader=_SAFE_LOADER)
        return description
    if not name.endswith((".yaml", ".yml")):
        raise InputError(f"unknown contract {name!r}; known: {', '.join(builtin_names())}, or the path of a YAML file")
    from assay.contracts.user_file import read_description

    return read_description(Path(name))


def _merged(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """`child` over `parent`: mappings key by key, `more_requirements` by id, everything else replaced."""
    merged = dict(parent)
    for key, value in child.items():
        if key == "more_requirements":
            rows = {row["id"]: row for row in parent["requirements"]} | {row["id"]: row for row in value}
            merged["requirements"] = list(rows.values())
        elif isinstance(value, Mapping) and isinstance(parent.get(key), Mapping):
            merged[key] = {**parent[key], **value}
        else:
            merged[key] = value
    return merged
