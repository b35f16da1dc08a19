"""TRK002: config.yaml does not say where W&B keeps the runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.project import Project
from assay.rules.rule import Example, Outcome, Rule, Undecided

_CONFIG = "config/config.yaml"
_STAND_IN = re.compile(
    r"\?\?\?|<.*>|x{3,}|\.{3}|(?:change|replace|fill)[-_ ]?(?:me|this|in)|todo|tbd"
    r"|your[-_ ]?(?:wandb[-_ ]?)?(?:entity|project|team|username|user|name|org|organi[sz]ation)(?:[-_ ]?name)?"
    r"|(?:wandb[-_ ]?)?(?:entity|project)[-_ ]?placeholder|placeholder",
    re.IGNORECASE,
)


class WandbSettings(Rule):
    """`config/config.yaml` names the W&B entity and project under `wandb:`, because train writes there and evaluate reads
    there.

    A missing value, `null`, an empty text, `???` or a stand-in such as `your-entity` sends the two programs to different
    places, or to none. An interpolation counts as a value.
    """

    code = "TRK002"
    name = "wandb-settings"
    requirements = ("E6.7",)
    decides = ("E6.7",)
    message = "config.yaml has no {missing}"
    explanation = "Train and evaluate find the runs by wandb.entity and wandb.project of this file."
    repair = "Give {missing} in config/config.yaml under `wandb:`."

    VALID = (
        Example({_CONFIG: "wandb:\n  entity: lab\n  project: study\n"}),
        Example({_CONFIG: "wandb:\n  entity: ${oc.env:WANDB_ENTITY}\n  project: 2025\n"}),
        # composed from a group: this file alone cannot show it
        Example({_CONFIG: "defaults:\n  - wandb: default\n  - _self_\nrun: ???\n"}),
        Example({_CONFIG: "wandb: ${tracking}\n"}),
    )
    INVALID = (
        Example(
            {_CONFIG: "wandb:\n  project: study\n"},
            at=("config/config.yaml:1",),
            repaired={_CONFIG: "wandb:\n  entity: lab\n  project: study\n"},
        ),
        Example(
            {_CONFIG: "wandb:\n  entity: your-entity\n  project: study\n"},
            at=("config/config.yaml:2",),
            repaired={_CONFIG: "wandb:\n  entity: lab\n  project: study\n"},
        ),
        Example(
            {_CONFIG: "run: a\n"},
            at=("config/config.yaml:1",),
            repaired={_CONFIG: "run: a\nwandb: {entity: lab, project: study}\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        path = project.contract.role("config") or _CONFIG
        file = project.yaml.get(path)
        if file is None or file.error is not None or not isinstance(file.root, yaml_tree.Mapping):
            yield Undecided(f"{path} is missing, empty or no YAML mapping")
            return
        section = file.root.get("wandb")
        if section is None:
            if _may_be_composed(file.root):
                yield Undecided(f"the defaults of {path} may bring wandb in")
            else:
                yield self.finding(path, 1, missing="wandb.entity and wandb.project", symbol="wandb")
            return
        if isinstance(section, yaml_tree.Scalar) and "${" in section.text:
            yield Undecided(f"wandb of {path} is an interpolation")
            return
        if isinstance(section, yaml_tree.Mapping) and section.key("<<") is not None:
            yield Undecided(f"wandb of {path} is merged from another mapping")
            return
        entries = {key: yaml_tree.find(section, key) for key in ("entity", "project")}
        missing = [key for key, value in entries.items() if _is_missing(value)]
        if missing and any(entries[key] is None for key in missing) and _may_be_composed(file.root):
            yield Undecided(f"the defaults of {path} may bring wandb in")
        elif missing:
            place = next((entries[key] for key in missing if entries[key] is not None), None)
            yield self.finding(
                path,
                place or file.root.key("wandb"),
                missing=" and ".join(f"wandb.{key}" for key in missing),
                symbol=f"wandb.{missing[0]}",
            )


def _is_missing(value: yaml_tree.Node | None) -> bool:
    if not isinstance(value, yaml_tree.Scalar):
        return True
    if "${" in value.text:
        return False
    return value.resolve() is None or not value.text.strip() or _STAND_IN.fullmatch(value.text.strip()) is not None


def _may_be_composed(root: yaml_tree.Mapping) -> bool:
    """Whether the defaults list holds something besides run files and Hydra's own groups that may define `wandb`."""
    if root.key("<<") is not None:
        return True
    defaults = root.get("defaults")
    if defaults is None:
        return False
    if not isinstance(defaults, yaml_tree.Sequence):
        return True
    for item in defaults.items:
        if isinstance(item, yaml_tree.Scalar):
            if item.text != "_self_":
                return True
        elif isinstance(item, yaml_tree.Mapping):
            groups = [key.removeprefix("override ").removeprefix("optional ").strip() for key, _ in item.items()]
            if any(
                group.partition("@")[0] not in ("run", "runs") and not group.startswith("hydra/") for group in groups
            ):
                return True
    return False
