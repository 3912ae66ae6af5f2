"""Usage counters, gathered in memory and added to the database now and then.

A write for every signature would cost more than the signature. A service adds what is left when it ends; what was not
added yet when a process is killed is lost. Counters never go down.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.clock import Clock
from pycryptoutil.keyring.model import Usage
from pycryptoutil.keyring.store import versions as store
from pycryptoutil.storage import Database, in_unit_of_work

_AFTER: Final = 2000  # uses
_SECONDS: Final = 10.0
Name = tuple[str, str, int]


def _sum(one: Usage, two: Usage) -> Usage:
    latest = max((at for at in (one.last_used_at, two.last_used_at) if at is not None), default=None)
    return Usage(one.protected + two.protected, one.processed + two.processed, one.rewrapped + two.rewrapped, latest)


class UsageCounters:
    """Counts uses of versions, by tenant, key and number."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[Name, Usage] = {}
        self._uses = 0
        self._flushed_at = clock.monotonic()

    def add(self, tenant_id: str, key_id: str, version: int, more: Usage) -> None:
        """Count; flush when it is time. A failure to flush is no failure of the use: it is tried again."""
        more = replace(more, last_used_at=self._clock.now())
        name = (tenant_id, key_id, version)
        with self._lock:
            self._pending[name] = _sum(self._pending.get(name, Usage()), more)
            self._uses += more.protected + more.processed + more.rewrapped
            due = self._uses >= _AFTER or self._clock.monotonic() - self._flushed_at >= _SECONDS
        if due and not in_unit_of_work():
            try:
                self.flush()
            except Fault:
                return

    def pending(self, tenant_id: str, key_id: str, version: int) -> Usage:
        """Return what this process has counted and not added yet."""
        return self._pending.get((tenant_id, key_id, version), Usage())

    def flush(self) -> None:
        """Add everything to the database; what cannot be added is kept."""
        with self._lock:
            pending, self._pending = self._pending, {}
            self._uses, self._flushed_at = 0, self._clock.monotonic()
        try:
            for tenant_id in sorted({name[0] for name in pending}):
                with self._database.unit_of_work(tenant_id) as uow:
                    mine = sorted(name for name in pending if name[0] == tenant_id)
                    for name in mine:  # in one order, so that two processes do not wait for each other
                        store.count(uow, name[1], name[2], pending[name])
                for name in mine:
                    del pending[name]
        finally:
            with self._lock:
                for name, more in pending.items():
                    self._pending[name] = _sum(self._pending.get(name, Usage()), more)


def merged(stored: Usage, pending: Usage) -> Usage:
    """Return what is known of a version's use here and now."""
    return _sum(stored, pending)
