"""A search tries exactly what was asked for, goes on where it was left, and says in a line what keeps it from that."""

import contextlib
import errno
import functools
import gc
import math
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from assay.runtime.best_weights import NoFiniteScoreError
from assay.runtime.errors import ExperimentError
from assay.runtime.search_settings import read_settings
from assay.runtime.search_storage import SearchStorage
from assay.runtime.search_study import make_pruner
from assay.runtime.searching import search

SPACE = {
    "training.learning_rate": {"type": "loguniform", "low": 1e-4, "high": 1e-1},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.5},
    "training.layers": {"type": "int", "low": 1, "high": 4},
    "training.batch_size": {"type": "categorical", "choices": [32, 64]},
}


def config(**optuna):
    cfg = OmegaConf.create(
        {
            "run_id": "proposed",
            "results_dir": "out",
            "mode": "full",
            "device": "cuda",
            "dropout": 0.1,
            "training": {"learning_rate": 0.01, "batch_size": 32, "layers": 2, "epochs": 3},
            "scheduler": {"base": "${training.learning_rate}"},
            "optuna": {"n_trials": 4, "direction": "maximize", "seed": 0, "pruner": None, "search_space": SPACE}
            | optuna,
        }
    )
    OmegaConf.set_struct(cfg, True)
    return cfg


def score(cfg):
    return -((math.log10(cfg.scheduler.base) + 2) ** 2) - (cfg.dropout - 0.2) ** 2 + 0.01 * cfg.training.layers


class Recorder:
    """An objective that keeps what it was given."""

    def __init__(self, scoring=lambda cfg, report, number: score(cfg)):
        self.tried = []
        self.scoring = scoring

    def __call__(self, cfg, report):
        training = cfg.training
        self.tried.append((training.learning_rate, cfg.dropout, training.layers, training.batch_size))
        return self.scoring(cfg, report, len(self.tried) - 1)


@functools.cache
def tables():
    """A database with Optuna's empty tables, which take longer to make than a small search."""
    import optuna

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "search.db"
        optuna.storages.RDBStorage(f"sqlite:///{path}")
        return path.read_bytes()


@pytest.fixture(autouse=True, scope="module")
def quick_collection():
    """A search collects garbage after each trial, which would look at every object of all test modules."""
    tables()
    gc.freeze()
    yield
    gc.unfreeze()


def run(cfg, tmp_path, objective=None, *, prepared=True, **others):
    lines: list[str] = []
    given: dict[str, Any] = {"mode": "full", "say": lines.append, "sleep": refuse} | others
    folder = tmp_path / "proposed"
    if prepared and not folder.exists() and "{" not in str(folder):
        folder.mkdir(parents=True)
        (folder / "search.db").write_bytes(tables())
    found = search(cfg, objective or Recorder(), folder=folder, **given)
    return found, lines


def refuse(seconds):
    raise AssertionError("it waits, and nobody else is at work")


def study(tmp_path):
    import optuna

    return optuna.load_study(study_name="proposed", storage=f"sqlite:///{tmp_path}/proposed/search.db")


def database(tmp_path):
    return tmp_path / "proposed" / "search.db"


@contextlib.contextmanager
def lock_held_elsewhere(path, byte):
    """Another process that holds one lock of a worker."""
    program = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2]))\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path, str(byte)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        yield
        holder.stdin.close()


def states(tmp_path):
    with contextlib.closing(sqlite3.connect(database(tmp_path))) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM trials ORDER BY number")]


