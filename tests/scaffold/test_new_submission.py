"""What `assay new` writes: names, files, where assay comes from, and what fits a foundation."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import assay
from assay.contracts import load_contract
from assay.errors import InputError
from assay.scaffold import new_submission
from assay.scaffold.checkout import running_checkout
from assay.scaffold.templates import template_files, template_names

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ["experiment", "base", "derived"]


@pytest.fixture
def foundation(tmp_path):
    folder = tmp_path / "foundation"
    new_submission(folder, "base").write()
    return folder


@pytest.fixture
def written(tmp_path, foundation):
    """Writes a submission and gives it."""

    def write(contract, name="study", **options):
        base = foundation if contract == "derived" else None
        submission = new_submission(tmp_path / name, contract, base=base, **options)
        submission.write()
        return submission

    return write


def refusal(*arguments, **options):
    with pytest.raises(InputError) as raised:
        new_submission(*arguments, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def project_of(submission):
    return tomllib.loads((submission.folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def commands_of(submission):
    return list(submission.commands())


# What is written


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_new_submission_passes_review_without_any_finding(contract, written, foundation):
    submission = written(contract, checkout=ROOT)
    verdict = assay.review(submission.folder, contract=contract, base=foundation if contract == "derived" else None)
    assert verdict.findings == ()
    assert verdict.ready


@pytest.mark.parametrize("contract", CONTRACTS)
def test_its_contract_is_guessed_from_its_files(contract, written, foundation):
    submission = written(contract)
    verdict = assay.review(submission.folder, base=foundation if contract == "derived" else None)
    assert verdict.contract.name == contract


@pytest.mark.parametrize("contract", CONTRACTS)
def test_it_holds_the_files_of_its_contract_and_only_exempt_ones_besides(contract, written):
    submission = written(contract)
    held = {path.relative_to(submission.folder).as_posix() for path in submission.folder.rglob("*") if path.is_file()}
    assert held == set(submission.files)
    known = load_contract(contract)
    assert {".gitignore", "README.md", *known.required} <= held
    assert [p for p in held if p not in known.required and not known.is_exempt(p) and not known.is_run_file(p)] == []


@pytest.mark.parametrize("contract", CONTRACTS)
def test_its_python_files_are_formatted_and_free_of_lint(contract, written):
    folder = written(contract).folder
    for action in (
        ["check", "--no-cache", "--select", "E,F,I,B,UP,SIM,RUF,PTH,N"],
        ["format", "--no-cache", "--check"],
    ):
        command = [sys.executable, "-m", "ruff", *action, "--isolated", "--line-length", "120", "."]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("contract", CONTRACTS)
def test_what_it_leaves_in_its_folder_is_ignored_by_git(contract, written):
    ignored = (written(contract).folder / ".gitignore").read_text(encoding="utf-8").split()
    assert {"results/", ".cache/", ".venv/", "__pycache__/", "wandb/"} == set(ignored)


def test_caches_that_python_leaves_in_the_templates_are_not_written(monkeypatch, tmp_path):
    templates = tmp_path / "templates"
    (templates / "base/src/__pycache__").mkdir(parents=True)
    (templates / "base/src/__pycache__/main.cpython-311.pyc").write_bytes(b"\xff\x00")
    (templates / "base/src/main.py").write_text("x = 1\n")
    (templates / "gitignore").write_text("results/\n")
    monkeypatch.setattr("assay.scaffold.templates._FOLDER", templates)
    assert list(template_files("base", "study")) == [".gitignore", "src/main.py"]


def test_python_files_are_written_as_they_are(monkeypatch, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base/main.py").write_text("NAME = 1\n")
    (tmp_path / "gitignore").touch()
    monkeypatch.setattr("assay.scaffold.templates._FOLDER", tmp_path)
    assert template_files("base", "study")["main.py"] == "NAME = 1\n"


# The name


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_name_stands_everywhere_and_no_place_for_it_is_left(contract, written):
    submission = written(contract, "work/My_Study.2")
    assert project_of(submission)["name"] == "my-study-2"
    assert submission.files["README.md"].startswith("# my-study-2\n")
    assert [path for path, text in submission.files.items() if re.search(r"\bNAME\b", text)] == []


def test_the_tracker_gets_the_name(written):
    assert yaml.safe_load(written("experiment", "study").files["config/config.yaml"])["wandb"]["project"] == "study"


@pytest.mark.parametrize("name", ["2024", "null", "1e3", "yes", "0x10", "2024-01-01"])
def test_a_name_that_yaml_reads_as_something_else_stays_a_name(name, written):
    submission = written("experiment", name)
    assert yaml.safe_load(submission.files["config/config.yaml"])["wandb"]["project"] == name
    assert project_of(submission)["name"] == name


@pytest.mark.parametrize(
    "name", ["", "two words", "-x", "x-", "_x", "größe", "ſtudy", "study\n", "a\tb", "a;b", "/", "~"]
)
def test_what_is_no_name_of_a_project_is_refused(name, tmp_path, monkeypatch):
    # the working directory's name is the name of `.`
    (tmp_path / "no name").mkdir()
    monkeypatch.chdir(tmp_path / "no name")
    assert "is no name of a project" in refusal(Path(name))


def test_an_empty_name_is_no_name_for_the_working_directory():
    assert "an empty name" in refusal("")


def test_a_dot_is_named_for_the_folder_it_stands_for(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    submission = new_submission(Path())
    submission.write()
    assert project_of(submission)["name"] == "study"
    assert (tmp_path / "study/src/train.py").is_file()
    assert not any(command.startswith("cd ") for command in submission.commands())


def test_two_dots_are_named_for_the_folder_they_stand_for(tmp_path, monkeypatch):
    (tmp_path / "study/inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "study/inner")
    assert tomllib.loads(new_submission("..").files["pyproject.toml"])["project"]["name"] == "study"


@pytest.mark.parametrize("name", ["torch", "Scikit_Learn", "assay"])
def test_a_project_is_not_named_as_a_package_it_depends_on(name, tmp_path):
    assert "depends on a package of this name" in refusal(tmp_path / name)


# The contract


def test_every_template_belongs_to_a_contract():
    assert template_names() == ("base", "derived", "experiment")


def test_an_unknown_contract_gets_the_list(tmp_path):
    assert refusal(tmp_path / "a", "exp") == "unknown contract 'exp'; there are base, derived, experiment"


def test_a_dialect_has_no_template_yet(tmp_path):
    said = refusal(tmp_path / "a", "experiment@2025-10")
    assert said == "nothing can be written for the contract experiment@2025-10 yet; there are base, derived, experiment"


# Where assay comes from


def source_of(folder, checkout):
    text = new_submission(folder, checkout=checkout).files["pyproject.toml"]
    return tomllib.loads(text).get("tool", {}).get("uv", {}).get("sources", {}).get("assay")


def test_an_installed_assay_is_only_a_dependency(tmp_path):
    assert source_of(tmp_path / "study", None) is None
    text = new_submission(tmp_path / "study").files["pyproject.toml"]
    assert "assay[runtime]" in tomllib.loads(text)["project"]["dependencies"]


def test_inside_a_checkout_the_path_to_it_is_relative(tmp_path):
    assert source_of(tmp_path / "work/deep/study", tmp_path) == {"path": "../../..", "editable": True}


def test_outside_a_checkout_the_path_to_it_is_absolute(tmp_path):
    checkout = tmp_path / 'a "checkout" ü'
    assert source_of(tmp_path / "study", checkout) == {"path": str(checkout), "editable": True}


def test_a_link_into_a_checkout_counts_as_inside(tmp_path):
    (tmp_path / "checkout/work").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "checkout/work")
    assert source_of(tmp_path / "link/study", tmp_path / "checkout") == {"path": "../..", "editable": True}


@pytest.mark.parametrize("contract", ["base", "derived"])
def test_base_and_derived_do_not_need_assay(contract, written):
    assert "assay" not in written(contract, checkout=ROOT).files["pyproject.toml"]


def test_the_checkout_is_the_root_of_the_source_tree():
    if not (ROOT / "src/assay").samefile(Path(assay.__file__).parent):
        pytest.skip("assay is imported from elsewhere")
    assert running_checkout() == ROOT


@pytest.mark.parametrize(
    ("package", "description", "is_checkout"),
    [
        ("src/assay", '[project]\nname = "assay"\n', True),
        ("src/assay", '[project]\nname = "other"\n', False),
        ("src/assay", "[project\n", False),
        ("src/assay", None, False),
        ("vendored/assay", '[project]\nname = "assay"\n', False),
    ],
)
def test_a_checkout_is_known_by_its_description(package, description, is_checkout, tmp_path, monkeypatch):
    (tmp_path / package).mkdir(parents=True)
    if description is not None:
        (tmp_path / "pyproject.toml").write_text(description)
    monkeypatch.setattr(assay, "__file__", str(tmp_path / package / "__init__.py"))
    assert running_checkout() == (tmp_path if is_checkout else None)


# The foundation of a derived submission


def test_kept_files_come_from_the_foundation(foundation, written):
    kept = foundation / "src/train.py"
    kept.write_text(kept.read_text(encoding="utf-8") + "\n# ours\n", encoding="utf-8")
    (foundation / "README.md").write_text("ours")
    submission = written("derived")
    assert submission.files["src/train.py"].endswith("# ours\n")
    assert submission.files["README.md"].startswith("# study\n")


def test_a_foundation_with_other_line_ends_fits(foundation, written):
    model = foundation / "src/model.py"
    model.write_bytes(model.read_bytes().replace(b"\n", b"\r\n"))
    assert "\r" not in written("derived").files["src/model.py"]


def test_what_running_a_foundation_left_in_it_does_no_harm(foundation, written):
    (foundation / "results/a").mkdir(parents=True)
    (foundation / "results/a/results.json").write_text("{}")
    (foundation / "uv.lock").write_text("version = 1\n")
    assert not any("results" in path or "lock" in path for path in written("derived").files)


@pytest.mark.parametrize("path", ["src/model.py", "src/preprocess.py", "config/smoke_test.yaml", "pyproject.toml"])
def test_a_foundation_that_differs_where_the_derived_form_does_is_refused(path, foundation, tmp_path):
    (foundation / path).write_text((foundation / path).read_text(encoding="utf-8") + "# ours\n", encoding="utf-8")
    said = refusal(tmp_path / "study", "derived", base=foundation)
    assert f": {path}: not as `assay new --contract base` writes it" in said
    assert not (tmp_path / "study").exists()


def test_a_foundation_without_one_of_its_files_is_refused(foundation, tmp_path):
    (foundation / "src/train.py").unlink()
    assert "src/train.py is missing" in refusal(tmp_path / "study", "derived", base=foundation)


def test_a_foundation_with_another_file_is_refused(foundation, tmp_path):
    (foundation / "src/extra.py").write_text("x = 1\n")
    assert "has no src/extra.py" in refusal(tmp_path / "study", "derived", base=foundation)


def test_an_absent_foundation_is_refused(tmp_path):
    assert "no such folder" in refusal(tmp_path / "study", "derived", base=tmp_path / "absent")


def test_a_derived_submission_needs_a_foundation_and_the_others_take_none(tmp_path, foundation):
    assert "needs --base DIR" in refusal(tmp_path / "study", "derived")
    for contract in ("base", "experiment"):
        assert f"not for {contract}" in refusal(tmp_path / "study", contract, base=foundation)


# The commands that come next


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_commands_that_run_it_are_those_of_its_readme(contract, written):
    submission = written(contract)
    shown = re.findall(r"^uv run .*$", submission.files["README.md"], re.MULTILINE)
    assert [command for command in commands_of(submission) if command.startswith("uv run ")] == shown


def test_an_experiment_is_tried_run_and_compared(written):
    commands = [shlex.split(command) for command in written("experiment").commands()]
    runs = ["proposed-mlp-digits", "comparative-1-logistic-digits"]
    called = [command[-3:] for command in commands if "src.main" in command]
    assert called == [
        [f"run={runs[0]}", "results_dir=results", "mode=trial"],
        *([f"run={run}", "results_dir=results", "mode=full"] for run in runs),
    ]
    evaluate = next(command for command in commands if "src.evaluate" in command)
    assert json.loads(evaluate[-1].removeprefix("run_ids=")) == runs


def test_a_foundation_is_not_run_in_full_but_specialised(written):
    commands = commands_of(written("base"))
    assert not any("--full-experiment" in command for command in commands)
    assert any("--contract derived --base" in command for command in commands)


def test_paths_in_commands_are_quoted(tmp_path):
    commands = commands_of(new_submission(tmp_path / "a b/study"))
    assert shlex.split(commands[0]) == ["assay", "review", str(tmp_path / "a b/study")]
    assert shlex.split(commands[1]) == ["cd", str(tmp_path / "a b/study")]
