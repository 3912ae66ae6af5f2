"""Counting a tenant's certificates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from pycryptoutil.authority.room import Room
from pycryptoutil.authority.statistics import store

MAX_DAYS: Final = 400
_AHEAD: Final = 60  # days
_BATCH: Final = 50_000


@dataclass(frozen=True, slots=True)
class DayCount:
    """What happened on a day (UTC). ``revoked``: and is revoked or on hold still."""

    day: date
    issued: int
    revoked: int


@dataclass(frozen=True, slots=True)
class NamedCount:
    """Certificates issued in the days asked for, under a profile or by a protocol."""

    name: str
    issued: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """One tenant's certificates at a moment.

    ``days`` is oldest first, without gaps, today last; ``by_profile`` and ``by_protocol`` count what was issued then,
    most first. ``expiring`` has 60 numbers: of the certificates that are good now, how many run out within the
    n-th 24 hours from ``at``.
    """

    at: datetime
    issued: int  # ever
    valid: int  # not expired, not revoked, not on hold
    revoked: int  # for good, expired or not
    held: int
    days: tuple[DayCount, ...]
    by_profile: tuple[NamedCount, ...]
    by_protocol: tuple[NamedCount, ...]
    expiring: tuple[int, ...]

    def expiring_within(self, days: int) -> int:
        """Return how many of the good ones run out within so many days, at most 60."""
        return sum(self.expiring[:days])


def compute(room: Room, tenant_id: str, days: int = 30) -> Statistics:
    """Count, over the last ``days`` days (1 to 400) where a number is by day; today is one of them."""
    now = room.clock.now()
    today = store.day_of(now)
    first = today - min(max(days, 1), MAX_DAYS) + 1
    with room.database.read(tenant_id) as reader:
        kept = store.kept_counts(reader, first)
        total = store.kept_total(reader)
        live = store.live_counts(reader, store.counted_through(reader), None)
        expiring = store.expiring_by_day(reader, now, _AHEAD)
        later = store.good_after(reader, now + _AHEAD * store.DAY)
        revoked, held = store.revoked(reader)
        revocations = store.revoked_by_day(reader, store.EPOCH + first * store.DAY)
    by_day, by_profile, by_protocol = Counter[int](), Counter[str](), Counter[str]()
    for row in [*kept, *(one for one in live if one.day >= first)]:
        by_day[row.day] += row.issued
        by_profile[row.profile] += row.issued
        by_protocol[row.protocol] += row.issued
    return Statistics(
        at=now,
        issued=total + sum(row.issued for row in live),
        valid=sum(expiring.values()) + later,
        revoked=revoked,
        held=held,
        days=tuple(
            DayCount((store.EPOCH + day * store.DAY).date(), by_day[day], revocations.get(day, 0))
            for day in range(first, today + 1)
        ),
        by_profile=_ranked(by_profile),
        by_protocol=_ranked(by_protocol),
        expiring=tuple(expiring.get(day, 0) for day in range(_AHEAD)),
    )


def _ranked(counts: Counter[str]) -> tuple[NamedCount, ...]:
    return tuple(NamedCount(name, count) for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def roll_up(room: Room, tenant_id: str, settled: datetime) -> None:
    """Count what was created before ``settled``, when every issuance had come to an end, in units of bounded work."""
    while True:
        with room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"certificates-counted:{tenant_id}")
            since = store.counted_through(uow)
            if since >= settled:
                return
            some = store.after_some(uow, since, _BATCH)
            # more than a batch in one microsecond cannot be; if it were, it would be counted at once
            before = some if some is not None and since < some < settled else settled
            store.keep_counts(uow, store.live_counts(uow, since, before), before)
