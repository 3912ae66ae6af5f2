"""A CA that answers CMP, on both kinds of database; tests of what only decides use SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cmp import CmpWorld, open_cmp
from tests.support.databases import Databases

PACKAGES = ("pycryptoutil.authority",)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CmpWorld]:
    """Two replicas over a database that a module's tests share; their clock stands still."""
    databases: Databases = request.getfixturevalue(f"_{request.param}_databases")
    with open_cmp(databases.fresh(PACKAGES), tmp_path_factory.mktemp("both"), replicas=2) as opened:
        yield opened


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[CmpWorld]:
    """Two replicas over a fresh database, SQLite or PostgreSQL."""
    with open_cmp(databases.fresh(PACKAGES), tmp_path, replicas=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, _sqlite_databases: Databases) -> Iterator[CmpWorld]:
    """One CA on SQLite for a module whose tests do not disturb one another; its clock stands still."""
    with open_cmp(_sqlite_databases.fresh(PACKAGES), tmp_path_factory.mktemp("cmp")) as opened:
        yield opened
