"""ACME from the order to the certificate, of a running suite: for names that are proved already (newOrder, finalize and
the download), and with an http-01 validation for each. Every request has a durable commit, for its nonce.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.bench.clients import Turns, rate
from tests.bench.est_bench import bare_commits
from tests.support.acme import AcmeClient, Reply, web_server
from tests.support.authority import csr
from tests.support.suite import Suite, make_suite, until

CLIENTS = 4
SECONDS = 4.0
ANSWERS: dict[str, bytes] = {}


class Keeping(AcmeClient):
    """Takes each nonce from the answer before, as good clients do."""

    kept = ""

    def nonce(self) -> str:
        found, self.kept = self.kept, ""
        return found or super().nonce()


def client_of(suite: Suite) -> Keeping:
    """Return a client with an account and a connection of its own."""
    http = suite.http()
    made: list[Keeping] = []

    def send(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        answer = http.request(method, url, content=body, headers=dict(headers))
        links = {name: str(link["url"]) for name, link in answer.links.items()}
        if made:
            made[0].kept = answer.headers.get("replay-nonce", "")
        return Reply(answer.status_code, answer.headers, answer.content, links)

    client = Keeping(send, f"{suite.url()}/acme/tls-server/directory")
    made.append(client)
    if client.register().status != 201:
        raise RuntimeError("no account")
    return client


def certify(client: Keeping, name: str, request: bytes) -> None:
    """Go from the order to the certificate."""
    order = client.order(name)
    for authorization in order.json["authorizations"] if order.json["status"] == "pending" else ():
        challenge = client.challenge(client.post(authorization), "http-01")
        ANSWERS[challenge["token"]] = client.key_authorization(challenge).encode()
        client.post(challenge["url"], {})
        until(lambda: client.post(order.headers["location"]).json["status"] == "ready", "validated")
    done = client.finalize(order, request)
    if client.post(done.json["certificate"]).status != 200:
        raise RuntimeError(done.body)


def measure(suite: Suite, name: Callable[[int, int], str]) -> float:
    """Return certificates per second by ``CLIENTS`` clients at once."""
    clients = [client_of(suite) for _ in range(CLIENTS)]
    for number, client in enumerate(clients):
        certify(client, name(number, 0), csr(name(number, 0)))

    def work(number: int) -> Turns:
        for count in itertools.count(1):
            wanted = name(number, count)
            certify(clients[number], wanted, csr(wanted))
            yield

    return rate(CLIENTS, SECONDS, work)


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
    """Start a suite and a web server, and order."""
    limits = {"orders_per_account": 0, "accounts_per_address": 0}
    with web_server(ANSWERS) as port, tempfile.TemporaryDirectory(prefix="acme-bench-") as folder:
        config = {
            "pki_ca": {"acme": {"http_ports": [port], "limits": limits}},
            "rate_limit": {"enabled": False},
        }
        suite = make_suite(Path(folder), "pki-ca", config)
        try:
            suite.start()
            limit = bare_commits(Path(folder))
            known = measure(suite, lambda number, _: f"n{number}.known.test")
            fresh = measure(suite, lambda number, count: f"n{number}-{count}.fresh.test")
        finally:
            suite.close()
    return [
        row("ACME order to certificate, names proved before", known, limit),
        row("ACME order to certificate, with http-01", fresh, limit),
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
