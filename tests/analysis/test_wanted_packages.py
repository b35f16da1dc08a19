"""What uv gets to see of a submission's project file: names and version ranges, and nothing that leads elsewhere."""

from __future__ import annotations

import tomllib

import pytest

from assay.analysis.packaging_metadata import PyProject
from assay.analysis.wanted_packages import wanted_packages

HEAD = '[project]\nname = "demo"\nversion = "0.1.0"\nrequires-python = ">=3.10"\n'


def wanted(text, **more):
    return wanted_packages(PyProject.parse("pyproject.toml", text), **more)


def test_names_and_ranges_are_passed_on():
    found = wanted(
        f'{HEAD}dependencies = ["numpy>=1.26", "wandb[media]"]\n'
        '[project.optional-dependencies]\nplots = ["seaborn"]\n[dependency-groups]\ndev = ["pytest"]\n'
    )
    assert not found.refused
    assert not found.inexact
    assert tomllib.loads(found.as_toml()) == {
        "project": {
            "name": "demo", "version": "0", "requires-python": ">=3.10",
            "dependencies": ["numpy>=1.26", "wandb[media]"], "optional-dependencies": {"plots": ["seaborn"]},
        },
        "dependency-groups": {"dev": ["pytest"]},
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        f'{HEAD}dependencies = ["evil @ file:///tmp/evil"]\n',
        f'{HEAD}dependencies = ["evil @ git+https://example.org/evil"]\n',
        f'{HEAD}dependencies = ["https://example.org/evil.tar.gz"]\n',
        f'{HEAD}dependencies = ["./evil"]\n',
        f'{HEAD}dependencies = ["evil @ ../evil"]\n',
        f'{HEAD}dependencies = ["-r requirements.txt"]\n',
        f'{HEAD}dependencies = ["numpy\\u0000", "{"n" * 600}"]\n',
        f'{HEAD}dependencies = ["evil"]\n[tool.uv.sources]\nevil = {{ path = "evil" }}\n',
        f'{HEAD}dependencies = []\n[dependency-groups]\ndev = ["evil @ file:///tmp/evil"]\n',
        f'{HEAD}dependencies = []\n[project.optional-dependencies]\n"a/b" = []\n',
        f'{HEAD}dependencies = []\n[tool.uv]\ndev-dependencies = ["evil @ file:///tmp/evil"]\n',
        f'{HEAD}dynamic = ["dependencies"]\n[build-system]\nrequires = ["setuptools"]\n',
        '[tool.poetry.dependencies]\nevil = { git = "https://example.org/evil" }\n',
        '[tool.poetry.dependencies]\nnumpy = "^1; python_version < 4"\n',
        "not toml",
    ],
)
def test_what_leads_elsewhere_is_refused(text):
    found = wanted(text)
    assert found.refused
    assert "evil" not in found.as_toml()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{HEAD}dependencies = ["numpy"]\n[[tool.uv.index]]\nurl = "https://example.org"\n', "[tool.uv] sets index"),
        (f'{HEAD}dependencies = ["numpy"]\n[tool.uv]\noverride-dependencies = ["numpy<2"]\n', "override-dependencies"),
        (f'{HEAD}[project.dependencies]\nnumpy = "^1.26"\n', "table"),
    ],
)
def test_settings_that_are_not_obeyed_are_named(text, reason):
    found = wanted(text)
    assert reason in found.inexact
    assert "example.org" not in found.as_toml()
    assert "uv.toml" in wanted(f"{HEAD}dependencies = []\n", has_uv_settings=True).inexact


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("^1.2.3", "numpy>=1.2.3,<2"), ("^0.2.3", "numpy>=0.2.3,<0.3"), ("^0.0.3", "numpy>=0.0.3,<0.0.4"),
        ("^0", "numpy>=0,<1"), ("~1.2.3", "numpy>=1.2.3,<1.3"), ("~1", "numpy>=1,<2"), ("*", "numpy"),
        ("1.26.4", "numpy==1.26.4"), (">=1,<2", "numpy>=1,<2"),
    ],
)  # fmt: skip
def test_a_table_in_poetry_s_form_is_taken_for_what_it_means(version, expected):
    found = wanted(f'[tool.poetry.dependencies]\npython = "^3.10"\nnumpy = "{version}"\n')
    assert found.dependencies == (expected,)
    assert found.requires_python == ">=3.10,<4"
    assert found.inexact


@pytest.mark.parametrize(
    "text",
    [
        "project = 1\n", "[project]\ndependencies = 1\n", "[project]\nname = []\ndependencies = [1]\n",
        f"{HEAD}dependencies = []\noptional-dependencies = 1\n", "[tool]\nuv = 1\npoetry = 1\n",
        "[project.dependencies]\nnumpy = [1]\n", f"{HEAD}[tool.uv]\nsources = 1\n",
        f"{HEAD}[dependency-groups]\ndev = [{{include-group = 1}}]\nx = 1\n", "[project]\nrequires-python = 3.10\n",
    ],
)  # fmt: skip
def test_any_type_may_stand_anywhere(text):
    tomllib.loads(wanted(text).as_toml())


def test_no_project_file_is_refused():
    assert wanted_packages(None).refused
