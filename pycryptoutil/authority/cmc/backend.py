"""The CA as the CMC exchange sees it: one label's tenant, CA and profile, for one request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pycryptoutil_protocols import x509 as certificates
from pycryptoutil_protocols.cmc.failures import Refusal
from pycryptoutil_protocols.cmc.messages import KP_CMC_RA, FailInfo
from pycryptoutil_protocols.cmc.server import (
    Holding,
    Memo,
    Outcome,
    OutcomeState,
    Party,
    Responder,
    Role,
    Wish,
)
from pycryptoutil_protocols.cmc.values import GetCrl
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import same_name
from pycryptoutil_protocols.x509 import encode_extensions

from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.enrolment import Enrolment, EnrolmentState
from pycryptoutil.authority.model import (
    Authority,
    CertificateFilter,
    CertificateRecord,
    Credential,
    IssueOrder,
    Label,
    RevocationReason,
)
from pycryptoutil.authority.service import CertificateAuthorityService
from pycryptoutil.authority.transactions import Transaction
from pycryptoutil.crypto import x509

PROTOCOL: Final = "cmc"


@dataclass(frozen=True, slots=True)
class Choices:
    """What an installation has chosen beside its profiles.

    ``ra_profiles``: those whose certificates make an RA, if they are for that (id-kp-cmcRA); empty: every profile.
    Without ``key_reuse`` a key is certified once. ``archive_profiles`` are issued only when an RA says that it has
    archived the private key: this CA archives none.
    """

    ra_profiles: tuple[str, ...] = ()

    key_reuse: bool = True
    archive_profiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Holder:
    """What a party holds: a credential, by the protocol that it showed it in, or a certificate."""

    credential: Credential | None = None
    certificate: CertificateRecord | None = None
    protocol: str = PROTOCOL


@dataclass(frozen=True, slots=True)
class CaBackend:
    """A :class:`pycryptoutil_protocols.cmc.server.Backend`. ``label`` empty: the party says which profile."""

    service: CertificateAuthorityService
    crls: CrlService
    choices: Choices
    place: Label
    label: str
    request_id: str

    def now(self) -> datetime:
        """UTC."""
        return self.service.room.clock.now()

    def responder(self) -> Responder:
        """Who signs the answers."""
        found = self.service.signer(self.place.tenant_id, self.place.authority, "cmc")
        return Responder(found.signer, found.certificate, found.chain)

    # -- parties -------------------------------------------------------------------------------------------------------

    def shared_secret(self, identity: str) -> Party:
        """Return the credential of a user name."""
        credential, secret = self.service.credential_secret(self.place.tenant_id, identity, PROTOCOL)
        return self.credential_party(credential, secret, PROTOCOL)

    def credential_party(self, credential: Credential, secret: bytes, protocol: str) -> Party:
        """Return a credential as a party; Fault(FORBIDDEN) at another profile's label."""
        self._check_label(credential.profile, credential.authority)
        return Party(Role.CREDENTIAL, credential.actor, secret=secret, handle=Holder(credential, protocol=protocol))

    def holder(self, certificate: bytes) -> Party:
        """Return who holds a certificate issued here: its subject, or an RA (RFC 6402 section 2.10)."""
        record = self.service.certificate_status_for_client((certificate,))
        if record.tenant_id != self.place.tenant_id:
            text = "the certificate was issued for another tenant"
            raise Fault(FaultKind.UNAUTHENTICATED, f"{record.serial} is of another tenant", text)
        actor, handle = f"certificate:{record.serial}", Holder(certificate=record)
        if self._is_ra(record):
            if record.authority != self.place.authority:
                text = "the registration authority is of another CA"
                raise Fault(FaultKind.FORBIDDEN, f"{record.serial} of {record.authority}", text)
            return Party(Role.RA, actor, certificate, handle=handle)
        self._check_label(record.profile, record.authority)
        return Party(Role.CERTIFICATE, actor, certificate, handle=handle)

    def _is_ra(self, record: CertificateRecord) -> bool:
        if self.choices.ra_profiles and record.profile not in self.choices.ra_profiles:
            return False
        return KP_CMC_RA in certificates.decode_certificate(record.der).extended_key_usages

    def _check_label(self, profile: str, authority: str) -> None:
        if self.label and (profile, authority) != (self.place.profile, self.place.authority):
            text = f"this is for the profile {profile} of {authority}, not {self.place.profile}"
            raise Fault(FaultKind.FORBIDDEN, f"at label {self.label!r}: {text}", text)

    # -- certificates --------------------------------------------------------------------------------------------------

    def enrol(self, party: Party, wish: Wish) -> Outcome:
        """Issue, or begin to wait for approval."""
        order = self._order(party, wish)
        self._check_archive(order.profile, wish)
        done = self.service.enrol(self.place.tenant_id, order, party.actor, self.request_id)
        return outcome_of(done)

    def _order(self, party: Party, wish: Wish) -> IssueOrder:
        handle: Holder = party.handle
        credential, record = handle.credential, handle.certificate
        authority, profile, previous = self.place.authority, self.place.profile, None
        if credential is not None:
            authority, profile = credential.authority, credential.profile
        elif record is not None and party.role is Role.CERTIFICATE:
            authority, profile, previous = record.authority, record.profile, record.der
        self._check_reuse(wish.spki, party.actor)
        return IssueOrder(
            authority=authority,
            profile=profile,
            csr=wish.csr or None,
            spki=None if wish.self_proven and wish.csr else wish.spki,
            subject=x509.name_text(wish.subject) if wish.subject is not None else None,
            extensions=encode_extensions(wish.extensions) if wish.extensions is not None else None,
            not_before=wish.not_before,
            not_after=wish.not_after,
            protocol=handle.protocol,
            credential=credential,
            previous_certificate=previous,
            idempotency_key=PROTOCOL,
        )

    def _check_reuse(self, spki: bytes, actor: str) -> None:
        """Refuse a key that was certified before, where that is the policy; a retry by the same requester is none."""
        if self.choices.key_reuse:
            return
        wanted = CertificateFilter(spki_sha256=hashlib.sha256(spki).hexdigest())
        found = self.service.certificates(self.place.tenant_id, wanted, limit=2).items
        retried = len(found) == 1 and found[0].requester == actor and found[0].protocol == PROTOCOL
        since = self.now() - timedelta(hours=self.service.settings.idempotency_hours)
        if found and not (retried and found[0].created_at > since):
            text = "a key is certified once: make a new one"
            raise Refusal(FailInfo.NO_KEY_REUSE, f"key of {found[0].serial} again", text)

    def _check_archive(self, profile: str, wish: Wish) -> None:
        if profile in self.choices.archive_profiles and not wish.archived:
            text = "the key must be archived by a registration authority first"
            raise Refusal(FailInfo.MUST_ARCHIVE_KEYS, f"profile {profile} asks for an archived key", text)

    def outcome(self, token: str) -> Outcome:
        """Return what became of a request that waited."""
        return outcome_of(self.service.enrolment(self.place.tenant_id, token))

    def find(self, issuer: bytes, serial: int) -> Holding:
        """Return a certificate of this tenant by issuer and serial number."""
        authority = next((one for one in self._authorities() if _is_subject(one, issuer)), None)
        if authority is None or serial <= 0:
            text = "there is no such certificate"
            raise Fault(FaultKind.NOT_FOUND, "issuer or serial unknown", text)
        record = self.service.certificate(self.place.tenant_id, f"{serial:x}", authority.name)
        return Holding(record.der, record.requester, record)

    def _authorities(self) -> list[Authority]:
        return self.service.authorities(self.place.tenant_id)

    def revoke(self, actor: str, holding: Holding, reason: int, invalidity_date: datetime | None) -> None:
        """Revoke, hold or release."""
        record: CertificateRecord = holding.handle
        try:
            chosen = RevocationReason.of_code(reason)
        except ValueError:
            text = "there is no such revocation reason"
            raise Fault(FaultKind.INVALID, f"CRLReason {reason}", text) from None
        tenant, request_id = self.place.tenant_id, self.request_id
        self.service.revoke(tenant, record.serial, chosen, invalidity_date, actor, request_id, record.authority)

    def same_subject(self, party: Party, holding: Holding) -> bool:
        """Whether a certificate is the party's own, or one of the same profile, CA, subject and names."""
        own, other = party.handle.certificate, holding.handle
        places = [(one.authority, one.profile, one.subject, frozenset(one.sans)) for one in (own, other)]
        return own.serial == other.serial or places[0] == places[1]

    def crl(self, wanted: GetCrl) -> bytes:
        """Return the newest CRL of a CA of this tenant."""
        authority = next((one for one in self._authorities() if _is_subject(one, wanted.issuer)), None)
        if authority is None:
            raise Fault(FaultKind.NOT_FOUND, "no CA of that name", "there is no CRL of that issuer")
        return self.crls.current(authority.public_id).der

    # -- memory --------------------------------------------------------------------------------------------------------

    def remember(self, memo: Memo, lifetime: timedelta) -> Memo:
        """Keep a new memo; one that has run out makes room."""
        until = self.now() + lifetime
        old = self._transaction(memo.id)
        if old is not None and old.expires_at <= self.now():
            self.service.transactions.close(old)
        return _memo(
            self.service.transactions.open(
                self.place.tenant_id, PROTOCOL, memo.id, memo.owner, memo.state, memo.data, until, memo.secret
            )
        )

    def recall(self, identifier: str) -> Memo | None:
        """Return a memo that has not run out."""
        found = self._transaction(identifier)
        return _memo(found) if found is not None and found.expires_at > self.now() else None

    def amend(self, memo: Memo, data: Mapping[str, Any]) -> None:
        """Change a memo's data."""
        self.service.transactions.save(memo.handle, data=data)

    def forget(self, memo: Memo) -> None:
        """Drop a memo."""
        self.service.transactions.close(memo.handle)

    def _transaction(self, identifier: str) -> Transaction | None:
        return self.service.transactions.get(self.place.tenant_id, PROTOCOL, identifier)


def _is_subject(authority: Authority, name: bytes) -> bool:
    return same_name(certificates.decode_certificate(authority.certificate).subject, name)


def _memo(found: Transaction) -> Memo:
    return Memo(found.id, found.owner, found.state, found.data, found.secret, found.expires_at, found)


def outcome_of(done: Enrolment) -> Outcome:
    """Return an enrolment as the exchange speaks of it."""
    if done.state is EnrolmentState.PENDING:
        text = f"approved by {done.approvals} of {done.needed}"
        return Outcome(OutcomeState.PENDING, token=done.id, retry_after=done.retry_after, text=text)
    if done.certificate is None:
        return Outcome(OutcomeState.REFUSED, text=done.reason or "the request was refused")
    return Outcome(OutcomeState.ISSUED, done.certificate.der)
