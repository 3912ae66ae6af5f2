"""SCEP messages there and back, read by others, and answered in every way."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import core as asn1
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import ber, cms, der, oids, x509
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.scep import client, codec, exchange, messages, transport
from pycryptoutil_protocols.scep.codec import Header
from pycryptoutil_protocols.scep.messages import (
    EnrolRequest,
    FailInfo,
    IssuerAndSerial,
    IssuerAndSubject,
    MessageType,
    PkiStatus,
)
from pycryptoutil_protocols.scep.transport import Operation

from tests.protocols import material, scep_material
from tests.protocols.scep_material import Device, open_request, ra_certificate, read, responder

LEAF = material.cert_der(material.certificate(material.private_key("EC-P256"), "leaf"))

DEVICES = [
    Device(),
    Device(cipher="aes-128-cbc", signature="rsa-sha512"),
    Device(cipher="aes-192-cbc", oaep=True, signature="rsa-pss-sha256"),
    Device(cipher="aes-256-gcm"),
    Device(algorithm="EC-P256", signature="ecdsa-sha256"),
    Device(algorithm="EC-P384", signature="ecdsa-sha384", cipher="aes-128-cbc"),
    Device(algorithm="Ed25519", signature="ed25519"),
    Device(algorithm="ML-DSA-44", signature="ml-dsa-44"),
]


@pytest.mark.parametrize("device", DEVICES, ids=lambda one: f"{one.algorithm}-{one.signature}-{one.cipher}")
def test_every_kind_of_key_enrols(device: Device) -> None:
    sent = device.enrol()
    request = open_request(sent.encoded)
    assert request.message.message_type is MessageType.PKCS_REQ
    assert request.message.transaction_id == sent.transaction_id
    assert isinstance(request.body, EnrolRequest)
    assert request.body.csr.der == device.csr or request.body.csr.spki == material.spki(device.key)
    assert request.body.csr.challenge_password == "secret"
    assert (request.requester.cipher, request.requester.oaep) == (device.cipher, device.oaep)
    answer = exchange.success(request, responder(), ra_certificate(), certificates=(LEAF,), password=device.challenge)
    if device.algorithm in ("Ed25519", "ML-DSA-44", "EC-P256", "EC-P384"):  # RFC 8894 section 3.2.2
        read_by_password = client.read_answer(answer, sent, (ra_certificate(),), password="secret")
        assert read_by_password.certificates == (LEAF,)
    else:
        assert read(answer, sent, device).certificates == (LEAF,)


def test_an_ec_key_without_a_challenge_is_answered_by_key_agreement() -> None:
    device = Device(algorithm="EC-P256", signature="ecdsa-sha256")
    sent = device.client.get_crl(5)
    request = open_request(sent.encoded)
    answer = exchange.success(request, responder(), ra_certificate(), certificates=(LEAF,))
    assert read(answer, sent, device).certificates == (LEAF,)
    signing_only = Device(algorithm="Ed25519", signature="ed25519")
    request = open_request(signing_only.client.get_crl(5).encoded)
    with pytest.raises(Fault) as caught:
        exchange.success(request, responder(), ra_certificate(), certificates=(LEAF,))
    assert caught.value.kind is FaultKind.BAD_ALGORITHM


def test_other_requests() -> None:
    device = Device()
    issuer = scep_material.server().issuer.subject
    poll = open_request(device.client.poll(device.subject, "the-id").encoded)
    assert poll.body == IssuerAndSubject(issuer, device.subject)
    assert poll.message.transaction_id == "the-id"
    for sent, kind in (
        (device.client.get_certificate(77), MessageType.GET_CERT),
        (device.client.get_crl(77), MessageType.GET_CRL),
    ):
        request = open_request(sent.encoded)
        assert request.message.message_type is kind
        assert request.body == IssuerAndSerial(issuer, 77)
    renewal = open_request(device.enrol(renewal=True).encoded)
    assert isinstance(renewal.body, EnrolRequest)
    assert renewal.body.renewal


def test_pending_and_failure() -> None:
    device = Device()
    sent = device.enrol()
    request = open_request(sent.encoded)
    pending = exchange.pending(request.message, responder(), ra_certificate())
    assert read(pending, sent, device) == client.Answer(PkiStatus.PENDING)
    for info in FailInfo:
        failed = exchange.failure(request.message, info, "a ‘reason’", responder(), ra_certificate())
        assert read(failed, sent, device) == client.Answer(PkiStatus.FAILURE, info, "a ‘reason’")
        assert cms.decode_signed_data(failed).content == b""  # no content, and yet no detached signature


def test_client_refuses_answers_that_are_not_to_it() -> None:
    device = Device()
    sent, another = device.enrol(), device.enrol()
    request = open_request(sent.encoded)
    answer = exchange.pending(request.message, responder(), ra_certificate())
    with pytest.raises(Fault) as caught:
        read(answer, another, device)
    assert caught.value.kind is FaultKind.REPLAYED
    foreign = exchange.pending(request.message, device.signer, device.certificate)
    with pytest.raises(Fault) as caught:
        read(foreign, sent, device)
    assert caught.value.kind is FaultKind.BAD_SIGNATURE
    with pytest.raises(Fault):
        read(sent.encoded, sent, device)


def test_asn1crypto_and_openssl_read_what_is_written(tmp_path: Path) -> None:
    device = Device()
    sent = device.enrol()
    request = open_request(sent.encoded)
    answer = exchange.success(request, responder(), ra_certificate(), certificates=(LEAF,))
    for encoded, kind in ((sent.encoded, "19"), (answer, "3")):
        parsed = asn1_cms.ContentInfo.load(encoded, strict=True)
        assert parsed["content_type"].native == "signed_data"
        (info,) = parsed["content"]["signer_infos"]
        attributes = {one["type"].dotted: one["values"] for one in info["signed_attrs"]}
        assert {oids.CONTENT_TYPE, oids.MESSAGE_DIGEST} <= set(attributes)
        for oid in (messages.MESSAGE_TYPE, messages.TRANSACTION_ID):
            assert isinstance(attributes[oid][0].parse(), asn1.PrintableString)
        assert attributes[messages.MESSAGE_TYPE][0].parse().native == kind
        assert len(attributes[messages.SENDER_NONCE][0].parse().native) == 16
        inner = asn1_cms.ContentInfo.load(parsed["content"]["encap_content_info"]["content"].native, strict=True)
        assert inner["content_type"].native == "enveloped_data"
        (recipient,) = inner["content"]["recipient_infos"]
        assert recipient.chosen["key_encryption_algorithm"]["algorithm"].native == "rsaes_pkcs1v15"
        material.openssl("asn1parse", "-inform", "DER", stdin=encoded)
        material.openssl("cms", "-cmsout", "-noout", "-inform", "DER", stdin=encoded)
    (tmp_path / "key.pem").write_bytes(material.key_pem(device.key))
    content = cms.decode_signed_data(answer).content
    degenerate = material.openssl(
        "cms",
        "-decrypt",
        "-inform",
        "DER",
        "-binary",
        "-inkey",
        tmp_path / "key.pem",
        stdin=content,
    )
    assert b"CN" in material.openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=degenerate)
    printed = material.openssl("cms", "-verify", "-noverify", "-inform", "DER", "-binary", stdin=answer)
    assert printed == content


def test_ber_everywhere_is_read() -> None:
    """Outside, in the envelope and in the request: what Apple's clients send."""
    device = Device()
    content = indefinite(device.csr)
    made = scep_material.server().responder
    recipient = cms.KeyTransport(made.spki, made.issuer_and_serial, b"", pkcs1=True)
    envelope = indefinite(cms.encrypt(oids.DATA, content, (recipient,)), pieces=True)
    header = Header(MessageType.PKCS_REQ, "apple", bytes(16))
    encoded = indefinite(codec.encode_message(header, envelope, device.signer, device.certificate))
    assert encoded[:2] == b"\x30\x80"
    request = open_request(encoded)
    assert isinstance(request.body, EnrolRequest)
    assert request.body.csr.der == device.csr


