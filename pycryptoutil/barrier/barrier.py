"""The barrier itself: sealed or unsealed, encrypting, rotating."""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, Self

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import hierarchy, rewrap, shares, store
from pycryptoutil.barrier.hierarchy import BELOW, Growth, Keyring
from pycryptoutil.barrier.sources import BarrierOptions, ShamirSource, source_of
from pycryptoutil.barrier.store import KeyRow, SealedColumn
from pycryptoutil.clock import Clock
from pycryptoutil.crypto.keys import PrivateKey, SymmetricKey, shamir_combine
from pycryptoutil.errors import ConfigurationError, CoreError, StartupError
from pycryptoutil.storage import SYSTEM_TENANT, Database, UnitOfWork, audit, in_unit_of_work
from pycryptoutil.tracing import traced

RotationLevel = Literal["root", "intermediate", "content", "unseal"]

_DATA: Final = 1  # version bytes of a sealed value: data, or a private key that must not pass through Python
_PRIVATE_KEY: Final = 2
_SYMMETRIC_KEY: Final = 3
_HEADER: Final = 17  # version, then the content key's id
_MAINTAIN_USES: Final = 4096
_MAINTAIN_SECONDS: Final = 300.0
_ADOPT_ATTEMPTS: Final = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BarrierStatus:
    """What an operator may know."""

    mode: str
    sealed: bool
    threshold: int
    shares: int
    progress: int  # shares given so far
    generations: dict[str, int] = field(default_factory=dict)  # level -> generation; empty while sealed
    content_uses: int = 0  # about how often the content key in use has sealed
    shares_file: str = ""  # where this process has just written new shares


@dataclass(slots=True)
class _Collected:
    """Shares given so far."""

    unseal_id: str = ""
    values: list[bytes] = field(default_factory=list, repr=False)


