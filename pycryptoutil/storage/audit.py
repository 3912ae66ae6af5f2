"""The audit chain: append-only events, hash-chained per tenant, written in the transaction they record.

``hash(n) = SHA-256(hash(n-1) || canonical JSON of event n)``. The head row is locked when the unit has done everything
else, so that units of one tenant queue up only for the insert itself. Signed heads prove that no tail was cut off; kept
outside of the database they prove it even against somebody who may write every table.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import bindparam, select

from pycryptoutil.storage.database import Reader, UnitOfWork
from pycryptoutil.storage.prepared import Prepared
from pycryptoutil.storage.schema import audit_events, audit_heads, audit_signatures
from pycryptoutil.storage.types import canonical_json

_GENESIS: Final = bytes(32)
_BATCH: Final = 1000
_LIMITS: Final = {"action": 100, "actor": 300, "target": 500, "outcome": 20, "request_id": 100}
_MAX_DETAILS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What happened. No secrets, and no personal data beyond who did it and to what."""

    action: str  # certificate.issue, session.create …
    actor: str  # principal id or name, or "system"
    target: str
    outcome: str = "success"  # success | failure
    details: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An event in its chain."""

    tenant_id: str
    seq: int
    id: str
    occurred_at: datetime
    event: AuditEvent
    details_json: str
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A promise that the chain of this tenant had this hash at this length."""

    tenant_id: str
    seq: int
    hash: bytes
    signed_at: datetime
    algorithm: str
    key_id: str
    signature: bytes

    def message(self) -> bytes:
        """Return the bytes that are signed."""
        return _head_message(self.tenant_id, self.seq, self.hash, self.signed_at, self.algorithm, self.key_id)


@dataclass(frozen=True, slots=True)
class Verified:
    """What :func:`verify` found in order."""

    tenant_id: str
    events: int
    head: bytes
    signed_heads: int
    signed_to: int  # the greatest sequence number under a signature; later ones rest on the live head alone


HeadVerifier = Callable[[SignedHead], None]
"""Raises unless ``signature`` is over ``message()``."""


def append(uow: UnitOfWork, event: AuditEvent) -> None:
    """Record ``event`` when the unit commits. An event that cannot be written fails the unit."""
    for name, limit in _LIMITS.items():
        if len(getattr(event, name)) > limit:
            raise Fault(FaultKind.INTERNAL, f"audit event {event.action[:100]}: {name} is longer than {limit}")
    try:
        details = canonical_json(dict(event.details))
    except (TypeError, ValueError) as error:
        raise Fault(FaultKind.INTERNAL, f"audit event {event.action}: details are not JSON: {error}") from None
    if len(details) > _MAX_DETAILS:
        raise Fault(FaultKind.INTERNAL, f"audit event {event.action}: details are longer than {_MAX_DETAILS}")
    uow.deferred(_Pending).events.append((event, details, uow.clock.now()))


class _Pending:
    """The events of one unit of work."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self.events: list[tuple[AuditEvent, str, datetime]] = []

    def flush(self) -> None:
        """Lock the head, append, move the head."""
        uow = self._uow
        seq, previous = _lock_head(uow)
        rows = []
        for event, details, occurred_at in self.events:
            seq += 1
            identifier = uuid.uuid4().hex
            digest = _digest(previous, uow.tenant_id, seq, identifier, occurred_at, event, details)
            rows.append(
                {
                    "tenant_id": uow.tenant_id,
                    "seq": seq,
                    "id": identifier,
                    "occurred_at": occurred_at,
                    "action": event.action,
                    "actor": event.actor,
                    "target": event.target,
                    "outcome": event.outcome,
                    "request_id": event.request_id,
                    "details": details,
                    "previous_hash": previous,
                    "hash": digest,
                }
            )
            previous = digest
        if len(rows) == 1:
            uow.execute(_APPEND, rows[0])
        else:
            uow.execute(audit_events.insert(), rows)
        uow.execute(_MOVE_HEAD, {"of": uow.tenant_id, "to": seq, "digest": previous})


# every change of anything runs these
_APPEND: Final = Prepared(audit_events.insert())
_HEAD: Final = Prepared(
    select(audit_heads.c.seq, audit_heads.c.hash).where(audit_heads.c.tenant_id == bindparam("of")).with_for_update()
)
_MOVE_HEAD: Final = Prepared(
    audit_heads.update()
    .where(audit_heads.c.tenant_id == bindparam("of"))
    .values(seq=bindparam("to"), hash=bindparam("digest"))
)


def _lock_head(uow: UnitOfWork) -> tuple[int, bytes]:
    row = uow.execute(_HEAD, {"of": uow.tenant_id}).one_or_none()
    if row is None:
        first = uow.insert(audit_heads).values(tenant_id=uow.tenant_id, seq=0, hash=_GENESIS)
        uow.execute(first.on_conflict_do_nothing())
        row = uow.execute(_HEAD, {"of": uow.tenant_id}).one_or_none()
    return row.seq, row.hash


def _digest(
    previous: bytes, tenant_id: str, seq: int, identifier: str, occurred_at: datetime, event: AuditEvent, details: str
) -> bytes:
    text = canonical_json(
        {
            "tenant_id": tenant_id,
            "seq": seq,
            "id": identifier,
            "occurred_at": occurred_at.isoformat(timespec="microseconds"),
            "action": event.action,
            "actor": event.actor,
            "target": event.target,
            "outcome": event.outcome,
            "request_id": event.request_id,
            "details": details,
        }
    )
    return hashlib.sha256(previous + text.encode()).digest()


def export(reader: Reader, tenant_id: str, after: int = 0) -> Iterator[AuditRecord]:
    """Stream the events after sequence number ``after``, oldest first, in bounded memory."""
    columns = audit_events.c
    while True:
        query = select(audit_events).where(columns.tenant_id == tenant_id, columns.seq > after)
        rows = reader.execute(query.order_by(columns.seq).limit(_BATCH)).all()
        for row in rows:
            event = AuditEvent(row.action, row.actor, row.target, row.outcome, _loads(row.details), row.request_id)
            yield AuditRecord(
                row.tenant_id, row.seq, row.id, row.occurred_at, event, row.details, row.previous_hash, row.hash
            )
        if len(rows) < _BATCH:
            return
        after = rows[-1].seq


def _loads(details: str) -> Mapping[str, Any]:
    import json

    try:
        value = json.loads(details)
    except ValueError:
        return {}  # an altered row; verify reports it by its hash
    return value if isinstance(value, dict) else {}


def sign_head(uow: UnitOfWork, sign: Callable[[bytes], bytes], *, algorithm: str, key_id: str) -> SignedHead | None:
    """Sign the tenant's head as it is now; None when nothing was added since the last signature."""
    tenant_id = uow.tenant_id
    head = uow.execute(select(audit_heads).where(audit_heads.c.tenant_id == tenant_id)).one_or_none()
    if head is None or head.seq == 0:
        return None
    columns = audit_signatures.c
    if uow.execute(select(columns.seq).where(columns.tenant_id == tenant_id, columns.seq == head.seq)).first():
        return None
    now = uow.clock.now()
    message = _head_message(tenant_id, head.seq, head.hash, now, algorithm, key_id)
    signed = SignedHead(tenant_id, head.seq, head.hash, now, algorithm, key_id, sign(message))
    statement = uow.insert(audit_signatures).values(
        tenant_id=tenant_id,
        seq=signed.seq,
        hash=signed.hash,
        signed_at=signed.signed_at,
        algorithm=algorithm,
        key_id=key_id,
        signature=signed.signature,
    )
    inserted = uow.execute(statement.on_conflict_do_nothing()).rowcount  # another replica may sign at the same time
    return signed if inserted else None


