"""Statements on certificates and the revocation log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, exists, literal, or_, select, tuple_, update

from pycryptoutil.authority.model import (
    AuthorityStatus,
    CertificateState,
    RevocationEvent,
    RevocationReason,
    RevocationState,
)
from pycryptoutil.authority.store import (
    authorities,
    certificate_names,
    certificates,
    precertificates,
    repeats,
    revocation_events,
)
from pycryptoutil.storage import Instant, Prepared, Reader, UnitOfWork

_LIST_LIMIT: Final = 1000
_IN_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A row of ``certificates``, without the search text."""

    tenant_id: str
    authority_id: str
    serial: str
    state: CertificateState
    subject: str
    names: str
    spki_sha256: str
    profile: str
    not_before: datetime
    not_after: datetime
    tbs_sha256: str
    requester: str
    credential_id: str
    protocol: str
    created_at: datetime
    revoked_at: datetime | None = None
    reason: int | None = None
    invalidity_date: datetime | None = None
    der: bytes | None = field(default=None, repr=False)


_COLUMNS: Final = tuple(certificates.c[name] for name in CertificateRow.__slots__)


def _row(values: dict[str, Any]) -> CertificateRow:
    values["state"] = CertificateState(values["state"])
    return CertificateRow(**values)


# what every issuance asks
_RESERVE: Final = Prepared(certificates.insert())
_COMPLETE: Final = Prepared(
    update(certificates)
    .where(
        certificates.c.tenant_id == bindparam("of_tenant"),
        certificates.c.authority_id == bindparam("of_authority"),
        certificates.c.serial == bindparam("of_serial"),
        certificates.c.state == CertificateState.RESERVED.value,
    )
    .values(state=CertificateState.ISSUED.value, der=bindparam("signed"))
)
_COMPROMISED: Final = Prepared(
    select(certificates.c.serial)
    .where(
        certificates.c.tenant_id == bindparam("tenant_id"),
        certificates.c.spki_sha256 == bindparam("spki_sha256"),
        certificates.c.reason == RevocationReason.KEY_COMPROMISE.code,
    )
    .limit(1)
)
_STANDING: Final = Prepared(
    select(
        authorities.c.status,
        exists(literal(1))
        .where(
            certificates.c.tenant_id == bindparam("tenant_id"),
            certificates.c.spki_sha256 == bindparam("spki_sha256"),
            certificates.c.reason == RevocationReason.KEY_COMPROMISE.code,
        )
        .label("compromised"),
    ).where(authorities.c.tenant_id == bindparam("tenant_id"), authorities.c.id == bindparam("authority_id"))
)
_REVOKED: Final = Prepared(
    select(certificates.c.revoked_at).where(
        certificates.c.tenant_id == bindparam("tenant_id"),
        certificates.c.authority_id == bindparam("authority_id"),
        certificates.c.serial == bindparam("serial"),
        certificates.c.state == CertificateState.ISSUED.value,
        certificates.c.revoked_at.is_not(None),
    )
)
_BY_SERIAL: Final = Prepared(
    select(*_COLUMNS)
    .where(
        certificates.c.tenant_id == bindparam("tenant_id"),
        certificates.c.serial == bindparam("serial"),
        certificates.c.state == CertificateState.ISSUED.value,
    )
    .limit(10)
)


_NAME: Final = Prepared(certificate_names.insert())
_NAME_TYPES: Final = frozenset({"dns", "ip", "email", "uri"})
_MAX_TERM: Final = 255
_COMMON_NAME: Final = re.compile(r"(?:^|[,+])CN=((?:[^,+\\]|\\.)*)")


def reserve(uow: UnitOfWork, row: CertificateRow) -> None:
    """Insert the serial before anything is signed; Fault(CONFLICT) if it exists."""
    values = {name: getattr(row, name) for name in CertificateRow.__slots__}
    values["state"] = CertificateState.RESERVED.value
    values["search"] = f"{row.subject}\n{row.names}".lower()
    uow.execute(_RESERVE, values)
    put_names(uow, (row,))


def put_names(uow: UnitOfWork, rows: Iterable[CertificateRow]) -> None:
    """Let certificates be found by their names and domains: whoever inserts certificates does this too."""
    found = [
        {
            "tenant_id": row.tenant_id,
            "term": term,
            "created_at": row.created_at,
            "serial": row.serial,
            "authority_id": row.authority_id,
        }
        for row in rows
        for term in terms(row.subject, row.names)
    ]
    if found:
        uow.execute(_NAME, found)