class TestNothingToSearch:
    @pytest.mark.parametrize(
        ("optuna", "mode"),
        [
            ({"n_trials": 0}, "full"),
            ({"n_trials": 0, "search_space": {"nowhere": {}}}, "full"),
            ({"n_trials": None, "search_space": None}, "full"),
            ({}, "trial"),
        ],
    )
    def test_the_configuration_comes_back_as_it_is(self, tmp_path, optuna, mode):
        cfg = config(**optuna)

        found, lines = run(cfg, tmp_path, mode=mode, prepared=False)

        assert found.config is cfg
        assert (found.best, found.value, found.trials) == ({}, None, 0)
        assert lines == []
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("section", [{}, {"optuna": None}, {"optuna": {}}])
    def test_so_does_one_without_a_search(self, tmp_path, section):
        cfg = OmegaConf.create(section)

        assert run(cfg, tmp_path)[0].config is cfg

    def test_optuna_is_not_imported(self, tmp_path):
        program = (
            "import sys; from pathlib import Path; from omegaconf import OmegaConf\n"
            "from assay.runtime.search_settings import read_settings\n"
            "from assay.runtime.searching import search\n"
            "space = {'a': {'type': 'uniform', 'low': 0.0, 'high': 1.0}}\n"
            "optuna = {'n_trials': 3, 'direction': 'minimize', 'search_space': space}\n"
            "cfg = OmegaConf.create({'a': 0.5, 'optuna': optuna})\n"
            "search(cfg, None, folder=Path('x'), mode='trial')\n"
            "cfg.optuna.n_trials = 0\n"
            "search(cfg, None, folder=Path('x'), mode='full')\n"
            "cfg.optuna.n_trials = 1\n"
            "assert read_settings(cfg).n_trials == 1\n"
            "assert not {'optuna', 'torch', 'sqlalchemy'} & set(sys.modules)\n"
        )

        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("optuna", "words"),
    [
        ({"n_trials": -1}, "n_trials is -1"),
        ({"n_trials": 2.0}, "n_trials is 2.0"),
        ({"n_trials": True}, "n_trials is True"),
        ({"n_trials": None}, "no n_trials"),
        ({"direction": None}, "direction is missing: write maximize or minimize"),
        ({"direction": "max"}, "direction is 'max'"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "0"}, "seed is '0'"),
        ({"n_trial": 3}, "did you mean n_trials"),
        ({"metric": "accuracy"}, "optuna.metric is no setting"),
        ({"storage": 3}, "storage is 3"),
        ({"storage": "nonsense"}, "'nonsense', no address"),
        ({"seed": "${nowhere}"}, "cannot be resolved"),
        ({"pruner": {"type": "medain"}}, "median, percentile, halving, none"),
        ({"pruner": "median"}, "write {type: ...}"),
        ({"pruner": {"type": ["median"]}}, "write {type: ...}"),
        ({"pruner": {"type": "median", "warmup": 2}}, "optuna.pruner.warmup is unknown to median"),
        ({"pruner": {"type": "median", "warmup_steps": -2}}, "warmup_steps is -2"),
        ({"pruner": {"type": "median", "warmup_steps": 2.5}}, "warmup_steps is 2.5"),
        ({"pruner": {"type": "percentile"}}, "no percentile"),
        ({"pruner": {"type": "percentile", "percentile": 101}}, "percentile is 101: write a number from 0 to 100"),
        ({"pruner": {"type": "none", "warmup_steps": 1}}, "takes nothing more"),
        ({"pruner": {"type": "median", "interval_steps": 0}}, "interval_steps is 0: write a whole number from 1"),
        ({"pruner": {"type": "halving", "reduction_factor": 1}}, "reduction_factor is 1: write a whole number from 2"),
        ({"search_space": {"nowhere": {"type": "int", "low": 0, "high": 1}}}, "nowhere"),
    ],
)
@pytest.mark.parametrize("mode", ["full", "trial"])
def test_wrong_settings_are_said_before_anything_runs(tmp_path, mode, optuna, words):
    with pytest.raises(ExperimentError) as caught:
        run(config(**optuna), tmp_path, refuse, mode=mode, prepared=False)

    assert words in str(caught.value)
    assert caught.value.status == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///{x}.db", "cannot be used"),
        ("nonsense://", "cannot be used"),
        ("sqlite://a:b:c", "no address"),
    ],
)
def test_a_storage_that_cannot_be_is_said_before_anything_runs(tmp_path, monkeypatch, storage, words):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ExperimentError, match=words) as caught:
        run(config(storage=storage), tmp_path, refuse, prepared=False)

    assert caught.value.status == 2


