"""A new submission: what it holds, where it goes, and what to do with it next."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from assay.contracts import builtin_names, load_contract
from assay.errors import InputError
from assay.report.styled_text import Line, visible
from assay.scaffold.checkout import uv_source
from assay.scaffold.foundation import kept_files
from assay.scaffold.project_name import project_name
from assay.scaffold.templates import template_files, template_names
from assay.scaffold.writing import place_of, write_folder

RESULTS = "results"


@dataclass(frozen=True)
class NewSubmission:
    """A submission that is ready to be written.

    Args:
        folder: Where it goes, as the caller named it.
        contract: The contract that it meets.
        files: Relative path to text, sorted.
        base: The foundation that it specialises, if it is a derived one.
    """

    folder: Path
    contract: str
    files: Mapping[str, str]
    base: Path | None = None

    def write(self) -> None:
        """Write it, as a whole or not at all.

        Raises:
            InputError: where the folder is there already, or the file system refuses.
        """
        write_folder(self.folder, self.files)

    def lines(self) -> Iterator[Line]:
        """What was written, and the commands to type next."""
        yield [(visible(str(self.folder)), "strong"), (f": a small submission of contract {self.contract}", "")]
        for path in self.files:
            yield [(f"  {path}", "dim")]
        yield []
        yield [("Next:", "")]
        for command in self.commands():
            yield [(f"  {visible(command)}", "")]

    def commands(self) -> Iterator[str]:
        """The commands to type next, in their order, starting from where the folder was named."""
        review = ["assay", "review", str(self.folder)]
        yield shlex.join(review if self.base is None else [*review, "--base", str(self.base)])
        if self.folder != Path():
            yield shlex.join(["cd", str(self.folder)])
        yield from self._runs()
        if self.contract == "base":
            # its dataset and model are placeholders: only a derived form can run in full
            yield "assay new ../NAME --contract derived --base ."

    def _runs(self) -> Iterator[str]:
        contract = load_contract(self.contract)
        runs = [Path(path).stem for path in self.files if contract.is_run_file(path)]
        runs.sort(key=lambda run: "proposed" not in run)
        for purpose in ("trial", "full"):
            line = contract.commands[purpose]
            if purpose == "full" and self.contract == "base":
                continue
            called = runs[:1] if purpose == "trial" else runs
            yield from (line.format(run_id=run, results_dir=RESULTS) for run in called or [""])
        if "evaluate" in contract.commands:
            listed = "[" + ", ".join(f'"{run}"' for run in runs) + "]"
            yield contract.commands["evaluate"].format(results_dir=RESULTS, run_ids=shlex.quote(listed))


def new_submission(
    name: str | Path,
    contract: str = "experiment",
    *,
    into: Path | None = None,
    base: Path | None = None,
    checkout: Path | None = None,
) -> NewSubmission:
    """Prepare a new submission. Nothing is written.

    Args:
        name: The folder it will go to; the last part of the path gives the project its name.
        contract: The contract that it will meet: `experiment`, `base` or `derived`.
        into: The folder in which `name` is looked for; None for the working directory.
        base: The foundation that a derived submission specialises.
        checkout: The checkout of Assay from which a submission that needs `assay` takes it; None for the package
            index.

    Raises:
        InputError: where the contract has no template, the name is none, or `base` does not fit.
    """
    _check_contract(contract)
    if not str(name):
        raise InputError("an empty name; name the new folder (. is this one)")
    folder = (into or Path()) / name
    place = place_of(folder)
    project = project_name(folder if folder.name not in ("", "..") else place)
    if (base is not None) != (contract == "derived"):
        raise InputError(
            "--contract derived needs --base DIR, the foundation that it specialises"
            if base is None
            else f"--base is for --contract derived, not for {contract}"
        )
    files = template_files(contract, project)
    _check_is_not_needed(project, files["pyproject.toml"])
    if base is not None:
        files = kept_files(base, files) | files
    if checkout is not None and '"assay[runtime]"' in files["pyproject.toml"]:
        files["pyproject.toml"] += uv_source(checkout, place)
    return NewSubmission(folder, contract, {path: files[path] for path in sorted(files)}, base)


def _check_contract(contract: str) -> None:
    if contract in template_names():
        return
    known = f"there are {', '.join(template_names())}"
    if contract in builtin_names():
        raise InputError(f"nothing can be written for the contract {contract} yet; {known}")
    raise InputError(f"unknown contract {contract!r}; {known}")


def _check_is_not_needed(name: str, description: str) -> None:
    """A project cannot have the name of a package that it depends on."""
    needed = [Requirement(text) for text in tomllib.loads(description)["project"]["dependencies"]]
    if any(canonicalize_name(requirement.name) == name for requirement in needed):
        raise InputError(f"{name}: the submission depends on a package of this name; choose another name")
