"""A CA, its CMP signer and clients for the tests of the codec and the client."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.x509.oid import ObjectIdentifier
from pycryptoutil_protocols.cmp import protection
from pycryptoutil_protocols.cmp.client.trust import Trust
from pycryptoutil_protocols.cmp.messages import NULL_NAME, PVNO_2, Body, BodyType, PKIHeader, PKIMessage

from tests.protocols import material

NOW = datetime(2027, 5, 6, 7, 8, 9, tzinfo=UTC)
SECRET = b"a shared secret"
REFERENCE = b"reference"
CA_KEY = material.private_key("EC-P256", 20)
SERVER_KEY = material.private_key("EC-P256", 21)
KEM_KEY = mlkem.MLKEM768PrivateKey.generate()


@dataclass
class StillClock:
    """A clock that is set by hand."""

    moment: datetime = NOW

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


def make_certificate(
    public: Any,
    common_name: str,
    *,
    issuer: str = "CMP test CA",
    key: Any = CA_KEY,
    ca: bool = False,
    signs: bool = True,
    purposes: tuple[str, ...] = (),
    identifier: bool = True,
    not_after: datetime = material.NOT_AFTER,
) -> bytes:
    """DER of a certificate by the test CA."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(material.name(common_name))
        .issuer_name(material.name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(material.NOT_BEFORE)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(
            x509.KeyUsage(signs, False, not signs, False, False, ca, ca, False, False),
            critical=True,
        )
    )
    if identifier:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    if purposes:
        usages = x509.ExtendedKeyUsage([ObjectIdentifier(one) for one in purposes])
        builder = builder.add_extension(usages, critical=False)
    return material.cert_der(builder.sign(key, material.signing_hash(key)))


CA = make_certificate(CA_KEY.public_key(), "CMP test CA", ca=True)
SERVER = make_certificate(SERVER_KEY.public_key(), "CMP test server")
TRUST = Trust((CA,))


def header(**fields: Any) -> PKIHeader:
    """A header that has what every message must have."""
    values: dict[str, Any] = {
        "sender": NULL_NAME,
        "recipient": NULL_NAME,
        "pvno": PVNO_2,
        "message_time": NOW,
        "transaction_id": bytes(range(16)),
        "sender_nonce": bytes(range(16, 32)),
    }
    return PKIHeader(**(values | fields))


def sealed(kind: BodyType, body: Body, protector: protection.Protector | None = None, **fields: Any) -> PKIMessage:
    """A whole message."""
    extra = fields.pop("extra_certificates", ())
    return protection.seal(header(**fields), kind, body, protector, extra)
