"""OCSP requests: bytes ⇄ messages (RFC 6960 section 4.1), the GET form, and the fast peek."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from pycryptoutil_protocols import algorithms, der, names, oids, x509
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

from .messages import CertId, OcspRequest

MAX_REQUEST = 64 * 1024
MAX_GET = 8 * 1024  # characters of the path, well above the 255 octets of RFC 5019
MAX_CERT_IDS = 256
MIN_NONCE, MAX_NONCE = 1, 128  # RFC 9654 section 2.1
_MAX_SERIAL = 32  # octets; RFC 5280 stops at 20, and a longer one is unknown, not malformed
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}\Z")
_NONCE_OID = der.oid(oids.OCSP_NONCE)


def _malformed(detail: str) -> Fault:
    return Fault(FaultKind.MALFORMED, detail, "malformed OCSP request")


def decode_get(path: str | bytes, accept: Callable[[OcspRequest], bool] | None = None) -> bytes:
    """Return the DER of the base64 that follows the responder's URL (RFC 6960 appendix A.1).

    ``path`` is raw, as on the request line. Clients and proxies escape ``+``, ``/`` and ``=`` or not, collapse ``//``,
    drop the padding, use the URL-safe alphabet or a space for ``+``: DER tells its own length, so all can be undone.
    Where a collapsed slash could have stood at several places, ``accept`` tells a request for a known issuer.
    """
    raw = path.encode("latin-1", "replace") if isinstance(path, str) else path
    if len(raw) > MAX_GET:
        raise Fault(FaultKind.TOO_LARGE, f"GET of {len(raw)} characters", "the request is too long")
    text = unquote_to_bytes(raw).translate(bytes.maketrans(b"-_ ", b"+/+")).lstrip(b"/").rstrip(b"=")
    # a base64 request starts with M (0x30), never with a slash; a slash at the end may be the client's or data
    found = _decode_exact(text) or _decode_exact(text.rstrip(b"/"))
    if found is None:
        found = _restore_slashes(text, accept or _anything)
    if found is None:
        raise _malformed("GET path is not base64 of a DER value")
    return found


def _decode_exact(text: bytes) -> bytes | None:
    """Decode unpadded base64 if it is exactly one DER value."""
    if not text or not _BASE64.match(text) or len(text) % 4 == 1:
        return None
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return None
    return data if _declared_length(data) == len(data) else None


def _declared_length(data: bytes) -> int:
    """Return the whole length that the header of a DER SEQUENCE declares, or -1."""
    if len(data) < 2 or data[0] != der.SEQUENCE:
        return -1
    if data[1] < 0x80:
        return 2 + data[1]
    octets = data[1] & 0x7F
    if not 1 <= octets <= 3 or len(data) < 2 + octets:
        return -1
    return 2 + octets + int.from_bytes(data[2 : 2 + octets], "big")


def _restore_slashes(text: bytes, accept: Callable[[OcspRequest], bool]) -> bytes | None:
    """Put back what a proxy that merged ``//`` took: at most two slashes, beside slashes that are still there.

    How many are missing follows from the declared length. Hashes and serials are opaque, so several places may give
    a well-formed request; only one that is accepted counts, and only if it is the only one.
    """
    head = base64.b64decode(text[:8]) if _BASE64.match(text[:8]) and len(text) >= 8 else b""
    missing = -(-_declared_length(head) * 4 // 3) - len(text)
    places = [at for at, octet in enumerate(text) if octet == 0x2F]
    if missing not in _MAX_PLACES or len(places) > _MAX_PLACES[missing]:
        return None
    found: set[bytes] = set()
    for chosen in itertools.combinations_with_replacement(places, missing):
        pieces = [text[start:stop] for start, stop in itertools.pairwise((0, *chosen, len(text)))]
        data = _decode_exact(b"/".join(pieces))
        if data is not None and data not in found and _is_accepted(data, accept):
            found.add(data)
    return found.pop() if len(found) == 1 else None


_MAX_PLACES = {1: 64, 2: 12}  # missing slashes: places, for fewer than a hundred tries


def _is_accepted(data: bytes, accept: Callable[[OcspRequest], bool]) -> bool:
    try:
        return accept(decode_request(data))
    except Fault:
        return False


def _anything(_: OcspRequest) -> bool:
    return True


def encode_get(encoded: bytes) -> str:
    """Return the path segment of a request for GET, fully escaped."""
    text = base64.b64encode(encoded).decode("ascii")
    return text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


def peek(request: bytes) -> tuple[bytes, bool] | None:
    """Return (CertID DER, has a nonce) of the plain form of request, or None when ``decode_fully`` must judge.

    The plain form has one certificate, no requestor name, no signature and no extension but one well-formed nonce.
    What passes here also decodes in full, to the same.
    """
    found = _plain(request)
    return None if found is None else (request[found[0] : found[1]], found[2] > 0)


def _plain(request: bytes) -> tuple[int, int, int] | None:  # noqa: PLR0911 - flat and fast, for the reactor
    """Return (CertID start, CertID end, nonce start or 0) of the plain form of request, else None."""
    end = len(request)
    if end > 512 or end < 20:
        return None
    try:
        at, stop = _enter(request, 0, end, 0x30)
        if stop != end:
            return None
        at, stop = _enter(request, at, end, 0x30)
        if stop != end:  # optionalSignature follows
            return None
        at, list_end = _enter(request, at, end, 0x30)
        one, one_end = _enter(request, at, list_end, 0x30)
        _, id_end = _enter(request, one, one_end, 0x30)
        if one_end != list_end or id_end != one_end:  # a second request, or singleRequestExtensions
            return None
        if not _plain_cert_id(request[one:id_end]):
            return None
        if list_end == end:
            return one, id_end, 0
        at, stop = _enter(request, list_end, end, 0xA2)
        at, inner = _enter(request, at, stop, 0x30)
        at, last = _enter(request, at, inner, 0x30)
    except (IndexError, ValueError):
        return None
    if not stop == inner == last == end or not request.startswith(_NONCE_OID, at):
        return None
    at += len(_NONCE_OID)
    # OCTET STRING around OCTET STRING, both short form
    left = end - at - 4
    if not MIN_NONCE <= left <= 123 or request[at : at + 4] != bytes((4, left + 2, 4, left)):
        return None
    return one, id_end, at + 4


def _enter(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Return (content start, content end) of the value at ``at``; ValueError unless it has this tag and fits."""
    if data[at] != tag:
        raise ValueError
    length = data[at + 1]
    at += 2
    if length == 0x81:
        length = data[at]
        at += 1
        if length < 0x80:
            raise ValueError
    elif length == 0x82:
        length = data[at] << 8 | data[at + 1]
        at += 2
        if length < 0x100:
            raise ValueError
    elif length >= 0x80:
        raise ValueError
    stop = at + length
    if stop > end:
        raise ValueError
    return at, stop


