"""The OCSP responder of every CA: who signs, what is answered, what is kept signed ahead (RFC 6960, 5019, 9654)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from pycryptoutil_protocols.der import integer, sequence
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ocsp import caching, codec, exchange
from pycryptoutil_protocols.x509 import decode_certificate

from pycryptoutil.authority import store
from pycryptoutil.authority.certificates import store as certificate_store
from pycryptoutil.authority.model import RevocationEvent, RevocationState
from pycryptoutil.authority.ocsp import warm
from pycryptoutil.authority.ocsp.cache import Key, Presigned, PresignedCache, StatusCache
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.serials import to_hex
from pycryptoutil.authority.signers import make
from pycryptoutil.crypto.pkcs11 import TokenFault
from pycryptoutil.crypto.signer import KeySigner, OcspSigner
from pycryptoutil.storage import SYSTEM_TENANT

_KIND: Final = make.PURPOSES[make.OCSP]
_RELOAD_AFTER: Final = 60.0  # seconds: a renewed signer is taken up at most this late, hours before the old one ends
_MAX_RESPONDERS: Final = 1000
_REFRESH_SOON: Final = 120.0
_REFRESH_BATCH: Final = 256
_WARM_SECONDS: Final = 10.0  # of signing ahead at a time: RSA takes its time
_WARM_OCTETS: Final = 32 << 20  # and ML-DSA its space
_NO_STORE: Final = (("cache-control", "no-store"),)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Responder:
    """One CA's responder, as it is now."""

    tenant_id: str
    authority_id: str
    issuer: exchange.Issuer
    signer: OcspSigner = field(repr=False)
    until: float  # monotonic: looked up again after this
    expires: datetime  # of the certificate that signs
    serial: str = ""  # of the same, where it is not the CA's own


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """A signed response with its HTTP header fields."""

    der: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...]
    etag: str = ""


