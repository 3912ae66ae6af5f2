"""The small values of CMP ⇄ DER: status, free text, certificates, key pairs, general information (EXPLICIT tags)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from pycryptoutil_protocols import der
from pycryptoutil_protocols.crmf.values import (
    bounded_integer,
    decode_encrypted_key,
    decode_publication,
    encode_encrypted_key,
    encode_publication,
)
from pycryptoutil_protocols.der import Element, Reader
from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import (
    CertifiedKeyPair,
    FreeText,
    InfoTypeAndValue,
    PKIFailureInfo,
    PKIStatus,
    PKIStatusInfo,
)

MAX_LIST = 64  # certificates, infos, statuses … in one place
_MAX_TEXTS = 16
_MAX_TEXT = 8192
MAX_ID = 2**63 - 1
_FRACTION = re.compile(rb"([0-9]{14})\.[0-9]*[1-9]Z")


def children_of(element: Element, what: str, *, empty: bool = False) -> tuple[Element, ...]:
    """Return the elements of a SEQUENCE OF, of which there must be some but not too many."""
    children = element.expect(der.SEQUENCE, what).children()
    if not children and not empty:
        raise Fault(FaultKind.INVALID, f"empty {what}", f"{what} is empty")
    if len(children) > MAX_LIST:
        raise Fault(FaultKind.TOO_LARGE, f"{len(children)} of {what}", f"too many of {what}")
    return children


def decode_free_text(element: Element) -> FreeText:
    """Decode a PKIFreeText."""
    children = element.expect(der.SEQUENCE, "PKIFreeText").children()
    if not children or len(children) > _MAX_TEXTS or len(element.content) > _MAX_TEXT:
        raise Fault(FaultKind.INVALID, "PKIFreeText", "free text is empty or too long")
    return tuple(child.expect(der.UTF8_STRING, "PKIFreeText").text() for child in children)


def encode_free_text(texts: FreeText) -> bytes:
    """DER PKIFreeText; empty for none."""
    return der.sequence(*(der.utf8_string(text) for text in texts)) if texts else b""


def decode_failures(element: Element) -> frozenset[PKIFailureInfo]:
    """Decode a PKIFailureInfo; bits that have no name here are left out."""
    body = element.expect(der.BIT_STRING, "failInfo").content
    if not body or body[0] > 7 or len(body) > 17 or (len(body) == 1 and body[0]):
        raise der.malformed("failInfo")
    if body[0] and body[-1] & ((1 << body[0]) - 1):
        raise der.malformed("failInfo with unused bits set")
    bits = (number for number in range(8 * (len(body) - 1)) if body[1 + number // 8] & 0x80 >> number % 8)
    return frozenset(PKIFailureInfo(number) for number in bits if number <= max(PKIFailureInfo))


def encode_failures(failures: frozenset[PKIFailureInfo]) -> bytes:
    """DER PKIFailureInfo without trailing zero bits (X.690 section 11.2.2); empty for none."""
    if not failures:
        return b""
    last = max(failures)
    octets = bytearray(last // 8 + 1)
    for number in failures:
        octets[number // 8] |= 0x80 >> number % 8
    return der.tlv(der.BIT_STRING, bytes((7 - last % 8,)), bytes(octets))


def decode_status(element: Element) -> PKIStatusInfo:
    """Decode a PKIStatusInfo."""
    reader = element.expect(der.SEQUENCE, "PKIStatusInfo").reader()
    status = decode_status_value(reader.take(der.INTEGER, "status"))
    text, failures = reader.optional(der.SEQUENCE), reader.optional(der.BIT_STRING)
    reader.end("PKIStatusInfo")
    return PKIStatusInfo(
        status,
        decode_free_text(text) if text else (),
        decode_failures(failures) if failures else frozenset(),
    )


def decode_status_value(element: Element) -> PKIStatus:
    """Decode a PKIStatus."""
    return PKIStatus(bounded_integer(element, min(PKIStatus), max(PKIStatus), "status"))


def encode_status(info: PKIStatusInfo) -> bytes:
    """DER PKIStatusInfo."""
    return der.sequence(der.integer(info.status), encode_free_text(info.text), encode_failures(info.failures))


def generalized_time(element: Element) -> datetime:
    """Decode a GeneralizedTime, whose fraction of a second (X.690 section 11.7) is dropped."""
    found = _FRACTION.fullmatch(element.expect(der.GENERALIZED_TIME, "time").content)
    if found is None:
        return element.time()
    return Element(der.GENERALIZED_TIME, found.group(1) + b"Z", b"").time()


def encode_time(moment: datetime) -> bytes:
    """DER GeneralizedTime in seconds."""
    return der.generalized_time(int(moment.astimezone(UTC).timestamp()))


def request_id(reader: Reader) -> int:
    """Take a certReqId; -1 stands for a p10cr or a whole response (RFC 9483 section 4.4)."""
    return bounded_integer(reader.take(der.INTEGER, "certReqId"), -1, MAX_ID, "certReqId")


def decode_certificate(element: Element) -> bytes:
    """Return the bytes of a CMPCertificate, of which only the X.509 choice exists."""
    return element.expect(der.SEQUENCE, "certificate").encoded


def decode_certificates(element: Element, what: str) -> tuple[bytes, ...]:
    """Return the bytes of a SEQUENCE OF CMPCertificate."""
    return tuple(decode_certificate(child) for child in children_of(element, what))


def decode_info(element: Element) -> InfoTypeAndValue:
    """Decode an InfoTypeAndValue."""
    reader = element.expect(der.SEQUENCE, "InfoTypeAndValue").reader()
    oid = reader.take(der.OID, "infoType").oid()
    value = reader.any().encoded if reader.peek() else b""
    reader.end("InfoTypeAndValue")
    return InfoTypeAndValue(oid, value)


def encode_info(info: InfoTypeAndValue) -> bytes:
    """DER InfoTypeAndValue."""
    return der.sequence(der.oid(info.oid), info.value)


def decode_infos(element: Element, what: str, *, empty: bool = False) -> tuple[InfoTypeAndValue, ...]:
    """Decode a SEQUENCE OF InfoTypeAndValue."""
    return tuple(decode_info(child) for child in children_of(element, what, empty=empty))


def encode_infos(infos: Sequence[InfoTypeAndValue]) -> bytes:
    """DER SEQUENCE OF InfoTypeAndValue."""
    return der.sequence(*(encode_info(info) for info in infos))


def decode_key_pair(element: Element) -> CertifiedKeyPair:
    """Decode a CertifiedKeyPair."""
    reader = element.expect(der.SEQUENCE, "CertifiedKeyPair").reader()
    choice = reader.any("certOrEncCert")
    key, publication = reader.optional(der.context(0)), reader.optional(der.context(1))
    reader.end("CertifiedKeyPair")
    if choice.tag not in (der.context(0), der.context(1)):
        raise der.malformed("certOrEncCert")
    plain = choice.tag == der.context(0)
    return CertifiedKeyPair(
        certificate=decode_certificate(choice.inner()) if plain else b"",
        encrypted_certificate=None if plain else decode_encrypted_key(choice.inner()),
        private_key=decode_encrypted_key(key.inner()) if key else None,
        publication=decode_publication(publication.inner()) if publication else None,
    )


def encode_key_pair(pair: CertifiedKeyPair) -> bytes:
    """DER CertifiedKeyPair."""
    if pair.certificate:
        choice = der.explicit(0, pair.certificate)
    elif pair.encrypted_certificate is not None:
        choice = der.explicit(1, encode_encrypted_key(pair.encrypted_certificate))
    else:
        raise Fault(FaultKind.INVALID, "CertifiedKeyPair without certificate", "there is no certificate")
    return der.sequence(
        choice,
        der.explicit(0, encode_encrypted_key(pair.private_key)) if pair.private_key else b"",
        der.explicit(1, encode_publication(pair.publication)) if pair.publication else b"",
    )
