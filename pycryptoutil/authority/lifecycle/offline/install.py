"""What comes back from an offline root: its certificate, those of our CAs, its CRL. One unit of work for all."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from pycryptoutil_protocols import oids
from pycryptoutil_protocols.csr import decode_csr
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import same_name
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.authority import serials, store
from pycryptoutil.authority.crl import store as crl_store
from pycryptoutil.authority.crl.series import FULL
from pycryptoutil.authority.crl.store import CrlHead, CrlRow
from pycryptoutil.authority.extensions import decode_basic_constraints
from pycryptoutil.authority.lifecycle import foreign, linking
from pycryptoutil.authority.lifecycle import store as lifecycle
from pycryptoutil.authority.lifecycle.linking import Request
from pycryptoutil.authority.lifecycle.offline import store as offline
from pycryptoutil.authority.lifecycle.offline.store import RequestRow
from pycryptoutil.authority.lifecycle.store import LinkKind, RolloverRow, RolloverState
from pycryptoutil.authority.model import AuthorityKind, AuthorityStatus
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.signers import make
from pycryptoutil.authority.store import AUTHORITY_KEYS, REQUEST_KEYS, AuthorityRow
from pycryptoutil.crypto import x509
from pycryptoutil.crypto.keys import KeyHandle
from pycryptoutil.crypto.signed import check_issued_by, check_signed, decode_crl
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_OCSP: Final = make.PURPOSES[make.OCSP]
_SKEW: Final = timedelta(minutes=5)
_MAX_NUMBER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class InstallOrder:
    """DER throughout. ``name`` is the root's here; a root that is known already keeps the one it has."""

    name: str
    root: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    crl: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Installed:
    """What was done: CAs that work from now on, serials that are nobody's here, and the CRL's number if it is new."""

    root: str
    authorities: tuple[str, ...]
    unknown: tuple[str, ...]
    crl_number: int | None


def install(room: Room, tenant_id: str, order: InstallOrder, actor: str, request_id: str = "") -> Installed:
    """Take up an offline root with what it has signed; Fault(BAD_SIGNATURE, INVALID, EXPIRED, CONFLICT, STALE)."""
    request = Request(actor, request_id, room.clock.now())
    top = decode_certificate(order.root)
    check_root(top, request)
    signed = [decode_certificate(one) for one in order.certificates]
    for one in signed:
        check_issued_by(one, top)
    with room.database.read(tenant_id) as reader:
        waiting = {one.spki_sha256: one for one in offline.all_requests(reader)}
    wanted = [(one, waiting[x509.fingerprint(one.spki)]) for one in signed if x509.fingerprint(one.spki) in waiting]
    with room.vault.new_keys() as made:
        ready = []
        for certificate, row in wanted:
            key = room.vault.open(row.sealed_key, store.aad(REQUEST_KEYS, tenant_id, row.id))
            algorithm = _OCSP.algorithm(room.settings, row.key_algorithm)
            ready.append((certificate, row, key, made.generate(_OCSP.name, algorithm, row.name)))
        with room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"authorities:{tenant_id}")
            root = foreign.ensure(uow, top, order.name, None, request)
            if not root.offline:
                text = f"the key of {root.name} is here: it is no offline root"
                raise Fault(FaultKind.CONFLICT, text, text)
            names = [_take_up(room, uow, root, *one, request) for one in ready]
            known = {one.spki_sha256 for one in store.all_authorities(uow)}
            unknown = [serials.to_hex(one.serial) for one in signed if x509.fingerprint(one.spki) not in known]
            number = take_crl(uow, root, order.crl, request) if order.crl is not None else None
        made.keep()
    return Installed(root.name, tuple(names), tuple(unknown), number)


def check_root(top: Certificate, request: Request) -> None:
    """Raise Fault unless this is a CA's own certificate that is good now."""
    constraints = top.extension(oids.BASIC_CONSTRAINTS)
    if top.subject != top.issuer or constraints is None or not decode_basic_constraints(constraints.value)[0]:
        text = "this is not the certificate of a root"
        raise Fault(FaultKind.INVALID, text, text, pointer="root")
    check_issued_by(top, top)
    if not top.not_before - _SKEW <= request.now < top.not_after:
        text = "the root certificate is not valid now"
        raise Fault(FaultKind.EXPIRED, text, text, pointer="root")


