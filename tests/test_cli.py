"""The command line: what it prints where, and how it exits."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import assay
from assay import __version__
from assay.cli import app
from assay.rules import all_rules

ROOT = Path(__file__).parents[1]
SELECT = ["--select", "LAY001"]


@pytest.fixture
def submission(tmp_path):
    """A folder that lacks every required file but one."""
    folder = tmp_path / "sub mission"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text("run: ???\n")
    (folder / "src").mkdir()
    (folder / "src" / "train.py").write_text("x = 1\n")
    return folder


@pytest.fixture
def ready(tmp_path):
    folder = tmp_path / "ready"
    for name in ("train", "evaluate", "preprocess", "model", "main"):
        (folder / "src").mkdir(parents=True, exist_ok=True)
        (folder / "src" / f"{name}.py").write_text("x = 1\n")
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text("run: ???\n")
    (folder / "pyproject.toml").write_text("[project]\nname = 'a'\nversion = '1'\n")
    return folder


def run(*arguments, **options):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


def command(*arguments, **options):
    """The real command in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "GITHUB_ACTIONS")}
    options = {"capture_output": True, "text": True, "check": False, "env": environment, **options}
    return subprocess.run([sys.executable, "-m", "assay", *map(str, arguments)], **options)


def test_a_review_prints_the_report_and_nothing_else(submission):
    done = run("review", submission, *SELECT)
    assert done.exit_code == 1
    assert done.stderr == ""
    assert "LAY001 src/evaluate.py is missing" in done.stdout
    assert "guessed: there is a config/config.yaml" in done.stdout
    assert "\x1b" not in done.stdout


def test_what_is_ready_exits_with_0(ready):
    done = run("review", ready, *SELECT)
    assert done.exit_code == 0, done.output
    assert "Ready: nothing found." in done.stdout


def test_what_cannot_be_read_exits_with_2_and_one_line(tmp_path):
    done = run("review", tmp_path / "absent\x1b[31m")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert re.fullmatch(r"assay: \S*absent\\x1b\[31m: no such file or folder\n", done.stderr)


def test_several_paths_exit_with_the_highest_status(submission, ready, tmp_path):
    done = run("review", ready, submission, tmp_path / "absent", *SELECT, "--format", "json", "--quiet")
    assert done.exit_code == 2
    assert [json.loads(line)["is_code_ready"] for line in done.stdout.splitlines()] == [True, False]
    assert run("review", ready, submission, *SELECT).exit_code == 1
    done = run("review", ready, tmp_path / "absent", *SELECT, "--format", "json", "--quiet")
    assert len(done.stdout.splitlines()) == 1, "JSON Lines, although only one could be read"


@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_a_guessed_contract_is_told_on_standard_error(submission, form):
    done = run("review", submission, *SELECT, "--format", form)
    assert "contract experiment, guessed: there is a config/config.yaml" in done.stderr
    assert run("review", submission, *SELECT, "--format", form, "--quiet").stderr == ""
    assert run("review", submission, *SELECT, "--format", form, "--contract", "experiment").stderr == ""


def test_quiet_is_one_line_a_finding(submission):
    done = run("review", submission, *SELECT, "-q")
    assert done.stdout.splitlines()[0] == "src/evaluate.py: LAY001 blocking: src/evaluate.py is missing"
    assert len(done.stdout.splitlines()) == 5


def test_quiet_places_can_be_opened_from_here(submission, monkeypatch):
    monkeypatch.chdir(submission.parent)
    done = run("review", submission.name, *SELECT, "-q")
    assert done.stdout.startswith("sub mission/src/evaluate.py: LAY001 ")


def test_verbose_shows_requirements(submission):
    assert re.search(r"^  E5.1 +violated ", run("review", submission, *SELECT, "-v").stdout, re.MULTILINE)


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
def test_a_report_can_go_to_a_file(submission, tmp_path, form):
    printed = run("review", submission, *SELECT, "--format", form, "-q").stdout
    done = run("review", submission, *SELECT, "--format", form, "-q", "--output", tmp_path / "report")
    assert done.stdout == ""
    written = (tmp_path / "report").read_text(encoding="utf-8")
    assert re.sub(r'"static": [\d.]+', "", written) == re.sub(r'"static": [\d.]+', "", printed)


