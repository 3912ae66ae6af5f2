"""Statements on CRLs. The store refuses a number that is not greater, and a scope that changed its meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    and_,
    bindparam,
    case,
    func,
    select,
    type_coerce,
    update,
)

from pycryptoutil.authority.store import authorities, certificates, crls, metadata, revocation_events
from pycryptoutil.storage import Instant, Json, Reader, UnitOfWork

MAX_URIS: Final = 16
_KEPT: Final = 3  # CRLs kept with their bytes: the current one, and what a slow reader may still be at

scopes = Table(
    "crl_scopes",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("authority_id", String(32), nullable=False),
    Column("scope", String(32), nullable=False),
    Column("only", String(16), nullable=False),  # "", ca, user, attribute: what issuingDistributionPoint narrows to
    Column("uris", Json, nullable=False),  # every name this scope was ever published under, in order
    Column("scheduled_at", Instant),  # thisUpdate of the last CRL that was due by schedule
    PrimaryKeyConstraint("authority_id", "scope", name="crl_scopes_pk"),
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What CRLs of one series cover, and where they are published."""

    only: str
    uris: tuple[str, ...]
    scheduled_at: datetime | None


@dataclass(frozen=True, slots=True)
class CrlHead:
    """A CRL without its bytes."""

    authority_id: str
    scope: str
    number: int
    this_update: datetime
    next_update: datetime
    entries: int
    revocation_seq: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CrlRow:
    """A stored CRL."""

    head: CrlHead
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CrlFile:
    """A CRL too long to be held in memory more often than need be."""

    head: CrlHead
    path: Path


_HEAD_COLUMNS: Final = tuple(crls.c[name] for name in CrlHead.__slots__)


RevokedRow = tuple[str, int, int, int]
"""Serial in hex, revocation time, reason code or -1, invalidity date or 0; times are Unix seconds."""


def _seconds(column: Column[Any]) -> ColumnElement[int]:
    return type_coerce(column, BigInteger) // 1_000_000  # an Instant is stored in microseconds


# unspecified (0) is left out of entries, as RFC 5280 section 5.3.1 asks
_REVOKED: Final = (
    select(
        certificates.c.serial,
        _seconds(certificates.c.revoked_at),
        func.coalesce(func.nullif(certificates.c.reason, 0), -1),
        func.coalesce(_seconds(certificates.c.invalidity_date), 0),
    )
    .where(
        certificates.c.tenant_id == bindparam("tenant"),
        certificates.c.authority_id == bindparam("authority"),
        certificates.c.revoked_at.is_not(None),
        certificates.c.not_after >= bindparam("not_after_from", type_=Instant),
    )
    .execution_options(yield_per=5000)
)


_TAIL: Final = func.substr(certificates.c.serial, func.length(certificates.c.serial) - 1)
_REVOKED_OF_SHARD: Final = _REVOKED.where(_TAIL.in_(bindparam("tails", expanding=True)))
_REMOVED: Final = 8  # removeFromCRL: on delta CRLs only (RFC 5280 section 5.3.1)
_CHANGED: Final = (
    select(
        certificates.c.serial,
        case((certificates.c.revoked_at.is_(None), bindparam("now")), else_=_seconds(certificates.c.revoked_at)),
        case(
            (certificates.c.revoked_at.is_(None), _REMOVED),
            else_=func.coalesce(func.nullif(certificates.c.reason, 0), -1),
        ),
        func.coalesce(_seconds(certificates.c.invalidity_date), 0),
    )
    .where(
        certificates.c.tenant_id == bindparam("tenant"),
        certificates.c.authority_id == bindparam("authority"),
        certificates.c.serial.in_(
            select(revocation_events.c.serial).where(
                revocation_events.c.tenant_id == bindparam("tenant"),
                revocation_events.c.authority_id == bindparam("authority"),
                revocation_events.c.seq > bindparam("seq"),
            )
        ),
    )
    .execution_options(yield_per=5000)
)


def _head(row: Row[Any]) -> CrlHead:
    values = row._asdict()
    return CrlHead(**{name: values[name] for name in CrlHead.__slots__})


