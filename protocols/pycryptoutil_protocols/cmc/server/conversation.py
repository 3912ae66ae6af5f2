"""Transactions and nonces (RFC 5272 section 6.6): what a message continues, and what it must not repeat."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass, field
from typing import Any

from pycryptoutil_protocols.cmc import controls
from pycryptoutil_protocols.cmc.messages import PkiData
from pycryptoutil_protocols.faults import Fault, FaultKind

from .backend import Backend, Memo, Party, Rules
from .identity import marks_of, owner_of

_NONCE = 16
_MAX_SEEN = 64


@dataclass(slots=True)
class Conversation:
    """One message's place among others; ``memo`` is what is known of its transaction."""

    transaction: int | None = None
    sender_nonce: bytes | None = None
    data_return: bytes | None = field(default=None, repr=False)
    nonce: bytes = b""  # ours
    memo: Memo | None = None
    repeats: bool = False
    goes_on: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def echo(self) -> list[tuple[controls.Kind[Any], Any]]:
        """Return the controls by which the peer knows the answer for its own."""
        found: list[tuple[controls.Kind[Any], Any]] = []
        if self.transaction is not None:
            found.append((controls.TRANSACTION_ID, self.transaction))
        if self.nonce:
            found.append((controls.SENDER_NONCE, self.nonce))
        if self.sender_nonce is not None:
            found.append((controls.RECIPIENT_NONCE, self.sender_nonce))
        if self.data_return is not None:
            found.append((controls.DATA_RETURN, self.data_return))
        return found


def hear(data: PkiData) -> Conversation:
    """Read what a message says of its place, before anything of it is believed."""
    found = Conversation(
        controls.TRANSACTION_ID.one(data.controls),
        controls.SENDER_NONCE.one(data.controls),
        controls.DATA_RETURN.one(data.controls),
    )
    if found.transaction is not None or found.sender_nonce is not None:
        found.nonce = os.urandom(_NONCE)
    return found


def transaction_memo(transaction: int) -> str:
    """Return under which name a transaction is kept."""
    return "tx-" + hashlib.sha256(str(transaction).encode()).hexdigest()


def recall(backend: Backend, transaction: int | None) -> Memo | None:
    """Return what is known of a transaction."""
    return backend.recall(transaction_memo(transaction)) if transaction is not None else None


def check(said: Conversation, data: PkiData, party: Party, digest: str) -> None:
    """Hold a message to its transaction; Fault(REPLAYED, INVALID, FORBIDDEN).

    A new transaction brings no recipientNonce. A message of a known one brings our last nonce, unless it is the last
    message again, octet for octet: that is a retry, and gets what it asked for.
    """
    recipient = controls.RECIPIENT_NONCE.one(data.controls)
    memo = said.memo
    if memo is None:
        if recipient is not None and said.transaction is not None:
            raise Fault(FaultKind.INVALID, "unknown transactionId", "there is no such transaction")
        return
    if not set(marks_of(party)) & set(memo.data.get("marks", ())):
        raise Fault(FaultKind.FORBIDDEN, "transaction of another party", "the transaction identifier is in use")
    if memo.data.get("digest") == digest:
        said.repeats = True
        return
    if recipient is None:
        raise Fault(FaultKind.INVALID, "transactionId reused", "the transaction identifier is in use")
    if not hmac.compare_digest(recipient, bytes.fromhex(memo.data.get("nonce", ""))):
        raise Fault(FaultKind.REPLAYED, "recipientNonce differs", "the recipient nonce is not the last one sent")
    if said.sender_nonce is not None and said.sender_nonce.hex() in memo.data.get("seen", ()):
        raise Fault(FaultKind.REPLAYED, "senderNonce again", "the sender nonce was used before")


def once(backend: Backend, rules: Rules, said: Conversation, party: Party) -> None:
    """Remember a message that does more than ask for certificates; Fault(REPLAYED) if it was seen before."""
    if said.sender_nonce is None or said.notes.get("once"):
        return
    parts = (owner_of(party).encode(), str(said.transaction).encode(), said.sender_nonce)
    identifier = "once-" + hashlib.sha256(b"\0".join(parts)).hexdigest()
    try:
        # an owner for each: these do not count as open transactions of the party
        backend.remember(Memo(identifier, identifier, "once", {}), max(rules.memory, 2 * rules.time_window))
    except Fault as fault:
        if fault.kind is FaultKind.CONFLICT:
            text = "the sender nonce was used before"
            raise Fault(FaultKind.REPLAYED, "a message again", text) from None
        raise
    said.notes["once"] = True


def settle(backend: Backend, rules: Rules, said: Conversation, party: Party, digest: str, keys: list[str]) -> None:
    """Keep the transaction while it goes on, and forget it at its end. Who is not known can begin none."""
    memo = said.memo
    if said.transaction is None or (memo is None and not party.known):
        return
    if not said.goes_on:
        if memo is not None:
            backend.forget(memo)
        return
    seen = list(memo.data.get("seen", ())) if memo is not None else []
    if said.sender_nonce is not None:
        seen.append(said.sender_nonce.hex())
    data = {
        **(memo.data if memo is not None else {}),
        **{name: value for name, value in said.notes.items() if name != "once"},
        "marks": sorted({*(memo.data.get("marks", ()) if memo is not None else ()), *marks_of(party), *keys}),
        "nonce": said.nonce.hex(),
        "seen": seen[-_MAX_SEEN:],
        "digest": digest,
    }
    if memo is None:
        backend.remember(Memo(transaction_memo(said.transaction), owner_of(party), "open", data), rules.memory)
    else:
        backend.amend(memo, data)
