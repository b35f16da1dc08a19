"""The tables of what libraries hold: well formed, and true where a library is installed to ask."""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from assay.analysis.fact_table import read_table
from assay.analysis.library_interface import (
    OPEN,
    LibraryInterface,
    distribution_of,
    holds,
    looked_at,
    owners,
    poetry_range,
    releases,
)
from assay.analysis.project import Project
from assay.analysis.replaced_interfaces import replaced
from assay.contracts import load_contract
from assay.submission import SourceFile, Submission

FOLDER = Path(importlib.import_module("assay.analysis.libraries").__file__ or "").parent
DISTRIBUTIONS = sorted(place.stem.removeprefix("members_") for place in FOLDER.glob("members_*.tsv"))


def interface(*requirements: str, day: str = "2026-11-01", **files: str) -> LibraryInterface:
    listed = ", ".join(f'"{text}"' for text in requirements)
    texts = {"pyproject.toml": f'[project]\nname = "a"\nversion = "1"\ndependencies = [{listed}]\n', **files}
    made = {path: SourceFile.of_text(path, text) for path, text in texts.items()}
    contract = load_contract("experiment")
    return LibraryInterface(Project(Submission("a", made), contract, as_of=datetime.date.fromisoformat(day)))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_releases_are_in_order_and_some_were_read(distribution):
    known = releases(distribution)
    assert [one.version for one in known] == sorted(one.version for one in known)
    assert len(looked_at(distribution)) > 1
    assert known[-1].looked, "the newest release was read"
    for one in known:
        datetime.date.fromisoformat(one.date)
        assert not one.version.is_prerelease


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_rows_name_releases_that_were_read_and_public_names(distribution):
    looked = {str(version) for version in looked_at(distribution)}
    for row in read_table(f"members_{distribution}"):
        assert row["kind"] in ("module", "class")
        assert {row["since"], row["gone"]} <= looked | {""}
        assert distribution_of(row["owner"]) == distribution
        names = row["names"].split()
        assert names
        assert all(name == OPEN or (name.isidentifier() and not name.startswith("_")) for name in names)


def test_no_name_has_two_stretches_at_once():
    for distribution in DISTRIBUTIONS:
        for owner, stretches in owners(distribution).items():
            seen: set[tuple[str, int]] = set()
            for stretch in stretches:
                assert stretch.first < stretch.end, owner
                places = {(name, place) for name in stretch.names for place in range(stretch.first, stretch.end)}
                assert not places & seen, owner
                seen |= places


def test_the_keyword_table_names_known_distributions_and_releases():
    for row in read_table("keywords"):
        looked = {str(version) for version in looked_at(row["distribution"])}
        assert {row["since"], row["gone"]} <= looked | {""}
        assert distribution_of(row["call"]) == row["distribution"]


def is_installed(distribution):
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_some_of_the_libraries_are_installed():
    assert {"omegaconf", "hydra-core"} <= {name for name in DISTRIBUTIONS if is_installed(name)}


@pytest.mark.parametrize("distribution", [name for name in DISTRIBUTIONS if is_installed(name)])
def test_closed_modules_and_classes_leave_out_nothing_that_is_installed(distribution):
    """Whatever `dir` shows of a library that happens to be installed is in the table, unless the owner is open."""
    installed = Version(importlib.metadata.version(distribution))
    for owner, stretches in owners(distribution).items():
        held = _load(owner)
        for name in dir(held) if held is not None else ():
            if not name.startswith("_") and name.isidentifier():
                assert holds(distribution, stretches, name, installed) is not False, f"{owner}.{name}"


def _load(owner: str) -> object | None:
    parts = owner.split(".")
    for length in range(len(parts), 0, -1):
        try:
            held: object = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            held = getattr(held, part, None)
        return held
    return None


@pytest.mark.parametrize(
    "path",
    [
        "omegaconf.OmegaConf.deepcopy",
        "omegaconf.OmegaConf.to_json",
        "sklearn.metrics.ttest_ind",
        "datasets.load_metric",
        "scipy.stats.binom_test",
        "numpy.float",
        "numpy.float_",
        "sklearn.datasets.load_boston",
        "transformers.AdamW",
        "torch.nn.functional.crossentropy",
    ],
)
def test_these_are_not_there_in_the_newest_release(path):
    known = interface("omegaconf", "scikit-learn", "datasets", "scipy", "numpy", "transformers", "torch")
    assert known.missing_part(path) is not None


