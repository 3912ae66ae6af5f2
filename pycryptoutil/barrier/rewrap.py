"""Moving every sealed value under the content key in use: in batches, resumable, beside concurrent writers.

A batch and the place it ends at are one unit of work, so a kill repeats at most one batch. A value is replaced only if
it is still the one that was read; what another instance wrote meanwhile is looked at again. Passes are repeated until
one finds nothing to do, since an instance that has not seen the rotation yet may write behind the cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import store
from pycryptoutil.barrier.store import Progress, SealedColumn, SealedValue, Values
from pycryptoutil.storage import SYSTEM_TENANT, Database, UnitOfWork

ProgressCallback = Callable[[str, int, int], None]
"""Called with table.column, the number of values looked at, and how many there are."""

BATCH: Final = 100
_PASSES: Final = 5
_ATTEMPTS: Final = 5


class Rewrapper(Protocol):
    """What this needs of the barrier."""

    @property
    def content_key_id(self) -> str:
        """The content key in use."""

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether a value is under it."""

    def again(self, sealed: bytes, aad: bytes) -> bytes:
        """Seal a value under it."""


def run(
    barrier: Rewrapper, database: Database, columns: Sequence[SealedColumn], progress: ProgressCallback | None
) -> int:
    """Rewrap every column; Fault(INTERNAL) at the end if some values could not be opened."""
    total = 0
    broken: list[str] = []
    for column in columns:
        for _ in range(_PASSES):
            job = _Job(barrier, database, column, progress)
            total += job.run()
            broken = [*(name for name in broken if not name.startswith(f"{column.name} ")), *job.broken]
            if not job.rewrapped:
                break
    if broken:
        detail = f"{len(broken)} sealed values could not be opened: {', '.join(broken[:10])}"
        raise Fault(FaultKind.INTERNAL, detail, "some sealed values could not be opened; see the log")
    return total


class _Job:
    """One pass over one column."""

    def __init__(
        self, barrier: Rewrapper, database: Database, column: SealedColumn, progress: ProgressCallback | None
    ) -> None:
        self._barrier = barrier
        self._database = database
        self._column = column
        self._values = Values(column)
        self._progress = progress
        self._key_id = barrier.content_key_id
        self._looked_at = 0
        self._count = 0
        self.rewrapped = 0
        self.broken: list[str] = []

    def run(self) -> int:
        name = self._column.name
        with self._database.read(SYSTEM_TENANT) as reader:
            start = store.progress(reader, name, self._key_id)
            tenants = store.tenant_ids(reader)
        for tenant_id in tenants:
            with self._database.read(tenant_id) as reader:
                self._count += self._values.count(reader)
        skip = tenants.index(start.tenant_id) if start.tenant_id in tenants else 0
        for tenant_id in tenants[skip:]:
            self._tenant(tenant_id, start.after if tenant_id == start.tenant_id else None)
        with self._database.unit_of_work(SYSTEM_TENANT) as uow:
            end = Progress(self._key_id, "", None, self.rewrapped)
            store.save_progress(uow, name, end, uow.clock.now())
        return self.rewrapped

    def _tenant(self, tenant_id: str, after: Sequence[object] | None) -> None:
        while True:
            with self._database.read(tenant_id) as reader:
                batch = self._values.batch(reader, after, BATCH)
            if not batch:
                return
            after = batch[-1].keys
            todo = [value for value in batch if not self._barrier.is_current(value.sealed)]
            if todo:
                self._batch(tenant_id, todo, list(after))
            self._looked_at += len(batch)
            if self._progress is not None:
                self._progress(self._column.name, self._looked_at, max(self._count, self._looked_at))

    def _batch(self, tenant_id: str, todo: Sequence[SealedValue], after: list[object]) -> None:
        # opened and sealed before the unit begins: the one writer of SQLite is not kept waiting for it
        ready = [(value, self._again(tenant_id, value)) for value in todo]
        done = 0
        with self._database.unit_of_work(tenant_id) as uow:
            for value, sealed in ready:
                if sealed is not None:
                    done += self._values.replace(uow, value, sealed) or self._retry(uow, value)
            place = Progress(self._key_id, tenant_id, after, self.rewrapped + done)
            store.save_progress(uow, self._column.name, place)
        self.rewrapped += done

    def _retry(self, uow: UnitOfWork, value: SealedValue) -> bool:
        """Look again at a value that was changed after it was read."""
        for _ in range(_ATTEMPTS):
            now = self._values.one(uow, value.keys)
            if now is None or self._barrier.is_current(now):
                return False
            changed = SealedValue(value.keys, now)
            sealed = self._again(uow.tenant_id, changed)
            if sealed is None:
                return False
            if self._values.replace(uow, changed, sealed):
                return True
        return False  # the next pass comes by

    def _again(self, tenant_id: str, value: SealedValue) -> bytes | None:
        try:
            return self._barrier.again(value.sealed, self._column.aad(tenant_id, *value.keys))
        except Fault as fault:
            if fault.kind is not FaultKind.INTERNAL:
                raise
            self.broken.append(f"{self._column.name} of {tenant_id} {':'.join(map(str, value.keys))}")
            return None
