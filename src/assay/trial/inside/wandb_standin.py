"""Stands in for W&B's service: `wandb.init` gives the library's own Run, whose records go to a folder of this machine.

The library's classes stay: what they check, convert and raise is theirs. Replaced is only what would leave the process:
the calls by which a run hands its records to the service. Disabled runs are the library's own altogether.
"""

# pathlib alone would take longer to import than all of this

from __future__ import annotations

import atexit
import copy
import functools
import inspect
import json
import operator
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from . import events, imports, settings, wandb_kept

# events of one run's log calls: so many at first, then each power of two and each new set of keys
_FIRST = 60
_ONLINE, _OFFLINE, _DISABLED = "online", "offline", "disabled"

_active: list[Any] = []
_state: dict[str, Any] = {}


def install(module: Any) -> None:
    """Replace what leads to the service; called once, after `wandb` was imported."""
    if not settings.get("tracking"):
        return
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    # the machine of a real run has a key; this one leads nowhere
    os.environ.setdefault("WANDB_API_KEY", "0" * 40)
    # refusing a service comes first: whatever else may fail here, nothing may start a process or wait for a server
    _refuse_services()
    from wandb.sdk import wandb_run  # type: ignore[import-untyped, unused-ignore]

    _state["module"] = module
    _state["class"] = _run_class(wandb_run.Run, getattr(wandb_run, "_raise_if_finished", None))
    _state["real init"] = module.init
    replaced = _replaced_init(module.init)
    login = _replaced_login(module.login)
    finish = _replaced_finish(module.finish)
    for owner in (module, sys.modules.get("wandb.sdk")):
        for name, function in (("init", replaced), ("login", login), ("finish", finish), ("join", finish)):
            if owner is not None and hasattr(owner, name):
                setattr(owner, name, function)
    for owner_name, name, function in (
        ("wandb.sdk.wandb_init", "init", replaced),
        ("wandb.sdk.wandb_login", "login", login),
        ("wandb.sdk.wandb_run", "finish", finish),
    ):
        there = sys.modules.get(owner_name)
        if there is not None and hasattr(there, name):
            setattr(there, name, function)
    _settle_artifacts(module)
    atexit.register(_at_exit)
    _state["hooks"] = _exit_hooks()
    imports.when_imported("wandb.apis.public", imports.installing("wandb_api"))


def _refuse_services() -> None:
    from wandb.sdk import wandb_setup  # type: ignore[import-untyped, unused-ignore]

    def no_service(self: Any, *arguments: Any, **keywords: Any) -> Any:
        # `wandb.setup()` asks for it; what matters never gets as far as calling it
        return _Absorbing()

    for name in ("_WandbSetup", "_WandbSetup__WandbSetup"):
        holder = getattr(wandb_setup, name, None)
        if holder is None:
            continue
        if "ensure_service" in vars(holder):
            holder.ensure_service = holder.assert_service = no_service
        if "_setup_manager" in vars(holder):
            # 0.13 to 0.18 start the service with the first setting-up, whether it is needed or not
            holder._setup_manager = lambda self, *arguments, **keywords: None
        if "_load_viewer" in vars(holder):
            # asks the server who one is
            holder._load_viewer = lambda self, *arguments, **keywords: None
        if "_load_user_settings" in vars(holder):
            holder._load_user_settings = lambda self, *arguments, **keywords: {}


def _exit_hooks() -> Any:
    """The library's own way of learning how the program ends: `sys.exit` and `sys.excepthook`."""
    try:
        from wandb.sdk.lib.exit_hooks import ExitHooks  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None

    class Quiet(ExitHooks):  # type: ignore[misc, unused-ignore]
        # the library's prints the traceback, and the hook that was there before prints it again
        def exc_handler(self, kind: Any, error: Any, trace: Any) -> None:
            self.exit_code = 255 if issubclass(kind, KeyboardInterrupt) else 1
            before = getattr(self, "_orig_excepthook", None) or sys.__excepthook__
            before(kind, error, trace)

    try:
        hooks = Quiet()
        hooks.hook()
    except Exception as error:
        events.failed("wandb_standin._exit_hooks", error)
        return None
    return hooks


def _at_exit() -> None:
    for run in list(_active):
        try:
            run.finish(exit_code=int(getattr(_state.get("hooks"), "exit_code", 0) or 0))
        except Exception as error:
            events.failed("wandb_standin._at_exit", error)