@pytest.mark.parametrize(
    "pruner",
    [
        {"type": "median", "startup_trials": 0, "warmup_steps": 0, "interval_steps": 1},
        {"type": "percentile", "percentile": 100, "startup_trials": 0, "warmup_steps": 0, "interval_steps": 1},
        {"type": "percentile", "percentile": 0.0},
        {"type": "halving", "min_resource": 1, "reduction_factor": 2, "min_early_stopping_rate": 0},
        {"type": "none"},
    ],
)
def test_what_the_settings_allow_makes_a_pruner(pruner):
    import optuna

    settings = read_settings(config(pruner=pruner))

    assert settings is not None
    assert isinstance(make_pruner(settings), optuna.pruners.BasePruner)


def test_a_section_that_is_no_mapping_is_a_fault(tmp_path):
    with pytest.raises(ExperimentError, match="optuna is 'yes'"):
        run(OmegaConf.create({"optuna": "yes"}), tmp_path)


class TestOneSearch:
    def test_the_best_values_are_in_the_configuration_with_a_record(self, tmp_path, capfd):
        import optuna

        cfg = config()
        before = OmegaConf.to_yaml(cfg)
        verbosity = optuna.logging.get_verbosity()
        objective = Recorder()

        found, lines = run(cfg, tmp_path, objective)

        scores = [
            -((math.log10(lr) + 2) ** 2) - (dropout - 0.2) ** 2 + 0.01 * n for lr, dropout, n, _ in objective.tried
        ]
        winner = max(range(4), key=scores.__getitem__)
        assert len(objective.tried) == found.trials == 4
        assert found.value == scores[winner]
        assert tuple(found.best.values()) == objective.tried[winner]
        assert found.config.scheduler.base == found.best["training.learning_rate"]
        assert found.config.optuna.result == {"best": found.best, "value": found.value, "trial": winner, "trials": 4}
        assert OmegaConf.is_struct(found.config)
        assert OmegaConf.to_yaml(cfg) == before
        assert [line.split(":")[0] for line in lines] == ["trial 0", "trial 1", "trial 2", "trial 3", "search"]
        assert f"best {found.value:.6g} in trial {winner}" in lines[-1]
        assert f"dropout={found.best['dropout']:.6g}" in lines[-1]
        assert optuna.logging.get_verbosity() == verbosity
        assert capfd.readouterr() == ("", "")

    def test_minimize_takes_the_lowest(self, tmp_path):
        found, _ = run(
            config(direction="minimize"), tmp_path, Recorder(lambda cfg, report, number: [3, 1, 2, 1][number])
        )

        assert (found.value, found.config.optuna.result.trial) == (1, 1)

    def test_a_finished_search_is_only_read(self, tmp_path):
        first, _ = run(config(), tmp_path)
        again = Recorder()

        second, lines = run(first.config, tmp_path, again)

        assert again.tried == []
        assert (second.best, second.value, second.trials) == (first.best, first.value, 4)
        assert len(lines) == 1

    def test_no_two_slots_draw_alike_and_another_seed_draws_others(self, tmp_path):
        first, second = Recorder(), Recorder()
        run(config(), tmp_path / "a", first)
        run(config(seed=1), tmp_path / "b", second)

        rates = [values[0] for values in first.tried + second.tried]
        assert len(set(rates)) == 8
        # within a slot too: two parameters have different positions in their ranges
        positions = [((math.log10(lr) + 4) / 3, dropout / 0.5) for lr, dropout, *_ in first.tried]
        assert all(abs(one - other) > 1e-6 for one, other in positions)

    def test_values_stay_in_their_ranges(self, tmp_path):
        objective = Recorder()
        run(config(n_trials=12), tmp_path, objective)

        for lr, dropout, layers, batch_size in objective.tried:
            assert 1e-4 <= lr <= 1e-1
            assert 0 <= dropout <= 0.5
            assert (type(layers), type(batch_size)) == (int, int)
            assert layers in (1, 2, 3, 4)
            assert batch_size in (32, 64)
        assert len({values[2] for values in objective.tried}) > 1
        assert len({values[3] for values in objective.tried}) > 1

    def test_every_trial_is_seeded_by_its_slot_and_what_follows_is_too(self, tmp_path):
        first: list[int] = []
        second: list[int] = []
        other: list[int] = []

        run(config(), tmp_path, seeding=first.append)
        run(config(), tmp_path, seeding=second.append)
        run(config(seed=1, n_trials=1), tmp_path / "other", seeding=other.append)

        assert len({*first, *other}) == 7
        assert all(0 <= seed < 2**32 for seed in first)
        assert second == first[-1:]

    def test_the_study_is_named_by_the_run(self, tmp_path):
        import optuna

        run(config(storage=f"sqlite:///{tmp_path}/all.db", n_trials=1), tmp_path, run_id="one", prepared=False)
        run(config(storage=f"sqlite:///{tmp_path}/all.db", n_trials=1), tmp_path, run_id="two", prepared=False)

        assert sorted(optuna.get_all_study_names(f"sqlite:///{tmp_path}/all.db")) == ["one", "two"]
        assert not (tmp_path / "proposed").exists()


