"""Which distribution provides which module, what comes along with what, and what a project file declares."""

from __future__ import annotations

import pytest

from assay.analysis.declared_dependencies import backend_of, dependencies_of
from assay.analysis.fact_table import read_table
from assay.analysis.libraries.distributions import (
    canonical,
    certainly,
    is_known,
    modules_of,
    possible,
    provides,
    unknown_among,
)
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.reviewer import run_rules
from assay.rules import all_rules
from assay.submission import SourceFile, Submission


def declared(text: str):
    return dependencies_of(PyProject.parse("pyproject.toml", f'[project]\nname = "demo"\nversion = "1"\n{text}'))


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("yaml", "pyyaml"),
        ("sklearn.metrics", "scikit-learn"),
        ("PIL.Image", "pillow"),
        ("cv2", "opencv-python"),
        ("hydra", "hydra-core"),
        ("hydra_plugins.hydra_optuna_sweeper", "hydra-optuna-sweeper"),
        ("google.protobuf.message", "protobuf"),
        ("rouge_score", "rouge-score"),
    ],
)
def test_modules_are_found_in_their_distributions(module, distribution):
    assert distribution in provides(module)


def test_a_shared_first_part_belongs_to_no_distribution():
    assert provides("google") == frozenset()
    assert provides("a_module_of_nobody") == frozenset()


def test_names_are_compared_in_canonical_form():
    assert canonical(" Rouge_Score ") == "rouge-score"
    assert modules_of("PyYAML") == modules_of("pyyaml")
    assert modules_of("pyyaml") >= {"yaml"}


def test_what_every_version_needs_comes_along_for_certain():
    assert certainly(["hydra-core"]) >= {"hydra-core", "omegaconf", "pyyaml", "antlr4-python3-runtime"}
    assert certainly(["peft"]) >= {"accelerate", "torch", "transformers", "numpy"}
    assert "accelerate" not in possible(["transformers", "torch", "datasets"])


def test_what_some_versions_need_is_possible_only():
    assert "psutil" in possible(["wandb"])
    assert "psutil" not in certainly(["wandb"])


def test_certain_is_part_of_possible():
    for row in read_table("brings"):
        assert certainly([row["distribution"]]) <= possible([row["distribution"]])


def test_unknown_distributions_are_named():
    assert unknown_among(["numpy", "our-lab-tools"]) == ("our-lab-tools",)
    assert not is_known("our-lab-tools")
    assert unknown_among(["torch", "transformers", "datasets", "wandb", "optuna", "hydra-core", "seaborn"]) == ()


@pytest.mark.parametrize("name", ["distributions", "brings", "implicit_needs"])
def test_tables_are_well_formed(name):
    rows = read_table(name)
    assert len(rows) > 100
    assert all(None not in row and None not in row.values() for row in rows)
    keys = [tuple(row.values()) for row in rows]
    assert len(set(keys)) == len(keys)


def test_default_groups_are_installed_and_others_are_not():
    found = declared(
        'dependencies = ["numpy"]\n[dependency-groups]\ndev = [{include-group = "x"}]\nx = ["a"]\ny = ["b"]\n'
    )
    assert {item.name for item in found.declared if item.installed} == {"numpy", "a"}
    assert found.names == {"numpy", "a", "b"}


def test_tables_in_the_manner_of_poetry_are_read_for_what_they_mean():
    found = declared('[tool.poetry.dependencies]\npython = "^3.10"\nTorch = "^2.1"\n')
    assert found.meant.names == {"torch"}
    assert not any(item.installed for item in found.declared)


def test_extras_addresses_and_old_versions_leave_it_open_what_comes_along():
    assert declared('dependencies = ["transformers[torch]"]\n').unread
    assert declared('dependencies = ["peft @ git+https://example.org/peft"]\n').unread
    assert declared('dependencies = ["torch>=2.1"]\n').unread == ""
    assert declared('dependencies = ["torch==1.4"]\n').doubt
    assert declared('dependencies = ["torch==2.2.*", "transformers<5", "numpy~=1.26"]\n').doubt == ""
    assert declared('dynamic = ["dependencies"]\n').unknown


@pytest.mark.parametrize("value", ["1", '"x"', "[1, [2]]", "{a = 1}", "true"])
@pytest.mark.parametrize("key", ["dependencies", "optional-dependencies", "dynamic", "name"])
def test_any_type_may_stand_anywhere(key, value):
    text = f"{key} = {value}\n"
    metadata = PyProject.parse("pyproject.toml", f"[project]\n{text}")
    dependencies_of(metadata)
    backend_of(metadata)


def test_a_group_may_have_any_name():
    files = {"pyproject.toml": SourceFile.of_text("pyproject.toml", '[dependency-groups]\n"{x}" = [1, "a^1"]\n')}
    project = Project(Submission("example", files), load_contract("experiment"))
    try:
        findings, coverage = run_rules(project, {"PKG005": all_rules()["PKG005"]})
    finally:
        project.close()
    assert len(findings) == 2
    assert not any("failed" in reason for reasons in coverage.open.values() for reason in reasons)
