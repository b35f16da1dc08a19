"""Starts the local hub, then the step's command, and ends with the command's status.

Run as `python -m assay_trial_inside.launch` with ASSAY_TRIAL=off; the command itself is watched.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from . import events, settings

# seconds until the hub's port is known
PATIENCE = 20.0


def main() -> int:
    """Run the step's command; the status is the command's, 128 and more for a signal, 125 where nothing could start."""
    command = [str(part) for part in settings.get("command") or ()]
    if not command:
        print("launch: no command in the settings", file=sys.stderr)
        return 125
    hub: subprocess.Popen[bytes] | None = None
    environment = {name: value for name, value in os.environ.items() if name != "ASSAY_TRIAL"}
    started = time.time()
    try:
        if settings.get("hub") is not None:
            hub, port = _start_hub()
            if port is None:
                print("launch: the local hub did not start; see hub.log beside the events", file=sys.stderr)
                _exit_event(125, started, "the local hub did not start")
                return 125
            environment["HF_ENDPOINT"] = f"http://127.0.0.1:{port}"
            environment["HF_HUB_DISABLE_XET"] = "1"
            # datasets would ask a server of its own for each that it loads, only to count it
            environment["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
        started = time.time()
        status = _run(command, environment)
        _exit_event(status, started, "")
        return status if status >= 0 else 128 - status
    finally:
        if hub is not None:
            _end(hub)


def _run(command: list[str], environment: dict[str, str]) -> int:
    try:
        child = subprocess.Popen(command, cwd=settings.get("work"), env=environment)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127

    def forward(number: int, frame: Any) -> None:
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, forward)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def _start_hub() -> tuple[subprocess.Popen[bytes], int | None]:
    folder = tempfile.mkdtemp(prefix="hub-")
    port_file = os.path.join(folder, "port")
    # Python's own -P does not exist before 3.11, and the working directory holds modules of any name
    arguments = ["-m", f"{events.PACKAGE}.hub.server", "--settings", settings.PATH, "--port-file", port_file]
    log = os.path.join(os.path.dirname(settings.get("events") or port_file), "hub.log")
    with open(log, "ab") as said:
        hub = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, "ASSAY_TRIAL": "off"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and hub.poll() is None:
        try:
            with open(port_file, encoding="utf-8") as file:
                text = file.read().strip()
        except OSError:
            text = ""
        if text.isdigit():
            return hub, int(text)
        time.sleep(0.02)
    return hub, None


def _end(hub: subprocess.Popen[bytes]) -> None:
    hub.terminate()
    try:
        hub.wait(3)
    except subprocess.TimeoutExpired:
        hub.kill()
        hub.wait()


def _exit_event(status: int, started: float, note: str) -> None:
    more = {"note": note} if note else {}
    events.emit("exit", status=status, seconds=round(time.time() - started, 3), **more)


if __name__ == "__main__":
    sys.exit(main())
