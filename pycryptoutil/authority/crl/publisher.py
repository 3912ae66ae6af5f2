"""When a CRL is made, and by whom: one replica at a time, numbers that only grow, soon after a revocation."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import store
from pycryptoutil.authority.crl import generate, series
from pycryptoutil.authority.crl import store as crl_store
from pycryptoutil.authority.crl.series import DELTA, FULL, Series
from pycryptoutil.authority.crl.store import CrlFile, CrlHead, CrlRow, Scope
from pycryptoutil.authority.events import EventType, emit
from pycryptoutil.authority.keys import offline
from pycryptoutil.authority.model import AuthorityKind, RevocationEvent
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto.pkcs11 import TokenFault
from pycryptoutil.crypto.signer import KeySigner, build_crl, build_crl_file
from pycryptoutil.storage import SYSTEM_TENANT, UnitOfWork, audit, lease
from pycryptoutil.storage.audit import AuditEvent

TICK: Final = 1.0
"""Seconds between looks at what is due."""

LONG: Final = 100_000
"""Revoked certificates from which a CA's lists are made in a file (of ``$TMPDIR``), so that memory stays bounded."""

_LEASE_SECONDS: Final = 60.0
_LEASE_ATTEMPTS: Final = 50
_LEASE_WAIT: Final = 0.2
_FRESH_FOR: Final = 5.0
_TOKEN_REST: Final = 5.0  # seconds before a CA is tried again whose key is in a token that is away
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

    wanted: tuple[Series, ...]  # the full one first, a delta last
    heads: Mapping[str, CrlHead]  # by scope
    changes: Mapping[int, int]  # last octet of a serial → its last revocation event

    def head(self, of: Series) -> CrlHead | None:
        """Return the current CRL of a series."""
        return self.heads.get(of.scope)

    def changed(self, of: Series, head: CrlHead) -> bool:
        """Tell whether something was revoked or released that this CRL does not know of."""
        return any(seq > head.revocation_seq for octet, seq in self.changes.items() if of.holds(octet))


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

        ``name`` is a CA's public id, or that with ``-delta`` or ``-{index}of{count}`` behind it.
        """
        of = FULL
        with self._database.read(SYSTEM_TENANT) as reader:
            place = store.tenant_of_public_id(reader, name)
            if place is None and (parts := series.of_name(name)) is not None:
                of, place = parts[1], store.tenant_of_public_id(reader, parts[0])
        if place is None:
            raise Fault(FaultKind.NOT_FOUND, f"no CA {name!r}", "there is no such CRL")
        document = self.of_authority(*place, of)
        with self._lock:
            self._cache.pop(name, None)
            self._cache[name] = document
            while len(self._cache) > 1 and sum(len(one.der) for one in self._cache.values()) > _MAX_CACHED_BYTES:
                self._cache.pop(next(iter(self._cache)))
        return document

    def of_authority(self, tenant_id: str, authority_id: str, of: Series = FULL) -> CrlDocument:
        """Return a CA's current CRL, making the first one if there is none yet."""
        with self._database.read(tenant_id) as reader:
            row = crl_store.newest(reader, authority_id, of.scope)
        if row is not None and (of is not DELTA or self._delta_minutes):
            return CrlDocument(row.head, row.der)
        self._refuse_offline(tenant_id, authority_id)
        return self.publish(tenant_id, authority_id, "system", of)

    def _refuse_offline(self, tenant_id: str, authority_id: str) -> None:
        with self._database.read(tenant_id) as reader:
            row = store.authority_by_id(reader, authority_id)
        if row is not None and row.offline:
            detail = f"{row.name} is offline, and no CRL of it was brought in"
            raise Fault(FaultKind.NOT_FOUND, detail, "there is no CRL of this certificate authority yet")

    def head(self, tenant_id: str, authority_id: str) -> CrlHead | None:
        """Return the facts of a CA's current CRL."""
        with self._database.read(tenant_id) as reader:
            return crl_store.newest_head(reader, authority_id, FULL.scope)

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
            for of in looked.wanted:
                if (head := looked.head(of)) is not None:
                    numbers[row.public_id + of.suffix] = head.number
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
            heads = crl_store.heads(reader, row.id)
            wanted = self._series_of(row, heads)
            seen = [heads[of.scope].revocation_seq for of in wanted if of.scope in heads and self._reacts(row, of)]
            return _Looked(wanted, heads, crl_store.changes_after(reader, row.id, min(seen, default=0)))

    def _series_of(self, row: AuthorityRow, heads: Mapping[str, CrlHead]) -> tuple[Series, ...]:
        """Return what a CA publishes: shards that certificates were once issued for go on, whatever is set now."""
        count = self._settings.crl_shards if row.kind is not AuthorityKind.ROOT and self._urls.base else 0
        shards = {of.scope: of for index in range(count) for of in (series.shard(count, index),)}
        for scope in sorted(heads):
            older = series.of_scope(scope)
            if older is not None and older.count > 1:
                shards.setdefault(scope, older)
        return (FULL, *shards.values(), *((DELTA,) if self._has_delta(row) else ()))

    def _reacts(self, row: AuthorityRow, of: Series) -> bool:
        """Tell whether a revocation makes it anew: with deltas, a long list is made by schedule only."""
        return of is not FULL or not self._has_delta(row)

    def _try_to_make(self, tenant_id: str, row: AuthorityRow) -> None:
        """Make what is due of one CA; what keeps this one from being made keeps no other."""
        if self._barrier.sealed:
            return
        try:
            self._make_if_free(tenant_id, row)
        except TokenFault as fault:  # other CAs may have their keys elsewhere
            self._not_before[row.id] = self._clock.monotonic() + _TOKEN_REST
            _log.warning("no CRL of %s: %s", row.name, fault.detail)
        except Fault as fault:
            if fault.kind in _EVERYBODYS:
                raise
            _log.error("no CRL of %s: %s", row.name, fault.detail)

    def publish(self, tenant_id: str, authority_id: str, actor: str, of: Series = FULL) -> CrlDocument:
        """Make and publish a CRL now; Fault(BUSY) while another replica does not finish doing so."""
        with self._database.read(tenant_id) as reader:
            row = store.authority_by_id(reader, authority_id)
        if row is None:
            raise Fault(FaultKind.NOT_FOUND, f"no CA {authority_id}", "there is no such certificate authority")
        if row.offline:
            raise offline(row)
        if self._clock.now() >= row.not_after:
            text = "the certificate authority has expired: its last CRL stays"
            raise Fault(FaultKind.CONFLICT, f"{row.name}: {text}", text)
        if of is not FULL and of not in self._look(tenant_id, row).wanted:
            raise Fault(FaultKind.NOT_FOUND, f"{row.name} has no CRL {of.scope}", "there is no such CRL")
        with self._generating:
            for _ in range(_LEASE_ATTEMPTS):
                if self._take_lease(tenant_id, row):
                    with self._lease_given_back(tenant_id, row):
                        self._make(tenant_id, row, actor, of)
                    return self._published(tenant_id, row, of)
                self._clock.sleep(_LEASE_WAIT)
        raise Fault(FaultKind.BUSY, f"the CRL lease of {row.name} is taken", "a CRL is being made", retry_after=5)

    def _published(self, tenant_id: str, row: AuthorityRow, of: Series) -> CrlDocument:
        with self._database.read(tenant_id) as reader:
            found = crl_store.newest(reader, row.id, of.scope)
        if found is None:
            raise Fault(FaultKind.INTERNAL, f"the CRL {of.scope} of {row.name} is gone")
        return CrlDocument(found.head, found.der)

    @property
    def _delta_minutes(self) -> int:
        return self._settings.crl_delta_minutes

    def _has_delta(self, row: AuthorityRow) -> bool:
        return bool(self._room.delta_url(row))

    def _due(self, row: AuthorityRow, looked: _Looked) -> list[Series]:
        """Return which series are due, the full one first."""
        now = self._clock.now()
        if now >= row.not_after or row.offline:
            return []
        lists = [of for of in looked.wanted if of is not DELTA and self._list_due(row, looked, of, now)]
        if FULL in lists or DELTA not in looked.wanted or not self._delta_due(looked, now):
            return lists  # a delta to a new base is made a second after it
        return [*lists, DELTA]

    def _delta_due(self, looked: _Looked, now: datetime) -> bool:
        base, head = looked.head(FULL), looked.head(DELTA)
        # of the same second as its base it would have to have the same number (RFC 5280 section 5.2.3)
        if base is None or now < base.this_update + timedelta(seconds=1):
            return False
        if head is None or head.number < base.number or looked.changed(DELTA, head):
            return True
        return now >= head.this_update + timedelta(minutes=self._delta_minutes)

    def _list_due(self, row: AuthorityRow, looked: _Looked, of: Series, now: datetime) -> bool:
        head = looked.head(of)
        if head is None or (self._reacts(row, of) and looked.changed(of, head)):
            return True
        # a thisUpdate in the future was written by a clock that has been set back: nobody would accept that CRL
        ahead = head.this_update > now + _CLOCK_TOLERANCE
        refresh = min(self._interval(), (head.next_update - head.this_update) / 2)
        return ahead or now >= head.this_update + refresh

    def _make_if_free(self, tenant_id: str, row: AuthorityRow) -> None:
        started = self._clock.monotonic()
        if started < self._not_before.get(row.id, started) or not self._generating.acquire(blocking=False):
            return
        try:
            if not self._take_lease(tenant_id, row):
                return
            with self._lease_given_back(tenant_id, row):
                due = self._due(row, self._look(tenant_id, row))  # made while the lease was another's, perhaps
                for of in due:
                    if not self._take_lease(tenant_id, row):  # prolonged for each: there may be many shards
                        return
                    self._make(tenant_id, row, "system", of)
            if due:
                ended = self._clock.monotonic()
                self._not_before[row.id] = ended + _REST * (ended - started)
        finally:
            self._generating.release()

    def _take_lease(self, tenant_id: str, row: AuthorityRow) -> bool:
        with self._database.unit_of_work(tenant_id) as uow:
            return lease.acquire(uow, f"crl:{row.id}", self._holder, _LEASE_SECONDS)

    @contextlib.contextmanager
    def _lease_given_back(self, tenant_id: str, row: AuthorityRow) -> Iterator[None]:
        try:
            yield
        finally:
            with contextlib.suppress(Fault), self._database.unit_of_work(tenant_id) as uow:  # it runs out by itself
                lease.release(uow, f"crl:{row.id}", self._holder)

    def _make(self, tenant_id: str, row: AuthorityRow, actor: str, of: Series) -> None:
        """Number and audit row first, then the signature, then the CRL: nothing signed is unknown to the database."""
        self._room.vault.require(self._room.keys.open(row))  # before a number is taken
        now = self._clock.now().replace(microsecond=0)
        base = self._base(tenant_id, row, now) if of is DELTA else None
        said: dict[str, object] = {} if of is FULL else {"scope": of.scope}
        if base is not None:
            said["base"] = base.number
        with self._database.unit_of_work(tenant_id) as uow:
            scope = self._scope(uow, row, of)
            # from the time where that is greater: a database restored from a backup does not repeat numbers;
            # all series share the sequence, as full and delta CRLs must (RFC 5280 section 5.2.3)
            number = crl_store.next_number(uow, row.id, int(now.timestamp()))
            audit.append(uow, AuditEvent("crl.sign", actor, row.name, details={"number": number, **said}))
        due = scope.scheduled_at is None or now >= scope.scheduled_at + self._interval()
        with self._workplace(tenant_id, row) as path:
            made = self._sign(tenant_id, row, of, scope, number, now, base, path)
            with self._database.unit_of_work(tenant_id) as uow:
                crl_store.insert(uow, made, scheduled=due and base is None)
                details = {"number": number, "entries": made.head.entries, "sha256": made.head.sha256, **said}
                audit.append(uow, AuditEvent("crl.publish", actor, row.name, details=details))
                emit(uow, EventType.CRL_PUBLISHED, {"authority": row.name, "scope": of.scope} | details)
        _log.info("%s CRL %d of %s published with %d entries", of.scope, number, row.name, made.head.entries)

    @contextlib.contextmanager
    def _workplace(self, tenant_id: str, row: AuthorityRow) -> Iterator[Path | None]:
        """Yield where the lists of a CA are made that has revoked much; None for another's."""
        with self._database.read(tenant_id) as reader:
            long = crl_store.has_revoked(reader, row.id, LONG)
        if not long:
            yield None
            return
        with tempfile.TemporaryDirectory(prefix="pycryptoutil-crl-") as folder:
            yield Path(folder) / "made.crl"

    def _base(self, tenant_id: str, row: AuthorityRow, now: datetime) -> CrlHead:
        """Return what a delta is to; Fault(UNAVAILABLE) while there is nothing, or nothing old enough."""
        with self._database.read(tenant_id) as reader:
            base = crl_store.newest_head(reader, row.id, FULL.scope)
        if base is None or now < base.this_update + timedelta(seconds=1):
            raise Fault(FaultKind.UNAVAILABLE, f"{row.name}: no base for a delta yet", "try again", retry_after=2)
        return base

    def _scope(self, uow: UnitOfWork, row: AuthorityRow, of: Series) -> Scope:
        """Return what the CRL covers: of a delta exactly what its base does (RFC 5280 section 5.2.4)."""
        if of is not DELTA:
            return crl_store.fix_scope(uow, row.id, of.scope, *self._covers(row, of))
        known = crl_store.read_scope(uow, row.id, FULL.scope)
        if known is None:
            raise Fault(FaultKind.INTERNAL, f"the CRL of {row.name} is without a scope")
        return known

    def _interval(self) -> timedelta:
        return timedelta(hours=self._settings.crl_refresh_hours)

    def _covers(self, row: AuthorityRow, of: Series) -> tuple[str, str]:
        """Return what a CA's CRL is narrowed to, and where it is published.

        A root's own certificate has no distribution point, so its CRL names none either: a validator that checks the
        whole chain would find no CRL whose scope has the root in it.
        """
        if row.kind is AuthorityKind.ROOT:
            return "", ""
        if of.count > 1:
            return "", self._urls.shard(row.public_id, of.count, of.index)
        return "", self._urls.crl(row.public_id)

    def _sign(
        self,
        tenant_id: str,
        row: AuthorityRow,
        of: Series,
        scope: Scope,
        number: int,
        now: datetime,
        base: CrlHead | None,
        path: Path | None,
    ) -> CrlRow | CrlFile:
        lasts = timedelta(days=self._settings.crl_days) if base is None else timedelta(minutes=2 * self._delta_minutes)
        next_update = min(now + lasts, row.not_after)
        freshest = self._room.delta_url(row) if of is FULL else ""
        runs = generate.EntryRuns()
        with self._database.read(tenant_id) as reader:
            seq = crl_store.latest_event_of(reader, row.id)
            if base is None:
                # expired ones stay until a CRL due by schedule has shown them after their end (RFC 5280 section 3.3)
                rows = crl_store.revoked(reader, row.id, scope.scheduled_at or row.not_before, of.tails)
            else:
                rows = crl_store.changed(reader, row.id, base.revocation_seq, generate.unix(now))
            parts = (
                KeySigner(self._room.keys.open(row), row.signature_algorithm),
                generate.subject(row.certificate),
                generate.unix(now),
                generate.unix(next_update),
                generate.extensions(
                    row.certificate, number, scope, freshest=freshest, base=None if base is None else base.number
                ),
                runs.over(rows),
            )
            if path is None:
                der = build_crl(*parts)
            else:
                build_crl_file(path, *parts)

        def head(digest: str) -> CrlHead:
            return CrlHead(row.id, of.scope, number, now, next_update, runs.count, seq, digest)

        if path is None:
            return CrlRow(head(hashlib.sha256(der).hexdigest()), der)
        with path.open("rb") as file:
            return CrlFile(head(hashlib.file_digest(file, "sha256").hexdigest()), path)
