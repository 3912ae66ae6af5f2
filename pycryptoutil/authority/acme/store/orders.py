"""Statements on orders, authorizations and challenges. Changes of status name the status that they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select, union, update

from pycryptoutil.authority.acme.store.rows import AuthorizationRow, ChallengeRow, OrderRow
from pycryptoutil.authority.acme.store.tables import authorizations, challenges, order_authorizations, orders
from pycryptoutil.storage import Reader, UnitOfWork

_ORDER: Final = tuple(orders.c[name] for name in OrderRow.__slots__)
_AUTHORIZATION: Final = tuple(authorizations.c[name] for name in AuthorizationRow.__slots__)
_AT_ONCE: Final = 500
_CHALLENGE: Final = tuple(challenges.c[name] for name in ChallengeRow.__slots__)


# -- orders ------------------------------------------------------------------------------------------------------------


def insert_order(uow: UnitOfWork, row: OrderRow, authorization_ids: Sequence[str]) -> None:
    """Add an order with its authorizations."""
    uow.execute(orders.insert(), {name: getattr(row, name) for name in OrderRow.__slots__})
    rows = [
        {"tenant_id": uow.tenant_id, "order_id": row.id, "position": position, "authorization_id": one}
        for position, one in enumerate(authorization_ids)
    ]
    uow.execute(order_authorizations.insert(), rows)


def order(reader: Reader, order_id: str) -> OrderRow | None:
    """Return an order."""
    statement = select(*_ORDER).where(orders.c.tenant_id == reader.tenant_id, orders.c.id == order_id)
    row = reader.execute(statement).one_or_none()
    return OrderRow(**row._asdict()) if row is not None else None


def _orders(reader: Reader, *conditions: Any, limit: int, by: Any = orders.c.created_at) -> list[OrderRow]:
    statement = select(*_ORDER).where(orders.c.tenant_id == reader.tenant_id, *conditions)
    found = reader.execute(statement.order_by(by, orders.c.id).limit(limit))
    return [OrderRow(**row._asdict()) for row in found]


def change_order(uow: UnitOfWork, order_id: str, statuses: Sequence[str], values: Mapping[str, Any]) -> bool:
    """Change an order that is in one of these states; False if it is in none of them any more."""
    c = orders.c
    conditions = (c.tenant_id == uow.tenant_id, c.id == order_id, c.status.in_(statuses))
    return uow.execute(update(orders).where(*conditions).values(**values)).rowcount == 1


def _live(now: datetime) -> ColumnElement[bool]:
    """Not invalid, be it that nobody has written down yet that an order has run out."""
    c = orders.c
    return and_(c.status != "invalid", or_(c.status.not_in(("pending", "ready")), c.expires_at > now))


def orders_of_account(
    reader: Reader, account_id: str, after: tuple[datetime, str] | None, now: datetime, limit: int
) -> list[OrderRow]:
    """Return an account's orders that are not over, oldest first."""
    c = orders.c
    conditions = [c.account_id == account_id, _live(now)]
    if after is not None:
        conditions.append(or_(c.created_at > after[0], and_(c.created_at == after[0], c.id > after[1])))
    return _orders(reader, *conditions, limit=limit)


def orders_of_authorization(reader: Reader, authorization_id: str) -> list[OrderRow]:
    """Return the orders that wait for an authorization, or could do without it."""
    c = order_authorizations.c
    wanted = select(c.order_id).where(c.tenant_id == reader.tenant_id, c.authorization_id == authorization_id)
    return _orders(reader, orders.c.id.in_(wanted), orders.c.status.in_(("pending", "ready")), limit=1000)


def order_of_serial(reader: Reader, serial: str, account_id: str) -> OrderRow | None:
    """Return the account's order that a certificate was issued for."""
    found = _orders(reader, orders.c.serial == serial, orders.c.account_id == account_id, limit=1)
    return found[0] if found else None


def auto_renewed(reader: Reader, serial: str) -> bool:
    """Tell whether a certificate is the present one of an auto-renewal."""
    return bool(_orders(reader, orders.c.serial == serial, orders.c.auto_renewal.is_not(None), limit=1))


