"""How much lies below folders, counted a little at a time, following no link."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE = 256


class Measure:
    """One walk. `step` goes on for a while; `done` says whether it has seen all.

    Args:
        folders: Where to begin.
        most_bytes: Beyond which counting ends early.
        most_files: The same for the number of files and folders.
        held: Bytes to begin with: files that have no name any more and are still open.
    """

    def __init__(self, folders: list[str], most_bytes: int, most_files: int, held: int = 0) -> None:
        self.bytes = held
        self.files = 0
        self.over = False
        self.done = False
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._links: set[tuple[int, int]] = set()
        self._walk = self._count(folders)

    def step(self) -> None:
        """Count a few hundred more."""
        try:
            next(self._walk)
        except StopIteration:
            self.done = True
        if self.over or self.bytes > self._most_bytes or self.files > self._most_files:
            self.over = self.done = True

    def _count(self, folders: list[str]) -> Iterator[None]:
        waiting = list(folders)
        seen = 0
        while waiting:
            folder = waiting.pop()
            try:
                listing = os.scandir(folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                # hidden by its mode: nobody needs that, so it counts as too much
                self.over = True
                return
            with listing:
                for entry in listing:
                    self._add(entry, waiting)
                    seen += 1
                    if seen % _AT_ONCE == 0:
                        yield

    def _add(self, entry: os.DirEntry[str], waiting: list[str]) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError:
            # deeper than a path can say
            self.over = True
            return
        self.files += 1
        if stat.S_ISDIR(status.st_mode):
            waiting.append(entry.path)
        elif status.st_nlink > 1:
            if (status.st_dev, status.st_ino) in self._links:
                return
            self._links.add((status.st_dev, status.st_ino))
        # what a file takes, not how long it says it is: a sparse one takes nothing
        self.bytes += status.st_blocks * 512
