"""The small values that CRMF and CMP share: attributes, certificate ids, encrypted keys, publication information."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pycryptoutil_protocols import algorithms, der, names
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import (
    AttributeTypeAndValue,
    CertId,
    EncryptedKey,
    EncryptedValue,
    PublicationAction,
    PublicationInfo,
    SinglePubInfo,
)

_MAX_ATTRIBUTES = 64
_MAX_INFOS = 16
_MAX_SERIAL = 1 << 8 * 64


def as_tag(element: Element, tag: int) -> Element:
    """Return the element under another tag: IMPLICIT tagging undone."""
    return Element(tag, element.content, der.retag(tag, element.encoded))


def bounded_integer(element: Element, least: int, most: int, what: str) -> int:
    """Return an INTEGER that must lie in a range."""
    if len(element.content) > 65:
        raise Fault(FaultKind.TOO_LARGE, f"{what} has {len(element.content)} octets", f"{what} is out of range")
    value = element.integer()
    if not least <= value <= most:
        raise Fault(FaultKind.INVALID, f"{what} out of range", f"{what} is out of range")
    return value


def time_of(moment: datetime) -> bytes:
    """DER Time of RFC 5280."""
    return der.x509_time(int(moment.timestamp()))


def decode_attributes(element: Element, what: str) -> tuple[AttributeTypeAndValue, ...]:
    """Decode a SEQUENCE OF AttributeTypeAndValue."""
    children = element.expect(der.SEQUENCE, what).children()
    if not children:
        raise Fault(FaultKind.INVALID, f"empty {what}", f"{what} is empty")
    if len(children) > _MAX_ATTRIBUTES:
        raise Fault(FaultKind.TOO_LARGE, f"too many {what}", f"there are too many {what}")
    return tuple(decode_attribute(child) for child in children)


def decode_attribute(element: Element) -> AttributeTypeAndValue:
    """Decode one AttributeTypeAndValue."""
    reader = element.expect(der.SEQUENCE, "AttributeTypeAndValue").reader()
    oid = reader.take(der.OID, "type").oid()
    value = reader.any("value").encoded
    reader.end("AttributeTypeAndValue")
    return AttributeTypeAndValue(oid, value)


def encode_attribute(one: AttributeTypeAndValue) -> bytes:
    """DER AttributeTypeAndValue."""
    return der.sequence(der.oid(one.oid), one.value)


def encode_attributes(found: Sequence[AttributeTypeAndValue]) -> bytes:
    """DER SEQUENCE OF AttributeTypeAndValue."""
    return der.sequence(*(encode_attribute(one) for one in found))


def decode_cert_id(element: Element) -> CertId:
    """Decode a CertId."""
    reader = element.expect(der.SEQUENCE, "CertId").reader()
    issuer = names.decode_general_name(reader.any("issuer"))
    serial = bounded_integer(reader.take(der.INTEGER, "serialNumber"), -_MAX_SERIAL, _MAX_SERIAL, "serialNumber")
    reader.end("CertId")
    return CertId(issuer, serial)


def encode_cert_id(value: CertId) -> bytes:
    """DER CertId."""
    return der.sequence(value.issuer.der, der.integer(value.serial))


def decode_publication(element: Element) -> PublicationInfo:
    """Decode a PKIPublicationInfo."""
    reader = element.expect(der.SEQUENCE, "PKIPublicationInfo").reader()
    action = PublicationAction(bounded_integer(reader.take(der.INTEGER, "action"), 0, 1, "action"))
    infos = reader.optional(der.SEQUENCE)
    reader.end("PKIPublicationInfo")
    children = infos.children() if infos else ()
    if len(children) > _MAX_INFOS or (infos is not None and not children):
        raise Fault(FaultKind.INVALID, "number of pubInfos", "publication information is empty or too long")
    if action is PublicationAction.DONT_PUBLISH and children:
        raise Fault(FaultKind.INVALID, "dontPublish with pubInfos", "publication information contradicts itself")
    return PublicationInfo(action, tuple(_decode_single(child) for child in children))


def _decode_single(element: Element) -> SinglePubInfo:
    reader = element.expect(der.SEQUENCE, "SinglePubInfo").reader()
    method = bounded_integer(reader.take(der.INTEGER, "pubMethod"), 0, 3, "pubMethod")
    location = names.decode_general_name(reader.any()) if reader.peek() else None
    reader.end("SinglePubInfo")
    return SinglePubInfo(method, location)


def encode_publication(value: PublicationInfo) -> bytes:
    """DER PKIPublicationInfo."""
    single = [der.sequence(der.integer(one.method), one.location.der if one.location else b"") for one in value.infos]
    return der.sequence(der.integer(value.action), der.sequence(*single) if single else b"")


def decode_encrypted_key(element: Element) -> EncryptedKey:
    """Decode an EncryptedKey; the EnvelopedData in it is left for :mod:`pycryptoutil_protocols.cms`."""
    if element.tag == der.context(0):
        return EncryptedKey(enveloped=der.retag(der.SEQUENCE, element.encoded))
    return EncryptedKey(value=decode_encrypted_value(element))


def decode_encrypted_value(element: Element) -> EncryptedValue:
    """Decode an EncryptedValue."""
    reader = element.expect(der.SEQUENCE, "EncryptedValue").reader()
    intended, symmetric = reader.optional(der.context(0)), reader.optional(der.context(1))
    wrapped = reader.optional(der.context(2, constructed=False))
    key_algorithm, hint = reader.optional(der.context(3)), reader.optional(der.context(4, constructed=False))
    encrypted = reader.take(der.BIT_STRING, "encValue").bits()
    reader.end("EncryptedValue")
    return EncryptedValue(
        intended_algorithm=_algorithm(intended),
        symmetric_algorithm=_algorithm(symmetric),
        encrypted_symmetric_key=as_tag(wrapped, der.BIT_STRING).bits() if wrapped else None,
        key_algorithm=_algorithm(key_algorithm),
        value_hint=hint.content if hint else None,
        encrypted=encrypted,
    )


def _algorithm(element: Element | None) -> bytes | None:
    if element is None:
        return None
    found = as_tag(element, der.SEQUENCE)
    algorithms.split_algorithm(found)
    return found.encoded


def encode_encrypted_key(key: EncryptedKey) -> bytes:
    """DER EncryptedKey."""
    if key.enveloped:
        return der.retag(der.context(0), key.enveloped)
    if key.value is None:
        raise Fault(FaultKind.INVALID, "empty EncryptedKey", "there is no encrypted key")
    return encode_encrypted_value(key.value)


def encode_encrypted_value(value: EncryptedValue) -> bytes:
    """DER EncryptedValue."""
    parts: list[bytes] = []
    if value.intended_algorithm is not None:
        parts.append(der.retag(der.context(0), value.intended_algorithm))
    if value.symmetric_algorithm is not None:
        parts.append(der.retag(der.context(1), value.symmetric_algorithm))
    if value.encrypted_symmetric_key is not None:
        parts.append(der.implicit(2, b"\x00" + value.encrypted_symmetric_key))
    if value.key_algorithm is not None:
        parts.append(der.retag(der.context(3), value.key_algorithm))
    if value.value_hint is not None:
        parts.append(der.implicit(4, value.value_hint))
    return der.sequence(*parts, der.bit_string(value.encrypted))
