"""Statements on accounts and on nonces that were used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from pycryptoutil.authority.acme.store.rows import AccountRow
from pycryptoutil.authority.acme.store.tables import accounts, nonces
from pycryptoutil.storage import Reader, UnitOfWork

_COLUMNS = tuple(accounts.c[name] for name in AccountRow.__slots__)


def _inserted(uow: UnitOfWork, statement: Any) -> bool:
    """Insert unless there is such a row; tell which. The count of an INSERT is kept only where that is asked for."""
    found = uow.execute(statement.on_conflict_do_nothing().execution_options(preserve_rowcount=True))
    return found.rowcount == 1


def use_nonce(uow: UnitOfWork, nonce: str, expires_at: datetime) -> bool:
    """Note that a nonce was used; False if it was before."""
    statement = uow.insert(nonces).values(tenant_id=uow.tenant_id, nonce=nonce, expires_at=expires_at)
    return _inserted(uow, statement)


def forget_nonces(uow: UnitOfWork, now: datetime) -> None:
    """Delete what would be refused as too old."""
    uow.execute(nonces.delete().where(nonces.c.tenant_id == uow.tenant_id, nonces.c.expires_at < now))


def _one(reader: Reader, *conditions: Any) -> AccountRow | None:
    row = reader.execute(select(*_COLUMNS).where(accounts.c.tenant_id == reader.tenant_id, *conditions)).one_or_none()
    return AccountRow(**row._asdict()) if row is not None else None


def by_id(reader: Reader, account_id: str) -> AccountRow | None:
    """Return an account."""
    return _one(reader, accounts.c.id == account_id)


def by_key(reader: Reader, scope: str, thumbprint: str) -> AccountRow | None:
    """Return the account of a key."""
    return _one(reader, accounts.c.scope == scope, accounts.c.thumbprint == thumbprint)


def insert(uow: UnitOfWork, row: AccountRow) -> bool:
    """Add an account; False if the key has one already."""
    values = {name: getattr(row, name) for name in AccountRow.__slots__}
    return _inserted(uow, uow.insert(accounts).values(values))


def change(uow: UnitOfWork, account_id: str, values: Mapping[str, Any]) -> None:
    """Change columns; Fault(CONFLICT) when a new key is another account's."""
    uow.execute(
        update(accounts).where(accounts.c.tenant_id == uow.tenant_id, accounts.c.id == account_id).values(**values)
    )


def count_of_peer(reader: Reader, peer: str, since: datetime) -> int:
    """Count the accounts that an address has made lately."""
    c = accounts.c
    statement = select(func.count()).where(c.tenant_id == reader.tenant_id, c.peer == peer, c.created_at > since)
    return int(reader.execute(statement).scalar_one())
