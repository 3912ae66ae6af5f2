"""Writing events into the outbox, in the transaction of what they tell."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from pycryptoutil.authority.events import store
from pycryptoutil.authority.events.model import Delivery, DeliveryStatus, Event, EventType, Subscription
from pycryptoutil.storage import UnitOfWork


def emit(uow: UnitOfWork, kind: EventType, data: Mapping[str, Any]) -> None:
    """Tell the tenant's subscribers once the unit is durable; where nobody has subscribed, nothing is written.

    ``data`` is JSON: no secrets, and no more than somebody with ``pki:read`` may see.
    """
    put(uow, kind, data, [one for one in store.all_subscriptions(uow) if one.wants(kind)])


def put(uow: UnitOfWork, kind: EventType, data: Mapping[str, Any], to: list[Subscription]) -> list[Delivery]:
    """Write one event for these subscribers."""
    if not to:
        return []
    now = uow.clock.now()
    event = Event(f"msg_{uuid.uuid4().hex}", kind.value, now, data)
    rows = [
        Delivery(
            id=uuid.uuid4().hex,
            event=event,
            subscription_id=one.id,
            status=DeliveryStatus.PENDING,
            attempts=0,
            since=now,
            due_at=now,
            claimed_until=None,
            answer=0,
            error="",
            finished_at=None,
            created_at=now,
        )
        for one in to
    ]
    store.insert_event(uow, event, rows)
    return rows
