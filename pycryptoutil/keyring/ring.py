"""The versions of a key: listed, prepared, rotated, disabled, revoked, destroyed. Numbers come from the row, locked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.jose.jwk import JwkPrivate, JwkSecret
from pycryptoutil.keyring import gate, material, rules
from pycryptoutil.keyring.lifecycle import Lifecycle
from pycryptoutil.keyring.model import ElasticKey, KeyVersion, Operation, Origin, VersionStatus
from pycryptoutil.keyring.quorum import Asked
from pycryptoutil.keyring.room import check_reason, conflict
from pycryptoutil.keyring.store import keys as key_store
from pycryptoutil.keyring.store import versions as version_store
from pycryptoutil.keyring.usage import merged
from pycryptoutil.storage import Reader, UnitOfWork

_S = VersionStatus
_LIVING = (_S.PENDING, _S.ACTIVE, _S.RETIRED, _S.DISABLED)


class Ring(Lifecycle):
    """Versions."""

    def versions(self, tenant_id: str, reference: str) -> list[KeyVersion]:
        """Return every version of a key, the first one first, with what is known of its use; Fault(NOT_FOUND)."""
        with self._database.read(tenant_id) as reader:
            return self._versions(reader, self._find(reader, reference))

    def _versions(self, reader: Reader, key: ElasticKey) -> list[KeyVersion]:
        rows = version_store.all_of(reader, key.id, *self._named(key))
        return [self._counted(key, row.version) for row in rows]

    def _counted(self, key: ElasticKey, version: KeyVersion) -> KeyVersion:
        here = self._counters.pending(key.tenant_id, key.id, version.version)
        return replace(version, usage=merged(version.usage, here))

    def version(self, tenant_id: str, reference: str, number: int) -> KeyVersion:
        """Return one version; Fault(NOT_FOUND)."""
        with self._database.read(tenant_id) as reader:
            key = self._find(reader, reference)
            return self._counted(key, self._row(reader, key, number).version)

    def published(self, tenant_id: str, reference: str, grace: timedelta | None = None) -> list[KeyVersion]:
        """Return the versions whose public half may be shown: the next one, the active one, and retired ones.

        A retired version is shown for ``grace`` after the one that followed it was activated. Never a secret.
        """
        with self._database.read(tenant_id) as reader:
            key = self._find(reader, reference)
            found = self._versions(reader, key)
        oldest = self._clock.now() - grace if grace is not None else None
        shown = []
        for version in found:
            try:
                gate.check(key, version, Operation.PUBLISH)
            except Fault:
                continue
            retired = retired_at(version, found)
            late = version.status is _S.RETIRED and oldest is not None and retired is not None and retired < oldest
            if version.public is not None and not late:
                shown.append(version)
        return shown

    # -- rotation ----------------------------------------------------------------------------------------------------

    def rotate(self, tenant_id: str, reference: str, actor: str, request_id: str = "") -> KeyVersion:
        """Make the next version the active one; Fault(NOT_FOUND, CONFLICT if the key or its policy does not allow it).

        The version that was prepared is taken, if there is one. A key that is published ahead gets its next one.
        """
        return self._rotate(tenant_id, reference, actor, request_id, None)

    def _rotate(self, tenant_id: str, reference: str, actor: str, request_id: str, due: datetime | None) -> KeyVersion:
        """Rotate; with ``due``, only if nobody has done it since."""
        key = self.get(tenant_id, reference)
        fresh = [material.make(self._spec(key)) for _ in range(2 if self._ahead else 1)]
        now = self._ready(tenant_id)
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, key.id)
            if due is not None and (key.rotates_at is None or key.rotates_at > due):
                raise conflict(f"key {key.id} was rotated meanwhile")
            waiting = [one for one in self._versions(uow, key) if one.status is _S.PENDING]
            if waiting:
                number = waiting[0].version
                self._activate(uow, key, number, now)
            else:
                number = self._added(uow, key, fresh.pop(), _S.ACTIVE, Origin.GENERATED, now)
            latest = max(key.latest_version, number)
            key = self._turned(uow, key, number, latest, now)
            self._record(uow, "rotate", actor, request_id, key.id, version=number)
            if self._ahead and len(waiting) <= 1 and self._room_left(uow, key):
                latest = self._added(uow, key, fresh.pop(), _S.PENDING, Origin.GENERATED, now)
                key = key_store.change(uow, key, latest_version=latest)
                self._record(uow, "prepare", actor, request_id, key.id, version=latest)
            return self._row(uow, key, number).version

    def prepare_next(self, tenant_id: str, reference: str, actor: str, request_id: str = "") -> KeyVersion:
        """Make the next version without using it, so that it can be published first; the one that waits, if any."""
        key = self.get(tenant_id, reference)
        fresh = material.make(self._spec(key))
        now = self._ready(tenant_id)
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, key.id)
            waiting = [one for one in self._versions(uow, key) if one.status is _S.PENDING]
            if waiting:
                return waiting[0]
            number = self._added(uow, key, fresh, _S.PENDING, Origin.GENERATED, now)
            key_store.change(uow, key, latest_version=number)
            self._record(uow, "prepare", actor, request_id, key.id, version=number)
            return self._row(uow, key, number).version

    def activate(self, tenant_id: str, reference: str, number: int, actor: str, request_id: str = "") -> KeyVersion:
        """Make a prepared version the active one; Fault(NOT_FOUND, CONFLICT)."""
        now = self._clock.now()
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, reference)
            self._row(uow, key, number)
            self._activate(uow, key, number, now)
            self._turned(uow, key, number, key.latest_version, now)
            self._record(uow, "activate", actor, request_id, key.id, version=number)
            return self._row(uow, key, number).version

    def _activate(self, uow: UnitOfWork, key: ElasticKey, number: int, now: datetime) -> None:
        version_store.retire_active(uow, key.id)
        values = {"status": _S.ACTIVE.value, "activated_at": now}
        if not version_store.change(uow, key.id, number, (_S.PENDING,), **values):
            raise conflict(f"version {number} of {key.id} is not pending", f"version {number} is not pending")

    def _added(
        self,
        uow: UnitOfWork,
        key: ElasticKey,
        jwk: JwkPrivate | JwkSecret,
        status: VersionStatus,
        origin: Origin,
        now: datetime,
    ) -> int:
        """Write a version under the next number of the locked row; Fault(CONFLICT) if there must not be more."""
        if not key.policy.versioning_allowed and key.latest_version:
            raise conflict(f"key {key.id} has no versions", "the key allows no further version")
        if not self._room_left(uow, key):
            text = f"the key has its {key.policy.max_versions} versions; destroy one first"
            raise conflict(f"key {key.id}: {text}", text)
        if status is _S.ACTIVE:
            version_store.retire_active(uow, key.id)
        return self._insert(uow, key, key.latest_version + 1, jwk, status, origin, now).version

    def _room_left(self, uow: UnitOfWork, key: ElasticKey) -> bool:
        limit = key.policy.max_versions or rules.MAX_VERSIONS
        return sum(one.status is not _S.DESTROYED for one in self._versions(uow, key)) < limit

    @staticmethod
    def _turned(uow: UnitOfWork, key: ElasticKey, active: int, latest: int, now: datetime) -> ElasticKey:
        following = rules.next_rotation(key.policy, now)
        return key_store.change(
            uow, key, active_version=active, latest_version=latest, rotated_at=now, rotates_at=following
        )

    # -- the end of a version ----------------------------------------------------------------------------------------

    def revoke(
        self, tenant_id: str, reference: str, number: int, actor: str, request_id: str = "", *, reason: str = ""
    ) -> KeyVersion:
        """Revoke a version, for good and on every replica at once; Fault(NOT_FOUND, CONFLICT)."""
        values = {"status": _S.REVOKED.value, "revoked_at": self._clock.now(), "reason": check_reason(reason)}
        return self._end(tenant_id, reference, number, _LIVING, values, ("revoke", actor, request_id))

    def disable_version(
        self, tenant_id: str, reference: str, number: int, actor: str, request_id: str = ""
    ) -> KeyVersion:
        """Refuse every use of a version until it is enabled; Fault(NOT_FOUND, CONFLICT)."""
        values = {"status": _S.DISABLED.value}
        were = (_S.ACTIVE, _S.RETIRED, _S.DISABLED)
        return self._end(tenant_id, reference, number, were, values, ("version.disable", actor, request_id))

    def enable_version(
        self, tenant_id: str, reference: str, number: int, actor: str, request_id: str = ""
    ) -> KeyVersion:
        """Let a disabled version be used again, for what its place in the ring allows; Fault(NOT_FOUND, CONFLICT)."""
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, reference)
            self._row(uow, key, number)
            status = _S.ACTIVE if number == key.active_version else _S.RETIRED
            if not version_store.change(uow, key.id, number, (_S.DISABLED,), status=status.value):
                raise conflict(f"version {number} of {key.id} is not disabled", f"version {number} is not disabled")
            key_store.change(uow, key)
            self._record(uow, "version.enable", actor, request_id, key.id, version=number)
            return self._row(uow, key, number).version

    def destroy_version(
        self,
        tenant_id: str,
        reference: str,
        number: int,
        actor: str,
        request_id: str = "",
        *,
        reason: str = "",
        approval_id: str = "",
    ) -> KeyVersion:
        """Overwrite a version's material for good.

        Fault(NOT_FOUND, CONFLICT for the active one, FORBIDDEN without the approval that a quorum needs).
        """
        check_reason(reason)
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, reference)
            version = self._row(uow, key, number).version
            if version.status in (_S.ACTIVE, _S.DESTROYED):
                text = f"version {number} is {version.status.value}"
                raise conflict(f"key {key.id}: {text}", text)
            self._spend(uow, key, Asked("destroy", number), approval_id)
            values = {"status": _S.DESTROYED.value, "material": b"", "destroyed_at": self._clock.now()}
            version_store.change(uow, key.id, number, (version.status,), reason=reason or version.reason, **values)
            key_store.change(uow, key)
            self._record(uow, "version.destroy", actor, request_id, key.id, version=number, reason=reason)
            changed = self._row(uow, key, number).version
        self._vault.forget(tenant_id, key.id)
        return changed

    def _end(
        self,
        tenant_id: str,
        reference: str,
        number: int,
        were: tuple[VersionStatus, ...],
        values: Mapping[str, Any],
        who: tuple[str, str, str],
    ) -> KeyVersion:
        action, actor, request_id = who
        with self._database.unit_of_work(tenant_id) as uow:
            key = self._alive(uow, reference)
            version = self._row(uow, key, number).version
            if not version_store.change(uow, key.id, number, were, **values):
                text = f"version {number} is {version.status.value}"
                raise conflict(f"key {key.id}: {text}", text)
            key_store.change(uow, key)
            facts: dict[str, Any] = {name: values[name] for name in ("reason",) if values.get(name)}
            self._record(uow, action, actor, request_id, key.id, version=number, **facts)
            changed = self._row(uow, key, number).version
        self._vault.forget(tenant_id, key.id)
        return changed

    def rotate_root(self, tenant_id: str, actor: str, request_id: str = "") -> int:
        """Put every version of the tenant, of every keyring, under a new root; return how many. Resumable."""
        moved = self._vault.rotate_root(tenant_id, self._clock.now())
        with self._database.unit_of_work(tenant_id) as uow:
            self._record(uow, "root.rotate", actor, request_id, tenant_id, versions=moved)
        return moved


def retired_at(version: KeyVersion, ring: list[KeyVersion]) -> datetime | None:
    """Return when the version that followed in use was activated; None while it is the last one."""
    if version.activated_at is None:
        return None
    later = [
        one.activated_at
        for one in ring
        if one.activated_at is not None and (one.activated_at, one.version) > (version.activated_at, version.version)
    ]
    return min(later, default=None)
