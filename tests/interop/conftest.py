"""What the interop tests share: one suite for all of them, and its CA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.pki import Ca
from tests.support.programs import Debian13
from tests.support.suite import make_suite, suite  # noqa: F401  a fixture


@pytest.fixture(scope="package")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ca]:
    """The CA of one running suite."""
    made = make_suite(tmp_path_factory.mktemp("suite"))
    try:
        yield Ca(made.start())
    finally:
        made.close()


@pytest.fixture(scope="package")
def trust(ca: Ca, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with root.pem, issuing.pem and chain.pem (both), fetched as an administrator does."""
    folder = tmp_path_factory.mktemp("trust")
    issuing, root = ca.chain()
    (folder / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (folder / "issuing.pem").write_bytes(issuing.public_bytes(Encoding.PEM))
    (folder / "chain.pem").write_bytes(issuing.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    return folder


@pytest.fixture
def debian13() -> Iterator[Debian13]:
    """Programs of Debian 13."""
    found = Debian13()
    yield found
    found.close()
