"""One message being served, and what a service of the server hands back for it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols.cmp.messages import Body, BodyType, InfoTypeAndValue, PKIMessage

from .office import Office, Requester
from .transactions import Memory, State
from .wishes import Refused, Wish, read_wishes


@dataclass(slots=True)
class Visit:
    """A message with who sent it and when."""

    office: Office
    message: PKIMessage
    requester: Requester
    now: datetime
    _wishes: tuple[Wish | Refused, ...] | None = None

    @property
    def transaction_id(self) -> str:
        """The id as stored."""
        return (self.message.header.transaction_id or b"").hex()

    @property
    def digest(self) -> str:
        """What tells a repetition from another message."""
        return hashlib.sha256(self.message.encoded).hexdigest()

    def wishes(self) -> tuple[Wish | Refused, ...]:
        """Return what the message asks for, read once."""
        if self._wishes is None:
            who = self.requester
            self._wishes = read_wishes(self.message, trusted_ra=who.is_ra, secret=who.secret)
        return self._wishes


@dataclass(frozen=True, slots=True)
class Reply:
    """A body with what belongs around it; ``state`` and ``memory`` are those of the transaction from now on."""

    kind: BodyType
    body: Body
    infos: tuple[InfoTypeAndValue, ...] = ()
    certificates: tuple[bytes, ...] = field(default=(), repr=False)  # extraCerts beside the signer's
    state: State | None = None
    memory: Memory | None = field(default=None, repr=False)
