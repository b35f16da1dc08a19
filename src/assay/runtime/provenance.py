"""What a run was made with: code, libraries, hardware."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any


def provenance(root: Path) -> dict[str, Any]:
    """Git commit, library versions and hardware, ready for JSON.

    Args:
        root: Folder of the submission.
    """
    return {
        "git": git_state(root),
        "python": platform.python_version(),
        "versions": library_versions(),
        "hardware": hardware(),
    }


def git_state(root: Path) -> dict[str, Any] | None:
    """Commit and whether files differ from it; None outside a git repository, or without git."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return {"commit": commit, "changed": bool(changed) if changed is not None else None}


def library_versions() -> dict[str, str]:
    """Version of each installed distribution, by its name."""
    from importlib import metadata  # slow to import, and wanted only where a run begins

    found = {item.name: item.version for item in metadata.distributions() if item.name}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def hardware() -> dict[str, Any]:
    """Processor, memory in bytes, and the GPUs that PyTorch sees."""
    pages = os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in os.sysconf_names else 0
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": pages * os.sysconf("SC_PAGE_SIZE") if pages > 0 else None,
        "gpus": [],
    }
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            for index in range(torch.cuda.device_count()):
                properties = torch.cuda.get_device_properties(index)
                found["gpus"].append({"name": properties.name, "memory_bytes": properties.total_memory})
            found["cuda"] = torch.version.cuda
    return found


def choose_device(wanted: str | None = None) -> Any:
    """The `torch.device` to compute on: the one that is wanted, else a GPU where there is one.

    Raises:
        RuntimeError: PyTorch does not know such a device.
    """
    import torch

    if wanted and wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20, check=False, encoding="utf-8"
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
