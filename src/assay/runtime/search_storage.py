"""Where a search is kept: Optuna's storage and the locks beside it, with every fault of that place made one line."""

from __future__ import annotations

import contextlib
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from assay.runtime.errors import ExperimentError
from assay.runtime.search_locks import SearchLocks

# Optuna takes a worker for dead when its last heartbeat is older than the grace
HEARTBEAT_SECONDS = 30
GRACE_SECONDS = 300
_LOCK_SECONDS = 120


class SearchStorage:
    """An open storage.

    Args:
        address: Storage address of Optuna; None for `search.db` in the folder.
        folder: Folder of the run.

    Attributes:
        backend: Optuna's storage, its tables made.
        locks: Those of the workers on this file system.
        is_server: Whether workers on other machines may share this storage without sharing the locks.
        shown: The storage as a person may see it, without a password.

    Raises:
        ExperimentError: The storage cannot be used.
    """

    def __init__(self, address: str | None, folder: Path) -> None:
        given, address = address, address or _address_in(folder)
        url = _read_address(address)
        self.is_server = url.get_backend_name() != "sqlite"
        self.shown = url.render_as_string(hide_password=True) if self.is_server else str(url.database)
        if not self.is_server and url.database in (None, "", ":memory:"):
            raise _fault("optuna.storage is an SQLite database in memory, lost with the process: name a file")
        with self.faults():
            if given is None or self.is_server:
                folder.mkdir(parents=True, exist_ok=True)
            if not self.is_server:
                _check_database(Path(self.shown))
            self.locks = SearchLocks(folder / "search.lock" if self.is_server else Path(f"{self.shown}.lock"))
            # two processes that make the tables at once fail
            with self.locks.turn():
                self.backend = self._opened(address)

    def _opened(self, address: str) -> optuna.storages.RDBStorage:
        arguments = {"pool_pre_ping": True} if self.is_server else {"connect_args": {"timeout": _LOCK_SECONDS}}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.storages.RDBStorage(
                    address,
                    engine_kwargs=arguments,
                    heartbeat_interval=HEARTBEAT_SECONDS,
                    grace_period=GRACE_SECONDS,
                )
        except (ImportError, ArgumentError, LookupError, ValueError, RuntimeError) as error:
            # no driver; braces, which Optuna fills in; tables of another version of Optuna
            raise _fault(f"optuna.storage is {self.shown}, which cannot be used: {error}") from error

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        """Turns what a database or a file system says into one line."""
        try:
            yield
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError, sqlite3.Error, OSError) as error:
            # Optuna's sentence is about the commit; what happened is in its cause
            cause = error.__cause__ or error
            said = str(getattr(cause, "orig", None) or cause).split("\n")[0]
            raise ExperimentError(
                f"the search in {self.shown} cannot go on: {said}; finished trials are kept: mend that and start again"
            ) from error


def _address_in(folder: Path) -> str:
    path = folder.resolve() / "search.db"
    # Optuna formats the address, SQLAlchemy cuts it at a question mark
    if set("?{}%") & set(str(path)):
        raise _fault(f"{path} cannot be a storage address because of ?, %, {{ or }}: use another results_dir")
    return f"sqlite:///{path}"


def _read_address(address: str) -> URL:
    try:
        return make_url(address)
    except (ArgumentError, ValueError) as error:
        raise _fault("optuna.storage is no address: write one such as sqlite:///search.db") from error


def _check_database(path: Path) -> None:
    """Refuses a file that is no sound database of Optuna before anything is written to it."""
    if not path.parent.is_dir():
        raise ExperimentError(f"{path} cannot be opened: there is no folder {path.parent}")
    if not path.exists():
        return
    remedy = "move it away to search anew, or put back a copy of it"
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as connection:
            [[found]] = connection.execute("PRAGMA quick_check(1)")
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.OperationalError:
        # locked or unreadable, which says nothing about what is in it
        raise
    except sqlite3.DatabaseError as error:
        raise ExperimentError(f"{path} is damaged ({error}): {remedy}") from error
    if found != "ok":
        raise ExperimentError(f"{path} is damaged ({found}): {remedy}")
    if tables and "studies" not in tables:
        raise ExperimentError(f"{path} is a database of something else ({', '.join(sorted(tables)[:3])}): {remedy}")


def _fault(text: str) -> ExperimentError:
    return ExperimentError(text, status=2)