def _replaced_init(real: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(real)

    @functools.wraps(real)
    def init(*arguments: Any, **keywords: Any) -> Any:
        try:
            given = dict(signature.bind(*arguments, **keywords).arguments)
        except TypeError as error:
            raise TypeError(f"init() {error}") from None
        given.update(given.pop("kwargs", None) or {})
        wanted = _settings_of(given)
        mode = _mode_of(wanted)
        if mode == _DISABLED:
            events.emit("wandb", op="init", mode=_DISABLED, frames=events.own_frames(), **_named(given))
            return real(*arguments, **keywords)
        reinit = _value(wanted, "reinit")
        if _active and reinit in (True, "finish_previous"):
            for run in list(_active):
                run.finish()
        elif _active and reinit != "create_new":
            return _previous(given, mode)
        return _begin(given, wanted, mode)

    return init


def _previous(given: dict[str, Any], mode: str) -> Any:
    """What a second `init` gives while a run is active: that run, whatever it asks for."""
    run = _active[-1]
    if given.get("resume") == "must" and hasattr(_state["module"].Settings, "model_fields"):
        raise _state["module"].Error(
            "Cannot resume a run while another run is active. You must either finish it using run.finish(),"
            " or use reinit='create_new' when calling wandb.init()."
        )
    _state["module"].termwarn("wandb.init() called while a run is active, so returning the previous run.")
    events.emit("wandb", op="init", again=True, mode=mode, id=run.id, frames=events.own_frames(), **_named(given))
    return run


def _named(given: dict[str, Any]) -> dict[str, Any]:
    config = given.get("config")
    keys = sorted(map(str, config))[:200] if isinstance(config, dict) else None
    return {
        "wanted": {name: str(given[name]) for name in ("id", "project", "entity", "resume", "mode") if given.get(name)},
        "config_keys": keys,
    }


def _settings_of(given: dict[str, Any]) -> Any:
    """The library's settings: those of files and variables, then `settings=`, then the arguments by name."""
    module = _state["module"]
    base = module.setup().settings
    wanted = base.model_copy() if hasattr(base, "model_copy") else copy.copy(base)
    extra = given.get("settings")
    if extra is not None:
        _apply(wanted, extra)
    names = {"id": "run_id", "name": "run_name", "notes": "run_notes", "tags": "run_tags", "group": "run_group"}
    names.update({"job_type": "run_job_type", "dir": "root_dir", "save_code": "save_code", "force": "force"})
    for name in ("entity", "project", "mode", "reinit", "resume"):
        names[name] = name
    values = {target: given[name] for name, target in names.items() if given.get(name) is not None}
    if "run_tags" in values:
        values["run_tags"] = tuple(values["run_tags"])
    if "root_dir" in values:
        values["root_dir"] = os.fspath(values["root_dir"])
    _set(wanted, values)
    return wanted


def _apply(wanted: Any, extra: Any) -> None:
    if isinstance(extra, dict):
        _set(wanted, extra)
    elif hasattr(wanted, "update_from_settings"):
        wanted.update_from_settings(extra)
    elif hasattr(wanted, "_apply_settings"):
        wanted._apply_settings(extra)


def _set(wanted: Any, values: dict[str, Any]) -> None:
    # 0.18 and before: a class of its own, that takes values by `update` alone
    if not hasattr(type(wanted), "model_fields") and hasattr(wanted, "update"):
        from wandb.sdk import wandb_settings  # type: ignore[import-untyped, unused-ignore]

        source = getattr(getattr(wandb_settings, "Source", None), "INIT", None)
        wanted.update(values, source=source) if source is not None else wanted.update(values)
        return
    for name, value in values.items():
        setattr(wanted, name, value)


def _value(wanted: Any, name: str) -> Any:
    found = getattr(wanted, name, None)
    return None if found is None or str(found) == "" else found


def _text(wanted: Any, name: str) -> str | None:
    found = _value(wanted, name)
    return None if found is None else str(found)


def _mode_of(wanted: Any) -> str:
    if getattr(wanted, "_noop", False) or _value(wanted, "mode") == _DISABLED:
        return _DISABLED
    if getattr(wanted, "_offline", False) or _value(wanted, "mode") in (_OFFLINE, "dryrun"):
        return _OFFLINE
    return str(_value(wanted, "mode") or _ONLINE)


def _begin(given: dict[str, Any], wanted: Any, mode: str) -> Any:
    # 0.31 fills in "uncategorized" itself; before, the server did
    project = str(_value(wanted, "project") or wandb_kept.DEFAULT_PROJECT)
    entity = str(_value(wanted, "entity") or wandb_kept.DEFAULT_ENTITY)
    resume = _value(wanted, "resume")
    resume = "auto" if resume is True else resume
    run_id = _value(wanted, "run_id") or _auto_id(resume) or _new_id()
    online = mode != _OFFLINE
    before = wandb_kept.read(entity, project, str(run_id)) if online else None
    event = {"mode": mode, "id": str(run_id), "project": project, "entity": entity, "resume": resume}
    event.update(_named(given), frames=events.own_frames(), known=before is not None)
    if online:
        _check_resume(resume, str(run_id), before, event)
    config = _config_of(given)
    if not (resume or mode == "shared"):
        before = None
    values = {"run_id": str(run_id), "project": project, "entity": entity}
    if not _value(wanted, "run_name"):
        values["run_name"] = (before.attributes.get("name") if before else None) or _display_name(str(run_id))
    _set(wanted, values)
    folder = _folder(wanted, mode, str(run_id))
    run = _state["class"](wanted, config, _Records(entity, project, str(run_id), mode, folder, before))
    event["config_keys"] = sorted(wandb_kept.flattened(run._kept.config))[:200]
    events.emit("wandb", op="init", **event)
    _active.append(run)
    if _value(wanted, "reinit") != "create_new" or len(_active) == 1:
        _make_global(run)
    return run


def _check_resume(resume: Any, run_id: str, before: Any, event: dict[str, Any]) -> None:
    """What the service refuses: resuming a run that is not there, not resuming one that is."""
    module = _state["module"]
    problem = ""
    if resume == "must" and before is None:
        problem = f"The value 'must' is not a valid option for resuming a run ({run_id}) that has not been initialized."
        advice = "Please check your inputs and try again with a valid run ID."
    elif resume == "never" and before is not None:
        problem = f"The value 'never' is not a valid option for resuming a run ({run_id}) that already exists."
        advice = "Please check your inputs and try again with a valid value for the `resume` argument."
    if problem:
        events.emit("wandb", op="init", refused=problem, **event)
        text = f"You provided an invalid value for the `resume` argument. {problem} {advice}\n"
        text += "If you are trying to start a new run, please omit the `resume` argument or use `resume='allow'`.\n"
        raise module.errors.UsageError(text)


def _auto_id(resume: Any) -> Any:
    """`resume="auto"`: the run that this folder's last process left unfinished."""
    if resume != "auto":
        return None
    top = wandb_kept.folder()
    try:
        with open(os.path.join(str(top), "resume.json"), encoding="utf-8") as file:
            return json.load(file).get("id")
    except (OSError, ValueError):
        return None


def _new_id() -> str:
    import secrets

    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(8))