def test_as_of_takes_a_day(ready):
    assert run("review", ready, *SELECT, "--as-of", "2025-10-01").exit_code == 0


def test_standard_input_is_read_with_several_jobs(submission):
    bundle = json.dumps({"src/train.py": "x = 1\n", "config/config.yaml": "a: 1\n"})
    done = command("review", "-", submission, *SELECT, "--jobs", 2, "--format", "json", "-q", input=bundle)
    assert [json.loads(line)["submission"] for line in done.stdout.splitlines()] == ["standard input", str(submission)]
    assert done.returncode == 1


def test_a_step_summary_is_appended(submission, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    run("review", submission, *SELECT, "--format", "github")
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("before\n### Assay\n")
    assert "| LAY001 |" in text


def test_text_in_a_github_log_is_no_command(submission, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = run("review", submission, *SELECT).stdout.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    assert len(token) == 32
    assert lines[-1] == f"::{token}::"


@pytest.mark.parametrize(
    "arguments",
    [
        ["review"],
        ["review", ".", "--no-such-option"],
        ["review", ".", "--format", "pdf"],
        ["review", ".", "--as-of", "yesterday"],
        ["review", ".", "--jobs", "0"],
        ["review", ".", "--contract", "nonsense"],
        ["review", ".", "--select", "ZZZ"],
        ["review", ".", "--output", "/nonexistent/report"],
        ["explain", "ZZZ999"],
        ["contracts", "nonsense"],
        ["nonsense"],
        ["rules", "surplus"],
    ],
)
def test_a_wrong_call_is_one_clear_line(arguments, submission, monkeypatch, capsys):
    from assay.__main__ import main

    monkeypatch.chdir(submission)
    monkeypatch.setattr(sys, "argv", ["assay", *arguments])
    with pytest.raises(SystemExit) as exit_info:
        main()
    printed = capsys.readouterr()
    assert exit_info.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("assay: ")
    assert printed.err.count("\n") == 1


def test_a_usage_error_in_a_process_of_its_own():
    done = command("review")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"assay: Missing argument '(?i:paths)[.]*'\.? \(`.* review --help` shows the options\)\n", done.stderr
    )


def test_a_reader_that_stops_is_no_error(submission):
    script = f"{sys.executable} -m assay review '{submission}' --format json -v; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({script}) | true"], capture_output=True, text=True, check=False, cwd=submission
    )
    assert done.stderr.splitlines()[-1] == "1"
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_report_that_cannot_be_written_is_no_verdict(submission):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = command("review", submission, *SELECT, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == "assay: standard output: No space left on device\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_without_a_standard_output_the_exit_status_still_tells(submission, ready, form):
    for path, status in ((submission, 1), (ready, 0)):
        script = f"{sys.executable} -m assay review '{path}' --select LAY001 -q --format {form} >&-"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (status, "")


def test_a_fault_in_a_report_is_no_verdict(submission, monkeypatch, capsys):
    from assay.__main__ import main

    def render(*arguments, **options):
        raise RuntimeError("a fault")

    monkeypatch.setattr("assay.report.json_report.render", render)
    monkeypatch.setattr(sys, "argv", ["assay", "review", str(submission), *SELECT, "--format", "json"])
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    assert "RuntimeError: a fault" in capsys.readouterr().err


def test_an_interrupt_exits_with_130():
    process = subprocess.Popen(
        [sys.executable, "-m", "assay", "review", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    # more than a pipe holds: when it is written, the command is reading
    process.stdin.write(b" " * 300_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in error


def test_a_fault_of_assay_itself_is_told_in_one_line(submission, ready, monkeypatch):
    reviewer = importlib.import_module("assay.reviewer")
    real = reviewer.review

    def review(path, **options):
        if path == str(submission):
            raise RuntimeError("a fault")
        return real(path, **options)

    monkeypatch.setattr(reviewer, "review", review)
    done = run("review", submission, ready, *SELECT, "-q")
    assert done.exit_code == 2
    assert "assay itself failed: RuntimeError: a fault" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_version_is_printed():
    assert run("--version").stdout == f"assay {__version__}\n"


def test_without_a_command_the_help_is_shown():
    done = run()
    assert done.exit_code == 2
    for name in ("review", "rules", "explain", "contracts"):
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)


def test_rules_are_listed():
    done = run("rules")
    assert done.exit_code == 0
    for code, rule in all_rules().items():
        assert re.search(rf"^{code} +{rule.name} +{rule.severity.value} ", done.stdout, re.MULTILINE)
    listed = json.loads(run("rules", "--format", "json").stdout)
    assert [item["code"] for item in listed] == list(all_rules())
    assert {"name", "severity", "requirements", "message", "repair"} <= set(listed[0])


def test_a_rule_is_explained():
    done = run("explain", "LAY001")
    assert done.exit_code == 0
    assert done.stdout.startswith("# missing-file (LAY001)\n")


def test_contracts_are_listed_and_shown(tmp_path):
    assert re.findall(r"^\S+", run("contracts").stdout, re.MULTILINE) == [
        "base",
        "derived",
        "experiment",
        "experiment@2025-10",
    ]
    shown = run("contracts", "experiment").stdout
    assert re.search(r"^  E5\.1 +exactly: ", shown, re.MULTILINE)
    assert "LAY001" in shown
    (tmp_path / "lab.yaml").write_text("name: x@lab\nextends: base\nmore_requirements: [{id: L1, text: 'more \\e'}]\n")
    assert re.search(r"^  L1 +more ", run("contracts", tmp_path / "lab.yaml").stdout, re.MULTILINE)


def test_a_contract_that_names_an_unknown_rule_is_refused_when_it_is_shown(tmp_path):
    (tmp_path / "lab.yaml").write_text("name: x\nextends: base\nmore_requirements: [{id: L1, text: a, rules: [NO1]}]\n")
    with pytest.raises(assay.InputError, match="no rule has the code 'NO1'"):
        run("contracts", tmp_path / "lab.yaml", catch_exceptions=False)


def test_the_contract_in_the_documentation_can_be_used(ready, tmp_path):
    text = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    (tmp_path / "lab.yaml").write_text(block.group(1), encoding="utf-8")
    done = run("review", ready, *SELECT, "--contract", tmp_path / "lab.yaml", "--format", "json", "-q")
    value = json.loads(done.stdout)
    assert value["contract"] == "experiment@lab"
    assert {row["id"]: row["status"] for row in value["requirements"]}["L1"] == "met"
    assert {row["id"]: row["status"] for row in value["requirements"]}["L2"] == "undecided"


def test_a_person_who_watches_sees_progress(monkeypatch):
    import io

    from assay.report.progress import progress

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def shown(total, quiet=False):
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with progress(total, quiet=quiet) as tell:
            for _ in range(total):
                tell(None)
        return stream.getvalue()

    assert "3/3" in shown(3)
    assert shown(1) == ""
    assert shown(3, quiet=True) == ""


def modules_after(statement):
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_every_public_name_is_there_and_described():
    for name in assay.__all__:
        assert name in dir(assay)
        assert inspect.getdoc(getattr(assay, name))


def test_importing_assay_is_light():
    assert not modules_after("import assay") & {"pydantic", "rich", "torch", "typer", "yaml"}


def test_a_review_needs_no_heavy_library(submission):
    statement = (
        "import assay, contextlib, io, pathlib\n"
        "from assay.report import emit\nfrom assay.finding import Severity\n"
        f"verdict = assay.review({str(submission)!r})\n"
        "with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):\n"
        "    for form in ('text', 'json', 'sarif', 'github'): emit([verdict], form, None, Severity.NOTE)"
    )
    assert not modules_after(statement) & {"pydantic", "rich", "torch", "typer"}
