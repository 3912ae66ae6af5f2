"""Every type of PKIBody but nested ⇄ DER (RFC 9810 section 5.3)."""

from __future__ import annotations

from collections.abc import Callable

from pycryptoutil_protocols import algorithms, der, x509
from pycryptoutil_protocols.crmf import codec as crmf
from pycryptoutil_protocols.crmf.values import bounded_integer, decode_cert_id, encode_cert_id
from pycryptoutil_protocols.der import Element, Reader
from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import (
    Body,
    BodyType,
    CaKeyUpdate,
    CertAnnouncement,
    CertConfirm,
    CertRepMessage,
    CertRequests,
    CertResponse,
    CertStatus,
    Challenge,
    ChallengeResponses,
    Challenges,
    CrlAnnouncement,
    ErrorMessage,
    General,
    KeyRecovery,
    Pkcs10,
    PkiConf,
    PollRep,
    PollRepEntry,
    PollReq,
    RevAnnouncement,
    RevDetails,
    RevRequest,
    RevResponse,
)
from .values import (
    children_of,
    decode_certificate,
    decode_certificates,
    decode_free_text,
    decode_infos,
    decode_key_pair,
    decode_status,
    decode_status_value,
    encode_free_text,
    encode_infos,
    encode_key_pair,
    encode_status,
    encode_time,
    generalized_time,
    request_id,
)

_MAX_CHECK_AFTER = 2**63 - 1
_MAX_RANDOM = 1 << 8 * 64


def _decode_requests(element: Element) -> CertRequests:
    return CertRequests(crmf.decode_messages(element))


def _encode_requests(body: CertRequests) -> bytes:
    return crmf.encode_messages(body.messages)


# ip, cp, kup, ccp


def _decode_reply(element: Element) -> CertRepMessage:
    reader = element.expect(der.SEQUENCE, "CertRepMessage").reader()
    published = reader.optional(der.context(1))
    responses = children_of(reader.any("response"), "response")
    reader.end("CertRepMessage")
    return CertRepMessage(
        tuple(_decode_response(child) for child in responses),
        decode_certificates(published.inner(), "caPubs") if published else (),
    )


def _decode_response(element: Element) -> CertResponse:
    reader = element.expect(der.SEQUENCE, "CertResponse").reader()
    number = request_id(reader)
    status = decode_status(reader.any("status"))
    pair, info = reader.optional(der.SEQUENCE), reader.optional(der.OCTET_STRING)
    reader.end("CertResponse")
    return CertResponse(number, status, decode_key_pair(pair) if pair else None, info.octets() if info else None)


def _encode_reply(body: CertRepMessage) -> bytes:
    published = der.explicit(1, der.sequence(*body.ca_certificates)) if body.ca_certificates else b""
    return der.sequence(published, der.sequence(*(_encode_response(one) for one in body.responses)))


def _encode_response(one: CertResponse) -> bytes:
    return der.sequence(
        der.integer(one.request_id),
        encode_status(one.status),
        encode_key_pair(one.key_pair) if one.key_pair else b"",
        der.octet_string(one.response_info) if one.response_info is not None else b"",
    )


def _decode_pkcs10(element: Element) -> Pkcs10:
    return Pkcs10(element.expect(der.SEQUENCE, "CertificationRequest").encoded)


def _encode_pkcs10(body: Pkcs10) -> bytes:
    return body.request


# popdecc, popdecr


def _decode_challenges(element: Element) -> Challenges:
    return Challenges(tuple(_decode_challenge(child) for child in children_of(element, "challenges")))


def _decode_challenge(element: Element) -> Challenge:
    reader = element.expect(der.SEQUENCE, "Challenge").reader()
    owf = reader.optional(der.SEQUENCE)
    if owf:
        algorithms.split_algorithm(owf)
    witness = reader.take(der.OCTET_STRING, "witness").octets()
    challenge = reader.take(der.OCTET_STRING, "challenge").octets()
    encrypted = reader.optional(der.context(0))
    reader.end("Challenge")
    sealed = encrypted.inner().expect(der.SEQUENCE, "encryptedRand").encoded if encrypted else b""
    return Challenge(owf.encoded if owf else None, witness, challenge, sealed)


def _encode_challenges(body: Challenges) -> bytes:
    return der.sequence(
        *(
            der.sequence(
                one.owf or b"",
                der.octet_string(one.witness),
                der.octet_string(one.challenge),
                der.explicit(0, one.encrypted_rand) if one.encrypted_rand else b"",
            )
            for one in body.challenges
        )
    )


