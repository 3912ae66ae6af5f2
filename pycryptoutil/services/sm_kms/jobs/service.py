"""Rewrapping a stored stream of objects. A chunk and the job's progress become durable together.

Whoever is killed between two chunks has lost nothing: the job goes on at ``done``, on any replica.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier
from pycryptoutil.keyring import KeyringService
from pycryptoutil.services.sm_kms.actions import seal
from pycryptoutil.services.sm_kms.actions.chosen import Chosen
from pycryptoutil.services.sm_kms.jobs import store
from pycryptoutil.services.sm_kms.jobs.store import Item, Job
from pycryptoutil.services.sm_kms.operations.models import RewrapItem
from pycryptoutil.storage import SYSTEM_TENANT, Database, Reader, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

CHUNK: Final = 200
_CHUNKS_AT_ONCE: Final = 50  # before other tasks get their turn
_MAX_LISTED: Final = 200
_log = logging.getLogger(__name__)


class RewrapJobs:
    """Jobs of every tenant."""

    def __init__(self, database: Database, barrier: Barrier, keyring: KeyringService, max_objects: int) -> None:
        self._database = database
        self._barrier = barrier
        self._keyring = keyring
        self._max = max_objects

    def create(
        self, tenant_id: str, reference: str, aad: str | None, new_aad: str | None, actor: str, request_id: str
    ) -> Job:
        """Open a job for a key's objects; Fault(NOT_FOUND)."""
        key = self._keyring.get(tenant_id, reference)
        now = self._database.clock.now()
        job = Job(uuid.uuid4().hex, key.id, "open", aad, new_aad, 0, 0, 0, actor[:300], now, None)
        with self._database.unit_of_work(tenant_id) as uow:
            store.insert(uow, job)
            self._record(uow, "create", actor, request_id, job)
        return job

    def get(self, tenant_id: str, job_id: str) -> Job:
        """Return one; Fault(NOT_FOUND)."""
        with self._database.read(tenant_id) as reader:
            return self._find(reader, job_id)

    def listing(self, tenant_id: str) -> list[Job]:
        """Return the newest jobs."""
        with self._database.read(tenant_id) as reader:
            return store.listing(reader, _MAX_LISTED)

    def add(self, tenant_id: str, job_id: str, first: int, ciphertexts: Sequence[str]) -> Job:
        """Append objects; ``first`` is how many were sent before, so that a repeat after a failure adds none twice."""
        with self._database.unit_of_work(tenant_id) as uow:
            job = self._locked(uow, job_id)
            self._must_be(job, "open")
            if first != job.total:
                text = f"the job has {job.total} objects: go on from there"
                raise Fault(FaultKind.CONFLICT, f"job {job.id}: {text}", text)
            if job.total + len(ciphertexts) > self._max:
                text = f"a job has at most {self._max} objects"
                raise Fault(FaultKind.TOO_LARGE, f"job {job.id}: {text}", text)
            store.add(uow, job.id, first, ciphertexts)
            store.change(uow, job.id, total=job.total + len(ciphertexts))
            return self._find(uow, job.id)

    def start(self, tenant_id: str, job_id: str, actor: str, request_id: str) -> Job:
        """Let the background work on it; Fault(CONFLICT)."""
        with self._database.unit_of_work(tenant_id) as uow:
            job = self._locked(uow, job_id)
            self._must_be(job, "open")
            store.change(uow, job.id, state="running")
            self._record(uow, "start", actor, request_id, job)
            return self._find(uow, job.id)

    def results(self, tenant_id: str, job_id: str, first: int, limit: int) -> tuple[Job, list[Item]]:
        """Return what became of the objects from a place on, as far as the job has come."""
        with self._database.read(tenant_id) as reader:
            job = self._find(reader, job_id)
            return job, store.items(reader, job.id, first, max(0, min(limit, job.done - first)))

    def remove(self, tenant_id: str, job_id: str, actor: str, request_id: str) -> None:
        """Forget a job, whatever its state; Fault(NOT_FOUND)."""
        with self._database.unit_of_work(tenant_id) as uow:
            job = self._locked(uow, job_id)
            store.remove(uow, job.id)
            self._record(uow, "delete", actor, request_id, job)

    def work(self) -> None:
        """Work on what is running; for a background task of every worker."""
        if self._barrier.sealed:
            return
        with self._database.read(SYSTEM_TENANT) as reader:
            found = store.running(reader)
        for tenant_id, job_id in found:
            try:
                for _ in range(_CHUNKS_AT_ONCE):
                    if not self.step(tenant_id, job_id):
                        break
            except Fault as fault:
                if fault.kind is not FaultKind.NOT_FOUND:  # removed meanwhile
                    _log.warning("rewrap job %s: %s", job_id, fault.detail)

    def step(self, tenant_id: str, job_id: str) -> bool:
        """Do the next chunk; tell whether there is more. Fault(NOT_FOUND), and what stops every object."""
        with self._database.read(tenant_id) as reader:
            job = self._find(reader, job_id)
            items = store.items(reader, job.id, job.done, CHUNK) if job.state == "running" else []
        chosen = Chosen(self._keyring, tenant_id, job.key_id)
        done = [self._rewrapped(chosen, job, one) for one in items]
        failed = sum(bool(one.error) for one in done)
        with self._database.unit_of_work(tenant_id) as uow:
            now = self._locked(uow, job_id)
            if now.state != "running" or now.done != job.done:
                return now.state == "running"  # another replica was first
            if done:
                store.write(uow, job.id, done)
            after = job.done + len(done)
            store.change(uow, job.id, done=after, failed=job.failed + failed)
            if after >= job.total:
                store.change(uow, job.id, state="finished", finished_at=uow.clock.now())
                self._record(uow, "finish", job.created_by, "", self._find(uow, job.id))
        chosen.count()
        if after >= job.total:
            self._keyring.flush()  # whoever asks whether the old version can go is told the truth
        return after < job.total

    def _rewrapped(self, chosen: Chosen, job: Job, item: Item) -> Item:
        try:
            order = RewrapItem(ciphertext=item.ciphertext, aad=job.aad, new_aad=job.new_aad)
            return Item(item.position, seal.rewrap(chosen, order).ciphertext)
        except Fault as fault:
            if fault.kind in (FaultKind.SEALED, FaultKind.UNAVAILABLE, FaultKind.INTERNAL):
                raise
            return Item(item.position, item.ciphertext, (fault.public or fault.kind.value)[:300])

    def _find(self, reader: Reader, job_id: str) -> Job:
        found = store.find(reader, job_id[:32])
        if found is None or found.id != job_id:
            raise Fault(FaultKind.NOT_FOUND, f"no job {job_id[:64]!r}", "there is no such job")
        return found

    def _locked(self, uow: UnitOfWork, job_id: str) -> Job:
        found = self._find(uow, job_id)
        uow.lock(f"rewrap-job:{found.id}")
        return self._find(uow, job_id)

    @staticmethod
    def _must_be(job: Job, state: str) -> None:
        if job.state != state:
            raise Fault(FaultKind.CONFLICT, f"job {job.id} is {job.state}", f"the job is {job.state}")

    @staticmethod
    def _record(uow: UnitOfWork, action: str, actor: str, request_id: str, job: Job) -> None:
        details = {"job": job.id, "total": job.total, "failed": job.failed}
        audit.append(uow, AuditEvent(f"rewrap-job.{action}", actor[:300], job.key_id, "success", details, request_id))
