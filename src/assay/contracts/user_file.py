"""Reading a user's own contract from a YAML file. The format is described in docs/contracts.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assay import yaml_tree
from assay.errors import InputError
from assay.submission import limits

# The verdict's own keys, which follow the two that a contract names.
VERDICT_KEYS = frozenset(
    {"submission", "contract", "contract_reason", "evidence", "tool", "as_of", "requirements", "findings", "seconds"}
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RequirementModel(_Strict):
    """One row. `rules` lists codes of rules that decide a row with an id of your own."""

    id: str = Field(pattern=r"^[A-Z]+[0-9]*(\.[0-9]+)?$")
    text: str
    decided_by: list[Literal["read", "compose", "trial", "judge"]] = ["read"]
    rules: list[str] = []


class ReplyModel(_Strict):
    """The names of the verdict's first two keys."""

    ready: str
    issue: str


class FilesModel(_Strict):
    """Files: `required` are all that a submission holds besides `exempt` ones and run files."""

    required: list[str] = []
    exempt: list[str] = []


class ConfigurationModel(_Strict):
    """Where configuration lives: folders of run files, or files that list run variations."""

    runs: list[str] = []
    sections: list[str] = []
    variations: list[str] = []


class ContractModel(_Strict):
    """A contract file."""

    name: str
    title: str = ""
    extends: str | None = None
    reply: ReplyModel | None = None
    files: FilesModel | None = None
    roles: dict[Literal["main", "train", "evaluate", "preprocess", "model", "config"], str] | None = None
    configuration: ConfigurationModel | None = None
    commands: dict[Literal["trial", "full", "evaluate"], str] | None = None
    requirements: list[RequirementModel] | None = None
    more_requirements: list[RequirementModel] | None = None


def read_description(path: Path) -> dict[str, Any]:
    """The description in a contract file, checked.

    Raises:
        InputError: where the file is missing, is no YAML, or does not describe a contract.
    """
    text = limits.decode(str(path), limits.read_input(path))
    try:
        documents = yaml_tree.parse(str(path), text)
    except yaml_tree.YamlSyntaxError as error:
        raise InputError(f"{path}:{error.line}:{error.column}: broken YAML: {error.problem}") from None
    value = yaml_tree.to_python(documents[0]) if documents else None
    return check_description(value, str(path))


def check_description(value: Any, where: str) -> dict[str, Any]:
    """A description that has all that a contract needs, without the keys it leaves out."""
    try:
        model = ContractModel.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{where}: {'.'.join(map(str, first['loc'])) or 'contract'}: {first['msg']}") from None
    for key in ("requirements", "more_requirements"):
        ids = [row.id for row in getattr(model, key) or ()]
        if twice := next((row for row, count in Counter(ids).items() if count > 1), None):
            raise InputError(f"{where}: {key}: the id {twice} stands twice")
    if model.reply is not None and (
        model.reply.ready == model.reply.issue or {model.reply.ready, model.reply.issue} & VERDICT_KEYS
    ):
        raise InputError(
            f"{where}: reply: ready and issue need names of their own, different from each other and from "
            f"{', '.join(sorted(VERDICT_KEYS))}"
        )
    if model.extends is None and model.more_requirements:
        raise InputError(
            f"{where}: more_requirements: there is nothing to add to without extends; call it requirements"
        )
    if model.extends is None and (model.reply is None or not model.requirements):
        raise InputError(f"{where}: a contract that extends no other needs reply and requirements")
    description: dict[str, Any] = model.model_dump(exclude_unset=True, exclude_none=True)
    return description
