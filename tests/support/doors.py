"""Fixtures of tests that call one service without sockets: its door over a fresh database, and cheap passwords.

A conftest imports those it wants, and has a fixture ``service`` that returns the definition of the service to open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycryptoutil.service.definition import ServiceDefinition
from tests.support.databases import Databases
from tests.support.door import Door


@pytest.fixture(autouse=True)
def cheap_passwords(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One iteration in place of hundreds of thousands, but in tests whose name says that they look at the cost."""
    if request.node.name.startswith("test_dear"):
        return
    real = hashlib.pbkdf2_hmac

    def cheap(name: str, secret: bytes, salt: bytes, _: int, length: int) -> bytes:
        return real(name, secret, salt, 1, length)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", cheap)


@pytest.fixture
def door(service: ServiceDefinition, databases: Databases, tmp_path: Path) -> Iterator[Door]:
    """The service over a fresh database of each kind."""
    found = Door(service, databases.fresh(service.migrations), tmp_path)
    yield found
    found.close()


@pytest.fixture
def small_door(service: ServiceDefinition, sqlite_databases: Databases, tmp_path: Path) -> Iterator[Door]:
    """The same on SQLite only, for what does not depend on the database."""
    found = Door(service, sqlite_databases.fresh(service.migrations), tmp_path)
    yield found
    found.close()
