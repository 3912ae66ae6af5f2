"""What a SCEP server refuses, and by which failInfo (RFC 8894 section 3.2.1.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from pycryptoutil_protocols import cms, der, oids
from pycryptoutil_protocols.algorithms import algorithm_identifier
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.scep import codec, exchange, failures, messages
from pycryptoutil_protocols.scep.codec import Header
from pycryptoutil_protocols.scep.messages import FailInfo, MessageType

from tests.protocols import material, scep_material
from tests.protocols.scep_material import NOW, Device, open_request

DEVICE = Device()
SERVER = scep_material.server()


def recipient(number: int = 7) -> cms.KeyTransport:
    return cms.KeyTransport(
        material.spki(material.private_key("RSA-2048", number)),
        exchange.load_certificate(scep_material.ra_certificate(number)).issuer_and_serial,
        pkcs1=True,
    )


def message(
    kind: MessageType = MessageType.PKCS_REQ,
    content: bytes | None = None,
    *,
    envelope: bytes | None = None,
    attributes: tuple[Attribute, ...] = (),
    without: str = "",
    device: Device = DEVICE,
    certificates: tuple[bytes, ...] | None = None,
    count: int = 1,
) -> bytes:
    """A request that is right but for what is said."""
    inner = DEVICE.csr if content is None else content
    body = cms.encrypt(oids.DATA, inner, (recipient(),)) if envelope is None else envelope
    header = codec.encode_attributes(Header(kind, "the-transaction", bytes(16)))
    signed = tuple(one for one in header if one.oid != without) + attributes
    certificate = device.certificate
    signature = cms.Signature(device.signer, certificate, signed)
    kept = (certificate,) if certificates is None else certificates
    return cms.sign(oids.DATA, body, (signature,) * count, certificates=kept, detached=not body)


def attribute(oid: str, value: bytes) -> Attribute:
    return Attribute(oid, (value,))


def signing_time(moment: float) -> Attribute:
    return attribute(oids.SIGNING_TIME, der.x509_time(int(NOW.timestamp() + moment)))


def tampered() -> bytes:
    """The content changed after it was signed."""
    encoded = message()
    content = cms.decode_signed_data(encoded).content
    assert content is not None
    at = encoded.index(content)
    return encoded[: at + 60] + bytes((encoded[at + 60] ^ 1,)) + encoded[at + 61 :]


def resigned(digest_oid: str, signature_oid: str) -> bytes:
    """A request whose signature names other algorithms."""
    encoded = message()
    signed = cms.decode_signed_data(encoded)
    (info,) = signed.signers
    sha256 = algorithm_identifier(oids.SHA256)
    other = algorithm_identifier(digest_oid, der.null())
    structure = der.read(encoded).children()[1].inner().children()
    (old,) = structure[-1].children()
    parts = [one.encoded for one in old.children()]
    assert parts[2] == sha256
    parts[2], parts[4] = other, algorithm_identifier(signature_oid, der.null())
    changed = [one.encoded for one in structure[:-1]] + [der.set_of((der.sequence(*parts),))]
    assert info.signature
    return cms.content_info(oids.SIGNED_DATA, der.sequence(*changed))


_BARE = der.read(cms.encrypt(oids.DATA, b"x", (recipient(),), bare=True)).children()
WRONG_VERSION = der.sequence(der.integer(9), *(one.encoded for one in _BARE[1:]))


def by_password(iterations: int) -> bytes:
    """EnvelopedData to a password alone (RFC 8894 section 3.2.2), derived with so many iterations."""
    derivation = cms.pbkdf2_identifier(bytes(16), iterations, 32)
    info = der.explicit(
        3, der.integer(0), der.retag(der.context(0), derivation), algorithm_identifier(oids.AES_256_WRAP),
        der.octet_string(bytes(40)),
    )  # fmt: skip
    content = der.sequence(
        der.oid(oids.DATA),
        algorithm_identifier(oids.AES_256_CBC, der.octet_string(bytes(16))),
        der.implicit(0, bytes(32)),
    )
    return cms.content_info(oids.ENVELOPED_DATA, der.sequence(der.integer(3), der.set_of((info,)), content))


REFUSED: list[tuple[str, Callable[[], bytes], FailInfo]] = [
    ("signature with MD5", lambda: resigned(oids.MD5, oids.RSA_ENCRYPTION), FailInfo.BAD_ALG),
    ("signature with SHA-1", lambda: resigned(oids.SHA1, "1.2.840.113549.1.1.5"), FailInfo.BAD_ALG),
    ("an unknown digest", lambda: resigned("1.2.3", oids.RSA_ENCRYPTION), FailInfo.BAD_ALG),
    ("an unknown signature", lambda: resigned(oids.SHA256, "1.2.3"), FailInfo.BAD_ALG),
    (
        "Triple DES",
        lambda: message(envelope=cms.encrypt(oids.DATA, DEVICE.csr, (recipient(),), cipher="des-ede3-cbc")),
        FailInfo.BAD_ALG,
    ),
    ("a changed content", tampered, FailInfo.BAD_MESSAGE_CHECK),
    ("no certificate of the signer", lambda: message(certificates=()), FailInfo.BAD_MESSAGE_CHECK),
    (
        "another's certificate of the same name",
        lambda: message(certificates=(Device(number=1).certificate,)),
        FailInfo.BAD_MESSAGE_CHECK,
    ),
    (
        "encrypted to somebody else",
        lambda: message(envelope=cms.encrypt(oids.DATA, DEVICE.csr, (recipient(6),))),
        FailInfo.BAD_MESSAGE_CHECK,
    ),
    ("a password and 2^62 iterations", lambda: message(envelope=by_password(1 << 62)), FailInfo.BAD_MESSAGE_CHECK),
    ("an envelope that is none", lambda: message(envelope=b"\x30\x03\x02\x01\x01"), FailInfo.BAD_MESSAGE_CHECK),
    ("no envelope", lambda: message(envelope=b""), FailInfo.BAD_MESSAGE_CHECK),
    ("garbage as CSR", lambda: message(content=b"garbage"), FailInfo.BAD_MESSAGE_CHECK),
    ("octets after the CSR", lambda: message(content=DEVICE.csr + b"\x00"), FailInfo.BAD_MESSAGE_CHECK),
    ("garbage polled for", lambda: message(MessageType.CERT_POLL, b"\x30\x00"), FailInfo.BAD_MESSAGE_CHECK),
    (
        "an envelope nested 10 000 deep",
        lambda: message(envelope=b"\x30\x80" * 10_000 + b"\x00\x00" * 10_000),
        FailInfo.BAD_MESSAGE_CHECK,
    ),
    ("CertRep as a request", lambda: message(MessageType.CERT_REP), FailInfo.BAD_REQUEST),
    ("UpdateReq", lambda: message(MessageType.UPDATE_REQ), FailInfo.BAD_REQUEST),
    (
        "messageType 99",
        lambda: message(
            without=messages.MESSAGE_TYPE,
            attributes=(attribute(messages.MESSAGE_TYPE, der.tlv(der.PRINTABLE_STRING, b"99")),),
        ),
        FailInfo.BAD_REQUEST,
    ),
    ("no messageType", lambda: message(without=messages.MESSAGE_TYPE), FailInfo.BAD_REQUEST),
    ("no senderNonce", lambda: message(without=messages.SENDER_NONCE), FailInfo.BAD_REQUEST),
    (
        "EnvelopedData of version 9",
        lambda: message(envelope=cms.content_info(oids.ENVELOPED_DATA, WRONG_VERSION)),
        FailInfo.BAD_REQUEST,
    ),
    ("signed too long ago", lambda: message(attributes=(signing_time(-7200),)), FailInfo.BAD_TIME),
    ("signed in the future", lambda: message(attributes=(signing_time(7200),)), FailInfo.BAD_TIME),
]


@pytest.mark.parametrize(("make", "info"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_with_this_fail_info(make: Callable[[], bytes], info: FailInfo) -> None:
    decoded = codec.decode_message(make())
    assert decoded.transaction_id == "the-transaction"  # so that who asked can be answered
    with pytest.raises(Fault) as caught:
        open_request(make())
    assert failures.fail_info(caught.value.kind) is info
    assert failures.fail_text(caught.value)


def twice() -> bytes:
    return message(count=2)


def other_content_type() -> bytes:
    signature = cms.Signature(
        DEVICE.signer, DEVICE.certificate, codec.encode_attributes(Header(MessageType.PKCS_REQ, "t", bytes(16)))
    )
    return cms.sign(oids.SIGNED_DATA, b"", (signature,), certificates=(DEVICE.certificate,))


NO_MESSAGE: list[tuple[str, Callable[[], bytes], FaultKind]] = [
    ("nothing", lambda: b"", FaultKind.MALFORMED),
    ("text", lambda: b"GET / HTTP/1.1", FaultKind.MALFORMED),
    ("octets after it", lambda: message() + b"\x00", FaultKind.MALFORMED),
    ("cut off", lambda: message()[:-1], FaultKind.MALFORMED),
    ("nested 10 000 deep", lambda: b"\x30\x80" * 10_000 + b"\x00\x00" * 10_000, FaultKind.TOO_LARGE),
    ("too large", lambda: bytes(messages.MAX_MESSAGE + 1), FaultKind.TOO_LARGE),
    ("two signers", twice, FaultKind.INVALID),
    ("no signer", lambda: cms.encode_certs_only((DEVICE.certificate,)), FaultKind.INVALID),
    ("another content type", other_content_type, FaultKind.INVALID),
    ("no transactionID", lambda: message(without=messages.TRANSACTION_ID), FaultKind.MALFORMED),
    (
        "a transactionID of 129 characters",
        lambda: message(
            without=messages.TRANSACTION_ID,
            attributes=(attribute(messages.TRANSACTION_ID, der.tlv(der.PRINTABLE_STRING, b"x" * 129)),),
        ),
        FaultKind.MALFORMED,
    ),
    (
        "a transactionID with a line feed",
        lambda: message(
            without=messages.TRANSACTION_ID,
            attributes=(attribute(messages.TRANSACTION_ID, der.tlv(der.PRINTABLE_STRING, b"a\nb")),),
        ),
        FaultKind.MALFORMED,
    ),
    (
        "a nonce of 65 octets",
        lambda: message(
            without=messages.SENDER_NONCE,
            attributes=(attribute(messages.SENDER_NONCE, der.octet_string(bytes(65))),),
        ),
        FaultKind.MALFORMED,
    ),
    (
        "two transactionIDs",
        lambda: message(
            without=messages.TRANSACTION_ID,
            attributes=(Attribute(messages.TRANSACTION_ID, (der.utf8_string("a"), der.utf8_string("b"))),),
        ),
        FaultKind.INVALID,
    ),
]


@pytest.mark.parametrize(("make", "kind"), [row[1:] for row in NO_MESSAGE], ids=[row[0] for row in NO_MESSAGE])
def test_what_is_no_message_at_all(make: Callable[[], bytes], kind: FaultKind) -> None:
    with pytest.raises(Fault) as caught:
        codec.decode_message(make())
    assert caught.value.kind is kind
    assert 400 <= failures.http_status(kind) < 500


def test_signing_time_within_the_window_or_not_looked_at() -> None:
    open_request(message(attributes=(signing_time(-1800),)))
    open_request(message(attributes=(signing_time(3600),)))
    old = codec.decode_message(message(attributes=(signing_time(-(10**8)),)))
    exchange.open_request(old, scep_material.readers(), exchange.Rules(), NOW)
    with pytest.raises(Fault):
        exchange.open_request(old, scep_material.readers(), exchange.Rules(timedelta(days=1)), NOW)


def test_wrong_padding_and_wrong_content_read_the_same() -> None:
    """Bleichenbacher: whether the padding was right must not be seen from the answer."""
    good = cms.decode_enveloped(cms.encrypt(oids.DATA, DEVICE.csr, (recipient(),)))
    (info,) = good.recipients
    told = set()
    public = material.private_key("RSA-2048", 7).public_key()
    for wrong in (
        bytes(256),
        b"\x01" * 256,
        public.encrypt(bytes(32), padding.PKCS1v15()),
        public.encrypt(bytes(16), padding.PKCS1v15()),
    ):
        encoded = cms.encrypt(oids.DATA, DEVICE.csr, (recipient(),))
        old = cms.decode_enveloped(encoded).recipients[0].encrypted_key
        with pytest.raises(Fault) as caught:
            open_request(message(envelope=encoded.replace(old, wrong)))
        told.add((failures.fail_info(caught.value.kind), failures.fail_text(caught.value)))
    with pytest.raises(Fault) as caught:
        open_request(message(content=b"\x30\x10garbage"))
    told.add((failures.fail_info(caught.value.kind), failures.fail_text(caught.value)))
    assert told == {(FailInfo.BAD_MESSAGE_CHECK, "the message cannot be decrypted")}
    assert info.content_key_length == 32


def test_a_key_of_its_own_may_sign() -> None:
    """As Apple's clients do it: the answer is for who signed."""
    other = Device(number=1)
    request = open_request(message(device=other))
    assert request.requester.certificate.spki == material.spki(other.key)


