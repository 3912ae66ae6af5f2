"""Strict DER (X.690 section 10): reading with size and depth limits, and writing.

Reading is iterative, so that nesting cannot exhaust the stack, and every failure is a Fault: TOO_LARGE for a limit,
MALFORMED for everything else. An :class:`Element` keeps its encoded bytes, so what is signed can be kept as it came.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from .faults import Fault, FaultKind

MAX_SIZE = 1 << 20
MAX_DEPTH = 32
_MAX_OID_LENGTH = 64  # octets; the longest OID in use has about 20

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
ENUMERATED, UTF8_STRING, PRINTABLE_STRING, T61_STRING, IA5_STRING = 0x0A, 0x0C, 0x13, 0x14, 0x16
NUMERIC_STRING, VISIBLE_STRING, UNIVERSAL_STRING, BMP_STRING = 0x12, 0x1A, 0x1C, 0x1E
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31
_CONSTRUCTED = 0x20
_STRING_CODECS = {
    UTF8_STRING: "utf-8",
    PRINTABLE_STRING: "ascii",
    NUMERIC_STRING: "ascii",
    IA5_STRING: "ascii",
    VISIBLE_STRING: "ascii",
    T61_STRING: "latin-1",  # what every implementation means by it
    UNIVERSAL_STRING: "utf-32-be",
    BMP_STRING: "utf-16-be",
}


STRING_TAGS = frozenset(_STRING_CODECS)


def malformed(detail: str) -> Fault:
    """Return the Fault of bytes that are not what they should be."""
    return Fault(FaultKind.MALFORMED, detail, "malformed ASN.1")


def context(number: int, *, constructed: bool = True) -> int:
    """Return the identifier octet of a context-specific tag below 31."""
    return 0x80 | (_CONSTRUCTED if constructed else 0) | number


def _header(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return (identifier octet, content start, content end) of the TLV at ``at``, which must lie before ``end``."""
    if end - at < 2:
        raise malformed(f"truncated header at {at}")
    tag = data[at]
    if tag & 0x1F == 0x1F:
        raise malformed(f"multi-byte tag at {at}")  # none of our formats has one
    if tag == 0:
        raise malformed(f"end-of-contents at {at}")
    first = data[at + 1]
    start = at + 2
    if first < 0x80:
        length = first
    else:
        octets = first & 0x7F
        if octets == 0:
            raise malformed(f"indefinite length at {at}")
        if octets > 4 or end - start < octets:
            raise malformed(f"length of {octets} octets at {at}")
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
        if length < 0x80 or length >> (8 * (octets - 1)) == 0:
            raise malformed(f"length not minimal at {at}")
    if length > end - start:
        raise malformed(f"truncated content at {at}")
    return tag, start, start + length


