"""Certificates issued per second, each with a durable commit: SQLite and PostgreSQL, one and two worker processes.

A running suite is asked by EST over kept connections. The limit is what the same database commits, measured in the same
run: bare transactions of one row as long as a certificate's, one after the other on one connection.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from pycryptoutil.clock import SystemClock
from tests.bench.est_bench import bare_commits, measure, requests
from tests.support.databases import MissingPostgresError, PostgresCluster
from tests.support.suite import make_suite

SECONDS = 2.0
CLOCK = SystemClock()


def bare_postgresql(url: str) -> float:
    """Durable commits per second of PostgreSQL alone."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE bare (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, der BYTEA)")
        connection.commit()
        count, start = 0, CLOCK.monotonic()
        while CLOCK.monotonic() - start < SECONDS:
            connection.execute("INSERT INTO bare (der) VALUES (%s)", (bytes(700),))
            connection.commit()
            count += 1
        return count / (CLOCK.monotonic() - start)


def issue(folder: Path, url: str, workers: int) -> float:
    """Return certificates per second of a suite with so many workers."""
    suite = make_suite(folder, "pki-ca", {"rate_limit": {"enabled": False}}, workers=workers, database_url=url)
    try:
        suite.start()
        return measure(suite, requests(suite))
    finally:
        suite.close()


def rows(name: str, folder: Path, fresh: Callable[[], str], limit: float) -> list[dict[str, Any]]:
    """Measure one kind of database; ``fresh`` gives the URL of an empty one, or nothing for a file of the suite's."""
    found = []
    for workers in (1, 2):
        value = issue(folder / f"{name}-{workers}", fresh(), workers)
        found.append(
            {
                "name": f"{name}: issuance by EST, {workers} worker{'s' if workers > 1 else ''}",
                "value": value,
                "unit": "certificates/s",
                "limit_name": f"bare {name} commits, one by one",
                "limit_value": limit,
                "ratio": value / limit,
                "aim": None,
                "better": "higher",
            }
        )
    return found


def run() -> list[dict[str, Any]]:
    """Return the rows of both databases; PostgreSQL only where it is installed."""
    with tempfile.TemporaryDirectory(prefix="issuance-bench-") as directory, ExitStack() as stack:
        folder = Path(directory)
        found = rows("SQLite", folder, str, bare_commits(folder))
        try:
            cluster = PostgresCluster(durable=True)
        except MissingPostgresError:
            return found
        stack.callback(cluster.close)
        limit = bare_postgresql(cluster.url(cluster.create()))
        return found + rows("PostgreSQL", folder, lambda: cluster.url(cluster.create()), limit)


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
