"""Every CA's time-stamping authority: decode → check → take the time → audit → sign (RFC 3161, RFC 5816)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols import x509
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.tsp import codec, exchange
from pycryptoutil_protocols.tsp.exchange import Policy
from pycryptoutil_protocols.tsp.messages import TstInfo
from pycryptoutil_protocols.tsp.token import sign_token

from pycryptoutil.authority import serials
from pycryptoutil.authority.model import Label
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.signers import ServiceSigner, Signers
from pycryptoutil.authority.timestamp import store
from pycryptoutil.authority.timestamp.trusted_time import ClockRules, TrustedTime
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_PURPOSE: Final = "timestamp"
_ACTOR: Final = "anonymous"
_MAX_PLACES: Final = 1000
_PLACE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class TimestampRules:
    """What every authority of an installation goes by. ``audit_every``: each Nth token has an audit event; 0: none."""

    policy: Policy
    clock: ClockRules = field(default_factory=ClockRules)
    audit_every: int = 1


class TimestampService:
    """Stamps for every CA; shared by all threads of a process."""

    def __init__(self, room: Room, signers: Signers, rules: TimestampRules, time: TrustedTime | None = None) -> None:
        self._room = room
        self._signers = signers
        self._rules = rules
        self._time = time or TrustedTime(room.clock, rules.clock)
        self._count = itertools.count()
        self._places: dict[str, tuple[Label, float]] = {}

    def place(self, label: str, resolve: Callable[[str | None, str], Label]) -> Label:
        """Return what a label in a URL stands for, remembered for some seconds."""
        now = self._room.clock.monotonic()
        held = self._places.get(label)
        if held is not None and now < held[1]:
            return held[0]
        found = resolve(None, label)
        if len(self._places) >= _MAX_PLACES:
            self._places.clear()
        self._places[label] = (found, now + _PLACE_SECONDS)
        return found

    def stamp(self, tenant_id: str, authority: str, encoded: bytes, request_id: str = "") -> bytes:
        """Answer a DER TimeStampReq with a TimeStampResp that grants it; Fault for what is refused."""
        request = codec.decode_request(encoded)
        policy = self._rules.policy
        exchange.check_request(request, policy)
        now = self._time.now()
        signer = self._signers.get(tenant_id, authority, _PURPOSE)
        if now >= signer.not_after:  # the one given is good until a minute from its end at least, unless the CA ends
            raise Fault(FaultKind.UNAVAILABLE, "the signer has ended", "try again later", retry_after=10)
        serial = int.from_bytes(serials.new_serial(self._room.instance), "big")
        subject = x509.own_certificate(signer.certificate).subject
        info = exchange.decide(request, policy, now, serial, subject)
        info = self._record(tenant_id, authority, info, request_id)
        kept = _certificates(signer) if request.cert_req else ()
        return codec.encode_reply(sign_token(info, signer.signer, signer.certificate, kept))

    def _record(self, tenant_id: str, authority: str, info: TstInfo, request_id: str) -> TstInfo:
        """Put the token in its place in the order, and into the audit chain, before it is signed."""
        every = self._rules.audit_every
        audited = every > 0 and next(self._count) % every == 0
        if not audited and not info.ordering:
            return info
        with self._room.database.unit_of_work(tenant_id) as uow:
            if info.ordering:
                info = self._in_order(uow, authority, info)
            if audited:
                details = {
                    "serial": serials.to_hex(info.serial),
                    "gen_time": info.gen_time.isoformat(),
                    "policy": info.policy,
                    "imprint": f"{info.imprint.hash_algorithm}:{info.imprint.digest.hex()}",
                }
                event = AuditEvent("timestamp.sign", _ACTOR, authority, details=details, request_id=request_id)
                audit.append(uow, event)
        return info

    def _in_order(self, uow: UnitOfWork, authority: str, info: TstInfo) -> TstInfo:
        """Give a genTime that no earlier token of this authority reaches; Fault(STALE) when the clock is behind."""
        tick = timedelta(microseconds=10 ** (codec.MAX_DIGITS - info.fraction_digits))
        now = _cut(info.gen_time, tick)
        last = store.lock_last(uow, authority)
        gen_time = now if last is None else max(now, last + tick)
        if gen_time - now > self._rules.clock.tolerance:
            detail = f"the clock is {gen_time - now} behind the last token of {authority}"
            raise Fault(FaultKind.STALE, detail, "the time is not available", retry_after=1)
        store.set_last(uow, authority, gen_time)
        return replace(info, gen_time=gen_time)


def _cut(moment: datetime, tick: timedelta) -> datetime:
    return moment - timedelta(microseconds=moment.microsecond) % tick if moment.microsecond else moment


def _certificates(signer: ServiceSigner) -> Sequence[bytes]:
    """The signer's and its issuers', without the root, which who verifies must have anyway."""
    return (signer.certificate, *(signer.chain[:-1] if len(signer.chain) > 1 else ()))
