"""The values of CMC's controls ⇄ DER (RFC 5272 section 6 and appendix A, RFC 6402)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pycryptoutil_protocols import algorithms, der, names, x509
from pycryptoutil_protocols.crmf.codec import decode_template, encode_template
from pycryptoutil_protocols.crmf.messages import CertTemplate, PublicationInfo
from pycryptoutil_protocols.crmf.values import decode_publication, encode_publication
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.x509 import Extension

from .codec import (
    body_part,
    decode_parts,
    decode_path,
    decode_reference,
    decode_request,
    encode_parts,
    encode_reference,
)
from .messages import BodyPartPath, ExtendedFailInfo, FailInfo, PendInfo, Status, StatusInfo, TaggedRequest

_E = TypeVar("_E", Status, FailInfo)
MAX_OCTETS = 4096  # of nonces, tokens, returned data
_MAX_SERIAL_OCTETS = 64
_MAX_TEXT = 1024
_MAX_HASHES = 256
_MAX_NUMBER_OCTETS = 128  # of a transactionId


@dataclass(frozen=True, slots=True)
class MacProof:
    """IdentityProofV2 or PopLinkWitnessV2: how the key is derived, how the MAC is made, and the MAC (section 6.2)."""

    key_algorithm: bytes
    mac_algorithm: bytes
    witness: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddExtensions:
    """Section 6.5.2: what an RA adds to requests of the message ``data``."""

    data: int
    requests: tuple[int, ...]
    extensions: tuple[Extension, ...]


@dataclass(frozen=True, slots=True)
class ModCertTemplate:
    """Section 6.5.1: what an RA puts into requests; with ``replace`` instead of what is there."""

    data: BodyPartPath
    requests: tuple[int, ...]
    template: CertTemplate
    replace: bool = True


@dataclass(frozen=True, slots=True)
class EncryptedPop:
    """Section 6.7: a challenge to a key that decrypts; ``cms`` is a ContentInfo."""

    request: TaggedRequest
    cms: bytes = field(repr=False)
    pop_algorithm: bytes
    witness_algorithm: bytes
    witness: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DecryptedPop:
    """Section 6.7: the answer, for the request ``body_part`` of the same message."""

    body_part: int
    algorithm: bytes
    proof: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RaPopWitness:
    """LraPopWitness (section 6.8): an RA's word that possession was shown for requests of the message ``data``."""

    data: int
    requests: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GetCert:
    """Section 6.9."""

    issuer: GeneralName
    serial: int


@dataclass(frozen=True, slots=True)
class GetCrl:
    """Section 6.10; ``reasons`` is a DER BIT STRING."""

    issuer: bytes
    name: GeneralName | None = None
    time: datetime | None = None
    reasons: bytes = b""


@dataclass(frozen=True, slots=True)
class RevokeRequest:
    """Section 6.11; ``reason`` is a CRLReason."""

    issuer: bytes
    serial: int
    reason: int
    invalidity_date: datetime | None = None
    shared_secret: bytes | None = field(default=None, repr=False)
    comment: str = ""


@dataclass(frozen=True, slots=True)
class IssuerAndSerial:
    """CMCCertId (section 6.13)."""

    issuer: bytes
    serial: int


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """PublishTrustAnchors (section 6.15): anchors by their hash; a higher number replaces a lower one."""

    number: int
    hash_algorithm: bytes
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """CMCPublicationInfo (section 6.18)."""

    hash_algorithm: bytes
    hashes: tuple[bytes, ...]
    info: PublicationInfo


def _octets(element: Element) -> bytes:
    content = element.octets()
    if len(content) > MAX_OCTETS:
        raise Fault(FaultKind.TOO_LARGE, f"{len(content)} octets in a control", "a control's value is too long")
    return content


def decode_octets(element: Element) -> bytes:
    """Decode an OCTET STRING of a bounded length."""
    return _octets(element)


def decode_number(element: Element) -> int:
    """Decode an INTEGER of a bounded length."""
    if len(element.content) > _MAX_NUMBER_OCTETS:
        raise Fault(FaultKind.TOO_LARGE, "integer too long", "a number is out of range")
    return element.expect(der.INTEGER, "number").integer()


def decode_text(element: Element) -> str:
    """Decode a UTF8String of a bounded length without control characters."""
    text = element.expect(der.UTF8_STRING, "text").text()
    if len(text) > _MAX_TEXT or any(ord(character) < 0x20 and character not in "\t\r\n" for character in text):
        raise Fault(FaultKind.INVALID, "length or characters of a text", "a text is too long or has control characters")
    return text


def _algorithm(element: Element) -> bytes:
    algorithms.split_algorithm(element)
    return element.encoded


