"""What the template itself does in the background, whatever services there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pycryptoutil.barrier import Barrier, SealedColumn
from pycryptoutil.clock import Clock
from pycryptoutil.service import audit, ready, store
from pycryptoutil.service.definition import BackgroundTask
from pycryptoutil.storage import SYSTEM_TENANT, Database, lease

_KEPT_SESSIONS = timedelta(days=1)  # dead ones stay so long, to be looked at
_REWRAP_EVERY = 3600.0


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The state of the template's tasks."""

    database: Database
    barrier: Barrier
    clock: Clock
    data_dir: Path
    holder: str  # names this process among all replicas
    sealed_columns: Sequence[SealedColumn]

    def publish_head_key(self) -> None:
        """Leave the public key of the audit heads in the data directory, for whoever verifies them."""
        path = self.data_dir / audit.PUBLIC_KEY_FILE
        pem = audit.public_key_pem(audit.HeadKey.of(self.barrier).spki)
        if not path.exists() or path.read_text("utf-8") != pem:
            ready.write_private(path, pem)

    def lease(self, name: str, seconds: float) -> bool:
        """Tell whether this process is the one to do it now."""
        with self.database.unit_of_work(SYSTEM_TENANT) as uow:
            return lease.acquire(uow, name, self.holder, seconds)


def tasks(head_interval: float) -> tuple[BackgroundTask, ...]:
    """Return the template's tasks."""
    return (
        BackgroundTask("audit-heads", head_interval, _sign_heads, every_worker=False),
        BackgroundTask("barrier", 300.0, _maintain_barrier),
        BackgroundTask("sessions", 600.0, _delete_sessions, every_worker=False),
        BackgroundTask("rewrap", _REWRAP_EVERY, _rewrap, every_worker=False),
    )


def _sign_heads(upkeep: Upkeep) -> None:
    audit.sign_heads(upkeep.database, upkeep.barrier)


def _maintain_barrier(upkeep: Upkeep) -> None:
    if not upkeep.barrier.sealed:
        upkeep.barrier.maintain()


def _delete_sessions(upkeep: Upkeep) -> None:
    if not upkeep.lease("sessions", 300.0):
        return
    before = upkeep.clock.now() - _KEPT_SESSIONS
    for tenant_id in audit.tenants(upkeep.database):
        deleted = 1
        while deleted:
            with upkeep.database.unit_of_work(tenant_id) as uow:
                deleted = store.delete_dead_sessions(uow, before)


def _rewrap(upkeep: Upkeep) -> None:
    if not upkeep.barrier.sealed and upkeep.sealed_columns and upkeep.lease("rewrap", _REWRAP_EVERY):
        upkeep.barrier.rewrap(upkeep.sealed_columns)
