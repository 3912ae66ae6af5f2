"""Rows of requests as people and protocols see them at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.enrolment import order as orders
from pycryptoutil.authority.enrolment.model import Approval, ApprovalState, Decision
from pycryptoutil.authority.enrolment.store import DecisionRow, EnrolmentRow

EXPIRED: Final = "nobody decided in time"


def as_of(row: EnrolmentRow, now: datetime) -> EnrolmentRow:
    """Return the row with what its age means: it has waited too long before anybody has written that down."""
    if row.state is not ApprovalState.PENDING or row.expires_at > now:
        return row
    return replace(row, state=ApprovalState.EXPIRED, reason=EXPIRED, decided_at=row.expires_at)


def person(actor: str) -> str:
    """Return who an actor is, by whatever credentials they came: ``user:anna`` and ``token:anna`` are the same."""
    return actor.partition(":")[2] or actor


def approval(
    row: EnrolmentRow, authorities: Mapping[str, str], now: datetime, decided: Sequence[DecisionRow] = ()
) -> Approval:
    """Return a request as approvers see it; ``authorities`` are names by id."""
    row = as_of(row, now)
    return Approval(
        id=row.id,
        tenant_id=row.tenant_id,
        state=row.state,
        reason=row.reason,
        authority=authorities.get(row.authority_id, ""),
        profile=row.profile,
        protocol=row.protocol,
        requester=row.requester,
        subject=row.subject,
        sans=tuple(row.names.splitlines()),
        spki_sha256=row.spki_sha256,
        key_algorithm=row.key_algorithm,
        needed=row.needed,
        approvals=row.approvals,
        serial=row.serial,
        created_at=row.created_at,
        expires_at=row.expires_at if row.state is ApprovalState.PENDING else None,
        decided_at=row.decided_at,
        csr=orders.csr_of(row.document),
        decisions=tuple(Decision(one.actor, one.decision, one.comment, one.at) for one in decided),
    )


def instant(text: str) -> datetime:
    """Read the time in a cursor; Fault(INVALID)."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Fault(FaultKind.INVALID, "cursor", "not a cursor of this list", pointer="cursor")
    return found
