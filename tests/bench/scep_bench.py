"""SCEP enrolments per second of a running suite over plain HTTP, beside EST's over TLS, and where the time goes.

A PKCSReq is one exchange and one commit, as EST's simpleenroll is; what it costs more are RSA operations: the client's
signature and the CSR's are verified, the content key is decrypted and encrypted, and the answer is signed. The parts
are timed in this process, one after the other, without HTTP or database.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pycryptoutil_protocols import cms
from pycryptoutil_protocols.csr import decode_csr, verify_csr
from pycryptoutil_protocols.scep import client, codec, exchange, messages
from pycryptoutil_protocols.scep.messages import PKI_MESSAGE, MessageType

from pycryptoutil.crypto.keys import PrivateKey, load_pkcs8
from pycryptoutil.crypto.signer import KeySigner
from tests.bench import est_bench
from tests.bench.clients import Connection, asking, drain, microseconds, post, rate
from tests.protocols import material, scep_material
from tests.support.pki import Ca
from tests.support.suite import Suite, make_suite

CLIENTS = 16
SECONDS = 3.0
REQUESTS = 1500
PATH = "/scep/tls-server?operation=PKIOperation"


def requests(suite: Suite, device: scep_material.Device) -> list[bytes]:
    """Make requests for as many certificates, each its own transaction, whole with their header fields."""
    ca = suite.http(listener="plain").get("/scep/tls-server?operation=GetCACert")
    server = client.decode_ca_certificates(ca.content, messages.CA_AND_RA_CERTIFICATES)
    _, password = Ca(suite).credential("tls-server")
    signer = KeySigner(load_pkcs8(material.pkcs8(device.key)))
    device_side = client.Client(server, signer, device.certificate)
    made = []
    for number in range(REQUESTS):
        name = f"n{number}.example.test"
        csr = client.certification_request(signer, material.name(name).public_bytes(), (), password)
        message = device_side.request(MessageType.PKCS_REQ, csr, os.urandom(16).hex())
        made.append(post(PATH, PKI_MESSAGE, message.encoded))
    return made


def measure(suite: Suite, waiting: list[bytes]) -> float:
    """Return certificates per second by ``CLIENTS`` clients at once."""
    port = urlsplit(suite.url("pki-ca", "plain")).port or 0
    return rate(CLIENTS, SECONDS, lambda _: asking(lambda: Connection(port), drain(waiting)))


def parts(device: scep_material.Device) -> list[tuple[str, float]]:
    """Return how long each part of serving a PKCSReq takes, without issuance and storage."""
    key: PrivateKey = load_pkcs8(material.pkcs8(material.private_key("RSA-2048", 7)))
    reader = exchange.Reader(
        exchange.load_certificate(scep_material.ra_certificate()), cms.unwrap_with(key, allow_pkcs1=True)
    )
    encoded = device.enrol().encoded
    message = codec.decode_message(encoded)
    request = exchange.open_request(message, [reader], exchange.Rules(), scep_material.NOW)
    csr = decode_csr(device.csr)
    leaf = device.certificate
    signer = KeySigner(key, "rsa-sha256")
    ra = scep_material.ra_certificate()
    return [
        ("SCEP decode a PKCSReq from BER", microseconds(lambda: codec.decode_message(encoded))),
        (
            "SCEP verify, decrypt and read it",
            microseconds(lambda: exchange.open_request(message, [reader], exchange.Rules(), scep_material.NOW)),
        ),
        ("SCEP verify the CSR", microseconds(lambda: verify_csr(csr))),
        (
            "SCEP encrypt and sign a CertRep",
            microseconds(lambda: exchange.success(request, signer, ra, certificates=(leaf,))),
        ),
    ]


def run() -> list[dict[str, Any]]:
    """Start a suite and enrol."""
    device = scep_material.Device()
    with tempfile.TemporaryDirectory(prefix="scep-bench-") as folder:
        suite = make_suite(Path(folder), "pki-ca")
        try:
            suite.start()
            waiting = requests(suite, device)
            est_waiting = est_bench.requests(suite)
            warm = Connection(urlsplit(suite.url("pki-ca", "plain")).port or 0)
            for _ in range(20):  # the first ones pay for what is read and compiled once
                warm.ask(waiting.pop())
            warm.close()
            est = est_bench.measure(suite, est_waiting)
            scep = measure(suite, waiting)
        finally:
            suite.close()
    rows = [
        {
            "name": "SCEP PKCSReq, kept connections",
            "value": scep,
            "unit": "certificates/s",
            "limit_name": "EST simpleenroll, kept TLS connections",
            "limit_value": est,
            "ratio": scep / est,
            "aim": None,
            "better": "higher",
        }
    ]
    for name, value in parts(device):
        rows.append(
            {
                "name": name,
                "value": value,
                "unit": "µs",
                "limit_name": "one enrolment",
                "limit_value": 1e6 / scep,
                "ratio": value * scep / 1e6,
                "aim": None,
                "better": "lower",
            }
        )
    return rows


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
