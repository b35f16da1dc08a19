"""What is kept of environments, and what is given up."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from assay.trial import cached


def made(cache, name, size, used):
    folder = cache / "environments" / name
    folder.mkdir(parents=True)
    (folder / "assay.json").write_text(json.dumps({"left_out": {}, "doubtful": [], "bytes": size}))
    (cache / "environments" / f"{name}.use").touch()
    os.utime(cache / "environments" / f"{name}.use", (used, used))
    return folder


def test_what_was_used_last_is_kept(tmp_path):
    for name, used in (("a", 3), ("b", 1), ("c", 2)):
        made(tmp_path, name, 10, used)
    assert [entry.path.name for entry in cached.entries(tmp_path)] == ["a", "c", "b"]
    assert cached.prune(30, tmp_path) == []
    assert [entry.path.name for entry in cached.prune(20, tmp_path)] == ["b"]
    assert [entry.path.name for entry in cached.entries(tmp_path)] == ["a", "c"]
    assert len(cached.prune(0, tmp_path)) == 2
    assert not [path for path in (tmp_path / "environments").iterdir() if path.is_dir()]


def test_what_is_in_use_is_kept_as_long_as_the_process_lives(tmp_path):
    folder = made(tmp_path, "a", 10, 1)
    script = (
        "from pathlib import Path; from assay.trial import cached; "
        f"assert cached.hold(Path({str(folder)!r})); print(1, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        user.stdout.readline()
        assert [entry.in_use for entry in cached.entries(tmp_path)] == [True]
        assert cached.prune(0, tmp_path) == []
        user.kill()
    assert len(cached.prune(0, tmp_path)) == 1
    assert not cached.hold(folder)


def test_what_a_kill_left_half_built_is_removed_unless_somebody_builds_it(tmp_path):
    left = tmp_path / "environments" / ".a-xyz"
    left.mkdir(parents=True)
    from assay.analysis.resolution import locked

    with locked(tmp_path / "environments" / "a.lock"):
        cached.sweep(tmp_path)
        assert left.is_dir()
    cached.sweep(tmp_path)
    assert not left.exists()
