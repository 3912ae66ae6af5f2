"""Fixtures of the fault tests."""

from tests.support.suite import suite

__all__ = ["suite"]
