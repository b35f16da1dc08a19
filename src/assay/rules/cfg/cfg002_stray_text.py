"""CFG002: a YAML file holds text that is no YAML."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.configuration_loading import loads_many
from assay.analysis.project import Project
from assay.analysis.stray_yaml import stray_text
from assay.finding import Consequence, Severity
from assay.rules.cfg.cfg001_broken_yaml import weight
from assay.rules.rule import Example, Outcome, Rule

_LAUNCHER = """import yaml

with open("config/full_experiment.yaml") as stream:
    runs = yaml.safe_load(stream)["runs"]
"""
_READS_ALL = """import yaml

with open("config/full_experiment.yaml") as stream:
    runs = list(yaml.safe_load_all(stream))
"""


class StrayText(Rule):
    """A YAML file holds Markdown fences, a file marker, a sentence, a tab or the tail of an answer.

    Such text stays behind where files are cut out of a longer text. Most of it stops the loader at once; a marker
    or sentence that ends in a colon becomes a key of the configuration, and a text alone becomes a string where
    the program expects a mapping. A second document stops every loader that expects one.
    """

    code = "CFG002"
    name = "stray-text-in-yaml"
    requirements = ("E1.2", "E2.2", "D4.1", "D4.3", "B4.7")
    message = "{kind} stands in the YAML"
    explanation = "{consequence_text}."
    repair = "Remove line {line}, and whatever else is not part of the configuration."

    VALID = (
        Example(
            {"config/config.yaml": "# Here is the config\nmode: full\nprompt: |\n  ```\n  Answer briefly.\n  ```\n"},
        ),
        Example({"config/config.yaml": "---\nmode: full\n...\n"}),
        Example(
            {"config/full_experiment.yaml": "run_id: a\n---\nrun_id: b\n", "src/main.py": _READS_ALL}, contract="base"
        ),
        # ruamel.yaml reads several documents, too
        Example(
            {
                "config/full_experiment.yaml": "run_id: a\n---\nrun_id: b\n",
                "src/main.py": "from ruamel.yaml import YAML\n\nruns = list(YAML().load_all(open('config/full_experiment.yaml')))\n",
            },
            contract="base",
        ),
    )
    INVALID = (
        Example(
            {"config/full_experiment.yaml": "```yaml\nruns:\n  - run_id: a\n```\n", "src/main.py": _LAUNCHER},
            contract="base",
            at=("config/full_experiment.yaml:1",),
            repaired={"config/full_experiment.yaml": "runs:\n  - run_id: a\n"},
        ),
        Example(
            {"config/full_experiment.yaml": 'runs:\n  - run_id: a\n\n\n"}\n', "src/main.py": _LAUNCHER},
            contract="derived",
            at=("config/full_experiment.yaml:5",),
            repaired={"config/full_experiment.yaml": "runs:\n  - run_id: a\n"},
        ),
        Example(
            {"config/config.yaml": "Here is the configuration\n\nmode: full\n"},
            at=("config/config.yaml:1",),
            repaired={"config/config.yaml": "mode: full\n"},
        ),
        Example(
            {"config/config.yaml": "mode: full\nwandb:\n\tproject: a\n"},
            at=("config/config.yaml:3",),
            repaired={"config/config.yaml": "mode: full\nwandb:\n  project: a\n"},
        ),
        Example(
            {"config/config.yaml": "The configuration is unchanged.\n"},
            at=("config/config.yaml:1",),
            repaired={"config/config.yaml": "mode: full\n"},
        ),
        Example(
            {"config/full_experiment.yaml": "runs: []\n---\nruns: []\n", "src/main.py": _LAUNCHER},
            contract="base",
            at=("config/full_experiment.yaml:3",),
            repaired={"config/full_experiment.yaml": "runs: []\n"},
        ),
        # these parse: the marker and the sentence become keys
        Example({"config/config.yaml": "=== file: config/config.yaml ===\nmode: full\n"}, at=("config/config.yaml:1",)),
        Example({"config/config.yaml": "Here is the config:\nmode: full\n"}, at=("config/config.yaml:1",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        many = loads_many(project.python.values())
        for path, file in project.yaml.items():
            stray = stray_text(file)
            if stray is None or (many and file.error is None and len(file.documents) > 1):
                continue
            severity, consequence = weight(project, path)
            meaning = f"Whatever loads {path} stops here"
            if not stray.certain:
                severity, meaning = Severity.WARNING, "The loader takes it for a key of the configuration"
            elif file.error is None and len(file.documents) > 1:
                meaning = "A loader that expects one document stops at the second"
            elif file.error is None:
                # OmegaConf makes a key of it and goes on; what then fails is the first key that is read
                consequence = Consequence.BREAKS_CONTRACT
                meaning = "The file holds no setting at all"
            yield self.finding(
                path,
                stray.line,
                severity=severity,
                consequence=consequence,
                kind=stray.kind[0].upper() + stray.kind[1:],
                consequence_text=meaning,
                line=stray.line,
                detail=file.error.problem if file.error else file.text.split("\n")[stray.line - 1][:200],
            )