def _take_up(
    room: Room,
    uow: UnitOfWork,
    root: AuthorityRow,
    certificate: Certificate,
    row: RequestRow,
    key: KeyHandle,
    signer: KeyHandle,
    request: Request,
) -> str:
    """Make a CA of a request and its certificate."""
    if not same_name(certificate.subject, decode_csr(row.csr).subject):
        text = f"the certificate for {row.name} has another subject than its request"
        raise Fault(FaultKind.INVALID, text, text, pointer="certificates")
    constraints = certificate.extension(oids.BASIC_CONSTRAINTS)
    if constraints is None or not decode_basic_constraints(constraints.value)[0]:
        text = f"the certificate for {row.name} is not a CA's"
        raise Fault(FaultKind.INVALID, text, text, pointer="certificates")
    if request.now >= certificate.not_after:
        text = f"the certificate for {row.name} has expired"
        raise Fault(FaultKind.EXPIRED, text, text, pointer="certificates")
    foreign.keep_certificate(uow, root.id, certificate, "intermediate-ca", request)
    made = AuthorityRow(
        id=row.id,
        tenant_id=uow.tenant_id,
        name=row.name,
        public_id=row.public_id,
        kind=AuthorityKind.ISSUING,
        parent_id=root.id,
        status=AuthorityStatus.ACTIVE,
        subject=row.subject,
        certificate=certificate.der,
        sealed_key=room.vault.seal(key, store.aad(AUTHORITY_KEYS, uow.tenant_id, row.id)),
        key_algorithm=row.key_algorithm,
        signature_algorithm=row.signature_algorithm,
        spki_sha256=row.spki_sha256,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        created_at=request.now,
    )
    old = store.authority_by_id(uow, row.replaces) if row.replaces else None
    if old is not None:
        rows = store.all_authorities(uow)
        generation = max(one.generation for one in rows if one.first == old.first) + 1
        made = replace(made, line=old.first, generation=generation, status=AuthorityStatus.PREPARED)
    store.insert_authority(uow, made)
    make.add(room, uow, made, signer, _OCSP)
    offline.delete(uow, row.id)
    if old is not None:
        change = RolloverRow(uuid.uuid4().hex, uow.tenant_id, old.id, made.id, RolloverState.PREPARED, request.now)
        lifecycle.insert_rollover(uow, change)
        linking.add_link(room, uow, old, made, LinkKind.NEW_WITH_OLD, change.id, request)
        linking.add_link(room, uow, made, old, LinkKind.OLD_WITH_NEW, change.id, request)
    details = {"id": made.id, "parent": root.name, "serial": serials.to_hex(certificate.serial)}
    audit.append(uow, AuditEvent("authority.install", request.actor, made.name, "success", details, request.request_id))
    return made.name


def take_crl(uow: UnitOfWork, root: AuthorityRow, encoded: bytes, request: Request) -> int | None:
    """Publish a CRL that was made elsewhere, and revoke here what it lists; None if it is the one that is published.

    Fault(STALE) unless its number is greater than every one before.
    """
    crl = decode_crl(encoded)
    top = decode_certificate(root.certificate)
    if not same_name(crl.issuer, top.subject):
        text = f"the CRL is not of {root.name}"
        raise Fault(FaultKind.INVALID, text, text, pointer="crl")
    check_signed(encoded, top.spki, len(encoded) + 16)
    if crl.number is None or crl.delta or crl.next_update is None or not 0 <= crl.number < _MAX_NUMBER:
        text = "the CRL has no number that can be kept, no nextUpdate, or is a delta"
        raise Fault(FaultKind.INVALID, text, text, pointer="crl")
    newest = crl_store.newest_head(uow, root.id, FULL.scope)
    digest = hashlib.sha256(encoded).hexdigest()
    if newest is not None and newest.sha256 == digest:
        return None
    if newest is not None and crl.number <= newest.number:
        text = f"the CRL has number {crl.number}, and number {newest.number} is published already"
        raise Fault(FaultKind.STALE, text, text, pointer="crl")
    if crl.this_update > request.now + _SKEW:
        text = "the CRL begins in the future"
        raise Fault(FaultKind.INVALID, text, text, pointer="crl")
    for entry in crl.entries:
        foreign.revoke(uow, root.id, entry, request)
    crl_store.fix_scope(uow, root.id, FULL.scope, "", "")
    seq = crl_store.latest_event_of(uow, root.id)
    entries = len(crl.entries)
    head = CrlHead(root.id, FULL.scope, crl.number, crl.this_update, crl.next_update, entries, seq, digest)
    crl_store.insert(uow, CrlRow(head, encoded), scheduled=True)
    crl_store.raise_number(uow, root.id, crl.number)
    details = {"number": crl.number, "entries": entries, "sha256": digest}
    audit.append(uow, AuditEvent("crl.import", request.actor, root.name, "success", details, request.request_id))
    return crl.number
