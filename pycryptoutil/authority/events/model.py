"""What there is to tell, to whom, and what became of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pycryptoutil.authority.outreach import Network


class EventType(enum.StrEnum):
    """What happened; each has members of its own in ``data`` (docs/events.md)."""

    CERTIFICATE_ISSUED = "certificate.issued"
    CERTIFICATE_REVOKED = "certificate.revoked"  # or held, or given another reason
    CERTIFICATE_RELEASED = "certificate.released"  # from hold
    CERTIFICATE_EXPIRING = "certificate.expiring"
    CRL_PUBLISHED = "crl.published"
    AUTHORITY_CREATED = "authority.created"
    AUTHORITY_STATUS = "authority.status"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_DECIDED = "approval.decided"
    TEST = "webhook.test"  # to one subscription, when asked for


class DeliveryStatus(enum.StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  # given up; it may be delivered again by hand


@dataclass(frozen=True, slots=True)
class EventRules:
    """What webhooks go by, from configuration."""

    allow: tuple[Network, ...] = ()  # special-use addresses that may be connected to
    allow_http: bool = False
    ca_file: str = ""
    timeout: float = 10.0  # seconds, of one attempt over all
    retry_after: timedelta = timedelta(seconds=5)  # doubled with each failure
    retry_at_most: timedelta = timedelta(hours=1)
    give_up_after: timedelta = timedelta(hours=72)
    kept: timedelta = timedelta(days=30)  # what was delivered or given up
    senders: int = 4  # threads of a process
    subscriptions: int = 50  # of one tenant
    notice_days: tuple[int, ...] = (60, 30, 7)  # before a certificate runs out


@dataclass(frozen=True, slots=True)
class SubscriptionOrder:
    """A subscription to make; no ``types``: all. ``secret`` empty: one is made."""

    url: str
    types: tuple[str, ...] = ()
    description: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told, without the secret. ``failures`` in a row; until ``paused_until`` nothing is tried again."""

    id: str
    tenant_id: str
    url: str
    types: tuple[str, ...]
    status: str  # active | disabled
    description: str
    failures: int
    paused_until: datetime | None
    created_at: datetime
    created_by: str

    def wants(self, kind: EventType) -> bool:
        """Tell whether it is told of such events; a test comes to whoever asks for it, and to nobody else."""
        return kind is not EventType.TEST and self.status == "active" and (not self.types or kind.value in self.types)


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription just made: the only time its secret is seen."""

    subscription: Subscription
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, as it is told."""

    id: str
    type: str
    occurred_at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one subscription. ``answer`` is the last HTTP status, 0 without one."""

    id: str
    event: Event
    subscription_id: str
    status: DeliveryStatus
    attempts: int
    since: datetime  # its age counts from then
    due_at: datetime | None
    claimed_until: datetime | None
    answer: int
    error: str
    finished_at: datetime | None
    created_at: datetime
