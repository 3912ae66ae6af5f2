"""X.509 helpers over ``cryptography``: names, extensions, PEM, key identifiers. Paths: :mod:`.chain`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from pycryptoutil_protocols import algorithms
from pycryptoutil_protocols import x509 as decoded
from pycryptoutil_protocols.csr import CertificationRequest, decode_csr
from pycryptoutil_protocols.csr import verify_csr as verify_decoded
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import policy
from pycryptoutil.crypto.chain import verify_chain, verify_client_chain

__all__ = [
    "certificates_of",
    "check_issued_by",
    "extensions_der",
    "facts",
    "fingerprint",
    "key_bits",
    "name_der",
    "name_text",
    "parse_certificate",
    "pem",
    "ski",
    "verify_chain",
    "verify_client_chain",
    "verify_csr",
]

_PEM_WIDTH: Final = 64


def parse_certificate(der: bytes) -> x509.Certificate:
    """Parse DER; Fault(MALFORMED)."""
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Fault(
            FaultKind.MALFORMED, f"certificate: {type(error).__name__}", "the certificate is malformed"
        ) from None


def facts(der: bytes) -> decoded.Certificate:
    """Return what a certificate says, as plain data; Fault(MALFORMED, INVALID, TOO_LARGE)."""
    return decoded.decode_certificate(der)


def name_der(name: str | x509.Name | Sequence[tuple[str, str]]) -> bytes:
    """Encode a Name from RFC 4514 text, (dotted OID, value) pairs in DER order, or cryptography's object."""
    if isinstance(name, x509.Name):
        return name.public_bytes()
    try:
        if isinstance(name, str):
            return x509.Name.from_rfc4514_string(name).public_bytes()
        attributes = [x509.NameAttribute(x509.ObjectIdentifier(oid), value) for oid, value in name]
        return x509.Name(attributes).public_bytes()
    except (ValueError, TypeError) as error:
        raise Fault(FaultKind.INVALID, f"name: {type(error).__name__}", "the distinguished name is not valid") from None


def name_text(der: bytes) -> str:
    """Return a DER Name as RFC 4514 text."""
    from pycryptoutil_protocols import names

    parsed = names.decode_name(der)
    return ",".join(
        "+".join(f"{_SHORT.get(part.oid, part.oid)}={_escape(part.text)}" for part in rdn)
        for rdn in reversed(parsed.rdns)
    )


_SHORT: Final = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}


def _escape(value: str) -> str:
    escaped = "".join(f"\\{c}" if c in '",+;<>\\' else "\\00" if c == "\0" else c for c in value)
    if escaped.startswith((" ", "#")):
        escaped = f"\\{escaped}"
    return f"{escaped[:-1]}\\ " if escaped.endswith(" ") and not escaped.endswith("\\ ") else escaped


def extensions_der(extensions: Iterable[x509.Extension[x509.ExtensionType]]) -> bytes:
    """Encode SEQUENCE OF Extension, in order."""
    return decoded.encode_extensions(
        [decoded.Extension(ext.oid.dotted_string, ext.critical, ext.value.public_bytes()) for ext in extensions]
    )


def key_bits(spki: bytes) -> bytes:
    """Return the content of subjectPublicKey: what key identifiers hash (RFC 5280 section 4.2.1.2)."""
    return algorithms.key_info(spki).key


def ski(spki: bytes) -> bytes:
    """Return the key identifier: SHA-1 of the key bits (RFC 5280 section 4.2.1.2 method 1), an identifier only."""
    return hashlib.sha1(key_bits(spki), usedforsecurity=False).digest()


def fingerprint(der: bytes) -> str:
    """Return the hex SHA-256 of a DER object."""
    return hashlib.sha256(der).hexdigest()


def pem(der: bytes, label: str = "CERTIFICATE") -> str:
    """Armour DER (RFC 7468)."""
    from base64 import b64encode

    text = b64encode(der).decode()
    rows = (text[at : at + _PEM_WIDTH] for at in range(0, len(text), _PEM_WIDTH))
    return "\n".join((f"-----BEGIN {label}-----", *rows, f"-----END {label}-----", ""))


def certificates_of(data: bytes) -> tuple[bytes, ...]:
    """Return the DER certificates of PEM text (several) or DER (one); Fault(MALFORMED)."""
    try:
        if b"-----BEGIN" in data:
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
    except ValueError:
        raise Fault(FaultKind.MALFORMED, "certificates: not PEM or DER", "the certificates are malformed") from None
    return tuple(one.public_bytes(serialization.Encoding.DER) for one in found)


def verify_csr(der: bytes) -> CertificationRequest:
    """Decode a PKCS#10 request and prove possession of its key.

    Fault(MALFORMED, INVALID, TOO_LARGE), Fault(BAD_ALGORITHM, WEAK_KEY) by the policy, Fault(BAD_POP).
    """
    request = decode_csr(der)
    policy.check_public_key(request.spki)
    policy.check_request_signature(request.signature_algorithm, request.spki)
    verify_decoded(request)
    return request


def check_issued_by(certificate: bytes, issuer: bytes) -> None:
    """Check name and signature; Fault(BAD_SIGNATURE)."""
    child, parent = parse_certificate(certificate), parse_certificate(issuer)
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise Fault(
            FaultKind.BAD_SIGNATURE, f"issuer: {type(error).__name__}", "the certificate has another issuer"
        ) from None