def replaced(reader: Reader, certificate: str, now: datetime) -> bool:
    """Tell whether an order that is not over replaces this certificate."""
    return bool(_orders(reader, orders.c.replaces == certificate, _live(now), limit=1))


def end_account(uow: UnitOfWork, account_id: str, error: Mapping[str, Any], now: datetime) -> None:
    """End all that an account has begun: orders, auto-renewals, authorizations, and challenges that are being tried."""
    o, a, c = orders.c, authorizations.c, challenges.c
    mine = (o.tenant_id == uow.tenant_id, o.account_id == account_id)
    begun = update(orders).where(*mine, o.status.in_(("pending", "ready", "processing")))
    uow.execute(begun.values(status="invalid", error=dict(error), changed_at=now))
    renewed = update(orders).where(*mine, o.status == "valid", o.auto_renewal.is_not(None))
    uow.execute(renewed.values(status="canceled", renew_at=None, changed_at=now))
    held = (a.tenant_id == uow.tenant_id, a.account_id == account_id, a.status.in_(("pending", "valid")))
    tried = select(a.id).where(*held)
    uow.execute(
        update(challenges).where(c.tenant_id == uow.tenant_id, c.authorization_id.in_(tried)).values(due_at=None)
    )
    uow.execute(update(authorizations).where(*held).values(status="deactivated"))


def claim_order(uow: UnitOfWork, row: OrderRow, now: datetime) -> bool:
    """Take an order that is being processed upon this replica; False if another has since this row was read."""
    c = orders.c
    statement = update(orders).where(
        c.tenant_id == uow.tenant_id, c.id == row.id, c.status == "processing", c.changed_at == row.changed_at
    )
    return uow.execute(statement.values(changed_at=now)).rowcount == 1


def count_orders(reader: Reader, account_id: str, since: datetime) -> int:
    """Count an account's orders of late."""
    c = orders.c
    statement = select(func.count()).where(
        c.tenant_id == reader.tenant_id, c.account_id == account_id, c.created_at > since
    )
    return int(reader.execute(statement).scalar_one())


def stuck_orders(reader: Reader, before: datetime, limit: int) -> list[OrderRow]:
    """Return orders that nobody has looked at since: their process has ended, or they wait for an approval."""
    c = orders.c
    return _orders(reader, c.status == "processing", c.changed_at < before, limit=limit, by=c.changed_at)


def busy_tenants(reader: Reader, now: datetime, before: datetime) -> list[str]:
    """Return every tenant with something to take up; the reader must be the system tenant's."""
    due = select(challenges.c.tenant_id).where(challenges.c.due_at <= now)
    stuck = select(orders.c.tenant_id).where(orders.c.status == "processing", orders.c.changed_at < before)
    renewals = select(orders.c.tenant_id).where(orders.c.renew_at <= now)
    return sorted(reader.execute(union(due, stuck, renewals)).scalars())


def renewals_due(reader: Reader, now: datetime, limit: int) -> list[OrderRow]:
    """Return auto-renewals whose next certificate is due."""
    return _orders(reader, orders.c.status == "valid", orders.c.renew_at <= now, limit=limit)


def claim_renewal(uow: UnitOfWork, row: OrderRow, until: datetime | None) -> bool:
    """Take the next certificate of an auto-renewal upon this replica (None: its last); False if another has."""
    c = orders.c
    statement = update(orders).where(
        c.tenant_id == uow.tenant_id,
        c.id == row.id,
        c.status == "valid",
        c.renewals == row.renewals,
        c.renew_at == row.renew_at,
    )
    return uow.execute(statement.values(renew_at=until)).rowcount == 1


