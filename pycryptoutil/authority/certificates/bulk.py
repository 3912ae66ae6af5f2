"""Revoking all certificates of a key or of a requester, a bounded number at a time.

Each unit of work takes a few of them, oldest first; what a unit has done is done. Whoever is interrupted begins again:
what is revoked already is passed over, and certificates issued meanwhile come last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import room as rooms
from pycryptoutil.authority import store as tables
from pycryptoutil.authority.certificates import records, revoke, store
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.internal import SYSTEM
from pycryptoutil.authority.model import RevocationReason
from pycryptoutil.authority.room import Room
from pycryptoutil.http.paging import encode_cursor
from pycryptoutil.storage import Reader

MAX_AT_ONCE: Final = 5000
_UNIT: Final = 100
_ONE_BY_ONE: Final = frozenset(
    {RevocationReason.REMOVE_FROM_CRL, RevocationReason.CA_COMPROMISE, RevocationReason.AA_COMPROMISE}
)

_Next = Callable[[Reader, tuple[datetime, str] | None, int], list[CertificateRow]]


@dataclass(frozen=True, slots=True)
class BulkOrder:
    """Why, and how many at most in one call; ``cursor`` is that of the call before."""

    reason: RevocationReason
    invalidity_date: datetime | None = None
    cursor: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class BulkResult:
    """The serials that one call has changed; ``cursor`` continues, and is empty when nothing is left."""

    serials: tuple[str, ...]
    cursor: str


def by_key(
    room: Room, tenant_id: str, spki_sha256: str, order: BulkOrder, actor: str, request_id: str = ""
) -> BulkResult:
    """Revoke or hold every certificate of a public key, expired or not.

    With keyCompromise those revoked for another reason get this one, and keep their date; from then on the key is
    not certified again. Fault(INVALID) for a reason that is given certificate by certificate.
    """

    def some(reader: Reader, after: tuple[datetime, str] | None, limit: int) -> list[CertificateRow]:
        return store.to_revoke_of_key(reader, spki_sha256, order.reason, after, limit)

    return _run(room, tenant_id, some, order, f"key {spki_sha256}", actor, request_id)


def by_requester(
    room: Room, tenant_id: str, requester: str, order: BulkOrder, actor: str, request_id: str = ""
) -> BulkResult:
    """Revoke or hold every certificate of a requester that has not expired, those of CAs left out.

    Fault(POLICY) for the requester ``system``: what the CA made for itself is revoked one by one.
    """
    if requester == SYSTEM:
        text = "certificates that the CA made for itself are revoked one by one"
        raise Fault(FaultKind.POLICY, text, text, pointer="requester")
    now = room.clock.now()

    def some(reader: Reader, after: tuple[datetime, str] | None, limit: int) -> list[CertificateRow]:
        return store.to_revoke_of_requester(reader, requester, order.reason, now, after, limit)

    return _run(room, tenant_id, some, order, "requester", actor, request_id)


def key_of(room: Room, tenant_id: str, serial: str, authority: str = "") -> str:
    """Return the digest of the key of a certificate; Fault(NOT_FOUND)."""
    return records.get(room, tenant_id, serial, authority).spki_sha256


def _run(room: Room, tenant_id: str, some: _Next, order: BulkOrder, by: str, actor: str, request_id: str) -> BulkResult:
    if order.reason in _ONE_BY_ONE:
        text = f"{order.reason.value} is given certificate by certificate"
        raise Fault(FaultKind.INVALID, text, text, pointer="reason")
    now = revoke.check_dates(room, order.invalidity_date)
    after = records.position_of(order.cursor)
    left = min(max(order.limit, 1), MAX_AT_ONCE)
    changed: list[str] = []
    while left:
        with room.database.unit_of_work(tenant_id) as uow:
            names = rooms.names(tables.all_authorities(uow))
            rows = some(uow, after, min(left, _UNIT))
            for row in rows:
                # who was not good before was not good since then
                change = revoke.Change(
                    row.revoked_at or now, order.reason, order.invalidity_date, order.reason.value, by
                )
                if revoke.write(uow, row, names.get(row.authority_id, ""), change, now, actor, request_id):
                    changed.append(row.serial)
        if len(rows) < min(left, _UNIT):
            return BulkResult(tuple(changed), "")
        after = (rows[-1].created_at, rows[-1].serial)
        left -= len(rows)
    return BulkResult(tuple(changed), encode_cursor(*records.position_text(rows[-1])))
