"""PKIMessage ⇄ DER (RFC 9810 section 5.1): strict, with the bytes that are protected kept as they came.

``decode`` reads a whole message; when it raises, ``peek_header`` may still give the header that an error message
answers. ``encode_protected`` makes what is protected and ``assemble`` the message around it; ``encode`` does both.
"""

from __future__ import annotations

from dataclasses import replace

from pycryptoutil_protocols import algorithms, der, names
from pycryptoutil_protocols.crmf.values import bounded_integer
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

from .bodies import decode_body, encode_body
from .failures import CmpFault
from .messages import (
    PVNO_2,
    PVNO_3,
    Body,
    BodyType,
    Nested,
    PKIFailureInfo,
    PKIHeader,
    PKIMessage,
)
from .values import (
    children_of,
    decode_certificates,
    decode_free_text,
    decode_infos,
    encode_free_text,
    encode_infos,
    encode_time,
    generalized_time,
)

MAX_MESSAGE = 1 << 20
MAX_DEPTH = 48
MAX_NESTING = 3  # a request, what an RA adds, and a batch around it
MAX_BATCH = 64
_MAX_OCTETS = 64  # of a transactionID or nonce: 16 are sent (RFC 9810 section 5.1.1)
_MAX_KID = 256
_MAX_PVNO = 255


def decode(encoded: bytes) -> PKIMessage:
    """Decode a message; Fault(MALFORMED, INVALID, TOO_LARGE), CmpFault(UNSUPPORTED_VERSION). Nothing is verified."""
    return _decode(der.read(encoded, MAX_MESSAGE, MAX_DEPTH), 0)


def peek_header(encoded: bytes) -> PKIHeader | None:
    """Return the header of a message whose body may be bad or whose version is not supported, or None."""
    try:
        element = der.read(encoded, MAX_MESSAGE, MAX_DEPTH).expect(der.SEQUENCE)
        return _decode_header(element.reader().any("header"))
    except Fault:
        return None


def _decode(element: Element, level: int) -> PKIMessage:
    reader = element.expect(der.SEQUENCE, "PKIMessage").reader()
    header_element, body_element = reader.take(der.SEQUENCE, "header"), reader.any("body")
    protection, extra = reader.optional(der.context(0)), reader.optional(der.context(1))
    reader.end("PKIMessage")
    header = _decode_header(header_element)
    if header.pvno not in (PVNO_2, PVNO_3):
        raise CmpFault(PKIFailureInfo.UNSUPPORTED_VERSION, f"pvno {header.pvno}", "CMP versions 2 and 3 are supported")
    kind = _kind(body_element)
    inner = body_element.inner()
    body = _decode_nested(inner, level) if kind is BodyType.NESTED else decode_body(kind, inner)
    return PKIMessage(
        header=header,
        kind=kind,
        body=body,
        protection=protection.inner().bits() if protection else None,
        extra_certificates=decode_certificates(extra.inner(), "extraCerts") if extra else (),
        encoded=element.encoded,
        protected=der.sequence(header_element.encoded, body_element.encoded),
    )


def _kind(element: Element) -> BodyType:
    number = element.tag & 0x1F
    if element.tag & 0xE0 != 0xA0 or number > max(BodyType):
        raise der.malformed(f"PKIBody with tag {element.tag:#04x}")
    return BodyType(number)


def _decode_nested(element: Element, level: int) -> Nested:
    if level >= MAX_NESTING:
        raise Fault(FaultKind.TOO_LARGE, "nested messages in nested messages", "nested too deeply")
    return Nested(tuple(_decode(child, level + 1) for child in children_of(element, "nested messages")))


def _decode_header(element: Element) -> PKIHeader:
    reader = element.expect(der.SEQUENCE, "PKIHeader").reader()
    pvno = bounded_integer(reader.take(der.INTEGER, "pvno"), 0, _MAX_PVNO, "pvno")
    sender = names.decode_general_name(reader.any("sender"))
    recipient = names.decode_general_name(reader.any("recipient"))
    time, algorithm, sender_kid, recipient_kid, transaction, sender_nonce, recipient_nonce, text, info = (
        reader.optional(der.context(number)) for number in range(9)
    )
    reader.end("PKIHeader")
    if algorithm is not None:
        algorithms.split_algorithm(algorithm.inner())
    return PKIHeader(
        sender=sender,
        recipient=recipient,
        pvno=pvno,
        message_time=generalized_time(time.inner()) if time else None,
        protection_algorithm=algorithm.inner().encoded if algorithm else b"",
        sender_kid=_octets(sender_kid, "senderKID", _MAX_KID),
        recipient_kid=_octets(recipient_kid, "recipKID", _MAX_KID),
        transaction_id=_octets(transaction, "transactionID"),
        sender_nonce=_octets(sender_nonce, "senderNonce"),
        recipient_nonce=_octets(recipient_nonce, "recipNonce"),
        free_text=decode_free_text(text.inner()) if text else (),
        general_info=decode_infos(info.inner(), "generalInfo") if info else (),
    )


def _octets(element: Element | None, what: str, most: int = _MAX_OCTETS) -> bytes | None:
    if element is None:
        return None
    found = element.inner().octets()
    if len(found) > most:
        raise Fault(FaultKind.INVALID, f"{what} of {len(found)} octets", f"the {what} is too long")
    return found


def encode_header(header: PKIHeader) -> bytes:
    """DER PKIHeader."""
    octets = (
        header.sender_kid,
        header.recipient_kid,
        header.transaction_id,
        header.sender_nonce,
        header.recipient_nonce,
    )
    return der.sequence(
        der.integer(header.pvno),
        header.sender.der,
        header.recipient.der,
        der.explicit(0, encode_time(header.message_time)) if header.message_time else b"",
        der.explicit(1, header.protection_algorithm) if header.protection_algorithm else b"",
        *(der.explicit(n, der.octet_string(one)) for n, one in enumerate(octets, 2) if one is not None),
        der.explicit(7, encode_free_text(header.free_text)) if header.free_text else b"",
        der.explicit(8, encode_infos(header.general_info)) if header.general_info else b"",
    )


def encode_protected(header: PKIHeader, kind: BodyType, body: Body) -> bytes:
    """DER ProtectedPart: what MACs and signatures are over."""
    if isinstance(body, Nested):
        if kind is not BodyType.NESTED:
            raise Fault(FaultKind.INVALID, f"Nested as {kind.name}", "body type and content do not fit")
        inner = der.sequence(*(one.encoded or encode(one).encoded for one in body.messages))
    else:
        inner = encode_body(kind, body)
    return der.sequence(encode_header(header), der.explicit(kind, inner))


def assemble(protected: bytes, protection: bytes | None, extra_certificates: tuple[bytes, ...] = ()) -> bytes:
    """DER PKIMessage around a ProtectedPart."""
    header, body = der.read(protected, MAX_MESSAGE * 2, MAX_DEPTH).children()
    return der.sequence(
        header.encoded,
        body.encoded,
        der.explicit(0, der.bit_string(protection)) if protection is not None else b"",
        der.explicit(1, der.sequence(*extra_certificates)) if extra_certificates else b"",
    )


def encode(message: PKIMessage) -> PKIMessage:
    """Return the message with ``encoded`` and ``protected`` made from its values."""
    protected = encode_protected(message.header, message.kind, message.body)
    encoded = assemble(protected, message.protection, message.extra_certificates)
    return replace(message, encoded=encoded, protected=protected)
