"""Real processes."""

from tests.support.suite import suite

__all__ = ["suite"]
