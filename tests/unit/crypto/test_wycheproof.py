"""Project Wycheproof against the core. Every file has its written decision on what is ``acceptable``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.crypto import keys
from tests.support.vectors import wycheproof

Case = dict[str, Any]


def run(name: str, attempt: Callable[[Case, Case], None], *, refuse: frozenset[str] = frozenset()) -> None:
    """Hold ``attempt`` to every case: valid passes, but with a flag of ``refuse``; anything else is a Fault."""
    wrong, count = [], 0
    for group in wycheproof(name):
        for case in group["tests"]:
            count += 1
            expected = case["result"] == "valid" and not refuse & set(case["flags"])
            try:
                attempt(group, case)
                passed = True
            except Fault:
                passed = False
            if passed is not expected:
                wrong.append((case["tcId"], case["comment"], case["flags"], case["result"]))
    assert count
    assert not wrong


def octets(case: Case, *names: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(case[name]) for name in names)


def test_aes_gcm() -> None:
    """Nonces of other lengths than 96 bits are valid AES-GCM, and refused here: GHASH over a nonce costs its bound."""

    def attempt(group: Case, case: Case) -> None:
        key, iv, aad, message, ciphertext, tag = octets(case, "key", "iv", "aad", "msg", "ct", "tag")
        name = f"aes-{group['keySize']}-gcm"
        if group["ivSize"] != 96:
            with pytest.raises(Fault):
                keys.aead_decrypt(name, key, iv, ciphertext + tag, aad)
            if case["result"] != "valid":
                raise_refused()
            return
        assert keys.aead_decrypt(name, key, iv, ciphertext + tag, aad) == message
        assert keys.aead_encrypt(name, key, iv, message, aad) == ciphertext + tag

    run("aes_gcm", attempt)


def raise_refused() -> None:
    """Stand for a refusal that was asserted already."""
    keys.require_equal(b"a", b"b")


def test_aes_wrap() -> None:
    """Acceptable are keys of 64 bits, which RFC 3394 does not define: refused."""

    def attempt(_group: Case, case: Case) -> None:
        key, message, ciphertext = octets(case, "key", "msg", "ct")
        assert keys.aes_kw_unwrap(key, ciphertext) == message
        assert keys.aes_kw_wrap(key, message) == ciphertext

    run("aes_wrap", attempt)


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
def test_hkdf(hash_name: str) -> None:
    def attempt(_group: Case, case: Case) -> None:
        ikm, salt, info, okm = octets(case, "ikm", "salt", "info", "okm")
        assert keys.hkdf(hash_name, ikm, salt, info, case["size"]) == okm

    run(f"hkdf_{hash_name}", attempt)


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
def test_hmac(hash_name: str) -> None:
    def attempt(group: Case, case: Case) -> None:
        key, message, tag = octets(case, "key", "msg", "tag")
        keys.require_equal(keys.hmac(hash_name, key, message)[: group["tagSize"] // 8], tag)

    run(f"hmac_{hash_name}", attempt)


def verification(algorithm: str) -> Callable[[Case, Case], None]:
    def attempt(group: Case, case: Case) -> None:
        message, signature = octets(case, "msg", "sig")
        keys.verify(bytes.fromhex(group["publicKeyDer"]), algorithm, message, signature)

    return attempt


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("ecdsa_secp256r1_sha256", "ecdsa-sha256"),
        ("ecdsa_secp384r1_sha384", "ecdsa-sha384"),
        ("ecdsa_secp521r1_sha512", "ecdsa-sha512"),
        ("ed25519", "ed25519"),
        ("ed448", "ed448"),
        *(
            (f"rsa_signature_{size}_sha{bits}", f"rsa-sha{bits}")
            for size in (2048, 3072, 4096)
            for bits in (256, 384, 512)
        ),
        ("rsa_pss_2048_sha256_mgf1_32", "rsa-pss-sha256"),
        ("rsa_pss_2048_sha384_mgf1_48", "rsa-pss-sha384"),
        ("rsa_pss_3072_sha256_mgf1_32", "rsa-pss-sha256"),
        ("rsa_pss_4096_sha256_mgf1_32", "rsa-pss-sha256"),
        ("rsa_pss_4096_sha384_mgf1_48", "rsa-pss-sha384"),
        ("rsa_pss_4096_sha512_mgf1_64", "rsa-pss-sha512"),
    ],
)
def test_signatures(name: str, algorithm: str) -> None:
    """Acceptable RSA signatures lack the NULL in DigestInfo: refused (RFC 8017 section 9.2 note 1).

    Public exponents under 2^16 are valid RSA, and refused by the policy (FIPS 186-5 appendix A.1.1).
    """
    run(name, verification(algorithm), refuse=frozenset({"SmallPublicKey"}))


@pytest.mark.parametrize("level", ["44", "65", "87"])
def test_ml_dsa_verify(level: str) -> None:
    """X.509 uses the empty context (RFC 9881 section 3); the cases with another are skipped by their group's data."""
    wrong, count = [], 0
    for group in wycheproof(f"mldsa_{level}_verify"):
        for case in group["tests"]:
            if case.get("ctx"):
                continue
            count += 1
            try:
                message, signature = octets(case, "msg", "sig")
                keys.verify(bytes.fromhex(group["publicKeyDer"]), f"ml-dsa-{level}", message, signature)
                passed = True
            except Fault:
                passed = False
            if passed is not (case["result"] == "valid"):
                wrong.append((case["tcId"], case["comment"], case["result"]))
    assert count > 20
    assert not wrong


@pytest.mark.parametrize("level", ["44", "65", "87"])
def test_ml_dsa_keys_and_signatures(level: str) -> None:
    """Signing is hedged here, so a signature of our own is verified instead of compared."""
    count = 0
    for group in wycheproof(f"mldsa_{level}_sign_seed"):
        seed = bytes.fromhex(group["privateSeed"])
        prefix = bytes.fromhex("3034020100300b0609608648016503040311042280 20".replace(" ", ""))
        document = prefix.replace(b"\x03\x11", bytes([3, {"44": 0x11, "65": 0x12, "87": 0x13}[level]])) + seed
        if len(seed) != 32:
            with pytest.raises(Fault):
                keys.load_pkcs8(document)
            continue
        assert document.hex() == group.get("privateKeyPkcs8", document.hex())
        key = keys.load_pkcs8(document)
        assert key.public_spki.endswith(bytes.fromhex(group["publicKey"]))
        assert key.export_pkcs8() == document
        for case in group["tests"]:
            if case.get("ctx") or case["result"] != "valid" or not case.get("msg"):
                continue
            count += 1
            message, signature = octets(case, "msg", "sig")
            keys.verify(key.public_spki, f"ml-dsa-{level}", message, signature)
            keys.verify(key.public_spki, f"ml-dsa-{level}", message, key.sign(f"ml-dsa-{level}", message))
    assert count
