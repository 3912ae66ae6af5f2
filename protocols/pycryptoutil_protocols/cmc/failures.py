"""Fault → CMCStatus and CMCFailInfo (RFC 5272 sections 6.1.3 and 6.1.4)."""

from __future__ import annotations

from pycryptoutil_protocols.faults import Fault, FaultKind

from .messages import BodyPartPath, FailInfo, Status, StatusInfo


class Refusal(Fault):
    """A Fault whose failure code is not the usual one of its kind, or that concerns certain parts of the message."""

    def __init__(self, failure: FailInfo, detail: str, public: str, *, parts: tuple[BodyPartPath, ...] = ()) -> None:
        super().__init__(_KINDS.get(failure, FaultKind.INVALID), detail, public)
        self.failure = failure
        self.parts = parts


_KINDS = {
    FailInfo.AUTH_DATA_FAIL: FaultKind.BAD_SIGNATURE,
    FailInfo.BAD_IDENTITY: FaultKind.UNAUTHENTICATED,
    FailInfo.POP_REQUIRED: FaultKind.BAD_POP,
    FailInfo.NO_KEY_REUSE: FaultKind.POLICY,
    FailInfo.MUST_ARCHIVE_KEYS: FaultKind.POLICY,
    FailInfo.UNSUPPORTED_EXT: FaultKind.POLICY,
}


_FAILURES: dict[FaultKind, FailInfo | None] = {
    FaultKind.BAD_ALGORITHM: FailInfo.BAD_ALG,
    FaultKind.BAD_SIGNATURE: FailInfo.BAD_MESSAGE_CHECK,
    FaultKind.STALE: FailInfo.BAD_TIME,
    FaultKind.NOT_FOUND: FailInfo.BAD_CERT_ID,
    FaultKind.UNAUTHENTICATED: FailInfo.BAD_IDENTITY,
    FaultKind.EXPIRED: FailInfo.BAD_IDENTITY,
    FaultKind.BAD_POP: FailInfo.POP_FAILED,
    FaultKind.INTERNAL: FailInfo.INTERNAL_CA_ERROR,
    FaultKind.BUSY: FailInfo.TRY_LATER,
    FaultKind.RATE_LIMITED: FailInfo.TRY_LATER,
    FaultKind.SEALED: FailInfo.TRY_LATER,
    FaultKind.UNAVAILABLE: FailInfo.TRY_LATER,
    FaultKind.STORAGE_FULL: FailInfo.TRY_LATER,
    FaultKind.PENDING: FailInfo.TRY_LATER,
    FaultKind.UNSUPPORTED: None,  # the status noSupport says it
    FaultKind.MALFORMED: FailInfo.BAD_REQUEST,
    FaultKind.INVALID: FailInfo.BAD_REQUEST,
    FaultKind.TOO_LARGE: FailInfo.BAD_REQUEST,
    FaultKind.WEAK_KEY: FailInfo.BAD_REQUEST,
    FaultKind.CONFLICT: FailInfo.BAD_REQUEST,
    FaultKind.FORBIDDEN: FailInfo.BAD_REQUEST,
    FaultKind.REPLAYED: FailInfo.BAD_REQUEST,
    FaultKind.POLICY: FailInfo.BAD_REQUEST,
    FaultKind.UNSUPPORTED_MEDIA_TYPE: FailInfo.BAD_REQUEST,
    FaultKind.NOT_ACCEPTABLE: FailInfo.BAD_REQUEST,
    FaultKind.METHOD_NOT_ALLOWED: FailInfo.BAD_REQUEST,
}


def fail_info(fault: Fault) -> FailInfo | None:
    """Return the failure code; None for what is answered by the status noSupport."""
    if isinstance(fault, Refusal):
        return fault.failure
    if fault.kind is FaultKind.POLICY and fault.pointer == "csr":  # what it asks for beside names
        return FailInfo.UNSUPPORTED_EXT
    return _FAILURES[fault.kind]


def status_of(fault: Fault, parts: tuple[BodyPartPath, ...]) -> StatusInfo:
    """Return what a peer is told of a fault: the code and the public text."""
    concerned = (fault.parts if isinstance(fault, Refusal) else ()) or parts
    failure = fail_info(fault)
    if failure is None:
        return StatusInfo(Status.NO_SUPPORT, concerned, fault.public)
    return StatusInfo(Status.FAILED, concerned, fault.public, failure)
