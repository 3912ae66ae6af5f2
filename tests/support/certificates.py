"""Certificates for tests of TLS, quickly made."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from pycryptoutil.clock import SystemClock

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def now() -> datetime:
    return SystemClock().now().astimezone(UTC)


@dataclass(frozen=True)
class Made:
    """A certificate, its key, and what is above it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        return self.pem + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.above)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write chain and key; return where."""
        folder.mkdir(parents=True, exist_ok=True)
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        chain.write_bytes(self.chain_pem)
        key.write_bytes(self.key_pem)
        return chain, key

    def issue(
        self,
        name: str,
        *,
        authority: bool = False,
        usage: x509.ObjectIdentifier | None = None,
        sans: tuple[str, ...] = (),
        valid: tuple[timedelta, timedelta] = (timedelta(hours=-1), timedelta(days=30)),
        ocsp: str = "",
        crl: str = "",
        at: datetime | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> Made:
        """Issue a certificate below this one."""
        return _make(name, self, authority, usage, sans, valid, ocsp, crl, at or now(), key)


def root(name: str = "Test Root", at: datetime | None = None) -> Made:
    """Make a self-signed CA."""
    return _make(name, None, True, None, (), (timedelta(hours=-2), timedelta(days=365)), "", "", at or now(), None)


def _make(
    name: str,
    issuer: Made | None,
    authority: bool,
    usage: x509.ObjectIdentifier | None,
    sans: tuple[str, ...],
    valid: tuple[timedelta, timedelta],
    ocsp: str,
    crl: str,
    at: datetime,
    key: ec.EllipticCurvePrivateKey | None,
) -> Made:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at + valid[0])
        .not_valid_after(at + valid[1])
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if authority:
        usages = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usages, critical=True)
    if issuer:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(san) for san in sans]), critical=False)
    if ocsp:
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp))
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if crl:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    above = (
        (issuer.certificate, *issuer.above)
        if issuer and issuer.certificate.issuer != issuer.certificate.subject
        else ()
    )
    return Made(builder.sign((issuer or Made(None, key)).key, hashes.SHA256()), key, above)  # type: ignore[arg-type]


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
