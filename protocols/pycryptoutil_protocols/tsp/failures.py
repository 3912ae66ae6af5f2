"""FaultKind → PKIFailureInfo (RFC 3161 section 2.4.2)."""

from __future__ import annotations

from typing import assert_never

from pycryptoutil_protocols.faults import Fault, FaultKind

from .codec import encode_reply
from .messages import FailureInfo, Status


class Refused(Fault):
    """A fault that names its own failure code, where the kind alone would not tell."""

    def __init__(self, kind: FaultKind, failure: FailureInfo, detail: str, public: str = "") -> None:
        super().__init__(kind, detail, public or detail)
        self.failure = failure


def failure_info(fault: Fault) -> FailureInfo:
    """Return the failure code that answers a fault."""
    return fault.failure if isinstance(fault, Refused) else _of_kind(fault.kind)


def _of_kind(kind: FaultKind) -> FailureInfo:  # noqa: PLR0911 - a table
    match kind:
        case FaultKind.BAD_ALGORITHM | FaultKind.WEAK_KEY:
            return FailureInfo.BAD_ALG
        case FaultKind.MALFORMED | FaultKind.TOO_LARGE | FaultKind.UNSUPPORTED_MEDIA_TYPE:
            return FailureInfo.BAD_DATA_FORMAT
        case FaultKind.INVALID | FaultKind.UNSUPPORTED | FaultKind.NOT_ACCEPTABLE | FaultKind.METHOD_NOT_ALLOWED:
            return FailureInfo.BAD_REQUEST
        case FaultKind.UNAUTHENTICATED | FaultKind.FORBIDDEN | FaultKind.NOT_FOUND | FaultKind.REPLAYED:
            return FailureInfo.BAD_REQUEST
        case FaultKind.BAD_SIGNATURE | FaultKind.BAD_POP | FaultKind.CONFLICT:
            return FailureInfo.BAD_REQUEST
        case FaultKind.POLICY:
            return FailureInfo.UNACCEPTED_POLICY
        case FaultKind.STALE | FaultKind.EXPIRED:
            return FailureInfo.TIME_NOT_AVAILABLE
        case FaultKind.PENDING | FaultKind.RATE_LIMITED | FaultKind.BUSY | FaultKind.SEALED | FaultKind.UNAVAILABLE:
            return FailureInfo.SYSTEM_FAILURE
        case FaultKind.STORAGE_FULL | FaultKind.INTERNAL:
            return FailureInfo.SYSTEM_FAILURE
        case _:
            assert_never(kind)


def http_status(kind: FaultKind) -> int:
    """Return the HTTP status: 200 for what the protocol itself decides, else what proxies and operators understand."""
    match kind:
        case FaultKind.NOT_FOUND:
            return 404
        case FaultKind.METHOD_NOT_ALLOWED:
            return 405
        case FaultKind.UNSUPPORTED_MEDIA_TYPE:
            return 415
        case FaultKind.RATE_LIMITED:
            return 429
        case FaultKind.BUSY | FaultKind.SEALED | FaultKind.UNAVAILABLE | FaultKind.STORAGE_FULL:
            return 503
        case _:
            return 200


def error_reply(fault: Fault) -> bytes:
    """DER TimeStampResp that refuses."""
    failure = failure_info(fault)
    text = fault.public or failure.name.lower().replace("_", " ")
    return encode_reply(status=Status.REJECTION, text=text, failures=(failure,))