def indefinite(encoded: bytes, *, pieces: bool = False) -> bytes:
    """Rewrite DER with indefinite lengths; what is signed or hashed by itself is left as it is."""

    def rewrite(element: der.Element, depth: int) -> bytes:
        if pieces and element.tag == 0x80 and len(element.content) > 100:
            half = len(element.content) // 2
            parts = der.octet_string(element.content[:half]) + der.octet_string(element.content[half:])
            return b"\xa0\x80" + parts + b"\x00\x00"
        if not element.tag & 0x20 or depth > 4:
            return element.encoded
        return bytes((element.tag, 0x80)) + b"".join(rewrite(one, depth + 1) for one in element.children()) + b"\0\0"

    return rewrite(der.read(encoded), 0) if pieces else rewrite_top(encoded)


def rewrite_top(encoded: bytes) -> bytes:
    """Only the outermost levels: attributes and certificates stay as they were signed."""
    element = der.read(encoded)
    body = b"".join(
        b"\xa0\x80" + one.content + b"\x00\x00" if one.tag == 0xA0 and len(element.children()) == 2 else one.encoded
        for one in element.children()
    )
    return b"\x30\x80" + body + b"\x00\x00"


# -- what GetCACert and its kin say


def test_ca_certificates() -> None:
    server = scep_material.server()
    assert server.responder.der == ra_certificate()
    assert server.issuer.der == scep_material.ca_certificate()
    with pytest.raises(Fault) as caught:  # an EC CA alone cannot be encrypted to
        client.decode_ca_certificates(scep_material.ca_certificate(), messages.CA_CERTIFICATE)
    assert caught.value.kind is FaultKind.NOT_FOUND


