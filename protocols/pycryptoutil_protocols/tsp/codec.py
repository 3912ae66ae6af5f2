"""Bytes ⇄ messages of RFC 3161."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pycryptoutil_protocols import algorithms, der, names, x509
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

from .messages import MessageImprint, Status, TimeStampReply, TimeStampRequest, TstInfo

MAX_REQUEST = 16 * 1024
MAX_REPLY = 1 << 20
_MAX_NONCE = 128  # octets; what clients send has 8 to 32
_MAX_DIGEST = 128
_MAX_TEXTS = 16
_MAX_FAILURE_BITS = 64
MAX_DIGITS = 6  # of the fraction of a second
_ACCURACY_PARTS = (1, 999)


def encode_imprint(hash_algorithm: str, digest: bytes) -> MessageImprint:
    """Make a MessageImprint; Fault(BAD_ALGORITHM, INVALID)."""
    if len(digest) != algorithms.hash_algorithm(hash_algorithm).digest_size:
        raise Fault(FaultKind.INVALID, f"{len(digest)} octets of {hash_algorithm}", "the digest has another length")
    encoded = der.sequence(algorithms.hash_identifier(hash_algorithm), der.octet_string(digest))
    return MessageImprint(hash_algorithm, digest, encoded)


def _decode_imprint(element: Element) -> MessageImprint:
    reader = element.expect(der.SEQUENCE, "messageImprint").reader()
    oid, parameters = algorithms.split_algorithm(reader.take(der.SEQUENCE, "hashAlgorithm"))
    digest = reader.take(der.OCTET_STRING, "hashedMessage").octets()
    reader.end("messageImprint")
    if parameters is not None:
        parameters.null()
    if not 1 <= len(digest) <= _MAX_DIGEST:
        raise der.malformed(f"hashedMessage of {len(digest)} octets")
    return MessageImprint(algorithms.HASH_NAMES.get(oid, oid), digest, element.encoded)


def decode_request(encoded: bytes) -> TimeStampRequest:
    """Decode a TimeStampReq; Fault(MALFORMED, TOO_LARGE), UNSUPPORTED for another version."""
    reader = der.read_sequence(encoded, MAX_REQUEST)
    if reader.take(der.INTEGER, "version").integer() != 1:
        raise Fault(FaultKind.UNSUPPORTED, "TimeStampReq version", "only version 1 of time-stamp requests exists")
    imprint = _decode_imprint(reader.any("messageImprint"))
    policy, nonce = reader.optional(der.OID), reader.optional(der.INTEGER)
    cert_req = reader.optional(der.BOOLEAN)
    extensions = reader.optional(der.context(0))
    reader.end("TimeStampReq")
    return TimeStampRequest(
        imprint=imprint,
        policy=policy.oid() if policy else "",
        nonce=_nonce(nonce),
        cert_req=cert_req.boolean() if cert_req else False,
        extensions=_decode_extensions(extensions),
    )


def encode_request(request: TimeStampRequest) -> bytes:
    """DER TimeStampReq."""
    return der.sequence(
        der.integer(1),
        request.imprint.der,
        der.oid(request.policy) if request.policy else b"",
        der.integer(request.nonce) if request.nonce is not None else b"",
        der.boolean(True) if request.cert_req else b"",
        _encode_extensions(0, request.extensions),
    )


def _nonce(element: Element | None) -> int | None:
    if element is None:
        return None
    if len(element.content) > _MAX_NONCE:
        raise Fault(FaultKind.TOO_LARGE, f"nonce of {len(element.content)} octets", "the nonce is too long")
    return element.integer()


def _decode_extensions(element: Element | None) -> tuple[Extension, ...]:
    if element is None:
        return ()
    found = x509.decode_extensions(der.read(der.retag(der.SEQUENCE, element.encoded)))
    if not found:
        raise der.malformed("empty Extensions")  # SIZE (1..MAX)
    return found


def _encode_extensions(tag: int, extensions: tuple[Extension, ...]) -> bytes:
    return der.retag(der.context(tag), x509.encode_extensions(extensions)) if extensions else b""


# TSTInfo


def encode_tst_info(info: TstInfo) -> bytes:
    """DER TSTInfo."""
    return der.sequence(
        der.integer(1),
        der.oid(info.policy),
        info.imprint.der,
        der.integer(info.serial),
        encode_gen_time(info.gen_time, info.fraction_digits),
        _encode_accuracy(info.accuracy) if info.accuracy is not None else b"",
        der.boolean(True) if info.ordering else b"",
        der.integer(info.nonce) if info.nonce is not None else b"",
        der.explicit(0, info.tsa) if info.tsa else b"",
        _encode_extensions(1, info.extensions),
    )


def encode_gen_time(moment: datetime, digits: int = 0) -> bytes:
    """GeneralizedTime with up to six digits of fraction, cut off, never rounded up; no zero at its end (DER)."""
    at = moment.astimezone(UTC)
    fraction = f"{at.microsecond:06}"[:digits].rstrip("0")
    text = f"{at.year:04}{at:%m%d%H%M%S}{'.' + fraction if fraction else ''}Z"
    return der.tlv(der.GENERALIZED_TIME, text.encode())


def _decode_gen_time(element: Element) -> datetime:
    """Read seconds with an optional fraction; what is finer than a microsecond is cut off."""
    content = element.expect(der.GENERALIZED_TIME, "genTime").content
    whole, point, fraction = content.removesuffix(b"Z").partition(b".")
    seconds = der.read(der.tlv(der.GENERALIZED_TIME, whole + content[-1:])).time()
    if not point:
        return seconds
    if not fraction.isdigit() or fraction.endswith(b"0") or len(fraction) > 32:
        raise der.malformed("fraction of genTime")
    return seconds + timedelta(microseconds=int(fraction[:6].ljust(6, b"0")))


def _encode_accuracy(microseconds: int) -> bytes:
    seconds, rest = divmod(microseconds, 1_000_000)
    millis, micros = divmod(rest, 1000)
    return der.sequence(
        der.integer(seconds) if seconds else b"",
        der.retag(der.context(0, constructed=False), der.integer(millis)) if millis else b"",
        der.retag(der.context(1, constructed=False), der.integer(micros)) if micros else b"",
    )


def _decode_accuracy(element: Element) -> int:
    reader = element.reader()
    seconds = reader.optional(der.INTEGER)
    parts = [reader.optional(der.context(number, constructed=False)) for number in (0, 1)]
    reader.end("accuracy")
    total = seconds.integer() * 1_000_000 if seconds else 0
    for part, unit in zip(parts, (1000, 1), strict=True):
        if part is not None:
            value = der.read(der.retag(der.INTEGER, part.encoded)).integer()
            if not _ACCURACY_PARTS[0] <= value <= _ACCURACY_PARTS[1]:
                raise der.malformed("accuracy out of range")
            total += value * unit
    if total < 0:
        raise der.malformed("accuracy out of range")
    return total


def decode_tst_info(encoded: bytes) -> TstInfo:
    """Decode a TSTInfo; Fault(MALFORMED, TOO_LARGE, UNSUPPORTED)."""
    reader = der.read_sequence(encoded, MAX_REPLY)
    if reader.take(der.INTEGER, "version").integer() != 1:
        raise Fault(FaultKind.UNSUPPORTED, "TSTInfo version", "only version 1 of time-stamps exists")
    policy = reader.take(der.OID, "policy").oid()
    imprint = _decode_imprint(reader.any("messageImprint"))
    serial = reader.take(der.INTEGER, "serialNumber").integer()
    gen_time = _decode_gen_time(reader.any("genTime"))
    accuracy, ordering = reader.optional(der.SEQUENCE), reader.optional(der.BOOLEAN)
    nonce, tsa, extensions = (reader.optional(tag) for tag in (der.INTEGER, der.context(0), der.context(1)))
    reader.end("TSTInfo")
    if tsa is not None:
        names.decode_general_name(tsa.inner())
    return TstInfo(
        policy=policy,
        imprint=imprint,
        serial=serial,
        gen_time=gen_time,
        accuracy=_decode_accuracy(accuracy) if accuracy else None,
        ordering=ordering.boolean() if ordering else False,
        nonce=_nonce(nonce),
        tsa=tsa.inner().encoded if tsa else b"",
        extensions=_decode_extensions(extensions),
        fraction_digits=MAX_DIGITS,
    )


# TimeStampResp


def encode_reply(
    token: bytes = b"", *, status: Status = Status.GRANTED, text: str = "", failures: Iterable[int] = ()
) -> bytes:
    """DER TimeStampResp."""
    bits = sum(1 << bit for bit in failures)
    info = der.sequence(
        der.integer(status),
        der.sequence(der.utf8_string(text)) if text else b"",
        _named_bits(bits) if bits else b"",
    )
    return der.sequence(info, token)


def _named_bits(bits: int) -> bytes:
    """BIT STRING of a named bit list: bit 0 first, no zero bit at its end (X.690 section 11.2.2)."""
    length = bits.bit_length()
    octets = -(-length // 8)
    value = sum(1 << (8 * octets - 1 - bit) for bit in range(length) if bits >> bit & 1)
    return der.tlv(der.BIT_STRING, bytes((8 * octets - length,)), value.to_bytes(octets, "big"))


def decode_reply(encoded: bytes) -> TimeStampReply:
    """Decode a TimeStampResp; Fault(MALFORMED, TOO_LARGE)."""
    reader = der.read_sequence(encoded, MAX_REPLY)
    info = reader.take(der.SEQUENCE, "status").reader()
    token = reader.optional(der.SEQUENCE)
    reader.end("TimeStampResp")
    try:
        status = Status(info.take(der.INTEGER, "status").integer())
    except ValueError:
        raise der.malformed("PKIStatus") from None
    text, failures = info.optional(der.SEQUENCE), info.optional(der.BIT_STRING)
    info.end("PKIStatusInfo")
    if (token is not None) != (status in (Status.GRANTED, Status.GRANTED_WITH_MODS)):
        raise der.malformed("a token goes with a granting status, and with no other")
    texts = text.children()[:_MAX_TEXTS] if text else ()
    return TimeStampReply(
        status=status,
        text=tuple(one.expect(der.UTF8_STRING, "statusString").text() for one in texts),
        failures=_failure_bits(failures) if failures else frozenset(),
        token=token.encoded if token else b"",
    )


def _failure_bits(element: Element) -> frozenset[int]:
    unused, octets = element.content[:1], element.content[1:]
    if not unused or unused[0] > 7 or (unused[0] and not octets) or len(octets) * 8 > _MAX_FAILURE_BITS:
        raise der.malformed("PKIFailureInfo")
    return frozenset(bit for bit in range(8 * len(octets) - unused[0]) if octets[bit // 8] >> (7 - bit % 8) & 1)
