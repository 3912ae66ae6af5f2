"""PostgreSQL's second lock: rows of another tenant are not there, even for a query that forgot its filter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pycryptoutil_protocols.faults import Fault
from sqlalchemy import delete, select, update

from pycryptoutil.storage import SYSTEM_TENANT, Database, audit, migrate
from pycryptoutil.storage.schema import audit_events, principals, tenants
from tests.support.databases import Databases, PostgresCluster
from tests.unit.storage.test_migrate import rooms


@pytest.fixture
def database(postgresql_databases: Databases, open_database: Callable[[str], Database]) -> Database:
    database = open_database(postgresql_databases.fresh())
    now = database.clock.now()
    for tenant in ("a", "b"):
        with database.unit_of_work(tenant) as uow:
            uow.execute(tenants.insert().values(tenant_id=tenant, name=tenant, created_at=now, updated_at=now))
            row = {"id": f"user-{tenant}", "kind": "user", "name": "same", "scopes": [], "created_at": now}
            uow.execute(principals.insert().values(tenant_id=tenant, updated_at=now, **row))
            audit.append(uow, audit.AuditEvent("a", "b", "c"))
    return database


def test_the_role_cannot_step_around(database: Database) -> None:
    with database.read("a") as reader:
        row = reader.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user").one()
    assert tuple(row) == (False, False)


def test_a_role_that_can_is_warned_of(
    postgres_cluster: PostgresCluster, open_database: Callable[[str], Database], caplog: pytest.LogCaptureFixture
) -> None:
    name = postgres_cluster.create()
    migrate.upgrade(open_database(postgres_cluster.url(name)), ())
    assert "row-level security" not in caplog.text
    name = postgres_cluster.create()
    migrate.upgrade(open_database(postgres_cluster.url(name).replace("application@", "administrator@")), ())
    assert "row-level security does not hold" in caplog.text


def test_settings_given_in_the_url_are_added_to_ours(
    postgres_cluster: PostgresCluster, open_database: Callable[[str], Database]
) -> None:
    url = postgres_cluster.url(postgres_cluster.create())
    database = open_database(f"{url}?options=-c%20lock_timeout%3D123&application_name=mine")
    with database.read("a") as reader:
        shown = [reader.execute(f"SHOW {name}").scalar_one() for name in ("lock_timeout", "statement_timeout")]
        assert shown == ["123ms", "1min"]
        assert reader.execute("SHOW application_name").scalar_one() == "mine"


def test_a_query_without_a_filter_sees_one_tenant(database: Database) -> None:
    for tenant in ("a", "b"):
        with database.read(tenant) as reader:
            assert reader.execute(select(principals.c.id)).scalars().all() == [f"user-{tenant}"]
            assert reader.execute(select(audit_events.c.tenant_id)).scalars().all() == [tenant]
    with database.read("c") as reader:
        assert reader.execute(select(principals.c.id)).all() == []


def test_another_tenants_id_reads_as_nothing(database: Database) -> None:
    with database.read("a") as reader:
        query = select(principals).where(principals.c.tenant_id == "b", principals.c.id == "user-b")
        assert reader.execute(query).all() == []


def test_another_tenants_rows_cannot_be_changed_or_removed(database: Database) -> None:
    with database.unit_of_work("a") as uow:
        assert uow.execute(update(principals).where(principals.c.tenant_id == "b").values(name="x")).rowcount == 0
        assert uow.execute(delete(principals).where(principals.c.tenant_id == "b")).rowcount == 0
    with database.read("b") as reader:
        assert reader.execute(select(principals.c.name)).scalars().all() == ["same"]


def test_no_row_can_be_written_for_another_tenant(database: Database) -> None:
    now = database.clock.now()
    with pytest.raises(Fault), database.unit_of_work("a") as uow:
        row = {"id": "x", "kind": "user", "name": "x", "scopes": [], "created_at": now}
        uow.execute(principals.insert().values(tenant_id="b", updated_at=now, **row))
    with pytest.raises(Fault), database.unit_of_work("a") as uow:
        uow.execute(update(principals).where(principals.c.id == "user-a").values(tenant_id="b"))


def test_the_system_sees_all_only_where_the_policy_says(database: Database) -> None:
    with database.read(SYSTEM_TENANT) as reader:
        assert set(reader.execute(select(principals.c.tenant_id)).scalars()) == {"a", "b"}
        assert reader.execute(select(audit_events)).all() == []


def test_a_connection_without_a_tenant_sees_nothing(database: Database) -> None:
    """What a forgotten SET would do; the setting must not survive from the transaction before either."""
    with database.read("a"):
        pass
    with database.backend.read("") as connection:
        assert connection.execute(select(principals.c.id)).all() == []


def test_every_table_with_a_tenant_is_under_forced_row_level_security(
    postgresql_databases: Databases, open_database: Callable[[str], Database]
) -> None:
    database = open_database(postgresql_databases.fresh(tuple(rooms())))
    with database.read(SYSTEM_TENANT) as reader:
        rows = reader.execute(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
            "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
        ).all()
    assert {"principals", "audit_events", "sessions"} <= {row[0] for row in rows}
    assert [row[0] for row in rows if not row[1]] == []
