"""SCEP over HTTP: an operation in the query, a message in the query or in the body (RFC 8894 section 4)."""

from __future__ import annotations

from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.scep import failures, messages, transport
from pycryptoutil_protocols.scep.transport import Operation

from pycryptoutil.authority.scep import ScepService
from pycryptoutil.http.message import Request, Response
from pycryptoutil.service.definition import Context

_NO_STORE: Final = ("cache-control", "no-store")
_RETRY: Final = 10  # seconds


def ask(context: Context, request: Request) -> Response:
    """Answer a GET: any operation, PKIOperation with its message in base64."""
    service = _service(context)
    label = _label(context)
    match _operation(request):
        case Operation.GET_CA_CAPS:
            return Response(200, service.capabilities(label), "text/plain", (_NO_STORE,))
        case Operation.GET_CA_CERT:
            return Response(200, service.ca_certificates(label), messages.CA_AND_RA_CERTIFICATES, (_NO_STORE,))
        case Operation.GET_NEXT_CA_CERT:
            return Response(200, service.next_ca(label), messages.NEXT_CA_CERTIFICATE, (_NO_STORE,))
        case Operation.PKI_OPERATION:
            body = transport.decode_get(_parameter(request, "message"))
            return _answer(service, label, body, request)


def post(context: Context, request: Request) -> Response:
    """Answer a POST: PKIOperation with its message as the body, whatever its media type says."""
    if _operation(request) is not Operation.PKI_OPERATION:
        raise Fault(FaultKind.METHOD_NOT_ALLOWED, "POST of another operation", "only PKIOperation is posted")
    return _answer(_service(context), _label(context), request.body, request)


def _answer(service: ScepService, label: str, body: bytes, request: Request) -> Response:
    return Response(200, service.answer(label, body, request.request_id), messages.PKI_MESSAGE, (_NO_STORE,))


def faults(fault: Fault, request: Request) -> Response:
    """Answer where no CertRep can be: a status, and one line for people."""
    status = failures.http_status(fault.kind)
    headers: tuple[tuple[str, str], ...] = (_NO_STORE,)
    if status in {429, 503, 507}:
        headers += (("retry-after", str(fault.retry_after or _RETRY)),)
    text = f"{failures.fail_text(fault) or 'the request failed'}\nrequest {request.request_id}\n"
    return Response(status, text.encode(), failures.CONTENT_TYPE, headers)


def _service(context: Context) -> ScepService:
    service: ScepService | None = context.state.scep
    if service is None:
        raise Fault(FaultKind.NOT_FOUND, "scep.enabled is false", "SCEP is not offered here")
    return service


def _label(context: Context) -> str:
    return "/".join(context.parameters[name] for name in ("label", "ca", "profile") if name in context.parameters)


def _operation(request: Request) -> Operation:
    return transport.decode_operation(_parameter(request, "operation"))


def _parameter(request: Request, name: str) -> str:
    """Return a query parameter, whose name clients write in any case."""
    values = next((values for key, values in request.query.items() if key.lower() == name), ())
    if len(values) != 1:
        raise Fault(FaultKind.INVALID, f"{len(values)} values of {name}", f"the query needs one {name}")
    return values[0]
