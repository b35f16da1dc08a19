"""A review transcript is taken apart: its contract, the brief, the runs, the code and the base code."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from assay import open_submission, review
from assay.submission.bundle import key_of
from assay.submission.transcript import read_markdown_brief
from tests.submission.conftest import EIGHT, SEVEN

EXPERIMENT = """LLM Name: a-model
Input:
You check code.

# Instructions
Start it so: `python -m src.main run={{run_id}} {trial}`. Answer with `is_code_ready` and `code_issue`.

# Hypothesis
open_problems='none left' method='it\\'s a gate' expected_result='Accuracy rises from 70 to 75.' \
primary_metric="Accuracy on the test split."

# Current Research Method
A gate ‚âà opens.
# this line is no heading of a transcript

# Experimental Design
- Strategy: compare.
- Direction: maximise

# Experiment Runs

- Run ID: proposed-tiny-digits
  Method: proposed
  Model: Tiny (1M)
  Dataset: digits

  Config Content:
  ```yaml
    run_id: proposed-tiny-digits
training:
  epochs: 2  # ≥ 1

  steps: 3
```

- Run ID: comparative-1-tiny-digits
  Method: comparative-1
  Model: Tiny (1M)
  Dataset: digits

- Run ID: `comparative-2-tiny-digits`
  Config Content:
  ```
  run_id: comparative-2-tiny-digits
  ```

# Generated Experiment Code (To be validated)
{code}

Output:
{{"is_code_ready": true, "code_issue": ""}}
"""

DERIVED = """# Instructions
Answer with `is_experiment_code_ready` and `experiment_code_issue`.

# Current Research Method
{{
    "Open Problems": "Many.",
    "Methods": "A gate that
opens\t slowly.",
    "Expected Result": "Half the steps."
}}

# Experimental Design
## Experiment Strategy
Run Variations: described below in words.

# Base Code (Reference Foundation)
{base}

# Current Experiment (To be validated)
- Experiment ID: one
- Run Variations: ['plain', "gate-on", 'gate-off', 'plain']

# Derived Experiment Code (To be validated)
{code}
"""

BASE = """# Instructions
Answer with `is_base_code_ready` and `base_code_issue`.

# Experimental Design
## Experiment Strategy
Everything.

