"""EST simpleenroll per second with a durable commit each, of a running suite: kept connections, and a new one each.

The load comes from this process, the suite is another. The limit is what the same disk and SQLite allow: bare commits
of one row as long as a certificate's, one after the other. Group commit may go above it: certificates share one.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pycryptoutil.clock import SystemClock
from tests.bench.clients import Connect, Connection, asking, drain, post, rate
from tests.support.authority import csr
from tests.support.pki import EST, Ca
from tests.support.suite import Suite, make_suite

CLIENTS = 16
SECONDS = 4.0
REQUESTS = 4000
CLOCK = SystemClock()


def requests(suite: Suite) -> list[bytes]:
    """Make requests for as many certificates, whole with their header fields."""
    username, password = Ca(suite).credential("tls-server")
    basic = base64.b64encode(f"{username}:{password}".encode()).decode()
    bodies = (base64.encodebytes(csr(f"n{number}.example.test")) for number in range(REQUESTS))
    return [post(f"{EST}/simpleenroll", "application/pkcs10", body, basic) for body in bodies]


def connector(suite: Suite) -> Connect:
    """Return what opens TLS connections to the suite."""
    context, port = suite.tls(), urlsplit(suite.url()).port or 0
    return lambda: Connection(port, context)


def measure(suite: Suite, waiting: list[bytes], *, kept: bool = True) -> float:
    """Return certificates per second by ``CLIENTS`` clients at once, over a connection each or a new one each time."""
    connect = connector(suite)
    return rate(CLIENTS, SECONDS, lambda _: asking(connect, drain(waiting), kept=kept))


def bare_commits(folder: Path) -> float:
    """Durable commits per second of SQLite alone, with the row and the settings that are ours."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, der BLOB)")
    count, start = 0, CLOCK.monotonic()
    while CLOCK.monotonic() - start < SECONDS / 2:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t (der) VALUES (?)", (bytes(700),))
        connection.execute("COMMIT")
        count += 1
    rate = count / (CLOCK.monotonic() - start)
    connection.close()
    return rate


def row(name: str, value: float, limit: float) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": "certificates/s",
        "limit_name": "bare SQLite commits, one by one",
        "limit_value": limit,
        "ratio": value / limit,
        "aim": None,
        "better": "higher",
    }


def run() -> list[dict[str, Any]]:
    """Start a suite and enrol."""
    with tempfile.TemporaryDirectory(prefix="est-bench-") as folder:
        suite = make_suite(Path(folder), "pki-ca")
        try:
            suite.start()
            connect = connector(suite)
            waiting = requests(suite)
            limit = bare_commits(Path(folder))
            for _ in range(20):  # the first ones pay for what is read and compiled once
                warm = connect()
                warm.ask(waiting.pop())
                warm.close()
            kept = measure(suite, waiting)
            new = measure(suite, waiting, kept=False)
        finally:
            suite.close()
    return [
        row("EST simpleenroll, kept TLS connections", kept, limit),
        row("EST simpleenroll, a new TLS connection each", new, limit),
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
