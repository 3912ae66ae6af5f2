"""Resources as JSON objects (RFC 8555 section 7.1); what has run out looks so, whatever its row says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pycryptoutil_protocols.acme.messages import AuthorizationStatus, ChallengeStatus, OrderStatus
from pycryptoutil_protocols.acme.problems import Problem, ProblemType

from pycryptoutil.authority.acme.model import Place
from pycryptoutil.authority.acme.store.rows import AuthorizationRow, ChallengeRow, OrderRow


def text(moment: datetime) -> str:
    """RFC 3339, in seconds and Zulu."""
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def order_status(row: OrderRow, now: datetime) -> str:
    """Return an order's status: what waits for its client does so until it expires."""
    waits = row.status in {OrderStatus.PENDING, OrderStatus.READY}
    return OrderStatus.INVALID if waits and row.expires_at <= now else row.status


def authorization_status(row: AuthorizationRow, now: datetime) -> str:
    """Return an authorization's status."""
    if row.expires_at > now:
        return row.status
    return {
        AuthorizationStatus.PENDING.value: AuthorizationStatus.INVALID.value,
        AuthorizationStatus.VALID.value: AuthorizationStatus.EXPIRED.value,
    }.get(row.status, row.status)


def order(place: Place, row: OrderRow, found: Sequence[AuthorizationRow], now: datetime) -> dict[str, Any]:
    """Section 7.1.3; RFC 8739 section 3.1.2; RFC 9773 section 5."""
    status = order_status(row, now)
    document: dict[str, Any] = {
        "status": status,
        "expires": text(row.expires_at),
        "identifiers": [{"type": kind, "value": value} for kind, value in row.identifiers],
        "authorizations": [place.url("authorization", one.id) for one in found],
        "finalize": place.url("order", row.id, "finalize"),
    }
    if row.not_before is not None:
        document["notBefore"] = text(row.not_before)
    if row.not_after is not None:
        document["notAfter"] = text(row.not_after)
    if row.replaces:
        document["replaces"] = row.replaces
    if row.error is not None:
        document["error"] = dict(row.error)
    elif status == OrderStatus.INVALID:
        document["error"] = Problem(ProblemType.MALFORMED, "the order has expired").document()
    if row.auto_renewal is not None:
        document["auto-renewal"] = dict(row.auto_renewal)
        if row.serial:
            document["star-certificate"] = place.url("star-certificate", row.id)
    elif status == OrderStatus.VALID:
        document["certificate"] = place.url("certificate", row.id)
    return document


def authorization(
    place: Place, row: AuthorizationRow, offered: Sequence[ChallengeRow], now: datetime
) -> dict[str, Any]:
    """Section 7.1.4. Once decided, only the challenge that decided is shown (section 7.1.6)."""
    status = authorization_status(row, now)
    decided = status in {AuthorizationStatus.VALID, AuthorizationStatus.INVALID, AuthorizationStatus.EXPIRED}
    tried = [one for one in offered if one.status in {ChallengeStatus.VALID, ChallengeStatus.INVALID}]
    document: dict[str, Any] = {
        "status": status,
        "expires": text(row.expires_at),
        "identifier": {"type": row.type, "value": row.value},
        "challenges": [challenge(place, one) for one in (tried if decided and tried else offered)],
    }
    if row.wildcard:
        document["wildcard"] = True
    return document


def challenge(place: Place, row: ChallengeRow) -> dict[str, Any]:
    """Sections 7.1.5 and 8."""
    document: dict[str, Any] = {
        "type": row.type,
        "url": place.url("challenge", row.id),
        "status": row.status,
        "token": row.token,
    }
    if row.validated_at is not None:
        document["validated"] = text(row.validated_at)
    if row.error is not None:
        document["error"] = dict(row.error)
    return document
