"""A box out of the kernel's namespaces, where bubblewrap is not installed: the same view, made by system calls.

The layout follows bubblewrap's: a new root in memory, the old one beside it while things are bound over, then gone.
See user_namespaces(7), mount_namespaces(7), pivot_root(2), mount_setattr(2).
"""

from __future__ import annotations

# starts a process before anything else happens; pathlib takes as long to import as all of it
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH116, PTH120, PTH211
import contextlib
import ctypes
import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)

_NEW_USER = 0x10000000
_NEW = 0x00020000 | 0x08000000 | 0x04000000 | 0x20000000 | 0x40000000  # mount, ipc, uts, pid, net
_NEW_CGROUP = 0x02000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_SLAVE = 2, 4, 8, 4096, 16384, 1 << 19
_MNT_DETACH = 2
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_SYS_MOUNT_SETATTR = 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
_AF_INET, _SOCK_DGRAM = 2, 2
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40
PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 4, 24, 38, 47
_LAST_CAPABILITY = 63

# number of the user namespace that assay itself is in
_OUTSIDE = os.stat("/proc/self/ns/user").st_ino

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def prctl(option: int, value: int = 0, *rest: int) -> int:
    """prctl(2), without a complaint."""
    return int(_LIBC.prctl(option, *(ctypes.c_ulong(number) for number in (value, *rest, 0, 0, 0)[:4])))


def leave(specification: dict[str, Any], users_fd: int | None) -> None:
    """Go into new namespaces, as a user without a name; the next child is the first process of the new PID namespace.

    Args:
        specification: What the caller sent: `uid`, `gid`.
        users_fd: The user namespace to use, from `users_of_root`; None for one of its own.

    Raises:
        OSError: The kernel does not allow it.
    """
    uid, gid = os.geteuid(), os.getegid()
    new = _NEW
    if users_fd is None:
        new |= _NEW_USER
    elif _LIBC.setns(users_fd, _NEW_USER):
        _complain("setns")
    if _LIBC.unshare(new | _NEW_CGROUP) and _LIBC.unshare(new):
        _complain("unshare")
    if users_fd is None:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{specification['uid']} {uid} 1")
        _write("/proc/self/gid_map", f"{specification['gid']} {gid} 1")


def become(specification: dict[str, Any]) -> None:
    """Turn from root into the user of the box, for good."""
    os.setgroups([])
    os.setresgid(*[specification["gid"]] * 3)
    os.setresuid(*[specification["uid"]] * 3)


def users_of_root(specification: dict[str, Any]) -> int:
    """A user namespace, as a descriptor, that knows all users by the numbers that they have, and has none within it.

    It belongs to the user of the box, so who has become that user has all power in it, until that is given up; with it
    the view can be laid out from what only root may reach.

    Raises:
        OSError: The kernel does not allow it.
    """
    asks, answers = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
    holder = os.fork()
    if holder == 0:
        try:
            os.close(asks[0])
            os.close(answers[1])
            become(specification)
            if _LIBC.unshare(_NEW_USER):
                _complain("unshare")
            # not dumpable since it has become another user: its files in /proc would be root's
            prctl(_PR_SET_DUMPABLE, 1)
            os.write(asks[1], b"1")
            if os.read(answers[0], 1):
                _close_to_others("/proc")
                os.write(asks[1], b"2")
                os.read(answers[0], 1)
        except OSError as error:
            os.write(asks[1], f"0{error}".encode())
        finally:
            os._exit(0)
    os.close(asks[1])
    os.close(answers[0])
    try:
        _heard(asks[0], b"1")
        for name in ("uid_map", "gid_map"):
            _write(f"/proc/{holder}/{name}", f"0 0 {specification['numbers']}")
        os.write(answers[1], b"1")
        _heard(asks[0], b"2")
        return os.open(f"/proc/{holder}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(asks[0])
        os.close(answers[1])
        os.waitpid(holder, 0)


def _heard(fd: int, wanted: bytes) -> None:
    said = os.read(fd, 4096)
    if said != wanted:
        raise OSError(f"no user namespace for root: {said[1:].decode(errors='replace')}")


def enter(specification: dict[str, Any]) -> None:
    """As the first process of the new namespaces, lay out the view, bring loopback up and give up all power.

    Raises:
        OSError: One of its steps failed.
    """
    _LIBC.sethostname(b"box", ctypes.c_size_t(3))
    # the module for sockets takes long to import
    device = _LIBC.socket(_AF_INET, _SOCK_DGRAM, 0)
    if device < 0:
        _complain("socket")
    fcntl.ioctl(device, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP | _IFF_RUNNING))
    os.close(device)
    _lay_out(specification["view"])
    os.chdir(specification["cwd"])
    renounce()
    # the first process holds what the program must not reach
    prctl(_PR_SET_DUMPABLE, 0)


