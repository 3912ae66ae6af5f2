"""The outbox's tables and statements."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)

from pycryptoutil.authority.events.model import Delivery, DeliveryStatus, Event, Subscription
from pycryptoutil.authority.store import authorities, certificates, metadata
from pycryptoutil.storage import Instant, Json, Prepared, Reader, UnitOfWork

_ID: Final = 40

subscriptions = Table(
    "event_subscriptions",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(_ID), nullable=False),
    Column("url", String(2000), nullable=False),
    Column("types", Json, nullable=False),  # none: all
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("status", String(16), nullable=False),  # active | disabled
    Column("description", String(300), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("paused_until", Instant),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(300), nullable=False),
    PrimaryKeyConstraint("id", name="event_subscriptions_pk"),
    Index("event_subscriptions_by_tenant", "tenant_id", "created_at", "id"),
)

events = Table(
    "events",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(_ID), nullable=False),
    Column("type", String(32), nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("data", Json, nullable=False),
    PrimaryKeyConstraint("id", name="events_pk"),
    Index("events_by_time", "tenant_id", "occurred_at"),
)

deliveries = Table(
    "event_deliveries",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(_ID), nullable=False),
    Column("event_id", String(_ID), nullable=False),
    Column("subscription_id", String(_ID), nullable=False),
    Column("status", String(16), nullable=False),  # pending | delivered | dead
    Column("attempts", Integer, nullable=False),
    Column("since", Instant, nullable=False),
    Column("due_at", Instant),
    Column("claimed_until", Instant),
    Column("answer", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("finished_at", Instant),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("id", name="event_deliveries_pk"),
    Index(
        "event_deliveries_due",
        "due_at",
        "tenant_id",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("event_deliveries_by_subscription", "tenant_id", "subscription_id", "created_at", "id"),
    Index("event_deliveries_by_event", "tenant_id", "event_id"),
    Index("event_deliveries_finished", "tenant_id", "finished_at"),
)

notices = Table(
    "expiry_notices",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("days", Integer, nullable=False),
    Column("not_after", Instant, nullable=False),  # certificates up to here have been told of, so many days before
    Column("serial", String(40), nullable=False),
    PrimaryKeyConstraint("tenant_id", "days", name="expiry_notices_pk"),
)

TABLES: Final = (subscriptions, events, deliveries, notices)
_SUBSCRIPTION: Final = tuple(subscriptions.c[name] for name in Subscription.__slots__)

# what every issuance asks
_ALL: Final = Prepared(
    select(*_SUBSCRIPTION)
    .where(subscriptions.c.tenant_id == bindparam("tenant_id"))
    .order_by(subscriptions.c.created_at.desc(), subscriptions.c.id.desc())
)


def _subscription(row: Any) -> Subscription:
    values = row._asdict()
    values["types"] = tuple(values["types"])
    return Subscription(**values)


def all_subscriptions(reader: Reader) -> list[Subscription]:
    """Return the tenant's, newest first."""
    return [_subscription(row) for row in reader.execute(_ALL, {"tenant_id": reader.tenant_id})]


def subscription(reader: Reader, subscription_id: str) -> tuple[Subscription, bytes] | None:
    """Return one with its sealed secret."""
    c = subscriptions.c
    row = reader.execute(
        select(*_SUBSCRIPTION, c.sealed_secret).where(c.tenant_id == reader.tenant_id, c.id == subscription_id)
    ).one_or_none()
    if row is None:
        return None
    values = row._asdict()
    sealed = values.pop("sealed_secret")
    values["types"] = tuple(values["types"])
    return Subscription(**values), sealed


def insert_subscription(uow: UnitOfWork, row: Subscription, sealed: bytes) -> None:
    """Add one."""
    values = {name: getattr(row, name) for name in Subscription.__slots__} | {"types": list(row.types)}
    uow.execute(subscriptions.insert().values(**values, sealed_secret=sealed))


def count_subscriptions(reader: Reader) -> int:
    """Return how many the tenant has."""
    c = subscriptions.c
    found = reader.execute(select(func.count()).select_from(subscriptions).where(c.tenant_id == reader.tenant_id))
    return int(found.scalar_one())


def delete_subscription(uow: UnitOfWork, subscription_id: str) -> bool:
    """Remove one with its deliveries."""
    c = deliveries.c
    uow.execute(delete(deliveries).where(c.tenant_id == uow.tenant_id, c.subscription_id == subscription_id))
    s = subscriptions.c
    found = uow.execute(delete(subscriptions).where(s.tenant_id == uow.tenant_id, s.id == subscription_id))
    return bool(found.rowcount)