class OcspService:
    """Answers for every CA of the installation; shared by all threads."""

    def __init__(self, room: Room, watch: RevocationWatch) -> None:
        self._room = room
        self._database = room.database
        self._barrier = room.barrier
        self._clock = room.clock
        self._settings = settings = room.settings
        self._watch = watch
        self._policy = exchange.Policy(
            validity=settings.ocsp_validity_hours * 3600,
            extended_revoke=settings.ocsp_never_issued == "revoked",
            archive_cutoff=settings.ocsp_archive_days * 86400,
        )
        self._lock = threading.Lock()
        self._responders: dict[str, Responder] = {}
        self.cache = PresignedCache()
        self.statuses = StatusCache()
        watch.subscribe(self._signer_revoked)  # before the cache, so that nothing is signed by it any more
        watch.subscribe(self.cache.changed)
        watch.subscribe(self.statuses.changed)
        self._warm_until = float("-inf")  # monotonic: after this, what was signed ahead is to be signed anew
        self._warm_ends, self._warm_octets = float("-inf"), 0  # of the present round
        watch.subscribe(self._forgotten)

    # -- the reactor's side: no I/O, no lock ---------------------------------------------------------------------------

    def cached(self, key: Key) -> Presigned | None:
        """Return a response signed ahead, if one is kept and this replica is up to date; None: ask :meth:`respond`."""
        now = self._clock.monotonic()
        if self._barrier.sealed or not self._watch.fresh_at(now):
            return None
        return self.cache.get(key, now)

    # -- a worker's side -----------------------------------------------------------------------------------------------

    def respond(self, public_id: str, encoded: bytes, key: Key | None = None) -> OcspAnswer:
        """Answer a DER request to the CA of this public id; Fault for what only an error status can answer.

        With ``key`` the response is kept for :meth:`cached`, where it may be.
        """
        generation = self.cache.generation  # before anything is looked at that a revocation changes
        held = self.cached((public_id, encoded))  # under another spelling of the same request
        if held is not None:
            if key is not None:
                self.cache.put(key, held, generation)
            return OcspAnswer(held.der, held.headers, held.etag)
        responder = self._responder(public_id)
        request = codec.decode_request(encoded)
        wanted = exchange.serials(request, responder.issuer, self._policy)
        statuses = self._known_statuses(responder, wanted)
        answer = exchange.answer(request, responder.issuer, statuses, self._clock.now(), self._policy_of(responder))
        der = responder.signer.sign(answer.singles, answer.produced_at, answer.nonce, answer.extensions)
        if answer.nonce is not None:
            return OcspAnswer(der, _NO_STORE)
        # what was never issued may be issued the next moment, so nobody keeps that answer
        known = all(one.serial in statuses for one in request.cert_ids)
        if not (answer.cacheable and known):
            return OcspAnswer(der, _NO_STORE)
        signed = self._presigned(responder, der, request.cert_ids[0].serial, request.cert_ids[0].der, answer)
        if key is not None:
            self.cache.put(key, signed, generation)
        return OcspAnswer(der, signed.headers, signed.etag)

    def refresh(self) -> None:
        """Sign anew, all together, what is asked for often and ends soon, so that no client waits for it."""
        if self._barrier.sealed:
            self.forget()
            return
        due = self.cache.due(self._clock.monotonic(), _REFRESH_SOON, _REFRESH_BATCH)
        by_authority: dict[str, list[Presigned]] = {}
        for one in due:
            keys = self.cache.keys_of(one)
            if keys:
                by_authority.setdefault(keys[0][0], []).append(one)
        for public_id, group in by_authority.items():
            generation = self.cache.generation
            try:
                self._sign_again(self._responder(public_id), group, generation)
            except TokenFault as fault:  # other CAs' keys may be elsewhere
                _log.warning("no responses ahead for %s: %s", public_id, fault.detail)

    def warm(self) -> int:
        """Sign ahead for the newest certificates at the start, and anew when that gets old; return how many now."""
        now = self._clock.monotonic()
        if self._barrier.sealed or not self._watch.fresh or now < self._warm_until or not self._settings.ocsp_presigned:
            return 0
        self._warm_until = now + self._settings.ocsp_validity_hours * 3600 / 2 - _REFRESH_SOON
        self._warm_ends, self._warm_octets = now + _WARM_SECONDS, _WARM_OCTETS
        try:
            return warm.warm(self._room, self._presign, self._settings.ocsp_presigned)
        except Fault:
            self._warm_until = float("-inf")
            raise

    def _presign(self, public_id: str, states: Sequence[RevocationState]) -> int:
        """Keep answers to the plain requests by SHA-1, which is what nearly all clients without a nonce send."""
        generation = self.cache.generation
        if self._warm_octets <= 0 or self._clock.monotonic() >= self._warm_ends:
            return 0
        responder = self._responder(public_id)
        if not responder.signer.in_core:  # a token has better to do than to sign what nobody may ask for
            return 0
        # asked after the generation was: what was read before may have been revoked since
        fresh = self._statuses(responder, tuple(int(one.serial, 16) for one in states))
        issuer = codec.issuer_part("sha1", *responder.issuer.hashes["sha1"])
        wanted = [(sequence(issuer, integer(serial)), serial, status) for serial, status in fresh.items()]
        singles, produced_at = exchange.presign(
            [(cert_id, status) for cert_id, _, status in wanted], self._clock.now(), self._policy_of(responder)
        )
        signed = responder.signer.sign_many(singles, produced_at)
        for (cert_id, serial, _), single, der in zip(wanted, singles, signed, strict=True):
            answer = exchange.Answer((single,), produced_at, None, b"", True, single[4], single[5])
            made = self._presigned(responder, der, serial, cert_id, answer)
            self.cache.put((public_id, codec.encode_request((cert_id,))), made, generation)
        self._warm_octets -= sum(map(len, signed))
        return len(signed)

    def _forgotten(self, events: Sequence[RevocationEvent] | None) -> None:
        if events is None:
            self._warm_until = float("-inf")

    def renew(self) -> None:
        """Renew every delegated responder certificate that is in the last third of its life."""
        if self._settings.ocsp_signing != "delegated" or self._barrier.sealed:
            return
        with self._database.read(SYSTEM_TENANT) as reader:
            tenants = store.tenants_with_authorities(reader)
        for tenant_id in tenants:
            with self._database.read(tenant_id) as reader:
                rows = store.all_authorities(reader)
            for row in rows:
                if row.not_after > self._clock.now() and not row.offline:
                    self._renew_one(tenant_id, row)

    def _renew_one(self, tenant_id: str, row: store.AuthorityRow) -> None:
        try:
            make.renew(self._room, tenant_id, row.id, _KIND)
        except TokenFault as fault:
            _log.warning("no new OCSP signer for %s: %s", row.name, fault.detail)
        except Fault as fault:  # one CA's trouble keeps no other from its signer
            if fault.kind in {FaultKind.UNAVAILABLE, FaultKind.SEALED, FaultKind.STORAGE_FULL}:
                raise
            _log.error("no new OCSP signer for %s: %s", row.name, fault.detail)

    def forget(self) -> None:
        """Let go of keys and responses: the barrier was sealed."""
        with self._lock:
            self._responders.clear()
        self.cache.clear()
        self.statuses.changed(None)

    def _signer_revoked(self, events: Sequence[RevocationEvent] | None) -> None:
        """Sign nothing more with a responder that was revoked; the next question finds another or has one made."""
        with self._lock:
            for public_id, responder in tuple(self._responders.items()):
                mine = (responder.authority_id, responder.serial)
                if events is None or any((one.authority_id, one.serial) == mine for one in events):
                    del self._responders[public_id]

    # -- inside --------------------------------------------------------------------------------------------------------

    def _presigned(
        self, responder: Responder, der: bytes, serial: int, cert_id: bytes, answer: exchange.Answer
    ) -> Presigned:
        # signed anew at half-life: a client always gets one that is good for hours, and max-age always fits in
        lasts = min((answer.next_update - answer.produced_at) / 2, self._left(responder))
        max_age = int(min(self._settings.ocsp_max_age, lasts))
        fields = dict(caching.headers(der, answer.this_update, answer.next_update, answer.produced_at))
        # Expires stays nextUpdate, as RFC 5019 section 6.2 has it; max-age is nearer, so that a revocation shows sooner
        fields["cache-control"] = f"max-age={max_age}, public, no-transform, must-revalidate"
        del fields["content-type"]
        return Presigned(
            der=der,
            etag=caching.entity_tag(der),
            headers=tuple(fields.items()),
            until=self._clock.monotonic() + lasts,
            authority_id=responder.authority_id,
            serial=to_hex(serial),
            cert_id=cert_id,
            signer=responder.serial,
        )

    def _policy_of(self, responder: Responder) -> exchange.Policy:
        """Let no response outlive the certificate that signs it."""
        left = int(self._left(responder))
        return self._policy if left >= self._policy.validity else replace(self._policy, validity=left)

    def _left(self, responder: Responder) -> float:
        return max(0.0, (responder.expires - self._clock.now()).total_seconds())

    def _known_statuses(self, responder: Responder, serials: tuple[int, ...]) -> Mapping[int, exchange.Status]:
        """Return statuses from memory while this replica is up to date, else from the database."""
        generation = self.statuses.generation
        held = self.statuses.get(responder.authority_id, serials) if self._watch.fresh else None
        if held is not None:
            return held
        found = self._statuses(responder, serials)
        self.statuses.put(responder.authority_id, found, generation)
        return found

    def _statuses(self, responder: Responder, serials: tuple[int, ...]) -> Mapping[int, exchange.Status]:
        with self._database.read(responder.tenant_id) as reader:
            found = certificate_store.states(reader, responder.authority_id, map(to_hex, serials))
        return {int(serial, 16): _status(state) for serial, state in found.items()}

    def _sign_again(self, responder: Responder, group: list[Presigned], generation: int) -> None:
        statuses = self._statuses(responder, tuple(int(one.serial, 16) for one in group))
        known = [(one, statuses[int(one.serial, 16)]) for one in group if int(one.serial, 16) in statuses]
        singles, produced_at = exchange.presign(
            [(one.cert_id, status) for one, status in known], self._clock.now(), self._policy_of(responder)
        )
        signed = responder.signer.sign_many(singles, produced_at)
        for (old, _), single, der in zip(known, singles, signed, strict=True):
            answer = exchange.Answer((single,), produced_at, None, b"", True, single[4], single[5])
            fresh = self._presigned(responder, der, int(old.serial, 16), old.cert_id, answer)
            for key in self.cache.keys_of(old):
                self.cache.put(key, fresh, generation)

    def _responder(self, public_id: str) -> Responder:
        found = self._responders.get(public_id)
        if found is not None and self._clock.monotonic() < found.until and not self._barrier.sealed:
            return found
        generation = self.cache.generation
        made = self._load(public_id)
        with self._lock:
            if generation != self.cache.generation:
                return made  # it may have been revoked meanwhile: the next question looks again
            if len(self._responders) >= _MAX_RESPONDERS:
                self._responders.clear()
            self._responders[public_id] = made
        return made

    def _load(self, public_id: str) -> Responder:
        with self._database.read(SYSTEM_TENANT) as reader:
            place = store.tenant_of_public_id(reader, public_id)
        if place is None:
            raise Fault(FaultKind.NOT_FOUND, f"no CA {public_id!r}", "no such responder")
        tenant_id, authority_id = place
        with self._database.read(tenant_id) as reader:
            row = store.authority_by_id(reader, authority_id)
        if row is None:
            raise Fault(FaultKind.NOT_FOUND, f"no CA {authority_id}", "no such responder")
        left = (row.not_after - self._clock.now()).total_seconds()
        if left <= 0:  # nobody may answer for it any more (RFC 6960 section 2.3: unauthorized)
            raise Fault(FaultKind.EXPIRED, f"the CA {row.name} has expired", "the CA has expired")
        if row.offline:  # whoever holds its key has given nobody here a responder's certificate: unauthorized
            raise Fault(FaultKind.FORBIDDEN, f"the CA {row.name} is offline", "the CA has no responder here")
        certificate = decode_certificate(row.certificate)
        issuer = exchange.Issuer.of(certificate.subject, certificate.spki)
        until = self._clock.monotonic() + min(_RELOAD_AFTER, left)
        if self._settings.ocsp_signing == "ca":
            signs = OcspSigner(KeySigner(self._room.keys.open(row), row.signature_algorithm), [])
            return Responder(tenant_id, authority_id, issuer, signs, until, row.not_after)
        signer = self._delegated(tenant_id, authority_id)
        key = self._room.vault.open(signer.sealed_key, store.aad(store.SIGNER_KEYS, tenant_id, signer.id))
        made = OcspSigner(KeySigner(key, signer.signature_algorithm), [signer.certificate])
        serial = to_hex(decode_certificate(signer.certificate).serial)
        return Responder(tenant_id, authority_id, issuer, made, until, signer.not_after, serial)

    def _delegated(self, tenant_id: str, authority_id: str) -> store.SignerRow:
        """Return the signer that lives longest, having one made when none is good any more."""
        for attempt in range(2):
            now = self._clock.now()
            with self._database.read(tenant_id) as reader:
                rows = make.trusted(reader, authority_id, make.OCSP)
            good = next((row for row in rows if row.not_before <= now < row.not_after), None)
            if good is not None:
                return good
            if attempt == 0:
                make.renew(self._room, tenant_id, authority_id, _KIND)
        raise Fault(FaultKind.UNAVAILABLE, f"CA {authority_id} has no OCSP signer", "try again later", retry_after=10)


def _status(state: RevocationState) -> exchange.Status:
    not_after = int(state.not_after.timestamp())
    if state.revoked_at is None:
        return exchange.Status(revoked=False, not_after=not_after)
    reason = state.reason.code if state.reason is not None else -1
    return exchange.Status(
        revoked=True, revoked_at=int(state.revoked_at.timestamp()), reason=reason, not_after=not_after
    )