def _display_name(run_id: str) -> str:
    return f"rehearsed-{run_id}"


def _config_of(given: dict[str, Any]) -> Any:
    from wandb.sdk import wandb_helper

    parse: Any = wandb_helper.parse_config
    exclude, include = given.get("config_exclude_keys"), given.get("config_include_keys")
    return parse(given.get("config") or {}, exclude=exclude, include=include)


def _folder(wanted: Any, mode: str, run_id: str) -> str:
    """The run's folder, where the library makes it: wandb/run-DATE_TIME-ID/files, or the temporary one."""
    import tempfile

    root = str(_value(wanted, "root_dir") or os.environ.get("WANDB_DIR") or os.getcwd())
    kind = "offline-run" if mode == _OFFLINE else "run"
    name = f"{kind}-{time.strftime('%Y%m%d_%H%M%S')}-{run_id}"
    for top in (root, tempfile.gettempdir()):
        place = os.path.join(top, "wandb", name, "files")
        try:
            os.makedirs(place, exist_ok=True)
        except OSError:
            continue
        return place
    return root


def _make_global(run: Any) -> None:
    from wandb.sdk.lib import module as globals_of_wandb  # type: ignore[import-untyped, unused-ignore]

    set_global: Any = globals_of_wandb.set_global
    names = inspect.signature(set_global).parameters
    values = {name: getattr(run, name) for name in names if name != "run" and hasattr(run, name)}
    set_global(run=run, **values)


