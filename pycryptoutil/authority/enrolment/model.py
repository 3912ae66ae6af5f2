"""What is said of a request for a certificate: to the protocol that asked, and to the people who approve."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil.authority.model import IssuedCertificate


class EnrolmentState(enum.Enum):
    """What a protocol tells its client."""

    PENDING = "pending"
    ISSUED = "issued"
    REJECTED = "rejected"
    FAILED = "failed"


class ApprovalState(enum.Enum):
    """What became of a request, as stored."""

    PENDING = "pending"
    ISSUED = "issued"
    REJECTED = "rejected"
    FAILED = "failed"  # approved or about to be, and no longer something that the CA may issue
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def public(self) -> EnrolmentState:
        """What the client is told."""
        ended = {ApprovalState.CANCELLED, ApprovalState.EXPIRED}
        return EnrolmentState.REJECTED if self in ended else EnrolmentState(self.value)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An answer to a protocol. ``id`` is empty when the certificate was issued at once, with nobody to ask.

    ``retry_after`` is in seconds, 0 unless pending. ``reason`` is text that the peer may read.
    """

    id: str
    tenant_id: str
    state: EnrolmentState
    certificate: IssuedCertificate | None = None
    retry_after: int = 0
    reason: str = ""
    approvals: int = 0
    needed: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What one approver said."""

    actor: str
    decision: str  # approve | reject
    comment: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """A request as approvers see it. ``subject`` and ``sans`` are those that the certificate will have."""

    id: str
    tenant_id: str
    state: ApprovalState
    reason: str
    authority: str
    profile: str
    protocol: str
    requester: str
    subject: str
    sans: tuple[str, ...]
    spki_sha256: str
    key_algorithm: str
    needed: int
    approvals: int
    serial: str  # of the certificate, once it is issued
    created_at: datetime
    expires_at: datetime | None  # while it is pending
    decided_at: datetime | None
    csr: bytes = field(default=b"", repr=False)
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalFilter:
    """Which requests to list; every given condition must hold."""

    state: ApprovalState | None = None
    profile: str = ""
    protocol: str = ""
    requester: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalPage:
    """Part of a list, newest first; ``cursor`` gets the next part and is empty at the end."""

    items: tuple[Approval, ...]
    cursor: str
