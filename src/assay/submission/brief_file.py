"""Reading a brief from a file of its own: YAML, JSON, or Markdown with a transcript's headings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from assay import yaml_tree
from assay.errors import InputError
from assay.submission import limits
from assay.submission.brief import Brief, Run
from assay.submission.bundle import load_json
from assay.submission.transcript import read_markdown_brief


class RunModel(BaseModel):
    """One run, as a brief file gives it. `config` is YAML text or a mapping."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    run_id: str
    method: str | None = None
    model: str | None = None
    dataset: str | None = None
    config: str | dict[str, Any] | None = None


class BriefModel(BaseModel):
    """A brief file. Every key may be left out."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    hypothesis: str = ""
    method: str = ""
    design: str = ""
    runs: list[RunModel | str] = []
    primary_metric: str | None = None
    direction: Literal["maximize", "minimize"] | None = None
    expected: str = ""


def read_brief(path: Path) -> Brief:
    """The brief in a file.

    Raises:
        InputError: where the file is missing, not text, or says something that a brief does not have.
    """
    text = limits.decode(str(path), limits.read_input(path))
    if path.suffix.lower() == ".json":
        value = load_json(text, str(path))
    elif path.suffix.lower() in (".yaml", ".yml"):
        value = _load_yaml(text, str(path))
    else:
        return read_markdown_brief(text)
    if not isinstance(value, dict):
        raise InputError(f"{path}: a brief is a mapping with keys such as hypothesis, method and runs")
    try:
        model = BriefModel.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part)[:100] for part in first["loc"])
        known = ", ".join(BriefModel.model_fields)
        raise InputError(f"{path}: {where}: {first['msg']} (a brief has {known})") from None
    if len(model.runs) > limits.MAX_RUNS:
        raise InputError(f"{path}: more than {limits.MAX_RUNS:,} runs")
    return Brief(
        hypothesis=model.hypothesis,
        method=model.method,
        design=model.design,
        runs=tuple(_run(run) for run in model.runs),
        primary_metric=model.primary_metric,
        direction=model.direction,
        expected=model.expected,
    )


def _run(model: RunModel | str) -> Run:
    if isinstance(model, str):
        return Run(model)
    config = model.config
    if isinstance(config, dict):
        import yaml

        config = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return Run(model.run_id, model.method, model.model, model.dataset, config)


def _load_yaml(text: str, where: str) -> Any:
    try:
        documents = yaml_tree.parse(where, text)
    except yaml_tree.YamlSyntaxError as error:
        raise InputError(f"{where}:{error.line}:{error.column}: broken YAML: {error.problem}") from None
    return yaml_tree.to_python(documents[0]) if documents else {}
