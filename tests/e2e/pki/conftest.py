"""One suite a module, and its CA as users meet it."""

from __future__ import annotations

import pytest

from tests.support.pki import Ca
from tests.support.suite import Suite, shared_suite, suite

__all__ = ["ca", "shared_suite", "suite"]


@pytest.fixture
def ca(shared_suite: Suite) -> Ca:
    return Ca(shared_suite)
