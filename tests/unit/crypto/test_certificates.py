"""Certificates of the core against cryptography's builder: the same octets, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import keys, policy
from pycryptoutil.crypto.signer import CertificateSigner, KeySigner
from pycryptoutil.crypto.x509 import extensions_der, name_der

ISSUER = name_der("CN=Issuing CA 1,O=Ünïcode & Söhne,C=DE")
KEYS = {one: keys.generate(one) for one in ("RSA-2048", "EC-P256", "EC-P384", "EC-P521", "Ed25519", "ML-DSA-65")}
INSTANTS = st.integers(-631_152_000, 253_402_300_799)
SERVER = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
EXTENSIONS = [
    x509.Extension(x509.ExtensionOID.BASIC_CONSTRAINTS, True, x509.BasicConstraints(ca=True, path_length=0)),
    x509.Extension(
        x509.ExtensionOID.EXTENDED_KEY_USAGE, False, x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
    ),
    x509.Extension(
        x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, False, x509.SubjectAlternativeName([x509.DNSName("a.example.test")])
    ),
]


def magnitude(number: int) -> bytes:
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


def theirs(serial: int, before: int, after: int, subject: x509.Name, spki: bytes) -> bytes:
    """The TBSCertificate that cryptography makes of the same fields."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .serial_number(serial)
        .issuer_name(x509.load_der_x509_certificate(BASE).issuer)
        .subject_name(subject)
        .not_valid_before(epoch + timedelta(seconds=before))
        .not_valid_after(epoch + timedelta(seconds=after))
        .public_key(load_der_public_key(spki))  # type: ignore[arg-type]
    )
    for extension in EXTENSIONS:
        builder = builder.add_extension(extension.value, extension.critical)
    private = load_der_private_key(KEYS["EC-P256"].export_pkcs8(), None)
    return builder.sign(private, hashes.SHA256()).tbs_certificate_bytes  # type: ignore[arg-type]


SIGNER = CertificateSigner(KeySigner(KEYS["EC-P256"]), ISSUER)
BASE = SIGNER.sign(SIGNER.tbs(b"\x01", 0, 1, ISSUER, KEYS["EC-P256"].public_spki, b""))


@settings(max_examples=60, deadline=None)
@given(
    serial=st.integers(1, (1 << 159) - 1),
    times=st.tuples(INSTANTS, INSTANTS).map(sorted),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(
        lambda name: len(name.encode()) <= 64  # ub-common-name, which cryptography counts in octets
    ),
    key=st.sampled_from(sorted(KEYS)),
)
def test_the_same_octets_as_cryptography(serial: int, times: list[int], name: str, key: str) -> None:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    spki = KEYS[key].public_spki
    ours = SIGNER.tbs(magnitude(serial), *times, subject.public_bytes(), spki, extensions_der(EXTENSIONS))
    assert ours == theirs(serial, times[0], times[1], subject, spki)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_algorithm_is_verified_by_cryptography(key: str) -> None:
    for name in policy.signatures_of(key):
        signer = CertificateSigner(KeySigner(KEYS[key], name), ISSUER)
        tbs = signer.tbs(b"\x80\x01", 0, 2_600_000_000, ISSUER, KEYS[key].public_spki, extensions_der(EXTENSIONS))
        certificate = x509.load_der_x509_certificate(signer.sign(tbs))
        certificate.verify_directly_issued_by(certificate)
        assert certificate.tbs_certificate_bytes == tbs
        assert certificate.serial_number == 0x8001
        if "pss" in name:
            parameters = certificate.signature_algorithm_parameters
            assert isinstance(parameters, padding.PSS)


def test_tbs_of_another_issuer_or_algorithm_is_not_signed() -> None:
    p256, p384 = KEYS["EC-P256"], KEYS["EC-P384"]
    tbs = SIGNER.tbs(b"\x01", 0, 1, ISSUER, p256.public_spki, b"")
    for other in (
        CertificateSigner(KeySigner(p256), name_der("CN=other")),
        CertificateSigner(KeySigner(p384), ISSUER),
    ):
        with pytest.raises(Fault) as raised:
            other.sign(tbs)
        assert raised.value.kind is FaultKind.INVALID
    for wrong in (b"", tbs[:-1], tbs + b"\0", tbs.replace(b"\x02\x01\x02", b"\x02\x01\x01", 1)):
        with pytest.raises(Fault):
            SIGNER.sign(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"serial": b""},
        {"serial": b"\0"},
        {"serial": b"\xff" * 20},
        {"serial": b"\x01" * 21},
        {"not_before": 2},
        {"not_after": 1 << 40},
        {"subject": b""},
        {"subject": b"CN=x"},
        {"spki": b"\x30\x80\x00\x00"},
        {"extensions": b"\x30\x02\x30\x05"},
    ],
    ids=str,
)
def test_bad_fields_are_refused(change: dict[str, object]) -> None:
    fields = {"serial": b"\x01", "not_before": 0, "not_after": 1, "subject": ISSUER, "spki": b"", "extensions": b""}
    fields |= {"spki": KEYS["EC-P256"].public_spki, **change}
    with pytest.raises(Fault):
        SIGNER.tbs(**fields)  # type: ignore[arg-type]


def test_a_key_signer_keeps_to_one_algorithm() -> None:
    signer = KeySigner(KEYS["RSA-2048"], "rsa-pss-sha384")
    assert signer.signature_algorithm == "rsa-pss-sha384"
    assert signer.public_spki == signer.key.public_spki
    keys.verify(signer.public_spki, "rsa-pss-sha384", b"data", signer.sign(b"data"))
    assert repr(signer) == "KeySigner(RSA-2048, rsa-pss-sha384)"
    assert KeySigner(KEYS["EC-P521"]).signature_algorithm == "ecdsa-sha512"
    for key, name in (("RSA-2048", "ecdsa-sha256"), ("EC-P256", "ecdsa-sha384"), ("Ed25519", "rsa-sha1")):
        with pytest.raises(Fault) as raised:
            KeySigner(KEYS[key], name)
        assert raised.value.kind is FaultKind.BAD_ALGORITHM
