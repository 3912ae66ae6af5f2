"""Orders that wait for an approval longer than an answer about CAA counts (CA/B BR 3.2.2.8)."""

from __future__ import annotations

from typing import Any

import pytest
from pycryptoutil_protocols.acme import caa
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.model import CertificateFilter
from tests.support.authority import TENANT
from tests.unit.acme.conftest import Replica
from tests.unit.acme.test_endings import order_row, waiting

HOUR = 3600
FORBIDDEN = [caa.Record(0, "issue", ";")]


def tick(replica: Replica, hours: float = 0) -> int:
    """Let time pass, then do what a tick finds; return how often the DNS was asked about CAA."""
    replica.world.clock.advance(hours * HOUR)
    before = len(asked(replica))
    jobs: list[Any] = []
    replica.service._jobs.submit = jobs.append  # type: ignore[method-assign]
    replica.service.tick()
    for job in jobs:
        job()
    return len(asked(replica)) - before


def asked(replica: Replica) -> list[str]:
    return [one for one in replica.internet.asked if one.startswith("CAA")]


def state(replica: Replica, enrolment: str) -> str:
    return replica.world.service.approval(TENANT, enrolment).state.value


def test_caa_that_forbids_ends_what_waits(replica: Replica) -> None:
    client, order, enrolment = waiting(replica)
    replica.internet.caa_records["example.com"] = FORBIDDEN
    assert tick(replica, 6.9) == 0
    assert state(replica, enrolment) == "pending"
    assert tick(replica, 0.2) > 0
    found = replica.world.service.approval(TENANT, enrolment)
    assert (found.state.value, found.reason) == ("cancelled", "CAA does not allow it any more")
    shown = client.post(order.headers["location"]).json
    assert (shown["status"], shown["error"]["type"].rpartition(":")[2]) == ("invalid", "caa")
    with pytest.raises(Fault) as caught:
        replica.world.service.approve(TENANT, enrolment, "user:approver")
    assert caught.value.kind is FaultKind.CONFLICT


def test_caa_that_allows_is_asked_about_every_seven_hours(replica: Replica) -> None:
    client, order, enrolment = waiting(replica)
    assert tick(replica, 7.1) > 0
    assert [tick(replica, 2), tick(replica, 4.8)] == [0, 0]
    assert tick(replica, 0.3) > 0
    replica.world.service.approve(TENANT, enrolment, "user:approver")
    assert tick(replica, 0.1) == 0
    done = client.post(order.headers["location"])
    assert done.json["status"] == "valid"
    assert client.post(done.json["certificate"]).status == 200


def test_a_resolver_that_fails_has_an_hour(one: Replica) -> None:
    client, order, enrolment = waiting(one)
    one.internet.down.add("w.example.com")
    assert tick(one, 7.1) > 0
    assert tick(one, 0.5) > 0
    assert state(one, enrolment) == "pending"
    one.internet.down.clear()
    assert tick(one, 0.1) > 0
    one.internet.down.add("w.example.com")
    assert tick(one, 7.9) > 0
    assert state(one, enrolment) == "pending"
    assert tick(one, 0.2) > 0
    assert state(one, enrolment) == "cancelled"
    assert client.post(order.headers["location"]).json["error"]["type"].endswith("dns")


def test_what_is_approved_too_late_is_not_handed_over(replica: Replica) -> None:
    """Nobody was there to ask for nine hours, and then the approval was first."""
    client, order, enrolment = waiting(replica)
    replica.internet.caa_records["example.com"] = FORBIDDEN
    replica.world.clock.advance(9 * HOUR)
    serial = replica.world.service.approve(TENANT, enrolment, "user:approver").serial
    before = len(asked(replica))
    shown = client.post(order.headers["location"]).json
    assert (shown["status"], "certificate" in shown) == ("processing", False)
    assert len(asked(replica)) == before, "the DNS is not asked while a client waits"
    assert tick(replica) > 0
    assert order_row(replica, order).status == "invalid"
    (found,) = replica.world.service.certificates(TENANT, CertificateFilter(protocol="acme")).items
    assert (found.serial, found.status.value) == (serial, "revoked")
    assert found.reason is not None
    assert found.reason.value == "superseded"
