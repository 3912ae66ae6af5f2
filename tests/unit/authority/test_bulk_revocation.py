"""All certificates of a key or of a requester, a few at a time."""

from __future__ import annotations

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import (
    AuthorityOrder,
    BulkOrder,
    BulkResult,
    CertificateFilter,
    CertificateStatus,
    IssueOrder,
    RevocationReason,
)
from pycryptoutil.authority.certificates import bulk
from pycryptoutil.authority.certificates import store as certificate_store
from pycryptoutil.storage import SYSTEM_TENANT, audit
from tests.support.authority import OTHER_TENANT, TENANT, World, csr, new_key

WHO = "user:tester"
COMPROMISE = BulkOrder(RevocationReason.KEY_COMPROMISE)


def issue(world: World, key: object = None, who: str = WHO) -> str:
    world.clock.advance(1)
    return world.service.issue(TENANT, IssueOrder(profile="tls-server", csr=csr("a.example.com", key=key)), who).serial


def key_of(world: World, serial: str) -> str:
    return world.service.certificate(TENANT, serial).spki_sha256


def status(world: World, serial: str) -> tuple[CertificateStatus, RevocationReason | None]:
    found = world.service.certificate(TENANT, serial)
    return found.status, found.reason


def refused(world: World, order: BulkOrder, requester: str = "") -> FaultKind:
    with pytest.raises(Fault) as caught:
        if requester:
            world.service.revoke_by_requester(TENANT, requester, order, WHO)
        else:
            world.service.revoke_by_key(TENANT, "0" * 64, order, WHO)
    return caught.value.kind


def test_every_certificate_of_a_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_UNIT", 2)
    key = new_key()
    serials = [issue(world, key) for _ in range(5)]
    other = issue(world)
    world.service.revoke(TENANT, serials[1], RevocationReason.SUPERSEDED, None, WHO)
    since = world.service.certificate(TENANT, serials[1]).revoked_at
    world.service.revoke(TENANT, serials[2], RevocationReason.CERTIFICATE_HOLD, None, WHO)
    world.clock.advance(100 * 86400)  # all have expired, and the key is compromised all the same
    digest = key_of(world, serials[0])
    assert world.service.revoke_by_key(OTHER_TENANT, digest, COMPROMISE, WHO) == BulkResult((), "")
    with world.database.read(SYSTEM_TENANT) as reader:
        before = certificate_store.latest_event(reader)
    found = world.service.revoke_by_key(TENANT, digest, COMPROMISE, WHO, "r-1")
    assert found == BulkResult(tuple(serials), "")
    revoked = (CertificateStatus.REVOKED, RevocationReason.KEY_COMPROMISE)
    assert [status(world, one) for one in serials] == [revoked] * 5
    assert world.service.certificate(TENANT, serials[1]).revoked_at == since
    assert status(world, other)[1] is None
    with world.database.read(SYSTEM_TENANT) as reader:
        told = certificate_store.events_since(reader, before)
    assert [one.serial for one in told] == serials
    with world.database.read(TENANT) as reader:
        written = [one for one in audit.export(reader, TENANT) if one.event.details.get("by") == f"key {digest}"]
    assert [one.event.target for one in written] == [f"issuing/{one}" for one in serials]
    assert {(one.event.actor, one.event.request_id) for one in written} == {(WHO, "r-1")}
    with pytest.raises(Fault, match="compromised"):
        issue(world, key)
    # again: nothing is left to do
    assert world.service.revoke_by_key(TENANT, digest, COMPROMISE, WHO) == BulkResult((), "")


def test_a_call_does_a_bounded_part_and_the_next_one_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_UNIT", 2)
    key = new_key()
    serials = [issue(world, key) for _ in range(7)]
    digest = key_of(world, serials[0])
    first = world.service.revoke_by_key(TENANT, digest, BulkOrder(RevocationReason.SUPERSEDED, limit=3), WHO)
    assert first.serials == tuple(serials[:3])
    serials.append(issue(world, key))  # what is issued meanwhile is revoked too
    on = BulkOrder(RevocationReason.SUPERSEDED, cursor=first.cursor, limit=3)
    second = world.service.revoke_by_key(TENANT, digest, on, WHO)
    assert second.serials == tuple(serials[3:6])
    # without the cursor, as after an interruption, it goes on as well
    third = world.service.revoke_by_key(TENANT, digest, BulkOrder(RevocationReason.SUPERSEDED, limit=3), WHO)
    assert third == BulkResult(tuple(serials[6:]), "")
    assert refused(world, BulkOrder(RevocationReason.SUPERSEDED, cursor="eA")) is FaultKind.INVALID


def test_a_unit_that_fails_leaves_those_before_it_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_UNIT", 2)
    key = new_key()
    serials = [issue(world, key) for _ in range(4)]
    digest = key_of(world, serials[0])
    real, calls = certificate_store.append_event, []

    def failing(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 4:
            raise Fault(FaultKind.UNAVAILABLE, "the database is gone")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(certificate_store, "append_event", failing)
    with pytest.raises(Fault, match="gone"):
        world.service.revoke_by_key(TENANT, digest, COMPROMISE, WHO)
    assert [status(world, one)[0] for one in serials] == [CertificateStatus.REVOKED] * 2 + [CertificateStatus.VALID] * 2
    monkeypatch.undo()
    assert world.service.revoke_by_key(TENANT, digest, COMPROMISE, WHO).serials == tuple(serials[2:])


def test_every_certificate_of_a_requester(world: World) -> None:
    expired = issue(world, who="user:gone")
    world.clock.advance(100 * 86400)
    mine = [issue(world, who="user:gone") for _ in range(3)]
    other = issue(world, who="user:gone2")
    made = world.service.create_authority(TENANT, AuthorityOrder("second", "CN=Second", "root"), "user:gone")
    hold = BulkOrder(RevocationReason.CERTIFICATE_HOLD)
    assert world.service.revoke_by_requester(TENANT, "user:gone", hold, WHO).serials == tuple(mine)
    assert world.service.revoke_by_requester(TENANT, "user:gone", hold, WHO).serials == ()
    leaving = BulkOrder(RevocationReason.AFFILIATION_CHANGED)
    assert world.service.revoke_by_requester(TENANT, "user:gone", leaving, WHO).serials == tuple(mine)
    assert {status(world, one) for one in mine} == {(CertificateStatus.REVOKED, RevocationReason.AFFILIATION_CHANGED)}
    assert status(world, expired)[0] is CertificateStatus.EXPIRED
    assert status(world, other)[0] is CertificateStatus.VALID
    of_ca = world.service.certificates(TENANT, CertificateFilter(profile="intermediate-ca", requester="user:gone"))
    assert [one.status for one in of_ca.items] == [CertificateStatus.VALID]
    assert made.status.value == "active"


def test_what_is_refused(world: World) -> None:
    for reason in (RevocationReason.REMOVE_FROM_CRL, RevocationReason.CA_COMPROMISE, RevocationReason.AA_COMPROMISE):
        assert refused(world, BulkOrder(reason)) is FaultKind.INVALID
        assert refused(world, BulkOrder(reason), "user:x") is FaultKind.INVALID
    assert refused(world, BulkOrder(RevocationReason.SUPERSEDED), "system") is FaultKind.POLICY
    later = world.clock.now().replace(year=2030)
    assert refused(world, BulkOrder(RevocationReason.SUPERSEDED, later)) is FaultKind.INVALID
