"""Database, Reader and UnitOfWork: the only way to rows."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeVar, overload

from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import ColumnElement, Connection, CursorResult, Executable, Table, inspect, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pycryptoutil import tracing
from pycryptoutil.clock import Clock
from pycryptoutil.errors import ConfigurationError
from pycryptoutil.storage.failures import fault_of
from pycryptoutil.storage.postgresql import PostgresBackend
from pycryptoutil.storage.prepared import Found, Prepared
from pycryptoutil.storage.sqlite import SqliteBackend

SYSTEM_TENANT: Final = "system"
"""Owner of the installation's own rows; on PostgreSQL it sees all tenants' rows where a policy says so."""

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

_log = logging.getLogger(__name__)
_here = threading.local()


def in_unit_of_work() -> bool:
    """Tell whether this thread is inside a unit of work: nothing slow or remote may be done then."""
    return getattr(_here, "unit", None) is not None


class Backend(Protocol):
    """What a kind of database does its own way."""

    dialect: str

    def read(self, tenant_id: str) -> AbstractContextManager[Connection]:
        """Open a snapshot."""

    def write(self, tenant_id: str) -> AbstractContextManager[Connection]:
        """Open a transaction that is durable at the end of the block."""

    def migrate(self) -> AbstractContextManager[Connection]:
        """Open a transaction that excludes every other migrating process."""

    def lock(self, connection: Connection, name: str) -> None:
        """Take the lock of this name to the end of the transaction."""

    def run(
        self, connection: Connection, statement: Prepared, params: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> Found:
        """Run what was prepared."""

    def long_value(self, connection: Connection, table: Table, column: str, where: ColumnElement[bool]) -> bytes | None:
        """Read a column of one row."""

    def insert_file(
        self, connection: Connection, table: Table, values: Mapping[str, Any], column: str, path: Path
    ) -> None:
        """Insert a row with a file's content in a column."""

    def failed(self, connection: Connection) -> bool:
        """Tell whether the transaction can only be rolled back."""

    def close(self) -> None:
        """Close every connection."""