def exact_term(name: str) -> str:
    """Return what a whole name is indexed under; ``name`` with or without its type (``dns:`` …)."""
    kind, _, value = name.partition(":")
    return "=" + (value if kind.lower() in _NAME_TYPES and value else name).lower()[:_MAX_TERM]


def domain_term(domain: str) -> str:
    """Return what the names in a domain are indexed under, its own among them."""
    return "." + domain.lower().removeprefix("*.").strip(".")[:_MAX_TERM]


def terms(subject: str, names: str) -> list[str]:
    """Return what a certificate is found under: each name, its common names, and each domain above a DNS name."""
    found: dict[str, None] = {}
    for common_name in _COMMON_NAME.findall(subject):
        found["=" + common_name.replace("\\", "").lower()[:_MAX_TERM]] = None
    for line in names.splitlines():
        kind, _, value = line.partition(":")
        found[exact_term(line)] = None
        host = {"dns": value.removeprefix("*."), "email": value.rpartition("@")[2]}.get(kind, "")
        labels = host.lower().strip(".").split(".") if host else []
        found.update((domain_term(".".join(labels[index:])), None) for index in range(len(labels)))
    return list(found)


def complete(uow: UnitOfWork, authority_id: str, serial: str, der: bytes) -> bool:
    """Store the signed certificate of a reserved serial; False if it is not reserved any more."""
    given = {"of_tenant": uow.tenant_id, "of_authority": authority_id, "of_serial": serial, "signed": der}
    return uow.execute(_COMPLETE, given).rowcount == 1


def by_serial(reader: Reader, serial: str, authority_id: str = "") -> list[CertificateRow]:
    """Return the tenant's issued certificates of this serial: more than one only where CAs were imported."""
    found = reader.execute(_BY_SERIAL, {"tenant_id": reader.tenant_id, "serial": serial})
    return [_row(row._asdict()) for row in found if authority_id in ("", row.authority_id)]


def rows(reader: Reader, conditions: Iterable[ColumnElement[bool]]) -> list[CertificateRow]:
    """Return the certificates for which these hold, in no order."""
    return [_row(row._asdict()) for row in reader.execute(select(*_COLUMNS).where(*conditions))]


def set_revocation(
    uow: UnitOfWork,
    row: CertificateRow,
    revoked_at: datetime | None,
    reason: RevocationReason | None,
    invalidity_date: datetime | None,
) -> bool:
    """Revoke, hold or (``revoked_at`` None) release, if the row is still as it was read."""
    c = certificates.c
    unchanged = c.revoked_at.is_(None) if row.revoked_at is None else c.reason == row.reason
    found = uow.execute(
        update(certificates)
        .where(c.tenant_id == uow.tenant_id, c.authority_id == row.authority_id, c.serial == row.serial, unchanged)
        .values(
            revoked_at=revoked_at,
            reason=reason.code if reason is not None else None,
            invalidity_date=invalidity_date,
        )
    )
    return found.rowcount == 1


def to_revoke_of_key(
    reader: Reader, spki_sha256: str, reason: RevocationReason, after: tuple[datetime, str] | None, limit: int
) -> list[CertificateRow]:
    """Return certificates of a key, oldest first, whose status ``reason`` changes; expired ones too.

    What was revoked for another reason is among them where the key is compromised: that is what must be known of it.
    """
    c = certificates.c
    changes = _open_to(reason)
    if reason is RevocationReason.KEY_COMPROMISE:
        changes = or_(c.revoked_at.is_(None), c.reason.is_(None), c.reason.not_in(_FOR_THE_KEY))
    return _oldest(reader, (c.spki_sha256 == spki_sha256, changes), after, limit)


