"""Problem documents (RFC 9457): what a fault looks like outside the protocols that have their own error form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import assert_never

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.message import Request, Response

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:pycryptoutil:problem:"
MAX_FIELD_ERRORS = 32


@dataclass(frozen=True, slots=True)
class FieldError:
    """One value that is wrong: ``pointer`` is a JSON pointer into the body (``#/names/0``) or a query parameter."""

    pointer: str
    detail: str
    in_query: bool = False


class InvalidInput(Fault):
    """A body or a query that breaks its schema, with every place that does."""

    def __init__(self, detail: str, public: str, errors: tuple[FieldError, ...]) -> None:
        super().__init__(FaultKind.INVALID, detail, public, pointer=errors[0].pointer if errors else "")
        self.errors = errors[:MAX_FIELD_ERRORS]


class PreconditionFailed(Fault):
    """If-Match names another state than the resource's (RFC 9110 section 13.1.1): somebody else was faster."""

    def __init__(self, detail: str) -> None:
        public = "It has changed since you read it: read it again."
        super().__init__(FaultKind.CONFLICT, detail, public)


def status_of(kind: FaultKind) -> int:  # noqa: C901, PLR0911, PLR0912  one arm per status; exhaustive by type
    """Return the HTTP status (RFC 9110 section 15) of a kind of fault."""
    match kind:
        case FaultKind.MALFORMED | FaultKind.BAD_ALGORITHM | FaultKind.BAD_SIGNATURE | FaultKind.BAD_POP:
            return 400
        case FaultKind.WEAK_KEY | FaultKind.UNSUPPORTED | FaultKind.STALE:
            return 400
        case FaultKind.INVALID:
            return 422
        case FaultKind.UNSUPPORTED_MEDIA_TYPE:
            return 415
        case FaultKind.NOT_ACCEPTABLE:
            return 406
        case FaultKind.METHOD_NOT_ALLOWED:
            return 405
        case FaultKind.TOO_LARGE:
            return 413
        case FaultKind.UNAUTHENTICATED:
            return 401
        case FaultKind.FORBIDDEN | FaultKind.POLICY:
            return 403
        case FaultKind.NOT_FOUND:
            return 404
        case FaultKind.CONFLICT | FaultKind.REPLAYED:
            return 409
        case FaultKind.EXPIRED:
            return 410
        case FaultKind.PENDING:
            return 202
        case FaultKind.RATE_LIMITED:
            return 429
        case FaultKind.BUSY | FaultKind.SEALED | FaultKind.UNAVAILABLE:
            return 503
        case FaultKind.STORAGE_FULL:
            return 507
        case FaultKind.INTERNAL:
            return 500
        case _:
            assert_never(kind)


TITLES = {
    202: "Accepted, not finished",
    400: "Bad request",
    401: "Authentication required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Request timeout",
    409: "Conflict",
    410: "Gone",
    413: "Content too large",
    414: "URI too long",
    412: "Precondition failed",
    415: "Unsupported media type",
    417: "Expectation failed",
    422: "Invalid content",
    429: "Too many requests",
    431: "Header fields too large",
    500: "Internal error",
    501: "Not implemented",
    503: "Service unavailable",
    505: "HTTP version not supported",
    507: "Storage full",
}

DEFAULT_RETRY_AFTER = {429: 1, 503: 5}


def fault_headers(fault: Fault) -> tuple[tuple[str, str], ...]:
    """Return the header fields every form of this fault carries: Retry-After and WWW-Authenticate.

    For the encoders of protocols too: RFC 9110 wants them whatever the body is.
    """
    retry = fault.retry_after if fault.retry_after is not None else DEFAULT_RETRY_AFTER.get(status_of(fault.kind))
    headers = () if retry is None else (("Retry-After", str(max(0, retry))),)
    return headers + tuple(("WWW-Authenticate", challenge) for challenge in fault.challenges)


def document(
    status: int, kind: str, detail: str, request_id: str, *, instance: str = "", errors: tuple[FieldError, ...] = ()
) -> bytes:
    """Return one problem document as JSON."""
    body: dict[str, object] = {
        "type": TYPE_PREFIX + kind,
        "title": TITLES.get(status, "Error"),
        "status": status,
    }
    if detail:
        body["detail"] = detail
    if instance:
        body["instance"] = instance
    body["request_id"] = request_id
    if errors:
        body["errors"] = [
            {"parameter" if error.in_query else "pointer": error.pointer, "detail": error.detail} for error in errors
        ]
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def problem(fault: Fault, request: Request) -> Response:
    """Encode a fault as a problem document. Its internal detail is not in it."""
    status = 412 if isinstance(fault, PreconditionFailed) else status_of(fault.kind)
    errors: tuple[FieldError, ...] = ()
    if isinstance(fault, InvalidInput):
        errors = fault.errors
    elif fault.pointer:
        errors = (FieldError(fault.pointer, fault.public or TITLES[status]),)
    body = document(
        status, fault.kind.value, fault.public, request.request_id, instance=request.raw_path[:512], errors=errors
    )
    return Response(status, body, MEDIA_TYPE, (("Cache-Control", "no-store"), *fault_headers(fault)))
