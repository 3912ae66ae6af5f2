"""What goes into a CRL (RFC 5280 section 5), made from rows; the core encodes and signs it in a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from pycryptoutil_protocols import der
from pycryptoutil_protocols.x509 import Extension, decode_certificate, encode_extensions

from pycryptoutil.authority.crl.store import Scope
from pycryptoutil.authority.model import RevocationReason, RevocationState

AUTHORITY_KEY_IDENTIFIER: Final = "2.5.29.35"
CRL_NUMBER: Final = "2.5.29.20"
ISSUING_DISTRIBUTION_POINT: Final = "2.5.29.28"

_ONLY_TAGS: Final = {"user": 1, "ca": 2, "attribute": 5}

Entry = tuple[bytes, int, int, int]
"""Serial magnitude, revocation time, reason code or -1, invalidity date or 0: what the core takes."""

Entries = Iterator[Entry]


def subject(certificate: bytes) -> bytes:
    """DER Name: the CA's subject, which is its CRL's issuer."""
    return decode_certificate(certificate).subject


def issuing_distribution_point(scope: Scope) -> bytes:
    """IssuingDistributionPoint (section 5.2.5), or nothing where it would be empty, which the RFC forbids."""
    names = b"".join(der.implicit(6, uri.encode("ascii")) for uri in scope.uris)
    point = der.explicit(0, der.explicit(0, names)) if names else b""
    only = der.implicit(_ONLY_TAGS[scope.only], b"\xff") if scope.only else b""
    return der.sequence(point, only) if point or only else b""


def extensions(issuer: bytes, number: int, scope: Scope) -> bytes:
    """SEQUENCE OF Extension of the CRL: authority key identifier, number, issuing distribution point (critical)."""
    key_identifier = decode_certificate(issuer).subject_key_identifier
    found = [
        Extension(AUTHORITY_KEY_IDENTIFIER, False, der.sequence(der.implicit(0, key_identifier))),
        Extension(CRL_NUMBER, False, der.integer(number)),
    ]
    point = issuing_distribution_point(scope)
    if point:
        found.append(Extension(ISSUING_DISTRIBUTION_POINT, True, point))
    return encode_extensions(found)


def entries(states: Iterable[RevocationState]) -> Entries:
    """Turn rows into the core's entries. ``unspecified`` is left out, as section 5.3.1 asks."""
    for state in states:
        if state.revoked_at is None:
            continue
        stated = state.reason is not None and state.reason is not RevocationReason.UNSPECIFIED
        yield (
            serial_octets(state.serial),
            unix(state.revoked_at),
            state.reason.code if stated and state.reason is not None else -1,
            unix(state.invalidity_date) if state.invalidity_date is not None else 0,
        )


def serial_octets(serial: str) -> bytes:
    """Hex → big-endian magnitude."""
    return bytes.fromhex(serial if len(serial) % 2 == 0 else "0" + serial)


def unix(moment: datetime) -> int:
    """Whole seconds."""
    return int(moment.timestamp())
