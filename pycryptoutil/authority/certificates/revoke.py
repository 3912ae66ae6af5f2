"""Revoking, holding and releasing (RFC 5280 section 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import room as rooms
from pycryptoutil.authority import store as tables
from pycryptoutil.authority.certificates import records, store
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.events import EventType, emit
from pycryptoutil.authority.model import CertificateRecord, RevocationReason
from pycryptoutil.authority.room import Room
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_CA_ONLY = frozenset({RevocationReason.CA_COMPROMISE})
_ATTRIBUTE_ONLY = frozenset({RevocationReason.AA_COMPROMISE})


def revoke(
    room: Room,
    tenant_id: str,
    serial: str,
    reason: RevocationReason,
    invalidity_date: datetime | None,
    actor: str,
    request_id: str,
    authority: str = "",
) -> CertificateRecord:
    """Change a certificate's status: row, revocation event and audit event in one unit.

    ``certificateHold`` suspends, ``removeFromCRL`` releases; from hold a certificate may be revoked for good. What is
    revoked for good stays so: Fault(CONFLICT).
    """
    now = check_dates(room, invalidity_date)
    with room.database.unit_of_work(tenant_id) as uow:
        rows = tables.all_authorities(uow)
        names = rooms.names(rows)
        row = records.find(uow, serial, records.ids_of(room, rows, authority))
        _check_transition(row, reason)
        releases = reason is RevocationReason.REMOVE_FROM_CRL
        # a hold that becomes a revocation keeps its date: since then the certificate was not good
        since = None if releases else row.revoked_at or now
        change = Change(since, None if releases else reason, None if releases else invalidity_date, reason.value)
        if not write(uow, row, names.get(row.authority_id, ""), change, now, actor, request_id):
            raise _conflict("its status was changed at the same time")
        after = records.find(uow, row.serial, (row.authority_id,))
    return records.record(after, names.get(row.authority_id, ""), room.clock.now())


def check_dates(room: Room, invalidity_date: datetime | None) -> datetime:
    """Return now, in whole seconds as CRLs have it; Fault(INVALID) if the invalidity date is not past."""
    now = room.clock.now().replace(microsecond=0)
    if invalidity_date is not None and invalidity_date > now:
        text = "the invalidity date lies in the future"
        raise Fault(FaultKind.INVALID, text, text, pointer="invalidity_date")
    return now


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a certificate; ``said`` is the reason as it was given, and ``by`` what else it fell under."""

    revoked_at: datetime | None
    reason: RevocationReason | None
    invalidity_date: datetime | None
    said: str
    by: str = ""


def write(
    uow: UnitOfWork, row: CertificateRow, authority: str, change: Change, now: datetime, actor: str, request_id: str
) -> bool:
    """Change the row, if it is still as it was read, and tell of it: in the revocation log and in the audit chain."""
    if not store.set_revocation(uow, row, change.revoked_at, change.reason, change.invalidity_date):
        return False
    store.append_event(uow, row.authority_id, row.serial, now)
    details = {"reason": change.said}
    if change.invalidity_date is not None:
        details["invalidity_date"] = change.invalidity_date.isoformat()
    if change.by:
        details["by"] = change.by
    event = AuditEvent("certificate.revoke", actor, f"{authority}/{row.serial}", "success", details, request_id)
    audit.append(uow, event)
    held = change.reason is RevocationReason.CERTIFICATE_HOLD
    data = {
        "serial": row.serial,
        "authority": authority,
        "profile": row.profile,
        "subject": row.subject,
        "requester": row.requester,
        "status": "valid" if change.reason is None else "held" if held else "revoked",
        "reason": change.reason.value if change.reason is not None else None,
        "revoked_at": change.revoked_at.isoformat() if change.revoked_at is not None else None,
    }
    emit(uow, EventType.CERTIFICATE_RELEASED if change.reason is None else EventType.CERTIFICATE_REVOKED, data)
    return True


def _conflict(text: str) -> Fault:
    return Fault(FaultKind.CONFLICT, text, text)


def _check_transition(row: CertificateRow, reason: RevocationReason) -> None:
    held = row.reason == RevocationReason.CERTIFICATE_HOLD.code
    if reason in _CA_ONLY and row.profile not in {"root-ca", "intermediate-ca"}:
        raise Fault(
            FaultKind.INVALID, "cACompromise of a leaf", "cACompromise is for CA certificates", pointer="reason"
        )
    if reason in _ATTRIBUTE_ONLY:
        text = "aACompromise is for attribute certificates, which are not issued here"
        raise Fault(FaultKind.INVALID, text, text, pointer="reason")
    if reason is RevocationReason.REMOVE_FROM_CRL:
        if row.revoked_at is None:
            raise _conflict("the certificate is not on hold")
        if not held:
            raise _conflict("the certificate is revoked for good, and only a hold can be released")
    elif row.revoked_at is not None:
        if not held:
            raise _conflict("the certificate is revoked already")
        if reason is RevocationReason.CERTIFICATE_HOLD:
            raise _conflict("the certificate is on hold already")
