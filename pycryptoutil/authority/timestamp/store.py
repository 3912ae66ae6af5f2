"""The genTime of each authority's last token, where tokens are ordered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, PrimaryKeyConstraint, String, Table, select, update

from pycryptoutil.authority.store import metadata
from pycryptoutil.storage import Instant, UnitOfWork

timestamp_order = Table(
    "timestamp_order",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("authority", String(64), nullable=False),
    Column("last_gen_time", Instant, nullable=True),  # empty: nothing stamped yet
    PrimaryKeyConstraint("tenant_id", "authority", name="timestamp_order_pk"),
)


def lock_last(uow: UnitOfWork, authority: str) -> datetime | None:
    """Return the last genTime, None before the first; nobody else gets it before this unit has ended."""
    c = timestamp_order.c
    query = select(c.last_gen_time).where(c.tenant_id == uow.tenant_id, c.authority == authority).with_for_update()
    row = uow.execute(query).one_or_none()
    if row is None:
        first = uow.insert(timestamp_order).values(tenant_id=uow.tenant_id, authority=authority, last_gen_time=None)
        uow.execute(first.on_conflict_do_nothing())
        row = uow.execute(query).one()
    last: datetime | None = row.last_gen_time
    return last


def set_last(uow: UnitOfWork, authority: str, gen_time: datetime) -> None:
    """Move it."""
    c = timestamp_order.c
    uow.execute(
        update(timestamp_order)
        .where(c.tenant_id == uow.tenant_id, c.authority == authority)
        .values(last_gen_time=gen_time)
    )
