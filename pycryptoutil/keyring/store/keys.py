"""Statements on elastic keys: one, lists with cursor and total, and what is due."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import Text, and_, bindparam, func, or_, select, type_coerce, update

from pycryptoutil.jose.text import b64d, b64e
from pycryptoutil.keyring.catalog import Purpose
from pycryptoutil.keyring.model import ElasticKey, KeyFilter, KeyPage, KeyPolicy, KeyStatus, Sort
from pycryptoutil.keyring.store.tables import elastic_keys
from pycryptoutil.storage import Instant, Prepared, Reader, UnitOfWork, canonical_json

_MAX_LIMIT: Final = 200
_c = elastic_keys.c
_MINE: Final = and_(_c.tenant_id == bindparam("tenant_id"), _c.owner == bindparam("owner"))
_BY_ID: Final = Prepared(select(elastic_keys).where(_MINE, _c.id == bindparam("id")))
_BY_NAME: Final = Prepared(select(elastic_keys).where(_MINE, _c.name == bindparam("name")))


def _key(row: Any) -> ElasticKey:
    return ElasticKey(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        description=row.description,
        algorithm=row.algorithm,
        purpose=Purpose(row.purpose),
        status=KeyStatus(row.status),
        policy=KeyPolicy(**row.policy),
        labels=row.labels,
        latest_version=row.latest_version,
        active_version=row.active_version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        rotated_at=row.rotated_at,
        rotates_at=row.rotates_at,
        delete_at=row.delete_at,
        change=row.change,
    )


def insert(uow: UnitOfWork, owner: str, key: ElasticKey) -> None:
    """Add one; Fault(CONFLICT) for a name that is taken."""
    own = [column.name for column in elastic_keys.columns if column.name not in ("owner", "policy", "labels")]
    values = {name: getattr(key, name) for name in own}
    values |= {"owner": owner, "policy": asdict(key.policy), "labels": dict(key.labels)}
    uow.execute(elastic_keys.insert().values(values))


def find(reader: Reader, owner: str, reference: str) -> ElasticKey | None:
    """Return the key of an id or, failing that, of a name. Both are looked for, whatever is found."""
    mine = {"tenant_id": reader.tenant_id, "owner": owner}
    by_id = reader.execute(_BY_ID, mine | {"id": reference[:32]}).one_or_none()
    by_name = reader.execute(_BY_NAME, mine | {"name": reference[:200]}).one_or_none()
    row = by_id if by_id is not None and by_id.id == reference else by_name
    return None if row is None else _key(row)


def change(uow: UnitOfWork, key: ElasticKey, **values: Any) -> ElasticKey:
    """Change a key as it was read; Fault(CONFLICT) if somebody else was first."""
    if "policy" in values:
        values["policy"] = asdict(values["policy"])
    if "labels" in values:
        values["labels"] = dict(values["labels"])
    done = uow.execute(
        update(elastic_keys)
        .where(_c.tenant_id == uow.tenant_id, _c.id == key.id, _c.change == key.change)
        .values(change=key.change + 1, updated_at=uow.clock.now(), **values)
    )
    if done.rowcount != 1:
        raise Fault(FaultKind.CONFLICT, f"key {key.id} was changed meanwhile", "the key was changed meanwhile")
    row = uow.execute(select(elastic_keys).where(_c.tenant_id == uow.tenant_id, _c.id == key.id)).one()
    return _key(row)


def _conditions(owner: str, tenant_id: str, wanted: KeyFilter) -> list[Any]:
    found: list[Any] = [_c.tenant_id == tenant_id, _c.owner == owner]
    if wanted.name:
        found.append(_c.name.contains(wanted.name, autoescape=True))
    if wanted.algorithm:
        found.append(_c.algorithm == wanted.algorithm)
    if wanted.purpose is not None:
        found.append(_c.purpose == wanted.purpose.value)
    if wanted.status is not None:
        found.append(_c.status == wanted.status.value)
    else:
        found.append(_c.status != KeyStatus.DESTROYED.value)
    if wanted.created_after is not None:
        found.append(_c.created_at > wanted.created_after)
    if wanted.created_before is not None:
        found.append(_c.created_at < wanted.created_before)
    for name, value in wanted.labels.items():
        # canonical JSON writes each member one way, and no quote stands unescaped inside a value
        found.append(type_coerce(_c.labels, Text).contains(canonical_json({name: value})[1:-1], autoescape=True))
    return found


def listing(
    reader: Reader, owner: str, wanted: KeyFilter, sort: Sort, descending: bool, cursor: str, limit: int
) -> KeyPage:
    """Return a page; Fault(INVALID) for a cursor that is not of this list."""
    conditions = _conditions(owner, reader.tenant_id, wanted)
    total = reader.execute(select(func.count()).select_from(elastic_keys).where(*conditions)).scalar_one()
    column = _c[sort]
    if cursor:
        value, identifier = _read_cursor(cursor, sort, descending)
        at: Any = value if sort == "name" else _instant(value)
        further = column < at if descending else column > at
        after = _c.id < identifier if descending else _c.id > identifier
        conditions.append(or_(further, and_(column == at, after)))
    order = (column.desc(), _c.id.desc()) if descending else (column, _c.id)
    size = max(1, min(limit, _MAX_LIMIT))
    rows = reader.execute(select(elastic_keys).where(*conditions).order_by(*order).limit(size + 1)).all()
    items = tuple(_key(row) for row in rows[:size])
    more = len(rows) > size
    return KeyPage(items, _write_cursor(items[-1], sort, descending) if more else "", total)


def _instant(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise _bad_cursor() from None


def _write_cursor(key: ElasticKey, sort: Sort, descending: bool) -> str:
    value = key.name if sort == "name" else getattr(key, sort).isoformat()
    return b64e(json.dumps([sort, descending, value, key.id]).encode())


def _read_cursor(cursor: str, sort: Sort, descending: bool) -> tuple[str, str]:
    try:
        found = json.loads(b64d(cursor[:1000]))
    except (ValueError, Fault, RecursionError):
        raise _bad_cursor() from None
    good = isinstance(found, list) and len(found) == 4 and found[:2] == [sort, descending]
    if not good or not all(isinstance(one, str) for one in found[2:]):
        raise _bad_cursor()
    return found[2], found[3]


def _bad_cursor() -> Fault:
    return Fault(FaultKind.INVALID, "cursor of another list", "the cursor is not of this list", pointer="cursor")


_DUE: Final = Prepared(
    select(_c.tenant_id, _c.id)
    .where(
        _c.owner == bindparam("owner"),
        _c.status == KeyStatus.ENABLED.value,
        _c.rotates_at <= bindparam("now", type_=Instant),
    )
    .order_by(_c.rotates_at)
    .limit(200)
)
_EXPIRED: Final = Prepared(
    select(_c.tenant_id, _c.id)
    .where(
        _c.owner == bindparam("owner"),
        _c.status == KeyStatus.DELETED.value,
        _c.delete_at <= bindparam("now", type_=Instant),
    )
    .limit(200)
)


def due(reader: Reader, owner: str, now: datetime) -> list[tuple[str, str]]:
    """Return tenant and id of keys whose rotation is due, over all tenants (a reader of the system)."""
    return [(row.tenant_id, row.id) for row in reader.execute(_DUE, {"owner": owner, "now": now})]


def expired(reader: Reader, owner: str, now: datetime) -> list[tuple[str, str]]:
    """Return tenant and id of deleted keys whose waiting period has ended."""
    return [(row.tenant_id, row.id) for row in reader.execute(_EXPIRED, {"owner": owner, "now": now})]


def all_of(reader: Reader, owner: str) -> list[ElasticKey]:
    """Return every key of the tenant that is not destroyed: for a backup."""
    statement = select(elastic_keys).where(
        _c.tenant_id == reader.tenant_id, _c.owner == owner, _c.status != KeyStatus.DESTROYED.value
    )
    return [_key(row) for row in reader.execute(statement.order_by(_c.created_at, _c.id))]


def policy_of(values: Mapping[str, Any]) -> KeyPolicy:
    """Return the policy that a backup wrote."""
    return KeyPolicy(**values)
