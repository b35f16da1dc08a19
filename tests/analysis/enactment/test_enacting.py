"""Programs are enacted as they would be started: where Hydra puts them, and with what the words for Hydra say."""

from __future__ import annotations

import pytest

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.finding import Severity
from assay.reviewer import run_rules
from assay.rules import all_rules
from assay.submission import SourceFile, Submission
from tests.enacting import InProcessSession

RULES = {code: rule for code, rule in all_rules().items() if code.startswith(("CFG", "LCH", "API013"))}
OLD = "config_path='../config', config_name='config'"
CONFIGS = {
    "config/config.yaml": "defaults:\n  - _self_\n  - run: ???\n\nresults_dir: r\nmode: full\n",
    "config/run/a.yaml": (
        "# @package _global_\nrun_id: a\nmethod: m\nmodel: {name: n}\ndataset: {name: d}\ntraining: {lr: 0.1}\n"
        "optuna: {n_trials: 0}\n"
    ),
    "config/extra.yaml": "rate: 1\n",
}


def program(decorator, body):
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return (
        "import os\nimport subprocess\nimport sys\n\nimport hydra\nimport yaml\nfrom omegaconf import OmegaConf\n\n\n"
        f"@hydra.main({decorator})\ndef main(cfg):\n{lines}\n\nif __name__ == '__main__':\n    main()\n"
    )


def blocking(files, others=CONFIGS):
    """What blocks: the rule with the line that it is about."""
    texts = dict(sorted({**others, **files}.items()))
    made = {path: SourceFile.of_text(path, text) for path, text in texts.items()}
    project = Project(Submission("it", made), load_contract("experiment"))
    project.start_enactment(InProcessSession())
    try:
        findings, _ = run_rules(project, RULES)
        assert [one for one in project.enactment.programs if not one.complete] == []
    finally:
        project.close()
    return {
        (one.rule, texts[one.file].split("\n")[one.line - 1].strip() if one.file and one.line else one.place)
        for one in findings
        if one.severity is Severity.BLOCKING
    }


# -- a working directory that has moved --------------------------------------------------------------------------

LATER = [
    ("extra = yaml.safe_load(open('config/extra.yaml'))\nprint(extra['warmup'])", "API013"),
    ("extra = OmegaConf.load('config/extra.yaml')\nprint(extra.warmup)", "CFG003"),
    ("run = OmegaConf.load(f'config/run/{cfg.run_id}.yaml')\nprint(OmegaConf.merge(cfg, run).warmup)", "CFG003"),
]
STAYS = [
    ({}, OLD + ", version_base=None"),
    ({}, OLD + ", version_base='1.3'"),
    ({"config/config.yaml": CONFIGS["config/config.yaml"] + "hydra:\n  job:\n    chdir: false\n"}, OLD),
]


@pytest.mark.parametrize("decorator", [OLD, OLD + ", version_base='1.1'"])
@pytest.mark.parametrize(("body", "rule"), LATER)
def test_what_comes_after_a_file_that_is_not_found_is_seen_too(decorator, body, rule):
    last = body.split("\n")[-1]
    found = blocking({"src/main.py": program(decorator, body)})
    assert found == {("LCH003", f"@hydra.main({decorator})"), (rule, last)}


@pytest.mark.parametrize(("files", "decorator"), STAYS)
@pytest.mark.parametrize(("body", "rule"), LATER)
def test_where_nothing_moves_there_is_only_what_comes_after(files, decorator, body, rule):
    last = body.split("\n")[-1]
    assert blocking({"src/main.py": program(decorator, body), **files}) == {(rule, last)}


@pytest.mark.parametrize("decorator", [OLD, OLD + ", version_base='1.1'"])
@pytest.mark.parametrize(
    "body",
    [
        # the file is not there, and the program has something else instead
        "try:\n    extra = yaml.safe_load(open('config/extra.yaml'))\n"
        "except FileNotFoundError:\n    extra = {'warmup': 1}\nprint(extra['warmup'])",
        "extra = {'warmup': 1}\nif os.path.exists('config/extra.yaml'):\n"
        "    extra = yaml.safe_load(open('config/extra.yaml'))\nprint(extra['warmup'])",
        "if os.path.exists('config/extra.yaml'):\n    print(cfg.warmup)",
        # a file of the new directory, not of the submission
        "if os.path.exists('warmup.yaml'):\n    print(yaml.safe_load(open('warmup.yaml'))['warmup'])",
    ],
)
def test_where_the_program_asks_first_nothing_is_certain(decorator, body):
    assert blocking({"src/main.py": program(decorator, body), "warmup.yaml": "rate: 1\n"}) == set()


# -- words for Hydra itself --------------------------------------------------------------------------------------

PLACES = {
    # each key is in one of them only
    "config/other.yaml": CONFIGS["config/config.yaml"] + "only_other: 1\n",
    "places/config.yaml": CONFIGS["config/config.yaml"] + "only_there: 1\n",
    "places/run/a.yaml": CONFIGS["config/run/a.yaml"],
    "places/run/b.yaml": CONFIGS["config/run/a.yaml"].replace("run_id: a", "run_id: b"),
}
HERE = OLD + ", version_base=None"
RUN = "'run=a'"
REFUSES = "if cfg.mode == 'full':\n    raise ValueError('not in full mode')"


