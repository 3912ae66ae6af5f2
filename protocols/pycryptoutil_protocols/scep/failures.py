"""FaultKind → failInfo (RFC 8894 section 3.2.1.4), or an HTTP status where no CertRep can be sent."""

from __future__ import annotations

from typing import assert_never

from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import FailInfo

CONTENT_TYPE = "text/plain; charset=utf-8"
MAX_TEXT = 250


def fail_info(kind: FaultKind) -> FailInfo | None:  # noqa: PLR0911 - a table
    """Return the failInfo of a fault; None when the server as such cannot answer now, which HTTP has statuses for."""
    match kind:
        case FaultKind.BAD_ALGORITHM | FaultKind.WEAK_KEY:
            return FailInfo.BAD_ALG
        case FaultKind.BAD_SIGNATURE | FaultKind.MALFORMED | FaultKind.TOO_LARGE:
            return FailInfo.BAD_MESSAGE_CHECK
        case FaultKind.STALE:
            return FailInfo.BAD_TIME
        case FaultKind.NOT_FOUND | FaultKind.EXPIRED:
            return FailInfo.BAD_CERT_ID
        case FaultKind.INVALID | FaultKind.UNSUPPORTED | FaultKind.BAD_POP | FaultKind.POLICY | FaultKind.CONFLICT:
            return FailInfo.BAD_REQUEST
        case FaultKind.UNAUTHENTICATED | FaultKind.FORBIDDEN | FaultKind.REPLAYED | FaultKind.PENDING:
            return FailInfo.BAD_REQUEST
        case FaultKind.METHOD_NOT_ALLOWED | FaultKind.NOT_ACCEPTABLE | FaultKind.UNSUPPORTED_MEDIA_TYPE:
            return FailInfo.BAD_REQUEST
        case FaultKind.RATE_LIMITED | FaultKind.BUSY | FaultKind.SEALED | FaultKind.UNAVAILABLE:
            return None
        case FaultKind.STORAGE_FULL | FaultKind.INTERNAL:
            return None
        case _:
            assert_never(kind)


def http_status(kind: FaultKind) -> int:  # noqa: PLR0911 - a table
    """Return the HTTP status of a fault that no CertRep answers: what came was no SCEP message, or the server is ill.

    There is no 500: a fault of ours asks to come again.
    """
    match kind:
        case FaultKind.NOT_FOUND:
            return 404
        case FaultKind.METHOD_NOT_ALLOWED:
            return 405
        case FaultKind.TOO_LARGE:
            return 413
        case FaultKind.UNSUPPORTED_MEDIA_TYPE:
            return 415
        case FaultKind.FORBIDDEN | FaultKind.UNAUTHENTICATED:
            return 403
        case FaultKind.RATE_LIMITED:
            return 429
        case FaultKind.BUSY | FaultKind.SEALED | FaultKind.UNAVAILABLE | FaultKind.INTERNAL:
            return 503
        case FaultKind.STORAGE_FULL:
            return 507
        case _:
            return 400


def fail_text(fault: Fault) -> str:
    """Return what failInfoText says: the fault's public text, and nothing else."""
    return fault.public[:MAX_TEXT]
