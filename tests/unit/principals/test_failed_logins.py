"""Failed logins in the audit chain: of whom they were meant for, bounded, and without what was typed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.service.attempts import ADDRESS_BURST, BURST, FailedLogins, Refused
from pycryptoutil.service.settings import RateLimitSettings, RealmSettings, ServiceSettings
from pycryptoutil.storage import SYSTEM_TENANT, audit
from tests.support.door import Door

WRONG = {"username": "admin", "password": "hunter2-hunter2"}


def failures(door: Door, tenant_id: str = "") -> list[dict[str, Any]]:
    chain = tenant_id or door.tenant_id
    with door.database.read(chain) as reader:
        found = list(audit.export(reader, chain))
    return [
        {"target": one.event.target, "outcome": one.event.outcome, "request": one.event.request_id, **one.event.details}
        for one in found
        if one.event.action == "login.failure"
    ]


def test_a_wrong_password_is_in_its_tenant_s_chain(door: Door) -> None:
    assert door.browser.post("/login", WRONG).status == 401
    session, _ = door.login()
    me = session.get("/me").json["id"]
    assert failures(door) == [{"target": me, "outcome": "failure", "request": "request-1", "by": "password"}]
    other, made = door.tenant("acme")
    assert door.browser.post("/login", {"username": "acme/admin", "password": "x" * 12}).status == 401
    assert len(failures(door)) == 1
    assert len(failures(door, made["id"])) == 1
    assert "login.failure" in other.get("/audit/events").text


def test_a_wrong_client_secret_too(door: Door) -> None:
    name = door.first[0].client_id
    assert door.basic(name, "hunter2").get("/me").status == 401
    (event,) = failures(door)
    assert event["by"] == "client secret"
    assert event["target"] == door.admin.get("/me").json["id"]


def test_nobody_s_name_goes_to_the_installation_s_chain_unwritten(door: Door) -> None:
    typed = "my-password-in-the-wrong-field"
    assert door.browser.post("/login", {"username": typed, "password": "hunter2-hunter2"}).status == 401
    assert door.basic(typed, "hunter2").get("/me").status == 401
    assert failures(door) == []
    events = failures(door, SYSTEM_TENANT)
    assert [(one["target"], one["by"]) for one in events] == [("unknown", "password"), ("unknown", "client secret")]
    with door.database.read(SYSTEM_TENANT) as reader:
        everything = json.dumps([one.details_json + str(one.event) for one in audit.export(reader, SYSTEM_TENANT)])
    for secret in (typed, "hunter2", "192.0.2.1"):
        assert secret not in everything


def test_the_file_realm_s_failures_too(door: Door) -> None:
    realms = {"file": {"users": [{"username": "root", "password": "correct horse battery"}]}}
    door.configure(ServiceSettings(profile="test", realms=RealmSettings.model_validate(realms)))
    assert door.browser.post("/login", {"username": "root", "password": "wrong horse battery"}).status == 401
    (event,) = failures(door)
    assert event["target"].startswith("file-")


def test_the_answer_is_the_same_for_known_and_unknown(door: Door) -> None:
    known = door.browser.post("/login", WRONG)
    unknown = door.browser.post("/login", {**WRONG, "username": "nobody"})
    assert known.status == unknown.status == 401
    assert known.body == unknown.body
    assert known.headers.get("www-authenticate") == unknown.headers.get("www-authenticate")


def test_what_is_throttled_writes_nothing(door: Door) -> None:
    door.configure(ServiceSettings(profile="test", rate_limit=RateLimitSettings()))
    statuses = [door.basic(door.first[0].client_id, "wrong").get("/me").status for _ in range(12)]
    assert statuses == [401] * 5 + [429] * 7
    assert len(failures(door)) == 5


@pytest.fixture
def recorder(small_door: Door) -> tuple[FailedLogins, Door]:
    return FailedLogins(small_door.database, small_door.clock), small_door


def refused(door: Door, known: bool = True) -> Fault:
    plain = Fault(FaultKind.UNAUTHENTICATED, "wrong")
    return Refused(plain, door.tenant_id, "p1") if known else plain


def test_one_address_is_bounded_and_the_rest_is_counted(recorder: tuple[FailedLogins, Door]) -> None:
    record, door = recorder
    for _ in range(ADDRESS_BURST + 70):
        record.record("password", "192.0.2.1", "r", refused(door))
    assert len(failures(door)) == ADDRESS_BURST
    record.record("password", "192.0.2.2", "r", refused(door))  # another address is heard, and tells of the others
    assert failures(door)[-1]["left_out"] == 70
    door.clock.advance(5)
    record.record("password", "192.0.2.1", "r", refused(door))
    assert len(failures(door)) == ADDRESS_BURST + 2
    assert "left_out" not in failures(door)[-1]


def test_all_addresses_together_are_bounded(recorder: tuple[FailedLogins, Door]) -> None:
    record, door = recorder
    for number in range(BURST + 20):
        record.record("password", f"10.0.{number // 250}.{number % 250}", "r", refused(door))
    assert len(failures(door)) == BURST


def test_known_and_unknown_names_use_up_the_same_share(recorder: tuple[FailedLogins, Door]) -> None:
    """Else the time of an answer, with a write or without, would tell which names there are."""
    record, door = recorder
    for _ in range(ADDRESS_BURST):
        record.record("password", "192.0.2.1", "r", refused(door, known=False))
    record.record("password", "192.0.2.1", "r", refused(door))
    assert failures(door) == []
    assert len(failures(door, SYSTEM_TENANT)) == ADDRESS_BURST


def test_a_database_that_is_away_changes_nothing(
    recorder: tuple[FailedLogins, Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, door = recorder

    def away(_tenant: str) -> None:
        raise Fault(FaultKind.UNAVAILABLE, "gone")

    with monkeypatch.context() as patch:
        patch.setattr(door.database, "unit_of_work", away)
        record.record("password", "192.0.2.1", "r", refused(door))
    record.record("password", "192.0.2.1", "r", refused(door))
    assert failures(door)[-1]["left_out"] == 1
