"""EST simpleenroll per second with a durable commit each, of a whole running suite on SQLite.

The limit is the same machine's durable writes: what fsync allows by one at a time. Certificates that arrive together
share a commit, so the figure can lie above it.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pycryptoutil.clock import SystemClock
from tests.support.authority import csr, new_key
from tests.support.pki import EST, PKCS10, Ca
from tests.support.suite import Suite, make_suite

CLIENTS = 8
EACH = 60
FSYNCS = 200
CLOCK = SystemClock()


def fsyncs(folder: Path) -> float:
    """Return durable writes of 4 KiB per second, one after the other."""
    block = os.urandom(4096)
    descriptor = os.open(folder / "fsync", os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        began = CLOCK.monotonic()
        for _ in range(FSYNCS):
            os.write(descriptor, block)
            os.fdatasync(descriptor)
        return FSYNCS / (CLOCK.monotonic() - began)
    finally:
        os.close(descriptor)


def enrol(suite: Suite, credential: tuple[str, str], bodies: list[bytes], context: ssl.SSLContext) -> None:
    """Enrol one request after the other over one connection."""
    place = urlsplit(suite.url())
    connection = http.client.HTTPSConnection(place.hostname or "", place.port, context=context, timeout=60)
    basic = base64.b64encode(":".join(credential).encode()).decode()
    try:
        for body in bodies:
            connection.request("POST", f"{EST}/simpleenroll", body, PKCS10 | {"Authorization": f"Basic {basic}"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(answer.read().decode())
            answer.read()
    finally:
        connection.close()


def run() -> list[dict[str, Any]]:
    """Prepare the requests, then let every client enrol."""
    with tempfile.TemporaryDirectory(prefix="est-bench-") as name:
        folder = Path(name)
        suite = make_suite(folder, "pki-ca")
        try:
            suite.start()
            credential = Ca(suite).credential("tls-server")
            keys = [new_key() for _ in range(CLIENTS)]
            bodies = [
                [base64.encodebytes(csr(f"c{client}-{turn}.example.test", key=key)) for turn in range(EACH)]
                for client, key in enumerate(keys)
            ]
            context = suite.tls()
            enrol(suite, credential, [base64.encodebytes(csr("warm.example.test"))], context)
            limit = fsyncs(folder)
            threads = [threading.Thread(target=enrol, args=(suite, credential, mine, context)) for mine in bodies]
            began = CLOCK.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            taken = CLOCK.monotonic() - began
            listed = suite.api().get("certificates", params={"protocol": "est", "limit": 1}).json()
            if not listed["items"]:
                raise RuntimeError("nothing was issued")
        finally:
            suite.close()
    ours = CLIENTS * EACH / taken
    return [
        {
            "name": f"EST simpleenroll, durable, {CLIENTS} clients, SQLite",
            "value": ours,
            "unit": "certificates/s",
            "limit_name": "fdatasync of 4 KiB, one at a time",
            "limit_value": limit,
            "ratio": ours / limit,
            "aim": None,
            "better": "higher",
        }
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
