"""Lifecycle events, told to subscribers by webhook (docs/events.md).

:func:`emit` is called in the unit of work of what it tells. Delivery is a durable job of whichever replica takes it.
"""

from pycryptoutil.authority.events.emit import emit
from pycryptoutil.authority.events.model import (
    Delivery,
    DeliveryStatus,
    EventRules,
    EventType,
    NewSubscription,
    Subscription,
    SubscriptionOrder,
)
from pycryptoutil.authority.events.service import EventService

__all__ = [
    "Delivery",
    "DeliveryStatus",
    "EventRules",
    "EventService",
    "EventType",
    "NewSubscription",
    "Subscription",
    "SubscriptionOrder",
    "emit",
]
