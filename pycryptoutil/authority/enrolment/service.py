"""Asking for certificates, whichever protocol it is: issued at once, or kept until enough people have approved.

A request that waits has been through every decision already, and has used its credential: who asks again, be it by the
same message or over another replica, is told of the same request. What was approved is decided anew and signed in the
unit of work that writes the last approval down, so that there is never one without the other.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols.csr import decode_csr
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import decisions, issue
from pycryptoutil.authority import store as tables
from pycryptoutil.authority.certificates import records
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.credentials import store as credentials
from pycryptoutil.authority.enrolment import order as orders
from pycryptoutil.authority.enrolment import store, views
from pycryptoutil.authority.enrolment.model import (
    Approval,
    ApprovalFilter,
    ApprovalPage,
    ApprovalState,
    Enrolment,
    EnrolmentState,
)
from pycryptoutil.authority.enrolment.store import DecisionRow, EnrolmentRow
from pycryptoutil.authority.events import EventType, emit
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.model import IssuedCertificate, IssueOrder
from pycryptoutil.authority.room import Room, chain, load_profile
from pycryptoutil.authority.store import ENROLMENT_KEYS
from pycryptoutil.crypto import x509
from pycryptoutil.crypto.keys import PrivateKey, generate
from pycryptoutil.http.paging import decode_cursor, encode_cursor
from pycryptoutil.storage import SYSTEM_TENANT, Reader, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

APPROVE: Final = "approve"
REJECT: Final = "reject"
_MAX_COMMENT: Final = 500
_MAX_LIMIT: Final = 200
_OVERDUE_BATCH: Final = 200
_TRIES: Final = 5
_TRANSIENT: Final = frozenset(
    {FaultKind.UNAVAILABLE, FaultKind.SEALED, FaultKind.STORAGE_FULL, FaultKind.BUSY, FaultKind.INTERNAL}
)


class Enrolments:
    """Every request of an installation. Shared by all threads, holds nothing."""

    def __init__(self, room: Room) -> None:
        self._room = room

    # -- asking --------------------------------------------------------------------------------------------------------

    def enrol(self, tenant_id: str, order: IssueOrder, actor: str, request_id: str = "") -> Enrolment:
        """Issue, or keep the order until it is approved; a repeat is told what became of the first.

        Fault as :func:`pycryptoutil.authority.issue.run`, and RATE_LIMITED when too much of the requester waits.
        """
        i = issue.begin(self._room, tenant_id, order, actor, request_id)
        if not i.profile.approvals:
            return Enrolment("", tenant_id, EnrolmentState.ISSUED, issue.run_begun(i))
        return self._ask(i, None)[0]

    def enrol_generated(
        self, tenant_id: str, order: IssueOrder, actor: str, request_id: str = "", key_algorithm: str = ""
    ) -> tuple[Enrolment, PrivateKey | None]:
        """Ask for a certificate of a key that is made here. The key comes with the certificate; None until then.

        It is kept, sealed, while it waits and as long as repeats are answered.
        """
        i, key, algorithm = self._begin_with_key(tenant_id, order, actor, request_id, key_algorithm)
        if not i.profile.approvals:
            return Enrolment("", tenant_id, EnrolmentState.ISSUED, issue.run_begun(i)), key
        answer, row = self._ask(i, key, algorithm)
        if answer.state is not EnrolmentState.ISSUED or row.sealed_key is None:
            return answer, None
        return answer, self._room.barrier.open_key(row.sealed_key, ENROLMENT_KEYS.aad(tenant_id, row.id))

    def issue_generated(
        self, tenant_id: str, order: IssueOrder, actor: str, request_id: str, key_algorithm: str
    ) -> tuple[IssuedCertificate, PrivateKey]:
        """Make a key and a certificate for it at once; Fault(POLICY) where the profile asks for approval first."""
        once = replace(order, idempotency_key="")
        i, key, _ = self._begin_with_key(tenant_id, once, actor, request_id, key_algorithm)
        return issue.run_begun(i), key

    def _begin_with_key(
        self, tenant_id: str, order: IssueOrder, actor: str, request_id: str, key_algorithm: str
    ) -> tuple[Issuance, PrivateKey, str]:
        """Make a key, of the profile's algorithm unless one is named. A CSR gives the names only, not its key."""
        if order.csr is not None:
            decode_csr(order.csr)
        with self._room.database.read(tenant_id) as reader:
            profile = load_profile(reader, order.profile or self._room.settings.default_profile)
        algorithm = key_algorithm or profile.generated_key
        key = generate(algorithm)
        # without approval a repeat gets another key, and so another certificate
        idempotency_key = order.idempotency_key if profile.approvals else ""
        with_key = replace(order, spki=key.public_spki, idempotency_key=idempotency_key)
        return issue.begin(self._room, tenant_id, with_key, actor, request_id), key, algorithm

    def _ask(self, i: Issuance, key: PrivateKey | None, algorithm: str = "") -> tuple[Enrolment, EnrolmentRow]:
        with issue.refusals_audited(i):
            decisions.read_request(i)
            digest = orders.digest(i, algorithm if key is not None else None)
            found = self._current(i.ca.tenant_id, digest)
            if found is None:
                issue.decide(i)
                found = self._begin(i, digest, key)
        return self._answer(found), found

    def _current(self, tenant_id: str, digest: str) -> EnrolmentRow | None:
        """Return the request that this one repeats; one whose certificate was revoked since is repeated by nothing."""
        with self._room.database.read(tenant_id) as reader:
            row = store.current(reader, digest, self._room.clock.now())
            if row is None or row.state is not ApprovalState.ISSUED:
                return row
            issued = next(iter(certificates.by_serial(reader, row.serial, row.authority_id)), None)
        return row if issued is not None and issued.revoked_at is None else None

    def _begin(self, i: Issuance, digest: str, key: PrivateKey | None) -> EnrolmentRow:
        row = self._row(i, digest, key)
        limit = self._room.settings.max_waiting_requests
        try:
            with self._room.database.unit_of_work(row.tenant_id) as uow:
                uow.lock(f"enrolments:{i.requester}")
                for late in store.overdue(uow, i.now, 1, digest):
                    self._end(uow, late, ApprovalState.EXPIRED, "system", i.request_id, views.EXPIRED)
                if store.waiting_of(uow, i.requester, i.now) >= limit:
                    public = "too many requests wait for approval; come again when some are decided"
                    retry = self._room.settings.approval_poll_seconds
                    raise Fault(FaultKind.RATE_LIMITED, f"{i.requester} has {limit} waiting", public, retry_after=retry)
                issue.spend_credential(i, uow)
                store.insert(uow, row)
                details = {
                    "profile": row.profile,
                    "protocol": row.protocol,
                    "needed": row.needed,
                    "spki_sha256": row.spki_sha256,
                }
                audit.append(uow, AuditEvent("approval.request", i.requester, row.id, "success", details, i.request_id))
                emit(uow, EventType.APPROVAL_REQUESTED, {"id": row.id, "requester": i.requester} | details)
        except Fault as fault:
            raced = fault.kind in {FaultKind.CONFLICT, FaultKind.FORBIDDEN}
            earlier = self._current(row.tenant_id, digest) if raced else None
            if earlier is None:
                raise
            # the same request was being taken down by another thread or replica, and may have spent the credential
            return earlier
        return row

    def _row(self, i: Issuance, digest: str, key: PrivateKey | None) -> EnrolmentRow:
        identifier, tenant_id = uuid.uuid4().hex, i.ca.tenant_id
        seal = self._room.barrier.seal_key
        return EnrolmentRow(
            tenant_id=tenant_id,
            id=identifier,
            digest=digest,
            state=ApprovalState.PENDING,
            reason="",
            authority_id=i.ca.id,
            profile=i.profile.name,
            protocol=i.order.protocol,
            requester=i.requester,
            actor=i.actor,
            subject=x509.name_text(i.subject.der),
            names="\n".join(map(str, i.sans)),
            spki_sha256=i.spki_sha256,
            key_algorithm=i.key_algorithm,
            credential_id=i.order.credential.id if i.order.credential is not None else "",
            document=orders.document(i.order),
            sealed_key=seal(key, ENROLMENT_KEYS.aad(tenant_id, identifier)) if key is not None else None,
            needed=i.profile.approvals,
            approvals=0,
            serial="",
            created_at=i.now,
            expires_at=i.now + timedelta(days=self._room.settings.approval_days),
            decided_at=None,
        )

    # -- what became of it ---------------------------------------------------------------------------------------------

    def enrolment(self, tenant_id: str, enrolment_id: str) -> Enrolment:
        """Return what became of a request, for the protocol that asked; Fault(NOT_FOUND)."""
        with self._room.database.read(tenant_id) as reader:
            row = _find(reader, enrolment_id)
        return self._answer(row)

    def _answer(self, row: EnrolmentRow) -> Enrolment:
        row = views.as_of(row, self._room.clock.now())
        pending = row.state is ApprovalState.PENDING
        return Enrolment(
            id=row.id,
            tenant_id=row.tenant_id,
            state=row.state.public,
            certificate=self._certificate(row) if row.state is ApprovalState.ISSUED else None,
            retry_after=self._room.settings.approval_poll_seconds if pending else 0,
            reason=row.reason,
            approvals=row.approvals,
            needed=row.needed,
        )

    def _certificate(self, row: EnrolmentRow) -> IssuedCertificate:
        with self._room.database.read(row.tenant_id) as reader:
            found = next(iter(certificates.by_serial(reader, row.serial, row.authority_id)), None)
            authorities = tables.all_authorities(reader)
        ca = next((one for one in authorities if one.id == row.authority_id), None)
        if found is None or ca is None:
            raise Fault(FaultKind.INTERNAL, f"enrolment {row.id} issued {row.serial}, which is not there")
        return records.answer(found, ca.name, chain(ca, authorities), repeated=True)

    def approvals(
        self, tenant_id: str, wanted: ApprovalFilter | None = None, cursor: str = "", limit: int = 50
    ) -> ApprovalPage:
        """Return a part of the requests, newest first; Fault(INVALID) for a cursor of another list."""
        now, limit = self._room.clock.now(), max(1, min(limit, _MAX_LIMIT))
        position = decode_cursor(cursor, 2)
        after = (views.instant(position[0]), position[1]) if position is not None else None
        with self._room.database.read(tenant_id) as reader:
            rows = store.listing(reader, wanted or ApprovalFilter(), now, after, limit + 1)
            names = {one.id: one.name for one in tables.all_authorities(reader)}
        shown = rows[:limit]
        following = encode_cursor(shown[-1].created_at.isoformat(), shown[-1].id) if len(rows) > limit else ""
        return ApprovalPage(tuple(views.approval(row, names, now) for row in shown), following)

    def approval(self, tenant_id: str, enrolment_id: str) -> Approval:
        """Return one request with what was decided on it; Fault(NOT_FOUND)."""
        with self._room.database.read(tenant_id) as reader:
            row = _find(reader, enrolment_id)
            names = {one.id: one.name for one in tables.all_authorities(reader)}
            decided = store.decisions_on(reader, row.id)
        return views.approval(row, names, self._room.clock.now(), decided)

    def waiting(self) -> int:
        """Count what waits, of every tenant."""
        with self._room.database.read(SYSTEM_TENANT) as reader:
            return store.waiting(reader, self._room.clock.now())

    # -- deciding ------------------------------------------------------------------------------------------------------

    def approve(
        self, tenant_id: str, enrolment_id: str, actor: str, comment: str = "", request_id: str = ""
    ) -> Approval:
        """Agree to a request; the last approval that it needs issues the certificate.

        Fault(NOT_FOUND), FORBIDDEN for whoever asked, CONFLICT for who has decided otherwise and for what is over.
        Saying the same again changes nothing.
        """
        return self._decide(tenant_id, enrolment_id, actor, APPROVE, comment, request_id)

    def reject(
        self, tenant_id: str, enrolment_id: str, actor: str, comment: str = "", request_id: str = ""
    ) -> Approval:
        """Refuse a request: one rejection ends it. Faults as :meth:`approve`."""
        return self._decide(tenant_id, enrolment_id, actor, REJECT, comment, request_id)

    def _decide(
        self, tenant_id: str, enrolment_id: str, actor: str, decision: str, comment: str, request_id: str
    ) -> Approval:
        if len(comment) > _MAX_COMMENT:
            text = f"a comment has at most {_MAX_COMMENT} characters"
            raise Fault(FaultKind.INVALID, text, text, pointer="comment")
        for _ in range(_TRIES):
            with self._room.database.read(tenant_id) as reader:
                row = views.as_of(_find(reader, enrolment_id), self._room.clock.now())
                said = [one for one in store.decisions_on(reader, row.id) if one.approver == views.person(actor)]
            if said and said[0].decision == decision:
                return self.approval(tenant_id, enrolment_id)
            _check_decision(row, actor, said)
            given = DecisionRow(
                tenant_id, row.id, views.person(actor), actor, decision, comment, self._room.clock.now()
            )
            done = (
                self._approved(row, given, request_id)
                if decision == APPROVE
                else self._rejected(row, given, request_id)
            )
            if done:
                return self.approval(tenant_id, enrolment_id)
        raise Fault(FaultKind.BUSY, f"enrolment {enrolment_id} changes all the time", "try again", retry_after=1)

    def _rejected(self, row: EnrolmentRow, given: DecisionRow, request_id: str) -> bool:
        with self._room.database.unit_of_work(row.tenant_id) as uow:
            reason = f"rejected by an approver: {given.comment}" if given.comment else "rejected by an approver"
            if not self._end(uow, row, ApprovalState.REJECTED, given.actor, request_id, reason):
                return False
            store.add_decision(uow, given)
        return True

    def _approved(self, row: EnrolmentRow, given: DecisionRow, request_id: str) -> bool:
        """Write an approval down, with the certificate where it is the last one; False if somebody was faster."""
        last = row.approvals + 1 >= row.needed
        try:
            i = self._prepare(row, request_id) if last else None
            with self._room.database.unit_of_work(row.tenant_id) as uow:
                uow.lock(f"enrolment:{row.id}")
                now = store.get(uow, row.id)
                if now is None or now.state is not row.state or now.approvals != row.approvals:
                    return False
                self._count(uow, row, given, request_id)
                if i is not None:
                    issue.write(i, uow)
                    ends = given.at + timedelta(hours=self._room.settings.idempotency_hours)
                    store.decide(uow, row.id, ApprovalState.ISSUED, given.at, ends, serial=i.serial_hex)
                    _tell(uow, row, ApprovalState.ISSUED, given.actor, i.serial_hex)
        except Fault as fault:
            if not last or fault.kind in _TRANSIENT or self._said(row, given):
                raise
            return self._failed(row, given, request_id, fault)
        return True

    def _said(self, row: EnrolmentRow, given: DecisionRow) -> bool:
        with self._room.database.read(row.tenant_id) as reader:
            return any(one.approver == given.approver for one in store.decisions_on(reader, row.id))

    def _count(self, uow: UnitOfWork, row: EnrolmentRow, given: DecisionRow, request_id: str) -> None:
        store.add_decision(uow, given)
        store.count_approval(uow, row.id)
        details = {"approvals": row.approvals + 1, "needed": row.needed, "comment": given.comment}
        audit.append(uow, AuditEvent("approval.approve", given.actor, row.id, "success", details, request_id))

    def _prepare(self, row: EnrolmentRow, request_id: str) -> Issuance:
        """Decide again what was decided when it was asked for: the rules, the CA and the credential may be others."""
        with self._room.database.read(row.tenant_id) as reader:
            order = orders.restore(reader, row, self._room.clock.now())
        i = issue.begin(self._room, row.tenant_id, order, row.actor, request_id)
        i.enrolment = row.id
        issue.decide(i)
        issue.precertify(i)
        return i

    def _failed(self, row: EnrolmentRow, given: DecisionRow, request_id: str, fault: Fault) -> bool:
        """End a request that was approved and can be issued no more."""
        reason = fault.public or "the certificate can be issued no more"
        with self._room.database.unit_of_work(row.tenant_id) as uow:
            if not self._end(uow, row, ApprovalState.FAILED, given.actor, request_id, reason):
                return False
            store.add_decision(uow, given)
        return True

    def cancel(self, tenant_id: str, enrolment_id: str, actor: str, request_id: str = "", reason: str = "") -> None:
        """Withdraw a request that waits; Fault(NOT_FOUND), CONFLICT if it was decided."""
        with self._room.database.unit_of_work(tenant_id) as uow:
            row = _find(uow, enrolment_id)
            if not self._end(uow, row, ApprovalState.CANCELLED, actor, request_id, reason or "withdrawn by who asked"):
                raise _over(row)

    def withdraw(self, uow: UnitOfWork, actor: str, request_id: str = "") -> int:
        """Withdraw all that an actor has waiting, in the unit in which the actor ends; return how much."""
        return sum(
            self._end(uow, row, ApprovalState.CANCELLED, actor, request_id, "who asked is no more")
            for row in store.waiting_for(uow, actor)
        )

    def _end(
        self, uow: UnitOfWork, row: EnrolmentRow, state: ApprovalState, actor: str, request_id: str, reason: str
    ) -> bool:
        """End a request without a certificate: its credential may be used again. False if it is over already."""
        now = self._room.clock.now()
        # who was rejected and asks the same again is told so for a while; otherwise asking again is a new request
        hours = self._room.settings.idempotency_hours if state is ApprovalState.REJECTED else 0
        if not store.decide(uow, row.id, state, now, now + timedelta(hours=hours), reason):
            return False
        if row.credential_id:
            credentials.give_back(uow, row.credential_id)
        outcome = "success" if state in {ApprovalState.REJECTED, ApprovalState.CANCELLED} else "failure"
        details = {"requester": row.requester, "reason": reason}
        audit.append(uow, AuditEvent(f"approval.{_VERBS[state]}", actor, row.id, outcome, details, request_id))
        _tell(uow, row, state, actor)
        return True

    # -- upkeep --------------------------------------------------------------------------------------------------------

    def maintain(self, tenant_id: str) -> None:
        """End what has waited too long, destroy keys that nobody will be given any more, forget what is old."""
        now = self._room.clock.now()
        kept: datetime = now - timedelta(days=self._room.settings.approval_kept_days)
        with self._room.database.unit_of_work(tenant_id) as uow:
            for row in store.overdue(uow, now, _OVERDUE_BATCH):
                self._end(uow, row, ApprovalState.EXPIRED, "system", "", views.EXPIRED)
            store.forget(uow, now, kept)


