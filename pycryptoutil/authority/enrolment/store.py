"""Statements on requests for certificates and the decisions on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    and_,
    func,
    or_,
    select,
    text,
    update,
)

from pycryptoutil.authority.enrolment.model import ApprovalFilter, ApprovalState
from pycryptoutil.authority.store import metadata
from pycryptoutil.storage import Instant, Json, Reader, UnitOfWork

_WAITING: Final = text("state = 'pending'")

enrolments = Table(
    "enrolments",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("digest", String(64), nullable=False),  # over requester and request: who asks again is told the same
    Column("state", String(16), nullable=False),
    Column("reason", String(500), nullable=False, server_default=""),
    Column("authority_id", String(32), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("requester", String(300), nullable=False),
    Column("actor", String(300), nullable=False),
    Column("subject", Text, nullable=False),
    Column("names", Text, nullable=False),
    Column("spki_sha256", String(64), nullable=False),
    Column("key_algorithm", String(24), nullable=False),
    Column("credential_id", String(32), nullable=False, server_default=""),
    Column("document", Json, nullable=False),  # the order
    Column("sealed_key", LargeBinary),  # of a key made here, until it has been given out
    Column("needed", Integer, nullable=False),
    Column("approvals", Integer, nullable=False, server_default="0"),
    Column("serial", String(40), nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),  # pending: of the wait; decided: of the answer to repeats
    Column("decided_at", Instant),
    PrimaryKeyConstraint("id", name="enrolments_pk"),
    Index("enrolments_by_creation", "tenant_id", "created_at", "id"),
    Index("enrolments_by_digest", "tenant_id", "digest"),
    Index(
        "enrolments_waiting_unique",
        "tenant_id",
        "digest",
        unique=True,
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    ),
    Index("enrolments_waiting", "tenant_id", "requester", sqlite_where=_WAITING, postgresql_where=_WAITING),
)

decisions = Table(
    "enrolment_decisions",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("enrolment_id", String(32), nullable=False),
    Column("approver", String(300), nullable=False),  # a person, by whatever credentials they came
    Column("actor", String(300), nullable=False),
    Column("decision", String(16), nullable=False),  # approve | reject
    Column("comment", String(500), nullable=False, server_default=""),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("enrolment_id", "approver", name="enrolment_decisions_pk"),
)


@dataclass(frozen=True, slots=True)
class EnrolmentRow:
    """A row of ``enrolments``."""

    tenant_id: str
    id: str
    digest: str
    state: ApprovalState
    reason: str
    authority_id: str
    profile: str
    protocol: str
    requester: str
    actor: str
    subject: str
    names: str
    spki_sha256: str
    key_algorithm: str
    credential_id: str
    document: Mapping[str, Any]
    sealed_key: bytes | None = field(repr=False)
    needed: int
    approvals: int
    serial: str
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A row of ``enrolment_decisions``."""

    tenant_id: str
    enrolment_id: str
    approver: str
    actor: str
    decision: str
    comment: str
    at: datetime


_COLUMNS: Final = tuple(enrolments.c[name] for name in EnrolmentRow.__slots__)
_PENDING: Final = ApprovalState.PENDING.value


def _row(row: Any) -> EnrolmentRow:
    values = row._asdict()
    values["state"] = ApprovalState(values["state"])
    return EnrolmentRow(**values)


def insert(uow: UnitOfWork, row: EnrolmentRow) -> None:
    """Fault(CONFLICT) if the same request waits already."""
    values = {name: getattr(row, name) for name in EnrolmentRow.__slots__}
    uow.execute(enrolments.insert().values(**values | {"state": row.state.value}))


def get(reader: Reader, enrolment_id: str) -> EnrolmentRow | None:
    """Return the tenant's request of this id."""
    e = enrolments.c
    row = reader.execute(select(*_COLUMNS).where(e.tenant_id == reader.tenant_id, e.id == enrolment_id)).one_or_none()
    return _row(row) if row is not None else None


def current(reader: Reader, digest: str, now: datetime) -> EnrolmentRow | None:
    """Return the newest request of this digest that is still answered for."""
    e = enrolments.c
    statement = select(*_COLUMNS).where(e.tenant_id == reader.tenant_id, e.digest == digest, e.expires_at > now)
    row = reader.execute(statement.order_by(e.created_at.desc(), e.id.desc()).limit(1)).one_or_none()
    return _row(row) if row is not None else None


def waiting_of(reader: Reader, requester: str, now: datetime) -> int:
    """Count what a requester has waiting."""
    e = enrolments.c
    where = (e.tenant_id == reader.tenant_id, e.requester == requester, e.state == _PENDING, e.expires_at > now)
    return int(reader.execute(select(func.count()).select_from(enrolments).where(*where)).scalar_one())


