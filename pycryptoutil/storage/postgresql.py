"""PostgreSQL through psycopg 3: what several replicas share."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, ColumnElement, Connection, Table, create_engine, select, text
from sqlalchemy.pool import QueuePool

from pycryptoutil.storage.prepared import Found, Prepared

_log = logging.getLogger(__name__)

_WAIT_SECONDS: Final = 10
_OPTIONS: Final = " ".join(
    [
        f"-c lock_timeout={_WAIT_SECONDS * 1000}",
        "-c statement_timeout=60000",
        "-c idle_in_transaction_session_timeout=120000",
        "-c timezone=UTC",
    ]
)
_SET_TENANT: Final = text("SELECT set_config('app.tenant', :tenant, true)")
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_ABOVE_POLICIES: Final = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
_MIGRATION_LOCK: Final = "pycryptoutil migrations"


class PostgresBackend:
    """A pool of connections; each transaction says whose rows it may see."""

    dialect = "postgresql"

    def __init__(self, url: URL, pool_size: int) -> None:
        arguments: dict[str, object] = {
            "connect_timeout": 5,
            "application_name": "pycryptoutil",
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20000,
            "options": _OPTIONS,
        }
        for given in url.query.keys() - {"options"}:
            arguments.pop(given, None)
        own = url.query.get("options", "")
        arguments["options"] = f"{_OPTIONS} {own if isinstance(own, str) else ' '.join(own)}".strip()  # the last wins
        self._engine = create_engine(
            url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=4,
            pool_timeout=_WAIT_SECONDS,
            pool_pre_ping=True,  # a restarted server is met by a reconnect, not by a failed request
            pool_recycle=1800,
            hide_parameters=True,
            connect_args=arguments,
        )
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @contextmanager
    def read(self, tenant_id: str) -> Iterator[Connection]:
        """Yield a connection that sees one snapshot and cannot write."""
        with self._snapshots.connect() as connection, connection.begin():
            connection.execute(_SET_TENANT, {"tenant": tenant_id})
            yield connection

    @contextmanager
    def write(self, tenant_id: str) -> Iterator[Connection]:
        """Run one transaction, READ COMMITTED: what a lock waited for is seen after it."""
        with self._engine.connect() as connection, connection.begin():
            connection.execute(_SET_TENANT, {"tenant": tenant_id})
            yield connection

    @contextmanager
    def migrate(self) -> Iterator[Connection]:
        """Yield a connection that no other migrating process can have at the same time."""
        with self._engine.connect() as connection, connection.begin():
            # the winner of a race may migrate for long: the others wait for it
            connection.execute(text("SET LOCAL lock_timeout = '300s'"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(_LOCK, {"name": _MIGRATION_LOCK})
            connection.execute(text("SET LOCAL lock_timeout = '60s'"))
            connection.execute(_SET_TENANT, {"tenant": "system"})
            if connection.execute(_ABOVE_POLICIES).scalar_one_or_none():
                _log.warning("the database role is a superuser or has BYPASSRLS: row-level security does not hold it")
            yield connection

    def lock(self, connection: Connection, name: str) -> None:
        """Wait for the advisory lock of this name, held to the end of the transaction."""
        connection.execute(_LOCK, {"name": name})

    def run(
        self, connection: Connection, statement: Prepared, params: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> Found:
        """Run it as any other: SQLAlchemy and psycopg know it by now."""
        return connection.execute(statement.statement, params)

    def long_value(self, connection: Connection, table: Table, column: str, where: ColumnElement[bool]) -> bytes | None:
        """Read it as any other."""
        found: bytes | None = connection.execute(select(table.c[column]).where(where)).scalar_one_or_none()
        return found

    def insert_file(
        self, connection: Connection, table: Table, values: Mapping[str, Any], column: str, path: Path
    ) -> None:
        """Send it as a value: the protocol wants it whole."""
        connection.execute(table.insert().values({**values, column: path.read_bytes()}))

    def failed(self, connection: Connection) -> bool:
        """Tell whether the server will turn COMMIT into ROLLBACK, which the driver would not report."""
        driver = connection.connection.driver_connection
        return isinstance(driver, psycopg.Connection) and driver.info.transaction_status == TransactionStatus.INERROR

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
