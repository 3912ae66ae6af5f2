"""BER → DER (X.690), for messages that old clients send with indefinite lengths and strings in pieces.

``to_der`` changes the form only: lengths become definite and minimal, constructed strings of universal tags are
joined, TRUE becomes FF. The order of a SET stays, so that what was signed can still be verified. What was DER before
comes back the same. Nesting cannot exhaust the stack, and size, depth and the number of values are limited.

A string under an IMPLICIT tag cannot be told from a structure here: :func:`joined_octets` is for the decoder that
knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import der
from .der import Element, malformed
from .der import _header as _strict_header
from .faults import Fault, FaultKind

MAX_ELEMENTS = 20_000
_CONSTRUCTED = 0x20
_STRINGS = frozenset({der.OCTET_STRING, der.BIT_STRING, *der.STRING_TAGS, der.UTC_TIME, der.GENERALIZED_TIME})
_CONSTRUCTED_STRINGS = frozenset(tag | _CONSTRUCTED for tag in _STRINGS)
_BOOLEANS = (b"\x00", b"\xff")
_INDEFINITE = -1


@dataclass(slots=True)
class _Open:
    """A constructed value that is being read; ``end`` is where it ends, or _INDEFINITE."""

    tag: int
    end: int
    limit: int  # where it must have ended: the end of the nearest value of definite length around it
    parts: list[bytes] = field(default_factory=list)


def to_der(
    data: bytes,
    max_size: int = der.MAX_SIZE,
    max_depth: int = der.MAX_DEPTH,
    max_elements: int = MAX_ELEMENTS,
) -> bytes:
    """Return the DER form of the one BER value in ``data``; Fault(MALFORMED), or TOO_LARGE beyond a limit."""
    if len(data) > max_size:
        raise _too_large(f"{len(data)} octets of BER, limit {max_size}")
    if _is_der(data, max_depth, max_elements):
        return data  # what most clients send, in a quarter of the time
    stack = [_Open(0, len(data), len(data))]
    at, count = 0, 0
    while len(stack) > 1 or at < len(data) or not stack[0].parts:
        top = stack[-1]
        if len(stack) > 1 and _ended(data, at, top):
            at += 2 if top.end == _INDEFINITE else 0
            stack.pop()
            stack[-1].parts.append(_close(top))
            continue
        if len(stack) == 1 and top.parts:
            raise malformed(f"{len(data) - at} octets after the value")
        count += 1
        tag, start, stop = _header(data, at, top.limit)
        if count > max_elements or (tag & _CONSTRUCTED and len(stack) > max_depth):
            raise _too_large(f"more than {max_elements} values, or nested deeper than {max_depth}")
        if tag & _CONSTRUCTED:
            stack.append(_Open(tag, stop, top.limit if stop == _INDEFINITE else stop))
            at = start
        elif stop == _INDEFINITE:
            raise malformed(f"primitive value of indefinite length at {at}")
        else:
            top.parts.append(_primitive(tag, data[start:stop]))
            at = stop
    return stack[0].parts[0]


def _is_der(data: bytes, max_depth: int, max_elements: int) -> bool:
    """Whether ``data`` is one value that needs no change; False also for what is broken or beyond the limits."""
    try:
        tag, at, end = _strict_header(data, 0, len(data))
        if end != len(data) or not tag & _CONSTRUCTED:
            return False
        ends, count = [end], 1
        while ends:
            if at == ends[-1]:
                ends.pop()
                continue
            tag, start, stop = _strict_header(data, at, ends[-1])
            count += 1
            if tag & _CONSTRUCTED:
                ends.append(stop)
                at = start
                if tag in _CONSTRUCTED_STRINGS or len(ends) > max_depth:
                    return False
            else:
                at = stop
                if tag == der.BOOLEAN and data[start:stop] not in _BOOLEANS:
                    return False
    except Fault:
        return False
    return count <= max_elements and data[0] not in _CONSTRUCTED_STRINGS


def _ended(data: bytes, at: int, top: _Open) -> bool:
    if top.end == _INDEFINITE:
        return data[at : min(at + 2, top.limit)] == b"\x00\x00"
    return at == top.end


def _too_large(detail: str) -> Fault:
    return Fault(FaultKind.TOO_LARGE, detail, "the message is too large")


def _header(data: bytes, at: int, limit: int) -> tuple[int, int, int]:
    """Return (identifier octet, content start, content end or _INDEFINITE) of the value at ``at``."""
    if limit - at < 2:
        raise malformed(f"truncated header at {at}")
    tag, first = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise malformed(f"multi-byte tag at {at}")
    if tag == 0:
        raise malformed(f"end-of-contents at {at}")
    start = at + 2
    if first < 0x80:
        length = first
    elif first == 0x80:
        return tag, start, _INDEFINITE
    else:
        octets = first & 0x7F
        if octets == 0x7F or limit - start < octets:
            raise malformed(f"length of {octets} octets at {at}")
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    if length > limit - start:
        raise malformed(f"truncated content at {at}")
    return tag, start, start + length


def _primitive(tag: int, content: bytes) -> bytes:
    if tag == der.BOOLEAN and len(content) == 1 and content != b"\x00":
        content = b"\xff"
    return der.tlv(tag, content)


def _close(value: _Open) -> bytes:
    base = value.tag & ~_CONSTRUCTED
    if base not in _STRINGS:
        return der.tlv(value.tag, *value.parts)
    # the pieces are transcoded by now, so each is one primitive value (X.690 section 8.21 and 8.6.4)
    pieces = [der.elements(part)[0] for part in value.parts]
    wanted = der.BIT_STRING if base == der.BIT_STRING else der.OCTET_STRING
    if any(piece.tag not in (wanted, base) for piece in pieces):
        raise malformed(f"a piece of another type in a constructed string of tag {base:#04x}")
    if base != der.BIT_STRING:
        return der.tlv(base, *(piece.content for piece in pieces))
    if any(not piece.content for piece in pieces) or any(piece.content[0] for piece in pieces[:-1]):
        raise malformed("unused bits within a constructed bit string")
    unused = pieces[-1].content[:1] if pieces else b"\x00"
    return der.tlv(base, unused, *(piece.content[1:] for piece in pieces))


def joined_octets(element: Element) -> bytes:
    """Return an IMPLICIT OCTET STRING's octets, also when BER has it in pieces (already transcoded)."""
    if not element.tag & _CONSTRUCTED:
        return element.content
    return b"".join(child.octets() for child in element.children())
