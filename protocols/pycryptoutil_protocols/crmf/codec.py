"""CertReqMessages and what they are made of ⇄ DER (RFC 4211, whose module has IMPLICIT tags).

The ``decode`` functions take an Element of bytes that ``der.read`` has checked; the ``encode`` functions give DER.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pycryptoutil_protocols import algorithms, der, names, x509
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

from .controls import decode_controls, encode_controls
from .messages import (
    AttributeTypeAndValue,
    CertReqMessages,
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Controls,
    PkMac,
    PrivateKeyPop,
    ProofOfPossession,
    RaVerified,
    SignaturePop,
    SigningKeyInput,
    SubsequentMessage,
)
from .values import as_tag, bounded_integer, decode_attributes, encode_attributes, time_of

MAX_REQUESTS = 64  # in one message; each is a certificate to make
_MAX_SERIAL_BITS = 8 * 64


# CertTemplate


def decode_template(element: Element) -> CertTemplate:
    """Decode a CertTemplate, which may bear an implicit tag."""
    reader = element.reader()
    version, serial = reader.optional(der.context(0, constructed=False)), reader.optional(_primitive(1))
    signing, issuer, validity = (reader.optional(der.context(number)) for number in (2, 3, 4))
    subject, spki = reader.optional(der.context(5)), reader.optional(der.context(6))
    issuer_id, subject_id = reader.optional(_primitive(7)), reader.optional(_primitive(8))
    extensions = reader.optional(der.context(9))
    reader.end("CertTemplate")
    not_before, not_after = _decode_validity(validity)
    return CertTemplate(
        serial=_serial(serial) if serial else None,
        issuer=names.decode_name(issuer.inner()).der if issuer else None,
        subject=names.decode_name(subject.inner()).der if subject else None,
        spki=_decode_spki(spki) if spki else None,
        not_before=not_before,
        not_after=not_after,
        extensions=x509.decode_extensions(as_tag(extensions, der.SEQUENCE)) if extensions else (),
        version=bounded_integer(as_tag(version, der.INTEGER), 0, 2, "version") if version else None,
        signing_algorithm=_decode_algorithm(signing) if signing else None,
        issuer_unique_id=issuer_id.content if issuer_id else None,
        subject_unique_id=subject_id.content if subject_id else None,
    )


def _primitive(number: int) -> int:
    return der.context(number, constructed=False)


def _serial(element: Element) -> int:
    if len(element.content) * 8 > _MAX_SERIAL_BITS:
        raise Fault(FaultKind.TOO_LARGE, "serial number too long", "the serial number is too long")
    return as_tag(element, der.INTEGER).integer()


def _decode_spki(element: Element) -> bytes:
    spki = as_tag(element, der.SEQUENCE)
    reader = spki.reader()
    algorithms.split_algorithm(reader.any("algorithm"))
    reader.take(der.BIT_STRING, "subjectPublicKey").bits()
    reader.end("SubjectPublicKeyInfo")
    return spki.encoded


def _decode_algorithm(element: Element) -> bytes:
    algorithm = as_tag(element, der.SEQUENCE)
    algorithms.split_algorithm(algorithm)
    return algorithm.encoded


def _decode_validity(element: Element | None) -> tuple[datetime | None, datetime | None]:
    if element is None:
        return None, None
    reader = element.reader()
    before, after = reader.optional(der.context(0)), reader.optional(der.context(1))
    reader.end("OptionalValidity")
    return before.inner().time() if before else None, after.inner().time() if after else None


def encode_template(template: CertTemplate) -> bytes:
    """DER CertTemplate."""
    extensions = x509.encode_extensions(template.extensions) if template.extensions else None
    return der.sequence(
        b"" if template.version is None else der.retag(_primitive(0), der.integer(template.version)),
        b"" if template.serial is None else der.retag(_primitive(1), der.integer(template.serial)),
        _retagged(der.context(2), template.signing_algorithm),
        b"" if template.issuer is None else der.explicit(3, template.issuer),
        _encode_validity(template),
        b"" if template.subject is None else der.explicit(5, template.subject),
        _retagged(der.context(6), template.spki),
        b"" if template.issuer_unique_id is None else der.implicit(7, template.issuer_unique_id),
        b"" if template.subject_unique_id is None else der.implicit(8, template.subject_unique_id),
        _retagged(der.context(9), extensions),
    )


def _retagged(tag: int, encoded: bytes | None) -> bytes:
    return b"" if encoded is None else der.retag(tag, encoded)


def _encode_validity(template: CertTemplate) -> bytes:
    moments = enumerate((template.not_before, template.not_after))
    parts = [der.explicit(number, time_of(at)) for number, at in moments if at is not None]
    return der.explicit(4, *parts) if parts else b""


# Proof of possession


def _decode_pkmac(element: Element) -> PkMac:
    reader = element.reader()
    algorithm = reader.take(der.SEQUENCE, "algId")
    algorithms.split_algorithm(algorithm)
    value = reader.take(der.BIT_STRING, "value").bits()
    reader.end("PKMACValue")
    return PkMac(algorithm.encoded, value)


def _encode_pkmac(mac: PkMac) -> bytes:
    return der.sequence(mac.algorithm, der.bit_string(mac.value))


def _decode_pop(element: Element) -> ProofOfPossession:
    if element.tag == _primitive(0):
        as_tag(element, der.NULL).null()
        return RaVerified()
    if element.tag == der.context(1):
        return _decode_signature(element)
    if element.tag in (der.context(2), der.context(3)):
        return _decode_private_key(element.inner(), agreement=element.tag == der.context(3))
    raise der.malformed(f"proof of possession with tag {element.tag:#04x}")


def _decode_signature(element: Element) -> SignaturePop:
    reader = element.reader()
    wrapped = reader.optional(der.context(0))
    algorithm = reader.take(der.SEQUENCE, "algorithmIdentifier")
    algorithms.split_algorithm(algorithm)
    signature = reader.take(der.BIT_STRING, "signature").bits()
    reader.end("POPOSigningKey")
    return SignaturePop(algorithm.encoded, signature, _decode_input(wrapped) if wrapped else None)


def _decode_input(element: Element) -> SigningKeyInput:
    reader = element.reader()
    author = reader.any("authInfo")
    spki = _decode_spki(reader.take(der.SEQUENCE, "publicKey"))
    reader.end("POPOSigningKeyInput")
    encoded = der.retag(der.SEQUENCE, element.encoded)
    if author.tag == der.context(0):
        return SigningKeyInput(spki, sender=names.decode_general_name(author.inner()), encoded=encoded)
    return SigningKeyInput(spki, mac=_decode_pkmac(author.expect(der.SEQUENCE, "publicKeyMAC")), encoded=encoded)


def _decode_private_key(element: Element, *, agreement: bool) -> PrivateKeyPop:
    if element.tag == _primitive(0):
        return PrivateKeyPop(agreement, this_message=as_tag(element, der.BIT_STRING).bits())
    if element.tag == _primitive(1):
        value = bounded_integer(as_tag(element, der.INTEGER), 0, 1, "subsequentMessage")
        return PrivateKeyPop(agreement, subsequent=SubsequentMessage(value))
    if element.tag == _primitive(2):
        return PrivateKeyPop(agreement, dh_mac=as_tag(element, der.BIT_STRING).bits())
    if element.tag == der.context(3):
        return PrivateKeyPop(agreement, agree_mac=_decode_pkmac(element))
    if element.tag == der.context(4):
        return PrivateKeyPop(agreement, encrypted_key=der.retag(der.SEQUENCE, element.encoded))
    raise der.malformed(f"POPOPrivKey with tag {element.tag:#04x}")


def _encode_pop(pop: ProofOfPossession) -> bytes:
    if isinstance(pop, RaVerified):
        return der.retag(_primitive(0), der.null())
    if isinstance(pop, SignaturePop):
        wrapped = der.retag(der.context(0), encode_signing_input(pop.input)) if pop.input else b""
        return der.explicit(1, wrapped, pop.algorithm, der.bit_string(pop.signature))
    return der.explicit(3 if pop.agreement else 2, _encode_private_key(pop))


def encode_signing_input(value: SigningKeyInput) -> bytes:
    """DER POPOSigningKeyInput, which is what the signature is over: the bytes as they came, if they came."""
    if value.encoded:
        return value.encoded
    if value.sender is not None:
        return der.sequence(der.explicit(0, value.sender.der), value.spki)
    if value.mac is None:
        raise Fault(FaultKind.INVALID, "POPOSigningKeyInput without authInfo", "the proof of possession is empty")
    return der.sequence(_encode_pkmac(value.mac), value.spki)


def _encode_private_key(pop: PrivateKeyPop) -> bytes:
    if pop.this_message is not None:
        return der.retag(_primitive(0), der.bit_string(pop.this_message))
    if pop.subsequent is not None:
        return der.retag(_primitive(1), der.integer(pop.subsequent))
    if pop.dh_mac is not None:
        return der.retag(_primitive(2), der.bit_string(pop.dh_mac))
    if pop.agree_mac is not None:
        return der.retag(der.context(3), _encode_pkmac(pop.agree_mac))
    if pop.encrypted_key is not None:
        return der.retag(der.context(4), pop.encrypted_key)
    raise Fault(FaultKind.INVALID, "POPOPrivKey without a choice", "the proof of possession is empty")


# CertReqMessages


def decode_request(element: Element) -> CertRequest:
    """Decode a CertRequest."""
    reader = element.expect(der.SEQUENCE, "CertRequest").reader()
    request_id = bounded_integer(reader.take(der.INTEGER, "certReqId"), -1, 2**63 - 1, "certReqId")
    template = decode_template(reader.take(der.SEQUENCE, "certTemplate"))
    controls = reader.optional(der.SEQUENCE)
    reader.end("CertRequest")
    found = decode_controls(controls) if controls else Controls()
    return CertRequest(request_id, template, found, encoded=element.encoded)


def encode_request(request: CertRequest) -> bytes:
    """DER CertRequest, which is what a signature without input is over: the bytes as they came, if they came."""
    if request.encoded:
        return request.encoded
    controls = encode_controls(request.controls) if request.controls != Controls() else b""
    return der.sequence(der.integer(request.request_id), encode_template(request.template), controls)


def _decode_message(element: Element) -> CertReqMsg:
    reader = element.expect(der.SEQUENCE, "CertReqMsg").reader()
    request = decode_request(reader.any("certReq"))
    pop = _decode_pop(reader.any()) if reader.peek() & 0xC0 == 0x80 else None
    infos = reader.optional(der.SEQUENCE)
    reader.end("CertReqMsg")
    return CertReqMsg(request, pop, _registration_info(infos))


def _registration_info(element: Element | None) -> tuple[AttributeTypeAndValue, ...]:
    if element is None:
        return ()
    return decode_attributes(element, "regInfo")


def encode_message(message: CertReqMsg) -> bytes:
    """DER CertReqMsg."""
    pop = _encode_pop(message.pop) if message.pop is not None else b""
    infos = encode_attributes(message.registration_info) if message.registration_info else b""
    return der.sequence(encode_request(message.request), pop, infos)


def decode_messages(element: Element) -> CertReqMessages:
    """Decode CertReqMessages; Fault(MALFORMED, INVALID, TOO_LARGE). Nothing is verified yet."""
    children = element.expect(der.SEQUENCE, "CertReqMessages").children()
    if not children:
        raise Fault(FaultKind.INVALID, "empty CertReqMessages", "there is no request in the message")
    if len(children) > MAX_REQUESTS:
        raise Fault(FaultKind.TOO_LARGE, f"{len(children)} requests", "too many requests in one message")
    return tuple(_decode_message(child) for child in children)


def encode_messages(messages: Sequence[CertReqMsg]) -> bytes:
    """DER CertReqMessages."""
    return der.sequence(*(encode_message(message) for message in messages))
