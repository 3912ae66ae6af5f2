"""Units of work and readers, the same on both databases."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import select

from pycryptoutil.clock import FixedClock, SystemClock
from pycryptoutil.errors import ConfigurationError, StartupError
from pycryptoutil.storage import SYSTEM_TENANT, Database, Reader, UnitOfWork, in_unit_of_work
from pycryptoutil.storage.schema import barrier_keys, certificate_bindings, instance, leases

NOW = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)


def put(uow: UnitOfWork, name: str, value: str = "v") -> None:
    uow.execute(instance.insert().values(name=name, value=value, updated_at=NOW))


def names(reader: Reader) -> set[str]:
    return set(reader.execute(select(instance.c.name)).scalars())


def stored(database: Database) -> set[str]:
    with database.read(SYSTEM_TENANT) as reader:
        return names(reader)


def test_a_unit_is_there_after_its_block_and_times_keep_their_microseconds(database: Database) -> None:
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        put(uow, "a")
    with database.read(SYSTEM_TENANT) as reader:
        row = reader.execute(select(instance)).one()
    assert (row.name, row.value, row.updated_at) == ("a", "v", NOW)


def test_a_unit_that_raises_leaves_nothing_and_raises_the_same_exception(database: Database) -> None:
    error = ZeroDivisionError("mine")
    with pytest.raises(ZeroDivisionError) as caught, database.unit_of_work(SYSTEM_TENANT) as uow:
        put(uow, "a")
        raise error
    assert caught.value is error
    assert stored(database) == set()


def test_a_second_row_of_the_same_key_is_a_conflict_that_names_no_values(database: Database) -> None:
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        put(uow, "confidential-name")
    with pytest.raises(Fault) as caught, database.unit_of_work(SYSTEM_TENANT) as uow:
        put(uow, "confidential-name")
    assert caught.value.kind is FaultKind.CONFLICT
    assert "confidential-name" not in caught.value.detail + caught.value.public


def test_a_row_that_refers_to_nothing_is_a_conflict(database: Database) -> None:
    with pytest.raises(Fault) as caught, database.unit_of_work("t") as uow:
        uow.execute(
            certificate_bindings.insert().values(
                tenant_id="t", id="b", principal_id="nobody", match="spki-sha256", value="00", created_at=NOW
            )
        )
    assert caught.value.kind is FaultKind.CONFLICT


def test_a_unit_cannot_go_on_after_a_failed_statement_unless_it_used_a_savepoint(database: Database) -> None:
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        put(uow, "a")
    with pytest.raises(Fault) as caught, database.unit_of_work(SYSTEM_TENANT) as uow:
        put(uow, "b")
        with pytest.raises(Fault):
            put(uow, "a")
    assert caught.value.kind is FaultKind.INTERNAL
    assert stored(database) == {"a"}

    with database.unit_of_work(SYSTEM_TENANT) as uow:
        put(uow, "c")
        with pytest.raises(Fault) as conflict, uow.savepoint():
            put(uow, "d")
            put(uow, "a")
        put(uow, "e")
    assert conflict.value.kind is FaultKind.CONFLICT
    assert stored(database) == {"a", "c", "e"}


def test_a_savepoint_that_ends_well_belongs_to_the_unit(database: Database) -> None:
    with pytest.raises(KeyError), database.unit_of_work(SYSTEM_TENANT) as uow:
        with uow.savepoint():
            put(uow, "a")
        raise KeyError
    assert stored(database) == set()


def test_units_do_not_nest_and_the_outer_one_survives_the_attempt(database: Database) -> None:
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        put(uow, "a")
        with pytest.raises(RuntimeError, match="nest"), database.unit_of_work(SYSTEM_TENANT):
            pass
        assert in_unit_of_work()
    assert not in_unit_of_work()
    assert stored(database) == {"a"}


def test_the_flag_is_of_this_thread_and_falls_with_a_failed_unit(database: Database) -> None:
    seen: list[bool] = []
    with pytest.raises(KeyError), database.unit_of_work(SYSTEM_TENANT):
        thread = threading.Thread(target=lambda: seen.append(in_unit_of_work()))
        thread.start()
        thread.join()
        assert in_unit_of_work()
        raise KeyError
    assert seen == [False]
    assert not in_unit_of_work()


def test_an_ended_unit_or_reader_is_of_no_use(database: Database) -> None:
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        pass
    with database.read(SYSTEM_TENANT) as reader:
        pass
    for ended in (uow, reader):
        with pytest.raises(RuntimeError, match="ended"):
            ended.execute("SELECT 1")


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(Fault), database.read(SYSTEM_TENANT) as reader:
        reader.execute(instance.insert().values(name="a", value="v", updated_at=NOW))
    assert stored(database) == set()


def test_a_reader_sees_one_moment(database: Database) -> None:
    with database.read(SYSTEM_TENANT) as reader:
        assert names(reader) == set()
        with database.unit_of_work(SYSTEM_TENANT) as uow:
            put(uow, "a")
        assert names(reader) == set()
    assert stored(database) == {"a"}


def test_callbacks_run_after_the_commit_and_only_then(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[object] = []
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        put(uow, "a")
        uow.on_commit(lambda: seen.append(stored(database)))
        uow.on_commit(lambda: int("no number"))
        uow.on_commit(lambda: seen.append(in_unit_of_work()))
        assert seen == []
    assert seen == [{"a"}, False]
    assert "on_commit" in caplog.text
    with pytest.raises(KeyError), database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.on_commit(lambda: seen.append("never"))
        raise KeyError
    assert len(seen) == 2


def test_a_lock_lets_one_unit_in_at_a_time(database: Database) -> None:
    inside = threading.Event()
    finish = threading.Event()
    order: list[str] = []

    def first() -> None:
        with database.unit_of_work(SYSTEM_TENANT) as uow:
            uow.lock("the one")
            inside.set()
            finish.wait(5)
            order.append("first")

    def second() -> None:
        inside.wait(5)
        with database.unit_of_work(SYSTEM_TENANT) as uow:
            uow.lock("the one")
            order.append("second")

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    inside.wait(5)
    threads[1].join(0.2)
    assert order == []
    finish.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second"]


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(Fault) as caught, database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.execute(
            leases.insert().values(name="x", holder="y", term=1, expires_at=datetime(2026, 1, 1))  # noqa: DTZ001
        )
    assert caught.value.kind is FaultKind.INTERNAL


def test_an_upsert_reads_the_same_on_both(database: Database) -> None:
    for value in ("one", "two"):
        with database.unit_of_work(SYSTEM_TENANT) as uow:
            statement = uow.insert(instance).values(name="a", value=value, updated_at=NOW)
            uow.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
    with database.read(SYSTEM_TENANT) as reader:
        assert reader.execute(select(instance.c.value)).scalars().all() == ["two"]


def test_ping_and_dialect(database: Database, database_url: str) -> None:
    database.ping()
    assert database_url.startswith(database.dialect)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://root@localhost/x", "nonsense", "oracle+thing://x"]
)
def test_a_url_that_cannot_be_used_names_the_key(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database.open(url, clock=FixedClock())
    assert caught.value.key == "database.url"


def test_a_url_error_shows_no_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database.open("mysql://root:hunter2hunter2@localhost/x", clock=FixedClock())
    assert "hunter2" not in str(caught.value)


def test_an_sqlite_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a b.db"
    database = Database.open(f"sqlite:///{path}", clock=SystemClock())
    database.ping()
    database.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_sqlite_path_that_cannot_be_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="cannot be opened"):
        Database.open(f"sqlite:///{tmp_path}/file/x.db", clock=SystemClock())


def test_sqlite_runs_in_wal_mode_with_full_synchronisation(
    sqlite_databases: object, open_database: Callable[[str], Database]
) -> None:
    database = open_database(sqlite_databases.fresh())  # type: ignore[attr-defined]
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        assert uow.execute("PRAGMA journal_mode").scalar_one() == "wal"
        assert uow.execute("PRAGMA synchronous").scalar_one() == 2
        assert uow.execute("PRAGMA foreign_keys").scalar_one() == 1


def test_a_deleted_sqlite_file_is_noticed_instead_of_written_into(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database.open(f"sqlite:///{path}", clock=SystemClock())
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.execute("CREATE TABLE t (n INTEGER)")
    away = tmp_path / "away"
    away.mkdir()
    for file in tmp_path.glob("a.db*"):
        file.rename(away / file.name)
    for attempt in (database.unit_of_work, database.read):
        with pytest.raises(Fault) as caught, attempt(SYSTEM_TENANT):
            pass
        assert caught.value.kind is FaultKind.UNAVAILABLE
        assert caught.value.retry_after
    assert not path.exists()
    for file in away.glob("a.db*"):
        file.rename(path.parent / file.name)
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.execute("INSERT INTO t VALUES (1)")
    database.close()


def test_parameters_are_in_no_error(database: Database) -> None:
    with pytest.raises(Fault) as caught, database.read(SYSTEM_TENANT) as reader:
        reader.execute("SELECT nothing FROM nowhere WHERE x = :secret", {"secret": "hunter2hunter2"})
    assert "hunter2" not in caught.value.detail + str(caught.value.__cause__) + str(caught.value.__suppress_context__)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 7])
def test_a_file_becomes_a_value_and_a_value_is_read_whole(database: Database, tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    path = tmp_path / "content"
    path.write_bytes(content)
    values = {
        "id": "k", "level": "test", "generation": 1, "parent_id": "", "facts": {}, "uses": 0, "created_at": NOW,
    }  # fmt: skip
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.insert_file(barrier_keys, values, "wrapped", path)
        assert uow.long_value(barrier_keys, "wrapped", barrier_keys.c.id == "k") == content
    with database.read(SYSTEM_TENANT) as reader:
        assert reader.long_value(barrier_keys, "wrapped", barrier_keys.c.id == "k") == content
        assert reader.long_value(barrier_keys, "wrapped", barrier_keys.c.id == "z") is None
        row = reader.execute(select(barrier_keys)).one()
        assert (row.level, row.wrapped, row.created_at) == ("test", content, NOW)
    with pytest.raises(RuntimeError):
        reader.long_value(barrier_keys, "wrapped", barrier_keys.c.id == "k")
    with pytest.raises(Fault) as caught, database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.insert_file(barrier_keys, values, "wrapped", path)
    assert caught.value.kind is FaultKind.CONFLICT


def test_a_file_of_a_unit_that_fails_leaves_nothing(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(b"x" * 5000)
    values = {"id": "k", "level": "test", "generation": 1, "parent_id": "", "facts": {}, "uses": 0, "created_at": NOW}
    with pytest.raises(ZeroDivisionError), database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.insert_file(barrier_keys, values, "wrapped", path)
        raise ZeroDivisionError
    with database.read(SYSTEM_TENANT) as reader:
        assert reader.long_value(barrier_keys, "wrapped", barrier_keys.c.id == "k") is None
