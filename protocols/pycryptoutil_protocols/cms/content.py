"""What all of CMS shares: ContentInfo and limits (RFC 5652 section 3)."""

from __future__ import annotations

from pycryptoutil_protocols import ber, der, names
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Certificate

MAX_CMS = 4 << 20
MAX_DEPTH = 40


def content_info(content_type: str, content: bytes) -> bytes:
    """DER ContentInfo around the DER of a content."""
    return der.sequence(der.oid(content_type), der.explicit(0, content))


def split_content_info(encoded: bytes, expected: str = "") -> tuple[str, Element]:
    """Return a ContentInfo's type and content; Fault(UNSUPPORTED) when it is not the expected type."""
    reader = der.read_sequence(encoded, MAX_CMS, MAX_DEPTH)
    kind = reader.take(der.OID, "contentType").oid()
    wrapper = reader.take(der.context(0), "content")
    reader.end("ContentInfo")
    if expected and kind != expected:
        raise Fault(FaultKind.UNSUPPORTED, f"CMS content type {kind}", "another CMS content type is expected")
    return kind, wrapper.inner()


def from_ber(encoded: bytes) -> bytes:
    """Return a CMS value as DER, for protocols whose clients send BER; Fault(MALFORMED, TOO_LARGE)."""
    return ber.to_der(encoded, MAX_CMS, MAX_DEPTH)


def split_issuer_and_serial(encoded: bytes) -> tuple[bytes, int]:
    """Return (DER Name, serial number) of an IssuerAndSerialNumber (RFC 5652 section 10.2.4)."""
    reader = der.read_sequence(encoded)
    issuer, serial = reader.take(der.SEQUENCE, "issuer").encoded, reader.take(der.INTEGER, "serialNumber").integer()
    reader.end("IssuerAndSerialNumber")
    return issuer, serial


def names_certificate(issuer_and_serial: bytes, certificate: Certificate) -> bool:
    """Whether an IssuerAndSerialNumber is this certificate's, also when its name has other string types."""
    if issuer_and_serial == certificate.issuer_and_serial:
        return True
    issuer, serial = split_issuer_and_serial(issuer_and_serial)
    return serial == certificate.serial and names.same_name(issuer, certificate.issuer)