_HASH_HEADERS = {
    algorithms.hash_identifier(name, null=null): (size, name)
    for name, size in (("sha1", 20), ("sha256", 32), ("sha384", 48), ("sha512", 64))
    for null in (False, True)
}


def _plain_cert_id(cert_id: bytes) -> bool:
    """Tell whether a CertID of short or 81-form length has a known hash, hashes of its size and a minimal serial."""
    at = 2 if cert_id[1] < 0x80 else 3
    stop = at + 2 + cert_id[at + 1]
    known = _HASH_HEADERS.get(cert_id[at:stop])
    if known is None:
        return False
    size = known[0]
    header = bytes((4, size))
    serial = stop + 2 * (size + 2)
    if cert_id[stop : stop + 2] != header or cert_id[stop + size + 2 : stop + size + 4] != header:
        return False
    length = len(cert_id) - serial - 2
    if not 1 <= length <= _MAX_SERIAL or cert_id[serial : serial + 2] != bytes((2, length)):
        return False
    first = cert_id[serial + 2]
    return first < 0x80 and (length == 1 or first != 0 or cert_id[serial + 3] >= 0x80)


def decode_request(encoded: bytes) -> OcspRequest:
    """Decode a request; Fault(MALFORMED, TOO_LARGE, UNSUPPORTED). The plain form takes a fifth of the time."""
    found = _plain(encoded)
    if found is None:
        return decode_fully(encoded)
    start, end, nonce_at = found
    cert_id = _split_plain(encoded[start:end])
    if not nonce_at:
        return OcspRequest((cert_id,))
    value = encoded[nonce_at - 2 :]
    return OcspRequest((cert_id,), encoded[nonce_at:], extensions=(Extension(oids.OCSP_NONCE, False, value),))


