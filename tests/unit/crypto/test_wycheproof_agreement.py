"""Project Wycheproof: agreement, encapsulation and RSA encryption; and where each file of the project is run."""

from __future__ import annotations

from typing import Any

import pytest
from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.faults import Fault

from pycryptoutil.crypto import keys, policy
from tests.support.vectors import folder, wycheproof

Case = dict[str, Any]
CURVES = {
    "secp256r1": (oids.P256, 32),
    "secp384r1": (oids.P384, 48),
    "secp521r1": (oids.P521, 66),
}
KEMS = {"ML-KEM-768": oids.ML_KEM_768, "ML-KEM-1024": oids.ML_KEM_1024}

# files that no test reads, and why
NOT_OFFERED = {
    "aes_kwp": "AES-KWP: JOSE and CMS here wrap by RFC 3394",
    "aes_siv_cmac": "AES-SIV is not in the core yet",
    "aead_aes_siv_cmac": "AES-SIV is not in the core yet",
    "pbkdf2_hmacsha256": "PBKDF2 is hashlib's in this project (password hashes); PBES2 is refused",
    "pbkdf2_hmacsha384": "the same",
    "pbkdf2_hmacsha512": "the same",
    "x448": "aws-lc has no X448, and JOSE here refuses the curve",
}


def test_every_file_is_run_or_has_its_reason() -> None:
    found = {path.name.removesuffix("_test.json") for path in (folder() / "wycheproof").glob("*_test.json")}
    tests = list((_tests() / "unit").rglob("test_wycheproof*.py"))
    text = "".join(path.read_text() for path in tests)
    patterns = {
        *(f"{name}_{size}" for name in ("hkdf", "hmac") for size in ("sha256", "sha384", "sha512")),
        *(f"mldsa_{level}_{what}" for level in (44, 65, 87) for what in ("verify", "sign_seed")),
        *(f"mlkem_{level}{what}" for level in (768, 1024) for what in ("", "_encaps", "_keygen_seed")),
        *(f"rsa_signature_{size}_sha{bits}" for size in (2048, 3072, 4096) for bits in (256, 384, 512)),
        *(f"ecdh_{curve}{form}" for curve in CURVES for form in ("", "_ecpoint")),
        *(f"rsa_oaep_{name}_mgf1{name[5:]}" for name in OAEP),
        *(f"ecdsa_{curve}_sha{bits}_p1363" for curve, bits in zip(CURVES, (256, 384, 512), strict=True)),
    }
    homeless = {name for name in found if name not in patterns and f'"{name}"' not in text} - set(NOT_OFFERED)
    assert not homeless
    assert set(NOT_OFFERED) <= found


def _tests() -> Any:
    from pathlib import Path

    return Path(__file__).resolve().parents[2]


def outcome(call: Any) -> Any:
    try:
        return call()
    except Fault as fault:
        return fault


def ec_key(curve: str, scalar: int) -> keys.PrivateKey:
    oid, size = CURVES[curve]
    inner = der.sequence(der.integer(1), der.octet_string(scalar.to_bytes(size)))
    identifier = der.sequence(der.oid(oids.EC_PUBLIC_KEY), der.oid(oid))
    return keys.load_pkcs8(der.sequence(der.integer(0), identifier, der.octet_string(inner)))


@pytest.mark.parametrize("form", ["", "_ecpoint"])
@pytest.mark.parametrize("curve", CURVES)
def test_ecdh(curve: str, form: str) -> None:
    """Acceptable are compressed points, curves written out, and BER: refused, one encoding of a key is enough."""
    wrong, count = [], 0
    for group in wycheproof(f"ecdh_{curve}{form}"):
        for case in group["tests"]:
            count += 1
            public = bytes.fromhex(case["public"])
            if form:
                identifier = der.sequence(der.oid(oids.EC_PUBLIC_KEY), der.oid(CURVES[curve][0]))
                public = der.sequence(identifier, der.bit_string(public))
            key = ec_key(curve, int(case["private"], 16))
            found = outcome(lambda key=key, public=public: keys.ecdh(key, public))  # type: ignore[misc]
            if case["result"] == "valid":
                if found != bytes.fromhex(case["shared"]):
                    wrong.append((case["tcId"], case["comment"], case["flags"]))
            elif not isinstance(found, Fault):
                wrong.append((case["tcId"], case["comment"], case["flags"]))
    assert count > 200
    assert not wrong


def test_x25519() -> None:
    """Acceptable: points of small order are refused (RFC 7748 section 6.1), the twist is not told apart."""
    count = 0
    for group in wycheproof("x25519"):
        for case in group["tests"]:
            count += 1
            private, public, shared = (bytes.fromhex(case[name]) for name in ("private", "public", "shared"))
            identifier = der.sequence(der.oid(oids.X25519))
            document = der.sequence(der.integer(0), identifier, der.octet_string(der.octet_string(private)))
            spki = der.sequence(identifier, der.bit_string(public))
            found = outcome(lambda document=document, spki=spki: keys.ecdh(keys.load_pkcs8(document), spki))  # type: ignore[misc]
            if "ZeroSharedSecret" in case["flags"]:
                assert isinstance(found, Fault)
            else:
                assert found == shared, case
    assert count > 500