def _serial(element: Element) -> int:
    if len(element.content) > _MAX_SERIAL_OCTETS:
        raise Fault(FaultKind.TOO_LARGE, "serial number too long", "the serial number is too long")
    return element.expect(der.INTEGER, "serialNumber").integer()


def _name(element: Element) -> bytes:
    return names.decode_name(element).der


def _parts(element: Element) -> tuple[int, ...]:
    """SEQUENCE OF BodyPartID, which may be empty."""
    return decode_parts(element, "body parts") if element.expect(der.SEQUENCE, "body parts").content else ()


def decode_mac_proof(element: Element) -> MacProof:
    """Decode an IdentityProofV2 or PopLinkWitnessV2."""
    reader = element.expect(der.SEQUENCE, "witness").reader()
    key, mac = (_algorithm(reader.take(der.SEQUENCE, "algorithm")) for _ in range(2))
    witness = _octets(reader.take(der.OCTET_STRING, "witness"))
    reader.end("witness")
    return MacProof(key, mac, witness)


def encode_mac_proof(value: MacProof) -> bytes:
    """DER IdentityProofV2 or PopLinkWitnessV2."""
    return der.sequence(value.key_algorithm, value.mac_algorithm, der.octet_string(value.witness))


def decode_add_extensions(element: Element) -> AddExtensions:
    """Decode an AddExtensions."""
    reader = element.expect(der.SEQUENCE, "AddExtensions").reader()
    data, requests = body_part(reader.any("pkiDataReference"), reference=True), _parts(reader.any("certReferences"))
    extensions = x509.decode_extensions(reader.any("extensions"))
    reader.end("AddExtensions")
    return AddExtensions(data, requests, extensions)


def encode_add_extensions(value: AddExtensions) -> bytes:
    """DER AddExtensions."""
    return der.sequence(der.integer(value.data), encode_parts(value.requests), x509.encode_extensions(value.extensions))


def decode_mod_template(element: Element) -> ModCertTemplate:
    """Decode a ModCertTemplate."""
    reader = element.expect(der.SEQUENCE, "ModCertTemplate").reader()
    data = decode_path(reader.take(der.SEQUENCE, "pkiDataReference"))
    requests = decode_parts(reader.any("certReferences"), "certReferences")
    replace = reader.optional(der.BOOLEAN)
    template = decode_template(reader.take(der.SEQUENCE, "certTemplate"))
    reader.end("ModCertTemplate")
    if replace is not None and replace.boolean():
        raise der.malformed("replace has its default value")
    return ModCertTemplate(data, requests, template, replace is None)


def encode_mod_template(value: ModCertTemplate) -> bytes:
    """DER ModCertTemplate."""
    replace = b"" if value.replace else der.boolean(False)
    template = encode_template(value.template)
    return der.sequence(encode_parts(value.data), encode_parts(value.requests), replace, template)


def decode_encrypted_pop(element: Element) -> EncryptedPop:
    """Decode an EncryptedPOP."""
    reader = element.expect(der.SEQUENCE, "EncryptedPOP").reader()
    request, cms = decode_request(reader.any("request")), reader.take(der.SEQUENCE, "cms").encoded
    pop, witness = (_algorithm(reader.take(der.SEQUENCE, "algorithm")) for _ in range(2))
    value = _octets(reader.take(der.OCTET_STRING, "witness"))
    reader.end("EncryptedPOP")
    return EncryptedPop(request, cms, pop, witness, value)


def encode_encrypted_pop(value: EncryptedPop) -> bytes:
    """DER EncryptedPOP."""
    return der.sequence(
        value.request.encoded,
        value.cms,
        value.pop_algorithm,
        value.witness_algorithm,
        der.octet_string(value.witness),
    )


def decode_decrypted_pop(element: Element) -> DecryptedPop:
    """Decode a DecryptedPOP."""
    reader = element.expect(der.SEQUENCE, "DecryptedPOP").reader()
    identifier, algorithm = body_part(reader.any("bodyPartID")), _algorithm(reader.take(der.SEQUENCE, "thePOPAlgID"))
    proof = _octets(reader.take(der.OCTET_STRING, "thePOP"))
    reader.end("DecryptedPOP")
    return DecryptedPop(identifier, algorithm, proof)


def encode_decrypted_pop(value: DecryptedPop) -> bytes:
    """DER DecryptedPOP."""
    return der.sequence(der.integer(value.body_part), value.algorithm, der.octet_string(value.proof))


def decode_ra_pop(element: Element) -> RaPopWitness:
    """Decode a LraPopWitness."""
    reader = element.expect(der.SEQUENCE, "LraPopWitness").reader()
    data, requests = body_part(reader.any("pkiDataBodyid"), reference=True), _parts(reader.any("bodyIds"))
    reader.end("LraPopWitness")
    return RaPopWitness(data, requests)


