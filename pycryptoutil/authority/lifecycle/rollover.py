"""A CA's change of keys: prepare (published, not issuing), activate (the new key issues), retire (no longer published).

The new key is a generation of the CA with a row of its own: the old one goes on signing its CRL and its OCSP responses
under the URLs that its certificates carry, for as long as they live. The CA's name, and with it labels, enrolment
credentials and the default, belong to the generation that issues.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import decode_name
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority import hierarchy, internal, issue, keys, serials, store
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.extensions import Wanted
from pycryptoutil.authority.hierarchy import Plan
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.lifecycle import linking, publication
from pycryptoutil.authority.lifecycle import store as lifecycle
from pycryptoutil.authority.lifecycle.linking import Request
from pycryptoutil.authority.lifecycle.store import LinkKind, RolloverRow, RolloverState
from pycryptoutil.authority.model import AuthorityOrder, AuthorityStatus, IssueOrder, RevocationReason
from pycryptoutil.authority.profile import Profile
from pycryptoutil.authority.profile_file import built_in_profiles
from pycryptoutil.authority.room import Room, current, load_profile
from pycryptoutil.authority.signers import make
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.authority.vault import NewKeys
from pycryptoutil.crypto import policy
from pycryptoutil.storage import Reader, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

SSH_PURPOSES: Final = ("ssh-host", "ssh-user")
_OCSP: Final = make.PURPOSES[make.OCSP]
_MAX_NAME: Final = 64
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class RolloverOrder:
    """A new key to make. ``key_algorithm`` empty: as the old one's; ``validity`` in seconds, 0: as long as the old."""

    key_algorithm: str = ""
    validity: int = 0


@dataclass(frozen=True, slots=True)
class Rollover:
    """One change of keys, with what it has made (DER)."""

    id: str
    state: RolloverState
    old: AuthorityRow = field(repr=False)
    new: AuthorityRow = field(repr=False)
    row: RolloverRow
    update: publication.Update = field(repr=False)


def listing(room: Room, tenant_id: str, name: str) -> list[Rollover]:
    """Return every change of keys of a CA, oldest first; Fault(NOT_FOUND)."""
    with room.database.read(tenant_id) as reader:
        rows = store.all_authorities(reader)
        line = room.find(rows, name).first
        found = [one for one in _all(reader, rows) if one.old.first == line]
    return sorted(found, key=lambda one: one.new.generation)


def _all(reader: Reader, rows: list[AuthorityRow]) -> list[Rollover]:
    by_id = {row.id: row for row in rows}
    found = lifecycle.all_rollovers(reader)
    made = lifecycle.links_of(reader, rollover_ids=[one.id for one in found]) if found else []
    return [
        Rollover(one.id, one.state, by_id[one.old_id], by_id[one.new_id], one, publication.update_of(one, by_id, made))
        for one in found
    ]


# -- prepare -----------------------------------------------------------------------------------------------------------


def prepare(room: Room, tenant_id: str, name: str, order: RolloverOrder, actor: str, request_id: str = "") -> Rollover:
    """Make a new key and certificate for the CA's name, and the links; Fault(CONFLICT) while another waits.

    Nothing is issued by it yet: relying parties and clients get to know it first.
    """
    with room.database.read(tenant_id) as reader:
        rows = store.all_authorities(reader)
        old = room.find(rows, name)
        present = lifecycle.all_rollovers(reader)
    _check_old(old, present)
    generation = max(row.generation for row in rows if row.first == old.first) + 1
    request = Request(actor, request_id, room.clock.now())
    with room.vault.new_keys() as made:
        plan = _plan(room, rows, old, generation, order, made)
        signer = hierarchy.signer_key(room, plan, made)
        with room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"authorities:{tenant_id}")
            rows = store.all_authorities(uow)
            old = next(row for row in rows if row.id == old.id)
            _check_old(old, lifecycle.all_rollovers(uow))
            new = _certify(room, uow, plan, old, rows, order, request)
            new = replace(new, line=old.first, generation=generation, status=AuthorityStatus.PREPARED)
            store.insert_authority(uow, new)
            make.add(room, uow, new, signer, _OCSP)
            row = RolloverRow(uuid.uuid4().hex, tenant_id, old.id, new.id, RolloverState.PREPARED, request.now)
            lifecycle.insert_rollover(uow, row)
            linking.add_link(room, uow, old, new, LinkKind.NEW_WITH_OLD, row.id, request)
            linking.add_link(room, uow, new, old, LinkKind.OLD_WITH_NEW, row.id, request)
            _audit(uow, row, old.name, "prepare", request, {"generation": generation, "algorithm": new.key_algorithm})
        made.keep()
    return _get(room, tenant_id, row.id)


