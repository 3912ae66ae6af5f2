"""Suites of their own for each test that stops them."""

from tests.support.suite import suite

__all__ = ["suite"]
