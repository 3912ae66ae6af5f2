"""A service over a fresh database of each kind, called without sockets."""

from __future__ import annotations

import pytest

from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.services.learn_ps import SERVICE
from tests.support.doors import cheap_passwords, door, small_door

__all__ = ["cheap_passwords", "door", "small_door"]


@pytest.fixture
def service() -> ServiceDefinition:
    """The pet store: the smallest whole service there is."""
    return SERVICE
