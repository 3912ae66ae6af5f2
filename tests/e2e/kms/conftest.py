"""sm-kms behind the real router and middleware, on both kinds of database."""

from __future__ import annotations

import pytest

from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.services.sm_kms import SERVICE
from tests.support.door import Door
from tests.support.doors import cheap_passwords, door, small_door

__all__ = ["cheap_passwords", "door", "small_door"]


@pytest.fixture
def service() -> ServiceDefinition:
    return SERVICE


@pytest.fixture
def light(small_door: Door) -> Door:
    return small_door
