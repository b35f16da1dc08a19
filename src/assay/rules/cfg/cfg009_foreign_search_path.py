"""CFG009: configuration is taken from outside the submission."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.compositions import refusals
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_OWN = ("pkg://hydra.conf", "structured://")


class ForeignSearchPath(Rule):
    """`hydra.searchpath` names a Python package or a folder outside the submission.

    Hydra imports such a package to find configuration in it. What the experiment then trains with is written in no
    file of the submission, and changes with what happens to be installed. Assay imports nothing of the kind, and
    leaves undecided what depends on it.
    """

    code = "CFG009"
    name = "foreign-search-path"
    gate = "compose"
    requirements = ("E2.1", "E7.1")
    severity = Severity.WARNING
    message = "configuration is searched in `{path}`, outside the submission"
    explanation = "Its values are written in no file of the submission, and reading cannot compose it."
    repair = "Move that configuration into config/."

    VALID = (
        Example({"config/config.yaml": "run: null\nhydra:\n  searchpath:\n    - file://config/shared\n"}),
        Example({"config/config.yaml": "hydra:\n  searchpath: [pkg://hydra.conf]\n"}),
        # a package of the submission itself
        Example({"config/config.yaml": "hydra:\n  searchpath: [pkg://src.conf]\n", "src/conf/more.yaml": "a: 1\n"}),
        Example({"config/config.yaml": "searchpath: [pkg://of_another_meaning]\n"}),
    )
    INVALID = (
        Example(
            {"config/config.yaml": "run: null\nhydra:\n  searchpath:\n    - pkg://lab_defaults.conf\n"},
            at=("config/config.yaml:4",),
        ),
        Example(
            {"config/config.yaml": "hydra:\n  searchpath: [file:///etc/experiments, ../../shared]\n"},
            at=("config/config.yaml:2", "config/config.yaml:2"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        said = False
        for path, file in project.yaml.items():
            node = yaml_tree.find(file.root, "hydra", "searchpath")
            for item in node.items if isinstance(node, yaml_tree.Sequence) else ():
                if isinstance(item, yaml_tree.Scalar) and _is_foreign(project, item.text):
                    said = True
                    yield self.finding(path, item, symbol="hydra.searchpath", path=item.text[:80])
        if said:
            return
        for refused in refusals(project):
            if refused.kind == "foreign-search-path":
                entry = refused.entry
                path = refused.message.rpartition(": ")[2]
                if _is_foreign(project, path):
                    yield self.finding(entry.file.path, entry.place, detail=refused.message, path=path)
                return


def _is_foreign(project: Project, text: str) -> bool:
    scheme, found, rest = text.partition("://")
    if found and scheme != "file":
        package = re.split(r"[./]", rest)[0]
        own = bool(package) and any(path.startswith(f"{package}/") for path in project.submission.files)
        return text not in _OWN and not own
    path = rest if found else text
    return path.startswith("/") or path.split("/")[0] == ".."
