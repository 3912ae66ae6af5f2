"""OCSP over HTTP (RFC 6960 appendix A, RFC 5019): bytes to the responder and back.

Every protocol error is HTTP 200 with an OCSPResponseStatus inside, which is the one form that clients read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ocsp import caching, codec
from pycryptoutil_protocols.ocsp.failures import error_response

from pycryptoutil.authority.ocsp import OcspAnswer, OcspService, Presigned
from pycryptoutil.http.message import Request, Response
from pycryptoutil.service.definition import Context

_TOLERATED_TYPES: Final = frozenset(
    {"", caching.REQUEST_TYPE, "application/octet-stream", "application/x-www-form-urlencoded"}
)
"""What clients send; curl's and some libraries' defaults are among it. The body's own syntax decides."""

_PREFIX: Final = "/ocsp/"


def fast(state: Any, request: Request, parameters: Mapping[str, str]) -> Response | None:
    """Answer from what is signed ahead, on the reactor; None: a worker must."""
    ocsp: OcspService = state.ocsp
    if request.method == "POST":
        kind = request.headers.get("content-type")
        if kind != caching.REQUEST_TYPE and request.content_type not in _TOLERATED_TYPES:
            return None
        asked: bytes | str = request.body
    else:
        asked = request.raw_path
    found = ocsp.cached((parameters["ca"], asked))
    if found is None:
        return None
    answer = found.answer
    if answer is None:
        answer = found.answer = _response(found)
    return answer


def post(context: Context, request: Request) -> Response:
    """Answer a POST."""
    if request.content_type not in _TOLERATED_TYPES:
        raise Fault(
            FaultKind.UNSUPPORTED_MEDIA_TYPE, f"content type {request.content_type[:60]!r}", "not an OCSP request"
        )
    ca = context.parameters["ca"]
    ocsp: OcspService = context.state.ocsp
    return _response(ocsp.respond(ca, request.body, (ca, request.body)))


def get(context: Context, request: Request) -> Response:
    """Answer a GET, whose path carries the request in base64."""
    ca = context.parameters["ca"]
    ocsp: OcspService = context.state.ocsp
    return _response(ocsp.respond(ca, codec.decode_get(encoded_part(request.raw_path)), (ca, request.raw_path)))


def encoded_part(raw_path: str) -> str:
    """Return what follows ``/ocsp/{ca}`` in a path as received: slashes and escapes in it are the request's own."""
    rest = raw_path[raw_path.find(_PREFIX) + len(_PREFIX) :]
    return rest.partition("/")[2]


def faults(fault: Fault, _request: Request) -> Response:
    """Answer a Fault in OCSP's own form."""
    headers: tuple[tuple[str, str], ...] = (("cache-control", "no-store"),)
    if fault.retry_after is not None:
        headers += (("retry-after", str(fault.retry_after)),)
    return Response(200, error_response(fault), caching.CONTENT_TYPE, headers)


def _response(answer: OcspAnswer | Presigned) -> Response:
    return Response(200, answer.der, caching.CONTENT_TYPE, answer.headers)
