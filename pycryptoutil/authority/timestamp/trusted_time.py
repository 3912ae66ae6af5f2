"""Whether the machine's clock may be stamped with: no jumps against the monotonic clock, and what the kernel says."""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock, KernelClock, kernel_clock

_KERNEL_ASKED_EVERY: Final = 1.0  # seconds

_log = logging.getLogger(__name__)


class ClockCheck(enum.StrEnum):
    """How much is checked before a time is given out."""

    NONE = "none"
    JUMP = "jump"  # the wall clock must go on as the monotonic clock does
    KERNEL = "kernel"  # and the kernel must say that NTP or PTP disciplines it, within the accuracy


@dataclass(frozen=True, slots=True)
class ClockRules:
    """What is checked, and how strictly.

    ``tolerance``: how far the wall clock may step. After a greater step it is trusted again when it came back, or has
    run evenly for ``settle`` (zero: never). ``max_error``: what the kernel may estimate at most.
    """

    check: ClockCheck = ClockCheck.JUMP
    tolerance: timedelta = timedelta(seconds=1)
    settle: timedelta = timedelta(minutes=10)
    max_error: timedelta = timedelta(seconds=1)


class TrustedTime:
    """The time of one process, or a refusal: Fault(STALE). Shared by all threads."""

    def __init__(self, clock: Clock, rules: ClockRules, kernel: Callable[[], KernelClock] = kernel_clock) -> None:
        self._clock = clock
        self._rules = rules
        self._kernel = kernel
        self._lock = threading.Lock()
        self._wall, self._ticks = clock.now(), clock.monotonic()  # a moment that is trusted
        self._jumped: tuple[datetime, float] | None = None  # where the clock went instead
        self._kernel_said: tuple[float, str] = (float("-inf"), "")

    def now(self) -> datetime:
        """Return UTC now; Fault(STALE) when it is not to be trusted."""
        rules = self._rules
        if rules.check is ClockCheck.NONE:
            return self._clock.now()
        with self._lock:
            wall, ticks = self._clock.now(), self._clock.monotonic()
            self._check_jump(wall, ticks)
            if rules.check is ClockCheck.KERNEL:
                self._check_kernel(ticks)
        return wall

    def _check_jump(self, wall: datetime, ticks: float) -> None:
        if self._fits(wall, ticks, self._wall, self._ticks):
            self._jumped = None
        elif self._jumped is None or not self._fits(wall, ticks, *self._jumped):
            _log.error("the clock jumped: %s where about %s was due", wall, self._due(ticks, self._wall, self._ticks))
            self._jumped = (wall, ticks)
            raise _untrusted("the clock has jumped")
        elif not self._rules.settle or ticks - self._jumped[1] < self._rules.settle.total_seconds():
            raise _untrusted("the clock has jumped")
        else:
            _log.warning("the clock has run evenly for %s since it jumped, and is trusted again", self._rules.settle)
            self._jumped = None
        self._wall, self._ticks = wall, ticks

    def _fits(self, wall: datetime, ticks: float, since: datetime, since_ticks: float) -> bool:
        return abs(wall - self._due(ticks, since, since_ticks)) <= self._rules.tolerance

    @staticmethod
    def _due(ticks: float, since: datetime, since_ticks: float) -> datetime:
        return since + timedelta(seconds=ticks - since_ticks)

    def _check_kernel(self, ticks: float) -> None:
        asked_at, complaint = self._kernel_said
        if ticks - asked_at >= _KERNEL_ASKED_EVERY:
            complaint = self._ask_kernel()
            self._kernel_said = (ticks, complaint)
        if complaint:
            raise _untrusted(complaint)

    def _ask_kernel(self) -> str:
        try:
            answer = self._kernel()
        except OSError as error:
            return f"the kernel does not tell about its clock: {error.strerror or error}"
        if not answer.synchronised:
            return "the kernel's clock is not synchronised"
        limit = self._rules.max_error
        if timedelta(microseconds=answer.max_error) > limit:
            return f"the kernel's clock may be wrong by {answer.max_error} µs, more than {limit}"
        return ""


def _untrusted(detail: str) -> Fault:
    return Fault(FaultKind.STALE, detail, "the time is not available")
