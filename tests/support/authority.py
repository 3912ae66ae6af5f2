"""A CA on a fresh database with an open barrier and a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pycryptoutil.authority import AuthoritySettings, CertificateAuthorityService, DistributionUrls
from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import FixedClock
from pycryptoutil.service.settings import BarrierSettings
from pycryptoutil.storage import Database

TENANT = "0" * 32
OTHER_TENANT = "f" * 32
PLAIN = "http://pki.example.com"
NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


@dataclass(slots=True)
class World:
    """What a test of the CA needs."""

    service: CertificateAuthorityService
    database: Database
    barrier: Barrier
    clock: FixedClock
    settings: AuthoritySettings


@contextmanager
def open_world(url: str, data_dir: Path, settings: AuthoritySettings | None = None) -> Iterator[World]:
    """Open one; the first one on a database makes root and issuing CA."""
    clock = FixedClock(NOW)
    database = Database.open(url, clock=clock)
    try:
        barrier = Barrier.open(database, BarrierSettings(mode="dev"), clock, data_dir)
        chosen = settings or AuthoritySettings()
        service = CertificateAuthorityService(database, barrier, clock, DistributionUrls(PLAIN), chosen, 7, TENANT)
        service.first_start(TENANT)
        yield World(service, database, barrier, clock, chosen)
    finally:
        database.close()


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def csr(
    *dns: str,
    cn: str | None = None,
    key: object = None,
    names: tuple[x509.GeneralName, ...] = (),
    subject: tuple[tuple[x509.ObjectIdentifier, str], ...] = (),
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    algorithm: hashes.HashAlgorithm | None = hashes.SHA256(),  # noqa: B008
) -> bytes:
    """A request as a stranger's library makes it."""
    attributes = [x509.NameAttribute(oid, value) for oid, value in subject]
    if cn is not None:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, cn))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    alternative = [*(x509.DNSName(name) for name in dns), *names]
    if alternative:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    made = builder.sign(key or new_key(), algorithm)  # type: ignore[arg-type]
    return made.public_bytes(serialization.Encoding.DER)
