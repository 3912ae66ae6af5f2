"""A CA that answers SCEP, on both kinds of database; tests of what only decides use SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import Databases
from tests.support.scep import ScepWorld, open_scep

PACKAGES = ("pycryptoutil.authority",)


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[ScepWorld]:
    """Two replicas over a fresh database, SQLite or PostgreSQL."""
    with open_scep(databases.fresh(PACKAGES), tmp_path, replicas=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, _sqlite_databases: Databases) -> Iterator[ScepWorld]:
    """One CA on SQLite for a module whose tests do not disturb one another; its clock stands still."""
    with open_scep(_sqlite_databases.fresh(PACKAGES), tmp_path_factory.mktemp("scep")) as opened:
        yield opened


@pytest.fixture
def empty(_sqlite_databases: Databases) -> str:
    """The URL of a fresh SQLite database, for a CA with rules of its own."""
    return _sqlite_databases.fresh(PACKAGES)
