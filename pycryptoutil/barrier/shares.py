"""How a Shamir share is written down, so that a mistyped or foreign one is named as such.

``base64url(version 1 byte || set 4 bytes || share || checksum 4 bytes)``, unpadded. The share is the core's,
which joins them again. The set is the start of the unseal key's id, so that a share of another set is told before any
joining.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

_VERSION: Final = 1
_SET_LENGTH: Final = 4
_CHECKSUM_LENGTH: Final = 4
_MAX_TEXT: Final = 200
_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Share:
    """One share of one set."""

    set_id: bytes
    value: bytes = field(repr=False)

    def text(self) -> str:
        """Return what the operator keeps."""
        body = bytes([_VERSION]) + self.set_id + self.value
        return base64.urlsafe_b64encode(body + _checksum(body)).rstrip(b"=").decode()


def set_id_of(key_id: str) -> bytes:
    """Return the set that shares of the unseal key ``key_id`` carry."""
    return bytes.fromhex(key_id)[:_SET_LENGTH]


def parse(text: str) -> Share:
    """Read a share as typed; Fault(INVALID) says what is wrong, never what was typed."""
    compact = "".join(text.split())
    if not compact or len(compact) > _MAX_TEXT or not _ALPHABET.fullmatch(compact):
        raise _invalid("this is not an unseal share")
    try:
        raw = base64.b64decode(compact + "=" * (-len(compact) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("this is not an unseal share: characters are missing") from None
    body, checksum = raw[:-_CHECKSUM_LENGTH], raw[-_CHECKSUM_LENGTH:]
    if len(body) <= 1 + _SET_LENGTH or not hmac.compare_digest(checksum, _checksum(body)):
        raise _invalid("the share is mistyped: its checksum does not fit")
    if body[0] != _VERSION:
        raise _invalid("the share is of a version that is not known here")
    return Share(body[1 : 1 + _SET_LENGTH], body[1 + _SET_LENGTH :])


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(b"pycryptoutil unseal share" + body).digest()[:_CHECKSUM_LENGTH]


def _invalid(text: str) -> Fault:
    return Fault(FaultKind.INVALID, text, text)
