"""A CA in memory behind the CMP server, for talking to it with our own client and with nothing else around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pycryptoutil_protocols import algorithms, cms, csr, der, oids, x509
from pycryptoutil_protocols.cmp import general, keys, pop, protection
from pycryptoutil_protocols.cmp.client.enrolment import Enroller, Enrolment, Outgoing
from pycryptoutil_protocols.cmp.failures import CmpFault
from pycryptoutil_protocols.cmp.mac import MacParameters
from pycryptoutil_protocols.cmp.messages import (
    Body,
    BodyType,
    CertifiedKeyPair,
    InfoTypeAndValue,
    PKIFailureInfo,
    PKIHeader,
    PKIMessage,
    PKIStatus,
    PKIStatusInfo,
    RevDetails,
    directory_name,
)
from pycryptoutil_protocols.cmp.protection import MacProtector, Mechanism, Protector, SignatureProtector
from pycryptoutil_protocols.cmp.server import engine
from pycryptoutil_protocols.cmp.server.office import Auth, Outcome, OutcomeState, Policy, Requester, Shield
from pycryptoutil_protocols.cmp.server.transactions import Item, Memory, Record, State
from pycryptoutil_protocols.cmp.server.wishes import Wish
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material as plain
from tests.protocols.cmp import material
from tests.protocols.cmp.material import SECRET, TRUST, StillClock

SERVER_NAME = directory_name(plain.name("CMP test server").public_bytes())
MAKER = material.make_certificate(
    material.SERVER_KEY.public_key(), "CMP test server", purposes=(keys.KEY_GENERATION_AUTHORITY,)
)
REGISTRATION = "registration"


@dataclass(frozen=True)
class TestShield:
    """Protects answers by a MAC or by the server's signature."""

    __test__ = False
    parameters: MacParameters | None = None

    def protect(self, header: PKIHeader, kind: BodyType, body: Body, certificates: Sequence[bytes]) -> bytes:
        made = replace(header, sender=SERVER_NAME)
        protector: Protector
        if self.parameters is not None:
            protector = MacProtector(SECRET, self.parameters.answering())
            return protection.seal(made, kind, body, protector, tuple(certificates)).encoded
        protector = SignatureProtector(plain.KeySigner(material.SERVER_KEY))
        return protection.seal(made, kind, body, protector, (MAKER, *certificates)).encoded


