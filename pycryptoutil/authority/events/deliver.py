"""Delivery as durable jobs: an event that is due is sent by whichever replica claims it.

Nothing is sent inside a unit of work. A process that ends leaves its claim to run out; the receiver may then see the
same ``webhook-id`` twice. A receiver that fails is left alone for a while, with all that waits for it: one that never
answers costs one attempt in each pause.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.authority import store as tables
from pycryptoutil.authority.events import message, store
from pycryptoutil.authority.events.model import Delivery, DeliveryStatus, EventRules, Subscription
from pycryptoutil.authority.outreach import AddressGuard, Poster
from pycryptoutil.authority.room import Room
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_CLAIM: Final = timedelta(seconds=30)  # beyond an attempt
_MAX_ANSWER: Final = 1024  # nobody reads it; the status counts
_GONE: Final = 410
_SUCCESS: Final = range(200, 300)
_MAX_ERROR: Final = 300

_log = logging.getLogger(__name__)


class Sender:
    """Sends what is due; shared by all threads."""

    def __init__(self, room: Room, rules: EventRules) -> None:
        self._room = room
        self._rules = rules
        self._poster = Poster(
            room.clock, AddressGuard(rules.allow), ca_file=rules.ca_file, agent="pycryptoutil-webhook"
        )

    def run(self, tenant_id: str, delivery_id: str) -> bool:
        """Send one that is due, unless another replica does; tell whether it was tried."""
        database, now = self._room.database, self._room.clock.now()
        until = now + _CLAIM + timedelta(seconds=self._rules.timeout)
        with database.unit_of_work(tenant_id) as uow:
            if not store.claim(uow, delivery_id, now, until):
                return False
            row = store.delivery(uow, delivery_id)
            found = store.subscription(uow, row.subscription_id) if row is not None else None
            waits = found is None or found[0].status != "active" or (found[0].paused_until or now) > now
            if waits:  # it began to fail after this was queued
                store.settle(uow, delivery_id, until, {})
        if row is None or found is None or waits:
            return False
        answer, error = self._attempt(row, *found)
        with database.unit_of_work(tenant_id) as uow:
            self._settle(uow, row, found[0], until, answer, error)
        return True

    def _attempt(self, row: Delivery, to: Subscription, sealed: bytes) -> tuple[int, str]:
        """Return the HTTP status (0: none) and what went wrong (empty: nothing)."""
        try:
            secret = self._room.barrier.decrypt(sealed, tables.aad(tables.WEBHOOK_SECRETS, to.tenant_id, to.id))
            content = message.body(row.event)
            fields = message.headers(secret.decode(), row.event, content, self._room.clock.now())
            answer = self._poster.post(to.url, content, fields, self._rules.timeout, _MAX_ANSWER)
        except Fault as fault:
            _log.info("webhook %s: %s", to.id, fault.detail)
            return 0, (fault.public or "the webhook cannot be told now")[:_MAX_ERROR]
        except Exception:  # noqa: BLE001  it is logged, and the claim must come to an end
            _log.exception("webhook %s", to.id)
            return 0, "the delivery failed"
        return answer.status, "" if answer.status in _SUCCESS else f"HTTP {answer.status}"

    def _settle(self, uow: UnitOfWork, row: Delivery, to: Subscription, until: Any, answer: int, error: str) -> None:
        now, rules = self._room.clock.now(), self._rules
        values: dict[str, Any] = {"attempts": row.attempts + 1, "answer": answer, "error": error}
        ended = {"due_at": None, "finished_at": now}
        if not error:
            if store.settle(uow, row.id, until, values | ended | {"status": DeliveryStatus.DELIVERED.value}):
                store.change_subscription(uow, to.id, {"failures": 0, "paused_until": None})
            return
        pause = now + message.wait(to.failures + 1, rules.retry_after, rules.retry_at_most)
        dead = now - row.since >= rules.give_up_after or answer == _GONE
        values |= ended | {"status": DeliveryStatus.DEAD.value} if dead else {"due_at": pause}
        if not store.settle(uow, row.id, until, values):
            return
        change: dict[str, Any] = {"failures": to.failures + 1, "paused_until": pause}
        if answer == _GONE:  # the receiver wants no more (Standard Webhooks)
            change["status"] = "disabled"
            event = AuditEvent("webhook.disable", "system", to.id, details={"reason": "HTTP 410"})
            audit.append(uow, event)
        store.change_subscription(uow, to.id, change)
        if dead:
            audit_dead(uow, row.id, to.id, row.event.type)


def audit_dead(uow: UnitOfWork, delivery_id: str, subscription_id: str, kind: str) -> None:
    """Say in the audit chain that somebody was not told."""
    details = {"webhook": subscription_id, "type": kind}
    audit.append(uow, AuditEvent("webhook.give-up", "system", delivery_id, "failure", details))
