"""A folder is read whole, read-only, and without leaving it."""

from __future__ import annotations

import os
import socket

import pytest

from assay import open_submission
from tests.submission.conftest import SEVEN, lay


def test_all_files_are_read_by_their_relative_paths(folder):
    submission = open_submission(folder)
    assert submission.kind == "folder"
    assert {path: submission.text(path) for path in submission.files} == SEVEN
    assert list(submission.files) == sorted(SEVEN)


def test_version_control_environments_and_caches_are_no_part_of_it(folder):
    lay(folder, {".git/config": "[core]", ".venv/lib/a.py": "(", "src/__pycache__/a.pyc": b"\0", ".cache/x.py": b"\0"})
    assert set(open_submission(folder).files) == set(SEVEN)


def test_data_and_weights_are_listed_and_left_unread(folder):
    lay(folder, {"weights.pt": b"\0" * 1000, "notes.md": b"\xff\xfe\xff", "figure.pdf": b"%PDF"})
    files = open_submission(folder).files
    assert [(path, files[path].text, files[path].size) for path in ("weights.pt", "notes.md", "figure.pdf")] == [
        ("weights.pt", None, 1000), ("notes.md", None, 3), ("figure.pdf", None, 4),
    ]  # fmt: skip


def test_a_large_text_that_is_no_code_is_listed_unread(folder):
    lay(folder, {"data.json": b"[" + b"1," * 6_000_000 + b"1]"})
    assert open_submission(folder).files["data.json"].text is None


def test_line_ends_and_byte_order_marks_are_evened_out(folder):
    lay(folder, {"src/train.py": b"\xef\xbb\xbfa = 1\r\nb = 2\rc = 3\n"})
    assert open_submission(folder).text("src/train.py") == "a = 1\nb = 2\nc = 3\n"


def test_a_declared_encoding_is_honoured(folder):
    lay(folder, {"src/train.py": "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1")})
    assert "name = 'é'" in (open_submission(folder).text("src/train.py") or "")


def test_a_folder_named_like_a_file_is_a_folder(folder):
    (folder / "src/train.py").unlink()
    lay(folder, {"src/train.py/inner.py": "x = 1\n"})
    files = open_submission(folder).files
    assert "src/train.py" not in files
    assert "src/train.py/inner.py" in files


def test_a_link_to_a_file_inside_is_that_file(folder):
    (folder / "src/other.py").symlink_to("train.py")
    assert open_submission(folder).text("src/other.py") == SEVEN["src/train.py"]


@pytest.mark.parametrize("target", ["../../outside.py", "/etc/passwd", "/dev/zero"])
def test_a_link_that_leads_out_is_refused(folder, refused, target):
    lay(folder.parent, {"outside.py": "secret = 1\n"})
    (folder / "src/other.py").symlink_to(target)
    line = refused(folder)
    assert line == "src/other.py: a symbolic link that leads out of the submission"


def test_a_linked_folder_is_refused_wherever_it_leads(folder, refused):
    (folder / "data").symlink_to("/etc")
    assert "data: a symbolic link that leads out" in refused(folder)
    (folder / "data").unlink()
    (folder / "data").symlink_to("src")
    assert "data: a symbolic link to something that is not a file" in refused(folder)


def test_a_link_into_version_control_is_refused(folder, refused):
    lay(folder, {".git/config": "[remote]\nurl = https://token@example.org"})
    (folder / "src/other.py").symlink_to("../.git/config")
    assert "a symbolic link into a folder that is no part of the submission" in refused(folder)


def test_link_loops_are_refused(folder, refused):
    (folder / "a.py").symlink_to("b.py")
    (folder / "b.py").symlink_to("a.py")
    assert refused(folder).startswith("a.py: ")


def test_pipes_sockets_and_devices_are_refused_without_waiting(folder, refused):
    os.mkfifo(folder / "src/pipe.py")
    assert refused(folder) == "src/pipe.py: not a regular file"
    (folder / "src/pipe.py").unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s.py"))
        assert refused(folder).startswith("s.py: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_without_permission_are_named(folder, refused):
    (folder / "src/train.py").chmod(0)
    assert refused(folder) == "src/train.py: Permission denied"
    (folder / "src/train.py").chmod(0o600)
    (folder / "src").chmod(0)
    try:
        assert refused(folder).endswith("src: Permission denied")
    finally:
        (folder / "src").chmod(0o700)


@pytest.mark.parametrize("name", [b"src/a\nb.py", b"src/\x1b[31mred.py", b"src/\xff.py"])
def test_names_that_cannot_be_printed_are_refused(folder, refused, name):
    with open(os.path.join(os.fsencode(folder), name), "wb") as stream:  # noqa: PTH118, PTH123
        stream.write(b"x = 1\n")
    line = refused(folder)
    assert "a file name with characters that cannot be printed" in line
    assert line.isprintable()


def test_an_empty_folder_holds_nothing_to_review(tmp_path, refused):
    assert refused(tmp_path).endswith(": no files to review")


def test_more_files_than_an_experiment_has_are_refused(tmp_path, refused, monkeypatch):
    monkeypatch.setattr("assay.submission.limits.MAX_FILES", 20)
    lay(tmp_path, {f"data/{number}.txt": "" for number in range(30)})
    assert "more than 20 files; name the folder of the experiment alone" in refused(tmp_path)


def test_a_very_deep_tree_is_refused(tmp_path, refused):
    depth = 300
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert "folders nested too deeply" in refused(tmp_path)


def test_a_link_that_appears_while_the_folder_is_read_is_not_followed(folder, tmp_path, refused, monkeypatch):
    (tmp_path / "secret.py").write_text("key = 1\n", encoding="utf-8")
    (folder / "src/model.py").unlink()
    (folder / "src/model.py").symlink_to(tmp_path / "secret.py")
    monkeypatch.setattr("pathlib.Path.is_symlink", lambda path: False)
    assert "src/model.py" in refused(folder)