def forget_orders(uow: UnitOfWork, before: datetime, limit: int) -> int:
    """Delete orders that came to nothing before a time, with the authorizations that are of no use to any other."""
    o, a, link = orders.c, authorizations.c, order_authorizations.c
    over = o.status.in_(("invalid", "pending", "ready", "canceled"))
    ended = (o.tenant_id == uow.tenant_id, over, o.changed_at < before, o.expires_at < before)
    ids = list(uow.execute(select(o.id).where(*ended).order_by(o.changed_at).limit(limit)).scalars())
    if not ids:
        return 0
    mine = (link.tenant_id == uow.tenant_id, link.order_id.in_(ids))
    owners = list(uow.execute(select(link.authorization_id).where(*mine).distinct()).scalars())
    uow.execute(order_authorizations.delete().where(*mine))
    uow.execute(orders.delete().where(o.tenant_id == uow.tenant_id, o.id.in_(ids)))
    for start in range(0, len(owners), _AT_ONCE):
        some = owners[start : start + _AT_ONCE]
        needed = select(link.authorization_id).where(link.tenant_id == uow.tenant_id, link.authorization_id.in_(some))
        useless = (a.tenant_id == uow.tenant_id, a.id.in_(some), a.id.not_in(needed), a.expires_at < before)
        gone = list(uow.execute(select(a.id).where(*useless)).scalars())
        c = challenges.c
        uow.execute(challenges.delete().where(c.tenant_id == uow.tenant_id, c.authorization_id.in_(gone)))
        uow.execute(authorizations.delete().where(a.tenant_id == uow.tenant_id, a.id.in_(gone)))
    return len(ids)


# -- authorizations ----------------------------------------------------------------------------------------------------


def insert_authorization(uow: UnitOfWork, row: AuthorizationRow, offered: Sequence[ChallengeRow]) -> None:
    """Add an authorization with its challenges."""
    uow.execute(authorizations.insert(), {name: getattr(row, name) for name in AuthorizationRow.__slots__})
    uow.execute(challenges.insert(), [{name: getattr(one, name) for name in ChallengeRow.__slots__} for one in offered])


def authorization(reader: Reader, authorization_id: str) -> AuthorizationRow | None:
    """Return an authorization."""
    c = authorizations.c
    statement = select(*_AUTHORIZATION).where(c.tenant_id == reader.tenant_id, c.id == authorization_id)
    row = reader.execute(statement).one_or_none()
    return AuthorizationRow(**row._asdict()) if row is not None else None


def reusable(
    reader: Reader, account_id: str, kind: str, value: str, wildcard: bool, after: datetime
) -> AuthorizationRow | None:
    """Return an authorization of this name that is valid, or else one that is pending, and lasts beyond ``after``."""
    c = authorizations.c
    statement = select(*_AUTHORIZATION).where(
        c.tenant_id == reader.tenant_id,
        c.account_id == account_id,
        c.type == kind,
        c.value == value,
        c.wildcard == wildcard,
        c.status.in_(("valid", "pending")),
        c.expires_at > after,
    )
    row = reader.execute(statement.order_by(c.status.desc(), c.expires_at.desc()).limit(1)).one_or_none()
    return AuthorizationRow(**row._asdict()) if row is not None else None


def authorizations_of_order(reader: Reader, order_id: str) -> list[AuthorizationRow]:
    """Return an order's authorizations, in the order of its identifiers."""
    link = order_authorizations.c
    statement = (
        select(*_AUTHORIZATION)
        .join(order_authorizations, link.authorization_id == authorizations.c.id)
        .where(authorizations.c.tenant_id == reader.tenant_id, link.order_id == order_id)
        .order_by(link.position)
    )
    return [AuthorizationRow(**row._asdict()) for row in reader.execute(statement)]


def valid_names(reader: Reader, account_id: str, now: datetime) -> set[tuple[str, str, bool]]:
    """Return (type, value, wildcard) of what an account may have certified now."""
    c = authorizations.c
    statement = select(c.type, c.value, c.wildcard).where(
        c.tenant_id == reader.tenant_id, c.account_id == account_id, c.status == "valid", c.expires_at > now
    )
    return {(row.type, row.value, bool(row.wildcard)) for row in reader.execute(statement)}


def change_authorization(
    uow: UnitOfWork, authorization_id: str, statuses: Sequence[str], values: Mapping[str, Any]
) -> bool:
    """Change an authorization that is in one of these states; False if it is in none of them any more."""
    c = authorizations.c
    conditions = (c.tenant_id == uow.tenant_id, c.id == authorization_id, c.status.in_(statuses))
    return uow.execute(update(authorizations).where(*conditions).values(**values)).rowcount == 1


