"""SCEP for every CA of an installation (RFC 8894): any replica answers any message."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from pycryptoutil_protocols import cms
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import same_name
from pycryptoutil_protocols.scep import codec, exchange, failures, transport
from pycryptoutil_protocols.scep.messages import (
    EnrolRequest,
    FailInfo,
    IssuerAndSerial,
    IssuerAndSubject,
    MessageType,
    PkiMessage,
    Request,
)
from pycryptoutil_protocols.x509 import own_certificate

from pycryptoutil.authority import serials
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.enrolment import Enrolment, EnrolmentState
from pycryptoutil.authority.model import Authority, AuthorityStatus, IssueOrder
from pycryptoutil.authority.scep import callers
from pycryptoutil.authority.scep.place import Caller, Place, refuse
from pycryptoutil.authority.scep.rules import ScepRules
from pycryptoutil.authority.service import CertificateAuthorityService
from pycryptoutil.authority.signers import ServiceSigner
from pycryptoutil.authority.transactions import Transaction
from pycryptoutil.clock import Clock
from pycryptoutil.crypto.signer import KeySigner

PROTOCOL: Final = "scep"
PURPOSE: Final = "scep"
_PENDING, _DONE = "pending", "done"
_POLLED_AFTERWARDS: Final = timedelta(hours=1)  # how long a certificate that was polled for can be polled again
_EXPIRED_BATCH: Final = 200
_MAX_REJECTION_SECRETS: Final = 1000
_REJECTION_LABEL: Final = b"pycryptoutil scep: answer to a wrong padding"

_log = logging.getLogger(__name__)


class ScepService:
    """Shared by all threads of a process; holds nothing but its parts."""

    def __init__(self, service: CertificateAuthorityService, crls: CrlService, rules: ScepRules, clock: Clock) -> None:
        self._service = service
        self._crls = crls
        self._rules = rules
        self._clock = clock

    # -- what anybody may know -----------------------------------------------------------------------------------------

    def place(self, label: str) -> Place:
        """Resolve a label; Fault(NOT_FOUND)."""
        found = self._service.resolve_label(None, label)
        authority = self._service.authority(found.tenant_id, found.authority)
        responder = self._service.signer(found.tenant_id, found.authority, PURPOSE)
        return Place(found.tenant_id, authority, found.profile, bool(label), responder)

    def capabilities(self, label: str) -> bytes:
        """Answer GetCACaps."""
        place = self.place(label)
        legacy = bool(self._service.profile(place.tenant_id, place.profile).legacy_credentials)
        extra = ("DES3", "SHA-1") if legacy else ()
        return transport.encode_capabilities(has_next=self._next_of(place) is not None, extra=extra)

    def ca_certificates(self, label: str) -> bytes:
        """Answer GetCACert where there is an RA, as there always is here."""
        responder = self.place(label).responder
        return codec.encode_ca_certificates((responder.certificate, *responder.chain))

    def next_ca(self, label: str) -> bytes:
        """Answer GetNextCACert; Fault(NOT_FOUND) while there is no next CA."""
        place = self.place(label)
        found = self._next_of(place)
        if found is None:
            raise Fault(FaultKind.NOT_FOUND, f"CA {place.authority.name} has no successor", "there is no next CA yet")
        responder = self._service.signer(place.tenant_id, found.name, PURPOSE)
        signer, certificate = self._service.authority_signer(place.tenant_id, place.authority.name)
        return codec.encode_next_ca((responder.certificate, *found.chain), signer, certificate)

    def _next_of(self, place: Place) -> Authority | None:
        """Return the CA that will take over: of the same name, with a key made later."""
        present = place.authority
        later = [
            one
            for one in self._service.authorities(place.tenant_id)
            if one.id != present.id and (_is_next_generation(one, present) or _takes_over(one, present))
        ]
        return max(later, key=lambda one: one.created_at, default=None)

    # -- PKIOperation --------------------------------------------------------------------------------------------------

    def answer(self, label: str, body: bytes, request_id: str) -> bytes:
        """Answer a PKIMessage with a CertRep.

        A Fault is raised where none can be sent: for what is no SCEP message, and while the server cannot work.
        """
        place = self.place(label)
        message = codec.decode_message(body)
        signer = _signer(place.responder, None)
        try:
            return self._answer(place, message, request_id)
        except Fault as fault:
            info = failures.fail_info(fault.kind)
            if info is None:
                raise
            _log.info("SCEP request %s refused, %s: %s", request_id, info.name, fault.detail)
            return exchange.failure(message, info, failures.fail_text(fault), signer, place.responder.certificate)

    def _answer(self, place: Place, message: PkiMessage, request_id: str) -> bytes:
        legacy = bool(self._service.profile(place.tenant_id, place.profile).legacy_credentials)
        rules = exchange.Rules(self._rules.clock_skew, legacy)
        request = exchange.open_request(message, _readers(place.responder), rules, self._clock.now())
        match request.body:
            case EnrolRequest() as body:
                return self._enrol(place, request, body, request_id)
            case IssuerAndSubject() as body:
                return self._poll(place, request, body)
            case IssuerAndSerial() as body:
                if request.requester.legacy:
                    callers.check_legacy(self._service, place, place.profile, "")
                return self._lookup(place, request, body)

    # -- enrolling -----------------------------------------------------------------------------------------------------

    def _enrol(self, place: Place, request: Request, body: EnrolRequest, request_id: str) -> bytes:
        caller = callers.identify(self._service, self._rules, place, request, body, self._clock.now())
        known = self._service.transactions.get(place.tenant_id, PROTOCOL, request.message.transaction_id)
        if known is not None and self._is_open(known) and known.data["key"] != _digest(body.csr.spki):
            raise Fault(FaultKind.CONFLICT, "transactionID of another request", "the transactionID is in use")
        order = IssueOrder(
            authority=place.authority.name,
            profile=caller.profile,
            csr=body.csr.der,
            protocol=PROTOCOL,
            credential=caller.credential,
            previous_certificate=caller.certificate.der if caller.certificate is not None else None,
            idempotency_key=f"scep:{request.message.transaction_id}",
            request=body.csr,
        )
        enrolment = self._service.enrol(place.tenant_id, order, caller.actor, request_id)
        if enrolment.state is EnrolmentState.PENDING:
            self._remember(place, request, body, caller, enrolment, known)
        return self._say(place, request, enrolment, caller.challenge)

    def _is_open(self, known: Transaction) -> bool:
        return known.state == _PENDING and known.expires_at > self._clock.now()

    def _say(self, place: Place, request: Request, enrolment: Enrolment, challenge: str = "") -> bytes:
        """Answer with what became of a request."""
        responder = place.responder
        signer = _signer(responder, request)
        match enrolment.state:
            case EnrolmentState.PENDING:
                return exchange.pending(request.message, signer, responder.certificate)
            case EnrolmentState.ISSUED if enrolment.certificate is not None:
                leaf = (enrolment.certificate.der,)
                return exchange.success(request, signer, responder.certificate, certificates=leaf, password=challenge)
            case _:
                text = enrolment.reason or "the request was refused"
                return exchange.failure(request.message, FailInfo.BAD_REQUEST, text, signer, responder.certificate)

    def _remember(
        self,
        place: Place,
        request: Request,
        body: EnrolRequest,
        caller: Caller,
        enrolment: Enrolment,
        known: Transaction | None,
    ) -> None:
        """Let any replica find the request again when it is polled for."""
        data = {
            "enrolment": enrolment.id,
            "key": _digest(body.csr.spki),
            "signer": _digest(request.requester.certificate.spki),
            "profile": caller.profile,
            "credential": caller.credential.username if caller.credential is not None else "",
        }
        ends = self._clock.now() + timedelta(days=self._service.settings.approval_days)
        transactions = self._service.transactions
        try:
            if known is not None:
                transactions.save(known, state=_PENDING, data=data, expires_at=ends)
            else:
                identifier = request.message.transaction_id
                transactions.open(place.tenant_id, PROTOCOL, identifier, caller.actor, _PENDING, data, ends)
        except Fault as fault:
            # a retry that arrived twice at once: the other one has written the same
            again = transactions.get(place.tenant_id, PROTOCOL, request.message.transaction_id)
            if fault.kind is not FaultKind.CONFLICT or again is None or again.data != data:
                raise

    # -- polling -------------------------------------------------------------------------------------------------------

    def _poll(self, place: Place, request: Request, body: IssuerAndSubject) -> bytes:
        found = self._service.transactions.get(place.tenant_id, PROTOCOL, request.message.transaction_id)
        responder = own_certificate(place.responder.certificate)
        ours = any(same_name(body.issuer, name) for name in (responder.issuer, responder.subject))
        if found is None or found.expires_at <= self._clock.now() or not ours:
            public = "there is no transaction of this identifier"
            raise Fault(FaultKind.NOT_FOUND, "CertPoll for an unknown transaction", public)
        if found.data["signer"] != _digest(request.requester.certificate.spki):
            raise refuse("the transaction is of another client", "CertPoll signed with another key")
        if request.requester.legacy:
            callers.check_legacy(self._service, place, found.data["profile"], found.data["credential"])
        enrolment = self._service.enrolment(place.tenant_id, found.data["enrolment"])
        encoded = self._say(place, request, enrolment)
        if enrolment.state is not EnrolmentState.PENDING and found.state == _PENDING:
            self._finish(found)
        return encoded

    def _finish(self, transaction: Transaction) -> None:
        """Keep a transaction that has come to its end just for answers that got lost."""
        try:
            ends = self._clock.now() + _POLLED_AFTERWARDS
            self._service.transactions.save(transaction, state=_DONE, expires_at=ends)
        except Fault as fault:
            if fault.kind is not FaultKind.CONFLICT:  # another replica has answered the same
                raise

    def expire(self) -> None:
        """Forget transactions that have run out."""
        for transaction in self._service.transactions.expired(PROTOCOL, self._clock.now(), _EXPIRED_BATCH):
            try:
                self._service.transactions.close(transaction)
            except Fault as fault:
                if fault.kind is not FaultKind.CONFLICT:
                    raise

    # -- looking up ----------------------------------------------------------------------------------------------------

    def _lookup(self, place: Place, request: Request, body: IssuerAndSerial) -> bytes:
        ca = own_certificate(place.authority.certificate)
        if not same_name(body.issuer, ca.subject):
            public = "no certificate of that issuer is known here"
            raise Fault(FaultKind.NOT_FOUND, "GetCert or GetCRL of another issuer", public)
        responder = place.responder
        signer = _signer(responder, request)
        if request.message.message_type is MessageType.GET_CRL:
            crl = self._crls.of_authority(place.tenant_id, place.authority.id).der
            return exchange.success(request, signer, responder.certificate, crls=(crl,))
        if body.serial <= 0 or body.serial.bit_length() > 160:
            raise Fault(FaultKind.NOT_FOUND, "serial number out of range", "there is no such certificate")
        serial = serials.to_hex(body.serial)
        record = self._service.certificate(place.tenant_id, serial, place.authority.name)
        return exchange.success(request, signer, responder.certificate, certificates=(record.der,))


def _is_next_generation(one: Authority, present: Authority) -> bool:
    """Tell whether a rollover has prepared this one, or made it take the present one's place already."""
    upcoming = one.status in {AuthorityStatus.PREPARED, AuthorityStatus.ACTIVE}
    return upcoming and one.line == present.line and one.generation > present.generation


