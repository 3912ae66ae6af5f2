"""Transactions of the CMP server in the database.

Finished ones stay for a while, but count for nobody's share of open ones. Neither do those that anybody can begin in
somebody's name, by asking for a KEM ciphertext that only the owner of the key can use: they have a share of their own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols.cmp.server.transactions import Memory, Record, State
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.transactions import Transaction, Transactions

PROTOCOL: Final = "cmp"
_PREFIXES: Final = {State.DONE: "done:", State.KEYED: "kem:"}


def document(memory: Memory) -> dict[str, Any]:
    """Return the JSON that is stored; the secret goes beside it, sealed."""
    return memory.document() | {"secret": ""}


def owner(actor: str, state: State) -> str:
    """Return whose share of open transactions one counts for."""
    return _PREFIXES.get(state, "") + actor


def read(transaction: Transaction) -> Record:
    """Return a stored transaction."""
    memory = Memory.read({**transaction.data, "secret": transaction.secret.hex()})
    state = State(transaction.state)
    actor = transaction.owner.removeprefix(_PREFIXES.get(state, ""))
    return Record(transaction.id, actor, state, memory, transaction.expires_at, transaction)


def save(transactions: Transactions, record: Record, state: State, memory: Memory, expires_at: datetime) -> Record:
    """Store what became of a transaction; Fault(CONFLICT) when another replica was first."""
    known = record.handle
    if not isinstance(known, Transaction):
        raise Fault(FaultKind.INTERNAL, "a transaction without its row")
    owned = replace(known, owner=owner(record.owner, state))
    saved = transactions.save(
        owned, state=state.value, data=document(memory), expires_at=expires_at, secret=bytes.fromhex(memory.secret)
    )
    return read(saved)
