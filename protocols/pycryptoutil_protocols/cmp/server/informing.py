"""Support messages (genm), and the requests that this CA does not serve (RFC 9810 sections 5.3.7, 5.3.11, 5.3.19)."""

from __future__ import annotations

from pycryptoutil_protocols import der
from pycryptoutil_protocols.cmp.failures import status_info
from pycryptoutil_protocols.cmp.general import KEM_CIPHERTEXT_INFO, unsupported_oids
from pycryptoutil_protocols.cmp.messages import (
    BodyType,
    CertRepMessage,
    CertRequests,
    CertResponse,
    General,
    InfoTypeAndValue,
    KeyRecovery,
    PKIFailureInfo,
    PKIMessage,
)

from .refusal import refusal
from .transactions import State
from .visit import Reply, Visit

MAX_INFOS = 16


def _infos(message: PKIMessage) -> tuple[InfoTypeAndValue, ...]:
    if not isinstance(message.body, General):
        raise der.malformed("genm without GenMsgContent")
    if len(message.body.infos) > MAX_INFOS:
        raise refusal(PKIFailureInfo.BAD_REQUEST, f"at most {MAX_INFOS} questions can be asked at once")
    return message.body.infos


def inform(visit: Visit) -> Reply:
    """Answer every question; what is not known is listed in unsupportedOIDs."""
    answers: list[InfoTypeAndValue] = []
    unknown: list[str] = []
    for info in _infos(visit.message):
        answer = visit.office.inform(visit.requester, info, visit.message)
        if answer is None:
            unknown.append(info.oid)
        else:
            answers.append(answer)
    if unknown:
        answers.append(unsupported_oids(tuple(dict.fromkeys(unknown))))
    return Reply(BodyType.GENP, General(tuple(answers)))


def wants_key(message: PKIMessage) -> bool:
    """Tell whether a shared secret by KEM is asked for, which only the same transaction can use."""
    return any(info.oid == KEM_CIPHERTEXT_INFO for info in _infos(message))


def make_key(visit: Visit) -> tuple[Reply, str]:
    """Make a shared secret with the client's KEM key (RFC 9810 section 5.1.3.4); return it sealed, for the memory."""
    infos = _infos(visit.message)
    if len(infos) != 1 or infos[0].value:
        raise refusal(PKIFailureInfo.BAD_REQUEST, "KemCiphertextInfo is asked for alone, and without a value")
    answer, secret = visit.office.encapsulate(visit.requester, visit.message)
    return Reply(BodyType.GENP, General((answer,)), state=State.KEYED), secret


def no_recovery(_visit: Visit) -> Reply:
    """Refuse key recovery: no private key is kept here."""
    fault = refusal(PKIFailureInfo.BAD_REQUEST, "no keys are kept here that could be recovered")
    return Reply(BodyType.KRP, KeyRecovery(status_info(fault)))


def no_cross_certificate(visit: Visit) -> Reply:
    """Refuse to certify another CA: that is for an administrator."""
    fault = refusal(PKIFailureInfo.NOT_AUTHORIZED, "cross-certificates are made by administrators only")
    body = visit.message.body
    requests = body.messages if isinstance(body, CertRequests) else ()
    responses = tuple(CertResponse(one.request.request_id, status_info(fault)) for one in requests)
    return Reply(BodyType.CCP, CertRepMessage(responses))
