"""The X.509 helpers."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509 as lib
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import keys, x509
from pycryptoutil.crypto.signer import CertificateSigner, KeySigner

KEY = keys.generate("EC-P256")
NAME = x509.name_der("CN=a,O=b")
SIGNER = CertificateSigner(KeySigner(KEY), NAME)
CERTIFICATE = SIGNER.sign(SIGNER.tbs(b"\x05", 0, 86_400, NAME, KEY.public_spki, b""))


def kind_of(call: object, *arguments: object) -> FaultKind:
    with pytest.raises(Fault) as raised:
        call(*arguments)  # type: ignore[operator]
    assert isinstance(raised.value, Fault)
    return raised.value.kind


def test_names() -> None:
    assert x509.name_text(NAME) == "CN=a,O=b"
    assert x509.name_der([("2.5.4.10", "b"), ("2.5.4.3", "a")]) == NAME
    assert x509.name_der(lib.Name.from_rfc4514_string("CN=a,O=b")) == NAME
    for odd in ("CN=a\\, b\\+c", "CN=\\ x\\ ", "CN=\\#1", 'CN=\\"q\\"', "CN=Ünï"):
        assert x509.name_text(x509.name_der(odd)) == odd
    for wrong in ("CN", "=x", "C=too long", [("1.2.x", "y")], [("2.5.4.6", "DEU")]):
        assert kind_of(x509.name_der, wrong) is FaultKind.INVALID


def test_facts_and_identifiers() -> None:
    assert x509.facts(CERTIFICATE).serial == 5
    assert x509.parse_certificate(CERTIFICATE).serial_number == 5
    assert x509.fingerprint(CERTIFICATE) == hashlib.sha256(CERTIFICATE).hexdigest()
    public = x509.parse_certificate(CERTIFICATE).public_key()
    assert x509.ski(KEY.public_spki) == lib.SubjectKeyIdentifier.from_public_key(public).digest
    assert kind_of(x509.parse_certificate, CERTIFICATE[:-1]) is FaultKind.MALFORMED
    assert kind_of(x509.facts, b"") is FaultKind.MALFORMED


def test_pem() -> None:
    armour = x509.pem(CERTIFICATE)
    assert x509.certificates_of(armour.encode() * 2) == (CERTIFICATE, CERTIFICATE)
    assert x509.certificates_of(CERTIFICATE) == (CERTIFICATE,)
    assert max(map(len, armour.splitlines())) <= 64
    assert lib.load_pem_x509_certificate(armour.encode()).serial_number == 5
    for wrong in (b"", b"-----BEGIN CERTIFICATE-----", b"nonsense"):
        assert kind_of(x509.certificates_of, wrong) is FaultKind.MALFORMED


def test_extensions() -> None:
    encoded = x509.extensions_der(
        [lib.Extension(lib.ExtensionOID.BASIC_CONSTRAINTS, True, lib.BasicConstraints(ca=True, path_length=1))]
    )
    certificate = SIGNER.sign(SIGNER.tbs(b"\x05", 0, 1, NAME, KEY.public_spki, encoded))
    found = x509.parse_certificate(certificate).extensions.get_extension_for_class(lib.BasicConstraints)
    assert found.critical
    assert found.value.path_length == 1


def test_issued_by() -> None:
    x509.check_issued_by(CERTIFICATE, CERTIFICATE)
    other = keys.generate("EC-P256")
    signer = CertificateSigner(KeySigner(other), NAME)
    stranger = signer.sign(signer.tbs(b"\x05", 0, 1, NAME, other.public_spki, b""))
    assert kind_of(x509.check_issued_by, CERTIFICATE, stranger) is FaultKind.BAD_SIGNATURE


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    builder = lib.CertificateSigningRequestBuilder(lib.Name.from_rfc4514_string("CN=x"))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_requests() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    encoded = request(key)
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert x509.verify_csr(encoded).spki == spki
    assert kind_of(x509.verify_csr, encoded.replace(b"\x0c\x01x", b"\x0c\x01y")) is FaultKind.BAD_POP
    assert kind_of(x509.verify_csr, encoded[:-1]) is FaultKind.MALFORMED
    assert kind_of(x509.verify_csr, request(rsa.generate_private_key(65537, 1024))) is FaultKind.WEAK_KEY
    assert kind_of(x509.verify_csr, request(rsa.generate_private_key(3, 2048))) is FaultKind.WEAK_KEY
    sha224 = encoded.replace(bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040301"))
    assert kind_of(x509.verify_csr, sha224) is FaultKind.BAD_ALGORITHM
