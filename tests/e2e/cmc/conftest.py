"""A CA that answers CMC, by two replicas, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pycryptoutil_protocols.cmc import client, server
from pycryptoutil_protocols.csr import CertificationRequest

from pycryptoutil.authority import CertificateAuthorityService, DistributionUrls
from pycryptoutil.authority.cmc import CaBackend, Choices, sweep
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.model import CredentialOrder, NamePatterns, NewCredential
from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import FixedClock
from pycryptoutil.service.settings import BarrierSettings
from pycryptoutil.services.pki_ca.settings import PkiCaSettings
from pycryptoutil.storage import Database
from tests.support.authority import NOW, PLAIN, TENANT
from tests.support.databases import Databases

PACKAGES = ("pycryptoutil.authority",)


@dataclass
class CmcWorld:
    """Replicas over one database, and a clock that only tests move."""

    replicas: list[tuple[CertificateAuthorityService, CrlService]]
    clock: FixedClock
    rules: server.Rules = field(default_factory=server.Rules)
    choices: Choices = field(default_factory=Choices)

    @property
    def service(self) -> CertificateAuthorityService:
        return self.replicas[0][0]

    def backend(self, label: str = "", replica: int = 0) -> CaBackend:
        service, crls = self.replicas[replica]
        return CaBackend(service, crls, self.choices, service.resolve_label(None, label), label, "test")

    def ask(self, encoded: bytes, label: str = "", replica: int = 0, **more: Any) -> client.Reply:
        """Send a Full PKI Request; the answer must be by the CA's responder."""
        done = server.answer(self.backend(label, replica), self.rules, encoded, **more)
        reply = client.read(done.body)
        signer = self.replicas[replica][0].signer(TENANT, self.backend(label, replica).place.authority, "cmc")
        assert reply.signer.der == signer.certificate
        return reply

    def ask_simply(self, encoded: bytes, credential: NewCredential) -> server.Answer:
        backend = self.backend()

        def party(_csr: CertificationRequest) -> server.Party:
            return backend.shared_secret(credential.username)

        return server.answer_simple(backend, self.rules, encoded, party)

    def credential(self, profile: str = "tls-server", *dns: str, **more: Any) -> NewCredential:
        names = NamePatterns(dns=dns or ("*.example.test",))
        return self.service.credential_add(TENANT, CredentialOrder(profile, names=names, **more), "tests")

    def sweep(self) -> None:
        sweep(*self.replicas[0])

    def status(self, serial: int) -> str:
        return self.service.certificate(TENANT, f"{serial:x}").status.value


@contextmanager
def open_cmc(url: str, folder: Path, **settings: Any) -> Iterator[CmcWorld]:
    """Open two replicas of a CA over one database."""
    clock = FixedClock(NOW)
    opened: list[Database] = []
    made = []
    try:
        for number in range(2):
            database = Database.open(url, clock=clock)
            opened.append(database)
            barrier = Barrier.open(database, BarrierSettings(mode="dev"), clock, folder)
            service = CertificateAuthorityService(
                database, barrier, clock, DistributionUrls(PLAIN), PkiCaSettings(**settings), 7 + number, TENANT
            )
            service.first_start(TENANT)
            made.append((service, CrlService(service.room)))
        yield CmcWorld(made, clock)
    finally:
        for database in opened:
            database.close()


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[CmcWorld]:
    """Two replicas over a fresh database, SQLite or PostgreSQL."""
    with open_cmc(databases.fresh(PACKAGES), tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, _sqlite_databases: Databases) -> Iterator[CmcWorld]:
    """One CA on SQLite for tests that do not disturb one another."""
    with open_cmc(_sqlite_databases.fresh(PACKAGES), tmp_path_factory.mktemp("cmc")) as opened:
        yield opened
