"""Bringing a backup back: into an empty database, or beside what is there.

A backup that is older than what the database knows of the CA is refused, unless it is said to go on: then what is
missing is added, and nothing that is there changes. Numbers never go back either way.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority import store
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.crl import store as crl_store
from pycryptoutil.authority.lifecycle import store as lifecycle
from pycryptoutil.authority.lifecycle.backup import document
from pycryptoutil.authority.lifecycle.backup import store as backup
from pycryptoutil.authority.lifecycle.backup.make import CERTIFICATE, LINK, ROLLOVER, ROW, SIGNER
from pycryptoutil.authority.lifecycle.backup.store import Extent
from pycryptoutil.authority.lifecycle.linking import Request
from pycryptoutil.authority.lifecycle.store import LinkKind, LinkRow, RolloverRow, RolloverState
from pycryptoutil.authority.model import AuthorityKind, AuthorityStatus, CertificateState, RevocationReason
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.store import AUTHORITY_KEYS, SIGNER_KEYS, AuthorityRow, SignerRow
from pycryptoutil.crypto.keys import load_pkcs8
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

R = TypeVar("R")

_TIMES: Final = frozenset(
    {"not_before", "not_after", "created_at", "revoked_at", "invalidity_date", "activated_at", "ended_at"}
)
_OCTETS: Final = frozenset({"certificate", "der", "public_key"})
_ENUMS: Final[dict[tuple[type, str], Callable[[Any], Any]]] = {
    (AuthorityRow, "kind"): AuthorityKind,
    (AuthorityRow, "status"): AuthorityStatus,
    (CertificateRow, "state"): CertificateState,
    (RolloverRow, "state"): RolloverState,
    (LinkRow, "kind"): LinkKind,
}


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """A decrypted part. ``override``: add a stale one too. ``replace``: a CA of this name that is new gives way.

    The first part is given twice: at the end once more with ``finish``. Until then the CA has no key here, so that it
    signs no CRL that lacks what is still to come.
    """

    document: bytes = field(repr=False)
    override: bool = False
    replace: bool = False
    finish: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """What a part has brought. ``notes`` are for people."""

    backup: str
    index: int
    last: bool
    name: str
    added: int
    notes: tuple[str, ...] = ()


def restore(room: Room, tenant_id: str, order: RestoreOrder, actor: str, request_id: str = "") -> Restored:
    """Bring back one part, the first one first; Fault(STALE, CONFLICT, BAD_SIGNATURE, MALFORMED, NOT_FOUND)."""
    payload, said, signature = document.read(order.document)
    request = Request(actor, request_id, room.clock.now())
    try:
        with room.database.unit_of_work(tenant_id) as uow:
            uow.lock(f"authorities:{tenant_id}")
            match payload["kind"]:
                case "authority":
                    name, added, notes = _authority(room, uow, payload, said, signature, order, request)
                case "certificates":
                    name, added, notes = _certificates(uow, payload, said, signature, request)
                case _:
                    raise document.malformed()
            details = {"backup": str(payload["backup"]), "index": int(payload["index"]), "added": added}
            details |= {"override": order.override}
            audit.append(uow, AuditEvent("authority.restore", actor, name, "success", details, request_id))
        return Restored(str(payload["backup"]), int(payload["index"]), bool(payload["last"]), name, added, tuple(notes))
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        raise document.malformed() from None


def _row(kind: type[R], names: tuple[str, ...], given: dict[str, Any], **more: Any) -> R:
    """Return a row of what :func:`document.values` has written."""
    found: dict[str, Any] = {}
    for name in names:
        value = given[name]
        if value is not None and name in _TIMES:
            value = document.moment(value)
        elif value is not None and name in _OCTETS:
            value = document.octets(value)
        elif (kind, name) in _ENUMS:
            value = _ENUMS[kind, name](value)
        found[name] = value
    return kind(**found, **more)


# -- the CA ------------------------------------------------------------------------------------------------------------


def _authority(
    room: Room,
    uow: UnitOfWork,
    payload: dict[str, Any],
    said: bytes,
    signature: bytes,
    order: RestoreOrder,
    request: Request,
) -> tuple[str, int, list[str]]:
    given = payload["generations"]
    rows = [_row(AuthorityRow, ROW, one, tenant_id=uow.tenant_id, sealed_key=b"") for one in given]
    signer = next(row for row in rows if row.id == payload["authority"])
    document.check(said, signature, decode_certificate(signer.certificate).spki, signer.signature_algorithm)
    present = {row.id: row for row in store.all_authorities(uow)}
    for row, one in zip(rows, given, strict=True):
        if row.id in present and not present[row.id].offline and not order.override:
            _refuse_stale(uow, row, Extent(**one["extent"]))
    notes: list[str] = []
    higher = [_row(AuthorityRow, ROW, one, tenant_id=uow.tenant_id, sealed_key=b"") for one in payload["above"]]
    added = 0
    for row in (*higher, *rows):
        added += _put(uow, row, order, notes)
    for row, one in zip(rows, given, strict=True):
        if order.finish:
            _finish(room, uow, row, one, request)
        for scope in one["scopes"]:
            backup.put_scope(uow, row.id, str(scope["scope"]), str(scope["only"]), list(map(str, scope["uris"])))
    _put_rows(
        uow,
        [_row(CertificateRow, CERTIFICATE, one, tenant_id=uow.tenant_id) for one in payload["above_certificates"]],
        request,
    )
    _put_history(uow, payload)
    notes += _put_profiles(uow, payload["profiles"], request)
    return str(payload["name"]), added, notes


def _refuse_stale(uow: UnitOfWork, row: AuthorityRow, then: Extent) -> None:
    """Raise Fault(STALE) if the database knows more of a CA than the backup."""
    now = backup.extent(uow, row.id)
    newer = [
        text
        for wrong, text in (
            (now.crl_number > then.crl_number, f"CRL number {now.crl_number} (backup: {then.crl_number})"),
            (now.certificates > then.certificates, f"{now.certificates} certificates (backup: {then.certificates})"),
            (now.revoked > then.revoked, f"{now.revoked} revoked (backup: {then.revoked})"),
        )
        if wrong
    ]
    if newer:
        text = f"the backup is older than what is here of {row.name}: {', '.join(newer)}; override adds what is missing"
        raise Fault(FaultKind.STALE, text, text)


def _put(uow: UnitOfWork, row: AuthorityRow, order: RestoreOrder, notes: list[str]) -> int:
    """Insert a CA without its key unless it is there; Fault(CONFLICT) if another one has its name."""
    rows = store.all_authorities(uow)
    same = next((one for one in rows if one.id == row.id), None)
    if same is not None:
        if same.certificate != row.certificate:
            text = f"{same.name}, which is here, has another certificate than in the backup"
            raise Fault(FaultKind.CONFLICT, text, text)
        return 0
    if any(one.certificate == row.certificate for one in rows):
        text = f"{row.name} is here already, under another id: it was imported"
        raise Fault(FaultKind.CONFLICT, text, text)
    for other in rows:
        if row.name == other.name or row.public_id == other.public_id:
            _make_way(uow, other, order, notes)
    status = row.status if row.status is not AuthorityStatus.ACTIVE else AuthorityStatus.DISABLED
    store.insert_authority(uow, _without_key(row, status))
    return 1


def _without_key(row: AuthorityRow, status: AuthorityStatus) -> AuthorityRow:
    return replace(row, status=status)


def _make_way(uow: UnitOfWork, other: AuthorityRow, order: RestoreOrder, notes: list[str]) -> None:
    if not order.replace or backup.issued_to_others(uow, other.id):
        why = "it has issued certificates" if order.replace else "say replace to put one aside that is new"
        text = f"there is another certificate authority {other.name!r}: {why}"
        raise Fault(FaultKind.CONFLICT, text, text, pointer="replace")
    name = f"{other.name[:48]}-aside-{uuid.uuid4().hex[:8]}"
    backup.put_aside(uow, other.id, name)
    notes.append(f"{other.name}, which was here and had issued nothing, is {name} now, and disabled")


def _give_key(room: Room, uow: UnitOfWork, row: AuthorityRow, pkcs8: bytes) -> None:
    """Give a CA its key and its standing, unless it has a key."""
    key = load_pkcs8(pkcs8)
    if key.public_spki != decode_certificate(row.certificate).spki:
        text = f"the key of {row.name} in the backup is not that of its certificate"
        raise Fault(FaultKind.INVALID, text, text)
    sealed = room.vault.seal(key, store.aad(AUTHORITY_KEYS, uow.tenant_id, row.id))
    lifecycle.give_key(uow, replace(row, sealed_key=sealed))


def _finish(room: Room, uow: UnitOfWork, row: AuthorityRow, given: dict[str, Any], request: Request) -> None:
    """Let a CA work, once all that it has issued is here; Fault(CONFLICT) before."""
    missing = int(given["extent"]["certificates"]) - backup.extent(uow, row.id).certificates
    if missing > 0:
        text = f"{missing} certificates of {row.name} are not here yet: restore every part first"
        raise Fault(FaultKind.CONFLICT, text, text)
    _give_key(room, uow, row, document.octets(given["key"]))
    # no CRL that was published since the backup had a greater number than its time
    number = max(int(given["extent"]["crl_number"]), int(request.now.timestamp()))
    crl_store.raise_number(uow, row.id, number)
    for ssh in given["ssh"]:
        _put_ssh(room, uow, ssh, request)


def _put_ssh(room: Room, uow: UnitOfWork, given: dict[str, Any], request: Request) -> None:
    row = _row(SignerRow, SIGNER, given, tenant_id=uow.tenant_id, sealed_key=b"")
    if store.signers_of(uow, row.authority_id, row.purpose):
        return
    key = load_pkcs8(document.octets(given["key"]))
    sealed = room.barrier.seal_key(key, store.aad(SIGNER_KEYS, uow.tenant_id, row.id))
    store.insert_signer(uow, replace(row, sealed_key=sealed), request.now)


def _put_history(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    """Bring back changes of keys and links that are not known."""
    known = {one.id for one in lifecycle.all_rollovers(uow)}
    for given in payload["rollovers"]:
        if given["id"] not in known:
            lifecycle.insert_rollover(uow, _row(RolloverRow, ROLLOVER, given, tenant_id=uow.tenant_id))
    links = [_row(LinkRow, LINK, given, tenant_id=uow.tenant_id) for given in payload["links"]]
    if not links:
        return
    present = {
        (one.authority_id, one.serial)
        for one in lifecycle.links_of(uow, authority_ids={one.authority_id for one in links})
    }
    for link in links:
        if (link.authority_id, link.serial) not in present:
            lifecycle.insert_link(uow, link)


def _put_profiles(uow: UnitOfWork, given: dict[str, str], request: Request) -> list[str]:
    """Bring back the tenant's own profiles; one that is there stays as it is."""
    own, notes = store.profile_documents(uow), []
    for name, text in given.items():
        if name not in own:
            store.put_profile(uow, str(name), str(text), request.actor, request.now)
        elif own[name] != text:
            notes.append(f"the profile {name} is another one here, and stays")
    return notes


