"""A review chooses its contract, hears its rules, and says of every row what is known."""

from __future__ import annotations

import pytest

import assay
from assay.contracts import builtin_names, load_contract
from assay.errors import InputError
from assay.finding import Evidence, Finding, Frame, Severity
from assay.reviewer import _without_repetitions, choose_contract
from assay.rules import Rule, all_rules
from assay.rules.rule import NotApplicable, Undecided
from assay.submission import SourceFile, Submission

SEVEN = {
    "src/train.py": "import torch\n",
    "src/evaluate.py": "import wandb\n",
    "src/preprocess.py": "import torch\n",
    "src/model.py": "import torch\n",
    "src/main.py": "import hydra\n",
    "pyproject.toml": "[project]\nname = 'a'\nversion = '1'\ndependencies = ['torch', 'wandb', 'hydra-core']\n",
    "config/config.yaml": "mode: full\nwandb: {entity: lab, project: digits}\n",
}


def submission(files, **rest):
    return Submission("it", {path: SourceFile.of_text(path, text) for path, text in files.items()}, **rest)


def status(verdict, row):
    return next(item for item in verdict.requirements if item.id == row)


@pytest.mark.parametrize(
    ("files", "base", "name"),
    [
        ({"config/config.yaml": "a: 1"}, None, "experiment"),
        ({"config/config.yaml": "trial_mode: false", "config/run/a.yaml": "a: 1"}, None, "experiment@2025-10"),
        ({"config/smoke_test.yaml": "name: MODEL_PLACEHOLDER"}, None, "base"),
        ({"config/smoke_test.yaml": "name: resnet"}, None, "derived"),
        ({"config/smoke_test.yaml": "name: MODEL_PLACEHOLDER"}, {"src/main.py": "x = 1"}, "derived"),
    ],
)
def test_the_contract_is_guessed_from_the_files_and_the_guess_is_explained(files, base, name):
    contract, reason = choose_contract(submission(files, base=submission(base) if base else None), "auto")
    assert contract.name == name
    assert reason.startswith("guessed:")


def test_a_contract_that_cannot_be_guessed_is_asked_for():
    with pytest.raises(InputError, match="--contract"):
        choose_contract(submission({"train.py": "x = 1"}), "auto")


def test_a_contract_that_is_named_is_taken():
    assert choose_contract(submission(SEVEN), "base")[0].name == "base"


@pytest.mark.parametrize("name", builtin_names())
def test_every_row_of_a_contract_gets_a_status_and_undecided_ones_a_reason(name):
    verdict = assay.review(submission(SEVEN), contract=name)
    assert [row.id for row in verdict.requirements] == [row.id for row in load_contract(name).requirements]
    for row in verdict.requirements:
        assert row.status in ("met", "violated", "undecided", "not-applicable")
        assert (row.decided_by is None) == (row.status == "undecided")
        assert row.reason or row.status in ("met", "violated")


def test_a_row_is_violated_by_a_blocking_finding_and_met_by_the_silence_of_the_rules_that_decide_it():
    complete = assay.review(submission(SEVEN), contract="experiment")
    assert status(complete, "E5.1").status == "met"
    without = {path: text for path, text in SEVEN.items() if path != "src/model.py"}
    incomplete = assay.review(submission(without), contract="experiment")
    row = status(incomplete, "E5.1")
    assert row.status == "violated"
    assert {incomplete.findings[number].rule for number in row.findings} == {"LAY001"}
    assert not incomplete.ready


def test_a_row_whose_rule_was_not_heard_is_undecided():
    verdict = assay.review(submission(SEVEN), contract="experiment", ignore=["LAY"])
    row = status(verdict, "E5.1")
    assert row.status == "undecided"
    assert "not selected" in row.reason


def test_undecided_rows_count_where_that_is_asked_for():
    verdict = assay.review(submission(SEVEN), contract="experiment", select=["LAY"])
    assert verdict.ready
    strict = assay.review(submission(SEVEN), contract="experiment", select=["LAY"], require_decided=True)
    assert not strict.ready
    assert "E1.1" in strict.issue


def test_the_issue_numbers_what_blocks_and_names_place_and_repair():
    verdict = assay.review(submission({"src/train.py": "import torch\n"}), contract="experiment", select=["LAY001"])
    lines = verdict.issue.splitlines()
    assert len(lines) == len(verdict.blocking) == 6
    assert lines[0].startswith("1. src/evaluate.py is missing. ")
    assert all("Repair: " in line for line in lines)


