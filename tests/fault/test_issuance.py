"""Issuance under kill -9, under two replicas at once, and without its database.

What a client was answered is known afterwards, to the database and to OCSP; no serial is given twice; CRL numbers are
one growing sequence; and a database that comes back is used again without a restart.
"""

from __future__ import annotations

import base64
import json
import random
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from pycryptoutil.clock import SystemClock
from tests.support.authority import csr
from tests.support.databases import PostgresCluster, postgres_or_skip
from tests.support.pki import EST, PKCS10, Ca, certificate_of, ocsp_request
from tests.support.suite import Suite, make_suite, run_cli, until

pytestmark = [pytest.mark.fault, pytest.mark.slow]

OCSP = {"Content-Type": "application/ocsp-request"}
CLOCK = SystemClock()


@dataclass
class Clients:
    """Clients that enrol as fast as they are answered, until they are stopped; each keeps what it was answered."""

    url: str
    trust: Path
    credential: tuple[str, str]
    answered: list[x509.Certificate] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, count: int) -> None:
        self._threads = [threading.Thread(target=self._enrol, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _enrol(self, number: int) -> None:
        trust = ssl.create_default_context(cafile=str(self.trust))
        with httpx.Client(base_url=self.url, verify=trust, auth=self.credential, trust_env=False) as client:
            turn = 0
            while not self._stop.is_set():
                turn += 1
                body = base64.encodebytes(csr(f"n{number}-{turn}.example.test"))
                try:
                    answer = client.post(f"{EST}/simpleenroll", content=body, headers=PKCS10, timeout=20)
                except httpx.HTTPError:
                    continue  # it was killed under us: nothing was answered
                if answer.status_code == 200:
                    self.answered.append(certificate_of(answer.content))
                elif answer.status_code != 503:
                    self.odd.append(f"{answer.status_code} {answer.text}")


def clients_of(running: Suite, credential: tuple[str, str]) -> Clients:
    return Clients(running.url(), running.trust_bundle, credential)


def statuses(running: Suite, certificates: list[x509.Certificate], issuer: x509.Certificate) -> set[str]:
    """Ask OCSP for each."""
    found = set()
    with httpx.Client(base_url=running.url(listener="plain"), trust_env=False) as client:
        for certificate in certificates:
            asked = ocsp_request(certificate, issuer, hashes.SHA256())
            answer = ocsp.load_der_ocsp_response(client.post("/ocsp/issuing", content=asked, headers=OCSP).content)
            found.add(answer.certificate_status.name)
    return found


def every_certificate(running: Suite) -> dict[str, str]:
    """Return serial → PEM of all that the database knows."""
    found: dict[str, str] = {}
    cursor = ""
    api = running.api()
    while True:
        page = api.get("certificates", params={"limit": 200, "cursor": cursor}).json()
        for row in page["items"]:
            assert row["serial"] not in found, "a serial twice"
            found[row["serial"]] = row["certificate"]
        cursor = page["next"]
        if not cursor:
            return found


ROUNDS = 3


@pytest.mark.parametrize(("database", "workers"), [("sqlite", 1), ("sqlite", 2), ("postgresql", 1)])
def test_nothing_that_was_answered_is_lost_by_kill_9(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, workers: int
) -> None:
    url = request.getfixturevalue("postgresql_databases").empty() if database == "postgresql" else ""
    running = make_suite(tmp_path / "suite", "pki-ca", workers=workers, database_url=url)
    chance = random.Random(workers)
    answered: list[x509.Certificate] = []
    try:
        running.start()
        ca = Ca(running)
        credential = ca.credential("tls-server")
        issuer = ca.chain()[0]
        for _ in range(ROUNDS):
            clients = clients_of(running, credential)
            clients.start(4)
            until(lambda found=clients: found.answered, "the first certificate of this round")
            CLOCK.sleep(chance.uniform(0.05, 0.7))
            running.kill()
            clients.stop()
            assert not clients.odd
            answered += clients.answered
            running.start()
        assert len(answered) >= 10
        known = every_certificate(running)
        for certificate in answered:
            serial = f"{certificate.serial_number:x}"
            assert serial in known, "a certificate was answered and is not known"
            assert x509.load_pem_x509_certificate(known[serial].encode()) == certificate
        assert len({certificate.serial_number for certificate in answered}) == len(answered)
        assert statuses(running, answered, issuer) == {"GOOD"}
        # the chain of audit events is whole, and says what was to be signed before it was
        audit("verify", running, url)
        assert not running.foreign_lines()
    finally:
        running.close()


def audit(command: str, running: Suite, url: str) -> str:
    """Run an auditor's command; return what it printed."""
    database = {"CRYPTOUTIL_DATABASE_URL": url} if url else {}
    done = run_cli("audit", command, "--profile", "test", "--data-dir", running.data_dir, **database)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def cluster() -> Iterator[PostgresCluster]:
    cluster = postgres_or_skip(PostgresCluster)
    yield cluster
    cluster.close()


def replica(folder: Path, url: str) -> Suite:
    """One of several: a data directory of its own, the same database and the same barrier secret."""
    folder.parent.mkdir(exist_ok=True)
    secret = folder.parent / "barrier.secret"
    if not secret.exists():
        secret.write_text("5" * 64)
        secret.chmod(0o600)
    config = {
        "barrier": {"mode": "file", "secret_file": str(secret)},
        "pki_ca": {"distribution_url": "http://status.example.test"},
    }
    return make_suite(folder, "pki-ca", config, database_url=url)


def test_two_replicas_issue_at_once_with_one_sequence_of_everything(cluster: PostgresCluster, tmp_path: Path) -> None:
    url = cluster.url(cluster.create())
    one, two = (replica(tmp_path / name, url) for name in ("one", "two"))
    try:
        one.start(wait=False)  # both find an empty database, and one CA comes of it
        two.start(wait=False)
        for running in (one, two):
            running.wait_ready()
        first = next(running for running in (one, two) if Path(running.ready["admin_credentials"]).exists())
        credentials = Path(first.ready["admin_credentials"])
        for running in (one, two):
            running.ready["admin_credentials"] = str(credentials)
        assert Ca(one).chain() == Ca(two).chain()
        credential = Ca(one).credential("tls-server")
        clients = [clients_of(running, credential) for running in (one, two)]
        for client in clients:
            client.start(3)
        numbers = publish_from(one, two)
        until(lambda: all(len(client.answered) >= 30 for client in clients), "60 certificates")
        for client in clients:
            client.stop()
            assert not client.odd
        serials = [certificate.serial_number for client in clients for certificate in client.answered]
        assert len(serials) == len(set(serials)) >= 60
        assert {f"{serial:x}" for serial in serials} <= set(every_certificate(two))
        assert len(numbers) == len(set(numbers)) >= 4
        # each replica answers for what the other has issued, and both publish the same list
        issuer = Ca(one).chain()[0]
        assert statuses(one, clients[1].answered[:10], issuer) == {"GOOD"}
        victim = clients[0].answered[0]
        Ca(one).revoke(f"{victim.serial_number:x}")
        CLOCK.sleep(1.0)
        assert statuses(two, [victim], issuer) == {"REVOKED"}
        until(lambda: same_crl(one, two, victim.serial_number, max(numbers)), "one CRL on both", 15)
        # both wrote one chain of audit events, in which every CRL's number is greater than the one before
        audit("verify", one, url)
        events = [json.loads(line) for line in audit("export", one, url).splitlines()]
        mine = [event for event in events if event["action"] == "crl.sign" and event["target"] == "issuing"]
        signed = [event["details"]["number"] for event in mine]
        assert set(numbers) <= set(signed)
        assert signed == sorted(set(signed))
    finally:
        one.close()
        two.close()


def publish_from(*replicas: Suite) -> list[int]:
    """Publish CRLs from both at once; return every number that was given, each list growing by itself."""
    numbers: list[int] = []

    def publish(running: Suite) -> None:
        own: list[int] = []
        api = running.api()
        for _ in range(3):
            answer = api.post("crls/issuing/publish")
            if answer.status_code == 201:
                own.append(answer.json()["number"])
        assert own == sorted(set(own))
        numbers.extend(own)

    threads = [threading.Thread(target=publish, args=(running,)) for running in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return numbers


def same_crl(one: Suite, two: Suite, serial: int, at_least: int) -> bool:
    lists = [running.http(listener="plain").get("/crl/issuing.crl").content for running in (one, two)]
    crl = x509.load_der_x509_crl(lists[0])
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return (
        lists[0] == lists[1] and number >= at_least and crl.get_revoked_certificate_by_serial_number(serial) is not None
    )


def test_the_database_is_lost_and_comes_back(cluster: PostgresCluster, tmp_path: Path) -> None:
    running = replica(tmp_path / "suite", cluster.url(cluster.create()))
    try:
        running.start()
        ca = Ca(running)
        credential = ca.credential("tls-server")
        before = ca.enrol(tmp_path, credential, "before.example.test")
        issuer = ca.chain()[0]
        plain = running.http(listener="plain")
        until(lambda: plain.get("/crl/issuing.crl").status_code == 200, "the first CRL")
        cluster.stop()
        client = running.http()
        body = base64.encodebytes(csr("during.example.test"))
        answer = client.post(f"{EST}/simpleenroll", content=body, headers=PKCS10, auth=credential)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["x-request-id"] in answer.text
        assert "psycopg" not in answer.text
        until(lambda: asked(running, before.certificate, issuer) == "TRY_LATER", "OCSP says try later")
        until(lambda: running.admin().get("readyz").status_code == 503, "readyz is red")
        assert running.admin().get("livez").status_code == 200
        api = running.api().get("certificates")
        assert api.status_code == 503
        assert api.headers["content-type"].startswith("application/problem+json")
        cluster.start()
        until(lambda: running.admin().get("readyz").status_code == 200, "readyz is green again")
        after = ca.enrol(tmp_path, credential, "after.example.test")
        assert statuses(running, [before.certificate, after.certificate], issuer) == {"GOOD"}
        ca.revoke(before.serial)
        until(lambda: asked(running, before.certificate, issuer) == "REVOKED", "the revocation is seen")
        assert not running.foreign_lines()
    finally:
        running.close()


def asked(running: Suite, certificate: x509.Certificate, issuer: x509.Certificate) -> str:
    request = ocsp_request(certificate, issuer, hashes.SHA1())
    answer = running.http(listener="plain").post("/ocsp/issuing", content=request, headers=OCSP)
    assert answer.status_code == 200
    found = ocsp.load_der_ocsp_response(answer.content)
    if found.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return found.response_status.name
    return found.certificate_status.name
