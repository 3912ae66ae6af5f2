"""Where a listener's certificate comes from: given (static), made by a given CA (mixed), or by a private one (auto).

TLS keys are OpenSSL's: the library that speaks TLS must hold them, so they are the one kind of key outside the core.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes, PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.clock import Clock
from pycryptoutil.crypto import policy
from pycryptoutil.errors import ConfigurationError, StartupError
from pycryptoutil.service.settings import Material, TlsSettings

CA_FILE = "ca.pem"
CA_KEY_FILE = "ca.key"
CA_LIFETIME = timedelta(days=3650)
BACKDATED = timedelta(minutes=5)  # for peers whose clock is behind
_SIGNING = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
_PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A leaf with its chain (leaf first) and key; ``renew_at`` None: it is not ours to renew."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes = field(repr=False)
    renew_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA that makes leaves."""

    chain: tuple[x509.Certificate, ...]
    key: CertificateIssuerPrivateKeyTypes = field(repr=False)


def read_certificates(material: Material, key: str) -> tuple[x509.Certificate, ...]:
    """Read PEM certificates, or one DER; ConfigurationError naming ``key``."""
    data = _read(material, key)
    try:
        blocks = _PEM_CERTIFICATE.findall(data)
        if blocks:
            return tuple(x509.load_pem_x509_certificate(block) for block in blocks)
        return (x509.load_der_x509_certificate(data),)
    except ValueError:
        raise ConfigurationError("is not a certificate in PEM or DER", key) from None


def read_key(material: Material, key: str) -> PrivateKeyTypes:
    """Read an unencrypted private key; ConfigurationError naming ``key``, never quoting it."""
    data = _read(material, key)
    try:
        if b"-----BEGIN" in data:
            return serialization.load_pem_private_key(data, None)
        return serialization.load_der_private_key(data, None)
    except TypeError:
        raise ConfigurationError("is encrypted; give it unencrypted, readable by this user only", key) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError("is not a private key in PEM or DER", key) from None


def _read(material: Material, key: str) -> bytes:
    try:
        return material.read()
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", key) from None


def check_strength(certificate: x509.Certificate, key: str) -> None:
    """Refuse a key or a signature that policy does not approve; ConfigurationError naming ``key``."""
    try:
        policy.check_public_key(_spki(certificate.public_key()))
    except Fault as fault:
        raise ConfigurationError(f"has a key that is not approved: {fault.detail}", key) from None
    digest = certificate.signature_hash_algorithm
    if isinstance(digest, hashes.MD5 | hashes.SHA1) and certificate.issuer != certificate.subject:
        raise ConfigurationError(f"is signed with {digest.name}", key)


def _spki(key: Any) -> bytes:
    public = key.public_key() if hasattr(key, "public_key") else key
    encoded: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _matched(chain: tuple[x509.Certificate, ...], key: PrivateKeyTypes, name: str, now: datetime) -> None:
    if _spki(chain[0].public_key()) != _spki(key):
        raise ConfigurationError("does not belong to the (first) certificate", name)
    if not chain[0].not_valid_before_utc <= now < chain[0].not_valid_after_utc:
        raise ConfigurationError("the certificate is not valid now", name)


def static_pair(settings: TlsSettings, prefix: str, now: datetime) -> KeyPair:
    """Read what is given, and prove that it fits together."""
    certificate, private_key = settings.certificate_material, settings.private_key_material
    if certificate is None or private_key is None:
        raise ConfigurationError("static TLS needs certificate and private_key", prefix)
    chain = read_certificates(certificate, f"{prefix}.certificate")
    for one in chain:
        check_strength(one, f"{prefix}.certificate")
    key = read_key(private_key, f"{prefix}.private_key")
    _matched(chain, key, f"{prefix}.private_key", now)
    return KeyPair(chain, key)


