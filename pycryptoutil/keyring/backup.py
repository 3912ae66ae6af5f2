"""Backups: one key or all of a tenant's, as one document encrypted to a recovery key; and their way back.

A restore adds what is missing. It overrules nothing: a version that is revoked or destroyed here stays so, and no
number or counter goes down, whatever an older backup says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, cast

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import jose
from pycryptoutil.crypto import jose as policy
from pycryptoutil.jose.jwk import JwkPrivate, JwkPublic, JwkSecret, from_der
from pycryptoutil.jose.jwk import Usage as JwkUsage
from pycryptoutil.jose.text import b64d, b64e, dumps, loads
from pycryptoutil.keyring import catalog, material, rules
from pycryptoutil.keyring.catalog import Purpose
from pycryptoutil.keyring.model import ElasticKey, KeyStatus, KeyVersion, Origin, Usage, VersionStatus
from pycryptoutil.keyring.quorum import Asked
from pycryptoutil.keyring.room import conflict, invalid
from pycryptoutil.keyring.store import keys as key_store
from pycryptoutil.keyring.store import versions as version_store
from pycryptoutil.keyring.store.versions import VersionRow
from pycryptoutil.keyring.transfer import Transfer, check_recipient
from pycryptoutil.storage import UnitOfWork

FORMAT: Final = "pycryptoutil-keyring-1"
_MAX: Final = 60 * 1024 * 1024
_KEY_DATES: Final = ("created_at", "updated_at", "rotated_at", "rotates_at", "delete_at")
_VERSION_DATES: Final = ("created_at", "activated_at", "revoked_at", "destroyed_at")
_PARTS: Final = ("id", "name", "description", "algorithm", "latest_version", "active_version")


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has done."""

    keys: tuple[str, ...]  # names
    versions: int  # written now
    kept: int  # there already