def change_subscription(uow: UnitOfWork, subscription_id: str, values: dict[str, Any]) -> bool:
    """Set columns."""
    c = subscriptions.c
    statement = update(subscriptions).where(c.tenant_id == uow.tenant_id, c.id == subscription_id).values(**values)
    return uow.execute(statement).rowcount == 1


def insert_event(uow: UnitOfWork, event: Event, rows: Iterable[Delivery]) -> None:
    """Write down what happened, and whom to tell."""
    uow.execute(
        events.insert().values(
            tenant_id=uow.tenant_id,
            id=event.id,
            type=event.type,
            occurred_at=event.occurred_at,
            data=dict(event.data),
        )
    )
    uow.execute(
        deliveries.insert(),
        [
            {name: getattr(row, name) for name in Delivery.__slots__ if name != "event"}
            | {"tenant_id": uow.tenant_id, "event_id": row.event.id, "status": row.status.value}
            for row in rows
        ],
    )


_DELIVERY: Final = (
    *(deliveries.c[name] for name in Delivery.__slots__ if name != "event"),
    events.c.id.label("event_id"),
    events.c.type,
    events.c.occurred_at,
    events.c.data,
)
_JOINED: Final = deliveries.join(
    events, (events.c.tenant_id == deliveries.c.tenant_id) & (events.c.id == deliveries.c.event_id)
)


def _delivery(row: Any) -> Delivery:
    values = row._asdict()
    event = Event(values.pop("event_id"), values.pop("type"), values.pop("occurred_at"), values.pop("data"))
    values["status"] = DeliveryStatus(values["status"])
    return Delivery(**values, event=event)


def delivery(reader: Reader, delivery_id: str) -> Delivery | None:
    """Return one."""
    c = deliveries.c
    row = reader.execute(
        select(*_DELIVERY).select_from(_JOINED).where(c.tenant_id == reader.tenant_id, c.id == delivery_id)
    ).one_or_none()
    return _delivery(row) if row is not None else None


def deliveries_of(
    reader: Reader, subscription_id: str, status: str, after: tuple[datetime, str] | None, limit: int
) -> list[Delivery]:
    """Return a subscription's, newest first."""
    c = deliveries.c
    statement = (
        select(*_DELIVERY)
        .select_from(_JOINED)
        .where(c.tenant_id == reader.tenant_id, c.subscription_id == subscription_id)
    )
    if status:
        statement = statement.where(c.status == status)
    if after is not None:
        statement = statement.where(tuple_(c.created_at, c.id) < tuple_(literal(after[0], Instant), literal(after[1])))
    statement = statement.order_by(c.created_at.desc(), c.id.desc()).limit(limit)
    return [_delivery(row) for row in reader.execute(statement)]


def busy_tenants(reader: Reader, now: datetime) -> list[str]:
    """Return every tenant with something to deliver; the reader must be the system tenant's."""
    c = deliveries.c
    return sorted(reader.execute(select(c.tenant_id).where(c.due_at <= now).distinct()).scalars())


def _free(now: datetime) -> Any:
    c = deliveries.c
    return or_(c.claimed_until.is_(None), c.claimed_until < now)


def due(reader: Reader, now: datetime, limit: int) -> list[str]:
    """Return deliveries to try, those that wait longest first; a subscription that fails waits as a whole."""
    c, s = deliveries.c, subscriptions.c
    ready = select(s.id).where(
        s.tenant_id == reader.tenant_id,
        s.status == "active",
        or_(s.paused_until.is_(None), s.paused_until <= now),
    )
    found = reader.execute(
        select(c.id)
        .where(c.tenant_id == reader.tenant_id, c.due_at <= now, _free(now), c.subscription_id.in_(ready))
        .order_by(c.due_at, c.created_at, c.id)
        .limit(limit)
    )
    return list(found.scalars())


def claim(uow: UnitOfWork, delivery_id: str, now: datetime, until: datetime) -> bool:
    """Take one upon this replica; False if it is not due, or another has it."""
    c = deliveries.c
    statement = update(deliveries).where(
        c.tenant_id == uow.tenant_id,
        c.id == delivery_id,
        c.status == DeliveryStatus.PENDING.value,
        c.due_at <= now,
        _free(now),
    )
    return uow.execute(statement.values(claimed_until=until)).rowcount == 1


def settle(uow: UnitOfWork, delivery_id: str, claimed_until: datetime, values: dict[str, Any]) -> bool:
    """Write what became of a delivery, unless its claim has run out and somebody else has it."""
    c = deliveries.c
    statement = update(deliveries).where(
        c.tenant_id == uow.tenant_id,
        c.id == delivery_id,
        c.status == DeliveryStatus.PENDING.value,
        c.claimed_until == claimed_until,
    )
    return uow.execute(statement.values(claimed_until=None, **values)).rowcount == 1


