"""API tokens: 256 random bits behind ``pcu_``, shown once, kept as keyed hashes, never stronger than their owner."""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock
from pycryptoutil.service import store
from pycryptoutil.service.definition import ADMINISTRATOR_SCOPE
from pycryptoutil.service.hashing import Hasher, Registry
from pycryptoutil.storage import SYSTEM_TENANT, Database, UnitOfWork

PREFIX = "pcu_"  # lets secret scanners recognise one
_PURPOSE = "api-token"
_TOKEN = re.compile(r"pcu_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made; ``text`` is its only copy."""

    row: store.TokenRow
    text: str = field(repr=False)


def effective_scopes(token: frozenset[str], owner: frozenset[str]) -> frozenset[str]:
    """Return what a token may do now: its own scopes, as far as its owner still has them."""
    return token if ADMINISTRATOR_SCOPE in owner else token & owner


class Tokens:
    """Makes and recognises API tokens."""

    def __init__(self, database: Database, hasher: Hasher, clock: Clock) -> None:
        self._database = database
        self._hasher = hasher
        self._clock = clock

    def create(
        self, uow: UnitOfWork, owner_id: str, name: str, scopes: frozenset[str], expires_at: datetime
    ) -> NewToken:
        """Write a token in the caller's unit."""
        text = PREFIX + secrets.token_urlsafe(32)
        row = store.TokenRow(
            tenant_id=uow.tenant_id,
            id=uuid.uuid4().hex,
            principal_id=owner_id,
            name=name,
            lookup=self._hasher.hash(Registry.HIGH_DETERMINISTIC, text, purpose=_PURPOSE),
            token_hash=self._hasher.hash(Registry.HIGH_RANDOM, text, purpose=_PURPOSE),
            scopes=scopes,
            created_at=self._clock.now(),
            expires_at=expires_at,
            revoked_at=None,
        )
        store.insert_token(uow, row)
        return NewToken(row, text)

    def find(self, text: str) -> store.Found:
        """Return whose token this is; Fault(UNAUTHENTICATED) unless it is in force."""
        if not _TOKEN.fullmatch(text):
            raise Fault(FaultKind.UNAUTHENTICATED, "bearer token is not one of ours")
        lookups = self._hasher.lookups(Registry.HIGH_DETERMINISTIC, text, purpose=_PURPOSE)
        with self._database.read(SYSTEM_TENANT) as reader:
            found = store.find_token_anywhere(reader, lookups)
        if found is None or found.token is None:
            raise Fault(FaultKind.UNAUTHENTICATED, "no such API token")
        row = found.token
        fresh = self._hasher.verify(Registry.HIGH_RANDOM, text, row.token_hash, purpose=_PURPOSE)
        if row.revoked_at is not None:
            raise Fault(FaultKind.UNAUTHENTICATED, f"API token {row.id} is revoked")
        if row.expires_at is not None and self._clock.now() >= row.expires_at:
            raise Fault(FaultKind.UNAUTHENTICATED, f"API token {row.id} has expired")
        if fresh is not None:
            with self._database.unit_of_work(row.tenant_id) as uow:
                lookup = self._hasher.hash(Registry.HIGH_DETERMINISTIC, text, purpose=_PURPOSE)
                store.refresh_token_hashes(uow, row.id, lookup, fresh)
        return found
