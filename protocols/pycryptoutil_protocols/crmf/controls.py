"""Registration controls ⇄ DER (RFC 4211 section 6)."""

from __future__ import annotations

from pycryptoutil_protocols import algorithms, der
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import ArchiveOptions, AttributeTypeAndValue, Controls
from .values import (
    as_tag,
    decode_attributes,
    decode_cert_id,
    decode_encrypted_key,
    decode_publication,
    encode_attributes,
    encode_cert_id,
    encode_encrypted_key,
    encode_publication,
)

_CONTROL = "1.3.6.1.5.5.7.5.1"
REGISTRATION_TOKEN, AUTHENTICATOR, PUBLICATION_INFO, ARCHIVE_OPTIONS, OLD_CERT_ID, PROTOCOL_ENCRYPTION_KEY = (
    f"{_CONTROL}.{number}" for number in range(1, 7)
)
ALT_CERT_TEMPLATE, ALGORITHM_ID, RSA_KEY_LENGTH = (f"{_CONTROL}.{number}" for number in (7, 11, 12))  # RFC 9810
UTF8_PAIRS, CERT_REQ_INFO = (f"1.3.6.1.5.5.7.5.2.{number}" for number in (1, 2))
_KNOWN = (
    REGISTRATION_TOKEN,
    AUTHENTICATOR,
    PUBLICATION_INFO,
    ARCHIVE_OPTIONS,
    OLD_CERT_ID,
    PROTOCOL_ENCRYPTION_KEY,
)
_MAX_TEXT = 1024


def decode_controls(element: Element) -> Controls:
    """Decode Controls; a repeated control is Fault(INVALID)."""
    found = decode_attributes(element, "controls")
    by_type = {one.oid: der.read(one.value) for one in found}
    if len(by_type) != len(found):
        raise Fault(FaultKind.INVALID, "a control is repeated", "a control is repeated")
    token, authenticator = by_type.get(REGISTRATION_TOKEN), by_type.get(AUTHENTICATOR)
    publication, archive = by_type.get(PUBLICATION_INFO), by_type.get(ARCHIVE_OPTIONS)
    old, key = by_type.get(OLD_CERT_ID), by_type.get(PROTOCOL_ENCRYPTION_KEY)
    return Controls(
        registration_token=_text(token) if token else None,
        authenticator=_text(authenticator) if authenticator else None,
        publication=decode_publication(publication) if publication else None,
        archive=_decode_archive(archive) if archive else None,
        old_certificate=decode_cert_id(old) if old else None,
        protocol_encryption_key=_key(key) if key else None,
        other=tuple(one for one in found if one.oid not in _KNOWN),
    )


def _text(element: Element) -> str:
    text = element.expect(der.UTF8_STRING, "control").text()
    if not text or len(text) > _MAX_TEXT:
        raise Fault(FaultKind.INVALID, "length of a control's text", "a control's text is empty or too long")
    return text


def _key(element: Element) -> bytes:
    reader = element.expect(der.SEQUENCE, "protocolEncrKey").reader()
    algorithms.split_algorithm(reader.any("algorithm"))
    reader.take(der.BIT_STRING, "subjectPublicKey").bits()
    reader.end("protocolEncrKey")
    return element.encoded


def _decode_archive(element: Element) -> ArchiveOptions:
    if element.tag == der.context(0):
        return ArchiveOptions(encrypted_key=decode_encrypted_key(element.inner()))
    if element.tag == der.context(1, constructed=False):
        return ArchiveOptions(key_gen_parameters=element.content)
    if element.tag == der.context(2, constructed=False):
        return ArchiveOptions(archive_generated=as_tag(element, der.BOOLEAN).boolean())
    raise der.malformed(f"PKIArchiveOptions with tag {element.tag:#04x}")


def encode_controls(controls: Controls) -> bytes:
    """DER Controls."""
    found: list[AttributeTypeAndValue] = []
    if controls.registration_token is not None:
        found.append(AttributeTypeAndValue(REGISTRATION_TOKEN, der.utf8_string(controls.registration_token)))
    if controls.authenticator is not None:
        found.append(AttributeTypeAndValue(AUTHENTICATOR, der.utf8_string(controls.authenticator)))
    if controls.publication is not None:
        found.append(AttributeTypeAndValue(PUBLICATION_INFO, encode_publication(controls.publication)))
    if controls.archive is not None:
        found.append(AttributeTypeAndValue(ARCHIVE_OPTIONS, _encode_archive(controls.archive)))
    if controls.old_certificate is not None:
        found.append(AttributeTypeAndValue(OLD_CERT_ID, encode_cert_id(controls.old_certificate)))
    if controls.protocol_encryption_key is not None:
        found.append(AttributeTypeAndValue(PROTOCOL_ENCRYPTION_KEY, controls.protocol_encryption_key))
    return encode_attributes((*found, *controls.other))


def _encode_archive(archive: ArchiveOptions) -> bytes:
    if archive.encrypted_key is not None:
        return der.explicit(0, encode_encrypted_key(archive.encrypted_key))
    if archive.key_gen_parameters is not None:
        return der.implicit(1, archive.key_gen_parameters)
    if archive.archive_generated is None:
        raise Fault(FaultKind.INVALID, "empty PKIArchiveOptions", "the archive options are empty")
    return der.retag(der.context(2, constructed=False), der.boolean(archive.archive_generated))