def encode_ra_pop(value: RaPopWitness) -> bytes:
    """DER LraPopWitness."""
    return der.sequence(der.integer(value.data), encode_parts(value.requests))


def decode_get_cert(element: Element) -> GetCert:
    """Decode a GetCert."""
    reader = element.expect(der.SEQUENCE, "GetCert").reader()
    found = GetCert(names.decode_general_name(reader.any("issuerName")), _serial(reader.any("serialNumber")))
    reader.end("GetCert")
    return found


def encode_get_cert(value: GetCert) -> bytes:
    """DER GetCert."""
    return der.sequence(value.issuer.der, der.integer(value.serial))


def directory_name(name: GeneralName) -> bytes:
    """Return the DER Name of a directoryName."""
    return der.read(name.der).inner().encoded


def decode_get_crl(element: Element) -> GetCrl:
    """Decode a GetCRL."""
    reader = element.expect(der.SEQUENCE, "GetCRL").reader()
    issuer = _name(reader.take(der.SEQUENCE, "issuerName"))
    name = names.decode_general_name(reader.any()) if reader.peek() & 0xC0 == 0x80 else None
    time, reasons = reader.optional(der.GENERALIZED_TIME), reader.optional(der.BIT_STRING)
    reader.end("GetCRL")
    return GetCrl(issuer, name, time.time() if time else None, reasons.encoded if reasons else b"")


def encode_get_crl(value: GetCrl) -> bytes:
    """DER GetCRL."""
    name = value.name.der if value.name else b""
    return der.sequence(value.issuer, name, _time(value.time), value.reasons)


def _time(moment: datetime | None) -> bytes:
    return der.generalized_time(int(moment.timestamp())) if moment is not None else b""


def decode_revoke(element: Element) -> RevokeRequest:
    """Decode a RevokeRequest."""
    reader = element.expect(der.SEQUENCE, "RevokeRequest").reader()
    issuer, serial = _name(reader.take(der.SEQUENCE, "issuerName")), _serial(reader.any("serialNumber"))
    reason = reader.take(der.ENUMERATED, "reason")
    if len(reason.content) > 2:
        raise Fault(FaultKind.INVALID, "CRLReason out of range", "there is no such revocation reason")
    date, secret = reader.optional(der.GENERALIZED_TIME), reader.optional(der.OCTET_STRING)
    comment = reader.optional(der.UTF8_STRING)
    reader.end("RevokeRequest")
    return RevokeRequest(
        issuer,
        serial,
        reason.integer(),
        date.time() if date else None,
        _octets(secret) if secret else None,
        decode_text(comment) if comment else "",
    )


def encode_revoke(value: RevokeRequest) -> bytes:
    """DER RevokeRequest."""
    secret = der.octet_string(value.shared_secret) if value.shared_secret is not None else b""
    comment = der.utf8_string(value.comment) if value.comment else b""
    return der.sequence(
        value.issuer,
        der.integer(value.serial),
        der.enumerated(value.reason),
        _time(value.invalidity_date),
        secret,
        comment,
    )


def decode_issuer_and_serial(element: Element) -> IssuerAndSerial:
    """Decode a CMCCertId."""
    reader = element.expect(der.SEQUENCE, "CMCCertId").reader()
    found = IssuerAndSerial(_name(reader.take(der.SEQUENCE, "issuer")), _serial(reader.any("serialNumber")))
    reader.end("CMCCertId")
    return found


def encode_issuer_and_serial(value: IssuerAndSerial) -> bytes:
    """DER CMCCertId."""
    return der.sequence(value.issuer, der.integer(value.serial))


def _hashes(element: Element) -> tuple[bytes, ...]:
    children = element.expect(der.SEQUENCE, "hashes").children()
    if len(children) > _MAX_HASHES:
        raise Fault(FaultKind.TOO_LARGE, f"{len(children)} hashes", "there are too many hashes")
    return tuple(_octets(child) for child in children)


def decode_trust_anchors(element: Element) -> TrustAnchors:
    """Decode a PublishTrustAnchors."""
    reader = element.expect(der.SEQUENCE, "PublishTrustAnchors").reader()
    number, algorithm = decode_number(reader.any("seqNumber")), _algorithm(reader.take(der.SEQUENCE, "hashAlgorithm"))
    hashes = _hashes(reader.any("anchorHashes"))
    reader.end("PublishTrustAnchors")
    return TrustAnchors(number, algorithm, hashes)


def encode_trust_anchors(value: TrustAnchors) -> bytes:
    """DER PublishTrustAnchors."""
    hashes = der.sequence(*map(der.octet_string, value.hashes))
    return der.sequence(der.integer(value.number), value.hash_algorithm, hashes)


