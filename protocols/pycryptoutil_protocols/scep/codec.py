"""PKIMessages to and from octets (RFC 8894 sections 3.1 and 3.2). What comes may be BER; what goes is DER."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pycryptoutil_protocols import cms, der, oids
from pycryptoutil_protocols.attributes import Attribute, single_value
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import decode_name
from pycryptoutil_protocols.ports import Signer

from . import messages
from .messages import FailInfo, IssuerAndSerial, IssuerAndSubject, MessageType, PkiMessage, PkiStatus

_Number = TypeVar("_Number", bound=enum.IntEnum)


@dataclass(frozen=True, slots=True)
class Header:
    """The attributes of a message to be sent; empty and None ones are left out."""

    message_type: MessageType
    transaction_id: str
    sender_nonce: bytes
    recipient_nonce: bytes = b""
    status: PkiStatus | None = None
    fail_info: FailInfo | None = None
    fail_text: str = ""


# -- reading -----------------------------------------------------------------------------------------------------------


def decode_message(encoded: bytes) -> PkiMessage:
    """Decode a PKIMessage; Fault(MALFORMED, INVALID, UNSUPPORTED, TOO_LARGE). Nothing is verified yet."""
    if len(encoded) > messages.MAX_MESSAGE:
        raise Fault(FaultKind.TOO_LARGE, f"message of {len(encoded)} octets", "the message is too large")
    signed = cms.decode_signed_data(cms.from_ber(encoded))
    if len(signed.signers) != 1:
        raise Fault(FaultKind.INVALID, f"{len(signed.signers)} signers", "a SCEP message has one signer")
    if signed.content_type != oids.DATA:
        raise Fault(FaultKind.INVALID, f"content type {signed.content_type}", "a SCEP message carries id-data")
    (signer,) = signed.signers
    attributes = signer.signed_attributes
    text = single_value(attributes, messages.FAIL_INFO_TEXT)
    return PkiMessage(
        message_type=_number(attributes, messages.MESSAGE_TYPE, MessageType),
        transaction_id=_transaction_id(attributes),
        sender_nonce=_nonce(attributes, messages.SENDER_NONCE),
        recipient_nonce=_nonce(attributes, messages.RECIPIENT_NONCE),
        signed=signed,
        signer=signer,
        envelope=signed.content or None,  # some send an empty one where there should be none
        status=_number(attributes, messages.PKI_STATUS, PkiStatus),
        fail_info=_number(attributes, messages.FAIL_INFO, FailInfo),
        fail_text=der.read(text).text() if text is not None else "",
    )


def _printable(attributes: Sequence[Attribute], oid: str) -> str:
    """PrintableString says the RFC; a few clients write another kind of character string."""
    value = single_value(attributes, oid)
    return der.read(value).text() if value is not None else ""


def _transaction_id(attributes: Sequence[Attribute]) -> str:
    found = _printable(attributes, messages.TRANSACTION_ID)
    if not found or len(found) > messages.MAX_TRANSACTION_ID or not (found.isascii() and found.isprintable()):
        raise Fault(FaultKind.MALFORMED, "transactionID is missing, too long or not printable", "no transactionID")
    return found


def _number(attributes: Sequence[Attribute], oid: str, kind: type[_Number]) -> _Number | None:
    text = _printable(attributes, oid)
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        return None
    try:
        return kind(int(text))
    except ValueError:
        return None


def _nonce(attributes: Sequence[Attribute], oid: str) -> bytes:
    value = single_value(attributes, oid)
    if value is None:
        return b""
    nonce = der.read(value).octets()
    if len(nonce) > messages.MAX_NONCE:
        raise der.malformed(f"nonce of {len(nonce)} octets")
    return nonce


def decode_issuer_and_subject(encoded: bytes) -> IssuerAndSubject:
    """Decode the content of CertPoll; Fault(MALFORMED)."""
    reader = der.read_sequence(encoded)
    issuer, subject = reader.take(der.SEQUENCE, "issuer").encoded, reader.take(der.SEQUENCE, "subject").encoded
    reader.end("IssuerAndSubject")
    for name in (issuer, subject):
        decode_name(name)
    return IssuerAndSubject(issuer, subject)


def decode_issuer_and_serial(encoded: bytes) -> IssuerAndSerial:
    """Decode the content of GetCert and GetCRL; Fault(MALFORMED)."""
    issuer, serial = cms.split_issuer_and_serial(encoded)
    decode_name(issuer)
    return IssuerAndSerial(issuer, serial)


# -- writing -----------------------------------------------------------------------------------------------------------


def _text(oid: str, value: str) -> Attribute:
    return Attribute(oid, (der.tlv(der.PRINTABLE_STRING, value.encode("ascii")),))


def encode_attributes(header: Header) -> tuple[Attribute, ...]:
    """Return the signed attributes of a message, beside contentType and messageDigest."""
    found = [
        _text(messages.TRANSACTION_ID, header.transaction_id),
        _text(messages.MESSAGE_TYPE, str(int(header.message_type))),
        Attribute(messages.SENDER_NONCE, (der.octet_string(header.sender_nonce),)),
    ]
    if header.recipient_nonce:
        found.append(Attribute(messages.RECIPIENT_NONCE, (der.octet_string(header.recipient_nonce),)))
    if header.status is not None:
        found.append(_text(messages.PKI_STATUS, str(int(header.status))))
    if header.fail_info is not None:
        found.append(_text(messages.FAIL_INFO, str(int(header.fail_info))))
    if header.fail_text:
        found.append(Attribute(messages.FAIL_INFO_TEXT, (der.utf8_string(header.fail_text),)))
    return tuple(found)


def encode_message(header: Header, envelope: bytes, signer: Signer, certificate: bytes) -> bytes:
    """DER PKIMessage.

    Without an ``envelope`` the content is an empty string, and not left out: clients that verify by OpenSSL's
    PKCS7_verify, such as certmonger, take a message without content for a detached signature and refuse it.
    """
    signature = cms.Signature(signer, certificate, encode_attributes(header))
    return cms.sign(oids.DATA, envelope, (signature,), certificates=(certificate,))


def encode_issuer_and_subject(issuer: bytes, subject: bytes) -> bytes:
    """DER IssuerAndSubject of two DER Names."""
    return der.sequence(issuer, subject)


def encode_ca_certificates(certificates: Sequence[bytes]) -> bytes:
    """DER certificates-only CMS of GetCACert where there is an RA: in the order given, the RA's first."""
    return cms.encode_certs_only(certificates)


def encode_next_ca(certificates: Sequence[bytes], signer: Signer, certificate: bytes) -> bytes:
    """DER answer to GetNextCACert (section 4.7.1): the next CA's certificates, signed by the present CA."""
    degenerate = cms.encode_certs_only(certificates)
    return cms.sign(oids.DATA, degenerate, (cms.Signature(signer, certificate),), certificates=(certificate,))