class TestPruning:
    @staticmethod
    def reporting(cfg, report, number):
        for step in range(4):
            report(-number, step)
        return -number

    @pytest.mark.parametrize(
        ("pruner", "pruned"),
        [
            ("default", 1),
            (None, 0),
            ({"type": "none"}, 0),
            ({"type": "median", "startup_trials": 1}, 5),
            ({"type": "median", "startup_trials": 1, "warmup_steps": 9}, 0),
        ],
    )
    def test_trials_that_lag_behind_end_early_and_count(self, tmp_path, pruner, pruned):
        cfg = config(n_trials=6, **({} if pruner == "default" else {"pruner": pruner}))
        if pruner == "default":
            OmegaConf.set_struct(cfg, False)
            del cfg.optuna.pruner

        found, lines = run(cfg, tmp_path, Recorder(self.reporting))

        assert states(tmp_path) == ["COMPLETE"] * (6 - pruned) + ["PRUNED"] * pruned
        assert (found.trials, found.value) == (6, 0)
        assert sum("pruned, with" in line for line in lines) == pruned


class TestWithoutAScore:
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_a_score_that_is_not_finite_fails_the_trial_and_spends_its_slot(self, tmp_path, bad):
        objective = Recorder(lambda cfg, report, number: bad if number == 1 else number)

        found, lines = run(config(), tmp_path, objective)

        assert states(tmp_path) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
        assert (found.trials, found.value) == (3, 3)
        assert "trial 1: failed, its score is not a finite number" in lines[1]
        assert run(config(), tmp_path)[0].trials == 3

    def test_best_weights_that_never_were_are_such_a_score(self, tmp_path):
        def diverging(cfg, report, number):
            if number == 0:
                raise NoFiniteScoreError("diverged")
            return 1.0

        assert run(config(), tmp_path, Recorder(diverging))[0].trials == 3

    def test_nothing_but_failures_is_a_fault_now_and_at_the_next_start(self, tmp_path):
        for tries in (4, 0):
            objective = Recorder(lambda cfg, report, number: math.nan)
            with pytest.raises(ExperimentError, match=r"found nothing: of 4 trials 0 were pruned and 4 failed"):
                run(config(), tmp_path, objective)
            assert len(objective.tried) == tries

    @pytest.mark.parametrize("result", [None, "high", [0.5]])
    def test_a_result_that_is_no_number_is_a_fault(self, tmp_path, result):
        with pytest.raises(ExperimentError, match=r"trial 0 of the search \(.*dropout=.*the objective returned"):
            run(config(), tmp_path, Recorder(lambda cfg, report, number: result))


