"""OCSP responses: the slow twin of the core's builder, the decoder, and verification (RFC 6960 section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from pycryptoutil_protocols import algorithms, der, oids, x509
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Signer

from . import codec
from .messages import CertStatus, OcspResponse, ResponseStatus, SingleResponse, SingleStatus

MAX_RESPONSE = 1 << 20


def build_response(
    singles: Sequence[SingleStatus],
    produced_at: int,
    signer: Signer,
    certificates: Sequence[bytes] = (),
    nonce: bytes | None = None,
    extensions: bytes = b"",
) -> bytes:
    """Build a whole DER OCSPResponse, responder by key hash, byte for byte what the core builds before it signs."""
    tbs = build_tbs(singles, produced_at, signer.public_spki, nonce, extensions)
    basic = der.sequence(
        tbs,
        algorithms.signature_identifier(signer.signature_algorithm),
        der.bit_string(signer.sign(tbs)),
        der.explicit(0, der.sequence(*certificates)) if certificates else b"",
    )
    return der.sequence(
        der.enumerated(ResponseStatus.SUCCESSFUL),
        der.explicit(0, der.sequence(der.oid(oids.OCSP_BASIC), der.octet_string(basic))),
    )


def build_tbs(
    singles: Sequence[SingleStatus], produced_at: int, responder_spki: bytes, nonce: bytes | None, extensions: bytes
) -> bytes:
    """DER ResponseData."""
    key_hash = algorithms.digest("sha1", algorithms.key_info(responder_spki).key)  # KeyHash is SHA-1 by definition
    further = (codec.encode_nonce(nonce) if nonce is not None else b"") + extensions
    return der.sequence(
        der.explicit(2, der.octet_string(key_hash)),
        der.generalized_time(produced_at),
        der.sequence(*map(_build_single, singles)),
        der.explicit(1, der.sequence(further)) if further else b"",
    )


def _build_single(single: SingleStatus) -> bytes:
    cert_id, status, revoked_at, reason, this_update, next_update, extensions = single
    if status == CertStatus.REVOKED:
        why = der.explicit(0, der.enumerated(reason)) if reason >= 0 else b""
        encoded = der.explicit(1, der.generalized_time(revoked_at), why)
    else:
        encoded = der.implicit(status, b"")
    return der.sequence(
        cert_id,
        encoded,
        der.generalized_time(this_update),
        der.explicit(0, der.generalized_time(next_update)) if next_update else b"",
        der.explicit(1, der.sequence(extensions)) if extensions else b"",
    )


def decode_response(encoded: bytes) -> OcspResponse:
    """Decode a response; Fault(MALFORMED, TOO_LARGE, UNSUPPORTED). Nothing is verified."""
    reader = der.read_sequence(encoded, MAX_RESPONSE)
    number = reader.take(der.ENUMERATED, "responseStatus").integer()
    body = reader.optional(der.context(0))
    reader.end("OCSPResponse")
    try:
        status = ResponseStatus(number)
    except ValueError:
        raise der.malformed(f"responseStatus {number}") from None
    if status is not ResponseStatus.SUCCESSFUL:
        return OcspResponse(status)
    if body is None:
        raise der.malformed("successful OCSPResponse without a body")
    kind = body.inner().expect(der.SEQUENCE, "ResponseBytes").reader()
    if kind.take(der.OID, "responseType").oid() != oids.OCSP_BASIC:
        raise Fault(FaultKind.UNSUPPORTED, "not a basic OCSP response", "only basic OCSP responses are supported")
    basic = der.read_sequence(kind.take(der.OCTET_STRING, "response").octets(), MAX_RESPONSE)
    kind.end("ResponseBytes")
    tbs = basic.take(der.SEQUENCE, "tbsResponseData")
    algorithm = basic.take(der.SEQUENCE, "signatureAlgorithm")
    signature = basic.take(der.BIT_STRING, "signature").bits()
    certificates = basic.optional(der.context(0))
    basic.end("BasicOCSPResponse")
    return _decode_tbs(tbs, algorithm.encoded, signature, certificates)


def _decode_tbs(tbs: Element, algorithm: bytes, signature: bytes, certificates: Element | None) -> OcspResponse:
    inner = tbs.reader()
    version = inner.optional(der.context(0))
    if version is not None and version.inner().integer() != 0:
        raise Fault(FaultKind.UNSUPPORTED, "OCSP response version", "only version 1 of OCSP exists")
    by_name, by_key = inner.optional(der.context(1)), inner.optional(der.context(2))
    if (by_name is None) == (by_key is None):
        raise der.malformed("responderID")
    produced_at = inner.take(der.GENERALIZED_TIME, "producedAt").time()
    singles = tuple(_decode_single(child) for child in inner.take(der.SEQUENCE, "responses").children())
    wrapper = inner.optional(der.context(1))
    inner.end("ResponseData")
    extensions = x509.decode_extensions(wrapper.inner()) if wrapper is not None else ()
    nonce = x509.find_extension(extensions, oids.OCSP_NONCE)
    return OcspResponse(
        status=ResponseStatus.SUCCESSFUL,
        tbs=tbs.encoded,
        responder_name=by_name.inner().expect(der.SEQUENCE, "byName").encoded if by_name else b"",
        responder_key_hash=by_key.inner().octets() if by_key else b"",
        produced_at=produced_at,
        singles=singles,
        nonce=der.read(nonce.value).octets() if nonce else None,
        extensions=extensions,
        signature_algorithm=algorithm,
        signature=signature,
        certificates=tuple(one.encoded for one in certificates.inner().children()) if certificates else (),
    )


def _decode_single(element: Element) -> SingleResponse:
    reader = element.expect(der.SEQUENCE, "SingleResponse").reader()
    cert_id = codec.decode_cert_id(reader.take(der.SEQUENCE, "certID"))
    choice = reader.any("certStatus")
    revoked_at, reason = None, None
    if choice.tag == der.context(CertStatus.REVOKED):
        revoked = choice.reader()
        revoked_at = revoked.take(der.GENERALIZED_TIME, "revocationTime").time()
        why = revoked.optional(der.context(0))
        revoked.end("RevokedInfo")
        reason = why.inner().expect(der.ENUMERATED, "revocationReason").integer() if why is not None else None
        status = CertStatus.REVOKED
    elif choice.encoded in (b"\x80\x00", b"\x82\x00"):
        status = CertStatus(choice.tag & 0x1F)
    else:
        raise der.malformed("certStatus")
    this_update = reader.take(der.GENERALIZED_TIME, "thisUpdate").time()
    until = reader.optional(der.context(0))
    wrapper = reader.optional(der.context(1))
    reader.end("SingleResponse")
    return SingleResponse(
        cert_id=cert_id,
        status=status,
        revoked_at=revoked_at,
        reason=reason,
        this_update=this_update,
        next_update=until.inner().expect(der.GENERALIZED_TIME, "nextUpdate").time() if until is not None else None,
        extensions=x509.decode_extensions(wrapper.inner()) if wrapper is not None else (),
    )


def verify_response(response: OcspResponse, responder_spki: bytes) -> None:
    """Raise Fault(BAD_SIGNATURE) unless the response is signed by this key."""
    algorithms.verify(responder_spki, response.signature_algorithm, response.tbs, response.signature)
