"""CMC over HTTP and HTTPS (RFC 5273) and as EST's fullcmc (RFC 7030 section 4.3)."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx
import pytest
from pycryptoutil_protocols import cms, der, x509
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.cmc import client, controls, values
from pycryptoutil_protocols.cmc.messages import FailInfo, Status

from pycryptoutil.clock import SystemClock
from tests.protocols import material
from tests.protocols.cmc.requests import draft, pkcs10
from tests.support.authority import csr, new_key
from tests.support.pki import EST, Ca, certificate_of, keep
from tests.support.suite import Suite, shared_suite

__all__ = ["shared_suite"]

SIGNER = material.signer(number=40)
FULL = {"Content-Type": "application/pkcs7-mime; smime-type=CMC-request; name=request.p7m"}
SIMPLE = {"Content-Type": "application/pkcs10"}
RESPONSE = "application/pkcs7-mime; smime-type=CMC-response"


@pytest.fixture
def ca(shared_suite: Suite) -> Ca:
    return Ca(shared_suite)


@pytest.fixture
def credential(ca: Ca) -> tuple[str, str]:
    return ca.credential()


def full(credential: tuple[str, str], common_name: str = "a.example.test", *, at: bool = True) -> bytes:
    made = draft(pkcs10(SIGNER, common_name))
    made.prove_identity(credential[0], credential[1].encode())
    return made.signed_by_key(SIGNER, at=SystemClock().now() if at else None)


def post(
    ca: Ca, content: bytes, path: str = "/cmc", *, plain: bool = True, headers: dict[str, str] | None = None
) -> httpx.Response:
    if not plain:
        return ca.suite.http().post(path, content=content, headers=headers or FULL)
    with httpx.Client(base_url=ca.suite.url("pki-ca", "plain"), trust_env=False) as http:
        return http.post(path, content=content, headers=headers or FULL)


def reply_of(answer: httpx.Response, status: int = 200) -> client.Reply:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == RESPONSE
    assert answer.headers["cache-control"] == "no-store"
    return client.read(answer.content)


@pytest.mark.parametrize("path", ["/cmc", "/cmc/tls-server", "/cmc/issuing", "/cmc/issuing/tls-server"])
@pytest.mark.parametrize("plain", [True, False])
def test_every_path_on_both_listeners(ca: Ca, credential: tuple[str, str], path: str, plain: bool) -> None:
    reply = reply_of(post(ca, full(credential), path, plain=plain))
    assert reply.status(1).status is Status.SUCCESS
    issued = x509.decode_certificate(reply.certificate_for(SIGNER.public_spki))
    assert ca.record(f"{issued.serial:x}").json()["protocol"] == "cmc"
    assert client.trusted_root(reply, reply.anchors(credential[1].encode()))


@pytest.mark.parametrize("form", ["DER", "base64", "PEM"])
def test_forms_of_a_body(ca: Ca, credential: tuple[str, str], form: str) -> None:
    encoded = full(credential)
    text = base64.encodebytes(encoded)
    body = {"DER": encoded, "base64": text, "PEM": b"-----BEGIN CMS-----\n" + text + b"-----END CMS-----\n"}[form]
    assert not reply_of(post(ca, body)).failures


def test_simple_request_by_challenge_password(ca: Ca, credential: tuple[str, str]) -> None:
    password = Attribute("1.2.840.113549.1.9.7", (der.utf8_string(credential[1]),))
    answer = post(ca, pkcs10(SIGNER, "a.example.test", password), headers=SIMPLE)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"
    leaf, *issuers = cms.decode_certs_only(answer.content)
    assert x509.decode_certificate(leaf).spki == SIGNER.public_spki
    assert len(issuers) == 2


def test_simple_request_by_basic(ca: Ca, credential: tuple[str, str]) -> None:
    answer = ca.suite.http().post("/cmc", content=pkcs10(SIGNER), headers=SIMPLE, auth=credential)
    assert answer.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"


def test_simple_request_by_nobody(ca: Ca) -> None:
    assert reply_of(post(ca, pkcs10(SIGNER), headers=SIMPLE)).failures == (FailInfo.BAD_IDENTITY,)
    wrong = Attribute("1.2.840.113549.1.9.7", (der.utf8_string("wrong"),))
    answer = post(ca, pkcs10(SIGNER, "a.example.test", wrong), headers=SIMPLE)
    assert reply_of(answer).failures == (FailInfo.BAD_IDENTITY,)


BODIES = {
    "empty": (b"", FailInfo.BAD_REQUEST),
    "text": (b"hello, who is there?", FailInfo.BAD_REQUEST),
    "deep": (b"\x30\x80" * 10_000, FailInfo.BAD_REQUEST),
    "certificates only": (cms.encode_certs_only(()), FailInfo.BAD_REQUEST),
}


@pytest.mark.parametrize("name", BODIES)
def test_bad_bodies_are_answered_in_cmc(ca: Ca, name: str) -> None:
    body, code = BODIES[name]
    assert reply_of(post(ca, body)).failures == (code,)


def test_what_cannot_be_answered_in_cmc(ca: Ca, credential: tuple[str, str]) -> None:
    answer = post(ca, full(credential), headers={"Content-Type": "application/json"})
    assert answer.status_code == 415
    assert "CMC-request" in answer.text or "application/pkcs7-mime" in answer.text
    assert post(ca, full(credential), "/cmc/no-such-label").status_code == 404
    assert post(ca, bytes(8 << 20)).status_code == 413
    with httpx.Client(base_url=ca.suite.url("pki-ca", "plain"), trust_env=False) as http:
        assert http.get("/cmc").status_code == 405


def test_a_label_of_another_profile(ca: Ca, credential: tuple[str, str]) -> None:
    assert reply_of(post(ca, full(credential), "/cmc/tls-client")).failures == (FailInfo.BAD_REQUEST,)


# EST


def fullcmc(ca: Ca, content: bytes, label: str = "", **options: object) -> httpx.Response:
    http = options.pop("http", None) or ca.suite.http()
    path = f"{EST}/{label + '/' if label else ''}fullcmc"
    return http.post(path, content=base64.encodebytes(content), headers=FULL, **options)  # type: ignore[attr-defined,no-any-return]


def est_reply(answer: httpx.Response, status: int = 200) -> client.Reply:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == RESPONSE
    return client.read(base64.b64decode(answer.content))


@pytest.mark.parametrize("label", ["", "tls-server", "issuing/tls-server"])
def test_fullcmc(ca: Ca, credential: tuple[str, str], label: str) -> None:
    reply = est_reply(fullcmc(ca, full(credential), label))
    assert reply.certificate_for(SIGNER.public_spki)


def test_fullcmc_fails_with_a_status_and_a_cmc_answer(ca: Ca, credential: tuple[str, str]) -> None:
    reply = est_reply(fullcmc(ca, full((credential[0], "wrong"))), 400)
    assert reply.failures == (FailInfo.BAD_IDENTITY,)
    assert est_reply(fullcmc(ca, b"\x30\x03\x02\x01\x05"), 400).failures == (FailInfo.BAD_REQUEST,)


def test_fullcmc_by_basic(ca: Ca, credential: tuple[str, str]) -> None:
    made = draft(pkcs10(SIGNER)).signed_by_key(SIGNER)
    assert est_reply(fullcmc(ca, made), 400).failures == (FailInfo.BAD_IDENTITY,)
    assert est_reply(fullcmc(ca, made, auth=credential)).certificate_for(SIGNER.public_spki)
    answer = fullcmc(ca, made, auth=(credential[0], "wrong"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_fullcmc_by_tls(ca: Ca, credential: tuple[str, str], tmp_path: Path) -> None:
    key = new_key()
    request = base64.encodebytes(csr("a.example.test", cn="a.example.test", key=key))
    enrolled = ca.suite.http().post(f"{EST}/simpleenroll", content=request, headers=SIMPLE, auth=credential)
    own = keep(tmp_path, certificate_of(enrolled.content), key)
    http = ca.suite.http(certificate=own.certificate_file, key=own.key_file)
    made = draft(pkcs10(SIGNER, "a.example.test"))
    reply = est_reply(fullcmc(ca, made.signed_by_key(SIGNER), http=http))
    assert x509.decode_certificate(reply.certificate_for(SIGNER.public_spki)).serial != own.certificate.serial_number
    other = draft(pkcs10(SIGNER, "b.example.test")).signed_by_key(SIGNER)
    assert est_reply(fullcmc(ca, other, http=http), 400).failures == (FailInfo.BAD_REQUEST,)


def test_pkcs10_is_nothing_for_fullcmc(ca: Ca) -> None:
    answer = ca.suite.http().post(f"{EST}/fullcmc", content=base64.encodebytes(pkcs10(SIGNER)), headers=SIMPLE)
    assert answer.status_code == 415


def test_a_whole_life(ca: Ca, credential: tuple[str, str]) -> None:
    first = reply_of(post(ca, full(credential))).certificate_for(SIGNER.public_spki)
    other = material.signer(number=41)
    renewal = draft(pkcs10(other)).signed_by_certificate(SIGNER, first, at=SystemClock().now())
    second = reply_of(post(ca, renewal)).certificate_for(other.public_spki)
    facts = x509.decode_certificate(first)
    made = client.Draft()
    made.add(controls.REVOKE_REQUEST, values.RevokeRequest(facts.issuer, facts.serial, 4))
    assert not reply_of(post(ca, made.signed_by_certificate(other, second))).failures
    assert ca.record(f"{facts.serial:x}").json()["status"] == "revoked"
    assert not ca.suite.foreign_lines()
