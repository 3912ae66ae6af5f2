"""Statements on SSH certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Index, PrimaryKeyConstraint, String, Table, Text, and_, or_, select, update

from pycryptoutil.authority.store import metadata
from pycryptoutil.storage import Instant, Json, Reader, UnitOfWork

ssh_certificates = Table(
    "ssh_certificates",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("authority_id", String(32), nullable=False),
    Column("serial", String(16), nullable=False),  # 64 bits in hex
    Column("profile", String(64), nullable=False),
    Column("key_id", String(200), nullable=False),
    Column("principals", Json, nullable=False),
    Column("spki_sha256", String(64), nullable=False),
    Column("valid_after", Instant, nullable=False),
    Column("valid_before", Instant, nullable=False),
    Column("requester", String(300), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("certificate", Text, nullable=False),  # empty until signed
    PrimaryKeyConstraint("authority_id", "serial", name="ssh_certificates_pk"),
    Index("ssh_certificates_by_creation", "tenant_id", "created_at", "serial"),
)


@dataclass(frozen=True, slots=True)
class SshRow:
    """A row of ``ssh_certificates``."""

    tenant_id: str
    authority_id: str
    serial: str
    profile: str
    key_id: str
    principals: Sequence[str]
    spki_sha256: str
    valid_after: datetime
    valid_before: datetime
    requester: str
    created_at: datetime
    certificate: str


_COLUMNS: Final = tuple(ssh_certificates.c[name] for name in SshRow.__slots__)


def reserve(uow: UnitOfWork, row: SshRow) -> None:
    """Insert the serial before anything is signed; Fault(CONFLICT) if it exists."""
    values = {name: getattr(row, name) for name in SshRow.__slots__}
    uow.execute(ssh_certificates.insert(), values | {"principals": list(row.principals)})


def complete(uow: UnitOfWork, row: SshRow, certificate: str) -> None:
    """Store what was signed."""
    c = ssh_certificates.c
    uow.execute(
        update(ssh_certificates)
        .where(c.tenant_id == uow.tenant_id, c.authority_id == row.authority_id, c.serial == row.serial)
        .values(certificate=certificate)
    )


def listing(reader: Reader, after: tuple[datetime, str] | None, limit: int) -> list[SshRow]:
    """Return the tenant's SSH certificates, newest first."""
    c = ssh_certificates.c
    statement = select(*_COLUMNS).where(c.tenant_id == reader.tenant_id, c.certificate != "")
    if after is not None:
        statement = statement.where(or_(c.created_at < after[0], and_(c.created_at == after[0], c.serial < after[1])))
    found = reader.execute(statement.order_by(c.created_at.desc(), c.serial.desc()).limit(limit))
    return [SshRow(**row._asdict()) for row in found]