@dataclass
class MemoryOffice:
    """Whoever knows SECRET under the reference, or has a certificate by the test CA, may have anything."""

    clock: StillClock = field(default_factory=StillClock)
    policy: Policy = field(default_factory=Policy)
    approvals: bool = False
    records: dict[str, Record] = field(default_factory=dict)
    issued: dict[str, bytes] = field(default_factory=dict)  # by enrolment
    made: dict[str, CertifiedKeyPair] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    revoked: dict[int, str] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        return self.clock.now()

    def names(self) -> tuple[bytes, ...]:
        return tuple(x509.decode_certificate(one).subject for one in (material.CA, MAKER))

    def authenticate(self, message: PKIMessage, record: Record | None) -> Requester:
        how = protection.mechanism(message)
        if how.by_secret:
            parameters = protection.verify_mac(message, SECRET)
            if message.header.sender_kid != material.REFERENCE:
                raise CmpFault(PKIFailureInfo.BAD_MESSAGE_CHECK, "unknown", "not valid")
            return Requester("secret", Auth.MAC, TestShield(parameters), secret=SECRET)
        if how is Mechanism.SIGNATURE:
            signer = TRUST.verify(message, self.now())
            is_ra = plain.name(REGISTRATION).public_bytes() == signer.subject
            return Requester(signer.der[-8:].hex(), Auth.SIGNATURE, TestShield(), is_ra=is_ra, person=signer)
        if how is Mechanism.KEM_BASED_MAC:
            if record is None or not record.memory.secret:
                raise CmpFault(PKIFailureInfo.BAD_MESSAGE_CHECK, "no secret", "no secret")
            protection.verify_mac(message, bytes.fromhex(record.memory.secret))
            return Requester(record.owner, Auth.KEM, TestShield())
        if message.kind is BodyType.GENM and message.extra_certificates:
            owner = x509.decode_certificate(message.extra_certificates[0])
            return Requester(owner.der[-8:].hex(), Auth.KEM, TestShield(), person=owner)
        raise CmpFault(PKIFailureInfo.BAD_MESSAGE_CHECK, "unprotected", "not protected")

    def shield(self) -> Shield:
        return TestShield()

    # memory

    def recall(self, transaction_id: str) -> Record | None:
        return self.records.get(transaction_id)

    def open(self, transaction_id: str, owner: str, state: State, memory: Memory, expires_at: datetime) -> Record:
        if transaction_id in self.records:
            raise Fault(FaultKind.CONFLICT, "taken")
        self.records[transaction_id] = Record(transaction_id, owner, state, memory, expires_at, 1)
        return self.records[transaction_id]

    def save(self, record: Record, state: State, memory: Memory, expires_at: datetime) -> Record:
        if self.records[record.id].handle != record.handle:
            raise Fault(FaultKind.CONFLICT, "another was first")
        stored = Memory.read(memory.document())  # as a database would
        version = record.handle + 1 if isinstance(record.handle, int) else 1
        self.records[record.id] = Record(record.id, record.owner, state, stored, expires_at, version)
        return self.records[record.id]

    # certificates

    def enrol(self, requester: Requester, message: PKIMessage, wish: Wish) -> Outcome:
        enrolment = f"{(message.header.transaction_id or b'').hex()}:{wish.request_id}"
        if self.approvals and enrolment not in self.approved:
            return Outcome(OutcomeState.PENDING, enrolment, retry_after=7)
        if enrolment not in self.made:
            self.made[enrolment] = self._make(requester, wish, enrolment)
        certificate = x509.decode_certificate(self.issued[enrolment])
        return Outcome(
            OutcomeState.ISSUED,
            enrolment,
            f"{certificate.serial:x}",
            "ca",
            self.made[enrolment],
            (material.CA,),
        )

    def _make(self, requester: Requester, wish: Wish, enrolment: str) -> CertifiedKeyPair:
        subject = csr.decode_csr(wish.csr).name.common_names[0]
        if wish.generate:
            key = ec.generate_private_key(ec.SECP256R1())
            self.issued[enrolment] = material.make_certificate(key.public_key(), subject)
            recipient: cms.Recipient = cms.Password(SECRET, 1000)
            if isinstance(requester.person, x509.Certificate):
                recipient = cms.recipient_for_key(
                    requester.person.spki, issuer_and_serial=requester.person.issuer_and_serial
                )
            package = keys.with_public_key(plain.pkcs8(key), plain.spki(key))
            signer = plain.KeySigner(material.SERVER_KEY)
            sealed = keys.wrap(package, recipient, signer, (MAKER, material.CA))
            return CertifiedKeyPair(self.issued[enrolment], private_key=sealed)
        public: Any = load_der_public_key(wish.spki)
        self.issued[enrolment] = material.make_certificate(public, subject, signs=not wish.encrypted)
        if wish.encrypted:
            return CertifiedKeyPair(encrypted_certificate=pop.encrypt_certificate(self.issued[enrolment]))
        return CertifiedKeyPair(self.issued[enrolment])

    def poll(self, requester: Requester, message: PKIMessage, wish: Wish, item: Item) -> Outcome:
        del item
        return self.enrol(requester, message, wish)

    def cancel(self, requester: Requester, item: Item) -> None:
        del requester
        self.cancelled.append(item.enrolment)

    def certificate(self, item: Item) -> bytes:
        return self.issued[item.enrolment]

    def discard(self, requester: Requester, item: Item, why: str) -> None:
        del requester
        self.revoked[int(item.serial, 16)] = why

    def revoke(self, requester: Requester, details: RevDetails, *, again: bool) -> PKIStatusInfo:
        del requester, again
        self.revoked[details.template.serial or 0] = "asked"
        return PKIStatusInfo(PKIStatus.ACCEPTED)

    def ca_publications(self, requester: Requester, kind: BodyType) -> tuple[bytes, ...]:
        return (material.CA,) if kind is BodyType.IP and requester.auth is Auth.MAC else ()

    # support messages

    def inform(self, requester: Requester, info: InfoTypeAndValue, message: PKIMessage) -> InfoTypeAndValue | None:
        del requester, message
        return general.ca_certs((material.CA,)) if info.oid == general.CA_CERTS else None

    def encapsulate(self, requester: Requester, message: PKIMessage) -> tuple[InfoTypeAndValue, str]:
        del message
        assert isinstance(requester.person, x509.Certificate)
        public: Any = load_der_public_key(requester.person.spki)
        secret, ciphertext = public.encapsulate()
        kem = algorithms.algorithm_identifier(oids.ML_KEM_768)
        assert der.read(requester.person.spki).children()[0].encoded == kem
        return general.kem_ciphertext_info(general.KemCiphertext(kem, ciphertext)), secret.hex()


@dataclass
class Counter:
    """Carries octets between a client and the server."""

    office: MemoryOffice = field(default_factory=MemoryOffice)
    seen: list[tuple[bytes, bytes]] = field(default_factory=list)

    def send(self, encoded: bytes) -> bytes:
        """One round trip."""
        answer = engine.answer(self.office, encoded).encoded
        self.seen.append((encoded, answer))
        return answer

    def enrol(self, work: Enroller, rounds: int = 6) -> Enrolment:
        """A whole enrolment."""
        step: Outgoing | Enrolment = work.begin()
        for _ in range(rounds):
            if isinstance(step, Enrolment):
                return step
            step = work.receive(self.send(step.encoded))
        raise AssertionError("no end")
