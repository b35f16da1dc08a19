"""What configuration the submission's task gets from Hydra, and shims for four ways in which it is not found.

- `hydra-root`: keys are found at the root and below the run's group alike, where each was composed into one of them;
  what the command line overrides counts in both.
- `hydra-overrides`: an override of what is not there adds it, as if a plus sign stood before it.
- `working-directory`: the task runs in the submission's folder, whatever Hydra changed to; so do its child processes.
- `missing-keys`: a key that the configuration does not have is read as null.
- `struct`: composed configurations take keys that they did not have.
"""

from __future__ import annotations

import functools
import os
import sys

from . import events, imports, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

# the groups that hold one run's configuration, by the contracts' own command lines
GROUPS = ("run", "runs")
_told = 0


def install(module: ModuleType) -> None:
    """Watch the task functions that Hydra calls, and what its compose function returns."""
    if module.__name__ != "hydra":
        _give_missing_keys(module)
        return
    for name in ("hydra.core.utils", "hydra._internal.hydra", "hydra._internal.core_plugins.basic_launcher"):
        imports.when_imported(name, _watch_run_job)
    if settings.shim("hydra-overrides") or settings.shim("hydra-root"):
        imports.when_imported("hydra._internal.config_loader_impl", _watch_overrides)
    _watch_compose(module)
    for name in ("hydra.compose", "hydra.experimental.compose", "hydra.experimental"):
        imports.when_imported(name, _watch_compose)
    if settings.shim("working-directory"):
        imports.when_imported("subprocess", _children_in_work)


@events.guarded
def _give_missing_keys(omegaconf: ModuleType) -> None:
    """Shim "missing-keys": the submission reads null where a configuration has no such key."""
    if not settings.shim("missing-keys") or hasattr(omegaconf.DictConfig.__getattr__, "__wrapped__"):
        return
    for name, kind in (("__getattr__", AttributeError), ("__getitem__", KeyError)):
        setattr(omegaconf.DictConfig, name, _or_null(getattr(omegaconf.DictConfig, name), kind))


def _or_null(method: Callable[..., Any], kind: type[Exception]) -> Callable[..., Any]:
    @functools.wraps(method)
    def read(self: Any, key: Any) -> Any:
        try:
            return method(self, key)
        except kind:
            # whether there is such a key is asked in this way too, by `hasattr` and by libraries
            if str(key).startswith("__") or not events.in_own_frame(1):
                raise
            events.emit_once(("missing-keys", str(key)), "applied", name="missing-keys", keys=[str(key)])
            return None

    return read


def _watch_run_job(module: ModuleType) -> None:
    run_job = getattr(module, "run_job", None)
    if run_job is None or hasattr(run_job, "watched"):
        return

    @functools.wraps(run_job)
    def watched(task_function: Callable[[Any], Any], *args: Any, **keywords: Any) -> Any:
        return run_job(_watched_task(task_function), *args, **keywords)

    watched.watched = True  # type: ignore[attr-defined]
    module.run_job = watched  # type: ignore[attr-defined]