class Backups(Transfer):
    """Backup and restore."""

    def backup(
        self,
        tenant_id: str,
        reference: str,
        recipient: JwkPublic,
        actor: str,
        request_id: str = "",
        *,
        approval_id: str = "",
    ) -> str:
        """Return a compact JWE to a recovery key: of one key, or with an empty reference of all that need no approval.

        Fault(NOT_FOUND, CONFLICT, FORBIDDEN without the approval that a quorum needs, INVALID).
        """
        check_recipient(recipient)
        self.flush()
        thumbprint = recipient.thumbprint()
        with self._database.unit_of_work(tenant_id) as uow:
            if reference:
                key = self._locked(uow, reference)
                if key.status is KeyStatus.DESTROYED:
                    raise conflict(f"key {key.id} is destroyed", "the key is destroyed")
                self._spend(uow, key, Asked("backup", 0, thumbprint), approval_id)
                chosen = [key]
            else:
                chosen = [key for key in key_store.all_of(uow, self._owner) if not key.policy.quorum]
            listed = [self._described(uow, key) for key in chosen]
            target = chosen[0].id if reference else tenant_id
            self._record(uow, "backup", actor, request_id, target, recipient=thumbprint, keys=len(chosen))
        document = {
            "format": FORMAT,
            "owner": self._owner,
            "tenant": tenant_id,
            "taken_at": self._clock.now().isoformat(),
            "keys": listed,
        }
        data = dumps(document)
        if len(data) > _MAX:
            raise Fault(FaultKind.TOO_LARGE, "backup", "the backup is too long: take one of each key")
        return jose.encrypt(recipient, data, header={"typ": FORMAT, "cty": "json"})

    def _described(self, uow: UnitOfWork, key: ElasticKey) -> dict[str, Any]:
        rows = version_store.all_of(uow, key.id, *self._named(key))
        return {
            **{name: getattr(key, name) for name in _PARTS},
            "purpose": key.purpose.value,
            "status": key.status.value,
            "policy": asdict(key.policy),
            "labels": dict(key.labels),
            **{name: _text(getattr(key, name)) for name in _KEY_DATES},
            "versions": [self._described_version(uow, key, row) for row in rows],
        }

    def _described_version(self, uow: UnitOfWork, key: ElasticKey, row: VersionRow) -> dict[str, Any]:
        version, secret = row.version, {}
        if version.status is not VersionStatus.DESTROYED:
            jwk = self._vault.open(uow, row, self._named(key)[1])
            held = jwk.handle.export() if isinstance(jwk, JwkSecret) else jwk.handle.export_pkcs8()
            secret = {"k" if isinstance(jwk, JwkSecret) else "pkcs8": b64e(held)}
        usage = version.usage
        return {
            "version": version.version,
            "kid": version.kid,
            "status": version.status.value,
            "origin": version.origin.value,
            "reason": version.reason,
            "public_key": b64e(version.public.spki) if version.public is not None else "",
            **{name: _text(getattr(version, name)) for name in _VERSION_DATES},
            "protected": usage.protected,
            "processed": usage.processed,
            "rewrapped": usage.rewrapped,
            "last_used_at": _text(usage.last_used_at),
            **secret,
        }

    def restore_backup(
        self, tenant_id: str, import_id: str, wrapped: str, actor: str, request_id: str = ""
    ) -> Restored:
        """Bring back a backup that the holder of the recovery key has encrypted anew, to an import key of ours.

        All of it or nothing, and every key that was written is opened again before that. Fault(NOT_FOUND, EXPIRED,
        BAD_SIGNATURE, MALFORMED, INVALID, CONFLICT for a name that another key has).
        """
        text = self._unwrapped(tenant_id, "", import_id, wrapped)
        document = loads(text, "the backup", _MAX)
        if document.get("format") != FORMAT or document.get("owner") != self._owner:
            raise invalid("not a backup of this service's keys")
        try:
            read = [_read_key(tenant_id, one) for one in document["keys"]]
        except (KeyError, TypeError, ValueError) as error:
            raise Fault(FaultKind.MALFORMED, f"backup: {error!r}"[:200], "the backup cannot be read") from None
        self._ready(tenant_id)
        written = kept = 0
        with self._database.unit_of_work(tenant_id) as uow:
            self._taken(uow, import_id)
            for key, held in read:
                more, there = self._restored(uow, key, held)
                written, kept = written + more, kept + there
                self._record(uow, "restore-backup", actor, request_id, key.id, name=key.name, versions=more)
        return Restored(tuple(key.name for key, _ in read), written, kept)

    def _restored(self, uow: UnitOfWork, key: ElasticKey, held: list[Held]) -> tuple[int, int]:
        existing = key_store.find(uow, self._owner, key.id)
        if existing is None or existing.id != key.id:
            key_store.insert(uow, self._owner, key)
            present = key
        else:
            present = self._locked(uow, key.id)
            if present.status is KeyStatus.DESTROYED:
                raise conflict(f"key {key.id} is destroyed", f"the key {key.name} was destroyed and stays so")
            if (present.algorithm, present.purpose) != (key.algorithm, key.purpose):
                raise invalid(f"key {key.id} is of another kind", "", f"the key {key.name} is of another kind here")
            latest = max(present.latest_version, key.latest_version)
            present = key_store.change(uow, present, latest_version=latest)
        written = kept = 0
        for one in held:
            found = version_store.one(uow, key.id, one.version.version, *self._named(key))
            if found is None:
                self._write(uow, present, one)
                written += 1
                continue
            if found.version.kid != one.version.kid:
                text = f"version {one.version.version} of {key.name} is another key here"
                raise conflict(f"key {key.id}: {text}", text)
            version_store.raise_counters(uow, key.id, one.version.version, one.version.usage)
            kept += 1
        return written, kept

    def _write(self, uow: UnitOfWork, key: ElasticKey, one: Held) -> None:
        root_id = self._vault.current_root(uow)
        version, sealed = one.version, b""
        if version.status is VersionStatus.ACTIVE and version.version != key.active_version:
            version = replace(version, status=VersionStatus.RETIRED)  # another one is active here by now
        if one.jwk is not None:
            sealed = self._vault.seal(uow, root_id, key.id, version.version, one.jwk)
        version_store.insert(uow, VersionRow(version, root_id, sealed))
        if one.jwk is not None:  # what cannot be opened again is not restored
            self._vault.forget(uow.tenant_id, key.id)
            again = self._vault.open(uow, self._row(uow, key, version.version), self._named(key)[1])
            self._vault.forget(uow.tenant_id, key.id)
            if not _same(again, one.jwk):
                raise Fault(FaultKind.INTERNAL, f"key {key.id} version {version.version} does not come back")


