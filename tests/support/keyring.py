"""Keyrings on a fresh database: one for each replica, with an open barrier and a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import FixedClock
from pycryptoutil.keyring import ElasticKey, KeyOrder, KeyPolicy, KeyringService, Operation, Purpose
from pycryptoutil.service.settings import BarrierSettings
from pycryptoutil.storage import Database

TENANT = "0" * 32
OTHER_TENANT = "f" * 32
NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
PACKAGES = ("pycryptoutil.keyring",)
ALGORITHMS = {
    Purpose.ENCRYPT: "A256GCM",
    Purpose.SIGN: "ES256",
    Purpose.MAC: "HS256",
    Purpose.WRAP: "A256KW",
    Purpose.DERIVE: "HKDF-SHA256",
    Purpose.ENCAPSULATE: "ML-KEM-768",
}
USES = {
    Purpose.ENCRYPT: (Operation.ENCRYPT, Operation.DECRYPT),
    Purpose.SIGN: (Operation.SIGN, Operation.VERIFY),
    Purpose.MAC: (Operation.MAC, Operation.VERIFY_MAC),
    Purpose.WRAP: (Operation.WRAP, Operation.UNWRAP),
    Purpose.DERIVE: (Operation.DERIVE, Operation.DERIVE),
    Purpose.ENCAPSULATE: (Operation.ENCAPSULATE, Operation.DECAPSULATE),
}


@dataclass(slots=True)
class World:
    """What a test of the keyring needs; ``other`` is a second replica of ``keys``."""

    keys: KeyringService
    other: KeyringService
    database: Database
    barrier: Barrier
    clock: FixedClock

    def make(self, name: str = "invoices", purpose: Purpose = Purpose.ENCRYPT, **options: Any) -> ElasticKey:
        """Make a key; options are the order's, and the policy's members."""
        policy = {field: options.pop(field) for field in KeyPolicy.__dataclass_fields__ if field in options}
        algorithm = options.pop("algorithm", ALGORITHMS[purpose])
        order = KeyOrder(name, algorithm, purpose, policy=KeyPolicy(**policy), **options)
        return self.keys.create(TENANT, order, "user:alice")


@contextmanager
def open_world(url: str, data_dir: Path, **options: bool) -> Iterator[World]:
    """Open two replicas."""
    clock = FixedClock(NOW)
    first, second = Database.open(url, clock=clock), Database.open(url, clock=clock)
    try:
        barriers = [Barrier.open(one, BarrierSettings(mode="dev"), clock, data_dir) for one in (first, second)]
        keys = KeyringService(first, barriers[0], clock, "sm-kms", **options)
        other = KeyringService(second, barriers[1], clock, "sm-kms", **options)
        yield World(keys, other, first, barriers[0], clock)
    finally:
        first.close()
        second.close()