def kem_document(algorithm: str, seed: bytes) -> bytes:
    identifier = der.sequence(der.oid(KEMS[algorithm]))
    return der.sequence(der.integer(0), identifier, der.octet_string(der.implicit(0, seed)))


def kem_spki(algorithm: str, public: bytes) -> bytes:
    return der.sequence(der.sequence(der.oid(KEMS[algorithm])), der.bit_string(public))


@pytest.mark.parametrize("algorithm", KEMS)
def test_ml_kem(algorithm: str) -> None:
    """All as the vectors say: seeds, ciphertexts of wrong length, implicit rejection."""
    count = 0
    for group in wycheproof(f"mlkem_{algorithm[7:]}"):
        for case in group["tests"]:
            count += 1
            seed, ciphertext = bytes.fromhex(case["seed"]), bytes.fromhex(case["c"])
            document = kem_document(algorithm, seed)
            found = outcome(
                lambda document=document, ciphertext=ciphertext: keys.decapsulate(keys.load_pkcs8(document), ciphertext)
            )  # type: ignore[misc]
            if case["result"] == "valid":
                assert found == bytes.fromhex(case["K"]), case
                if case.get("ek"):
                    public = kem_spki(algorithm, bytes.fromhex(case["ek"]))
                    assert keys.load_pkcs8(document).public_spki == public
            else:
                assert isinstance(found, Fault), case
    assert count > 100


@pytest.mark.parametrize("algorithm", KEMS)
def test_ml_kem_keys(algorithm: str) -> None:
    """Key generation from a seed; the expanded form is read too, and is the same key."""
    for group in wycheproof(f"mlkem_{algorithm[7:]}_keygen_seed"):
        for case in group["tests"]:
            key = keys.load_pkcs8(kem_document(algorithm, bytes.fromhex(case["seed"])))
            assert key.public_spki == kem_spki(algorithm, bytes.fromhex(case["ek"]))
            identifier = der.sequence(der.oid(KEMS[algorithm]))
            expanded = der.octet_string(der.octet_string(bytes.fromhex(case["dk"])))
            again = keys.load_pkcs8(der.sequence(der.integer(0), identifier, expanded))
            assert again.public_spki == key.public_spki


@pytest.mark.parametrize("algorithm", KEMS)
def test_ml_kem_encapsulation_keys(algorithm: str) -> None:
    """Encapsulation draws its own randomness here, so that the keys' check is what the vectors judge."""
    for group in wycheproof(f"mlkem_{algorithm[7:]}_encaps"):
        for case in group["tests"]:
            spki = kem_spki(algorithm, bytes.fromhex(case["ek"]))
            found = outcome(lambda spki=spki: keys.encapsulate(spki))  # type: ignore[misc]
            if case["result"] == "valid":
                assert [len(part) for part in found] == [len(case["c"]) // 2, 32]
                assert policy.check_public_key(spki).algorithm == algorithm
            else:
                assert isinstance(found, Fault), case
                assert isinstance(outcome(lambda spki=spki: policy.check_public_key(spki)), Fault)  # type: ignore[misc]


OAEP = ("2048_sha256", "2048_sha384", "2048_sha512", "3072_sha256", "3072_sha512", "4096_sha256", "4096_sha512")


@pytest.mark.parametrize("name", OAEP)
def test_rsa_oaep(name: str) -> None:
    """Labels are not offered: a ciphertext with one is refused."""
    size, hash_name = name.split("_")
    count = 0
    for group in wycheproof(f"rsa_oaep_{size}_{hash_name}_mgf1{hash_name}"):
        key = keys.load_pkcs8(bytes.fromhex(group["privateKeyPkcs8"]))
        for case in group["tests"]:
            count += 1
            ciphertext = bytes.fromhex(case["ct"])
            found = outcome(
                lambda key=key, ciphertext=ciphertext: keys.rsa_decrypt(key, f"oaep-{hash_name}", ciphertext)
            )  # type: ignore[misc]
            if case["result"] == "valid" and not case["label"]:
                assert found == bytes.fromhex(case["msg"]), case
            else:
                assert isinstance(found, Fault), case
    assert count > 20


@pytest.mark.parametrize(("curve", "bits"), [("secp256r1", 256), ("secp384r1", 384), ("secp521r1", 512)])
def test_ecdsa_in_jose_form(curve: str, bits: int) -> None:
    """The vectors in the form of IEEE P1363 are JWS's: verified through a compact JWS is not possible (its payload is
    the signing input), so the core's JWS key verifies them directly."""
    from pycryptoutil import _core

    alg = {256: "ES256", 384: "ES384", 512: "ES512"}[bits]
    wrong, count = [], 0
    for group in wycheproof(f"ecdsa_{curve}_sha{bits}_p1363"):
        key = keys.PublicKey.from_spki(bytes.fromhex(group["publicKeyDer"]))
        for case in group["tests"]:
            count += 1
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            found = outcome(lambda key=key, m=message, s=signature: _core.bench_verify_loop(key, alg, m, s, 1))  # type: ignore[misc]
            if isinstance(found, Fault) is (case["result"] == "valid"):
                wrong.append((case["tcId"], case["comment"], case["result"]))
    assert count > 200
    assert not wrong