class TestErrors:
    def failing(self, error):
        def scoring(cfg, report, number):
            if number == 2:
                raise error
            return score(cfg)

        return Recorder(scoring)

    def beginning_elsewhere(self, tmp_path):
        """A trial beyond the budget that a worker with a higher one runs on another machine."""
        import optuna

        begun = study(tmp_path).trials[0]
        under_way = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=begun.params,
            distributions=begun.distributions,
            user_attrs={"slot": 12, "attempt": 1, "place": "elsewhere"},
        )
        study(tmp_path).add_trial(under_way)

    def test_an_error_names_its_trial_and_nothing_is_lost(self, tmp_path):
        undisturbed = Recorder()
        expected, _ = run(config(n_trials=12), tmp_path / "whole", undisturbed)
        first, rest = self.failing(ZeroDivisionError("oh")), Recorder()

        with pytest.raises(ZeroDivisionError) as caught:
            run(config(n_trials=12), tmp_path / "cut", first)
        self.beginning_elsewhere(tmp_path / "cut")
        found, lines = run(config(n_trials=12), tmp_path / "cut", rest)

        assert "trial 2 of the search" in caught.value.__notes__[0]
        assert f"dropout={first.tried[2][1]:.6g}" in caught.value.__notes__[0]
        # the draws of the model of good values, after ten trials, are the same too, whatever is under way elsewhere
        assert first.tried[:2] + rest.tried == undisturbed.tried
        assert (found.best, found.value, found.trials) == (expected.best, expected.value, 12)
        assert found.config == expected.config
        assert "trial 2: ended without a score; it is tried again (1 of 5)" in lines

    def test_it_is_tried_again_with_the_values_it_had_whatever_would_be_drawn_now(self, tmp_path):
        with pytest.raises(ValueError):
            run(config(), tmp_path, self.failing(ValueError()))
        with sqlite3.connect(tmp_path / "proposed" / "search.db") as connection:
            connection.execute(
                "UPDATE trial_params SET param_value = 0.125 WHERE param_name = 'dropout' AND trial_id = 3"
            )
        rest = Recorder()

        run(config(), tmp_path, rest)

        assert rest.tried[0][1] == 0.125

    def test_an_interrupt_is_tried_again(self, tmp_path):
        first, rest = self.failing(KeyboardInterrupt()), Recorder()

        with pytest.raises(KeyboardInterrupt):
            run(config(), tmp_path, first)
        run(config(), tmp_path, rest)

        assert states(tmp_path).count("RUNNING") == 0
        assert rest.tried[0] == first.tried[2]

    def test_a_fault_of_the_objective_stays_one_line_with_its_status(self, tmp_path):
        with pytest.raises(ExperimentError, match=r"^trial 2 of the search \(.*batch_size=.*\): no data$") as caught:
            run(config(), tmp_path, self.failing(ExperimentError("no data", status=2)))

        assert caught.value.status == 2

    def test_a_slot_is_given_up_after_five_attempts(self, tmp_path):
        seeds: list[int] = []
        tried: list[object] = []

        def first_fails(cfg, report):
            tried.append((cfg.dropout, cfg.training.learning_rate))
            raise MemoryError

        for _ in range(5):
            with pytest.raises(MemoryError):
                run(config(), tmp_path, first_fails, seeding=seeds.append)
        rest = Recorder()
        found, lines = run(config(), tmp_path, rest)

        assert (len(tried), len(set(tried))) == (5, 1)
        assert len(set(seeds)) == 1
        assert lines[-1].endswith("of 4 trials, 1 of them failed")
        assert (len(rest.tried), found.trials) == (3, 3)


class TestAnotherConfiguration:
    @pytest.mark.parametrize(
        ("key", "value", "words"),
        [
            ("training.epochs", 5, "training.epochs was 3 and is 5"),
            ("optuna.seed", 1, "optuna.seed was 0 and is 1"),
            ("optuna.direction", "minimize", "holds a search"),
            ("optuna.pruner", {"type": "median"}, "optuna.pruner was none {} and is median {}"),
            (
                "optuna.search_space",
                {**SPACE, "dropout": {"type": "uniform", "low": 0.0, "high": 0.4}},
                "0.5 and is float",
            ),
            ("optuna.search_space", {"dropout": SPACE["dropout"]}, "search space of training"),
        ],
    )
    def test_it_is_refused_with_what_differs(self, tmp_path, key, value, words):
        run(config(n_trials=1), tmp_path)
        before = states(tmp_path)
        cfg = config(n_trials=1)
        OmegaConf.update(cfg, key, value, merge=False)
        objective = Recorder()

        with pytest.raises(ExperimentError) as caught:
            run(cfg, tmp_path, objective)

        assert words in str(caught.value)
        assert "search.db" in str(caught.value)
        assert objective.tried == []
        assert states(tmp_path) == before

    def test_where_results_lie_and_what_is_searched_may_change(self, tmp_path):
        run(config(n_trials=1), tmp_path)
        cfg = config(n_trials=1)
        cfg.results_dir, cfg.dropout, cfg.device = "elsewhere", 0.3, "cpu"

        assert run(cfg, tmp_path, Recorder(None))[0].trials == 1

    def test_more_trials_go_on_and_fewer_end_at_once(self, tmp_path):
        undisturbed, first, rest = Recorder(), Recorder(), Recorder()
        run(config(n_trials=6), tmp_path / "whole", undisturbed)

        run(config(n_trials=4), tmp_path, first)
        assert run(config(n_trials=2), tmp_path, Recorder(None))[0].trials == 4
        found, _ = run(config(n_trials=6), tmp_path, rest)

        assert first.tried + rest.tried == undisturbed.tried
        assert found.trials == 6

    def test_fewer_trials_than_have_finished_end_at_once_whichever_they_are(self, tmp_path):
        run(config(), tmp_path)
        with sqlite3.connect(tmp_path / "proposed" / "search.db") as connection:
            connection.execute("UPDATE trials SET state = 'FAIL' WHERE number = 0")
        rest = Recorder()

        assert run(config(n_trials=3), tmp_path, rest)[0].trials == 3
        assert rest.tried == []
        assert run(config(), tmp_path, rest)[0].trials == 4


