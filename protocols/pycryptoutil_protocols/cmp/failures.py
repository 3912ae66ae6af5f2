"""What goes wrong, in CMP's words: faults ⇄ PKIStatusInfo (RFC 9810 section 5.2.3, RFC 9483 section 3.6)."""

from __future__ import annotations

from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import ErrorMessage, PKIFailureInfo, PKIStatus, PKIStatusInfo

_FAILURES = {
    FaultKind.MALFORMED: PKIFailureInfo.BAD_DATA_FORMAT,
    FaultKind.INVALID: PKIFailureInfo.BAD_DATA_FORMAT,
    FaultKind.UNSUPPORTED: PKIFailureInfo.BAD_REQUEST,
    FaultKind.UNSUPPORTED_MEDIA_TYPE: PKIFailureInfo.BAD_DATA_FORMAT,
    FaultKind.NOT_ACCEPTABLE: PKIFailureInfo.BAD_REQUEST,
    FaultKind.METHOD_NOT_ALLOWED: PKIFailureInfo.BAD_REQUEST,
    FaultKind.TOO_LARGE: PKIFailureInfo.BAD_DATA_FORMAT,
    FaultKind.UNAUTHENTICATED: PKIFailureInfo.BAD_MESSAGE_CHECK,
    FaultKind.FORBIDDEN: PKIFailureInfo.NOT_AUTHORIZED,
    FaultKind.NOT_FOUND: PKIFailureInfo.BAD_CERT_ID,
    FaultKind.CONFLICT: PKIFailureInfo.DUPLICATE_CERT_REQ,
    FaultKind.REPLAYED: PKIFailureInfo.BAD_SENDER_NONCE,
    FaultKind.STALE: PKIFailureInfo.BAD_TIME,
    FaultKind.EXPIRED: PKIFailureInfo.BAD_TIME,
    FaultKind.BAD_ALGORITHM: PKIFailureInfo.BAD_ALG,
    FaultKind.BAD_SIGNATURE: PKIFailureInfo.BAD_MESSAGE_CHECK,
    FaultKind.BAD_POP: PKIFailureInfo.BAD_POP,
    FaultKind.WEAK_KEY: PKIFailureInfo.BAD_CERT_TEMPLATE,
    FaultKind.POLICY: PKIFailureInfo.BAD_CERT_TEMPLATE,
    FaultKind.PENDING: PKIFailureInfo.SYSTEM_UNAVAIL,  # a server answers waiting; for one that cannot
    FaultKind.RATE_LIMITED: PKIFailureInfo.SYSTEM_UNAVAIL,
    FaultKind.BUSY: PKIFailureInfo.SYSTEM_UNAVAIL,
    FaultKind.SEALED: PKIFailureInfo.SYSTEM_UNAVAIL,
    FaultKind.UNAVAILABLE: PKIFailureInfo.SYSTEM_UNAVAIL,
    FaultKind.STORAGE_FULL: PKIFailureInfo.SYSTEM_UNAVAIL,
    FaultKind.INTERNAL: PKIFailureInfo.SYSTEM_FAILURE,
}
_KINDS = {
    PKIFailureInfo.BAD_ALG: FaultKind.BAD_ALGORITHM,
    PKIFailureInfo.BAD_MESSAGE_CHECK: FaultKind.BAD_SIGNATURE,
    PKIFailureInfo.BAD_REQUEST: FaultKind.UNSUPPORTED,
    PKIFailureInfo.BAD_TIME: FaultKind.STALE,
    PKIFailureInfo.BAD_CERT_ID: FaultKind.NOT_FOUND,
    PKIFailureInfo.BAD_POP: FaultKind.BAD_POP,
    PKIFailureInfo.CERT_REVOKED: FaultKind.CONFLICT,
    PKIFailureInfo.CERT_CONFIRMED: FaultKind.CONFLICT,
    PKIFailureInfo.BAD_RECIPIENT_NONCE: FaultKind.REPLAYED,
    PKIFailureInfo.BAD_SENDER_NONCE: FaultKind.REPLAYED,
    PKIFailureInfo.UNACCEPTED_POLICY: FaultKind.POLICY,
    PKIFailureInfo.UNACCEPTED_EXTENSION: FaultKind.POLICY,
    PKIFailureInfo.BAD_CERT_TEMPLATE: FaultKind.POLICY,
    PKIFailureInfo.SIGNER_NOT_TRUSTED: FaultKind.UNAUTHENTICATED,
    PKIFailureInfo.TRANSACTION_ID_IN_USE: FaultKind.CONFLICT,
    PKIFailureInfo.UNSUPPORTED_VERSION: FaultKind.UNSUPPORTED,
    PKIFailureInfo.NOT_AUTHORIZED: FaultKind.FORBIDDEN,
    PKIFailureInfo.SYSTEM_UNAVAIL: FaultKind.UNAVAILABLE,
    PKIFailureInfo.TIME_NOT_AVAILABLE: FaultKind.UNAVAILABLE,
    PKIFailureInfo.SYSTEM_FAILURE: FaultKind.INTERNAL,
    PKIFailureInfo.DUPLICATE_CERT_REQ: FaultKind.CONFLICT,
}


class CmpFault(Fault):
    """A fault whose failInfo is known better than its kind says; the kind follows from it."""

    def __init__(self, failure: PKIFailureInfo, detail: str, public: str = "") -> None:
        super().__init__(_KINDS.get(failure, FaultKind.INVALID), detail, public)
        self.failure = failure


def failure_of(fault: Fault) -> PKIFailureInfo:
    """Return the one bit of failInfo that says what went wrong."""
    return fault.failure if isinstance(fault, CmpFault) else _FAILURES[fault.kind]


def status_info(fault: Fault) -> PKIStatusInfo:
    """Return the rejection that tells a fault, with its public text only."""
    text = (fault.public,) if fault.public else ()
    return PKIStatusInfo(PKIStatus.REJECTION, text, frozenset({failure_of(fault)}))


def error_message(fault: Fault) -> ErrorMessage:
    """Return the body of an error message that tells a fault."""
    return ErrorMessage(status_info(fault))


def rejected(info: PKIStatusInfo) -> Fault:
    """Return the fault that a peer's rejection is, for a client; the kind is that of its first failInfo bit."""
    names = " ".join(failure.name for failure in sorted(info.failures))
    detail = f"{info.status.name} {names} {' '.join(info.text)[:200]!r}"
    if info.failures:
        return CmpFault(min(info.failures), detail, "the CA rejects the request")
    return Fault(FaultKind.POLICY, detail, "the CA rejects the request")
