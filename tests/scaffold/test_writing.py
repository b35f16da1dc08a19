"""A new folder is there as a whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.scaffold.writing import write_folder

FILES = {"a.txt": "a\n", "deep/er/b.txt": "ü\n"}


def contents(root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): p.read_text("utf-8") for p in root.rglob("*") if p.is_file()}


def everything(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def refusal(folder, files=FILES):
    with pytest.raises(InputError) as raised:
        write_folder(folder, files)
    return str(raised.value)


def test_a_new_folder_holds_the_files_and_nothing_else_is_left(tmp_path):
    write_folder(tmp_path / "new", FILES)
    assert contents(tmp_path / "new") == FILES
    assert everything(tmp_path) == ["new", "new/a.txt", "new/deep", "new/deep/er", "new/deep/er/b.txt"]


def test_folders_above_are_made(tmp_path):
    write_folder(tmp_path / "x/y/new", FILES)
    assert contents(tmp_path / "x/y/new") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_rights_are_those_of_any_new_file(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    write_folder(tmp_path / "new", FILES)
    for new, other in (("new", "other"), ("new/deep", "other"), ("new/a.txt", "other/file")):
        assert stat.S_IMODE((tmp_path / new).stat().st_mode) == stat.S_IMODE((tmp_path / other).stat().st_mode)


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path, monkeypatch):
    folder = tmp_path / "new"
    folder.mkdir()
    before = folder.stat().st_ino
    monkeypatch.chdir(folder)
    write_folder(Path(), FILES)
    assert folder.stat().st_ino == before
    assert contents(Path()) == FILES
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "deep"]


def test_a_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    write_folder(tmp_path / "link", FILES)
    assert contents(tmp_path / "there") == FILES


@pytest.mark.parametrize("held", ["notes.txt", ".git"])
def test_a_folder_that_holds_something_is_left_alone(held, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / held).touch()
    assert f"it holds '{held}'" in refusal(tmp_path / "new")
    assert everything(tmp_path) == ["new", f"new/{held}"]


def test_a_file_of_the_name_is_left_alone(tmp_path):
    (tmp_path / "new").write_text("mine")
    assert "there already, and no folder" in refusal(tmp_path / "new")
    assert contents(tmp_path) == {"new": "mine"}


def test_a_link_to_a_folder_that_is_not_there_yet_is_followed(tmp_path):
    (tmp_path / "link").symlink_to("there")
    write_folder(tmp_path / "link", FILES)
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "there") == FILES


def test_links_in_a_circle_are_an_error_of_one_line(tmp_path):
    (tmp_path / "link").symlink_to("link")
    assert refusal(tmp_path / "link/new").endswith("; nothing was written")


def test_a_way_through_a_folder_that_is_not_there_does_not_hide_what_is(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/a.txt").write_text("mine")
    assert "it holds 'a.txt'" in refusal(tmp_path / "absent/../new")
    assert contents(tmp_path) == {"new/a.txt": "mine"}


def test_a_file_above_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file/new") == f"{tmp_path}/file/new: Not a directory; nothing was written"


def test_a_name_that_is_too_long_is_an_error_and_nothing_is_left(tmp_path):
    said = refusal(tmp_path / "x" / ("n" * 300))
    assert "too long; nothing was written" in said
    assert everything(tmp_path) == []


def test_a_path_that_no_system_takes_is_an_error(tmp_path):
    assert "nothing was written" in refusal(tmp_path / "a\0b/new")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
@pytest.mark.parametrize("is_there", [True, False])
def test_without_the_right_to_write_nothing_changes(is_there, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    assert "Permission denied; nothing was written" in refusal(folder if is_there else folder / "new")
    assert everything(tmp_path) == ["locked"]


@pytest.mark.parametrize("is_there", [True, False], ids=["into an empty folder", "as a new folder"])
def test_when_the_disk_takes_no_more_nothing_is_left(is_there, tmp_path):
    folder = tmp_path / "new"
    if is_there:
        folder.mkdir()
    before = everything(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        said = refusal(folder, {"a.txt": "fits", "z.txt": "too large" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert said.endswith("nothing was written")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("point", ["before the last file", "before the move"])
def test_killed_while_writing_the_folder_is_not_there(point, tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from assay.scaffold.writing import write_folder

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "before the move":
    Path.rename = kill
    files = {"a.txt": "a"}
else:
    class Files(dict):
        def items(self):
            yield "a.txt", "a"
            kill()
    files = Files()
write_folder(Path(sys.argv[1]) / "new", files)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path), point], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "new").exists()
    # beside the new folder, so that both are on one file system and a rename is all it takes
    assert [path.name.rpartition("-")[0] for path in tmp_path.iterdir()] == [".assay-new"]
    write_folder(tmp_path / "new", FILES)
    assert contents(tmp_path / "new") == FILES


def test_when_an_entry_cannot_be_moved_those_before_it_are_taken_back(tmp_path, monkeypatch):
    folder = tmp_path / "new"
    folder.mkdir()
    rename = Path.rename

    def fail_at_last(path, target):
        if path.name == "z":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_at_last)
    assert "No space left on device; nothing was written" in refusal(folder, {"a.txt": "a", "deep/b": "b", "z": "z"})
    assert everything(tmp_path) == ["new"]


def test_interrupted_by_the_keyboard_nothing_is_left(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "new", FILES)
    assert everything(tmp_path) == []