def check(der: bytes, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> None:
    """Check that ``der`` is one value: definite minimal lengths at every level, nothing after it, within the limits."""
    if len(der) > max_size:
        raise Fault(FaultKind.TOO_LARGE, f"{len(der)} octets of DER, limit {max_size}", "the message is too large")
    tag, at, end = _header(der, 0, len(der))
    if end != len(der):
        raise malformed(f"{len(der) - end} octets after the value")
    if not tag & _CONSTRUCTED:
        return
    ends = [end]  # where each open constructed value ends; its length is the depth
    while ends:
        if at == ends[-1]:
            ends.pop()
            continue
        limit, tag, start = ends[-1], der[at], at + 2
        # the usual header without a call: one octet each for tag and length (``_header`` reads, or refuses, the others)
        stop = limit + 1
        if start <= limit and der[at + 1] < 0x80 and tag and tag & 0x1F != 0x1F:
            stop = start + der[at + 1]
        if stop > limit:
            tag, start, stop = _header(der, at, limit)
        if tag & _CONSTRUCTED:
            if len(ends) >= max_depth:
                raise Fault(FaultKind.TOO_LARGE, f"DER nested deeper than {max_depth}", "nested too deeply")
            ends.append(stop)
            at = start
        else:
            at = stop


class Element(NamedTuple):  # a message has hundreds: a tuple is made in a third of a dataclass's time
    """One value: identifier octet, content octets, and the whole encoding."""

    tag: int
    content: bytes
    encoded: bytes

    def expect(self, tag: int, what: str = "") -> Element:
        """Return self if it has this tag."""
        if self.tag != tag:
            raise malformed(f"{what or 'value'}: tag {self.tag:#04x} where {tag:#04x} belongs")
        return self

    def children(self) -> tuple[Element, ...]:
        """Return the elements of a constructed value."""
        if not self.tag & _CONSTRUCTED:
            raise malformed(f"tag {self.tag:#04x} is not constructed")
        return elements(self.content)

    def reader(self) -> Reader:
        """Return a reader of a constructed value's elements."""
        return Reader(self.children())

    def inner(self) -> Element:
        """Return the one element inside an EXPLICIT tag."""
        children = self.children()
        if len(children) != 1:
            raise malformed("explicit tag around several values, or none")
        return children[0]

    def integer(self) -> int:
        """INTEGER or ENUMERATED, minimally encoded."""
        body = self.content
        if self.tag not in (INTEGER, ENUMERATED, context(0, constructed=False)) or not body:
            raise malformed(f"tag {self.tag:#04x} is not an integer")
        if len(body) > 1 and ((body[0] == 0 and body[1] < 0x80) or (body[0] == 0xFF and body[1] >= 0x80)):
            raise malformed("integer not minimal")
        return int.from_bytes(body, "big", signed=True)

    def boolean(self) -> bool:
        """BOOLEAN: 00 or FF."""
        if self.tag != BOOLEAN or self.content not in (b"\x00", b"\xff"):
            raise malformed("not a DER boolean")
        return self.content == b"\xff"

    def null(self) -> None:
        """NULL."""
        if self.tag != NULL or self.content:
            raise malformed("not NULL")

    def octets(self) -> bytes:
        """OCTET STRING."""
        return self.expect(OCTET_STRING, "octet string").content

    def bits(self) -> bytes:
        """BIT STRING of whole octets, as keys and signatures are."""
        body = self.expect(BIT_STRING, "bit string").content
        if not body or body[0] != 0:
            raise malformed("bit string with unused bits")
        return body[1:]

    def oid(self) -> str:
        """OBJECT IDENTIFIER in dotted form."""
        return decode_oid(self.expect(OID, "object identifier").content)

    def text(self) -> str:
        """Any of ASN.1's character strings."""
        codec = _STRING_CODECS.get(self.tag)
        if codec is None:
            raise malformed(f"tag {self.tag:#04x} is not a character string")
        try:
            return self.content.decode(codec)
        except UnicodeDecodeError:
            raise malformed(f"character string is not {codec}") from None

    def time(self) -> datetime:
        """UTCTime (RFC 5280 window) or GeneralizedTime, in seconds and Zulu."""
        length = {UTC_TIME: 13, GENERALIZED_TIME: 15}.get(self.tag, -1)
        if len(self.content) != length or not self.content[:-1].isdigit() or self.content[-1:] != b"Z":
            raise malformed("not a DER time")
        text = self.content.decode("ascii")
        if self.tag == UTC_TIME:  # RFC 5280 section 4.1.2.5.1
            text = ("19" if text >= "50" else "20") + text
        try:  # strptime takes ten times as long
            month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
            return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            raise malformed("no such time") from None


class Reader:
    """Takes the elements of a SEQUENCE or SET in order; ``end`` makes sure that none is left."""

    __slots__ = ("_at", "_elements")

    def __init__(self, found: tuple[Element, ...]) -> None:
        self._elements = found
        self._at = 0

    def peek(self) -> int:
        """Return the next identifier octet, or 0 at the end."""
        return self._elements[self._at].tag if self._at < len(self._elements) else 0

    def any(self, what: str = "") -> Element:
        """Take the next element, whatever it is."""
        if self._at >= len(self._elements):
            raise malformed(f"{what or 'element'} is missing")
        self._at += 1
        return self._elements[self._at - 1]

    def take(self, tag: int, what: str = "") -> Element:
        """Take the next element, which must have this tag."""
        return self.any(what).expect(tag, what)

    def optional(self, tag: int) -> Element | None:
        """Take the next element if it has this tag."""
        return self.any() if self.peek() == tag else None

    def rest(self) -> tuple[Element, ...]:
        """Take all that is left."""
        left = self._elements[self._at :]
        self._at = len(self._elements)
        return left

    def end(self, what: str = "") -> None:
        """Check that nothing is left."""
        if self._at < len(self._elements):
            raise malformed(f"{what or 'structure'}: unexpected element with tag {self.peek():#04x}")


def elements(content: bytes) -> tuple[Element, ...]:
    """Split concatenated values."""
    at, limit = 0, len(content)
    found: list[Element] = []
    while at < limit:
        tag, start, stop = content[at], at + 2, limit + 1
        if start <= limit and content[at + 1] < 0x80 and tag and tag & 0x1F != 0x1F:  # as in ``check``
            stop = start + content[at + 1]
        if stop > limit:
            tag, start, stop = _header(content, at, limit)
        found.append(Element(tag, content[start:stop], content[at:stop]))
        at = stop
    return tuple(found)


def read(der: bytes, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> Element:
    """Check ``der`` and return it as one element: the entry point for bytes from outside."""
    check(der, max_size, max_depth)
    tag, start, stop = _header(der, 0, len(der))
    return Element(tag, der[start:stop], der)


def read_sequence(der: bytes, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> Reader:
    """Check ``der`` and return a reader of the one SEQUENCE in it."""
    return read(der, max_size, max_depth).expect(SEQUENCE).reader()


def split_sequence(der: bytes) -> tuple[bytes, ...]:
    """Return the encodings of the elements of the one SEQUENCE in ``der``."""
    return tuple(child.encoded for child in read(der).expect(SEQUENCE).children())


@lru_cache(maxsize=1024)  # the same few hundred again and again
def decode_oid(content: bytes) -> str:
    """Return the dotted form of OBJECT IDENTIFIER content octets."""
    if not content or content[-1] & 0x80 or len(content) > _MAX_OID_LENGTH:
        raise malformed("bad object identifier")
    arcs: list[int] = []
    value, fresh = 0, True
    for octet in content:
        if fresh and octet == 0x80:
            raise malformed("object identifier arc not minimal")
        value = value << 7 | octet & 0x7F
        fresh = not octet & 0x80
        if fresh:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


# Writing


def tlv(tag: int, *parts: bytes) -> bytes:
    """One value of the concatenated parts."""
    content = b"".join(parts)
    return header(tag, len(content)) + content


def header(tag: int, length: int) -> bytes:
    """Tag and length of a value whose content is ``length`` octets."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of encoded parts."""
    return tlv(SEQUENCE, *parts)


def set_of(parts: Iterable[bytes]) -> bytes:
    """SET OF, sorted as X.690 section 11.6 asks."""
    return tlv(SET, *sorted(parts))


def explicit(number: int, *parts: bytes) -> bytes:
    """Constructed context-specific tag around encoded parts (EXPLICIT, or IMPLICIT over a constructed type)."""
    return tlv(context(number), *parts)


def implicit(number: int, content: bytes) -> bytes:
    """Primitive context-specific tag (IMPLICIT over a primitive type)."""
    return tlv(context(number, constructed=False), content)


def retag(tag: int, encoded: bytes) -> bytes:
    """Replace the identifier octet: IMPLICIT tagging of an encoded value."""
    return bytes((tag,)) + encoded[1:]


def integer(value: int) -> bytes:
    """INTEGER."""
    return tlv(INTEGER, _signed(value))


def unsigned(magnitude: bytes) -> bytes:
    """INTEGER from a big-endian magnitude, such as a serial number."""
    return integer(int.from_bytes(magnitude, "big"))


def enumerated(value: int) -> bytes:
    """ENUMERATED."""
    return tlv(ENUMERATED, _signed(value))


def _signed(value: int) -> bytes:
    bits = value.bit_length() if value >= 0 else (value + 1).bit_length()
    return value.to_bytes(bits // 8 + 1, "big", signed=True)


def boolean(value: bool) -> bytes:
    """BOOLEAN."""
    return b"\x01\x01\xff" if value else b"\x01\x01\x00"


def null() -> bytes:
    """NULL."""
    return b"\x05\x00"


def octet_string(value: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(OCTET_STRING, value)


def bit_string(value: bytes) -> bytes:
    """BIT STRING of whole octets."""
    return tlv(BIT_STRING, b"\x00", value)


def utf8_string(value: str) -> bytes:
    """UTF8String."""
    return tlv(UTF8_STRING, value.encode())


@lru_cache(maxsize=1024)  # the same few hundred again and again
def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted form."""
    try:
        arcs = [int(arc) for arc in dotted.split(".")]
    except ValueError:
        arcs = []
    if len(arcs) < 2 or arcs[0] > 2 or min(arcs) < 0 or (arcs[0] < 2 and arcs[1] > 39):
        raise malformed("not an object identifier in dotted form")
    content = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        groups = [arc & 0x7F]
        rest = arc >> 7
        while rest:
            groups.append(rest & 0x7F | 0x80)
            rest >>= 7
        content += bytes(reversed(groups))
    return tlv(OID, bytes(content))


def generalized_time(unix: int) -> bytes:
    """GeneralizedTime of Unix seconds."""
    return tlv(GENERALIZED_TIME, _utc(unix).encode())


def x509_time(unix: int) -> bytes:
    """Time of RFC 5280 section 4.1.2.5: UTCTime to 2049, then GeneralizedTime."""
    text = _utc(unix)
    if "1950" <= text[:4] < "2050":
        return tlv(UTC_TIME, text[2:].encode())
    return tlv(GENERALIZED_TIME, text.encode())


def _utc(unix: int) -> str:
    moment = datetime.fromtimestamp(unix, UTC)
    return f"{moment.year:04}{moment:%m%d%H%M%SZ}"
