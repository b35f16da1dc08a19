"""A git revision is read from its objects: nothing is checked out, fetched, or started."""

from __future__ import annotations

import hashlib
import os
import zlib

import pytest

from assay import open_submission
from tests.submission.conftest import SEVEN, commit, git, lay

MARKER = "ran"


@pytest.fixture
def repository(folder):
    """The seven files, committed, and then changed in the working tree."""
    commit(folder)
    lay(folder, {"src/train.py": "changed = True\n", "src/new.py": ""})
    return folder


@pytest.fixture
def bare(repository, tmp_path):
    path = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), str(path))
    return path


def texts(submission):
    return {path: submission.text(path) for path in submission.files}


def test_a_working_tree_is_read_as_it_was_committed(repository):
    submission = open_submission(repository, rev="HEAD")
    assert submission.kind == "revision"
    assert submission.name == f"{repository}@HEAD"
    assert texts(submission) == SEVEN


def test_a_bare_repository_is_read(bare):
    assert texts(open_submission(bare, rev="main")) == SEVEN


def test_a_bare_repository_without_a_revision_asks_for_one(bare, refused):
    assert refused(bare).endswith("a bare git repository; name what to review with --rev")


def test_a_folder_inside_a_working_tree_is_read_alone(tmp_path):
    lay(tmp_path / "all/one", SEVEN)
    commit(tmp_path / "all", {"other.py": "x = 1\n", "one-more/a.py": ""})
    assert texts(open_submission(tmp_path / "all/one", rev="main")) == SEVEN


def test_a_folder_that_the_revision_lacks_is_named(tmp_path, refused):
    commit(tmp_path, {"a.py": ""})
    (tmp_path / "later").mkdir()
    assert refused(tmp_path / "later", rev="HEAD").endswith("the revision has no folder later/")


@pytest.mark.parametrize("make", [lambda c: c[:8], lambda c: "main", lambda c: "v1", lambda c: "HEAD^{commit}"])
def test_commits_branches_and_tags_name_a_revision(repository, make):
    git(repository, "tag", "--annotate", "--message=one", "v1")
    assert texts(open_submission(repository, rev=make(git(repository, "rev-parse", "HEAD")))) == SEVEN


@pytest.mark.parametrize(
    "revision",
    ["none", "", "-1", "--all", "--output=/tmp/x", "HEAD\n", "HEAD\nHEAD", "a b", "HEAD..main", "HEAD^@", "\x1b[31m",
     "\0", "\udcff", "HEAD:src", "x" * 100_000],
)  # fmt: skip
def test_anything_else_is_an_unknown_revision(repository, refused, revision):
    commit(repository)
    assert "unknown revision" in refused(repository, rev=revision)


def test_a_blob_is_no_revision(repository, refused):
    blob = git(repository, "rev-parse", "HEAD:src/train.py")
    assert "unknown revision" in refused(repository, rev=blob)


def test_what_is_no_repository_says_what_to_do(tmp_path, refused):
    lay(tmp_path, {"a.json": "{}"})
    for path in (tmp_path, tmp_path / "a.json"):
        assert refused(path, rev="HEAD").endswith("not a git repository; leave out --rev to review it as it is")
    assert refused(tmp_path / "none", rev="HEAD").endswith("no such file or folder")


def test_links_inside_are_followed_and_links_out_are_refused(folder, refused):
    (folder / "src/one.py").symlink_to("two.py")
    (folder / "src/two.py").symlink_to("train.py")
    commit(folder)
    submission = open_submission(folder, rev="HEAD")
    assert submission.text("src/one.py") == submission.text("src/two.py") == SEVEN["src/train.py"]
    for number, target in enumerate(["/etc/passwd", "../../outside.py", "..", "src", "one.py/x", "loop.py"]):
        (folder / "loop.py").unlink(missing_ok=True)
        (folder / "loop.py").symlink_to(target)
        commit(folder)
        line = refused(folder, rev="HEAD")
        assert line.startswith("loop.py: a symbolic link"), number


