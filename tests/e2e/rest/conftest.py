"""pki-ca behind the real router and middleware, on both kinds of database."""

from __future__ import annotations

import pytest

from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.services.pki_ca import SERVICE
from tests.support.doors import cheap_passwords, door

__all__ = ["cheap_passwords", "door"]


@pytest.fixture
def service() -> ServiceDefinition:
    return SERVICE
