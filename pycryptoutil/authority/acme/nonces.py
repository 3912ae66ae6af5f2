"""Replay nonces (RFC 8555 section 6.5): any replica knows one by its MAC, and the database lets each be used once."""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from pycryptoutil_protocols.acme.jwk import decode_base64url, encode_base64url
from pycryptoutil_protocols.acme.problems import AcmeFault, ProblemType, refused

from pycryptoutil.authority.acme.store import accounts as store
from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import Clock
from pycryptoutil.storage import Database

_PURPOSE: Final = "acme-nonce"
_TIME, _RANDOM, _MAC = 6, 10, 16  # octets
_LIFE: Final = timedelta(hours=1)


class Nonces:
    """Shared by all threads."""

    def __init__(self, database: Database, barrier: Barrier, clock: Clock) -> None:
        self._database = database
        self._barrier = barrier
        self._clock = clock

    def new(self) -> str:
        """Return a fresh one; Fault(SEALED)."""
        body = int(self._clock.now().timestamp()).to_bytes(_TIME, "big") + secrets.token_bytes(_RANDOM)
        return encode_base64url(body + self._mac(body))

    def use(self, tenant_id: str, text: str) -> None:
        """Use one up; badNonce for what is not ours, is too old or was used before."""
        try:
            octets = decode_base64url(text, "nonce")
        except AcmeFault:
            raise _bad("it is not one of ours") from None
        body, mac = octets[: _TIME + _RANDOM], octets[_TIME + _RANDOM :]
        if len(octets) != _TIME + _RANDOM + _MAC or not hmac.compare_digest(mac, self._mac(body)):
            raise _bad("it is not one of ours")
        ends = datetime.fromtimestamp(int.from_bytes(body[:_TIME], "big"), UTC) + _LIFE
        if ends <= self._clock.now():
            raise _bad("it is too old")
        with self._database.unit_of_work(tenant_id) as uow:
            fresh = store.use_nonce(uow, text, ends)
        if not fresh:
            raise _bad("it was used before")

    def _mac(self, body: bytes) -> bytes:
        return self._barrier.lookup_mac(_PURPOSE, body)[:_MAC]


def _bad(text: str) -> AcmeFault:
    return refused(ProblemType.BAD_NONCE, f"the nonce is not good: {text}; take the fresh one of this answer")
