"""Causes that Hydra and OmegaConf report: keys, structure, interpolations, overrides, working directories."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.trial.causes.known import Known, Words, known
from assay.trial.causes.locating import of_hydra_main, of_keys, of_launches
from assay.trial.record import Step, Stop, TrialFrame

_OVERRIDE = r"Could not override '(?P<key>[^']+)'"


def _key_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    last = words.get("key", "").rpartition(".")[2]
    if last.isidentifier():
        yield from list(of_keys(project, step, rf"^{last}$"))[:4]


def _launches(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_launches(project)


def _entries(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_hydra_main(project)


def _merged(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether a key is refused because a whole configuration is merged into the composed one."""
    if any(frame.function in ("merge", "unsafe_merge", "merge_with", "_map_merge", "update") for frame in stop.library):
        return words
    return words if "OmegaConf.merge" in stop.text or ".merge_with(" in stop.text else None


def _written(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether a key is refused because it is assigned."""
    writes = ("__setattr__", "__setitem__", "_set_item_impl", "open_dict", "update")
    return words if any(frame.function in writes for frame in stop.library) else None


CAUSES: tuple[Known, ...] = (
    known(
        "override-not-in-struct",
        "ConfigCompositionException ConfigKeyError OverrideParseException HydraException SystemExit",
        _OVERRIDE,
        "the override of `{key}` is refused: the composed configuration has no such key, so it needs a `+`",
        "Declare `{key}` in config.yaml or in the run's file at the root, or write `+{key}=...`.",
        action="shim:hydra-overrides",
        area="configuration",
        points=_launches,
    ),
    known(
        "merged-into-struct",
        "ConfigKeyError ConfigAttributeError",
        r"Key '(?P<key>[^']+)' is not in struct",
        "a configuration is merged into the one that Hydra composed, which takes no new keys: `{key}` is one",
        "Let Hydra compose the run's file (a defaults list with `# @package _global_`), or merge under "
        "`OmegaConf.set_struct(cfg, False)`.",
        action="struct",
        area="configuration",
        fill=_merged,
    ),
    known(
        "written-into-struct",
        "ConfigKeyError ConfigAttributeError",
        r"Key '(?P<key>[^']+)' is not in struct",
        "`{key}` is written into the configuration that Hydra composed, which takes no new keys",
        "Declare `{key}` in the configuration, or write under `open_dict`.",
        action="struct",
        area="configuration",
        points=_key_places,
        fill=_written,
    ),
    known(
        "missing-key",
        "ConfigKeyError ConfigAttributeError",
        r"(?:Key|Missing key) '?(?P<key>[^'\s]+)'?(?: is not in struct)?(?:.*?full_key: (?P<full>\S+))?",
        "the configuration of this run has no key `{full}`",
        "Declare `{full}` in the run's configuration, or read it with `.get` and a value for where it is absent.",
        action="hydra-root",
        area="configuration",
        points=_key_places,
        fill=lambda stop, step, project, words: {**words, "full": words.get("full") or words.get("key", "")},
    ),
    known(
        "read-of-nothing",
        "ConfigAttributeError",
        r"'NoneType' object has no attribute '(?P<key>[^']+)'|Missing key (?P<other>\S+)",
        "a part of the configuration is empty where `{key}` is read from it",
        "Give that part its keys in the run's configuration.",
        action="hydra-root",
        area="configuration",
    ),
    known(
        "missing-value",
        "MissingMandatoryValue",
        r"Missing mandatory value: (?P<key>\S+)",
        "`{key}` is `???` and gets no value from the contract's command",
        "Give `{key}` a value in the configuration.",
        area="configuration",
        points=_key_places,
    ),
    known(
        "broken-interpolation",
        "InterpolationKeyError InterpolationResolutionError InterpolationToMissingValueError",
        r"(?:Interpolation key '(?P<key>[^']+)' not found|.*)",
        "an interpolation of the configuration leads nowhere: `{key}`",
        "Point it at a key that the composed configuration has; paths count from its root.",
        action="hydra-root",
        area="configuration",
        points=_key_places,
    ),
    known(
        "value-of-another-kind",
        "ValidationError",
        r"Value '(?P<value>[^']*)' .*?could not be converted to (?P<kind>\w+)",
        "the configuration takes `{value}` where it declares {kind}",
        "Give it a value of that kind.",
        area="configuration",
        inside=r"omegaconf",
    ),
    known(
        "override-not-understood",
        "OverrideParseException LexerNoViableAltException",
        r"(?P<said>.*)",
        "Hydra cannot read an override: {said}",
        "Quote the value as Hydra's grammar asks for.",
        area="launch",
        points=_launches,
    ),
    known(
        "no-such-option",
        "MissingConfigException ConfigCompositionException",
        r"Could not find '(?P<key>[^']+)'|Cannot find primary config '(?P<other>[^']+)'",
        "Hydra finds no configuration file `{key}{other}`",
        "Lay the file where the defaults list and `config_path` look for it.",
        area="configuration",
        points=_entries,
    ),
    known(
        "no-config-module",
        "MissingConfigException HydraException ModuleNotFoundError",
        r"Primary config (?:module|directory)[^\w]*'?(?P<key>[\w./]+)'? not found",
        "the folder that `config_path` names is not there: `{key}`",
        "Name it relative to the file that holds `hydra.main`: `../config`.",
        area="configuration",
        points=_entries,
    ),
    known(
        "value-that-does-not-fit",
        "UnsupportedValueType",
        r"Value '(?P<value>[^']*)' is not a supported primitive type",
        "`{value}` is put into the configuration, which holds plain values alone",
        "Keep such an object outside the configuration, or convert it to a plain value first.",
        area="configuration",
    ),
    known(
        "read-only",
        "ReadonlyConfigError",
        r"(?P<said>.*)",
        "the configuration is read-only where it is written to",
        "Write to a copy, or use `OmegaConf.set_readonly(cfg, False)`.",
        area="configuration",
    ),
)
