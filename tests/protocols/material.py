"""Keys, certificates and signers that the protocol tests share; all made by pyca/cryptography, the other side."""

from __future__ import annotations

import base64
import functools
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

VECTORS = Path(__file__).parent.parent / "vectors"
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
NOT_BEFORE, NOT_AFTER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
CURVES: dict[str, ec.EllipticCurve] = {"EC-P256": ec.SECP256R1(), "EC-P384": ec.SECP384R1(), "EC-P521": ec.SECP521R1()}
HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
ALGORITHMS = ("RSA-2048", *CURVES, "Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87")


def private_key(algorithm: str, number: int = 0) -> Any:
    """One key of an algorithm for the whole run; ``number`` tells several apart."""
    return _private_key(algorithm, number)


@functools.cache
def _private_key(algorithm: str, number: int) -> Any:
    del number
    if algorithm.startswith("RSA-"):
        return rsa.generate_private_key(65537, int(algorithm.removeprefix("RSA-")))
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm])
    if algorithm == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return getattr(mldsa, algorithm.replace("-", "") + "PrivateKey").generate()


@dataclass(frozen=True)
class KeySigner:
    """ports.Signer over a key of pyca/cryptography."""

    key: Any = field(repr=False)
    signature_algorithm: str = "ecdsa-sha256"

    @property
    def public_spki(self) -> bytes:
        return spki(self.key)

    def sign(self, data: bytes) -> bytes:
        name = self.signature_algorithm
        if name.startswith("rsa-pss-"):
            chosen = HASHES[name.removeprefix("rsa-pss-")]
            return self.key.sign(data, padding.PSS(padding.MGF1(chosen), chosen.digest_size), chosen)
        if name.startswith("rsa-"):
            return self.key.sign(data, padding.PKCS1v15(), HASHES[name.removeprefix("rsa-")])
        if name.startswith("ecdsa-"):
            return self.key.sign(data, ec.ECDSA(HASHES[name.removeprefix("ecdsa-")]))
        return self.key.sign(data)


SIGNERS = [
    ("RSA-2048", "rsa-sha256"),
    ("RSA-2048", "rsa-sha384"),
    ("RSA-2048", "rsa-sha512"),
    ("RSA-2048", "rsa-pss-sha256"),
    ("RSA-2048", "rsa-pss-sha384"),
    ("RSA-2048", "rsa-pss-sha512"),
    ("EC-P256", "ecdsa-sha256"),
    ("EC-P384", "ecdsa-sha384"),
    ("EC-P521", "ecdsa-sha512"),
    ("Ed25519", "ed25519"),
    ("Ed448", "ed448"),
    ("ML-DSA-44", "ml-dsa-44"),
    ("ML-DSA-65", "ml-dsa-65"),
    ("ML-DSA-87", "ml-dsa-87"),
]


def signer(algorithm: str = "EC-P256", name: str = "ecdsa-sha256", number: int = 0) -> KeySigner:
    return KeySigner(private_key(algorithm, number), name)


def spki(key: Any) -> bytes:
    return key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pkcs8(key: Any) -> bytes:
    return key.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def key_pem(key: Any) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


@functools.cache  # the signature is random, and Hypothesis wants the same bytes each time
def certificate(
    key: Any, common_name: str = "subject", *, serial: int = 0x1234, sans: tuple[str, ...] = (), issuer: str = ""
) -> x509.Certificate:
    """A certificate, self-signed, or under the name ``issuer`` with the shared P-256 key."""
    signing = private_key("EC-P256", 9) if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(name(issuer or common_name))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if sans:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in sans]), critical=False
        )
    return builder.sign(signing, signing_hash(signing))


def signing_hash(key: Any) -> hashes.HashAlgorithm | None:
    return hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else None


def csr_der(
    key: Any,
    common_name: str = "subject",
    sans: tuple[str, ...] = (),
    attributes: tuple[tuple[str, bytes, int], ...] = (),
) -> bytes:
    """A request; attributes are (identifier, content octets, universal tag)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(common_name))
    if sans:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in sans]), critical=False
        )
    for oid, value, tag in attributes:
        builder = builder.add_attribute(x509.ObjectIdentifier(oid), value, _tag=x509.name._ASN1Type(tag))
    return builder.sign(key, signing_hash(key)).public_bytes(DER)


def cert_der(made: x509.Certificate) -> bytes:
    return made.public_bytes(DER)


def cert_pem(made: x509.Certificate) -> bytes:
    return made.public_bytes(PEM)


def vector(path: str) -> bytes:
    """A file under tests/vectors, base64 and PEM decoded by the standard library."""
    data = (VECTORS / path).read_bytes()
    if path.endswith((".b64", ".pem")):
        return base64.b64decode(b"".join(line for line in data.splitlines() if not line.startswith(b"-")))
    return data


def vectors(pattern: str) -> list[str]:
    return sorted(str(path.relative_to(VECTORS)) for path in VECTORS.glob(pattern))


def openssl(*arguments: object, stdin: bytes | None = None) -> bytes:
    """Run openssl and return what it wrote; its error text in the failure."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout
