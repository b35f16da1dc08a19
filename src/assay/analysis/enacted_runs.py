"""What the enactment of a submission's programs has seen, for rules to ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from assay.analysis.run_defaults import run_ids
from assay.finding import Frame

if TYPE_CHECKING:
    from assay.analysis.project import Project

MAX_TEXT = 3_000_000
_WEIGHT = {"yes": 3, "loop": 2, "maybe": 1}
_SHAPE = frozenset({"kind", "file", "line", "column", "end_line", "end_column", "certain", "guarded", "stops",
                    "function", "frames"})  # fmt: skip


class Position(NamedTuple):
    """Where in a file something happens, in the shape that a finding takes it from."""

    lineno: int
    col_offset: int
    end_lineno: int | None
    end_col_offset: int | None


class Program(NamedTuple):
    """One process of one run.

    Args:
        path: The file that was started.
        run: Id of the run; None where the command is for all of them.
        mode: The command's purpose: `trial`, `full` or `evaluate`.
        parents: The launches that lead to it: file, line, `cwd`, ...
        complete: Whether it was enacted to its end.
        reason: Why not.
        composed: Whether Hydra composed its configuration: `yes`, `repaired` (only after defects were set aside), `no`.
        keys: The composed configuration, unresolved; None where there is none.
        entered: File and line of the functions and classes that it came into.
        events: What it does, one by one and as the child says it; `Enactment.seen` tells it of all programs together.
    """

    path: str
    run: str | None
    mode: str
    parents: tuple[dict[str, Any], ...] = ()
    complete: bool = True
    reason: str = ""
    composed: str = "no"
    keys: Any = None
    entered: frozenset[tuple[str, int]] = frozenset()
    events: tuple[dict[str, Any], ...] = ()

    @property
    def faulted(self) -> bool:
        """Whether it certainly comes to an error that nothing catches: what it would do afterwards is not all known."""
        return any(
            event["kind"] == "fault" and event["certain"] != "maybe" and not event["guarded"] for event in self.events
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that programs do at one place.

    Args:
        kind: What it is (`fault`, `read`, `write`, `call`, `launch`, `suggest`, ...).
        file: The file that it stands in.
        place: Where in it.
        certain: Whether the program certainly comes there, in the run where that is surest: `yes`, `loop` (once a
            batch) or `maybe`.
        guarded: Whether it stands in a `try`.
        stops: How many certain stops came before it.
        function: Name of the function that it stands in.
        frames: The calls that lead there, outermost first.
        data: What else is known.
        programs: The programs that do it, those with that certainty.
    """

    kind: str
    file: str
    place: Position
    certain: str
    guarded: bool
    stops: int
    function: str
    frames: tuple[Frame, ...]
    data: dict[str, Any]
    programs: list[Program] = field(default_factory=list)

    @property
    def line(self) -> int:
        return self.place.lineno

    @property
    def sure(self) -> bool:
        """Whether it certainly happens, once or once a batch."""
        return self.certain != "maybe"

    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of the runs that do it."""
        return tuple(dict.fromkeys(program.run for program in self.programs if program.run))

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes in which it is done."""
        return tuple(dict.fromkeys(program.mode for program in self.programs))

    def where(self) -> str:
        """The runs and modes in words: `run a in trial mode`."""
        runs = self.runs
        shown = ", ".join(runs[:2]) + (f" and {len(runs) - 2} more" if len(runs) > 2 else "")
        modes = self.modes
        mode = f" in {modes[0]} mode" if len(modes) == 1 and modes[0] in ("trial", "full") else ""
        if not shown:
            return f"the program{mode}" if modes != ("evaluate",) else "evaluate"
        return f"run{'s' if len(runs) > 1 else ''} {shown}{mode}"


