"""A clock is stamped with only while it behaves."""

from __future__ import annotations

import ctypes
import errno
import platform
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.timestamp.trusted_time import ClockCheck, ClockRules, TrustedTime
from pycryptoutil.clock import FixedClock, KernelClock, kernel_clock


@dataclass
class Kernel:
    """What the kernel will say."""

    answer: KernelClock | OSError = field(default_factory=lambda: KernelClock(True, 1000))
    asked: int = 0

    def __call__(self) -> KernelClock:
        self.asked += 1
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


def refused(time: TrustedTime) -> bool:
    try:
        time.now()
    except Fault as fault:
        return (fault.kind, fault.public) == (FaultKind.STALE, "the time is not available")
    return False


def test_an_even_clock_is_trusted() -> None:
    clock = FixedClock()
    time = TrustedTime(clock, ClockRules())
    for seconds in (0.5, 3600, 0.0, 86400 * 30):
        clock.advance(seconds)
        assert time.now() == clock.now()


@pytest.mark.parametrize("jump", [timedelta(seconds=2), timedelta(seconds=-2), timedelta(days=-4000)])
def test_a_jump_is_refused_until_the_clock_is_back(jump: timedelta) -> None:
    clock = FixedClock()
    time = TrustedTime(clock, ClockRules())
    clock.instant += jump
    assert refused(time)
    clock.advance(30)
    assert refused(time)
    clock.instant -= jump
    assert time.now() == clock.now()


def test_small_steps_are_ntp_at_work() -> None:
    clock = FixedClock()
    time = TrustedTime(clock, ClockRules())
    for _ in range(100):
        clock.instant += timedelta(milliseconds=500)
        assert not refused(time)


def test_a_step_that_stays_is_accepted_after_a_while() -> None:
    clock = FixedClock()
    time = TrustedTime(clock, ClockRules(settle=timedelta(minutes=10)))
    clock.instant += timedelta(hours=1)
    assert refused(time)
    clock.advance(599)
    assert refused(time)
    clock.advance(2)
    assert time.now() == clock.now()
    clock.advance(1000)
    assert not refused(time)


def test_a_clock_that_jumps_on_does_not_settle() -> None:
    clock = FixedClock()
    time = TrustedTime(clock, ClockRules(settle=timedelta(minutes=10)))
    for _ in range(20):
        clock.instant += timedelta(seconds=5)
        assert refused(time)
        clock.advance(400)


def test_without_settling_it_must_come_back() -> None:
    clock = FixedClock()
    time = TrustedTime(clock, ClockRules(settle=timedelta(0)))
    clock.instant += timedelta(hours=1)
    assert refused(time)
    clock.advance(86400)
    assert refused(time)


def test_none_believes_anything() -> None:
    clock = FixedClock()
    time = TrustedTime(clock, ClockRules(ClockCheck.NONE))
    clock.instant += timedelta(days=1000)
    assert time.now() == clock.now()


@pytest.mark.parametrize(
    "answer", [KernelClock(False, 10), KernelClock(True, 2_000_000), OSError(1, "Operation not permitted")]
)
def test_the_kernel_may_object(answer: KernelClock | OSError) -> None:
    clock, kernel = FixedClock(), Kernel(answer)
    time = TrustedTime(clock, ClockRules(ClockCheck.KERNEL), kernel)
    assert refused(time)
    kernel.answer = KernelClock(True, 1000)
    assert refused(time), "asked once a second at most"
    clock.advance(1)
    assert time.now() == clock.now()
    assert kernel.asked == 2


def test_the_kernel_check_sees_jumps_too() -> None:
    clock = FixedClock()
    time = TrustedTime(clock, ClockRules(ClockCheck.KERNEL), Kernel())
    assert not refused(time)
    clock.instant += timedelta(minutes=1)
    assert refused(time)


def test_this_machines_kernel_answers() -> None:
    """Whatever it says: the structure is read where the kernel writes it."""
    answer = kernel_clock()
    assert isinstance(answer.synchronised, bool)
    assert 0 <= answer.max_error <= 16_000_000 + 1_000_000


def test_a_container_that_refuses_clock_adjtime_is_asked_by_adjtimex(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Refusing:
        """The C library under the usual filter of containers: by name it goes through clock_adjtime."""

        def adjtimex(self, _answer: object) -> int:
            ctypes.set_errno(errno.EPERM)
            return -1

        def syscall(self, number: ctypes.c_long, answer: Any) -> int:
            asked.append(number.value)
            answer._obj.max_error = 1234
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Refusing())
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert kernel_clock() == KernelClock(synchronised=True, max_error=1234)
    assert asked == [159]
    monkeypatch.setattr(platform, "machine", lambda: "unknown")
    with pytest.raises(PermissionError):
        kernel_clock()
