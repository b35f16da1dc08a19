"""Scalars get the values that the real loaders give them."""

from __future__ import annotations

import io

import omegaconf
import pytest
import yaml

from assay import yaml_tree

SCALARS = [
    "0", "1", "-1", "+1", "017", "08", "0o17", "0x1F", "0b101", "1_000", "1_000.5", "1.5", "1.", ".5", "-.5",
    "+1.5", "1e-4", "-1e-4", "1E5", "1e5", "5e-05", "2.e5", "2.e+5", "2.5e5", "2.5e-5", "2.5e+5", "1.0e-3",
    ".5e5", ".5e-5", "-.5e-5", ".inf", "-.inf", "+.inf", ".nan", "inf", "nan", "1e", "1e-4x", "12e4f",
    "0.1.0", "1.2.3", "true", "TRUE", "yes", "Yes", "on", "Off", "y", "n", "null", "Null", "~", "none",
    "None", "text",
]  # fmt: skip


def parsed(text: str) -> yaml_tree.Scalar:
    (root,) = yaml_tree.parse("a.yaml", f"key: {text}\n")
    value = yaml_tree.find(root, "key")
    assert isinstance(value, yaml_tree.Scalar)
    return value


@pytest.mark.parametrize("text", SCALARS)
def test_a_scalar_resolves_as_pyyaml_does(text):
    assert repr(parsed(text).resolve()) == repr(yaml.safe_load(f"key: {text}\n")["key"])


@pytest.mark.parametrize("text", SCALARS)
def test_a_scalar_resolves_as_omegaconf_does(text):
    loaded = omegaconf.OmegaConf.select(omegaconf.OmegaConf.load(io.StringIO(f"key: {text}\n")), "key")
    assert repr(parsed(text).resolve(omegaconf=True)) == repr(loaded)


@pytest.mark.parametrize("text", ["1e-4", "5e-5", "1E5", "2.e5"])
def test_only_omegaconf_takes_these_for_numbers(text):
    scalar = parsed(text)
    assert scalar.resolve() == text
    assert scalar.resolve(omegaconf=True) == float(text)