def test_submodules_are_listed_unread(repository):
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendored")
    git(repository, "commit", "--quiet", "--message=submodule")
    assert open_submission(repository, rev="HEAD").files["vendored"].text is None


def test_large_code_is_refused_and_large_data_listed(folder, refused):
    commit(folder, {"data.json": b" " * 11_000_000})
    assert open_submission(folder, rev="HEAD").files["data.json"].text is None
    commit(folder, {"src/big.py": b"#" * 11_000_000})
    assert (
        refused(folder, rev="HEAD") == "src/big.py: 11,000,000 bytes, more than the 10,485,760 that one file may have"
    )


@pytest.mark.parametrize("name", [b"a\nb.py", b"\x1b[31m.py", b"\xff.py"])
def test_names_that_cannot_be_printed_are_refused(folder, refused, name):
    commit(folder)
    blob = git(folder, "hash-object", "-w", "--stdin")
    git(folder, "update-index", "-z", "--add", "--index-info", send=f"100644 {blob}\t".encode() + name + b"\0")
    git(folder, "commit", "--quiet", "--message=name")
    assert "cannot be printed" in refused(folder, rev="HEAD")


def put(repository, kind, content):
    """Write a loose object as it is, without git's own checks."""
    data = f"{kind} {len(content)}\0".encode() + content
    name = hashlib.sha1(data).hexdigest()
    lay(repository / ".git/objects", {f"{name[:2]}/{name[2:]}": zlib.compress(data)})
    return name


def commit_tree(repository, tree):
    return put(repository, "commit", f"tree {tree}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nx\n".encode())


@pytest.mark.parametrize("name", ["..", ".", "a/../../b.py", ""])
def test_trees_with_names_that_lead_elsewhere_are_refused(repository, refused, name):
    blob = put(repository, "blob", b"x = 1\n")
    tree = put(repository, "tree", f"100644 {name}\0".encode() + bytes.fromhex(blob))
    assert refused(repository, rev=commit_tree(repository, tree))


def test_a_name_that_stands_twice_is_refused(repository, refused):
    entries = [b"100644 a.py\0" + bytes.fromhex(put(repository, "blob", text)) for text in (b"1", b"2")]
    tree = put(repository, "tree", b"".join(entries))
    assert "'a.py': a broken tree" in refused(repository, rev=commit_tree(repository, tree))


def test_a_tree_that_repeats_itself_a_billion_times_is_refused(repository, refused):
    entry = b"100644 %d.py\0" + bytes.fromhex(put(repository, "blob", b""))
    tree = put(repository, "tree", b"".join(entry.replace(b"%d", str(n).encode()) for n in range(10)))
    for _ in range(12):
        tree = put(repository, "tree", b"".join(f"40000 {n}\0".encode() + bytes.fromhex(tree) for n in range(10)))
    assert "more than 10,000 files" in refused(repository, rev=commit_tree(repository, tree))


def test_objects_that_inflate_to_gigabytes_are_refused(repository, refused):
    size = 3 * 1024**3
    compressor = zlib.compressobj(9)
    header = f"commit {size}\0".encode()
    data = [compressor.compress(header), *(compressor.compress(bytes(2**24)) for _ in range(24)), compressor.flush()]
    lay(repository / ".git/objects", {f"ab/{'1' * 38}": b"".join(data)})
    assert "unknown revision" in refused(repository, rev="ab" + "1" * 38)