def begin_again(uow: UnitOfWork, subscription_id: str, delivery_id: str, now: datetime) -> bool:
    """Have one delivered once more that was given up or delivered; False if there is none, or it is on its way."""
    c = deliveries.c
    statement = update(deliveries).where(
        c.tenant_id == uow.tenant_id,
        c.id == delivery_id,
        c.subscription_id == subscription_id,
        c.status != DeliveryStatus.PENDING.value,
    )
    values = {"status": DeliveryStatus.PENDING.value, "attempts": 0, "since": now, "due_at": now, "finished_at": None}
    return uow.execute(statement.values(**values, error="", answer=0)).rowcount == 1


def overdue(reader: Reader, since: datetime, limit: int) -> list[tuple[str, str, str]]:
    """Return (id, subscription id, event type) of what has waited since before then and nobody is trying."""
    c = deliveries.c
    now = reader.clock.now()
    found = reader.execute(
        select(c.id, c.subscription_id, events.c.type)
        .select_from(_JOINED)
        .where(c.tenant_id == reader.tenant_id, c.due_at.is_not(None), c.since <= since, _free(now))
        .limit(limit)
    )
    return [(row.id, row.subscription_id, row.type) for row in found]


def give_up(uow: UnitOfWork, ids: Iterable[str], now: datetime, error: str) -> None:
    """End deliveries that wait."""
    c = deliveries.c
    values = {"status": DeliveryStatus.DEAD.value, "due_at": None, "claimed_until": None, "finished_at": now}
    uow.execute(
        update(deliveries)
        .where(c.tenant_id == uow.tenant_id, c.id.in_(list(ids)), c.status == DeliveryStatus.PENDING.value)
        .values(**values, error=func.coalesce(func.nullif(c.error, ""), error))
    )


def forget(uow: UnitOfWork, before: datetime, limit: int) -> int:
    """Delete deliveries that ended before then, and events that nobody is to be told of any more."""
    c, e = deliveries.c, events.c
    old = select(c.id).where(c.tenant_id == uow.tenant_id, c.finished_at < before).limit(limit)
    gone = uow.execute(delete(deliveries).where(c.tenant_id == uow.tenant_id, c.id.in_(old))).rowcount
    told = select(c.id).where(c.tenant_id == e.tenant_id, c.event_id == e.id)
    idle = select(e.id).where(e.tenant_id == uow.tenant_id, e.occurred_at < before, ~told.exists()).limit(limit)
    return int(gone) + int(uow.execute(delete(events).where(e.tenant_id == uow.tenant_id, e.id.in_(idle))).rowcount)


# -- expiry ------------------------------------------------------------------------------------------------------------


def noticed(reader: Reader, days: int) -> tuple[datetime, str] | None:
    """Return (not_after, serial) of the last certificate that was told of so many days before."""
    c = notices.c
    row = reader.execute(
        select(c.not_after, c.serial).where(c.tenant_id == reader.tenant_id, c.days == days)
    ).one_or_none()
    return (row.not_after, row.serial) if row is not None else None


def notice(uow: UnitOfWork, days: int, not_after: datetime, serial: str) -> None:
    """Say how far certificates have been told of."""
    values = {"not_after": not_after, "serial": serial}
    statement = uow.insert(notices).values(tenant_id=uow.tenant_id, days=days, **values)
    uow.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "days"], set_=values))


def running_out(reader: Reader, after: tuple[datetime, str], until: datetime, limit: int) -> list[Any]:
    """Return good certificates whose end comes after that one's, up to ``until``, in this order.

    Those of the CA's own servants are not among them, for they renew themselves; those of CAs are.
    """
    c = certificates.c
    of_ca = select(authorities.c.id).where(
        authorities.c.tenant_id == c.tenant_id, authorities.c.spki_sha256 == c.spki_sha256
    )
    found = reader.execute(
        select(c.authority_id, c.serial, c.profile, c.subject, c.names, c.not_after, c.requester)
        .where(
            c.tenant_id == reader.tenant_id,
            text("certificates.state = 'issued'"),
            c.revoked_at.is_(None),
            or_(c.protocol != "internal", of_ca.exists()),
            tuple_(c.not_after, c.serial) > tuple_(literal(after[0], Instant), literal(after[1])),
            c.not_after <= until,
        )
        .order_by(c.not_after, c.serial)
        .limit(limit)
    )
    return list(found)
