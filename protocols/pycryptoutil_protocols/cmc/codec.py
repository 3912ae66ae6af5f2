"""PKIData and PKIResponse ⇄ DER (RFC 5272 section 3.2, whose module has IMPLICIT tags).

``decode_data`` and ``decode_response`` are for bytes from outside: they check size, depth, how many parts there are,
and that no two parts of a message share an identifier (section 3.2.2). What a part asks for is not judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pycryptoutil_protocols import csr, der
from pycryptoutil_protocols.crmf import codec as crmf_codec
from pycryptoutil_protocols.crmf.messages import CertReqMsg
from pycryptoutil_protocols.crmf.values import as_tag
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import (
    MAX_BODY_PART,
    THIS_MESSAGE,
    BodyPartPath,
    Control,
    OtherMessage,
    PkiData,
    PkiResponse,
    RequestKind,
    TaggedContent,
    TaggedRequest,
)

MAX_MESSAGE = 2 << 20
MAX_DEPTH = 60  # a message in a message in a message, each in SignedData
MAX_PARTS = 256  # of all kinds together
MAX_PATH = 8
_PKCS10, _CRMF, _OTHER = (der.context(number) for number in range(3))
_T = TypeVar("_T", Control, TaggedContent, OtherMessage)


def body_part(element: Element, *, reference: bool = False) -> int:
    """Decode a BodyPartID; 0 may be referred to and never be a part's own (RFC 5272 section 3.2.2)."""
    if len(element.content) > 5:
        raise Fault(FaultKind.INVALID, "BodyPartID too long", "a body part identifier is out of range")
    value = element.expect(der.INTEGER, "BodyPartID").integer()
    if not (THIS_MESSAGE if reference else 1) <= value <= MAX_BODY_PART:
        raise Fault(FaultKind.INVALID, f"BodyPartID {value}", "a body part identifier is out of range")
    return value


def decode_parts(element: Element, what: str) -> tuple[int, ...]:
    """Decode a SEQUENCE SIZE (1..MAX) OF BodyPartID of references."""
    children = element.expect(der.SEQUENCE, what).children()
    if not 1 <= len(children) <= MAX_PARTS:
        raise Fault(
            FaultKind.INVALID, f"{what} with {len(children)} parts", "a list of body parts is empty or too long"
        )
    return tuple(body_part(child, reference=True) for child in children)


def encode_parts(parts: Iterable[int]) -> bytes:
    """DER SEQUENCE OF BodyPartID."""
    return der.sequence(*(der.integer(part) for part in parts))


def decode_path(element: Element) -> BodyPartPath:
    """Decode a BodyPartPath."""
    path = decode_parts(element, "BodyPartPath")
    if len(path) > MAX_PATH:
        raise Fault(FaultKind.TOO_LARGE, f"BodyPartPath of {len(path)}", "a path of body parts is too long")
    return path


def decode_reference(element: Element) -> BodyPartPath:
    """Decode a BodyPartReference: an identifier or a path."""
    if element.tag == der.INTEGER:
        return (body_part(element, reference=True),)
    return decode_path(element)


def encode_reference(path: BodyPartPath) -> bytes:
    """DER BodyPartReference: the shorter of its two forms."""
    return der.integer(path[0]) if len(path) == 1 else encode_parts(path)


# Requests


def decode_data(encoded: bytes) -> PkiData:
    """Decode a PKIData; Fault(MALFORMED, INVALID, TOO_LARGE, UNSUPPORTED)."""
    reader = der.read(encoded, MAX_MESSAGE, MAX_DEPTH).expect(der.SEQUENCE, "PKIData").reader()
    controls = _several(reader.take(der.SEQUENCE, "controlSequence"), _decode_control)
    requests = reader.take(der.SEQUENCE, "reqSequence")
    contents = _several(reader.take(der.SEQUENCE, "cmsSequence"), _decode_content)
    others = _several(reader.take(der.SEQUENCE, "otherMsgSequence"), _decode_other)
    reader.end("PKIData")
    children = requests.children()
    _check_count(len(children))
    found = tuple(decode_request(child) for child in children)
    _check_identifiers((*controls, *found, *contents, *others))
    return PkiData(controls, found, contents, others, requests.encoded)


def encode_data(data: PkiData) -> bytes:
    """DER PKIData."""
    return der.sequence(
        der.sequence(*map(encode_control, data.controls)),
        der.sequence(*(request.encoded for request in data.requests)),
        der.sequence(*map(_encode_content, data.contents)),
        der.sequence(*map(_encode_other, data.others)),
    )


def decode_response(encoded: bytes) -> PkiResponse:
    """Decode a PKIResponse; Fault(MALFORMED, INVALID, TOO_LARGE)."""
    reader = der.read(encoded, MAX_MESSAGE, MAX_DEPTH).expect(der.SEQUENCE, "PKIResponse").reader()
    controls = _several(reader.take(der.SEQUENCE, "controlSequence"), _decode_control)
    contents = _several(reader.take(der.SEQUENCE, "cmsSequence"), _decode_content)
    others = _several(reader.take(der.SEQUENCE, "otherMsgSequence"), _decode_other)
    reader.end("PKIResponse")
    _check_identifiers((*controls, *contents, *others))
    return PkiResponse(controls, contents, others)