def _check_old(old: AuthorityRow, present: list[RolloverRow]) -> None:
    if old.status is not AuthorityStatus.ACTIVE:
        raise _conflict(f"{old.name} is {old.status.value}: only an active certificate authority gets a new key")
    if old.offline:
        raise keys.offline(old)
    if any(one.old_id == old.id and one.state is RolloverState.PREPARED for one in present):
        raise _conflict(f"a rollover of {old.name} is prepared already: activate or cancel it")


def _plan(
    room: Room, rows: list[AuthorityRow], old: AuthorityRow, generation: int, order: RolloverOrder, made: NewKeys
) -> Plan:
    taken = {row.name for row in rows}
    name = free_name(old.name, generation, taken)
    wanted = AuthorityOrder(
        name=name,
        subject=old.subject,
        parent=next((row.name for row in rows if row.id == old.parent_id), ""),
        key_algorithm=order.key_algorithm or old.key_algorithm,
    )
    return hierarchy.make_plan(room, wanted, made)


def free_name(base: str, generation: int, taken: set[str]) -> str:
    """Return the name of a generation that does not stand for its CA: the CA's, and its number."""
    for suffix in (f"-{generation}", f"-{generation}-{uuid.uuid4().hex[:8]}"):
        name = base[: _MAX_NAME - len(suffix)] + suffix
        if name not in taken:
            return name
    raise _conflict(f"no name is left for generation {generation} of {base}")


def _certify(
    room: Room,
    uow: UnitOfWork,
    plan: Plan,
    old: AuthorityRow,
    rows: list[AuthorityRow],
    order: RolloverOrder,
    request: Request,
) -> AuthorityRow:
    """Issue the new certificate: by the CA above, or by itself; with the limits of the old one."""
    before = decode_certificate(old.certificate)
    profile = _profile(uow, old)
    signature = policy.default_signature(plan.key.algorithm)
    row = hierarchy.unsigned_row(room, uow.tenant_id, plan, old.subject, signature)
    i = Issuance(
        room=room,
        order=IssueOrder(profile=profile.name, protocol="internal"),
        actor=request.actor,
        request_id=request.request_id,
        now=request.now,
        rows=rows,
        ca=row,
        profile=profile,
        key=hierarchy.own_key(plan, before.subject, request.now, signature),
        spki=plan.key.public_spki,
        key_algorithm=plan.key.algorithm,
        subject=decode_name(before.subject),
        wanted=Wanted(copied=linking.constraints(before)),
        path_length=linking.path_length(before),
        self_signed=not old.parent_id,
    )
    parent_id = ""
    if old.parent_id:
        parent = _issuer(uow, old, rows)
        parent_id, i.ca, i.key = parent.id, parent, room.keys.of(parent)
    seconds = order.validity or int((before.not_after - before.not_before + _SECOND).total_seconds())
    limits = profile.validity
    if not order.validity:  # as long as the old one, where the profile has not become stricter since
        seconds = int(min(max(seconds, limits.minimum.total_seconds()), limits.maximum.total_seconds()))
    internal.certify(i, uow, seconds)
    return replace(row, parent_id=parent_id, certificate=i.der, not_before=i.not_before, not_after=i.not_after)


def _profile(reader: Reader, old: AuthorityRow) -> Profile:
    """Return what the old certificate was issued under."""
    serial = serials.to_hex(decode_certificate(old.certificate).serial)
    found = certificates.by_serial(reader, serial, old.parent_id or old.id)
    name = found[0].profile if found else ""
    usual = "intermediate-ca" if old.parent_id else "root-ca"
    try:
        profile = load_profile(reader, name or usual)
    except Fault as fault:
        if fault.kind is not FaultKind.NOT_FOUND:  # it was deleted, or the CA was brought in from elsewhere
            raise
        return built_in_profiles()[usual]
    return profile if profile.is_ca else built_in_profiles()[usual]


def _issuer(uow: UnitOfWork, old: AuthorityRow, rows: list[AuthorityRow]) -> AuthorityRow:
    parent = current(next(row for row in rows if row.id == old.parent_id), rows)
    if parent.offline:
        text = f"{parent.name}, which is above {old.name}, is offline: ask for a request to be signed there"
        raise _conflict(text)
    if parent.status is not AuthorityStatus.ACTIVE:
        raise _conflict(f"{parent.name}, which is above {old.name}, is {parent.status.value}")
    issue.refuse_revoked_authority(uow, parent, rows)
    return parent


# -- activate, retire, cancel ------------------------------------------------------------------------------------------


