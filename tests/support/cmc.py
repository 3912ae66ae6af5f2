"""A small CA for the CMC exchange, all in memory, and what a client needs to ask it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pycryptoutil_protocols import der, names, oids, x509
from pycryptoutil_protocols.cmc import client, server
from pycryptoutil_protocols.cmc.messages import KP_CMC_RA
from pycryptoutil_protocols.cmc.server import Holding, Memo, Outcome, OutcomeState, Party, Responder, Role, Rules, Wish
from pycryptoutil_protocols.cmc.values import GetCrl
from pycryptoutil_protocols.csr import decode_csr
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

from tests.protocols import material

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
USER, SECRET = "enroll-1", b"a secret of many letters"
ROOT_KEY, CA_KEY, RESPONDER_KEY = 21, 22, 23  # numbers of material's P-256 keys


def certificate(
    signer: material.KeySigner,
    issuer: bytes,
    subject: bytes,
    spki: bytes,
    serial: int,
    extensions: tuple[Extension, ...] = (),
) -> bytes:
    """Sign a certificate that is good around NOW."""
    start, end = int((NOW - timedelta(days=1)).timestamp()), int((NOW + timedelta(days=365)).timestamp())
    octets = serial.to_bytes((serial.bit_length() + 7) // 8, "big")
    kept = [one for one in extensions if one.oid != oids.SUBJECT_KEY_IDENTIFIER]
    kept.append(Extension(oids.SUBJECT_KEY_IDENTIFIER, False, der.octet_string(client.proofs.key_identifier(spki))))
    encoded = x509.encode_extensions(kept)
    tbs = x509.build_tbs(signer.signature_algorithm, issuer, octets, start, end, subject, spki, encoded)
    return x509.sign_tbs(tbs, signer)


def purpose(*usages: str) -> Extension:
    """An extended key usage."""
    return Extension(oids.EXTENDED_KEY_USAGE, False, der.sequence(*map(der.oid, usages)))


def dns_names(*found: str) -> Extension:
    """Subject alternative names."""
    value = names.encode_general_names([names.GeneralName.dns(one) for one in found])
    return Extension(oids.SUBJECT_ALT_NAME, False, value)


def subject(common_name: str) -> bytes:
    """DER Name of a common name."""
    return material.name(common_name).public_bytes()


@dataclass
class Store:
    """What replicas share."""

    certificates: dict[int, tuple[bytes, str]] = field(default_factory=dict)
    revoked: dict[int, int] = field(default_factory=dict)
    memos: dict[str, Memo] = field(default_factory=dict)
    waiting: dict[str, Outcome] = field(default_factory=dict)
    wishes: list[Wish] = field(default_factory=list)
    repeats: dict[tuple[str, bytes], Outcome] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1000))


@dataclass
class SmallCa:
    """A Backend. Several may share a Store, as replicas share a database."""

    store: Store = field(default_factory=Store)
    clock: datetime = NOW
    approvals: bool = False
    failure: Fault | None = None
    secrets: dict[str, bytes] = field(default_factory=lambda: {USER: SECRET})

    def __post_init__(self) -> None:
        root, ca = material.signer(number=ROOT_KEY), material.signer(number=CA_KEY)
        self.name = subject("small CA")
        self.root = certificate(root, subject("root"), subject("root"), root.public_spki, 1)
        self.ca = certificate(root, subject("root"), self.name, ca.public_spki, 2)
        spki = material.signer(number=RESPONDER_KEY).public_spki
        self.responder_certificate = certificate(ca, self.name, subject("responder"), spki, 3)

    # what tests do

    def give(self, signer: material.KeySigner, common_name: str, *usages: str, actor: str = "credential:x") -> bytes:
        """Issue without being asked."""
        extensions = (purpose(*usages),) if usages else ()
        return self._sign(subject(common_name), signer.public_spki, (*extensions, dns_names(common_name)), actor)

    def registration_authority(self) -> tuple[material.KeySigner, bytes]:
        """Return an RA's key and certificate."""
        signer = material.signer(number=30)
        return signer, self.give(signer, "ra", KP_CMC_RA)

    def _sign(self, name: bytes, spki: bytes, extensions: tuple[Extension, ...], actor: str) -> bytes:
        serial = next(self.store.numbers)
        made = certificate(material.signer(number=CA_KEY), self.name, name, spki, serial, extensions)
        self.store.certificates[serial] = (made, actor)
        return made

    # Backend

    def now(self) -> datetime:
        return self.clock

    def responder(self) -> Responder:
        return Responder(material.signer(number=RESPONDER_KEY), self.responder_certificate, (self.ca, self.root))

    def shared_secret(self, identity: str) -> Party:
        if identity not in self.secrets:
            raise Fault(FaultKind.UNAUTHENTICATED, "unknown", "unknown identity or wrong shared secret")
        return Party(Role.CREDENTIAL, f"credential:{identity}", secret=self.secrets[identity])

    def holder(self, encoded: bytes) -> Party:
        facts = x509.decode_certificate(encoded)
        found = self.store.certificates.get(facts.serial)
        if found is None or found[0] != encoded or facts.serial in self.store.revoked:
            raise Fault(FaultKind.UNAUTHENTICATED, "foreign or revoked", "the certificate is not trusted")
        if not facts.not_before <= self.clock <= facts.not_after:
            raise Fault(FaultKind.EXPIRED, "expired", "the certificate has expired")
        role = Role.RA if KP_CMC_RA in facts.extended_key_usages else Role.CERTIFICATE
        return Party(role, f"certificate:{facts.serial}", encoded)

    def find(self, issuer: bytes, serial: int) -> Holding:
        found = self.store.certificates.get(serial) if names.same_name(issuer, self.name) else None
        if found is None:
            raise Fault(FaultKind.NOT_FOUND, "no such certificate", "there is no such certificate")
        return Holding(found[0], found[1], serial)

    def enrol(self, party: Party, wish: Wish) -> Outcome:
        if self.failure is not None:
            raise self.failure
        key = (party.actor, wish.request.encoded)
        if key in self.store.repeats:
            earlier = self.store.repeats[key]
            return self.store.waiting.get(earlier.token, earlier) if earlier.token else earlier
        self.store.wishes.append(wish)
        name, extensions = wish.subject, wish.extensions
        if wish.csr:
            request = decode_csr(wish.csr)
            name = request.subject if name is None else name
            extensions = request.extensions if extensions is None else extensions
        if self.approvals:
            token = f"wait-{len(self.store.waiting)}"
            outcome = Outcome(OutcomeState.PENDING, token=token, retry_after=60, text="approved by 0 of 1")
            self.store.waiting[token] = outcome
        else:
            made = self._sign(name or der.sequence(), wish.spki, extensions or (), party.actor)
            outcome = Outcome(OutcomeState.ISSUED, made)
        self.store.repeats[key] = outcome
        return outcome

    def approve(self, token: str) -> None:
        """Let a waiting request through."""
        wish = self.store.wishes[int(token.removeprefix("wait-"))]
        request = decode_csr(wish.csr)
        made = self._sign(request.subject, wish.spki, request.extensions, "credential:x")
        self.store.waiting[token] = Outcome(OutcomeState.ISSUED, made)

    def reject(self, token: str) -> None:
        """Turn a waiting request down."""
        self.store.waiting[token] = Outcome(OutcomeState.REFUSED, text="not this one")

    def outcome(self, token: str) -> Outcome:
        return self.store.waiting[token]

    def revoke(self, actor: str, holding: Holding, reason: int, invalidity_date: datetime | None) -> None:
        del actor, invalidity_date
        if holding.handle in self.store.revoked:
            raise Fault(FaultKind.CONFLICT, "revoked already", "the certificate is revoked already")
        if reason not in range(11):
            raise Fault(FaultKind.INVALID, "reason", "there is no such revocation reason")
        self.store.revoked[holding.handle] = reason

    def same_subject(self, party: Party, holding: Holding) -> bool:
        own, other = x509.decode_certificate(party.certificate), x509.decode_certificate(holding.certificate)
        return own.subject == other.subject

    def crl(self, wanted: GetCrl) -> bytes:
        if not names.same_name(wanted.issuer, self.name):
            raise Fault(FaultKind.NOT_FOUND, "no such CA", "there is no CRL of that issuer")
        return _crl(self.name)

    def remember(self, memo: Memo, lifetime: timedelta) -> Memo:
        if memo.id in self.store.memos:
            raise Fault(FaultKind.CONFLICT, "known", "the transaction identifier is in use")
        kept = replace(memo, data=copy.deepcopy(dict(memo.data)), expires_at=self.clock + lifetime, handle=1)
        self.store.memos[memo.id] = kept
        return kept

    def recall(self, identifier: str) -> Memo | None:
        found = self.store.memos.get(identifier)
        return found if found is not None and found.expires_at and found.expires_at > self.clock else None

    def amend(self, memo: Memo, data: Mapping[str, Any]) -> None:
        if self.store.memos[memo.id].handle != memo.handle:
            raise Fault(FaultKind.CONFLICT, "went on elsewhere", "the transaction went on elsewhere")
        self.store.memos[memo.id] = replace(memo, data=copy.deepcopy(dict(data)), handle=memo.handle + 1)

    def forget(self, memo: Memo) -> None:
        self.store.memos.pop(memo.id, None)

    # asking

    def ask(self, request: bytes, rules: Rules | None = None, outside: Party | None = None) -> client.Reply:
        """Send a request and read the answer, whose signer must be the CA's responder."""
        done = server.answer(self, rules or Rules(), request, outside=outside)
        reply = client.read(done.body)
        assert reply.signer.der == self.responder_certificate
        assert done.failed == bool(reply.failures)
        return reply


def _crl(issuer: bytes) -> bytes:
    signer = material.signer(number=CA_KEY)
    algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"))
    moment = int(NOW.timestamp())
    tbs = der.sequence(der.integer(1), algorithm, issuer, der.x509_time(moment), der.x509_time(moment + 86400))
    return der.sequence(tbs, algorithm, der.bit_string(signer.sign(tbs)))
