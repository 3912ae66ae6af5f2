"""FaultKind → HTTP status and a text for people (RFC 7030 section 4.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from pycryptoutil_protocols.faults import Fault, FaultKind

CONTENT_TYPE = "text/plain; charset=utf-8"
_DEFAULT_RETRY = 60  # seconds


@dataclass(frozen=True, slots=True)
class HttpError:
    """Status, body and header fields of an EST error, or of the 202 that asks to come again."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()


def http_status(kind: FaultKind) -> int:  # noqa: C901, PLR0911, PLR0912 - a table
    """Return the HTTP status that answers a fault."""
    match kind:
        case FaultKind.MALFORMED | FaultKind.INVALID | FaultKind.BAD_ALGORITHM | FaultKind.BAD_SIGNATURE:
            return 400
        case FaultKind.BAD_POP | FaultKind.WEAK_KEY | FaultKind.STALE | FaultKind.REPLAYED | FaultKind.UNSUPPORTED:
            return 400
        case FaultKind.UNAUTHENTICATED:
            return 401
        case FaultKind.FORBIDDEN | FaultKind.POLICY | FaultKind.EXPIRED:
            return 403
        case FaultKind.NOT_FOUND:
            return 404
        case FaultKind.METHOD_NOT_ALLOWED:
            return 405
        case FaultKind.NOT_ACCEPTABLE:
            return 406
        case FaultKind.CONFLICT:
            return 409
        case FaultKind.TOO_LARGE:
            return 413
        case FaultKind.UNSUPPORTED_MEDIA_TYPE:
            return 415
        case FaultKind.RATE_LIMITED:
            return 429
        case FaultKind.PENDING:
            return 202
        case FaultKind.INTERNAL:
            return 500
        case FaultKind.BUSY | FaultKind.SEALED | FaultKind.UNAVAILABLE:
            return 503
        case FaultKind.STORAGE_FULL:
            return 507
        case _:
            assert_never(kind)


_TEXTS = {
    202: "The request waits for approval; ask again with the same request after the time in Retry-After.",
    400: "The request is not valid.",
    401: "Authentication is required.",
    403: "The request is not allowed.",
    404: "There is no such resource.",
    405: "The method is not allowed here.",
    406: "None of the accepted media types is offered.",
    409: "The request conflicts with the present state.",
    413: "The request is too large.",
    415: "The media type is not supported.",
    429: "Too many requests.",
    500: "The server failed.",
    503: "The server cannot answer now.",
    507: "The server cannot store anything now.",
}


def http_error(fault: Fault) -> HttpError:
    """Return the answer to a fault: only its public text leaves."""
    status = http_status(fault.kind)
    text = f"{_TEXTS[status]} {_sentence(fault.public)}" if fault.public else _TEXTS[status]
    headers = [("content-type", CONTENT_TYPE), ("cache-control", "no-store")]
    if fault.retry_after is not None or status in (202, 429, 503):
        headers.append(("retry-after", str(fault.retry_after if fault.retry_after is not None else _DEFAULT_RETRY)))
    headers += [("www-authenticate", challenge) for challenge in fault.challenges]
    return HttpError(status, f"{text}\n", tuple(headers))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."