def activate(room: Room, tenant_id: str, name: str, actor: str, request_id: str = "") -> Rollover:
    """Let the prepared key issue: it takes the CA's name, and all that goes by it; Fault(NOT_FOUND)."""
    request = Request(actor, request_id, room.clock.now())
    with room.database.unit_of_work(tenant_id) as uow:
        uow.lock(f"authorities:{tenant_id}")
        rows = store.all_authorities(uow)
        found = _prepared(uow, room, rows, name)
        old, new = found.old, found.new
        issue.refuse_revoked_authority(uow, new, rows)
        taken = {row.name for row in rows} - {new.name}
        lifecycle.rename(uow, old.id, free_name(old.name, old.generation, taken), AuthorityStatus.SUPERSEDED)
        lifecycle.rename(uow, new.id, old.name, AuthorityStatus.ACTIVE)
        lifecycle.hand_over(uow, old.id, new.id, SSH_PURPOSES)
        lifecycle.set_rollover(uow, found.row, RolloverState.ACTIVATED, request.now)
        _audit(uow, found.row, old.name, "activate", request, {"generation": new.generation})
    return _get(room, tenant_id, found.id)


def retire(room: Room, tenant_id: str, name: str, actor: str, request_id: str = "") -> Rollover:
    """Publish the CA's earlier generations and the links to them no more; Fault(NOT_FOUND) if none is left.

    They go on answering for what they have issued.
    """
    request = Request(actor, request_id, room.clock.now())
    with room.database.unit_of_work(tenant_id) as uow:
        uow.lock(f"authorities:{tenant_id}")
        rows = store.all_authorities(uow)
        line = room.find(rows, name).first
        every = sorted(_all(uow, rows), key=lambda one: one.new.generation)
        found = [one for one in every if one.old.first == line and one.state is RolloverState.ACTIVATED]
        if not found:
            raise _none(f"there is no earlier key of {name} to retire")
        for one in found:
            lifecycle.rename(uow, one.old.id, one.old.name, AuthorityStatus.RETIRED)
            lifecycle.set_rollover(uow, one.row, RolloverState.RETIRED, request.now)
            _audit(uow, one.row, name, "retire", request, {"generation": one.old.generation})
    return _get(room, tenant_id, found[-1].id)


def cancel(room: Room, tenant_id: str, name: str, actor: str, request_id: str = "") -> Rollover:
    """Give up a prepared key: its certificates are revoked, and it will never issue; Fault(NOT_FOUND)."""
    request = Request(actor, request_id, room.clock.now())
    with room.database.unit_of_work(tenant_id) as uow:
        uow.lock(f"authorities:{tenant_id}")
        rows = store.all_authorities(uow)
        found = _prepared(uow, room, rows, name)
        lifecycle.rename(uow, found.new.id, found.new.name, AuthorityStatus.RETIRED)
        lifecycle.set_rollover(uow, found.row, RolloverState.CANCELLED, request.now)
        for issuer, certificate in (
            (found.new.parent_id, found.new.certificate),
            (found.old.id, found.update.new_with_old),
        ):
            if issuer:
                _revoke(uow, issuer, certificate, request)
        _audit(uow, found.row, found.old.name, "cancel", request, {"generation": found.new.generation})
    return _get(room, tenant_id, found.id)


def _prepared(uow: UnitOfWork, room: Room, rows: list[AuthorityRow], name: str) -> Rollover:
    old = room.find(rows, name)
    found = [one for one in _all(uow, rows) if one.old.id == old.id and one.state is RolloverState.PREPARED]
    if not found:
        raise _none(f"no rollover of {old.name} is prepared")
    return found[-1]


def _revoke(uow: UnitOfWork, issuer: str, certificate: bytes, request: Request) -> None:
    serial = serials.to_hex(decode_certificate(certificate).serial)
    now = request.now.replace(microsecond=0)
    reason = RevocationReason.CESSATION_OF_OPERATION
    for row in certificates.by_serial(uow, serial, issuer):
        if row.revoked_at is None and certificates.set_revocation(uow, row, now, reason, None):
            certificates.append_event(uow, issuer, serial, now)
            details = {"reason": reason.value}
            event = AuditEvent("certificate.revoke", request.actor, serial, "success", details, request.request_id)
            audit.append(uow, event)


def _get(room: Room, tenant_id: str, rollover_id: str) -> Rollover:
    with room.database.read(tenant_id) as reader:
        return next(one for one in _all(reader, store.all_authorities(reader)) if one.id == rollover_id)


def _audit(
    uow: UnitOfWork, row: RolloverRow, name: str, step: str, request: Request, details: dict[str, object]
) -> None:
    said = {"step": step, "rollover": row.id, "old": row.old_id, "new": row.new_id, **details}
    audit.append(uow, AuditEvent("authority.rollover", request.actor, name, "success", said, request.request_id))


def _conflict(text: str) -> Fault:
    return Fault(FaultKind.CONFLICT, text, text)


def _none(text: str) -> Fault:
    return Fault(FaultKind.NOT_FOUND, text, text)
