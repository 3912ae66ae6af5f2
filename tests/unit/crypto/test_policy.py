"""The algorithm policy: what is listed, and the weaknesses that are looked for."""

from __future__ import annotations

import itertools
import math

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import keys, policy
from pycryptoutil.crypto.policy import KeyAlgorithm, SignatureAlgorithm

MODULUS = rsa.generate_private_key(65537, 2048).private_numbers()


def rsa_spki(modulus: int, exponent: int = 65537) -> bytes:
    key = der.sequence(der.integer(modulus), der.integer(exponent))
    return der.sequence(bytes.fromhex("300d06092a864886f70d0101010500"), der.bit_string(key))


def kind_of(call: object, *arguments: object) -> FaultKind:
    with pytest.raises(Fault) as raised:
        call(*arguments)  # type: ignore[operator]
    assert isinstance(raised.value, Fault)
    return raised.value.kind


def test_every_key_has_a_default_that_it_may_sign_with() -> None:
    for algorithm in KeyAlgorithm:
        default = policy.default_signature(algorithm)
        assert policy.check_signature(algorithm, default) is default
        assert policy.check_verification(algorithm, default) is default


def test_pairs_that_do_not_fit() -> None:
    allowed = {(key, name) for key in KeyAlgorithm for name in policy.signatures_of(key)}
    for pair in itertools.product(KeyAlgorithm, SignatureAlgorithm):
        if pair not in allowed:
            assert kind_of(policy.check_signature, *pair) is FaultKind.BAD_ALGORITHM
    assert len(allowed) == 3 * 6 + 7


@pytest.mark.parametrize("name", ["rsa-sha1", "ecdsa-sha224", "md5", "", "rsa-sha3-256", "x" * 1000])
def test_unknown_names(name: str) -> None:
    assert kind_of(policy.signature_algorithm, name) is FaultKind.BAD_ALGORITHM
    assert kind_of(policy.key_algorithm, name) is FaultKind.BAD_ALGORITHM
    assert kind_of(policy.check_hash, name) is FaultKind.BAD_ALGORITHM
    assert kind_of(policy.default_signature, name) is FaultKind.BAD_ALGORITHM


@pytest.mark.parametrize(
    ("name", "counted"), [("RSA-2560", "RSA-2048"), ("RSA-3072", "RSA-3072"), ("RSA-8192", "RSA-4096")]
)
def test_other_rsa_sizes_count_as_the_size_they_reach(name: str, counted: str) -> None:
    assert policy.signatures_of(name) == policy.signatures_of(counted)


@pytest.mark.parametrize("name", ["RSA-1024", "RSA-", "RSA-٢٠٤٨", "RSA-99999999"])
def test_rsa_sizes_that_are_none(name: str) -> None:
    assert kind_of(policy.signatures_of, name) is FaultKind.BAD_ALGORITHM


def test_signature_identifiers_are_read_back() -> None:
    for name in SignatureAlgorithm:
        identifier = policy.signature_identifier(name)
        assert policy.check_request_signature(identifier) is name
    assert kind_of(policy.signature_identifier, "rsa-sha1") is FaultKind.BAD_ALGORITHM


@pytest.mark.parametrize(
    "oid",
    [
        "1.2.840.113549.1.1.5",  # sha1WithRSAEncryption
        "1.2.840.113549.1.1.4",  # md5WithRSAEncryption
        "1.2.840.10045.4.1",  # ecdsa-with-SHA1
        "2.16.840.1.101.3.4.3.14",  # RSA with SHA3-256: has a name, but is not on the list
        "1.2.3",
    ],
)
def test_signatures_of_peers_that_are_not_believed(oid: str) -> None:
    identifier = algorithms.algorithm_identifier(oid, der.null())
    assert kind_of(policy.check_request_signature, identifier) is FaultKind.BAD_ALGORITHM


