"""Statements on token policies: what tokens of a ring say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, and_, bindparam, select

from pycryptoutil.storage import Json, Prepared, Reader, UnitOfWork

_policies: Final = Table(
    "jose_token_policies",
    MetaData(),
    Column("tenant_id", String(64), nullable=False),
    Column("ring_id", String(32), nullable=False),
    Column("policy", Json, nullable=False),
    PrimaryKeyConstraint("tenant_id", "ring_id", name="jose_token_policies_pk"),
)
_c: Final = _policies.c
_MINE: Final = Prepared(
    select(_c.policy).where(and_(_c.tenant_id == bindparam("tenant_id"), _c.ring_id == bindparam("ring_id")))
)


def policy(reader: Reader, ring_id: str) -> Mapping[str, Any] | None:
    """Return a ring's policy, None if it has none of its own."""
    row = reader.execute(_MINE, {"tenant_id": reader.tenant_id, "ring_id": ring_id}).one_or_none()
    return None if row is None else row.policy


def put(uow: UnitOfWork, ring_id: str, value: Mapping[str, Any] | None) -> None:
    """Set a ring's policy; None takes it away."""
    uow.execute(_policies.delete().where(_c.tenant_id == uow.tenant_id, _c.ring_id == ring_id))
    if value is not None:
        uow.execute(_policies.insert().values(tenant_id=uow.tenant_id, ring_id=ring_id, policy=dict(value)))
