"""The messages of OCSP as plain data."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from pycryptoutil_protocols.x509 import Extension

# (cert_id DER as asked, status, revoked_at Unix or 0, reason or -1, this_update, next_update or 0,
#  singleExtensions: concatenated DER Extension values): what the core's OcspSigner takes
SingleStatus = tuple[bytes, int, int, int, int, int, bytes]


class ResponseStatus(enum.IntEnum):
    """OCSPResponseStatus (RFC 6960 section 4.2.1)."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    SIG_REQUIRED = 5
    UNAUTHORIZED = 6


class CertStatus(enum.IntEnum):
    """CertStatus; the values are the tag numbers of its CHOICE and the numbers in SingleStatus."""

    GOOD = 0
    REVOKED = 1
    UNKNOWN = 2


@dataclass(frozen=True, slots=True)
class CertId:
    """Which certificate is asked about (RFC 6960 section 4.1.1); ``der`` is echoed as it came."""

    der: bytes
    hash_algorithm: str  # sha1 sha256 sha384 sha512, or the dotted identifier of another
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int


@dataclass(frozen=True, slots=True)
class OcspRequest:
    """A decoded request; ``signed`` says that it carried a signature, which RFC 6960 lets a responder ignore."""

    cert_ids: tuple[CertId, ...]
    nonce: bytes | None = None
    acceptable_responses: tuple[str, ...] = ()
    preferred_signatures: tuple[str, ...] = ()  # object identifiers, in order (RFC 6960 section 4.4.7)
    requestor_name: bytes | None = None
    signed: bool = False
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class SingleResponse:
    """One decoded answer."""

    cert_id: CertId
    status: CertStatus
    revoked_at: datetime | None
    reason: int | None
    this_update: datetime
    next_update: datetime | None
    extensions: tuple[Extension, ...]


@dataclass(frozen=True, slots=True)
class OcspResponse:
    """A decoded response; everything but ``status`` is empty unless it is SUCCESSFUL."""

    status: ResponseStatus
    tbs: bytes = b""
    responder_name: bytes = b""  # DER Name, or
    responder_key_hash: bytes = b""
    produced_at: datetime | None = None
    singles: tuple[SingleResponse, ...] = ()
    nonce: bytes | None = None
    extensions: tuple[Extension, ...] = ()
    signature_algorithm: bytes = b""
    signature: bytes = b""
    certificates: tuple[bytes, ...] = ()