def _watched_task(task_function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(task_function)
    def task(config: Any) -> Any:
        if settings.shim("working-directory"):
            _back_to_work()
        prepare(config)
        return task_function(config)

    return task


def _watch_compose(module: ModuleType) -> None:
    compose = getattr(module, "compose", None)
    if not callable(compose) or hasattr(compose, "watched"):
        return

    @functools.wraps(compose)
    def watched(*args: Any, **keywords: Any) -> Any:
        config = compose(*args, **keywords)
        prepare(config)
        return config

    watched.watched = True  # type: ignore[attr-defined]
    module.compose = watched  # type: ignore[attr-defined]


def _watch_overrides(module: ModuleType) -> None:
    """Pass over the refusal of overrides of keys that the configuration lacks, and of groups that no default names."""
    loader = module.ConfigLoaderImpl
    apply = loader._apply_overrides_to_config

    @functools.wraps(apply)
    def applied(overrides: Any, cfg: Any) -> None:
        # one by one, as it does itself, so that what follows a refused one is applied as well
        for override in overrides:
            # asked before it, since it puts an empty mapping in the place of a number on its way to a deeper key
            may = _may_be_added(override, cfg)
            try:
                apply([override], cfg)
            except Exception as error:
                if not (may and _is_refusal(error) and _add(override, cfg, str(error))):
                    raise
            if settings.shim("hydra-root"):
                _override_in_group(override, cfg)

    loader._apply_overrides_to_config = staticmethod(applied)
    create = module.create_defaults_list

    @functools.wraps(create)
    def created(*args: Any, **keywords: Any) -> Any:
        given = keywords.get("overrides_list") if settings.shim("hydra-overrides") else None
        # at most once for each of them
        for _ in given or ():
            try:
                return create(*args, **keywords)
            except Exception as error:
                fitting = _with_plus(keywords["overrides_list"], str(error)) if _is_refusal(error) else None
                if fitting is None:
                    raise
                keywords["overrides_list"] = fitting
        return create(*args, **keywords)

    module.create_defaults_list = created  # type: ignore[attr-defined]


def _is_refusal(error: Exception) -> bool:
    return str(error).startswith("Could not override")


def _tell_override(override: Any, message: str) -> None:
    line = str(override.input_line)
    events.emit_once(("hydra-overrides", line), "applied", name="hydra-overrides", keys=[line], message=message[:500])


@events.guarded
def _may_be_added(override: Any, config: Any) -> bool:
    """Whether an override may add its key: what stands above it is no single value, and a shim lets it.

    Where the root and the run's group are to be one, what the group holds may be overridden at the root.
    """
    key = override.key_or_group
    # a run's name in the place of its configuration helps nobody
    if key in GROUPS or not _fits(config, key):
        return False
    return settings.shim("hydra-overrides") or (settings.shim("hydra-root") and bool(_groups_with(config, key)))


def _add(override: Any, config: Any, message: str) -> bool:
    from omegaconf import OmegaConf

    try:
        OmegaConf.update(config, override.key_or_group, override.value(), merge=True, force_add=True)
    except Exception:
        # Hydra's own refusal is what the submission gets
        return False
    if settings.shim("hydra-overrides"):
        _tell_override(override, message)
    return True


def _fits(config: Any, key: str) -> bool:
    """Whether all that stands above a key holds others or nothing."""
    from omegaconf import Container, OmegaConf

    parts = key.split(".")
    for count in range(1, len(parts)):
        try:
            above = OmegaConf.select(config, ".".join(parts[:count]), throw_on_missing=False)
        except Exception:
            # an interpolation that leads nowhere yet, or a list's element
            return False
        if above is None:
            return True
        if not isinstance(above, Container):
            return False
    return True


def _groups_with(config: Any, key: str) -> list[str]:
    """The groups that hold what a key of the root belongs to, and have room for the key."""
    from omegaconf import DictConfig

    first = key.partition(".")[0]
    found = []
    for name in GROUPS:
        group = config._content.get(name) if isinstance(config._content, dict) else None
        if isinstance(group, DictConfig) and isinstance(group._content, dict) and first in group._content:
            found += [name] if _fits(group, key) else []
    return found


@events.guarded
def _with_plus(overrides: list[Any], message: str) -> list[Any] | None:
    """The overrides with a plus sign before the one of a group that was refused; None where that is none of them."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    found = list(overrides)
    for position, override in enumerate(found):
        asked = f"Could not override '{override.get_key_element()}'"
        if override.is_add() or override.is_delete() or not message.startswith(asked):
            continue
        _tell_override(override, message)
        found[position] = OverridesParser.create(config_loader=override.config_loader).parse_override(
            f"+{override.input_line}"
        )
        return found
    return None


@events.guarded
def _override_in_group(override: Any, config: Any) -> None:
    """Let an override of a key at the root reach the run's group, where that holds what the key belongs to."""
    from omegaconf import OmegaConf

    key = override.key_or_group
    if override.is_delete() or key.partition(".")[0] in (*GROUPS, "hydra"):
        return
    for name in _groups_with(config, key):
        OmegaConf.update(config, f"{name}.{key}", override.value(), merge=True, force_add=True)
        events.emit_once(("override", name, key), "applied", name="hydra-root", keys=[f"{name}.{key}"])


@events.guarded
def prepare(config: Any) -> None:
    """Tell of a composed configuration, and change it as the shims say."""
    global _told
    if settings.shim("hydra-root"):
        _open(config)
        shared = share_with_group(config)
        if shared:
            events.emit_once(("hydra-root", tuple(shared)), "applied", name="hydra-root", keys=shared)
    if settings.shim("struct"):
        _open(config)
        events.emit_once("struct", "applied", name="struct", keys=[])
    if _told < 20:
        _told += 1
        events.emit("config", data=_data(config), frames=events.own_frames(sys._getframe(1)))


def _data(config: Any) -> Any:
    from omegaconf import OmegaConf

    for resolve in (True, False):
        try:
            found = OmegaConf.to_container(config, resolve=resolve)
        except Exception:
            # an interpolation that leads nowhere is the submission's own affair
            continue
        if isinstance(found, dict):
            found.pop("hydra", None)
        return found
    return None


def _open(config: Any) -> None:
    """Let a configuration, and all in it, take keys that it does not have."""
    from omegaconf import DictConfig, ListConfig, OmegaConf

    OmegaConf.set_struct(config, False)
    OmegaConf.set_readonly(config, False)
    content = config._content
    if isinstance(content, (str, type(None))):
        return
    for node in content.values() if isinstance(config, DictConfig) else content:
        if isinstance(node, (DictConfig, ListConfig)) and node._get_flag("struct"):
            _open(node)


def share_with_group(config: Any) -> list[str]:
    """Let keys of the root be found in the run's group and the other way round, as one object in both.

    Where both hold a value, the group's counts, since a run is there to override. Returns the keys that were given to
    the root, then those given to the group with the group's name before them.
    """
    from omegaconf import DictConfig

    given: list[str] = []
    for name in GROUPS:
        content = config._content if isinstance(config, DictConfig) else None
        group = content.get(name) if isinstance(content, dict) else None
        if not isinstance(group, DictConfig) or not isinstance(group._content, dict):
            continue
        roots = [key for key in config._content if key not in (*GROUPS, "hydra")]
        given += _merge(config._content, group._content, "")
        for key in roots:
            if key not in group._content:
                group._content[key] = config._content[key]
                given.append(f"{name}.{key}")
    return given


def _merge(root: dict[Any, Any], group: dict[Any, Any], before: str) -> list[str]:
    """Put what the group holds into the root. The nodes themselves: OmegaConf's own assignment would copy them."""
    from omegaconf import DictConfig

    given = []
    for key, node in list(group.items()):
        there = root.get(key)
        if key not in root:
            given.append(f"{before}{key}")
        elif isinstance(node, DictConfig) and isinstance(there, DictConfig):
            inner, theirs = there._content, node._content
            if isinstance(inner, dict) and isinstance(theirs, dict) and inner is not theirs:
                for name, value in inner.items():
                    theirs.setdefault(name, value)
        root[key] = node
    return given


def _back_to_work() -> None:
    work = settings.get("work")
    if work and os.path.realpath(os.getcwd()) != os.path.realpath(str(work)):
        events.emit_once("working-directory", "applied", name="working-directory", keys=[os.getcwd()])
        os.chdir(str(work))


def _children_in_work(subprocess: ModuleType) -> None:
    """Start child processes in the submission's folder where no other is asked for, without a PYTHONPATH of ours."""
    start = subprocess.Popen.__init__

    @functools.wraps(start)
    def started(self: Any, *args: Any, **keywords: Any) -> None:
        work = settings.get("work")
        if work and keywords.get("cwd") is None and len(args) < 10:
            keywords["cwd"] = str(work)
        start(self, *args, **keywords)

    subprocess.Popen.__init__ = started
