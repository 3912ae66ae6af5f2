"""What the parts of the keyring stand on: the database, the open handles, and one way to find, lock and record."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import Clock
from pycryptoutil.jose.jwk import Usage
from pycryptoutil.keyring import catalog, material
from pycryptoutil.keyring.catalog import Purpose, Spec
from pycryptoutil.keyring.material import Vault
from pycryptoutil.keyring.model import ElasticKey, KeyStatus
from pycryptoutil.keyring.store import keys as key_store
from pycryptoutil.keyring.store import versions as version_store
from pycryptoutil.keyring.store.versions import VersionRow
from pycryptoutil.keyring.usage import UsageCounters
from pycryptoutil.storage import Database, Reader, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

MAX_REASON: Final = 300


@lru_cache(maxsize=256)
def _usage(algorithm: str, purpose: Purpose) -> Usage:
    return material.usage_of(catalog.resolve(algorithm, purpose))


class Room:
    """The base of every part. ``owner`` is the service whose keys these are: each has its own names."""

    def __init__(
        self, database: Database, barrier: Barrier, clock: Clock, owner: str, *, publish_ahead: bool = False
    ) -> None:
        """``publish_ahead``: there is always a next version, published before it is used first."""
        self._database = database
        self._barrier = barrier
        self._clock = clock
        self._owner = owner
        self._ahead = publish_ahead
        self._vault = Vault(database, barrier)
        self._counters = UsageCounters(database, clock)

    @property
    def owner(self) -> str:
        """Whose keys these are."""
        return self._owner

    def _find(self, reader: Reader, reference: str) -> ElasticKey:
        """Return the tenant's key of an id or a name. There is one answer to no key and to somebody else's."""
        found = key_store.find(reader, self._owner, reference)
        if found is None:
            raise Fault(FaultKind.NOT_FOUND, f"no key {reference[:64]!r} in this tenant", "there is no such key")
        return found

    def _locked(self, uow: UnitOfWork, reference: str) -> ElasticKey:
        """Return a key that nobody else changes until the unit ends."""
        found = self._find(uow, reference)
        uow.lock(f"keyring:{found.id}")
        return self._find(uow, found.id)

    def _alive(self, uow: UnitOfWork, reference: str) -> ElasticKey:
        """The same of a key that is neither deleted nor destroyed; Fault(CONFLICT)."""
        key = self._locked(uow, reference)
        if key.status in (KeyStatus.DELETED, KeyStatus.DESTROYED):
            raise conflict(f"key {key.id} is {key.status}", f"the key is {key.status.value}")
        return key

    def _row(self, reader: Reader, key: ElasticKey, version: int) -> VersionRow:
        """Return a version; Fault(NOT_FOUND)."""
        found = version_store.one(reader, key.id, version, *self._named(key))
        if found is None:
            text = f"the key has no version {version}"
            raise Fault(FaultKind.NOT_FOUND, f"key {key.id}: {text}", text)
        return found

    @staticmethod
    def _named(key: ElasticKey) -> tuple[str, Usage]:
        """Return what the rows of a key's versions do not say by themselves."""
        return catalog.resolve(key.algorithm, key.purpose).key, _usage(key.algorithm, key.purpose)

    @staticmethod
    def _spec(key: ElasticKey) -> Spec:
        return catalog.resolve(key.algorithm, key.purpose)

    def _ready(self, tenant_id: str) -> datetime:
        """Make sure that the tenant has a root, which takes a unit of its own; return now. Fault(SEALED)."""
        now = self._clock.now()
        self._vault.root_id(tenant_id, now)
        return now

    @staticmethod
    def _record(
        uow: UnitOfWork, action: str, actor: str, request_id: str, target: str, outcome: str = "success", **details: Any
    ) -> None:
        """Write the audit row of a change, in its unit."""
        audit.append(uow, AuditEvent(f"key.{action}", actor[:300], target, outcome, details, request_id[:100]))


def conflict(detail: str, public: str = "") -> Fault:
    """Return the fault of what the state does not allow."""
    return Fault(FaultKind.CONFLICT, detail, public or detail)


def invalid(detail: str, pointer: str = "", public: str = "") -> Fault:
    """Return the fault of a value that breaks a rule."""
    return Fault(FaultKind.INVALID, detail, public or detail, pointer=pointer)


def check_reason(reason: str) -> str:
    """Return a reason that fits its column; Fault(INVALID)."""
    if len(reason) > MAX_REASON:
        raise invalid(f"a reason is at most {MAX_REASON} characters", "reason")
    return reason
