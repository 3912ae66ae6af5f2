"""A server's side of one exchange: open a request, hold it to the RFC, and make the answer. Time is a parameter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pycryptoutil_protocols import cms, der, oids, x509
from pycryptoutil_protocols.algorithms import key_info, split_algorithm
from pycryptoutil_protocols.attributes import single_value
from pycryptoutil_protocols.csr import decode_csr
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Signer
from pycryptoutil_protocols.x509 import Certificate

from . import codec, messages
from .codec import Header
from .messages import (
    Body,
    EnrolRequest,
    FailInfo,
    MessageType,
    PkiMessage,
    PkiStatus,
    Request,
    Requester,
)

_LEGACY_DIGESTS = frozenset({"md5", "sha1"})
_ANSWER_DIGESTS = frozenset({"sha256", "sha384", "sha512"})


@dataclass(frozen=True, slots=True)
class Reader:
    """One key that requests may be encrypted to: its certificate, and how to unwrap with it."""

    certificate: Certificate
    unwrap: cms.Unwrap = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a server holds requests to. ``clock_skew`` is for signingTime, None: not looked at."""

    clock_skew: timedelta | None = None
    legacy: bool = False  # whether Triple DES, SHA-1 and MD5 are read; who may use them is decided later


def open_request(message: PkiMessage, readers: Sequence[Reader], rules: Rules, now: datetime) -> Request:
    """Verify and decrypt a request; Fault for each way in which it fails (see ``failures.fail_info``).

    The key of a self-signed certificate need not be the one to be certified, as section 2.3 has it: Apple's clients
    sign with a key of its own. Possession is proved by the CSR, and who asks by the challenge in it.
    """
    kind = _known_type(message)
    if len(message.sender_nonce) < messages.NONCE_LENGTH // 2:
        raise Fault(FaultKind.INVALID, "senderNonce is missing or short", "the senderNonce is missing")
    certificate = _signer_certificate(message, legacy=rules.legacy)
    _check_time(message, rules, now)
    envelope = _envelope(message, legacy=rules.legacy)
    content = _decrypt(envelope, readers)
    body = _body(kind, content)
    old = envelope.cipher in cms.LEGACY_CIPHERS or message.signer.digest_algorithm in _LEGACY_DIGESTS
    requester = Requester(
        certificate=certificate,
        cipher=envelope.cipher,
        oaep=any(_is_oaep(one) for one in envelope.recipients),
        digest=message.signer.digest_algorithm,
        legacy=old,
    )
    return Request(message, requester, body)


def _known_type(message: PkiMessage) -> MessageType:
    kind = message.message_type
    if kind is None or kind is MessageType.CERT_REP:
        raise Fault(FaultKind.UNSUPPORTED, f"messageType {kind}", "this messageType is not a request")
    if kind is MessageType.UPDATE_REQ:  # RFC 8894 has RenewalReq for it
        raise Fault(FaultKind.UNSUPPORTED, "messageType 18", "UpdateReq is not supported, RenewalReq is")
    return kind


def _signer_certificate(message: PkiMessage, *, legacy: bool) -> Certificate:
    """Verify the signature; whoever made it sent his certificate along (section 3.1)."""
    try:
        (found,) = cms.verify_signed_data(message.signed, content=message.signed.content or b"", legacy=legacy)
    except Fault as fault:
        if fault.kind is FaultKind.NOT_FOUND:
            public = "the signer's certificate is not in the message"
            raise Fault(FaultKind.BAD_SIGNATURE, fault.detail, public) from None
        raise
    return found


def _check_time(message: PkiMessage, rules: Rules, now: datetime) -> None:
    value = single_value(message.signer.signed_attributes, oids.SIGNING_TIME)
    if value is None or rules.clock_skew is None:
        return
    if abs(der.read(value).time() - now) > rules.clock_skew:
        raise Fault(FaultKind.STALE, "signingTime is too far from now", "the signingTime is too far from our time")


def _envelope(message: PkiMessage, *, legacy: bool) -> cms.Enveloped:
    if message.envelope is None:
        raise Fault(FaultKind.MALFORMED, "no pkcsPKIEnvelope", "the message has no content")
    return cms.decode_enveloped(cms.from_ber(message.envelope), legacy=legacy)