def test_comments_in_a_submission_count_only_where_the_reviewer_says_so():
    files = {**SEVEN, "src/train.py": "def f():\n    # TODO: the loss  # assay: ignore[CPL002]\n    return 1\n"}
    plain = assay.review(submission(files), contract="experiment", select=["CPL002"])
    assert [finding.rule for finding in plain.blocking] == ["CPL002"]
    trusting = assay.review(submission(files), contract="experiment", select=["CPL002"], trust_ignores=True)
    assert trusting.findings == ()
    other = {**SEVEN, "src/train.py": "# TODO: the loss  # assay: ignore[LAY001]\n"}
    assert assay.review(submission(other), contract="experiment", select=["CPL002"], trust_ignores=True).blocking


@pytest.mark.parametrize(
    ("comment", "counts"),
    [
        ("# assay: ignore", True),
        ("# assay: ignore[CPL]", True),
        ("# assay: ignore [LAY001, CPL002]", True),
        ("# assay: ignore[cpl002]", False),
        ("# assay: ignore[]", False),
        ("# assay: ignore[*]", False),
        ("# assay: ignore[CPL002", True),
        ("# assay: ignored", False),
    ],
)
def test_a_comment_ignores_what_it_names_and_no_more(comment, counts):
    files = {**SEVEN, "src/train.py": f"def f():\n    # TODO: the loss  {comment}\n    return 1\n"}
    verdict = assay.review(submission(files), contract="experiment", select=["CPL002"], trust_ignores=True)
    assert bool(verdict.findings) != counts


def test_a_row_with_an_ignored_finding_is_not_met():
    without = {**SEVEN, "config/config.yaml": "mode: full\nwandb: {entity: null}  # assay: ignore\n"}
    verdict = assay.review(submission(without), contract="experiment", trust_ignores=True)
    row = status(verdict, "E6.7")
    assert row.status == "undecided"
    assert "ignored" in row.reason


@pytest.fixture
def only_rule(monkeypatch):
    """Make one rule, with the given answer, the only one there is."""

    def install(answer):
        class Only(Rule):
            """A rule for this test."""

            code = "LAY001"
            name = "only"
            requirements = decides = ("E5.1", "E5.2")
            message = explanation = repair = "none"

            def check(self, project):
                yield from answer()

        rules = {"LAY001": Only}
        monkeypatch.setattr("assay.reviewer.all_rules", lambda: rules)
        monkeypatch.setattr("assay.reviewer.find_rules", lambda select, ignore: rules)

    return install


def test_a_rule_that_fails_leaves_its_rows_open_and_never_ends_the_review(only_rule):
    def fail():
        raise RuntimeError("a fault")

    only_rule(fail)
    row = status(assay.review(submission(SEVEN), contract="experiment"), "E5.1")
    assert row.status == "undecided"
    assert "LAY001 failed on this submission" in row.reason


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (None, {"E5.1": "met", "E5.2": "met", "L1": "met"}),
        (Undecided("unclear"), {"E5.1": "undecided", "E5.2": "undecided", "L1": "undecided"}),
        (Undecided("unclear", ("E5.1",)), {"E5.1": "undecided", "E5.2": "met", "L1": "undecided"}),
        (NotApplicable("none", ("E5.1",)), {"E5.1": "not-applicable", "E5.2": "met", "L1": "not-applicable"}),
        (NotApplicable("none", ("D5.1",)), {"E5.1": "met", "E5.2": "met", "L1": "not-applicable"}),
    ],
)
def test_a_row_of_one_s_own_is_met_only_where_the_rule_it_names_left_nothing_open(
    only_rule, tmp_path, outcome, expected
):
    only_rule(lambda: [outcome] if outcome else [])
    lab = tmp_path / "lab.yaml"
    lab.write_text("name: lab\nextends: experiment\nmore_requirements: [{id: L1, text: a, rules: [LAY001]}]\n")
    verdict = assay.review(submission(SEVEN), contract=lab)
    assert {row: status(verdict, row).status for row in expected} == expected


def test_a_row_of_one_s_own_is_undecided_where_one_of_its_rules_was_not_heard(tmp_path):
    lab = tmp_path / "lab.yaml"
    lab.write_text("name: lab\nextends: experiment\nmore_requirements: [{id: L1, text: a, rules: [LAY001, LAY002]}]\n")
    assert status(assay.review(submission(SEVEN), contract=lab), "L1").status == "met"
    row = status(assay.review(submission(SEVEN), contract=lab, ignore=["LAY002"]), "L1")
    assert (row.status, row.reason) == ("undecided", "LAY002 was not selected")


