"""Events are written with what they tell, and delivered signed, once, and patiently."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import AuthorityOrder, AuthorityStatus, IssueOrder, RevocationReason
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.events import (
    Delivery,
    DeliveryStatus,
    EventService,
    EventType,
    SubscriptionOrder,
    emit,
    message,
    store,
)
from pycryptoutil.clock import SystemClock
from pycryptoutil.storage import audit
from tests.support.authority import OTHER_TENANT, TENANT, World, csr
from tests.unit.events.conftest import RULES, Told

WHO = "user:tester"


def issue(world: World, days: int = 0) -> str:
    world.clock.advance(1)
    end = world.clock.now() + timedelta(days=days) if days else None
    order = IssueOrder(profile="tls-server", csr=csr("a.example.com"), not_after=end)
    return world.service.issue(TENANT, order, WHO).serial


def deliveries(told: Told, subscription_id: str, status: str = "") -> list[Delivery]:
    return told.events.deliveries(TENANT, subscription_id, status, None, 200)


def types(told: Told) -> list[str]:
    return [json.loads(body)["type"] for _, body in told.receiver.got]


def fault(call: Any) -> FaultKind:
    with pytest.raises(Fault) as caught:
        call()
    return caught.value.kind


def test_what_is_told_is_signed_after_standard_webhooks(told: Told) -> None:
    made = told.subscribe()
    serial = issue(told.world)
    assert told.events.work() == 1
    ((headers, body),) = told.receiver.got
    document = json.loads(body)
    assert (document["type"], document["data"]["serial"]) == ("certificate.issued", serial)
    assert document["data"]["sans"] == ["dns:a.example.com"]
    key = base64.b64decode(made.secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert int(headers["webhook-timestamp"]) == int(told.world.clock.now().timestamp())
    (row,) = deliveries(told, made.subscription.id)
    assert (row.status, row.attempts, row.answer, row.due_at) == (DeliveryStatus.DELIVERED, 1, 204, None)
    assert row.event.id == headers["webhook-id"]
    assert told.events.work() == 0


def test_the_vector_of_standard_webhooks() -> None:
    """From the specification's own reference libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    content = b'{"test": 2432232314}'
    found = message.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, content)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    for bad in ("", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"):
        assert fault(lambda bad=bad: message.key_of(bad)) is FaultKind.INVALID


def test_each_kind_of_event(told: Told) -> None:
    told.subscribe()
    service, clock = told.world.service, told.world.clock
    first, second = issue(told.world), issue(told.world)
    service.revoke(TENANT, first, RevocationReason.KEY_COMPROMISE, None, WHO)
    service.revoke(TENANT, second, RevocationReason.CERTIFICATE_HOLD, None, WHO)
    service.revoke(TENANT, second, RevocationReason.REMOVE_FROM_CRL, None, WHO)
    service.create_authority(TENANT, AuthorityOrder("second", "CN=Second", "root"), WHO)
    service.set_authority_status(TENANT, "second", AuthorityStatus.DISABLED, WHO)
    CrlService(service.room).publish(TENANT, service.authority(TENANT).id, WHO)
    while told.events.work():
        clock.advance(1)
    found = [(json.loads(body)["type"], json.loads(body)["data"]) for _, body in told.receiver.got]
    assert sorted(kind for kind, _ in found) == sorted(
        ["certificate.issued"] * 2
        + ["certificate.revoked"] * 2
        + ["certificate.released", "authority.created", "authority.status", "crl.published"]
    )
    said = {data["serial"]: data for kind, data in found if kind == "certificate.revoked"}
    assert (said[first]["status"], said[first]["reason"]) == ("revoked", "keyCompromise")
    assert (said[second]["status"], said[second]["reason"]) == ("held", "certificateHold")
    by_kind = dict(found)
    assert by_kind["certificate.released"]["status"] == "valid"
    assert by_kind["authority.created"]["parent"] == "root"
    assert by_kind["authority.status"] == {"name": "second", "status": "disabled"}
    assert by_kind["crl.published"]["entries"] == 1


def test_only_what_was_subscribed_to_and_only_by_the_tenant(told: Told) -> None:
    made = told.subscribe("certificate.revoked")
    theirs = told.events.add(OTHER_TENANT, SubscriptionOrder(told.receiver.url), WHO)
    serial = issue(told.world)
    told.world.service.revoke(TENANT, serial, RevocationReason.SUPERSEDED, None, WHO)
    assert told.events.work() == 1
    assert types(told) == ["certificate.revoked"]
    assert fault(lambda: told.events.subscription(TENANT, theirs.subscription.id)) is FaultKind.NOT_FOUND
    assert fault(lambda: told.events.delete(OTHER_TENANT, made.subscription.id, WHO)) is FaultKind.NOT_FOUND
    assert told.events.deliveries(OTHER_TENANT, theirs.subscription.id, "", None, 10) == []


def test_an_event_ends_with_its_unit_of_work(told: Told) -> None:
    made = told.subscribe()
    with pytest.raises(RuntimeError), told.world.database.unit_of_work(TENANT) as uow:
        emit(uow, EventType.AUTHORITY_STATUS, {"name": "x", "status": "active"})
        raise RuntimeError
    assert deliveries(told, made.subscription.id) == []
    with told.world.database.unit_of_work(OTHER_TENANT) as uow:
        emit(uow, EventType.AUTHORITY_STATUS, {"name": "x", "status": "active"})  # nobody there: nothing is written
    with told.world.database.read(OTHER_TENANT) as reader:
        assert reader.execute(store.events.select().where(store.events.c.tenant_id == OTHER_TENANT)).all() == []


def test_the_secret_is_sealed_and_shown_once(told: Told) -> None:
    made = told.subscribe()
    assert made.secret not in repr(made)
    with told.world.database.read(TENANT) as reader:
        found = store.subscription(reader, made.subscription.id)
        assert found is not None
        assert made.secret.encode() not in found[1]
        assert all(made.secret not in one.details_json for one in audit.export(reader, TENANT))
    given = "whsec_" + base64.b64encode(b"k" * 32).decode()
    assert told.events.add(TENANT, SubscriptionOrder(told.receiver.url, secret=given), WHO).secret == given


def test_a_failure_is_retried_and_the_whole_webhook_pauses(told: Told) -> None:
    made = told.subscribe()
    told.receiver.status = 503
    issue(told.world)
    issue(told.world)
    assert told.events.work() == 1  # the second waits, for the first has failed
    found = told.events.subscription(TENANT, made.subscription.id)
    assert found.failures == 1
    assert found.paused_until is not None
    wait = found.paused_until - told.world.clock.now()
    assert RULES.retry_after / 2 <= wait <= RULES.retry_after
    assert told.events.work() == 0
    told.world.clock.advance(8)
    assert told.events.work() == 1
    again = told.events.subscription(TENANT, made.subscription.id)
    assert again.paused_until is not None
    assert RULES.retry_after <= again.paused_until - told.world.clock.now() <= 2 * RULES.retry_after
    told.receiver.status = 200
    told.world.clock.advance(16)
    assert told.events.work() == 2
    assert {one.status for one in deliveries(told, made.subscription.id)} == {DeliveryStatus.DELIVERED}
    assert told.events.subscription(TENANT, made.subscription.id).failures == 0
    assert len({headers["webhook-id"] for headers, _ in told.receiver.got}) == 2


def test_waits_grow_to_a_limit() -> None:
    second, hour = timedelta(seconds=1), timedelta(hours=1)
    for failures in range(1, 60):
        whole = min(second * 2 ** min(failures - 1, 30), hour)
        assert whole / 2 <= message.wait(failures, second, hour) <= whole


def test_what_is_too_old_is_given_up_and_can_be_delivered_again(told: Told) -> None:
    made = told.subscribe("certificate.issued")
    told.receiver.status = 500
    issue(told.world)
    issue(told.world)
    told.events.work()
    told.world.clock.advance(RULES.give_up_after.total_seconds() + 1)
    assert told.events.work() == 1  # the last attempt
    told.events.maintain()  # the other was never tried
    dead = deliveries(told, made.subscription.id, "dead")
    assert len(dead) == 2
    assert deliveries(told, made.subscription.id, "pending") == []
    with told.world.database.read(TENANT) as reader:
        given_up = [one for one in audit.export(reader, TENANT) if one.event.action == "webhook.give-up"]
    assert {one.event.target for one in given_up} == {one.id for one in dead}
    told.receiver.status = 204
    before = len(told.receiver.got)
    again = told.events.redeliver(TENANT, made.subscription.id, dead[0].id, WHO)
    assert again.status is not DeliveryStatus.DEAD
    _until(lambda: len(told.receiver.got) > before or told.events.work())
    _until(lambda: len(deliveries(told, made.subscription.id, "delivered")) == 1)
    other = told.subscribe("crl.published")
    redeliver = told.events.redeliver
    assert fault(lambda: redeliver(TENANT, other.subscription.id, dead[1].id, WHO)) is FaultKind.NOT_FOUND
    told.world.clock.advance(RULES.kept.total_seconds() + 1)
    told.events.maintain()
    assert deliveries(told, made.subscription.id) == []
    with told.world.database.read(TENANT) as reader:
        assert reader.execute(store.events.select().where(store.events.c.tenant_id == TENANT)).all() == []


def _until(condition: Any) -> None:
    clock = SystemClock()
    end = clock.monotonic() + 20
    while not condition():
        assert clock.monotonic() < end
        clock.sleep(0.02)


def test_one_replica_delivers(told: Told) -> None:
    made = told.subscribe()
    for _ in range(5):
        issue(told.world)
    replicas = [EventService(told.world.service.room, RULES) for _ in range(4)]
    counts: list[int] = []
    threads = [threading.Thread(target=lambda one=one: counts.append(one.work())) for one in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 5
    assert len(told.receiver.got) == 5
    assert len(deliveries(told, made.subscription.id, "delivered")) == 5


def test_a_claim_of_a_replica_that_died_runs_out(told: Told) -> None:
    made = told.subscribe()
    issue(told.world)
    (row,) = deliveries(told, made.subscription.id)
    now = told.world.clock.now()
    with told.world.database.unit_of_work(TENANT) as uow:
        assert store.claim(uow, row.id, now, now + timedelta(seconds=30))
        assert not store.claim(uow, row.id, now, now + timedelta(seconds=30))
    assert told.events.work() == 0
    told.world.clock.advance(31)
    assert told.events.work() == 1


def test_a_receiver_that_is_gone_is_left_alone(told: Told) -> None:
    made = told.subscribe()
    told.receiver.status = 410
    issue(told.world)
    told.events.work()
    assert told.events.subscription(TENANT, made.subscription.id).status == "disabled"
    assert [one.status for one in deliveries(told, made.subscription.id)] == [DeliveryStatus.DEAD]
    issue(told.world)
    assert len(deliveries(told, made.subscription.id)) == 1
    assert fault(lambda: told.events.test(TENANT, made.subscription.id, WHO)) is FaultKind.CONFLICT
    told.events.set_active(TENANT, made.subscription.id, True, WHO)
    issue(told.world)
    assert len(deliveries(told, made.subscription.id)) == 2


def test_no_redirect_is_followed(told: Told) -> None:
    made = told.subscribe("certificate.issued")
    told.receiver.status, told.receiver.headers = 307, {"Location": told.receiver.url}
    issue(told.world)
    told.events.work()
    assert len(told.receiver.got) == 1
    assert deliveries(told, made.subscription.id)[0].error == "HTTP 307"


class Moving(SystemClock):
    """Counts seconds on a day of the tests."""

    def __init__(self, today: datetime) -> None:
        self._today = today

    def now(self) -> datetime:
        return self._today


def _never(_: BaseHTTPRequestHandler) -> None:
    SystemClock().sleep(5)


def _endless_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        handler.wfile.write(b"a" * 65536)


def _drip(handler: BaseHTTPRequestHandler) -> None:
    for octet in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
        handler.wfile.write(bytes([octet]))
        SystemClock().sleep(0.1)


def _endless_body(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n")


def _garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00\x01\x02 not http\r\n\r\n")


@pytest.mark.parametrize("hook", [_never, _endless_head, _drip, _garbage])
def test_receivers_that_do_not_answer_cost_bounded_time(told: Told, hook: Any) -> None:
    def gently(handler: BaseHTTPRequestHandler) -> None:
        try:
            hook(handler)
        except OSError:
            handler.close_connection = True

    made = told.subscribe()
    told.receiver.hook = gently
    issue(told.world)
    room = replace(told.world.service.room, clock=Moving(told.world.clock.now()))
    events = EventService(room, replace(RULES, timeout=0.7))
    begun = SystemClock().monotonic()
    assert events.work() == 1
    assert SystemClock().monotonic() - begun < 4
    (row,) = deliveries(told, made.subscription.id)
    assert (row.status, row.answer) == (DeliveryStatus.PENDING, 0)
    assert row.error


def test_no_special_use_address_is_connected_to(told: Told) -> None:
    strict = EventService(told.world.service.room, replace(RULES, allow=()))
    for url in ("http://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://[::ffff:169.254.169.254]/"):
        assert fault(lambda url=url: strict.add(TENANT, SubscriptionOrder(url), WHO)) is FaultKind.POLICY
    # a name says nothing until it is looked up, each time
    made = strict.add(TENANT, SubscriptionOrder(f"http://localhost:{told.receiver.port}/"), WHO)
    issue(told.world)
    assert strict.work() == 1
    assert told.receiver.got == []
    assert "not an address that this CA connects to" in deliveries(told, made.subscription.id)[0].error


def test_what_cannot_be_subscribed(told: Told) -> None:
    secure = EventService(told.world.service.room, replace(RULES, allow_http=False, subscriptions=1))

    def add(**order: Any) -> FaultKind:
        return fault(lambda: secure.add(TENANT, SubscriptionOrder(**order), WHO))

    assert add(url="http://example.com/") is FaultKind.POLICY
    for url in ("", "ftp://example.com", "https://u:p@example.com/", "https:///x", "https://example.com/#f",
                "https://example.com/\r\nX: y", "https://example.com:99999/", "https://a b.com"):  # fmt: skip
        assert add(url=url) is FaultKind.INVALID, url
    assert add(url="https://example.com/", types=("nothing",)) is FaultKind.INVALID
    assert add(url="https://example.com/", types=("webhook.test",)) is FaultKind.INVALID
    assert add(url="https://example.com/", secret="short") is FaultKind.INVALID
    secure.add(TENANT, SubscriptionOrder("https://example.com/"), WHO)
    assert add(url="https://example.com/") is FaultKind.CONFLICT


def test_a_test_comes_to_one_webhook(told: Told) -> None:
    made, other = told.subscribe("crl.published"), told.subscribe()
    told.events.test(TENANT, made.subscription.id, WHO)
    _until(lambda: told.events.work() or deliveries(told, made.subscription.id, "delivered"))
    _until(lambda: types(told) == ["webhook.test"])
    assert deliveries(told, other.subscription.id) == []


def test_deletion_drops_what_waits(told: Told) -> None:
    made = told.subscribe()
    issue(told.world)
    told.events.delete(TENANT, made.subscription.id, WHO)
    assert told.events.work() == 0
    assert told.events.subscriptions(TENANT) == []


def test_notices_of_expiry_come_once_for_each_number_of_days(told: Told) -> None:
    old = issue(told.world, days=20)  # before anybody has subscribed, and before the first look
    made = told.subscribe("certificate.expiring")
    told.events.maintain()
    soon, later, revoked = issue(told.world, days=10), issue(told.world, days=70), issue(told.world, days=70)
    told.world.service.revoke(TENANT, revoked, RevocationReason.SUPERSEDED, None, WHO)
    when: dict[tuple[str, int], int] = {}
    ids: set[str] = set()
    for day in range(75):
        told.events.maintain()
        told.events.maintain()  # at once again, or by another replica
        for one in deliveries(told, made.subscription.id):
            when.setdefault((one.event.data["serial"], one.event.data["days"]), day)
            ids.add(one.id)
        told.world.clock.advance(86400)
    # the first look tells of each by its next number of days only; `soon` was never 30 days from its end
    assert when == {
        (old, 30): 0,
        (old, 7): 13,
        (soon, 7): 3,
        (later, 60): 10,
        (later, 30): 40,
        (later, 7): 63,
    }
    assert len(ids) == len(when)