def test_a_request_signature_must_go_with_its_key() -> None:
    spki = keys.generate("EC-P256").public_spki
    ecdsa = policy.signature_identifier("ecdsa-sha384")
    assert policy.check_request_signature(ecdsa, spki) == "ecdsa-sha384"
    for name in ("rsa-sha256", "ed25519", "ed448", "ml-dsa-44"):
        assert (
            kind_of(policy.check_request_signature, policy.signature_identifier(name), spki) is FaultKind.BAD_ALGORITHM
        )


@pytest.mark.parametrize("algorithm", ["RSA-2048", "EC-P256", "EC-P384", "EC-P521", "Ed25519", "ML-DSA-44"])
def test_subject_keys(algorithm: str) -> None:
    assert policy.check_public_key(keys.generate(algorithm).public_spki).algorithm == algorithm


def test_subject_keys_that_do_not_sign_here() -> None:
    for key, name in ((ed448.Ed448PrivateKey.generate(), "Ed448"), (x25519.X25519PrivateKey.generate(), "X25519")):
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert policy.check_public_key(spki).algorithm == name
        assert kind_of(policy.check_public_key, spki[:-1]) is FaultKind.MALFORMED


def test_good_rsa_passes() -> None:
    assert policy.check_public_key(rsa_spki(MODULUS.public_numbers.n)).bits == 2048


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (MODULUS.public_numbers.n, 3),
        (MODULUS.public_numbers.n, 1),
        (MODULUS.public_numbers.n, 65536),
        (MODULUS.public_numbers.n, 1 << 300 | 1),
        (MODULUS.public_numbers.n - 1, 65537),
        (MODULUS.public_numbers.n >> 1024 | 1, 65537),
        (((1 << 2047) // 3 | 1) * 3, 65537),
    ],
    ids=["e=3", "e=1", "even e", "large e", "even", "short", "factor 3"],
)
def test_weak_rsa(modulus: int, exponent: int) -> None:
    assert kind_of(policy.check_public_key, rsa_spki(modulus, exponent)) is FaultKind.WEAK_KEY


def test_close_primes_are_found() -> None:
    close = MODULUS.p
    other = close + 2
    while math.gcd(other, math.prod(range(3, 1000, 2))) != 1:
        other += 2
    assert kind_of(policy.check_public_key, rsa_spki(close * other)) is FaultKind.WEAK_KEY


def test_the_fingerprint_of_roca_is_found() -> None:
    """A modulus that is a power of 65537 modulo every small prime, made by the Chinese remainder theorem."""
    residue, product = 0, 1
    for prime in (number for number in range(3, 168) if all(number % factor for factor in range(2, number))):
        target = pow(65537, 5, prime)
        while residue % prime != target:
            residue += product
        product *= prime
    modulus = residue + product * ((1 << 2047) // product + 1)
    while modulus % 2 == 0 or math.gcd(modulus, math.prod(range(169, 752, 2))) != 1:
        modulus += product
    assert modulus.bit_length() == 2048
    with pytest.raises(Fault, match="CVE-2017-15361"):
        policy.check_public_key(rsa_spki(modulus))


def test_points_off_the_curve_and_other_curves() -> None:
    spki = bytearray(keys.generate("EC-P256").public_spki)
    spki[-1] ^= 1
    assert kind_of(policy.check_public_key, bytes(spki)) is FaultKind.MALFORMED
    other = ec.generate_private_key(ec.SECP256K1()).public_key()
    encoded = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert kind_of(policy.check_public_key, encoded) is FaultKind.BAD_ALGORITHM


def test_keys_restricted_to_pss_are_refused() -> None:
    inner = algorithms.key_info(rsa_spki(MODULUS.public_numbers.n)).key
    spki = der.sequence(algorithms.algorithm_identifier(oids.RSASSA_PSS), der.bit_string(inner))
    assert kind_of(policy.check_public_key, spki) is FaultKind.BAD_ALGORITHM
