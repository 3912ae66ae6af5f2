"""Durable units of work a second, beside the raw commit rate of the same database on the same disk."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from pycryptoutil.clock import SystemClock
from pycryptoutil.storage import Database
from tests.bench import clients
from tests.support.databases import MissingPostgresError, PostgresCluster

SECONDS = 1.5
THREADS = 8
INSERT = "INSERT INTO bench (text) VALUES ('a row of ordinary length, as a session or a certificate index is')"


def rate(work: Callable[[], None], threads: int = 1) -> float:
    """Return how often ``work`` is done in a second by so many threads."""
    work()

    def turns(_: int) -> clients.Turns:
        while True:
            work()
            yield

    return clients.rate(threads, SECONDS, turns)


@contextmanager
def raw_sqlite(path: Path) -> Iterator[Callable[[], None]]:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(INSERT)
        connection.execute("COMMIT")

    yield commit
    connection.close()


@contextmanager
def raw_postgresql(url: str) -> Iterator[Callable[[], None]]:
    with psycopg.connect(url) as connection:

        def commit() -> None:
            connection.execute(INSERT)
            connection.commit()

        yield commit


def measure(url: str, raw: Callable[[], Any], key: str) -> list[dict[str, Any]]:
    """Measure one kind of database."""
    database = Database.open(url, clock=SystemClock(), pool_size=THREADS)
    with database.unit_of_work("t") as uow:
        uow.execute(f"CREATE TABLE bench (n {key}, text TEXT NOT NULL)")

    def unit() -> None:
        with database.unit_of_work("t") as uow:
            uow.execute(INSERT)

    with raw() as commit:
        limit = rate(commit)
    rows = []
    for threads, aim in ((1, 0.5), (THREADS, 1.0)):
        value = rate(unit, threads)
        rows.append(
            {
                "name": f"{database.dialect}: durable units of work, {threads} thread{'s' if threads > 1 else ''}",
                "value": value,
                "unit": "units/s",
                "limit_name": "raw commits, one connection",
                "limit_value": limit,
                "ratio": value / limit,
                "aim": aim,
                "better": "higher",
            }
        )
    database.close()
    return rows


def run() -> list[dict[str, Any]]:
    """Return the rows of both databases; PostgreSQL only where it is installed."""
    with tempfile.TemporaryDirectory(prefix="pycryptoutil-bench-") as directory, ExitStack() as stack:
        path = Path(directory) / "bench.db"
        rows = measure(f"sqlite:///{path}", lambda: raw_sqlite(path), "INTEGER PRIMARY KEY")
        try:
            cluster = PostgresCluster(durable=True)
        except MissingPostgresError:
            return rows
        stack.callback(cluster.close)
        url = cluster.url(cluster.create())
        return rows + measure(url, lambda: raw_postgresql(url), "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
