"""Precertificates: each is kept, for having signed one is a promise to issue."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, String, Table, select, update

from pycryptoutil.authority.model import CertificateState
from pycryptoutil.authority.store import certificates, metadata
from pycryptoutil.storage import Instant, Reader, UnitOfWork

precertificates: Final = Table(
    "precertificates",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("authority_id", String(32), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("authority_id", "serial", name="precertificates_pk"),
)


def keep(uow: UnitOfWork, authority_id: str, serial: str, der: bytes, now: datetime) -> None:
    """Store one."""
    values = {"tenant_id": uow.tenant_id, "authority_id": authority_id, "serial": serial, "der": der}
    uow.execute(precertificates.insert().values(**values, created_at=now))


def find(reader: Reader, authority_id: str, serial: str) -> bytes | None:
    """Return one."""
    c = precertificates.c
    found: bytes | None = reader.execute(
        select(c.der).where(c.tenant_id == reader.tenant_id, c.authority_id == authority_id, c.serial == serial)
    ).scalar_one_or_none()
    return found


def _reserved(uow: UnitOfWork, authority_id: str, serial: str, values: dict[str, str]) -> bool:
    c = certificates.c
    statement = update(certificates).where(
        c.tenant_id == uow.tenant_id,
        c.authority_id == authority_id,
        c.serial == serial,
        c.state == CertificateState.RESERVED.value,
    )
    return uow.execute(statement.values(**values)).rowcount == 1


def set_digest(uow: UnitOfWork, authority_id: str, serial: str, tbs_sha256: str) -> bool:
    """Say what will be signed under a reserved serial now; False if it is not reserved any more."""
    return _reserved(uow, authority_id, serial, {"tbs_sha256": tbs_sha256})


def fail(uow: UnitOfWork, authority_id: str, serial: str) -> bool:
    """End an issuance without a certificate; the serial stays used."""
    return _reserved(uow, authority_id, serial, {"state": CertificateState.FAILED.value})
