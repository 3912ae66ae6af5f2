"""Notices of certificates that run out: each is told of once for each number of days, by one replica.

A mark for each tenant and number of days says how far the notices have come in the order of notAfter; the events and
the mark are one unit. Certificates that were shorter-lived than that when they were issued lie behind the mark.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from pycryptoutil.authority import store as tables
from pycryptoutil.authority.events import store
from pycryptoutil.authority.events.emit import put
from pycryptoutil.authority.events.model import EventType
from pycryptoutil.authority.room import Room
from pycryptoutil.storage import UnitOfWork

_UNIT: Final = 200
_LAST: Final = "~"  # after every serial


def tell(room: Room, tenant_id: str, notice_days: tuple[int, ...]) -> int:
    """Tell of what runs out, in units of bounded work; return how many were told of."""
    told = 0
    ordered = sorted(set(notice_days))
    for index, days in enumerate(ordered):
        nearer = ordered[index - 1] if index else 0
        while True:
            with room.database.unit_of_work(tenant_id) as uow:
                uow.lock(f"expiry-notices:{tenant_id}")
                count = _some(uow, days, nearer, room.clock.now())
            told += count
            if count < _UNIT:
                break
    return told


def _some(uow: UnitOfWork, days: int, nearer: int, now: datetime) -> int:
    until = now + timedelta(days=days)
    to = [one for one in store.all_subscriptions(uow) if one.wants(EventType.CERTIFICATE_EXPIRING)]
    # the first time, what is nearer to its end than the next smaller number of days is left to that one
    mark = store.noticed(uow, days) or (now + timedelta(days=nearer), _LAST)
    if not to:  # whoever subscribes later is told of what comes later
        if mark[0] < until:
            store.notice(uow, days, until, _LAST)
        return 0
    rows = store.running_out(uow, mark, until, _UNIT)
    names = {row.id: row.name for row in tables.all_authorities(uow)}
    for row in rows:
        data = {
            "serial": row.serial,
            "authority": names.get(row.authority_id, ""),
            "profile": row.profile,
            "subject": row.subject,
            "sans": row.names.splitlines(),
            "not_after": row.not_after.isoformat(),
            "requester": row.requester,
            "days": days,
        }
        put(uow, EventType.CERTIFICATE_EXPIRING, data, to)
    if len(rows) == _UNIT:
        store.notice(uow, days, rows[-1].not_after, rows[-1].serial)
    elif mark[0] < until:
        store.notice(uow, days, until, _LAST)
    return len(rows)
