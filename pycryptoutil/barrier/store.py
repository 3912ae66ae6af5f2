"""The barrier's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnClause, ColumnElement, TableClause, and_, column, func, select, table, tuple_

from pycryptoutil.storage import SYSTEM_TENANT, Reader, UnitOfWork
from pycryptoutil.storage.schema import barrier_keys, rewrap_progress, tenants

Level = Literal["unseal", "root", "intermediate", "content", "static"]
LOCK: Final = "barrier"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key, wrapped by its parent; of an unseal key only its check value."""

    id: str
    level: Level
    generation: int
    parent_id: str
    wrapped: bytes = field(repr=False)
    created_at: datetime
    facts: dict[str, Any] = field(default_factory=dict)
    uses: int = 0
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed values. Their aad is ``{aad_prefix}:{tenant_id}:{key column values joined by ':'}``."""

    table: str
    key_columns: tuple[str, ...]  # unique within a tenant; tenant_id itself is not among them
    column: str
    aad_prefix: str

    def aad(self, tenant_id: str, *keys: object) -> bytes:
        """Return the associated data of the value in the row with these keys."""
        return f"{self.aad_prefix}:{tenant_id}:{':'.join(str(key) for key in keys)}".encode()

    @property
    def name(self) -> str:
        """``table.column``."""
        return f"{self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class SealedValue:
    """A sealed value and where it is."""

    keys: tuple[Any, ...]
    sealed: bytes = field(repr=False)


def load(reader: Reader) -> list[KeyRow]:
    """Return every key, parents before children."""
    order = {"unseal": 0, "root": 1, "static": 2, "intermediate": 3, "content": 4}
    rows = [
        KeyRow(r.id, r.level, r.generation, r.parent_id, r.wrapped, r.created_at, r.facts, r.uses, r.retired_at)
        for r in reader.execute(select(barrier_keys)).all()
    ]
    return sorted(rows, key=lambda row: (order[row.level], row.generation))


def insert(uow: UnitOfWork, row: KeyRow) -> None:
    """Add a key."""
    uow.execute(
        barrier_keys.insert().values(
            id=row.id,
            level=row.level,
            generation=row.generation,
            parent_id=row.parent_id,
            wrapped=row.wrapped,
            facts=row.facts,
            uses=row.uses,
            created_at=row.created_at,
            retired_at=row.retired_at,
        )
    )


def retire(uow: UnitOfWork, row: KeyRow, at: datetime) -> None:
    """Keep a key for reading only."""
    uow.execute(barrier_keys.update().where(barrier_keys.c.id == row.id).values(retired_at=at))


def rewrapped(uow: UnitOfWork, row: KeyRow, parent_id: str, wrapped: bytes) -> KeyRow:
    """Put a key under another parent."""
    uow.execute(barrier_keys.update().where(barrier_keys.c.id == row.id).values(parent_id=parent_id, wrapped=wrapped))
    return replace(row, parent_id=parent_id, wrapped=wrapped)


def add_uses(uow: UnitOfWork, key_id: str, uses: int) -> None:
    """Count what a process has sealed with a key."""
    change = barrier_keys.update().where(barrier_keys.c.id == key_id)
    uow.execute(change.values(uses=barrier_keys.c.uses + uses))


def tenant_ids(reader: Reader) -> list[str]:
    """Return every tenant that may own rows, the system first."""
    found = reader.execute(select(tenants.c.tenant_id).order_by(tenants.c.tenant_id)).scalars()
    return [SYSTEM_TENANT, *found]


class Values:
    """The sealed values of one column, one tenant at a time."""

    def __init__(self, sealed: SealedColumn) -> None:
        self._table: TableClause = table(
            sealed.table, column("tenant_id"), column(sealed.column), *(column(name) for name in sealed.key_columns)
        )
        self._value: ColumnClause[Any] = self._table.c[sealed.column]
        self._keys: list[ColumnClause[Any]] = [self._table.c[name] for name in sealed.key_columns]

    def _of(self, tenant_id: str) -> ColumnElement[bool]:
        return and_(self._table.c.tenant_id == tenant_id, self._value.is_not(None), self._value != b"")

    def count(self, reader: Reader) -> int:
        """Count the tenant's values."""
        query = select(func.count()).select_from(self._table).where(self._of(reader.tenant_id))
        return int(reader.execute(query).scalar_one())

    def batch(self, reader: Reader, after: Sequence[Any] | None, size: int) -> list[SealedValue]:
        """Return the next values in the order of their keys."""
        query = select(*self._keys, self._value).where(self._of(reader.tenant_id))
        if after is not None:
            query = query.where(tuple_(*self._keys) > tuple_(*after))
        rows = reader.execute(query.order_by(*self._keys).limit(size)).all()
        return [SealedValue(tuple(row[:-1]), bytes(row[-1])) for row in rows]

    def one(self, uow: UnitOfWork, keys: Sequence[Any]) -> bytes | None:
        """Return the value as it is now."""
        value = uow.execute(select(self._value).where(self._at(uow.tenant_id, keys))).scalar_one_or_none()
        return None if value is None else bytes(value)

    def replace(self, uow: UnitOfWork, old: SealedValue, sealed: bytes) -> bool:
        """Put ``sealed`` in place of exactly the old value; False when somebody else was there first."""
        place = and_(self._at(uow.tenant_id, old.keys), self._value == old.sealed)
        return uow.execute(self._table.update().where(place).values({self._value: sealed})).rowcount == 1

    def _at(self, tenant_id: str, keys: Sequence[Any]) -> ColumnElement[bool]:
        return and_(self._table.c.tenant_id == tenant_id, *(c == v for c, v in zip(self._keys, keys, strict=True)))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rewrap of one column has come."""

    key_id: str
    tenant_id: str
    after: list[Any] | None
    rewrapped: int


def progress(reader: Reader, name: str, key_id: str) -> Progress:
    """Return where to go on; the beginning when the last run finished or was for another key."""
    row = reader.execute(select(rewrap_progress).where(rewrap_progress.c.name == name)).one_or_none()
    if row is None or row.key_id != key_id or row.finished_at is not None:
        return Progress(key_id, "", None, 0)
    return Progress(key_id, row.cursor["tenant_id"], row.cursor["after"], row.rewrapped)


def save_progress(uow: UnitOfWork, name: str, at: Progress, finished_at: datetime | None = None) -> None:
    """Keep the place, in the unit that did the work up to it."""
    values = {
        "key_id": at.key_id,
        "cursor": {"tenant_id": at.tenant_id, "after": at.after},
        "rewrapped": at.rewrapped,
        "finished_at": finished_at,
    }
    statement = uow.insert(rewrap_progress).values(name=name, **values)
    uow.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