def _head_message(tenant_id: str, seq: int, head: bytes, at: datetime, algorithm: str, key_id: str) -> bytes:
    document = {
        "type": "pycryptoutil audit head v1",
        "tenant_id": tenant_id,
        "seq": seq,
        "hash": head.hex(),
        "signed_at": at.isoformat(timespec="microseconds"),
        "algorithm": algorithm,
        "key_id": key_id,
    }
    return canonical_json(document).encode()


def signed_heads(reader: Reader, tenant_id: str) -> list[SignedHead]:
    """Return the stored signatures, oldest first."""
    columns = audit_signatures.c
    rows = reader.execute(select(audit_signatures).where(columns.tenant_id == tenant_id).order_by(columns.seq))
    return [SignedHead(r.tenant_id, r.seq, r.hash, r.signed_at, r.algorithm, r.key_id, r.signature) for r in rows.all()]


def verify(
    reader: Reader,
    tenant_id: str,
    check_signature: HeadVerifier | None = None,
    kept_heads: Sequence[SignedHead] = (),
) -> Verified:
    """Walk the whole chain; Fault(BAD_SIGNATURE) names the first sequence number that is not as it was written.

    ``kept_heads`` are signed heads that were stored elsewhere: they betray a tail that was cut off together with its
    signatures. Without ``check_signature`` the signed heads are compared by their hashes only.
    """
    heads = _checked_heads([*signed_heads(reader, tenant_id), *kept_heads], tenant_id, check_signature)
    seq, previous = 0, _GENESIS
    for record in export(reader, tenant_id):
        if record.seq != seq + 1:
            raise _broken(tenant_id, seq + 1, "missing")
        digest = _digest(
            previous, tenant_id, record.seq, record.id, record.occurred_at, record.event, record.details_json
        )
        if not hmac.compare_digest(record.previous_hash, previous) or not hmac.compare_digest(record.hash, digest):
            raise _broken(tenant_id, record.seq, "altered or out of order")
        for signed in heads.get(record.seq, ()):
            if not hmac.compare_digest(signed.hash, digest):
                raise _broken(tenant_id, record.seq, "not what the signed head says")
        seq, previous = record.seq, digest

    live = reader.execute(select(audit_heads).where(audit_heads.c.tenant_id == tenant_id)).one_or_none()
    live_seq, live_hash = (live.seq, live.hash) if live is not None else (0, _GENESIS)
    signed_to = max(heads, default=0)
    if max(live_seq, signed_to) > seq:
        raise _broken(tenant_id, seq + 1, "missing at the end")
    if live_seq != seq or not hmac.compare_digest(live_hash, previous):
        raise _broken(tenant_id, live_seq, "the head is not the last event")
    return Verified(tenant_id, seq, previous, sum(map(len, heads.values())), signed_to)


def _checked_heads(
    found: Sequence[SignedHead], tenant_id: str, check_signature: HeadVerifier | None
) -> dict[int, list[SignedHead]]:
    heads: dict[int, list[SignedHead]] = {}
    for signed in found:
        if signed.tenant_id != tenant_id:
            raise _broken(tenant_id, signed.seq, "a signed head belongs to another tenant")
        if check_signature is not None:
            check_signature(signed)
        heads.setdefault(signed.seq, []).append(signed)
    return heads


def _broken(tenant_id: str, seq: int, what: str) -> Fault:
    text = f"audit chain of tenant {tenant_id}: event {seq}: {what}"
    return Fault(FaultKind.BAD_SIGNATURE, text, text)
