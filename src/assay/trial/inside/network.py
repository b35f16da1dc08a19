"""Refuses connections to other machines at once and tells who wanted one.

It works below all libraries, where names are resolved and sockets connect, so that each raises the very error that it
raises without a network (`requests.exceptions.ConnectionError`, `httpx.ConnectError`, `urllib.error.URLError`, ...).
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from . import events

_installed = False
_EXPLANATION = "this trial has no network"
# addresses that never leave the machine: RFC 1122 (127/8), RFC 4291 (::1), and "any", which connects to loopback
_LOOPBACK = ("127.", "::1", "0.0.0.0", "::ffff:127.")
_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost", "::", "broadcasthost"})


def install(module: Any) -> None:
    """Watch sockets. Called for each library that may want the network; works once."""
    global _installed
    if _installed:
        return
    _installed = True
    import errno
    import socket

    resolve = socket.getaddrinfo

    @functools.wraps(resolve)
    def getaddrinfo(host: Any, *arguments: Any, **keywords: Any) -> Any:
        # a number needs no name server: it is the connection to it that fails
        if _elsewhere(host) and not _is_address(host):
            # `datasets` makes other hosts' names out of the Hub's, which is loopback here
            if not str(host).endswith(".127.0.0.1"):
                _tell(host)
            # EAI_AGAIN is what a machine without a name server says
            raise socket.gaierror(socket.EAI_AGAIN, f"Temporary failure in name resolution ({_EXPLANATION}): {host}")
        return resolve(host, *arguments, **keywords)

    socket.getaddrinfo = getaddrinfo

    def refused(connect: Any) -> Any:
        @functools.wraps(connect)
        def watched(self: Any, address: Any) -> Any:
            if _refuses(self, address):
                _tell(address[0])
                raise OSError(errno.ENETUNREACH, f"Network is unreachable ({_EXPLANATION}): {address[0]}")
            return connect(self, address)

        return watched

    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, refused(getattr(socket.socket, name)))


def _refuses(connecting: Any, address: Any) -> bool:
    import socket

    # a datagram socket that is "connected" sends nothing yet: people ask it for the machine's own address
    if connecting.family not in (socket.AF_INET, socket.AF_INET6) or connecting.type == socket.SOCK_DGRAM:
        return False
    return isinstance(address, tuple) and bool(address) and _elsewhere(address[0])


def _elsewhere(host: Any) -> bool:
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "replace")
    if not isinstance(host, str):
        return False
    host = host.strip("[]").rstrip(".").lower()
    if host in _NAMES or host.endswith(".localhost") or host.startswith(_LOOPBACK):
        return False
    import socket

    return bool(host != socket.gethostname().lower())


def _is_address(host: Any) -> bool:
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, TypeError, ValueError):
            continue
        return True
    return False


@events.guarded
def _tell(host: Any) -> None:
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "replace")
    frames = events.own_frames()
    place = tuple(frames[-1][:2]) if frames else ()
    events.emit_once(("network", str(host), place), "network", host=str(host), call=_call(), frames=frames)


def _call() -> str:
    """The function that the submission called, or that of the outermost library where no file of its own is there."""
    frame: Any = sys._getframe(1)
    called = ""
    while frame is not None:
        code = frame.f_code
        if events.own_file(code.co_filename) is not None:
            break
        if not code.co_filename.startswith(events.HERE):
            called = f"{frame.f_globals.get('__name__', '')}.{code.co_name}"
        frame = frame.f_back
    return called
