"""Searching: what each condition finds, pages that stay in place, and searches that end in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.authority import CertificateFilter, CertificateStatus, IssueOrder, RevocationReason
from pycryptoutil.authority.certificates import search_store, store
from pycryptoutil.authority.lifecycle import store as lifecycle
from pycryptoutil.storage import SYSTEM_TENANT
from tests.support.authority import TENANT, World, csr

WHO = "user:tester"


def issue(world: World, *dns: str, profile: str = "tls-server", who: str = WHO, days: int = 30) -> str:
    world.clock.advance(1)
    end = world.clock.now() + timedelta(days=days)
    order = IssueOrder(profile=profile, csr=csr(*dns), not_after=end)
    return world.service.issue(TENANT, order, who).serial


def found(world: World, limit: int = 50, **wanted: object) -> list[str]:
    """Every page of a search."""
    serials: list[str] = []
    cursor = ""
    while True:
        page = world.service.certificates(TENANT, CertificateFilter(**wanted), cursor, limit)  # type: ignore[arg-type]
        assert len(page.items) <= limit
        serials += [one.serial for one in page.items]
        cursor = page.cursor
        if not cursor:
            return serials


def test_names_and_domains(world: World) -> None:
    www = issue(world, "www.a.example.com", "a.example.com")
    other = issue(world, "b.example.com")
    wild = issue(world, "*.a.example.com")
    apart = issue(world, "example.com.evil.test", "badexample.com")
    assert found(world, name="WWW.a.Example.com") == [www]
    assert found(world, name="dns:www.a.example.com") == [www]
    assert found(world, name="*.a.example.com") == [wild]
    assert found(world, name="example.com") == []
    assert found(world, domain="a.example.com") == [wild, www]
    assert found(world, domain="*.A.example.com.") == [wild, www]
    assert found(world, domain="example.com") == [wild, other, www]
    assert found(world, domain="com") == [apart, wild, other, www]
    assert found(world, domain="xample.com") == []
    assert found(world, domain="test") == [apart]
    # with other conditions, whichever is walked
    world.service.revoke(TENANT, wild, RevocationReason.SUPERSEDED, None, WHO)
    assert found(world, domain="example.com", status=CertificateStatus.VALID) == [other, www]
    assert found(world, domain="example.com", status=CertificateStatus.REVOKED) == [wild]
    assert found(world, domain="example.com", name="b.example.com") == [other]
    assert found(world, domain="a.example.com", contains="www") == [www]
    assert found(world, domain="a.example.com", sort="expiry") == [www, wild]


def test_common_names_are_names(world: World) -> None:
    made = world.service.issue(
        TENANT, IssueOrder(profile="device", csr=csr(cn="Device 7"), sans=("dns:d7.example.test",)), WHO
    )
    assert found(world, name="device 7") == [made.serial]
    assert store.terms(r"CN=a\,b,OU=x+CN=C", "ip:192.0.2.1\nemail:x@Mail.Example\nuri:https://h/x") == [
        "=a,b",
        "=c",
        "=192.0.2.1",
        "=x@mail.example",
        ".mail.example",
        ".example",
        "=https://h/x",
    ]


def test_windows_and_orders(world: World) -> None:
    a, b, c = issue(world, "a.test", days=30), issue(world, "b.test", days=10), issue(world, "c.test", days=20)
    middle = world.service.certificate(TENANT, b).created_at
    assert found(world, domain="test", created_from=middle) == [c, b]
    assert found(world, created_to=middle, requester=WHO) == [b, a]
    assert found(world, domain="test", sort="expiry") == [b, c, a]
    now: datetime = world.clock.now()
    soon = {"not_after_from": now, "not_after_to": now + timedelta(days=20), "sort": "expiry", "requester": WHO}
    assert found(world, **soon) == [b, c]
    assert found(world, limit=1, **soon) == [b, c]
    assert found(world, created_from=middle, sort="expiry", requester=WHO) == [b, c]
    page = world.service.certificates(TENANT, CertificateFilter(sort="expiry"), "", 1)
    with pytest.raises(Fault, match="cursor"):
        world.service.certificates(TENANT, CertificateFilter(), page.cursor, 1)


def test_pages_stay_where_they_are(world: World) -> None:
    before = [issue(world, f"h{index}.pages.test") for index in range(5)]
    first = world.service.certificates(TENANT, CertificateFilter(domain="pages.test"), "", 2)
    assert [one.serial for one in first.items] == [before[4], before[3]]
    issue(world, "new.pages.test")
    world.service.revoke(TENANT, before[3], RevocationReason.SUPERSEDED, None, WHO)
    second = world.service.certificates(TENANT, CertificateFilter(domain="pages.test"), first.cursor, 2)
    assert [one.serial for one in second.items] == [before[2], before[1]]
    third = world.service.certificates(TENANT, CertificateFilter(domain="pages.test"), second.cursor, 2)
    assert ([one.serial for one in third.items], third.cursor) == ([before[0]], "")


@pytest.mark.parametrize("budget", [1, 2, 3, 100])
def test_a_search_ends_by_its_budget_and_goes_on(world: World, monkeypatch: pytest.MonkeyPatch, budget: int) -> None:
    monkeypatch.setattr(search_store, "BUDGET", budget)
    serials = [issue(world, f"h{index}.budget.test", who=f"user:{index % 2}") for index in range(6)]
    newest = serials[::-1]
    assert found(world, domain="budget.test") == newest
    assert found(world, limit=2, contains="budget") == newest
    assert found(world, contains="h3.budget") == [serials[3]]
    assert found(world, contains="nowhere") == []
    assert found(world, requester="user:1", contains="h1.") == [serials[1]]
    assert found(world, domain="budget.test", profile="device") == []
    assert found(world, sort="expiry", contains="budget") == serials
    if budget == 1:
        page = world.service.certificates(TENANT, CertificateFilter(contains="h0.budget"), "", 50)
        assert (page.items, bool(page.cursor)) == ((), True)


def test_older_certificates_are_indexed_in_time(world: World) -> None:
    old = [issue(world, f"h{index}.old.test") for index in range(3)]
    with world.database.unit_of_work(TENANT) as uow:
        uow.execute(store.certificate_names.delete().where(store.certificate_names.c.tenant_id == TENANT))
    assert found(world, domain="old.test") == []
    new = issue(world, "new.old.test")
    with world.database.unit_of_work(TENANT) as uow:
        assert search_store.index_names(uow, 2)
    world.service.maintain()
    assert found(world, domain="old.test") == [new, *old[::-1]]
    with world.database.unit_of_work(TENANT) as uow:
        assert not search_store.index_names(uow, 2)


def test_another_tenant_finds_nothing(world: World) -> None:
    issue(world, "a.tenants.test")
    other = "f" * 32
    for wanted in (CertificateFilter(domain="tenants.test"), CertificateFilter(name="a.tenants.test")):
        assert world.service.certificates(other, wanted).items == ()
    with world.database.read(SYSTEM_TENANT) as reader:
        assert search_store.search(reader, wanted, (), None, 10, world.clock.now()) == ([], None)


def test_certificates_brought_from_elsewhere_are_found_and_counted(world: World) -> None:
    """What an import or a restore inserts may be older than what has been indexed and counted."""
    issue(world, "a.brought.test")
    world.clock.advance(86400)
    world.service.maintain()
    counted = world.service.statistics(TENANT)
    with world.database.unit_of_work(TENANT) as uow:
        (row,) = search_store.search(uow, CertificateFilter(name="a.brought.test"), (), None, 1, world.clock.now())[0]
        past = replace(row, serial="5a" * 17, created_at=row.created_at - timedelta(days=3), names="dns:b.brought.test")
        lifecycle.insert_certificates(uow, [past])
    assert found(world, domain="brought.test") == [row.serial, past.serial]
    world.service.maintain()
    now = world.service.statistics(TENANT)
    assert now.issued == counted.issued + 1
    assert [one.issued for one in now.days[-5:]] == [1, 0, 0, counted.days[-2].issued, 0]
