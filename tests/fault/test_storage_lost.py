"""The database goes away and comes back; nobody restarts anything."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import select

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import SystemClock
from pycryptoutil.storage import SYSTEM_TENANT, Database, audit, migrate
from pycryptoutil.storage.schema import instance
from tests.support.databases import PostgresCluster, postgres_or_skip
from tests.support.storage_process import Options

pytestmark = pytest.mark.fault


@pytest.fixture
def cluster() -> Iterator[PostgresCluster]:
    cluster = postgres_or_skip(lambda: PostgresCluster(durable=True))
    yield cluster
    cluster.close()


@pytest.fixture
def database(cluster: PostgresCluster) -> Iterator[Database]:
    database = Database.open(cluster.url(cluster.create()), clock=SystemClock(), pool_size=4)
    migrate.upgrade(database, ())
    yield database
    database.close()


def write(database: Database, name: str) -> None:
    with database.unit_of_work("t") as uow:
        uow.execute(instance.insert().values(name=name, value="", updated_at=database.clock.now()))
        audit.append(uow, audit.AuditEvent("a", "b", name))


def names(database: Database) -> list[str]:
    with database.read("t") as reader:
        return sorted(reader.execute(select(instance.c.name)).scalars())


def use_every_connection(database: Database) -> None:
    """Leave the pool full of connections, which the server's end will cut."""
    meeting = threading.Barrier(4)

    def hold() -> None:
        with database.read("t") as reader:
            reader.execute("SELECT 1")
            meeting.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_postgresql_away_and_back(
    cluster: PostgresCluster, database: Database, how: signal.Signals, tmp_path: Path
) -> None:
    barrier = Barrier.open(database, Options(), database.clock, tmp_path)
    sealed = barrier.encrypt(b"x", b"a")
    write(database, "before")
    for _ in range(2):
        use_every_connection(database)
        cluster.stop(how)
        for attempt in (database.ping, lambda: names(database), lambda: write(database, "lost"), barrier.maintain):
            with pytest.raises(Fault) as caught:
                attempt()
            assert caught.value.kind is FaultKind.UNAVAILABLE
            assert caught.value.retry_after == 5
            assert caught.value.public == "the database is not available"
        assert barrier.decrypt(sealed, b"a") == b"x", "keys at hand need no database"
        cluster.start()
        database.ping()
    write(database, "after")
    assert names(database) == ["after", "before"]
    with database.read("t") as reader:
        assert audit.verify(reader, "t").events == 2


def test_a_unit_that_was_under_way_is_lost_and_says_so(cluster: PostgresCluster, database: Database) -> None:
    with pytest.raises(Fault) as caught, database.unit_of_work("t") as uow:
        uow.execute(instance.insert().values(name="lost", value="", updated_at=database.clock.now()))
        cluster.stop(signal.SIGQUIT)
    assert caught.value.kind is FaultKind.UNAVAILABLE
    cluster.start()
    assert names(database) == []


def test_a_server_that_is_not_there_at_start_may_come_later(cluster: PostgresCluster, database: Database) -> None:
    url = cluster.url(cluster.create())
    cluster.stop()
    early = Database.open(url, clock=SystemClock())
    with pytest.raises(Fault) as caught:
        migrate.upgrade(early, ())
    assert caught.value.kind is FaultKind.UNAVAILABLE
    cluster.start()
    migrate.upgrade(early, ())
    early.ping()
    early.close()


def test_a_deadlock_is_broken_and_told(cluster: PostgresCluster, database: Database) -> None:
    both = threading.Barrier(2)
    results: list[tuple[FaultKind, int | None] | None] = []

    def work(first: str, second: str) -> None:
        try:
            with database.unit_of_work(SYSTEM_TENANT) as uow:
                uow.lock(first)
                both.wait(10)
                uow.lock(second)
        except Fault as fault:
            results.append((fault.kind, fault.retry_after))
        else:
            results.append(None)

    threads = [threading.Thread(target=work, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results, key=str) == [(FaultKind.BUSY, 1), None]
