"""sm-kms behind the real router and middleware, on both kinds of database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycryptoutil.services.sm_kms import SERVICE
from tests.support.databases import Databases
from tests.support.door import Door


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """One iteration in place of hundreds of thousands: passwords of people are tested elsewhere."""
    real = hashlib.pbkdf2_hmac
    monkeypatch.setattr(
        hashlib, "pbkdf2_hmac", lambda name, secret, salt, _, length: real(name, secret, salt, 1, length)
    )


@pytest.fixture
def door(databases: Databases, tmp_path: Path) -> Iterator[Door]:
    """One key manager for each test."""
    found = Door(SERVICE, databases.fresh(SERVICE.migrations), tmp_path)
    yield found
    found.close()


@pytest.fixture
def light(sqlite_databases: Databases, tmp_path: Path) -> Iterator[Door]:
    """The same on SQLite alone, for what does not depend on the database."""
    found = Door(SERVICE, sqlite_databases.fresh(SERVICE.migrations), tmp_path)
    yield found
    found.close()
