"""Revocation requests (RFC 9810 section 5.3.9, RFC 9483 section 4.2)."""

from __future__ import annotations

from pycryptoutil_protocols import der
from pycryptoutil_protocols.cmp.messages import BodyType, PKIFailureInfo, RevRequest, RevResponse, directory_name
from pycryptoutil_protocols.crmf.messages import CertId

from .refusal import refusal
from .transactions import Record, State
from .visit import Reply, Visit

MAX_DETAILS = 16


def revoke(visit: Visit, record: Record, *, again: bool) -> Reply:
    """Revoke each certificate that is named, as far as the requester may."""
    body = visit.message.body
    if not isinstance(body, RevRequest):
        raise der.malformed("rr without RevReqContent")
    if len(body.details) > MAX_DETAILS:
        raise refusal(PKIFailureInfo.BAD_REQUEST, f"at most {MAX_DETAILS} certificates can be revoked at once")
    status = tuple(visit.office.revoke(visit.requester, one, again=again) for one in body.details)
    named = [
        CertId(directory_name(one.template.issuer), one.template.serial)
        for one in body.details
        if one.template.issuer is not None and one.template.serial is not None
    ]
    certificates = (
        tuple(named) if len(named) == len(body.details) else ()
    )  # in the order of the statuses, or not at all
    return Reply(BodyType.RP, RevResponse(status, certificates), state=State.DONE, memory=record.memory)
