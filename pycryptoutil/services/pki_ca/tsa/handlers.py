"""Time-stamping: bytes to the authority and back. Refusals are TimeStampResp too, with the RFC's failure codes."""

from __future__ import annotations

from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.tsp import failures, messages

from pycryptoutil.authority import CertificateAuthorityService
from pycryptoutil.authority.timestamp import TimestampService
from pycryptoutil.http.message import Request, Response
from pycryptoutil.service.definition import Context

_NO_STORE: Final = ("cache-control", "no-store")


def stamp(context: Context, request: Request) -> Response:
    """Time-stamp what a TimeStampReq asks for (RFC 3161 section 3.4)."""
    service: TimestampService | None = context.state.tsa
    if service is None:
        raise Fault(FaultKind.NOT_FOUND, "tsa.enabled is false", "there is no time-stamping authority here")
    authority: CertificateAuthorityService = context.state.authority
    place = service.place(context.parameters.get("label", ""), authority.resolve_label)
    reply = service.stamp(place.tenant_id, place.authority, request.body, request.request_id)
    return Response(200, reply, messages.REPLY, (_NO_STORE,))


def faults(fault: Fault, _request: Request) -> Response:
    """Refuse in the protocol's own form."""
    headers: tuple[tuple[str, str], ...] = (_NO_STORE,)
    if fault.retry_after is not None:
        headers += (("retry-after", str(fault.retry_after)),)
    return Response(failures.http_status(fault.kind), failures.error_reply(fault), messages.REPLY, headers)
