"""Distinguished names and general names (RFC 5280 sections 4.1.2.4 and 4.2.1.6), with their bytes kept."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from . import der, oids
from .der import Element
from .faults import Fault, FaultKind

MAX_NAMES = 1000
_MAX_ATTRIBUTES = 64


class GeneralNameKind(enum.IntEnum):
    """The CHOICE of GeneralName; values are its tag numbers."""

    OTHER = 0
    EMAIL = 1
    X400 = 3
    DNS = 2
    DIRECTORY = 4
    EDI = 5
    URI = 6
    IP = 7
    REGISTERED_ID = 8


_TEXT_KINDS = (GeneralNameKind.EMAIL, GeneralNameKind.DNS, GeneralNameKind.URI)


@dataclass(frozen=True, slots=True)
class GeneralName:
    """``value`` is the text of e-mail, DNS, URI, IP and registered id; for the others the hex of ``der``."""

    kind: GeneralNameKind
    value: str
    der: bytes

    @classmethod
    def dns(cls, value: str) -> GeneralName:
        """A dNSName."""
        return cls._text(GeneralNameKind.DNS, value)

    @classmethod
    def email(cls, value: str) -> GeneralName:
        """An rfc822Name."""
        return cls._text(GeneralNameKind.EMAIL, value)

    @classmethod
    def uri(cls, value: str) -> GeneralName:
        """A uniformResourceIdentifier."""
        return cls._text(GeneralNameKind.URI, value)

    @classmethod
    def ip(cls, value: str) -> GeneralName:
        """An iPAddress from its text."""
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            raise Fault(FaultKind.INVALID, "not an IP address", "not an IP address") from None
        return cls(GeneralNameKind.IP, str(address), der.implicit(GeneralNameKind.IP, address.packed))

    @classmethod
    def _text(cls, kind: GeneralNameKind, value: str) -> GeneralName:
        try:
            return cls(kind, value, der.implicit(kind, value.encode("ascii")))
        except UnicodeEncodeError:
            raise Fault(FaultKind.INVALID, "a name outside of ASCII", "names are ASCII (A-labels)") from None

    def comparable(self) -> tuple[int, str | bytes]:
        """Return what is equal for equal names: DNS names regardless of case."""
        if self.kind is GeneralNameKind.DNS:
            return self.kind, self.value.lower()
        return self.kind, self.der


def decode_general_name(element: Element) -> GeneralName:
    """Decode one GeneralName."""
    number = element.tag & 0x1F
    if element.tag & 0xC0 != 0x80 or number > GeneralNameKind.REGISTERED_ID:
        raise der.malformed(f"general name with tag {element.tag:#04x}")
    kind = GeneralNameKind(number)
    constructed = kind in (GeneralNameKind.OTHER, GeneralNameKind.X400, GeneralNameKind.DIRECTORY, GeneralNameKind.EDI)
    if bool(element.tag & 0x20) != constructed:
        raise der.malformed(f"general name with tag {element.tag:#04x}")
    if kind in _TEXT_KINDS:
        return GeneralName(kind, _ia5_text(element), element.encoded)
    if kind is GeneralNameKind.IP:
        if len(element.content) not in (4, 16):
            raise Fault(FaultKind.INVALID, f"IP address of {len(element.content)} octets", "an IP address is not valid")
        return GeneralName(kind, str(ipaddress.ip_address(element.content)), element.encoded)
    if kind is GeneralNameKind.REGISTERED_ID:
        return GeneralName(kind, der.decode_oid(element.content), element.encoded)
    if kind is GeneralNameKind.DIRECTORY:
        children = element.children()
        if len(children) != 1:
            raise der.malformed("directoryName")
        decode_name(children[0])
    return GeneralName(kind, element.encoded.hex(), element.encoded)


def _ia5_text(element: Element) -> str:
    try:
        text = element.content.decode("ascii")
    except UnicodeDecodeError:
        raise der.malformed("general name is not IA5String") from None
    if not text or not text.isprintable():
        raise Fault(FaultKind.INVALID, "empty name or control character in it", "a name is not valid")
    return text


def decode_general_names(encoded: bytes) -> tuple[GeneralName, ...]:
    """Decode GeneralNames, such as the value of a subjectAltName extension, in order."""
    children = der.read(encoded).expect(der.SEQUENCE, "GeneralNames").children()
    if not children:
        raise Fault(FaultKind.INVALID, "empty GeneralNames", "the list of names is empty")
    if len(children) > MAX_NAMES:
        raise Fault(FaultKind.TOO_LARGE, f"{len(children)} names", "too many names")
    return tuple(decode_general_name(child) for child in children)


def encode_general_names(names: Sequence[GeneralName]) -> bytes:
    """DER GeneralNames in the order given."""
    return der.sequence(*(name.der for name in names))


@dataclass(frozen=True, slots=True)
class NameAttribute:
    """One AttributeTypeAndValue; ``text`` is ``#hex`` for a value that is no character string."""

    oid: str
    text: str
    value: bytes  # encoded, with its string type


@dataclass(frozen=True, slots=True)
class Name:
    """A distinguished name: a sequence of sets of attributes."""

    rdns: tuple[tuple[NameAttribute, ...], ...]
    der: bytes

    def find(self, oid: str) -> tuple[str, ...]:
        """Return the texts of every attribute of a type."""
        return tuple(attribute.text for rdn in self.rdns for attribute in rdn if attribute.oid == oid)

    @property
    def common_names(self) -> tuple[str, ...]:
        """Every commonName."""
        return self.find(oids.COMMON_NAME)

    def comparable(self) -> tuple[frozenset[tuple[str, str]], ...]:
        """Return what is equal for names that RFC 5280 section 7.1 calls equal: any string type, case and spacing."""
        return tuple(
            frozenset((attribute.oid, " ".join(attribute.text.split()).casefold()) for attribute in rdn)
            for rdn in self.rdns
        )


def decode_name(encoded: bytes | Element) -> Name:
    """Decode a Name."""
    element = encoded if isinstance(encoded, Element) else der.read(encoded)
    rdns: list[tuple[NameAttribute, ...]] = []
    count = 0
    for rdn in element.expect(der.SEQUENCE, "Name").children():
        attributes = tuple(_decode_attribute(child) for child in rdn.expect(der.SET, "RDN").children())
        count += len(attributes)
        if not attributes:
            raise der.malformed("empty RDN")
        if count > _MAX_ATTRIBUTES:
            raise Fault(FaultKind.TOO_LARGE, "too many attributes in a name", "the name has too many attributes")
        rdns.append(attributes)
    return Name(tuple(rdns), element.encoded)


def _decode_attribute(element: Element) -> NameAttribute:
    reader = element.expect(der.SEQUENCE, "AttributeTypeAndValue").reader()
    oid = reader.take(der.OID, "type").oid()
    value = reader.any("value")
    reader.end("AttributeTypeAndValue")
    if value.tag in der.STRING_TAGS:
        text = value.text()
        if not text.isprintable():
            raise Fault(FaultKind.INVALID, "control character in a name", "the name has a control character")
        return NameAttribute(oid, text, value.encoded)
    return NameAttribute(oid, f"#{value.encoded.hex()}", value.encoded)


def same_name(left: bytes, right: bytes) -> bool:
    """Compare two DER Names as RFC 5280 section 7.1 does."""
    return left == right or decode_name(left).comparable() == decode_name(right).comparable()
