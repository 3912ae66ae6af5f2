"""Fixtures of the lifecycle tests."""

from tests.support.suite import shared_suite, suite

__all__ = ["shared_suite", "suite"]
