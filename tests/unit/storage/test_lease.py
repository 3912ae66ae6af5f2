"""Leases: one holder at a time, whatever the clocks do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select

from pycryptoutil.clock import FixedClock
from pycryptoutil.storage import SYSTEM_TENANT, Database, lease
from pycryptoutil.storage.schema import leases


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def take(database_url: str, clock: FixedClock) -> Iterator[Callable[..., bool]]:
    database = Database.open(database_url, clock=clock)

    def take(holder: str, *, release: bool = False, ttl: float = 30) -> bool:
        with database.unit_of_work(SYSTEM_TENANT) as uow:
            if release:
                lease.release(uow, "job", holder)
                return True
            return lease.acquire(uow, "job", holder, ttl)

    take.term = lambda: _term(database)  # type: ignore[attr-defined]
    yield take
    database.close()


def _term(database: Database) -> int:
    with database.read(SYSTEM_TENANT) as reader:
        return int(reader.execute(select(leases.c.term)).scalar_one())


def test_one_holds_it_until_it_ends(take: Callable[..., bool], clock: FixedClock) -> None:
    assert take("a")
    assert not take("b")
    clock.advance(29)
    assert not take("b")
    clock.advance(1)
    assert take("b")
    assert not take("a")


def test_the_holder_prolongs_it(take: Callable[..., bool], clock: FixedClock) -> None:
    for _ in range(3):
        assert take("a")
        clock.advance(20)
        assert not take("b")


def test_it_can_be_given_up_only_by_its_holder(take: Callable[..., bool]) -> None:
    assert take("a")
    take("b", release=True)
    assert not take("b")
    take("a", release=True)
    assert take("b")


def test_each_new_holder_begins_a_term(take: Callable[..., bool], clock: FixedClock) -> None:
    take("a")
    take("a")
    assert take.term() == 1  # type: ignore[attr-defined]
    clock.advance(31)
    take("b")
    assert take.term() == 2  # type: ignore[attr-defined]


def test_a_clock_that_stepped_back_does_not_lock_everybody_out(take: Callable[..., bool], clock: FixedClock) -> None:
    assert take("a")
    clock.advance(-86400)
    assert take("b")
    clock.advance(-10)
    assert not take("a"), "a small step is like another machine's clock: the lease holds"