def count_failures(reader: Reader, account_id: str, kind: str, value: str, since: datetime) -> int:
    """Count an account's authorizations of a name that came to nothing of late."""
    c = authorizations.c
    statement = select(func.count()).where(
        c.tenant_id == reader.tenant_id,
        c.account_id == account_id,
        c.type == kind,
        c.value == value,
        c.status == "invalid",
        c.created_at > since,
    )
    return int(reader.execute(statement).scalar_one())


def count_unused(reader: Reader, account_id: str, since: datetime) -> int:
    """Count an account's authorizations of late that no order uses."""
    a, used = authorizations.c, order_authorizations.c
    by_order = select(used.order_id).where(used.tenant_id == a.tenant_id, used.authorization_id == a.id)
    statement = select(func.count()).where(
        a.tenant_id == reader.tenant_id, a.account_id == account_id, a.created_at > since, ~by_order.exists()
    )
    return int(reader.execute(statement).scalar_one())


# -- challenges --------------------------------------------------------------------------------------------------------


def challenges_of(reader: Reader, authorization_id: str) -> list[ChallengeRow]:
    """Return an authorization's challenges."""
    c = challenges.c
    statement = select(*_CHALLENGE).where(c.tenant_id == reader.tenant_id, c.authorization_id == authorization_id)
    return [ChallengeRow(**row._asdict()) for row in reader.execute(statement.order_by(c.type))]


def challenge(reader: Reader, challenge_id: str) -> ChallengeRow | None:
    """Return a challenge."""
    c = challenges.c
    row = reader.execute(select(*_CHALLENGE).where(c.tenant_id == reader.tenant_id, c.id == challenge_id)).one_or_none()
    return ChallengeRow(**row._asdict()) if row is not None else None


def count_processing(reader: Reader, account_id: str) -> int:
    """Count an account's challenges that are being tried."""
    c, owner = challenges.c, authorizations.c
    statement = select(func.count()).join(authorizations, owner.id == c.authorization_id)
    statement = statement.where(c.tenant_id == reader.tenant_id, owner.account_id == account_id, c.due_at.is_not(None))
    return int(reader.execute(statement.select_from(challenges)).scalar_one())


def change_challenge(uow: UnitOfWork, challenge_id: str, statuses: Sequence[str], values: Mapping[str, Any]) -> bool:
    """Change a challenge that is in one of these states; False if it is in none of them any more."""
    c = challenges.c
    conditions = (c.tenant_id == uow.tenant_id, c.id == challenge_id, c.status.in_(statuses))
    return uow.execute(update(challenges).where(*conditions).values(**values)).rowcount == 1


def due(reader: Reader, now: datetime, limit: int) -> list[str]:
    """Return the ids of challenges to try now, which no replica is trying."""
    c = challenges.c
    statement = select(c.id).where(
        c.tenant_id == reader.tenant_id,
        c.due_at <= now,
        c.status == "processing",
        or_(c.claimed_until.is_(None), c.claimed_until < now),
    )
    return list(reader.execute(statement.order_by(c.due_at).limit(limit)).scalars())


def hasten(uow: UnitOfWork, challenge_id: str, now: datetime) -> bool:
    """Have a challenge that waits for its next attempt tried now; False if it does not wait."""
    c = challenges.c
    statement = update(challenges).where(
        c.tenant_id == uow.tenant_id,
        c.id == challenge_id,
        c.status == "processing",
        c.due_at > now,
        or_(c.claimed_until.is_(None), c.claimed_until < now),
    )
    return uow.execute(statement.values(due_at=now)).rowcount == 1


def claim(uow: UnitOfWork, challenge_id: str, now: datetime, until: datetime) -> bool:
    """Take a challenge upon this replica; False if it is not due, or another has it."""
    c = challenges.c
    statement = update(challenges).where(
        c.tenant_id == uow.tenant_id,
        c.id == challenge_id,
        c.status == "processing",
        c.due_at <= now,
        or_(c.claimed_until.is_(None), c.claimed_until < now),
    )
    return uow.execute(statement.values(claimed_until=until)).rowcount == 1
