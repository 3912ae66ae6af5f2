"""A keyring on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import Databases
from tests.support.keyring import PACKAGES, World, open_world


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[World]:
    """Two replicas on SQLite and on PostgreSQL."""
    with open_world(databases.fresh(PACKAGES), tmp_path) as opened:
        yield opened


@pytest.fixture
def light(sqlite_databases: Databases, tmp_path: Path) -> Iterator[World]:
    """Two replicas on SQLite, for what does not depend on the database."""
    with open_world(sqlite_databases.fresh(PACKAGES), tmp_path) as opened:
        yield opened
