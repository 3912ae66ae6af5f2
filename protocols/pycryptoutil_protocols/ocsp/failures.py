"""FaultKind → OCSPResponseStatus (RFC 6960 section 4.2.1), as constant bytes."""

from __future__ import annotations

from typing import assert_never

from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import ResponseStatus


def response_status(kind: FaultKind) -> ResponseStatus:  # noqa: PLR0911 - a table
    """Return the status that answers a fault."""
    match kind:
        case FaultKind.MALFORMED | FaultKind.INVALID | FaultKind.UNSUPPORTED | FaultKind.TOO_LARGE:
            return ResponseStatus.MALFORMED_REQUEST
        case FaultKind.UNSUPPORTED_MEDIA_TYPE | FaultKind.NOT_ACCEPTABLE | FaultKind.METHOD_NOT_ALLOWED:
            return ResponseStatus.MALFORMED_REQUEST
        case FaultKind.BAD_ALGORITHM | FaultKind.BAD_SIGNATURE | FaultKind.BAD_POP | FaultKind.WEAK_KEY:
            return ResponseStatus.MALFORMED_REQUEST
        case FaultKind.UNAUTHENTICATED:
            return ResponseStatus.SIG_REQUIRED
        case FaultKind.FORBIDDEN | FaultKind.NOT_FOUND | FaultKind.POLICY | FaultKind.EXPIRED:
            return ResponseStatus.UNAUTHORIZED
        case FaultKind.PENDING | FaultKind.RATE_LIMITED | FaultKind.BUSY | FaultKind.SEALED | FaultKind.UNAVAILABLE:
            return ResponseStatus.TRY_LATER
        case FaultKind.CONFLICT | FaultKind.REPLAYED | FaultKind.STALE | FaultKind.STORAGE_FULL | FaultKind.INTERNAL:
            return ResponseStatus.INTERNAL_ERROR
        case _:
            assert_never(kind)


ERROR_RESPONSES: dict[ResponseStatus, bytes] = {
    status: der.sequence(der.enumerated(status)) for status in ResponseStatus
}
del ERROR_RESPONSES[ResponseStatus.SUCCESSFUL]


def error_response(fault: Fault) -> bytes:
    """DER OCSPResponse without a body, unsigned as all of them are; it is served with HTTP status 200."""
    return ERROR_RESPONSES[response_status(fault.kind)]
