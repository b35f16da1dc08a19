"""How a submission uses the library of this package, and what is certain of it for that.

Every `unproved_*` is a proof: it takes only what it knows. A program that does the same in another way is not refuted.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from assay.analysis.compositions import RESULTS
from assay.analysis.enacted_runs import Program, Seen
from assay.analysis.expressions import last_part
from assay.analysis.hydra_entry import hydra_entry
from assay.analysis.mode_check import unproved_start
from assay.analysis.own_imports import reached_files
from assay.analysis.own_library import ADDED_KEYS, EVALUATE, LIBRARY, METRIC, is_hidden
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, string_value
from assay.analysis.run_defaults import run_ids
from assay.analysis.run_mode import run_mode
from assay.analysis.tracking_imports import integrations

_DRAWING = frozenset({"matplotlib", "seaborn", "plotly", "bokeh", "altair"})
_TRACKING = frozenset({"wandb", "optuna"})
# by these a file may do what its text does not show
_MAKING = frozenset({"exec", "eval", "compile", "__import__", "setattr", "globals", "vars"})
_AT_RUN_TIME = frozenset({"importlib", "runpy", "ctypes", "subprocess", "multiprocessing", "builtins"})
# what evaluate may import beside the library, to say what is compared
_PLAIN = frozenset({"__future__", "typing", "collections", "pathlib"})
_COMPARING = frozenset({EVALUATE, METRIC, "assay.evaluation"})


def starts_by_library(project: Project, role: str) -> bool:
    """Whether the program of a role certainly begins with `@experiment`, and that is the library's."""
    entry = hydra_entry(project.role(role))
    return entry is not None and entry.by_library and entry.certain and not is_hidden(project.submission.files)


def library_use(project: Project) -> LibraryUse:
    """How a submission uses the library, worked out once."""
    return project.shared(LibraryUse)


