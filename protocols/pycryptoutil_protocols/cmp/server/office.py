"""What the server needs from outside: who signed, what is issued, what was said before, what time it is."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pycryptoutil_protocols.cmp.messages import (
    Body,
    BodyType,
    CertifiedKeyPair,
    InfoTypeAndValue,
    PKIHeader,
    PKIMessage,
    PKIStatusInfo,
    RevDetails,
)
from pycryptoutil_protocols.faults import Fault

from .transactions import Item, Memory, Record, State
from .wishes import Wish


@dataclass(frozen=True, slots=True)
class Policy:
    """What is accepted, and how long things are remembered."""

    time_window: timedelta = timedelta(minutes=10)  # how far messageTime may be from now
    require_time: bool = False  # refuse messages without messageTime
    implicit_confirm: bool = True  # grant implicitConfirm to who asks for it
    confirm_wait: timedelta = timedelta(minutes=10)  # for certConf; then the certificate is revoked
    approval_wait: timedelta = timedelta(days=30)  # for approval of a request
    memory: timedelta = timedelta(hours=24)  # how long a finished transaction's id stays taken
    max_batch: int = 16  # messages in a nested message


class Shield(Protocol):
    """Protects answers as the request was protected (RFC 9483 section 3.2)."""

    def protect(self, header: PKIHeader, kind: BodyType, body: Body, certificates: Sequence[bytes]) -> bytes:
        """Return a whole message; sender, senderKID and protectionAlg are put in here, certificates in extraCerts."""


class Auth(enum.Enum):
    """How a message was protected. It stays the same through a transaction."""

    MAC = "mac"
    SIGNATURE = "signature"
    KEM = "kem"


@dataclass(frozen=True, slots=True)
class Requester:
    """Who protected a message. ``actor`` owns its transactions; ``person`` is the office's own knowledge of them.

    ``secret`` is what they share with the CA, empty where nothing is.
    """

    actor: str
    auth: Auth
    shield: Shield = field(repr=False)
    is_ra: bool = False  # a registration authority that may speak for others
    secret: bytes = field(default=b"", repr=False)
    person: object = field(default=None, repr=False)


class OutcomeState(enum.Enum):
    """What became of a wish."""

    ISSUED = "issued"
    PENDING = "pending"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one wish. ``key_pair`` is what is sent; ``chain`` the issuers of the certificate, DER."""

    state: OutcomeState
    enrolment: str = ""
    serial: str = ""
    authority: str = ""
    key_pair: CertifiedKeyPair | None = None
    chain: tuple[bytes, ...] = ()
    modified: bool = False  # something was granted otherwise than asked for
    fault: Fault | None = None
    retry_after: int = 0  # seconds

    @classmethod
    def refused(cls, fault: Fault) -> Outcome:
        """Return the outcome of a wish that a fault ended."""
        return cls(OutcomeState.REFUSED, fault=fault)


class Office(Protocol):
    """The CA, as the server sees it while it answers one HTTP request."""

    policy: Policy

    def now(self) -> datetime:
        """The time, UTC."""

    # -- who

    def names(self) -> tuple[bytes, ...]:
        """DER Names that messages may be addressed to."""

    def authenticate(self, message: PKIMessage, record: Record | None) -> Requester:
        """Return who protected the message; CmpFault for a protection that is missing, wrong or not trusted."""

    def shield(self) -> Shield:
        """Return what protects an answer to nobody in particular: a signature."""

    # -- memory

    def recall(self, transaction_id: str) -> Record | None:
        """Return the transaction of an id, or None."""

    def open(self, transaction_id: str, owner: str, state: State, memory: Memory, expires_at: datetime) -> Record:
        """Begin a transaction; Fault(CONFLICT) if the id is taken, RATE_LIMITED beyond the owner's share."""

    def save(self, record: Record, state: State, memory: Memory, expires_at: datetime) -> Record:
        """Store what became of it; Fault(CONFLICT) when another replica was first."""

    # -- certificates

    def enrol(self, requester: Requester, message: PKIMessage, wish: Wish) -> Outcome:
        """Issue, or ask for approval. The same again for the same transaction and request: nothing is issued twice.

        Refusals are outcomes; a Fault is for what has nothing to do with the wish, such as a database that is away.
        """

    def poll(self, requester: Requester, message: PKIMessage, wish: Wish, item: Item) -> Outcome:
        """Look what became of a pending wish; ``message`` is the one that it came with."""

    def cancel(self, requester: Requester, item: Item) -> None:
        """Withdraw a pending wish."""

    def certificate(self, item: Item) -> bytes:
        """Return an issued certificate, DER."""

    def discard(self, requester: Requester, item: Item, why: str) -> None:
        """Revoke a certificate that the client does not take; one that is revoked already stays so."""

    def revoke(self, requester: Requester, details: RevDetails, *, again: bool) -> PKIStatusInfo:
        """Revoke what the requester may; ``again``: an earlier try may have got through."""

    def ca_publications(self, requester: Requester, kind: BodyType) -> tuple[bytes, ...]:
        """Return caPubs for an answer (RFC 9483 section 4.1.1: only where a MAC protects them)."""

    # -- support messages

    def inform(self, requester: Requester, info: InfoTypeAndValue, message: PKIMessage) -> InfoTypeAndValue | None:
        """Answer one InfoTypeAndValue of a genm; None for a type that is not known."""

    def encapsulate(self, requester: Requester, message: PKIMessage) -> tuple[InfoTypeAndValue, str]:
        """Return KemCiphertextInfo for the requester's KEM key, and the shared secret sealed for the memory."""