class TestStorage:
    @pytest.mark.parametrize("content", [b"not a database at all, but text", b"SQLite format 3\0" + b"\x07" * 5000])
    def test_a_file_that_is_no_sound_database_is_left_alone(self, tmp_path, content):
        path = tmp_path / "proposed" / "search.db"
        path.parent.mkdir()
        path.write_bytes(content)

        with pytest.raises(ExperimentError, match=r"search\.db is damaged"):
            run(config(), tmp_path)

        assert path.read_bytes() == content
        assert [entry.name for entry in path.parent.iterdir()] == ["search.db"]

    def test_so_is_a_damaged_page_in_the_middle(self, tmp_path):
        run(config(), tmp_path)
        path = tmp_path / "proposed" / "search.db"
        content = bytearray(path.read_bytes())
        content[4096 : len(content) - 4096] = b"\x5a" * (len(content) - 8192)
        path.write_bytes(content)

        with pytest.raises(ExperimentError, match=r"search\.db is damaged"):
            run(config(), tmp_path)

        assert path.read_bytes() == content

    def test_so_is_a_database_of_something_else(self, tmp_path):
        path = tmp_path / "proposed" / "search.db"
        path.parent.mkdir()
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE bills (amount REAL)")
        before = path.read_bytes()

        with pytest.raises(ExperimentError, match=r"something else \(bills\)"):
            run(config(), tmp_path)

        assert path.read_bytes() == before

    def test_an_empty_file_is_a_new_database(self, tmp_path):
        (tmp_path / "proposed").mkdir()
        (tmp_path / "proposed" / "search.db").touch()

        assert run(config(n_trials=1), tmp_path)[0].trials == 1

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(ExperimentError, match="there is no folder"):
            run(config(storage=f"sqlite:///{tmp_path}/none/a.db"), tmp_path)

    def test_a_folder_that_cannot_be_in_an_address(self, tmp_path):
        with pytest.raises(ExperimentError, match="results_dir"):
            run(config(), tmp_path / "a{b}")

    def test_a_server_that_does_not_answer_is_named_without_its_password(self, tmp_path):
        pytest.importorskip("sqlalchemy")
        with pytest.raises(ExperimentError) as caught:
            run(config(storage="postgresql+nodriver://me:secret@localhost:1/x"), tmp_path)

        assert "secret" not in str(caught.value)
        assert "***" in str(caught.value)

    def test_a_study_of_another_program_is_not_continued(self, tmp_path):
        import optuna

        (tmp_path / "proposed").mkdir()
        other = optuna.create_study(
            study_name="proposed", storage=f"sqlite:///{tmp_path}/proposed/search.db", direction="maximize"
        )
        other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)

        with pytest.raises(ExperimentError, match="made by another program"):
            run(config(), tmp_path)

    def test_a_full_disk_ends_the_search_in_a_line_and_loses_nothing(self, tmp_path):
        first = Recorder()
        run(config(n_trials=2), tmp_path, first)
        program = (
            "import resource, sys; from pathlib import Path; import optuna\n"
            "sys.path.insert(0, sys.argv[1]); from tests.runtime.test_searching import *\n"
            "path = Path(sys.argv[2]); size = (path / 'proposed' / 'search.db').stat().st_size\n"
            "import alembic.config, sqlalchemy.dialects.sqlite\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))\n"
            "try: run(config(n_trials=500), path)\n"
            "except ExperimentError as fault: print(fault)\n"
        )

        done = subprocess.run(
            [sys.executable, "-c", program, Path.cwd(), tmp_path], capture_output=True, text=True, check=True
        )
        rest = Recorder()
        found, _ = run(config(n_trials=3), tmp_path, rest)

        assert "cannot go on" in done.stdout, done.stdout
        assert len(done.stdout.splitlines()) == 1
        assert found.trials >= 3