def _decode_challenge_responses(element: Element) -> ChallengeResponses:
    children = children_of(element, "responses")
    integers = (child.expect(der.INTEGER, "response") for child in children)
    return ChallengeResponses(tuple(bounded_integer(one, 0, _MAX_RANDOM, "response") for one in integers))


def _encode_challenge_responses(body: ChallengeResponses) -> bytes:
    return der.sequence(*(der.integer(value) for value in body.values))


# krp


def _decode_recovery(element: Element) -> KeyRecovery:
    reader = element.expect(der.SEQUENCE, "KeyRecRepContent").reader()
    status = decode_status(reader.any("status"))
    new, published, history = (reader.optional(der.context(number)) for number in range(3))
    reader.end("KeyRecRepContent")
    pairs = children_of(history.inner(), "keyPairHist") if history else ()
    return KeyRecovery(
        status,
        decode_certificate(new.inner()) if new else b"",
        decode_certificates(published.inner(), "caCerts") if published else (),
        tuple(decode_key_pair(pair) for pair in pairs),
    )


def _encode_recovery(body: KeyRecovery) -> bytes:
    return der.sequence(
        encode_status(body.status),
        der.explicit(0, body.new_certificate) if body.new_certificate else b"",
        der.explicit(1, der.sequence(*body.ca_certificates)) if body.ca_certificates else b"",
        der.explicit(2, der.sequence(*(encode_key_pair(pair) for pair in body.history))) if body.history else b"",
    )


# rr, rp


def _decode_revocation(element: Element) -> RevRequest:
    return RevRequest(tuple(_decode_details(child) for child in children_of(element, "revocation requests")))


def _decode_details(element: Element) -> RevDetails:
    reader = element.expect(der.SEQUENCE, "RevDetails").reader()
    template = crmf.decode_template(reader.take(der.SEQUENCE, "certDetails"))
    entry = reader.optional(der.SEQUENCE)
    reader.end("RevDetails")
    return RevDetails(template, x509.decode_extensions(entry) if entry else ())


def _encode_revocation(body: RevRequest) -> bytes:
    return der.sequence(
        *(
            der.sequence(
                crmf.encode_template(one.template),
                x509.encode_extensions(one.crl_entry) if one.crl_entry else b"",
            )
            for one in body.details
        )
    )


def _decode_revoked(element: Element) -> RevResponse:
    reader = element.expect(der.SEQUENCE, "RevRepContent").reader()
    status = children_of(reader.any("status"), "status")
    certificates, crls = reader.optional(der.context(0)), reader.optional(der.context(1))
    reader.end("RevRepContent")
    ids = children_of(certificates.inner(), "revCerts") if certificates else ()
    return RevResponse(
        tuple(decode_status(one) for one in status),
        tuple(decode_cert_id(one) for one in ids),
        decode_certificates(crls.inner(), "crls") if crls else (),
    )


def _encode_revoked(body: RevResponse) -> bytes:
    ids = [encode_cert_id(one) for one in body.certificates]
    return der.sequence(
        der.sequence(*(encode_status(one) for one in body.status)),
        der.explicit(0, der.sequence(*ids)) if ids else b"",
        der.explicit(1, der.sequence(*body.crls)) if body.crls else b"",
    )


# announcements


def _decode_key_update(element: Element) -> CaKeyUpdate:
    if element.tag == der.context(0):
        return decode_root_update(element.inner())
    return decode_ca_key_update(element)


def decode_ca_key_update(element: Element) -> CaKeyUpdate:
    """Decode a CAKeyUpdAnnContent."""
    reader = element.expect(der.SEQUENCE, "CAKeyUpdAnnContent").reader()
    old_with_new, new_with_old, new_with_new = (decode_certificate(reader.any("certificate")) for _ in range(3))
    reader.end("CAKeyUpdAnnContent")
    return CaKeyUpdate(new_with_new, new_with_old, old_with_new, version=2)


def decode_root_update(element: Element) -> CaKeyUpdate:
    """Decode a RootCaKeyUpdateContent."""
    reader = element.expect(der.SEQUENCE, "RootCaKeyUpdateContent").reader()
    new = decode_certificate(reader.any("newWithNew"))
    new_with_old, old_with_new = reader.optional(der.context(0)), reader.optional(der.context(1))
    reader.end("RootCaKeyUpdateContent")
    return CaKeyUpdate(
        new,
        decode_certificate(new_with_old.inner()) if new_with_old else b"",
        decode_certificate(old_with_new.inner()) if old_with_new else b"",
        version=3,
    )


