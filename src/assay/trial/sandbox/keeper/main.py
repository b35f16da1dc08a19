"""Start the program in its box, look after it, end it, and tell the caller."""

from __future__ import annotations

# starts a process before anything else happens; pathlib takes as long to import as all of it
# ruff: noqa: PTH116, PTH123
import contextlib
import ctypes
import marshal
import os
import resource
import select
import signal
import stat
import sys
import time

from . import bubblewrap, namespaces
from .disk import Measure
from .tree import Proc, Process, below, machine

# starts in a few milliseconds because it imports no `typing`, `json`, `re` or `dataclasses`
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
# seconds between two looks at the processes: a fork bomb starts some thousands a second at the most
_TICK = 0.03
_THREADS_EACH = 8
# seconds after which what hangs in the kernel is given up
_LONGEST_END = 30
_CHUNK = 1 << 18
# bytes below which nothing is worth being counted well
_SMALL = 16 << 20


def main() -> None:
    """Read the specification from stdin, keep the box, and write how it ended to stdout.

    Both are dictionaries as `marshal` writes them: caller and keeper are of one interpreter. Before the first comes its
    length, in eight bytes.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    held = bytearray()
    while len(held) < 8 or len(held) < 8 + int.from_bytes(held[:8], "big"):
        piece = os.read(0, 1 << 16)
        if not piece:
            return
        held += piece
    length = int.from_bytes(held[:8], "big")
    specification = marshal.loads(held[8 : 8 + length])
    wishes = held[8 + length :]
    if os.getppid() != specification["parent"]:
        return
    # what a program leaves behind comes to its keeper, wherever it went
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    keeper = Keeper(specification)
    # a fork bomb must not keep its keeper from the processor
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice - 5)
    keeper.nice = nice
    try:
        keeper.broke = "stopped" if wishes else ""
        answer = keeper.keep()
    except Exception as error:
        answer = {"failed": f"{type(error).__name__}: {error}"}
    finally:
        keeper.end_all()
    with contextlib.suppress(OSError):
        os.write(1, marshal.dumps(answer))


class Keeper:
    """One boxed program, from its start to the end of the last of its processes."""

    def __init__(self, specification: dict[str, Any]) -> None:
        self.specification = specification
        self.limits: dict[str, Any] = specification["limits"]
        self._kind: str = specification["kind"]
        self.broke = ""
        self.peak = 0
        self.nice = 0
        self.started = time.monotonic()
        self._pid = os.getpid()
        self._program = 0
        self._wait_status: int | None = None
        self._init = 0
        self._told = b""
        self._machine = machine()
        self._inside: Proc | None = None
        # folders of the box that lie in memory
        self._in_memory: list[int] = []
        self._nameless = 0
        self._measure: Measure | None = None
        self._next_measure = 0.0
        self._measure_cost = 0.0
        self._next_proportional = 0.0
        # descriptor -> (file that it is copied to, bytes so far)
        self._outputs: dict[int, tuple[int, int]] = {}
        self._status_fd = -1
        # bubblewrap reads a byte from it before it starts the program
        self._go_fd = -1

    def keep(self) -> dict[str, Any]:
        """Run the program to its end."""
        self._start()
        poll = select.poll()
        poll.register(0, select.POLLIN)
        for fd in (*self._outputs, self._status_fd):
            poll.register(fd, select.POLLIN)
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll.register(woken, select.POLLIN)
        end = self.started + self.limits["seconds"]
        look = self.started
        self._collect()
        while self._wait_status is None and not self.broke:
            now = time.monotonic()
            if now >= end:
                self.broke = "time"
            elif os.getppid() != self.specification["parent"]:
                self.broke = "stopped"
            elif now >= look:
                self._look(now)
                look = time.monotonic() + _TICK
            if self.broke:
                break
            for fd, _ in poll.poll(max(0, min(look, end) - time.monotonic()) * 1000 + 1):
                if fd == 0:
                    # a byte is a wish to stop, an end is the caller's own
                    self.broke = "stopped"
                elif fd == woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(woken, 4096)
                    self._collect()
                elif not self._forward(fd):
                    poll.unregister(fd)
        self.end_all()
        for fd in (*self._outputs, self._status_fd):
            while self._forward(fd):
                pass
        return self._answer()

    def _start(self) -> None:
        errors = os.pipe2(os.O_CLOEXEC)
        streams = [_pipe()]
        paths = self.specification["streams"]
        if paths[1] != paths[0]:
            streams.append(_pipe())
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        for (reading, _), path in zip(streams, paths, strict=False):
            self._outputs[reading] = (os.open(path, flags, 0o600), 0)
        self._status_fd, status_in = _pipe()
        line: list[str] = self.specification["argv"]
        inherited: list[int] = []
        users = namespaces.users_of_root(self.specification) if self.specification["becomes"] else None
        if self._kind == "bubblewrap":
            go, self._go_fd = os.pipe2(os.O_CLOEXEC)
            line, inherited = bubblewrap.command(self.specification, status_in, go, users)
        if self.specification["becomes"]:
            for _, writing in streams:
                # so that the program may open them once more by their names in /dev
                os.fchown(writing, self.specification["uid"], self.specification["gid"])
        self.started = time.monotonic()
        self._program = os.fork()
        if self._program == 0:
            try:
                self._become(line, inherited, [streams[0][1], streams[-1][1]], status_in, users)
            except BaseException as error:
                os.write(errors[1], str(error).encode())
            finally:
                os._exit(127)
        for fd in {*inherited, *(writing for _, writing in streams), status_in, errors[1]}:
            os.close(fd)
        if users is not None and users not in inherited:
            os.close(users)
        said = os.read(errors[0], 4096)
        os.close(errors[0])
        if said:
            raise RuntimeError(said.decode(errors="replace"))

    def _become(
        self, line: list[str], inherited: list[int], streams: list[int], status_fd: int, users: int | None
    ) -> None:
        """In the child: turn into the program, or into what makes its box."""
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 2)
        signal.set_wakeup_fd(-1)
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        environment = self.specification["environment"]
        os.setpriority(os.PRIO_PROCESS, 0, self.nice)
        self._limit()
        if self.specification["becomes"]:
            namespaces.become(self.specification)
        # after that: who becomes another user loses it
        namespaces.prctl(namespaces.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._pid:
            os._exit(127)
        if self._kind == "bubblewrap":
            for fd in inherited:
                os.set_inheritable(fd, True)
        else:
            os.setsid()
        if self._kind == "limits":
            namespaces.renounce()
            self._limit_number(0)
            os.chdir(self.specification["cwd"])
        if self._kind == "namespaces":
            namespaces.leave(self.specification, users)
            first = os.fork()
            if first:
                os.write(status_fd, b'{"child-pid": %d}\n' % first)
                # nothing of this process may be reached for: the lifeline of the caller is among its descriptors
                os.closerange(3, 1 << 16)
                os.waitpid(first, 0)
                os._exit(0)
            self._first_process(line, status_fd)
        os.execvpe(line[0], line, environment)

    def _first_process(self, line: list[str], status_fd: int) -> None:
        """In the first process of the box: make it, then collect who ends in it until the program has."""
        namespaces.prctl(namespaces.PR_SET_PDEATHSIG, signal.SIGKILL)
        namespaces.enter(self.specification)
        program = os.fork()
        if program == 0:
            self._limit_number(0)
            os.execvpe(line[0], line, self.specification["environment"])
        for fd in range(3, 256):
            if fd != status_fd:
                with contextlib.suppress(OSError):
                    os.close(fd)
        for fd in (1, 2):
            os.dup2(0, fd)
        while True:
            pid, status = os.wait()
            if pid == program:
                os.write(status_fd, b'{"wait-status": %d}\n' % status)
                os._exit(0)

    def _limit(self) -> None:
        """What the kernel itself holds to, in each process."""
        # when memory runs out for the machine, these go first
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
        lower = {
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_FSIZE: self.limits["file_size"],
            resource.RLIMIT_NOFILE: self.limits["open_files"],
            # address space that may be written; PyTorch reserves more than it uses, which is why this is generous
            resource.RLIMIT_DATA: 4 * self.limits["memory"] + (8 << 30),
        }
        for name, most in lower.items():
            _, hard = resource.getrlimit(name)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(name, (most, most))

    def _limit_number(self, pid: int) -> None:
        """Let the kernel bound the tasks of the box, which it does for everybody but root.

        They are counted by user namespace, and by user with Linux before 5.14. So this must not come before the box has
        its namespace, whose own bound, on what the user runs elsewhere too, is the one of that moment.
        """
        most = self.limits["processes"] * _THREADS_EACH
        if self._kind == "limits" or _kernel() < (5, 14):
            most += sum(process.threads for process in self._machine.processes().values())
        with contextlib.suppress(OSError, ValueError):
            _, hard = resource.prlimit(pid, resource.RLIMIT_NPROC)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.prlimit(pid, resource.RLIMIT_NPROC, (most, most))

    def _forward(self, fd: int) -> bool:
        """Copy what one pipe holds to where it goes; whether there may be more."""
        try:
            piece = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        if fd == self._status_fd:
            self._told += piece
            if self._go_fd >= 0 and (first := self._first()):
                self._limit_number(first)
                # it may have ended
                with contextlib.suppress(OSError):
                    os.write(self._go_fd, b"g")
                os.close(self._go_fd)
                self._go_fd = -1
            return bool(piece)
        target, length = self._outputs[fd]
        room = self.limits["output"] - length
        if kept := piece[: max(0, room)]:
            os.write(target, kept)
        self._outputs[fd] = (target, length + len(piece))
        if len(piece) > room and not self.broke:
            self.broke = "output"
        return bool(piece) and self.broke != "output"

    def _collect(self) -> bool:
        """Take in who has ended; whether there are others."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._program:
                self._wait_status = status

    def _look(self, now: float) -> None:
        processes = self._processes()
        threads = sum(process.threads for process in processes.values())
        most = self.limits["processes"]
        if len(processes) > most or threads > most * _THREADS_EACH:
            self.broke = "processes"
            return
        if self._memory(processes, now) > self.limits["memory"]:
            self.broke = "memory"
            return
        self._look_at_disk(processes, now)

    def _processes(self) -> dict[int, Process]:
        """The program's, without what makes its box."""
        if self._inside is None and self._kind != "limits":
            self._inside = self._find_inside()
        if self._inside is not None:
            found = self._inside.processes()
            found.pop(1, None)
            return found
        found = below(self._machine.processes(), os.getpid())
        if self._kind != "limits":
            found.pop(self._program, None)
            found.pop(self._first(), None)
        return found

    def _find_inside(self) -> Proc | None:
        """The box's own `/proc`, once it is there: looking through it costs nothing for what else the machine runs."""
        first = self._first()
        if not first:
            return None
        outside = os.fstat(self._machine.folder).st_dev
        # the kernel lets users look through the program, and root through the first process as well
        for pid in (first, *below(self._machine.processes(), first)):
            try:
                folder = os.open(f"/proc/{pid}/root/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                continue
            inside = Proc(folder)
            if os.fstat(folder).st_dev != outside and inside.process(1) is not None:
                for name in ("../dev/shm", "../tmp"):
                    with contextlib.suppress(OSError):
                        self._in_memory.append(os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=folder))
                return inside
            os.close(folder)
        return None

    def _first(self) -> int:
        """The first process of the box's PID namespace, as the machine numbers it."""
        if not self._init:
            self._init = self._told_number(b"child-pid") or 0
        return self._init

    def _told_number(self, name: bytes) -> int | None:
        """A number out of the JSON that came with `_status_fd`; None where it has not come yet."""
        _, _, rest = self._told.partition(b'"' + name + b'":')
        rest = rest.strip()
        end = 0
        while rest[end : end + 1].isdigit():
            end += 1
        return int(rest[:end]) if 0 < end < len(rest) else None

    def _memory(self, processes: dict[int, Process], now: float) -> int:
        """Bytes resident, where they had to be counted well; 0 where it is sure that they are within the limit."""
        files = self._nameless
        for folder in self._in_memory:
            room = os.statvfs(folder)
            files += (room.f_blocks - room.f_bfree) * room.f_frsize
        # what is shared counts as often as it is shared: no less than there is
        most = files + sum(process.resident for process in processes.values())
        if most <= max(self.peak, _SMALL) or now < self._next_proportional:
            return 0
        if len(processes) == 1 and not files and most <= self.limits["memory"]:
            self.peak = most
            return 0
        procfs = self._inside or self._machine
        begin = time.monotonic()
        parts = [procfs.proportional(pid) for pid, process in processes.items() if not process.zombie]
        took = time.monotonic() - begin
        self._next_proportional = begin + (5 * took if most > self.limits["memory"] else max(0.1, 20 * took))
        # shared memory that is mapped is in both figures
        resident = sum(private for private, _ in parts) + max(files, sum(shared for _, shared in parts))
        self.peak = max(self.peak, resident)
        return resident

    def _count_nameless(self, processes: dict[int, Process]) -> int:
        """Bytes on disk in open files without a name; those in memory are kept for `_memory`."""
        procfs = self._inside or self._machine
        disks = set()
        for path in self.specification["counted"]:
            with contextlib.suppress(OSError):
                disks.add(os.stat(path).st_dev)
        known = {os.fstat(folder).st_dev for folder in self._in_memory}
        found: dict[tuple[int, int], int] = {}
        for pid in processes:
            try:
                names = procfs.names(f"{pid}/fd")
            except OSError:
                continue
            for name in names:
                with contextlib.suppress(OSError):
                    status = os.stat(f"{pid}/fd/{name}", dir_fd=procfs.folder)
                    if not status.st_nlink and stat.S_ISREG(status.st_mode):
                        found[status.st_dev, status.st_ino] = status.st_blocks * 512
        self._nameless = sum(size for (disk, _), size in found.items() if disk not in disks | known)
        return sum(size for (disk, _), size in found.items() if disk in disks)

    def _look_at_disk(self, processes: dict[int, Process], now: float) -> None:
        for folder in self._in_memory:
            room = os.statvfs(folder)
            if room.f_files - room.f_ffree > self.limits["files"]:
                self.broke = "disk"
                return
        if self._measure is None:
            if now < self._next_measure:
                return
            begin = time.monotonic()
            held = self._count_nameless(processes)
            self._measure_cost = time.monotonic() - begin
            self._measure = Measure(self.specification["counted"], self.limits["disk"], self.limits["files"], held)
        begin = time.monotonic()
        while not self._measure.done and time.monotonic() - begin < 0.01:
            self._measure.step()
        self._measure_cost += time.monotonic() - begin
        if self._measure.over:
            self.broke = "disk"
        elif self._measure.done:
            self._measure = None
            self._next_measure = time.monotonic() + max(0.2, 10 * self._measure_cost)

    def end_all(self) -> None:
        """End every process below this one and wait until none is left."""
        end = time.monotonic() + _LONGEST_END
        while time.monotonic() < end:
            found = below(self._machine.processes(), os.getpid())
            # with the first process of a PID namespace the kernel ends all of them, and a group at once cannot outrun
            # its end by forking; what remains is ended one by one
            targets = [self._first()] if self._first() in found else []
            targets += [-group for group in {process.group for process in found.values()} - {0, os.getpgrp()}]
            for target in (*targets, *found):
                with contextlib.suppress(OSError):
                    os.kill(target, signal.SIGKILL)
            if not self._collect():
                return
            time.sleep(0.001)

    def _answer(self) -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = number = None
        if not self.broke:
            told = self._told_number(b"wait-status") if self._kind == "namespaces" else self._wait_status
            if self._kind == "bubblewrap" and self._told_number(b"exit-code") is None:
                return {"failed": "bubblewrap could not make the box"}
            if told is None:
                return {"failed": "the first process of the box was killed"}
            code = os.waitstatus_to_exitcode(told)
            if code < 0 or (self._kind == "bubblewrap" and 128 < code <= 192):
                number = -code if code < 0 else code - 128
            else:
                status = code
        return {
            "status": status,
            "signal": number,
            "seconds": time.monotonic() - self.started,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            # a program that was too short to be looked at: its largest process
            "peak_memory": max(self.peak, used.ru_maxrss * 1024),
            "broke": self.broke,
        }


def _kernel() -> tuple[int, ...]:
    """Linux's version, its first two numbers; (0,) where it tells none."""
    try:
        return tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])
    except ValueError:
        return (0,)


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reading, False)
    return reading, writing


if __name__ == "__main__":
    sys.exit("this runs inside of assay's sandbox")
