"""The migrations make the tables that the stores speak of, each behind its tenant's wall."""

from __future__ import annotations

from collections.abc import Callable

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from pycryptoutil.authority.acme.store.tables import TABLES as ACME_TABLES
from pycryptoutil.authority.certificates import search_store
from pycryptoutil.authority.crl import store as crl_store
from pycryptoutil.authority.enrolment import store as enrolment_store
from pycryptoutil.authority.events.store import TABLES as EVENT_TABLES
from pycryptoutil.authority.lifecycle import store as lifecycle_store
from pycryptoutil.authority.lifecycle.offline import store as offline_store
from pycryptoutil.authority.ssh import store as ssh_store
from pycryptoutil.authority.statistics import store as statistics_store
from pycryptoutil.authority.store import SEALED_COLUMNS, metadata
from pycryptoutil.authority.timestamp import store as timestamp_store
from pycryptoutil.authority.transactions import store as transaction_store
from pycryptoutil.authority.transparency import store as transparency_store
from pycryptoutil.storage import Database
from tests.support.databases import Databases

PACKAGES = ("pycryptoutil.authority",)
# tables that other stores add
ROOMS = (
    crl_store.scopes,
    ssh_store.ssh_certificates,
    timestamp_store.timestamp_order,
    enrolment_store.enrolments,
    enrolment_store.decisions,
    transaction_store.transactions,
    statistics_store.issued_days,
    statistics_store.counted,
    search_store.indexed,
    transparency_store.precertificates,
    lifecycle_store.rollovers,
    lifecycle_store.links,
    offline_store.requests,
    *EVENT_TABLES,
    *ACME_TABLES,
)


def test_the_migrations_make_what_the_stores_use(
    databases: Databases, open_database: Callable[[str], Database]
) -> None:
    database = open_database(databases.fresh(PACKAGES))
    assert all(table.metadata is metadata for table in ROOMS)
    names = set(metadata.tables)
    with database.backend.migrate() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in names}
        )
        assert [str(d) for d in compare_metadata(context, metadata) if "alembic_version" not in str(d)] == []


def test_sealed_columns_exist() -> None:
    for sealed in SEALED_COLUMNS:
        columns = metadata.tables[sealed.table].c
        assert {sealed.column, "tenant_id", *sealed.key_columns} <= set(columns.keys())


def test_every_table_is_under_row_level_security(
    postgresql_databases: Databases, open_database: Callable[[str], Database]
) -> None:
    database = open_database(postgresql_databases.fresh(PACKAGES))
    with database.read("system") as reader:
        rows = reader.execute(text("SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class")).all()
    found = {name: (secured, forced) for name, secured, forced in rows}
    assert {name: found.get(name) for name in metadata.tables} == dict.fromkeys(metadata.tables, (True, True))
    assert [name for name, table in metadata.tables.items() if "tenant_id" not in table.c] == []
