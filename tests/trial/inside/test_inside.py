"""What all probes stand on: settings, events, hooks on imports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.trial.inside import columns, events, loading, settings, stops
from tests.trial.inside.watched_run import Stage


def test_settings_are_read_as_json_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"a": {"b": [1, 2.5, None, True, "ü\n"]}, "shrink": True, "limits": {"steps": 4}, "shims": ["x"]}
    for text in (json.dumps(given), json.dumps(given, indent=1) + "\n"):
        path = tmp_path / "settings.json"
        path.write_text(text)
        monkeypatch.setattr(settings, "PATH", str(path))
        monkeypatch.setattr(settings, "_values", None)
        assert settings.values() == given
    assert settings.get("a.b") == given["a"]["b"]  # type: ignore[index]
    assert (settings.get("a.c", 3), settings.limit("steps"), settings.limit("tokens")) == (3, 4, None)
    assert settings.shim("x")


def test_events_are_lines_of_json_whatever_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    monkeypatch.setattr(settings, "_values", {"events": str(path)})
    monkeypatch.setattr(events, "_descriptor", -1)
    events.emit("one", loss=float("nan"), big=10**400, path=Path("x"), keys={1: (2, {3})}, text="a" * 100_000)
    events.emit("two", many=[{"name": "b" * 900}] * 5_000)
    one, two = (json.loads(line) for line in path.read_text().splitlines())
    assert (one["loss"], one["path"], one["keys"]) == ("nan", "x", {"1": [2, [3]]})
    assert max(len(line) for line in path.read_bytes().splitlines()) <= events.LONGEST
    assert two["kind"] == "two"


def test_hooks_run_once_after_the_import_of_modules_and_packages(stage: Stage) -> None:
    text = """\
from assay_trial_inside import imports
seen = []
for name in ("json.tool", "package", "package.inner", "this_is_nowhere", "zipimport"):
    imports.when_imported(name, lambda module, name=name: seen.append((name, hasattr(module, "end"))))
import importlib.util, json.tool, zipimport
importlib.util.find_spec("package")
try:
    import this_is_nowhere
except ImportError:
    seen.append("missing")
import package, importlib
importlib.reload(package)
imports.when_imported("package", lambda module: seen.append("again"))
assert type(package.__spec__.loader).__name__ == "SourceFileLoader"
print(seen)
"""
    inner = "from assay_trial_inside import imports\nimports.when_imported('package', print)\n"
    stage.write({"a.py": text, "package/__init__.py": "from . import inner\nend = 1\n", "package/inner.py": inner})
    ran = stage.run("-m", "a")
    assert ran.status == 0, ran.errors
    shown = ran.output.splitlines()
    assert shown[0].startswith("<module 'package'")
    assert eval(shown[1]) == [
        ("zipimport", False),
        ("json.tool", False),
        "missing",
        ("package.inner", False),
        ("package", True),
        "again",
    ]


def test_a_worker_s_traceback_is_read_out_of_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_work", "/job/work/")
    text = (
        "Caught KeyError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
        '  File "/env/lib/python3.11/site-packages/torch/utils/data/_utils/worker.py", line 349, in _worker_loop\n'
        '    data = fetcher.fetch(index)\n  File "/job/work/src/train.py", line 12, in collate\n    row["x"]\n'
        "KeyError: 'x'\n"
    )
    own, others, name, message = stops.parse_traceback(text)
    assert own == [["src/train.py", 12, "collate"]]
    assert others == [["torch.utils.data._utils.worker", 349, "_worker_loop"]]
    assert (name, message) == ("KeyError", "'x'")


def test_lengths_are_scaled_in_proportion() -> None:
    assert loading.scaled([45000, 5000], 400) == [360, 40]
    assert loading.scaled([99999, 1], 10) == [9, 1]
    assert sum(loading.scaled([3, 0, 7], 5)) == 5


def test_a_function_is_found_behind_what_wraps_it() -> None:
    import functools

    assert columns.located(len) is None
    assert columns.located(functools.partial(len)) is None
