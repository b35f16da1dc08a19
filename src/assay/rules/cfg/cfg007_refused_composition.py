"""CFG007: Hydra refuses the contract's command line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.compositions import Composition, compositions
from assay.analysis.project import Project
from assay.finding import Consequence, Frame
from assay.rules.rule import Example, Outcome, Place, Rule, Undecided

_ENTRY = """import hydra


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    print(cfg.run)


if __name__ == "__main__":
    main()
"""
_CONFIG = "run: null\nmode: full\nresults_dir: results\n"
_RUN = "run_id: a\n"
_GROUP = "defaults:\n  - _self_\n  - {group}: ???\n\nmode: full\nresults_dir: results\n"

_REPAIRS = {
    "unknown-override": "Declare `{key}` in the primary configuration.",
    "missing-default": "Name the group as the command line does, and keep its files in a folder of that name.",
    "no-such-option": "Add the file, or name one that is there.",
    "no-such-config": "Let config_path and config_name lead to the configuration file.",
    "hydra-schema": "Remove `{key}`, or spell it as Hydra's documentation does.",
    "interpolation": "Refer to a group of the defaults list, or choose the group on the command line.",
    "bad-defaults": "Write the defaults list as Hydra's documentation does.",
}


def _files(config: str, main: str = _ENTRY, folder: str = "runs") -> dict[str, str]:
    return {"src/main.py": main, "config/config.yaml": config, f"config/{folder}/a.yaml": _RUN}


class RefusedComposition(Rule):
    """The contract's command line is given to Hydra, for every run and in both modes, and Hydra refuses it.

    The program then ends before its own first line: a key of the command line is in no configuration, a defaults list
    asks for a group whose folder has another name, a setting is none of Hydra's. Each run is composed by Hydra
    itself, with the words that the contract prescribes.
    """

    code = "CFG007"
    name = "refused-composition"
    gate = "compose"
    requirements = ("E2.1", "E2.2", "E2.3", "E2.4")
    consequence = Consequence.CRASHES
    message = "Hydra refuses the contract's command: {said}"
    explanation = "The program ends before its first line ({which})."
    repair = "Let the configuration accept the contract's command."

    VALID = (
        Example(_files(_CONFIG)),
        # the run files are a group of their own, chosen by `run=`
        Example(_files(_GROUP.format(group="run"), folder="run")),
        # one mode may be missing where a value is never read
        Example(_files("run: ???\nmode: ???\nresults_dir: ???\n")),
        # what configuration is registered in code, files do not tell
        Example(
            _files(
                "mode: full\n",
                "from hydra.core.config_store import ConfigStore\n\nConfigStore.instance().store('base', {'run': 1})\n"
                + _ENTRY,
            )
        ),
        # nobody says that this function is what runs
        Example(_files("mode: full\n", _ENTRY.replace("    main()\n", "    print('see train')\n"))),
        # a launcher that is installed elsewhere
        Example(_files("defaults:\n  - _self_\n  - override hydra/launcher: cluster_of_ours\n" + _CONFIG)),
    )
    INVALID = (
        Example(
            _files(_CONFIG.replace("run: null\n", "")),
            at=("config/config.yaml",),
            repaired={"config/config.yaml": _CONFIG},
        ),
        Example(
            _files(_GROUP.format(group="run")),
            at=("config/config.yaml:3",),
            repaired={"config/runs/a.yaml": None, "config/run/a.yaml": _RUN},
        ),
        # the group is chosen by `run@_global_=`, which is not what the command says
        Example(
            {**_files(_GROUP.format(group="run@_global_"), folder="run"), "config/run/b.yaml": "run_id: b\n"},
            at=("config/config.yaml:3",),
            repaired={
                "config/config.yaml": _GROUP.format(group="run"),
                "config/run/a.yaml": "# @package _global_\n" + _RUN,
            },
        ),
        Example(
            _files(_CONFIG + "hydra:\n  job:\n    raise_on_failure: true\n"),
            at=("config/config.yaml:6",),
            repaired={"config/config.yaml": _CONFIG},
        ),
        Example(
            _files("defaults:\n  - _self_\n  - runs: ${run}\n" + _CONFIG),
            at=("config/config.yaml:3",),
            repaired={"config/config.yaml": _CONFIG},
        ),
        Example(
            _files(_CONFIG, _ENTRY.replace('"../config"', '"../conf"')),
            at=("src/main.py:4",),
            repaired={"src/main.py": _ENTRY},
        ),
        Example(
            {**_files(_CONFIG), "src/evaluate.py": _ENTRY},
            at=("config/config.yaml",),
            repaired={"config/config.yaml": _CONFIG + "run_ids: []\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        found = compositions(project)
        for reason in found.undecided:
            yield Undecided(reason)
        groups: dict[tuple[object, ...], list[Composition]] = {}
        for made in found.made:
            if made.kind:
                groups.setdefault(_cause(made), []).append(made)
        for made_alike in groups.values():
            first = made_alike[0]
            if first.kind == "unknown-override" and first.entry.config_name is None:
                continue  # CFG008 says it
            repair = _REPAIRS.get(first.kind)
            if repair is None or not first.entry.certain:
                yield Undecided(f"{first.entry.file.path} could not be composed: {first.message}")
                continue
            runs = list(dict.fromkeys(made.run for made in made_alike if made.run))
            file, place = _place(project, first)
            yield self.finding(
                file,
                place,
                requirements=("E2.4",) if first.mode == "evaluate" else ("E2.1", "E2.2", "E2.3"),
                repair=repair,
                symbol=first.key,
                run=runs[0] if len(runs) == 1 else None,
                detail=" ".join([f"{first.entry.file.module}:", *first.overrides, "->", first.message]),
                frames=(Frame(first.entry.file.path, first.entry.place.lineno),),
                said=_without_run(first),
                which=_listed(made_alike),
                key=first.key,
            )


def _without_run(made: Composition) -> str:
    # the options of a group are the runs themselves
    message = made.message.partition(" Available options")[0].rstrip(" :.,")
    return re.sub(rf"(?<!\w){re.escape(made.run)}(?!\w)", "ID", message) if made.run else message


def _cause(made: Composition) -> tuple[object, ...]:
    return made.entry.file.path, made.kind, made.key, made.file, _without_run(made)


def _listed(alike: list[Composition]) -> str:
    """The commands that a cause stops, in a few words."""
    if alike[0].mode == "evaluate":
        return "evaluate"
    modes = " and ".join(dict.fromkeys(made.mode for made in alike))
    runs = list(dict.fromkeys(made.run for made in alike if made.run))
    named = ", ".join(runs[:3]) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")
    return f"{modes}, {named}"


def _place(project: Project, made: Composition) -> tuple[str, Place]:
    """The file and the line to blame."""
    file = made.file
    if file is None and made.kind != "no-such-config" and made.entry.config_dir and made.entry.config_name:
        base = f"{made.entry.config_dir}/{made.entry.config_name}"
        file = next((path for path in (base, f"{base}.yaml", f"{base}.yml") if path in project.yaml), None)
    if file is None or file not in project.yaml:
        return made.entry.file.path, made.entry.place
    root = project.yaml[file].root
    if made.kind == "hydra-schema":
        return file, _deepest(root, (made.key or "").split("."))
    if made.kind in ("missing-default", "no-such-option", "interpolation", "bad-defaults"):
        return file, _default(root, made)
    return file, None


def _deepest(root: yaml_tree.Node | None, keys: list[str]) -> Place:
    """The key node at the end of a path, or of as much of it as is there."""
    place: Place = None
    node = root
    for key in keys:
        if not isinstance(node, yaml_tree.Mapping) or (name := node.key(key)) is None:
            break
        place, node = name, node.get(key)
    return place


def _default(root: yaml_tree.Node | None, made: Composition) -> Place:
    """The entry of the defaults list that is meant; the list itself where none fits."""
    if not isinstance(root, yaml_tree.Mapping):
        return None
    entries = root.get("defaults")
    if isinstance(entries, yaml_tree.Sequence):
        wanted = re.split(r"[@\s]", made.key or "")[0].rpartition("/")[2]
        for entry in entries.items:
            for text, value in entry.items() if isinstance(entry, yaml_tree.Mapping) else ():
                group = text.split()[-1].partition("@")[0].rpartition("/")[2] if text.split() else ""
                open_value = isinstance(value, yaml_tree.Scalar) and "${" in value.text
                if (made.kind == "interpolation" and open_value) or (wanted and group == wanted):
                    return entry
            if isinstance(entry, yaml_tree.Scalar) and wanted and wanted in entry.text:
                return entry
    return root.key("defaults")