def _takes_over(one: Authority, present: Authority) -> bool:
    """Tell the same of a CA that was made by hand."""
    later = one.created_at > present.created_at and one.not_after > present.not_after
    return later and one.status is AuthorityStatus.ACTIVE and one.subject == present.subject


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _signer(responder: ServiceSigner, request: Request | None) -> KeySigner:
    """Sign with the hash that the client uses itself, where that is a good one."""
    return KeySigner(responder.key, f"rsa-{exchange.answer_digest(request.requester if request else None)}")


def _readers(responder: ServiceSigner) -> Sequence[exchange.Reader]:
    """Every RA that a client may have encrypted to, the present one first."""
    return [
        exchange.Reader(
            own_certificate(one.certificate),
            cms.unwrap_with(one.key, allow_pkcs1=True, rejection_secret=_rejection_secret(one)),
        )
        for one in (responder, *responder.previous)
    ]


_REJECTION_SECRETS: Final[dict[bytes, bytes]] = {}  # by certificate


def _rejection_secret(responder: ServiceSigner) -> bytes:
    """Derive from the key what answers a wrong padding, so that every replica answers the same.

    PKCS#1 v1.5 signatures are deterministic, and nobody else is given one over this text.
    """
    found = _REJECTION_SECRETS.get(responder.certificate)
    if found is None:
        found = hashlib.sha256(responder.key.sign("rsa-sha256", _REJECTION_LABEL)).digest()
        if len(_REJECTION_SECRETS) >= _MAX_REJECTION_SECRETS:
            _REJECTION_SECRETS.clear()
        _REJECTION_SECRETS[responder.certificate] = found
    return found
