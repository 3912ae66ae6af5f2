"""The template's SQL: tenants, principals, API tokens, sessions, certificate bindings.

Every statement is filtered by the reader's tenant. The ``*_anywhere`` functions are the exception that authentication
needs, because a client id, a token, a cookie or a certificate says who comes before anybody knows of which tenant; they
take a reader of SYSTEM_TENANT and return rows that name their tenant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, or_, select, tuple_

from pycryptoutil.storage import SYSTEM_TENANT, Prepared, Reader, UnitOfWork
from pycryptoutil.storage.schema import (
    api_tokens,
    audit_events,
    certificate_bindings,
    instance,
    principals,
    sessions,
    tenants,
)

ACTIVE = "active"
DISABLED = "disabled"
USER = "user"
CLIENT = "client"


@dataclass(frozen=True, slots=True)
class TenantRow:
    """One tenant."""

    tenant_id: str
    name: str
    status: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PrincipalRow:
    """A user or a client."""

    tenant_id: str
    id: str
    kind: str
    name: str
    display_name: str
    secret_hash: str = field(repr=False)
    scopes: frozenset[str]
    status: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None

    def usable(self, now: datetime) -> bool:
        """Tell whether it may authenticate at ``now``, its tenant aside."""
        return self.status == ACTIVE and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """An API token, without the token."""

    tenant_id: str
    id: str
    principal_id: str
    name: str
    lookup: str = field(repr=False)
    token_hash: str = field(repr=False)
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser session, without its secret."""

    tenant_id: str
    id: str
    principal_id: str
    principal_name: str
    realm: str
    lookup: str = field(repr=False)
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class BindingRow:
    """A client certificate that stands for a principal."""

    tenant_id: str
    id: str
    principal_id: str
    match: str
    value: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event of the tenant's chain."""

    seq: int
    id: str
    occurred_at: datetime
    action: str
    actor: str
    target: str
    outcome: str
    request_id: str
    details: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What authentication found: somebody of a tenant, by way of a token or a session."""

    tenant_status: str
    principal: PrincipalRow | None
    token: TokenRow | None = None
    session: SessionRow | None = None


@functools.cache
def _getter(table: Table, prefix: str) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(column.name for column in table.columns)
    return names, attrgetter(*(prefix + name for name in names))


def _record(table: Table, cls: type[Any], row: Any, prefix: str = "") -> Any:
    names, get = _getter(table, prefix)
    values = dict(zip(names, get(row), strict=True))
    if "scopes" in values:
        values["scopes"] = frozenset(values["scopes"])
    return cls(**values)


def _mine(reader: Reader, table: Table, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(table.c.tenant_id == reader.tenant_id, *more)


def _system(reader: Reader) -> None:
    if reader.tenant_id != SYSTEM_TENANT:
        raise ValueError("only a reader of the system tenant looks across tenants")


def _columns(uow: UnitOfWork, table: Table, row: Any) -> dict[str, Any]:
    if uow.tenant_id not in {row.tenant_id, SYSTEM_TENANT}:
        raise ValueError("a unit of one tenant writes no row of another")
    values = {column.name: getattr(row, column.name) for column in table.columns}
    if "scopes" in values:
        values["scopes"] = sorted(values["scopes"])
    return values


def _columns_of(table: Table, prefix: str) -> list[ColumnElement[Any]]:
    return [column.label(prefix + column.name) for column in table.columns]


def _with_tenant(table: Table, *, outer: bool = False) -> Select[Any]:
    """Select rows of ``table`` with their tenant's status and their principal (``p_``)."""
    columns = [*_columns_of(principals, "p_"), tenants.c.status.label("tenant_status")]
    if table is principals:
        return select(*columns).join_from(principals, tenants, principals.c.tenant_id == tenants.c.tenant_id)
    owner = and_(principals.c.tenant_id == table.c.tenant_id, principals.c.id == table.c.principal_id)
    query = select(*columns, *_columns_of(table, f"{table.name}_"))
    query = query.join_from(table, tenants, tenants.c.tenant_id == table.c.tenant_id)
    return query.join(principals, owner, isouter=outer)


# every request runs one of these
_CLIENT = Prepared(
    _with_tenant(principals).where(principals.c.kind == CLIENT, principals.c.name == bindparam("name")).limit(2)
)
_TOKEN = Prepared(_with_tenant(api_tokens).where(api_tokens.c.lookup == bindparam("lookup")))
_SESSION = Prepared(_with_tenant(sessions, outer=True).where(sessions.c.lookup == bindparam("lookup")))
_BOUND = Prepared(
    _with_tenant(certificate_bindings).where(
        certificate_bindings.c.match == bindparam("match"), certificate_bindings.c.value == bindparam("value")
    )
)


