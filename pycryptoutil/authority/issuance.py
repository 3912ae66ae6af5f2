"""One certificate on its way, from the order to the answer: what every step of issuance reads and fills in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.names import Name
from pycryptoutil_protocols.x509 import (
    Extension,
)

from pycryptoutil.authority import serials
from pycryptoutil.authority.extensions import Wanted
from pycryptoutil.authority.keys import CaKey
from pycryptoutil.authority.model import IssuedCertificate, IssueOrder
from pycryptoutil.authority.names import San
from pycryptoutil.authority.profile import NameConstraintSet, Profile
from pycryptoutil.authority.room import Room, chain
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto import x509
from pycryptoutil.storage import UnitOfWork

EMPTY_NAME: Final = Name((), b"\x30\x00")
_UNSET: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Issuance:
    """One certificate on its way. Each step fills in what the next ones read."""

    room: Room
    order: IssueOrder
    actor: str
    request_id: str
    now: datetime
    rows: list[AuthorityRow] = field(repr=False)
    ca: AuthorityRow = field(repr=False)
    profile: Profile = field(repr=False)
    key: CaKey = field(repr=False)
    csr: CertificationRequest | None = None
    spki: bytes = b""
    key_algorithm: str = ""
    sans: tuple[San, ...] = ()
    subject: Name = field(default_factory=lambda: EMPTY_NAME)
    wanted: Wanted = field(default_factory=Wanted)
    not_before: datetime = field(default_factory=lambda: _UNSET)
    not_after: datetime = field(default_factory=lambda: _UNSET)
    self_signed: bool = False
    path_length: int | None = None
    constraints: NameConstraintSet = field(default_factory=NameConstraintSet)
    serial: bytes = b""
    extensions: tuple[Extension, ...] = ()
    tbs: bytes = field(default=b"", repr=False)
    der: bytes = field(default=b"", repr=False)
    writes: tuple[Callable[[Issuance, UnitOfWork], None], ...] = ()  # what is left, where it is not WRITES
    enrolment: str = ""  # the approved request that this is issued for
    key_identifier: bytes = b""  # of the subject; empty: made from its key
    earlier: IssuedCertificate | None = field(default=None, repr=False)  # what a repeat is answered with

    @property
    def requester(self) -> str:
        """Who the certificate is for, in audit and lists."""
        return self.order.credential.actor if self.order.credential is not None else self.actor

    @property
    def serial_hex(self) -> str:
        """The serial as stored."""
        return serials.to_hex(self.serial)

    @property
    def spki_sha256(self) -> str:
        """The key's digest as stored."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def tbs_sha256(self) -> str:
        """What the audit event promises to sign."""
        return hashlib.sha256(self.tbs).hexdigest()

    @property
    def repeat_digest(self) -> str:
        """What makes two requests the same: requester, CA, profile, all that is asked for, and idempotency key."""
        order = self.order
        request = order.csr or order.spki or b""
        parts = (
            self.requester.encode(),
            self.ca.id.encode(),
            self.profile.name.encode(),
            hashlib.sha256(request).digest(),
            (order.subject or "").encode(),
            "\n".join(order.sans).encode(),
            f"{order.not_before} {order.not_after} {order.must_staple}".encode(),
            order.extensions or b"",
            order.idempotency_key.encode(),
            # the same key and names may be renewed twice: the second time is no repeat of the first
            hashlib.sha256(order.previous_certificate or b"").digest(),
        )
        return joined_digest(parts)

    def issued(self) -> IssuedCertificate:
        """Return the answer."""
        return IssuedCertificate(
            serial=self.serial_hex,
            der=self.der,
            chain=chain(self.ca, self.rows),
            authority=self.ca.name,
            profile=self.profile.name,
            subject=x509.name_text(self.subject.der),
            sans=tuple(map(str, self.sans)),
            not_before=self.not_before,
            not_after=self.not_after,
        )


def joined_digest(parts: Sequence[bytes]) -> str:
    """SHA-256 in hex over parts that cannot run into each other."""
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()
