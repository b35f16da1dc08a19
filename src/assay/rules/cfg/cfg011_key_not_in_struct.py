"""CFG011: the code writes or merges a key into a configuration that takes no new keys."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.configuration_faults import added_keys
from assay.analysis.enacted_runs import Seen
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_MAIN = """import hydra
from omegaconf import OmegaConf, open_dict


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    {}


if __name__ == "__main__":
    main()
"""
_CONFIG = "run: ???\nresults_dir: results\nmode: full\ntraining: {epochs: 3}\n"
_RUN = "run_id: a\ntraining: {lr: 0.1}\n"
_MERGE = "cfg = OmegaConf.merge(cfg, OmegaConf.load('config/runs/a.yaml'))"


def _files(statements: str, config: str = _CONFIG) -> dict[str, str]:
    return {
        "src/main.py": _MAIN.replace("{}", statements.replace("\n", "\n    ")),
        "config/config.yaml": config,
        "config/runs/a.yaml": _RUN,
    }


class KeyNotInStruct(Rule):
    """The code adds a key to a configuration in struct mode.

    Hydra hands the composed configuration over in struct mode: a key that it does not have cannot be assigned,
    updated or merged in. The commonest case is a program that loads a run file itself and merges it into what Hydra
    composed: it stops at the first key that the primary configuration does not declare. The statements are enacted in
    their order on the real configuration, with `OmegaConf.set_struct` and `open_dict` as they stand.
    """

    code = "CFG011"
    name = "key-not-in-struct"
    gate = "compose"
    requirements = ("E2.1", "E2.2", "E2.3", "E7.1")
    consequence = Consequence.CRASHES
    message = "{what} `{key}`, which the configuration does not have, and it takes no new keys"
    explanation = "Hydra's configuration is in struct mode: this raises {error} ({which})."
    repair = "Do it inside `with open_dict(...)`, or declare `{key}` in the configuration that Hydra composes."

    VALID = (
        Example(_files("cfg.training.epochs = 1")),
        Example(_files("OmegaConf.set_struct(cfg, False)\n" + _MERGE)),
        Example(_files("with open_dict(cfg):\n    cfg.device = 'cpu'")),
        Example(_files("cfg = OmegaConf.create(OmegaConf.to_container(cfg))\n" + _MERGE)),
        Example(_files("OmegaConf.update(cfg, 'training.lr', 0.1, force_add=True)")),
        Example(_files("cfg = OmegaConf.merge(OmegaConf.load('config/runs/a.yaml'), cfg)")),
        Example(_files("try:\n    cfg.device = 'cpu'\nexcept Exception:\n    print('no device')")),
        # every key of the run file is declared
        Example(_files(_MERGE, _CONFIG.replace("{epochs: 3}", "{epochs: 3, lr: null}") + "run_id: null\n")),
    )
    INVALID = (
        Example(
            _files(_MERGE),
            at=("src/main.py:7",),
            repaired=_files("OmegaConf.set_struct(cfg, False)\n" + _MERGE),
        ),
        Example(
            _files("cfg.device = 'cpu'"),
            at=("src/main.py:7",),
            repaired=_files("with open_dict(cfg):\n    cfg.device = 'cpu'"),
        ),
        Example(
            _files("OmegaConf.update(cfg, 'training.lr', 0.1)"),
            at=("src/main.py:7",),
            repaired=_files("OmegaConf.update(cfg, 'training.lr', 0.1, force_add=True)"),
        ),
        Example(
            _files("cfg.training.update({'warmup': 3})"),
            at=("src/main.py:7",),
            repaired=_files("cfg.training.epochs = 3"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        groups: dict[tuple[str, int], list[Seen]] = {}
        for fault in added_keys(project):
            groups.setdefault((fault.file, fault.line), []).append(fault)
        for faults in groups.values():
            first = min(faults, key=lambda fault: (not fault.sure, fault.stops))
            keys = list(dict.fromkeys(str(fault.data["key"]) for fault in faults if fault.data["key"]))
            what = {"write": "this assigns", "update": "this updates", "merge": "this merges in"}[first.data["what"]]
            read_only = "read-only" in first.data["message"]
            yield self.finding(
                first.file,
                first.place,
                severity=Severity.BLOCKING if first.sure else Severity.WARNING,
                message="{what} `{key}`, and the configuration is read-only" if read_only else None,
                explanation="Writing to it raises {error} ({which})." if read_only else None,
                repair="Take OmegaConf.set_readonly(..., True) out, or write before it." if read_only else None,
                what=what,
                key="`, `".join(keys[:4]),
                error=first.data["names"][0],
                which=first.where(),
                run=first.runs[0] if first.runs else None,
                detail=first.data["message"],
                frames=first.frames,
            )
