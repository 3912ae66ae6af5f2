"""Migrations: from nothing to now, never backwards, and the same as schema.py says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pycryptoutil_protocols.faults import Fault, FaultKind

import pycryptoutil
from pycryptoutil.errors import StartupError
from pycryptoutil.storage import SYSTEM_TENANT, Database, migrate
from pycryptoutil.storage.schema import metadata

Opener = Callable[[str], Database]


def rooms() -> list[str]:
    """Every package of this checkout that has migrations."""
    root = Path(pycryptoutil.__path__[0])
    found = [path.relative_to(root.parent).parts[:-2] for path in root.glob("**/migrations/versions")]
    return sorted(".".join(parts) for parts in found if parts != ("pycryptoutil", "storage"))


def test_a_new_database_is_brought_to_the_head_once(empty_database_url: str, open_database: Opener) -> None:
    database = open_database(empty_database_url)
    assert migrate.current(database) == []
    with pytest.raises(StartupError, match="db upgrade"):
        migrate.check(database, ())
    assert migrate.upgrade(database, ())[0] == "core_0001"
    assert migrate.upgrade(database, ()) == []
    migrate.check(database, ())


def test_the_tables_are_those_of_the_schema(database: Database) -> None:
    with database.backend.migrate() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [d for d in compare_metadata(context, metadata) if "alembic_version" not in str(d)]
    assert differences == []


def test_each_room_brings_its_own_branch(empty_database_url: str, open_database: Opener) -> None:
    database = open_database(empty_database_url)
    migrate.upgrade(database, ())
    core = migrate.current(database)
    assert rooms(), "the authority and learn-ps have tables"
    for room in rooms():
        with pytest.raises(StartupError):
            migrate.check(database, (room,))
    applied = migrate.upgrade(database, rooms())
    assert applied
    assert set(core) <= {*migrate.current(database), *core}
    migrate.check(database, rooms())
    migrate.check(database, ())
    assert migrate.upgrade(database, ()) == []


def test_a_newer_database_is_refused_with_its_revision(database: Database) -> None:
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.execute("UPDATE alembic_version SET version_num = 'core_9999'")
    for attempt in (migrate.upgrade, migrate.check):
        with pytest.raises(StartupError, match=r"core_9999.*newer version"):
            attempt(database, ())


def test_a_package_without_migrations_is_named(database: Database) -> None:
    for package in ("pycryptoutil.http", "pycryptoutil.nothing_here"):
        with pytest.raises(StartupError, match=package):
            migrate.upgrade(database, (package,))


def test_a_migration_that_fails_leaves_nothing(
    empty_database_url: str, open_database: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = tmp_path / "broken_room" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "broken_room" / "__init__.py").write_text("")
    (versions / "broken_0001.py").write_text(
        "from alembic import op\n"
        "revision = 'broken_0001'\ndown_revision = None\nbranch_labels = ('broken',)\ndepends_on = ('core_0001',)\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (n INTEGER)')\n    op.execute('NONSENSE')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    database = open_database(empty_database_url)
    with pytest.raises(Fault) as caught:
        migrate.upgrade(database, ("broken_room",))
    assert caught.value.kind is FaultKind.INTERNAL
    assert migrate.current(database) == []
    with database.read(SYSTEM_TENANT) as reader:
        assert not reader.has_table("half")
        assert not reader.has_table("tenants")
    (versions / "broken_0001.py").unlink()
    migrate.upgrade(database, ())
    migrate.check(database, ())