def to_revoke_of_requester(
    reader: Reader,
    requester: str,
    reason: RevocationReason,
    now: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[CertificateRow]:
    """Return a requester's certificates that have not expired, oldest first, whose status ``reason`` changes.

    Certificates of CAs are left out: to revoke one is a decision of its own.
    """
    c = certificates.c
    of_ca = select(authorities.c.id).where(
        authorities.c.tenant_id == c.tenant_id, authorities.c.spki_sha256 == c.spki_sha256
    )
    conditions = (c.requester == requester, c.not_after >= now, _open_to(reason), ~of_ca.exists())
    return _oldest(reader, conditions, after, limit)


_FOR_THE_KEY: Final = (RevocationReason.KEY_COMPROMISE.code, RevocationReason.CA_COMPROMISE.code)


def _open_to(reason: RevocationReason) -> ColumnElement[bool]:
    """Good ones can be revoked and held, those on hold can be revoked."""
    c = certificates.c
    if reason is RevocationReason.CERTIFICATE_HOLD:
        return c.revoked_at.is_(None)
    return or_(c.revoked_at.is_(None), c.reason == RevocationReason.CERTIFICATE_HOLD.code)


def _oldest(
    reader: Reader, conditions: Iterable[ColumnElement[bool]], after: tuple[datetime, str] | None, limit: int
) -> list[CertificateRow]:
    c = certificates.c
    statement = select(*_COLUMNS).where(
        c.tenant_id == reader.tenant_id, c.state == CertificateState.ISSUED.value, *conditions
    )
    if after is not None:
        statement = statement.where(position() > position_at(after))
    statement = statement.order_by(c.created_at, c.serial).limit(limit)
    return [_row(row._asdict()) for row in reader.execute(statement)]


def position() -> ColumnElement[Any]:
    """Where a certificate stands in the order of creation; compared as a whole, so that an index is entered there."""
    return tuple_(certificates.c.created_at, certificates.c.serial)


def position_at(place: tuple[datetime, str]) -> ColumnElement[Any]:
    """Return a given place in that order."""
    return tuple_(literal(place[0], Instant), literal(place[1]))


@dataclass(frozen=True, slots=True)
class Standing:
    """What may keep a CA from certifying a key, as it is now."""

    active: bool  # the CA
    compromised: bool  # the key


def standing(reader: Reader, authority_id: str, spki_sha256: str) -> Standing:
    """Ask about the CA and the key in one go: every issuance does, inside the unit of work that signs."""
    given = {"tenant_id": reader.tenant_id, "authority_id": authority_id, "spki_sha256": spki_sha256}
    found = reader.execute(_STANDING, given).one_or_none()
    if found is None:
        return Standing(active=False, compromised=False)
    return Standing(found.status == AuthorityStatus.ACTIVE.value, bool(found.compromised))


def is_revoked(reader: Reader, authority_id: str, serial: str) -> bool:
    """Tell whether this certificate is revoked or on hold."""
    given = {"tenant_id": reader.tenant_id, "authority_id": authority_id, "serial": serial}
    return reader.execute(_REVOKED, given).first() is not None


def key_is_compromised(reader: Reader, spki_sha256: str) -> bool:
    """Tell whether a certificate of this key was revoked for keyCompromise (CA/B BR 6.1.1.3: not certified again)."""
    given = {"tenant_id": reader.tenant_id, "spki_sha256": spki_sha256}
    return reader.execute(_COMPROMISED, given).first() is not None


def append_event(uow: UnitOfWork, authority_id: str, serial: str, at: datetime) -> None:
    """Log a change of status.

    Sequence numbers are given out before a commit shows them; the lock makes them visible in their own order, so that
    somebody who has read up to ``seq`` misses nothing by asking only for greater ones.
    """
    uow.lock("revocation-events")
    uow.execute(
        revocation_events.insert().values(tenant_id=uow.tenant_id, authority_id=authority_id, serial=serial, at=at)
    )


def events_since(reader: Reader, seq: int, limit: int = 10_000) -> list[RevocationEvent]:
    """Return changes after ``seq``, oldest first; the system tenant reads those of every tenant."""
    found = reader.execute(
        select(
            revocation_events.c.seq,
            revocation_events.c.authority_id,
            revocation_events.c.serial,
            revocation_events.c.at,
        )
        .where(revocation_events.c.seq > seq)
        .order_by(revocation_events.c.seq)
        .limit(limit)
    )
    return [RevocationEvent(row.seq, row.authority_id, row.serial, row.at) for row in found]


def latest_event(reader: Reader) -> int:
    """Return the greatest seq, 0 when there is none."""
    found = reader.execute(select(revocation_events.c.seq).order_by(revocation_events.c.seq.desc()).limit(1))
    return int(found.scalar_one_or_none() or 0)


_STATE_COLUMNS: Final = (
    certificates.c.serial,
    certificates.c.not_after,
    certificates.c.revoked_at,
    certificates.c.reason,
    certificates.c.invalidity_date,
)


_STATES: Final = select(*_STATE_COLUMNS).where(  # made once: OCSP asks it most of all
    certificates.c.tenant_id == bindparam("tenant"),
    certificates.c.authority_id == bindparam("authority"),
    certificates.c.serial.in_(bindparam("serials", expanding=True)),
    certificates.c.state == CertificateState.ISSUED.value,
)


def _state(row: Any) -> RevocationState:
    reason = RevocationReason.of_code(row.reason) if row.reason is not None else None
    return RevocationState(row.serial, row.not_after, row.revoked_at, reason, row.invalidity_date)


def states(reader: Reader, authority_id: str, serials: Iterable[str]) -> dict[str, RevocationState]:
    """Return what is known of these serials; one that was never issued is not in the answer."""
    wanted = sorted(set(serials))
    found: dict[str, RevocationState] = {}
    for start in range(0, len(wanted), _IN_LIMIT):
        some = wanted[start : start + _IN_LIMIT]
        rows = reader.execute(_STATES, {"tenant": reader.tenant_id, "authority": authority_id, "serials": some})
        found.update((row.serial, _state(row)) for row in rows)
    return found


@dataclass(frozen=True, slots=True)
class Made:
    """An issued certificate by its place in the order of creation."""

    authority_id: str
    created_at: datetime
    state: RevocationState


def newest(reader: Reader, before: Made | None, limit: int) -> list[Made]:
    """Return certificates of every CA, the newest first, from where ``before`` was."""
    c = certificates.c
    conditions = [c.tenant_id == reader.tenant_id, c.state == CertificateState.ISSUED.value]
    if before is not None:
        place = (before.created_at, before.state.serial)
        conditions.append(or_(c.created_at < place[0], and_(c.created_at == place[0], c.serial < place[1])))
    statement = select(c.authority_id, c.created_at, *_STATE_COLUMNS).where(*conditions)
    found = reader.execute(statement.order_by(c.created_at.desc(), c.serial.desc()).limit(limit))
    return [Made(row.authority_id, row.created_at, _state(row)) for row in found]


_OF_DIGEST: Final = and_(repeats.c.tenant_id == bindparam("of_tenant"), repeats.c.digest == bindparam("of_digest"))
_REMEMBERED: Final = Prepared(
    select(repeats.c.authority_id, repeats.c.serial).where(
        _OF_DIGEST, repeats.c.expires_at > bindparam("now", type_=Instant)
    )
)
_REVOKED_SINCE: Final = select(certificates.c.serial).where(
    certificates.c.tenant_id == repeats.c.tenant_id,
    certificates.c.serial == repeats.c.serial,
    certificates.c.revoked_at.is_not(None),
)
_MAKE_ROOM: Final = Prepared(
    repeats.delete().where(
        _OF_DIGEST, or_(repeats.c.expires_at <= bindparam("now", type_=Instant), _REVOKED_SINCE.exists())
    )
)
_REMEMBER: Final = Prepared(repeats.insert())


def remembered(reader: Reader, digest: str, now: datetime) -> tuple[str, str] | None:
    """Return (CA id, serial) of the certificate given for this request before."""
    given = {"of_tenant": reader.tenant_id, "of_digest": digest, "now": now}
    row = reader.execute(_REMEMBERED, given).one_or_none()
    return (row.authority_id, row.serial) if row is not None else None


def remember(uow: UnitOfWork, digest: str, authority_id: str, serial: str, now: datetime, window: timedelta) -> None:
    """Keep what to answer to a repeat; Fault(CONFLICT) when another unit did so at the same time.

    What has run out, and what stands for a certificate revoked since, makes room.
    """
    uow.execute(_MAKE_ROOM, {"of_tenant": uow.tenant_id, "of_digest": digest, "now": now})
    uow.execute(
        _REMEMBER,
        {
            "tenant_id": uow.tenant_id,
            "digest": digest,
            "authority_id": authority_id,
            "serial": serial,
            "expires_at": now + window,
        },
    )


def forget_repeats(uow: UnitOfWork, now: datetime) -> int:
    """Delete what has run out."""
    return int(
        uow.execute(repeats.delete().where(repeats.c.tenant_id == uow.tenant_id, repeats.c.expires_at <= now)).rowcount
    )


def fail_reserved(uow: UnitOfWork, before: datetime) -> int:
    """Mark serials that were reserved and never completed; they stay used.

    Not those with a precertificate, whose status is asked for: see ``transparency.ending``.
    """
    c = precertificates.c
    promised = select(c.serial).where(c.authority_id == certificates.c.authority_id, c.serial == certificates.c.serial)
    return int(
        uow.execute(
            update(certificates)
            .where(
                certificates.c.tenant_id == uow.tenant_id,
                certificates.c.state == CertificateState.RESERVED.value,
                certificates.c.created_at < before,
                ~promised.exists(),
            )
            .values(state=CertificateState.FAILED.value)
        ).rowcount
    )
