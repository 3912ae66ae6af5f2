"""What all of CMS shares: ContentInfo and limits (RFC 5652 section 3)."""

from __future__ import annotations

from pycryptoutil_protocols import der
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

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
