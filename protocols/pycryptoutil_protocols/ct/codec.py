"""Signed certificate timestamps: from a log's answer, into a certificate, and what their signatures are over."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension, decode_certificate

POISON: Final = "1.3.6.1.4.1.11129.2.4.3"  # section 3.1
SCT_LIST: Final = "1.3.6.1.4.1.11129.2.4.2"  # section 3.3
_POISON: Final = der.oid(POISON)
_V1: Final = 0
_CERTIFICATE_TIMESTAMP: Final = 0
_PRECERT_ENTRY: Final = 1
_SHA256: Final = 4  # RFC 5246 section 7.4.1.4.1
_ALGORITHMS: Final = {1: "rsa-sha256", 3: "ecdsa-sha256"}  # section 2.1.4: no other is allowed
_MAX_UINT16: Final = 0xFFFF
_MAX_SIGNATURE: Final = 1024


@dataclass(frozen=True, slots=True)
class Sct:
    """A log's promise (section 3.2). ``timestamp`` is in milliseconds since 1970."""

    log_id: bytes
    timestamp: int
    extensions: bytes
    algorithm: str  # rsa-sha256 | ecdsa-sha256
    signature: bytes = field(repr=False)

    def encode(self) -> bytes:
        """SignedCertificateTimestamp in TLS syntax."""
        number = next(number for number, name in _ALGORITHMS.items() if name == self.algorithm)
        return (
            bytes([_V1])
            + self.log_id
            + self.timestamp.to_bytes(8, "big")
            + _vector(self.extensions, 2)
            + bytes([_SHA256, number])
            + _vector(self.signature, 2)
        )

    def signed_data(self, issuer_spki: bytes, tbs: bytes) -> bytes:
        """Return what the log has signed for a precertificate.

        ``tbs`` is the TBSCertificate without poison and without timestamps.
        """
        return (
            bytes([_V1, _CERTIFICATE_TIMESTAMP])
            + self.timestamp.to_bytes(8, "big")
            + _PRECERT_ENTRY.to_bytes(2, "big")
            + hashlib.sha256(issuer_spki).digest()
            + _vector(tbs, 3)
            + _vector(self.extensions, 2)
        )


def log_id(spki: bytes) -> bytes:
    """Return the id of a log by its public key (section 3.2)."""
    return hashlib.sha256(spki).digest()


def poison() -> Extension:
    """Return the critical extension that makes a certificate a precertificate (section 3.1)."""
    return Extension(POISON, True, der.null())


def is_precertificate(encoded: bytes) -> bool:
    """Tell whether a certificate (DER) has the critical poison extension."""
    if _POISON not in encoded:  # of a thousand in a list, hardly one is decoded
        return False
    found = decode_certificate(encoded).extension(POISON)
    return found is not None and found.critical


def sct_list(scts: Sequence[Sct]) -> Extension:
    """Return the extension that embeds timestamps in a certificate (section 3.3)."""
    listed = b"".join(_vector(one.encode(), 2) for one in scts)
    return Extension(SCT_LIST, False, der.octet_string(_vector(listed, 2)))


def encode_submission(chain: Sequence[bytes]) -> bytes:
    """Return the body of add-pre-chain (section 4.2): the precertificate first, DER."""
    return json.dumps({"chain": [base64.b64encode(one).decode() for one in chain]}, separators=(",", ":")).encode()


def decode_answer(body: bytes) -> Sct:
    """Read a log's answer to add-pre-chain; Fault(MALFORMED)."""
    try:
        document = json.loads(body)
        version, identifier = document["sct_version"], _base64(document["id"])
        timestamp, extensions = document["timestamp"], _base64(document["extensions"])
        signature = _base64(document["signature"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _bad("no signed certificate timestamp") from None
    if version != _V1 or len(identifier) != 32:
        raise _bad("a timestamp of another version")
    if type(timestamp) is not int or not 0 <= timestamp < 1 << 63:
        raise _bad("a timestamp without a time")
    if len(extensions) > _MAX_UINT16 or not 4 < len(signature) <= _MAX_SIGNATURE:
        raise _bad("a timestamp of a wrong length")
    if signature[0] != _SHA256 or signature[1] not in _ALGORITHMS:
        raise Fault(FaultKind.BAD_ALGORITHM, "SCT algorithm", "a timestamp with another algorithm than RFC 6962 has")
    if int.from_bytes(signature[2:4], "big") != len(signature) - 4:
        raise _bad("a signature of another length than it says")
    return Sct(identifier, timestamp, extensions, _ALGORITHMS[signature[1]], signature[4:])


def milliseconds(moment: datetime) -> int:
    """Return a time as logs write it."""
    return int(moment.timestamp() * 1000)


def _vector(content: bytes, octets: int) -> bytes:
    return len(content).to_bytes(octets, "big") + content


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _bad(text: str) -> Fault:
    return Fault(FaultKind.MALFORMED, f"CT log: {text}", f"the log's answer is {text}")
