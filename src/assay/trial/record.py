"""What a rehearsal saw, as data: steps, their stops, their events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from assay.finding import Frame

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrialFrame:
    """A place in the submission that a traceback leads through.

    Args:
        file: Path inside the submission.
        line: Line, from 1.
        function: Name of the function, `<module>` for the module itself.
    """

    file: str
    line: int
    function: str

    @property
    def place(self) -> Frame:
        """The same, as findings hold it."""
        return Frame(self.file, self.line)


@dataclass(frozen=True, slots=True)
class LibraryFrame:
    """A place in a library: module, line from 1, function."""

    module: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Stop:
    """An exception that ended a process of the submission, or that a shim kept from ending it.

    Args:
        type: Dotted name of the exception's class, such as `omegaconf.errors.ConfigAttributeError`.
        message: Its text, shortened.
        frames: Frames of the submission, outermost first.
        library: The innermost frames of others, outermost first.
        chain: Type and message of the exceptions that led to it, the first cause first.
        text: The end of the traceback as Python printed it.
        shim: Name of the shim that let the program go on; empty where the program ended.
        confirmed: Whether a second run, without shrinking or without the mapping of CUDA, stopped in the same way.
        doubt: Why it may not be the submission's fault; empty where nothing speaks for that.
        repair: What was done in the copy so that the rehearsal went on; empty where it did not.
        process: Number of the process that stopped; 0 where it is not known.
    """

    type: str
    message: str
    frames: tuple[TrialFrame, ...] = ()
    library: tuple[LibraryFrame, ...] = ()
    chain: tuple[tuple[str, str], ...] = ()
    text: str = ""
    shim: str = ""
    confirmed: bool = False
    doubt: str = ""
    repair: str = ""
    process: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the contract, rehearsed.

    Args:
        name: Such as `trial:proposed-x`, `full:proposed-x`, `evaluate`, `refuse` (evaluate with nothing tracked),
            `smoke`, `experiment`.
        mode: `trial`, `full`, `evaluate`, `refuse`, `smoke` or `experiment`.
        run: Id of the run; empty where the command is for several.
        command: The command as the contract gives it.
        status: Exit status of the last round; None where it was ended from outside.
        broke: The limit that ended it: `time`, `memory`, `disk`, `output`, `processes`, `stopped`; else empty.
        seconds: Wall-clock time of the last round.
        peak_memory: Bytes resident in all its processes at once, at most.
        stops: What stopped it, round after round, in order.
        events: What its probes saw in the last round, in order.
        written: Files that are in results_dir afterwards: path to size in bytes.
        output: End of its standard output.
        errors: End of its standard error.
        rounds: How often it was started, confirmations aside.
        skipped: Why it was not run; empty where it was.
        tampered: Whether it ran in a copy that repairs had changed.
    """

    name: str
    mode: str
    run: str = ""
    command: str = ""
    status: int | None = 0
    broke: str = ""
    seconds: float = 0.0
    peak_memory: int = 0
    stops: tuple[Stop, ...] = ()
    events: tuple[Event, ...] = ()
    written: Mapping[str, int] = field(default_factory=dict)
    output: str = ""
    errors: str = ""
    rounds: int = 1
    skipped: str = ""
    tampered: bool = False

    @property
    def completed(self) -> bool:
        """Whether the command ran to its end, with status 0."""
        return self.status == 0 and not self.broke and not self.skipped

    def of(self, *kinds: str) -> Iterator[Event]:
        """Its events of some kinds, in order."""
        return (event for event in self.events if event.get("kind") in kinds)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """All that a rehearsal saw.

    Args:
        steps: The commands, in the order of the plan.
        isolation: How processes were shut in: `bubblewrap`, `namespaces` or `limits`.
        gaps: What that left open, in plain words.
        packages: Distributions of the environment, by canonical name, with their versions.
        notes: What was relaxed, left out or assumed on the way.
        undecided: Why nothing could be rehearsed; empty where it could.
        refusal: Why no environment can be built at all, in the words of whoever said so.
        seconds: Wall-clock time by part: `environment`, then step names.
    """

    steps: tuple[Step, ...] = ()
    isolation: str = "bubblewrap"
    gaps: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    undecided: str = ""
    refusal: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)

    def steps_of(self, *modes: str) -> tuple[Step, ...]:
        """The steps of some modes, in the order of the plan."""
        return tuple(step for step in self.steps if step.mode in modes)
