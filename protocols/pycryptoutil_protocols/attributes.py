"""Attributes as PKCS#10 and CMS carry them: a type and a set of values (RFC 2986 section 4.1, RFC 5652 section 5.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from . import der
from .der import Element
from .faults import Fault, FaultKind

_MAX_ATTRIBUTES = 64


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute with its encoded values, which may hold a challenge password and so are not shown."""

    oid: str
    values: tuple[bytes, ...] = field(repr=False)

    def encode(self) -> bytes:
        """DER Attribute."""
        return der.sequence(der.oid(self.oid), der.set_of(self.values))


def decode_attribute(element: Element) -> Attribute:
    """Decode one Attribute."""
    reader = element.expect(der.SEQUENCE, "Attribute").reader()
    oid = reader.take(der.OID, "type").oid()
    values = tuple(child.encoded for child in reader.take(der.SET, "values").children())
    reader.end("Attribute")
    return Attribute(oid, values)


def decode_attributes(found: Iterable[Element]) -> tuple[Attribute, ...]:
    """Decode the elements of a SET OF Attribute; a repeated type is Fault(INVALID)."""
    attributes: dict[str, Attribute] = {}
    for element in found:
        attribute = decode_attribute(element)
        if attribute.oid in attributes:
            raise Fault(FaultKind.INVALID, f"attribute {attribute.oid} twice", "an attribute is repeated")
        attributes[attribute.oid] = attribute
        if len(attributes) > _MAX_ATTRIBUTES:
            raise Fault(FaultKind.TOO_LARGE, "too many attributes", "too many attributes")
    return tuple(attributes.values())


def single_value(attributes: Iterable[Attribute], oid: str) -> bytes | None:
    """Return the one encoded value of the attribute of a type, or None without it."""
    found = next((attribute for attribute in attributes if attribute.oid == oid), None)
    if found is None:
        return None
    if len(found.values) != 1:
        raise Fault(FaultKind.INVALID, f"attribute {oid} has {len(found.values)} values", "an attribute has one value")
    return found.values[0]