def test_legacy_is_read_on_request_and_said() -> None:
    old = message(envelope=cms.encrypt(oids.DATA, DEVICE.csr, (recipient(),), cipher="des-ede3-cbc"))
    request = open_request(old, legacy=True)
    assert request.requester.legacy
    assert not open_request(message(), legacy=True).requester.legacy
    answer = exchange.success(
        request, scep_material.responder(), scep_material.ra_certificate(), certificates=(DEVICE.certificate,)
    )
    content = cms.decode_signed_data(answer).content
    assert content is not None
    assert cms.decode_enveloped(content, legacy=True).cipher == "des-ede3-cbc"


def test_a_predecessor_s_key_still_opens_messages() -> None:
    envelope = cms.encrypt(oids.DATA, DEVICE.csr, (recipient(6),))
    open_request(message(envelope=envelope), numbers=(7, 6))


def test_every_fault_has_an_answer() -> None:
    server_s_own = {
        FaultKind.RATE_LIMITED, FaultKind.BUSY, FaultKind.SEALED, FaultKind.UNAVAILABLE, FaultKind.STORAGE_FULL,
        FaultKind.INTERNAL,
    }  # fmt: skip
    for kind in FaultKind:
        assert (failures.fail_info(kind) is None) == (kind in server_s_own)
        assert failures.http_status(kind) != 500
        assert 400 <= failures.http_status(kind) < 600
    assert {failures.fail_info(kind) for kind in FaultKind} - {None} == set(FailInfo)
    assert failures.fail_text(Fault(FaultKind.INTERNAL, "secret detail", "")) == ""


def test_messages_hide_their_secrets() -> None:
    request = open_request(message())
    shown = repr(request) + repr(request.body)
    assert "secret" not in shown
    assert dataclasses.is_dataclass(request)
