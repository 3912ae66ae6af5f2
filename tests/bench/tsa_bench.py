"""Time-stamps per second of a running suite, over kept plain connections: audited one by one (a durable commit each,
which group commit shares), and without audit, where the signature is what is left. Beside EST's in the same table.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pycryptoutil_protocols.tsp import codec
from pycryptoutil_protocols.tsp.messages import TimeStampRequest
from pycryptoutil_protocols.tsp.token import sign_token, verify_token

from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto.keys import generate
from pycryptoutil.crypto.signer import KeySigner
from tests.bench.ocsp_http_bench import measure
from tests.support.pki import Ca
from tests.support.suite import make_suite
from tests.support.tsp import ask

ROUNDS = 5
CLOCK = SystemClock()


def post(port: int) -> Callable[[], bytes]:
    """Return what makes whole requests, each with a nonce of its own."""
    request = TimeStampRequest(codec.encode_imprint("sha256", bytes(32)), nonce=1 << 62, cert_req=True)
    encoded = codec.encode_request(request)
    before, _, after = encoded.partition((1 << 62).to_bytes(8, "big"))
    head = (
        f"POST /tsa HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/timestamp-query\r\n"
        f"Content-Length: {len(encoded)}\r\n\r\n"
    ).encode() + before
    return lambda: head + b"\x40" + secrets.token_bytes(7) + after


def signatures(ca: Ca) -> float:
    """Return tokens per second of one thread that only encodes and signs."""
    reply = ask(ca, TimeStampRequest(codec.encode_imprint("sha256", bytes(32)), nonce=1, cert_req=True))
    token = verify_token(reply.token)
    signer = KeySigner(generate("EC-P256"))
    count, start = 0, CLOCK.monotonic()
    while CLOCK.monotonic() - start < 1:
        sign_token(token.info, signer, token.certificate.der, token.certificates)
        count += 1
    return count / (CLOCK.monotonic() - start)


def row(name: str, value: float, limit: float) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": "time-stamps/s",
        "limit_name": "encoding and signing alone, one thread",
        "limit_value": limit,
        "ratio": value / limit,
        "aim": None,
        "better": "higher",
    }


def run() -> list[dict[str, Any]]:
    """Measure both ways, each by a suite of its own."""
    rows = []
    for name, every in (("audited", 1), ("not audited", 0)):
        with tempfile.TemporaryDirectory(prefix="tsa-bench-") as folder:
            limits = {"rate_limit": {"enabled": False}}
            suite = make_suite(Path(folder), "pki-ca", {"pki_ca": {"tsa": {"audit_every": every}}, **limits})
            try:
                suite.start()
                ca = Ca(suite)
                limit = signatures(ca)
                port = urlsplit(suite.url(listener="plain")).port or 0
                best = max(measure(port, post(port)) for _ in range(ROUNDS))
            finally:
                suite.close()
        rows.append(row(f"time-stamps over HTTP, {name}", best, limit))
    return rows


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