class TestOtherWorkers:
    """Other workers' trials, as they lie in the storage."""

    def left(self, tmp_path, place=None, beat=None):
        """A search of four trials whose second is still running, as a worker on this machine left it, or on another."""

        def stop(cfg, report, number):
            if number == 1:
                raise KeyboardInterrupt
            return number

        with pytest.raises(KeyboardInterrupt):
            run(config(), tmp_path, Recorder(stop))
        with contextlib.closing(sqlite3.connect(database(tmp_path))) as connection, connection:
            connection.execute("UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE number = 1")
            if place is not None:
                connection.execute(
                    "UPDATE trial_user_attributes SET value_json = ? WHERE trial_id = 2 AND key = 'place'", [place]
                )
            if beat is not None:
                connection.execute(
                    "UPDATE trial_heartbeats SET heartbeat = datetime('now', ?) WHERE trial_id = 2", [beat]
                )

    @pytest.mark.parametrize("signed", [True, False])
    def test_one_whose_lock_went_with_its_process_is_tried_again_once(self, tmp_path, signed):
        self.left(tmp_path)
        if not signed:
            with contextlib.closing(sqlite3.connect(database(tmp_path))) as connection, connection:
                connection.execute("DELETE FROM trial_user_attributes WHERE trial_id = 2 AND key = 'place'")

        found, lines = run(config(), tmp_path)

        assert found.trials == 4
        assert states(tmp_path) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
        assert sum("it is tried again" in line for line in lines) == 1

    def test_one_whose_process_holds_its_lock_is_waited_for(self, tmp_path):
        self.left(tmp_path)
        waits = []

        def sleep(seconds):
            waits.append(seconds)
            if len(waits) == 2:
                study(tmp_path).tell(1, 99.0)

        with lock_held_elsewhere(tmp_path / "proposed" / "search.db.lock", 2):
            found, lines = run(config(), tmp_path, sleep=sleep)

        assert (found.value, found.trials) == (99.0, 4)
        assert states(tmp_path) == ["COMPLETE"] * 4
        assert lines.count("search: waiting for 1 trial of other workers") == 1
        assert len(waits) == 2

    @pytest.mark.parametrize(("beat", "dead"), [("-10 seconds", False), ("-1000 seconds", True)])
    def test_the_heartbeat_decides_for_another_machine(self, tmp_path, beat, dead):
        self.left(tmp_path, '"elsewhere"', beat)
        waits = []

        def sleep(seconds):
            waits.append(seconds)
            study(tmp_path).tell(1, 99.0)

        found, _ = run(config(), tmp_path, sleep=sleep)

        assert found.trials == 4
        assert states(tmp_path).count("FAIL") == dead
        assert len(waits) == (not dead)

    def test_a_worker_is_heard_of_again_and_again_while_its_trial_runs(self, tmp_path, monkeypatch):
        import threading

        monkeypatch.setattr("assay.runtime.search_worker.HEARTBEAT_SECONDS", 0.01)

        def beaten(cfg, report, number):
            for _ in range(3):
                with sqlite3.connect(tmp_path / "proposed" / "search.db", timeout=60) as connection:
                    connection.execute("UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00'")
                connection.close()
                for _ in range(3_000):
                    if heard(tmp_path / "proposed" / "search.db"):
                        break
                    threading.Event().wait(0.01)
                else:
                    raise AssertionError("no heartbeat came")
            return number

        def heard(path):
            connection = sqlite3.connect(path, timeout=60)
            [[last]] = connection.execute("SELECT max(heartbeat) FROM trial_heartbeats").fetchall()
            connection.close()
            return not last.startswith("2001")

        assert run(config(n_trials=1), tmp_path, Recorder(beaten))[0].trials == 1

    def test_a_worker_taken_for_dead_loses_its_score_and_says_so(self, tmp_path):
        import optuna

        def failed_meanwhile(cfg, report, number):
            if number == 1:
                study(tmp_path).tell(1, state=optuna.trial.TrialState.FAIL)
            return number

        found, lines = run(config(), tmp_path, Recorder(failed_meanwhile))

        assert any("trial 1: taken for dead by another worker" in line for line in lines)
        assert (found.trials, len(states(tmp_path))) == (4, 5)

    def test_a_trial_of_such_a_worker_ends_when_it_next_reports(self, tmp_path):
        import optuna

        def failed_meanwhile(cfg, report, number):
            if number == 1:
                study(tmp_path).tell(1, state=optuna.trial.TrialState.FAIL)
                report(0.5, 0)
                raise AssertionError("it went on")
            return number

        found, lines = run(config(), tmp_path, Recorder(failed_meanwhile))

        assert any("trial 1: taken for dead by another worker" in line for line in lines)
        assert (found.trials, states(tmp_path).count("PRUNED")) == (4, 0)

    def test_one_that_diverged_is_tried_again(self, tmp_path):
        import optuna

        def failed_meanwhile(cfg, report, number):
            if number == 1:
                study(tmp_path).tell(1, state=optuna.trial.TrialState.FAIL)
                return math.nan
            return number

        assert run(config(), tmp_path, Recorder(failed_meanwhile))[0].trials == 4

    def test_one_on_a_server_that_is_not_signed_yet_has_time_to_sign(self, tmp_path, monkeypatch):
        self.left(tmp_path, beat="-1000 seconds")
        with contextlib.closing(sqlite3.connect(database(tmp_path))) as connection, connection:
            connection.execute("DELETE FROM trial_user_attributes WHERE trial_id = 2 AND key = 'place'")
        waits = []
        opened = SearchStorage.__init__

        def as_on_a_server(storage, address, folder):
            opened(storage, address, folder)
            storage.is_server = True

        def sleep(seconds):
            waits.append(seconds)
            study(tmp_path).tell(1, 99.0)

        monkeypatch.setattr(SearchStorage, "__init__", as_on_a_server)
        found, _ = run(config(), tmp_path, sleep=sleep)

        assert (found.value, found.trials, len(waits)) == (99.0, 4, 1)

    def test_without_locks_a_heartbeat_decides_here_too(self, tmp_path, monkeypatch):
        def refused(*_):
            raise OSError(errno.ENOLCK, "no locks")

        monkeypatch.setattr("assay.runtime.search_locks.fcntl.lockf", refused)
        self.left(tmp_path)
        waits = []

        def sleep(seconds):
            waits.append(seconds)
            study(tmp_path).tell(1, 99.0)

        assert run(config(), tmp_path, sleep=sleep)[0].value == 99.0
        assert len(waits) == 1

    def test_what_two_workers_queued_twice_is_run_once(self, tmp_path):
        def queued_again(cfg, report, number):
            if number == 1:
                for slot in (7, 2, 3):
                    study(tmp_path).enqueue_trial({}, user_attrs={"slot": slot, "attempt": 1})
                    study(tmp_path).enqueue_trial({}, user_attrs={"slot": slot, "attempt": 1})
                study(tmp_path).enqueue_trial({})
            return number

        undisturbed, objective = Recorder(), Recorder(queued_again)
        run(config(), tmp_path / "whole", undisturbed)
        found, lines = run(config(), tmp_path, objective)
        assert objective.tried == undisturbed.tried
        assert not any("tried again" in line for line in lines)
        assert found.trials == states(tmp_path).count("COMPLETE") == 4

        rest = Recorder()
        run(config(n_trials=9), tmp_path, rest)
        assert len(rest.tried) == 5
        assert states(tmp_path).count("COMPLETE") == 9