# Generated Base Code Files
{code}
"""


def bundle(files, **more):
    return json.dumps({key_of(path): text for path, text in files.items()} | more)


def experiment(files=SEVEN, trial="mode=trial"):
    return EXPERIMENT.format(code=bundle(files), trial=trial)


@pytest.fixture
def opened(tmp_path):
    def write(text, **options):
        path = tmp_path / "transcript.txt"
        path.write_text(text, encoding="utf-8")
        return open_submission(path, **options)

    return write


def texts(submission):
    return {path: submission.text(path) for path in submission.files}


def test_an_experiment_is_read_with_its_runs(opened):
    submission = opened(experiment())
    assert submission.kind == "transcript"
    assert submission.stated_contract == "experiment"
    assert texts(submission) == SEVEN
    assert submission.base is None
    runs = submission.brief.runs
    assert [(run.run_id, run.method, run.model, run.dataset) for run in runs] == [
        ("proposed-tiny-digits", "proposed", "Tiny (1M)", "digits"),
        ("comparative-1-tiny-digits", "comparative-1", "Tiny (1M)", "digits"),
        ("comparative-2-tiny-digits", None, None, None),
    ]


def test_a_configuration_whose_first_line_is_indented_more_is_evened_out(opened):
    runs = opened(experiment()).brief.runs
    assert runs[0].config == "run_id: proposed-tiny-digits\ntraining:\n  epochs: 2  # ≥ 1\n\n  steps: 3\n"
    assert runs[1].config is None
    assert runs[2].config == "run_id: comparative-2-tiny-digits\n"


def test_the_brief_is_read_from_a_printed_object_and_from_lists(opened):
    brief = opened(experiment()).brief
    assert brief.expected == "Accuracy rises from 70 to 75."
    assert brief.primary_metric == "Accuracy on the test split."
    assert brief.direction == "maximize"
    assert "A gate ‚âà opens.\n# this line is no heading" in brief.method
    assert "compare" in brief.design


def test_the_dialect_of_october_2025_is_told_by_its_command(opened):
    assert opened(experiment(trial="trial_mode=true")).stated_contract == "experiment@2025-10"


def test_a_derived_submission_comes_with_its_base_and_its_variations(opened):
    base = EIGHT | {"src/train.py": "loader = DATASET_PLACEHOLDER\n"}
    submission = opened(DERIVED.format(base=bundle(base), code=bundle(EIGHT)))
    assert submission.stated_contract == "derived"
    assert texts(submission) == EIGHT
    assert submission.base is not None
    assert texts(submission.base) == base
    assert submission.brief.run_ids == ("plain", "gate-on", "gate-off")
    assert submission.brief.expected == "Half the steps."


def test_a_base_submission_has_no_runs(opened):
    submission = opened(BASE.format(code=bundle(EIGHT)))
    assert submission.stated_contract == "base"
    assert texts(submission) == EIGHT
    assert submission.brief.runs == ()


def test_code_with_lone_control_characters_is_read(opened):
    code = bundle(SEVEN).replace("print('main')\\n", "print('main')\n\tx = 1\x0b")
    assert opened(EXPERIMENT.format(code=code, trial="")).text("src/main.py") == "print('main')\n\tx = 1\x0b"


def test_objects_before_the_code_are_passed_over(opened):
    text = experiment().replace("# Generated", '{"a": 1}\n\n{"broken": \n\n# Generated')
    text = text.replace("validated)\n{", 'validated)\n{"note": "no code"}\n  {')
    assert texts(opened(text)) == SEVEN


def test_what_was_answered_is_not_read(opened):
    text = experiment().replace("# Generated Experiment Code (To be validated)\n", "")
    assert texts(opened(text)) == SEVEN
    assert opened(BASE.format(code=bundle(EIGHT)) + '\nOutput:\n{"is_code_ready": 1}').stated_contract == "base"


def test_configurations_that_only_the_brief_holds_are_laid_in_place(tmp_path):
    for trial, folder in (("mode=trial", "config/runs"), ("trial_mode=true", "config/run")):
        path = tmp_path / "transcript.txt"
        path.write_text(experiment(trial=trial), encoding="utf-8")
        from assay.contracts import load_contract
        from assay.submission.opening import lay_runs

        submission = open_submission(path)
        contract = load_contract(submission.stated_contract or "")
        laid = lay_runs(submission, *contract.run_folders)
        assert set(laid.files) - set(SEVEN) == {
            f"{folder}/proposed-tiny-digits.yaml", f"{folder}/comparative-2-tiny-digits.yaml",
        }  # fmt: skip
        assert laid.files[f"{folder}/proposed-tiny-digits.yaml"].laid
        assert review(path).contract.name == contract.name


def test_configurations_that_the_submission_holds_stay(opened):
    from assay.submission.opening import lay_runs

    held = {"config/run/proposed-tiny-digits.yaml": "mine: 1\n"}
    code = json.dumps(SEVEN | held)
    laid = lay_runs(opened(EXPERIMENT.format(code=code, trial="")), "config/runs", "config/run")
    assert laid.text("config/run/proposed-tiny-digits.yaml") == "mine: 1\n"
    assert "config/runs/proposed-tiny-digits.yaml" not in laid
    assert "config/run/comparative-2-tiny-digits.yaml" in laid


def test_run_ids_that_are_no_file_names_are_not_laid(opened):
    from assay.submission.opening import lay_runs

    text = experiment().replace("proposed-tiny-digits", "../../proposed").replace("`comparative-2-tiny-digits`", "\x1b")
    assert set(lay_runs(opened(text), "config/runs").files) == set(SEVEN)


@pytest.mark.parametrize(
    "listed", ["[" * 5000, "['a', {[]: 1}]", "[1][0]", "['a' 'b', [1], None]", "[-" * 3000, "a, b"]
)
def test_a_list_of_variations_may_be_written_in_any_way(opened, listed):
    text = DERIVED.replace("['plain', \"gate-on\", 'gate-off', 'plain']", listed.replace("{", "{{").replace("}", "}}"))
    assert all(run.run_id for run in opened(text.format(base=bundle(EIGHT), code=bundle(EIGHT))).brief.runs)


def test_a_transcript_without_code_says_so(tmp_path, refused):
    path = tmp_path / "transcript.txt"
    path.write_text(EXPERIMENT.format(code="none", trial=""), encoding="utf-8")
    assert refused(path).endswith("neither a JSON code bundle nor a review transcript with one in it")


def test_errors_name_the_section(tmp_path, refused):
    path = tmp_path / "transcript.txt"
    path.write_text(DERIVED.format(base=bundle({"a.py": ""}, train_py=1), code=bundle(EIGHT)), encoding="utf-8")
    line = refused(path)
    assert "(Base Code (Reference Foundation)): " in line


def test_a_brief_of_its_own_is_read_from_markdown():
    assert read_markdown_brief(experiment()) == read_markdown_brief(experiment().split("# Generated")[0])
    brief = read_markdown_brief("# Hypothesis\nIt works.\n\n# Primary Metric\n- accuracy\n- Direction: minimize\n")
    assert (brief.hypothesis, brief.primary_metric, brief.direction) == ("It works.", "accuracy", "minimize")


BEFORE = (
    "# Experiment Runs\n- Run ID: a\n",
    "# Hypothesis\nprimary_metric='",
    "# Research Method\n{",
    "# Experimental Design\n",
    "# Current Experiment\n- Run Variations: [",
    "# Code\n",
)
READ = """
import json, resource, sys
from assay.errors import InputError
from assay.submission.transcript import read_transcript
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
paths, texts = json.load(sys.stdin)
for text in texts:
    try:
        read_transcript(text, "t", paths, {"is_code_ready": "experiment"})
    except InputError as error:
        assert "runs in one brief" in str(error)
"""


@pytest.mark.parametrize(
    "part",
    [
        " ",
        "\n",
        "\t\n",
        '{"a":\n',
        '{"a":                   \n',
        '{"a":[\n',
        '{"\n',
        '{"a":"b",\n',
        "```yaml\n",
        "- Run ID: ",
        "primary_metric='",
        "primary_metric='\\'",
        "# Base Code ",
        "- Run Variations: [",
        "- - ",
        "Direction: ",
        "# Code\n",
        "# Code\nx\n",
        "Method: a   b",
        "`",
        "Method:\n",
        '{"a": 1}\n',
        "- Run ID: a\n```yaml\n",
        "# Base Code Reference\n",
    ],
)
def test_no_text_takes_long(part):
    # good is within 6 s of processor time on any of these, quadratic takes from minutes to hours: the limit is far
    # from both, and it is the kernel's because a regular expression cannot be counted and need not heed a timer
    texts = [f"{before}{part * (1_000_000 // len(part))}end\n# Code\n{bundle(SEVEN)}" for before in BEFORE]
    given = json.dumps([list(SEVEN), texts])
    done = subprocess.run([sys.executable, "-c", READ], input=given, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
