"""CMP enrolments per second of a running suite over plain HTTP, beside EST's over TLS, and where the time goes.

One ir with implicit confirmation is one exchange and three commits (the transaction is opened, the certificate issued,
the answer remembered); with certConf it is two exchanges and four commits. EST's is one exchange and one commit. The
parts are timed in this process, one after the other, without HTTP or database.
"""

from __future__ import annotations

import json
import tempfile
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
from tests.bench.clients import Connection, Turns, microseconds, post, rate
from tests.support.cmp import Client, accepts, certificate, new_key, signed_request
from tests.support.pki import Ca
from tests.support.suite import Suite, make_suite

CLIENTS = 16
SECONDS = 3.0
CLOCK = SystemClock()


@dataclass(frozen=True)
class Credential:
    """What :class:`tests.support.cmp.Client` takes for one."""

    username: str
    password: str


def ask(connection: Connection, message: PKIMessage) -> PKIMessage:
    """Send a message, read the answer."""
    return codec.decode(connection.ask(post("/cmp", CONTENT_TYPE, message.encoded)))


Turn = Callable[[Connection, Client], None]


def implicit(connection: Connection, client: Client) -> None:
    """One exchange."""
    name = f"n{client.tid.hex()[:12]}.example.test"
    answer = ask(connection, client.request(signed_request(KEY, name, name), implicit=True))
    certificate(answer)


def explicit(connection: Connection, client: Client) -> None:
    """Two exchanges."""
    name = f"n{client.tid.hex()[:12]}.example.test"
    answer = client.hear(ask(connection, client.request(signed_request(KEY, name, name))))
    client.hear(ask(connection, client.confirm(accepts(certificate(answer)))))


def question(connection: Connection, client: Client) -> None:
    """A genm: nothing is written."""
    ask(connection, client.ask(general.request(general.CA_CERTS)))


KEY = new_key()


def measure(suite: Suite, turn: Turn) -> float:
    """Return turns per second by ``CLIENTS`` clients at once, each with a credential of its own."""
    port = urlsplit(suite.url("pki-ca", "plain")).port or 0
    ca = Ca(suite)
    credentials = [Credential(*ca.credential()) for _ in range(CLIENTS)]

    def work(number: int) -> Turns:
        connection = Connection(port)
        client = Client.by_secret(credentials[number], CLOCK.now(), PbmParameters.fresh(500))  # type: ignore[arg-type]
        try:
            while True:
                turn(connection, client)
                client = client.again()
                yield
        finally:
            connection.close()

    return rate(CLIENTS, SECONDS, work)


def parts() -> list[tuple[str, float]]:
    """Return how long each part of serving an ir takes, without issuance and storage."""
    secret = b"a secret of thirty-two characters"
    client = Client.by_secret(Credential("enroll-x", secret.decode()), CLOCK.now(), PbmParameters.fresh(500))  # type: ignore[arg-type]
    message = client.request(signed_request(KEY, "a.example.test", "a.example.test"))
    answer = protection.MacProtector(secret, PbmParameters.fresh(500))
    return [
        ("CMP decode an ir", microseconds(lambda: codec.decode(message.encoded))),
        ("CMP verify PasswordBasedMac, 500 iterations", microseconds(lambda: protection.verify_mac(message, secret))),
        ("CMP read and verify possession", microseconds(lambda: read_wishes(message, trusted_ra=False, secret=b""))),
        ("CMP encode an answer and MAC it, 500 iterations", microseconds(
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
            peer = est_bench.measure(suite, est_bench.requests(suite))
            once, twice, asked = (measure(suite, turn) for turn in (implicit, explicit, question))
        finally:
            suite.close()
    rows = [
        row("CMP ir, implicit confirmation, PBM", once, peer),
        row("CMP ir and certConf, PBM", twice, peer),
        {**row("CMP genm (caCerts), PBM", asked, peer), "unit": "requests/s"},
    ]
    for name, value in parts():
        rows.append({"name": name, "value": value, "unit": "µs", "better": "lower"})
    return rows


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
