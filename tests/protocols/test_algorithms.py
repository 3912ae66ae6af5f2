"""Signature algorithms and public keys: each against pyca/cryptography, and what must be refused."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material

DATA = b"to be signed"


def refused(kind: FaultKind, *arguments: bytes) -> None:
    with pytest.raises(Fault) as caught:
        algorithms.verify(*arguments)
    assert caught.value.kind is kind


@pytest.mark.parametrize(("key", "name"), material.SIGNERS)
def test_verifies_and_notices_any_change(key: str, name: str) -> None:
    signer = material.signer(key, name)
    identifier = algorithms.signature_identifier(name)
    signature = signer.sign(DATA)
    algorithms.verify(signer.public_spki, identifier, DATA, signature)
    refused(FaultKind.BAD_SIGNATURE, signer.public_spki, identifier, DATA + b".", signature)
    refused(FaultKind.BAD_SIGNATURE, signer.public_spki, identifier, DATA, signature[:-1] + bytes((signature[-1] ^ 1,)))
    refused(FaultKind.BAD_SIGNATURE, signer.public_spki, identifier, DATA, b"")
    other = material.signer(key, name, 1)
    refused(FaultKind.BAD_SIGNATURE, other.public_spki, identifier, DATA, signature)


@pytest.mark.parametrize(("key", "name"), material.SIGNERS)
def test_a_key_of_another_kind_is_refused(key: str, name: str) -> None:
    for other, other_name in material.SIGNERS:
        if other.split("-")[0] != key.split("-")[0]:
            signature = material.signer(other, other_name).sign(DATA)
            spki = material.signer(key, name).public_spki
            refused(FaultKind.BAD_ALGORITHM, spki, algorithms.signature_identifier(other_name), DATA, signature)


@pytest.mark.parametrize("algorithm", [*material.ALGORITHMS, "Ed448"])
def test_key_info_names_the_core_s_algorithms(algorithm: str) -> None:
    info = algorithms.key_info(material.spki(material.private_key(algorithm)))
    assert info.algorithm == algorithm
    assert info.family == algorithm.split("-")[0].replace("ML", "ML-DSA").replace("Ed25519", "EdDSA").replace(
        "Ed448", "EdDSA"
    )


@pytest.mark.parametrize(
    "oid",
    [
        "1.2.840.113549.1.1.4",  # md5WithRSA
        "1.2.840.113549.1.1.5",  # sha1WithRSA
        "1.2.840.10045.4.1",  # ecdsa-with-SHA1
        "1.2.840.10040.4.3",  # dsa-with-sha1
        "1.2.840.113549.1.1.14",  # sha224WithRSA
        "1.2.3.4",
    ],
)
def test_old_and_unknown_signatures_have_no_name(oid: str) -> None:
    with pytest.raises(Fault) as caught:
        algorithms.decode_signature(algorithms.algorithm_identifier(oid, der.null()))
    assert caught.value.kind is FaultKind.BAD_ALGORITHM


def pss(hash_name: str | None, mask_hash: str | None, salt: int | None = None, trailer: int | None = None) -> bytes:
    fields = b""
    if hash_name:
        fields += der.explicit(0, algorithms.hash_identifier(hash_name))
    if mask_hash:
        fields += der.explicit(1, algorithms.algorithm_identifier(oids.MGF1, algorithms.hash_identifier(mask_hash)))
    if salt is not None:
        fields += der.explicit(2, der.integer(salt))
    if trailer is not None:
        fields += der.explicit(3, der.integer(trailer))
    return algorithms.algorithm_identifier(oids.RSASSA_PSS, der.sequence(fields))


@pytest.mark.parametrize(
    "identifier",
    [
        algorithms.algorithm_identifier(oids.RSASSA_PSS),
        pss(None, None),  # SHA-1 by default
        pss("sha1", "sha1", 20),
        pss("sha256", "sha512", 32),
        pss("sha256", None, 32),
        pss("sha256", "sha256", -1),
        pss("sha256", "sha256", 1 << 20),
        pss("sha256", "sha256", 32, 2),
    ],
)
def test_pss_parameters_that_weaken_are_refused(identifier: bytes) -> None:
    with pytest.raises(Fault) as caught:
        algorithms.decode_signature(identifier)
    assert caught.value.kind is FaultKind.BAD_ALGORITHM


@pytest.mark.parametrize("salt", [0, 20, 32, 64, 222])
def test_pss_takes_the_salt_length_that_is_said(salt: int) -> None:
    key = material.private_key("RSA-2048")
    signature = key.sign(DATA, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
    algorithms.verify(material.spki(key), pss("sha256", "sha256", salt), DATA, signature)
    refused(FaultKind.BAD_SIGNATURE, material.spki(key), pss("sha256", "sha256", salt + 1), DATA, signature)


def rsa_spki(modulus: int, exponent: int) -> bytes:
    key = der.sequence(der.integer(modulus), der.integer(exponent))
    return der.sequence(algorithms.algorithm_identifier(oids.RSA_ENCRYPTION, der.null()), der.bit_string(key))


MODULUS = (1 << 2047) | 1


@pytest.mark.parametrize(
    "spki",
    [
        rsa_spki((1 << 2046) | 1, 65537),  # 2047 bits
        rsa_spki((1 << 16383) | 1, 65537),
        rsa_spki(MODULUS, 3),
        rsa_spki(MODULUS, 65536),
        rsa_spki(MODULUS, 1),
        rsa_spki(MODULUS, (1 << 300) | 1),
        rsa_spki(MODULUS - 1, 65537),
        rsa_spki(-MODULUS, 65537),
    ],
)
def test_weak_rsa_keys(spki: bytes) -> None:
    with pytest.raises(Fault) as caught:
        algorithms.key_info(spki)
    assert caught.value.kind is FaultKind.WEAK_KEY


def test_other_keys_that_are_refused() -> None:
    for identifier in (
        algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.oid("1.3.132.0.10")),  # secp256k1
        algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.sequence()),  # explicit parameters
        algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY),
        algorithms.algorithm_identifier("1.2.840.10040.4.1"),  # DSA
    ):
        with pytest.raises(Fault) as caught:
            algorithms.key_info(der.sequence(identifier, der.bit_string(b"\x04" + bytes(64))))
        assert caught.value.kind is FaultKind.BAD_ALGORITHM


def test_a_point_off_the_curve_is_malformed() -> None:
    spki = der.sequence(
        algorithms.algorithm_identifier(oids.EC_PUBLIC_KEY, der.oid(oids.P256)),
        der.bit_string(b"\x04" + bytes(63) + b"\x01"),
    )
    refused(FaultKind.MALFORMED, spki, algorithms.signature_identifier("ecdsa-sha256"), DATA, b"\x30\x00")


def test_rsa_pss_only_key_signs_only_pss() -> None:
    key = rsa.generate_private_key(65537, 2048)
    plain = der.read(material.spki(key))
    bits = plain.children()[1].encoded
    only = der.sequence(algorithms.algorithm_identifier(oids.RSASSA_PSS), bits)
    signature = key.sign(DATA, padding.PKCS1v15(), hashes.SHA256())
    refused(FaultKind.BAD_ALGORITHM, only, algorithms.signature_identifier("rsa-sha256"), DATA, signature)
    signature = material.KeySigner(key, "rsa-pss-sha256").sign(DATA)
    algorithms.verify(only, algorithms.signature_identifier("rsa-pss-sha256"), DATA, signature)


def test_identifiers_are_those_of_cryptography() -> None:
    made = material.cert_der(material.certificate(material.private_key("EC-P256")))
    assert algorithms.signature_identifier("ecdsa-sha256") == der.split_sequence(made)[1]
    made = material.cert_der(material.certificate(material.private_key("RSA-2048")))
    assert algorithms.signature_identifier("rsa-sha256") == der.split_sequence(made)[1]
