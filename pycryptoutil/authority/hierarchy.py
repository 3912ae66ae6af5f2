"""Making CAs, each with an OCSP signer. Their certificates go the way of everybody's: lint, serial, audit, sign."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import decode_name
from pycryptoutil_protocols.x509 import Certificate, Extension

from pycryptoutil.authority import internal, issue, keys, store, subject
from pycryptoutil.authority.crl import series
from pycryptoutil.authority.events import EventType, emit
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.model import AuthorityKind, AuthorityOrder, AuthorityStatus, IssueOrder
from pycryptoutil.authority.names import refused
from pycryptoutil.authority.profile import NameConstraintSet, Profile
from pycryptoutil.authority.room import Room, load_profile
from pycryptoutil.authority.settings import AuthoritySettings
from pycryptoutil.authority.signers import make
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.authority.vault import NewKeys
from pycryptoutil.crypto import policy, x509
from pycryptoutil.crypto.keys import KeyHandle, PublicKey
from pycryptoutil.crypto.signer import CertificateSigner, KeySigner
from pycryptoutil.storage import SYSTEM_TENANT, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_OCSP: Final = make.PURPOSES[make.OCSP]
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """A CA to make, with its key already made: key generation may take long, and is no part of a unit of work."""

    order: AuthorityOrder
    id: str
    public_id: str
    key: KeyHandle


def first_start(room: Room, tenant_id: str) -> None:
    """Make root, issuing CA and their OCSP signers, unless they are there. Replicas may race."""
    for attempt in range(_ATTEMPTS):
        if _exists(room, tenant_id):
            return
        try:
            with room.vault.new_keys() as made:
                plans = [make_plan(room, order, made) for order in _first_orders(room.settings)]
                with room.database.unit_of_work(tenant_id) as uow:
                    uow.lock(f"authorities:{tenant_id}")
                    if store.all_authorities(uow):
                        return
                    for plan in plans:
                        row = _create(room, uow, plan, internal.SYSTEM, "")
                        make.add(room, uow, row, signer_key(room, plan, made), _OCSP)
                made.keep()
            return
        except Fault as fault:  # another tenant took a public name in this moment
            if fault.kind is not FaultKind.CONFLICT or attempt == _ATTEMPTS - 1:
                raise


def signer_key(room: Room, plan: Plan, made: NewKeys) -> KeyHandle:
    """Make the key of a CA's OCSP signer."""
    return made.generate(_OCSP.name, _OCSP.algorithm(room.settings, plan.key.algorithm), plan.order.name)


def _exists(room: Room, tenant_id: str) -> bool:
    with room.database.read(tenant_id) as reader:
        return bool(store.all_authorities(reader))


def _first_orders(settings: AuthoritySettings) -> tuple[AuthorityOrder, AuthorityOrder]:
    def name(common_name: str) -> str:
        parts = [("CN", common_name), ("O", settings.organization), ("C", settings.country)]
        return x509.name_text(subject.encode([(subject.attribute(k, v),) for k, v in reversed(parts) if v]))

    root = AuthorityOrder(
        name=settings.root_name,
        subject=name(settings.root_common_name),
        key_algorithm=settings.root_algorithm,
        validity=settings.root_days * 86400,
    )
    issuing = AuthorityOrder(
        name=settings.issuing_name,
        subject=name(settings.issuing_common_name),
        parent=settings.root_name,
        key_algorithm=settings.issuing_algorithm,
        validity=settings.issuing_days * 86400,
    )
    return root, issuing


def create(room: Room, tenant_id: str, order: AuthorityOrder, actor: str, request_id: str) -> AuthorityRow:
    """Make one CA with its OCSP signer; Fault(CONFLICT) if the name is taken, NOT_FOUND without the parent."""
    if series.of_name(order.name) is not None:
        text = "a name may not end as the URLs of delta CRLs and of CRL shards do"
        raise Fault(FaultKind.INVALID, text, text, pointer="name")
    with room.vault.new_keys() as made:
        plan = make_plan(room, order, made)
        signer = signer_key(room, plan, made)
        with room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"authorities:{tenant_id}")
            if store.authority_by_name(uow, order.name) is not None:
                text = f"there is a certificate authority {order.name!r} already"
                raise Fault(FaultKind.CONFLICT, text, text, pointer="name")
            row = _create(room, uow, plan, actor, request_id)
            make.add(room, uow, row, signer, _OCSP)
        made.keep()
    return row


def make_plan(room: Room, order: AuthorityOrder, made: NewKeys) -> Plan:
    """Choose ids and make the key: before the unit of work, since that may take long."""
    identifier = uuid.uuid4().hex
    with room.database.read(SYSTEM_TENANT) as reader:
        taken = store.tenant_of_public_id(reader, order.name) is not None
    public_id = f"{order.name}-{identifier[:12]}" if taken else order.name
    key = made.generate("issuing" if order.parent else "root", order.key_algorithm, order.name)
    return Plan(order, identifier, public_id, key)


