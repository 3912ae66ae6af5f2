"""Numbers for the dashboard: the same before and after they were rolled up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pycryptoutil.authority import IssueOrder, RevocationReason
from pycryptoutil.authority.statistics import service as statistics
from tests.support.authority import NOW, OTHER_TENANT, TENANT, World, csr

WHO = "user:tester"


def issue(world: World, profile: str = "tls-server", protocol: str = "rest", days: int = 0) -> str:
    world.clock.advance(1)
    end = world.clock.now() + timedelta(days=days) if days else None
    order = IssueOrder(profile=profile, csr=csr("a.example.com"), protocol=protocol, not_after=end)
    return world.service.issue(TENANT, order, WHO).serial


def test_counts(world: World) -> None:
    before = world.service.statistics(TENANT)
    issue(world, protocol="est", days=5)
    issue(world, protocol="est", days=20)
    issue(world, "internal-tls", days=40)
    revoked, held, released = issue(world, days=5), issue(world), issue(world)
    world.service.revoke(TENANT, revoked, RevocationReason.SUPERSEDED, None, WHO)
    world.service.revoke(TENANT, held, RevocationReason.CERTIFICATE_HOLD, None, WHO)
    world.service.revoke(TENANT, released, RevocationReason.CERTIFICATE_HOLD, None, WHO)
    world.service.revoke(TENANT, released, RevocationReason.REMOVE_FROM_CRL, None, WHO)
    found = world.service.statistics(TENANT)
    assert (found.issued - before.issued, found.valid - before.valid) == (6, 4)
    assert (found.revoked, found.held) == (1, 1)
    assert [found.expiring_within(days) - before.expiring_within(days) for days in (4, 7, 30, 60)] == [0, 1, 2, 3]
    assert len(found.days) == 30
    assert (found.days[-1].day, found.days[-1].revoked) == (NOW.date(), 2)
    assert found.days[-1].issued - before.days[-1].issued == 6
    assert found.days[0].day == NOW.date() - timedelta(days=29)
    assert {"tls-server": 5, "internal-tls": 1}.items() <= {one.name: one.issued for one in found.by_profile}.items()
    assert found.by_profile[0].name == "tls-server"
    assert next(one.issued for one in found.by_protocol if one.name == "est") == 2
    assert world.service.statistics(OTHER_TENANT).issued == 0


def test_what_is_rolled_up_is_counted_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_BATCH", 2)  # several units, cut between certificates of one second or of many
    first = world.service.statistics(TENANT).issued
    for _ in range(5):
        issue(world)
    world.service.maintain()  # too early: an issuance could still be under way
    assert world.service.statistics(TENANT).issued == first + 5
    for _ in range(2):
        world.clock.advance(86400)
        issue(world)
        world.service.maintain()
        world.service.maintain()
    found = world.service.statistics(TENANT)
    assert found.issued == first + 7
    assert [one.issued for one in found.days[-3:]] == [first + 5, 1, 1]
    assert sum(one.issued for one in found.by_profile) == first + 7
    # a window that begins later leaves the older days out of everything but the total
    later = world.service.statistics(TENANT, days=2)
    assert (later.issued, [one.issued for one in later.days]) == (first + 7, [1, 1])
    assert sum(one.issued for one in later.by_protocol) == 2
