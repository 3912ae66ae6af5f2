"""A bounded queue and the one thread that sends what is in it. Requests only ever append: they never wait or fail.

A receiver that is down or slow fills the queue, and what comes then is dropped and counted. Its going and its coming
back are each one log line.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

T = TypeVar("T")
LONGEST_PAUSE = 60.0

log = structlog.get_logger()


class Pipe(Generic[T]):
    """One signal's way out."""

    def __init__(
        self, signal: str, send: Callable[[Sequence[T]], bool], *, depth: int, batch: int, interval: float
    ) -> None:
        """``send`` tells whether the receiver took it; it is called on the pipe's own thread, one batch at a time."""
        self.signal = signal
        self.exported = self.dropped = self.failed = 0  # items
        self._send = send
        self._depth = depth
        self._batch = min(batch, depth)
        self._interval = interval
        self._items: deque[T] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._well = True
        self._thread = threading.Thread(target=self._run, name=f"telemetry-{signal}", daemon=True)

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Append, or drop it when full; any thread, never blocks."""
        if len(self._items) >= self._depth:
            self.dropped += 1  # without a lock: a lost count in a million does not matter
            return
        self._items.append(item)
        if len(self._items) >= self._batch and self._well:
            self._wake.set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to send what is left and to end; returns at once."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end; tells whether it came. What could not be sent by then counts as dropped."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        ended = not self._thread.is_alive()
        if self._items:
            self.dropped += len(self._items)
            self._items.clear()
        return ended

    def _run(self) -> None:
        pause = self._interval
        while not self._stopping.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            # a receiver that failed is asked more and more rarely: its own threads may be what is slow
            pause = self._interval if self._empty() else min(max(pause, 1.0) * 2, LONGEST_PAUSE)
        self._empty()

    def _empty(self) -> bool:
        """Send batch after batch; False as soon as one fails."""
        while batch := self._taken():
            try:
                took = self._send(batch)
            except Exception as error:
                took = False
                if self._well:
                    log.warning("telemetry cannot be sent", signal=self.signal, exc_info=error)
                self._well = False
            if not took:
                self.failed += len(batch)
                self._told(well=False)
                return False
            self.exported += len(batch)
            self._told(well=True)
        return True

    def _taken(self) -> list[T]:
        batch: list[T] = []
        with contextlib.suppress(IndexError):
            while len(batch) < self._batch:
                batch.append(self._items.popleft())
        return batch

    def _told(self, *, well: bool) -> None:
        before, self._well = self._well, well
        if before and not well:
            log.warning("telemetry is not received", signal=self.signal)
        elif well and not before:
            log.info("telemetry is received again", signal=self.signal, dropped=self.dropped, failed=self.failed)


class PipeCounts(Collector):
    """What became of each signal's items, as metrics."""

    def __init__(self, pipes: Sequence[Pipe[object]]) -> None:
        self._pipes = pipes

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        text = "Spans, log records and metric reports."
        items = CounterMetricFamily("telemetry_items", text, labels=("signal", "result"))
        waiting = GaugeMetricFamily("telemetry_queue_depth", "Items that wait to be sent.", labels=("signal",))
        for pipe in self._pipes:
            for result in ("exported", "dropped", "failed"):
                items.add_metric((pipe.signal, result), getattr(pipe, result))
            waiting.add_metric((pipe.signal,), len(pipe))
        yield items
        yield waiting
