"""Precertificates: each is kept, for having signed one is a promise to issue."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, select, text, update

from pycryptoutil.authority.model import CertificateState
from pycryptoutil.authority.store import certificates, precertificates
from pycryptoutil.storage import Reader, UnitOfWork

_RESERVED: Final = text("certificates.state = 'reserved'")  # not a parameter: the partial index is chosen by it


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


def _reserved(uow: UnitOfWork, authority_id: str, serial: str, values: dict[str, Any]) -> bool:
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


def end(uow: UnitOfWork, authority_id: str, serial: str, der: bytes, tbs_sha256: str) -> bool:
    """Let the precertificate stand for the certificate that does not come; False if the serial is not reserved."""
    values = {"state": CertificateState.ISSUED.value, "der": der, "tbs_sha256": tbs_sha256}
    return _reserved(uow, authority_id, serial, values)


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A serial whose precertificate was signed, and of whose certificate nobody takes care."""

    authority_id: str
    serial: str
    der: bytes = field(repr=False)


def abandoned(reader: Reader, before: datetime, limit: int) -> list[Abandoned]:
    """Return some that were reserved before then, oldest first."""
    c, p = certificates.c, precertificates.c
    found = reader.execute(
        select(p.authority_id, p.serial, p.der)
        .join_from(certificates, precertificates, and_(p.authority_id == c.authority_id, p.serial == c.serial))
        .where(c.tenant_id == reader.tenant_id, _RESERVED, c.created_at < before)
        .order_by(c.created_at, c.serial)
        .limit(limit)
    )
    return [Abandoned(row.authority_id, row.serial, row.der) for row in found]
