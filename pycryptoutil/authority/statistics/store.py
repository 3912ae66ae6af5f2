"""Statements that count certificates.

What was issued long enough ago to change no more is counted once, into a row for each day, profile and protocol; only
what is newer is counted when somebody asks. What expires and what is revoked is counted on indexes that hold all of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    TextClause,
    and_,
    case,
    func,
    select,
    text,
    type_coerce,
)

from pycryptoutil.authority.model import RevocationReason
from pycryptoutil.authority.store import certificates, metadata, precertificates
from pycryptoutil.storage import Instant, Reader, UnitOfWork

issued_days = Table(
    "certificates_issued_days",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("day", Integer, nullable=False),  # since 1970-01-01, UTC
    Column("profile", String(64), nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("issued", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "day", "profile", "protocol", name="certificates_issued_days_pk"),
)

counted = Table(
    "certificates_counted",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("through", Instant, nullable=False),  # what was created before is in certificates_issued_days
    PrimaryKeyConstraint("tenant_id", name="certificates_counted_pk"),
)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)
_DAY_MICROSECONDS: Final = 86_400_000_000
_ISSUED: Final = text("certificates.state = 'issued'")  # not a parameter: partial indexes are chosen by it


@dataclass(frozen=True, slots=True)
class IssuedRow:
    """How many certificates of a profile were issued by a protocol on a day (since 1970)."""

    day: int
    profile: str
    protocol: str
    issued: int


def day_of(moment: datetime) -> int:
    """Return the day (UTC) since 1970."""
    return (moment - EPOCH) // DAY


def counted_through(reader: Reader) -> datetime:
    """Return up to when issuance has been counted."""
    found = reader.execute(select(counted.c.through).where(counted.c.tenant_id == reader.tenant_id))
    return found.scalar_one_or_none() or EPOCH


def live_counts(reader: Reader, since: datetime, before: datetime | None) -> list[IssuedRow]:
    """Count what was created in [since, before)."""
    c = certificates.c
    day = (type_coerce(c.created_at, BigInteger) // _DAY_MICROSECONDS).label("day")
    statement = (
        select(day, c.profile, c.protocol, func.count().label("issued"))
        .where(c.tenant_id == reader.tenant_id, _ISSUED, c.created_at >= since)
        .group_by(day, c.profile, c.protocol)
    )
    if before is not None:
        statement = statement.where(c.created_at < before)
    never = _never_completed(reader, since, before)
    found = reader.execute(statement)
    rows = (IssuedRow(int(row.day), row.profile, row.protocol, int(row.issued)) for row in found)
    less = (replace(row, issued=row.issued - never.get((row.day, row.profile, row.protocol), 0)) for row in rows)
    return [row for row in less if row.issued > 0]


def _never_completed(reader: Reader, since: datetime, before: datetime | None) -> dict[tuple[int, str, str], int]:
    """Count precertificates that stand for certificates which never came: apart, for few are revoked so early."""
    c, p = certificates.c, precertificates.c
    day = (type_coerce(c.created_at, BigInteger) // _DAY_MICROSECONDS).label("day")
    statement = (
        select(day, c.profile, c.protocol, func.count().label("certificates"))
        .join_from(certificates, precertificates, and_(p.authority_id == c.authority_id, p.serial == c.serial))
        .where(c.tenant_id == reader.tenant_id, c.revoked_at.is_not(None), c.created_at >= since, p.der == c.der)
        .group_by(day, c.profile, c.protocol)
    )
    if before is not None:
        statement = statement.where(c.created_at < before)
    return {(int(row.day), row.profile, row.protocol): int(row.certificates) for row in reader.execute(statement)}


def kept_counts(reader: Reader, first_day: int) -> list[IssuedRow]:
    """Return what has been counted from a day on."""
    c = issued_days.c
    found = reader.execute(
        select(c.day, c.profile, c.protocol, c.issued).where(c.tenant_id == reader.tenant_id, c.day >= first_day)
    )
    return [IssuedRow(int(row.day), row.profile, row.protocol, int(row.issued)) for row in found]


def kept_total(reader: Reader) -> int:
    """Return how many have been counted at all."""
    c = issued_days.c
    found = reader.execute(select(func.sum(c.issued)).where(c.tenant_id == reader.tenant_id)).scalar_one()
    return int(found or 0)


def after_some(reader: Reader, since: datetime, count: int) -> datetime | None:
    """Return when the one that comes ``count`` certificates after ``since`` was created; None: there are fewer."""
    c = certificates.c
    found: datetime | None = reader.execute(
        select(c.created_at)
        .where(c.tenant_id == reader.tenant_id, c.created_at >= since)
        .order_by(c.created_at, c.serial)
        .offset(count)
        .limit(1)
    ).scalar_one_or_none()
    return found


def keep_counts(uow: UnitOfWork, rows: Iterable[IssuedRow], through: datetime) -> None:
    """Add to what has been counted, and say how far."""
    for row in rows:
        add = uow.insert(issued_days).values(
            tenant_id=uow.tenant_id, day=row.day, profile=row.profile, protocol=row.protocol, issued=row.issued
        )
        uow.execute(
            add.on_conflict_do_update(
                index_elements=["tenant_id", "day", "profile", "protocol"],
                set_={"issued": issued_days.c.issued + row.issued},
            )
        )
    mark = uow.insert(counted).values(tenant_id=uow.tenant_id, through=through)
    uow.execute(mark.on_conflict_do_update(index_elements=["tenant_id"], set_={"through": through}))


def count_again(uow: UnitOfWork) -> None:
    """Forget what has been counted: certificates were added that are older than that."""
    uow.execute(issued_days.delete().where(issued_days.c.tenant_id == uow.tenant_id))
    uow.execute(counted.delete().where(counted.c.tenant_id == uow.tenant_id))


def expiring_by_day(reader: Reader, now: datetime, days: int) -> dict[int, int]:
    """Count what is good now by the days of 24 hours in which it runs out, for so many days from ``now``."""
    start = (now - EPOCH) // timedelta(microseconds=1)
    edges = {f"d{day}": start + day * _DAY_MICROSECONDS for day in range(days + 1)}
    row = reader.execute(_expiring(days), {"tenant_id": reader.tenant_id, **edges}).one()
    return {day: int(count) for day, count in enumerate(row)}


@functools.lru_cache(maxsize=4)
def _expiring(days: int) -> TextClause:
    """One count for each day along the index: to group them would sort them first. Too long to build each time."""
    count = (
        "(SELECT count(*) FROM certificates WHERE tenant_id = :tenant_id AND state = 'issued' AND revoked_at IS NULL"
        " AND not_after >= :d{0} AND not_after < :d{1})"
    )
    return text("SELECT " + ", ".join(count.format(day, day + 1) for day in range(days)))


def good_after(reader: Reader, moment: datetime) -> int:
    """Count what is not revoked and lives at ``moment`` still."""
    c = certificates.c
    found = reader.execute(
        select(func.count())
        .select_from(certificates)
        .where(c.tenant_id == reader.tenant_id, _ISSUED, c.revoked_at.is_(None), c.not_after >= moment)
    )
    return int(found.scalar_one())


def revoked(reader: Reader) -> tuple[int, int]:
    """Count what is revoked for good, and what is on hold."""
    c = certificates.c
    held = func.sum(case((c.reason == RevocationReason.CERTIFICATE_HOLD.code, 1), else_=0)).label("held")
    row = reader.execute(
        select(func.count().label("every"), held).where(c.tenant_id == reader.tenant_id, c.revoked_at.is_not(None))
    ).one()
    return int(row.every) - int(row.held or 0), int(row.held or 0)


def revoked_by_day(reader: Reader, since: datetime) -> dict[int, int]:
    """Count what was revoked or held since ``since``, and is still, by day since 1970."""
    c = certificates.c
    day = (type_coerce(c.revoked_at, BigInteger) // _DAY_MICROSECONDS).label("day")
    found = reader.execute(
        select(day, func.count().label("certificates"))
        .where(c.tenant_id == reader.tenant_id, c.revoked_at.is_not(None), c.revoked_at >= since)
        .group_by(day)
    )
    return {int(row.day): int(row.certificates) for row in found}