def test_a_missing_object_that_is_no_code_is_listed_unread(folder):
    commit(folder, {**SEVEN, "notes.txt": "long"})
    blob = git(folder, "rev-parse", "HEAD:notes.txt").strip()
    (folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    submission = open_submission(folder, rev="HEAD")
    assert submission.files["notes.txt"].text is None
    assert submission.text("src/train.py") == SEVEN["src/train.py"]


def test_missing_objects_are_named_and_not_fetched(folder, tmp_path, refused):
    commit(folder)
    git(folder, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{folder}", "partial.git")
    assert "partial clone" in refused(tmp_path / "partial.git", rev="main")


HOSTILE = {
    "fsmonitor": "[core]\n\tfsmonitor = touch {marker}; false\n",
    "pager": "[core]\n\tpager = touch {marker}\n[pager]\n\tls-tree = touch {marker}\n\trev-parse = touch {marker}\n",
    "alias": "[alias]\n\tls-tree = !touch {marker}\n\tcat-file = !touch {marker}\n\trev-parse = !touch {marker}\n",
    "hooks": "[core]\n\thooksPath = {folder}/hooks\n",
    "ssh": "[core]\n\tsshCommand = touch {marker}\n\tgitProxy = touch {marker}\n\taskPass = touch {marker}\n",
    "textconv": (
        '[diff "x"]\n\ttextconv = touch {marker};cat\n\tcommand = touch {marker}\n[diff]\n\texternal = touch {marker}\n'
    ),
    "filter": '[filter "x"]\n\tsmudge = touch {marker};cat\n\tclean = touch {marker};cat\n\tprocess = touch {marker}\n',
    "gpg": "[gpg]\n\tprogram = touch {marker}\n[log]\n\tshowSignature = true\n",
}


@pytest.mark.parametrize("setting", HOSTILE)
def test_no_program_that_the_repository_names_is_started(folder, tmp_path, setting):
    commit(folder, {".gitattributes": "* diff=x filter=x\n"})
    marker = tmp_path / MARKER
    hooks = ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc", "fsmonitor-watchman")
    for name in hooks:
        for place in (".git/hooks", "hooks"):
            lay(folder, {f"{place}/{name}": f"#!/bin/sh\ntouch {marker}\n"})
            (folder / place / name).chmod(0o755)
    with (folder / ".git/config").open("a") as config:
        config.write(HOSTILE[setting].format(marker=marker, folder=folder))
    assert "src/train.py" in open_submission(folder, rev="HEAD")
    assert not marker.exists()


@pytest.mark.parametrize(
    "remote",
    ["url = ext::touch {marker}", "url = file://{folder}\n\tuploadpack = touch {marker}; git-upload-pack",
     "url = {folder}\n\tuploadpack = touch {marker}; git-upload-pack", "url = ssh://host.invalid/x", "vcs = ext",
     "url = https://host.invalid/x"],
)  # fmt: skip
def test_a_missing_object_starts_no_remote_command(folder, tmp_path, refused, remote):
    commit(folder)
    blob = git(folder, "rev-parse", "HEAD:src/train.py")
    (folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    marker = tmp_path / MARKER
    with (folder / ".git/config").open("a") as config:
        config.write("[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n")
        config.write('[protocol]\n\tallow = always\n[protocol "ext"]\n\tallow = always\n[remote "origin"]\n')
        config.write(f"\tpromisor = true\n\t{remote.format(marker=marker, folder=folder)}\n")
    assert "partial clone" in refused(folder, rev="HEAD")
    assert not marker.exists()


def test_replaced_objects_do_not_stand_in_for_the_committed_ones(repository):
    shown = git(repository, "rev-parse", "HEAD:src/train.py")
    git(repository, "replace", shown, git(repository, "hash-object", "-w", "src/new.py"))
    assert open_submission(repository, rev="HEAD").text("src/train.py") == SEVEN["src/train.py"]


def test_the_caller_s_git_environment_does_not_reach_it(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    assert texts(open_submission(repository, rev="HEAD")) == SEVEN


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_user_s_repository_can_be_read(repository):
    for path in [repository, *repository.rglob("*")]:
        os.chown(path, 65534, 65534)
    assert texts(open_submission(repository, rev="HEAD")) == SEVEN
