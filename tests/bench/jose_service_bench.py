"""jose-ja over HTTPS: signatures and encryptions per second, singly, by the hundred and streamed; its published set.

Each is beside the template's smallest authenticated handler (GET /me), asked by the same client in the same way.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pycryptoutil.clock import SystemClock
from tests.support.suite import Suite, make_suite

CONNECTIONS = 4
SECONDS = 2.0
ROUNDS = 3
BATCH = 100
STREAM = 10_000
CLOCK = SystemClock()
API = "/service/api/v1"


def rate(suite: Suite, method: str, path: str, body: bytes, kind: str = "application/json") -> float:
    """Return answers per second over kept connections; the best of some rounds."""
    address = urlsplit(suite.url("jose-ja"))
    context = suite.tls()
    secret = base64.b64encode(":".join(suite.basic).encode()).decode()
    headers = {"Authorization": f"Basic {secret}", "Content-Type": kind}

    def work(_: int) -> int:
        connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=context, timeout=120)
        end, count = CLOCK.monotonic() + SECONDS, 0
        while CLOCK.monotonic() < end:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == 200, content[:300]
            count += 1
        connection.close()
        return count

    best = 0.0
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in range(ROUNDS):
            start = CLOCK.monotonic()
            total = sum(pool.map(work, range(CONNECTIONS)))
            best = max(best, total / (CLOCK.monotonic() - start))
    return best


def row(name: str, value: float, limit: float) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": f"jose-ja: {name}",
        "value": value,
        "unit": "/s",
        "limit_name": "GET /me, authenticated",
        "limit_value": limit,
        "ratio": value / limit,
        "aim": None,
        "better": "higher",
    }


def run() -> list[dict[str, Any]]:
    """Measure one process on SQLite."""
    with tempfile.TemporaryDirectory(prefix="jose-bench-") as folder:
        suite = make_suite(Path(folder), "jose-ja", {"rate_limit": {"enabled": False}})
        try:
            suite.start()
            suite.cli("jose", "create", "tokens", "--algorithm", "ES256")
            suite.cli("jose", "create", "box", "--algorithm", "A256KW")
            return list(_rows(suite))
        finally:
            suite.close()


def _rows(suite: Suite) -> list[dict[str, Any]]:
    assert isinstance(suite.tls(), ssl.SSLContext)
    limit = rate(suite, "GET", f"{API}/me", b"")
    rows = [row("GET /.well-known/jwks.json", rate(suite, "GET", "/.well-known/jwks.json", b""), limit)]
    items = {
        "ES256 signatures": ("/jws/sign", {"key": "tokens", "text": '{"sub":"a"}', "header": {"typ": "JWT"}}),
        "A256KW+A256GCM encryptions": ("/jwe/encrypt", {"key": "box", "text": "a" * 100}),
    }
    for name, (path, item) in items.items():
        single = json.dumps(item).encode()
        batch = json.dumps({"operations": [item] * BATCH}).encode()
        stream = b"\n".join([single] * STREAM)
        rows.append(row(f"{name}, one by one", rate(suite, "POST", API + path, single), limit))
        rows.append(row(f"{name}, by {BATCH}", BATCH * rate(suite, "POST", f"{API}{path}/batch", batch), limit))
        streamed = STREAM * rate(suite, "POST", f"{API}{path}/stream", stream, "application/x-ndjson")
        rows.append(row(f"{name}, streamed", streamed, limit))
    return rows


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
