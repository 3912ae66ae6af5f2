"""Approvals: what one person may not do alone. A request is approved by others than the one who asks, and used once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.keyring.model import Approval, ApprovalState, ElasticKey, KeyStatus
from pycryptoutil.keyring.room import Room, conflict, invalid
from pycryptoutil.keyring.store import approvals as store
from pycryptoutil.storage import Reader, UnitOfWork

ACTIONS: Final = frozenset({"destroy", "export", "backup"})
_LIFETIME: Final = timedelta(days=7)
_MAX_LISTED: Final = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be done: an approval is for exactly this."""

    action: str  # destroy | export | backup
    version: int = 0  # 0: the whole key
    recipient: str = ""  # thumbprint of the key that an export or a backup goes to


class Quorum(Room):
    """Requests, votes, and the check that spends an approval."""

    def request_approval(
        self, tenant_id: str, reference: str, asked: Asked, actor: str, request_id: str = ""
    ) -> Approval:
        """Ask for what the key's policy reserves to several; Fault(NOT_FOUND, CONFLICT, INVALID)."""
        if asked.action not in ACTIONS:
            raise invalid(f"an action is one of {', '.join(sorted(ACTIONS))}", "action")
        if bool(asked.recipient) != (asked.action in ("export", "backup")):
            raise invalid("an export or a backup names its recipient, and nothing else does", "recipient")
        now = self._clock.now()
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._locked(uow, reference)
            if key.status is KeyStatus.DESTROYED:
                raise conflict(f"key {key.id} is destroyed", "the key is destroyed")
            if not key.policy.quorum:
                raise conflict(f"key {key.id} has no quorum", "the key needs no approval")
            if asked.version:
                self._row(uow, key, asked.version)
            approval = Approval(
                id=uuid.uuid4().hex,
                key_id=key.id,
                action=asked.action,
                version=asked.version,
                state=ApprovalState.PENDING,
                requested_by=actor[:300],
                requested_at=now,
                expires_at=now + _LIFETIME,
                approved_by=(),
                needed=key.policy.quorum,
                details={"recipient": asked.recipient} if asked.recipient else {},
            )
            store.insert(uow, approval)
            self._record(uow, "approval.request", actor, request_id, key.id, **_facts(approval))
        return approval

    def approve(self, tenant_id: str, approval_id: str, actor: str, request_id: str = "") -> Approval:
        """Vote for a request; Fault(NOT_FOUND, CONFLICT, FORBIDDEN for the one who asked)."""
        with self._database.unit_of_work(tenant_id) as uow:
            approval = self._open_approval(uow, approval_id)
            if actor[:300] == approval.requested_by:
                text = "who asks does not approve"
                raise Fault(FaultKind.FORBIDDEN, f"approval {approval.id}: {text}", text)
            if actor[:300] in approval.approved_by:
                raise conflict(f"approval {approval.id}: voted already", "you have approved this already")
            store.vote(uow, approval.id, actor[:300], self._clock.now())
            if len(approval.approved_by) + 1 >= approval.needed:
                store.move(uow, approval.id, ApprovalState.PENDING, ApprovalState.APPROVED)
            self._record(uow, "approval.approve", actor, request_id, approval.key_id, **_facts(approval))
            return self._approval(uow, approval_id)

    def reject(self, tenant_id: str, approval_id: str, actor: str, request_id: str = "") -> Approval:
        """End a request, also one that has its votes; Fault(NOT_FOUND, CONFLICT)."""
        with self._database.unit_of_work(tenant_id) as uow:
            approval = self._open_approval(uow, approval_id, ApprovalState.APPROVED)
            store.move(uow, approval.id, approval.state, ApprovalState.REJECTED)
            self._record(uow, "approval.reject", actor, request_id, approval.key_id, **_facts(approval))
            return self._approval(uow, approval_id)

    def approval(self, tenant_id: str, approval_id: str) -> Approval:
        """Return one; Fault(NOT_FOUND)."""
        with self._database.read(tenant_id) as reader:
            return self._approval(reader, approval_id)

    def approvals(self, tenant_id: str, reference: str = "") -> list[Approval]:
        """Return the newest requests of a key, or of every key of this keyring."""
        with self._database.read(tenant_id) as reader:
            key_id = self._find(reader, reference).id if reference else ""
            found = store.listing(reader, key_id, _MAX_LISTED)
            return [one for one in found if key_id or self._mine(reader, one)]

    def _mine(self, reader: Reader, approval: Approval) -> bool:
        try:
            return self._find(reader, approval.key_id).id == approval.key_id
        except Fault:
            return False

    def _approval(self, reader: Reader, approval_id: str) -> Approval:
        found = store.find(reader, approval_id[:32])
        if found is None or found.id != approval_id or not self._mine(reader, found):
            raise Fault(FaultKind.NOT_FOUND, f"no approval {approval_id[:64]!r}", "there is no such approval")
        return found

    def _open_approval(self, uow: UnitOfWork, approval_id: str, also: ApprovalState | None = None) -> Approval:
        found = self._approval(uow, approval_id)
        uow.lock(f"keyring:{found.key_id}")
        found = self._approval(uow, approval_id)
        if found.state not in (ApprovalState.PENDING, also):
            raise conflict(f"approval {found.id} is {found.state}", f"the request is {found.state.value} already")
        if found.expires_at <= self._clock.now():
            raise Fault(FaultKind.EXPIRED, f"approval {found.id} has expired", "the request has expired")
        return found

    def _spend(self, uow: UnitOfWork, key: ElasticKey, asked: Asked, approval_id: str) -> None:
        """Use up the approval that a key's policy asks for; Fault(FORBIDDEN) without one that fits."""
        if not key.policy.quorum:
            return
        found = store.find(uow, approval_id[:32]) if approval_id else None
        fits = found is not None and (found.id, found.key_id, found.action, found.version) == (
            approval_id,
            key.id,
            asked.action,
            asked.version,
        )
        if found is None or not fits or found.details.get("recipient", "") != asked.recipient:
            text = f"this needs an approval by {key.policy.quorum}"
            raise Fault(FaultKind.FORBIDDEN, f"key {key.id}: {asked.action} without a fitting approval", text)
        # the quorum may have grown since it was asked for
        votes = [one for one in found.approved_by if one != found.requested_by]
        if found.expires_at <= self._clock.now() or len(votes) < key.policy.quorum:
            text = "the approval has expired, or has too few votes"
            raise Fault(FaultKind.FORBIDDEN, f"approval {found.id}: {text}", text)
        if not store.move(uow, found.id, ApprovalState.APPROVED, ApprovalState.DONE):
            raise Fault(FaultKind.FORBIDDEN, f"approval {found.id} is {found.state}", "the approval is not open")


def _facts(approval: Approval) -> Mapping[str, Any]:
    return {"approval": approval.id, "wanted": approval.action, "version": approval.version, **approval.details}
