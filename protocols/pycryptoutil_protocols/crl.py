"""The slow twin of the core's CRL builder (RFC 5280 section 5.1), which a differential test holds it against."""

from __future__ import annotations

from collections.abc import Iterable

from . import algorithms, der, oids
from .ports import Signer
from .x509 import Extension

CrlEntry = tuple[bytes, int, int, int]  # serial magnitude, revoked_at Unix, reason or -1, invalidity date Unix or 0


def build_crl(
    signer: Signer, issuer: bytes, this_update: int, next_update: int, extensions: bytes, entries: Iterable[CrlEntry]
) -> bytes:
    """DER CertificateList v2; ``issuer`` is a DER Name, ``extensions`` DER SEQUENCE OF Extension."""
    tbs = build_tbs(signer.signature_algorithm, issuer, this_update, next_update, extensions, entries)
    return der.sequence(
        tbs, algorithms.signature_identifier(signer.signature_algorithm), der.bit_string(signer.sign(tbs))
    )


def build_tbs(
    signature_algorithm: str,
    issuer: bytes,
    this_update: int,
    next_update: int,
    extensions: bytes,
    entries: Iterable[CrlEntry],
) -> bytes:
    """DER TBSCertList; revokedCertificates is absent, not empty, without entries (section 5.1.2.6)."""
    revoked = b"".join(map(_entry, entries))
    before, after = frame(signature_algorithm, issuer, this_update, next_update, extensions, len(revoked))
    return b"".join((before, revoked, after))


def frame(
    signature_algorithm: str, issuer: bytes, this_update: int, next_update: int, extensions: bytes, length: int
) -> tuple[bytes, bytes]:
    """Return what of a DER TBSCertList stands before and after ``length`` octets of encoded entries."""
    fields = b"".join(
        (
            der.integer(1),
            algorithms.signature_identifier(signature_algorithm),
            issuer,
            der.x509_time(this_update),
            der.x509_time(next_update),
            der.header(der.SEQUENCE, length) if length else b"",
        )
    )
    after = der.explicit(0, extensions)
    return der.header(der.SEQUENCE, len(fields) + length + len(after)) + fields, after


def _entry(entry: CrlEntry) -> bytes:
    serial, revoked_at, reason, invalidity = entry
    extensions = b""
    if reason > 0:  # unspecified is left out (section 5.3.1)
        extensions += Extension(oids.REASON_CODE, False, der.enumerated(reason)).encode()
    if invalidity:
        extensions += Extension(oids.INVALIDITY_DATE, False, der.generalized_time(invalidity)).encode()
    return der.sequence(
        der.unsigned(serial), der.x509_time(revoked_at), der.sequence(extensions) if extensions else b""
    )
