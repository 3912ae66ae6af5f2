"""ACME's errors (RFC 8555 section 6.7) as faults and as problem documents (RFC 9457)."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from pycryptoutil_protocols.faults import Fault, FaultKind

MEDIA_TYPE = "application/problem+json"
_PREFIX = "urn:ietf:params:acme:error:"


class ProblemType(enum.StrEnum):
    """The last part of the type's URN, in RFC 8555, 8739, 9773 and the device attestation draft."""

    ACCOUNT_DOES_NOT_EXIST = "accountDoesNotExist"
    ALREADY_REPLACED = "alreadyReplaced"
    ALREADY_REVOKED = "alreadyRevoked"
    AUTO_RENEWAL_CANCELED = "autoRenewalCanceled"
    AUTO_RENEWAL_CANCELLATION_INVALID = "autoRenewalCancellationInvalid"
    AUTO_RENEWAL_EXPIRED = "autoRenewalExpired"
    AUTO_RENEWAL_REVOCATION_NOT_SUPPORTED = "autoRenewalRevocationNotSupported"
    BAD_ATTESTATION_STATEMENT = "badAttestationStatement"
    BAD_CSR = "badCSR"
    BAD_NONCE = "badNonce"
    BAD_PUBLIC_KEY = "badPublicKey"
    BAD_REVOCATION_REASON = "badRevocationReason"
    BAD_SIGNATURE_ALGORITHM = "badSignatureAlgorithm"
    CAA = "caa"
    COMPOUND = "compound"
    CONNECTION = "connection"
    DNS = "dns"
    EXTERNAL_ACCOUNT_REQUIRED = "externalAccountRequired"
    INCORRECT_RESPONSE = "incorrectResponse"
    INVALID_CONTACT = "invalidContact"
    MALFORMED = "malformed"
    ORDER_NOT_READY = "orderNotReady"
    RATE_LIMITED = "rateLimited"
    REJECTED_IDENTIFIER = "rejectedIdentifier"
    SERVER_INTERNAL = "serverInternal"
    TLS = "tls"
    UNAUTHORIZED = "unauthorized"
    UNSUPPORTED_CONTACT = "unsupportedContact"
    UNSUPPORTED_IDENTIFIER = "unsupportedIdentifier"
    USER_ACTION_REQUIRED = "userActionRequired"

    @property
    def urn(self) -> str:
        """The whole type."""
        return _PREFIX + self.value


_T = ProblemType
_STATUS = {
    _T.ALREADY_REPLACED: 409,
    _T.RATE_LIMITED: 429,
    _T.SERVER_INTERNAL: 500,
    **dict.fromkeys(
        (
            _T.AUTO_RENEWAL_CANCELED,
            _T.AUTO_RENEWAL_EXPIRED,
            _T.AUTO_RENEWAL_REVOCATION_NOT_SUPPORTED,
            _T.CAA,
            _T.EXTERNAL_ACCOUNT_REQUIRED,
            _T.INCORRECT_RESPONSE,
            _T.ORDER_NOT_READY,
            _T.UNAUTHORIZED,
            _T.USER_ACTION_REQUIRED,
        ),
        403,
    ),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One error. ``identifier`` is (type, value) of a subproblem; ``extra`` are the type's own members."""

    type: ProblemType
    detail: str
    identifier: tuple[str, str] | None = None
    subproblems: tuple[Problem, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    status: int = 0

    @property
    def http_status(self) -> int:
        """The HTTP status that it goes with."""
        return self.status or _STATUS.get(self.type, 400)

    def document(self, *, top: bool = True) -> dict[str, Any]:
        """Return the JSON object; subproblems are left out where there are none, for a null breaks clients."""
        found: dict[str, Any] = {"type": self.type.urn, "detail": self.detail}
        if top:
            found["status"] = self.http_status
        if self.identifier is not None:
            found["identifier"] = {"type": self.identifier[0], "value": self.identifier[1]}
        if self.subproblems:
            found["subproblems"] = [one.document(top=False) for one in self.subproblems]
        return found | dict(self.extra)

    def encode(self) -> bytes:
        """The document as JSON."""
        return json.dumps(self.document(), separators=(",", ":")).encode()


class AcmeFault(Fault):
    """A fault with an ACME problem. ``links`` are (relation, URL) for Link header fields."""

    def __init__(
        self,
        problem: Problem,
        kind: FaultKind = FaultKind.INVALID,
        *,
        detail: str = "",
        retry_after: int | None = None,
        links: Sequence[tuple[str, str]] = (),
        location: str = "",
    ) -> None:
        super().__init__(kind, detail or problem.detail, problem.detail, retry_after=retry_after)
        self.problem = problem
        self.links = tuple(links)
        self.location = location


def refused(kind: ProblemType, text: str, detail: str = "", **extra: Any) -> AcmeFault:
    """Return the fault of one problem type."""
    return AcmeFault(Problem(kind, text, extra=extra), detail=detail)


def malformed(text: str, detail: str = "") -> AcmeFault:
    """Return the fault of a request that is not what it should be."""
    return AcmeFault(Problem(ProblemType.MALFORMED, text), FaultKind.MALFORMED, detail=detail)


def joined(found: Sequence[Problem], text: str) -> Problem:
    """Return one problem for several identifiers' (section 6.7.1); ``compound`` when their types differ."""
    types = {one.type for one in found}
    kind = types.pop() if len(types) == 1 else ProblemType.COMPOUND
    return Problem(kind, found[0].detail if len(found) == 1 else text, subproblems=tuple(found))


def problem_of(fault: Fault) -> Problem:
    """Return the problem that answers any fault."""
    if isinstance(fault, AcmeFault):
        return fault.problem
    kind, status = _of_kind(fault.kind)
    return Problem(kind, fault.public or "the request was refused", status=status)


def _of_kind(kind: FaultKind) -> tuple[ProblemType, int]:  # noqa: PLR0911, PLR0912, C901 - a table
    match kind:
        case FaultKind.MALFORMED | FaultKind.INVALID | FaultKind.UNSUPPORTED | FaultKind.REPLAYED:
            return _T.MALFORMED, 400
        case FaultKind.UNSUPPORTED_MEDIA_TYPE:
            return _T.MALFORMED, 415
        case FaultKind.NOT_ACCEPTABLE:
            return _T.MALFORMED, 406
        case FaultKind.METHOD_NOT_ALLOWED:
            return _T.MALFORMED, 405
        case FaultKind.TOO_LARGE:
            return _T.MALFORMED, 413
        case FaultKind.NOT_FOUND:
            return _T.MALFORMED, 404
        case FaultKind.CONFLICT | FaultKind.STALE:
            return _T.MALFORMED, 409
        case FaultKind.UNAUTHENTICATED | FaultKind.FORBIDDEN | FaultKind.EXPIRED | FaultKind.BAD_SIGNATURE:
            return _T.UNAUTHORIZED, 403
        case FaultKind.POLICY:
            return _T.REJECTED_IDENTIFIER, 403
        case FaultKind.BAD_POP | FaultKind.WEAK_KEY | FaultKind.BAD_ALGORITHM:
            return _T.BAD_CSR, 400
        case FaultKind.RATE_LIMITED:
            return _T.RATE_LIMITED, 429
        case FaultKind.PENDING | FaultKind.BUSY | FaultKind.SEALED | FaultKind.UNAVAILABLE | FaultKind.STORAGE_FULL:
            return _T.SERVER_INTERNAL, 503
        case FaultKind.INTERNAL:
            return _T.SERVER_INTERNAL, 500
        case _:
            assert_never(kind)
