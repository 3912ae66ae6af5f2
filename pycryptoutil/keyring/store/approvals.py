"""Statements on approvals and import keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from pycryptoutil.keyring.model import Approval, ApprovalState
from pycryptoutil.keyring.store.tables import approvals, imports, votes
from pycryptoutil.storage import Reader, UnitOfWork

_c = approvals.c


def _approval(reader: Reader, row: Any) -> Approval:
    statement = select(votes.c.actor).where(votes.c.tenant_id == reader.tenant_id, votes.c.approval_id == row.id)
    voters = tuple(reader.execute(statement.order_by(votes.c.voted_at, votes.c.actor)).scalars())
    return Approval(
        id=row.id,
        key_id=row.key_id,
        action=row.action,
        version=row.version,
        state=ApprovalState(row.state),
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        approved_by=voters,
        needed=row.needed,
        details=row.details,
    )


def insert(uow: UnitOfWork, approval: Approval) -> None:
    """Add a request."""
    uow.execute(
        approvals.insert().values(
            tenant_id=uow.tenant_id,
            id=approval.id,
            key_id=approval.key_id,
            action=approval.action,
            version=approval.version,
            state=approval.state.value,
            requested_by=approval.requested_by,
            requested_at=approval.requested_at,
            expires_at=approval.expires_at,
            needed=approval.needed,
            details=dict(approval.details),
        )
    )


def find(reader: Reader, approval_id: str) -> Approval | None:
    """Return one."""
    row = reader.execute(select(approvals).where(_c.tenant_id == reader.tenant_id, _c.id == approval_id)).one_or_none()
    return None if row is None else _approval(reader, row)


def listing(reader: Reader, key_id: str, limit: int) -> list[Approval]:
    """Return the requests of a key, or of all keys, newest first."""
    statement = select(approvals).where(_c.tenant_id == reader.tenant_id)
    if key_id:
        statement = statement.where(_c.key_id == key_id)
    rows = reader.execute(statement.order_by(_c.requested_at.desc(), _c.id).limit(limit)).all()
    return [_approval(reader, row) for row in rows]


def move(uow: UnitOfWork, approval_id: str, was: ApprovalState, to: ApprovalState) -> bool:
    """Change the state of a request that has this one; tell whether it had."""
    done = uow.execute(
        update(approvals)
        .where(_c.tenant_id == uow.tenant_id, _c.id == approval_id, _c.state == was.value)
        .values(state=to.value)
    )
    return done.rowcount == 1


def vote(uow: UnitOfWork, approval_id: str, actor: str, now: datetime) -> None:
    """Record an approval; Fault(CONFLICT) for the second one by the same person."""
    uow.execute(votes.insert().values(tenant_id=uow.tenant_id, approval_id=approval_id, actor=actor, voted_at=now))


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A key of ours that wraps one import."""

    id: str
    key_id: str
    alg: str
    expires_at: datetime
    sealed_key: bytes = field(repr=False)


def insert_import(uow: UnitOfWork, row: ImportRow) -> None:
    """Add one, and forget those that have expired."""
    uow.execute(imports.delete().where(imports.c.tenant_id == uow.tenant_id, imports.c.expires_at < uow.clock.now()))
    uow.execute(
        imports.insert().values(
            tenant_id=uow.tenant_id,
            id=row.id,
            key_id=row.key_id,
            alg=row.alg,
            sealed_key=row.sealed_key,
            expires_at=row.expires_at,
        )
    )


def import_key(reader: Reader, import_id: str) -> ImportRow | None:
    """Return one."""
    c = imports.c
    row = reader.execute(select(imports).where(c.tenant_id == reader.tenant_id, c.id == import_id)).one_or_none()
    return None if row is None else ImportRow(row.id, row.key_id, row.alg, row.expires_at, row.sealed_key)


def take_import(uow: UnitOfWork, import_id: str) -> bool:
    """Use an import key up; tell whether it was there still."""
    c = imports.c
    return uow.execute(imports.delete().where(c.tenant_id == uow.tenant_id, c.id == import_id)).rowcount == 1
