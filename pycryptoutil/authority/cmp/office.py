"""The CA behind the CMP server (:mod:`pycryptoutil_protocols.cmp.server`), for one request that came by one label."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pycryptoutil_protocols import der
from pycryptoutil_protocols.cmp import general
from pycryptoutil_protocols.cmp.messages import (
    PVNO_3,
    BodyType,
    InfoTypeAndValue,
    PKIFailureInfo,
    PKIMessage,
    PKIStatusInfo,
    RevDetails,
)
from pycryptoutil_protocols.cmp.server.office import Auth, Outcome, OutcomeState, Policy, Requester, Shield
from pycryptoutil_protocols.cmp.server.transactions import Item, Memory, Record, State
from pycryptoutil_protocols.cmp.server.wishes import Wish
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority.cmp import delivery, orders, records, revocations, support
from pycryptoutil.authority.cmp.place import Place
from pycryptoutil.authority.cmp.requesters import Reception, person_of
from pycryptoutil.authority.cmp.rules import CmpRules
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.enrolment import Enrolment, EnrolmentState
from pycryptoutil.authority.service import CertificateAuthorityService
from pycryptoutil.clock import Clock
from pycryptoutil.crypto.keys import PrivateKey, encapsulate

_RSA_SIZES: Final = (3072, 2048, 4096)  # the first that the profile allows


class CaOffice:
    """Answers what the server asks; made anew for every HTTP request."""

    def __init__(
        self,
        service: CertificateAuthorityService,
        crls: CrlService,
        rules: CmpRules,
        clock: Clock,
        place: Place,
        request_id: str,
    ) -> None:
        self.policy: Policy = rules.policy
        self._service = service
        self._crls = crls
        self._rules = rules
        self._clock = clock
        self._place = place
        self._request_id = request_id
        self._reception = Reception(service, rules, place)

    def now(self) -> datetime:
        """The time, UTC."""
        return self._clock.now()

    # -- who

    def names(self) -> tuple[bytes, ...]:
        """Return the names of the CAs that may be meant, and of the one who answers for the label's."""
        signer = self._service.signer(self._place.tenant_id, self._place.authority, "cmp").certificate
        certificates = [*self._place.chain, signer]
        if not self._place.explicit:
            certificates += [one.certificate for one in self._service.authorities(self._place.tenant_id)]
        return tuple(decode_certificate(one).subject for one in certificates)

    def authenticate(self, message: PKIMessage, record: Record | None) -> Requester:
        """Return who protected the message."""
        return self._reception.authenticate(message, record)

    def shield(self) -> Shield:
        """Return what protects an answer to nobody in particular."""
        return self._reception.signed()

    # -- memory

    def recall(self, transaction_id: str) -> Record | None:
        """Return the transaction of an id, or None."""
        found = self._service.transactions.get(self._place.tenant_id, records.PROTOCOL, transaction_id)
        return records.read(found) if found is not None else None

    def open(self, transaction_id: str, owner: str, state: State, memory: Memory, expires_at: datetime) -> Record:
        """Begin a transaction."""
        made = self._service.transactions.open(
            self._place.tenant_id,
            records.PROTOCOL,
            transaction_id,
            records.owner(owner, state),
            state.value,
            records.document(memory),
            expires_at,
            bytes.fromhex(memory.secret),
        )
        return records.read(made)

    def save(self, record: Record, state: State, memory: Memory, expires_at: datetime) -> Record:
        """Store what became of it."""
        return records.save(self._service.transactions, record, state, memory, expires_at)

    # -- certificates

    def enrol(self, requester: Requester, message: PKIMessage, wish: Wish) -> Outcome:
        """Issue, or ask for approval; a repeat finds what there is."""
        try:
            enrolment, key = self._ask(requester, message, wish)
        except Fault as fault:
            if orders.is_transient(fault):
                raise
            return Outcome.refused(orders.as_cmp(fault))
        return self._outcome(requester, message, wish, enrolment, key)

    def _ask(self, requester: Requester, message: PKIMessage, wish: Wish) -> tuple[Enrolment, PrivateKey | None]:
        person = person_of(requester)
        order = orders.make(self._service, person, message, wish, self._clock.now())
        delivery.check_receivable(person, wish)
        if not wish.generate:
            return self._service.enrol(person.tenant_id, order, requester.actor, self._request_id), None
        algorithm = self._key_algorithm(person.tenant_id, order.profile, wish.key_algorithm)
        return self._service.enrol_generated(person.tenant_id, order, requester.actor, self._request_id, algorithm)

    def _key_algorithm(self, tenant_id: str, profile: str, wanted: str) -> str:
        """Return the key to make: of RSA, which a request does not say more of, in a size that the profile allows."""
        if wanted != "RSA":
            return wanted
        rules = self._service.profile(tenant_id, profile).keys
        sizes = (size for size in _RSA_SIZES if rules.rsa_minimum <= size <= rules.rsa_maximum)
        return f"RSA-{next(sizes, _RSA_SIZES[0])}"

    def poll(self, requester: Requester, message: PKIMessage, wish: Wish, item: Item) -> Outcome:
        """Look what became of a pending wish."""
        person = person_of(requester)
        enrolment = self._service.enrolment(person.tenant_id, item.enrolment)
        if enrolment.state is EnrolmentState.ISSUED and wish.generate:
            return self.enrol(requester, message, wish)  # which has the key
        return self._outcome(requester, message, wish, enrolment, None)

    def _outcome(
        self, requester: Requester, message: PKIMessage, wish: Wish, enrolment: Enrolment, key: PrivateKey | None
    ) -> Outcome:
        if enrolment.state is EnrolmentState.PENDING:
            return Outcome(OutcomeState.PENDING, enrolment.id, retry_after=enrolment.retry_after)
        issued = enrolment.certificate
        if enrolment.state is not EnrolmentState.ISSUED or issued is None:
            text = enrolment.reason or "the request was not approved"
            return Outcome.refused(orders.refuse(PKIFailureInfo.BAD_REQUEST, text))
        person = person_of(requester)
        if wish.generate and key is None:
            # the server died after it had issued and before it could tell; nobody has the key any more
            text = "the key that was made is gone: ask for another"
            return Outcome.refused(orders.refuse(PKIFailureInfo.SYSTEM_FAILURE, text))
        by_rfc = self._rules.generated_by_rfc
        if by_rfc is None:
            by_rfc = message.header.pvno == PVNO_3
        try:
            pair = delivery.key_pair(
                self._service, person, wish, issued, key, requester.actor, self._request_id, by_rfc=by_rfc
            )
        except (
            Fault
        ) as fault:  # it is issued: no refusal would undo that, while a repeat finds it, or nobody confirms it
            detail = f"{issued.serial} cannot be handed over: {fault.detail}"
            raise Fault(FaultKind.INTERNAL, detail) from fault
        return Outcome(
            OutcomeState.ISSUED,
            enrolment=enrolment.id,
            serial=issued.serial,
            authority=issued.authority,
            key_pair=pair,
            chain=issued.chain,
            modified=delivery.modified(wish, issued),
        )

    def cancel(self, requester: Requester, item: Item) -> None:
        """Withdraw a pending wish; one that was decided meanwhile stays as it is."""
        try:
            self._service.cancel_enrolment(person_of(requester).tenant_id, item.enrolment, requester.actor)
        except Fault as fault:
            if fault.kind not in {FaultKind.CONFLICT, FaultKind.NOT_FOUND}:
                raise

    def certificate(self, item: Item) -> bytes:
        """Return an issued certificate."""
        return self._service.certificate(self._place.tenant_id, item.serial, item.authority).der

    def discard(self, requester: Requester, item: Item, why: str) -> None:
        """Revoke a certificate that the client does not take."""
        revocations.discard(
            self._service, self._place.tenant_id, item.authority, item.serial, requester.actor, why, self._request_id
        )

    def revoke(self, requester: Requester, details: RevDetails, *, again: bool) -> PKIStatusInfo:
        """Revoke what the requester may."""
        return revocations.revoke(
            self._service, person_of(requester), details, requester.actor, self._request_id, again=again
        )

    def ca_publications(self, requester: Requester, kind: BodyType) -> tuple[bytes, ...]:
        """Return the root in the answer to an ir that a MAC protects: there, trust in it follows from the secret."""
        if kind is not BodyType.IP or requester.auth is not Auth.MAC:
            return ()
        person = person_of(requester)
        return (self._service.authority(person.tenant_id, person.authority).chain[-1],)

    # -- support messages

    def inform(self, requester: Requester, info: InfoTypeAndValue, message: PKIMessage) -> InfoTypeAndValue | None:
        """Answer one question."""
        question = support.Question(self._service, self._crls, person_of(requester), info, message)
        return support.answer(question)

    def encapsulate(self, requester: Requester, message: PKIMessage) -> tuple[InfoTypeAndValue, str]:
        """Make a shared secret for the key in the requester's certificate."""
        del message
        spki = person_of(requester).certificate.spki
        try:
            ciphertext, secret = encapsulate(spki)
        except Fault as fault:
            text = "the certificate's key is no ML-KEM key"
            raise orders.refuse(PKIFailureInfo.BAD_ALG, text) from fault
        kem = der.read(spki).children()[0].encoded
        return general.kem_ciphertext_info(general.KemCiphertext(kem, ciphertext)), secret.hex()
