"""Statements of backup and restore."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, case, func, or_, select, update

from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.crl.store import scopes
from pycryptoutil.authority.internal import SYSTEM
from pycryptoutil.authority.model import AuthorityStatus, CertificateState
from pycryptoutil.authority.store import authorities, certificates
from pycryptoutil.storage import Reader, UnitOfWork

_COLUMNS: Final = tuple(certificates.c[name] for name in CertificateRow.__slots__)


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a CA has come: what a backup must not fall behind."""

    crl_number: int
    certificates: int
    revoked: int


def extent(reader: Reader, authority_id: str) -> Extent:
    """Return how far a CA has come."""
    number = reader.execute(
        select(authorities.c.crl_number).where(
            authorities.c.tenant_id == reader.tenant_id, authorities.c.id == authority_id
        )
    ).scalar_one()
    row = reader.execute(
        select(func.count(), func.sum(case((certificates.c.revoked_at.is_not(None), 1), else_=0))).where(
            certificates.c.tenant_id == reader.tenant_id, certificates.c.authority_id == authority_id
        )
    ).one()
    count, revoked = tuple(row)
    return Extent(int(number), int(count), int(revoked or 0))


def some(reader: Reader, authority_ids: Collection[str], after: tuple[str, str], limit: int) -> list[CertificateRow]:
    """Return certificates of some CAs in any state, in the order of (CA, serial), from just after ``after``."""
    c = certificates.c
    found = reader.execute(
        select(*_COLUMNS)
        .where(
            c.tenant_id == reader.tenant_id,
            c.authority_id.in_(sorted(authority_ids)),
            or_(c.authority_id > after[0], and_(c.authority_id == after[0], c.serial > after[1])),
        )
        .order_by(c.authority_id, c.serial)
        .limit(limit)
    )
    return [CertificateRow(**row._asdict() | {"state": CertificateState(row.state)}) for row in found]


def known(reader: Reader, authority_id: str, serials: Collection[str]) -> frozenset[str]:
    """Return which of these serials are taken, whatever became of them."""
    found = reader.execute(
        select(certificates.c.serial).where(
            certificates.c.tenant_id == reader.tenant_id,
            certificates.c.authority_id == authority_id,
            certificates.c.serial.in_(sorted(serials)),
        )
    )
    return frozenset(found.scalars())


def issued_to_others(reader: Reader, authority_id: str) -> bool:
    """Tell whether a CA has issued anything but what the CA itself needs."""
    found = reader.execute(
        select(certificates.c.serial)
        .where(
            certificates.c.tenant_id == reader.tenant_id,
            certificates.c.authority_id == authority_id,
            certificates.c.requester != SYSTEM,
        )
        .limit(1)
    )
    return found.first() is not None


def put_aside(uow: UnitOfWork, authority_id: str, name: str) -> None:
    """Let a CA give up its name, in URLs too, and issue no more."""
    uow.execute(
        update(authorities)
        .where(authorities.c.tenant_id == uow.tenant_id, authorities.c.id == authority_id)
        .values(name=name, public_id=name, status=AuthorityStatus.DISABLED.value)
    )


def all_scopes(reader: Reader, authority_id: str) -> list[dict[str, Any]]:
    """Return what each of a CA's series of CRLs covers."""
    c = scopes.c
    found = reader.execute(
        select(c.scope, c.only, c.uris).where(c.tenant_id == reader.tenant_id, c.authority_id == authority_id)
    )
    return [{"scope": row.scope, "only": row.only, "uris": list(row.uris)} for row in found]


def put_scope(uow: UnitOfWork, authority_id: str, scope: str, only: str, uris: list[str]) -> None:
    """Let a series cover what it did; one that is there stays."""
    uow.execute(
        uow.insert(scopes)
        .values(tenant_id=uow.tenant_id, authority_id=authority_id, scope=scope, only=only, uris=uris)
        .on_conflict_do_nothing()
    )