class Reader:
    """A snapshot of one tenant's rows."""

    __slots__ = ("_backend", "_connection", "_failed", "_open", "clock", "tenant_id")

    def __init__(self, backend: Backend, connection: Connection, tenant_id: str, clock: Clock) -> None:
        self._backend = backend
        self._connection = connection
        self._open = True
        self._failed = False
        self.tenant_id = tenant_id
        self.clock = clock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.tenant_id}>"

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._backend.dialect

    @overload
    def execute(self, statement: Prepared, params: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Found: ...

    @overload
    def execute(self, statement: Executable | str, params: Parameters = None) -> CursorResult[Any]: ...

    def execute(self, statement: Executable | str | Prepared, params: Any = None) -> Any:
        """Run one statement; a driver's error comes as a Fault."""
        if not self._open:
            message = "this unit of work or reader has ended"
            raise RuntimeError(message)
        try:
            if isinstance(statement, Prepared):
                return self._backend.run(self._connection, statement, params)
            return self._connection.execute(text(statement) if isinstance(statement, str) else statement, params)
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._failed = True
            raise as_fault(error) from None

    def long_value(self, table: Table, column: str, where: ColumnElement[bool]) -> bytes | None:
        """Return one row's long binary value, in memory once only; None if there is no such row."""
        if not self._open:
            message = "this unit of work or reader has ended"
            raise RuntimeError(message)
        try:
            return self._backend.long_value(self._connection, table, column, where)
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._failed = True
            raise as_fault(error) from None

    def has_table(self, name: str) -> bool:
        """Tell whether there is a table of this name."""
        return inspect(self._connection).has_table(name)


class Deferred(Protocol):
    """Work of a unit that is best done last, such as what takes a lock that every other unit wants too."""

    def __init__(self, uow: UnitOfWork) -> None: ...

    def flush(self) -> None:
        """Do it; an exception fails the unit."""


D = TypeVar("D", bound=Deferred)


class UnitOfWork(Reader):
    """Writes that become durable together, or not at all."""

    __slots__ = ("_deferred", "_on_commit")

    def __init__(self, backend: Backend, connection: Connection, tenant_id: str, clock: Clock) -> None:
        super().__init__(backend, connection, tenant_id, clock)
        self._deferred: dict[type[Deferred], Deferred] = {}
        self._on_commit: list[Callable[[], object]] = []

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """Return an INSERT that has ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    def insert_file(self, table: Table, values: Mapping[str, Any], column: str, path: Path) -> None:
        """Insert a row with a file's content in a column; where the database can, the file is not read whole."""
        try:
            self._backend.insert_file(self._connection, table, values, column, path)
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._failed = True
            raise as_fault(error) from None

    def lock(self, name: str) -> None:
        """Wait for the lock of this name; held to the end of the unit, by one unit of all replicas."""
        try:
            self._backend.lock(self._connection, name)
        except SQLAlchemyError as error:
            self._failed = True
            raise as_fault(error) from None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Take back what the block wrote if it raises, and nothing else: the unit may go on after catching it."""
        failed_before = self._failed
        try:
            with self._connection.begin_nested():
                yield
        except SQLAlchemyError as error:
            raise as_fault(error) from None
        finally:
            self._failed = failed_before

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call this once everything is durable; never if it is not."""
        self._on_commit.append(callback)

    def deferred(self, kind: type[D]) -> D:
        """Return this unit's one object of ``kind``, flushed when the block has ended, still in the transaction."""
        found = self._deferred.get(kind)
        if not isinstance(found, kind):
            found = self._deferred[kind] = kind(self)
        return found

    def _finish(self) -> None:
        for work in self._deferred.values():
            work.flush()
        if self._failed or self._backend.failed(self._connection):
            # PostgreSQL would answer COMMIT by rolling back; SQLite would not: be the same, and never lie
            raise Fault(FaultKind.INTERNAL, "a unit of work went on after a failed statement; use savepoint()")

    def _committed(self) -> None:
        for callback in self._on_commit:
            try:
                callback()
            except Exception:  # noqa: BLE001  the unit is durable, so its caller must not hear of a failure
                _log.exception("an on_commit callback failed")


class Database:
    """A database of rows that each belong to a tenant."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self.clock = clock
        self._system = {"db.system.name": backend.dialect}

    @classmethod
    def open(cls, url: str, *, clock: Clock, pool_size: int = 8) -> Self:
        """Open ``sqlite:///path`` or ``postgresql://…``. PostgreSQL is not contacted yet: it may come later."""
        try:
            parsed = make_url(url)
        except ArgumentError:
            message = "not a database URL; use sqlite:///path or postgresql://user@host/name"
            raise ConfigurationError(message, "database.url") from None
        match parsed.get_backend_name():
            case "sqlite":
                if not parsed.database or parsed.database == ":memory:":
                    message = "SQLite needs a file: sqlite:////absolute/path"
                    raise ConfigurationError(message, "database.url")
                return cls(SqliteBackend(Path(parsed.database), clock, pool_size), clock)
            case "postgresql" | "postgres":
                return cls(PostgresBackend(parsed, pool_size), clock)
            case other:
                message = f"{other} is not supported; use sqlite:///path or postgresql://user@host/name"
                raise ConfigurationError(message, "database.url")

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._backend.dialect

    @property
    def backend(self) -> Backend:
        """For the migrations and the measurements of this room."""
        return self._backend

    @contextmanager
    def read(self, tenant_id: str) -> Iterator[Reader]:
        """Open a snapshot for reading only."""
        try:
            with tracing.span("db.read", **self._system), self._backend.read(tenant_id) as connection:
                reader = Reader(self._backend, connection, tenant_id, self.clock)
                try:
                    yield reader
                finally:
                    reader._open = False  # noqa: SLF001
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise as_fault(error) from None

    @contextmanager
    def unit_of_work(self, tenant_id: str) -> Iterator[UnitOfWork]:
        """Open a unit: durable when the block has ended, nothing of it if the block raises."""
        if in_unit_of_work():
            message = "units of work do not nest: pass the open one on"
            raise RuntimeError(message)
        try:
            with tracing.span("db.unit_of_work", **self._system), self._backend.write(tenant_id) as connection:
                unit = UnitOfWork(self._backend, connection, tenant_id, self.clock)
                _here.unit = unit
                try:
                    yield unit
                    unit._finish()  # noqa: SLF001
                finally:
                    _here.unit = None
                    unit._open = False  # noqa: SLF001
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            raise fault from None
        unit._committed()  # noqa: SLF001

    def ping(self) -> None:
        """Raise Fault(UNAVAILABLE) unless the database answers."""
        with self.read(SYSTEM_TENANT) as reader:
            reader.execute(text("SELECT 1")).scalar_one()

    def close(self) -> None:
        """Close every connection."""
        self._backend.close()


def as_fault(error: SQLAlchemyError | sqlite3.Error) -> Fault:
    """Return the Fault of an error; the driver's text, which may quote rows, is left behind."""
    fault = fault_of(error)
    return fault if fault is not None else Fault(FaultKind.INTERNAL, type(error).__name__)
