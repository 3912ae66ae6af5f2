"""EST simpleenroll per second with a durable commit each, of a running suite: kept connections, and a new one each.

The load comes from this process, the suite is another. The limit is what the same disk and SQLite allow: bare commits
of one row as long as a certificate's, one after the other. Group commit may go above it: certificates share one.
"""

from __future__ import annotations

import base64
import json
import socket
import sqlite3
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pycryptoutil.clock import SystemClock
from tests.support.authority import csr
from tests.support.pki import EST, Ca
from tests.support.suite import Suite, make_suite

CLIENTS = 16
SECONDS = 4.0
REQUESTS = 4000
CLOCK = SystemClock()


class Connection:
    """One TLS connection, and no more HTTP than is needed to know where an answer ends."""

    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname="127.0.0.1")

    def ask(self, request: bytes) -> None:
        self._socket.sendall(request)
        received = self._socket.recv(65536)
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(received.decode(errors="replace"))
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()


def requests(suite: Suite) -> list[bytes]:
    """Make requests for as many certificates, whole with their header fields."""
    username, password = Ca(suite).credential("tls-server")
    basic = base64.b64encode(f"{username}:{password}".encode()).decode()
    made = []
    for number in range(REQUESTS):
        body = base64.encodebytes(csr(f"n{number}.example.test"))
        head = (
            f"POST {EST}/simpleenroll HTTP/1.1\r\nHost: ca.example.test\r\nAuthorization: Basic {basic}\r\n"
            f"Content-Type: application/pkcs10\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def measure(connect: Callable[[], Connection], waiting: list[bytes], *, kept: bool) -> float:
    """Return certificates per second by ``CLIENTS`` clients at once."""
    end = CLOCK.monotonic() + SECONDS
    done, failed = [0] * CLIENTS, []

    def client(number: int) -> None:
        connection = connect()
        try:
            while CLOCK.monotonic() < end and waiting:
                connection.ask(waiting.pop())
                done[number] += 1
                if not kept:
                    connection.close()
                    connection = connect()
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    start = CLOCK.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return sum(done) / (CLOCK.monotonic() - start)


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
            context = suite.tls()
            port = urlsplit(suite.url()).port or 0
            waiting = requests(suite)
            limit = bare_commits(Path(folder))
            for _ in range(20):  # the first ones pay for what is read and compiled once
                warm = Connection(context, port)
                warm.ask(waiting.pop())
                warm.close()
            kept = measure(lambda: Connection(context, port), waiting, kept=True)
            new = measure(lambda: Connection(context, port), waiting, kept=False)
        finally:
            suite.close()
    return [
        row("EST simpleenroll, kept TLS connections", kept, limit),
        row("EST simpleenroll, a new TLS connection each", new, limit),
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