def encode_root_update(body: CaKeyUpdate) -> bytes:
    """DER RootCaKeyUpdateContent."""
    return der.sequence(
        body.new_with_new,
        der.explicit(0, body.new_with_old) if body.new_with_old else b"",
        der.explicit(1, body.old_with_new) if body.old_with_new else b"",
    )


def _encode_key_update(body: CaKeyUpdate) -> bytes:
    return encode_ca_key_update(body) if body.version == 2 else der.explicit(0, encode_root_update(body))


def encode_ca_key_update(body: CaKeyUpdate) -> bytes:
    """DER CAKeyUpdAnnContent, which needs all three certificates."""
    if not (body.old_with_new and body.new_with_old):
        raise Fault(FaultKind.INVALID, "CAKeyUpdAnnContent with two certificates", "a certificate is missing")
    return der.sequence(body.old_with_new, body.new_with_old, body.new_with_new)


def _decode_announcement(element: Element) -> CertAnnouncement:
    return CertAnnouncement(decode_certificate(element))


def _encode_announcement(body: CertAnnouncement) -> bytes:
    return body.certificate


def _decode_revocation_announcement(element: Element) -> RevAnnouncement:
    reader = element.expect(der.SEQUENCE, "RevAnnContent").reader()
    status = decode_status_value(reader.take(der.INTEGER, "status"))
    certificate = decode_cert_id(reader.any("certId"))
    when, since = generalized_time(reader.any("willBeRevokedAt")), generalized_time(reader.any("badSinceDate"))
    details = reader.optional(der.SEQUENCE)
    reader.end("RevAnnContent")
    return RevAnnouncement(status, certificate, when, since, x509.decode_extensions(details) if details else ())


def _encode_revocation_announcement(body: RevAnnouncement) -> bytes:
    return der.sequence(
        der.integer(body.status),
        encode_cert_id(body.certificate),
        encode_time(body.will_be_revoked_at),
        encode_time(body.bad_since),
        x509.encode_extensions(body.crl_details) if body.crl_details else b"",
    )


def _decode_crls(element: Element) -> CrlAnnouncement:
    return CrlAnnouncement(decode_certificates(element, "CRLs"))


def _encode_crls(body: CrlAnnouncement) -> bytes:
    return der.sequence(*body.crls)


# pkiconf, genm, genp, error, certConf, pollReq, pollRep


def _decode_pkiconf(element: Element) -> PkiConf:
    element.null()
    return PkiConf()


def _encode_pkiconf(_body: PkiConf) -> bytes:
    return der.null()


def _decode_general(element: Element) -> General:
    return General(decode_infos(element, "general message", empty=True))


def _encode_general(body: General) -> bytes:
    return encode_infos(body.infos)


def _decode_error(element: Element) -> ErrorMessage:
    reader = element.expect(der.SEQUENCE, "ErrorMsgContent").reader()
    status = decode_status(reader.any("pKIStatusInfo"))
    code, details = reader.optional(der.INTEGER), reader.optional(der.SEQUENCE)
    reader.end("ErrorMsgContent")
    number = bounded_integer(code, -_MAX_RANDOM, _MAX_RANDOM, "errorCode") if code else None
    return ErrorMessage(status, number, decode_free_text(details) if details else ())


def _encode_error(body: ErrorMessage) -> bytes:
    code = der.integer(body.code) if body.code is not None else b""
    return der.sequence(encode_status(body.status), code, encode_free_text(body.details))


def _decode_confirm(element: Element) -> CertConfirm:
    children = children_of(element, "certConf", empty=True)
    return CertConfirm(tuple(_decode_confirmed(child) for child in children))


def _decode_confirmed(element: Element) -> CertStatus:
    reader = element.expect(der.SEQUENCE, "CertStatus").reader()
    cert_hash = reader.take(der.OCTET_STRING, "certHash").octets()
    number = request_id(reader)
    status, algorithm = reader.optional(der.SEQUENCE), reader.optional(der.context(0))
    reader.end("CertStatus")
    hashing = b""
    if algorithm is not None:
        algorithms.split_algorithm(algorithm.inner())
        hashing = algorithm.inner().encoded
    return CertStatus(cert_hash, number, decode_status(status) if status else None, hashing)


