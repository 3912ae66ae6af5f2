"""A store of SoftHSM2 tokens for each test module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pycryptoutil.crypto.pkcs11 import Token
from tests.support.hsm import SoftHsm, soft_hsm


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    with soft_hsm(tmp_path_factory.mktemp("hsm")) as made:
        yield made


@pytest.fixture
def token(hsm: SoftHsm) -> Token:
    return hsm.token(hsm.make())
