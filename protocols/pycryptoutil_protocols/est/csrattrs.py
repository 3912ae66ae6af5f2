"""CsrAttrs: what the server wants to see in a CSR (RFC 7030 section 4.5.2, RFC 9908).

Both forms are written: the list of attributes for clients that know RFC 7030 only, and the template of RFC 9908
section 3.4, which clients that know both take alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pycryptoutil_protocols import algorithms, der, oids, x509
from pycryptoutil_protocols.attributes import Attribute, decode_attribute, decode_attributes, single_value
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

MAX_CSRATTRS = 64 * 1024
_CURVE_OIDS = {"EC-P256": oids.P256, "EC-P384": oids.P384, "EC-P521": oids.P521}
_KEY_OIDS = {
    "Ed25519": oids.ED25519,
    "Ed448": oids.ED448,
    "ML-DSA-44": oids.ML_DSA_44,
    "ML-DSA-65": oids.ML_DSA_65,
    "ML-DSA-87": oids.ML_DSA_87,
}
_CURVE_NAMES = {oid: name for name, oid in _CURVE_OIDS.items()}
_KEY_NAMES = {oid: name for name, oid in _KEY_OIDS.items()}
_MAX_RSA_BITS = 16384


@dataclass(frozen=True, slots=True)
class ExtensionTemplate:
    """An extension whose ``value`` the client fills in when it is None (RFC 9908 section 3.4)."""

    oid: str
    critical: bool = False
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """One RDN of a subject: its type and its encoded value, which the client fills in when it is None."""

    oid: str
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class CsrAttributes:
    """What a profile asks for.

    ``subject`` None: no requirement. ``key``: a name such as ``EC-P256`` or ``RSA-3072``. ``signature``: a name such
    as ``ecdsa-sha256``. ``challenge_password``: channel binding is wanted (RFC 7030 section 3.5). ``wanted`` is
    further attribute types, ``attributes`` further attributes with values. ``template`` adds RFC 9908's form, unless
    ``challenge_password`` or ``wanted`` is set: its attributes have a value each, so it cannot ask for these, and a
    client that takes the template ignores the list.
    """

    key: str = ""
    signature: str = ""
    subject: tuple[NameTemplate, ...] | None = None
    extensions: tuple[ExtensionTemplate, ...] = ()
    challenge_password: bool = False
    wanted: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    template: bool = True


def encode(wish: CsrAttributes) -> bytes:
    """DER CsrAttrs."""
    items: list[bytes] = []
    if wish.challenge_password:
        items.append(der.oid(oids.CHALLENGE_PASSWORD))
    if wish.key:
        items.append(_key_attribute(wish.key))
    if wish.signature:
        items.append(_signature_item(wish.signature))
    full = [Extension(one.oid, one.critical, one.value) for one in wish.extensions if one.value is not None]
    if full:
        items.append(Attribute(oids.EXTENSION_REQUEST, (x509.encode_extensions(full),)).encode())
    items += [der.oid(wanted) for wanted in wish.wanted]
    items += [attribute.encode() for attribute in wish.attributes]
    listed_only = wish.challenge_password or wish.wanted
    if wish.template and not listed_only and (wish.subject is not None or wish.key or wish.extensions):
        items.append(Attribute(oids.CERTIFICATION_REQUEST_INFO_TEMPLATE, (_template(wish),)).encode())
    return der.sequence(*items)


def _key_attribute(key: str) -> bytes:
    """Key type and size as RFC 9908 section 3.2 has them; a type without parameters is its identifier alone."""
    if key in _CURVE_OIDS:
        return Attribute(oids.EC_PUBLIC_KEY, (der.oid(_CURVE_OIDS[key]),)).encode()
    if key.startswith("RSA-"):
        return Attribute(oids.RSA_ENCRYPTION, (der.integer(_rsa_bits(key)),)).encode()
    if key in _KEY_OIDS:
        return der.oid(_KEY_OIDS[key])
    raise Fault(FaultKind.BAD_ALGORITHM, f"key algorithm {key}", "the key algorithm is not supported")


def _rsa_bits(key: str) -> int:
    bits = key.removeprefix("RSA-")
    if not bits.isascii() or not bits.isdigit() or not 1024 <= int(bits) <= _MAX_RSA_BITS:
        raise Fault(FaultKind.BAD_ALGORITHM, f"key algorithm {key}", "the key algorithm is not supported")
    return int(bits)


def _signature_item(name: str) -> bytes:
    oid, _ = algorithms.split_algorithm(der.read(algorithms.signature_identifier(name)))
    return der.oid(oid)


def _template(wish: CsrAttributes) -> bytes:
    """DER CertificationRequestInfoTemplate."""
    subject = b""
    if wish.subject is not None:
        rdns = (der.set_of((der.sequence(der.oid(rdn.oid), rdn.value or b""),)) for rdn in wish.subject)
        subject = der.sequence(*rdns)
    key = der.retag(der.context(0), _key_template(wish.key)) if wish.key else b""
    attributes = [one.encode() for one in wish.attributes]
    if wish.extensions:
        attributes.append(_extensions_attribute(wish.extensions).encode())
    return der.sequence(der.integer(0), subject, key, der.retag(der.context(1), der.set_of(attributes)))


def _extensions_attribute(extensions: tuple[ExtensionTemplate, ...]) -> Attribute:
    """ExtensionReq when every value is given, else ExtensionReqTemplate: RFC 9908 wants exactly one of them."""
    whole = all(one.value is not None for one in extensions)
    oid = oids.EXTENSION_REQUEST if whole else oids.EXTENSION_REQUEST_TEMPLATE
    encoded = (
        der.sequence(
            der.oid(one.oid),
            der.boolean(True) if one.critical else b"",
            b"" if one.value is None else der.octet_string(one.value),
        )
        for one in extensions
    )
    return Attribute(oid, (der.sequence(*encoded),))


def _key_template(key: str) -> bytes:
    """SubjectPublicKeyInfoTemplate; an RSA key's size is told by a dummy modulus of that length."""
    if key in _CURVE_OIDS:
        return der.sequence(algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.oid(_CURVE_OIDS[key])))
    if key in _KEY_OIDS:
        return der.sequence(algorithms.algorithm_identifier(_KEY_OIDS[key]))
    modulus = (1 << _rsa_bits(key)) - 1
    dummy = der.sequence(der.integer(modulus), der.integer(65537))
    return der.sequence(algorithms.algorithm_identifier(oids.RSA_ENCRYPTION, der.null()), der.bit_string(dummy))


