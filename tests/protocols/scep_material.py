"""A small SCEP world for the protocol tests: a CA, its RA, and clients; keys by pyca/cryptography."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509 as other
from cryptography.hazmat.primitives import hashes
from pycryptoutil_protocols import cms, x509
from pycryptoutil_protocols.scep import client, codec, exchange, messages
from pycryptoutil_protocols.scep.client import Client, Sent

from tests.protocols import material

NOW = datetime(2026, 6, 1, tzinfo=material.NOT_BEFORE.tzinfo)
SKEW = timedelta(hours=1)
USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
          "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip


def usage(*names_: str) -> other.KeyUsage:
    return other.KeyUsage(**{name: name in names_ for name in USAGES})


@functools.cache
def ca_certificate() -> bytes:
    key = material.private_key("EC-P256", 9)
    builder = (
        other.CertificateBuilder()
        .subject_name(material.name("scep ca"))
        .issuer_name(material.name("scep ca"))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(material.NOT_BEFORE)
        .not_valid_after(material.NOT_AFTER)
        .add_extension(other.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage("key_cert_sign", "crl_sign"), critical=True)
    )
    return material.cert_der(builder.sign(key, hashes.SHA256()))


@functools.cache
def ra_certificate(number: int = 7) -> bytes:
    key = material.private_key("RSA-2048", number)
    builder = (
        other.CertificateBuilder()
        .subject_name(material.name(f"scep ra {number}"))
        .issuer_name(material.name("scep ca"))
        .public_key(key.public_key())
        .serial_number(100 + number)
        .not_valid_before(material.NOT_BEFORE)
        .not_valid_after(material.NOT_AFTER)
        .add_extension(usage("digital_signature", "key_encipherment"), critical=True)
    )
    return material.cert_der(builder.sign(material.private_key("EC-P256", 9), hashes.SHA256()))


def server() -> client.Server:
    body = codec.encode_ca_certificates((ra_certificate(), ca_certificate()))
    return client.decode_ca_certificates(body, messages.CA_AND_RA_CERTIFICATES)


def readers(*numbers: int) -> list[exchange.Reader]:
    return [
        exchange.Reader(
            x509.decode_certificate(ra_certificate(number)),
            cms.unwrap_with(cms.SoftDecryptor(material.private_key("RSA-2048", number)), allow_pkcs1=True),
        )
        for number in numbers or (7,)
    ]


def responder() -> material.KeySigner:
    return material.signer("RSA-2048", "rsa-sha256", 7)


@dataclass(frozen=True)
class Device:
    """One client with its key, its self-signed certificate and its CSR."""

    algorithm: str = "RSA-2048"
    number: int = 0
    signature: str = "rsa-sha256"
    cipher: str = "aes-256-cbc"
    oaep: bool = False
    challenge: str = "secret"
    common_name: str = "device.example.test"
    key: Any = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", material.private_key(self.algorithm, self.number))

    @property
    def signer(self) -> material.KeySigner:
        return material.KeySigner(self.key, self.signature)

    @property
    def subject(self) -> bytes:
        return material.name(self.common_name).public_bytes()

    @property
    def certificate(self) -> bytes:
        return client.self_signed(
            self.signer, self.subject, int(material.NOT_BEFORE.timestamp()), int(material.NOT_AFTER.timestamp())
        )

    @property
    def csr(self) -> bytes:
        attributes = (("1.2.840.113549.1.9.7", self.challenge.encode(), 0x0C),) if self.challenge else ()
        return material.csr_der(self.key, self.common_name, (self.common_name,), attributes)

    @property
    def client(self) -> Client:
        return Client(server(), self.signer, self.certificate, self.cipher, self.oaep)

    @property
    def unwrap(self) -> cms.Unwrap:
        return cms.unwrap_with(cms.SoftDecryptor(self.key), allow_pkcs1=True)

    def enrol(self, *, renewal: bool = False) -> Sent:
        return self.client.enrol(self.csr, material.spki(self.key), renewal=renewal)


def open_request(
    encoded: bytes, *, legacy: bool = False, now: datetime = NOW, numbers: tuple[int, ...] = (7,)
) -> messages.Request:
    rules = exchange.Rules(SKEW, legacy)
    return exchange.open_request(codec.decode_message(encoded), readers(*numbers), rules, now)


def read(body: bytes, sent: Sent, device: Device, **named: Any) -> client.Answer:
    return client.read_answer(body, sent, (ra_certificate(), ca_certificate()), device.unwrap, **named)