def test_a_row_of_one_s_own_is_not_met_by_a_rule_that_had_nothing_to_look_at(tmp_path):
    rows = "requirements: [{id: Q1, text: a, rules: [EVL002]}]\n"
    bare, full = tmp_path / "bare.yaml", tmp_path / "full.yaml"
    bare.write_text(f"name: bare\nreply: {{ready: r, issue: i}}\n{rows}")
    full.write_text(f"name: full\nreply: {{ready: r, issue: i}}\nroles: {{evaluate: src/evaluate.py}}\n{rows}")
    assert status(assay.review(submission(SEVEN), contract=full), "Q1").status == "met"
    for contract, files in ((bare, SEVEN), (full, {**SEVEN, "src/evaluate.py": "def ("}), (full, {"a.py": ""})):
        row = status(assay.review(submission(files), contract=contract), "Q1")
        assert (row.status, row.reason) == ("undecided", "EVL002 could read no file for evaluate")


@pytest.mark.parametrize("select", ["CPL,LAY", "cpl, lay", ["CPL", "LAY"], ("CPL002", "LAY")])
def test_rules_are_chosen_by_the_beginnings_of_their_codes(select):
    files = {"src/main.py": "import nowhere\n# TODO: all of it\n"}
    verdict = assay.review(submission(files), contract="experiment", select=select)
    assert {finding.rule[:3] for finding in verdict.findings} == {"CPL", "LAY"}


