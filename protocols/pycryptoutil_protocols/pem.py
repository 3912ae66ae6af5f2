"""Base64 as real clients send it, and PEM.

RFC 8951 section 3.1 has EST bodies in base64 whatever Content-Transfer-Encoding says, and asks for tolerance of
whitespace. Clients also send PEM armour and raw DER, which cannot be mistaken for one another.
"""

from __future__ import annotations

import base64
import binascii
import re

from .faults import Fault, FaultKind

_LINE = 64
_ARMOUR = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----", re.ASCII)
_SPACE = bytes.maketrans(b"", b"")
_BLANKS = b" \t\r\n"
_ALPHABET = re.compile(rb"[A-Za-z0-9+/]*={0,2}\Z")


def encode_base64(data: bytes) -> bytes:
    """Base64 in lines of 64 characters, each with its newline: all clients but the very old read that."""
    text = base64.b64encode(data)
    return b"".join(text[at : at + _LINE] + b"\n" for at in range(0, len(text), _LINE))


def decode_base64(text: bytes, max_size: int) -> bytes:
    """Base64 in any wrapping, strictly of its alphabet and padding, of at most ``max_size`` decoded octets."""
    packed = text.translate(_SPACE, _BLANKS)
    if len(packed) // 4 * 3 > max_size + 2:
        raise Fault(FaultKind.TOO_LARGE, f"{len(packed)} base64 characters", "the message is too large")
    if not packed or len(packed) % 4 or not _ALPHABET.match(packed):
        raise Fault(FaultKind.MALFORMED, "a character outside of base64, or bad padding", "the body is not base64")
    try:
        return base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise Fault(FaultKind.MALFORMED, f"base64: {error}", "the body is not base64") from None


def decode_body(body: bytes, max_size: int, labels: tuple[str, ...] = ()) -> bytes:
    """Return the DER in a body that is base64, PEM (with one of ``labels``, when given) or DER itself."""
    if len(body) > 2 * max_size + 1024:
        raise Fault(FaultKind.TOO_LARGE, f"body of {len(body)} octets", "the message is too large")
    stripped = body.strip(_BLANKS)
    if not stripped:
        raise Fault(FaultKind.MALFORMED, "empty body", "the body is empty")
    if stripped.startswith(b"-----BEGIN "):
        return decode_pem(stripped, max_size, labels)
    if body[0] == 0x30 and len(body) > 1 and _is_der(body):
        if len(body) > max_size:
            raise Fault(FaultKind.TOO_LARGE, f"body of {len(body)} octets", "the message is too large")
        return body
    return decode_base64(stripped, max_size)


def _is_der(body: bytes) -> bool:
    """Tell DER from base64: 0x30 is the digit 0, which as base64 would be followed by printable characters only."""
    return any(octet >= 0x80 or (octet < 0x20 and octet not in _BLANKS) for octet in body[:64])


def decode_pem(text: bytes, max_size: int, labels: tuple[str, ...] = ()) -> bytes:
    """Return the DER of the one PEM object in ``text``."""
    found = _ARMOUR.fullmatch(text.strip(_BLANKS))
    if found is None:
        raise Fault(FaultKind.MALFORMED, "not one PEM object", "the body is not one PEM object")
    if labels and found.group(1).decode("ascii") not in labels:
        raise Fault(FaultKind.MALFORMED, f"PEM label {found.group(1)!r}", f"PEM of {' or '.join(labels)} is expected")
    return decode_base64(found.group(2), max_size)


def encode_pem(label: str, der: bytes) -> bytes:
    """PEM of one object (RFC 7468)."""
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label.encode(), encode_base64(der), label.encode())
