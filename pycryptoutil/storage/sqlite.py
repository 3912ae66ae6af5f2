"""The embedded database: WAL, synchronous=FULL, many readers and one writer with group commit."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, Pool, QueuePool

from pycryptoutil.clock import Clock
from pycryptoutil.errors import StartupError
from pycryptoutil.storage.failures import unavailable
from pycryptoutil.storage.group import GroupCommit

_BUSY_SECONDS: Final = 10
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
        self._clock = clock
        self._create()
        self._identity = self._stat()
        # readers beyond the pool are opened and closed again: a file handle is cheap, waiting for one is not
        self._readers = self._engine("BEGIN", _READER_PRAGMAS, pool=QueuePool, pool_size=pool_size, max_overflow=64)
        self._writers = self._engine("BEGIN IMMEDIATE", _WRITER_PRAGMAS, pool=NullPool)
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
            self._readers.dispose()
            self._drop_writer()
            self._identity = identity

    def _engine(self, begin: str, pragmas: tuple[str, ...], pool: type[Pool], **options: Any) -> Engine:
        engine = create_engine(
            "sqlite://", creator=lambda: self._open(pragmas), poolclass=pool, hide_parameters=True, **options
        )

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def _open(self, pragmas: tuple[str, ...]) -> sqlite3.Connection:
        address = f"file:{quote(str(self._path))}?mode=rw"
        connection = sqlite3.connect(
            address,
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            self._enter_wal(connection)
            for pragma in pragmas:
                connection.execute(pragma).close()
        except BaseException:
            connection.close()
            raise
        return connection

    def _enter_wal(self, connection: sqlite3.Connection) -> None:
        # changing the mode does not wait for the busy timeout when several processes start on a new file at once
        for attempt in range(200):
            try:
                mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
                if mode == "wal" or connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal":
                    return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or attempt == 199:
                    raise
            self._clock.sleep(0.02)
        raise unavailable("the file system does not allow SQLite's WAL mode")

    def _begin(self) -> Connection:
        """Begin the writer's transaction. Called only by who holds the turn."""
        self._check_file()
        if self._writer is None or self._writer.closed or self._writer.invalidated:
            self._writer = self._writers.connect()
        try:
            self._writer.begin()
        except BaseException:
            self._drop_writer()
            raise
        return self._writer

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.invalidate()
            self._writer.close()
            self._writer = None

    @contextmanager
    def read(self, tenant_id: str) -> Iterator[Connection]:  # noqa: ARG002  one lock here: the filter of each query
        """Yield a connection that sees one snapshot and cannot write."""
        self._check_file()
        with self._readers.connect() as connection, connection.begin():
            yield connection

    def write(self, tenant_id: str) -> AbstractContextManager[Connection]:  # noqa: ARG002
        """Run a member of the group."""
        return self.group.unit()

    @contextmanager
    def migrate(self) -> Iterator[Connection]:
        """Yield a connection that holds the whole database until its transaction ends."""
        self._check_file()
        with self._writers.connect() as connection:
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

    def failed(self, connection: Connection) -> bool:  # noqa: ARG002
        """SQLite undoes a failed statement alone."""
        return False

    def close(self) -> None:
        """Close every connection; the last one of all processes folds the WAL into the file."""
        self._drop_writer()
        self._readers.dispose()
        self._writers.dispose()
