"""A submission as rules see it: parsed files, its contract, its base, and what ruff says."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from assay import yaml_tree
from assay.analysis.enacted_runs import Enactment, read_answer, request_of
from assay.analysis.enactment.session import Session
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.python_source import PythonFile
from assay.analysis.ruff_check import RuffCheck, python_range
from assay.contracts import Contract
from assay.submission.brief import Brief
from assay.submission.record import Submission

if TYPE_CHECKING:
    from assay.analysis.environment import Environment
    from assay.analysis.library_errors import LibraryErrors
    from assay.analysis.resolution import Resolution
    from assay.analysis.ty_check import TyCheck
    from assay.trial.record import Rehearsal

ENACTMENT_SECONDS = 40.0
T = TypeVar("T")


class YamlFile(NamedTuple):
    """A YAML file of a submission: its documents, or where its YAML breaks."""

    path: str
    text: str
    documents: tuple[yaml_tree.Node, ...] = ()
    error: yaml_tree.YamlSyntaxError | None = None

    @property
    def root(self) -> yaml_tree.Node | None:
        """The first document, if there is one."""
        return self.documents[0] if self.documents else None


class Project:
    """What is known of a submission without running it. Parsing happens when it is first asked for.

    Attributes:
        submission: The files as they are.
        contract: The contract they are reviewed against.
        brief: What the experiment should do.
        base: The foundation of a derived submission, as a project of its own; None where it was not given.
        as_of: The day on which dependencies are looked at.
        unread_roles: Roles that were asked for and that no file plays which could be read.
        environment: The environment that it would run in; None where none was given or built.
        resolution: What came of building one; None where that was not asked for.
        rehearsal: What a rehearsal of it saw; None where it was not rehearsed.
        ty: ty at work on its files in that environment.
    """

    def __init__(self, submission: Submission, contract: Contract, *, as_of: datetime.date | None = None) -> None:
        self.submission = submission
        self.contract = contract
        self.brief: Brief = submission.brief
        self.as_of = as_of or datetime.date.today()
        self.base = Project(submission.base, contract, as_of=as_of) if submission.base else None
        self.unread_roles: set[str] = set()
        self.environment: Environment | None = None
        self.resolution: Resolution | None = None
        self.rehearsal: Rehearsal | None = None
        self.ty: TyCheck | None = None
        self._ruff: RuffCheck | None = None
        self._shared: dict[Callable[[Project], object], tuple[object, frozenset[str]]] = {}
        self._session: Session | None = None
        self._asked = ""

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The files that count, in the contract's order, then by name."""
        counted = [path for path in self.submission.files if not self.contract.is_exempt(path)]
        order = {path: number for number, path in enumerate(self.contract.required)}
        return tuple(sorted(counted, key=lambda path: (order.get(path, len(order)), path)))

    @cached_property
    def python(self) -> dict[str, PythonFile]:
        """The Python files, by path, those that could not be parsed included."""
        texts = ((path, self.submission.text(path)) for path in self.paths if path.endswith(".py"))
        return {path: PythonFile(path, text) for path, text in texts if text is not None}

    @cached_property
    def yaml(self) -> dict[str, YamlFile]:
        """The YAML files, by path."""
        found: dict[str, YamlFile] = {}
        for path in self.paths:
            text = self.submission.text(path)
            if not path.endswith((".yaml", ".yml")) or text is None:
                continue
            try:
                found[path] = YamlFile(path, text, tuple(yaml_tree.parse(path, text)))
            except yaml_tree.YamlSyntaxError as error:
                found[path] = YamlFile(path, text, error=error)
        return found

    @cached_property
    def pyproject(self) -> PyProject | None:
        """`pyproject.toml`, or None where there is none or it is empty."""
        text = self.submission.text("pyproject.toml")
        return PyProject.parse("pyproject.toml", text) if text and text.strip() else None

    @cached_property
    def run_files(self) -> dict[str, YamlFile]:
        """The run configurations, by path."""
        return {path: file for path, file in self.yaml.items() if self.contract.is_run_file(path)}

    def shared(self, make: Callable[[Project], T]) -> T:
        """What a class or function makes of a project alone; made when a rule first asks for it.

        The roles that it could not read count as asked for by each rule that uses it.
        """
        if make not in self._shared:
            before, self.unread_roles = self.unread_roles, set()
            try:
                self._shared[make] = make(self), frozenset(self.unread_roles)
            finally:
                self.unread_roles = before
        made, unread = self._shared[make]
        self.unread_roles.update(unread)
        return cast(T, made)

    def role(self, name: str) -> PythonFile | None:
        """The Python file that plays a role (`main`, `train`, `evaluate`, ...), or None where it is absent."""
        path = self.contract.role(name)
        file = self.python.get(path) if path else None
        if file is None or file.tree is None:
            self.unread_roles.add(name)
        return file

    @cached_property
    def python_range(self) -> tuple[int | None, int | None]:
        """Lowest and highest minor version of Python 3 under which it may run; None where that side is open."""
        requires = self.pyproject.get("project", "requires-python") if self.pyproject else None
        pinned = self.submission.text(".python-version")
        return python_range(requires if isinstance(requires, str) else None, pinned)

    def start_ruff(self) -> None:
        """Start ruff, so that it works while the rest is read."""
        if self._ruff is None:
            texts = {path: self.submission.text(path) or "" for path in self.paths if path.endswith(".py")}
            low, _ = self.python_range
            self._ruff = RuffCheck(texts, low)

    @property
    def ruff(self) -> RuffCheck:
        """ruff's report for the oldest Python that the submission admits."""
        self.start_ruff()
        assert self._ruff is not None
        return self._ruff

    def use_environment(self, path: Path | None = None) -> None:
        """Look at libraries as an environment holds them, and start ty on it.

        Args:
            path: The environment; None has uv build one from what the submission declares, as of the day.

        Raises:
            InputError: where there is no such environment, or a program that this needs is not installed.
        """
        from assay.analysis.environment import open_environment
        from assay.analysis.resolution import resolve
        from assay.analysis.ty_check import TyCheck
        from assay.analysis.wanted_packages import wanted_packages

        if path is not None:
            self.environment = open_environment(path)
        else:
            wanted = wanted_packages(self.pyproject, has_uv_settings="uv.toml" in self.submission)
            self.resolution = resolve(wanted, self.as_of, self.python_range)
            self.environment = self.resolution.environment
        if self.environment is not None:
            texts = {path: self.submission.text(path) or "" for path in self.paths if path.endswith(".py")}
            self.ty = TyCheck(texts, self.environment)

    @cached_property
    def library_errors(self) -> LibraryErrors | None:
        """The certain mistakes in the use of the environment's libraries; None where there is no environment."""
        if self.environment is None:
            return None
        from assay.analysis.library_errors import LibraryErrors

        return LibraryErrors(self, self.environment)

    def start_enactment(self, session: Session | None = None) -> None:
        """Have the programs enacted, so that it happens while the rest is read.

        Args:
            session: A child that is started already.
        """
        if self._session is not None or self._asked:
            return
        request = request_of(self)
        if isinstance(request, str):
            self._asked = request
            if session is not None:
                session.close()
            return
        from assay.analysis.compositions import composition_request

        self._session = session or Session()
        self._session.send({**request, **composition_request(self)})

    @cached_property
    def enactment(self) -> Enactment:
        """What the programs do with the configuration of each run, as far as it can be told without running them."""
        self.start_enactment()
        if self._session is None:
            return Enactment(failed=self._asked)
        return read_answer(self._session.answer(ENACTMENT_SECONDS))

    @property
    def is_enacted(self) -> bool:
        """Whether a rule asked for the enactment, and there was one."""
        return "enactment" in self.__dict__ and not self.enactment.failed

    def close(self) -> None:
        """End what still runs."""
        if self._session is not None:
            self._session.close()
        if self.ty is not None:
            self.ty.close()
        if self._ruff is not None:
            self._ruff.close()
