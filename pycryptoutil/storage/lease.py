"""Leases: who of several replicas does a recurring job for now.

A lease spares work; it does not exclude by itself, since a holder may be paused past its end. What must happen once
still takes ``UnitOfWork.lock`` or a conditional update in the unit that does it.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select

from pycryptoutil.storage.database import UnitOfWork
from pycryptoutil.storage.schema import leases


def acquire(uow: UnitOfWork, name: str, holder: str, ttl: float) -> bool:
    """Take or prolong the lease for ``ttl`` seconds; False when another holds it."""
    uow.lock(f"lease:{name}")
    now = uow.clock.now()
    length = timedelta(seconds=ttl)
    row = uow.execute(select(leases).where(leases.c.name == name)).one_or_none()
    if row is None:
        uow.execute(leases.insert().values(name=name, holder=holder, expires_at=now + length, term=1))
        return True
    # an end further away than two terms was written by a clock that has stepped back since: nobody waits for that
    taken = row.holder != holder and now < row.expires_at <= now + 2 * length
    if taken:
        return False
    term = row.term if row.holder == holder else row.term + 1
    uow.execute(leases.update().where(leases.c.name == name).values(holder=holder, expires_at=now + length, term=term))
    return True


def release(uow: UnitOfWork, name: str, holder: str) -> None:
    """Give the lease up, if it is still held."""
    uow.lock(f"lease:{name}")
    uow.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