def decode_cmc_publication(element: Element) -> Publication:
    """Decode a CMCPublicationInfo."""
    reader = element.expect(der.SEQUENCE, "CMCPublicationInfo").reader()
    algorithm, hashes = _algorithm(reader.take(der.SEQUENCE, "hashAlg")), _hashes(reader.any("certHashes"))
    info = decode_publication(reader.take(der.SEQUENCE, "pubInfo"))
    reader.end("CMCPublicationInfo")
    return Publication(algorithm, hashes, info)


def encode_cmc_publication(value: Publication) -> bytes:
    """DER CMCPublicationInfo."""
    hashes = der.sequence(*map(der.octet_string, value.hashes))
    return der.sequence(value.hash_algorithm, hashes, encode_publication(value.info))


def decode_references(element: Element) -> tuple[BodyPartPath, ...]:
    """Decode a ControlsProcessed: SEQUENCE { SEQUENCE OF BodyPartReference }."""
    reader = element.expect(der.SEQUENCE, "ControlsProcessed").reader()
    found = _reference_list(reader.take(der.SEQUENCE, "bodyList"))
    reader.end("ControlsProcessed")
    return found


def encode_references(value: tuple[BodyPartPath, ...]) -> bytes:
    """DER ControlsProcessed."""
    return der.sequence(der.sequence(*map(encode_reference, value)))


def _reference_list(element: Element) -> tuple[BodyPartPath, ...]:
    children = element.children()
    if not 1 <= len(children) <= _MAX_HASHES:
        raise Fault(FaultKind.INVALID, "bodyList empty or too long", "a list of body parts is empty or too long")
    return tuple(map(decode_reference, children))


# Status


def decode_status_v1(element: Element) -> StatusInfo:
    """Decode a CMCStatusInfo."""
    return _decode_status(element, 1)


def decode_status(element: Element) -> StatusInfo:
    """Decode a CMCStatusInfoV2."""
    return _decode_status(element, 2)


def _decode_status(element: Element, version: int) -> StatusInfo:
    reader = element.expect(der.SEQUENCE, "CMCStatusInfo").reader()
    status = _member(Status, decode_number(reader.any("cMCStatus")))
    body_list = reader.take(der.SEQUENCE, "bodyList")
    text = reader.optional(der.UTF8_STRING)
    other = reader.any() if reader.peek() else None
    reader.end("CMCStatusInfo")
    failure, pending, extended = _decode_other(other, version) if other is not None else (None, None, None)
    if (failure is not None or extended is not None) and status is not Status.FAILED:
        raise Fault(FaultKind.INVALID, "failure with another status", "the status contradicts itself")
    if (pending is not None) != (status in (Status.PENDING, Status.PARTIAL)):
        raise Fault(FaultKind.INVALID, "pendInfo and status", "the status contradicts itself")
    parts = (
        _reference_list(body_list) if version == 2 else tuple((part,) for part in decode_parts(body_list, "bodyList"))
    )
    return StatusInfo(status, parts, text.text() if text else "", failure, pending, extended, version)


def _member(kind: type[_E], value: int) -> _E:
    try:
        return kind(value)
    except ValueError:
        raise Fault(FaultKind.INVALID, f"{kind.__name__} {value}", "there is no such status or failure") from None


def _decode_other(element: Element, version: int) -> tuple[FailInfo | None, PendInfo | None, ExtendedFailInfo | None]:
    if element.tag == der.INTEGER:
        return _member(FailInfo, decode_number(element)), None, None
    extended = element.tag == der.context(1)
    reader = element.reader()
    # the two ASN.1 modules of RFC 6402 differ on whether extendedFailInfo is tagged; its first member tells
    if (extended or reader.peek() == der.OID) and version == 2:
        oid, value = reader.take(der.OID, "failInfoOID").oid(), reader.any("failInfoValue").encoded
        reader.end("extendedFailInfo")
        return None, None, ExtendedFailInfo(oid, value)
    element.expect(der.SEQUENCE, "pendInfo")
    token, time = _octets(reader.take(der.OCTET_STRING, "pendToken")), reader.take(der.GENERALIZED_TIME, "pendTime")
    reader.end("pendInfo")
    return None, PendInfo(token, time.time()), None


def encode_status(value: StatusInfo) -> bytes:
    """DER CMCStatusInfoV2, or CMCStatusInfo for version 1."""
    other = b""
    if value.failure is not None:
        other = der.integer(value.failure)
    elif value.pending is not None:
        other = der.sequence(der.octet_string(value.pending.token), _time(value.pending.time))
    elif value.extended is not None:
        other = der.explicit(1, der.oid(value.extended.oid), value.extended.value)
    return der.sequence(
        der.integer(value.status),
        der.sequence(*map(encode_reference, value.parts)),
        der.utf8_string(value.text) if value.text else b"",
        other,
    )