def started(words, reads):
    launch = f"subprocess.run([sys.executable, '-u', '-m', 'src.train', {words}], check=True)"
    return {**PLACES, "src/main.py": program(HERE, launch), "src/train.py": program(HERE, reads)}


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (RUN, "results_dir"),
        (f"'--config-name=other', {RUN}", "only_other"),
        (f"{RUN}, '--config-name=other'", "only_other"),
        (f"'--config-name', 'other', {RUN}", "only_other"),
        (f"'-cn=other', {RUN}", "only_other"),
        (f"{RUN}, '-cn', 'other'", "only_other"),
        (f"'-cn', 'other.yaml', {RUN}", "only_other"),
        (f"'--config-path=../places', {RUN}", "only_there"),
        (f"'--config-path', '../places', {RUN}", "only_there"),
        (f"'-cp', '../places', {RUN}", "only_there"),
        ("'-cp', '../places', '-cn', 'config', 'run=b'", "only_there"),
    ],
)
def test_the_configuration_that_the_words_name_is_the_one_that_is_read(words, key):
    others = {"only_other", "only_there"} - {key}
    assert blocking(started(words, f"print(cfg.{key}, cfg.training.lr)")) == set()
    for other in others:
        assert blocking(started(words, f"print(cfg.{other})")) == {("CFG003", f"print(cfg.{other})")}


@pytest.mark.parametrize(
    "words",
    [
        # another folder of configurations: what is composed is not followed
        "'--config-dir', '../places', 'run=b'",
        "'--config-dir=../places', 'run=b'",
        "'-cd', '../places', 'run=b'",
        "'--multirun', 'run=a,b'",
        "'-m', 'run=a,b'",
        "'--cfg', 'job', 'run=a'",
        "'--experimental-rerun', 'job.pickle'",
        "'--no-such-flag', 'run=a'",
        # which configuration it is, is not known
        f"'--config-name', os.environ['NAME'], {RUN}",
        f"'-cp', os.environ['NAME'], {RUN}",
    ],
)
def test_nothing_is_certain_of_a_configuration_that_other_words_decide(words):
    assert blocking(started(words, f"{REFUSES}\nprint(cfg.only_there, cfg.only_other)")) == set()


# any of these may say which configuration it is, and what is in it
UNKNOWN = ["os.environ['NAME']", "'--config-name=' + os.environ['NAME']", "f\"mode={os.environ['NAME']}\""]


@pytest.mark.parametrize("word", UNKNOWN)
def test_no_key_is_certainly_missing_where_a_word_is_unknown(word):
    assert blocking(started(f"{word}, {RUN}", "print(cfg.only_there, cfg.only_other)")) == set()


@pytest.mark.parametrize("word", UNKNOWN)
def test_no_value_is_certain_where_a_word_is_unknown(word):
    assert blocking(started(f"{RUN}, {word}", REFUSES)) == set()


# -- a command line that the program changes before Hydra sees it ------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "sys.argv = [sys.argv[0], '--config-name=other', *sys.argv[1:]]",
        "sys.argv.append('--config-name=other')",
        "sys.argv[1:1] = ['--config-name=other']",
        "sys.argv += ['--config-name', 'other']",
        "import json\nif len(json.loads('[1]')):\n    sys.argv.append('--config-name=other')",
    ],
)
def test_words_that_the_program_adds_count(change):
    text = program(HERE, "print(cfg.only_other)").replace("\n\n@hydra", f"\n\n{change}\n\n\n@hydra")
    assert blocking({**PLACES, "src/main.py": text}) == set()


def test_words_that_the_program_only_reads_change_nothing():
    text = program(HERE, "print(cfg.only_other)").replace("\n\n@hydra", "\n\nprint(sys.argv[1:])\n\n\n@hydra")
    assert blocking({**PLACES, "src/main.py": text}) == {("CFG003", "print(cfg.only_other)")}


# -- run files that are not where a run id leads to --------------------------------------------------------------


def test_nothing_is_certain_of_a_run_whose_file_lies_deeper():
    nested = {
        "config/config.yaml": CONFIGS["config/config.yaml"].replace("???", "deep/a"),
        "config/run/deep/a.yaml": CONFIGS["config/run/a.yaml"],
        "src/main.py": program(HERE, "print(cfg.training.lr)\nassert cfg.method == 'm'"),
    }
    assert blocking(nested, {}) == set()
    assert blocking(nested) == set()


def test_a_group_is_put_where_the_defaults_list_says():
    files = {
        "config/config.yaml": CONFIGS["config/config.yaml"].replace("run: ???", "run@_global_: a"),
        "config/run/a.yaml": CONFIGS["config/run/a.yaml"].replace("# @package _global_\n", ""),
    }
    here = {**files, "src/main.py": program(HERE, "print(cfg.training.lr)")}
    assert {rule for rule, _ in blocking(here)} == {"CFG007"}
    there = {**files, "src/main.py": program(HERE, "print(cfg.training.warmup)")}
    assert ("CFG003", "print(cfg.training.warmup)") in blocking(there)