def waiting_for(reader: Reader, actor: str) -> list[EnrolmentRow]:
    """Return what waits of whoever has asked for it; how much that may be is limited."""
    e = enrolments.c
    where = (e.tenant_id == reader.tenant_id, e.state == _PENDING, e.actor == actor)
    return [_row(row) for row in reader.execute(select(*_COLUMNS).where(*where).order_by(e.created_at, e.id))]


def waiting(reader: Reader, now: datetime) -> int:
    """Count everything that waits; the system tenant counts for every tenant."""
    e = enrolments.c
    where = (e.state == _PENDING, e.expires_at > now)
    return int(reader.execute(select(func.count()).select_from(enrolments).where(*where)).scalar_one())


def overdue(reader: Reader, now: datetime, limit: int, digest: str = "") -> list[EnrolmentRow]:
    """Return the tenant's requests that have waited too long."""
    e = enrolments.c
    where = [e.tenant_id == reader.tenant_id, e.state == _PENDING, e.expires_at <= now]
    if digest:
        where.append(e.digest == digest)
    found = reader.execute(select(*_COLUMNS).where(*where).order_by(e.expires_at, e.id).limit(limit))
    return [_row(row) for row in found]


def listing(
    reader: Reader, wanted: ApprovalFilter, now: datetime, after: tuple[datetime, str] | None, limit: int
) -> list[EnrolmentRow]:
    """Return requests, newest first, from just after the (created_at, id) of ``after``."""
    e = enrolments.c
    conditions = [e.tenant_id == reader.tenant_id]
    exact = ((e.profile, wanted.profile), (e.protocol, wanted.protocol), (e.requester, wanted.requester))
    conditions += [column == value for column, value in exact if value]
    match wanted.state:
        case None:
            pass
        case ApprovalState.PENDING:
            conditions += [e.state == _PENDING, e.expires_at > now]
        case ApprovalState.EXPIRED:  # what has waited too long is so before anybody has written it down
            conditions.append(or_(e.state == wanted.state.value, and_(e.state == _PENDING, e.expires_at <= now)))
        case state:
            conditions.append(e.state == state.value)
    if after is not None:
        conditions.append(or_(e.created_at < after[0], and_(e.created_at == after[0], e.id < after[1])))
    statement = select(*_COLUMNS).where(*conditions).order_by(e.created_at.desc(), e.id.desc())
    return [_row(row) for row in reader.execute(statement.limit(limit))]


def count_approval(uow: UnitOfWork, enrolment_id: str) -> bool:
    """Add one to a pending request; False if it is pending no more."""
    return _change(uow, enrolment_id, approvals=enrolments.c.approvals + 1)


def decide(
    uow: UnitOfWork,
    enrolment_id: str,
    state: ApprovalState,
    now: datetime,
    expires_at: datetime,
    reason: str = "",
    serial: str = "",
) -> bool:
    """End a pending request; False if it is pending no more. A key that nobody will be given is destroyed."""
    values: dict[str, Any] = {"state": state.value, "decided_at": now, "expires_at": expires_at}
    values |= {"reason": reason[:500], "serial": serial}
    if state is not ApprovalState.ISSUED:
        values["sealed_key"] = None
    return _change(uow, enrolment_id, **values)


def _change(uow: UnitOfWork, enrolment_id: str, **values: Any) -> bool:
    e = enrolments.c
    where = (e.tenant_id == uow.tenant_id, e.id == enrolment_id, e.state == _PENDING)
    return uow.execute(update(enrolments).where(*where).values(**values)).rowcount == 1


def add_decision(uow: UnitOfWork, row: DecisionRow) -> None:
    """Fault(CONFLICT) if this approver has decided already."""
    uow.execute(decisions.insert().values({name: getattr(row, name) for name in DecisionRow.__slots__}))


def decisions_on(reader: Reader, enrolment_id: str) -> list[DecisionRow]:
    """Return what was decided, oldest first."""
    d = decisions.c
    columns = (d[name] for name in DecisionRow.__slots__)
    found = reader.execute(
        select(*columns)
        .where(d.tenant_id == reader.tenant_id, d.enrolment_id == enrolment_id)
        .order_by(d.at, d.approver)
    )
    return [DecisionRow(**row._asdict()) for row in found]


def forget(uow: UnitOfWork, now: datetime, before: datetime) -> None:
    """Destroy keys that repeats are no longer given, and what was decided before ``before``."""
    e, d = enrolments.c, decisions.c
    uow.execute(
        update(enrolments)
        .where(e.tenant_id == uow.tenant_id, e.state != _PENDING, e.expires_at <= now, e.sealed_key.is_not(None))
        .values(sealed_key=None)
    )
    old = and_(e.tenant_id == uow.tenant_id, e.state != _PENDING, e.decided_at <= before)
    gone = select(enrolments.c.id).where(old)
    uow.execute(decisions.delete().where(d.tenant_id == uow.tenant_id, d.enrolment_id.in_(gone)))
    uow.execute(enrolments.delete().where(old))
