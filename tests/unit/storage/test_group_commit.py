"""Group commit: together or not, durable or not, but never half and never stuck."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import Connection, event

from pycryptoutil.clock import FixedClock, SystemClock
from pycryptoutil.storage import Database
from pycryptoutil.storage.group import GroupCommit
from pycryptoutil.storage.sqlite import SqliteBackend


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[SqliteBackend]:
    backend = SqliteBackend(tmp_path / "a.db", SystemClock(), 4)
    with backend.write("t") as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    yield backend
    backend.close()


def rows(backend: SqliteBackend) -> list[int]:
    with backend.read("t") as connection:
        return [row[0] for row in connection.exec_driver_sql("SELECT n FROM t ORDER BY n")]


class Scene:
    """Units in threads of their own, entered and ended in a chosen order."""

    def __init__(self, group: GroupCommit) -> None:
        self._group = group
        self.results: dict[int, BaseException | None] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._inside: dict[int, threading.Event] = {}
        self._go: dict[int, threading.Event] = {}

    def enter(self, n: int, error: BaseException | None = None) -> None:
        """Start a unit that inserts ``n``; it stays inside until :meth:`leave`."""
        inside, go = self._inside[n], self._go[n] = threading.Event(), threading.Event()

        def work() -> None:
            try:
                with self._group.unit() as connection:
                    connection.exec_driver_sql("INSERT INTO t VALUES (?)", (n,))
                    inside.set()
                    go.wait(10)
                    if error is not None:
                        raise error
            except BaseException as caught:
                self.results[n] = caught
            else:
                self.results[n] = None

        self._threads[n] = threading.Thread(target=work)
        self._threads[n].start()

    def inside(self, n: int) -> bool:
        return self._inside[n].wait(5)

    def queued(self, count: int) -> None:
        for _ in range(500):
            if len(self._group._queue) == count:
                return
            threading.Event().wait(0.01)
        raise AssertionError

    def leave(self, n: int) -> None:
        self._go[n].set()

    def end(self, n: int) -> BaseException | None:
        self._threads[n].join(10)
        assert not self._threads[n].is_alive(), "a unit is stuck"
        return self.results[n]


def test_a_lone_unit_commits_at_once(backend: SqliteBackend) -> None:
    before = backend.group.commits
    with backend.write("t") as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert backend.group.commits == before + 1
    with sqlite3.connect(backend._path) as other:
        assert other.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_units_that_wait_for_each_other_share_one_commit(backend: SqliteBackend) -> None:
    group = GroupCommit(backend._begin, FixedClock())
    scene = Scene(group)
    scene.enter(1)
    assert scene.inside(1)
    scene.enter(2)
    scene.queued(1)
    scene.enter(3)
    scene.queued(2)
    scene.leave(1)
    assert scene.inside(2)
    assert 1 not in scene.results, "not durable yet, so its block must not end"
    assert rows(backend) == []
    scene.leave(2)
    scene.leave(3)
    assert [scene.end(n) for n in (1, 2, 3)] == [None, None, None]
    assert rows(backend) == [1, 2, 3]
    assert group.commits == 1


def test_a_member_that_fails_takes_back_only_its_own(backend: SqliteBackend) -> None:
    group = GroupCommit(backend._begin, FixedClock())
    scene = Scene(group)
    mine = ZeroDivisionError()
    scene.enter(1)
    scene.inside(1)
    scene.enter(2, mine)
    scene.queued(1)
    scene.enter(3)
    scene.queued(2)
    for n in (1, 2, 3):
        scene.leave(n)
    assert scene.end(1) is None
    assert scene.end(2) is mine
    assert scene.end(3) is None
    assert rows(backend) == [1, 3]
    assert group.commits == 1


@pytest.mark.parametrize("failing", [1, 2])
def test_the_last_of_a_group_commits_for_the_others_even_if_it_fails(backend: SqliteBackend, failing: int) -> None:
    group = GroupCommit(backend._begin, FixedClock())
    scene = Scene(group)
    for n in (1, 2):
        scene.enter(n, KeyError() if n == failing else None)
        if n == 1:
            scene.inside(1)
    scene.queued(1)
    scene.leave(1)
    scene.leave(2)
    results = [scene.end(1), scene.end(2)]
    assert [type(result) for result in results] == [KeyError if n == failing else type(None) for n in (1, 2)]
    assert rows(backend) == [3 - failing]


def test_a_commit_that_fails_fails_every_member_and_the_next_group_works(backend: SqliteBackend) -> None:
    group = GroupCommit(backend._begin, FixedClock())
    scene = Scene(group)

    def refuse(connection: Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    event.listen(backend._writers, "commit", refuse)
    for n in (1, 2, 3):
        scene.enter(n)
        scene.inside(1)
    scene.queued(2)
    for n in (1, 2, 3):
        scene.leave(n)
    results = [scene.end(n) for n in (1, 2, 3)]
    assert all(isinstance(result, Fault) for result in results)
    assert len({id(result) for result in results}) == 3
    assert rows(backend) == []
    event.remove(backend._writers, "commit", refuse)
    with group.unit() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (9)")
    assert rows(backend) == [9]


def test_an_error_that_ends_the_transaction_fails_every_member(backend: SqliteBackend) -> None:
    """SQLite rolls the whole transaction back by itself on some errors: nobody may believe to be durable."""
    group = GroupCommit(backend._begin, FixedClock())
    scene = Scene(group)
    scene.enter(1)
    scene.inside(1)
    result: list[BaseException] = []

    def ruin() -> None:
        try:
            with group.unit() as connection:
                connection.connection.driver_connection.execute("ROLLBACK")  # type: ignore[union-attr]
                raise Fault(FaultKind.STORAGE_FULL, "the disk is full")
        except Fault as fault:
            result.append(fault)

    thread = threading.Thread(target=ruin)
    thread.start()
    scene.queued(1)
    scene.leave(1)
    thread.join(10)
    first = scene.end(1)
    assert isinstance(first, Fault)
    assert first.kind is FaultKind.STORAGE_FULL
    assert isinstance(result[0], Fault)
    assert rows(backend) == []
    with group.unit() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (9)")
    assert rows(backend) == [9]


def test_a_group_is_bounded_in_number(backend: SqliteBackend) -> None:
    group = GroupCommit(backend._begin, FixedClock(), max_members=2)
    scene = Scene(group)
    for n in (1, 2, 3):
        scene.enter(n)
        scene.inside(1)
    scene.queued(2)
    scene.leave(1)
    scene.leave(2)
    assert scene.end(1) is None
    assert scene.end(2) is None
    assert scene.inside(3)
    assert rows(backend) == [1, 2]
    scene.leave(3)
    assert scene.end(3) is None


def test_a_group_is_bounded_in_time(backend: SqliteBackend) -> None:
    clock = FixedClock()
    group = GroupCommit(backend._begin, clock, max_seconds=0.02)
    scene = Scene(group)
    scene.enter(1)
    scene.inside(1)
    scene.enter(2)
    scene.queued(1)
    clock.advance(0.03)
    scene.leave(1)
    assert scene.end(1) is None, "committed by itself though another waits"
    scene.inside(2)
    scene.leave(2)
    scene.end(2)
    assert group.commits == 2


def test_waiting_for_the_writer_is_bounded_and_leaves_nothing_behind(backend: SqliteBackend) -> None:
    group = GroupCommit(backend._begin, FixedClock(), wait_seconds=0.05)
    scene = Scene(group)
    scene.enter(1)
    scene.inside(1)
    scene.enter(2)
    refused = scene.end(2)
    assert isinstance(refused, Fault)
    assert refused.kind is FaultKind.BUSY
    assert refused.retry_after == 1
    scene.leave(1)
    assert scene.end(1) is None
    with group.unit() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (9)")
    assert rows(backend) == [1, 9]


def test_beginning_that_fails_lets_the_next_one_try(backend: SqliteBackend) -> None:
    attempts: list[int] = []

    def begin() -> Connection:
        attempts.append(1)
        if len(attempts) == 1:
            raise sqlite3.OperationalError("away")
        return backend._begin()

    group = GroupCommit(begin, FixedClock())
    with pytest.raises(sqlite3.OperationalError), group.unit():
        pass
    with group.unit() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert rows(backend) == [1]


def test_many_threads_lose_nothing_and_share_commits(sqlite_databases: object, tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/b.db", clock=SystemClock())
    with database.unit_of_work("t") as uow:
        uow.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    backend = database.backend
    assert isinstance(backend, SqliteBackend)
    commits, failures = backend.group.commits, []
    event.listen(backend._writers, "commit", lambda _: SystemClock().sleep(0.005))  # a disk, wherever the file is

    def work(start: int) -> None:
        for n in range(start, start + 50):
            try:
                with database.unit_of_work("t") as uow:
                    uow.execute("INSERT INTO t VALUES (:n)", {"n": n})
                    if n % 7 == 0:
                        raise KeyError
            except KeyError:
                failures.append(n)

    threads = [threading.Thread(target=work, args=(start * 50,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert rows(backend) == [n for n in range(400) if n % 7]
    assert sorted(failures) == [n for n in range(400) if n % 7 == 0]
    assert backend.group.commits - commits < 343 / 2
    database.close()


def test_another_process_that_holds_the_file_makes_it_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycryptoutil.storage.sqlite._BUSY_SECONDS", 0.05)
    open_: Callable[[], Database] = lambda: Database.open(f"sqlite:///{tmp_path}/c.db", clock=SystemClock())  # noqa: E731
    one, other = open_(), open_()
    with one.unit_of_work("t") as uow:
        uow.execute("CREATE TABLE t (n INTEGER)")
        refused: list[Fault] = []

        def attempt() -> None:
            try:
                with other.unit_of_work("t"):
                    pass
            except Fault as fault:
                refused.append(fault)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join(10)
    assert [fault.kind for fault in refused] == [FaultKind.BUSY]
    with other.unit_of_work("t") as uow:
        uow.execute("INSERT INTO t VALUES (1)")
    one.close()
    other.close()