# -- what it has issued ------------------------------------------------------------------------------------------------


def _certificates(
    uow: UnitOfWork, payload: dict[str, Any], said: bytes, signature: bytes, request: Request
) -> tuple[str, int, list[str]]:
    rows = store.all_authorities(uow)
    ca = next((row for row in rows if row.id == payload["authority"]), None)
    if ca is None:
        text = "the certificate authority of this part is not here: restore its first part first"
        raise Fault(FaultKind.NOT_FOUND, text, text)
    document.check(said, signature, decode_certificate(ca.certificate).spki, ca.signature_algorithm)
    line = {row.id for row in rows if row.first == ca.first}
    made = [_row(CertificateRow, CERTIFICATE, one, tenant_id=uow.tenant_id) for one in payload["items"]]
    if any(row.authority_id not in line for row in made):
        raise document.malformed()
    return ca.name, _put_rows(uow, made, request), []


def _put_rows(uow: UnitOfWork, rows: list[CertificateRow], request: Request) -> int:
    """Add what is missing; what is there is revoked where the backup has it revoked for good, and else stays."""
    added, at = 0, request.now.replace(microsecond=0)
    for authority_id in sorted({row.authority_id for row in rows}):
        mine = {row.serial: row for row in rows if row.authority_id == authority_id}
        known = backup.known(uow, authority_id, mine)
        new = [row for serial, row in mine.items() if serial not in known]
        lifecycle.insert_certificates(uow, new)
        added += len(new)
        for row in new:
            if row.revoked_at is not None:
                certificates.append_event(uow, authority_id, row.serial, at)
        for serial in known:
            _catch_up(uow, mine[serial], request)
    return added


def _catch_up(uow: UnitOfWork, row: CertificateRow, request: Request) -> None:
    if row.revoked_at is None or row.reason == RevocationReason.CERTIFICATE_HOLD.code:
        return
    for present in certificates.by_serial(uow, row.serial, row.authority_id):
        if present.revoked_at is None:
            reason = RevocationReason.of_code(row.reason or 0)
            if certificates.set_revocation(uow, present, row.revoked_at, reason, row.invalidity_date):
                at = request.now.replace(microsecond=0)
                certificates.append_event(uow, row.authority_id, row.serial, at)
