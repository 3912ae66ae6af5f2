"""CMC enrolments per second of a running suite over plain HTTP, beside EST's over TLS, and where the time goes.

A Full PKI Request with an identity proof is one exchange and one commit, as EST's is; its answer is signed too, and
carries a root that is authenticated by the secret (PBKDF2). A Simple one is like EST's. The parts are timed in this
process, one after the other, without HTTP or database.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pycryptoutil_protocols import der
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.cmc import codec, layers, proofs

from tests.bench import est_bench
from tests.bench.clients import Connection, asking, drain, microseconds, post, rate
from tests.protocols import material
from tests.protocols.cmc.requests import draft, pkcs10
from tests.support.cmc import SmallCa
from tests.support.pki import Ca
from tests.support.suite import Suite, make_suite

CLIENTS = 16
SECONDS = 3.0
REQUESTS = 1500
KEY = material.signer(number=40)


def requests(suite: Suite, *, full: bool) -> list[bytes]:
    """Make requests for as many certificates."""
    username, password = Ca(suite).credential("tls-server")
    found = []
    for number in range(REQUESTS):
        name = f"{'f' if full else 's'}{number}.example.test"
        if full:
            made = draft(pkcs10(KEY, name))
            made.prove_identity(username, password.encode())
            found.append(post("/cmc", "application/pkcs7-mime", made.signed_by_key(KEY)))
        else:
            challenge = Attribute("1.2.840.113549.1.9.7", (der.utf8_string(password),))
            found.append(post("/cmc", "application/pkcs10", pkcs10(KEY, name, challenge)))
    return found


def measure(port: int, waiting: list[bytes]) -> float:
    """Return certificates per second by ``CLIENTS`` clients at once."""
    return rate(CLIENTS, SECONDS, lambda _: asking(lambda: Connection(port), drain(waiting)))


def parts() -> list[dict[str, Any]]:
    """Time what a Full PKI Request costs beside issuing."""
    ca = SmallCa()
    made = draft(pkcs10())
    secret = ca.secrets["enroll-1"]
    made.prove_identity("enroll-1", secret)
    encoded = made.signed_by_key(KEY)
    layer = layers.open_layer(encoded)
    data = codec.decode_data(layer.content)
    spki = KEY.public_spki
    found = {
        "open and decode": lambda: codec.decode_data(layers.open_layer(encoded).content),
        "verify the message": lambda: layers.verify(layer, spki),
        "verify the request": lambda: proofs.check_pkcs10(data.requests[0].csr),  # type: ignore[arg-type]
        "the whole exchange, with a CA in memory": lambda: ca.ask(encoded),
    }
    return [
        {"name": f"CMC: {name}", "value": microseconds(act), "unit": "us", "better": "lower", "aim": None}
        | {"limit_name": "", "limit_value": None, "ratio": None}
        for name, act in found.items()
    ]


def row(name: str, value: float, limit: float) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": "certificates/s",
        "limit_name": "EST simpleenroll, kept TLS connections",
        "limit_value": limit,
        "ratio": value / limit,
        "aim": None,
        "better": "higher",
    }


def run() -> list[dict[str, Any]]:
    """Start a suite and enrol."""
    with tempfile.TemporaryDirectory(prefix="cmc-bench-") as folder:
        suite = make_suite(Path(folder), "pki-ca")
        try:
            suite.start()
            port = urlsplit(suite.url("pki-ca", "plain")).port or 0
            est = est_bench.measure(suite, est_bench.requests(suite))
            full, simple = requests(suite, full=True), requests(suite, full=False)
            warm = Connection(port)
            for _ in range(20):
                warm.ask(full.pop())
                warm.ask(simple.pop())
            warm.close()
            rates = [measure(port, full), measure(port, simple)]
        finally:
            suite.close()
    return [
        row("CMC full, identity proof", rates[0], est),
        row("CMC simple, challenge password", rates[1], est),
        *parts(),
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
