"""The command line by which bubblewrap makes a box."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def command(
    specification: dict[str, Any], status_fd: int, go_fd: int, users_fd: int | None
) -> tuple[list[str], list[int]]:
    """The command line, and the file descriptors that bubblewrap must inherit.

    Args:
        specification: What the caller sent: `bubblewrap`, `closes`, `view`, `cwd`, `argv`, `uid`, `gid`.
        status_fd: Where bubblewrap is to write its JSON status.
        go_fd: What it reads a byte from before it starts the program.
        users_fd: The user namespace to use; None for one of its own.
    """
    if users_fd is None:
        users = ["--unshare-user", *(["--disable-userns"] if specification["closes"] else [])]
    else:
        users = ["--userns", str(users_fd)]
    line = [
        specification["bubblewrap"],
        *users,
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--uid",
        str(specification["uid"]),
        "--gid",
        str(specification["gid"]),
        "--hostname",
        "box",
        "--json-status-fd",
        str(status_fd),
        "--block-fd",
        str(go_fd),
    ]
    inherited = [status_fd, go_fd, *([] if users_fd is None else [users_fd])]
    sized = specification["sized_tmpfs"]
    for step in specification["view"]:
        match step:
            case ["tmpfs", path, size]:
                line += [*(["--size", str(size)] if sized else []), "--tmpfs", path]
            case ["show", source, path]:
                line += ["--ro-bind", source, path]
            case ["write", source, path]:
                line += ["--bind", source, path]
            case ["text", path, text]:
                fd = os.memfd_create("text", 0)
                os.write(fd, text.encode())
                os.lseek(fd, 0, os.SEEK_SET)
                inherited.append(fd)
                line += ["--ro-bind-data", str(fd), path]
            case ["link", target, path]:
                line += ["--symlink", target, path]
            case ["proc", path]:
                line += ["--proc", path]
            case ["dev", path]:
                line += ["--dev", path]
            case ["folder", path]:
                line += ["--dir", path]
            case ["seal", path]:
                line += ["--remount-ro", path]
    return [*line, "--chdir", specification["cwd"], "--", *specification["argv"]], inherited
