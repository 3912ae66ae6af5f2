"""Webhooks as one object: what the REST API and the background tasks call."""

from __future__ import annotations

import uuid
from datetime import datetime
from functools import partial
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import store as tables
from pycryptoutil.authority.events import expiry, message, store
from pycryptoutil.authority.events.deliver import Sender, audit_dead
from pycryptoutil.authority.events.emit import put
from pycryptoutil.authority.events.model import (
    Delivery,
    EventRules,
    EventType,
    NewSubscription,
    Subscription,
    SubscriptionOrder,
)
from pycryptoutil.authority.outreach import AddressGuard, Jobs
from pycryptoutil.authority.outreach.connection import is_address
from pycryptoutil.authority.outreach.post import split_url
from pycryptoutil.authority.room import Room
from pycryptoutil.storage import SYSTEM_TENANT, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_BATCH: Final = 100
_NOT_FOR_ORDERS: Final = frozenset({EventType.TEST.value})


class EventService:
    """The subscriptions and deliveries of every tenant. Shared by all threads; what it knows is in the database."""

    def __init__(self, room: Room, rules: EventRules) -> None:
        self.rules = rules
        self._room = room
        self._sender = Sender(room, rules)
        self._jobs = Jobs("webhook", rules.senders)
        self._guard = AddressGuard(rules.allow)

    # -- subscriptions -------------------------------------------------------------------------------------------------

    def add(self, tenant_id: str, order: SubscriptionOrder, actor: str, request_id: str = "") -> NewSubscription:
        """Subscribe; Fault(INVALID, POLICY) for a URL or types that can never be, CONFLICT when there are too many."""
        self._check(order)
        secret = order.secret or message.new_secret()
        message.key_of(secret)
        row = Subscription(
            id=uuid.uuid4().hex,
            tenant_id=tenant_id,
            url=order.url,
            types=tuple(dict.fromkeys(order.types)),
            status="active",
            description=order.description,
            failures=0,
            paused_until=None,
            created_at=self._room.clock.now(),
            created_by=actor,
        )
        sealed = self._room.barrier.encrypt(secret.encode(), tables.aad(tables.WEBHOOK_SECRETS, tenant_id, row.id))
        with self._room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"webhooks:{tenant_id}")
            if store.count_subscriptions(uow) >= self.rules.subscriptions:
                text = f"there are {self.rules.subscriptions} webhooks already"
                raise Fault(FaultKind.CONFLICT, text, text)
            store.insert_subscription(uow, row, sealed)
            host = split_url(row.url).netloc  # a path may hold a receiver's own secret
            details = {"host": host, "types": list(row.types)}
            audit.append(uow, AuditEvent("webhook.create", actor, row.id, "success", details, request_id))
        return NewSubscription(row, secret)

    def _check(self, order: SubscriptionOrder) -> None:
        parts = split_url(order.url)
        if parts.scheme != "https" and not self.rules.allow_http:
            text = "a webhook has an https URL"
            raise Fault(FaultKind.POLICY, text, text, pointer="url")
        host = parts.hostname or ""
        if is_address(host):
            try:
                self._guard.check(host)
            except Fault as fault:
                raise Fault(FaultKind.POLICY, fault.detail, fault.public, pointer="url") from None
        known = {one.value for one in EventType} - _NOT_FOR_ORDERS
        if unknown := [one for one in order.types if one not in known]:
            text = f"no such event: {', '.join(unknown)[:100]}; there are {', '.join(sorted(known))}"
            raise Fault(FaultKind.INVALID, text, text, pointer="types")

    def subscriptions(self, tenant_id: str) -> list[Subscription]:
        """Return the tenant's, newest first."""
        with self._room.database.read(tenant_id) as reader:
            return store.all_subscriptions(reader)

    def subscription(self, tenant_id: str, subscription_id: str) -> Subscription:
        """Return one; Fault(NOT_FOUND)."""
        with self._room.database.read(tenant_id) as reader:
            found = store.subscription(reader, subscription_id)
        if found is None:
            raise _unknown("webhook")
        return found[0]

    def delete(self, tenant_id: str, subscription_id: str, actor: str, request_id: str = "") -> None:
        """Unsubscribe; what was not delivered is dropped. Fault(NOT_FOUND)."""
        with self._room.database.unit_of_work(tenant_id) as uow:
            if not store.delete_subscription(uow, subscription_id):
                raise _unknown("webhook")
            audit.append(uow, AuditEvent("webhook.delete", actor, subscription_id, request_id=request_id))

    def set_active(
        self, tenant_id: str, subscription_id: str, active: bool, actor: str, request_id: str = ""
    ) -> Subscription:
        """Stop telling, or tell again from now on; what waits, waits. Fault(NOT_FOUND)."""
        values = {"status": "active" if active else "disabled", "failures": 0, "paused_until": None}
        with self._room.database.unit_of_work(tenant_id) as uow:
            if not store.change_subscription(uow, subscription_id, values):
                raise _unknown("webhook")
            action = "webhook.enable" if active else "webhook.disable"
            audit.append(uow, AuditEvent(action, actor, subscription_id, request_id=request_id))
        return self.subscription(tenant_id, subscription_id)

    # -- deliveries ----------------------------------------------------------------------------------------------------

    def deliveries(
        self, tenant_id: str, subscription_id: str, status: str, after: tuple[datetime, str] | None, limit: int
    ) -> list[Delivery]:
        """Return what was and is to be delivered, newest first; Fault(NOT_FOUND)."""
        self.subscription(tenant_id, subscription_id)
        with self._room.database.read(tenant_id) as reader:
            return store.deliveries_of(reader, subscription_id, status, after, limit)

    def redeliver(
        self, tenant_id: str, subscription_id: str, delivery_id: str, actor: str, request_id: str = ""
    ) -> Delivery:
        """Deliver once more what was given up or delivered; Fault(NOT_FOUND), CONFLICT while it is on its way."""
        with self._room.database.unit_of_work(tenant_id) as uow:
            found = store.delivery(uow, delivery_id)
            if found is None or found.subscription_id != subscription_id:
                raise _unknown("delivery")
            if not store.begin_again(uow, subscription_id, delivery_id, self._room.clock.now()):
                text = "the delivery is on its way"
                raise Fault(FaultKind.CONFLICT, text, text)
            self._resume(uow, subscription_id)
            audit.append(uow, AuditEvent("webhook.redeliver", actor, delivery_id, request_id=request_id))
        return self._soon(tenant_id, delivery_id)

    def test(self, tenant_id: str, subscription_id: str, actor: str, request_id: str = "") -> Delivery:
        """Send a webhook a test event; Fault(NOT_FOUND), CONFLICT if it is disabled."""
        subscription = self.subscription(tenant_id, subscription_id)
        if subscription.status != "active":
            text = "the webhook is disabled"
            raise Fault(FaultKind.CONFLICT, text, text)
        with self._room.database.unit_of_work(tenant_id) as uow:
            (row,) = put(uow, EventType.TEST, {"webhook": subscription_id}, [subscription])
            self._resume(uow, subscription_id)
            audit.append(uow, AuditEvent("webhook.test", actor, subscription_id, request_id=request_id))
        return self._soon(tenant_id, row.id)

    @staticmethod
    def _resume(uow: UnitOfWork, subscription_id: str) -> None:
        store.change_subscription(uow, subscription_id, {"paused_until": None})

    def _soon(self, tenant_id: str, delivery_id: str) -> Delivery:
        self._jobs.submit(partial(self._sender.run, tenant_id, delivery_id))
        with self._room.database.read(tenant_id) as reader:
            found = store.delivery(reader, delivery_id)
        if found is None:
            raise _unknown("delivery")
        return found

    # -- in the background ---------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Take up what is due."""
        if self._room.barrier.sealed:
            return
        for tenant_id, delivery_id in self._due():
            self._jobs.submit(partial(self._sender.run, tenant_id, delivery_id))

    def work(self) -> int:
        """Send all that is due in this thread, for tests and tools; return how many were tried."""
        return sum(self._sender.run(tenant_id, delivery_id) for tenant_id, delivery_id in self._due())

    def _due(self) -> list[tuple[str, str]]:
        now = self._room.clock.now()
        with self._room.database.read(SYSTEM_TENANT) as reader:
            busy = store.busy_tenants(reader, now)
        found: list[tuple[str, str]] = []
        for tenant_id in busy:
            with self._room.database.read(tenant_id) as reader:
                found += [(tenant_id, one) for one in store.due(reader, now, _BATCH)]
        return found

    def maintain(self) -> None:
        """Tell of what runs out, give up what is too old, forget what ended long ago."""
        now = self._room.clock.now()
        with self._room.database.read(SYSTEM_TENANT) as reader:
            tenants = tables.tenants_with_authorities(reader)
        for tenant_id in tenants:
            expiry.tell(self._room, tenant_id, self.rules.notice_days)
            while self._give_up(tenant_id, now) == _BATCH:
                pass
            while self._forget(tenant_id, now) >= _BATCH:
                pass

    def _give_up(self, tenant_id: str, now: datetime) -> int:
        with self._room.database.unit_of_work(tenant_id) as uow:
            old = store.overdue(uow, now - self.rules.give_up_after, _BATCH)
            if old:
                store.give_up(uow, [one[0] for one in old], now, "never tried: the webhook failed or was disabled")
            for one in old:
                audit_dead(uow, *one)
        return len(old)

    def _forget(self, tenant_id: str, now: datetime) -> int:
        with self._room.database.unit_of_work(tenant_id) as uow:
            return store.forget(uow, now - self.rules.kept, _BATCH)


def _unknown(what: str) -> Fault:
    return Fault(FaultKind.NOT_FOUND, f"no such {what}", f"there is no such {what}")