@pytest.mark.parametrize(
    "path",
    [
        "omegaconf.OmegaConf.to_container",
        "sklearn.metrics.f1_score",
        "sklearn.model_selection.HalvingGridSearchCV",
        "scipy.stats.ttest_rel",
        "numpy.bool",
        "numpy.random.default_rng",
        "torch.optim.lr_scheduler.LambdaLR",
        "torch.nn.functional.cross_entropy",
        "torch.float32",
        "transformers.GPT2TokenizerFast",
        "transformers.AutoModelForCausalLM",
        # made from the files of the models, and answered for by others
        "transformers.Qwen3ForCausalLM",
        "transformers.BertTokenizerFast",
        "transformers.CLIPImageProcessorFast",
        "transformers.LongformerTokenizer",
        # a plug-in for a device adds it
        "torch.neuron",
        "optuna.samplers.TPESampler",
        "wandb.log",
        "matplotlib.pyplot.tight_layout",
    ],
)
def test_these_are_there_in_the_newest_release(path):
    known = interface(
        "omegaconf", "scikit-learn", "scipy", "numpy", "transformers", "torch", "optuna", "wandb", "matplotlib"
    )
    assert known.missing_part(path) is None


def test_the_release_follows_from_the_range_and_the_day():
    assert interface("datasets<3").missing_part("datasets.load_metric") is None
    assert interface("datasets", day="2024-01-01").missing_part("datasets.load_metric") is None
    absence = interface("datasets>=2.15").missing_part("datasets.load_metric")
    assert absence is not None
    assert absence.sure
    assert not absence.always
    assert absence.gone == "3.0.0"
    always = interface("datasets>=3").missing_part("datasets.load_metric")
    assert always is not None
    assert always.always


def test_a_name_that_transformers_never_had_is_missing_for_certain():
    for requirement in ("transformers", "transformers>=4.40,<5", "transformers==4.48.3"):
        absence = interface(requirement).missing_part("transformers.AutoModelForEverything")
        assert absence is not None
        assert absence.sure
        # of the releases before 4.21 nothing is known
        assert absence.always is (requirement != "transformers")


def test_a_name_that_transformers_lost_is_missing_only_since_then():
    assert interface("transformers<5").missing_part("transformers.BeitFeatureExtractor") is None
    absence = interface("transformers>=5").missing_part("transformers.BeitFeatureExtractor")
    assert absence is not None
    assert absence.always
    assert absence.gone == "5.0.0"


def test_a_lock_file_settles_the_release():
    lock = '[[package]]\nname = "datasets"\nversion = "2.20.0"\n'
    assert interface("datasets", **{"uv.lock": lock}).missing_part("datasets.load_metric") is None


def test_nothing_is_said_of_the_history_of_a_library_nobody_asked_for():
    assert interface().missing_part("numpy.Inf") is None
    assert interface("numpy @ https://example.org/numpy.whl").missing_part("numpy.Inf") is None


def test_another_dependency_may_hold_a_library_back():
    absence = interface("numpy", "scipy==1.11.1").missing_part("numpy.Inf")
    assert absence is not None
    assert not absence.sure


def test_removed_arguments():
    known = interface("transformers", "scikit-learn", "torch")
    assert known.argument("transformers.TrainingArguments", "evaluation_strategy") is not None
    assert known.argument("transformers.TrainingArguments", "eval_strategy") is None
    assert known.argument("sklearn.metrics.mean_squared_error", "squared") is not None
    assert known.argument("torch.tensor", "requires_grad") is None
    assert known.argument("torch.stack", "axis") is None
    older = interface("transformers<4.40")
    assert older.argument("transformers.TrainingArguments", "eval_strategy") is not None


def test_what_took_the_place_of_something_is_known():
    for row in read_table("replaced"):
        found = replaced(row["name"], row["argument"])
        assert found is not None
        assert found.use
        assert row["source"].startswith("https://")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.6.2", ">=0.6.2,<0.7"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("~1.2", ">=1.2,<1.3"),
        (">=1,<2", ">=1,<2"),
        ("1.4.*", "==1.4.*"),
        ("*", ""),
    ],
)
def test_ranges_in_poetrys_manner(text, wanted):
    assert poetry_range(text) == SpecifierSet(wanted)


def test_what_is_no_range_is_none():
    assert poetry_range(["1"]) is None
    assert poetry_range("latest") is None
    assert poetry_range({"git": "https://example.org"}) is None
