"""What a boxed program sees of the file system, as steps that bubblewrap and assay's own namespaces both follow."""

from __future__ import annotations

# links must stay what they are written as
# ruff: noqa: PTH100, PTH110, PTH112, PTH114, PTH115, PTH117
import os
from pathlib import Path

# The user inside has no name outside. Where root asks, the program also is this user to the kernel; systemd's list of
# numbers in use (UIDS-GIDS.md) leaves 60706 to 61183 to nobody.
UID = GID = 60999

# Read by the dynamic loader, by TLS, by clocks, by fonts; nothing here is a secret.
_SHOWN_OF_ETC = (
    "/etc/ld.so.cache", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/localtime", "/etc/alternatives",
    "/etc/fonts", "/etc/mime.types",
)  # fmt: skip
# PyTorch's cpuinfo complains on stderr where it cannot count processors here.
_SHOWN_OF_SYS = ("/sys/devices/system/cpu", "/sys/devices/system/node")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")

_MADE_UP = {
    "/etc/passwd": f"root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nboxed:x:{UID}:{GID}:boxed:{{home}}:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "/etc/group": f"root:x:0:\nboxed:x:{GID}:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost box\n::1 localhost box\n",
    # names are looked up in the files above, and nowhere else
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
    "/etc/resolv.conf": "",
    "/etc/host.conf": "multi on\n",
}

# what lies in memory and no program should need much of
_TEMPORARY = 512 * 1024**2

# What of /proc reaches beyond a box. To a caller who is root outside, files there may be the box's user's own, and need
# no capability. So they are covered: folders read-only; files, where anybody may write them or they tell of the
# machine, by nothing at all.
_KEPT_OF_PROC = ("sys", "irq", "bus", "fs", "scsi", "acpi", "driver", "tty", "asound", "dynamic_debug", "pressure")
_HIDDEN_OF_PROC = (
    "kcore", "keys", "key-users", "timer_list", "latency_stats", "sched_debug", "kmsg", "kallsyms", "config.gz",
    "kpagecount", "kpageflags", "kpagecgroup", "sysrq-trigger",
)  # fmt: skip

Step = list[str | int]


def view(
    folder: Path, writable: tuple[Path, ...], readable: tuple[Path, ...], *, home: str, shared_memory: int
) -> list[Step]:
    """The steps that lay out the file system of a box, in order.

    `["tmpfs", path, bytes]`, `["proc", path]`, `["dev", path]`, `["show", source, path]` (read-only),
    `["write", source, path]`, `["text", path, content]`, `["link", target, path]`, `["folder", path]` and
    `["seal", path]` (read-only from here on, without what is mounted below it).

    Args:
        folder: The private folder of this run, shown read-only.
        writable: What the program may write.
        readable: What it may read besides; what does not exist is left out.
        home: Home of the user, for `/etc/passwd`.
        shared_memory: Most bytes in `/dev/shm`.
    """
    steps: list[Step] = [["proc", "/proc"], ["dev", "/dev"]]
    steps += _proc_covered()
    steps += [["tmpfs", "/dev/shm", shared_memory], ["seal", "/dev"]]
    steps += [["tmpfs", "/tmp", _TEMPORARY], ["folder", "/var"], ["link", "../tmp", "/var/tmp"]]
    for path in _SYSTEM:
        if os.path.islink(path) and not os.path.isabs(target := os.readlink(path)):
            steps.append(["link", target, path])
        elif os.path.isdir(path):
            steps.append(["show", path, path])
    steps += [
        ["show", os.path.realpath(path), path] for path in (*_SHOWN_OF_ETC, *_SHOWN_OF_SYS) if os.path.exists(path)
    ]
    steps += [["text", path, text.replace("{home}", home)] for path, text in _MADE_UP.items()]
    steps += [["link", "/proc/mounts", "/etc/mtab"]]

    shown: dict[str, Step] = {}
    for path in (str(path) for path in (*readable, folder)):
        if os.path.exists(path) and not _covered(path):
            shown[os.path.abspath(path)] = ["show", os.path.realpath(path), os.path.abspath(path)]
    for path in map(str, writable):
        shown[os.path.abspath(path)] = ["write", os.path.realpath(path), os.path.abspath(path)]
    # what lies inside of another comes after it
    steps += [shown[path] for path in sorted(shown, key=lambda path: (path.count("/"), path))]
    return [*steps, ["seal", "/"]]


def _covered(path: str) -> bool:
    return any(path == system or path.startswith(f"{system}/") for system in _SYSTEM)


def _proc_covered() -> list[Step]:
    steps: list[Step] = []
    with os.scandir("/proc") as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.isdigit() or entry.is_symlink():
                continue
            if entry.name in _KEPT_OF_PROC:
                steps.append(["show", entry.path, entry.path])
            elif entry.is_file() and (entry.name in _HIDDEN_OF_PROC or entry.stat().st_mode & 0o222):
                steps.append(["show", os.devnull, entry.path])
    return steps