def _lay_out(view: list[list[Any]]) -> None:
    os.umask(0o022)
    _mount(None, "/", None, _MS_REC | _MS_SLAVE)
    _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755")
    os.chdir("/tmp")
    os.mkdir("old")
    os.mkdir("new")
    _pivot_root(".", "old")
    os.chdir("/")
    _mount("tmpfs", "/new", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755,size=16m")
    for step in view:
        _follow(step)
    os.chdir("/new")
    _LIBC.umount2(b"/old", _MNT_DETACH)
    _pivot_root(".", ".")
    if _LIBC.umount2(b".", _MNT_DETACH):
        _complain("umount2")
    os.chdir("/")


def _follow(step: list[Any]) -> None:
    kind, path = step[0], "/new" + (step[1] if len(step) == 2 or step[0] in ("tmpfs", "text") else step[2])
    match kind:
        case "tmpfs":
            os.makedirs(path, exist_ok=True)
            # a file in memory takes some memory however short it is
            _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=1777,size={step[2]},nr_inodes=65536")
        case "show" | "write":
            _bind(f"/old{step[1]}", path, _ATTR_NOSUID | _ATTR_NODEV | (_ATTR_RDONLY if kind == "show" else 0))
        case "text":
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _write(path, step[2], os.O_CREAT | os.O_EXCL)
        case "link":
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(step[1], path)
        case "proc":
            _proc(path)
        case "dev":
            _dev(path)
        case "folder":
            os.makedirs(path, exist_ok=True)
        case "seal":
            _set(path, _ATTR_RDONLY | _ATTR_NOSUID, 0)


def _proc(path: str) -> None:
    os.makedirs(path, exist_ok=True)
    _mount("proc", path, "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _close_to_others(path)


def _close_to_others(proc: str) -> None:
    """No user namespaces within this process's: they are where the kernel's holes are found."""
    with contextlib.suppress(OSError):
        # the setting is of the user namespace that a process is in, and that must never be the machine's own
        if os.stat(f"{proc}/self/ns/user").st_ino != _OUTSIDE:
            _write(f"{proc}/sys/user/max_user_namespaces", "0")


def _dev(path: str) -> None:
    os.makedirs(path, exist_ok=True)
    _mount("tmpfs", path, "tmpfs", _MS_NOSUID, "mode=0755,size=1m")
    for name in _DEVICES:
        _bind(f"/old/dev/{name}", f"{path}/{name}", 0)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{path}/{name}")
    os.mkdir(f"{path}/shm", 0o1777)
    os.mkdir(f"{path}/pts")
    _mount("devpts", f"{path}/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    os.symlink("pts/ptmx", f"{path}/ptmx")


def _bind(source: str, path: str, attributes: int) -> None:
    if os.path.isdir(source):
        os.makedirs(path, exist_ok=True)
    elif not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write(path, "", os.O_CREAT)
    _mount(source, path, None, _MS_BIND | _MS_REC)
    if attributes:
        _set(path, attributes, _AT_RECURSIVE)


def _set(path: str, attributes: int, flags: int) -> None:
    wanted = struct.pack("4Q", attributes, 0, 0, 0)
    number = ctypes.c_long(_SYS_MOUNT_SETATTR)
    if _LIBC.syscall(number, _AT_FDCWD, path.encode(), flags, wanted, ctypes.c_size_t(len(wanted))):
        _complain(f"mount_setattr of {path}")


def renounce() -> None:
    """No capability now, nor by any program that is executed later.

    Raises:
        OSError: The kernel does not allow it.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(_PR_CAP_AMBIENT, 4)
    for capability in range(_LAST_CAPABILITY + 1):
        prctl(_PR_CAPBSET_DROP, capability)
    header = struct.pack("Ii", 0x20080522, 0)
    if _LIBC.capset(header, bytes(24)):
        _complain("capset")


def _mount(source: str | None, path: str, kind: str | None, flags: int, options: str = "") -> None:
    texts = [None if text is None else text.encode() for text in (source, path, kind)]
    if _LIBC.mount(*texts, ctypes.c_ulong(flags), options.encode() or None):
        _complain(f"mount of {path}")


def _pivot_root(new: str, old: str) -> None:
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(f"the number of pivot_root is not known on {os.uname().machine}")
    if _LIBC.syscall(ctypes.c_long(number), new.encode(), old.encode()):
        _complain("pivot_root")


def _write(path: str, text: str, flags: int = 0) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o644)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _complain(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")