@dataclass(slots=True)
class Enactment:
    """All programs of a submission, and what they do.

    Args:
        programs: The programs that were enacted.
        failed: Why there are none; empty where there are.
        left_out: Runs that were not enacted because there are too many.
    """

    programs: list[Program] = field(default_factory=list)
    failed: str = ""
    left_out: int = 0
    compositions: list[dict[str, Any]] = field(default_factory=list)
    _seen: list[Seen] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every program was enacted to its end."""
        return not self.failed and not self.left_out and all(program.complete for program in self.programs)

    def seen(self, *kinds: str) -> Iterator[Seen]:
        """What programs do, of some kinds, in the order in which it was first done."""
        return (one for one in self._seen if one.kind in kinds)

    def follows(self, program: Program) -> bool:
        """Whether everything that one program does is seen: it was enacted to its end, without an error that nothing
        catches and without defects set aside, and whatever it starts is a program of its own."""
        if not program.complete or program.faulted or program.composed == "repaired":
            return False
        started = {
            (one.parents[-1].get("file"), one.parents[-1].get("line"))
            for one in self.programs
            if one.parents and (one.run, one.mode) == (program.run, program.mode)
        }
        return all((one["file"], one["line"]) in started for one in program.events if one["kind"] == "launch")

    def of(self, path: str | None, mode: str | None = None) -> list[Program]:
        """The programs that start a file."""
        return [one for one in self.programs if one.path == path and (mode is None or one.mode == mode)]


def request_of(project: Project) -> dict[str, Any] | str:
    """What the child is asked to enact, or why it is not asked."""
    contract = project.contract
    paths = [path for path in project.paths if path.endswith((".py", ".yaml", ".yml"))]
    files = {path: text for path in paths if (text := project.submission.text(path)) is not None}
    if sum(map(len, files.values())) > MAX_TEXT:
        return f"the files together have more than {MAX_TEXT:,} characters"
    modes = [name for name in ("trial", "full") if name in contract.commands]
    if not modes:
        return "the contract names no command lines"
    runs = sorted(run_ids(project))
    return {"files": files, "runs": runs, "modes": modes, "commands": dict(contract.commands)}


def read_answer(answer: dict[str, Any]) -> Enactment:
    """The child's answer as an enactment."""
    if "failed" in answer:
        return Enactment(failed=str(answer["failed"]))
    made = Enactment(left_out=int(answer.get("left_out", 0)), compositions=list(answer.get("compositions", ())))
    found: dict[tuple[object, ...], Seen] = {}
    for entry in answer.get("programs", ()):
        program = Program(
            entry["path"],
            entry["run"],
            entry["mode"],
            tuple(entry.get("parents", ())),
            bool(entry["complete"]),
            str(entry.get("reason", "")),
            str(entry.get("composed", "no")),
            entry.get("keys"),
            frozenset((file, line) for file, line in entry.get("entered", ())),
            tuple(entry["events"]),
        )
        made.programs.append(program)
        for event in entry["events"]:
            _add(found, event, program)
    made._seen = list(found.values())
    return made


def _add(found: dict[tuple[object, ...], Seen], event: dict[str, Any], program: Program) -> None:
    """Add what one program does to what the others do at the same place."""
    if event["file"] is None or event["line"] is None:
        line, file = 1, event["file"] or program.path
    else:
        line, file = event["line"], event["file"]
    data = {name: value for name, value in event.items() if name not in _SHAPE}
    key = (event["kind"], file, line, event["column"], event["guarded"], program.path, repr(sorted(data.items())))
    old = found.get(key)
    if old is not None and _WEIGHT[old.certain] >= _WEIGHT[event["certain"]]:
        if old.certain == event["certain"]:
            old.programs.append(program)
        return
    end_column = event["end_column"]
    found[key] = Seen(
        event["kind"],
        file,
        Position(line, max(0, event["column"] - 1), event["end_line"], end_column - 1 if end_column else None),
        event["certain"],
        bool(event["guarded"]),
        int(event["stops"]),
        event["function"],
        tuple(Frame(place, number) for place, number in event["frames"]),
        data,
        [program],
    )