def _create(room: Room, uow: UnitOfWork, plan: Plan, actor: str, request_id: str) -> AuthorityRow:
    order = plan.order
    profile = load_profile(uow, order.profile or ("intermediate-ca" if order.parent else "root-ca"))
    if not profile.is_ca:
        raise refused(f"the profile {profile.name} is not for certificate authorities", "profile")
    i = _begin(room, uow, plan, profile, actor, request_id)
    internal.certify(i, uow, order.validity)
    row = replace(i.ca, certificate=i.der, not_before=i.not_before, not_after=i.not_after) if i.self_signed else i.ca
    if not i.self_signed:
        row = _row(uow, plan, i)
    store.insert_authority(uow, row)
    audit.append(
        uow,
        AuditEvent(
            "authority.create",
            actor,
            row.name,
            details={"id": row.id, "parent": order.parent, "algorithm": row.key_algorithm, "serial": i.serial_hex}
            | room.vault.place(plan.key),
            request_id=request_id,
        ),
    )
    data = {"name": row.name, "kind": row.kind.value, "parent": order.parent, "subject": row.subject,
            "key_algorithm": row.key_algorithm, "not_after": row.not_after.isoformat()}  # fmt: skip
    emit(uow, EventType.AUTHORITY_CREATED, data)
    return row


def _begin(room: Room, uow: UnitOfWork, plan: Plan, profile: Profile, actor: str, request_id: str) -> Issuance:
    order, key = plan.order, plan.key
    rows = store.all_authorities(uow)
    name = subject.compose(decode_name(x509.name_der(order.subject)), profile, (), None)
    signature = policy.default_signature(key.algorithm)
    i = Issuance(
        room=room,
        order=IssueOrder(profile=profile.name, protocol="internal"),
        actor=actor,
        request_id=request_id,
        now=room.clock.now(),
        rows=rows,
        ca=unsigned_row(room, uow.tenant_id, plan, x509.name_text(name.der), signature),
        profile=profile,
        key=own_key(plan, name.der, room.clock.now(), signature),
        self_signed=True,
    )
    if order.parent:
        parent = next((row for row in rows if row.name == order.parent), None)
        if parent is None:
            text = f"there is no certificate authority {order.parent!r}"
            raise Fault(FaultKind.NOT_FOUND, text, text, pointer="parent")
        if parent.status is not AuthorityStatus.ACTIVE:
            text = f"the certificate authority {order.parent!r} is disabled"
            raise Fault(FaultKind.CONFLICT, text, text, pointer="parent")
        if parent.offline:
            raise keys.offline(parent)
        issue.refuse_revoked_authority(uow, parent, rows)
        i.ca, i.key, i.self_signed = parent, room.keys.of(parent), False
    i.spki, i.subject = key.public_spki, name
    i.key_algorithm = key.algorithm
    default = profile.certificate_authority.path_length if profile.certificate_authority else None
    i.path_length = order.path_length if order.path_length is not None else default
    i.constraints = NameConstraintSet(
        permitted=(*profile.name_constraints.permitted, *order.permitted_names),
        excluded=(*profile.name_constraints.excluded, *order.excluded_names),
    )
    return i


def own_key(plan: Plan, name: bytes, now: datetime, signature: str) -> keys.CaKey:
    """Return a root's key with what its certificate will say of itself, before there is one."""
    spki = plan.key.public_spki
    certificate = Certificate(
        der=b"",
        tbs=b"",
        serial=0,
        issuer=name,
        subject=name,
        not_before=now,
        not_after=now,
        spki=spki,
        extensions=(Extension(oids.SUBJECT_KEY_IDENTIFIER, False, der.octet_string(x509.ski(spki))),),
        signature_algorithm=algorithms.signature_identifier(signature),
        signature=b"",
    )
    own = KeySigner(plan.key, signature)
    return keys.CaKey(plan.id, certificate, CertificateSigner(own, name), PublicKey.from_spki(spki), signature, own)


def unsigned_row(room: Room, tenant_id: str, plan: Plan, name: str, signature: str) -> AuthorityRow:
    """Return the row of a CA that has no certificate yet; its key is sealed."""
    now = room.clock.now()
    return AuthorityRow(
        id=plan.id,
        tenant_id=tenant_id,
        name=plan.order.name,
        public_id=plan.public_id,
        kind=AuthorityKind.ISSUING if plan.order.parent else AuthorityKind.ROOT,
        parent_id="",
        status=AuthorityStatus.ACTIVE,
        subject=name,
        certificate=b"",
        sealed_key=room.vault.seal(plan.key, store.aad(store.AUTHORITY_KEYS, tenant_id, plan.id)),
        key_algorithm=plan.key.algorithm,
        signature_algorithm=signature,
        spki_sha256=x509.fingerprint(plan.key.public_spki),
        not_before=now,
        not_after=now,
        created_at=now,
    )


def _row(uow: UnitOfWork, plan: Plan, i: Issuance) -> AuthorityRow:
    signature = policy.default_signature(plan.key.algorithm)
    unsigned = unsigned_row(i.room, uow.tenant_id, plan, x509.name_text(i.subject.der), signature)
    return replace(unsigned, parent_id=i.ca.id, certificate=i.der, not_before=i.not_before, not_after=i.not_after)