def has_revoked(reader: Reader, authority_id: str, many: int) -> bool:
    """Tell whether at least so many of a CA's certificates are revoked; looks at no more of them than that."""
    found = reader.execute(
        select(certificates.c.serial)
        .where(
            certificates.c.tenant_id == reader.tenant_id,
            certificates.c.authority_id == authority_id,
            certificates.c.revoked_at.is_not(None),
        )
        .offset(many - 1)
        .limit(1)
    )
    return found.first() is not None


def changes_after(reader: Reader, authority_id: str, seq: int) -> dict[int, int]:
    """Return what was revoked or released after event ``seq``: last octet of the serial → its last event."""
    tail = func.substr(revocation_events.c.serial, func.length(revocation_events.c.serial) - 1)
    found = reader.execute(
        select(tail, func.max(revocation_events.c.seq))
        .where(
            revocation_events.c.tenant_id == reader.tenant_id,
            revocation_events.c.authority_id == authority_id,
            revocation_events.c.seq > seq,
        )
        .group_by(tail)
    )
    changes: dict[int, int] = {}
    for row in found.all():
        digits, last = tuple(row)
        octet = int(digits, 16)
        changes[octet] = max(last, changes.get(octet, 0))
    return changes


def heads(reader: Reader, authority_id: str) -> dict[str, CrlHead]:
    """Return the current CRL's facts of every series that the CA has published."""
    mine = (crls.c.tenant_id == reader.tenant_id, crls.c.authority_id == authority_id)
    newest = select(crls.c.scope, func.max(crls.c.number).label("number")).where(*mine).group_by(crls.c.scope)
    last = newest.subquery()
    found = reader.execute(
        select(*_HEAD_COLUMNS)
        .join(last, and_(crls.c.scope == last.c.scope, crls.c.number == last.c.number))
        .where(*mine)
    )
    return {row.scope: _head(row) for row in found}


def latest_event_of(reader: Reader, authority_id: str) -> int:
    """Return the seq of the CA's last revocation event; 0 when there is none."""
    found = reader.execute(
        select(func.max(revocation_events.c.seq)).where(
            revocation_events.c.tenant_id == reader.tenant_id, revocation_events.c.authority_id == authority_id
        )
    )
    return int(found.scalar_one_or_none() or 0)


def revoked(
    reader: Reader, authority_id: str, not_after_from: datetime, tails: Sequence[str] = ()
) -> Iterator[Sequence[RevokedRow]]:
    """Stream what a CRL lists, in parts: revoked certificates whose notAfter is not before ``not_after_from``.

    With ``tails``, those whose serial ends so. Plain integers and text, computed by the database: a list may have
    millions of entries.
    """
    given = {"tenant": reader.tenant_id, "authority": authority_id, "not_after_from": not_after_from}
    if tails:
        found = reader.execute(_REVOKED_OF_SHARD, {**given, "tails": list(tails)})
    else:
        found = reader.execute(_REVOKED, given)
    return cast("Iterator[Sequence[RevokedRow]]", found.partitions())


def changed(reader: Reader, authority_id: str, seq: int, now: int) -> Iterator[Sequence[RevokedRow]]:
    """Stream what a delta lists, in parts: what was revoked or released after event ``seq``, as it is now."""
    given = {"tenant": reader.tenant_id, "authority": authority_id, "seq": seq, "now": now}
    return cast("Iterator[Sequence[RevokedRow]]", reader.execute(_CHANGED, given).partitions())


def read_scope(reader: Reader, authority_id: str, scope: str) -> Scope | None:
    """Return a series' meaning; None before its first CRL."""
    row = reader.execute(
        select(scopes.c.only, scopes.c.uris, scopes.c.scheduled_at).where(
            scopes.c.tenant_id == reader.tenant_id,
            scopes.c.authority_id == authority_id,
            scopes.c.scope == scope,
        )
    ).one_or_none()
    return Scope(row.only, tuple(row.uris), row.scheduled_at) if row is not None else None


