"""CFG008: `@hydra.main` names no configuration."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.configuration_loading import string_constants
from assay.analysis.hydra_entry import hydra_entry
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule, Undecided

_WITHOUT = """import hydra


@hydra.main(config_path="../config", version_base=None)
def main(cfg):
    print(cfg.run)


if __name__ == "__main__":
    main()
"""
_WITH = _WITHOUT.replace('"../config"', '"../config", config_name="config"')
_LAUNCH = (
    _WITH.replace("import hydra\n", "import subprocess\nimport sys\n\nimport hydra\n")
    .replace("print(cfg.run)", "subprocess.run([sys.executable, '-m', 'src.train', f'run={cfg.run}'], check=True)")
)  # fmt: skip


class NoConfigName(Rule):
    """`@hydra.main(config_path=...)` without `config_name` loads no primary configuration at all.

    The folder is only a place to look for groups. The configuration is then empty and closed, so that Hydra refuses
    every `key=value` of the command line: *Could not override 'run'. Key 'run' is not in struct*.
    """

    code = "CFG008"
    name = "no-config-name"
    requirements = ("E2.1", "E2.3", "E2.4", "E7.1")
    consequence = Consequence.CRASHES
    message = "`@hydra.main` has no config_name, so that no configuration is loaded"
    explanation = "Hydra refuses every `key=value` of the command line, because no key is known."
    repair = 'Give config_name="{name}".'

    VALID = (
        Example({"src/main.py": _WITH, "config/config.yaml": "run: null\n"}),
        # a child that is started without a word needs no key
        Example({"src/main.py": _WITH, "src/train.py": _WITHOUT}),
        # names given on the child's command line
        Example({"src/main.py": _LAUNCH.replace("f'run", "'--config-name=config', f'run"), "src/train.py": _WITHOUT}),
        Example({"src/main.py": _LAUNCH.replace("f'run=", "f'+run="), "src/train.py": _WITHOUT}),
        # a configuration of the code's own
        Example(
            {
                "src/main.py": "from omegaconf import OmegaConf\n\ncfg = OmegaConf.merge(OmegaConf.load('config/config.yaml'), OmegaConf.from_cli())\n"
            }
        ),
    )
    INVALID = (
        Example({"src/main.py": _WITHOUT}, at=("src/main.py:4",), repaired={"src/main.py": _WITH}),
        Example(
            {"src/main.py": _LAUNCH, "src/train.py": _WITHOUT, "src/evaluate.py": _WITHOUT},
            at=("src/train.py:4", "src/evaluate.py:4"),
            repaired={"src/train.py": _WITH, "src/evaluate.py": _WITH},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        config = project.contract.role("config") or "config/config.yaml"
        name = config.rpartition("/")[2].rpartition(".")[0]
        main = project.python.get(project.contract.role("main") or "")
        for role in ("main", "train", "evaluate"):
            if not any("=" in word for word in project.contract.commands.get("full", "").split()):
                return
            file = project.python.get(project.contract.role(role) or "")
            entry = hydra_entry(file)
            if file is None or entry is None or entry.config_name is not None:
                continue
            if entry.unread or not entry.certain:
                if entry.unread:
                    yield Undecided(f"{file.path}: {entry.unread}")
                continue
            if role == "train" and not _gives_words(main, file):
                continue
            requirements = {"main": ("E2.1", "E2.3", "E7.1"), "train": ("E2.1", "E2.3"), "evaluate": ("E2.4",)}
            yield self.finding(file.path, entry.place, requirements=requirements[role], name=name)


def _gives_words(main: PythonFile | None, train: PythonFile) -> bool:
    """Whether main starts train as a child and gives it plain `key=value` words."""
    if main is None or main.tree is None:
        return False
    texts = [text for text in string_constants(main) if len(text) < 200]
    started = any(text in (train.module, train.path) for text in texts)
    named = any(text.startswith(("--config-name", "-cn", "+")) for text in texts)
    plain = any(text.startswith(("run=", "mode=", "results_dir=", "trial_mode=")) for text in texts)
    return started and plain and not named
