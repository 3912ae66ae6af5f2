"""Opening, continuing and closing transactions. What another replica changed meanwhile is a Fault(CONFLICT)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.room import Room
from pycryptoutil.authority.store import TRANSACTION_SECRETS
from pycryptoutil.authority.transactions import store
from pycryptoutil.authority.transactions.store import Transaction, TransactionRow
from pycryptoutil.storage import SYSTEM_TENANT
from pycryptoutil.storage.types import canonical_json

PROTOCOLS: Final = frozenset({"scep", "cmp", "cmc"})
MAX_ID: Final = 128
_MAX_STATE: Final = 32
_MAX_DATA: Final = 256 * 1024
_RETRY: Final = 60


class Transactions:
    """Every transaction of the installation; shared by all threads, holds nothing."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def open(
        self,
        tenant_id: str,
        protocol: str,
        identifier: str,
        owner: str,
        state: str,
        data: Mapping[str, Any],
        expires_at: datetime,
        secret: bytes = b"",
    ) -> Transaction:
        """Begin one, durable when this returns.

        Fault(CONFLICT) if the id is known, and be it of one that has run out and is not closed; RATE_LIMITED when the
        owner has too many open; TOO_LARGE.
        """
        if protocol not in PROTOCOLS or not 0 < len(identifier) <= MAX_ID or not 0 < len(state) <= _MAX_STATE:
            raise Fault(FaultKind.INTERNAL, f"transaction {protocol[:20]}/{identifier[:40]!r} in state {state[:40]!r}")
        now = self._room.clock.now()
        made = Transaction(tenant_id, protocol, identifier, owner, state, dict(data), 1, now, expires_at, secret)
        row = self._row(made)
        with self._room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"transactions:{protocol}:{owner}")
            if store.open_of(uow, protocol, owner, now) >= self._room.settings.max_open_transactions:
                public = "too many transactions are open; finish some, or come again later"
                raise Fault(FaultKind.RATE_LIMITED, f"{owner} has too many of {protocol}", public, retry_after=_RETRY)
            if store.get(uow, protocol, identifier) is not None:
                raise _conflict(made, "the transaction identifier is in use")
            store.insert(uow, row)
        return made

    def get(self, tenant_id: str, protocol: str, identifier: str) -> Transaction | None:
        """Return one, even if it has run out; None if there is none."""
        if not 0 < len(identifier) <= MAX_ID:
            return None
        with self._room.database.read(tenant_id) as reader:
            row = store.get(reader, protocol, identifier)
        return self._transaction(row) if row is not None else None

    def save(
        self,
        transaction: Transaction,
        *,
        state: str | None = None,
        data: Mapping[str, Any] | None = None,
        expires_at: datetime | None = None,
        secret: bytes | None = None,
    ) -> Transaction:
        """Write what changed and return the result; Fault(CONFLICT) when another replica was first."""
        changed = replace(
            transaction,
            state=transaction.state if state is None else state,
            data=transaction.data if data is None else dict(data),
            expires_at=transaction.expires_at if expires_at is None else expires_at,
            secret=transaction.secret if secret is None else secret,
            version=transaction.version + 1,
        )
        row = self._row(changed)
        with self._room.database.unit_of_work(transaction.tenant_id) as uow:
            if not store.replace(uow, row, transaction.version):
                raise _conflict(transaction, "the transaction went on elsewhere")
        return changed

    def close(self, transaction: Transaction) -> None:
        """Forget one. Nothing happens if it is gone; Fault(CONFLICT) if another replica changed it meanwhile."""
        with self._room.database.unit_of_work(transaction.tenant_id) as uow:
            if store.delete(uow, transaction.protocol, transaction.id, transaction.version):
                return
            if store.get(uow, transaction.protocol, transaction.id) is not None:
                raise _conflict(transaction, "the transaction went on elsewhere")

    def expired(self, protocol: str, now: datetime, limit: int = 100) -> list[Transaction]:
        """Return what has run out, of every tenant, oldest first: for a background task to act on and close."""
        with self._room.database.read(SYSTEM_TENANT) as reader:
            rows = store.expired(reader, protocol, now, limit)
        return [self._transaction(row) for row in rows]

    def _row(self, made: Transaction) -> TransactionRow:
        if len(canonical_json(dict(made.data))) > _MAX_DATA:
            public = "the transaction needs more memory than there is for one"
            raise Fault(FaultKind.TOO_LARGE, f"{made.protocol} transaction {made.id[:40]!r} is too large", public)
        sealed = self._room.barrier.encrypt(made.secret, _aad(made)) if made.secret else None
        return TransactionRow(
            made.tenant_id,
            made.protocol,
            made.id,
            made.owner,
            made.state,
            made.data,
            sealed,
            made.version,
            made.created_at,
            made.expires_at,
        )

    def _transaction(self, row: TransactionRow) -> Transaction:
        found = Transaction(
            row.tenant_id,
            row.protocol,
            row.id,
            row.owner,
            row.state,
            row.document,
            row.version,
            row.created_at,
            row.expires_at,
        )
        if row.sealed_secret is None:
            return found
        return replace(found, secret=self._room.barrier.decrypt(row.sealed_secret, _aad(found)))


def _aad(transaction: Transaction) -> bytes:
    return TRANSACTION_SECRETS.aad(transaction.tenant_id, transaction.protocol, transaction.id)


def _conflict(transaction: Transaction, public: str) -> Fault:
    return Fault(FaultKind.CONFLICT, f"{transaction.protocol} transaction {transaction.id[:128]!r}: {public}", public)
