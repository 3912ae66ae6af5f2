"""Fixtures of the telemetry tests."""

from tests.support.otlp import receiver
from tests.support.suite import suite

__all__ = ["receiver", "suite"]
