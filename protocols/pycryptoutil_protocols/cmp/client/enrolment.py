"""A whole enrolment: request, polling, challenge, confirmation (RFC 9483 sections 4.1 and 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pycryptoutil_protocols import csr, x509
from pycryptoutil_protocols.cmp import confirmation, pop
from pycryptoutil_protocols.cmp.failures import rejected
from pycryptoutil_protocols.cmp.general import IMPLICIT_CONFIRM, implicit_confirm
from pycryptoutil_protocols.cmp.messages import (
    PVNO_3,
    Body,
    BodyType,
    CertConfirm,
    CertRepMessage,
    CertRequests,
    CertResponse,
    CertStatus,
    ChallengeResponses,
    Challenges,
    ErrorMessage,
    InfoTypeAndValue,
    Pkcs10,
    PKIMessage,
    PKIStatus,
    PKIStatusInfo,
    PollRep,
    PollReq,
)
from pycryptoutil_protocols.crmf.messages import EncryptedKey
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Decryptor

from .exchange import Exchange

_WHOLE = -1
_GRANTED = (PKIStatus.ACCEPTED, PKIStatus.GRANTED_WITH_MODS)

Judge = Callable[[bytes], PKIStatusInfo | None]
"""Looks at a new certificate; a rejection is told to the CA, None accepts."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Bytes to send after ``wait`` seconds."""

    encoded: bytes = field(repr=False)
    wait: int = 0


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One certificate. ``private_key`` is set when the CA made the key; see :mod:`pycryptoutil_protocols.cmp.keys`."""

    request_id: int
    certificate: bytes = field(repr=False)
    status: PKIStatusInfo
    private_key: EncryptedKey | None = field(default=None, repr=False)
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What came of an enrolment: the certificates, caPubs and the extraCerts of the answer."""

    certificates: tuple[Enrolled, ...]
    ca_certificates: tuple[bytes, ...] = field(default=(), repr=False)
    extra_certificates: tuple[bytes, ...] = field(default=(), repr=False)


class Enroller:
    """Goes through an enrolment: send what ``begin`` gives, pass each answer to ``receive`` until it is done.

    ``decryptor`` opens certificates and challenges that are encrypted to the new key; ``judge`` may reject a
    certificate. A refusal of any part is raised as a Fault.
    """

    def __init__(
        self,
        exchange: Exchange,
        kind: BodyType,
        body: CertRequests | Pkcs10,
        *,
        decryptor: Decryptor | None = None,
        judge: Judge | None = None,
        implicit: bool = False,
        infos: Iterable[InfoTypeAndValue] = (),
    ) -> None:
        self._exchange = exchange
        self._kind = kind
        self._body = body
        self._decryptor = decryptor
        self._judge = judge
        self._infos = (*infos, *((implicit_confirm(),) if implicit else ()))
        self._keys = _keys(body)
        self._found: dict[int, Enrolled] = {}
        self._published: tuple[bytes, ...] = ()
        self._extra: tuple[bytes, ...] = ()
        self._implicit = False

    def begin(self) -> Outgoing:
        """Return the request."""
        return self._send(self._kind, self._body, self._infos)

    def receive(self, encoded: bytes) -> Outgoing | Enrolment:
        """Take an answer; return what to send next, or what came of it all."""
        message = self._exchange.receive(encoded)
        body = message.body
        if isinstance(body, ErrorMessage):
            return self._send(BodyType.POLLREQ, PollReq((_WHOLE,)))
        if isinstance(body, Challenges):
            return self._answer(message, body)
        if isinstance(body, PollRep):
            wait = max(entry.check_after for entry in body.entries)
            ids = tuple(entry.request_id for entry in body.entries)
            return self._send(BodyType.POLLREQ, PollReq(ids), wait=wait)
        if isinstance(body, CertRepMessage):
            return self._take(message, body)
        return self._done()

    def _send(self, kind: BodyType, body: Body, infos: Iterable[InfoTypeAndValue] = (), *, wait: int = 0) -> Outgoing:
        return Outgoing(self._exchange.send(kind, body, infos).encoded, wait)

    def _take(self, message: PKIMessage, body: CertRepMessage) -> Outgoing | Enrolment:
        self._published = self._published or body.ca_certificates
        self._extra = self._extra or message.extra_certificates
        self._implicit = message.header.info(IMPLICIT_CONFIRM) is not None
        waiting: list[int] = []
        for response in body.responses:
            if response.request_id not in self._keys or response.request_id in self._found:
                raise Fault(FaultKind.INVALID, "certReqId that was not asked for", "the answer has another certReqId")
            if response.status.status is PKIStatus.WAITING:
                waiting.append(response.request_id)
            elif response.status.status in _GRANTED:
                self._found[response.request_id] = self._read(response)
            else:
                raise rejected(response.status)
        if waiting:
            return self._send(BodyType.POLLREQ, PollReq(tuple(waiting)))
        refused = any(one.rejected for one in self._found.values())
        if self._implicit and not refused:
            return self._done()
        return self._confirm()

    def _read(self, response: CertResponse) -> Enrolled:
        pair = response.key_pair
        if pair is None:
            raise Fault(FaultKind.INVALID, "granted without a certificate", "the answer has no certificate")
        certificate = pair.certificate
        if pair.encrypted_certificate is not None:
            if self._decryptor is None:
                raise Fault(FaultKind.INVALID, "encrypted certificate", "the certificate cannot be decrypted")
            certificate = pop.decrypt_certificate(pair.encrypted_certificate, self._decryptor)
        wanted = self._keys[response.request_id]
        if wanted is not None and x509.decode_certificate(certificate).spki != wanted:
            raise Fault(FaultKind.INVALID, "certificate of another key", "the certificate is of another key")
        status = self._judge(certificate) if self._judge is not None else None
        return Enrolled(
            response.request_id, certificate, status or response.status, pair.private_key, rejected=status is not None
        )

    def _confirm(self) -> Outgoing:
        statuses: list[CertStatus] = []
        pvno = self._exchange.pvno
        for one in self._found.values():
            status, newer = confirmation.status(one.certificate, one.request_id, one.status if one.rejected else None)
            statuses.append(status)
            pvno = PVNO_3 if newer else pvno
        return Outgoing(self._exchange.send(BodyType.CERTCONF, CertConfirm(tuple(statuses)), pvno=pvno).encoded)

    def _answer(self, message: PKIMessage, body: Challenges) -> Outgoing:
        if self._decryptor is None:
            raise Fault(FaultKind.INVALID, "challenge without key", "the challenge cannot be answered")
        numbers = tuple(pop.answer(one, self._decryptor, message.header.sender) for one in body.challenges)
        return self._send(BodyType.POPDECR, ChallengeResponses(numbers))

    def _done(self) -> Enrolment:
        return Enrolment(tuple(self._found.values()), self._published, self._extra)


def _keys(body: CertRequests | Pkcs10) -> dict[int, bytes | None]:
    """Return the key of each request; None where the CA makes it."""
    if isinstance(body, Pkcs10):
        return {_WHOLE: csr.decode_csr(body.request).spki}
    return {one.request.request_id: one.request.template.spki if one.pop is not None else None for one in body.messages}
