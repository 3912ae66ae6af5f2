"""What a registration authority does with the messages of others (RFC 9483 section 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pycryptoutil_protocols.cmp import protection
from pycryptoutil_protocols.cmp.general import orig_pki_message
from pycryptoutil_protocols.cmp.messages import (
    Body,
    BodyType,
    CertRequests,
    Nested,
    PKIHeader,
    PKIMessage,
)
from pycryptoutil_protocols.crmf.messages import RaVerified
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Clock

from .exchange import Exchange
from .identity import Identity


def add_protection(original: PKIMessage, identity: Identity, clock: Clock) -> bytes:
    """Put a message into a nested one with the RA's protection, and the same ids (RFC 9483 section 5.2.2.1)."""
    header = replace(original.header, general_info=(), free_text=())
    return _seal(header, BodyType.NESTED, Nested((original,)), identity, clock)


def replace_protection(original: PKIMessage, identity: Identity, clock: Clock, *, verified: bool) -> bytes:
    """Send a message on under the RA's own protection (RFC 9483 section 5.2.3).

    ``verified``: the RA has checked possession and says so by raVerified, with the original message beside it.
    """
    body, header = original.body, original.header
    if verified:
        if not isinstance(body, CertRequests):
            raise Fault(FaultKind.INVALID, "raVerified in another message", "only requests can be verified")
        body = CertRequests(tuple(replace(one, pop=RaVerified()) for one in body.messages))
        header = replace(header, general_info=(*header.general_info, orig_pki_message((original.encoded,))))
    return _seal(header, original.kind, body, identity, clock)


def _seal(header: PKIHeader, kind: BodyType, body: Body, identity: Identity, clock: Clock) -> bytes:
    made = replace(
        header,
        sender=identity.sender,
        sender_kid=identity.sender_kid,
        message_time=clock.now().replace(microsecond=0),
    )
    protector = identity.protector(header.transaction_id or b"")
    return protection.seal(made, kind, body, protector, identity.certificates).encoded


class Batch:
    """Several messages in one, answered by several in one (RFC 9483 section 5.2.2.2)."""

    def __init__(self, exchange: Exchange, messages: Sequence[PKIMessage]) -> None:
        self._exchange = exchange
        self._messages = tuple(messages)

    def send(self) -> bytes:
        """Return the batch."""
        return self._exchange.send(BodyType.NESTED, Nested(self._messages)).encoded

    def receive(self, encoded: bytes) -> dict[bytes, PKIMessage]:
        """Return the answers by transactionID; their own protection is for whom they are for."""
        body = self._exchange.receive(encoded).body
        if not isinstance(body, Nested):
            raise Fault(FaultKind.INVALID, "no batch", "the answer is no batch")
        return {one.header.transaction_id or b"": one for one in body.messages}
