"""device-attest-01: what a device's hardware says is believed from the configured roots, for one key and one name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pycryptoutil_protocols.acme.messages import ChallengeType

from tests.protocols import material
from tests.support.acme import AcmeClient, Internet, Reply, b64
from tests.support.authority import csr, new_key
from tests.support.cbor import encode
from tests.support.databases import Databases
from tests.unit.acme.conftest import PACKAGES, RULES, Replica, build

SERIAL = "C02XK1JKLVCG"
ROOT_KEY = new_key()
APPLE = {"serial": "1.2.840.113635.100.8.9.1", "udid": "1.2.840.113635.100.8.9.2", "code": "1.2.840.113635.100.8.11.1"}
YUBICO = "1.3.6.1.4.1.41482.3.7"


def root(name: str = "Attestation Root", key: Any = ROOT_KEY) -> x509.Certificate:
    builder = _builder(name, name, key.public_key())
    return builder.add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())


def _builder(subject: str, issuer: str, public: Any) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(material.name(subject))
        .issuer_name(material.name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(material.NOT_BEFORE)
        .not_valid_after(material.NOT_AFTER)
    )


def leaf(key: Any, extensions: dict[str, bytes], signer: Any = ROOT_KEY) -> bytes:
    builder = _builder("device", "Attestation Root", key.public_key())
    for oid, value in extensions.items():
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


def apple(key: Any, token: str, serial: str = SERIAL, signer: Any = ROOT_KEY) -> bytes:
    code = hashlib.sha256(token.encode()).digest()
    certificate = leaf(key, {APPLE["serial"]: serial.encode(), APPLE["udid"]: b"udid-1", APPLE["code"]: code}, signer)
    return encode({"fmt": "apple", "attStmt": {"x5c": [certificate]}})


def step(key: Any, authorization: str, serial: int = 4711, over: bytes = b"") -> bytes:
    signature = key.sign(over or authorization.encode(), ec.ECDSA(hashes.SHA256()))
    certificate = leaf(key, {YUBICO: b"\x02\x02" + serial.to_bytes(2, "big")})
    statement = {"alg": -7, "sig": encode(signature), "x5c": [certificate]}
    return encode({"fmt": "step", "attStmt": statement, "authData": b""})


@pytest.fixture(scope="module")
def devices(_sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    roots = (root().public_bytes(Encoding.DER),)
    rules = replace(RULES, challenges=frozenset(ChallengeType), attestation_roots=roots)
    with ExitStack() as stack:
        yield build(stack, _sqlite_databases.fresh(PACKAGES), tmp_path_factory.mktemp("devices"), Internet(), rules)


def asked(replica: Replica, value: str = SERIAL) -> tuple[AcmeClient, Reply, dict[str, Any]]:
    client = replica.account("device")
    order = client.order(f"permanent-identifier:{value}")
    assert order.status == 201, order.body
    (authorization,) = client.authorizations(order)
    (challenge,) = authorization.json["challenges"]
    assert challenge["type"] == "device-attest-01"
    return client, order, challenge


def answer(client: AcmeClient, challenge: dict[str, Any], statement: bytes) -> dict[str, Any]:
    reply = client.post(challenge["url"], {"attObj": b64(statement)})
    assert reply.status == 200
    return reply.json  # type: ignore[no-any-return]


@pytest.mark.parametrize("form", ["apple", "step"])
def test_a_certificate_for_the_attested_key(devices: Replica, form: str) -> None:
    client, order, challenge = asked(devices, SERIAL if form == "apple" else "4711")
    key = new_key()
    statement = apple(key, challenge["token"]) if form == "apple" else step(key, client.key_authorization(challenge))
    assert answer(client, challenge, statement)["status"] == "valid"
    assert client.finalize(order, csr(cn=order.json["identifiers"][0]["value"])).problem == "badCSR", "another key"
    assert client.finalize(order, csr(cn="other", key=key)).problem == "badCSR", "another name"
    done = client.finalize(order, csr(cn=order.json["identifiers"][0]["value"], key=key))
    assert done.json["status"] == "valid", done.body
    made = x509.load_pem_x509_certificates(client.post(done.json["certificate"]).body)[0]
    assert made.public_key() == key.public_key()
    assert made.subject.rfc4514_string() == f"CN={order.json['identifiers'][0]['value']}"
    assert client.order(f"permanent-identifier:{SERIAL}").json["status"] == "pending", "once for each order"


def wrong(client: AcmeClient, challenge: dict[str, Any]) -> dict[str, bytes]:
    key, token = new_key(), challenge["token"]
    bare = leaf(key, {})
    return {
        "another token": apple(key, "x" * 43),
        "another device": apple(key, token, "OTHER"),
        "another root": apple(key, token, signer=new_key()),
        "no freshness": encode({"fmt": "apple", "attStmt": {"x5c": [bare]}}),
        "no chain": encode({"fmt": "apple", "attStmt": {"x5c": []}}),
        "no statement": encode({"fmt": "apple"}),
        "another format": encode({"fmt": "tpm", "attStmt": {}}),
        "over something else": step(key, client.key_authorization(challenge), over=b"x"),
        "no signature": encode({"fmt": "step", "attStmt": {"x5c": [bare]}}),
        "no certificate": encode({"fmt": "apple", "attStmt": {"x5c": [b"hello"]}}),
        "no CBOR": b"\xff\x00",
        "nothing": b"",
        "trailing": apple(key, token) + b"\x00",
        "deep": b"\x81" * 5000,
        "huge": b"\x9b" + b"\xff" * 8,
    }


WRONG = (
    "another token", "another device", "another root", "no freshness", "no chain", "no statement", "another format",
    "over something else", "no signature", "no certificate", "no CBOR", "nothing", "trailing", "deep", "huge",
)  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_attestations_that_prove_nothing(devices: Replica, what: str) -> None:
    client, order, challenge = asked(devices)
    seen = answer(client, challenge, wrong(client, challenge)[what])
    assert seen["status"] == "invalid"
    assert seen["error"]["type"].rpartition(":")[2] == "badAttestationStatement"
    assert client.post(order.headers["location"]).json["status"] == "invalid"


def test_devices_stand_alone(devices: Replica) -> None:
    client = devices.account("device")
    assert client.order("permanent-identifier:1", "a.example.com").problem == "rejectedIdentifier"
    assert client.order("permanent-identifier:a\nb").problem == "rejectedIdentifier"
