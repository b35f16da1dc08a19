"""What the stand-ins of datasets are made from: the tables, and what a user says of further ones and of models."""

from __future__ import annotations

import datetime
import fnmatch
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from assay.analysis.dataset_knowledge import known_datasets
from assay.analysis.fact_table import read_table
from assay.errors import InputError
from assay.trial.inside.hub import features, rows

_LARGEST = 1_000_000
"""Bytes of a file of schemas, at most."""


class Configuration(BaseModel):
    """One configuration of a dataset, as a user writes it.

    Args:
        splits: Real number of rows by the name of the split.
        columns: Feature by the name of the column, in the grammar of `dataset_features.tsv`.
        kind: What the text is about: see `assay.trial.inside.hub.rows.kinds`.
        hidden: Splits whose labels are -1 or empty.
        empty: Columns of which some rows are empty.
        size: Height and width of pictures, in pixels, each at most 2048.
        modes: `RGB`, `L`, or `mixed` where some pictures are gray.
    """

    model_config = ConfigDict(extra="forbid")

    splits: dict[str, Annotated[int, Field(ge=0)]] = Field(min_length=1, max_length=50)
    columns: dict[str, str] = Field(min_length=1, max_length=500)
    kind: str = ""
    hidden: list[str] = []
    empty: list[str] = []
    size: tuple[Annotated[int, Field(ge=1, le=2048)], Annotated[int, Field(ge=1, le=2048)]] | None = None
    modes: str = Field(default="RGB", pattern="^(RGB|L|mixed)$")

    @field_validator("columns")
    @classmethod
    def _readable(cls, columns: dict[str, str]) -> dict[str, str]:
        for name, feature in columns.items():
            try:
                features.parse_columns(f"{name}: {feature}")
            except features.FeatureError as error:
                raise ValueError(f"column {name}: {error}") from None
        return columns

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in rows.kinds():
            raise ValueError(f"kind must be one of {', '.join(name for name in rows.kinds() if name)}")
        return kind


class Schema(BaseModel):
    """A dataset, as a user writes it.

    Args:
        configurations: By name; one dataset without configurations has `default`.
        default: The configuration that is meant where none is named.
        aliases: Other names of it.
    """

    model_config = ConfigDict(extra="forbid")

    configurations: dict[str, Configuration] = Field(min_length=1, max_length=500)
    default: str = ""
    aliases: list[str] = []