def _encode_confirm(body: CertConfirm) -> bytes:
    return der.sequence(
        *(
            der.sequence(
                der.octet_string(one.cert_hash),
                der.integer(one.request_id),
                encode_status(one.status) if one.status else b"",
                der.explicit(0, one.hash_algorithm) if one.hash_algorithm else b"",
            )
            for one in body.statuses
        )
    )


def _single(element: Element, what: str) -> Reader:
    return element.expect(der.SEQUENCE, what).reader()


def _decode_poll(element: Element) -> PollReq:
    found: list[int] = []
    for child in children_of(element, "pollReq"):
        reader = _single(child, "pollReq")
        found.append(request_id(reader))
        reader.end("pollReq")
    return PollReq(tuple(found))


def _encode_poll(body: PollReq) -> bytes:
    return der.sequence(*(der.sequence(der.integer(number)) for number in body.request_ids))


def _decode_polled(element: Element) -> PollRep:
    found: list[PollRepEntry] = []
    for child in children_of(element, "pollRep"):
        reader = _single(child, "pollRep")
        number = request_id(reader)
        after = bounded_integer(reader.take(der.INTEGER, "checkAfter"), 0, _MAX_CHECK_AFTER, "checkAfter")
        reason = reader.optional(der.SEQUENCE)
        reader.end("pollRep")
        found.append(PollRepEntry(number, after, decode_free_text(reason) if reason else ()))
    return PollRep(tuple(found))


def _encode_polled(body: PollRep) -> bytes:
    return der.sequence(
        *(
            der.sequence(der.integer(one.request_id), der.integer(one.check_after), encode_free_text(one.reason))
            for one in body.entries
        )
    )


_Codec = tuple[type[Body], Callable[[Element], Body], Callable[..., bytes]]
_REQUESTS: _Codec = (CertRequests, _decode_requests, _encode_requests)
_REPLY: _Codec = (CertRepMessage, _decode_reply, _encode_reply)
_GENERAL: _Codec = (General, _decode_general, _encode_general)
_CODECS: dict[BodyType, _Codec] = {
    BodyType.IR: _REQUESTS,
    BodyType.IP: _REPLY,
    BodyType.CR: _REQUESTS,
    BodyType.CP: _REPLY,
    BodyType.P10CR: (Pkcs10, _decode_pkcs10, _encode_pkcs10),
    BodyType.POPDECC: (Challenges, _decode_challenges, _encode_challenges),
    BodyType.POPDECR: (ChallengeResponses, _decode_challenge_responses, _encode_challenge_responses),
    BodyType.KUR: _REQUESTS,
    BodyType.KUP: _REPLY,
    BodyType.KRR: _REQUESTS,
    BodyType.KRP: (KeyRecovery, _decode_recovery, _encode_recovery),
    BodyType.RR: (RevRequest, _decode_revocation, _encode_revocation),
    BodyType.RP: (RevResponse, _decode_revoked, _encode_revoked),
    BodyType.CCR: _REQUESTS,
    BodyType.CCP: _REPLY,
    BodyType.CKUANN: (CaKeyUpdate, _decode_key_update, _encode_key_update),
    BodyType.CANN: (CertAnnouncement, _decode_announcement, _encode_announcement),
    BodyType.RANN: (RevAnnouncement, _decode_revocation_announcement, _encode_revocation_announcement),
    BodyType.CRLANN: (CrlAnnouncement, _decode_crls, _encode_crls),
    BodyType.PKICONF: (PkiConf, _decode_pkiconf, _encode_pkiconf),
    BodyType.GENM: _GENERAL,
    BodyType.GENP: _GENERAL,
    BodyType.ERROR: (ErrorMessage, _decode_error, _encode_error),
    BodyType.CERTCONF: (CertConfirm, _decode_confirm, _encode_confirm),
    BodyType.POLLREQ: (PollReq, _decode_poll, _encode_poll),
    BodyType.POLLREP: (PollRep, _decode_polled, _encode_polled),
}


def decode_body(kind: BodyType, element: Element) -> Body:
    """Decode the value inside of a body's tag."""
    return _CODECS[kind][1](element)


def encode_body(kind: BodyType, body: Body) -> bytes:
    """DER of what lies inside of the body's tag."""
    if kind not in _CODECS or not isinstance(body, _CODECS[kind][0]):
        raise Fault(FaultKind.INVALID, f"{type(body).__name__} as {kind.name}", "body type and content do not fit")
    return _CODECS[kind][2](body)
