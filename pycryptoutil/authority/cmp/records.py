"""Transactions of the CMP server in the database: finished ones stay for a while, but count for nobody's share."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols.cmp.server.transactions import Memory, Record, State
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.transactions import Transaction, Transactions

PROTOCOL: Final = "cmp"
_DONE: Final = "done:"


def document(memory: Memory) -> dict[str, Any]:
    """Return the JSON that is stored; the secret goes beside it, sealed."""
    return memory.document() | {"secret": ""}


def read(transaction: Transaction) -> Record:
    """Return a stored transaction."""
    memory = Memory.read({**transaction.data, "secret": transaction.secret.hex()})
    owner = transaction.owner.removeprefix(_DONE)
    return Record(transaction.id, owner, State(transaction.state), memory, transaction.expires_at, transaction)


def save(transactions: Transactions, record: Record, state: State, memory: Memory, expires_at: datetime) -> Record:
    """Store what became of a transaction; Fault(CONFLICT) when another replica was first."""
    known = record.handle
    if not isinstance(known, Transaction):
        raise Fault(FaultKind.INTERNAL, "a transaction without its row")
    owned = replace(known, owner=f"{_DONE}{record.owner}" if state is State.DONE else record.owner)
    saved = transactions.save(
        owned, state=state.value, data=document(memory), expires_at=expires_at, secret=bytes.fromhex(memory.secret)
    )
    return read(saved)
