"""Statements on rollovers and on the certificates that link CAs, and what moves from one generation to the next."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint, String, Table, Text, select, update

from pycryptoutil.authority.certificates import store as certificate_store
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.enrolment.store import enrolments
from pycryptoutil.authority.model import AuthorityStatus
from pycryptoutil.authority.statistics import store as statistics_store
from pycryptoutil.authority.store import AuthorityRow, authorities, certificates, credentials, metadata, signers
from pycryptoutil.storage import Instant, Reader, UnitOfWork


class RolloverState(enum.Enum):
    """How far a CA's change of keys has come."""

    PREPARED = "prepared"
    ACTIVATED = "activated"
    RETIRED = "retired"
    CANCELLED = "cancelled"


class LinkKind(enum.Enum):
    """Why one CA has certified another's key."""

    NEW_WITH_OLD = "new-with-old"
    OLD_WITH_NEW = "old-with-new"
    CROSS = "cross"


rollovers = Table(
    "authority_rollovers",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("old_id", String(32), nullable=False),
    Column("new_id", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("activated_at", Instant),
    Column("ended_at", Instant),  # retired or cancelled
    PrimaryKeyConstraint("id", name="authority_rollovers_pk"),
    Index("authority_rollovers_by_old", "tenant_id", "old_id"),
)

links = Table(
    "authority_links",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("authority_id", String(32), nullable=False),  # who has issued it
    Column("serial", String(40), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("rollover_id", String(32), nullable=False, server_default=""),
    Column("subject", Text, nullable=False),
    Column("not_after", Instant, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("authority_id", "serial", name="authority_links_pk"),
    Index("authority_links_by_creation", "tenant_id", "created_at"),
)


@dataclass(frozen=True, slots=True)
class RolloverRow:
    """A row of ``authority_rollovers``."""

    id: str
    tenant_id: str
    old_id: str
    new_id: str
    state: RolloverState
    created_at: datetime
    activated_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A row of ``authority_links``."""

    tenant_id: str
    authority_id: str
    serial: str
    kind: LinkKind
    rollover_id: str
    subject: str
    not_after: datetime
    certificate: bytes = field(repr=False)
    created_at: datetime


_ROLLOVER_COLUMNS: Final = tuple(rollovers.c[name] for name in RolloverRow.__slots__)
_LINK_COLUMNS: Final = tuple(links.c[name] for name in LinkRow.__slots__)


def _rollover(row: Any) -> RolloverRow:
    values = row._asdict()
    return RolloverRow(**values | {"state": RolloverState(values["state"])})


def _link(row: Any) -> LinkRow:
    values = row._asdict()
    return LinkRow(**values | {"kind": LinkKind(values["kind"])})


def insert_rollover(uow: UnitOfWork, row: RolloverRow) -> None:
    """Add one."""
    values = {name: getattr(row, name) for name in RolloverRow.__slots__}
    uow.execute(rollovers.insert().values(**values | {"state": row.state.value}))


def set_rollover(uow: UnitOfWork, row: RolloverRow, state: RolloverState, now: datetime) -> None:
    """Move one on."""
    ends = {"activated_at": now} if state is RolloverState.ACTIVATED else {"ended_at": now}
    uow.execute(
        update(rollovers)
        .where(rollovers.c.tenant_id == uow.tenant_id, rollovers.c.id == row.id)
        .values(state=state.value, **ends)
    )


def all_rollovers(reader: Reader) -> list[RolloverRow]:
    """Return the tenant's, oldest first: one for every key that a CA has got after its first."""
    found = reader.execute(
        select(*_ROLLOVER_COLUMNS)
        .where(rollovers.c.tenant_id == reader.tenant_id)
        .order_by(rollovers.c.created_at, rollovers.c.id)
    )
    return [_rollover(row) for row in found]


def insert_link(uow: UnitOfWork, row: LinkRow) -> None:
    """Add one."""
    values = {name: getattr(row, name) for name in LinkRow.__slots__}
    uow.execute(links.insert().values(**values | {"kind": row.kind.value}))


def links_of(
    reader: Reader, *, rollover_ids: Collection[str] = (), authority_ids: Collection[str] = ()
) -> list[LinkRow]:
    """Return the links of some rollovers, or what some CAs have issued; oldest first."""
    c = links.c
    conditions = [c.tenant_id == reader.tenant_id]
    if rollover_ids:
        conditions.append(c.rollover_id.in_(sorted(rollover_ids)))
    if authority_ids:
        conditions.append(c.authority_id.in_(sorted(authority_ids)))
    found = reader.execute(select(*_LINK_COLUMNS).where(*conditions).order_by(c.created_at, c.serial))
    return [_link(row) for row in found]


def rename(uow: UnitOfWork, authority_id: str, name: str, status: AuthorityStatus) -> None:
    """Give a CA another name and standing; Fault(CONFLICT) if the name is taken."""
    uow.execute(
        update(authorities)
        .where(authorities.c.tenant_id == uow.tenant_id, authorities.c.id == authority_id)
        .values(name=name, status=status.value)
    )


def hand_over(uow: UnitOfWork, old_id: str, new_id: str, ssh_purposes: Collection[str]) -> None:
    """Let enrolment credentials, requests that wait and SSH keys follow the CA to its next generation.

    Hosts trust an SSH key by itself, whatever the X.509 key beside it is.
    """
    moves = (
        (credentials, ()),
        (enrolments, (enrolments.c.state == "pending",)),
        (signers, (signers.c.purpose.in_(sorted(ssh_purposes)),)),
    )
    for table, conditions in moves:
        uow.execute(
            update(table)
            .where(table.c.tenant_id == uow.tenant_id, table.c.authority_id == old_id, *conditions)
            .values(authority_id=new_id)
        )


def give_key(uow: UnitOfWork, row: AuthorityRow) -> None:
    """Give a CA the key that was elsewhere, and its standing."""
    uow.execute(
        update(authorities)
        .where(authorities.c.tenant_id == uow.tenant_id, authorities.c.id == row.id, authorities.c.sealed_key == b"")
        .values(
            sealed_key=row.sealed_key,
            status=row.status.value,
            key_algorithm=row.key_algorithm,
            signature_algorithm=row.signature_algorithm,
        )
    )


def insert_certificates(uow: UnitOfWork, rows: Sequence[CertificateRow]) -> None:
    """Store certificates that were issued elsewhere, or before; Fault(CONFLICT) if one is known."""
    if not rows:
        return
    values = []
    for row in rows:
        found = {name: getattr(row, name) for name in CertificateRow.__slots__}
        found |= {"state": row.state.value, "search": f"{row.subject}\n{row.names}".lower()}
        values.append(found)
    uow.execute(certificates.insert(), values)
    certificate_store.put_names(uow, rows)
    statistics_store.count_again(uow)
