"""What the submission searches with Optuna: studies, trials, what was suggested, what was found best.

The number of trials is cut, and suggested sizes are the lowest of their range, so that two rehearsals see the same:
a drawn number of inner steps that lies above the number of steps at all hides what happens after them.
"""

from __future__ import annotations

import functools
import sys

from . import events, imports, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# parts of names whose value says how much is computed, or after how much of it something happens
SIZES = (
    "batch", "step", "epoch", "layer", "hidden", "width", "dim", "depth", "rank", "size", "iter", "warmup", "length",
    "num_", "n_", "_k", "interval", "every", "period", "freq", "unroll", "window", "inner", "head", "patience",
)  # fmt: skip
SEED = 0


def install(module: ModuleType) -> None:
    """Watch studies and trials."""
    imports.when_imported("optuna.study.study", _watch_studies)
    imports.when_imported("optuna.trial._trial", _watch_trials)
    _watch_create(module)


def _watch_create(optuna: Any) -> None:
    for holder in (optuna, getattr(optuna, "study", None), sys.modules.get("optuna.study.study")):
        create = getattr(holder, "create_study", None)
        if create is None or hasattr(create, "watched"):
            continue
        watched = _watched_create(create)
        holder.create_study = watched  # type: ignore[union-attr]


def _watched_create(create: Any) -> Any:
    @functools.wraps(create)
    def create_study(*args: Any, **keywords: Any) -> Any:
        study = create(*args, **keywords)
        _seed(study)
        _tell_study(study)
        return study

    create_study.watched = True  # type: ignore[attr-defined]
    return create_study


@events.guarded
def _tell_study(study: Any) -> None:
    events.emit(
        "optuna",
        op="study",
        name=str(study.study_name),
        value=type(study.sampler).__name__,
        params={},
        direction=[direction.name.lower() for direction in study.directions],
        frames=events.own_frames(sys._getframe(2)),
    )


@events.guarded
def _seed(study: Any) -> None:
    """Draw the same in each rehearsal, where the submission gave no seed."""
    if not settings.shrinks():
        return
    for sampler in (study.sampler, getattr(study.sampler, "_random_sampler", None)):
        random = getattr(getattr(sampler, "_rng", None), "rng", None)
        if random is not None and hasattr(random, "seed"):
            random.seed(SEED)


def _watch_studies(module: ModuleType) -> None:
    study = module.Study
    optimize = study.optimize

    @functools.wraps(optimize)
    def watched(self: Any, func: Any, n_trials: int | None = None, *args: Any, **keywords: Any) -> Any:
        most = settings.limit("optuna_trials")
        if most is not None and (n_trials is None or n_trials > most):
            frames = events.own_frames(sys._getframe(1))
            events.shrunk("optuna trials", n_trials, most, frames)
            n_trials = most
        frames = events.own_frames(sys._getframe(1))
        result = optimize(self, _watched_objective(func), n_trials, *args, **keywords)
        _tell_end(self, n_trials, frames)
        return result

    study.optimize = watched
    if hasattr(study, "ask"):
        _watch_ask_and_tell(study)
    for name in ("best_params", "best_value", "best_trial"):
        _watch_best(study, name)


def _watch_ask_and_tell(study: Any) -> None:
    """Tell of trials that the submission asks for itself. Their number is its own loop's: nothing can end that."""
    ask, tell = study.ask, study.tell

    @functools.wraps(ask)
    def asked(self: Any, *args: Any, **keywords: Any) -> Any:
        trial = ask(self, *args, **keywords)
        # Study.optimize asks as well
        if events.in_own_frame():
            _tell_asked(trial, sys._getframe(1))
        return trial

    @functools.wraps(tell)
    def told(self: Any, trial: Any, *args: Any, **keywords: Any) -> Any:
        found = tell(self, trial, *args, **keywords)
        _tell_told(self, trial, found)
        return found

    study.ask, study.tell = asked, told


@events.guarded
def _tell_asked(trial: Any, frame: Any) -> None:
    frames = events.own_frames(frame)
    events.emit("optuna", op="ask", name=str(trial.number), value=None, params={}, trial=trial.number, frames=frames)


@events.guarded
def _tell_told(study: Any, trial: Any, found: Any) -> None:
    number = trial if isinstance(trial, int) else trial.number
    # releases before 3.0 return nothing
    found = study.trials[number] if found is None else found
    value = found.values[0] if found.values and len(found.values) == 1 else found.values
    events.emit("optuna", op="trial", name=str(number), value=value, params=dict(found.params), frames=[])