class Model(BaseModel):
    """A model, as a user writes it.

    Args:
        config: As in its config.json, with the real sizes.
        like: A family (`model_type`) or an id of `standin_models.tsv` whose facts it has where it names none.
        tokenizer: Its tokenizer, as `standin_models.tsv` describes one.
        generation: As in its generation_config.json.
        gated: Whether the Hub asks for an account with access.
    """

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any] = {}
    like: str = ""
    tokenizer: dict[str, Any] = {}
    generation: dict[str, Any] = {}
    gated: bool = False

    @field_validator("config", "tokenizer", "generation")
    @classmethod
    def _in_json(cls, part: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(part)
        except (TypeError, ValueError, RecursionError) as error:
            # YAML has dates and references to itself, which the files of a model cannot hold
            raise ValueError(f"not writable as JSON: {error}") from None
        return part

    @field_validator("like")
    @classmethod
    def _known(cls, like: str) -> str:
        if like and like not in {row["name"] for row in read_table("standin_models")}:
            raise ValueError(f"{like} is no family or id of the table of models")
        return like

    @model_validator(mode="after")
    def _tells_its_family(self) -> Model:
        if not self.like and not isinstance(self.config.get("model_type"), str):
            raise ValueError("`config` with a `model_type`, or `like`, must say what it is")
        return self


class UserSchemas(BaseModel):
    """A file of schemas: datasets and models by their ids."""

    model_config = ConfigDict(extra="forbid")

    datasets: dict[str, Schema] = {}
    models: dict[str, Model] = {}

    @field_validator("models")
    @classmethod
    def _with_owner(cls, models: dict[str, Model]) -> dict[str, Model]:
        for id in models:
            if not re.fullmatch(r"\w[\w.\-]{0,95}/\w[\w.\-]{0,95}", id):
                raise ValueError(f"{id!r} is no id of the form OWNER/NAME")
        return models


def read_schemas(path: Path) -> UserSchemas:
    """Read the file that `--standins` names.

    Raises:
        InputError: It cannot be read, is no YAML, or says something that no schema has; one line says where.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: larger than {_LARGEST:,} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None
    try:
        # the loader written in Python: the one in C dies of deep brackets
        written = yaml.load(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark is not None else ""
        raise InputError(f"{path}{where}: not readable as YAML: {getattr(error, 'problem', None) or error}") from None
    try:
        return UserSchemas.model_validate(written if written is not None else {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {place or 'the file'}: {first['msg'].removeprefix('Value error, ')}") from None


def catalogued(user: UserSchemas | None = None, as_of: datetime.date | None = None) -> dict[str, Any]:
    """What the hub needs to know of datasets, ready for JSON.

    Args:
        user: Schemas of the user; they win over the tables.
        as_of: The day for which the submission is judged; today where None.

    Returns:
        `schemas`: by name with owner, and `aliases`: other names to these.
    """
    day = as_of or datetime.date.today()
    schemas = {name: _from_table(name, group, day) for name, group in _groups().items()}
    aliases = {
        alias: found.id for alias, found in known_datasets().items() if found.id in schemas and alias != found.id
    }
    for name, schema in (user.datasets if user is not None else {}).items():
        schemas[name] = described(schema)
        aliases.pop(name, None)
        aliases.update(dict.fromkeys(schema.aliases, name))
    return {"schemas": schemas, "aliases": aliases}


def _groups() -> dict[str, list[dict[str, str]]]:
    groups: dict[str, list[dict[str, str]]] = {}
    for row in read_table("dataset_features"):
        groups.setdefault(row["dataset"], []).append(row)
    return groups


def _from_table(name: str, group: list[dict[str, str]], day: datetime.date) -> dict[str, Any]:
    configurations: dict[str, Any] = {}
    columns = ""
    for row in group:
        columns = row["columns"] or columns
        entry: dict[str, Any] = {
            "splits": {
                split: int(count) for split, _, count in (part.partition(":") for part in row["splits"].split())
            },
            "columns": columns,
            "kind": row["kind"],
            "modes": _modes_of(name),
        }
        for mark in row["marks"].split():
            key, _, value = mark.partition(":")
            entry[key] = [int(side) for side in value.split("x")] if key == "size" else value.split(",")
        configurations.update(dict.fromkeys(row["configurations"].split(), entry))
    facts = known_datasets().get(name)
    default = facts.default if facts is not None else ""
    if not default and facts is not None and facts.required is False and len(configurations) > 1:
        default = next(iter(configurations))
    return {
        "basis": "table",
        "configurations": configurations,
        "default": default,
        "complete": len(configurations) == 1 or (facts is not None and facts.complete),
        "gated": facts is not None and facts.gated,
        "script": facts is not None and facts.script_seen is not None and day <= facts.script_seen,
        "source": group[0]["source"] or (facts.source if facts is not None else ""),
    }


def _modes_of(name: str) -> str:
    for row in read_table("dataset_images"):
        if row["library"] == "hub" and fnmatch.fnmatchcase(name.lower(), row["dataset"].lower()):
            return {"any": "mixed"}.get(row["modes"], row["modes"])
    return "RGB"


def described(schema: Schema, basis: str = "user") -> dict[str, Any]:
    """A dataset as the hub is told of it.

    Args:
        schema: What somebody says of it.
        basis: Who: `user`, or `online` for its own card.
    """
    configurations = {}
    for name, written in schema.configurations.items():
        entry = written.model_dump(exclude={"columns"}, exclude_none=True)
        entry["columns"] = "; ".join(f"{column}: {feature}" for column, feature in written.columns.items())
        configurations[name] = entry
    return {"basis": basis, "configurations": configurations, "default": schema.default, "complete": True}


def listed(user: UserSchemas | None = None) -> list[Mapping[str, str]]:
    """Every dataset that a stand-in can be made of, by name, with its columns and where they are known from."""
    catalogue = catalogued(user)
    found: list[Mapping[str, str]] = []
    for name, schema in sorted(catalogue["schemas"].items(), key=lambda item: item[0].lower()):
        first = next(iter(schema["configurations"].values()))
        found.append(
            {
                "dataset": name,
                "aliases": " ".join(sorted(key for key, value in catalogue["aliases"].items() if value == name)),
                "configurations": " ".join(schema["configurations"]),
                "splits": " ".join(first["splits"]),
                "columns": " ".join(features.parse_columns(first["columns"].replace("(*)", "(a|b)"))),
                "basis": schema["basis"],
                "source": schema.get("source", ""),
            }
        )
    return found
