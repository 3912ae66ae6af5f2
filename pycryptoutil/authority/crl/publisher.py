"""When a CRL is made, and by whom: one replica at a time, numbers that only grow, soon after a revocation."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import store
from pycryptoutil.authority.crl import generate
from pycryptoutil.authority.crl import store as crl_store
from pycryptoutil.authority.crl.store import DELTA, FULL, CrlHead, CrlRow, Scope
from pycryptoutil.authority.model import DELTA_SUFFIX, AuthorityKind, RevocationEvent
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto.signer import KeySigner, build_crl
from pycryptoutil.storage import SYSTEM_TENANT, UnitOfWork, audit, lease
from pycryptoutil.storage.audit import AuditEvent

TICK: Final = 1.0
"""Seconds between looks at what is due."""

_LEASE_SECONDS: Final = 60.0
_LEASE_ATTEMPTS: Final = 50
_LEASE_WAIT: Final = 0.2
_FRESH_FOR: Final = 5.0
_REST: Final = 5.0  # times what the last one took
_MAX_CACHED_BYTES: Final = 256 << 20
_LOOK_AT_ALL: Final = 30.0  # seconds; schedules are in hours
_EVERYBODYS: Final = frozenset({FaultKind.UNAVAILABLE, FaultKind.SEALED, FaultKind.STORAGE_FULL})
_CLOCK_TOLERANCE: Final = timedelta(minutes=5)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CrlDocument:
    """A published CRL."""

    head: CrlHead
    der: bytes = field(repr=False)

    @property
    def etag(self) -> str:
        """Strong entity tag."""
        return f'"{self.head.sha256[:40]}"'


@dataclass(frozen=True, slots=True)
class _Looked:
    """What there is of one CA."""

    full: CrlHead | None
    delta: CrlHead | None
    latest_event: int


class CrlService:
    """The CRLs of every CA of the installation; shared by all threads of a process."""

    def __init__(self, room: Room, watch: RevocationWatch | None = None) -> None:
        """With ``watch`` a CA is looked at when something was revoked; without one, at every tick."""
        self._room = room
        self._database = room.database
        self._barrier = room.barrier
        self._clock = room.clock
        self._settings = room.settings
        self._urls = room.urls
        self._holder = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._lock = threading.Lock()
        self._generating = threading.Lock()
        self._cache: dict[str, CrlDocument] = {}
        self._checked = float("-inf")
        self._watch = watch
        self._dirty: set[str] = set()
        self._places: dict[str, tuple[str, AuthorityRow]] = {}
        self._looked: float | None = None  # at every CA, monotonic
        self._not_before: dict[str, float] = {}  # CA id → monotonic: a long list is not made anew at every revocation
        if watch is not None:
            watch.subscribe(self._heard)

    # -- reading -------------------------------------------------------------------------------------------------------

    def cached(self, name: str) -> CrlDocument | None:
        """Return the CRL if it is in memory and known to be current; the reactor calls this."""
        if self._clock.monotonic() - self._checked > _FRESH_FOR:
            return None
        return self._cache.get(name)

    def current(self, name: str) -> CrlDocument:
        """Return a current CRL, making the first one if there is none yet.

        ``name`` is a CA's public id, or that with ``-delta`` behind it.
        """
        scope = FULL
        with self._database.read(SYSTEM_TENANT) as reader:
            place = store.tenant_of_public_id(reader, name)
            if place is None and name.endswith(DELTA_SUFFIX):
                scope, place = DELTA, store.tenant_of_public_id(reader, name.removesuffix(DELTA_SUFFIX))
        if place is None:
            raise Fault(FaultKind.NOT_FOUND, f"no CA {name!r}", "there is no such CRL")
        document = self.of_authority(*place, scope)
        with self._lock:
            self._cache.pop(name, None)
            self._cache[name] = document
            while len(self._cache) > 1 and sum(len(one.der) for one in self._cache.values()) > _MAX_CACHED_BYTES:
                self._cache.pop(next(iter(self._cache)))
        return document

    def of_authority(self, tenant_id: str, authority_id: str, scope: str = FULL) -> CrlDocument:
        """Return a CA's current CRL, making the first one if there is none yet."""
        with self._database.read(tenant_id) as reader:
            row = crl_store.newest(reader, authority_id, scope)
        if row is not None and (scope == FULL or self._delta_minutes):
            return CrlDocument(row.head, row.der)
        return self.publish(tenant_id, authority_id, "system", scope)

    def head(self, tenant_id: str, authority_id: str) -> CrlHead | None:
        """Return the facts of a CA's current CRL."""
        with self._database.read(tenant_id) as reader:
            return crl_store.newest_head(reader, authority_id)

    # -- making --------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Make what is due, and forget what another replica has replaced. Run every :data:`TICK` seconds.

        Every CA is looked at now and then; in between only those that the revocation log speaks of, and those whose
        CRL is kept in memory.
        """
        started = self._clock.monotonic()
        concerned = self._concerned(started)
        numbers: dict[str, int] = {}
        for tenant_id, row in concerned:
            looked = self._look(tenant_id, row)
            if self._due(row, looked):
                self._try_to_make(tenant_id, row)
                looked = self._look(tenant_id, row)
                if self._due(row, looked):
                    self._changed([row.id])  # another replica is at it, it rests, or its delta is next: look again
            if looked.full is not None:
                numbers[row.public_id] = looked.full.number
            if looked.delta is not None:
                numbers[row.public_id + DELTA_SUFFIX] = looked.delta.number
        with self._lock:
            for public_id, document in tuple(self._cache.items()):
                if numbers.get(public_id) != document.head.number:
                    del self._cache[public_id]
        self._checked = started

    def _concerned(self, now: float) -> list[tuple[str, AuthorityRow]]:
        """Return the CAs to look at, with their tenants."""
        with self._lock:
            wanted, self._dirty = self._dirty, set()
            whole = self._watch is None or self._looked is None or now - self._looked >= _LOOK_AT_ALL
            if not whole:
                wanted |= {document.head.authority_id for document in self._cache.values()}
        if whole or not wanted <= self._places.keys():
            self._places = self._all_authorities()
            self._looked = now
            wanted = set(self._places)
        return [self._places[authority_id] for authority_id in self._places if authority_id in wanted]

    def _all_authorities(self) -> dict[str, tuple[str, AuthorityRow]]:
        found: dict[str, tuple[str, AuthorityRow]] = {}
        with self._database.read(SYSTEM_TENANT) as reader:
            tenants = store.tenants_with_authorities(reader)
        for tenant_id in tenants:
            with self._database.read(tenant_id) as reader:
                found |= {row.id: (tenant_id, row) for row in store.all_authorities(reader)}
        return found

    def _heard(self, events: Sequence[RevocationEvent] | None) -> None:
        if events is None:
            self._looked = None
        else:
            self._changed({event.authority_id for event in events})

    def _changed(self, authority_ids: Iterable[str]) -> None:
        with self._lock:
            self._dirty |= set(authority_ids)

    def _look(self, tenant_id: str, row: AuthorityRow) -> _Looked:
        with self._database.read(tenant_id) as reader:
            delta = crl_store.newest_head(reader, row.id, DELTA) if self._has_delta(row) else None
            return _Looked(crl_store.newest_head(reader, row.id), delta, crl_store.latest_event_of(reader, row.id))

    def _try_to_make(self, tenant_id: str, row: AuthorityRow) -> None:
        """Make what is due of one CA; what keeps this one from being made keeps no other."""
        if self._barrier.sealed:
            return
        try:
            self._make_if_free(tenant_id, row)
        except Fault as fault:
            if fault.kind in _EVERYBODYS:
                raise
            _log.error("no CRL of %s: %s", row.name, fault.detail)

    def publish(self, tenant_id: str, authority_id: str, actor: str, scope: str = FULL) -> CrlDocument:
        """Make and publish a CRL now; Fault(BUSY) while another replica does not finish doing so."""
        with self._database.read(tenant_id) as reader:
            row = store.authority_by_id(reader, authority_id)
        if row is None:
            raise Fault(FaultKind.NOT_FOUND, f"no CA {authority_id}", "there is no such certificate authority")
        if self._clock.now() >= row.not_after:
            text = "the certificate authority has expired: its last CRL stays"
            raise Fault(FaultKind.CONFLICT, f"{row.name}: {text}", text)
        if scope == DELTA and not self._has_delta(row):
            raise Fault(FaultKind.NOT_FOUND, f"{row.name} has no delta CRL", "there is no such CRL")
        with self._generating:
            for _ in range(_LEASE_ATTEMPTS):
                if self._take_lease(tenant_id, row):
                    return self._make(tenant_id, row, actor, scope)
                self._clock.sleep(_LEASE_WAIT)
        raise Fault(FaultKind.BUSY, f"the CRL lease of {row.name} is taken", "a CRL is being made", retry_after=5)

    @property
    def _delta_minutes(self) -> int:
        return self._settings.crl_delta_minutes

    def _has_delta(self, row: AuthorityRow) -> bool:
        return bool(self._room.delta_url(row))

    def _due(self, row: AuthorityRow, looked: _Looked) -> str:
        """Return which series is due, the full one first; empty if none is."""
        now = self._clock.now()
        if now >= row.not_after:
            return ""
        if self._full_due(row, looked, now):
            return FULL
        return DELTA if self._has_delta(row) and self._delta_due(looked, now) else ""

    def _delta_due(self, looked: _Looked, now: datetime) -> bool:
        base, head = looked.full, looked.delta
        # of the same second as its base it would have to have the same number (RFC 5280 section 5.2.3)
        if base is None or now < base.this_update + timedelta(seconds=1):
            return False
        if head is None or head.number < base.number or looked.latest_event > head.revocation_seq:
            return True
        return now >= head.this_update + timedelta(minutes=self._delta_minutes)

    def _full_due(self, row: AuthorityRow, looked: _Looked, now: datetime) -> bool:
        head = looked.full
        # with deltas, a long list is made anew by schedule only: what happens in between is on the delta
        if head is None or (looked.latest_event > head.revocation_seq and not self._has_delta(row)):
            return True
        # a thisUpdate in the future was written by a clock that has been set back: nobody would accept that CRL
        ahead = head.this_update > now + _CLOCK_TOLERANCE
        refresh = min(timedelta(hours=self._settings.crl_refresh_hours), (head.next_update - head.this_update) / 2)
        return ahead or now >= head.this_update + refresh

    def _make_if_free(self, tenant_id: str, row: AuthorityRow) -> None:
        started = self._clock.monotonic()
        if started < self._not_before.get(row.id, started) or not self._generating.acquire(blocking=False):
            return
        try:
            if not self._take_lease(tenant_id, row):
                return
            due = self._due(row, self._look(tenant_id, row))  # it may have been made while the lease was another's
            if not due:
                self._give_lease(tenant_id, row)
                return
            self._make(tenant_id, row, "system", due)
            ended = self._clock.monotonic()
            self._not_before[row.id] = ended + _REST * (ended - started)
        finally:
            self._generating.release()

    def _take_lease(self, tenant_id: str, row: AuthorityRow) -> bool:
        with self._database.unit_of_work(tenant_id) as uow:
            return lease.acquire(uow, f"crl:{row.id}", self._holder, _LEASE_SECONDS)

    def _give_lease(self, tenant_id: str, row: AuthorityRow) -> None:
        with self._database.unit_of_work(tenant_id) as uow:
            lease.release(uow, f"crl:{row.id}", self._holder)

    def _make(self, tenant_id: str, row: AuthorityRow, actor: str, series: str) -> CrlDocument:
        """Number and audit row first, then the signature, then the CRL: nothing signed is unknown to the database."""
        try:
            now = self._clock.now().replace(microsecond=0)
            base = self._base(tenant_id, row, now) if series == DELTA else None
            of = {} if base is None else {"base": base.number}
            with self._database.unit_of_work(tenant_id) as uow:
                scope = self._scope(uow, row, base)
                # from the time where that is greater: a database restored from a backup does not repeat numbers;
                # full and delta CRLs share the sequence (RFC 5280 section 5.2.3)
                number = crl_store.next_number(uow, row.id, int(now.timestamp()))
                audit.append(uow, AuditEvent("crl.sign", actor, row.name, details={"number": number, **of}))
            due = scope.scheduled_at is None or now >= scope.scheduled_at + self._interval()
            made = self._sign(tenant_id, row, scope, number, now, base)
            with self._database.unit_of_work(tenant_id) as uow:
                crl_store.insert(uow, made, scheduled=due and base is None)
                details = {"number": number, "entries": made.head.entries, "sha256": made.head.sha256, **of}
                audit.append(uow, AuditEvent("crl.publish", actor, row.name, details=details))
            _log.info("%s CRL %d of %s published with %d entries", series, number, row.name, made.head.entries)
            return CrlDocument(made.head, made.der)
        finally:
            with contextlib.suppress(Fault):  # it runs out by itself
                self._give_lease(tenant_id, row)

    def _base(self, tenant_id: str, row: AuthorityRow, now: datetime) -> CrlHead:
        """Return what a delta is to; Fault(UNAVAILABLE) while there is nothing, or nothing old enough."""
        with self._database.read(tenant_id) as reader:
            base = crl_store.newest_head(reader, row.id)
        if base is None or now < base.this_update + timedelta(seconds=1):
            raise Fault(FaultKind.UNAVAILABLE, f"{row.name}: no base for a delta yet", "try again", retry_after=2)
        return base

    def _scope(self, uow: UnitOfWork, row: AuthorityRow, base: CrlHead | None) -> Scope:
        """Return what the CRL covers: of a delta exactly what its base does (RFC 5280 section 5.2.4)."""
        if base is None:
            return crl_store.fix_scope(uow, row.id, FULL, *self._covers(row))
        known = crl_store.read_scope(uow, row.id, FULL)
        if known is None:
            raise Fault(FaultKind.INTERNAL, f"CRL {base.number} of {row.name} without a scope")
        return known

    def _interval(self) -> timedelta:
        return timedelta(hours=self._settings.crl_refresh_hours)

    def _covers(self, row: AuthorityRow) -> tuple[str, str]:
        """Return what the CA's full CRL is narrowed to, and where it is published.

        A root's own certificate has no distribution point, so its CRL names none either: a validator that checks the
        whole chain would find no CRL whose scope has the root in it.
        """
        if row.kind is AuthorityKind.ROOT:
            return "", ""
        return "", self._urls.crl(row.public_id)

    def _sign(
        self, tenant_id: str, row: AuthorityRow, scope: Scope, number: int, now: datetime, base: CrlHead | None
    ) -> CrlRow:
        key = self._barrier.open_key(row.sealed_key, store.aad(store.AUTHORITY_KEYS, tenant_id, row.id))
        lasts = timedelta(days=self._settings.crl_days) if base is None else timedelta(minutes=2 * self._delta_minutes)
        next_update = min(now + lasts, row.not_after)
        freshest = self._room.delta_url(row) if base is None else ""
        runs = generate.EntryRuns()
        with self._database.read(tenant_id) as reader:
            seq = crl_store.latest_event_of(reader, row.id)
            if base is None:
                # expired ones stay until a CRL due by schedule has shown them after their end (RFC 5280 section 3.3)
                rows = crl_store.revoked(reader, row.id, scope.scheduled_at or row.not_before)
            else:
                rows = crl_store.changed(reader, row.id, base.revocation_seq, generate.unix(now))
            der = build_crl(
                KeySigner(key, row.signature_algorithm),
                generate.subject(row.certificate),
                generate.unix(now),
                generate.unix(next_update),
                generate.extensions(
                    row.certificate, number, scope, freshest=freshest, base=None if base is None else base.number
                ),
                runs.over(rows),
            )
        digest = hashlib.sha256(der).hexdigest()
        series = FULL if base is None else DELTA
        return CrlRow(CrlHead(row.id, series, number, now, next_update, runs.count, seq, digest), der)
