"""The CA as one object: what services call. Each method says little; the rooms beside this file do the work."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import hierarchy, issue, statistics, store, transparency
from pycryptoutil.authority.certificates import bulk, records
from pycryptoutil.authority.certificates import revoke as revocation
from pycryptoutil.authority.certificates import store as certificate_store
from pycryptoutil.authority.certificates.bulk import BulkOrder, BulkResult
from pycryptoutil.authority.credentials import service as credentials
from pycryptoutil.authority.enrolment import Approval, ApprovalFilter, ApprovalPage, Enrolment
from pycryptoutil.authority.enrolment.service import Enrolments
from pycryptoutil.authority.events import EventType, emit
from pycryptoutil.authority.keys import CaKeys, offline
from pycryptoutil.authority.lifecycle import publication
from pycryptoutil.authority.model import (
    Authority,
    AuthorityOrder,
    AuthorityStatus,
    CertificateFilter,
    CertificateRecord,
    Credential,
    CredentialOrder,
    DistributionUrls,
    IssuedCertificate,
    IssueOrder,
    Label,
    NewCredential,
    Page,
    RevocationReason,
)
from pycryptoutil.authority.profile import Profile
from pycryptoutil.authority.profile_file import (
    built_in_documents,
    built_in_profiles,
    internal_profiles,
    parse_profile,
    parse_stored,
)
from pycryptoutil.authority.room import Room, load_profile
from pycryptoutil.authority.settings import AuthoritySettings
from pycryptoutil.authority.signers import ServiceSigner, Signers, make
from pycryptoutil.authority.statistics import Statistics
from pycryptoutil.authority.transactions import Transactions
from pycryptoutil.authority.transactions import store as transaction_store
from pycryptoutil.authority.vault import KeyVault
from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import Clock
from pycryptoutil.crypto.keys import PrivateKey
from pycryptoutil.crypto.signer import KeySigner
from pycryptoutil.http.paging import decode_cursor
from pycryptoutil.storage import SYSTEM_TENANT, Database, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_MAX_LABEL: Final = 200
_UNFINISHED_AFTER: Final = timedelta(hours=1)
_FORGOTTEN_AFTER: Final = timedelta(days=7)  # transactions that have run out and whose protocol is not offered any more
_SWITCHED: Final = frozenset({AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED})
_FIXED_PROFILES: Final = frozenset({"root-ca", "intermediate-ca", "ocsp-responder"})


class CertificateAuthorityService:
    """Every CA of an installation. Shared by all threads; holds no state but key handles."""

    def __init__(
        self,
        database: Database,
        barrier: Barrier,
        clock: Clock,
        urls: DistributionUrls,
        settings: AuthoritySettings,
        instance: int = 0,
        default_tenant_id: str = "",
    ) -> None:
        vault = KeyVault(barrier, settings.hsm.open(clock), frozenset(settings.hsm.keys))
        self._room = Room(database, barrier, clock, urls, settings, instance, CaKeys(barrier, vault))
        self._default_tenant_id = default_tenant_id
        self.signers = Signers(self._room)
        self.enrolments = Enrolments(self._room)
        self.transactions = Transactions(self._room)

    @property
    def room(self) -> Room:
        """What the OCSP responder and the CRL publisher share with it."""
        return self._room

    @property
    def urls(self) -> DistributionUrls:
        """Where CRLs, OCSP and CA certificates are."""
        return self._room.urls

    @property
    def settings(self) -> AuthoritySettings:
        """The configuration."""
        return self._room.settings

    # -- hierarchy -----------------------------------------------------------------------------------------------------

    def first_start(self, tenant_id: str) -> None:
        """Make root, issuing CA and OCSP signers, unless they exist. Race-safe across replicas; Fault(SEALED)."""
        hierarchy.first_start(self._room, tenant_id)

    def authorities(self, tenant_id: str) -> list[Authority]:
        """Return the tenant's CAs, oldest first."""
        with self._room.database.read(tenant_id) as reader:
            rows = store.all_authorities(reader)
        return [self._room.authority(row, rows) for row in rows]

    def authority(self, tenant_id: str, name: str = "") -> Authority:
        """Return one CA by its name, the default one for an empty name; Fault(NOT_FOUND)."""
        with self._room.database.read(tenant_id) as reader:
            rows = store.all_authorities(reader)
        return self._room.authority(self._room.find(rows, name), rows)

    def public_authority(self, public_id: str) -> Authority:
        """Return the CA of a name in a public URL, whichever tenant's it is; Fault(NOT_FOUND)."""
        with self._room.database.read(SYSTEM_TENANT) as reader:
            place = store.tenant_of_public_id(reader, public_id)
        if place is None:
            text = "there is no such certificate authority"
            raise Fault(FaultKind.NOT_FOUND, f"no CA {public_id[:128]!r}", text)
        tenant_id, authority_id = place
        with self._room.database.read(tenant_id) as reader:
            rows = store.all_authorities(reader)
        return self._room.authority(next(row for row in rows if row.id == authority_id), rows)

    def public_chain(self, public_id: str) -> tuple[bytes, ...]:
        """Return the CA's certificate and its issuers' up to the root, DER, by its name in a public URL."""
        return self.public_authority(public_id).chain

    def published(self, tenant_id: str, name: str = "") -> tuple[bytes, ...]:
        """Return a CA's chain, and behind it the other generations of what is in it with the links between them."""
        with self._room.database.read(tenant_id) as reader:
            rows = store.all_authorities(reader)
            return publication.certificates(reader, self._room.find(rows, name), rows)

    def public_bundle(self, public_id: str) -> tuple[bytes, ...]:
        """Return the same by a CA's name in a public URL; Fault(NOT_FOUND)."""
        found = self.public_authority(public_id)
        return self.published(found.tenant_id, found.name)

    def root_update(self, tenant_id: str, name: str, root: bytes | None = None) -> publication.Update | None:
        """Return what follows on a root (DER; None: the CA's own); None if nothing does. Fault(NOT_FOUND): not ours."""
        with self._room.database.read(tenant_id) as reader:
            rows = store.all_authorities(reader)
            return publication.root_update(reader, self._room.find(rows, name), rows, root)

    def create_authority(self, tenant_id: str, order: AuthorityOrder, actor: str, request_id: str = "") -> Authority:
        """Make a root or a subordinate CA; Fault(CONFLICT) if the name is taken, POLICY for what no CA may be."""
        row = hierarchy.create(self._room, tenant_id, order, actor, request_id)
        return self.authority(tenant_id, row.name)

    def set_authority_status(
        self, tenant_id: str, name: str, status: AuthorityStatus, actor: str, request_id: str = ""
    ) -> Authority:
        """Enable or disable a CA. A disabled one issues nothing, and goes on answering for what it has issued."""
        with self._room.database.unit_of_work(tenant_id) as uow:
            row = store.authority_by_name(uow, name)
            if row is None:
                raise Fault(FaultKind.NOT_FOUND, f"no CA {name[:64]!r}", "there is no such certificate authority")
            if row.status not in _SWITCHED:
                text = f"the certificate authority is {row.status.value}: its rollover decides what it may do"
                raise Fault(FaultKind.CONFLICT, f"{name}: {text}", text)
            if row.offline and status is AuthorityStatus.ACTIVE:
                raise offline(row)
            store.set_authority_status(uow, row.id, status)
            details = {"status": status.value}
            audit.append(uow, AuditEvent("authority.status", actor, name, "success", details, request_id))
            emit(uow, EventType.AUTHORITY_STATUS, {"name": name, "status": status.value})
        return self.authority(tenant_id, name)

    def renew_signer(self, tenant_id: str, authority_id: str) -> None:
        """Make the CA a new OCSP signer if the newest one is in the last third of its life."""
        make.renew(self._room, tenant_id, authority_id, make.PURPOSES[make.OCSP])

    def signer(self, tenant_id: str, authority: str, purpose: str) -> ServiceSigner:
        """Return the key that answers for a CA in ``scep``, ``cmp``, ``cmc`` or ``timestamp``, made at first use.

        Fault(NOT_FOUND) without such a CA, SEALED, UNAVAILABLE.
        """
        return self.signers.get(tenant_id, authority, purpose)

    def authority_signer(self, tenant_id: str, name: str) -> tuple[KeySigner, bytes]:
        """Return a CA's own key, for a message that it must sign itself, and its certificate; Fault(NOT_FOUND)."""
        with self._room.database.read(tenant_id) as reader:
            row = self._room.find(store.all_authorities(reader), name)
        return self._room.keys.of(row).message_signer, row.certificate

    # -- labels and profiles -------------------------------------------------------------------------------------------

    def resolve_label(self, tenant_id: str | None, label: str) -> Label:
        """Return what a URL's label means; Fault(NOT_FOUND).

        ``''``, ``profile``, ``ca``, ``ca:profile`` or ``tenant:ca:profile``, where each part may be empty for the
        default. A profile's own name always works, under the default CA. ``/`` and ``~`` separate like ``:``.
        """
        parts = label.replace("/", ":").replace("~", ":").split(":") if len(label) <= _MAX_LABEL else []
        match parts:
            case [one]:
                owner, ca, profile = "", "", one
            case [ca, profile]:
                owner = ""
            case [owner, ca, profile]:
                pass
            case _:
                raise _no_label(label)
        tenant = self._tenant(owner, label) if owner else tenant_id or self._default_tenant_id
        with self._room.database.read(tenant) as reader:
            rows = store.all_authorities(reader)
            if len(parts) == 1 and any(row.name == label for row in rows):
                ca, profile = label, ""
            profile = profile or self._room.settings.default_profile
            if profile not in built_in_profiles() and store.profile_document(reader, profile) is None:
                raise _no_label(label)
        return Label(tenant, self._room.find(rows, ca).name, profile)

    def _tenant(self, name: str, label: str) -> str:
        with self._room.database.read(SYSTEM_TENANT) as reader:
            found = store.find_tenant(reader, name)
        if found is None:
            raise _no_label(label)
        return found

    def profiles(self, tenant_id: str) -> list[Profile]:
        """Return every profile: the built-in ones, with the tenant's own beside or instead of them."""
        with self._room.database.read(tenant_id) as reader:
            own = store.profile_documents(reader)
        found = dict(built_in_profiles())
        for name, document in own.items():
            found[name] = parse_stored(name, document)
        return [found[name] for name in sorted(found)]

    def profile(self, tenant_id: str, name: str) -> Profile:
        """Return one profile; Fault(NOT_FOUND)."""
        with self._room.database.read(tenant_id) as reader:
            return load_profile(reader, name)

    def profile_document(self, tenant_id: str, name: str) -> str:
        """Return a profile's YAML as it was written; Fault(NOT_FOUND)."""
        with self._room.database.read(tenant_id) as reader:
            own = store.profile_document(reader, name)
        document = own if own is not None else built_in_documents().get(name)
        if document is None:
            raise Fault(FaultKind.NOT_FOUND, f"no profile {name[:64]!r}", "there is no such profile")
        return document

    def own_profiles(self, tenant_id: str) -> frozenset[str]:
        """Return the names of the profiles that the tenant has written."""
        with self._room.database.read(tenant_id) as reader:
            return frozenset(store.profile_documents(reader))

    def put_profile(self, tenant_id: str, name: str, document: str, actor: str, request_id: str = "") -> Profile:
        """Create or replace a profile from YAML or JSON; Fault(INVALID) naming each wrong key and its line."""
        profile = parse_profile(document, f"{name}.yaml")
        if profile.name != name:
            text = f"the document is of the profile {profile.name}, not {name}"
            raise Fault(FaultKind.INVALID, text, text, pointer="name")
        if name in _FIXED_PROFILES or name in internal_profiles():
            text = f"the profile {name} is the CA's own and cannot be replaced"
            raise Fault(FaultKind.POLICY, text, text, pointer="name")
        with self._room.database.unit_of_work(tenant_id) as uow:
            store.put_profile(uow, name, document, actor, self._room.clock.now())
            audit.append(uow, AuditEvent("profile.put", actor, name, request_id=request_id))
        return profile

    def delete_profile(self, tenant_id: str, name: str, actor: str, request_id: str = "") -> None:
        """Delete one of the tenant's own; a built-in one of the same name applies again. Fault(CONFLICT) if in use."""
        with self._room.database.unit_of_work(tenant_id) as uow:
            if name not in built_in_profiles() and store.profile_in_use(uow, name):
                text = "an enrolment credential is bound to this profile"
                raise Fault(FaultKind.CONFLICT, text, text)
            if not store.delete_profile(uow, name):
                text = "there is no such profile of your own"
                raise Fault(FaultKind.NOT_FOUND, f"no own profile {name[:64]!r}", text)
            audit.append(uow, AuditEvent("profile.delete", actor, name, request_id=request_id))

    # -- enrolment credentials -----------------------------------------------------------------------------------------

    def credential_add(self, tenant_id: str, order: CredentialOrder, actor: str, request_id: str = "") -> NewCredential:
        """Make an enrolment credential; its password is in the answer and nowhere else."""
        return credentials.add(self._room, tenant_id, order, actor, request_id)

    def credential_list(
        self, tenant_id: str, after: tuple[datetime, str] | None = None, limit: int = 200
    ) -> list[Credential]:
        """Return credentials, newest first, from just after a (created_at, id)."""
        return credentials.listing(self._room, tenant_id, after, limit)

    def credential_get(self, tenant_id: str, credential_id: str) -> Credential:
        """Return one by its id or user name; Fault(NOT_FOUND)."""
        return credentials.get(self._room, tenant_id, credential_id)

    def credential_delete(self, tenant_id: str, credential_id: str, actor: str, request_id: str = "") -> None:
        """Withdraw one; Fault(NOT_FOUND)."""
        credentials.delete(self._room, tenant_id, credential_id, actor, request_id)

    def credential_authenticate(
        self, tenant_id: str, username: str, password: str, protocol: str, profile: str = "", authority: str = ""
    ) -> Credential:
        """Return the credential; Fault(UNAUTHENTICATED), or FORBIDDEN for another protocol, profile or CA."""
        found = credentials.authenticate(self._room, tenant_id, username, password, protocol)
        credentials.check_label(found, profile, authority)
        return found

    def credential_by_secret(self, tenant_id: str, password: str, protocol: str) -> Credential:
        """Return the credential whose secret this is, for protocols that send nothing else."""
        return credentials.authenticate_secret(self._room, tenant_id, password, protocol)

    def credential_secret(self, tenant_id: str, username: str, protocol: str) -> tuple[Credential, bytes]:
        """Return the credential with its secret, for protocols that prove it by a MAC. Never shown to a peer."""
        return credentials.reveal(self._room, tenant_id, username, protocol)

    # -- certificates --------------------------------------------------------------------------------------------------

    def issue(self, tenant_id: str, order: IssueOrder, actor: str, request_id: str = "") -> IssuedCertificate:
        """Issue a certificate, by the steps of :mod:`pycryptoutil.authority.issue`; durable when this returns."""
        return issue.run(self._room, tenant_id, order, actor, request_id)

    def generate_and_issue(
        self, tenant_id: str, order: IssueOrder, actor: str, request_id: str = "", key_algorithm: str = ""
    ) -> tuple[IssuedCertificate, PrivateKey]:
        """Make a key and a certificate for it. A CSR, if there is one, gives the names only: its key is not used.

        Fault(POLICY) where the profile asks for approval first: :meth:`enrol_generated` waits for it.
        """
        return self.enrolments.issue_generated(tenant_id, order, actor, request_id, key_algorithm)

    # -- enrolment with approval ---------------------------------------------------------------------------------------

    def enrol(self, tenant_id: str, order: IssueOrder, actor: str, request_id: str = "") -> Enrolment:
        """Issue, or keep the order until it is approved; what every protocol asks through."""
        return self.enrolments.enrol(tenant_id, order, actor, request_id)

    def enrol_generated(
        self, tenant_id: str, order: IssueOrder, actor: str, request_id: str = "", key_algorithm: str = ""
    ) -> tuple[Enrolment, PrivateKey | None]:
        """Ask for a certificate of a key that is made here; None until it is issued."""
        return self.enrolments.enrol_generated(tenant_id, order, actor, request_id, key_algorithm)

    def enrolment(self, tenant_id: str, enrolment_id: str) -> Enrolment:
        """Return what became of a request; Fault(NOT_FOUND)."""
        return self.enrolments.enrolment(tenant_id, enrolment_id)

    def cancel_enrolment(
        self, tenant_id: str, enrolment_id: str, actor: str, request_id: str = "", reason: str = ""
    ) -> None:
        """Withdraw a request that waits; Fault(NOT_FOUND, CONFLICT)."""
        self.enrolments.cancel(tenant_id, enrolment_id, actor, request_id, reason)

    def withdraw_enrolments(self, uow: UnitOfWork, actor: str, request_id: str = "") -> int:
        """Withdraw all that an actor has waiting, in a unit of work that the caller has begun; return how much."""
        return self.enrolments.withdraw(uow, actor, request_id)

    def approvals(
        self, tenant_id: str, wanted: ApprovalFilter | None = None, cursor: str = "", limit: int = 50
    ) -> ApprovalPage:
        """Return a part of the requests for approval, newest first."""
        return self.enrolments.approvals(tenant_id, wanted, cursor, limit)

    def approval(self, tenant_id: str, enrolment_id: str) -> Approval:
        """Return one with what was decided; Fault(NOT_FOUND)."""
        return self.enrolments.approval(tenant_id, enrolment_id)

    def approve(
        self, tenant_id: str, enrolment_id: str, actor: str, comment: str = "", request_id: str = ""
    ) -> Approval:
        """Agree to a request; the last approval that it needs issues the certificate."""
        return self.enrolments.approve(tenant_id, enrolment_id, actor, comment, request_id)

    def reject(
        self, tenant_id: str, enrolment_id: str, actor: str, comment: str = "", request_id: str = ""
    ) -> Approval:
        """Refuse a request."""
        return self.enrolments.reject(tenant_id, enrolment_id, actor, comment, request_id)

    # -- certificates of others ----------------------------------------------------------------------------------------

    def certificate(self, tenant_id: str, serial: str, authority: str = "") -> CertificateRecord:
        """Return one certificate by its serial in hex; Fault(NOT_FOUND)."""
        return records.get(self._room, tenant_id, serial, authority)

    def issuers(self, record: CertificateRecord) -> tuple[bytes, ...]:
        """Return the chain above a certificate, its issuer first."""
        return records.issuers(self._room, record.tenant_id, record.authority_id)

    def certificates(
        self, tenant_id: str, wanted: CertificateFilter | None = None, cursor: str = "", limit: int = 50
    ) -> Page:
        """Return a part of the tenant's certificates, newest first."""
        return records.page(self._room, tenant_id, wanted or CertificateFilter(), cursor, limit)

    def statistics(self, tenant_id: str, days: int = 30) -> Statistics:
        """Count the tenant's certificates; what is counted by day, over the last ``days`` (1 to 400)."""
        return statistics.compute(self._room, tenant_id, days)

    def certificate_status_for_client(self, chain: tuple[bytes, ...]) -> CertificateRecord:
        """Return the record of a TLS client's certificate that was issued here and is good now, of whichever tenant.

        Fault(UNAUTHENTICATED) when it is foreign or revoked, EXPIRED outside its validity.
        """
        return records.of_client(self._room, chain)

    def revoke(
        self,
        tenant_id: str,
        serial: str,
        reason: RevocationReason,
        invalidity_date: datetime | None,
        actor: str,
        request_id: str = "",
        authority: str = "",
    ) -> CertificateRecord:
        """Revoke, hold (certificateHold) or release (removeFromCRL); Fault(CONFLICT) if that is so already."""
        return revocation.revoke(self._room, tenant_id, serial, reason, invalidity_date, actor, request_id, authority)

    def revoke_by_key(
        self, tenant_id: str, spki_sha256: str, order: BulkOrder, actor: str, request_id: str = ""
    ) -> BulkResult:
        """Revoke or hold every certificate of a public key, some in each call."""
        return bulk.by_key(self._room, tenant_id, spki_sha256, order, actor, request_id)

    def revoke_by_requester(
        self, tenant_id: str, requester: str, order: BulkOrder, actor: str, request_id: str = ""
    ) -> BulkResult:
        """Revoke or hold every certificate of a requester that has not expired, some in each call."""
        return bulk.by_requester(self._room, tenant_id, requester, order, actor, request_id)

    # -- upkeep --------------------------------------------------------------------------------------------------------

    def ready(self) -> None:
        """Raise Fault unless certificates could be issued now."""
        if self._room.barrier.sealed:
            raise Fault(FaultKind.SEALED, "the barrier is sealed", "the service is sealed", retry_after=30)
        if self._default_tenant_id:
            self.authority(self._default_tenant_id)

    def maintain(self) -> None:
        """Tidy up: repeats that have run out, and serials whose issuance never came to an end; count the others."""
        now = self._room.clock.now()
        with self._room.database.read(SYSTEM_TENANT) as reader:
            tenants = store.tenants_with_authorities(reader)
        for tenant_id in tenants:
            transparency.end_abandoned(self._room, tenant_id, now)
            with self._room.database.unit_of_work(tenant_id) as uow:
                certificate_store.forget_repeats(uow, now)
                certificate_store.fail_reserved(uow, now - _UNFINISHED_AFTER)
                transaction_store.forget(uow, now - _FORGOTTEN_AFTER)
            statistics.roll_up(self._room, tenant_id, now - _UNFINISHED_AFTER)
            records.index_names(self._room, tenant_id)
            self.enrolments.maintain(tenant_id)


def _no_label(label: str) -> Fault:
    return Fault(FaultKind.NOT_FOUND, f"no label {label[:_MAX_LABEL]!r}", "there is no such label")


def after_cursor(cursor: str) -> tuple[datetime, str] | None:
    """Read the cursor of a list of credentials; Fault(INVALID)."""
    position = decode_cursor(cursor, 2)
    if position is None:
        return None
    try:
        return datetime.fromisoformat(position[0]), position[1]
    except ValueError:
        raise Fault(FaultKind.INVALID, "cursor", "not a cursor of this list", pointer="cursor") from None
