"""What the composer makes of a command line is what Hydra's own `compose` makes of it, the order of keys included."""

from __future__ import annotations

import itertools
import warnings

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from assay.analysis.enactment.composing import Composer, Refusal

FILES = {
    "config.yaml": "defaults:\n  - _self_\n  - model: small\n  - optional extra: none\nseed: 1\nagain: ${seed}\n"
    "run: ???\nhydra:\n  run:\n    dir: out/${run}\n",
    "flat.yaml": "seed: 1\nrun: r\n",
    "late.yaml": "defaults:\n  - model: wide\n  - _self_\nmodel:\n  layers: 9\n",
    "twice.yaml": "defaults:\n  - model@first: small\n  - model@second: small\n"
    "  - override hydra/job_logging: none\n  - _self_\n",
    "logs.yaml": "defaults:\n  - override hydra/job_logging: mine\n  - _self_\nseed: 1\n",
    "copying.yaml": "hydra:\n  job:\n    env_set:\n      A: b\nseed: 2\n",
    "model/small.yaml": "name: small\nlayers: 3\nsizes: [1, 2, {wide: 2}]\n",
    "model/wide.yaml": "# @package _global_\nname: wide\nlayers: 5\nmodel:\n  width: 1\n",
    "hydra/job_logging/mine.yaml": "version: 1\n",
}
OVERRIDES: tuple[list[str], ...] = (
    [],
    ["run=1"],
    ["+new=1", "run=r"],
    ["model=wide"],
    ["~model"],
    ["unknown=1"],
    ["hydra.run.dir=elsewhere"],
    ["hydra/job_logging=disabled"],
    ["+model@third=wide"],
    ["+model@third=small"],
    ["seed=1,2"],
    ["run=[1,2]", "seed={a: 1}"],
    # three places after the same file under another name, so for the same base: one must not be taken for the other
    ["+model@fourth=small"],
    ["++seed.deeper.still=3"],
)


@pytest.fixture(scope="module")
def composer(tmp_path_factory):
    root = tmp_path_factory.mktemp("submission")
    for path, text in FILES.items():
        (root / "config" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "config" / path).write_text(text)
    made = Composer(root)
    made.warm_up()
    return made


@pytest.mark.parametrize("name", ["config", "flat", "late", "twice", "logs", "copying", "model/small", None])
def test_it_composes_what_hydra_composes(composer, name):
    for overrides, base in zip(OVERRIDES, itertools.cycle((None, "1.1", "1.3"))):
        wanted = _by_hydra(str(composer.root / "config"), name, overrides, base)
        # the second time everything that compositions have in common was kept
        for again in ([], ["++again=2"]):
            composer.compose("config", name, [*overrides, *again], base)
        got = composer.compose("config", name, overrides, base)
        asked = (name, overrides, base)
        assert isinstance(got, Refusal) == (wanted is None), asked
        if wanted is not None:
            assert _plain(got.config) == _plain(wanted), asked
            assert OmegaConf.is_struct(got.config), asked


def _by_hydra(folder, name, overrides, base):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with initialize_config_dir(folder, version_base=base):
                return compose(name, list(overrides))
        except Exception:
            return None


def _plain(config):
    """The configuration in a form in which the order of its keys counts."""
    return OmegaConf.to_yaml(config, resolve=False)
