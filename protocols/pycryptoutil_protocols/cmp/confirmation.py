"""The hash by which certConf names a certificate (RFC 9810 section 5.3.18, RFC 9481 section 2)."""

from __future__ import annotations

import hmac

from pycryptoutil_protocols import algorithms, der, x509
from pycryptoutil_protocols.faults import Fault

from .failures import CmpFault
from .messages import PVNO_3, CertStatus, PKIFailureInfo, PKIStatusInfo

_FALLBACK = "sha512"


def implied_hash(certificate: bytes) -> str:
    """Return the hash that goes with the certificate's signature; empty where none does, so that certConf names it.

    RSA and ECDSA have one in their name, and Ed25519 has SHA-512 (RFC 9481 section 2). Ed448's is no hash with a fixed
    output, and ML-DSA has none.
    """
    name = algorithms.decode_signature(x509.decode_certificate(certificate).signature_algorithm).name
    return "" if name == "ed448" or name.startswith("ml-dsa-") else algorithms.signature_hash(name)


def status(certificate: bytes, request_id: int, rejection: PKIStatusInfo | None = None) -> tuple[CertStatus, bool]:
    """Return the CertStatus of a certificate, and whether it needs CMP version 3."""
    implied = implied_hash(certificate)
    name = implied or _FALLBACK
    digest = algorithms.digest(name, certificate)
    named = b"" if implied else algorithms.hash_identifier(name)
    return CertStatus(digest, request_id, rejection, named), not implied


def check(found: CertStatus, certificate: bytes, pvno: int) -> None:
    """Check that a CertStatus is of this certificate; CmpFault(BAD_CERT_ID, BAD_REQUEST), Fault(BAD_ALGORITHM)."""
    if found.hash_algorithm and pvno != PVNO_3:
        raise CmpFault(PKIFailureInfo.BAD_REQUEST, "hashAlg without pvno 3", "hashAlg belongs to CMP version 3")
    name = _named(found.hash_algorithm) if found.hash_algorithm else implied_hash(certificate) or _FALLBACK
    if not hmac.compare_digest(algorithms.digest(name, certificate), found.cert_hash):
        text = "certHash is not the hash of the certificate"
        raise CmpFault(PKIFailureInfo.BAD_CERT_ID, text, text)


def _named(identifier: bytes) -> str:
    try:
        name = algorithms.decode_hash(der.read(identifier))
    except Fault as fault:
        raise CmpFault(PKIFailureInfo.BAD_ALG, fault.detail, "the hash is not supported") from None
    if name == "sha1":
        raise CmpFault(PKIFailureInfo.BAD_ALG, "SHA-1", "SHA-1 is not accepted")
    return name
