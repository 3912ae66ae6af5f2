"""JWK Sets (RFC 7517 section 5) in memory: read by the reactor without a lock, made and kept fresh by workers.

A set has the next key of a ring before its first use, the active one, and retired ones for a grace time. Secrets have
no public half, so none can be in it. What another replica has changed shows within :data:`FRESH_FOR` seconds.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock
from pycryptoutil.http.message import Response
from pycryptoutil.jose.text import dumps
from pycryptoutil.keyring import ElasticKey, KeyFilter, KeyringService, KeyStatus, KeyVersion, VersionStatus
from pycryptoutil.services.jose_ja.published.store import find_tenant
from pycryptoutil.storage import SYSTEM_TENANT, Database

MEDIA_TYPE: Final = "application/jwk-set+json"
REFRESH: Final = 1.0
FRESH_FOR: Final = 2.5
_KEPT_FOR: Final = 120.0  # since it was last asked for
_MAX_SETS: Final = 1000
_MAX_KEYS: Final = 1000
_PAGE: Final = 200
_ORDER: Final = {VersionStatus.ACTIVE: 0, VersionStatus.PENDING: 1}

Name = tuple[str, str]
"""Tenant and ring as a URL says them; an empty one is the default tenant, or every ring."""


@dataclass(slots=True, eq=False)
class _Set:
    tenant_id: str
    response: Response
    until: float  # monotonic
    asked: float


class Published:
    """Every set that was asked for lately."""

    def __init__(
        self, keyring: KeyringService, database: Database, clock: Clock, tenant_id: str, max_age: int, grace: timedelta
    ) -> None:
        self._keyring, self._database, self._clock = keyring, database, clock
        self._tenant_id = tenant_id
        self._grace = grace
        self._cache_control = f"public, max-age={max_age}, must-revalidate"
        self._lock = threading.Lock()
        self._sets: dict[Name, _Set] = {}
        self._generation = 0

    def cached(self, tenant: str, ring: str) -> Response | None:
        """Return a set from memory; None: ask a worker. No lock: the reactor calls this."""
        found = self._sets.get((tenant, ring))
        if found is None:
            return None
        now = self._clock.monotonic()
        if now >= found.until:
            return None
        found.asked = now
        return found.response

    def current(self, tenant: str, ring: str) -> Response:
        """Return a set as it is now, and remember it; Fault(NOT_FOUND), the same for no tenant and no ring."""
        now = self._clock.monotonic()
        return self._make((tenant, ring), now, now).response

    def refresh(self) -> None:
        """Make anew what is still asked for, and let go of the rest. For a background task."""
        now = self._clock.monotonic()
        for name, known in list(self._sets.items()):
            if now - known.asked > _KEPT_FOR:
                self._forget(name)
                continue
            try:
                self._make(name, now, known.asked)
            except Fault as fault:
                self._forget(name)
                if fault.kind is not FaultKind.NOT_FOUND:
                    raise

    def changed(self, tenant_id: str) -> None:
        """Forget a tenant's sets after a change made here."""
        with self._lock:
            self._generation += 1
            self._sets = {name: known for name, known in self._sets.items() if known.tenant_id != tenant_id}

    def _forget(self, name: Name) -> None:
        with self._lock:
            self._sets.pop(name, None)

    def _make(self, name: Name, now: float, asked: float) -> _Set:
        generation = self._generation
        tenant_id = self._tenant(name[0])
        rings = [self._ring(tenant_id, name[1])] if name[1] else self._rings(tenant_id)
        keys = [key for ring in rings for key in self._keys(tenant_id, ring)][:_MAX_KEYS]
        body = dumps({"keys": keys})
        headers = (
            ("ETag", f'"{hashlib.sha256(body).hexdigest()[:40]}"'),
            ("Cache-Control", self._cache_control),
            ("Access-Control-Allow-Origin", "*"),
        )
        made = _Set(tenant_id, Response(200, body, MEDIA_TYPE, headers), now + FRESH_FOR, asked)
        with self._lock:
            if generation == self._generation and (name in self._sets or len(self._sets) < _MAX_SETS):
                self._sets[name] = made
        return made

    def _tenant(self, name: str) -> str:
        if not name:
            return self._tenant_id
        with self._database.read(SYSTEM_TENANT) as reader:
            found = find_tenant(reader, name[:200])
        if found is None:
            raise _no_set()
        return found

    def _ring(self, tenant_id: str, reference: str) -> ElasticKey:
        try:
            return self._keyring.get(tenant_id, reference)
        except Fault as fault:
            raise _no_set() if fault.kind is FaultKind.NOT_FOUND else fault from None

    def _rings(self, tenant_id: str) -> list[ElasticKey]:
        found: list[ElasticKey] = []
        cursor = ""
        while True:
            wanted = KeyFilter(status=KeyStatus.ENABLED)
            page = self._keyring.list(tenant_id, wanted, cursor=cursor, limit=_PAGE)
            found += page.items
            cursor = page.cursor
            if not cursor or len(found) >= _MAX_KEYS:
                return found

    def _keys(self, tenant_id: str, ring: ElasticKey) -> list[dict[str, object]]:
        shown = self._keyring.published(tenant_id, ring.id, self._grace)
        shown.sort(key=lambda one: (_ORDER.get(one.status, 2), -one.version))
        return [one.public.members() for one in shown if one.public is not None]


def _no_set() -> Fault:
    said = "there is no such set of keys"
    return Fault(FaultKind.NOT_FOUND, said, said)


def jwks_url(public_url: str, ring: ElasticKey, versions: Sequence[KeyVersion]) -> str | None:
    """Return where a ring's public keys are published; None for one of secrets."""
    if all(one.public is None for one in versions):
        return None
    return f"{public_url}/jwks/{quote(ring.tenant_id)}/{ring.id}/jwks.json"
