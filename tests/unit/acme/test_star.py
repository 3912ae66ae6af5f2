"""RFC 8739: short-lived certificates that follow one another until the order's end, or its cancellation."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pycryptoutil.authority.acme.model import AutoRenewalRules
from pycryptoutil.authority.acme.store import orders as store
from tests.support.acme import AcmeClient, Reply, b64
from tests.support.authority import TENANT, csr
from tests.unit.acme.conftest import MakeReplica, Replica

DAY = 86400
RENEWAL = {"end-date": "2026-06-08T12:00:00Z", "lifetime": DAY, "lifetime-adjust": 60, "allow-certificate-get": True}


@pytest.fixture
def star(make_sqlite: MakeReplica) -> Replica:
    return make_sqlite(auto_renewal=AutoRenewalRules(timedelta(hours=1), timedelta(days=10)))


def begun(replica: Replica, **change: object) -> tuple[AcmeClient, Reply]:
    client = replica.account()
    ready = replica.validated(client, "a.example.com", **{"auto-renewal": RENEWAL | change})
    done = client.finalize(ready, csr("a.example.com"))
    assert done.json["status"] == "valid"
    return client, done


def renew(replica: Replica) -> int:
    with replica.world.database.read(TENANT) as reader:
        due = store.renewals_due(reader, replica.world.clock.now(), 10)
    for row in due:
        replica.service.renew(row)
    return len(due)


def leaf(reply: Reply) -> x509.Certificate:
    assert reply.status == 200, reply.body
    return x509.load_pem_x509_certificates(reply.body)[0]


def test_certificates_follow_one_another(star: Replica) -> None:
    client, done = begun(star)
    assert client.directory["meta"]["auto-renewal"]["allow-certificate-get"] is True
    assert "certificate" not in done.json
    assert done.json["auto-renewal"]["lifetime"] == DAY
    url = done.json["star-certificate"]
    seen = []
    for _ in range(20):
        reply = client.get(url)
        found = leaf(reply)
        now = star.world.clock.now()
        assert found.not_valid_before_utc <= now < found.not_valid_after_utc
        assert reply.headers["cert-not-after"].endswith("GMT")
        seen.append(found.serial_number)
        star.world.clock.advance(DAY / 3)
        renew(star)
    assert len(set(seen)) >= 6
    assert leaf(client.post(url)).serial_number not in seen[:-1] or seen[-1] == seen[-2]
    star.world.clock.advance(DAY)
    assert renew(star) == 0
    assert client.get(url).problem == "autoRenewalExpired"


def test_two_replicas_renew_once(star: Replica) -> None:
    client, done = begun(star)
    star.world.clock.advance(DAY * 0.6)
    with star.world.database.read(TENANT) as reader:
        (row,) = store.renewals_due(reader, star.world.clock.now(), 10)
    star.service.renew(row)
    second = leaf(client.get(done.json["star-certificate"])).serial_number
    star.service.renew(row)
    assert leaf(client.get(done.json["star-certificate"])).serial_number == second


def test_canceling(star: Replica) -> None:
    client, done = begun(star)
    url = done.headers["location"]
    certificate = leaf(client.get(done.json["star-certificate"]))
    body = {"certificate": b64(certificate.public_bytes(Encoding.DER))}
    assert client.post(client.directory["revokeCert"], body).problem == "autoRenewalRevocationNotSupported"
    assert client.post(url, {"status": "canceled"}).json["status"] == "canceled"
    assert client.post(url, {"status": "canceled"}).problem == "autoRenewalCancellationInvalid"
    assert client.get(done.json["star-certificate"]).problem == "autoRenewalCanceled"
    star.world.clock.advance(DAY)
    assert renew(star) == 0
    plain = star.issued(client, "b.example.com")
    assert client.post(plain.headers["location"], {"status": "canceled"}).problem == "autoRenewalCancellationInvalid"


def test_without_leave_only_the_account_gets_it(star: Replica) -> None:
    client, done = begun(star, **{"allow-certificate-get": False})
    url = done.json["star-certificate"]
    assert client.get(url).problem == "unauthorized"
    assert star.account().post(url).problem == "unauthorized"
    leaf(client.post(url))


def test_it_is_not_offered_unless_configured(one: Replica) -> None:
    client = one.account()
    assert "auto-renewal" not in client.directory["meta"]
    assert client.order("a.example.com", **{"auto-renewal": RENEWAL}).problem == "malformed"
