"""Fixtures that start suites."""

from __future__ import annotations

from tests.support.suite import shared_suite, suite

__all__ = ["shared_suite", "suite"]