def test_next_ca_is_signed_by_the_present_one() -> None:
    ca = scep_material.ca_certificate()
    signer = material.signer(number=9)
    body = codec.encode_next_ca((ra_certificate(8), LEAF), signer, ca)
    assert client.decode_next_ca(body, ca) == (ra_certificate(8), LEAF)
    forged = codec.encode_next_ca((LEAF,), Device().signer, Device().certificate)
    for wrong in (forged, body[:-1] + bytes((body[-1] ^ 1,))):
        with pytest.raises(Fault) as caught:
            client.decode_next_ca(wrong, ca)
        assert caught.value.kind is FaultKind.BAD_SIGNATURE


def test_capabilities() -> None:
    found = transport.decode_capabilities(transport.encode_capabilities(has_next=False))
    assert found == {"aes", "postpkioperation", "renewal", "sha-256", "sha-512", "scepstandard"}
    assert "getnextcacert" in transport.decode_capabilities(transport.encode_capabilities(has_next=True))
    assert transport.decode_capabilities(b"AES\r\nfuture thing\r\n\r\n") == {"aes", "future thing"}


@given(st.binary(max_size=2000))
def test_a_message_in_a_query(message: bytes) -> None:
    text = transport.encode_get(message)
    variants = {text, text.rstrip("="), text.replace("+", " "), text[:40] + "\r\n" + text[40:] + "\n"}
    assert {transport.decode_get(one) for one in variants} == {message}


@pytest.mark.parametrize("text", ["*", "ab%2Bcd", "a", "AAAA====AAAA", "é"])
def test_queries_that_are_no_message(text: str) -> None:
    with pytest.raises(Fault) as caught:
        transport.decode_get(text)
    assert caught.value.kind is FaultKind.MALFORMED


def test_a_query_too_large() -> None:
    with pytest.raises(Fault) as caught:
        transport.decode_get("A" * 400_000)
    assert caught.value.kind is FaultKind.TOO_LARGE


def test_operations_in_any_case() -> None:
    assert transport.decode_operation("getcacert") is Operation.GET_CA_CERT
    assert transport.decode_operation("PKIOperation") is Operation.PKI_OPERATION
    with pytest.raises(Fault) as caught:
        transport.decode_operation("GetEverything")
    assert caught.value.kind is FaultKind.UNSUPPORTED


# -- properties

TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128)


@given(
    TEXTS,
    st.sampled_from(MessageType),
    st.binary(min_size=1, max_size=64),
    st.binary(max_size=64),
    st.none() | st.sampled_from(PkiStatus),
    st.none() | st.sampled_from(FailInfo),
    st.text(max_size=50),
    st.binary(max_size=50),
)
def test_headers_there_and_back(
    transaction: str, kind: MessageType, sender: bytes, recipient: bytes, status: PkiStatus | None,
    info: FailInfo | None, text: str, envelope: bytes,
) -> None:  # fmt: skip
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        return
    header = Header(kind, transaction, sender, recipient, status, info, text)
    signer = material.signer()
    encoded = codec.encode_message(header, envelope, signer, LEAF)
    found = codec.decode_message(encoded)
    assert (found.message_type, found.transaction_id, found.sender_nonce) == (kind, transaction, sender)
    assert (found.recipient_nonce, found.status, found.fail_info, found.fail_text) == (recipient, status, info, text)
    assert found.envelope == (envelope or None)
    assert ber.to_der(encoded) == encoded
    cms.verify_signed_data(found.signed, content=envelope)


@pytest.fixture(scope="module")
def golden() -> bytes:
    return Device().enrol().encoded


@given(st.data())
def test_damage_raises_nothing_but_fault(golden: bytes, data: st.DataObject) -> None:
    encoded = bytearray(golden)
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Fault):
        open_request(bytes(encoded))


def test_names_of_certificates_are_bound_to_the_key(golden: bytes) -> None:
    facts = x509.decode_certificate(Device().certificate)
    assert facts.issuer == facts.subject
    assert open_request(golden).requester.certificate.spki == facts.spki
