"""Every CMCFailInfo by something that brings it about, and what bad input gets: always a signed answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols import algorithms, cms, der
from pycryptoutil_protocols.cmc import authenticated, client, codec, controls, failures, layers, proofs, server, values
from pycryptoutil_protocols.cmc.messages import PKI_DATA, PKI_RESPONSE, Control, FailInfo, PkiData, Status
from pycryptoutil_protocols.cmc.server import Rules
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material
from tests.protocols.cmc.requests import SIGNER, crmf, draft, pkcs10, unsigned_pkcs10
from tests.support.cmc import NOW, SECRET, USER, SmallCa, certificate, subject

OTHER = material.signer(number=41)
ED25519 = material.signer("Ed25519", "ed25519")


@pytest.fixture
def ca() -> SmallCa:
    return SmallCa()


def enrolment(*encoded: bytes) -> client.Draft:
    made = draft(*encoded)
    made.prove_identity(USER, SECRET)
    return made


def good() -> bytes:
    return enrolment(pkcs10()).signed_by_key(SIGNER, at=NOW)


# -- each failure code -------------------------------------------------------------------------------------------------


def bad_alg(_ca: SmallCa) -> bytes:
    made = draft(pkcs10())
    made.add(controls.IDENTIFICATION, USER)
    sha1 = algorithms.hash_identifier("sha1")
    made.add(controls.IDENTITY_PROOF_V2, values.MacProof(sha1, proofs.hmac_identifier("sha256"), bytes(32)))
    return made.signed_by_key(SIGNER)


def bad_message_check(_ca: SmallCa) -> bytes:
    encoded = good()
    return encoded[:-1] + bytes((encoded[-1] ^ 1,))


def bad_request(_ca: SmallCa) -> bytes:
    return layers.unsigned_layer(PKI_DATA, der.sequence())


def bad_time(_ca: SmallCa) -> bytes:
    return enrolment(pkcs10()).signed_by_key(SIGNER, at=NOW - timedelta(minutes=6))


def bad_cert_id(ca: SmallCa) -> bytes:
    made = client.Draft()
    made.add(controls.REVOKE_REQUEST, values.RevokeRequest(ca.name, 4711, 1))
    return made.signed_by_certificate(SIGNER, ca.give(SIGNER, "a.example.test"))


def unsupported_ext(ca: SmallCa) -> bytes:
    ca.failure = Fault(FaultKind.POLICY, "extension", "the profile does not let an extension in", pointer="csr")
    return good()


def must_archive_keys(ca: SmallCa) -> bytes:
    ca.failure = failures.Refusal(FailInfo.MUST_ARCHIVE_KEYS, "no archive", "the key must be archived first")
    return good()


def bad_identity(_ca: SmallCa) -> bytes:
    made = draft(pkcs10())
    made.prove_identity(USER, b"wrong")
    return made.signed_by_key(SIGNER)


def pop_required(_ca: SmallCa) -> bytes:
    return enrolment(unsigned_pkcs10(ED25519.public_spki)).unsigned()


def pop_failed(_ca: SmallCa) -> bytes:
    return enrolment(pkcs10(broken=True)).signed_by_key(SIGNER)


def no_key_reuse(ca: SmallCa) -> bytes:
    ca.failure = failures.Refusal(FailInfo.NO_KEY_REUSE, "again", "a key is certified once")
    return good()


def internal_ca_error(ca: SmallCa) -> bytes:
    ca.failure = Fault(FaultKind.INTERNAL, "a secret detail")
    return good()


def try_later(ca: SmallCa) -> bytes:
    ca.failure = Fault(FaultKind.UNAVAILABLE, "database away", "try again later")
    return good()


def auth_data_fail(_ca: SmallCa) -> bytes:
    made = draft(pkcs10())
    made.add(controls.IDENTIFICATION, USER)
    return made.authenticated(b"wrong")


CODES = {
    FailInfo.BAD_ALG: bad_alg,
    FailInfo.BAD_MESSAGE_CHECK: bad_message_check,
    FailInfo.BAD_REQUEST: bad_request,
    FailInfo.BAD_TIME: bad_time,
    FailInfo.BAD_CERT_ID: bad_cert_id,
    FailInfo.UNSUPPORTED_EXT: unsupported_ext,
    FailInfo.MUST_ARCHIVE_KEYS: must_archive_keys,
    FailInfo.BAD_IDENTITY: bad_identity,
    FailInfo.POP_REQUIRED: pop_required,
    FailInfo.POP_FAILED: pop_failed,
    FailInfo.NO_KEY_REUSE: no_key_reuse,
    FailInfo.INTERNAL_CA_ERROR: internal_ca_error,
    FailInfo.TRY_LATER: try_later,
    FailInfo.AUTH_DATA_FAIL: auth_data_fail,
}


@pytest.mark.parametrize("code", FailInfo, ids=lambda code: code.name)
def test_every_failure_code(ca: SmallCa, code: FailInfo) -> None:
    reply = ca.ask(CODES[code](ca))
    assert reply.failures == (code,)
    assert "a secret detail" not in reply.statuses[0].text


@pytest.mark.parametrize("kind", FaultKind, ids=lambda kind: kind.name)
def test_every_fault_has_a_status(kind: FaultKind) -> None:
    status = failures.status_of(Fault(kind, "detail", "public"), ((1,),))
    assert status.status in (Status.FAILED, Status.NO_SUPPORT)
    assert (status.failure is None) == (status.status is Status.NO_SUPPORT)
    assert status.text == "public"
    values.decode_status(der.read(values.encode_status(status)))


def test_the_log_hears_what_the_peer_does_not(ca: SmallCa) -> None:
    heard: list[str] = []
    ca.failure = Fault(FaultKind.INTERNAL, "a secret detail")
    server.answer(ca, Rules(), good(), report=lambda fault: heard.append(fault.detail))
    assert heard == ["a secret detail"]


# -- bad input ---------------------------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    found = b""
    for _ in range(depth):
        found = der.tlv(der.SEQUENCE, found)
    return found


def with_signers(count: int) -> bytes:
    signature = cms.Signature(SIGNER, key_identifier=proofs.key_identifier(SIGNER.public_spki))
    return cms.sign(PKI_DATA, enrolment(pkcs10()).encode(), (signature,) * count)


def detached() -> bytes:
    signature = cms.Signature(SIGNER, key_identifier=proofs.key_identifier(SIGNER.public_spki))
    return cms.sign(PKI_DATA, enrolment(pkcs10()).encode(), (signature,), detached=True)


def other_content(content_type: str) -> bytes:
    return layers.unsigned_layer(content_type, enrolment(pkcs10()).encode())


BAD_INPUT: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "noise": lambda: b"\x30\x03\x02\x01",
    "text": lambda: b"hello",
    "10 000 deep": lambda: nested(10_000),
    "10 000 deep in BER": lambda: b"\x30\x80" * 10_000,
    "trailing octets": lambda: good() + b"\x05\x00",
    "truncated": lambda: good()[:-10],
    "another CMS type": lambda: cms.content_info("1.2.840.113549.1.7.5", der.sequence()),
    "enveloped data": lambda: cms.encrypt(PKI_DATA, b"x", (cms.KeyEncryptionKey(bytes(32), b"k"),)),
    "certificates only": lambda: cms.encode_certs_only((SmallCa().ca,)),
    "another content": lambda: other_content("1.2.840.113549.1.7.1"),
    "a response": lambda: other_content(PKI_RESPONSE),
    "two signers": lambda: with_signers(2),
    "detached content": detached,
    "a PKCS#10 request": pkcs10,
    "authenticated without password": lambda: cms.content_info(
        authenticated.AUTHENTICATED_DATA,
        der.sequence(der.integer(0), der.set_of(()), *[der.sequence(der.oid("1.2.840.113549.2.9"))] * 1),
    ),
    "a control twice": lambda: layers.unsigned_layer(
        PKI_DATA,
        codec.encode_data(PkiData((controls.SENDER_NONCE.control(1, b"a"), controls.SENDER_NONCE.control(2, b"b")))),
    ),
    "an unknown control": lambda: layers.unsigned_layer(
        PKI_DATA, codec.encode_data(PkiData((Control(1, "1.2.3", (der.null(),)),)))
    ),
    "a control of answers": lambda: layers.unsigned_layer(
        PKI_DATA, codec.encode_data(PkiData((controls.RESPONSE_INFO.control(1, b"x"),)))
    ),
    "a control that is none": lambda: layers.unsigned_layer(
        PKI_DATA, codec.encode_data(PkiData((Control(1, controls.GET_CERT.oid, (der.null(),)),)))
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_gets_a_signed_answer(ca: SmallCa, name: str) -> None:
    reply = ca.ask(BAD_INPUT[name]())
    assert reply.failures == (FailInfo.BAD_REQUEST,)
    assert not ca.store.wishes


def test_unknown_controls_fail_the_whole_message_and_are_named(ca: SmallCa) -> None:
    made = enrolment(pkcs10())
    data = made.data()
    data = replace(data, controls=(*data.controls, Control(77, "1.2.3", (der.null(),))))
    encoded = codec.encode_data(data)
    signed = layers.signed_layer(PKI_DATA, encoded, SIGNER, key_identifier=proofs.key_identifier(SIGNER.public_spki))
    reply = ca.ask(signed)
    assert reply.status(77).failure is FailInfo.BAD_REQUEST
    assert not ca.store.wishes


def test_requests_of_other_kinds_are_not_supported(ca: SmallCa) -> None:
    made = client.Draft()
    made.add_request(codec.other_request(5, "1.2.3", der.null()))
    made.prove_identity(USER, SECRET)
    assert ca.ask(made.unsigned()).status(5).status is Status.NO_SUPPORT


def test_other_messages_are_not_supported(ca: SmallCa) -> None:
    data = replace(enrolment(pkcs10()).data(), others=(codec.OtherMessage(50, "1.2.3", der.null()),))
    signed = layers.signed_layer(
        PKI_DATA, codec.encode_data(data), SIGNER, key_identifier=proofs.key_identifier(SIGNER.public_spki)
    )
    reply = ca.ask(signed)
    assert reply.status(50).status is Status.NO_SUPPORT
    assert reply.certificate_for(SIGNER.public_spki)


def test_too_many_requests(ca: SmallCa) -> None:
    encoded = enrolment(pkcs10(), pkcs10(OTHER), pkcs10(ED25519)).signed_by_key(SIGNER)
    assert ca.ask(encoded, Rules(max_requests=2)).failures == (FailInfo.BAD_REQUEST,)
    assert not ca.store.wishes


def test_crmf_without_a_key(ca: SmallCa) -> None:
    message = crmf(3)
    template = replace(message.request.template, spki=None)
    made = client.Draft()
    made.add_crmf(replace(message, request=replace(message.request, template=template)))
    made.prove_identity(USER, SECRET)
    assert ca.ask(made.unsigned()).failures == (FailInfo.BAD_REQUEST,)


# -- signatures --------------------------------------------------------------------------------------------------------


def test_foreign_and_revoked_and_expired_certificates(ca: SmallCa) -> None:
    foreign = certificate(OTHER, subject("elsewhere"), subject("a.example.test"), SIGNER.public_spki, 9)
    made = draft(pkcs10(OTHER))
    assert ca.ask(made.signed_by_certificate(SIGNER, foreign)).failures == (FailInfo.BAD_IDENTITY,)
    own = ca.give(SIGNER, "a.example.test")
    ca.store.revoked[next(iter(ca.store.certificates))] = 1
    assert ca.ask(made.signed_by_certificate(SIGNER, own)).failures == (FailInfo.BAD_IDENTITY,)
    ca.store.revoked.clear()
    ca.clock = NOW + timedelta(days=400)
    assert ca.ask(made.signed_by_certificate(SIGNER, own)).failures == (FailInfo.BAD_IDENTITY,)


def test_a_signature_by_another_key(ca: SmallCa) -> None:
    own = ca.give(SIGNER, "a.example.test")
    assert ca.ask(draft(pkcs10(OTHER)).signed_by_certificate(OTHER, own)).failures == (FailInfo.BAD_MESSAGE_CHECK,)
    name = proofs.key_identifier(SIGNER.public_spki)
    forged = enrolment(pkcs10()).signed_by_key(OTHER, identifier=name)
    assert ca.ask(forged).failures == (FailInfo.BAD_MESSAGE_CHECK,)


def test_changed_content(ca: SmallCa) -> None:
    encoded = good()
    assert ca.ask(encoded.replace(b"a.example.test", b"b.example.test")).failures == (FailInfo.BAD_MESSAGE_CHECK,)
    unsigned = enrolment(pkcs10()).unsigned()
    assert ca.ask(unsigned.replace(b"a.example.test", b"b.example.test")).failures == (FailInfo.BAD_MESSAGE_CHECK,)


def test_clocks(ca: SmallCa) -> None:
    for minutes, fine in ((4, True), (-4, True), (6, False), (-6, False)):
        encoded = enrolment(pkcs10()).signed_by_key(SIGNER, at=NOW + timedelta(minutes=minutes))
        assert bool(ca.ask(encoded).failures) is not fine
    made = draft(pkcs10())
    made.add(controls.IDENTIFICATION, USER)
    assert ca.ask(made.authenticated(SECRET, at=NOW - timedelta(hours=1))).failures == (FailInfo.BAD_TIME,)


# -- any octets --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_damage_is_answered(data: st.DataObject) -> None:
    ca = SmallCa()
    encoded = bytearray(_GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(encoded) - 1))
        encoded[at] = data.draw(st.integers(0, 255))
    reply = ca.ask(bytes(encoded))
    if bytes(encoded) != _GOOD:
        # what still succeeds is what was asked for: an unsigned attribute or a version number was all that changed
        assert reply.failures or reply.certificate_for(SIGNER.public_spki)


_GOOD = good()


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_noise_is_answered(octets: bytes) -> None:
    assert SmallCa().ask(octets).failures == (FailInfo.BAD_REQUEST,)
