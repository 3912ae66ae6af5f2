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
from pycryptoutil.authority.crl.store import FULL, CrlHead, CrlRow, Scope
from pycryptoutil.authority.model import AuthorityKind, RevocationEvent
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto.signer import KeySigner, build_crl
from pycryptoutil.storage import SYSTEM_TENANT, audit, lease
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


class CrlService:
    """The CRLs of every CA of the installation; shared by all threads of a process."""

    def __init__(self, room: Room, watch: RevocationWatch | None = None) -> None:
        """With ``watch`` a CA is looked at when something was revoked; without one, at every tick."""
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

    def cached(self, public_id: str) -> CrlDocument | None:
        """Return the CRL if it is in memory and known to be current; the reactor calls this."""
        if self._clock.monotonic() - self._checked > _FRESH_FOR:
            return None
        return self._cache.get(public_id)

    def current(self, public_id: str) -> CrlDocument:
        """Return the current CRL of the CA of this public id, making the first one if there is none yet."""
        with self._database.read(SYSTEM_TENANT) as reader:
            place = store.tenant_of_public_id(reader, public_id)
        if place is None:
            raise Fault(FaultKind.NOT_FOUND, f"no CA {public_id!r}", "there is no such CRL")
        document = self.of_authority(*place)
        with self._lock:
            self._cache.pop(public_id, None)
            self._cache[public_id] = document
            while len(self._cache) > 1 and sum(len(one.der) for one in self._cache.values()) > _MAX_CACHED_BYTES:
                self._cache.pop(next(iter(self._cache)))
        return document

    def of_authority(self, tenant_id: str, authority_id: str) -> CrlDocument:
        """Return a CA's current CRL, making the first one if there is none yet."""
        with self._database.read(tenant_id) as reader:
            row = crl_store.newest(reader, authority_id)
        return CrlDocument(row.head, row.der) if row is not None else self.publish(tenant_id, authority_id, "system")

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
            with self._database.read(tenant_id) as reader:
                head, latest = crl_store.newest_head(reader, row.id), crl_store.latest_event_of(reader, row.id)
            if self._due(row, head, latest):
                head = self._try_to_make(tenant_id, row) or head
                if self._due(row, head, latest):
                    self._changed([row.id])  # another replica is at it, or it rests: look again
            if head is not None:
                numbers[row.public_id] = head.number
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

    def _try_to_make(self, tenant_id: str, row: AuthorityRow) -> CrlHead | None:
        """Make one CA's CRL; what keeps this one from being made keeps no other."""
        if self._barrier.sealed:
            return None
        try:
            return self._make_if_free(tenant_id, row)
        except Fault as fault:
            if fault.kind in _EVERYBODYS:
                raise
            _log.error("no CRL of %s: %s", row.name, fault.detail)
            return None

    def publish(self, tenant_id: str, authority_id: str, actor: str) -> CrlDocument:
        """Make and publish a CRL now; Fault(BUSY) while another replica does not finish doing so."""
        with self._database.read(tenant_id) as reader:
            row = store.authority_by_id(reader, authority_id)
        if row is None:
            raise Fault(FaultKind.NOT_FOUND, f"no CA {authority_id}", "there is no such certificate authority")
        if self._clock.now() >= row.not_after:
            text = "the certificate authority has expired: its last CRL stays"
            raise Fault(FaultKind.CONFLICT, f"{row.name}: {text}", text)
        with self._generating:
            for _ in range(_LEASE_ATTEMPTS):
                if self._take_lease(tenant_id, row):
                    return self._make(tenant_id, row, actor)
                self._clock.sleep(_LEASE_WAIT)
        raise Fault(FaultKind.BUSY, f"the CRL lease of {row.name} is taken", "a CRL is being made", retry_after=5)

    def _due(self, row: AuthorityRow, head: CrlHead | None, latest_event: int) -> bool:
        now = self._clock.now()
        if now >= row.not_after:
            return False
        if head is None or latest_event > head.revocation_seq:
            return True
        # a thisUpdate in the future was written by a clock that has been set back: nobody would accept that CRL
        ahead = head.this_update > now + _CLOCK_TOLERANCE
        refresh = min(timedelta(hours=self._settings.crl_refresh_hours), (head.next_update - head.this_update) / 2)
        return ahead or now >= head.this_update + refresh

    def _make_if_free(self, tenant_id: str, row: AuthorityRow) -> CrlHead | None:
        started = self._clock.monotonic()
        if started < self._not_before.get(row.id, started) or not self._generating.acquire(blocking=False):
            return None
        try:
            if not self._take_lease(tenant_id, row):
                return None
            with self._database.read(tenant_id) as reader:  # somebody may have made it while the lease was theirs
                head, latest = crl_store.newest_head(reader, row.id), crl_store.latest_event_of(reader, row.id)
            if not self._due(row, head, latest):
                self._give_lease(tenant_id, row)
                return head
            made = self._make(tenant_id, row, "system").head
            ended = self._clock.monotonic()
            self._not_before[row.id] = ended + _REST * (ended - started)
            return made
        finally:
            self._generating.release()

    def _take_lease(self, tenant_id: str, row: AuthorityRow) -> bool:
        with self._database.unit_of_work(tenant_id) as uow:
            return lease.acquire(uow, f"crl:{row.id}", self._holder, _LEASE_SECONDS)

    def _give_lease(self, tenant_id: str, row: AuthorityRow) -> None:
        with self._database.unit_of_work(tenant_id) as uow:
            lease.release(uow, f"crl:{row.id}", self._holder)

    def _make(self, tenant_id: str, row: AuthorityRow, actor: str) -> CrlDocument:
        """Number and audit row first, then the signature, then the CRL: nothing signed is unknown to the database."""
        try:
            now = self._clock.now().replace(microsecond=0)
            with self._database.unit_of_work(tenant_id) as uow:
                scope = crl_store.fix_scope(uow, row.id, FULL, *self._covers(row))
                # from the time where that is greater: a database restored from a backup does not repeat numbers
                number = crl_store.next_number(uow, row.id, int(now.timestamp()))
                audit.append(uow, AuditEvent("crl.sign", actor, row.name, details={"number": number}))
            scheduled = scope.scheduled_at is None or now >= scope.scheduled_at + self._interval()
            made = self._sign(tenant_id, row, scope, number, now)
            with self._database.unit_of_work(tenant_id) as uow:
                crl_store.insert(uow, made, scheduled=scheduled)
                details = {"number": number, "entries": made.head.entries, "sha256": made.head.sha256}
                audit.append(uow, AuditEvent("crl.publish", actor, row.name, details=details))
            _log.info("CRL %d of %s published with %d entries", number, row.name, made.head.entries)
            return CrlDocument(made.head, made.der)
        finally:
            with contextlib.suppress(Fault):  # it runs out by itself
                self._give_lease(tenant_id, row)

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

    def _sign(self, tenant_id: str, row: AuthorityRow, scope: Scope, number: int, now: datetime) -> CrlRow:
        key = self._barrier.open_key(row.sealed_key, store.aad(store.AUTHORITY_KEYS, tenant_id, row.id))
        next_update = min(now + timedelta(days=self._settings.crl_days), row.not_after)
        runs = generate.EntryRuns()
        with self._database.read(tenant_id) as reader:
            seq = crl_store.latest_event_of(reader, row.id)
            # expired ones stay until a CRL due by schedule has shown them after their end (RFC 5280 section 3.3)
            rows = crl_store.revoked(reader, row.id, scope.scheduled_at or row.not_before)
            der = build_crl(
                KeySigner(key, row.signature_algorithm),
                generate.subject(row.certificate),
                generate.unix(now),
                generate.unix(next_update),
                generate.extensions(row.certificate, number, scope),
                runs.over(rows),
            )
        digest = hashlib.sha256(der).hexdigest()
        return CrlRow(CrlHead(row.id, FULL, number, now, next_update, runs.count, seq, digest), der)
