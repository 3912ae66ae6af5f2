"""CMP over HTTP: a body to the server and its answer back. Errors are PKIMessages too (RFC 9811 section 3.4)."""

from __future__ import annotations

import logging
from typing import Any, Final

from pycryptoutil_protocols.cmp import codec, messages
from pycryptoutil_protocols.cmp.failures import CmpFault, error_message, failure_of
from pycryptoutil_protocols.cmp.messages import BodyType, PKIFailureInfo
from pycryptoutil_protocols.cmp.protection import seal
from pycryptoutil_protocols.cmp.server import header
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.cmp import CmpService
from pycryptoutil.http.message import Request, Response
from pycryptoutil.service.definition import Context

_NO_STORE: Final = ("cache-control", "no-store")
_OF_CERTIFICATES: Final = frozenset({BodyType.IR, BodyType.CR, BodyType.P10CR, BodyType.KUR})
_GENERAL: Final = frozenset({BodyType.GENM})

OPERATIONS: Final = {
    # RFC 9483 section 6.1
    "initialization": frozenset({BodyType.IR}),
    "certification": frozenset({BodyType.CR}),
    "keyupdate": frozenset({BodyType.KUR}),
    "pkcs10": frozenset({BodyType.P10CR}),
    "revocation": frozenset({BodyType.RR}),
    "serverkeygen": _OF_CERTIFICATES,
    "getcacerts": _GENERAL,
    "getrootupdate": _GENERAL,
    "getcertreqtemplate": _GENERAL,
    "getcrls": _GENERAL,
    "nested": frozenset({BodyType.NESTED}),
}
_HTTP: Final = {
    FaultKind.NOT_FOUND: 404,
    FaultKind.METHOD_NOT_ALLOWED: 405,
    FaultKind.TOO_LARGE: 413,
    FaultKind.UNSUPPORTED_MEDIA_TYPE: 415,
    FaultKind.RATE_LIMITED: 429,
    FaultKind.BUSY: 503,
    FaultKind.SEALED: 503,
    FaultKind.UNAVAILABLE: 503,
    FaultKind.STORAGE_FULL: 503,
}
_RETRY: Final = 5  # seconds

_log = logging.getLogger(__name__)


def exchange(context: Context, request: Request) -> Response:
    """Answer one PKIMessage (RFC 9811 section 3)."""
    service: CmpService | None = context.state.cmp
    if service is None:
        raise Fault(FaultKind.NOT_FOUND, "cmp.enabled is false", "CMP is not offered here")
    if request.content_type != messages.CONTENT_TYPE:
        text = f"the media type is {messages.CONTENT_TYPE}"
        raise Fault(FaultKind.UNSUPPORTED_MEDIA_TYPE, f"content type {request.content_type[:60]!r}", text)
    operation = context.parameters.get("operation")
    if operation is not None and operation not in OPERATIONS:
        raise Fault(FaultKind.NOT_FOUND, f"operation {operation[:40]!r}", "there is no such operation")
    allowed = OPERATIONS[operation] if operation is not None else None
    answer = service.answer(context.parameters.get("label", ""), request.body, allowed, request.request_id)
    if answer.fault is not None:
        told = failure_of(answer.fault).name
        _log.info("CMP request %s refused, %s: %s", request.request_id, told, answer.fault.detail)
    return Response(200, answer.encoded, messages.CONTENT_TYPE, (_NO_STORE,))


def expire(state: Any) -> None:
    """End the transactions that have run out."""
    service: CmpService | None = state.cmp
    if service is not None:
        service.expire()


def faults(fault: Fault, request: Request) -> Response:
    """Answer what went wrong before a message was served: an unprotected error message, for want of anybody's key."""
    status = _HTTP.get(fault.kind, 200)  # whatever else fails is told in the message alone
    headers: tuple[tuple[str, str], ...] = (_NO_STORE,)
    if status in {429, 503}:
        headers += (("retry-after", str(fault.retry_after or _RETRY)),)
    if fault.kind is FaultKind.NOT_FOUND:  # a path, where in CMP it would be a certificate
        fault = CmpFault(PKIFailureInfo.BAD_REQUEST, fault.detail, fault.public)
    asked = codec.peek_header(request.body) if request.body else None
    made = header.answer(asked, request.received_at, header.new_nonce(), ())
    body = seal(made, BodyType.ERROR, error_message(fault))
    return Response(status, body.encoded, messages.CONTENT_TYPE, headers)