@dataclass(frozen=True, slots=True)
class Held:
    """A version of a backup; its key is None once destroyed."""

    version: KeyVersion
    jwk: JwkPrivate | JwkSecret | None


def _same(one: JwkPrivate | JwkSecret, two: JwkPrivate | JwkSecret) -> bool:
    if isinstance(one, JwkSecret) or isinstance(two, JwkSecret):
        return isinstance(one, JwkSecret) and isinstance(two, JwkSecret) and one.handle.equals(two.handle)
    return one.handle.public_spki == two.handle.public_spki


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _date(value: Any) -> datetime | None:
    found = None if value is None else datetime.fromisoformat(value)
    if found is not None and found.tzinfo is None:
        raise ValueError(value)
    return found


def _read_key(tenant_id: str, members: Mapping[str, Any]) -> tuple[ElasticKey, list[Held]]:
    """Read a key and its versions; KeyError, TypeError, ValueError or Fault for what no backup says."""
    purpose = Purpose(members["purpose"])
    spec = catalog.resolve(members["algorithm"], purpose)
    rules.check_name(members["name"])
    rules.check_texts(members["description"], members["labels"])
    held = [_read_version(members["id"], one, spec) for one in members["versions"]]
    numbers = [one.version.version for one in held]
    latest, active = int(members["latest_version"]), int(members["active_version"])
    if len(set(numbers)) != len(numbers) or any(not 1 <= number <= latest for number in numbers):
        raise ValueError("numbers")
    actives = [one.version.version for one in held if one.version.status is VersionStatus.ACTIVE]
    if len(actives) > 1 or any(number != active for number in actives) or not 0 <= active <= latest:
        raise ValueError("active")
    if len(members["id"]) != 32 or not all(digit in "0123456789abcdef" for digit in members["id"]):
        raise ValueError("id")
    found = key_store.policy_of(members["policy"])
    rules.check_policy(found, max(1, active))
    dates = {name: cast("Any", _date(members[name])) for name in _KEY_DATES}
    parts = {name: members[name] for name in _PARTS}
    status = KeyStatus(members["status"])
    if status is KeyStatus.DELETED:  # who restores it wants it back
        status, dates["delete_at"] = KeyStatus.DISABLED, None
    if status is KeyStatus.DESTROYED:
        raise ValueError("status")
    key = ElasticKey(
        tenant_id=tenant_id, purpose=purpose, status=status, policy=found, labels=members["labels"], change=1,
        **parts, **dates,
    )  # fmt: skip
    return key, held


def _read_version(key_id: str, members: Mapping[str, Any], spec: catalog.Spec) -> Held:
    status = VersionStatus(members["status"])
    jwk: JwkPrivate | JwkSecret | None = None
    usage = JwkUsage("", members["kid"], "")
    if status is not VersionStatus.DESTROYED:
        if spec.symmetric:
            jwk = JwkSecret.of(policy.SecretKey.from_bytes(b64d(members["k"])), usage)
        else:
            found = from_der(b64d(members["pkcs8"]), usage)
            if not isinstance(found, JwkPrivate):
                raise ValueError("pkcs8")
            jwk = found
        material.fitting(spec, jwk)
    public = None
    if members["public_key"] and spec.symmetric:
        raise ValueError("public_key")
    if members["public_key"]:
        public = JwkPublic.from_spki(b64d(members["public_key"]), usage)
        if isinstance(jwk, JwkPrivate) and jwk.public.spki != public.spki:
            raise invalid("the halves of a key do not belong together")
    if isinstance(jwk, JwkPrivate) and public is None:
        raise ValueError("public_key")
    counters = [int(members[name]) for name in ("protected", "processed", "rewrapped")]
    dates = {name: cast("Any", _date(members[name])) for name in _VERSION_DATES}
    version = KeyVersion(
        key_id=key_id,
        version=int(members["version"]),
        kid=str(members["kid"])[:64],
        status=status,
        origin=Origin.RESTORED,
        public=public,
        reason=str(members["reason"])[:300],
        usage=Usage(counters[0], counters[1], counters[2], _date(members["last_used_at"])),
        **dates,
    )
    return Held(version, jwk)