def _split_plain(cert_id: bytes) -> CertId:
    """Split a CertID that ``_plain_cert_id`` has passed."""
    at = 2 if cert_id[1] < 0x80 else 3
    stop = at + 2 + cert_id[at + 1]
    size, name = _HASH_HEADERS[cert_id[at:stop]]
    key = stop + size + 4
    serial = int.from_bytes(cert_id[key + size + 2 :], "big")
    return CertId(cert_id, name, cert_id[stop + 2 : stop + 2 + size], cert_id[key : key + size], serial)


def decode_fully(encoded: bytes) -> OcspRequest:
    """Decode a request of any form; ``decode_request`` gives the same, sooner."""
    reader = der.read_sequence(encoded, MAX_REQUEST)
    tbs = reader.take(der.SEQUENCE, "tbsRequest").reader()
    signature = reader.optional(der.context(0))
    reader.end("OCSPRequest")
    if signature is not None:
        _check_signature_form(signature)
    version = tbs.optional(der.context(0))
    if version is not None and version.inner().expect(der.INTEGER, "version").integer() != 0:
        raise Fault(FaultKind.UNSUPPORTED, "OCSP version", "only version 1 of OCSP exists")
    requestor = tbs.optional(der.context(1))
    if requestor is not None:
        names.decode_general_name(requestor.inner())
    wanted = tbs.take(der.SEQUENCE, "requestList").children()
    extensions = _extensions(tbs.optional(der.context(2)))
    tbs.end("tbsRequest")
    if not wanted:
        raise _malformed("no certificate is asked about")
    if len(wanted) > MAX_CERT_IDS:
        raise Fault(FaultKind.TOO_LARGE, f"{len(wanted)} certificates", "too many certificates in one request")
    by_oid = {extension.oid: extension for extension in extensions}
    for extension in extensions:
        if extension.critical and extension.oid not in _KNOWN:
            raise _malformed(f"critical extension {extension.oid}")
    return OcspRequest(
        cert_ids=tuple(_decode_single(item) for item in wanted),
        nonce=_nonce(by_oid.get(oids.OCSP_NONCE)),
        acceptable_responses=_identifiers(by_oid.get(oids.OCSP_RESPONSE)),
        preferred_signatures=_preferred(by_oid.get(oids.OCSP_PREFERRED_SIGNATURE_ALGORITHMS)),
        requestor_name=requestor.inner().encoded if requestor is not None else None,
        signed=signature is not None,
        extensions=extensions,
    )


_KNOWN = frozenset(
    (
        oids.OCSP_NONCE,
        oids.OCSP_RESPONSE,
        oids.OCSP_PREFERRED_SIGNATURE_ALGORITHMS,
        oids.OCSP_SERVICE_LOCATOR,
        oids.OCSP_EXTENDED_REVOKE,
    )
)


def _check_signature_form(wrapper: Element) -> None:
    """The signature is not verified (RFC 6960 section 4.1.2 leaves that to the responder), but it must be one."""
    reader = wrapper.inner().expect(der.SEQUENCE, "Signature").reader()
    reader.take(der.SEQUENCE, "signatureAlgorithm")
    reader.take(der.BIT_STRING, "signature").bits()
    reader.optional(der.context(0))
    reader.end("Signature")


