"""Bounded threads for handlers, and background tasks. A full queue is an answer (503), not a wait."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from pycryptoutil_protocols.faults import Fault, FaultKind
from twisted.internet import task
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.python.failure import Failure

from pycryptoutil.service.definition import BackgroundTask
from pycryptoutil.service.metrics import Metrics

log = structlog.get_logger()


class Reactor(Protocol):
    """What is needed of Twisted's reactor here."""

    def callFromThread(self, callable: Callable[..., Any], *args: object) -> None:  # noqa: N802, A002  Twisted's names
        """Run on the reactor's thread."""


LONGEST_FIRST_WAIT = 60.0


class _Stop:
    """Tells a worker thread to end."""


_STOP = _Stop()
Job = Callable[[], Any]


class WorkerPool:
    """``threads`` threads behind a queue of ``depth`` places. Results come back on the reactor's thread."""

    def __init__(self, name: str, reactor: Reactor, *, threads: int, depth: int) -> None:
        self._name = name
        self._reactor = reactor
        self._threads = threads
        self._depth = depth
        self._queue: queue.SimpleQueue[tuple[Job, Callable[[Any], None]] | _Stop] = queue.SimpleQueue()
        self._running: list[threading.Thread] = []
        self._done: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._wake = threading.Lock()
        self._woken = False
        self.pending = 0  # queued and running; reactor thread only
        self._stopped = False

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return self._threads

    @property
    def depth(self) -> int:
        """How many jobs may wait."""
        return self._depth

    @property
    def busy(self) -> int:
        """How many threads are at work."""
        return min(self.pending, self._threads)

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return max(0, self.pending - self._threads)

    @property
    def alive(self) -> bool:
        """Tell whether every thread lives."""
        return bool(self._running) and all(thread.is_alive() for thread in self._running)

    def start(self) -> None:
        """Start the threads."""
        for number in range(self._threads):
            thread = threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True)
            thread.start()
            self._running.append(thread)

    def submit(self, job: Job, deliver: Callable[[Any], None], *, urgent: bool = False) -> None:
        """Queue a job (reactor thread). ``deliver`` gets its result, or the exception it raised, on the reactor thread.

        Fault(BUSY) if the queue is full, or the pool has stopped. ``urgent`` is for what goes on with a request that
        was let in already: it finds a place always.
        """
        if not urgent and (self._stopped or self.pending >= self._threads + self._depth):
            public = "The service is busy; retry later."
            raise Fault(FaultKind.BUSY, f"{self._name} queue is full", public, retry_after=1)
        self.pending += 1
        self._queue.put((job, deliver))

    def run(self, job: Job) -> Deferred[Any]:
        """As :meth:`submit`, with a Deferred; the Fault comes through it too."""
        result: Deferred[Any] = Deferred()

        def deliver(value: Any) -> None:
            if isinstance(value, BaseException):
                result.errback(value)
            else:
                result.callback(value)

        try:
            self.submit(job, deliver)
        except Fault as fault:
            deliver(fault)
        return result

    def stop(self) -> None:
        """Refuse new jobs; threads end after what is queued. Threads that hang are daemons and end with the process."""
        if not self._stopped:
            self._stopped = True
            for _ in self._running:
                self._queue.put(_STOP)

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, _Stop):
                return
            job, deliver = item
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001  it is delivered, and a thread must outlive its jobs
                result = error
            self._done.append((deliver, result))
            del item, job, deliver, result
            with self._wake:  # one wake-up for all that finish before the reactor looks
                wake, self._woken = not self._woken, True
            if wake:
                self._reactor.callFromThread(self._deliver)

    def _deliver(self) -> None:
        with self._wake:
            self._woken = False
        while self._done:
            deliver, result = self._done.popleft()
            self.pending -= 1
            try:
                deliver(result)
            except Exception:
                log.exception("delivery failed", pool=self._name)


class BackgroundTasks:
    """Runs each task every ``interval`` seconds on its own small pool; a run that is still going is not doubled."""

    def __init__(
        self, tasks: tuple[BackgroundTask, ...], state: object, reactor: Any, metrics: Metrics, *, service: str
    ) -> None:
        self._tasks = tasks
        self._state = state
        self._reactor = reactor
        self._metrics = metrics
        self._service = service
        self._loops: list[task.LoopingCall] = []
        self._waiting: list[Any] = []
        self._ended: list[Deferred[Any]] = []
        self._pool = WorkerPool(f"{service}-background", reactor, threads=max(1, min(4, len(tasks))), depth=len(tasks))

    def start(self) -> None:
        """Start the loops; each first run is one interval from now, or a minute if that is sooner."""
        self._pool.start()
        for background in self._tasks:
            loop = task.LoopingCall(self._run, background)
            loop.clock = self._reactor
            self._loops.append(loop)
            first = min(background.interval, LONGEST_FIRST_WAIT)
            self._waiting.append(self._reactor.callLater(first, self._begin, loop, background.interval))

    def _begin(self, loop: task.LoopingCall, interval: float) -> None:
        self._ended.append(loop.start(interval))

    def _run(self, background: BackgroundTask) -> Deferred[Any]:
        def failed(failure: Failure) -> None:
            self._metrics.count("background_runs", background.name, "error")
            error = failure.value
            quiet = isinstance(error, Fault) and error.kind in {FaultKind.SEALED, FaultKind.UNAVAILABLE}
            (log.warning if quiet else log.error)(
                "background task failed", service=self._service, task=background.name, exc_info=error
            )

        def succeeded(_: object) -> None:
            self._metrics.count("background_runs", background.name, "ok")

        return self._pool.run(lambda: background.run(self._state)).addCallbacks(succeeded, failed)

    def stop(self) -> Deferred[Any]:
        """Stop the loops; fires when no run is going."""
        for call in self._waiting:
            if call.active():
                call.cancel()
        for loop in self._loops:
            if loop.running:
                loop.stop()
        self._loops.clear()
        self._pool.stop()
        return DeferredList(self._ended) if self._ended else succeed(None)
