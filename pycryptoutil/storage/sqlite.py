"""The embedded database: WAL, synchronous=FULL, many readers and one writer with group commit."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Table,
    create_engine,
    event,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from pycryptoutil.clock import Clock
from pycryptoutil.errors import StartupError
from pycryptoutil.storage.failures import unavailable
from pycryptoutil.storage.group import GroupCommit
from pycryptoutil.storage.prepared import Found, Prepared

_BEGIN: Final = "BEGIN IMMEDIATE"
_BUSY_SECONDS: Final = 10.0
_MIGRATION_SECONDS: Final = 300.0
_LONGEST_PAUSE: Final = 0.004
_PART: Final = 1 << 20
T = TypeVar("T")

_MINIMUM_VERSION: Final = (3, 35, 0)  # RETURNING and DROP COLUMN
_READER_PRAGMAS: Final = ("PRAGMA foreign_keys = ON", "PRAGMA query_only = ON", "PRAGMA cache_size = -4096")
_WRITER_PRAGMAS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -16384",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA trusted_schema = OFF",
)


class SqliteBackend:
    """One file, this process's readers and its single writer."""

    dialect = "sqlite"

    def __init__(self, path: Path, clock: Clock, pool_size: int) -> None:
        if sqlite3.sqlite_version_info < _MINIMUM_VERSION:
            message = f"SQLite {sqlite3.sqlite_version} is too old: 3.35 is the least"
            raise StartupError(message)
        self._path = path.absolute()
        self._create()
        self._identity = self._stat()
        self._readers = self._engine("", _READER_PRAGMAS)
        # readers beyond these are opened and closed again: a file handle is cheap, waiting for one is not
        self._idle: deque[Connection] = deque()
        self._pool_size = pool_size
        self._writers = self._engine(_BEGIN, _WRITER_PRAGMAS)
        self._writer: Connection | None = None
        self.group = GroupCommit(self._begin, clock)

    def _create(self) -> None:
        """Make the file, for its owner only; from now on it is opened but never created anew."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            message = f"the database {self._path} cannot be opened: {error.strerror}"
            raise StartupError(message) from error

    def _stat(self) -> tuple[int, int]:
        try:
            facts = self._path.stat()
        except OSError as error:
            raise unavailable(f"the database file is away: {error.strerror}") from error
        return facts.st_dev, facts.st_ino

    def _check_file(self) -> None:
        """Notice a deleted or replaced file: SQLite would go on writing into the one nobody can find any more."""
        identity = self._stat()
        if identity != self._identity:
            self._identity = identity
            self._drop_readers()
            self._drop_writer()

    def _engine(self, begin: str, pragmas: tuple[str, ...]) -> Engine:
        engine = create_engine(
            "sqlite://", creator=lambda: self._open(pragmas), poolclass=NullPool, hide_parameters=True
        )
        if not begin:
            return engine

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            if not _driver(connection).in_transaction:  # a group has begun by the driver, which costs half as much
                patience = connection.get_execution_options().get("patience", _BUSY_SECONDS)
                _patiently(lambda: connection.exec_driver_sql(begin), patience)

        return engine

    def _open(self, pragmas: tuple[str, ...]) -> sqlite3.Connection:
        # a writer waits in _patiently: SQLite's own waiting sleeps for up to a tenth of a second at a time
        timeout = 0 if pragmas is _WRITER_PRAGMAS else _BUSY_SECONDS
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw",
            uri=True,
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            # changing the mode answers busy when several processes start on a new file at once
            mode = _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone()[0], _BUSY_SECONDS)
            if mode != "wal":
                raise unavailable("the file system does not allow SQLite's WAL mode")
            for pragma in pragmas:
                connection.execute(pragma).close()
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self) -> Connection:
        """Begin the writer's transaction. Called only by who holds the turn."""
        self._check_file()
        if self._writer is None or self._writer.closed or self._writer.invalidated:
            self._writer = self._writers.connect()
        try:
            driver = _driver(self._writer)
            _patiently(lambda: driver.execute(_BEGIN), _BUSY_SECONDS)
            self._writer.begin()  # or SQLAlchemy would roll back by itself after an error
        except BaseException:
            self._drop_writer()
            raise
        return self._writer

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None and not writer.closed:
            writer.invalidate()
            writer.close()

    @contextmanager
    def read(self, tenant_id: str) -> Iterator[Connection]:  # noqa: ARG002  one lock here: the filter of each query
        """Yield a connection that sees one snapshot and cannot write."""
        self._check_file()
        of = self._identity
        connection = self._take_reader()
        driver = _driver(connection)
        driver.execute("BEGIN")  # by the driver: SQLAlchemy's own way there and back costs more than most queries
        try:
            yield connection
        finally:
            self._put_back(connection, driver, of)

    def _take_reader(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._readers.connect()

    def _put_back(self, connection: Connection, driver: sqlite3.Connection, of: tuple[int, int]) -> None:
        try:
            if driver.in_transaction:
                driver.execute("ROLLBACK")  # nothing was written
        except sqlite3.Error:
            connection.invalidate()
        if connection.invalidated or of != self._identity or len(self._idle) >= self._pool_size:
            connection.close()
        else:
            self._idle.append(connection)

    def _drop_readers(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def write(self, tenant_id: str) -> AbstractContextManager[Connection]:  # noqa: ARG002
        """Run a member of the group."""
        return self.group.unit()

    @contextmanager
    def migrate(self) -> Iterator[Connection]:
        """Yield a connection that holds the whole database until its transaction ends."""
        self._check_file()
        with self._writers.connect().execution_options(patience=_MIGRATION_SECONDS) as connection:
            # a table is rebuilt by drop and rename, which foreign keys would answer by cascading
            connection.connection.driver_connection.execute("PRAGMA foreign_keys = OFF")  # type: ignore[union-attr]
            with connection.begin():
                yield connection
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if broken is not None:
                    message = f"a migration left rows of {broken[0]} without the rows they refer to"
                    raise StartupError(message)

    def lock(self, connection: Connection, name: str) -> None:
        """Nothing to do: a unit of work is the only writer of the whole file."""

    def run(
        self, connection: Connection, statement: Prepared, params: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> Found:
        """Go to the driver with what is known already."""
        return statement.compiled(connection.dialect).run(_driver(connection), params)

    def long_value(self, connection: Connection, table: Table, column: str, where: ColumnElement[bool]) -> bytes | None:
        """Read it from its place: as a result it would be in memory twice."""
        asked = select(literal_column("rowid", Integer)).select_from(table).where(where)
        rows = connection.execute(asked).scalars().all()
        if not rows:
            return None
        (row,) = rows
        with _driver(connection).blobopen(table.name, column, row, readonly=True) as blob:
            return blob.read()

    def insert_file(
        self, connection: Connection, table: Table, values: Mapping[str, Any], column: str, path: Path
    ) -> None:
        """Make room for it, then write it into its place: bound as a value it would be in memory three times."""
        room = {**values, column: func.zeroblob(path.stat().st_size)}
        row = connection.execute(table.insert().values(room)).lastrowid
        with _driver(connection).blobopen(table.name, column, row) as blob, path.open("rb") as file:
            while part := file.read(_PART):
                blob.write(part)

    def failed(self, connection: Connection) -> bool:  # noqa: ARG002
        """SQLite undoes a failed statement alone."""
        return False

    def close(self) -> None:
        """Close every connection; the last one of all processes folds the WAL into the file."""
        self._drop_writer()
        self._drop_readers()
        self._readers.dispose()
        self._writers.dispose()


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise unavailable("the connection to the database file is closed")
    return driver


def _patiently(attempt: Callable[[], T], seconds: float) -> T:
    """Repeat ``attempt`` while another process has the file, for about so many seconds of waiting.

    The waiting is for the outside world, so that it is real even where a test has put a clock of its own.
    """
    pause, waited = 0.0005, 0.0
    while True:
        try:
            return attempt()
        except (OperationalError, sqlite3.OperationalError) as error:
            driver = error.orig if isinstance(error, OperationalError) else error
            code = getattr(driver, "sqlite_errorcode", 0) & 0xFF
            if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or waited >= seconds:
                raise
        threading.Event().wait(pause * (0.5 + random.random()))  # noqa: S311  jitter, no secret
        waited += pause
        pause = min(pause * 2, _LONGEST_PAUSE)
