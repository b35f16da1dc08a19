"""Which interpolations certainly fail is told as OmegaConf tells it, without reading one."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from assay.analysis.enactment.interpolations import broken_interpolations

CONFIG = {
    "a": {"b": 1, "list": [1, 2]},
    "open": "???",
    "text": "x",
    "loop": "${loop}",
    "one": "${two}",
    "two": "${one}",
}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("${a.b}", None),
        ("${a}", None),
        ("${a.list[1]}", None),
        ("${a.list.1}", None),
        ("${.text}", None),
        ("n-${a.b}-${text}", None),
        ("${oc.env:HOME,none}", None),
        ("$a.b", None),
        (r"\${nobody}", None),
        ("${nobody}", "missing-key"),
        ("${a.nobody}", "missing-key"),
        ("n-${nobody}", "missing-key"),
        ("${a.list[7]}", "missing-key"),
        ("${open}", "missing-value"),
        ("${nobody:1}", "unknown-resolver"),
        ("${loop}", "cycle"),
        ("${one}", "cycle"),
    ],
)
def test_what_is_broken_is_what_omegaconf_refuses(text, kind):
    config = OmegaConf.create({**CONFIG, "asked": text})
    found = {one.key: one.kind for one in broken_interpolations(config, frozenset())}
    assert found.get("asked") == kind
    if kind is None:
        assert config.asked is not None
    else:
        with pytest.raises((OmegaConfBaseException, RecursionError)):
            config["asked"]


def test_a_resolver_that_the_program_registers_is_known():
    config = OmegaConf.create({"asked": "${mine:1}"})
    assert [one.kind for one in broken_interpolations(config, frozenset())] == ["unknown-resolver"]
    assert broken_interpolations(config, frozenset({"mine"})) == []
