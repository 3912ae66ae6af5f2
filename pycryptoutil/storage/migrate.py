"""Alembic, driven by the program itself: no alembic.ini, no env.py, one branch for each room that has tables.

``alembic_version`` holds one row for each branch. Every room that is installed is known, so that a database which a
suite has filled may be opened by one service of it alone; a revision that nobody here knows is a newer version's.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from pycryptoutil_protocols.faults import Fault
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

import pycryptoutil
from pycryptoutil.errors import StartupError
from pycryptoutil.storage.database import SYSTEM_TENANT, Database, as_fault
from pycryptoutil.storage.failures import fault_of

CORE: Final = "pycryptoutil.storage"
_VERSION_TABLE: Final = "alembic_version"


@lru_cache
def _installed() -> tuple[Path, ...]:
    """Find the ``migrations/versions`` of every room of this installation."""
    root = Path(str(pycryptoutil.__path__[0]))
    return tuple(sorted(path for path in root.glob("**/migrations/versions") if path.is_dir()))


def _location(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        message = f"there is no package {package} to take migrations from"
        raise StartupError(message)
    path = Path(found.submodule_search_locations[0]) / "migrations" / "versions"
    if not path.is_dir():
        message = f"the package {package} has no migrations/versions"
        raise StartupError(message)
    return path


class _Plan:
    """The scripts that are known, and the heads wanted."""

    def __init__(self, packages: Sequence[str]) -> None:
        wanted = list(dict.fromkeys(_location(package) for package in (CORE, *packages)))
        known = list(dict.fromkeys([*wanted, *_installed()]))
        self.script = ScriptDirectory(str(wanted[0].parent), version_locations=[str(path) for path in known])
        try:
            heads = [self.script.get_revision(head) for head in self.script.get_heads()]
        except CommandError as error:
            message = f"the migrations of this version do not fit together: {error}"
            raise StartupError(message) from error
        mine = [head.revision for head in heads if head and Path(head.path).parent in wanted]
        # a head that another wanted one depends on comes with it; Alembic refuses to be asked for both
        self.heads = tuple(head for head in mine if not any(head in self._below(other) for other in mine))

    def _below(self, revision: str) -> set[str]:
        return {script.revision for script in self.script.iterate_revisions(revision, "base")} - {revision}

    def unknown(self, revisions: Sequence[str]) -> list[str]:
        names = {script.revision for script in self.script.walk_revisions()}
        return [revision for revision in revisions if revision not in names]

    def missing(self, revisions: Sequence[str]) -> list[str]:
        """Return the wanted heads that are not reached from ``revisions``."""
        reached = {script.revision for script in self.script.iterate_revisions(tuple(revisions), "base")}
        return [head for head in self.heads if head not in reached]


@lru_cache(maxsize=32)
def _plan(packages: tuple[str, ...]) -> _Plan:
    return _Plan(packages)


def upgrade(database: Database, packages: Sequence[str]) -> list[str]:
    """Bring the template's tables and those of ``packages`` to this version; return the revisions applied.

    Everything happens in one transaction that other processes wait for. StartupError when the database is newer.
    """
    plan = _plan(tuple(packages))
    if not _due(database, plan):  # the usual start: do not even queue up for the lock
        return []
    applied: list[str] = []
    with _faults(), database.backend.migrate() as connection:
        _refuse_newer(plan, _revisions(connection))
        config = Config()
        config.set_main_option("script_location", plan.script.dir)

        def steps(current: Any, _: MigrationContext) -> Any:
            found = plan.script._upgrade_revs(plan.heads, current)  # type: ignore[arg-type]  # noqa: SLF001
            applied.extend(step.revision.revision for step in found)
            return found

        with EnvironmentContext(config, plan.script, fn=steps) as environment:
            environment.configure(connection=connection, transactional_ddl=True, version_table=_VERSION_TABLE)
            environment.run_migrations()
    return applied


def current(database: Database) -> list[str]:
    """Return the revisions the database is at; empty for a new one."""
    with database.read(SYSTEM_TENANT) as reader:
        found = (
            "sqlite_master WHERE type = 'table' AND name"
            if database.dialect == "sqlite"
            else "pg_tables WHERE tablename"
        )
        if reader.execute(f"SELECT 1 FROM {found} = '{_VERSION_TABLE}'").first() is None:  # noqa: S608  constants
            return []
        return sorted(reader.execute(f"SELECT version_num FROM {_VERSION_TABLE}").scalars())  # noqa: S608


def check(database: Database, packages: Sequence[str]) -> None:
    """Raise StartupError unless the database is exactly what this version works with."""
    plan = _plan(tuple(packages))
    due = _due(database, plan)
    if due:
        message = f"the database lacks the migrations {', '.join(due)}: run 'pycryptoutil db upgrade'"
        raise StartupError(message)


def _due(database: Database, plan: _Plan) -> list[str]:
    revisions = current(database)
    _refuse_newer(plan, revisions)
    return plan.missing(revisions)


def _refuse_newer(plan: _Plan, revisions: Sequence[str]) -> None:
    unknown = plan.unknown(revisions)
    if unknown:
        message = (
            f"the database is at revision {', '.join(unknown)}, which this version of pycryptoutil does not know: "
            "it was written by a newer version; start that one, or restore a backup"
        )
        raise StartupError(message)


def _revisions(connection: Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts={"version_table": _VERSION_TABLE})
    return list(context.get_current_heads())


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (Fault, StartupError):
        raise
    except SQLAlchemyError as error:
        raise as_fault(error) from error
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault from error
