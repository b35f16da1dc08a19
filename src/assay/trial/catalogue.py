"""What the hub of a rehearsal knows, written to a file that it reads: models here, datasets from `schemas`."""

from __future__ import annotations

import datetime
import json
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from assay.analysis.fact_table import read_table
from assay.errors import InputError
from assay.trial.schemas import UserSchemas, catalogued

# the columns of the table that hold JSON
_PARTS = ("config", "generation", "tokenizer", "other")


@cache
def _rows() -> Mapping[str, Mapping[str, Any]]:
    found = {}
    for row in read_table("standin_models"):
        entry: dict[str, Any] = {part: json.loads(row[part]) for part in _PARTS if row[part]}
        if row["like"]:
            entry["like"] = row["like"]
        found[row["name"]] = entry
    return found


def patterns() -> tuple[tuple[str, str], ...]:
    """Expressions for the last part of an id, in lower case, and the rows that such models are taken to be like."""
    return tuple((row["pattern"], row["name"]) for row in read_table("standin_models") if row["pattern"])


def catalogue(
    user: UserSchemas | None = None,
    added: Iterable[Mapping[str, Any]] = (),
    schemas: Mapping[str, Any] | None = None,
    *,
    as_of: datetime.date | None = None,
) -> dict[str, Any]:
    """What the hub is told, as JSON data.

    Args:
        user: What a user says of datasets and models, if anything.
        added: Entries read from the real hub (`basis` "online"): `id`, `config` as in config.json, and where they are
            known `tokenizer`, `generation` and `other` as in `standin_models.tsv`, `like`, `gated`.
        schemas: Datasets read from there, by id, as `schemas.described` gives them.
        as_of: The day on which the submission is looked at; today where it is not given.

    Raises:
        InputError: A user's model cannot be made as it is described; one line says why.
    """
    rows: dict[str, Any] = dict(_rows())
    models: dict[str, Any] = {}
    aliases: dict[str, str] = {}
    for row in read_table("models"):
        pads = {"yes": True, "no": False}.get(row["pads"])
        models[row["id"]] = {"family": row["family"], "gated": row["gated"] == "yes", "pads": pads}
        if row["alias"]:
            aliases[row["alias"]] = row["id"]
    for name, facts in _rows().items():
        for former in facts.get("other", {}).get("formerly", ()):
            aliases[former] = name
    for entry in [*added, *_of_user(user)]:
        rows[str(entry["id"])] = _row(entry)
    names = {id.lower(): id for id in [*models, *(name for name in rows if "/" in name)]}
    names.update({former.lower(): id for former, id in aliases.items()})
    timm = sorted({row["name"] for row in read_table("vision_models") if row["library"] == "timm" and row["name"]})
    found: dict[str, Any] = {
        "models": models,
        "names": names,
        "rows": rows,
        "patterns": [list(pair) for pair in patterns()],
        "timm": timm,
        "datasets": catalogued(user, as_of),
    }
    found["datasets"]["schemas"] = {**(schemas or {}), **found["datasets"]["schemas"]}
    for entry in _of_user(user):
        check_model(entry, found)
    return found


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {part: entry[part] for part in (*_PARTS, "like") if entry.get(part)}
    told["basis"] = str(entry.get("basis", "user"))
    if entry.get("gated"):
        told["other"] = {**told.get("other", {}), "gated": True}
    return told


def _of_user(user: UserSchemas | None) -> list[dict[str, Any]]:
    models = user.models if user is not None else {}
    return [{"id": id, "basis": "user", **model.model_dump()} for id, model in models.items()]


def check_model(entry: Mapping[str, Any], catalogue: Mapping[str, Any]) -> None:
    """Make all of a model but its weights: what is wrong with its description is said before anything runs.

    Args:
        entry: The model, as `catalogue` takes one.
        catalogue: What the hub is told of others.

    Raises:
        InputError: It cannot be made as it is described.
    """
    from assay.trial.inside.hub import models

    id = str(entry["id"])
    with tempfile.TemporaryDirectory(prefix="assay-standin-") as folder:
        maker = models.Maker(Path(folder), lambda *_, **__: None)
        try:
            models.repository(id, {**catalogue, "rows": {**catalogue["rows"], id: _row(entry)}}, maker, {})
        except Exception as error:  # a description may be wrong in any way
            reason = f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
            raise InputError(f"models.{id}: no stand-in can be made as it is described ({reason})") from None
