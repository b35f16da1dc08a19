"""API007: a library interface that still works and is discouraged."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from packaging.version import Version

from assay.analysis.library_interface import LibraryInterface, distribution_of
from assay.analysis.library_references import LibraryReferences
from assay.analysis.object_types import ObjectTypes
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.analysis.replaced_interfaces import replaced
from assay.finding import Finding, Severity
from assay.rules.rule import Example, Outcome, Rule

_TOML = '[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.11"\ndependencies = ["torch>=2.4"]\n'


class DeprecatedInterface(Rule):
    """A library marks an interface as deprecated in the release that the submission gets.

    The code works today, with a warning, and stops working with one of the next releases. Naming the successor keeps a
    result repeatable. Only a warning.
    """

    code = "API007"
    name = "deprecated-interface"
    requirements = ("E1.2", "D4.1", "B4.8")
    severity = Severity.WARNING
    consequence = None
    message = "`{name}` is deprecated since {distribution} {since}"
    explanation = "It still works in {release} and will go away."
    repair = "Use {use}."

    VALID = (
        Example(
            {
                "pyproject.toml": _TOML,
                "src/main.py": "from torch.amp import GradScaler\n\nscaler = GradScaler('cuda')\n",
            }
        ),
        Example(
            {"pyproject.toml": _TOML.replace(">=2.4", "<2.4"), "src/main.py": "from torch.cuda.amp import GradScaler\n"}
        ),
    )
    INVALID = (
        Example(
            {"pyproject.toml": _TOML, "src/main.py": "import torch\n\nscaler = torch.cuda.amp.GradScaler()\n"},
            at=("src/main.py:3",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        interface = project.shared(LibraryInterface)
        references = project.shared(LibraryReferences)
        types = project.shared(ObjectTypes)
        for item in references.all():
            if interface.missing_part(item.path) is None:
                yield from self._looked_up(interface, item.file, item.node, item.path, "")
        for file in project.python.values():
            for call, _ in file.calls:
                name = types.callee(file, call)
                if not name:
                    continue
                if not references.path_of(file, call.func) and not self._is_missing(interface, name):
                    yield from self._looked_up(interface, file, call.func, name, "")
                for given in call.keywords:
                    if given.arg and interface.argument(name, given.arg) is None:
                        yield from self._looked_up(interface, file, given.value, name, given.arg)

    def _is_missing(self, interface: LibraryInterface, name: str) -> bool:
        owner, _, member = name.rpartition(".")
        return interface.member(owner, member, lost=True) is not None

    def _looked_up(
        self, interface: LibraryInterface, file: PythonFile, node: ast.AST, name: str, argument: str
    ) -> Iterator[Finding]:
        known = replaced(name, argument)
        distribution = distribution_of(name)
        release: Version | None = interface.release(distribution) if known and distribution else None
        if known is None or known.deprecated is None or release is None or release < known.deprecated:
            return
        yield self.finding(
            file.path,
            node,
            symbol=argument or name,
            name=f"{argument} of {name}" if argument else name,
            distribution=distribution,
            since=known.deprecated,
            release=release,
            use=known.use,
        )