_VERBS: Final = {
    ApprovalState.REJECTED: "reject",
    ApprovalState.CANCELLED: "cancel",
    ApprovalState.EXPIRED: "expire",
    ApprovalState.FAILED: "fail",
}


def _tell(uow: UnitOfWork, row: EnrolmentRow, state: ApprovalState, actor: str, serial: str = "") -> None:
    data = {"id": row.id, "state": state.value, "by": actor, "requester": row.requester, "profile": row.profile}
    emit(uow, EventType.APPROVAL_DECIDED, data | ({"serial": serial} if serial else {}))


def _find(reader: Reader, enrolment_id: str) -> EnrolmentRow:
    row = store.get(reader, enrolment_id) if 0 < len(enrolment_id) <= 32 else None
    if row is None:
        text = "there is no such request"
        raise Fault(FaultKind.NOT_FOUND, f"no enrolment {enrolment_id[:40]!r}", text)
    return row


def _over(row: EnrolmentRow) -> Fault:
    text = f"the request is {row.state.value}"
    return Fault(FaultKind.CONFLICT, f"enrolment {row.id}: {text}", text)


def _check_decision(row: EnrolmentRow, actor: str, said: list[DecisionRow]) -> None:
    if row.state is not ApprovalState.PENDING:
        raise _over(row)
    if views.person(actor) in {views.person(row.actor), views.person(row.requester)}:
        text = "whoever asks for a certificate does not decide on it"
        raise Fault(FaultKind.FORBIDDEN, f"enrolment {row.id}: {actor} asked for it", text)
    if said:
        text = "you have decided on this request already"
        raise Fault(FaultKind.CONFLICT, f"enrolment {row.id}: {actor} has decided", text)
