"""The child that composes and enacts: one request comes in, one answer goes out, then it ends.

It is started before the submission is read, and gets Hydra ready while it waits. It knows nothing of the caller's
environment, and its memory, time and files are bounded.
"""

from __future__ import annotations

import io
import json
import os
import resource
import select
import signal
import sys
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

MEMORY = 1_536 * 1024 * 1024
FILE_SIZE = 16 * 1024 * 1024
OPEN_FILES = 64
RECURSION = 3_000


def main(folder: str, cpu_seconds: int) -> None:
    """Answer the request on standard input.

    Args:
        folder: A private, empty folder.
        cpu_seconds: How much processor time it may take from here on.
    """
    # whatever is printed goes to standard error; only the answer reaches the parent
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _limit(cpu_seconds)
    os.chdir(folder)
    try:
        answer = _answered(Path(folder))
    except MemoryError:
        answer = {"failed": f"it needed more than {MEMORY // 1024**2} MiB of memory"}
    except RecursionError:
        answer = {"failed": "it nests too deeply"}
    except Exception as error:
        answer = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    try:
        text = json.dumps(answer)
    except (TypeError, ValueError, MemoryError, RecursionError) as error:
        text = json.dumps({"failed": f"the answer cannot be written down ({type(error).__name__})"})
    answers.write(text)
    answers.flush()
    # nothing is left to tidy up: the parent removes the folder
    os._exit(0)


def _answered(folder: Path) -> dict[str, Any]:
    import gc

    # both are imported by OmegaConf and Hydra, are slow to load, and play no part in composing
    sys.modules.setdefault("attr", None)  # type: ignore[arg-type]
    sys.modules.setdefault("logging.config", ModuleType("logging.config"))
    # what is needed later is loaded while the parent reads the submission
    from . import enacting  # noqa: F401
    from .composing import Composer

    composer = Composer(folder)
    if not select.select([sys.stdin], [], [], 0)[0]:
        # the parent is still reading: there is time for what every composition needs
        composer.warm_up()
    # configurations are trees with links in both directions; collecting them costs more than they weigh
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    request = json.load(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"))
    return answer_request(request, composer, folder)


def answer_request(request: dict[str, Any], composer: Any, folder: Path) -> dict[str, Any]:
    """Compose what is asked for (`compositions`) and enact the programs (`commands`).

    Args:
        request: `files`, `resolvers`, and one of `compositions` and `commands`, or both.
        composer: Hydra over the folder.
        folder: A private folder, in which the files are laid out.
    """
    lay_out(folder, request.get("files", {}))
    composer.resolvers = frozenset(request.get("resolvers", ()))
    answer: dict[str, Any] = compose_all(request, composer) if "compositions" in request else {}
    if "commands" in request:
        from assay.analysis.enactment.enacting import enact

        answer.update(enact(request, composer))
    return answer


def lay_out(folder: Path, files: dict[str, str]) -> None:
    """Write the YAML files of a submission to their paths.

    Raises:
        ValueError: where a path leaves the folder.
    """
    for path, text in files.items():
        if not path.endswith((".yaml", ".yml")):
            continue
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or "\\" in path or "\0" in path or ".." in parts:
            raise ValueError(f"a path that leaves the submission: {path[:100]!r}")
        place = folder.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode("utf-8", "replace"))


def compose_all(request: dict[str, Any], composer: Any) -> dict[str, Any]:
    """The compositions that a request lists, each as a refusal, or as what is broken in what came out."""
    from .composing import Composed

    answers: list[dict[str, Any]] = []
    for asked in request["compositions"]:
        outcome = composer.compose(
            asked.get("config_dir"), asked.get("config_name"), asked.get("overrides", ()), asked.get("version_base")
        )
        if isinstance(outcome, Composed):
            broken = [list(item) for item in composer.unresolved(outcome.config)]
            answers.append({"keys": [str(key) for key in outcome.config], "broken": broken})
        else:
            answers.append(
                {"refusal": {name: getattr(outcome, name) for name in ("kind", "message", "override", "file", "key")}}
            )
    return {"compositions": answers}


def _limit(cpu_seconds: int) -> None:
    """Bound what this process may take. What the system bounds more tightly stays so."""
    wanted = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: FILE_SIZE,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, amount in wanted.items():
        _, hard = resource.getrlimit(kind)
        most = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):
            continue
    # a file beyond its limit is an error to be told, not a death
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sys.setrecursionlimit(RECURSION)
