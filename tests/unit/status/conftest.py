"""A CA with its responder and its CRLs, in one process, on both kinds of database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509 as cx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pycryptoutil.authority import CertificateAuthorityService, DistributionUrls, IssuedCertificate, IssueOrder
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.keys import CaKeys
from pycryptoutil.authority.model import RevocationReason
from pycryptoutil.authority.ocsp import OcspService
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.authority.room import Room
from pycryptoutil.authority.settings import AuthoritySettings
from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import FixedClock
from pycryptoutil.service.settings import BarrierSettings
from pycryptoutil.storage import Database

PACKAGES = ("pycryptoutil.storage", "pycryptoutil.authority")
TENANT = "7e" * 16
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def csr(*names: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = cx.CertificateSigningRequestBuilder().subject_name(
        cx.Name([cx.NameAttribute(NameOID.COMMON_NAME, names[0])])
    )
    builder = builder.add_extension(cx.SubjectAlternativeName([cx.DNSName(name) for name in names]), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass
class House:
    """What a process of pki-ca holds; a second one on the same database is a second replica."""

    service: CertificateAuthorityService
    room: Room
    clock: FixedClock
    watch: RevocationWatch
    ocsp: OcspService
    crls: CrlService

    def issue(self, name: str = "a.example.test", **order: object) -> IssuedCertificate:
        return self.service.issue(TENANT, IssueOrder(profile="tls-server", csr=csr(name), **order), "tester")  # type: ignore[arg-type]

    def revoke(self, serial: str, reason: RevocationReason = RevocationReason.KEY_COMPROMISE) -> None:
        self.service.revoke(TENANT, serial, reason, None, "tester")

    def authority_id(self, name: str = "issuing") -> str:
        return self.service.authority(TENANT, name).id


MakeHouse = Callable[..., House]


@pytest.fixture
def make_house(databases: object, tmp_path: Path, request: pytest.FixtureRequest) -> MakeHouse:
    url = databases.fresh(PACKAGES)  # type: ignore[attr-defined]
    clock = FixedClock(START)

    def make(**settings: object) -> House:
        database = Database.open(url, clock=clock)
        request.addfinalizer(database.close)
        barrier = Barrier.open(database, BarrierSettings(mode="dev"), clock, tmp_path)
        chosen = AuthoritySettings(**settings)  # type: ignore[arg-type]
        room = Room(database, barrier, clock, DistributionUrls("http://ca.test"), chosen, 0, CaKeys(barrier))
        service = CertificateAuthorityService(
            database, barrier, clock, room.urls, room.settings, 0, default_tenant_id=TENANT
        )
        service.first_start(TENANT)
        watch = RevocationWatch(database, clock)
        return House(service, room, clock, watch, OcspService(room, watch), CrlService(room))

    return make


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house()
