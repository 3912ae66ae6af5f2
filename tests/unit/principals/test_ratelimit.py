"""Token buckets, addresses, and the throttle of failures."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import FixedClock
from pycryptoutil.service.ratelimit import FailureThrottle, RateLimiter, Tell, TokenBuckets, address_group
from pycryptoutil.service.settings import RateLimitSettings


@pytest.mark.parametrize(
    ("peer", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("not an address", "not an address"),
    ],
)
def test_address_groups(peer: str, group: str) -> None:
    assert address_group(peer) == group


def test_burst_then_rate() -> None:
    clock = FixedClock()
    buckets = TokenBuckets(clock, rate=2.0, burst=3)
    assert [buckets.take("a") for _ in range(3)] == [0.0] * 3
    assert buckets.take("a") == pytest.approx(0.5)
    assert buckets.take("b") == 0.0
    clock.advance(0.5)
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0.0
    clock.advance(-100)  # the wall clock's affair, not ours
    assert buckets.take("a") > 0.0


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 5)), max_size=60))
def test_never_more_than_burst_and_rate_allow(events: list[tuple[int, float]]) -> None:
    clock, taken, elapsed = FixedClock(), dict.fromkeys(range(4), 0), 0.0
    buckets = TokenBuckets(clock, rate=1.0, burst=4)
    for key, pause in events:
        clock.advance(pause)
        elapsed += pause
        taken[key] += buckets.take(key) == 0.0
    assert all(count <= 4 + elapsed + 1e-6 for count in taken.values())


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    buckets = TokenBuckets(FixedClock(), rate=1.0, burst=1, capacity=100)
    buckets.take("kept")
    for number in range(1000):
        buckets.take(number)
        if number % 50 == 0:
            assert buckets.take("kept") > 0.0
    assert len(buckets) == 100


def test_threads_take_no_more_than_there_is() -> None:
    buckets = TokenBuckets(FixedClock(), rate=0.001, burst=500)
    got: list[int] = []

    def run() -> None:
        got.append(sum(buckets.take("x") == 0.0 for _ in range(300)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 500


def test_limiter_says_when_to_come_again() -> None:
    clock = FixedClock()
    limiter = RateLimiter(
        RateLimitSettings(per_address=0.1, address_burst=1, per_principal=1, principal_burst=1), clock
    )
    limiter.check_address("192.0.2.1")
    with pytest.raises(Fault) as caught:
        limiter.check_address("192.0.2.1")
    assert caught.value.kind is FaultKind.RATE_LIMITED
    assert caught.value.retry_after == 10
    limiter.check_address("192.0.2.2")
    limiter.check_principal("p")
    limiter.check_principal("")  # nobody: not counted
    limiter.check_principal("")
    with pytest.raises(Fault):
        limiter.check_principal("p")
    clock.advance(10)
    limiter.check_address("192.0.2.1")


def test_limits_can_be_turned_off() -> None:
    limiter = RateLimiter(RateLimitSettings(enabled=False, address_burst=1, per_address=0.1), FixedClock())
    for _ in range(10):
        limiter.check_address("192.0.2.1")


def test_only_failures_count() -> None:
    clock = FixedClock()
    throttle = FailureThrottle(RateLimitSettings(failed_logins=0.1, failed_logins_burst=20), clock)
    for _ in range(100):
        throttle.check("192.0.2.1", "a")
        throttle.succeeded("192.0.2.1", "a")
    for _ in range(5):
        throttle.check("192.0.2.1", "a")
        throttle.failed("192.0.2.1", "a")
    with pytest.raises(Fault):
        throttle.check("192.0.2.1", "a")
    throttle.check("192.0.2.1", "b")
    throttle.check("192.0.2.2", "a")


def test_one_own_account_does_not_reset_the_address() -> None:
    throttle = FailureThrottle(RateLimitSettings(failed_logins_burst=20), FixedClock())
    for number in range(20):
        throttle.failed("192.0.2.1", f"victim-{number}")
        throttle.succeeded("192.0.2.1", "own")
    with pytest.raises(Fault):
        throttle.check("192.0.2.1", "another")


def test_many_addresses_meet_the_account_s_bound() -> None:
    throttle = FailureThrottle(RateLimitSettings(), FixedClock())
    for number in range(50):
        throttle.check(f"10.0.0.{number}", "a")
        throttle.failed(f"10.0.0.{number}", "a")
    with pytest.raises(Fault):
        throttle.check("10.0.1.1", "a")


def test_siblings_count_the_same_failures() -> None:
    """Two workers allow no more guesses than one."""
    clock = FixedClock()
    throttles: list[FailureThrottle] = []

    def tell(me: int) -> Tell:
        return lambda *what: [one.heard(*what) for at, one in enumerate(throttles) if at != me] and None

    throttles += [FailureThrottle(RateLimitSettings(), clock, tell(number)) for number in range(3)]
    for number in range(5):
        throttles[number % 3].check("2001:db8::1", "user:a")
        throttles[number % 3].failed("2001:db8::1", "user:a")
    for one in throttles:
        with pytest.raises(Fault):
            one.check("2001:db8::2", "user:a")  # the same network
    clock.advance(6)
    throttles[1].check("2001:db8::1", "user:a")
    throttles[1].succeeded("2001:db8::1", "user:a")  # forgiven everywhere
    for _ in range(4):
        throttles[2].failed("2001:db8::1", "user:a")
    throttles[0].check("2001:db8::1", "user:a")


def test_who_never_failed_is_not_told_of() -> None:
    told: list[object] = []
    throttle = FailureThrottle(RateLimitSettings(), FixedClock(), lambda *what: told.append(what))
    throttle.succeeded("192.0.2.1", "a")
    assert told == []
