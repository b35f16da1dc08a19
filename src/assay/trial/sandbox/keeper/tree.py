"""The processes of a box, looked at from outside through `/proc`."""

from __future__ import annotations

# starts a process before anything else happens; pathlib takes as long to import as all of it
# ruff: noqa: PTH208
import os

PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """One process as `/proc` told of it.

    Args:
        pid: Its number in the `/proc` that was read.
        parent: The number of its parent.
        group: The number of its process group.
        threads: How many it has.
        resident: Bytes resident, with what it shares.
        zombie: Whether it has ended and waits to be collected.
    """

    # no dataclass: that module takes as long to import as all of the keeper's
    __slots__ = ("group", "parent", "pid", "resident", "threads", "zombie")

    def __init__(self, pid: int, parent: int, group: int, threads: int, resident: int, *, zombie: bool) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.threads = threads
        self.resident = resident
        self.zombie = zombie


class Proc:
    """One `/proc`: the machine's, or that of a box's own PID namespace, which lists nothing else.

    Args:
        folder: An open file descriptor of it.
    """

    def __init__(self, folder: int) -> None:
        self.folder = folder

    def read(self, path: str) -> bytes:
        """Up to 64 kB of a file; empty where it went away or may not be read."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.folder)
        except OSError:
            return b""
        try:
            return os.read(fd, 65536)
        except OSError:
            return b""
        finally:
            os.close(fd)

    def names(self, path: str) -> list[str]:
        """What a folder lists.

        Raises:
            OSError: It has gone, or may not be read.
        """
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.folder)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def processes(self) -> dict[int, Process]:
        """All that are listed now."""
        found = {}
        try:
            names = os.listdir(self.folder)
        except OSError:
            # the namespace has ended
            names = []
        for name in names:
            if name.isdigit() and (process := self.process(int(name))) is not None:
                found[process.pid] = process
        return found

    def process(self, pid: int) -> Process | None:
        """One of them; None where it has gone."""
        # the name, in brackets, may hold anything
        fields = self.read(f"{pid}/stat").rpartition(b")")[2].split()
        if len(fields) < 22:
            return None
        return Process(
            pid, int(fields[1]), int(fields[2]), int(fields[17]), int(fields[21]) * PAGE, zombie=fields[0] in b"ZX"
        )

    def proportional(self, pid: int) -> tuple[int, int]:
        """Bytes resident of one process, what it shares divided by those who share it: (without, of) shared memory."""
        private = shared = 0
        known = False
        for line in self.read(f"{pid}/smaps_rollup").splitlines():
            key, _, rest = line.partition(b":")
            if key in (b"Pss_Anon", b"Pss_File"):
                private += int(rest.split()[0]) * 1024
                known = True
            elif key == b"Pss_Shmem":
                shared += int(rest.split()[0]) * 1024
        if not known:
            # the kernel does not say: what is its own, at the least
            fields = self.read(f"{pid}/statm").split()
            if len(fields) > 2:
                private = (int(fields[1]) - int(fields[2])) * PAGE
        return private, shared


def machine() -> Proc:
    """The machine's own `/proc`."""
    return Proc(os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


def below(processes: dict[int, Process], root: int) -> dict[int, Process]:
    """Those that descend from one process, without itself."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: dict[int, Process] = {}
    left = [root]
    while left:
        for pid in children.get(left.pop(), ()):
            if pid not in found:
                found[pid] = processes[pid]
                left.append(pid)
    return found
