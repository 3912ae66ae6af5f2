"""Reading certificates: one, a page of them, or the one that a TLS client showed."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from pycryptoutil_protocols.ct.codec import is_precertificate
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Certificate, decode_certificate

from pycryptoutil.authority import room as rooms
from pycryptoutil.authority import serials
from pycryptoutil.authority import store as tables
from pycryptoutil.authority.certificates import search_store, store
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.model import (
    CertificateFilter,
    CertificateRecord,
    CertificateStatus,
    IssuedCertificate,
    Page,
    RevocationReason,
)
from pycryptoutil.authority.room import Room, chain
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto import x509
from pycryptoutil.http.paging import decode_cursor, encode_cursor
from pycryptoutil.storage import SYSTEM_TENANT, Reader

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)
_INDEXED_AT_ONCE = 200


def answer(row: CertificateRow, authority: str, issuers: tuple[bytes, ...], *, repeated: bool) -> IssuedCertificate:
    """Return a stored certificate as an answer."""
    return IssuedCertificate(
        serial=row.serial,
        der=row.der or b"",
        chain=issuers,
        authority=authority,
        profile=row.profile,
        subject=row.subject,
        sans=tuple(row.names.splitlines()),
        not_before=row.not_before,
        not_after=row.not_after,
        repeated=repeated,
    )


def record(row: CertificateRow, authority: str, now: datetime) -> CertificateRecord:
    """Return what a row means at ``now``."""
    reason = RevocationReason.of_code(row.reason) if row.reason is not None else None
    if row.revoked_at is not None:
        held = reason is RevocationReason.CERTIFICATE_HOLD
        status = CertificateStatus.HELD if held else CertificateStatus.REVOKED
    else:
        status = CertificateStatus.EXPIRED if row.not_after < now else CertificateStatus.VALID
    return CertificateRecord(
        serial=row.serial,
        tenant_id=row.tenant_id,
        authority_id=row.authority_id,
        authority=authority,
        profile=row.profile,
        subject=row.subject,
        sans=tuple(row.names.splitlines()),
        spki_sha256=row.spki_sha256,
        not_before=row.not_before,
        not_after=row.not_after,
        status=status,
        revoked_at=row.revoked_at,
        reason=reason,
        invalidity_date=row.invalidity_date,
        requester=row.requester,
        protocol=row.protocol,
        created_at=row.created_at,
        der=row.der or b"",
        precertificate=is_precertificate(row.der or b""),
    )


def normal_serial(text: str) -> str:
    """Return a serial as stored; Fault(NOT_FOUND) for what cannot be one."""
    try:
        return serials.normal_hex(text)
    except ValueError:
        raise unknown(text) from None


def unknown(serial: str) -> Fault:
    """Return the fault of a serial that this tenant has no certificate of."""
    return Fault(FaultKind.NOT_FOUND, f"no certificate {serial[:64]!r}", "there is no such certificate")


def find(reader: Reader, serial: str, authority_ids: Collection[str] = ()) -> CertificateRow:
    """Return the tenant's certificate of a serial; Fault(NOT_FOUND), or CONFLICT where imported CAs share it.

    With ``authority_ids``, one that one of these has issued.
    """
    every = store.by_serial(reader, normal_serial(serial))
    rows = [row for row in every if not authority_ids or row.authority_id in authority_ids]
    if not rows:
        raise unknown(serial)
    if len(rows) > 1:
        text = "several authorities have issued this serial: name the authority"
        raise Fault(FaultKind.CONFLICT, text, text)
    return rows[0]


def get(room: Room, tenant_id: str, serial: str, authority: str = "") -> CertificateRecord:
    """Return one certificate."""
    with room.database.read(tenant_id) as reader:
        rows = tables.all_authorities(reader)
        row = find(reader, serial, ids_of(room, rows, authority))
    return record(row, rooms.names(rows).get(row.authority_id, ""), room.clock.now())


def ids_of(room: Room, rows: list[AuthorityRow], authority: str) -> frozenset[str]:
    """Return the ids of every generation of a CA by its name; none for an empty one, which stands for all."""
    return rooms.generations(room.find(rows, authority), rows) if authority else frozenset()


def issuers(room: Room, tenant_id: str, authority_id: str) -> tuple[bytes, ...]:
    """Return the chain above a certificate, its issuer first."""
    with room.database.read(tenant_id) as reader:
        rows = tables.all_authorities(reader)
    return chain(next(row for row in rows if row.id == authority_id), rows)


def page(room: Room, tenant_id: str, wanted: CertificateFilter, cursor: str, limit: int) -> Page:
    """Return a part of a list."""
    now = room.clock.now()
    after = _searched(cursor, wanted.sort)
    with room.database.read(tenant_id) as reader:
        rows = tables.all_authorities(reader)
        names = rooms.names(rows)
        found, end = search_store.search(reader, wanted, ids_of(room, rows, wanted.authority), after, limit, now)
    items = tuple(record(row, names.get(row.authority_id, ""), now) for row in found)
    return Page(items, encode_cursor(wanted.sort, _text(end[0]), end[1]) if end is not None else "")


def _searched(cursor: str, sort: str) -> tuple[datetime, str] | None:
    """Return where a search goes on; Fault(INVALID) for a cursor of another order."""
    position = decode_cursor(cursor, 3)
    if position is None:
        return None
    if position[0] != sort:
        raise _foreign()
    return _instant(position[1]), position[2]


def _foreign() -> Fault:
    return Fault(FaultKind.INVALID, "cursor", "not a cursor of this list", pointer="cursor")


def position_of(cursor: str) -> tuple[datetime, str] | None:
    """Return where a list goes on: (created_at, serial); Fault(INVALID) for a made-up cursor."""
    position = decode_cursor(cursor, 2)
    return (_instant(position[0]), position[1]) if position is not None else None


def position_text(row: CertificateRow) -> tuple[str, str]:
    """Return the place behind a row, to be encoded as a cursor."""
    return _text(row.created_at), row.serial


def _text(moment: datetime) -> str:
    return str((moment - _EPOCH) // _MICROSECOND)


def _instant(text: str) -> datetime:
    try:
        return _EPOCH + int(text) * _MICROSECOND
    except (ValueError, OverflowError):
        raise _foreign() from None


def index_names(room: Room, tenant_id: str) -> None:
    """Index the names of certificates that are older than the index, in units of bounded work."""
    more = True
    while more:
        with room.database.unit_of_work(tenant_id) as uow:
            more = search_store.index_names(uow, _INDEXED_AT_ONCE)


def of_client(room: Room, presented: tuple[bytes, ...]) -> CertificateRecord:
    """Return the record of a certificate that a TLS client has proved to hold, if it is ours and good.

    Fault(EXPIRED) outside its validity, UNAUTHENTICATED when it is foreign, revoked or below a revoked CA. It must be,
    octet for octet, the one in the database, so its signature need not be verified again.
    """
    if not presented:
        raise Fault(FaultKind.UNAUTHENTICATED, "no client certificate", "a client certificate is needed")
    leaf = decode_certificate(presented[0])
    row, name = _stored(room, leaf)
    now = room.clock.now()
    if row.revoked_at is not None:
        raise _untrusted(f"{row.serial} is revoked")
    if not leaf.not_before <= now <= leaf.not_after:
        raise Fault(FaultKind.EXPIRED, f"{row.serial} outside its validity", "the client certificate has expired")
    _check_issuers(room, row, now)
    return record(row, name, now)


def _stored(room: Room, leaf: Certificate) -> tuple[CertificateRow, str]:
    with room.database.read(SYSTEM_TENANT) as reader:
        candidates = tables.authorities_by_subject(reader, x509.name_text(leaf.issuer))
    for ca in candidates:
        with room.database.read(ca.tenant_id) as reader:
            rows = store.by_serial(reader, serials.to_hex(leaf.serial), ca.id)
            if rows and rows[0].der == leaf.der:
                return rows[0], rooms.current(ca, tables.all_authorities(reader)).name
    raise _untrusted("a client certificate that was not issued here")


def _check_issuers(room: Room, row: CertificateRow, now: datetime) -> None:
    """Refuse below a CA that is revoked or has expired."""
    with room.database.read(row.tenant_id) as reader:
        by_id = {one.id: one for one in tables.all_authorities(reader)}
        at = by_id.get(row.authority_id)
        while at is not None:
            if at.not_after < now:
                raise _untrusted(f"CA {at.name} has expired")
            if not at.parent_id:
                return
            serial = _serial_of(at.certificate)
            above = store.by_serial(reader, serial, at.parent_id)
            if not above or above[0].revoked_at is not None:
                raise _untrusted(f"CA {at.name} is revoked")
            at = by_id.get(at.parent_id)


@functools.lru_cache(maxsize=256)
def _serial_of(ca: bytes) -> str:
    """Read it off a CA's certificate: there are few, and every issuance asks."""
    return serials.to_hex(decode_certificate(ca).serial)


def revoked_authority(reader: Reader, ca: AuthorityRow, rows: Iterable[AuthorityRow]) -> AuthorityRow | None:
    """Return the first CA, from this one up to its root, whose certificate is revoked or on hold."""
    by_id = {row.id: row for row in rows}
    at = ca
    while at.parent_id in by_id:
        if store.is_revoked(reader, at.parent_id, _serial_of(at.certificate)):
            return at
        at = by_id[at.parent_id]
    return None


def _untrusted(detail: str) -> Fault:
    return Fault(FaultKind.UNAUTHENTICATED, f"client certificate: {detail}", "the client certificate is not trusted")
