"""What is remembered between the messages of a transaction, and which message may come next.

A record is plain data that goes to a database as JSON, so that any replica can answer the next message. It keeps the
digest of the last message with its answer: a client that lost an answer repeats its message and gets the same one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pycryptoutil_protocols.cmp.messages import BodyType

INITIAL = frozenset(
    {
        BodyType.IR,
        BodyType.CR,
        BodyType.KUR,
        BodyType.P10CR,
        BodyType.RR,
        BodyType.KRR,
        BodyType.CCR,
        BodyType.GENM,
        BodyType.NESTED,
    }
)
"""What begins a transaction."""

ENROLLING = frozenset({BodyType.IR, BodyType.CR, BodyType.KUR, BodyType.P10CR})


class State(enum.Enum):
    """Where a transaction stands."""

    BEGUN = "begun"  # the request is being served, or its server died: only the same request again is answered
    WAITING = "waiting"  # for approval: polled
    CONFIRMING = "confirming"  # a certificate waits for certConf
    KEYED = "keyed"  # a KEM shared secret was made, the request that uses it comes next (RFC 9810 section 5.1.3.4)
    DONE = "done"  # kept for a while, so that nothing of it can be played again


EXPECTED: Mapping[State, frozenset[BodyType]] = {
    State.BEGUN: frozenset(),
    State.WAITING: frozenset({BodyType.POLLREQ, BodyType.ERROR}),
    State.CONFIRMING: frozenset({BodyType.CERTCONF, BodyType.ERROR}),
    State.KEYED: INITIAL,
    State.DONE: frozenset(),
}


class ItemState(enum.Enum):
    """How far one certificate of a transaction got."""

    ASKED = "asked"
    PENDING = "pending"
    ISSUED = "issued"  # sent, not confirmed
    CONFIRMED = "confirmed"
    REFUSED = "refused"  # by the CA
    DISCARDED = "discarded"  # rejected by the client, or not confirmed in time: revoked


@dataclass(frozen=True, slots=True)
class Item:
    """One certificate that was asked for. ``place`` is the office's own word for where it is kept."""

    request_id: int
    state: ItemState = ItemState.ASKED
    enrolment: str = ""
    serial: str = ""
    authority: str = ""
    spki_sha256: str = ""
    encrypted: bool = False  # the certificate was sent encrypted: its hash in certConf proves possession

    def document(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "request_id": self.request_id,
            "state": self.state.value,
            "enrolment": self.enrolment,
            "serial": self.serial,
            "authority": self.authority,
            "spki_sha256": self.spki_sha256,
            "encrypted": self.encrypted,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Item:
        """Read JSON values."""
        return cls(**{**document, "state": ItemState(document["state"])})


@dataclass(frozen=True, slots=True)
class Memory:
    """What a transaction keeps. Octets are hexadecimal; ``secret`` is sealed by the office."""

    kind: int  # body type of the request
    auth: str  # how its messages are protected
    digest: str  # of the last message that was taken
    nonce: str = ""  # our last senderNonce
    heard: str = ""  # the client's last one
    answer: str = field(default="", repr=False)  # to the last message, base64
    request: str = field(default="", repr=False)  # the first message, base64, while something waits
    implicit: bool = False  # confirmed without certConf
    secret: str = field(default="", repr=False)
    items: tuple[Item, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "kind": self.kind,
            "auth": self.auth,
            "digest": self.digest,
            "nonce": self.nonce,
            "heard": self.heard,
            "answer": self.answer,
            "request": self.request,
            "implicit": self.implicit,
            "secret": self.secret,
            "items": [item.document() for item in self.items],
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Memory:
        """Read JSON values."""
        return cls(**{**document, "items": tuple(map(Item.read, document["items"]))})

    def item(self, request_id: int) -> Item | None:
        """Return the certificate of an id, or None."""
        return next((item for item in self.items if item.request_id == request_id), None)

    def with_item(self, changed: Item) -> Memory:
        """Return a copy where ``changed`` takes the place of the item with its id."""
        items = tuple(changed if item.request_id == changed.request_id else item for item in self.items)
        return replace(self, items=items)


@dataclass(frozen=True, slots=True)
class Record:
    """A transaction as stored. ``handle`` is the office's own, for compare-and-set."""

    id: str
    owner: str
    state: State
    memory: Memory
    expires_at: datetime
    handle: object = field(default=None, repr=False, compare=False)


def next_state(memory: Memory) -> State:
    """Return where a transaction stands by what became of its certificates."""
    states = {item.state for item in memory.items}
    if states & {ItemState.PENDING, ItemState.ASKED}:
        return State.WAITING
    if ItemState.ISSUED in states and not memory.implicit:
        return State.CONFIRMING
    return State.DONE
