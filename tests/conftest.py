"""Fixtures shared by every test folder."""

import pytest

from tests.support import scratch

scratch.move_to_memory()  # before anything asks where temporary files go
pytest_plugins = ["tests.support.databases"]


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name octets and long texts by their argument: random ones would name a test anew in every process."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 40) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what runs for long begin first: of two processes, neither is left with it at the end."""
    long = ("tests/e2e", "tests/fault")
    items.sort(key=lambda item: not item.nodeid.startswith(long))
