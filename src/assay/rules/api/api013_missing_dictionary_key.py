"""API013: a dictionary is asked for a key that nobody put there."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_MAIN = """import hydra


def train(lr):
    result = {"loss": 1.0}
    {}
    return result


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    print(train(0.1)["accuracy"])


if __name__ == "__main__":
    main()
"""


def _files(statement: str) -> dict[str, str]:
    return {
        "src/main.py": _MAIN.replace("{}", statement.replace("\n", "\n    ")),
        "config/config.yaml": "run: ???\nresults_dir: results\nmode: full\n",
        "config/runs/a.yaml": "run_id: a\n",
    }


class MissingDictionaryKey(Rule):
    """A dictionary is asked for a key, and all that was ever put into it is known and is not that key.

    Typical is a training function that returns `{"loss": ...}` and a caller that reads `["accuracy"]`. The dictionary
    is followed from where it is made; where anything unknown may have added keys, nothing is said.
    """

    code = "API013"
    name = "missing-dictionary-key"
    gate = "compose"
    yields_to = ("DAT012", "MDL010", "HPO010")
    requirements = ("E1.2", "E1.3", "E7.3", "B1.1", "D4.1")
    consequence = Consequence.CRASHES
    message = "the dictionary has no key {key}"
    explanation = "Nothing on the way here puts it in: this raises KeyError ({which})."
    repair = "Put the key in where the dictionary is made, or read one that is there."

    VALID = (
        Example(_files("result['accuracy'] = 0.5")),
        Example(_files("result.update(accuracy=0.5)")),
        Example(_files("import json\n    result.update(json.load(open('metrics.json')))".replace("    ", ""))),
        Example(_files("for name in open('names.txt'):\n    result[name] = 1.0")),
    )
    INVALID = (Example(_files("print(lr)"), at=("src/main.py:12",), repaired=_files("result['accuracy'] = 0.5")),)

    def check(self, project: Project) -> Iterator[Outcome]:
        seen: set[tuple[str, int]] = set()
        for fault in project.enactment.seen("fault"):
            if fault.data.get("what") != "item" or fault.data.get("by") != "dict" or fault.guarded or not fault.sure:
                continue
            if (fault.file, fault.line) in seen or any(name == "exec" for _, name in project.python[fault.file].calls):
                continue
            seen.add((fault.file, fault.line))
            yield self.finding(
                fault.file,
                fault.place,
                severity=Severity.BLOCKING,
                key=fault.data["message"].removeprefix("KeyError: "),
                which=fault.where(),
                run=fault.runs[0] if fault.runs else None,
                detail=fault.data["message"],
                frames=fault.frames,
            )