class LibraryUse:
    """The programs of a submission that stands on the library, as far as everything is known of them.

    Attributes:
        unproved: Why not everything is known of main and train; empty where it is.
        may_stop: Whether one of these may come to an error.
        passes_on: Whether train gets the configuration that main got.
        trains: The enacted programs of train, one for each run and mode; empty where not everything is known.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._own = {file.module for file in project.python.values()}
        self.may_stop = False
        self.passes_on = True
        self.trains: list[Program] = []
        main, train = project.role("main"), project.role("train")
        self.evaluate = project.role("evaluate")
        self.files = [file for file in project.python.values() if file is not self.evaluate]
        self.unproved = self._unproved_programs(main, train)

    def _unproved_programs(self, main: PythonFile | None, train: PythonFile | None) -> str:
        project = self.project
        for role, file in (("main", main), ("train", train)):
            entry = hydra_entry(file)
            if entry is None or not starts_by_library(project, role):
                return f"{role} does not certainly begin with @experiment"
            if fault := unproved_start(project, entry):
                return fault
        if main is None or train is None or train in reached_files(project, main):
            return "train is no program of its own"
        for file in self.files:
            if fault := _unread(file):
                return fault
        enactment = project.enactment
        if enactment.failed or enactment.left_out:
            return enactment.failed or "there are too many runs to enact them all"
        for seen in enactment.seen("refused", "fault", "raise", "misused"):
            if seen.modes != ("evaluate",) and not seen.guarded:
                if seen.sure:
                    return f"{seen.file}:{seen.line} stops {seen.where()}"
                self.may_stop = True
        for run in run_ids(project):
            for mode in ("trial", "full"):
                started = [one for one in enactment.programs if (one.run, one.mode) == (run, mode)]
                paths = [one.path for one in started]
                if paths != [main.path, train.path]:
                    return f"main does not start train once for run {run} in {mode} mode"
                if not all(one.composed == "yes" and enactment.follows(one) for one in started):
                    return f"run {run} was not enacted to its end"
                keys, launch = started[1].keys, started[1].parents[-1]
                if (str(keys["run"]), keys["mode"], keys["results_dir"]) != (run, mode, RESULTS):
                    return "main starts train as another run than it was asked for"
                if launch["certain"] != "yes" or launch["has_cwd"] or launch["has_env"]:
                    return "main does not certainly start train as it is"
                self.passes_on = self.passes_on and keys == started[0].keys
                self.trains.append(started[1])
        if not self.trains:
            return "there are no runs"
        return ""

    def events(self, program: Program, *kinds: str) -> list[dict[str, object]]:
        """What a program does, of some kinds, in order."""
        return [event for event in program.events if event["kind"] in kinds]

    @property
    def full(self) -> list[Program]:
        """The programs of train in full mode."""
        return [one for one in self.trains if one.mode == "full"]

    @cached_property
    def sees_tracking(self) -> bool:
        """Whether the enactment came to every place in the training code that may track something."""
        seen = {
            (event["file"], event["line"])
            for program in self.project.enactment.programs
            for event in program.events
            if event["kind"] in ("track", "tracked")
        }
        for file in self.files:
            libraries = {item.bound for item in file.imports if item.module not in self._own}
            for node in file.nodes_of(ast.Attribute):
                is_another = isinstance(node.value, ast.Name) and node.value.id in libraries
                if node.attr not in ("log", "summarize", "track") or is_another:
                    continue
                call = file.parents.get(node)
                if not isinstance(call, ast.Call) or call.func is not node or (file.path, call.lineno) not in seen:
                    return False
        return True

    # -- rows --------------------------------------------------------------------------------------------------------

    def proved(self) -> Iterator[str]:
        """The rows that main and train meet, because the library does what they ask for."""
        if self.unproved:
            return
        yield from ("E7.1", "E9.1")
        if not self.may_stop:
            yield "E2.3"
        numbers = self._has_numbers()
        if not numbers:
            yield "E2.1"
        imported = {item.module.partition(".")[0] for file in self.files for item in file.imports}
        alone = not imported & (_TRACKING | integrations())
        changed = self._changed()
        tracked = alone and "wandb" not in changed and self.sees_tracking
        tracked = tracked and all(self._is_tracked(one) for one in self.full)
        if tracked:
            yield from ("E6.4", "E6.5", "E6.8")
            if all(self._logs_all(one, "series") for one in self.full):
                yield "E6.1"
            if all(self._logs_all(one, "summary") for one in self.full):
                yield "E6.2"
            if all(self._is_seeded(one) for one in self.trains) and not self._seeds_otherwise():
                yield "X6"
        trials = [one for one in self.trains if one.mode == "trial"]
        is_online = all(one.keys["wandb"]["mode"] == "online" for one in self.full)
        if tracked and is_online and "optuna" not in changed and all(self._is_one_epoch(one) for one in trials):
            yield "E2.5"
        if self.passes_on and not changed and not numbers and not self._asks_for_mode():
            yield "E9.3"

    def _is_tracked(self, program: Program) -> bool:
        """Whether a run is tracked once, with its whole configuration, and nothing else is."""
        tracks = self.events(program, "track")
        logs = self.events(program, "tracked")
        return (
            len(tracks) == 1
            and tracks[0]["certain"] == "yes"
            and tracks[0]["whole"] is True
            and not any(one["searching"] or one["open"] or one["registered"] is None for one in logs)
        )

    def _logs_all(self, program: Program, what: str) -> bool:
        """Whether every key that is registered is certainly logged, and some are."""
        registered = self.events(program, "track")[0][what]
        return bool(registered) and set(_texts(registered)) <= certainly_tracked(program, what)

    def _is_seeded(self, program: Program) -> bool:
        """Whether nothing trains before the seeds are set, a search apart, which sets its own."""
        kinds = [
            (event["kind"], event.get("phase"), event["certain"])
            for event in self.events(program, "seeds", "epochs", "search", "tracked")
        ]
        searching = seeded = False
        for kind, phase, certain in kinds:
            if kind == "search":
                searching = phase == "begin"
            elif kind == "seeds":
                seeded = seeded or certain == "yes"
            elif not searching and not seeded:
                return False
        return seeded

    def _seeds_otherwise(self) -> bool:
        """Whether the training code sets or makes random states by itself."""
        making = ("default_rng", "RandomState", "Random", "PRNGKey", "fork_rng", "Generator")
        return any(
            last_part(call.func) in making
            or ("seed" in last_part(call.func).lower() and last_part(call.func) != "seeds")
            for file in self.files
            for call, _ in file.calls
        )

    def _is_one_epoch(self, program: Program) -> bool:
        """Whether a trial goes through its one epoch once."""
        epochs = self.events(program, "epochs")
        return bool(epochs) and all(one["certain"] == "yes" and one["count"] == 1 for one in epochs)

    def _changed(self) -> set[str]:
        """The sections of the configuration that a program writes into by itself; `?` where that is not known."""
        return {
            str(event["path"] or "?").partition(".")[0]
            for program in self.trains
            for event in self.events(program, "write")
            if not event["marks"]
        }

    def _has_numbers(self) -> bool:
        """Whether a number is written into the training code that may be a parameter: any but 0 and 1."""
        return any(
            isinstance(node.value, int | float) and abs(node.value) not in (0, 1)
            for file in self.files
            for node in file.nodes_of(ast.Constant)
        )

    def _asks_for_mode(self) -> bool:
        mode = run_mode(self.project)
        asked = {"mode", "is_trial"}
        return bool(mode.questions or mode.passed_on) or any(
            node.attr in asked for file in self.files for node in file.nodes_of(ast.Attribute)
        )

    def proved_of_evaluation(self) -> Iterator[str]:
        """The rows that evaluate meets, because the library does what they ask for."""
        calls = [seen for seen in self.project.enactment.seen("evaluate") if seen.modes == ("evaluate",)]
        evaluate = self.evaluate
        programs = self.project.enactment.of(evaluate.path if evaluate else None, "evaluate")
        if (
            evaluate is None
            or len(calls) != 1
            or calls[0].certain != "yes"
            or calls[0].file != evaluate.path
            or len(programs) != 1
        ):
            return
        names = names_evaluated(calls[0])
        if names is None or not programs[0].complete or is_hidden(self.project.submission.files):
            return
        files = [evaluate, *reached_files(self.project, evaluate)]
        if any(_unread(file) for file in files) or [event["kind"] for event in programs[0].events] != ["evaluate"]:
            return
        imported = [item for file in files for item in file.imports if item.module not in self._own]
        if all(item.target in _COMPARING or item.module.partition(".")[0] in _PLAIN for item in imported):
            yield from ("E2.4", "E8.2", "E8.4", "E8.5", "E8.7", "E8.9")
            if calls[0].data["curves"] or calls[0].data["confusion"]:
                yield "E8.3"
            # what is compared in pairs are the seeds
            seeds = [event["count"] for one in self.full for event in self.events(one, "seeds")]
            if not self.unproved and seeds and all(isinstance(count, int) and count > 1 for count in seeds):
                yield "E8.6"
            if self._is_apart(files):
                yield "E8.1"
            roots = {item.module.partition(".")[0] for file in self.files for item in file.imports}
            if not roots & _DRAWING and not any(map(_unread, self.files)):
                yield "E8.8"
        if not self.unproved and all(
            any(name in certainly_tracked(one, what) for what in kinds) or (name in ADDED_KEYS and kinds == ("series",))
            for one in self.full
            for name, kinds in names.items()
        ):
            yield "E6.3"

    def _is_apart(self, files: list[PythonFile]) -> bool:
        """Whether no other program has anything to do with evaluate."""
        apart = not any(
            string_value(node) in ("src.evaluate", "src/evaluate.py", "evaluate.py")
            for file in self.files
            for node in file.nodes_of(ast.Constant)
        )
        return (
            apart
            and not self.unproved
            and not any(self.evaluate in reached_files(self.project, file) for file in self.files)
        )


def certainly_tracked(program: Program, what: str) -> set[str]:
    """The keys that a program certainly logs (`series`) or summarizes (`summary`)."""
    return {
        key
        for event in program.events
        if event["kind"] == "tracked" and event["what"] == what and event["certain"] != "maybe"
        for key in set(_texts(event["keys"])) - set(_texts(event["doubtful"]))
    }


def names_evaluated(call: Seen) -> dict[str, tuple[str, ...]] | None:
    """The keys that `evaluate(...)` compares, and what each may be; None where they are not all known.

    A metric is logged or summarized; curves, targets, what they are drawn against, and the confusion matrix are logged.
    """
    data = call.data
    if not data["metrics"] or None in data["metrics"] or not data["known"]:
        return None
    found: dict[str, tuple[str, ...]] = {str(metric[0]): ("series", "summary") for metric in data["metrics"]}
    drawn = [*data["curves"], *data["targets"]]
    drawn += [data["against"]] if drawn else []
    return {**found, **{str(key): ("series",) for key in [*drawn, data["confusion"]] if key is not None}}


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


def _unread(file: PythonFile) -> str:
    """Why a file may do what its text does not show; empty where it does not."""
    if file.tree is None:
        return f"{file.path} cannot be read"
    roots = {item.module.partition(".")[0] for item in file.imports}
    bound = {item.bound for item in file.imports if item.module.partition(".")[0] == LIBRARY}
    stored = {node.id for node in file.nodes_of(ast.Name) if not isinstance(node.ctx, ast.Load)}
    stored |= {node.arg for node in file.nodes_of(ast.arg)} | {node.name for node in [*file.functions, *file.classes]}
    if any(item.name == "*" for item in file.imports) or roots & _AT_RUN_TIME or bound & stored:
        return f"{file.path} may mean other things by its names"
    if any(name in _MAKING for _, name in file.calls) or "sys.modules" in file.text:
        return f"{file.path} may do what its text does not show"
    return ""
