"""sm-kms over REST: encrypt and sign per second, one by one and 100 at a time, of a running service on one worker.

The limit is the template's own: the same request path (TLS, HTTP, authentication, a worker, JSON) to a handler that
uses no key. What an operation adds is a read of the key's row and the core's work.
"""

from __future__ import annotations

import base64
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench import clients
from tests.bench.clients import Connect, Connection, asking, post
from tests.support.suite import make_suite

CLIENTS = 8
SECONDS = 3.0
BATCH = 100


def request(basic: str, path: str, body: Any) -> bytes:
    """Return one whole POST."""
    return post(f"/service/api/v1{path}", "application/json", json.dumps(body).encode(), basic)


def rate(connect: Connect, asked: bytes) -> float:
    """Return requests per second by ``CLIENTS`` clients at once."""
    return clients.rate(CLIENTS, SECONDS, lambda _: asking(connect, itertools.repeat(asked)))


def row(name: str, value: float, limit_name: str, limit: float, aim: float | None) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": "operations/s",
        "limit_name": limit_name,
        "limit_value": limit,
        "ratio": value / limit,
        "aim": aim,
        "better": "higher",
    }


def run() -> list[dict[str, Any]]:
    """Measure a service of its own."""
    with tempfile.TemporaryDirectory() as folder:
        suite = make_suite(Path(folder), "sm-kms", {"rate_limit": {"enabled": False}})
        try:
            suite.start()
            basic = base64.b64encode(":".join(suite.basic).encode()).decode()
            port = urlsplit(suite.url("sm-kms")).port or 0
            context = suite.tls()
            api = suite.api("sm-kms")
            orders = {"encrypt": "A256GCM", "sign": "ES256", "mac": "HS256"}
            for purpose, algorithm in orders.items():
                made = api.post("elastic-keys", json={"name": purpose, "purpose": purpose, "algorithm": algorithm})
                made.raise_for_status()

            def connect() -> Connection:
                return Connection(port, context)

            empty = rate(connect, request(basic, "/random", {"length": 1}))
            members = {"encrypt": "plaintext", "sign": "payload", "mac": "data"}
            rows = []
            for name, algorithm in orders.items():
                item = {members[name]: "A" * 86}  # 64 octets
                one = rate(connect, request(basic, f"/elastic-keys/{name}/{name}", item))
                many = rate(connect, request(basic, f"/elastic-keys/{name}/{name}", {"operations": [item] * BATCH}))
                title = f"kms {name} {algorithm}"
                rows.append(row(f"{title}, one a request", one, "a handler without a key", empty, 0.7))
                rows.append(row(f"{title}, {BATCH} a request", many * BATCH, "one a request", one, None))
            return rows
        finally:
            suite.close()