def given_issuer(settings: TlsSettings, prefix: str, now: datetime) -> Issuer:
    """Read the issuing CA of mixed mode."""
    certificate, private_key = settings.issuer_certificate_material, settings.issuer_key_material
    if certificate is None or private_key is None:
        raise ConfigurationError("mixed TLS needs issuer_certificate and issuer_key", prefix)
    chain = read_certificates(certificate, f"{prefix}.issuer_certificate")
    check_strength(chain[0], f"{prefix}.issuer_certificate")
    key = read_key(private_key, f"{prefix}.issuer_key")
    _matched(chain, key, f"{prefix}.issuer_key", now)
    try:
        authority = chain[0].extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        authority = False
    if not authority:
        raise ConfigurationError("is no CA certificate", f"{prefix}.issuer_certificate")
    if not isinstance(key, _SIGNING):
        raise ConfigurationError("is of a kind that cannot sign certificates", f"{prefix}.issuer_key")
    return Issuer(chain, key)


def leaf(issuer: Issuer, names: tuple[str, ...], lifetime: timedelta, now: datetime) -> KeyPair:
    """Make a P-256 leaf for these DNS names and addresses; renewed after two thirds of its life."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = issuer.chain[0]
    end = min(now + lifetime, authority.not_valid_after_utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - BACKDATED, authority.not_valid_before_utc))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_key(authority), critical=False)
        .sign(issuer.key, _digest(issuer.key))
    )
    chain = (certificate, *(one for one in issuer.chain if one.subject != one.issuer))
    return KeyPair(chain, key, renew_at=now + (end - now) * 2 / 3)


def _usage(*, signature: bool = False, authority: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        known = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _digest(key: object) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256:
        return hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA512()
    return hashes.SHA256()


def _general_name(name: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    try:
        return x509.DNSName(name.encode("idna").decode() if not name.isascii() else name)
    except ValueError:
        raise ConfigurationError(f"{name!r} is neither a DNS name nor an address", "tls.names") from None


def leaf_names(settings: TlsSettings, bind_address: str, url: str) -> tuple[str, ...]:
    """Return what a generated leaf is valid for: loopback always, what is configured, and what is advertised."""
    advertised = urlsplit(url).hostname if url else None
    bound = () if ipaddress.ip_address(bind_address).is_unspecified else (bind_address,)
    return tuple(dict.fromkeys((*ALWAYS_NAMED, *settings.names, *bound, *((advertised,) if advertised else ()))))


def private_issuer(data_dir: Path, clock: Clock) -> Issuer:
    """Return the data directory's own TLS CA, making it once: several processes may start at the same time."""
    folder = data_dir / "tls"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate, key = folder / CA_FILE, folder / CA_KEY_FILE
    if not (certificate.exists() and key.exists()):
        _make_private_issuer(folder, clock.now())
    try:
        issuer = _load_private(certificate, key)
        if issuer.chain[0].not_valid_after_utc - clock.now() < timedelta(days=1):
            _make_private_issuer(folder, clock.now(), replace=True)
            issuer = _load_private(certificate, key)
    except (OSError, ValueError):
        message = f"{folder} holds no usable CA: restore {CA_FILE} and {CA_KEY_FILE}, or delete both to make a new one"
        raise StartupError(message) from None
    return issuer


def trust_bundle(data_dir: Path) -> Path:
    """Return where the private CA's certificate lies, for clients to trust."""
    return data_dir / "tls" / CA_FILE


def _load_private(certificate: Path, key: Path) -> Issuer:
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or _spki(parsed.public_key()) != _spki(loaded):
        raise ValueError("key and certificate do not belong together")
    return Issuer((parsed,), loaded)


def _make_private_issuer(folder: Path, now: datetime, *, replace: bool = False) -> None:
    """Write key and certificate. A lock file lets one process make them; the others wait for it."""
    import fcntl

    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        certificate_file, key_file = folder / CA_FILE, folder / CA_KEY_FILE
        if certificate_file.exists() and key_file.exists() and not replace:
            return
        key = ec.generate_private_key(ec.SECP256R1())
        number = x509.random_serial_number()
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "pycryptoutil"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"pycryptoutil TLS CA {number % 0x1000000:06x}"),
            ]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(number)
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + CA_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(key_file, pem, 0o600)
        _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)  # whatever the umask is
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
