"""A service over a fresh database of each kind, called without sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pycryptoutil.services.learn_ps import SERVICE
from tests.support.databases import Databases
from tests.support.door import Door


@pytest.fixture
def door(databases: Databases, tmp_path: Path) -> Iterator[Door]:
    """The pet store: the smallest whole service there is."""
    found = Door(SERVICE, databases.fresh(SERVICE.migrations), tmp_path)
    yield found
    found.close()


@pytest.fixture
def small_door(sqlite_databases: Databases, tmp_path: Path) -> Iterator[Door]:
    """The same on SQLite only, for what does not touch SQL."""
    found = Door(SERVICE, sqlite_databases.fresh(SERVICE.migrations), tmp_path)
    yield found
    found.close()
