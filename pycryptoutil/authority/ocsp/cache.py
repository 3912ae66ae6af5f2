"""Responses signed ahead, in bounded memory: read by the reactor without a lock, written by workers under one."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pycryptoutil_protocols.ocsp import exchange

from pycryptoutil.authority.model import RevocationEvent
from pycryptoutil.http.message import Response

MAX_KEY: Final = 400
"""Octets of the longest request that is remembered; a plain one has about 80, so a key bounds an entry's memory."""

Key = tuple[str, bytes | str]
"""The CA's public id, and the request as received: its DER, or the raw path of a GET."""


@dataclass(slots=True, eq=False)
class Presigned:
    """One signed response without nonce."""

    der: bytes = field(repr=False)
    etag: str
    headers: tuple[tuple[str, str], ...]
    until: float  # monotonic: after this a new one is signed
    authority_id: str
    serial: str
    cert_id: bytes = field(repr=False)  # DER as asked
    signer: str = ""  # serial of the delegated responder that signed it
    asked: bool = False  # since the eviction hand last passed
    answer: Response | None = field(default=None, repr=False)  # what HTTP has made of it, the first time


class PresignedCache:
    """Requests → responses, by second chance: what was asked for again since the last round stays."""

    def __init__(self, capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._by_request: dict[Key, Presigned] = {}
        self._by_serial: dict[tuple[str, str], set[Key]] = {}
        self._signers: set[tuple[str, str]] = set()  # that signed anything kept: a CA has a new one in weeks
        self._generation = 0

    def __len__(self) -> int:
        return len(self._by_request)

    def get(self, key: Key, now: float) -> Presigned | None:
        """Return a response that is still good at ``now`` (monotonic). One look-up, no lock: the reactor calls this."""
        found = self._by_request.get(key)
        if found is None or now >= found.until:
            return None
        found.asked = True
        return found

    @property
    def generation(self) -> int:
        """Grows with every change. Taken before a status is read, it lets :meth:`put` know that one came in between."""
        return self._generation

    def put(self, key: Key, response: Presigned, generation: int) -> None:
        """Remember, unless a change was heard of since ``generation``."""
        if len(key[1]) > MAX_KEY:
            return
        with self._lock:
            if generation != self._generation:
                return
            self._forget(key)
            self._by_request[key] = response
            self._signers.add((response.authority_id, response.signer))
            self._by_serial.setdefault((response.authority_id, response.serial), set()).add(key)
            while len(self._by_request) > self._capacity:
                self._evict()

    def changed(self, events: Sequence[RevocationEvent] | None) -> None:
        """Drop what these events concern, be it by its signer; everything, for None."""
        with self._lock:
            self._generation += 1
            if events is None:
                self._by_request.clear()
                self._by_serial.clear()
                self._signers.clear()
                return
            for event in events:
                if (event.authority_id, event.serial) in self._signers:
                    self._forget_signed_by(event.authority_id, event.serial)
                for key in tuple(self._by_serial.get((event.authority_id, event.serial), ())):
                    self._forget(key)

    def clear(self) -> None:
        """Drop everything."""
        self.changed(None)

    def due(self, now: float, soon: float, limit: int) -> list[Presigned]:
        """Return responses that were asked for and end within ``soon`` seconds: time to sign them anew."""
        with self._lock:
            distinct = {id(r): r for r in self._by_request.values() if r.asked and r.until - now < soon}
        return sorted(distinct.values(), key=lambda r: r.until)[:limit]

    def keys_of(self, response: Presigned) -> tuple[Key, ...]:
        """Return the requests that are answered by ``response``."""
        with self._lock:
            keys = self._by_serial.get((response.authority_id, response.serial), set())
            return tuple(key for key in keys if self._by_request.get(key) is response)

    def _forget_signed_by(self, authority_id: str, signer: str) -> None:
        """Go through everything: a responder is revoked hardly ever."""
        self._signers.discard((authority_id, signer))
        for key, response in tuple(self._by_request.items()):
            if (response.authority_id, response.signer) == (authority_id, signer):
                self._forget(key)

    def _evict(self) -> None:
        while True:
            key, oldest = next(iter(self._by_request.items()))
            if not oldest.asked:
                self._forget(key)
                return
            oldest.asked = False
            self._by_request[key] = self._by_request.pop(key)  # to the end of the line

    def _forget(self, key: Key) -> None:
        response = self._by_request.pop(key, None)
        if response is None:
            return
        place = (response.authority_id, response.serial)
        keys = self._by_serial.get(place)
        if keys is not None:
            keys.discard(key)
            if not keys:
                del self._by_serial[place]


class StatusCache:
    """Statuses of certificates that were asked about, for responses that are signed for one client each."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._held: dict[tuple[str, int], exchange.Status] = {}
        self._generation = 0

    @property
    def generation(self) -> int:
        """As :attr:`PresignedCache.generation`."""
        return self._generation

    def get(self, authority_id: str, serials: Sequence[int]) -> Mapping[int, exchange.Status] | None:
        """Return the status of every serial, or None if one is not held."""
        found: dict[int, exchange.Status] = {}
        for serial in serials:
            status = self._held.get((authority_id, serial))
            if status is None:
                return None
            found[serial] = status
        return found

    def put(self, authority_id: str, statuses: Mapping[int, exchange.Status], generation: int) -> None:
        """Remember, unless a change was heard of since ``generation``."""
        with self._lock:
            if generation != self._generation:
                return
            if len(self._held) + len(statuses) > self._capacity:
                self._held.clear()
            for serial, status in statuses.items():
                self._held[authority_id, serial] = status

    def changed(self, events: Sequence[RevocationEvent] | None) -> None:
        """Drop what these events concern; everything, for None."""
        with self._lock:
            self._generation += 1
            if events is None:
                self._held.clear()
                return
            for event in events:
                self._held.pop((event.authority_id, int(event.serial, 16)), None)