def encode_response(response: PkiResponse) -> bytes:
    """DER PKIResponse."""
    return der.sequence(
        der.sequence(*map(encode_control, response.controls)),
        der.sequence(*map(_encode_content, response.contents)),
        der.sequence(*map(_encode_other, response.others)),
    )


def _several(element: Element, decode: Callable[[Element], _T]) -> tuple[_T, ...]:
    children = element.children()
    _check_count(len(children))
    return tuple(decode(child) for child in children)


def _check_count(count: int) -> None:
    if count > MAX_PARTS:
        raise Fault(FaultKind.TOO_LARGE, f"{count} body parts", "the message has too many parts")


def _check_identifiers(parts: Sequence[Control | TaggedRequest | TaggedContent | OtherMessage]) -> None:
    _check_count(len(parts))
    seen: set[int] = set()
    for part in parts:
        if part.body_part in seen:
            text = f"the body part identifier {part.body_part} is used twice"
            raise Fault(FaultKind.INVALID, text, text)
        seen.add(part.body_part)


# Parts


def _decode_control(element: Element) -> Control:
    reader = element.expect(der.SEQUENCE, "TaggedAttribute").reader()
    identifier = body_part(reader.any("bodyPartID"))
    oid = reader.take(der.OID, "attrType").oid()
    values = reader.take(der.SET, "attrValues").children()
    reader.end("TaggedAttribute")
    return Control(identifier, oid, tuple(value.encoded for value in values))


def encode_control(control: Control) -> bytes:
    """DER TaggedAttribute."""
    return der.sequence(der.integer(control.body_part), der.oid(control.oid), der.set_of(control.values))


def _decode_content(element: Element) -> TaggedContent:
    reader = element.expect(der.SEQUENCE, "TaggedContentInfo").reader()
    identifier = body_part(reader.any("bodyPartID"))
    content = reader.take(der.SEQUENCE, "contentInfo").encoded
    reader.end("TaggedContentInfo")
    return TaggedContent(identifier, content)


def _encode_content(content: TaggedContent) -> bytes:
    return der.sequence(der.integer(content.body_part), content.content_info)


def _decode_other(element: Element) -> OtherMessage:
    reader = element.expect(der.SEQUENCE, "OtherMsg").reader()
    identifier = body_part(reader.any("bodyPartID"))
    oid = reader.take(der.OID, "otherMsgType").oid()
    value = reader.any("otherMsgValue").encoded
    reader.end("OtherMsg")
    return OtherMessage(identifier, oid, value)


def _encode_other(message: OtherMessage) -> bytes:
    return der.sequence(der.integer(message.body_part), der.oid(message.oid), message.value)


def decode_request(element: Element) -> TaggedRequest:
    """Decode a TaggedRequest."""
    if element.tag == _PKCS10:
        reader = element.reader()
        identifier = body_part(reader.any("bodyPartID"))
        request = csr.decode_csr(reader.take(der.SEQUENCE, "certificationRequest").encoded)
        reader.end("TaggedCertificationRequest")
        return TaggedRequest(RequestKind.PKCS10, identifier, element.encoded, csr=request)
    if element.tag == _CRMF:
        (message,) = crmf_codec.decode_messages(der.read(der.sequence(as_tag(element, der.SEQUENCE).encoded)))
        identifier = message.request.request_id
        if not 1 <= identifier <= MAX_BODY_PART:  # its certReqId is its body part identifier
            raise Fault(FaultKind.INVALID, f"certReqId {identifier}", "a body part identifier is out of range")
        return TaggedRequest(RequestKind.CRMF, identifier, element.encoded, crmf=message)
    if element.tag == _OTHER:
        reader = element.reader()
        identifier = body_part(reader.any("bodyPartID"))
        oid = reader.take(der.OID, "requestMessageType").oid()
        value = reader.any("requestMessageValue").encoded
        reader.end("OtherReqMsg")
        return TaggedRequest(RequestKind.OTHER, identifier, element.encoded, other_type=oid, other_value=value)
    raise der.malformed(f"TaggedRequest with tag {element.tag:#04x}")


def pkcs10_request(identifier: int, encoded: bytes) -> TaggedRequest:
    """Return the TaggedRequest of a PKCS#10 request in DER."""
    tagged = der.tlv(_PKCS10, der.integer(identifier), encoded)
    return TaggedRequest(RequestKind.PKCS10, identifier, tagged, csr=csr.decode_csr(encoded))


def crmf_request(message: CertReqMsg) -> TaggedRequest:
    """Return the TaggedRequest of a CRMF request, whose certReqId is its body part identifier."""
    tagged = der.retag(_CRMF, crmf_codec.encode_message(message))
    return TaggedRequest(RequestKind.CRMF, message.request.request_id, tagged, crmf=message)


def other_request(identifier: int, oid: str, value: bytes) -> TaggedRequest:
    """Return the TaggedRequest of a request of another kind."""
    tagged = der.tlv(_OTHER, der.integer(identifier), der.oid(oid), value)
    return TaggedRequest(RequestKind.OTHER, identifier, tagged, other_type=oid, other_value=value)
