"""CFG014: main passes an override that the configuration of the child refuses."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.enacted_runs import Seen
from assay.analysis.project import Project
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

# https://hydra.cc/docs/advanced/hydra-command-line-flags/
_OPTIONS = ("--config-name", "--config-path", "--config-dir", "-cn", "-cp", "-cd", "--multirun")
_MAIN = """import subprocess
import sys

import hydra


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    words = [f"run={cfg.run}", f"mode={cfg.mode}"]
    if cfg.mode == "trial":
        words += [{}]
    subprocess.run([sys.executable, "-m", "src.train", *words], check=True)


if __name__ == "__main__":
    main()
"""
_TRAIN = """import hydra


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    print(cfg.mode)


if __name__ == "__main__":
    main()
"""
_CONFIG = "run: ???\nresults_dir: results\nmode: full\n"


def _files(word: str, config: str = _CONFIG) -> dict[str, str]:
    return {
        "src/main.py": _MAIN.replace("{}", word),
        "src/train.py": _TRAIN,
        "config/config.yaml": config,
        "config/runs/a.yaml": "run_id: a\n",
    }


class OverrideRefusedInChild(Rule):
    """main starts train with an override that Hydra refuses there.

    The child composes its own configuration. A key that only the run file has, and that the child merges in later, is
    not there yet when Hydra reads the command line. The words that main passes are worked out for every run and mode,
    and given to Hydra.
    """

    code = "CFG014"
    name = "override-refused-in-child"
    gate = "compose"
    requirements = ("E2.1", "E2.3", "E9.2")
    consequence = Consequence.CRASHES
    message = "it passes `{override}` to {child}, whose configuration refuses it"
    explanation = "Hydra says: {said} ({which})."
    repair = "Declare the key in the configuration that {child} composes, or pass it as `+{override}`."

    VALID = (
        Example(_files("'mode=trial'")),
        Example(_files("'+training.epochs=1'")),
        Example(_files("'training.epochs=1'", _CONFIG + "training: {epochs: 5}\n")),
        # the child composes the run file
        Example(_files("'--config-path', '../config/runs', '--config-name', 'a'")),
    )
    INVALID = (
        Example(
            _files("'training.epochs=1'"),
            at=("src/main.py:11",),
            repaired={"config/config.yaml": _CONFIG + "training: {epochs: 5}\n"},
        ),
        Example(
            _files("'training.epochs=1'"),
            at=("src/main.py:11",),
            repaired=_files("'+training.epochs=1'"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        enactment = project.enactment
        mine = {(one.data["cause"], one.data["message"]) for one in enactment.seen("refused") if _is_first(one)}
        groups: dict[tuple[object, ...], list[Seen]] = {}
        for one in enactment.seen("refused"):
            override = one.data["override"]
            if _is_first(one) or (one.data["cause"], one.data["message"]) in mine or not override:
                continue
            if any(override in str(said[1]) for said in mine) or one.data["cause"] in ("plugin-absent", "other"):
                continue
            launch = one.programs[0].parents[-1]
            if _chooses_configuration(project, str(launch["file"])):
                # which configuration the child composes, the words say
                continue
            groups.setdefault((launch["file"], launch["line"], one.file, override.split("=")[0]), []).append(one)
        for (file, line, child, _), found in groups.items():
            first = found[0]
            launch = first.programs[0].parents[-1]
            sure = first.sure and launch["certain"] != "maybe"
            config = project.contract.role("config")
            frames = [Frame(str(child), first.line)]
            if config is not None and config in project.yaml:
                frames.append(Frame(config, 1))
            word = _written(project, str(file), str(first.data["override"]))
            if word is not None:
                frames.append(Frame(str(file), int(str(line))))
            yield self.finding(
                str(file),
                word or int(str(line)),
                severity=Severity.BLOCKING if sure else Severity.WARNING,
                override=first.data["override"],
                child=str(child),
                said=first.data["message"],
                which=first.where(),
                run=first.runs[0] if first.runs else None,
                detail=first.data["message"],
                frames=tuple(frames),
            )


def _chooses_configuration(project: Project, path: str) -> bool:
    """Whether a program passes an option of Hydra's own that changes what its child composes."""
    file = project.python.get(path)
    return file is None or any(
        isinstance(node.value, str) and node.value.startswith(_OPTIONS)
        for node in file.nodes
        if isinstance(node, ast.Constant)
    )


def _written(project: Project, path: str, override: str) -> ast.Constant | None:
    """Where main writes an override down, if that is one place."""
    key = override.partition("=")[0] + "="
    found = [
        node
        for node in (project.python[path].nodes if path in project.python else ())
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(key)
    ]
    return found[0] if len(found) == 1 else None


def _is_first(refused: Seen) -> bool:
    """Whether the contract's own command was refused, not one that main made."""
    return not refused.programs[0].parents
