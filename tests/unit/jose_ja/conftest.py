"""jose-ja over a fresh database of each kind, called without sockets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycryptoutil.services.jose_ja import SERVICE
from tests.support.databases import Databases
from tests.support.door import Door


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """One iteration in place of hundreds of thousands."""
    real = hashlib.pbkdf2_hmac

    def cheap(name: str, secret: bytes, salt: bytes, _: int, length: int) -> bytes:
        return real(name, secret, salt, 1, length)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", cheap)


@pytest.fixture
def door(databases: Databases, tmp_path: Path) -> Iterator[Door]:
    found = Door(SERVICE, databases.fresh(SERVICE.migrations), tmp_path)
    yield found
    found.close()


@pytest.fixture
def small_door(sqlite_databases: Databases, tmp_path: Path) -> Iterator[Door]:
    """The same on SQLite only, for what does not touch SQL."""
    found = Door(SERVICE, sqlite_databases.fresh(SERVICE.migrations), tmp_path)
    yield found
    found.close()
