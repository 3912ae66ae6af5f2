"""unseal key → root → intermediate → content keys; beside them the static key for lookups and peppers."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import store
from pycryptoutil.barrier.store import KeyRow, Level
from pycryptoutil.crypto.keys import SymmetricKey
from pycryptoutil.storage import UnitOfWork

_KEK: Final = b"pycryptoutil barrier wrap v1"
_CHECK: Final = b"pycryptoutil barrier check v1"
BELOW: Final[Mapping[str, tuple[Level, ...]]] = {
    "root": ("root", "intermediate", "content"),
    "intermediate": ("intermediate", "content"),
    "content": ("content",),
}
_PARENT: Final[Mapping[Level, Level]] = {
    "root": "unseal",
    "intermediate": "root",
    "static": "root",
    "content": "intermediate",
}


@dataclass(frozen=True, slots=True)
class UnsealKey:
    """An unseal key that has been given, and the row it belongs to."""

    id: str
    wrapping: SymmetricKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Every key, opened: handles into the core's memory. Replaced as a whole, never changed."""

    unseal: UnsealKey
    rows: Mapping[str, KeyRow] = field(repr=False)
    keys: Mapping[str, SymmetricKey] = field(repr=False)
    content_id: bytes
    content: SymmetricKey = field(repr=False)

    @classmethod
    def of(cls, unseal: UnsealKey, rows: Mapping[str, KeyRow], keys: Mapping[str, SymmetricKey]) -> Self:
        """Put the content key in use within reach."""
        content_id = newest(rows.values(), "content").id
        return cls(unseal, rows, keys, bytes.fromhex(content_id), keys[content_id])

    def active(self, level: Level) -> KeyRow:
        """Return the newest key of this level."""
        return newest(self.rows.values(), level)

    def handle(self, level: Level) -> SymmetricKey:
        """Return the newest key's handle."""
        return self.keys[self.active(level).id]

    @property
    def generations(self) -> dict[str, int]:
        """Return the generation in use at each level."""
        return {level: self.active(level).generation for level in ("unseal", "root", "intermediate", "content")}


def newest(rows: Iterable[KeyRow], level: Level) -> KeyRow:
    """Return the key of ``level`` that is in use."""
    return max((row for row in rows if row.level == level), key=lambda row: row.generation)


def check_value(key: SymmetricKey, key_id: str) -> bytes:
    """Return what tells the right unseal key from a wrong one, and nothing else about it."""
    return key.derive(_CHECK).hmac("sha256", bytes.fromhex(key_id))


def unseal_row(key: SymmetricKey, key_id: str, generation: int, facts: dict[str, Any], now: datetime) -> KeyRow:
    """Describe a new unseal key."""
    return KeyRow(key_id, "unseal", generation, "", check_value(key, key_id), now, facts)


def given(key: SymmetricKey, key_id: str) -> UnsealKey:
    """Take an unseal key for use."""
    return UnsealKey(key_id, key.derive(_KEK))


def new_id() -> str:
    """Return an identifier for a key: 16 bytes in hex."""
    return uuid.uuid4().hex


def open_keys(rows: Iterable[KeyRow], unseal: UnsealKey, known: Mapping[str, SymmetricKey]) -> Keyring:
    """Unwrap whatever is not ``known`` yet. Rows come parents first."""
    table = {row.id: row for row in rows}
    keys: dict[str, SymmetricKey] = {}
    for row in table.values():
        if row.level == "unseal":
            continue
        if row.id in known:
            keys[row.id] = known[row.id]
            continue
        parent = unseal.wrapping if row.parent_id == unseal.id else keys.get(row.parent_id)
        if parent is None:
            raise Fault(FaultKind.SEALED, f"{row.level} key {row.id} is under a key that is not open here", "sealed")
        keys[row.id] = SymmetricKey.unwrap(parent, row.wrapped)
    return Keyring.of(unseal, table, keys)


class Growth:
    """New keys within one unit of work."""

    def __init__(self, uow: UnitOfWork, unseal: UnsealKey, ring: Keyring | None, now: datetime) -> None:
        self._uow = uow
        self._now = now
        self._unseal = unseal
        self._rows = dict(ring.rows) if ring else {}
        self._keys = dict(ring.keys) if ring else {}

    def ring(self) -> Keyring:
        """Return the keys as they will be once the unit is durable."""
        return Keyring.of(self._unseal, self._rows, self._keys)

    def add_unseal(self, row: KeyRow) -> None:
        """Add a new unseal key and put every root under it."""
        for old in [r for r in self._rows.values() if r.level == "unseal" and r.retired_at is None]:
            self._retire(old)
        store.insert(self._uow, row)
        self._rows[row.id] = row
        for root in [r for r in self._rows.values() if r.level == "root"]:
            wrapped = self._keys[root.id].wrap(self._unseal.wrapping)
            self._rows[root.id] = store.rewrapped(self._uow, root, row.id, wrapped)

    def add(self, level: Level) -> None:
        """Add a new key under the newest of the level above; the one before stays for reading."""
        before = [r for r in self._rows.values() if r.level == level]
        for old in before:
            if old.retired_at is None:
                self._retire(old)
        parent = newest(self._rows.values(), _PARENT[level])
        key = SymmetricKey.generate()
        generation = max((r.generation for r in before), default=0) + 1
        row = KeyRow(new_id(), level, generation, parent.id, key.wrap(self._wrapping(parent)), self._now)
        store.insert(self._uow, row)
        self._rows[row.id], self._keys[row.id] = row, key

    def move_static(self) -> None:
        """Put the static key, which never changes, under the newest root."""
        root = newest(self._rows.values(), "root")
        row = newest(self._rows.values(), "static")
        wrapped = self._keys[row.id].wrap(self._keys[root.id])
        self._rows[row.id] = store.rewrapped(self._uow, row, root.id, wrapped)

    def _wrapping(self, parent: KeyRow) -> SymmetricKey:
        return self._unseal.wrapping if parent.level == "unseal" else self._keys[parent.id]

    def _retire(self, row: KeyRow) -> None:
        store.retire(self._uow, row, self._now)
        self._rows[row.id] = replace(row, retired_at=self._now)
