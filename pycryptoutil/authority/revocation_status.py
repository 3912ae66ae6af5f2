"""Follows the revocation log, so that what this replica has signed ahead or cached is never more than a second behind.

The log's sequence numbers become visible in their own order (see ``certificates.store.append_event``), so asking only
for greater ones misses nothing. A cache may answer by itself while :attr:`RevocationWatch.fresh` holds; otherwise the
caller reads the database.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from pycryptoutil_protocols.faults import Fault

from pycryptoutil.authority.certificates import store
from pycryptoutil.authority.model import RevocationEvent
from pycryptoutil.clock import Clock
from pycryptoutil.storage import SYSTEM_TENANT, Database

POLL_INTERVAL: Final = 0.3
"""Seconds between polls."""

FRESH_FOR: Final = 0.9
"""Seconds that what a poll has seen may be relied on, counted from its start: a revocation shows within a second."""

Listener = Callable[[Sequence[RevocationEvent] | None], None]
"""Told of changes; None: anything may have changed."""

_log = logging.getLogger(__name__)


class RevocationWatch:
    """The revocation log of every tenant, as this replica has read it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._seen: int | None = None
        self._polled = float("-inf")

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` at each change, from then on."""
        self._listeners.append(listener)

    @property
    def fresh(self) -> bool:
        """Tell whether the last poll is recent enough to answer without asking the database. No lock."""
        return self.fresh_at(self._clock.monotonic())

    def fresh_at(self, now: float) -> bool:
        """Tell the same for a time that was read already (monotonic)."""
        return now - self._polled < FRESH_FOR

    def poll(self) -> None:
        """Read what is new and tell the listeners; a Fault (UNAVAILABLE) leaves the watch not fresh."""
        with self._lock:
            started = self._clock.monotonic()
            with self._database.read(SYSTEM_TENANT) as reader:
                latest = store.latest_event(reader)
                known = self._seen if self._seen is not None and self._seen <= latest else None
                events = store.events_since(reader, known) if known is not None and known < latest else []
            if known is None:  # the first poll, or the database was restored to an earlier state
                self._tell(None)
            elif events:
                latest = events[-1].seq
                self._tell(events)
            self._seen = latest
            self._polled = started

    def notice(self) -> None:
        """Poll after a change made here, so that the next question to this replica is answered by it already."""
        with contextlib.suppress(Fault):  # the change is durable, and the next poll tells of it
            self.poll()

    def _tell(self, events: Sequence[RevocationEvent] | None) -> None:
        for listener in self._listeners:
            try:
                listener(events)
            except Exception:  # one cache's trouble must not keep the others from hearing
                _log.exception("a revocation listener failed")
                raise