def _decrypt(envelope: cms.Enveloped, readers: Sequence[Reader]) -> bytes:
    for reader in readers:
        try:
            recipient = cms.recipient_of(envelope, reader.certificate)
        except Fault:
            continue
        return cms.decrypt(envelope, recipient, reader.unwrap)
    raise _unreadable("no recipient is ours")


def _unreadable(detail: str) -> Fault:
    return Fault(FaultKind.MALFORMED, detail, "the message cannot be decrypted")


def _body(kind: MessageType, content: bytes) -> Body:
    """Decode what was encrypted. A wrong key gives garbage, and that must not be told from a wrong padding."""
    try:
        match kind:
            case MessageType.PKCS_REQ | MessageType.RENEWAL_REQ:
                return EnrolRequest(decode_csr(cms.from_ber(content)), kind is MessageType.RENEWAL_REQ)
            case MessageType.CERT_POLL:
                return codec.decode_issuer_and_subject(cms.from_ber(content))
            case _:
                return codec.decode_issuer_and_serial(cms.from_ber(content))
    except Fault as fault:
        if fault.kind in (FaultKind.MALFORMED, FaultKind.TOO_LARGE):
            raise _unreadable(f"content: {fault.detail}") from None
        raise


def _is_oaep(recipient: cms.RecipientInfo) -> bool:
    return split_algorithm(der.read(recipient.algorithm))[0] == oids.RSAES_OAEP


# -- answers -----------------------------------------------------------------------------------------------------------


def answer_digest(requester: Requester | None) -> str:
    """Return the hash that an answer is signed with: the client's own where it is a good one."""
    return requester.digest if requester is not None and requester.digest in _ANSWER_DIGESTS else "sha256"


def success(
    request: Request,
    signer: Signer,
    certificate: bytes,
    *,
    certificates: Sequence[bytes] = (),
    crls: Sequence[bytes] = (),
    password: str = "",
) -> bytes:
    """DER CertRep with what was asked for, encrypted to who asked.

    Of certificates usually the leaf alone: Apple's clients do not find it among others. ``password`` is the challenge,
    which a key that cannot decrypt is answered with (section 3.2.2).
    """
    recipient = _recipient(request.requester, password)
    degenerate = cms.encode_certs_only(certificates, crls)
    envelope = cms.encrypt(oids.DATA, degenerate, (recipient,), cipher=request.requester.cipher)
    header = _header(request.message, PkiStatus.SUCCESS)
    return codec.encode_message(header, envelope, signer, certificate)


def _recipient(requester: Requester, password: str) -> cms.Recipient:
    certificate = requester.certificate
    family = key_info(certificate.spki).family
    if family in ("EdDSA", "ML-DSA") or (family == "EC" and password):
        if not password:
            public = "the key cannot decrypt, and there is no challenge password to encrypt with"
            raise Fault(FaultKind.BAD_ALGORITHM, f"answer to a key of {family}", public)
        return cms.Password(password.encode(), pwri_kek=True)
    return cms.recipient_for_key(
        certificate.spki, issuer_and_serial=certificate.issuer_and_serial, pkcs1=not requester.oaep
    )


def pending(message: PkiMessage, signer: Signer, certificate: bytes) -> bytes:
    """DER CertRep that asks to poll."""
    return codec.encode_message(_header(message, PkiStatus.PENDING), b"", signer, certificate)


def failure(message: PkiMessage, info: FailInfo, text: str, signer: Signer, certificate: bytes) -> bytes:
    """DER CertRep that says why not."""
    header = _header(message, PkiStatus.FAILURE, info, text)
    return codec.encode_message(header, b"", signer, certificate)


def _header(message: PkiMessage, status: PkiStatus, info: FailInfo | None = None, text: str = "") -> Header:
    return Header(
        message_type=MessageType.CERT_REP,
        transaction_id=message.transaction_id,
        sender_nonce=os.urandom(messages.NONCE_LENGTH),
        recipient_nonce=message.sender_nonce,
        status=status,
        fail_info=info,
        fail_text=text,
    )


def load_certificate(encoded: bytes) -> Certificate:
    """Return a certificate of ours decoded: the form in which a Reader wants it."""
    return x509.own_certificate(encoded)
