"""Searching certificates where there are a million of them.

Each search walks one index in the order of its answer and looks at what it passes, so it costs at most :data:`BUDGET`
rows: a search that is not done by then answers with what it has found, and goes on from there in the next page. The
index is that of the most selective condition which has one in this order. Exact names and domains have a table of
their own (``certificate_names``): a row for each name and for each domain above it, newest first. ``contains`` has no
index, on either database: it looks at every certificate that the other conditions leave, from the newest on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    and_,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)

from pycryptoutil.authority.certificates import store
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.model import CertificateFilter, CertificateState, CertificateStatus, RevocationReason
from pycryptoutil.authority.store import certificate_names, certificates, metadata
from pycryptoutil.storage import Instant, Reader, UnitOfWork

BUDGET: Final = 20_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ISSUED: Final = text("certificates.state = 'issued'")  # not a parameter: partial indexes are chosen by it
_REVOKED: Final = frozenset({CertificateStatus.REVOKED, CertificateStatus.HELD})

indexed = Table(  # how far the names of certificates have been indexed that are older than the index
    "certificate_names_indexed",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("serial", String(40), nullable=False),
    Column("done", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant_id", name="certificate_names_indexed_pk"),
)

Position = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Walk:
    """An index to walk: what narrows it, and its order."""

    source: Any
    conditions: tuple[ColumnElement[bool], ...]
    moment: ColumnElement[Any]
    serial: ColumnElement[Any]
    newest_first: bool

    def ordered(self, statement: Select[Any]) -> Select[Any]:
        """Sort as the index is sorted."""
        if self.newest_first:
            return statement.order_by(self.moment.desc(), self.serial.desc())
        return statement.order_by(self.moment, self.serial)

    def beyond(self, place: Position) -> ColumnElement[bool]:
        """Say what comes after a place; compared as a whole, so that the index is entered there."""
        here = tuple_(self.moment, self.serial)
        there = tuple_(literal(place[0], Instant), literal(place[1]))
        return here < there if self.newest_first else here > there


def _walk(reader: Reader, wanted: CertificateFilter, authority_ids: Collection[str]) -> tuple[Walk, str]:
    """Choose the index; also which condition it takes care of."""
    c = certificates.c
    if wanted.sort == "expiry":
        window = _window(c.not_after, wanted.not_after_from, wanted.not_after_to)
        conditions = (c.tenant_id == reader.tenant_id, _issued(), *window)
        return Walk(certificates, conditions, c.not_after, c.serial, newest_first=False), "not_after"
    if wanted.name or wanted.domain:
        n = certificate_names.c
        term = exact_term(wanted.name) if wanted.name else domain_term(wanted.domain)
        source = certificate_names.join(
            certificates, and_(certificates.c.authority_id == n.authority_id, certificates.c.serial == n.serial)
        )
        window = _window(n.created_at, wanted.created_from, wanted.created_to)
        conditions = (n.tenant_id == reader.tenant_id, n.term == term, *window)
        return Walk(source, conditions, n.created_at, n.serial, newest_first=True), "name" if wanted.name else "domain"
    equal: Sequence[tuple[str, ColumnElement[Any], Any]] = (
        ("serial", c.serial, wanted.serial),
        ("spki_sha256", c.spki_sha256, wanted.spki_sha256),
        ("requester", c.requester, wanted.requester),
        ("profile", c.profile, wanted.profile),
        ("authority", c.authority_id, next(iter(authority_ids)) if len(authority_ids) == 1 else ""),
        ("protocol", c.protocol, wanted.protocol),
    )
    window = _window(c.created_at, wanted.created_from, wanted.created_to)
    base = (c.tenant_id == reader.tenant_id, *window)
    chosen = next((one for one in equal if one[2]), None)
    revoked = wanted.status in _REVOKED
    if chosen is not None and not (revoked and chosen[0] in {"profile", "authority", "protocol"}):
        return Walk(certificates, (*base, chosen[1] == chosen[2]), c.created_at, c.serial, newest_first=True), chosen[0]
    if revoked:
        return Walk(certificates, (*base, c.revoked_at.is_not(None)), c.created_at, c.serial, newest_first=True), ""
    return Walk(certificates, base, c.created_at, c.serial, newest_first=True), ""


def _issued() -> Any:
    return _ISSUED


def _window(
    column: ColumnElement[Any], since: datetime | None, until: datetime | None
) -> tuple[ColumnElement[bool], ...]:
    found = []
    if since is not None:
        found.append(column >= since)
    if until is not None:
        found.append(column <= until)
    return tuple(found)


def _status(columns: Any, status: CertificateStatus, now: datetime) -> ColumnElement[bool]:
    hold = RevocationReason.CERTIFICATE_HOLD.code
    match status:
        case CertificateStatus.VALID:
            return and_(columns.revoked_at.is_(None), columns.not_after >= now)
        case CertificateStatus.EXPIRED:
            return and_(columns.revoked_at.is_(None), columns.not_after < now)
        case CertificateStatus.HELD:
            return and_(columns.revoked_at.is_not(None), columns.reason == hold)
        case CertificateStatus.REVOKED:
            return and_(columns.revoked_at.is_not(None), columns.reason != hold)


def _like(fragment: str) -> str:
    escaped = fragment.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _rest(
    columns: Any, wanted: CertificateFilter, authority_ids: Collection[str], now: datetime, done: str
) -> list[ColumnElement[bool]]:
    """Return the conditions that the walk itself does not take care of."""
    exact = ("serial", "spki_sha256", "requester", "profile", "protocol")
    found = [columns[name] == getattr(wanted, name) for name in exact if getattr(wanted, name) and name != done]
    if authority_ids and done != "authority":
        found.append(columns.authority_id.in_(sorted(authority_ids)))
    if wanted.status is not None:
        found.append(_status(columns, wanted.status, now))
    if wanted.contains:
        found.append(columns.search.like(_like(wanted.contains), escape="\\"))
    terms = [exact_term(wanted.name)] if wanted.name and done != "name" else []
    terms += [domain_term(wanted.domain)] if wanted.domain and done != "domain" else []
    n = certificate_names.c
    for term in terms:
        named = select(n.serial).where(
            n.tenant_id == columns.tenant_id,
            n.term == term,
            n.created_at == columns.created_at,
            n.serial == columns.serial,
            n.authority_id == columns.authority_id,
        )
        found.append(named.exists())
    if done != "not_after":
        found += _window(columns.not_after, wanted.not_after_from, wanted.not_after_to)
    else:
        found += _window(columns.created_at, wanted.created_from, wanted.created_to)
    return found


def search(
    reader: Reader,
    wanted: CertificateFilter,
    authority_ids: Collection[str],
    after: Position | None,
    limit: int,
    now: datetime,
) -> tuple[list[CertificateRow], Position | None]:
    """Return up to ``limit`` certificates from just after a place, and where to go on; None: that was all.

    A place is (created_at, serial), or (not_after, serial) where that is the order. Fewer than ``limit`` with a place
    to go on at means that the budget was spent.
    """
    c = certificates.c
    walk, done = _walk(reader, wanted, authority_ids)
    conditions = [*walk.conditions, *([walk.beyond(after)] if after is not None else [])]
    looked_at = [*(column for column in c if column.name not in {"der", "names", "subject"})]
    passed = (
        walk.ordered(select(*looked_at).select_from(walk.source).where(*conditions)).limit(BUDGET).subquery("passed")
    )
    filters = _rest(passed.c, wanted, authority_ids, now, done)
    fits = [passed.c.state == CertificateState.ISSUED.value, *filters]
    moment = passed.c.not_after if done == "not_after" else passed.c.created_at
    found = reader.execute(
        select(passed.c.authority_id, passed.c.serial, moment.label("moment")).where(*fits).limit(limit + 1)
    ).all()
    if len(found) > limit:
        found = found[:limit]
        end: Position | None = (found[-1].moment, found[-1].serial)
    else:
        end = _spent(reader, walk, conditions)
    return _rows(reader, [(row.authority_id, row.serial) for row in found]), end


def _spent(reader: Reader, walk: Walk, conditions: Iterable[ColumnElement[bool]]) -> Position | None:
    """Return the place of the last row within the budget; None if there are fewer."""
    source = certificate_names if walk.source is not certificates else certificates
    place = select(walk.moment.label("moment"), walk.serial.label("serial")).select_from(source).where(*conditions)
    row = reader.execute(walk.ordered(place).offset(BUDGET - 1).limit(1)).one_or_none()
    return (row.moment, row.serial) if row is not None else None


def _rows(reader: Reader, keys: Sequence[tuple[str, str]]) -> list[CertificateRow]:
    """Return whole rows in the order of their keys."""
    c = certificates.c
    by_authority: dict[str, list[str]] = {}
    for authority_id, serial in keys:
        by_authority.setdefault(authority_id, []).append(serial)
    if not keys:
        return []
    places = [and_(c.authority_id == one, c.serial.in_(serials)) for one, serials in by_authority.items()]
    # the tenant is looked at and not searched by: SQLite would rather walk an index of all that the tenant has
    rows = store.rows(reader, (func.coalesce(c.tenant_id, "") == reader.tenant_id, or_(*places)))
    found = {(row.authority_id, row.serial): row for row in rows}
    return [found[key] for key in keys if key in found]


# -- names -------------------------------------------------------------------------------------------------------------

_MAX_TERM: Final = 255


def exact_term(name: str) -> str:
    """Return what a whole name is indexed under; ``name`` with or without its type (``dns:`` …)."""
    return store.exact_term(name)


def domain_term(domain: str) -> str:
    """Return what the names in a domain are indexed under, its own among them."""
    return store.domain_term(domain)


def index_names(uow: UnitOfWork, batch: int) -> bool:
    """Index some of the certificates that are older than the index; False when none is left."""
    i, c = indexed.c, certificates.c
    mark = uow.execute(select(i.created_at, i.serial, i.done).where(i.tenant_id == uow.tenant_id)).one_or_none()
    if mark is not None and mark.done:
        return False
    after = (mark.created_at, mark.serial) if mark is not None else (_EPOCH, "")
    rows = uow.execute(
        select(c.authority_id, c.serial, c.created_at, c.subject, c.names)
        .where(c.tenant_id == uow.tenant_id, store.position() > store.position_at(after))
        .order_by(c.created_at, c.serial)
        .limit(batch)
    ).all()
    values = [
        {"tenant_id": uow.tenant_id, "term": term, "created_at": row.created_at, "serial": row.serial,
         "authority_id": row.authority_id}
        for row in rows
        for term in store.terms(row.subject, row.names)
    ]  # fmt: skip
    if values:
        uow.execute(uow.insert(certificate_names).on_conflict_do_nothing(), values)
    place = {"created_at": rows[-1].created_at if rows else after[0], "serial": rows[-1].serial if rows else after[1]}
    place_and_end = place | {"done": len(rows) < batch}
    statement = uow.insert(indexed).values(tenant_id=uow.tenant_id, **place_and_end)
    uow.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=place_and_end))
    return len(rows) == batch