def _watched_objective(objective: Any) -> Any:
    if not callable(objective):
        return objective

    def watched(trial: Any) -> Any:
        try:
            value = objective(trial)
        except Exception as error:
            _tell_trial(trial, None, error)
            raise
        _tell_trial(trial, value, None)
        return value

    # objects with __call__ have no name to take over
    for name in ("__name__", "__doc__", "__module__", "__qualname__"):
        if hasattr(objective, name):
            setattr(watched, name, getattr(objective, name))
    watched.__wrapped__ = objective  # type: ignore[attr-defined]
    return watched


@events.guarded
def _tell_trial(trial: Any, value: Any, error: BaseException | None) -> None:
    failure = {} if error is None else {"error": f"{type(error).__module__}.{type(error).__qualname__}: {error}"[:500]}
    events.emit(
        "optuna", op="trial", name=str(trial.number), value=value, params=dict(trial.params), frames=[], **failure
    )
    if error is not None and type(error).__name__ != "TrialPruned":
        own, _ = events.frames_of(error.__traceback__)
        events.emit(
            "raised", call="optuna objective", type=type(error).__qualname__, message=str(error)[:1000], frames=own
        )


@events.guarded
def _tell_end(study: Any, n_trials: int | None, frames: list[Any]) -> None:
    states: dict[str, int] = {}
    for trial in study.trials:
        states[trial.state.name.lower()] = states.get(trial.state.name.lower(), 0) + 1
    events.emit(
        "optuna", op="end", name=str(study.study_name), value=None, params=states, n_trials=n_trials, frames=frames
    )


def _watch_best(study: Any, name: str) -> None:
    best = study.__dict__.get(name)
    if not isinstance(best, property) or best.fget is None:
        return
    read = best.fget

    @functools.wraps(read)
    def watched(self: Any) -> Any:
        value = read(self)
        if events.in_own_frame():
            _tell_best(name, value, events.own_frames(sys._getframe(1)))
        return value

    setattr(study, name, property(watched, best.fset, best.fdel, best.__doc__))


@events.guarded
def _tell_best(name: str, value: Any, frames: list[Any]) -> None:
    params, number = {}, value
    if isinstance(value, dict):
        params, number = value, None
    elif hasattr(value, "params"):
        params, number = value.params, value.values
    events.emit_once(
        ("best", name, str(frames)), "optuna", op="best", name=name, value=number, params=dict(params), frames=frames
    )


def _watch_trials(module: ModuleType) -> None:
    trial = module.Trial
    for name in ("suggest_int", "suggest_float", "suggest_categorical", "suggest_loguniform", "suggest_uniform"):
        suggest = getattr(trial, name, None)
        if suggest is not None:
            setattr(trial, name, _watched_suggest(name, suggest))


def _watched_suggest(kind: str, suggest: Any) -> Any:
    @functools.wraps(suggest)
    def watched(self: Any, name: str, *args: Any, **keywords: Any) -> Any:
        if settings.shrinks() and kind in ("suggest_int", "suggest_categorical"):
            _fix(self, kind, name, args, keywords)
        value = suggest(self, name, *args, **keywords)
        frames = events.own_frames(sys._getframe(1))
        events.emit_once(
            ("suggest", name, getattr(self, "number", 0)),
            "optuna",
            op="suggest",
            name=name,
            value=value,
            params={},
            trial=getattr(self, "number", None),
            frames=frames,
        )
        return value

    return watched


@events.guarded
def _fix(trial: Any, kind: str, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Let the lowest value of a size take the place of the sampler's."""
    lowered = name.lower()
    if not any(part in lowered for part in SIZES):
        return
    if kind == "suggest_int":
        lowest = args[0] if args else keywords.get("low")
    else:
        choices = args[0] if args else keywords.get("choices")
        if not choices or not all(isinstance(one, int) and not isinstance(one, bool) for one in choices):
            return
        lowest = min(choices)
    if not isinstance(lowest, int):
        return
    # where the values of `Study.enqueue_trial` wait for their trial, in all releases since 2.0
    fixed = getattr(trial, "_fixed_params", None)
    if isinstance(fixed, dict) and name not in fixed:
        fixed[name] = lowest
