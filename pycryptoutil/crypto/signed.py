"""Signed documents of others: requests that we make for them, CRLs and certificates that they have signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import same_name
from pycryptoutil_protocols.x509 import Certificate, Extension, decode_extensions

from pycryptoutil.crypto import policy
from pycryptoutil.crypto.keys import verify
from pycryptoutil.crypto.signer import KeySigner

MAX_CRL: Final = 16 << 20
CRL_NUMBER: Final = "2.5.29.20"
DELTA_CRL_INDICATOR: Final = "2.5.29.27"


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """One entry of a CRL. ``reason`` is CRLReason's number; None where it is not said."""

    serial: int
    revoked_at: datetime
    reason: int | None
    invalidity_date: datetime | None


@dataclass(frozen=True, slots=True)
class Crl:
    """A CRL (RFC 5280 section 5.1). ``number`` is None where it has none; ``delta`` tells whether it is one."""

    der: bytes = field(repr=False)
    issuer: bytes
    this_update: datetime
    next_update: datetime | None
    number: int | None
    delta: bool
    entries: tuple[RevokedEntry, ...] = field(repr=False)


def build_csr(signer: KeySigner, subject: bytes) -> bytes:
    """DER CertificationRequest (RFC 2986) of this key for a DER Name, with no attributes."""
    info = der.sequence(der.integer(0), subject, signer.public_spki, der.explicit(0))
    identifier = algorithms.signature_identifier(signer.signature_algorithm)
    return der.sequence(info, identifier, der.bit_string(signer.sign(info)))


def check_signed(document: bytes, spki: bytes, max_size: int = der.MAX_SIZE) -> None:
    """Check the signature of a certificate or a CRL; Fault(BAD_SIGNATURE, BAD_ALGORITHM, MALFORMED)."""
    tbs, identifier, signature = _three(document, max_size)
    chosen = policy.check_request_signature(identifier.encoded)
    try:
        policy.check_verification(algorithms.key_info(spki).algorithm, chosen)
    except Fault as fault:
        text = "the signature is not of the issuer's kind of key"
        raise Fault(FaultKind.BAD_SIGNATURE, fault.detail, text) from None
    verify(spki, chosen, tbs.encoded, signature.bits())


def check_issued_by(certificate: Certificate, issuer: Certificate) -> None:
    """Check name and signature, for every algorithm that the policy knows; Fault(BAD_SIGNATURE)."""
    if not same_name(certificate.issuer, issuer.subject):
        text = "the certificate has another issuer"
        raise Fault(FaultKind.BAD_SIGNATURE, text, text)
    check_signed(certificate.der, issuer.spki)


def decode_crl(encoded: bytes, max_size: int = MAX_CRL) -> Crl:
    """Read a CRL; Fault(MALFORMED, TOO_LARGE). Its signature is checked by :func:`check_signed`."""
    tbs, _, _ = _three(encoded, max_size)
    parts = list(tbs.children())
    if parts and parts[0].tag == der.INTEGER:
        del parts[0]
    if len(parts) < 3:
        raise der.malformed("tbsCertList")
    _, issuer, this_update, *rest = parts
    next_update, revoked, extensions = _optional(rest)
    numbers = [one for one in extensions if one.oid == CRL_NUMBER]
    return Crl(
        der=encoded,
        issuer=issuer.expect(der.SEQUENCE, "issuer").encoded,
        this_update=this_update.time(),
        next_update=next_update.time() if next_update is not None else None,
        number=der.read(numbers[0].value).integer() if numbers else None,
        delta=any(one.oid == DELTA_CRL_INDICATOR for one in extensions),
        entries=tuple(_entries(revoked)),
    )


def _three(document: bytes, max_size: int) -> tuple[Element, Element, Element]:
    parts = der.read(document, max_size).expect(der.SEQUENCE, "signed document").children()
    if len(parts) != 3:
        raise der.malformed("signed document")
    return parts[0], parts[1], parts[2]


def _optional(rest: list[Element]) -> tuple[Element | None, Element | None, tuple[Extension, ...]]:
    next_update = revoked = None
    extensions: tuple[Extension, ...] = ()
    for part in rest:
        if part.tag == der.SEQUENCE:
            revoked = part
        elif part.tag == der.context(0):
            extensions = decode_extensions(part.inner())
        else:
            next_update = part
    return next_update, revoked, extensions


def _entries(revoked: Element | None) -> Iterator[RevokedEntry]:
    for entry in revoked.children() if revoked is not None else ():
        serial, at, *more = entry.children()
        reason = invalidity = None
        for extension in decode_extensions(more[0]) if more else ():
            if extension.oid == oids.REASON_CODE:
                reason = der.read(extension.value).expect(der.ENUMERATED, "reasonCode").integer()
            elif extension.oid == oids.INVALIDITY_DATE:
                invalidity = der.read(extension.value).time()
        yield RevokedEntry(serial.integer(), at.time(), reason, invalidity)
