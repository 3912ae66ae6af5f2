"""EST bodies: base64 in, base64 out (RFC 7030 section 4, RFC 8951 section 3)."""

from __future__ import annotations

from collections.abc import Sequence

from pycryptoutil_protocols import cms, csr, pem
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import CERTS_ONLY, CSRATTRS, PKCS10, Payload

_BASE64 = (("content-transfer-encoding", "base64"),)
_CSR_TYPES = (PKCS10, "application/x-pkcs10")
_CSR_LABELS = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")


def check_content_type(content_type: str, accepted: Sequence[str]) -> None:
    """Fault(UNSUPPORTED_MEDIA_TYPE) unless the media type, parameters apart, is one of those."""
    if content_type.split(";", 1)[0].strip().lower() not in accepted:
        raise Fault(
            FaultKind.UNSUPPORTED_MEDIA_TYPE, f"content type {content_type[:80]!r}", f"{accepted[0]} is expected"
        )


def decode_csr(body: bytes, content_type: str) -> CertificationRequest:
    """Decode the body of an enrolment: base64 in any wrapping whatever Content-Transfer-Encoding says, PEM, or DER."""
    check_content_type(content_type, _CSR_TYPES)
    return csr.decode_csr(pem.decode_body(body, csr.MAX_CSR, _CSR_LABELS))


def encode_csr(encoded: bytes) -> bytes:
    """Return the body of an enrolment, as a client sends it."""
    return pem.encode_base64(encoded)


def encode_certificates(certificates: Sequence[bytes], *, in_order: bool = True) -> Payload:
    """Certs-only CMS of these certificates, in this order or sorted as strict DER has it."""
    encoded = cms.encode_certs_only(certificates, in_order=in_order)
    return Payload(CERTS_ONLY, pem.encode_base64(encoded), _BASE64)


def encode_cacerts(chain: Sequence[bytes]) -> Payload:
    """Answer to cacerts: every CA certificate (RFC 7030 section 4.1.3), in no order that would mean anything."""
    return encode_certificates(chain, in_order=False)


def encode_enrolled(certificate: bytes) -> Payload:
    """Answer to an enrolment: the issued certificate alone (RFC 7030 section 4.2.3)."""
    return encode_certificates((certificate,))


def decode_certificates(body: bytes) -> tuple[bytes, ...]:
    """Return the certificates of a certs-only body."""
    return cms.decode_certs_only(pem.decode_body(body, _MAX_RESPONSE, ("PKCS7", "CMS")))


_MAX_RESPONSE = 1 << 20


def encode_csrattrs(encoded: bytes) -> Payload:
    """Answer to csrattrs from the DER of CsrAttrs."""
    return Payload(CSRATTRS, pem.encode_base64(encoded), _BASE64)
