"""CMP enrolments per second of a running suite over plain HTTP, beside EST's over TLS, and where the time goes.

One ir with implicit confirmation is one exchange and three commits (the transaction is opened, the certificate issued,
the answer remembered); with certConf it is two exchanges and four commits. EST's is one exchange and one commit. The
parts are timed in this process, one after the other, without HTTP or database.
"""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pycryptoutil_protocols.cmp import codec, general, protection
from pycryptoutil_protocols.cmp.mac import PbmParameters
from pycryptoutil_protocols.cmp.messages import CONTENT_TYPE, PKIMessage
from pycryptoutil_protocols.cmp.server.wishes import read_wishes

from pycryptoutil.clock import SystemClock
from tests.bench import est_bench
from tests.support.cmp import Client, accepts, certificate, new_key, signed_request
from tests.support.pki import Ca
from tests.support.suite import Suite, make_suite

CLIENTS = 16
SECONDS = 3.0
REPEATS = 200
CLOCK = SystemClock()


@dataclass(frozen=True)
class Credential:
    """What :class:`tests.support.cmp.Client` takes for one."""

    username: str
    password: str


class Connection:
    """One connection, and no more HTTP than is needed to know where an answer ends."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, message: PKIMessage) -> bytes:
        body = message.encoded
        head = f"POST /cmp HTTP/1.1\r\nHost: ca\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        received = self._socket.recv(65536)
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        head_of, _, answer = received.partition(b"\r\n\r\n")
        if not head_of.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(received.decode(errors="replace"))
        lines = head_of.split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
        while len(answer) < length:
            answer += self._socket.recv(65536)
        return answer

    def close(self) -> None:
        self._socket.close()


Turn = Callable[[Connection, Client], None]


def implicit(connection: Connection, client: Client) -> None:
    """One exchange."""
    name = f"n{client.tid.hex()[:12]}.example.test"
    answer = codec.decode(connection.ask(client.request(signed_request(KEY, name, name), implicit=True)))
    certificate(answer)


def explicit(connection: Connection, client: Client) -> None:
    """Two exchanges."""
    name = f"n{client.tid.hex()[:12]}.example.test"
    answer = client.hear(codec.decode(connection.ask(client.request(signed_request(KEY, name, name)))))
    client.hear(codec.decode(connection.ask(client.confirm(accepts(certificate(answer))))))


def question(connection: Connection, client: Client) -> None:
    """A genm: nothing is written."""
    connection.ask(client.ask(general.request(general.CA_CERTS)))


KEY = new_key()


def measure(suite: Suite, turn: Turn) -> float:
    """Return turns per second by ``CLIENTS`` clients at once, each with a credential of its own."""
    port = urlsplit(suite.url("pki-ca", "plain")).port or 0
    ca = Ca(suite)
    credentials = [Credential(*ca.credential()) for _ in range(CLIENTS)]
    done, failed = [0] * CLIENTS, []
    end = CLOCK.monotonic() + SECONDS

    def work(number: int) -> None:
        connection = Connection(port)
        client = Client.by_secret(credentials[number], CLOCK.now(), PbmParameters.fresh(500))  # type: ignore[arg-type]
        try:
            while CLOCK.monotonic() < end:
                turn(connection, client)
                client = client.again()
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


def parts() -> list[tuple[str, float]]:
    """Return how long each part of serving an ir takes, without issuance and storage."""
    secret = b"a secret of thirty-two characters"
    client = Client.by_secret(Credential("enroll-x", secret.decode()), CLOCK.now(), PbmParameters.fresh(500))  # type: ignore[arg-type]
    message = client.request(signed_request(KEY, "a.example.test", "a.example.test"))
    answer = protection.MacProtector(secret, PbmParameters.fresh(500))
    return [
        ("CMP decode an ir", timed(lambda: codec.decode(message.encoded))),
        ("CMP verify PasswordBasedMac, 500 iterations", timed(lambda: protection.verify_mac(message, secret))),
        ("CMP read and verify possession", timed(lambda: read_wishes(message, trusted_ra=False, secret=b""))),
        ("CMP encode an answer and MAC it, 500 iterations", timed(
            lambda: protection.seal(message.header, message.kind, message.body, answer)
        )),
    ]  # fmt: skip


def row(name: str, value: float, peer: float) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": "enrolments/s",
        "limit_name": "EST simpleenroll, kept TLS connections",
        "limit_value": peer,
        "ratio": value / peer,
        "aim": None,
        "better": "higher",
    }


def run() -> list[dict[str, Any]]:
    """Start a suite and enrol."""
    with tempfile.TemporaryDirectory(prefix="cmp-bench-") as folder:
        suite = make_suite(Path(folder), "pki-ca")
        try:
            suite.start()
            context, port = suite.tls(), urlsplit(suite.url()).port or 0
            waiting = est_bench.requests(suite)
            peer = est_bench.measure(lambda: est_bench.Connection(context, port), waiting, kept=True)
            once, twice, asked = (measure(suite, turn) for turn in (implicit, explicit, question))
        finally:
            suite.close()
    rows = [
        row("CMP ir, implicit confirmation, PBM", once, peer),
        row("CMP ir and certConf, PBM", twice, peer),
        {**row("CMP genm (caCerts), PBM", asked, peer), "unit": "requests/s"},
    ]
    for name, microseconds in parts():
        rows.append({"name": name, "value": microseconds, "unit": "µs", "better": "lower"})
    return rows


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