# --- tenants


def find_tenant(reader: Reader, tenant_id: str) -> TenantRow | None:
    """Return a tenant by id (SYSTEM_TENANT reader, or its own)."""
    if reader.tenant_id != tenant_id:
        _system(reader)
    row = reader.execute(select(tenants).where(tenants.c.tenant_id == tenant_id)).one_or_none()
    return None if row is None else _record(tenants, TenantRow, row)


def find_tenant_named(reader: Reader, name: str) -> TenantRow | None:
    """Return a tenant by name, whichever it is."""
    _system(reader)
    row = reader.execute(select(tenants).where(tenants.c.name == name)).one_or_none()
    return None if row is None else _record(tenants, TenantRow, row)


def list_tenants(reader: Reader, after: str, limit: int) -> list[TenantRow]:
    """Return tenants by name, after that name."""
    _system(reader)
    query = select(tenants).where(tenants.c.name > after).order_by(tenants.c.name).limit(limit)
    return [_record(tenants, TenantRow, row) for row in reader.execute(query)]


def insert_tenant(uow: UnitOfWork, row: TenantRow) -> None:
    """Write a tenant's first row, in a unit of that tenant or of the installation; Fault(CONFLICT) on its name."""
    uow.execute(tenants.insert().values(**_columns(uow, tenants, row)))


def set_tenant_status(uow: UnitOfWork, status: str, now: datetime) -> bool:
    """Disable or enable the unit's tenant; False if it is not there."""
    change = tenants.update().where(_mine(uow, tenants)).values(status=status, updated_at=now)
    return uow.execute(change).rowcount == 1


# --- principals


def insert_principal(uow: UnitOfWork, row: PrincipalRow) -> None:
    """Write a new principal; Fault(CONFLICT) when the tenant has that name already."""
    uow.execute(principals.insert().values(**_columns(uow, principals, row)))


def find_principal(reader: Reader, principal_id: str) -> PrincipalRow | None:
    """Return a principal of this tenant."""
    row = reader.execute(select(principals).where(_mine(reader, principals, principals.c.id == principal_id))).first()
    return None if row is None else _record(principals, PrincipalRow, row)


def find_user(reader: Reader, name: str) -> PrincipalRow | None:
    """Return this tenant's user of that name."""
    where = _mine(reader, principals, principals.c.kind == USER, principals.c.name == name)
    row = reader.execute(select(principals).where(where)).first()
    return None if row is None else _record(principals, PrincipalRow, row)


def _maybe_principal(row: Any) -> PrincipalRow | None:
    return None if row.p_id is None else _record(principals, PrincipalRow, row, "p_")


def find_client_anywhere(reader: Reader, client_id: str) -> Found | None:
    """Return the client of that id, whose tenant nobody knows yet."""
    _system(reader)
    rows = reader.execute(_CLIENT, {"name": client_id}).all()
    if len(rows) != 1:
        return None  # ids are random; two of one name were written by hand, and neither can be meant
    return Found(rows[0].tenant_status, _maybe_principal(rows[0]))


def list_principals(reader: Reader, kind: str, after: tuple[str, str] | None, limit: int) -> list[PrincipalRow]:
    """Return principals in the order (name, id), after that position."""
    query = select(principals).where(_mine(reader, principals))
    if kind:
        query = query.where(principals.c.kind == kind)
    if after:
        query = query.where(tuple_(principals.c.name, principals.c.id) > tuple_(*after))
    rows = reader.execute(query.order_by(principals.c.name, principals.c.id).limit(limit))
    return [_record(principals, PrincipalRow, row) for row in rows]


def update_principal(uow: UnitOfWork, principal_id: str, now: datetime, **values: Any) -> bool:
    """Change columns of a principal of this tenant; False if it is not there."""
    if "scopes" in values:
        values["scopes"] = sorted(values["scopes"])
    where = _mine(uow, principals, principals.c.id == principal_id)
    return uow.execute(principals.update().where(where).values(updated_at=now, **values)).rowcount == 1


def replace_secret_hash(uow: UnitOfWork, principal_id: str, old: str, new: str) -> None:
    """Store a fresher hash of the same secret, unless the secret has been changed meanwhile."""
    where = _mine(uow, principals, principals.c.id == principal_id, principals.c.secret_hash == old)
    uow.execute(principals.update().where(where).values(secret_hash=new))