def _replaced_login(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def login(*arguments: Any, **keywords: Any) -> bool:
        given = inspect.signature(real).bind_partial(*arguments, **keywords).arguments
        key = given.get("key")
        events.emit("wandb", op="login", key=key is not None, frames=events.own_frames())
        if key:
            os.environ["WANDB_API_KEY"] = str(key)
        return True

    return login


def _replaced_finish(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def finish(exit_code: int | None = None, quiet: bool | None = None, **keywords: Any) -> None:
        run = _state["module"].run
        if run is not None:
            run.finish(exit_code=exit_code)

    return finish


def _settle_artifacts(module: Any) -> None:
    """A logged artifact is there at once: waiting for it gives it back."""
    real = getattr(module.Artifact, "wait", None)
    if real is None:
        return

    @functools.wraps(real)
    def wait(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if id(self) in _state.setdefault("artifacts", {}):
            return self
        return real(self, *arguments, **keywords)

    module.Artifact.wait = wait


class _Records:
    """What one run hands over, as the service's process would take it: rows by step, the summary, definitions."""

    def __init__(self, entity: str, project: str, run_id: str, mode: str, folder: str, before: Any) -> None:
        self.entity = entity
        self.project = project
        self.id = run_id
        self.mode = mode
        self.folder = folder
        self.resumed = before is not None
        self.config: dict[str, Any] = dict(before.config) if before else {}
        self.summary: dict[str, Any] = copy.deepcopy(before.summary) if before else {}
        self.starting_step = before.last_step + 1 if before else 0
        self.step = self.starting_step
        self.partial: dict[str, Any] = {}
        self.definitions: dict[str, list[str]] = {}
        self.sums: dict[str, tuple[float, int]] = {}
        self.began = time.time()
        self.logged = 0
        self.known: set[frozenset[str]] = set()
        online = mode != _OFFLINE
        self.path = wandb_kept.file_of(entity, project, run_id) if online else None
        if self.path:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)

    def add(self, data: dict[str, Any], step: int | None, commit: bool | None) -> bool:
        """Take a row or a part of one. Returns False where it is dropped, because its step lies behind.

        As in W&B's own process: a given step closes the row before it and waits for more of the same step; a row
        without a step is closed at once, unless `commit=False`.
        """
        if self.mode == "shared":
            step = None
        if step is not None:
            if step < self.step:
                return False
            if step > self.step:
                self.flush()
                self.step = step
        self.partial.update(data)
        if commit or (commit is None and step is None):
            self.flush(empty=True)
            self.step += 1
        return True

    def flush(self, empty: bool = False) -> None:
        """Close the present row, an empty one only if asked to: to the history, and its last values to the summary."""
        if not self.partial and not empty:
            return
        now = time.time()
        row = dict(self.partial, _step=self.step, _runtime=now - self.began, _timestamp=now)
        self.partial = {}
        news = self._summarised(row)
        for path, value in news:
            wandb_kept.set_at(self.summary, path, value)
        changed: dict[str, Any] = {}
        for path, value in news:
            wandb_kept.set_at(changed, path, wandb_kept.plain(value))
        row = wandb_kept.plain(wandb_kept.flattened(row))
        wandb_kept.append(self.path, "row", row=row, summary=changed)

    def _summarised(self, row: dict[str, Any]) -> list[tuple[list[str], Any]]:
        found: list[tuple[list[str], Any]] = []
        for path, value in _leaves(row):
            ways = self._ways(".".join(path))
            if not ways or "last" in ways or "copy" in ways:
                # with other ways beside it, the last value stands among theirs
                found.append((path if ways in ([], ["copy"]) else [*path, "last"], value))
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found += [([*path, way], self._aggregate(path, way, value)) for way in ways if way in _AGGREGATES]
        return found

    def _aggregate(self, path: list[str], way: str, value: float) -> Any:
        before: Any = self.summary
        for part in (*path, way):
            before = before.get(part) if isinstance(before, dict) else None
        if way == "mean":
            total, count = self.sums.get(".".join(path), (0.0, 0))
            self.sums[".".join(path)] = (total + value, count + 1)
            return (total + value) / (count + 1)
        if not isinstance(before, (int, float)):
            return value
        if way == "first":
            return before
        return min(before, value) if way == "min" else max(before, value)

    def _ways(self, key: str) -> list[str]:
        if key in self.definitions:
            return self.definitions[key]
        for name, ways in self.definitions.items():
            if name.endswith("*") and key.startswith(name[:-1]):
                return ways
        return []


_AGGREGATES = ("min", "max", "mean", "first")


def _leaves(row: dict[str, Any], before: tuple[str, ...] = ()) -> list[tuple[list[str], Any]]:
    found: list[tuple[list[str], Any]] = []
    for key, value in row.items():
        if isinstance(value, dict) and "_type" not in value:
            found += _leaves(value, (*before, key))
        else:
            found.append(([*before, key], value))
    return found


class _Absorbing:
    """Takes every call of a run to its service, and gives itself back: the records that count are taken before."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self


def _run_class(real: Any, guard: Any) -> Any:
    """A subclass of the library's Run, with those of our members that this version has.

    A member whose original refuses to work after the run's end does so as well, by the library's own decorator.
    """
    mine = {name: member for name, member in vars(_Members).items() if not name.startswith("__")}
    kept = {name: member for name, member in mine.items() if hasattr(real, name) or name in _OWN}
    if guard is not None:
        refusing = guard(_members_init).__code__
        for name in kept:
            if _decorated(getattr(real, name, None), refusing):
                kept[name] = guard(kept[name])
    kept["__init__"] = _members_init
    kept["__reduce__"] = _members_reduce
    kept["__doc__"] = real.__doc__
    kept["__module__"] = real.__module__
    made = type(real.__name__, (real,), kept)
    return made


def _decorated(function: Any, wrapper: Any) -> bool:
    """Whether one of a function's decorators put this code around it."""
    while function is not None:
        if getattr(function, "__code__", None) is wrapper:
            return True
        function = getattr(function, "__wrapped__", None)
    return False


# private members that no version has: our own, and attributes that instances set
_OWN = frozenset({"_kept", "_rows", "_tell_log", "_attach_pid", "_write_config", "_jsonable"})


def _members_init(self: Any, wanted: Any, config: Any, records: _Records) -> None:
    real: Any = type(self).__mro__[1]
    self._kept = records
    absorbing = _Absorbing()
    # the version decides which of these names it uses
    for name in ("_interface", "_backend", "_wl"):
        self.__dict__[name] = None
    real.__init__(self, settings=wanted, config=config)
    self._attach_id = None
    self._is_attached = False
    self._interface = absorbing
    self._backend = absorbing
    self._starting_step = records.starting_step
    for name in ("_step", "_local_step"):
        if name in self.__dict__:
            self.__dict__[name] = records.starting_step
    if records.resumed:
        merged = {key: value for key, value in records.config.items() if key not in set(self._config.keys())}
        self._config._update(merged, allow_val_change=True)
    attributes = {
        "name": _value(wanted, "run_name"),
        "group": _value(wanted, "run_group"),
        "job_type": _value(wanted, "run_job_type"),
        "notes": _value(wanted, "run_notes"),
        "tags": list(_value(wanted, "run_tags") or ()),
    }
    records.config.update(self._jsonable(self._config.as_dict()))
    wandb_kept.append(
        records.path,
        "begin",
        resumed=records.resumed,
        step=settings.get("step"),
        pid=os.getpid(),
        attributes=attributes,
        config=wandb_kept.plain(records.config),
    )
    try:
        top = wandb_kept.folder()
        with open(os.path.join(str(top), "resume.json"), "w", encoding="utf-8") as file:
            json.dump({"id": records.id}, file)
    except OSError:
        pass


def _members_reduce(self: Any) -> Any:
    return _found_again, (self._kept.id,)


def _found_again(run_id: str) -> Any:
    """The run that another process pickled: ours where it is active here, as after a fork."""
    for run in _active:
        if run.id == run_id:
            return run
    raise _state["module"].errors.UsageError(f"run {run_id} is not active in this process")


class _Members:
    """Members that replace those of the library's Run; only those that the library has are taken over."""

    _kept: Any
    _settings: Any
    _config: Any
    _is_finished: bool

    # ---- who it is
    @property
    def id(self) -> str:
        return str(self._kept.id)

    @property
    def entity(self) -> str:
        return str(self._kept.entity)

    @property
    def project(self) -> str:
        return str(self._kept.project)

    def project_name(self) -> str:
        return str(self._kept.project)

    @property
    def path(self) -> str:
        return f"{self._kept.entity}/{self._kept.project}/{self._kept.id}"

    @property
    def dir(self) -> str:
        return str(self._kept.folder)

    @property
    def sync_dir(self) -> str:
        return os.path.dirname(str(self._kept.folder))

    @property
    def url(self) -> str | None:
        if self._kept.mode == _OFFLINE:
            return None
        found = _value(self._settings, "run_url")
        return str(found or f"https://wandb.ai/{self._kept.entity}/{self._kept.project}/runs/{self._kept.id}")

    def get_url(self) -> str | None:
        return self.url

    @property
    def project_url(self) -> str | None:
        return None if self.url is None else self.url.rpartition("/runs/")[0]

    def get_project_url(self) -> str | None:
        return self.project_url

    @property
    def sweep_id(self) -> None:
        return None

    @property
    def sweep_url(self) -> None:
        return None

    def get_sweep_url(self) -> None:
        return None

    @property
    def name(self) -> str | None:
        return _text(self._settings, "run_name")

    @name.setter
    def name(self, value: str) -> None:
        _set(self._settings, {"run_name": value})
        wandb_kept.append(self._kept.path, "attributes", attributes={"name": str(value)})

    @property
    def notes(self) -> str | None:
        return _text(self._settings, "run_notes")

    @notes.setter
    def notes(self, value: str) -> None:
        _set(self._settings, {"run_notes": value})
        wandb_kept.append(self._kept.path, "attributes", attributes={"notes": str(value)})

    @property
    def tags(self) -> Any:
        return tuple(_value(self._settings, "run_tags") or ())

    @tags.setter
    def tags(self, value: Any) -> None:
        _set(self._settings, {"run_tags": tuple(value)})
        wandb_kept.append(self._kept.path, "attributes", attributes={"tags": [str(one) for one in value]})

    @property
    def group(self) -> str:
        return str(_value(self._settings, "run_group") or "")

    @property
    def job_type(self) -> str:
        return str(_value(self._settings, "run_job_type") or "")

    # ---- where it is
    @property
    def step(self) -> int:
        return int(self._kept.step)

    @property
    def starting_step(self) -> int:
        return int(self._kept.starting_step)

    @property
    def resumed(self) -> bool:
        return bool(self._kept.resumed)

    @property
    def start_time(self) -> float:
        return float(self._kept.began)

    @property
    def offline(self) -> bool:
        return bool(self._kept.mode == _OFFLINE)

    @property
    def disabled(self) -> bool:
        return False

    @property
    def _attach_pid(self) -> int:
        # the process that asks is always the right one: there is no service to attach to
        return os.getpid()

    @_attach_pid.setter
    def _attach_pid(self, value: int) -> None:
        return

    # ---- what it hands over
    def _partial_history_callback(self, data: Any, step: int | None = None, commit: bool | None = None) -> None:
        records = self._kept
        row = self._rows(dict(data))
        if step is not None:
            # the record's field is an integer: 1.0 and "1" are refused with these very words
            step = operator.index(step)
        now = records.step
        taken = records.add(row, step, commit)
        if not taken:
            _state["module"].termwarn(
                f"Tried to log to step {step} that is less than the current step {now}. Steps must be"
                " monotonically increasing, so this data will be ignored. See https://wandb.me/define-metric to log"
                " data out of order."
            )
        self._tell_log(row, now if step is None else step, not taken)

    def _rows(self, data: dict[str, Any]) -> dict[str, Any]:
        """A row as JSON, by the library's own conversions."""
        from wandb.sdk.data_types import utils  # type: ignore[import-untyped, unused-ignore]

        for name in ("_serialize_custom_charts", "_visualization_hack"):
            prepare = getattr(self, name, None)
            if data and prepare is not None:
                data = prepare(data)
                break
        this: Any = self
        made: dict[str, Any] = self._jsonable(utils.history_dict_to_json(this, data, step=self._kept.step))
        return made

    @staticmethod
    def _jsonable(values: Any) -> Any:
        from wandb import util

        return json.loads(util.json_dumps_safer_history(values))

    @events.guarded
    def _tell_log(self, row: dict[str, Any], step: int, dropped: bool) -> None:
        records = self._kept
        records.logged += 1
        count = records.logged
        flat = wandb_kept.flattened(row)
        keys = frozenset(flat)
        new = keys not in records.known and len(records.known) < 200
        records.known.add(keys)
        nonfinite = sorted(key for key, value in flat.items() if _is_nonfinite(value))
        if nonfinite:
            place = ("nonfinite", records.id, nonfinite[0])
            fields = {"what": "logged", "name": nonfinite[0], "n": count, "frames": events.own_frames()}
            events.emit_once(place, "nonfinite", note=str(flat[nonfinite[0]]), **fields)
        if new or dropped or count <= _FIRST or count & (count - 1) == 0:
            scalars = {key: value for key, value in flat.items() if isinstance(value, (int, float))}
            events.emit(
                "wandb",
                op="log",
                id=records.id,
                mode=records.mode,
                keys=sorted(keys)[:100],
                step=step,
                n=count,
                nonfinite=nonfinite,
                dropped=dropped,
                values=dict(sorted(scalars.items())[:30]),
                frames=events.own_frames(),
            )

    def _config_callback(self, key: Any = None, val: Any = None, data: Any = None) -> None:
        news: dict[str, Any] = {}
        if key is not None:
            path = [key] if isinstance(key, str) else list(key)
            wandb_kept.set_at(news, path, val)
        news.update(data or {})
        self._write_config(news)

    def _write_config(self, news: dict[str, Any]) -> None:
        made = self._jsonable({name: value for name, value in news.items() if not str(name).startswith("_wandb")})
        self._kept.config.update(made)
        if made:
            wandb_kept.append(self._kept.path, "config", config=wandb_kept.plain(made))

    def _config_artifact_callback(self, key: str, val: Any) -> Any:
        return val

    def _summary_update_callback(self, summary_record: Any) -> None:
        records = self._kept
        changes: list[Any] = []
        nonfinite: list[str] = []
        for item in summary_record.update:
            path = [str(part) for part in item.key]
            nonfinite += [
                ".".join(leaf)
                for leaf, value in _leaves({path[-1]: item.value}, tuple(path[:-1]))
                if _is_nonfinite(value)
            ]
            value = self._jsonable(_summary_value(self, item.value, path))
            wandb_kept.set_at(records.summary, path, value)
            changes.append([path, wandb_kept.plain(value)])
        removed = [[str(part) for part in item.key] for item in summary_record.remove]
        for path in removed:
            inner = records.summary
            for part in path[:-1]:
                inner = inner.get(part, {})
            inner.pop(path[-1], None)
        wandb_kept.append(records.path, "summary", set=changes, remove=removed)
        keys = [".".join(path) for path, _ in changes]
        fields = {"keys": keys[:100], "nonfinite": nonfinite, "frames": events.own_frames()}
        events.emit("wandb", op="summary", id=records.id, mode=records.mode, **fields)

    def _summary_get_current_summary_callback(self) -> dict[str, Any]:
        found: dict[str, Any] = self._kept.summary
        return found

    def _metric_callback(self, metric_record: Any) -> None:
        name = str(metric_record.name or metric_record.glob_name)
        summary = metric_record.summary
        ways = [way for way in ("min", "max", "mean", "last", "copy", "none", "first") if getattr(summary, way, False)]
        if ways:
            self._kept.definitions[name] = ways
        step = str(metric_record.step_metric or "")
        wandb_kept.append(self._kept.path, "define", name=name, summary=ways, step_metric=step)
        fields = {"name": name, "summary": ways, "step_metric": step, "frames": events.own_frames()}
        events.emit("wandb", op="define", id=self.id, **fields)

    def _log_artifact(self, artifact_or_path: Any, *arguments: Any, **keywords: Any) -> Any:
        # 0.31 takes five parameters by position, 0.16 eight: the first is the same in all, and so are the names
        names = ("name", "type", "aliases")
        given = {name: keywords[name] for name in names if name in keywords}
        given.update({names[at]: value for at, value in enumerate(arguments[: len(names)])})
        artifact, aliases = self._prepare_artifact(  # type: ignore[attr-defined]
            artifact_or_path, given.get("name"), given.get("type"), given.get("aliases")
        )
        _state.setdefault("artifacts", {})[id(artifact)] = artifact
        fields = {"name": str(artifact.name), "type": str(artifact.type)}
        wandb_kept.append(self._kept.path, "artifact", aliases=[str(one) for one in aliases or ()], **fields)
        events.emit("wandb", op="artifact", id=self.id, frames=events.own_frames(), **fields)
        return artifact

    def use_artifact(self, artifact_or_name: Any, *arguments: Any, **keywords: Any) -> Any:
        if not isinstance(artifact_or_name, str):
            return artifact_or_name
        base = artifact_or_name.rpartition("/")[2].partition(":")[0]
        for artifact in _state.get("artifacts", {}).values():
            if str(artifact.name).partition(":")[0] == base:
                return artifact
        message = f"artifact '{artifact_or_name}' not found in '{self.entity}/{self.project}'"
        events.emit("wandb", op="artifact", id=self.id, missing=[artifact_or_name], frames=events.own_frames())
        raise _state["module"].errors.CommError(message)

    def log_code(self, *arguments: Any, **keywords: Any) -> None:
        return None

    def _publish_file(self, fname: str) -> None:
        return None

    def _datatypes_callback(self, fname: str) -> None:
        return None

    def _label(self, *arguments: Any, **keywords: Any) -> None:
        return None

    def _add_singleton(self, data_type: str, key: str, value: Any) -> None:
        return None

    def _telemetry_callback(self, telem_obj: Any) -> None:
        return None

    def _telemetry_flush(self) -> None:
        return None

    def _header(self) -> None:
        return None

    def _redirect(self, *arguments: Any, **keywords: Any) -> None:
        return None

    def _populate_git_info(self) -> None:
        return None

    def restore(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        place = os.path.join(self._kept.folder, name)
        if not os.path.exists(place):
            raise ValueError(f"File {name} not found in {self.path}.")
        return open(place)

    def save(self, glob_str: Any = None, base_path: Any = None, policy: str = "live") -> Any:
        if glob_str is None:
            return True
        import glob

        if policy not in ("live", "end", "now"):
            raise ValueError('Only "live", "end" and "now" policies are currently supported.')
        return [os.path.abspath(path) for path in glob.glob(os.fspath(glob_str))]

    def alert(self, title: str, text: str, level: Any = None, wait_duration: Any = None) -> None:
        return None

    def mark_preempting(self) -> None:
        return None

    # ---- how it ends
    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        self._finish(exit_code)

    def _finish(self, exit_code: int | None = None, *arguments: Any, **keywords: Any) -> None:
        if getattr(self, "_is_finished", False):
            return
        records = self._kept
        records.flush()
        code = int(getattr(_state.get("hooks"), "exit_code", 0) or 0) if exit_code is None else int(exit_code)
        runtime = int(time.time() - records.began)
        wandb_kept.append(records.path, "summary", set=[[["_wandb"], {"runtime": runtime}]], remove=[])
        wandb_kept.append(records.path, "finish", exit_code=code)
        self._is_finished = True
        if self in _active:
            _active.remove(self)
        fields: dict[str, Any] = {
            "keys": sorted(wandb_kept.flattened(records.summary))[:200],
            "config_keys": sorted(records.config),
        }
        fields.update(n=records.logged, status=code, frames=events.own_frames())
        events.emit("wandb", op="finish", id=records.id, mode=records.mode, **fields)
        _forget_global(self)


def _summary_value(run: Any, value: Any, path: list[str]) -> Any:
    """A value of the summary as the library's interface encodes it; a number that is not one becomes null there."""
    from wandb import util
    from wandb.sdk.data_types import utils

    if isinstance(value, dict):
        return {key: _summary_value(run, inner, [*path, str(key)]) for key, inner in value.items()}
    made = utils.val_to_json(run, ".".join(path), value, namespace="summary")
    friendly, _ = util.json_friendly(made)
    short, _ = util.maybe_compress_summary(friendly, util.get_h5_typename(value))
    return short


def _is_nonfinite(value: Any) -> bool:
    return isinstance(value, float) and value - value != 0


def _forget_global(run: Any) -> None:
    if _state["module"].run is not run:
        return
    from wandb.sdk.lib import module as globals_of_wandb

    unset: Any = globals_of_wandb.unset_globals
    unset()