def test_where_ruff_cannot_work_its_rows_stay_open(monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    row = status(assay.review(submission(SEVEN), contract="experiment"), "E1.2")
    assert row.status == "undecided"
    assert "No space left on device" in row.reason


def test_an_unknown_rule_prefix_is_refused():
    with pytest.raises(InputError, match="ZZZ"):
        assay.review(submission(SEVEN), contract="experiment", select=["ZZZ"])


def test_rules_that_wait_for_another_process_are_heard_last(monkeypatch):
    heard = []

    def silent(self, project):
        heard.append(self.code)
        return iter(())

    for kind in all_rules().values():
        monkeypatch.setattr(kind, "check", silent)
    assay.review(submission({"config/config.yaml": "a: 1\n", "src/main.py": "print(1)\n"}), contract="experiment")
    waits = [2 * all_rules()[code].late + (all_rules()[code].gate != "static") for code in heard]
    assert waits == sorted(waits)
    assert set(waits) == {0, 1, 2}


def test_findings_come_with_the_most_severe_first():
    files = {**SEVEN, "src/main.py": "from src.lost import x\n", "src/train.py": "# TODO: later\n"}
    verdict = assay.review(submission(files), contract="experiment")
    order = list(Severity)
    weights = [order.index(finding.severity) for finding in verdict.findings]
    assert weights == sorted(weights)
    assert verdict.findings[0].consequence == "crashes"
    assert verdict.shown(Severity.BLOCKING) == verdict.blocking


def test_an_open_submission_takes_no_second_base():
    with pytest.raises(InputError, match="open submission"):
        assay.review(submission(SEVEN), contract="derived", base="elsewhere")


def test_a_warning_leaves_the_row_of_a_silent_rule_undecided():
    warned = {**SEVEN, ".DS_Store.py": "x = 1\n"}
    verdict = assay.review(submission(warned), contract="experiment", select=["LAY"])
    assert [finding.severity for finding in verdict.findings] == [Severity.WARNING]
    row = status(verdict, "E5.1")
    assert row.status == "undecided"
    assert row.reason == "a warning, but no proof"
    assert verdict.ready


_ENTRY = (
    "import hydra\nimport optuna\n\n\ndef fit(lr):\n    return lr * 2\n\n\n"
    "def objective(trial, space):\n"
    "    return fit(*[trial.suggest_float(name, one.low, one.high) for name, one in space.items()])\n\n\n"
    "@hydra.main(version_base=None, config_path='../config', config_name='config')\ndef main(cfg):\n"
    "    if cfg.mode == 'full':\n        study = optuna.create_study()\n"
    "        study.optimize(lambda trial: objective(trial, cfg.optuna.search_space), n_trials=cfg.optuna.n_trials)\n"
    "        print(fit(**study.best_params))\n"
    "    print(cfg.run_id, {})\n\n\nmain()\n"
)
_RUN = (
    "# @package _global_\nrun_id: a\nmethod: m\nmodel: {name: n}\ndataset: {name: d}\ntraining: {lr: 0.1}\n"
    "optuna:\n  n_trials: 3\n  search_space: {lr: {type: uniform, low: 0.1, high: 1.0}}\n"
)


def enacted(read, entry=_ENTRY, run=_RUN):
    files = {
        "src/main.py": entry.replace("{}", read),
        "config/config.yaml": "defaults:\n  - _self_\n  - run: ???\n\nresults_dir: r\nmode: full\n",
        "config/run/a.yaml": run,
    }
    return assay.review(submission(files), contract="experiment")


def test_a_row_is_met_where_every_read_is_known():
    verdict = enacted("cfg.training.lr")
    rows = {row.id: (row.status, row.decided_by) for row in verdict.requirements}
    assert rows["E2.2"] == ("met", "compose")
    assert verdict.evidence == ("static", "compose")


@pytest.mark.parametrize("read", ["cfg[open('name').read()]", "optuna.load(cfg)"])
def test_a_read_that_is_not_known_leaves_the_row_open(read):
    assert status(enacted(read), "E2.2").status == "undecided"


def test_a_key_that_is_missing_violates_the_row():
    assert status(enacted("cfg.training.warmup"), "E2.2").status == "violated"


# the best value that the search found goes where the program reads it
_SEARCH = _ENTRY.replace("print(fit(**study.best_params))", "cfg.training.lr = study.best_params['lr']")
_TRAINS = "fit(cfg.training.lr)"
_TWO = _RUN.replace("high: 1.0}", "high: 1.0}, momentum: {type: uniform, low: 0.1, high: 0.9}")


def test_a_row_is_met_where_every_searched_name_reaches_a_value_that_is_read():
    verdict = enacted(_TRAINS, _SEARCH)
    row = status(verdict, "E7.3")
    assert (row.status, row.decided_by, row.findings) == ("met", "compose", ())
    both = _SEARCH.replace("fit(lr)", "fit(lr, momentum=0)").replace("lr * 2", "lr * momentum")
    assert status(enacted(_TRAINS, both, _TWO), "E7.3").status == "met"


@pytest.mark.parametrize(
    ("old", "new", "run"),
    [
        # nothing is drawn
        ("trial.suggest_float(name, one.low, one.high)", "1.0", _RUN),
        # the search may not happen
        ("if cfg.mode == 'full'", "if optuna.is_there()", _RUN),
        # one of two names is not drawn
        ("for name, one in space.items()", "for name, one in [('lr', space.lr)]", _TWO),
        # both are drawn, and one is of no use to anybody
        ("fit(lr)", "fit(lr, momentum=0)", _TWO),
        # no run searches anything
        ("import hydra", "import hydra", _RUN.partition("optuna:")[0] + "optuna: {n_trials: 0, search_space: {}}\n"),
    ],
)
def test_a_searched_name_that_may_reach_nothing_leaves_the_row_open(old, new, run):
    assert old in _SEARCH
    row = status(enacted(_TRAINS, _SEARCH.replace(old, new), run), "E7.3")
    assert (row.status, row.findings) == ("undecided", ())
    assert row.reason == "not every searched name is known to reach a value that is read"


@pytest.mark.parametrize(
    ("old", "new", "kind", "reason"),
    [
        # the type is a slip, and the code draws whatever the type is
        ("", "", "unifrom", "a search space has the type `unifrom`, which the code does not name"),
        # the trials are all the same, through a call
        (
            "    return fit(*[",
            "    return same(*[",
            "uniform",
            "the objective returns the same for every trial, as far as it is followed",
        ),
    ],
)
def test_a_search_that_may_choose_nothing_leaves_the_row_open(old, new, kind, reason):
    entry = _SEARCH.replace("def objective", "def same(lr):\n    fit(lr)\n    return 0.5\n\n\ndef objective", 1)
    row = status(enacted(_TRAINS, entry.replace(old, new, 1), _RUN.replace("uniform", kind)), "E7.3")
    assert (row.status, row.reason) == ("undecided", reason)


def test_a_searched_value_that_nothing_reads_violates_the_row():
    verdict = enacted("cfg.run_id", _SEARCH.replace("return lr * 2", "return 1.0"))
    row = status(verdict, "E7.3")
    assert (row.status, row.decided_by) == ("violated", "compose")
    assert {verdict.findings[number].rule for number in row.findings} == {"HPO011"}


def test_a_rule_yields_to_another_at_the_same_place_unless_that_one_weighs_less():
    def found(rule, severity, line=3, frames=()):
        return Finding(
            rule, ("E1.2",), severity, None, "m", "e", "r", file="src/a.py", line=line,
            evidence=Evidence("static", "", tuple(Frame("src/a.py", one) for one in frames)),
        )  # fmt: skip

    mine = found("API021", Severity.BLOCKING)
    for other in (found("API001", Severity.BLOCKING), found("API001", Severity.BLOCKING, 9, (3,))):
        assert _without_repetitions([mine, other]) == [other]
    for other in (
        found("API001", Severity.WARNING),
        found("API001", Severity.BLOCKING, 9),
        found("CFG003", Severity.BLOCKING),
    ):
        assert _without_repetitions([mine, other]) == [mine, other]
