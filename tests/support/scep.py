"""SCEP clients, and a CA that answers them without HTTP: replicas over one database, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509 as other
from pycryptoutil_protocols import cms
from pycryptoutil_protocols.scep import client, messages
from pycryptoutil_protocols.scep.client import Answer, Client, Sent
from pycryptoutil_protocols.scep.messages import PkiStatus

from pycryptoutil.authority import CertificateAuthorityService, DistributionUrls
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.model import CredentialOrder, NamePatterns, NewCredential
from pycryptoutil.authority.scep import ScepRules, ScepService
from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import FixedClock
from pycryptoutil.service.settings import BarrierSettings
from pycryptoutil.services.pki_ca.settings import PkiCaSettings
from pycryptoutil.storage import Database
from tests.protocols import material
from tests.support.authority import NOW, PLAIN, TENANT

WAITING_PROFILE = """
name: waiting
title: Certificates that two people agree to
approvals: 2
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [RSA, EC-P256]}
subject: {allowed: [CN]}
names: {types: [dns], from_common_name: true, private: true}
key_usage: {default: [digitalSignature]}
extended_key_usage: [clientAuth]
"""


@dataclass
class Replica:
    """One process of the CA, as far as SCEP goes."""

    service: CertificateAuthorityService
    scep: ScepService
    database: Database
    barrier: Barrier


@dataclass
class ScepWorld:
    """Replicas over one database."""

    replicas: list[Replica]
    clock: FixedClock

    @property
    def service(self) -> CertificateAuthorityService:
        return self.replicas[0].service

    @property
    def scep(self) -> ScepService:
        return self.replicas[0].scep

    def server(self, label: str = "") -> client.Server:
        body = self.scep.ca_certificates(label)
        return client.decode_ca_certificates(body, messages.CA_AND_RA_CERTIFICATES)

    def credential(self, profile: str = "tls-server", *dns: str, **more: Any) -> NewCredential:
        names = NamePatterns(dns=dns or ("*.example.test",))
        return self.service.credential_add(TENANT, CredentialOrder(profile, names=names, **more), "tests")

    def put_profile(self, document: str) -> None:
        name = next(line.split()[1] for line in document.splitlines() if line.startswith("name:"))
        self.service.put_profile(TENANT, name, document, "tests")

    def device(self, challenge: str = "", label: str = "tls-server", **more: Any) -> Device:
        return Device(self, label, challenge, **more)


@dataclass
class Device:
    """A client with one key, self-signed at first, then with the certificate that it got."""

    world: ScepWorld
    label: str
    challenge: str = ""
    algorithm: str = "RSA-2048"
    number: int = 0
    signature: str = "rsa-sha256"
    cipher: str = "aes-256-cbc"
    common_name: str = "device.example.test"
    replica: int = 0
    certificate: bytes = b""
    key: Any = field(init=False)
    csr: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.key = material.private_key(self.algorithm, self.number)
        if not self.certificate:
            start, end = int(material.NOT_BEFORE.timestamp()), int(material.NOT_AFTER.timestamp())
            subject = material.name(self.common_name).public_bytes()
            self.certificate = client.self_signed(self.signer, subject, start, end)
        self.csr = self.make_csr()

    def make_csr(self, challenge: str | None = None, common_name: str = "", key: Any = None) -> bytes:
        given = self.challenge if challenge is None else challenge
        attributes = (("1.2.840.113549.1.9.7", given.encode(), 0x0C),) if given else ()
        name = common_name or self.common_name
        return material.csr_der(key or self.key, name, (name,), attributes)

    @property
    def signer(self) -> material.KeySigner:
        return material.KeySigner(self.key, self.signature)

    @property
    def subject(self) -> bytes:
        return material.name(self.common_name).public_bytes()

    @property
    def client(self) -> Client:
        return Client(self.world.server(self.label), self.signer, self.certificate, self.cipher)

    def enrol_request(self, *, renewal: bool = False, csr: bytes = b"", transaction: str = "") -> Sent:
        kind = messages.MessageType.RENEWAL_REQ if renewal else messages.MessageType.PKCS_REQ
        identifier = transaction or client.transaction_id(material.spki(self.key))
        return self.client.request(kind, csr or self.csr, identifier)

    def send(self, sent: Sent, replica: int | None = None, *, password: str = "") -> Answer:
        """Give a request to a replica, and read its answer."""
        chosen = self.world.replicas[self.replica if replica is None else replica]
        body = chosen.scep.answer(self.label, sent.encoded, "test")
        return self.read(body, sent, password=password)

    def read(self, body: bytes, sent: Sent, *, password: str = "") -> Answer:
        server = self.world.server(self.label)
        unwrap = None if password else cms.unwrap_with(cms.SoftDecryptor(self.key), allow_pkcs1=True)
        return client.read_answer(body, sent, server.certificates, unwrap, password=password)

    def enrol(self, **more: Any) -> Answer:
        return self.send(self.enrol_request(**more))

    def poll(self, transaction: str = "", replica: int | None = None) -> Answer:
        identifier = transaction or client.transaction_id(material.spki(self.key))
        return self.send(self.client.poll(self.subject, identifier), replica)

    def with_certificate(self, certificate: bytes, **more: Any) -> Device:
        """The same device, holding what it got."""
        known = {
            "algorithm": self.algorithm, "number": self.number, "signature": self.signature,
            "cipher": self.cipher, "common_name": self.common_name, "replica": self.replica,
        }  # fmt: skip
        return Device(self.world, self.label, certificate=certificate, **(known | more))


def leaf(answer: Answer) -> other.Certificate:
    """The one certificate of an answer."""
    assert answer.status is PkiStatus.SUCCESS, answer
    (found,) = answer.certificates
    return other.load_der_x509_certificate(found)


@contextmanager
def open_scep(
    url: str, folder: Path, replicas: int = 1, rules: ScepRules | None = None, **settings: Any
) -> Iterator[ScepWorld]:
    """Open replicas of a CA over one database."""
    clock = FixedClock(NOW)
    opened: list[Database] = []
    made = []
    try:
        for number in range(replicas):
            database = Database.open(url, clock=clock)
            opened.append(database)
            barrier = Barrier.open(database, BarrierSettings(mode="dev"), clock, folder)
            service = CertificateAuthorityService(
                database, barrier, clock, DistributionUrls(PLAIN), PkiCaSettings(**settings), 7 + number, TENANT
            )
            service.first_start(TENANT)
            scep = ScepService(service, CrlService(service.room), rules or ScepRules(), clock)
            made.append(Replica(service, scep, database, barrier))
        yield ScepWorld(made, clock)
    finally:
        for database in opened:
            database.close()
