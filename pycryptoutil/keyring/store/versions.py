"""Statements on versions, tenant roots and usage counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, bindparam, select, update

from pycryptoutil.jose.jwk import JwkPublic
from pycryptoutil.jose.jwk import Usage as JwkUsage
from pycryptoutil.keyring.model import KeyVersion, Origin, Usage, VersionStatus
from pycryptoutil.keyring.store.tables import roots, versions
from pycryptoutil.storage import Instant, Prepared, Reader, UnitOfWork

_c = versions.c
_MINE: Final = and_(_c.tenant_id == bindparam("tenant_id"), _c.key_id == bindparam("key_id"))
_ONE: Final = Prepared(select(versions).where(_MINE, _c.version == bindparam("version")))
_BY_KID: Final = Prepared(select(versions).where(_MINE, _c.kid == bindparam("kid")))
_ALL: Final = Prepared(select(versions).where(_MINE).order_by(_c.version))
_COUNT: Final = Prepared(
    update(versions)
    .where(
        _c.tenant_id == bindparam("of_tenant"),
        _c.key_id == bindparam("of_key"),
        _c.version == bindparam("of_version"),
    )
    .values(
        protected=_c.protected + bindparam("more_protected"),
        processed=_c.processed + bindparam("more_processed"),
        rewrapped=_c.rewrapped + bindparam("more_rewrapped"),
        last_used_at=bindparam("at", type_=Instant),
    )
)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version with its sealed material."""

    version: KeyVersion
    root_id: str
    material: bytes = field(repr=False)


def _row(row: Any, algorithm: str, usage: JwkUsage) -> VersionRow:
    public = None
    if row.public_key:  # checked when it came, not again on every read
        public = JwkPublic(algorithm, row.public_key, JwkUsage(usage.alg, row.kid, usage.use))
    version = KeyVersion(
        key_id=row.key_id,
        version=row.version,
        kid=row.kid,
        status=VersionStatus(row.status),
        origin=Origin(row.origin),
        public=public,
        created_at=row.created_at,
        activated_at=row.activated_at,
        revoked_at=row.revoked_at,
        destroyed_at=row.destroyed_at,
        reason=row.reason,
        usage=Usage(row.protected, row.processed, row.rewrapped, row.last_used_at),
    )
    return VersionRow(version, row.root_id, row.material)


def insert(uow: UnitOfWork, row: VersionRow) -> None:
    """Add one; Fault(CONFLICT) if the number or the kid is there."""
    version = row.version
    uow.execute(
        versions.insert().values(
            tenant_id=uow.tenant_id,
            key_id=version.key_id,
            version=version.version,
            kid=version.kid,
            status=version.status.value,
            origin=version.origin.value,
            root_id=row.root_id,
            material=row.material,
            public_key=version.public.spki if version.public is not None else b"",
            created_at=version.created_at,
            activated_at=version.activated_at,
            revoked_at=version.revoked_at,
            destroyed_at=version.destroyed_at,
            reason=version.reason,
            protected=version.usage.protected,
            processed=version.usage.processed,
            rewrapped=version.usage.rewrapped,
            last_used_at=version.usage.last_used_at,
        )
    )


def one(reader: Reader, key_id: str, version: int, algorithm: str, usage: JwkUsage) -> VersionRow | None:
    """Return a version by its number."""
    found = reader.execute(_ONE, {"tenant_id": reader.tenant_id, "key_id": key_id, "version": version}).one_or_none()
    return None if found is None else _row(found, algorithm, usage)


def by_kid(reader: Reader, key_id: str, kid: str, algorithm: str, usage: JwkUsage) -> VersionRow | None:
    """Return a version by its kid."""
    found = reader.execute(_BY_KID, {"tenant_id": reader.tenant_id, "key_id": key_id, "kid": kid[:64]}).one_or_none()
    return None if found is None or found.kid != kid else _row(found, algorithm, usage)


def all_of(reader: Reader, key_id: str, algorithm: str, usage: JwkUsage) -> list[VersionRow]:
    """Return every version of a key, the first one first."""
    found = reader.execute(_ALL, {"tenant_id": reader.tenant_id, "key_id": key_id})
    return [_row(row, algorithm, usage) for row in found]


def change(uow: UnitOfWork, key_id: str, version: int, were: tuple[VersionStatus, ...], **values: Any) -> bool:
    """Change a version that has one of these statuses; tell whether it had."""
    done = uow.execute(
        update(versions)
        .where(
            _c.tenant_id == uow.tenant_id,
            _c.key_id == key_id,
            _c.version == version,
            _c.status.in_([status.value for status in were]),
        )
        .values(**values)
    )
    return done.rowcount == 1


