"""The one internal error type. Each protocol's ``failures.py`` maps its kinds to that protocol's wire error."""

from __future__ import annotations

import enum


class FaultKind(enum.Enum):
    """What went wrong, independent of the protocol that reports it."""

    MALFORMED = "malformed"  # cannot be decoded: DER, base64, JSON, a parameter
    INVALID = "invalid"  # decodes, but a value breaks the schema or the RFC
    UNSUPPORTED = "unsupported"  # a version, operation or option that is not offered
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    NOT_ACCEPTABLE = "not-acceptable"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    TOO_LARGE = "too-large"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"  # exists already, or its state does not allow this
    REPLAYED = "replayed"
    STALE = "stale"  # outside the accepted time window
    EXPIRED = "expired"
    BAD_ALGORITHM = "bad-algorithm"
    BAD_SIGNATURE = "bad-signature"
    BAD_POP = "bad-pop"  # proof of possession fails
    WEAK_KEY = "weak-key"
    POLICY = "policy"  # the profile or a credential does not allow it
    PENDING = "pending"  # waits for approval
    RATE_LIMITED = "rate-limited"
    BUSY = "busy"  # a queue is full
    SEALED = "sealed"
    UNAVAILABLE = "unavailable"  # database or another dependency is away
    STORAGE_FULL = "storage-full"
    INTERNAL = "internal"


class Fault(Exception):  # noqa: N818 - it is what the RFCs call it
    """An expected failure.

    ``detail`` goes to the log only; ``public`` is what a peer may read. ``retry_after`` is in seconds.
    ``pointer`` is the JSON path of the offending value, where there is one. ``challenges`` are the values of
    WWW-Authenticate (RFC 9110 section 11.6.1) that an UNAUTHENTICATED answer carries.
    """

    def __init__(
        self,
        kind: FaultKind,
        detail: str,
        public: str = "",
        *,
        retry_after: int | None = None,
        pointer: str = "",
        challenges: tuple[str, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.public = public
        self.retry_after = retry_after
        self.pointer = pointer
        self.challenges = challenges

    def __repr__(self) -> str:
        return f"Fault({self.kind.name}, {self.public!r})"
