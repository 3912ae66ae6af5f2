"""Token buckets in bounded memory. Each process counts requests for itself: that limit protects the process.

Failed logins are counted by all workers of a suite together, since that limit protects an account.

An address is an IPv4 address or an IPv6 /64 (one subscriber's network; counting single addresses there counts nothing).
"""

from __future__ import annotations

import functools
import ipaddress
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock
from pycryptoutil.service.settings import RateLimitSettings

MAX_BUCKETS = 65_536
MAX_RETRY_AFTER = 3600


@functools.lru_cache(maxsize=8192)
def address_group(peer: str) -> str:
    """Return what one address is counted as; an IPv4-mapped IPv6 address is the IPv4 one."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer[:64]  # a Unix socket, or nothing known: one bucket each
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class TokenBuckets:
    """``rate`` tokens a second up to ``burst``, for each key; the least recently used key is forgotten at the cap.

    A forgotten key starts full again, so a flood of keys can at worst give old ones their burst back.
    """

    def __init__(self, clock: Clock, rate: float, burst: int, *, capacity: int = MAX_BUCKETS) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = float(burst)
        self._capacity = capacity
        self._now = clock.monotonic
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._buckets)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._buckets

    def take(self, key: Hashable, cost: float = 1.0) -> float:
        """Take ``cost`` tokens. Return 0.0, or the seconds until there will be enough (then nothing was taken)."""
        with self._lock:
            bucket = self._refilled(key)
            if bucket.tokens >= cost:
                bucket.tokens -= cost
                return 0.0
            return (cost - bucket.tokens) / self._rate

    def wait(self, key: Hashable) -> float:
        """Return the seconds until a token is there, taking none."""
        with self._lock:
            known = self._buckets.get(key)
            if known is None:
                return 0.0
            tokens = min(self._burst, known.tokens + max(0.0, self._clock.monotonic() - known.at) * self._rate)
            return 0.0 if tokens >= 1.0 else (1.0 - tokens) / self._rate

    def spend(self, key: Hashable) -> None:
        """Take one token, going down to zero at most."""
        with self._lock:
            bucket = self._refilled(key)
            bucket.tokens = max(0.0, bucket.tokens - 1.0)

    def forget(self, key: Hashable) -> None:
        """Fill the bucket again."""
        with self._lock:
            self._buckets.pop(key, None)

    def _refilled(self, key: Hashable) -> _Bucket:
        now = self._now()
        bucket = self._buckets.get(key)
        if bucket is None:
            while len(self._buckets) >= self._capacity:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = _Bucket(self._burst, now)
            return bucket
        self._buckets.move_to_end(key)
        if now > bucket.at:
            tokens = bucket.tokens + (now - bucket.at) * self._rate
            bucket.tokens = min(self._burst, tokens)
            bucket.at = now
        return bucket


def _limited(detail: str, wait: float) -> Fault:
    seconds = min(MAX_RETRY_AFTER, max(1, math.ceil(wait)))
    return Fault(FaultKind.RATE_LIMITED, detail, "Too many requests; retry later.", retry_after=seconds)


class RateLimiter:
    """How many requests an address, and a principal, may make. Needs no I/O: the reactor may ask it."""

    def __init__(self, settings: RateLimitSettings, clock: Clock) -> None:
        self._enabled = settings.enabled
        self._addresses = TokenBuckets(clock, settings.per_address, settings.address_burst)
        self._principals = TokenBuckets(clock, settings.per_principal, settings.principal_burst)

    def check_address(self, peer: str) -> None:
        """Count one request of ``peer``; Fault(RATE_LIMITED, retry_after) if it has had its share."""
        if self._enabled and (wait := self._addresses.take(address_group(peer))):
            raise _limited("address over its rate", wait)

    def check_principal(self, principal_id: str) -> None:
        """Count one request of an authenticated principal; Fault(RATE_LIMITED, retry_after) if over."""
        if self._enabled and principal_id and (wait := self._principals.take(principal_id)):
            raise _limited("principal over its rate", wait)


Tell = Callable[[str, str, bool], None]
"""``(address group, account, failed)``; False: the two are forgiven. Called on worker threads, returns at once."""


def tell_nobody(_group: str, _account: str, _failed: bool) -> None:
    """Count alone."""


class FailureThrottle:
    """Slows guessing: only failures count, for the address, the account, and the two together.

    The pair is the tight one. The account alone has a wider bucket, so that a stranger elsewhere cannot easily lock
    its owner out, and a distributed guesser still meets a bound.
    """

    PAIR_BURST = 5
    ACCOUNT_BURST = 50

    def __init__(self, settings: RateLimitSettings, clock: Clock, tell: Tell = tell_nobody) -> None:
        """``tell`` passes on what is counted here, for the siblings' :meth:`heard`."""
        self._tell = tell
        self._enabled = settings.enabled
        rate = settings.failed_logins
        self._addresses = TokenBuckets(clock, rate, settings.failed_logins_burst)
        self._pairs = TokenBuckets(clock, rate, min(self.PAIR_BURST, settings.failed_logins_burst))
        self._accounts = TokenBuckets(clock, rate, max(self.ACCOUNT_BURST, settings.failed_logins_burst))

    def check(self, peer: str, account: str) -> None:
        """Fault(RATE_LIMITED, retry_after) before any hash is computed, if too many attempts failed."""
        if not self._enabled:
            return
        group = address_group(peer)
        wait = max(
            self._addresses.wait(group),
            self._pairs.wait((group, account[:128])),
            self._accounts.wait(account[:128]) if account else 0.0,
        )
        if wait:
            raise _limited("too many failed authentications", wait)

    def failed(self, peer: str, account: str) -> None:
        """Count a failure, here and among the siblings."""
        group, account = address_group(peer), account[:128]
        self.heard(group, account, True)
        self._tell(group, account, True)

    def heard(self, group: str, account: str, failed: bool) -> None:
        """Count what happened here, or at a sibling."""
        if not failed:
            self._pairs.forget((group, account))
            return
        self._addresses.spend(group)
        self._pairs.spend((group, account))
        if account:
            self._accounts.spend(account)

    def succeeded(self, peer: str, account: str) -> None:
        """Forgive the pair; the address keeps its failures, or one own account would reset a guesser's count."""
        group, account = address_group(peer), account[:128]
        if (group, account) in self._pairs:
            self.heard(group, account, False)
            self._tell(group, account, False)
