"""Statements on enrolment credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, bindparam, or_, select, update

from pycryptoutil.authority.model import Credential, NamePatterns
from pycryptoutil.authority.store import authorities, credentials
from pycryptoutil.storage import Instant, Prepared, Reader, UnitOfWork


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A row of ``enrollment_credentials`` with its CA's name."""

    credential: Credential
    authority_id: str
    lookup: str = field(repr=False)
    sealed_secret: bytes = field(repr=False)


_PATTERN_LISTS: Final = ("dns", "ip", "email", "uri", "common_name")


def _names_json(names: NamePatterns) -> dict[str, object]:
    return {kind: list(getattr(names, kind)) for kind in _PATTERN_LISTS} | {"wildcards": names.wildcards}


def _names(value: dict[str, Any]) -> NamePatterns:
    return NamePatterns(
        **{kind: tuple(value.get(kind, ())) for kind in _PATTERN_LISTS}, wildcards=value.get("wildcards", False)
    )


_SELECT: Final = select(credentials, authorities.c.name.label("authority")).join(
    authorities,
    and_(authorities.c.id == credentials.c.authority_id, authorities.c.tenant_id == credentials.c.tenant_id),
)


_MINE: Final = credentials.c.tenant_id == bindparam("tenant_id")
_BY_USERNAME: Final = Prepared(_SELECT.where(_MINE, credentials.c.username == bindparam("username")))
_BY_LOOKUP: Final = Prepared(_SELECT.where(_MINE, credentials.c.lookup == bindparam("lookup")))
_USE: Final = Prepared(
    update(credentials)
    .where(
        credentials.c.tenant_id == bindparam("of_tenant"),
        credentials.c.id == bindparam("of_id"),
        credentials.c.status == "active",
        or_(credentials.c.max_uses.is_(None), credentials.c.uses < credentials.c.max_uses),
        or_(credentials.c.expires_at.is_(None), credentials.c.expires_at > bindparam("now", type_=Instant)),
    )
    .values(uses=credentials.c.uses + 1)
)


def _row(row: Any) -> CredentialRow:
    return CredentialRow(
        credential=Credential(
            id=row.id,
            tenant_id=row.tenant_id,
            username=row.username,
            profile=row.profile,
            authority=row.authority,
            names=_names(row.names),
            protocols=tuple(row.protocols),
            max_uses=row.max_uses,
            uses=row.uses,
            expires_at=row.expires_at,
            status=row.status,
            description=row.description,
            created_at=row.created_at,
            created_by=row.created_by,
        ),
        authority_id=row.authority_id,
        lookup=row.lookup,
        sealed_secret=row.sealed_secret,
    )


def insert(uow: UnitOfWork, row: CredentialRow) -> None:
    """Add one."""
    credential = row.credential
    uow.execute(
        credentials.insert().values(
            tenant_id=uow.tenant_id,
            id=credential.id,
            username=credential.username,
            lookup=row.lookup,
            sealed_secret=row.sealed_secret,
            profile=credential.profile,
            authority_id=row.authority_id,
            names=_names_json(credential.names),
            protocols=list(credential.protocols),
            max_uses=credential.max_uses,
            uses=0,
            expires_at=credential.expires_at,
            status=credential.status,
            description=credential.description,
            created_at=credential.created_at,
            created_by=credential.created_by,
        )
    )


def by_username(reader: Reader, username: str) -> CredentialRow | None:
    """Return the tenant's credential of this user name."""
    row = reader.execute(_BY_USERNAME, {"tenant_id": reader.tenant_id, "username": username}).one_or_none()
    return _row(row) if row is not None else None


def by_id(reader: Reader, credential_id: str) -> CredentialRow | None:
    """Return the tenant's credential of this id."""
    row = reader.execute(
        _SELECT.where(credentials.c.tenant_id == reader.tenant_id, credentials.c.id == credential_id)
    ).one_or_none()
    return _row(row) if row is not None else None


def by_lookup(reader: Reader, lookup: str) -> CredentialRow | None:
    """Return the tenant's credential whose secret has this keyed hash: SCEP sends nothing else."""
    row = reader.execute(_BY_LOOKUP, {"tenant_id": reader.tenant_id, "lookup": lookup}).one_or_none()
    return _row(row) if row is not None else None


def listing(reader: Reader, after: tuple[datetime, str] | None, limit: int) -> list[CredentialRow]:
    """Return the tenant's credentials, newest first."""
    c = credentials.c
    statement = _SELECT.where(c.tenant_id == reader.tenant_id)
    if after is not None:
        statement = statement.where(or_(c.created_at < after[0], and_(c.created_at == after[0], c.id < after[1])))
    found = reader.execute(statement.order_by(c.created_at.desc(), c.id.desc()).limit(limit))
    return [_row(row) for row in found]


def use(uow: UnitOfWork, credential_id: str, now: datetime) -> bool:
    """Count one use, if the credential still allows one: the database decides between concurrent requests."""
    found = uow.execute(_USE, {"of_tenant": uow.tenant_id, "of_id": credential_id, "now": now})
    return found.rowcount == 1


def give_back(uow: UnitOfWork, credential_id: str) -> None:
    """Take back one use, of a request that came to nothing."""
    c = credentials.c
    uow.execute(
        update(credentials)
        .where(c.tenant_id == uow.tenant_id, c.id == credential_id, c.uses > 0)
        .values(uses=c.uses - 1)
    )


def delete(uow: UnitOfWork, credential_id: str) -> bool:
    """Return whether there was one."""
    found = uow.execute(
        credentials.delete().where(credentials.c.tenant_id == uow.tenant_id, credentials.c.id == credential_id)
    )
    return bool(found.rowcount)