def retire_active(uow: UnitOfWork, key_id: str) -> None:
    """Make room for a new active version."""
    uow.execute(
        update(versions)
        .where(_c.tenant_id == uow.tenant_id, _c.key_id == key_id, _c.status == VersionStatus.ACTIVE.value)
        .values(status=VersionStatus.RETIRED.value)
    )


def destroy_all(uow: UnitOfWork, key_id: str, at: datetime, reason: str) -> None:
    """Overwrite the material of every version."""
    uow.execute(
        update(versions)
        .where(_c.tenant_id == uow.tenant_id, _c.key_id == key_id, _c.status != VersionStatus.DESTROYED.value)
        .values(status=VersionStatus.DESTROYED.value, material=b"", destroyed_at=at, reason=reason)
    )


def count(uow: UnitOfWork, key_id: str, version: int, more: Usage) -> None:
    """Add to a version's counters."""
    uow.execute(
        _COUNT,
        {
            "of_tenant": uow.tenant_id,
            "of_key": key_id,
            "of_version": version,
            "more_protected": more.protected,
            "more_processed": more.processed,
            "more_rewrapped": more.rewrapped,
            "at": more.last_used_at,
        },
    )


def raise_counters(uow: UnitOfWork, key_id: str, version: int, least: Usage) -> None:
    """Bring a version's counters up to at least these: a backup may know of more uses, never of fewer."""
    for column in ("protected", "processed", "rewrapped"):
        value = getattr(least, column)
        uow.execute(
            update(versions)
            .where(_c.tenant_id == uow.tenant_id, _c.key_id == key_id, _c.version == version, _c[column] < value)
            .values({column: value})
        )


@dataclass(frozen=True, slots=True)
class RootRow:
    """A tenant's root key."""

    id: str
    generation: int
    sealed: bytes = field(repr=False)


_ROOT: Final = Prepared(select(roots).where(roots.c.tenant_id == bindparam("tenant_id"), roots.c.id == bindparam("id")))
_NEWEST: Final = Prepared(
    select(roots).where(roots.c.tenant_id == bindparam("tenant_id")).order_by(roots.c.generation.desc()).limit(1)
)


def root(reader: Reader, root_id: str = "") -> RootRow | None:
    """Return the root of that id, or the newest."""
    mine = {"tenant_id": reader.tenant_id}
    found = reader.execute(_ROOT, mine | {"id": root_id}) if root_id else reader.execute(_NEWEST, mine)
    row = found.one_or_none()
    return None if row is None else RootRow(row.id, row.generation, row.sealed)


def insert_root(uow: UnitOfWork, row: RootRow, now: datetime) -> None:
    """Add one; Fault(CONFLICT) if the generation is there already."""
    uow.execute(
        roots.insert().values(
            tenant_id=uow.tenant_id, id=row.id, generation=row.generation, sealed=row.sealed, created_at=now
        )
    )


def under_other_roots(reader: Reader, root_id: str, limit: int) -> list[tuple[str, int, str, bytes]]:
    """Return key, version, root and material of versions that are not under this root."""
    statement = (
        select(_c.key_id, _c.version, _c.root_id, _c.material)
        .where(_c.tenant_id == reader.tenant_id, _c.root_id != root_id, _c.status != VersionStatus.DESTROYED.value)
        .limit(limit)
    )
    return [(row.key_id, row.version, row.root_id, row.material) for row in reader.execute(statement)]


def move(uow: UnitOfWork, key_id: str, version: int, old: bytes, root_id: str, material: bytes) -> bool:
    """Put a version under another root, unless it was changed meanwhile."""
    done = uow.execute(
        update(versions)
        .where(_c.tenant_id == uow.tenant_id, _c.key_id == key_id, _c.version == version, _c.material == old)
        .values(root_id=root_id, material=material)
    )
    return done.rowcount == 1


def forget_roots(uow: UnitOfWork, keep: str) -> None:
    """Delete the roots that nothing hangs on any more."""
    used = select(_c.root_id).where(_c.tenant_id == uow.tenant_id, _c.status != VersionStatus.DESTROYED.value)
    uow.execute(roots.delete().where(roots.c.tenant_id == uow.tenant_id, roots.c.id != keep, roots.c.id.not_in(used)))