@dataclass(frozen=True, slots=True)
class Template:
    """A decoded CertificationRequestInfoTemplate."""

    subject: tuple[NameTemplate, ...] | None
    key: str
    extensions: tuple[ExtensionTemplate, ...]
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded CsrAttrs: the list form as it came, what it says of the key, and the template if there is one."""

    identifiers: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    key: str
    extensions: tuple[Extension, ...]
    template: Template | None


def decode(encoded: bytes) -> Decoded:
    """Decode CsrAttrs; Fault(MALFORMED, INVALID, TOO_LARGE)."""
    identifiers: list[str] = []
    attributes: list[Attribute] = []
    for item in der.read(encoded, MAX_CSRATTRS).expect(der.SEQUENCE, "CsrAttrs").children():
        if item.tag == der.OID:
            identifiers.append(item.oid())
        else:
            attributes.append(decode_attribute(item))
    template = single_value(attributes, oids.CERTIFICATION_REQUEST_INFO_TEMPLATE)
    return Decoded(
        identifiers=tuple(identifiers),
        attributes=tuple(attributes),
        key=_listed_key(identifiers, attributes),
        extensions=_listed_extensions(attributes),
        template=_decode_template(template) if template is not None else None,
    )


def _listed_key(identifiers: Sequence[str], attributes: Sequence[Attribute]) -> str:
    curve = single_value(attributes, oids.EC_PUBLIC_KEY)
    if curve is not None:
        oid = der.read(curve).oid()
        return _CURVE_NAMES.get(oid, oid)
    size = single_value(attributes, oids.RSA_ENCRYPTION)
    if size is not None:
        return f"RSA-{_plausible_bits(der.read(size).integer())}"
    return next((_KEY_NAMES[oid] for oid in identifiers if oid in _KEY_NAMES), "")


def _plausible_bits(bits: int) -> int:
    if not 1 <= bits <= _MAX_RSA_BITS:
        raise Fault(FaultKind.INVALID, "RSA size out of range", "the RSA size is out of range")
    return bits


def _listed_extensions(attributes: Sequence[Attribute]) -> tuple[Extension, ...]:
    """Return the extensions asked for; servers before RFC 9908 put other things there, which are left alone."""
    found = next((one for one in attributes if one.oid == oids.EXTENSION_REQUEST), None)
    if found is None or len(found.values) != 1:
        return ()
    element = der.read(found.values[0])
    if element.tag != der.SEQUENCE or not all(child.tag == der.SEQUENCE for child in element.children()):
        return ()
    return x509.decode_extensions(element)


def _decode_template(encoded: bytes) -> Template:
    reader = der.read_sequence(encoded, MAX_CSRATTRS)
    if reader.take(der.INTEGER, "version").integer() != 0:
        raise Fault(FaultKind.UNSUPPORTED, "template version", "only version 1 of the template exists")
    subject, key = reader.optional(der.SEQUENCE), reader.optional(der.context(0))
    attributes = decode_attributes(reader.take(der.context(1), "attributes").children())
    reader.end("CertificationRequestInfoTemplate")
    templates = single_value(attributes, oids.EXTENSION_REQUEST_TEMPLATE)
    request = single_value(attributes, oids.EXTENSION_REQUEST)
    if templates is not None and request is not None:
        raise Fault(FaultKind.INVALID, "both forms of extension request", "extensions are asked for twice")
    chosen = templates if templates is not None else request
    return Template(
        subject=tuple(rdn for child in subject.children() for rdn in _decode_rdn(child)) if subject else None,
        key=_template_key(key) if key is not None else "",
        extensions=tuple(map(_decode_extension, der.read_sequence(chosen).rest())) if chosen is not None else (),
        attributes=attributes,
    )


def _decode_rdn(element: Element) -> tuple[NameTemplate, ...]:
    found: list[NameTemplate] = []
    for child in element.expect(der.SET, "RDN").children():
        reader = child.expect(der.SEQUENCE, "SingleAttributeTemplate").reader()
        oid = reader.take(der.OID, "type").oid()
        value = reader.any().encoded if reader.peek() else None
        reader.end("SingleAttributeTemplate")
        found.append(NameTemplate(oid, value))
    return tuple(found)


def _decode_extension(element: Element) -> ExtensionTemplate:
    reader = element.expect(der.SEQUENCE, "ExtensionTemplate").reader()
    oid = reader.take(der.OID, "extnID").oid()
    critical, value = reader.optional(der.BOOLEAN), reader.optional(der.OCTET_STRING)
    reader.end("ExtensionTemplate")
    return ExtensionTemplate(oid, critical is not None and critical.boolean(), value.octets() if value else None)


def _template_key(element: Element) -> str:
    reader = element.reader()
    oid, parameters = algorithms.split_algorithm(reader.take(der.SEQUENCE, "algorithm"))
    dummy = reader.optional(der.BIT_STRING)
    reader.end("SubjectPublicKeyInfoTemplate")
    if oid == oids.EC_PUBLIC_KEY and parameters is not None:
        curve = parameters.oid()
        return _CURVE_NAMES.get(curve, curve)
    if oid == oids.RSA_ENCRYPTION:
        if dummy is None:
            return "RSA"
        modulus = der.read_sequence(dummy.bits()).take(der.INTEGER, "modulus").integer()
        return f"RSA-{_plausible_bits(modulus.bit_length())}"
    return _KEY_NAMES.get(oid, oid)
