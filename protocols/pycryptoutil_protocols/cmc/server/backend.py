"""What the server asks of the CA it speaks for, as plain data and one structural type."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from pycryptoutil_protocols.cmc.messages import TaggedRequest
from pycryptoutil_protocols.cmc.values import GetCrl
from pycryptoutil_protocols.ports import Signer
from pycryptoutil_protocols.x509 import Extension


class Role(enum.Enum):
    """How a peer has shown who it is."""

    NOBODY = "nobody"  # not at all
    KEY = "key"  # by the key of a request in the message: that says nothing of who it is
    CREDENTIAL = "credential"  # by a shared secret
    CERTIFICATE = "certificate"  # by a certificate issued here
    RA = "ra"  # by one whose holder may speak for others (id-kp-cmcRA)


@dataclass(frozen=True, slots=True)
class Party:
    """A peer. ``actor`` names it in the audit; ``handle`` is the backend's own.

    ``whole``: it vouches for everything in the message, where an identity proof covers the requests only.
    """

    role: Role
    actor: str = ""
    certificate: bytes = field(default=b"", repr=False)
    spki: bytes = field(default=b"", repr=False)
    secret: bytes = field(default=b"", repr=False)
    whole: bool = False
    handle: Any = field(default=None, repr=False, compare=False)

    @property
    def known(self) -> bool:
        """Whether it is somebody of this CA."""
        return self.role not in (Role.NOBODY, Role.KEY)


@dataclass(frozen=True, slots=True)
class Wish:
    """One certificate that is asked for, after possession was proven.

    ``csr`` is the PKCS#10 request, whose own names count unless ``subject`` (DER Name) and ``extensions`` are set.
    ``self_proven``: its signature is the proof. ``archived``: an RA says that it has archived the private key.
    """

    request: TaggedRequest
    spki: bytes = field(repr=False)
    csr: bytes = field(default=b"", repr=False)
    self_proven: bool = False
    subject: bytes | None = None
    extensions: tuple[Extension, ...] | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    archived: bool = False


class OutcomeState(enum.Enum):
    """What became of a wish."""

    ISSUED = "issued"
    PENDING = "pending"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``token`` finds a pending one again; ``text`` is what a peer may read of a refusal or of waiting."""

    state: OutcomeState
    certificate: bytes = field(default=b"", repr=False)
    token: str = ""
    retry_after: int = 0  # seconds
    text: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """A certificate that this CA has issued: its requester as the audit names it, and the backend's own record."""

    certificate: bytes = field(repr=False)
    actor: str
    handle: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Memo:
    """What is remembered between messages. ``data`` is JSON and no secret; ``secret`` is sealed at rest."""

    id: str
    owner: str
    state: str
    data: Mapping[str, Any]
    secret: bytes = field(default=b"", repr=False)
    expires_at: datetime | None = None
    handle: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Responder:
    """The key that signs answers; ``chain`` is the issuing CA's certificate first, up to the root's."""

    signer: Signer = field(repr=False)
    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rules:
    """What an installation has chosen."""

    time_window: timedelta = timedelta(minutes=5)
    memory: timedelta = timedelta(hours=1)  # of a conversation that goes on
    max_requests: int = 16
    max_nesting: int = 3
    sha1_proofs: bool = False
    require_pop_link: bool = False
    confirm_wait: timedelta | None = None  # None: certificates need no confirmation
    trust_anchors: bool = True


class Backend(Protocol):
    """The CA. Every method may raise Fault."""

    def now(self) -> datetime:
        """UTC."""

    def responder(self) -> Responder:
        """Who signs the answers."""

    def shared_secret(self, identity: str) -> Party:
        """Return the party of an identification, with its secret; Fault(UNAUTHENTICATED)."""

    def holder(self, certificate: bytes) -> Party:
        """Return the party that holds a certificate issued here and good now; Fault(UNAUTHENTICATED, EXPIRED)."""

    def find(self, issuer: bytes, serial: int) -> Holding:
        """Return a certificate that this CA issued, by DER Name and serial number; Fault(NOT_FOUND)."""

    def enrol(self, party: Party, wish: Wish) -> Outcome:
        """Issue, or begin to wait."""

    def outcome(self, token: str) -> Outcome:
        """Return what became of a pending wish; Fault(NOT_FOUND)."""

    def revoke(self, actor: str, holding: Holding, reason: int, invalidity_date: datetime | None) -> None:
        """Revoke, hold or release."""

    def same_subject(self, party: Party, holding: Holding) -> bool:
        """Whether a party's own certificate is for the same subject as another one."""

    def crl(self, wanted: GetCrl) -> bytes:
        """Return the newest CRL of this CA; Fault(NOT_FOUND)."""

    def remember(self, memo: Memo, lifetime: timedelta) -> Memo:
        """Keep a new memo; Fault(CONFLICT) if its id is known, RATE_LIMITED."""

    def recall(self, identifier: str) -> Memo | None:
        """Return a memo that has not run out."""

    def amend(self, memo: Memo, data: Mapping[str, Any]) -> None:
        """Change a memo's data; Fault(CONFLICT) when another replica was first."""

    def forget(self, memo: Memo) -> None:
        """Drop a memo."""
