"""Client certificates: verified by the listener and bound to a principal, or nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pycryptoutil.http.message import TlsInfo
from tests.support.door import Caller, Door

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(key: ec.EllipticCurvePrivateKey = KEY, name: str = "client") -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(now).not_valid_after(now + timedelta(days=30)).sign(key, hashes.SHA256())


def presenting(door: Door, shown: x509.Certificate, *, verified: bool = True) -> Caller:
    tls = TlsInfo("TLSv1.3", "x", (shown.public_bytes(Encoding.DER),), verified)
    return replace(door.anonymous, tls=tls)


def pem(shown: x509.Certificate) -> str:
    return shown.public_bytes(Encoding.PEM).decode()


def test_a_bound_certificate_enters(door: Door) -> None:
    client_id = door.client("pets:read").get("/me").json["id"]
    shown = certificate()
    assert presenting(door, shown).get("/me").status == 401
    bound = door.admin.post(f"/principals/{client_id}/certificates", {"certificate": pem(shown)})
    assert bound.status == 201
    me = presenting(door, shown).get("/me").json
    assert (me["kind"], me["id"], me["scopes"]) == ("certificate", client_id, ["pets:read"])
    assert presenting(door, shown, verified=False).get("/me").status == 401
    assert presenting(door, certificate()).get("/me").status == 401  # same key, another certificate
    listed = door.admin.get(f"/principals/{client_id}/certificates").json["items"]
    assert [one["id"] for one in listed] == [bound.json["id"]]
    assert door.admin.delete(f"/principals/{client_id}/certificates/{bound.json['id']}").status == 204
    assert presenting(door, shown).get("/me").status == 401
    assert door.admin.delete(f"/principals/{client_id}/certificates/{bound.json['id']}").status == 404


def test_a_bound_key_enters_with_any_of_its_certificates(door: Door) -> None:
    client_id = door.client("pets:read").get("/me").json["id"]
    body = {"certificate": pem(certificate()), "match": "spki-sha256"}
    assert door.admin.post(f"/principals/{client_id}/certificates", body).status == 201
    assert presenting(door, certificate(name="renewed")).get("/me").status == 200
    assert presenting(door, certificate(ec.generate_private_key(ec.SECP256R1()))).get("/me").status == 401


def test_a_certificate_binding_beats_a_key_binding(door: Door) -> None:
    one, two = (door.client("pets:read").get("/me").json["id"] for _ in range(2))
    shown = certificate()
    door.admin.post(f"/principals/{one}/certificates", {"certificate": pem(shown), "match": "spki-sha256"})
    door.admin.post(f"/principals/{two}/certificates", {"certificate": pem(shown)})
    assert presenting(door, shown).get("/me").json["id"] == two
    assert presenting(door, certificate()).get("/me").json["id"] == one


def test_a_certificate_stands_for_one_principal_of_all_tenants(door: Door) -> None:
    other, _ = door.tenant("acme")
    mine, theirs = door.admin.get("/me").json["id"], other.get("/me").json["id"]
    body = {"certificate": pem(certificate())}
    assert door.admin.post(f"/principals/{mine}/certificates", body).status == 201
    assert other.post(f"/principals/{theirs}/certificates", body).status == 409


def test_given_credentials_decide_over_a_certificate(small_door: Door) -> None:
    mine = small_door.admin.get("/me").json["id"]
    shown = certificate()
    small_door.admin.post(f"/principals/{mine}/certificates", {"certificate": pem(shown)})
    wrong = small_door.basic("nobody", "wrong").headers
    assert presenting(small_door, shown).with_headers(*wrong).get("/me").status == 401


def test_a_browser_does_not_enter_by_certificate(small_door: Door) -> None:
    mine = small_door.admin.get("/me").json["id"]
    shown = certificate()
    small_door.admin.post(f"/principals/{mine}/certificates", {"certificate": pem(shown)})
    assert replace(presenting(small_door, shown), prefix="/browser/api/v1").get("/me").status == 401


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "é", pem(certificate()) * 2]
)
def test_what_is_no_certificate(small_door: Door, text: str) -> None:
    mine = small_door.admin.get("/me").json["id"]
    assert small_door.admin.post(f"/principals/{mine}/certificates", {"certificate": text}).status == 422


def test_a_chain_that_cannot_be_read_is_refused(small_door: Door) -> None:
    caller = replace(small_door.anonymous, tls=TlsInfo("TLSv1.3", "x", (b"\x30\x03\x02\x01\x00",), True))
    assert caller.get("/me").status == 401
