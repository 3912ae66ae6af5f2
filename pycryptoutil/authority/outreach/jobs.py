"""A few daemon threads for slow work, begun at the first job: a process that ends waits for none of them."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from pycryptoutil_protocols.faults import Fault

Job: TypeAlias = Callable[[], object]

_MAX_WAITING: Final = 1000

_log = logging.getLogger(__name__)


class Jobs:
    """Runs jobs whose work stands in the database: one that is dropped is found again there."""

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._threads = threads
        self._queue: queue.Queue[Job] = queue.Queue(_MAX_WAITING)
        self._lock = threading.Lock()
        self._begun = 0

    def submit(self, job: Job) -> None:
        """Have a job run soon; a full queue drops it."""
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            return
        with self._lock:
            if self._begun < self._threads:
                self._begun += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._begun}", daemon=True).start()

    def _work(self) -> None:
        while True:
            job = self._queue.get()
            try:
                job()
            except Fault as fault:
                _log.warning("%s job: %s", self._name, fault.detail)
            except Exception:  # noqa: BLE001  it is logged, and a thread must outlive its jobs
                _log.exception("%s job", self._name)
