"""SCEP enrolments per second of a running suite over plain HTTP, beside EST's over TLS, and where the time goes.

A PKCSReq is one exchange and one commit, as EST's simpleenroll is; what it costs more are RSA operations: the client's
signature and the CSR's are verified, the content key is decrypted and encrypted, and the answer is signed. The parts
are timed in this process, one after the other, without HTTP or database.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pycryptoutil_protocols import cms
from pycryptoutil_protocols.csr import decode_csr, verify_csr
from pycryptoutil_protocols.scep import client, codec, exchange, messages
from pycryptoutil_protocols.scep.messages import PKI_MESSAGE, MessageType

from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto.keys import PrivateKey, load_pkcs8
from pycryptoutil.crypto.signer import KeySigner
from tests.bench import est_bench
from tests.protocols import material, scep_material
from tests.support.pki import Ca
from tests.support.suite import Suite, make_suite

CLIENTS = 16
SECONDS = 3.0
REQUESTS = 1500
REPEATS = 200
CLOCK = SystemClock()
PATH = "/scep/tls-server?operation=PKIOperation"


class Connection:
    """One connection, and no more HTTP than is needed to know where an answer ends."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        received = self._socket.recv(65536)
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        head, _, answer = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(received.decode(errors="replace"))
        lines = head.split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
        while len(answer) < length:
            answer += self._socket.recv(65536)
        return answer

    def close(self) -> None:
        self._socket.close()


def _post(body: bytes) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: ca\r\nContent-Type: {PKI_MESSAGE}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def requests(suite: Suite, device: scep_material.Device) -> list[bytes]:
    """Make requests for as many certificates, each its own transaction, whole with their header fields."""
    ca = suite.http(listener="plain").get("/scep/tls-server?operation=GetCACert")
    server = client.decode_ca_certificates(ca.content, messages.CA_AND_RA_CERTIFICATES)
    _, password = Ca(suite).credential("tls-server")
    signer = KeySigner(load_pkcs8(material.pkcs8(device.key)))
    asking = client.Client(server, signer, device.certificate)
    made = []
    for number in range(REQUESTS):
        name = f"n{number}.example.test"
        csr = client.certification_request(signer, material.name(name).public_bytes(), (), password)
        made.append(_post(asking.request(MessageType.PKCS_REQ, csr, os.urandom(16).hex()).encoded))
    return made


def measure(suite: Suite, waiting: list[bytes]) -> float:
    """Return certificates per second by ``CLIENTS`` clients at once."""
    port = urlsplit(suite.url("pki-ca", "plain")).port or 0
    done, failed = [0] * CLIENTS, []
    end = CLOCK.monotonic() + SECONDS

    def work(number: int) -> None:
        connection = Connection(port)
        try:
            while CLOCK.monotonic() < end and waiting:
                connection.ask(waiting.pop())
                done[number] += 1
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    start = CLOCK.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return sum(done) / (CLOCK.monotonic() - start)


def timed(work: Callable[[], object]) -> float:
    """Return microseconds of one call."""
    work()
    start = CLOCK.monotonic()
    for _ in range(REPEATS):
        work()
    return (CLOCK.monotonic() - start) / REPEATS * 1e6


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
        ("SCEP decode a PKCSReq from BER", timed(lambda: codec.decode_message(encoded))),
        (
            "SCEP verify, decrypt and read it",
            timed(lambda: exchange.open_request(message, [reader], exchange.Rules(), scep_material.NOW)),
        ),
        ("SCEP verify the CSR", timed(lambda: verify_csr(csr))),
        (
            "SCEP encrypt and sign a CertRep",
            timed(lambda: exchange.success(request, signer, ra, certificates=(leaf,))),
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
            port = urlsplit(suite.url()).port or 0
            context = suite.tls()
            warm = Connection(urlsplit(suite.url("pki-ca", "plain")).port or 0)
            for _ in range(20):  # the first ones pay for what is read and compiled once
                warm.ask(waiting.pop())
            warm.close()
            est = est_bench.measure(lambda: est_bench.Connection(context, port), est_waiting, kept=True)
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