class Barrier:
    """Keys at rest. One object a process, used from every thread."""

    def __init__(self, database: Database, settings: BarrierOptions, clock: Clock, data_dir: Path) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._source = source_of(settings, data_dir)
        self._ceremony = (
            threading.RLock()
        )  # unseal and rotate, over their I/O; sealing and opening values never take it
        self._state = threading.Lock()  # the fields below, never held over I/O
        self._epoch = 0  # counts seals: a ceremony that was overtaken by one does not put keys back
        self._maintaining = threading.Lock()
        self._ring: Keyring | None = None
        self._unseal_row: KeyRow | None = None
        self._collected = _Collected()
        self._derived: dict[bytes, SymmetricKey] = {}
        self._on_seal: list[Callable[[], object]] = []
        self._uses = 0
        self._maintained_at = clock.monotonic()

    def __repr__(self) -> str:
        return f"<Barrier {self._settings.mode} {'sealed' if self.sealed else 'unsealed'}>"

    @classmethod
    def open(cls, database: Database, settings: BarrierOptions, clock: Clock, data_dir: Path) -> Self:
        """Open the barrier of this database; a new database gets its keys, by one of those who race for it.

        Modes ``dev`` and ``file`` unseal at once. In mode ``shamir`` the process that initialises stays unsealed and
        leaves the shares in a file; every later start is sealed until enough of them are given.
        """
        barrier = cls(database, settings, clock, data_dir)
        rows = barrier._load()
        if not rows:
            barrier._initialise()
            rows = barrier._load()
        row = barrier._unseal_row = hierarchy.newest(rows, "unseal")
        if row.facts["mode"] != settings.mode:
            message = f"this database was initialised with mode {row.facts['mode']}, not {settings.mode}"
            raise ConfigurationError(message, "barrier.mode")
        if barrier._ring is None and settings.mode != "shamir":
            barrier._adopt(barrier._unseal_by_itself(rows), barrier._epoch)
        return barrier

    # -- state -------------------------------------------------------------------------------------------------------

    @property
    def sealed(self) -> bool:
        """Tell whether keys are away."""
        return self._ring is None

    def status(self) -> BarrierStatus:
        """Describe the state; no I/O."""
        ring, row = self._ring, self._unseal_row
        facts = row.facts if row else {}
        written = self._source.written if isinstance(self._source, ShamirSource) else None
        return BarrierStatus(
            mode=self._settings.mode,
            sealed=ring is None,
            threshold=facts.get("threshold", 0),
            shares=facts.get("shares", 0),
            progress=len(self._collected.values),
            generations=ring.generations if ring else {},
            content_uses=ring.active("content").uses + self._uses if ring else 0,
            shares_file=str(written) if written and written.exists() else "",
        )

    def seal(self) -> None:
        """Drop every key. Recorded afterwards, as far as possible: sealing must work in any emergency."""
        with self._state:
            was_open, uses = self._ring, self._uses
            self._epoch += 1
            self._ring = None
            self._uses = 0
            self._collected = _Collected()
            self._derived = {}
        for drop in self._on_seal:
            drop()
        if was_open is None:
            return
        try:
            with self._database.unit_of_work(SYSTEM_TENANT) as uow:
                store.add_uses(uow, was_open.active("content").id, uses)
                audit.append(uow, audit.AuditEvent("barrier.seal", "operator", "barrier"))
        except Fault:
            _log.exception("the barrier was sealed, but that could not be recorded")

    def on_seal(self, drop: Callable[[], object]) -> None:
        """Have ``drop`` called at every seal: it lets go of keys that were opened through here, and cannot fail."""
        self._on_seal.append(drop)

    def unseal(self, share: str = "") -> BarrierStatus:
        """Take one share; at the threshold the barrier opens. Modes ``dev`` and ``file`` read their secret again."""
        with self._ceremony:
            if self._ring is not None:
                return self.status()
            rows, epoch = self._load(), self._epoch
            shamir = self._settings.mode == "shamir"
            ring = self._take_share(rows, share) if shamir else self._unseal_by_itself(rows)
            if ring is not None:
                with self._database.unit_of_work(SYSTEM_TENANT) as uow:
                    audit.append(uow, audit.AuditEvent("barrier.unseal", "operator", "barrier"))
                self._adopt(ring, epoch)
            return self.status()

    def reset(self) -> BarrierStatus:
        """Forget the shares given so far."""
        with self._ceremony:
            self._collected = _Collected()
            return self.status()

    def _take_share(self, rows: Sequence[KeyRow], text: str) -> Keyring | None:
        row = self._unseal_row = hierarchy.newest(rows, "unseal")
        share = shares.parse(text)
        if share.set_id != shares.set_id_of(row.id):
            retired = {shares.set_id_of(r.id) for r in rows if r.level == "unseal"}
            what = "an earlier set: the unseal key was rotated" if share.set_id in retired else "another installation"
            raise Fault(FaultKind.INVALID, f"share of {what}", f"this share belongs to {what}")
        if self._collected.unseal_id != row.id:
            self._collected = _Collected(row.id)
        if share.value in self._collected.values:
            raise Fault(FaultKind.CONFLICT, "a share was given twice", "this share was given already")
        self._collected.values.append(share.value)
        if len(self._collected.values) < row.facts["threshold"]:
            return None
        values = self._collected.values
        self._collected = _Collected()
        try:
            key = SymmetricKey.from_bytes(shamir_combine(values))
        except (Fault, CoreError, ValueError):
            key = None
        ring = None if key is None else _opened(rows, row, key)
        if ring is None:
            wrong = "these shares do not open the barrier; all of them must be given again"
            raise Fault(FaultKind.INVALID, wrong, wrong)
        return ring

    def _unseal_by_itself(self, rows: Sequence[KeyRow]) -> Keyring:
        row = self._unseal_row = hierarchy.newest(rows, "unseal")
        for _ in range(_ADOPT_ATTEMPTS):
            for index, key in enumerate(self._source.candidates(row.facts)):
                ring = _opened(rows, row, key)
                if ring is not None:
                    self._source.adopted(index)
                    return ring
            # another process may be putting the new secret in its place, or have rotated since the rows were read
            self._clock.sleep(0.05)
            rows = self._load()
            row = self._unseal_row = hierarchy.newest(rows, "unseal")
        if self._settings.mode == "file":
            message = "the secret is not the one this database was sealed with"
            raise ConfigurationError(message, "barrier.secret_file")
        message = "the data directory's unseal.key is missing or not the one this database was sealed with"
        raise StartupError(message)

    def _adopt(self, ring: Keyring, epoch: int) -> None:
        with self._state:
            if epoch == self._epoch:
                self._ring = ring
                self._unseal_row = ring.active("unseal")

    def _load(self) -> list[KeyRow]:
        with self._database.read(SYSTEM_TENANT) as reader:
            return store.load(reader)

    def _initialise(self) -> None:
        with self._database.unit_of_work(SYSTEM_TENANT) as uow:
            uow.lock(store.LOCK)
            if store.load(uow):
                return  # another process came first
            now = self._clock.now()
            key_id = hierarchy.new_id()
            key, facts = self._source.create(key_id, 1)
            growth = Growth(uow, hierarchy.given(key, key_id), None, now)
            growth.add_unseal(hierarchy.unseal_row(key, key_id, 1, facts, now))
            for level in ("root", "static", "intermediate", "content"):
                growth.add(level)
            audit.append(uow, audit.AuditEvent("barrier.initialise", "system", "barrier"))
        self._source.adopted(1)
        self._adopt(growth.ring(), self._epoch)

    # -- values ------------------------------------------------------------------------------------------------------

    @traced("barrier.encrypt")
    def encrypt(self, plaintext: bytes, aad: bytes) -> bytes:
        """Seal ``plaintext`` for the place ``aad`` names; Fault(SEALED) when keys are away."""
        ring = self._counted()
        header = bytes([_DATA]) + ring.content_id
        return header + ring.content.encrypt(plaintext, header + aad)

    @traced("barrier.decrypt")
    def decrypt(self, sealed: bytes, aad: bytes) -> bytes:
        """Open what :meth:`encrypt` gave; Fault(INTERNAL) when it was altered or belongs elsewhere."""
        key, header, body = self._key_of(sealed, _DATA)
        try:
            return key.decrypt(body, header + aad)
        except (Fault, CoreError) as error:
            raise _unreadable() from error

    @traced("barrier.seal_key")
    def seal_key(self, key: PrivateKey, aad: bytes) -> bytes:
        """Seal a private key; it goes from handle to ciphertext inside the core."""
        ring = self._counted()
        header = bytes([_PRIVATE_KEY]) + ring.content_id
        return header + key.seal(ring.content, header + aad)

    @traced("barrier.open_key")
    def open_key(self, sealed: bytes, aad: bytes) -> PrivateKey:
        """Open what :meth:`seal_key` gave."""
        key, header, body = self._key_of(sealed, _PRIVATE_KEY)
        try:
            return PrivateKey.unseal(key, body, header + aad)
        except (Fault, CoreError) as error:
            raise _unreadable() from error

    @traced("barrier.seal_symmetric")
    def seal_symmetric(self, key: SymmetricKey, aad: bytes) -> bytes:
        """Seal a symmetric key, such as a tenant's root; it stays inside the core."""
        ring = self._counted()
        header = bytes([_SYMMETRIC_KEY]) + ring.content_id
        return header + key.seal(ring.content, header + aad)

    @traced("barrier.open_symmetric")
    def open_symmetric(self, sealed: bytes, aad: bytes) -> SymmetricKey:
        """Open what :meth:`seal_symmetric` gave."""
        key, header, body = self._key_of(sealed, _SYMMETRIC_KEY)
        try:
            return SymmetricKey.unseal(key, body, header + aad)
        except (Fault, CoreError) as error:
            raise _unreadable() from error

    def lookup_mac(self, purpose: str, value: bytes) -> bytes:
        """Return a keyed hash that no rotation changes: 32 bytes, for lookup columns."""
        return self._static(b"lookup:" + purpose.encode()).hmac("sha256", value)

    def pepper(self, version: str) -> SymmetricKey:
        """Return the pepper of a version of the hash registries."""
        return self._static(b"pepper:" + version.encode())

    @staticmethod
    def holds_key(sealed: bytes) -> bool:
        """Tell whether a value is a private key that :meth:`seal_key` sealed."""
        return sealed[:1] == bytes([_PRIVATE_KEY])

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether a value is under the content key in use."""
        return sealed[1:_HEADER] == self._open_ring().content_id

    def again(self, sealed: bytes, aad: bytes) -> bytes:
        """Seal a value under the content key in use; a key stays inside the core."""
        if self.holds_key(sealed):
            return self.seal_key(self.open_key(sealed, aad), aad)
        if sealed[:1] == bytes([_SYMMETRIC_KEY]):
            return self.seal_symmetric(self.open_symmetric(sealed, aad), aad)
        return self.encrypt(self.decrypt(sealed, aad), aad)

    def rewrap(self, columns: Sequence[SealedColumn], progress: rewrap.ProgressCallback | None = None) -> int:
        """Bring every value under the content key in use; resumable. Return how many were rewrapped."""
        self.maintain()
        return rewrap.run(self, self._database, columns, progress)

    @property
    def content_key_id(self) -> str:
        """The content key in use."""
        return self._open_ring().content_id.hex()

    def _static(self, info: bytes) -> SymmetricKey:
        ring = self._open_ring()
        derived = self._derived.get(info)
        if derived is None:
            derived = ring.handle("static").derive(info)
            if len(self._derived) < 256 and self._ring is ring:
                self._derived[info] = derived
        return derived

    def _open_ring(self) -> Keyring:
        ring = self._ring
        if ring is None:
            raise _sealed()
        return ring

    def _key_of(self, sealed: bytes, version: int) -> tuple[SymmetricKey, bytes, bytes]:
        header = sealed[:_HEADER]
        if len(header) < _HEADER or header[0] != version:
            raise _unreadable()
        key_id = header[1:].hex()
        key = self._open_ring().keys.get(key_id)
        if key is None:
            key = self._reload().keys.get(key_id)  # another instance may have rotated
        if key is None:
            raise _unreadable()
        return key, header, sealed[_HEADER:]

    # -- rotation ----------------------------------------------------------------------------------------------------

    def rotate(self, level: RotationLevel) -> BarrierStatus:
        """Make a new key at ``level`` and every level below; the old ones stay for reading until ``rewrap`` is done.

        ``unseal`` makes new shares or takes the new secret, and puts the roots under it; nothing else changes.
        """
        self._rotate(level)
        return self.status()

    def maintain(self) -> None:
        """Persist the use count, see what other instances rotated, and rotate what is due by age or use."""
        self._open_ring()
        self._maintained_at = self._clock.monotonic()
        with self._state:
            ring, uses, self._uses = self._ring, self._uses, 0
        if ring is not None and uses:
            try:
                with self._database.unit_of_work(SYSTEM_TENANT) as uow:
                    store.add_uses(uow, ring.content_id.hex(), uses)
            except BaseException:
                with self._state:
                    self._uses += uses
                raise
        if self._due(self._reload()):
            self._rotate(None)

    def _counted(self) -> Keyring:
        ring = self._open_ring()
        self._uses += 1  # without a lock: a lost count in a million does not matter
        waited = self._clock.monotonic() - self._maintained_at
        if (self._uses >= _MAINTAIN_USES or waited >= _MAINTAIN_SECONDS) and not in_unit_of_work():
            self._maintain_quietly()
        return ring

    def _maintain_quietly(self) -> None:
        if not self._maintaining.acquire(blocking=False):
            return
        try:
            self.maintain()
        except Fault:
            _log.exception("the barrier's keys could not be maintained; the next attempt follows")
        finally:
            self._maintaining.release()

    def _due(self, ring: Keyring) -> RotationLevel | None:
        now, options = self._clock.now(), self._settings

        def older(row: KeyRow, lifetime: float) -> bool:
            return now - row.created_at >= timedelta(seconds=lifetime)

        if older(ring.active("root"), options.root_lifetime):
            return "root"
        if older(ring.active("intermediate"), options.intermediate_lifetime):
            return "intermediate"
        content = ring.active("content")
        if older(content, options.content_lifetime) or content.uses >= options.content_uses:
            return "content"
        return None

    def _rotate(self, level: RotationLevel | None) -> None:
        """Rotate ``level``, or what is due if None."""
        with self._ceremony:
            epoch = self._epoch
            with self._database.unit_of_work(SYSTEM_TENANT) as uow:
                uow.lock(store.LOCK)
                ring = self._with_rows(store.load(uow))
                level = level or self._due(ring)
                if level is not None:
                    ring = self._grown(uow, ring, level)
            if level == "unseal":
                self._source.adopted(1)
            self._adopt(ring, epoch)

    def _grown(self, uow: UnitOfWork, ring: Keyring, level: RotationLevel) -> Keyring:
        now = self._clock.now()
        row = ring.active("unseal")
        if level == "unseal":
            self._refuse_same_secret(row)
            key_id, generation = hierarchy.new_id(), row.generation + 1
            key, facts = self._source.create(key_id, generation)
            growth = Growth(uow, hierarchy.given(key, key_id), ring, now)
            growth.add_unseal(hierarchy.unseal_row(key, key_id, generation, facts, now))
        else:
            if level == "root" and row.id != ring.unseal.id:
                text = "another instance rotated the unseal key: seal and unseal this one first, or rotate there"
                raise Fault(FaultKind.CONFLICT, text, text)
            growth = Growth(uow, ring.unseal, ring, now)
            for below in BELOW[level]:
                growth.add(below)
            if level == "root":
                growth.move_static()
        grown = growth.ring()
        generations = grown.generations
        audit.append(uow, audit.AuditEvent("barrier.rotate", "operator", f"barrier:{level}", details=generations))
        return grown

    def _refuse_same_secret(self, row: KeyRow) -> None:
        if self._settings.mode == "file":
            for key in self._source.candidates(row.facts):
                if _fits(row, key):
                    text = "the secret file still holds the present secret: put the new one there first"
                    raise Fault(FaultKind.CONFLICT, text, text)

    def _reload(self) -> Keyring:
        epoch = self._epoch
        ring = self._with_rows(self._load())
        self._adopt(ring, epoch)
        return ring

    def _with_rows(self, rows: Sequence[KeyRow]) -> Keyring:
        """Open what is new among ``rows``."""
        ring = self._open_ring()
        row = hierarchy.newest(rows, "unseal")
        if row.id != ring.unseal.id:  # another instance rotated it: its secret may be within reach
            for key in self._source.candidates(row.facts):
                if _fits(row, key):
                    return hierarchy.open_keys(rows, hierarchy.given(key, row.id), ring.keys)
        try:
            return hierarchy.open_keys(rows, ring.unseal, ring.keys)
        except Fault:
            # both the unseal key and the root were rotated elsewhere: this instance needs the new shares
            self.seal()
            raise


def _opened(rows: Sequence[KeyRow], row: KeyRow, key: SymmetricKey) -> Keyring | None:
    """Open every key if this is the right unseal key."""
    if not _fits(row, key):
        return None
    return hierarchy.open_keys(rows, hierarchy.given(key, row.id), {})


def _fits(row: KeyRow, key: SymmetricKey) -> bool:
    return hmac.compare_digest(hierarchy.check_value(key, row.id), row.wrapped)


def _sealed() -> Fault:
    return Fault(FaultKind.SEALED, "the barrier is sealed", "the service is sealed", retry_after=30)


def _unreadable() -> Fault:
    return Fault(FaultKind.INTERNAL, "a sealed value was altered, belongs elsewhere or is under an unknown key")
