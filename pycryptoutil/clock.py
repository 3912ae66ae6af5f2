"""Time is injected: nothing else in the project reads a clock or sleeps."""

from __future__ import annotations

import ctypes
import errno
import platform
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall and monotonic time, and waiting."""

    def now(self) -> datetime:
        """Return UTC now, timezone-aware."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What the kernel says of its own clock; ``max_error`` in microseconds."""

    synchronised: bool
    max_error: int


class _Timex(ctypes.Structure):
    """struct timex of Linux, up to what is read here, and padded beyond what any version writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "max_error", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


_UNSYNCHRONISED = 0x40  # STA_UNSYNC
_TIME_ERROR = 5
_SYS_ADJTIMEX = {"x86_64": 159, "aarch64": 171, "riscv64": 171}


def kernel_clock() -> KernelClock:
    """Ask the kernel whether NTP or PTP disciplines its clock (adjtimex, read only); OSError where it cannot tell."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "adjtimex"):
        raise OSError("adjtimex is not there")
    answer = _Timex()
    state = library.adjtimex(ctypes.byref(answer))
    number = _SYS_ADJTIMEX.get(platform.machine())
    if state < 0 and ctypes.get_errno() == errno.EPERM and number is not None:
        # glibc asks by clock_adjtime, which containers refuse without CAP_SYS_TIME; the older call may only read
        answer = _Timex()
        state = library.syscall(ctypes.c_long(number), ctypes.byref(answer))
    if state < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    return KernelClock(state != _TIME_ERROR and not answer.status & _UNSYNCHRONISED, int(answer.max_error))


@dataclass
class FixedClock:
    """A clock for tests that moves only when told."""

    instant: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    ticks: float = 0.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward (a negative value moves only the wall clock back)."""
        self.instant += timedelta(seconds=seconds)
        if seconds > 0:
            self.ticks += seconds