def fix_scope(uow: UnitOfWork, authority_id: str, scope: str, only: str, uri: str) -> Scope:
    """Return the series' meaning, made at its first CRL.

    A new ``uri`` joins the older ones, since certificates carry those; another ``only`` would silently stop covering
    certificates and is Fault(CONFLICT).
    """
    uow.execute(
        uow.insert(scopes)
        .values(tenant_id=uow.tenant_id, authority_id=authority_id, scope=scope, only=only, uris=[uri] if uri else [])
        .on_conflict_do_nothing()
    )
    known = read_scope(uow, authority_id, scope)
    if known is None or known.only != only:
        raise Fault(FaultKind.CONFLICT, f"CRL scope {scope} of {authority_id} would change its meaning")
    if not uri or uri in known.uris:
        return known
    uris = (*known.uris, uri)[-MAX_URIS:]
    uow.execute(
        update(scopes)
        .where(scopes.c.tenant_id == uow.tenant_id, scopes.c.authority_id == authority_id, scopes.c.scope == scope)
        .values(uris=list(uris))
    )
    return Scope(known.only, uris, known.scheduled_at)


def next_number(uow: UnitOfWork, authority_id: str, floor: int) -> int:
    """Take the CA's next CRL number: greater than every one before, and at least ``floor``."""
    number = authorities.c.crl_number
    taken = uow.execute(
        update(authorities)
        .where(authorities.c.tenant_id == uow.tenant_id, authorities.c.id == authority_id)
        .values(crl_number=case((number + 1 > floor, number + 1), else_=floor))
        .returning(number)
    ).scalar_one_or_none()
    if taken is None:
        raise Fault(FaultKind.NOT_FOUND, f"no CA {authority_id}", "there is no such certificate authority")
    return int(taken)


def raise_number(uow: UnitOfWork, authority_id: str, number: int) -> None:
    """Let every later CRL of the CA have a greater number than this."""
    column = authorities.c.crl_number
    uow.execute(
        update(authorities)
        .where(authorities.c.tenant_id == uow.tenant_id, authorities.c.id == authority_id, column < number)
        .values(crl_number=number)
    )


def insert(uow: UnitOfWork, row: CrlRow | CrlFile, *, scheduled: bool) -> None:
    """Publish; Fault(CONFLICT) unless the number is greater than every published one of this series."""
    head = row.head
    uow.lock(f"crl:{head.authority_id}:{head.scope}")
    newest = uow.execute(
        select(func.max(crls.c.number)).where(
            crls.c.tenant_id == uow.tenant_id, crls.c.authority_id == head.authority_id, crls.c.scope == head.scope
        )
    ).scalar_one_or_none()
    if newest is not None and head.number <= newest:
        raise Fault(FaultKind.CONFLICT, f"CRL number {head.number} is not greater than {newest}")
    values = {name: getattr(head, name) for name in CrlHead.__slots__}
    values |= {"tenant_id": uow.tenant_id, "created_at": uow.clock.now()}
    if isinstance(row, CrlFile):
        uow.insert_file(crls, values, "der", row.path)
    else:
        uow.execute(crls.insert().values(**values, der=row.der))
    if scheduled:
        uow.execute(
            update(scopes)
            .where(
                scopes.c.tenant_id == uow.tenant_id,
                scopes.c.authority_id == head.authority_id,
                scopes.c.scope == head.scope,
            )
            .values(scheduled_at=head.this_update)
        )
    _drop_old(uow, head)


def _drop_old(uow: UnitOfWork, head: CrlHead) -> None:
    mine = (crls.c.tenant_id == uow.tenant_id, crls.c.authority_id == head.authority_id, crls.c.scope == head.scope)
    kept = uow.execute(select(crls.c.number).where(*mine).order_by(crls.c.number.desc()).limit(_KEPT)).scalars().all()
    uow.execute(crls.delete().where(*mine, crls.c.number < min(kept)))


def newest_head(reader: Reader, authority_id: str, scope: str) -> CrlHead | None:
    """Return the current CRL's facts."""
    row = reader.execute(
        select(*_HEAD_COLUMNS)
        .where(crls.c.tenant_id == reader.tenant_id, crls.c.authority_id == authority_id, crls.c.scope == scope)
        .order_by(crls.c.number.desc())
        .limit(1)
    ).one_or_none()
    return _head(row) if row is not None else None


def newest(reader: Reader, authority_id: str, scope: str) -> CrlRow | None:
    """Return the current CRL."""
    head = newest_head(reader, authority_id, scope)
    if head is None:
        return None
    mine = and_(crls.c.tenant_id == reader.tenant_id, crls.c.authority_id == authority_id, crls.c.scope == scope)
    der = reader.long_value(crls, "der", and_(mine, crls.c.number == head.number))
    return CrlRow(head, der) if der is not None else None
