"""One transaction: messages out, answers in, with the checks of RFC 9483 section 3.5 on what comes in."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable

from pycryptoutil_protocols.cmp import codec, protection
from pycryptoutil_protocols.cmp.failures import CmpFault, rejected
from pycryptoutil_protocols.cmp.messages import (
    NULL_NAME,
    PVNO_2,
    PVNO_3,
    RESPONSE_OF,
    Body,
    BodyType,
    ErrorMessage,
    InfoTypeAndValue,
    PKIFailureInfo,
    PKIHeader,
    PKIMessage,
    PKIStatus,
)
from pycryptoutil_protocols.cmp.protection import Mechanism
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.ports import Clock

from .identity import Identity

_OCTETS = 16
_CERTIFICATES = frozenset({BodyType.IP, BodyType.CP, BodyType.KUP, BodyType.CCP})
_POLLED = _CERTIFICATES | {BodyType.RP, BodyType.GENP, BodyType.KRP, BodyType.PKICONF}
_ANSWERS = {kind: frozenset({answer}) for kind, answer in RESPONSE_OF.items()} | {
    BodyType.IR: frozenset({BodyType.IP, BodyType.POPDECC}),
    BodyType.CR: frozenset({BodyType.CP, BodyType.POPDECC}),
    BodyType.KUR: frozenset({BodyType.KUP, BodyType.POPDECC}),
    BodyType.POPDECR: _CERTIFICATES,
    BodyType.POLLREQ: _POLLED | {BodyType.POLLREP},
    BodyType.NESTED: frozenset({BodyType.NESTED}),
}


class Exchange:
    """The messages of one transaction, in turn: ``send``, then ``receive``, then ``send`` again."""

    def __init__(
        self,
        identity: Identity,
        clock: Clock,
        *,
        recipient: GeneralName = NULL_NAME,
        pvno: int = PVNO_2,
        unprotected_errors: bool = False,
    ) -> None:
        self.identity = identity
        self.pvno = pvno
        self.transaction_id = os.urandom(_OCTETS)
        self._clock = clock
        self._recipient = recipient
        self._unprotected_errors = unprotected_errors
        self._nonce = b""
        self._peer_nonce: bytes | None = None
        self._sent = BodyType.GENM

    def send(self, kind: BodyType, body: Body, infos: Iterable[InfoTypeAndValue] = (), *, pvno: int = 0) -> PKIMessage:
        """Return the next message, sealed; its bytes are in ``encoded``."""
        self._nonce = os.urandom(_OCTETS)
        self._sent = kind
        header = PKIHeader(
            sender=self.identity.sender,
            recipient=self._recipient,
            pvno=pvno or self.pvno,
            message_time=self._clock.now().replace(microsecond=0),
            sender_kid=self.identity.sender_kid,
            transaction_id=self.transaction_id,
            sender_nonce=self._nonce,
            recipient_nonce=self._peer_nonce,
            general_info=tuple(infos),
        )
        protector = self.identity.protector(self.transaction_id)
        return protection.seal(header, kind, body, protector, self.identity.certificates)

    def receive(self, encoded: bytes) -> PKIMessage:
        """Check an answer and return it; a rejection is raised as the Fault that :func:`.failures.rejected` makes.

        An error message whose status is waiting is returned: the answer comes by polling.
        """
        message = codec.decode(encoded)
        header = message.header
        if header.transaction_id != self.transaction_id:
            raise Fault(FaultKind.INVALID, "another transactionID", "the answer is of another transaction")
        if header.recipient_nonce is None or not hmac.compare_digest(header.recipient_nonce, self._nonce):
            raise CmpFault(PKIFailureInfo.BAD_RECIPIENT_NONCE, "recipNonce differs", "the answer is of another message")
        if header.pvno not in (PVNO_2, PVNO_3):
            raise CmpFault(PKIFailureInfo.UNSUPPORTED_VERSION, "pvno", "CMP versions 2 and 3 are supported")
        self._check_protection(message)
        self._peer_nonce = header.sender_nonce
        if isinstance(message.body, ErrorMessage):
            if message.body.status.status is PKIStatus.WAITING:
                return message
            raise rejected(message.body.status)
        self._check_kind(message.kind)
        return message

    def _check_protection(self, message: PKIMessage) -> None:
        tolerated = message.kind is BodyType.ERROR and self._unprotected_errors
        if tolerated and protection.mechanism(message) is Mechanism.NONE:
            return
        self.identity.verify(message, self._clock.now())

    def _check_kind(self, kind: BodyType) -> None:
        if kind not in _ANSWERS.get(self._sent, frozenset()):
            raise Fault(FaultKind.INVALID, f"{kind.name} to {self._sent.name}", "the answer is of another type")
