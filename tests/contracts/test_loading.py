"""Contracts are data: three come with assay, others extend them or stand alone."""

from __future__ import annotations

import pytest

from assay import review
from assay.contracts import builtin_names, known_paths, load_contract, reply_keys
from assay.errors import InputError

OWN = """\
name: ours
reply: {ready: is_ready, issue: issue}
files: {required: [run.py], exempt: [notes/**]}
requirements:
  - {id: A1, text: the program is there, rules: [LAY001]}
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="ours.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return str(path)

    return write


def test_the_contracts_that_come_with_assay():
    assert builtin_names() == ("base", "derived", "experiment", "experiment@2025-10")
    assert reply_keys() == {
        "is_base_code_ready": "base", "is_experiment_code_ready": "derived", "is_code_ready": "experiment",
    }  # fmt: skip
    assert {"src/train.py", "config/config.yaml", "config/smoke_test.yaml"} <= set(known_paths())
    assert load_contract("experiment") is load_contract("experiment")


def test_a_dialect_keeps_what_it_does_not_say_otherwise():
    dialect, whole = load_contract("experiment@2025-10"), load_contract("experiment")
    assert dialect.requirements == whole.requirements
    assert dialect.run_folders == tuple(reversed(whole.run_folders))
    assert dialect.family == whole.family == "experiment"


def test_a_contract_of_one_s_own_stands_alone(written, tmp_path):
    contract = load_contract(written(OWN))
    assert (contract.name, contract.ready_key, contract.issue_key) == ("ours", "is_ready", "issue")
    assert [(row.id, row.rules) for row in contract.requirements] == [("A1", ("LAY001",))]
    assert contract.is_exempt("notes/a/b.txt")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text("", encoding="utf-8")
    verdict = review(tmp_path / "code", contract=written(OWN))
    assert list(verdict.as_dict())[:2] == ["is_ready", "issue"]
    assert verdict.requirements[0].status == "violated"


@pytest.mark.parametrize("parent", ["base", "derived", "experiment", "experiment@2025-10"])
def test_a_contract_can_add_to_another(written, parent):
    own = "more_requirements:\n  - {id: Z1, text: ours}\n  - {id: X1, text: replaced}\nroles: {train: code/train.py}\n"
    contract, whole = load_contract(written(f"name: ours\nextends: {parent}\n{own}")), load_contract(parent)
    assert contract.ids == whole.ids | {"Z1"}
    assert next(row.text for row in contract.requirements if row.id == "X1") == "replaced"
    assert contract.role("train") == "code/train.py"
    assert contract.role("main") == whole.role("main")
    assert contract.ready_key == whole.ready_key


def test_a_key_without_a_value_is_taken_from_the_contract_that_is_extended(written):
    keys = ("reply", "files", "roles", "configuration", "commands", "requirements", "more_requirements")
    empty = "".join(f"{key}:\n" for key in keys)
    contract = load_contract(written(f"name: lab\nextends: experiment\n{empty}"))
    assert contract.requirements == load_contract("experiment").requirements
    assert contract.ready_key == "is_code_ready"


def test_a_file_that_changes_is_read_again(written):
    assert load_contract(written(OWN)).name == "ours"
    assert load_contract(written(OWN.replace("ours", "theirs"))).name == "theirs"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Input should be a valid dictionary"),
        ("- a", "Input should be a valid dictionary"),
        ("name: [a]\n", "name: Input should be a valid string"),
        ("name: a\n", "a contract that extends no other needs reply and requirements"),
        ("name: a\nextends: none\n", "extends 'none'; a contract can extend base, derived"),
        ("extends: base\n", "name: Field required"),
        ("name: a\nextends: base\nrequirement: []\n", "requirement: Extra inputs are not permitted"),
        ("name: a\nextends: base\nrequirements: [{id: a, text: b}]\n", "requirements.0.id: String should match"),
        (
            "name: a\nextends: base\nmore_requirements: [{id: Z1, text: b}, {id: Z1, text: c}]\n",
            "the id Z1 stands twice",
        ),
        (OWN + "more_requirements: [{id: Z1, text: b}]\n", "there is nothing to add to without extends"),
        ("name: a\nextends: base\nroles: {other: a}\n", "roles.other"),
        ("name: a\nextends: base\nfiles: {required: a}\n", "files.required: Input should be a valid list"),
        ("name: a\nextends: base\nmore_requirements: [{id: Z1, text: b, rules: [NOPE1]}]\n", "NOPE1"),
        ("name: a\nextends: base\nreply: {ready: findings, issue: b}\n", "reply: ready and issue need names"),
        ("name: a\nextends: base\nreply: {ready: same, issue: same}\n", "reply: ready and issue need names"),
        ("a: [\n", ":2:1: broken YAML"),
        ("a: !!python/name:os.system\n", "YAML tag"),
        ("[" * 1_000_000, "YAML nested more than 100 deep"),
        (b"\0", "NUL byte"),
        (b"#" * 11_000_000, "more than the 10,485,760 bytes"),
    ],
    ids=range(20),
)
def test_what_is_no_contract_is_answered_with_one_line(written, tmp_path, text, says):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text("", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        review(tmp_path / "code", contract=written(text))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none", "unknown contract 'none'; known: base, derived"),
        ("/none.yaml", "No such file"),
        ("/dev/zero", "unknown contract"),
        ("", "unknown contract"),
        ("../base", "unknown contract"),
        ("a\0.yaml", "null (?:byte|character)"),
    ],
)
def test_a_name_that_is_no_contract_is_answered_with_one_line(name, says):
    with pytest.raises(InputError, match=says):
        load_contract(name)


@pytest.mark.parametrize("name", builtin_names())
def test_requirement_ids_are_unique_and_roles_name_required_files(name):
    contract = load_contract(name)
    assert len(contract.ids) == len(contract.requirements)
    assert set(contract.roles.values()) <= set(contract.required)


@pytest.mark.parametrize(
    ("path", "exempt"),
    [
        ("README.md", True),
        ("src/README.md", True),
        ("results/a/b.json", True),
        (".github/workflows/test.yml", True),
        ("READMES/train.py", False),
        ("src/results.py", False),
        ("src/.hidden.py", False),
    ],
)
def test_a_star_stays_in_its_folder_and_two_do_not(path, exempt):
    assert load_contract("experiment").is_exempt(path) is exempt
