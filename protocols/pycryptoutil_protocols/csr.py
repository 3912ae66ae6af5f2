"""PKCS#10 certification requests (RFC 2986) with the attributes that EST adds (RFC 7030, RFC 6402, RFC 7894).

``decode_csr(der)`` reads, ``verify_csr(csr)`` proves possession. The subject keeps its bytes and string types.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import algorithms, der, names, oids, x509
from .algorithms import KeyInfo
from .der import Element
from .faults import Fault, FaultKind
from .names import GeneralName, Name
from .x509 import Extension

MAX_CSR = 64 * 1024
_MAX_ATTRIBUTES = 32
_MAX_CAPABILITIES = 32
_MAX_PASSWORD = 255  # RFC 2985 appendix A: pkcs-9-ub-challengePassword


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute with its encoded values."""

    oid: str
    values: tuple[bytes, ...] = field(repr=False)  # one of them may be a challenge password


@dataclass(frozen=True, slots=True)
class Capability:
    """One of SMIMECapabilities (RFC 8551 section 2.5.2), in the order of preference."""

    oid: str
    parameters: bytes = b""


@dataclass(frozen=True, slots=True)
class ChangeSubjectName:
    """RFC 6402 section 2.8: the names wanted in the new certificate; None where it says nothing."""

    subject: bytes | None
    sans: tuple[GeneralName, ...] | None


@dataclass(frozen=True, slots=True)
class CertificationRequest:
    """A decoded request; ``extensions_der`` is SEQUENCE OF Extension, empty when none are asked for."""

    der: bytes = field(repr=False)
    info: bytes = field(repr=False)
    subject: bytes
    spki: bytes = field(repr=False)
    attributes: tuple[Attribute, ...]
    extensions: tuple[Extension, ...]
    extensions_der: bytes = field(repr=False)
    sans: tuple[GeneralName, ...]
    challenge_password: str | None = field(repr=False)
    identity_linking: str | None = field(repr=False)
    change_subject_name: ChangeSubjectName | None
    decrypt_key_identifier: bytes | None
    asymmetric_decrypt_key_identifier: bytes | None
    capabilities: tuple[Capability, ...]
    signature_algorithm: bytes
    signature: bytes = field(repr=False)

    @property
    def name(self) -> Name:
        """The subject, decoded."""
        return names.decode_name(self.subject)

    @property
    def key(self) -> KeyInfo:
        """The public key's facts; Fault(BAD_ALGORITHM, WEAK_KEY)."""
        return algorithms.key_info(self.spki)

    def extension(self, oid: str) -> Extension | None:
        """Return the requested extension of a type, or None."""
        return x509.find_extension(self.extensions, oid)


def decode_csr(encoded: bytes) -> CertificationRequest:
    """Decode a request; Fault(MALFORMED, INVALID, TOO_LARGE). Nothing is verified yet."""
    reader = der.read_sequence(encoded, MAX_CSR)
    info = reader.take(der.SEQUENCE, "certificationRequestInfo")
    algorithm = reader.take(der.SEQUENCE, "signatureAlgorithm")
    signature = reader.take(der.BIT_STRING, "signature").bits()
    reader.end("CertificationRequest")
    inner = info.reader()
    if inner.take(der.INTEGER, "version").integer() != 0:
        raise Fault(FaultKind.UNSUPPORTED, "PKCS#10 version", "only version 1 of PKCS#10 exists")
    subject = inner.take(der.SEQUENCE, "subject")
    names.decode_name(subject)
    spki = inner.take(der.SEQUENCE, "subjectPKInfo")
    wrapper = inner.optional(der.context(0))  # RFC 2986 always has it; some clients leave out an empty one
    inner.end("certificationRequestInfo")
    attributes = _decode_attributes(wrapper.children() if wrapper else ())
    single = {attribute.oid: attribute.values[0] for attribute in attributes if len(attribute.values) == 1}
    extensions_der = _extensions_der(attributes)
    extensions = x509.decode_extensions(der.read(extensions_der, MAX_CSR)) if extensions_der else ()
    alternative = x509.find_extension(extensions, oids.SUBJECT_ALT_NAME)
    return CertificationRequest(
        der=encoded,
        info=info.encoded,
        subject=subject.encoded,
        spki=spki.encoded,
        attributes=attributes,
        extensions=extensions,
        extensions_der=extensions_der,
        sans=names.decode_general_names(alternative.value) if alternative else (),
        challenge_password=_password(single.get(oids.CHALLENGE_PASSWORD)),
        identity_linking=_password(single.get(oids.EST_IDENTITY_LINKING)),
        change_subject_name=_change_subject_name(single.get(oids.CHANGE_SUBJECT_NAME)),
        decrypt_key_identifier=_octets(single.get(oids.DECRYPT_KEY_IDENTIFIER)),
        asymmetric_decrypt_key_identifier=_octets(single.get(oids.ASYMMETRIC_DECRYPT_KEY_IDENTIFIER)),
        capabilities=_capabilities(single.get(oids.SMIME_CAPABILITIES)),
        signature_algorithm=algorithm.encoded,
        signature=signature,
    )


def _decode_attributes(found: tuple[Element, ...]) -> tuple[Attribute, ...]:
    if len(found) > _MAX_ATTRIBUTES:
        raise Fault(FaultKind.TOO_LARGE, f"{len(found)} attributes", "the request has too many attributes")
    attributes: dict[str, Attribute] = {}
    for element in found:
        reader = element.expect(der.SEQUENCE, "Attribute").reader()
        oid = reader.take(der.OID, "type").oid()
        values = tuple(child.encoded for child in reader.take(der.SET, "values").children())
        reader.end("Attribute")
        if oid in attributes:
            raise Fault(FaultKind.INVALID, f"attribute {oid} twice", "an attribute is repeated")
        if oid in _SINGLE_VALUED and len(values) != 1:
            raise Fault(FaultKind.INVALID, f"attribute {oid} has {len(values)} values", "an attribute has one value")
        attributes[oid] = Attribute(oid, values)
    return tuple(attributes.values())


_SINGLE_VALUED = frozenset(
    (
        oids.CHALLENGE_PASSWORD,
        oids.EXTENSION_REQUEST,
        oids.MS_EXTENSION_REQUEST,
        oids.EST_IDENTITY_LINKING,
        oids.CHANGE_SUBJECT_NAME,
        oids.DECRYPT_KEY_IDENTIFIER,
        oids.ASYMMETRIC_DECRYPT_KEY_IDENTIFIER,
        oids.SMIME_CAPABILITIES,
    )
)


def _extensions_der(attributes: tuple[Attribute, ...]) -> bytes:
    """Return the requested extensions: PKCS#9's attribute, or Microsoft's older twin of it."""
    found = [a.values[0] for a in attributes if a.oid in (oids.EXTENSION_REQUEST, oids.MS_EXTENSION_REQUEST)]
    if len(found) > 1 and found[0] != found[1]:
        raise Fault(FaultKind.INVALID, "two different extension requests", "the request asks for extensions twice")
    return found[0] if found else b""


def _password(value: bytes | None) -> str | None:
    if value is None:
        return None
    text = der.read(value).text()
    if not 1 <= len(text) <= _MAX_PASSWORD:
        raise Fault(FaultKind.INVALID, "challenge password length", "the challenge password is too long or empty")
    return text


def _octets(value: bytes | None) -> bytes | None:
    return None if value is None else der.read(value).octets()


def _capabilities(value: bytes | None) -> tuple[Capability, ...]:
    if value is None:
        return ()
    children = der.read(value).expect(der.SEQUENCE, "SMIMECapabilities").children()
    if len(children) > _MAX_CAPABILITIES:
        raise Fault(FaultKind.TOO_LARGE, "too many S/MIME capabilities", "too many S/MIME capabilities")
    found: list[Capability] = []
    for child in children:
        oid, parameters = algorithms.split_algorithm(child)
        found.append(Capability(oid, parameters.encoded if parameters else b""))
    return tuple(found)


def _change_subject_name(value: bytes | None) -> ChangeSubjectName | None:
    """SEQUENCE { subject Name OPTIONAL, subjectAlt GeneralNames OPTIONAL }, whose two SEQUENCEs differ by content."""
    if value is None:
        return None
    subject: bytes | None = None
    sans: tuple[GeneralName, ...] | None = None
    for child in der.read(value).expect(der.SEQUENCE, "ChangeSubjectName").children():
        content = child.expect(der.SEQUENCE, "ChangeSubjectName").content
        if sans is None and content and content[0] & 0xC0 == 0x80:
            sans = names.decode_general_names(child.encoded)
        elif subject is None and sans is None:
            subject = names.decode_name(child).der
        else:
            raise der.malformed("ChangeSubjectName")
    if subject is None and sans is None:
        raise Fault(FaultKind.INVALID, "empty ChangeSubjectName", "the change of name names nothing")
    return ChangeSubjectName(subject, sans)


def verify_csr(csr: CertificationRequest) -> None:
    """Check the proof of possession: Fault(BAD_POP), or BAD_ALGORITHM, WEAK_KEY for what cannot be accepted at all."""
    try:
        algorithms.verify(csr.spki, csr.signature_algorithm, csr.info, csr.signature)
    except Fault as fault:
        if fault.kind is FaultKind.BAD_SIGNATURE:
            raise Fault(FaultKind.BAD_POP, fault.detail, "the request's signature is not valid") from None
        raise
