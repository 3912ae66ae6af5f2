"""What goes into a CRL (RFC 5280 section 5), made from rows; the core encodes and signs it in a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from pycryptoutil_protocols import der
from pycryptoutil_protocols.x509 import Extension, decode_certificate, encode_extensions

from pycryptoutil.authority.crl.store import RevokedRow, Scope
from pycryptoutil.authority.extensions import distribution_point
from pycryptoutil.authority.oids import FRESHEST_CRL
from pycryptoutil.crypto.signer import encode_crl_entries

AUTHORITY_KEY_IDENTIFIER: Final = "2.5.29.35"
CRL_NUMBER: Final = "2.5.29.20"
DELTA_CRL_INDICATOR: Final = "2.5.29.27"
ISSUING_DISTRIBUTION_POINT: Final = "2.5.29.28"

_ONLY_TAGS: Final = {"user": 1, "ca": 2, "attribute": 5}


def subject(certificate: bytes) -> bytes:
    """DER Name: the CA's subject, which is its CRL's issuer."""
    return decode_certificate(certificate).subject


def issuing_distribution_point(scope: Scope) -> bytes:
    """IssuingDistributionPoint (section 5.2.5), or nothing where it would be empty, which the RFC forbids."""
    names = b"".join(der.implicit(6, uri.encode("ascii")) for uri in scope.uris)
    point = der.explicit(0, der.explicit(0, names)) if names else b""
    only = der.implicit(_ONLY_TAGS[scope.only], b"\xff") if scope.only else b""
    return der.sequence(point, only) if point or only else b""


def extensions(issuer: bytes, number: int, scope: Scope, *, freshest: str = "", base: int | None = None) -> bytes:
    """SEQUENCE OF Extension of the CRL: authority key identifier, number, issuing distribution point (critical).

    ``base`` makes it a delta to the CRL of that number (section 5.2.4); ``freshest`` says where its own delta is.
    """
    key_identifier = decode_certificate(issuer).subject_key_identifier
    found = [
        Extension(AUTHORITY_KEY_IDENTIFIER, False, der.sequence(der.implicit(0, key_identifier))),
        Extension(CRL_NUMBER, False, der.integer(number)),
    ]
    if base is not None:
        found.append(Extension(DELTA_CRL_INDICATOR, True, der.integer(base)))
    point = issuing_distribution_point(scope)
    if point:
        found.append(Extension(ISSUING_DISTRIBUTION_POINT, True, point))
    if freshest:
        found.append(Extension(FRESHEST_CRL, False, distribution_point(freshest)))
    return encode_extensions(found)


class EntryRuns:
    """Turns parts of rows into runs of encoded entries, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def over(self, parts: Iterable[Sequence[RevokedRow]]) -> Iterator[bytes]:
        """Yield one run for each part; in bounded memory, since parts are."""
        for part in parts:
            self.count += len(part)
            yield encode_crl_entries([(serial_octets(serial), at, why, since) for serial, at, why, since in part])


def serial_octets(serial: str) -> bytes:
    """Hex → big-endian magnitude."""
    return bytes.fromhex(serial if len(serial) % 2 == 0 else "0" + serial)


def unix(moment: datetime) -> int:
    """Whole seconds."""
    return int(moment.timestamp())
