"""A CA on both kinds of database; tests that only decide use one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.authority import World, open_world
from tests.support.databases import Databases

PACKAGES = ("pycryptoutil.authority",)


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[World]:
    """A CA on SQLite and on PostgreSQL."""
    with open_world(databases.fresh(PACKAGES), tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, _sqlite_databases: Databases) -> Iterator[World]:
    """One CA on SQLite for all tests of a module: for those that leave nothing behind that others look at."""
    with open_world(_sqlite_databases.fresh(PACKAGES), tmp_path_factory.mktemp("shared")) as opened:
        yield opened
