"""A CA's servants, ready to sign: made at first use, kept open for a minute, renewed before they end."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import store
from pycryptoutil.authority.keys import sealed
from pycryptoutil.authority.room import Room, chain
from pycryptoutil.authority.signers import make
from pycryptoutil.authority.store import AuthorityRow, SignerRow
from pycryptoutil.crypto.keys import KeyHandle
from pycryptoutil.crypto.pkcs11 import TokenFault
from pycryptoutil.crypto.signer import KeySigner
from pycryptoutil.storage import SYSTEM_TENANT, Reader

_RELOAD_AFTER: Final = 60.0  # seconds: a successor is taken up at most this late, days before the old one ends
_MAX_HELD: Final = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceSigner:
    """A key that answers for a CA. ``chain`` is the CA's certificate first, up to the root's; all are DER.

    ``previous`` are its predecessors, newest first, for messages that were made for one of them; theirs is empty.
    """

    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    signer: KeySigner = field(repr=False)
    key: KeyHandle = field(repr=False)
    not_after: datetime
    previous: tuple[ServiceSigner, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class _Held:
    signer: ServiceSigner = field(repr=False)
    until: float  # monotonic


class Signers:
    """Shared by all threads of a process."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str, str], _Held] = {}

    def get(self, tenant_id: str, authority: str, purpose: str) -> ServiceSigner:
        """Return who answers for a CA now; Fault(NOT_FOUND, SEALED), UNAVAILABLE when the CA itself has ended."""
        kind = make.purpose_of(purpose)
        if self._room.barrier.sealed:
            self.forget()
            raise sealed()
        place = (tenant_id, authority, purpose)
        held = self._held.get(place)
        if held is not None and self._room.clock.monotonic() < held.until:
            return held.signer
        found = self._load(tenant_id, authority, kind)
        with self._lock:
            if len(self._held) >= _MAX_HELD:
                self._held.clear()
            self._held[place] = _Held(found, self._room.clock.monotonic() + _RELOAD_AFTER)
        return found

    def renew(self) -> None:
        """Make successors where they are due, for every purpose that a CA has ever answered for, OCSP aside."""
        if self._room.barrier.sealed:
            self.forget()
            return
        now = self._room.clock.now()
        with self._room.database.read(SYSTEM_TENANT) as reader:
            tenants = store.tenants_with_authorities(reader)
        for tenant_id in tenants:
            with self._room.database.read(tenant_id) as reader:
                used = store.signer_purposes(reader)
                rows = store.all_authorities(reader)
            for row in rows:
                for kind in make.PURPOSES.values():
                    wanted = kind.name != make.OCSP and (row.id, kind.name) in used
                    if wanted and row.not_after > now and not row.offline:
                        self._renew_one(row, kind)

    def _renew_one(self, row: AuthorityRow, kind: make.Purpose) -> None:
        try:
            make.renew(self._room, row.tenant_id, row.id, kind)
        except TokenFault as fault:
            _log.warning("no new %s signer for %s: %s", kind.name, row.name, fault.detail)
        except Fault as fault:  # one CA's trouble keeps no other from its signer
            if fault.kind in {FaultKind.UNAVAILABLE, FaultKind.SEALED, FaultKind.STORAGE_FULL}:
                raise
            _log.error("no new %s signer for %s: %s", kind.name, row.name, fault.detail)

    def forget(self) -> None:
        """Let go of every key."""
        with self._lock:
            self._held.clear()

    def _load(self, tenant_id: str, authority: str, kind: make.Purpose) -> ServiceSigner:
        with self._room.database.read(tenant_id) as reader:
            rows = store.all_authorities(reader)
            ca = self._room.find(rows, authority)
            found = make.trusted(reader, ca.id, kind.name)
            before = self._earlier(reader, ca, rows, kind)
        now = self._room.clock.now()
        if not any(row.not_before <= now < row.not_after for row in found):
            make.renew(self._room, tenant_id, ca.id, kind)
            with self._room.database.read(tenant_id) as reader:
                found = make.trusted(reader, ca.id, kind.name)
        good = [row for row in found if row.not_before <= now < row.not_after]
        if not good:
            detail = f"CA {ca.name} has no {kind.name} signer"
            raise Fault(FaultKind.UNAVAILABLE, detail, "try again later", retry_after=10)
        issuers = chain(ca, rows)
        older = [self._open(row, issuers) for row in found if row is not good[0]]
        older += [self._open(row, chain(one, rows)) for one, row in before]
        return self._open(good[0], issuers, tuple(older))

    @staticmethod
    def _earlier(
        reader: Reader, ca: AuthorityRow, rows: list[AuthorityRow], kind: make.Purpose
    ) -> list[tuple[AuthorityRow, SignerRow]]:
        """Return the signers of the CA's earlier generations: clients may still encrypt to one of them."""
        line = [one for one in rows if one.first == ca.first and one.generation < ca.generation]
        return [(one, row) for one in line for row in make.trusted(reader, one.id, kind.name)]

    def _open(
        self, row: SignerRow, issuers: tuple[bytes, ...], previous: tuple[ServiceSigner, ...] = ()
    ) -> ServiceSigner:
        key = self._room.vault.open(row.sealed_key, store.aad(store.SIGNER_KEYS, row.tenant_id, row.id))
        signer = KeySigner(key, row.signature_algorithm)
        return ServiceSigner(row.certificate, issuers, signer, key, row.not_after, previous)
