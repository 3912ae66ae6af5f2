"""Elastic keys: made, shown, changed, disabled, deleted with a waiting period, restored, destroyed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pycryptoutil.jose.jwk import JwkPrivate, JwkSecret
from pycryptoutil.keyring import catalog, material, rules
from pycryptoutil.keyring.model import (
    ElasticKey,
    KeyFilter,
    KeyOrder,
    KeyPage,
    KeyPolicy,
    KeyStatus,
    KeyVersion,
    Origin,
    Sort,
    VersionStatus,
)
from pycryptoutil.keyring.quorum import Asked, Quorum
from pycryptoutil.keyring.room import check_reason, conflict, invalid
from pycryptoutil.keyring.store import keys as key_store
from pycryptoutil.keyring.store import versions as version_store
from pycryptoutil.keyring.store.versions import VersionRow
from pycryptoutil.storage import UnitOfWork

MIN_WAITING: Final = timedelta(hours=1)
MAX_WAITING: Final = timedelta(days=365)
WAITING: Final = timedelta(days=30)
_SORTS: Final = ("name", "created_at", "updated_at", "rotated_at")


@dataclass(frozen=True, slots=True)
class KeyPatch:
    """What of a key shall change; None leaves it. ``change`` is what the caller has seen, if it cares."""

    description: str | None = None
    policy: KeyPolicy | None = None
    labels: Mapping[str, str] | None = None
    change: int | None = None


Also = Callable[[UnitOfWork, ElasticKey], None]
"""What a service writes beside a key."""


class Lifecycle(Quorum):
    """Elastic keys."""

    def create(
        self, tenant_id: str, order: KeyOrder, actor: str, request_id: str = "", *, also: Also | None = None
    ) -> ElasticKey:
        """Make a key and its first version; Fault(CONFLICT) for a name that is taken, INVALID, BAD_ALGORITHM, SEALED.

        Without a first version (``order.generate`` is false) the key waits for an import. ``also`` is done in the
        same unit of work.
        """
        rules.check_name(order.name)
        rules.check_texts(order.description, order.labels)
        rules.check_policy(order.policy)
        spec = catalog.resolve(order.algorithm, order.purpose)
        if not order.generate and not order.policy.import_allowed:
            raise invalid("a key without material must allow import", "policy/import_allowed")
        made = [material.make(spec) for _ in range(self._first(order))]  # RSA takes its time: not in the transaction
        now = self._ready(tenant_id)
        key = ElasticKey(
            id=uuid.uuid4().hex,
            tenant_id=tenant_id,
            name=order.name,
            description=order.description,
            algorithm=spec.name,
            purpose=order.purpose,
            status=KeyStatus.ENABLED,
            policy=order.policy,
            labels=dict(order.labels),
            latest_version=len(made),
            active_version=min(1, len(made)),
            created_at=now,
            updated_at=now,
            rotated_at=now,
            rotates_at=rules.next_rotation(order.policy, now) if made else None,
            delete_at=None,
            change=1,
        )
        with self._database.unit_of_work(tenant_id) as uow:
            key_store.insert(uow, self._owner, key)
            for number, jwk in enumerate(made, 1):
                status = VersionStatus.ACTIVE if number == 1 else VersionStatus.PENDING
                self._insert(uow, key, number, jwk, status, Origin.GENERATED, now)
            facts = {"name": key.name, "algorithm": key.algorithm, "purpose": key.purpose.value}
            self._record(uow, "create", actor, request_id, key.id, **facts)
            if also is not None:
                also(uow, key)
        return key

    def _first(self, order: KeyOrder) -> int:
        if not order.generate:
            return 0
        return 2 if self._ahead and order.policy.versioning_allowed and order.policy.max_versions != 1 else 1

    def _insert(
        self,
        uow: UnitOfWork,
        key: ElasticKey,
        number: int,
        jwk: JwkPrivate | JwkSecret,
        status: VersionStatus,
        origin: Origin,
        now: datetime,
    ) -> KeyVersion:
        """Write one version, sealed under the tenant's newest root."""
        version = KeyVersion(
            key_id=key.id,
            version=number,
            kid=jwk.kid,
            status=status,
            origin=origin,
            public=jwk.public if isinstance(jwk, JwkPrivate) else None,
            created_at=now,
            activated_at=now if status is VersionStatus.ACTIVE else None,
            revoked_at=None,
            destroyed_at=None,
            reason="",
        )
        root_id = self._vault.current_root(uow)
        sealed = self._vault.seal(uow, root_id, key.id, number, jwk)
        version_store.insert(uow, VersionRow(version, root_id, sealed))
        return version

    def get(self, tenant_id: str, reference: str) -> ElasticKey:
        """Return a key by its id or name; Fault(NOT_FOUND), the same for another tenant's."""
        with self._database.read(tenant_id) as reader:
            return self._find(reader, reference)

    def list(
        self,
        tenant_id: str,
        wanted: KeyFilter | None = None,
        sort: Sort = "name",
        descending: bool = False,
        cursor: str = "",
        limit: int = 50,
    ) -> KeyPage:
        """Return a page, 200 at most; Fault(INVALID) for a cursor of another list. Destroyed keys only if asked for."""
        if sort not in _SORTS:
            raise invalid(f"sort is one of {', '.join(_SORTS)}", "sort")
        with self._database.read(tenant_id) as reader:
            return key_store.listing(reader, self._owner, wanted or KeyFilter(), sort, descending, cursor, limit)

    def update(
        self,
        tenant_id: str,
        reference: str,
        patch: KeyPatch,
        actor: str,
        request_id: str = "",
        *,
        also: Also | None = None,
    ) -> ElasticKey:
        """Change description, labels and policy; Fault(NOT_FOUND, CONFLICT, INVALID). ``also`` as in :meth:`create`."""
        rules.check_texts(patch.description or "", patch.labels or {})
        now = self._clock.now()
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, reference)
            if patch.change is not None and patch.change != key.change:
                raise conflict(f"key {key.id} was changed meanwhile", "the key was changed meanwhile")
            values: dict[str, Any] = {}
            if patch.description is not None:
                values["description"] = patch.description
            if patch.labels is not None:
                values["labels"] = patch.labels
            if patch.policy is not None:
                rules.check_change(key, patch.policy)
                values["policy"] = patch.policy
                if patch.policy.rotation_period != key.policy.rotation_period:
                    values["rotates_at"] = rules.next_rotation(patch.policy, now)
            changed = key_store.change(uow, key, **values)
            self._record(uow, "update", actor, request_id, key.id, fields=sorted(values))
            if also is not None:
                also(uow, changed)
        return changed

    def enable(self, tenant_id: str, reference: str, actor: str, request_id: str = "") -> ElasticKey:
        """Let a disabled key be used again; Fault(NOT_FOUND, CONFLICT)."""
        return self._switch(tenant_id, reference, KeyStatus.ENABLED, actor, request_id)

    def disable(self, tenant_id: str, reference: str, actor: str, request_id: str = "") -> ElasticKey:
        """Refuse every use until it is enabled; Fault(NOT_FOUND, CONFLICT)."""
        return self._switch(tenant_id, reference, KeyStatus.DISABLED, actor, request_id)

    def _switch(self, tenant_id: str, reference: str, to: KeyStatus, actor: str, request_id: str) -> ElasticKey:
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, reference)
            changed = key if key.status is to else key_store.change(uow, key, status=to.value)
            self._record(uow, "enable" if to is KeyStatus.ENABLED else "disable", actor, request_id, key.id)
        return changed

    def delete(
        self,
        tenant_id: str,
        reference: str,
        actor: str,
        request_id: str = "",
        *,
        waiting: timedelta = WAITING,
        approval_id: str = "",
    ) -> ElasticKey:
        """Delete softly: unusable at once, destroyed when the waiting period ends, restorable until then.

        Fault(NOT_FOUND, CONFLICT, INVALID, FORBIDDEN without the approval to destroy that a quorum needs).
        """
        if not MIN_WAITING <= waiting <= MAX_WAITING:
            raise invalid("the waiting period is 1 hour to 365 days", "waiting_period")
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, reference)
            self._spend(uow, key, Asked("destroy"), approval_id)
            end = self._clock.now() + waiting
            changed = key_store.change(uow, key, status=KeyStatus.DELETED.value, delete_at=end)
            self._record(uow, "delete", actor, request_id, key.id, destroyed_at=end.isoformat())
        return changed

    def restore(self, tenant_id: str, reference: str, actor: str, request_id: str = "") -> ElasticKey:
        """Take a deletion back. The key is disabled then: enabling it is a decision of its own. Fault(CONFLICT)."""
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._locked(uow, reference)
            if key.status is not KeyStatus.DELETED:
                raise conflict(f"key {key.id} is {key.status}", f"the key is {key.status.value}, not deleted")
            changed = key_store.change(uow, key, status=KeyStatus.DISABLED.value, delete_at=None)
            self._record(uow, "restore", actor, request_id, key.id)
        return changed

    def destroy(
        self,
        tenant_id: str,
        reference: str,
        actor: str,
        request_id: str = "",
        *,
        reason: str = "",
        approval_id: str = "",
    ) -> ElasticKey:
        """Destroy a deleted or disabled key's material at once and for good; its row and numbers stay.

        Fault(NOT_FOUND, CONFLICT for one that is enabled, FORBIDDEN without the approval that a quorum needs).
        """
        check_reason(reason)
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._locked(uow, reference)
            if key.status not in (KeyStatus.DELETED, KeyStatus.DISABLED):
                raise conflict(f"key {key.id} is {key.status}", "only a disabled or deleted key is destroyed")
            self._spend(uow, key, Asked("destroy"), approval_id)  # also after a deletion: it ends the waiting
            changed = self._destroyed(uow, key, reason)
            self._record(uow, "destroy", actor, request_id, key.id, reason=reason)
        self._vault.forget(tenant_id, key.id)
        return changed

    def _destroyed(self, uow: UnitOfWork, key: ElasticKey, reason: str) -> ElasticKey:
        version_store.destroy_all(uow, key.id, self._clock.now(), reason)
        # the name is free again; the id tells the rows of the audit apart
        gone = f"{key.name[:150]}#{key.id}"
        return key_store.change(
            uow, key, status=KeyStatus.DESTROYED.value, name=gone, delete_at=None, rotates_at=None, active_version=0
        )
