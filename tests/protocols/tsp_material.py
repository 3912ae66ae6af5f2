"""A time-stamping key with its certificate, and requests."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from pycryptoutil_protocols.tsp import codec, exchange
from pycryptoutil_protocols.tsp.messages import TimeStampRequest
from pycryptoutil_protocols.tsp.token import sign_token

from tests.protocols import material
from tests.protocols.material import KeySigner

POLICY = "1.2.3.4"
RULES = exchange.Policy((POLICY, "1.2.3.5"))
NOW = datetime(2026, 6, 1, 12, 30, 15, 123456, tzinfo=UTC)
SERIAL = 0x1000_0000_0000_0000_0000_0000_0000_0001
DATA = b"hello"


@dataclass(frozen=True)
class Tsa:
    """Who signs."""

    signer: KeySigner
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return material.cert_der(self.certificate)

    def token(self, request: TimeStampRequest, rules: exchange.Policy = RULES, *, certificates: bool = True) -> bytes:
        subject = self.certificate.subject.public_bytes()
        info = exchange.decide(request, rules, NOW, SERIAL, subject)
        return sign_token(info, self.signer, self.der, (self.der,) if certificates else ())


@functools.cache
def tsa(algorithm: str = "EC-P256", signature: str = "ecdsa-sha256", *, purpose: str = "timestamping") -> Tsa:
    """One TSA of a key; ``purpose``: timestamping, lax (not critical), several, none."""
    key = material.private_key(algorithm)
    return Tsa(KeySigner(key, signature), _certificate(key, purpose))


def _certificate(key: Any, purpose: str) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(material.name("tsa"))
        .issuer_name(material.name("tsa"))
        .public_key(key.public_key())
        .serial_number(0x4711)
        .not_valid_before(material.NOT_BEFORE)
        .not_valid_after(material.NOT_AFTER)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    stamping, other = x509.ExtendedKeyUsageOID.TIME_STAMPING, x509.ExtendedKeyUsageOID.CODE_SIGNING
    if purpose != "none":
        usages = [stamping, other] if purpose == "several" else [stamping]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=purpose != "lax")
    return builder.sign(key, material.signing_hash(key))


def asked(hash_name: str = "sha256", **more: Any) -> TimeStampRequest:
    from pycryptoutil_protocols import algorithms

    imprint = codec.encode_imprint(hash_name, algorithms.digest(hash_name, DATA))
    return TimeStampRequest(imprint, **more)
