"""PKCS#10 certification requests (RFC 2986) with the attributes that EST adds (RFC 7030, RFC 6402, RFC 7894).

``decode_csr(der)`` reads, ``verify_csr(csr)`` proves possession. The subject keeps its bytes and string types.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import algorithms, der, names, oids, x509
from .algorithms import KeyInfo
from .attributes import Attribute, decode_attributes, single_value
from .faults import Fault, FaultKind
from .names import GeneralName, Name
from .x509 import Extension

MAX_CSR = 64 * 1024
_MAX_CAPABILITIES = 32
_VERSIONS = (0, 2)  # v1 is 0, the only one of RFC 2986; SCEP clients of macOS and iOS have written 2
_MAX_PASSWORD = 255  # RFC 2985 appendix A: pkcs-9-ub-challengePassword


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


class _Proof:
    """Whether a request's signature has been verified. It never changes, for neither does the request."""

    __slots__ = ("given",)

    def __init__(self) -> None:
        self.given = False


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
    proof: _Proof = field(default_factory=_Proof, init=False, repr=False, compare=False)  # a copy proves anew

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
    if inner.take(der.INTEGER, "version").integer() not in _VERSIONS:
        raise Fault(FaultKind.UNSUPPORTED, "PKCS#10 version", "only version 1 of PKCS#10 exists")
    subject = inner.take(der.SEQUENCE, "subject")
    names.decode_name(subject)
    spki = inner.take(der.SEQUENCE, "subjectPKInfo")
    wrapper = inner.optional(der.context(0))  # RFC 2986 always has it; some clients leave out an empty one
    inner.end("certificationRequestInfo")
    attributes = decode_attributes(wrapper.children() if wrapper else ())
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
        challenge_password=_password(single_value(attributes, oids.CHALLENGE_PASSWORD)),
        identity_linking=_password(single_value(attributes, oids.EST_IDENTITY_LINKING)),
        change_subject_name=_change_subject_name(single_value(attributes, oids.CHANGE_SUBJECT_NAME)),
        decrypt_key_identifier=_octets(single_value(attributes, oids.DECRYPT_KEY_IDENTIFIER)),
        asymmetric_decrypt_key_identifier=_octets(single_value(attributes, oids.ASYMMETRIC_DECRYPT_KEY_IDENTIFIER)),
        capabilities=_capabilities(single_value(attributes, oids.SMIME_CAPABILITIES)),
        signature_algorithm=algorithm.encoded,
        signature=signature,
    )


def _extensions_der(attributes: tuple[Attribute, ...]) -> bytes:
    """Return the requested extensions: PKCS#9's attribute, or Microsoft's older twin of it."""
    standard = single_value(attributes, oids.EXTENSION_REQUEST)
    older = single_value(attributes, oids.MS_EXTENSION_REQUEST)
    if standard and older and standard != older:
        raise Fault(FaultKind.INVALID, "two different extension requests", "the request asks for extensions twice")
    return standard or older or b""


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
    return decode_change_subject_name(value) if value is not None else None


def decode_change_subject_name(value: bytes) -> ChangeSubjectName:
    """SEQUENCE { subject Name OPTIONAL, subjectAlt GeneralNames OPTIONAL }, whose two SEQUENCEs differ by content."""
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
    """Check the proof of possession: Fault(BAD_POP), or BAD_ALGORITHM, WEAK_KEY for what cannot be accepted at all.

    A protocol and the CA behind it both ask, about the same object: the second time it is known.
    """
    if csr.proof.given:
        return
    try:
        algorithms.verify(csr.spki, csr.signature_algorithm, csr.info, csr.signature)
    except Fault as fault:
        if fault.kind is FaultKind.BAD_SIGNATURE:
            raise Fault(FaultKind.BAD_POP, fault.detail, "the request's signature is not valid") from None
        raise
    csr.proof.given = True