def delete_principal(uow: UnitOfWork, principal_id: str) -> bool:
    """Delete a principal with its tokens, bindings and sessions; False if it is not there."""
    for table in (certificate_bindings, api_tokens, sessions):
        uow.execute(table.delete().where(_mine(uow, table, table.c.principal_id == principal_id)))
    return uow.execute(principals.delete().where(_mine(uow, principals, principals.c.id == principal_id))).rowcount == 1


def count_administrators(reader: Reader, scope: str) -> int:
    """Count this tenant's active principals that hold ``scope``."""
    query = select(principals.c.scopes).where(_mine(reader, principals, principals.c.status == ACTIVE))
    return sum(1 for row in reader.execute(query) if scope in row.scopes)


# --- API tokens


def insert_token(uow: UnitOfWork, row: TokenRow) -> None:
    """Write a new token."""
    uow.execute(api_tokens.insert().values(**_columns(uow, api_tokens, row)))


def find_token_anywhere(reader: Reader, lookups: Iterable[str]) -> Found | None:
    """Return the token with the first of these lookup hashes that there is, and whose it is."""
    _system(reader)
    row = _first(reader, _TOKEN, lookups)
    if row is None:
        return None
    token = _record(api_tokens, TokenRow, row, "api_tokens_")
    return Found(row.tenant_status, _maybe_principal(row), token=token)


def _first(reader: Reader, query: Prepared, lookups: Iterable[str]) -> Any:
    return next((row for lookup in lookups for row in reader.execute(query, {"lookup": lookup})), None)


def list_tokens(reader: Reader, principal_id: str, after: str, limit: int) -> list[TokenRow]:
    """Return a principal's tokens by id, after that id."""
    where = _mine(reader, api_tokens, api_tokens.c.principal_id == principal_id, api_tokens.c.id > after)
    rows = reader.execute(select(api_tokens).where(where).order_by(api_tokens.c.id).limit(limit))
    return [_record(api_tokens, TokenRow, row) for row in rows]


def find_token(reader: Reader, token_id: str) -> TokenRow | None:
    """Return a token of this tenant."""
    row = reader.execute(select(api_tokens).where(_mine(reader, api_tokens, api_tokens.c.id == token_id))).first()
    return None if row is None else _record(api_tokens, TokenRow, row)


