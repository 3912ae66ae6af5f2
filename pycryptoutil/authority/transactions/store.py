"""Statements on transactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, func, select, update

from pycryptoutil.authority.store import metadata
from pycryptoutil.storage import Instant, Json, Reader, UnitOfWork

transactions = Table(
    "protocol_transactions",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("protocol", String(16), nullable=False),  # scep | cmp | cmc
    Column("id", String(128), nullable=False),
    Column("owner", String(300), nullable=False),
    Column("state", String(32), nullable=False),
    Column("document", Json, nullable=False),
    Column("sealed_secret", LargeBinary),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "protocol", "id", name="protocol_transactions_pk"),
    Index("protocol_transactions_by_owner", "tenant_id", "protocol", "owner"),
    Index("protocol_transactions_by_expiry", "protocol", "expires_at"),
)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One exchange as the last message left it. ``data`` is JSON and no secret; ``secret`` is sealed at rest."""

    tenant_id: str
    protocol: str
    id: str
    owner: str
    state: str
    data: Mapping[str, Any]
    version: int
    created_at: datetime
    expires_at: datetime
    secret: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """A row of ``protocol_transactions``."""

    tenant_id: str
    protocol: str
    id: str
    owner: str
    state: str
    document: Mapping[str, Any]
    sealed_secret: bytes | None = field(repr=False)
    version: int
    created_at: datetime
    expires_at: datetime


_COLUMNS: Final = tuple(transactions.c[name] for name in TransactionRow.__slots__)


def insert(uow: UnitOfWork, row: TransactionRow) -> None:
    """Fault(CONFLICT) if there is one of this id."""
    uow.execute(transactions.insert().values({name: getattr(row, name) for name in TransactionRow.__slots__}))


def get(reader: Reader, protocol: str, identifier: str) -> TransactionRow | None:
    """Return the tenant's transaction of this id."""
    t = transactions.c
    where = (t.tenant_id == reader.tenant_id, t.protocol == protocol, t.id == identifier)
    row = reader.execute(select(*_COLUMNS).where(*where)).one_or_none()
    return TransactionRow(**row._asdict()) if row is not None else None


def open_of(reader: Reader, protocol: str, owner: str, now: datetime) -> int:
    """Count an owner's transactions that have not run out."""
    t = transactions.c
    where = (t.tenant_id == reader.tenant_id, t.protocol == protocol, t.owner == owner, t.expires_at > now)
    return int(reader.execute(select(func.count()).select_from(transactions).where(*where)).scalar_one())


def replace(uow: UnitOfWork, row: TransactionRow, version: int) -> bool:
    """Write the row in place of the one of ``version``; False if another was first."""
    t = transactions.c
    values = {
        name: getattr(row, name) for name in ("state", "document", "sealed_secret", "version", "expires_at", "owner")
    }
    where = (t.tenant_id == uow.tenant_id, t.protocol == row.protocol, t.id == row.id, t.version == version)
    return uow.execute(update(transactions).where(*where).values(**values)).rowcount == 1


def delete(uow: UnitOfWork, protocol: str, identifier: str, version: int) -> bool:
    """Delete the row of this version; False if there is none."""
    t = transactions.c
    where = (t.tenant_id == uow.tenant_id, t.protocol == protocol, t.id == identifier, t.version == version)
    return uow.execute(transactions.delete().where(*where)).rowcount == 1


def expired(reader: Reader, protocol: str, now: datetime, limit: int) -> list[TransactionRow]:
    """Return what has run out, oldest first; the system tenant finds those of every tenant."""
    t = transactions.c
    statement = select(*_COLUMNS).where(t.protocol == protocol, t.expires_at <= now).order_by(t.expires_at, t.id)
    return [TransactionRow(**row._asdict()) for row in reader.execute(statement.limit(limit))]


def forget(uow: UnitOfWork, before: datetime) -> int:
    """Delete what ran out before then and nobody closed."""
    t = transactions.c
    found = uow.execute(transactions.delete().where(t.tenant_id == uow.tenant_id, t.expires_at <= before))
    return int(found.rowcount)