def _extensions(wrapper: Element | None) -> tuple[Extension, ...]:
    return x509.decode_extensions(wrapper.inner()) if wrapper is not None else ()


def _decode_single(element: Element) -> CertId:
    reader = element.expect(der.SEQUENCE, "Request").reader()
    cert_id = decode_cert_id(reader.take(der.SEQUENCE, "reqCert"))
    for extension in _extensions(reader.optional(der.context(0))):
        if extension.critical and extension.oid not in _KNOWN:
            raise _malformed(f"critical extension {extension.oid}")
    reader.end("Request")
    return cert_id


def decode_cert_id(element: Element) -> CertId:
    """Decode one CertID; a hash without a name here keeps its dotted identifier, and is nobody's issuer."""
    reader = element.reader()
    oid, parameters = algorithms.split_algorithm(reader.take(der.SEQUENCE, "hashAlgorithm"))
    if parameters is not None and oid in algorithms.HASH_NAMES:
        parameters.null()
    name_hash = reader.take(der.OCTET_STRING, "issuerNameHash").octets()
    key_hash = reader.take(der.OCTET_STRING, "issuerKeyHash").octets()
    serial = reader.take(der.INTEGER, "serialNumber")
    reader.end("CertID")
    if len(serial.content) > _MAX_SERIAL:
        raise _malformed(f"serial number of {len(serial.content)} octets")
    return CertId(element.encoded, algorithms.HASH_NAMES.get(oid, oid), name_hash, key_hash, serial.integer())


def _nonce(extension: Extension | None) -> bytes | None:
    if extension is None:
        return None
    nonce = der.read(extension.value).octets()
    if not MIN_NONCE <= len(nonce) <= MAX_NONCE:
        raise _malformed(f"nonce of {len(nonce)} octets")
    return nonce


def _identifiers(extension: Extension | None) -> tuple[str, ...]:
    if extension is None:
        return ()
    return tuple(child.oid() for child in der.read(extension.value).expect(der.SEQUENCE).children())


def _preferred(extension: Extension | None) -> tuple[str, ...]:
    if extension is None:
        return ()
    found: list[str] = []
    for child in der.read(extension.value).expect(der.SEQUENCE).children():
        reader = child.expect(der.SEQUENCE, "PreferredSignatureAlgorithm").reader()
        found.append(algorithms.split_algorithm(reader.any("sigIdentifier"))[0])
        reader.optional(der.SEQUENCE)
        reader.end("PreferredSignatureAlgorithm")
    return tuple(found)


def encode_cert_id(hash_algorithm: str, issuer_name: bytes, issuer_key: bytes, serial: int) -> bytes:
    """DER CertID; ``issuer_name`` is a DER Name and ``issuer_key`` the bits of the issuer's subjectPublicKey."""
    digests = (algorithms.digest(hash_algorithm, one) for one in (issuer_name, issuer_key))
    return der.sequence(issuer_part(hash_algorithm, *digests), der.integer(serial))


def issuer_part(hash_algorithm: str, name_hash: bytes, key_hash: bytes) -> bytes:
    """Return what is before the serial number in every CertID of an issuer."""
    identifier = algorithms.hash_identifier(hash_algorithm, null=True)
    return identifier + der.octet_string(name_hash) + der.octet_string(key_hash)


def encode_nonce(nonce: bytes) -> bytes:
    """DER Extension of a nonce."""
    return Extension(oids.OCSP_NONCE, False, der.octet_string(nonce)).encode()


def encode_request(cert_ids: tuple[bytes, ...], nonce: bytes | None = None, extensions: bytes = b"") -> bytes:
    """DER OCSPRequest, unsigned; ``extensions`` is concatenated DER Extension values."""
    wanted = der.sequence(*(der.sequence(cert_id) for cert_id in cert_ids))
    further = (encode_nonce(nonce) if nonce is not None else b"") + extensions
    return der.sequence(der.sequence(wanted, der.explicit(2, der.sequence(further)) if further else b""))