def revoke_token(uow: UnitOfWork, token_id: str, now: datetime) -> bool:
    """Revoke a token of this tenant; False if there was none in force."""
    where = _mine(uow, api_tokens, api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
    return uow.execute(api_tokens.update().where(where).values(revoked_at=now)).rowcount == 1


def refresh_token_hashes(uow: UnitOfWork, token_id: str, lookup: str, token_hash: str) -> None:
    """Store a token's hashes by the current policy."""
    where = _mine(uow, api_tokens, api_tokens.c.id == token_id)
    uow.execute(api_tokens.update().where(where).values(lookup=lookup, token_hash=token_hash))


# --- sessions


def insert_session(uow: UnitOfWork, row: SessionRow) -> None:
    """Write a new session."""
    uow.execute(sessions.insert().values(**_columns(uow, sessions, row)))


def find_session_anywhere(reader: Reader, lookups: Iterable[str]) -> Found | None:
    """Return the session with the first of these lookup hashes that there is.

    Its principal is None if that is of the file realm.
    """
    _system(reader)
    row = _first(reader, _SESSION, lookups)
    if row is None:
        return None
    session = _record(sessions, SessionRow, row, "sessions_")
    return Found(row.tenant_status, _maybe_principal(row), session=session)


def list_sessions(reader: Reader, principal_id: str, now: datetime, idle_since: datetime) -> list[SessionRow]:
    """Return a principal's live sessions, the newest first, at most 200."""
    where = _mine(
        reader,
        sessions,
        sessions.c.principal_id == principal_id,
        sessions.c.revoked_at.is_(None),
        sessions.c.expires_at > now,
        sessions.c.seen_at > idle_since,
    )
    rows = reader.execute(
        select(sessions).where(where).order_by(sessions.c.created_at.desc(), sessions.c.id).limit(200)
    )
    return [_record(sessions, SessionRow, row) for row in rows]


def touch_session(uow: UnitOfWork, session_id: str, seen_before: datetime, now: datetime) -> None:
    """Note that a session is in use, unless another request has just done so."""
    where = _mine(uow, sessions, sessions.c.id == session_id, sessions.c.seen_at == seen_before)
    uow.execute(sessions.update().where(where).values(seen_at=now))


def revoke_sessions(uow: UnitOfWork, principal_id: str, now: datetime, *, only: str = "", but: str = "") -> int:
    """Revoke a principal's sessions (``only`` one of them, or all ``but`` one); return how many were in force."""
    where = _mine(uow, sessions, sessions.c.principal_id == principal_id, sessions.c.revoked_at.is_(None))
    if only:
        where = and_(where, sessions.c.id == only)
    if but:
        where = and_(where, sessions.c.id != but)
    return uow.execute(sessions.update().where(where).values(revoked_at=now)).rowcount


def delete_dead_sessions(uow: UnitOfWork, before: datetime, limit: int = 1000) -> int:
    """Delete this tenant's sessions that expired or were revoked before that instant."""
    dead = select(sessions.c.id).where(
        _mine(uow, sessions, or_(sessions.c.expires_at < before, sessions.c.revoked_at < before))
    )
    chosen = [row.id for row in uow.execute(dead.limit(limit))]
    if not chosen:
        return 0
    return uow.execute(sessions.delete().where(_mine(uow, sessions, sessions.c.id.in_(chosen)))).rowcount


# --- certificate bindings


def insert_binding(uow: UnitOfWork, row: BindingRow) -> None:
    """Write a binding; Fault(CONFLICT) if that certificate or key is bound already, to whomever."""
    uow.execute(certificate_bindings.insert().values(**_columns(uow, certificate_bindings, row)))


def find_bound_anywhere(reader: Reader, matches: Iterable[tuple[str, str]]) -> Found | None:
    """Return whom a certificate stands for, by the first match that is bound."""
    _system(reader)
    for match, value in matches:
        row = reader.execute(_BOUND, {"match": match, "value": value}).first()
        if row is not None:
            return Found(row.tenant_status, _maybe_principal(row))
    return None


def list_bindings(reader: Reader, principal_id: str) -> list[BindingRow]:
    """Return a principal's bindings, oldest first, at most 200."""
    where = _mine(reader, certificate_bindings, certificate_bindings.c.principal_id == principal_id)
    order = (certificate_bindings.c.created_at, certificate_bindings.c.id)
    rows = reader.execute(select(certificate_bindings).where(where).order_by(*order).limit(200))
    return [_record(certificate_bindings, BindingRow, row) for row in rows]


def delete_binding(uow: UnitOfWork, principal_id: str, binding_id: str) -> bool:
    """Delete a binding of this tenant; False if it is not there."""
    columns = certificate_bindings.c
    where = _mine(uow, certificate_bindings, columns.id == binding_id, columns.principal_id == principal_id)
    return uow.execute(certificate_bindings.delete().where(where)).rowcount == 1


# --- audit and the installation


def list_audit(
    reader: Reader,
    before: int | None,
    limit: int,
    action: str = "",
    *,
    actor: str = "",
    target: str = "",
    outcome: str = "",
    prefix: str = "",
) -> list[AuditRow]:
    """Return events of this tenant, the newest first, before that sequence number.

    ``prefix`` is how the action begins, ``target`` a part of the target; what is empty is not asked for.
    """
    c = audit_events.c
    query = select(*(c[name] for name in AuditRow.__slots__)).where(_mine(reader, audit_events))
    if before is not None:
        query = query.where(c.seq < before)
    for column, value in ((c.action, action), (c.actor, actor), (c.outcome, outcome)):
        if value:
            query = query.where(column == value)
    if prefix:
        query = query.where(c.action.startswith(prefix, autoescape=True))
    if target:
        query = query.where(c.target.contains(target, autoescape=True))
    return [AuditRow(**row._asdict()) for row in reader.execute(query.order_by(c.seq.desc()).limit(limit))]


def instance_value(reader: Reader, name: str) -> str:
    """Return a fact of the installation, or an empty string."""
    row = reader.execute(select(instance.c.value).where(instance.c.name == name)).first()
    return "" if row is None else str(row.value)


def set_instance_value(uow: UnitOfWork, name: str, value: str, now: datetime) -> None:
    """Write a fact of the installation once; Fault(CONFLICT) if it is there."""
    uow.execute(instance.insert().values(name=name, value=value, updated_at=now))


def required(row: PrincipalRow | None, what: str = "principal") -> PrincipalRow:
    """Return the row, or Fault(NOT_FOUND): another tenant's id and one that never was read the same."""
    if row is None:
        raise Fault(FaultKind.NOT_FOUND, f"no such {what} in this tenant", f"There is no such {what}.")
    return row
