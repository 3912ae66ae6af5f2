"""Prepared statements say the same as SQLAlchemy's own execution, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, bindparam, select

from pycryptoutil.storage import SYSTEM_TENANT, Database, Instant, Json, Prepared
from pycryptoutil.storage.schema import instance, leases
from tests.support.databases import Databases

NOW = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
PUT = Prepared(instance.insert())
GET = Prepared(select(instance).where(instance.c.name == bindparam("name")))
SOME = Prepared(select(instance.c.name, instance.c.value.label("said")).where(instance.c.value == "v").limit(2))
SET = Prepared(
    instance.update()
    .where(instance.c.name == bindparam("of"))
    .values(value=bindparam("to"), updated_at=bindparam("at"))
)


@pytest.fixture
def sqlite_database(sqlite_databases: Databases, open_database: Callable[[str], Database]) -> Database:
    return open_database(sqlite_databases.fresh())


def put(database: Database, *names: str) -> None:
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        for name in names:
            uow.execute(PUT, {"name": name, "value": "v", "updated_at": NOW})


def test_rows_are_like_any_other(database: Database) -> None:
    put(database, "a", "b", "c")
    with database.read(SYSTEM_TENANT) as reader:
        row = reader.execute(GET, {"name": "a"}).one_or_none()
        own = reader.execute(select(instance).where(instance.c.name == "a")).one()
        assert row._asdict() == own._asdict() == {"name": "a", "value": "v", "updated_at": NOW}
        assert (row.name, row.updated_at, tuple(row)) == (own.name, own.updated_at, tuple(own))
        assert reader.execute(GET, {"name": "z"}).one_or_none() is None
        assert reader.execute(GET, {"name": "z"}).first() is None
        assert reader.execute(GET, {"name": "z"}).scalar_one_or_none() is None
        assert reader.execute(GET, {"name": "b"}).scalar_one_or_none() == "b"
        assert [one.said for one in reader.execute(SOME, {})] == ["v", "v"]  # parameters with a value of their own
        assert len(reader.execute(SOME, {}).all()) == 2


def test_changes_tell_how_many(database: Database) -> None:
    put(database, "a")
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        assert uow.execute(SET, {"of": "a", "to": "w", "at": NOW}).rowcount == 1
        assert uow.execute(SET, {"of": "z", "to": "w", "at": NOW}).rowcount == 0
        assert uow.execute(GET, {"name": "a"}).first().value == "w"


def test_several_rows_go_in_by_one_call(database: Database) -> None:
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.execute(PUT, [{"name": name, "value": "v", "updated_at": NOW} for name in ("a", "b", "c")])
    with database.read(SYSTEM_TENANT) as reader:
        found = reader.execute(select(instance).where(instance.c.value == "v").order_by(instance.c.name)).all()
    assert [(row.name, row.updated_at) for row in found] == [("a", NOW), ("b", NOW), ("c", NOW)]


def test_a_naive_time_is_refused_here_too(database: Database) -> None:
    with pytest.raises((ValueError, Fault)), database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.execute(PUT, {"name": "a", "value": "v", "updated_at": NOW.replace(tzinfo=None)})


def test_errors_are_the_same_faults_and_fail_the_unit(database: Database) -> None:
    put(database, "confidential-name")
    with pytest.raises(Fault) as caught:
        put(database, "confidential-name")
    assert caught.value.kind is FaultKind.CONFLICT
    assert "confidential-name" not in caught.value.detail + caught.value.public

    def goes_on() -> None:
        with database.unit_of_work(SYSTEM_TENANT) as uow:
            with pytest.raises(Fault):
                uow.execute(PUT, {"name": "confidential-name", "value": "v", "updated_at": NOW})
            uow.execute(PUT, {"name": "other", "value": "v", "updated_at": NOW})

    with pytest.raises(Fault):
        goes_on()
    with database.read(SYSTEM_TENANT) as reader:
        assert reader.execute(GET, {"name": "other"}).first() is None


def test_a_savepoint_takes_back_what_was_prepared(database: Database) -> None:
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.execute(PUT, {"name": "a", "value": "v", "updated_at": NOW})
        with pytest.raises(ZeroDivisionError), uow.savepoint():
            uow.execute(PUT, {"name": "b", "value": "v", "updated_at": NOW})
            raise ZeroDivisionError
        with pytest.raises(Fault), uow.savepoint():
            uow.execute(PUT, {"name": "a", "value": "v", "updated_at": NOW})
    with database.read(SYSTEM_TENANT) as reader:
        assert [one.name for one in reader.execute(select(instance))] == ["a"]


def test_a_reader_cannot_write_by_it_and_is_over_when_it_is(database: Database) -> None:
    with pytest.raises(Fault), database.read(SYSTEM_TENANT) as reader:
        reader.execute(PUT, {"name": "a", "value": "v", "updated_at": NOW})
    with pytest.raises(RuntimeError):
        reader.execute(GET, {"name": "a"})
    put(database, "a")  # and the database goes on


def test_a_reader_sees_one_snapshot(database: Database) -> None:
    put(database, "a")
    with database.read(SYSTEM_TENANT) as reader:
        assert reader.execute(GET, {"name": "b"}).first() is None
        writer = threading.Thread(target=put, args=(database, "b"))
        writer.start()
        writer.join()
        assert reader.execute(GET, {"name": "b"}).first() is None
        assert len(reader.execute(select(instance)).all()) == 1
    with database.read(SYSTEM_TENANT) as reader:
        assert reader.execute(GET, {"name": "b"}).first() is not None


def test_a_list_in_a_statement_is_refused(sqlite_database: Database) -> None:
    query = Prepared(select(leases).where(leases.c.name.in_(bindparam("names", expanding=True))))
    with sqlite_database.read(SYSTEM_TENANT) as reader, pytest.raises(TypeError, match="no list parameters"):
        reader.execute(query, {"names": ["a"]})


def test_a_missing_parameter_is_told(database: Database) -> None:
    with database.read(SYSTEM_TENANT) as reader, pytest.raises((KeyError, Fault)):
        reader.execute(GET, {})


@pytest.mark.parametrize("value", [None, [], {"a": [1, None, "ü"]}])
def test_types_convert_both_ways(sqlite_database: Database, value: Any) -> None:
    table = Table(
        "kinds", MetaData(), Column("id", String(8)), Column("json", Json), Column("at", Instant),
        Column("raw", LargeBinary),
    )  # fmt: skip
    with sqlite_database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.execute("CREATE TABLE kinds (id TEXT, json TEXT, at BIGINT, raw BLOB)")
        uow.execute(Prepared(table.insert()), {"id": "1", "json": value, "at": NOW, "raw": b"\x00\xff"})
        uow.execute(Prepared(table.insert()), {"id": "2", "json": value, "at": None, "raw": None})
        rows = uow.execute(Prepared(select(table).order_by(table.c.id)), {}).all()
        assert rows == [tuple(one) for one in uow.execute(select(table).order_by(table.c.id))]
    assert [tuple(row) for row in rows] == [("1", value, NOW, b"\x00\xff"), ("2", value, None, None)]


def test_the_statements_of_the_house_compile(sqlite_database: Database) -> None:
    """Each one that is a constant of a module, at once: not when it is first asked."""
    import importlib
    import pkgutil

    import pycryptoutil

    found = 0
    dialect = sqlite_database.backend._readers.dialect  # type: ignore[attr-defined]
    for module in pkgutil.walk_packages(pycryptoutil.__path__, "pycryptoutil."):
        if module.name.rpartition(".")[2] not in {"store", "audit"}:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Prepared):
                value.compiled(dialect)
                found += 1
    assert found > 10
