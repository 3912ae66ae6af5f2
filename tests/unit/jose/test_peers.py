"""Every algorithm and every pair of alg and enc, both ways, against joserfc, jwcrypto and the slow twin."""

from __future__ import annotations

import itertools
import json
import warnings
from functools import cache
from typing import Any

import jwt as pyjwt
import pytest
from jwcrypto import jwe as jwcrypto_jwe
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jws as jwcrypto_jws

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from joserfc import jwe as joserfc_jwe
    from joserfc import jws as joserfc_jws
    from joserfc.jwk import KeySet, import_key

from pycryptoutil_protocols.faults import Fault

from pycryptoutil import jose
from pycryptoutil.crypto import jose as core
from tests.support import jose_twin as twin

PLAINTEXT = "You can trust us to stick with you through thick and thin – to the bitter end.".encode()
JOSERFC_SIGNS = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
JOSERFC_SIGNS += ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"]
ENCS = [enc.value for enc in core.ContentEncryption]
SYMMETRIC = ["dir", "A128KW", "A192KW", "A256KW", "A128GCMKW", "A192GCMKW", "A256GCMKW"]
RSA = ["RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"]
ECDH = ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"]
CURVES = ["EC-P256", "EC-P384", "EC-P521", "X25519"]
# (alg, enc, the curve of an ECDH key or ""): every pair, and every curve
PAIRS = [(alg, enc, "") for alg, enc in itertools.product(SYMMETRIC + RSA, ENCS)]
PAIRS += list(itertools.product(ECDH, ENCS, CURVES))


@cache
def made(algorithm: str) -> dict[str, Any]:
    """A private JWK without alg."""
    members = jose.generate(algorithm, kid="").export()
    return {name: value for name, value in members.items() if members["kty"] == "AKP" or name != "alg"}


def signing_key(alg: str) -> dict[str, Any]:
    names = {"R": "RSA-2048", "P": "RSA-2048"}
    curves = {"ES256": "EC-P256", "ES384": "EC-P384", "ES512": "EC-P521", "EdDSA": "Ed25519"}
    return made(alg if alg[:2] in ("HS", "Ed") and alg != "EdDSA" else curves.get(alg) or names[alg[0]])


def encryption_key(alg: str, enc: str, curve: str) -> dict[str, Any]:
    if alg == "dir":
        return made(enc)
    return made(curve or ("RSA-2048" if alg.startswith("RSA") else alg))


def ours(members: dict[str, Any], **extra: str) -> Any:
    return jose.parse(members | extra)


def public(members: dict[str, Any]) -> dict[str, Any]:
    if members["kty"] == "oct":
        return members
    return jose.parse(members).public.members()  # type: ignore[union-attr]


@pytest.mark.parametrize("alg", JOSERFC_SIGNS)
def test_joserfc_signatures(alg: str) -> None:
    members = signing_key(alg)
    theirs = import_key(members)
    token = jose.sign(ours(members, alg=alg), b"payload", kid="")
    assert joserfc_jws.deserialize_compact(token, theirs, algorithms=[alg]).payload == b"payload"
    back = joserfc_jws.serialize_compact({"alg": alg}, b"payload", theirs, algorithms=[alg])
    assert jose.verify(ours(public(members), alg=alg), back).payload == b"payload"
    with pytest.raises(Fault):
        jose.verify(ours(public(members), alg=alg), back[:-2] + ("AA" if back[-2:] != "AA" else "BB"))


@pytest.mark.parametrize("alg", [alg for alg in JOSERFC_SIGNS if alg not in ("Ed25519", "Ed448")])
def test_jwcrypto_signatures(alg: str) -> None:
    members = signing_key(alg)
    theirs = jwcrypto_jwk.JWK(**members)
    key = ours(members, alg=alg)
    for text in (
        jose.sign(key, b"payload", kid=""),
        jose.sign_json([jose.JwsSigner(key)], b"payload", headers=[{"x": 1}]),
        jose.sign_json([jose.JwsSigner(key)], b"payload", flattened=True),
    ):
        read = jwcrypto_jws.JWS()
        read.deserialize(text, theirs)
        assert read.payload == b"payload"
    other = jwcrypto_jws.JWS(b"payload")
    other.add_signature(theirs, alg, json.dumps({"alg": alg}), json.dumps({"kid": "k"}))
    verifier = jose.JwsVerifier(ours(public(members), alg=alg))
    assert verifier.verify_json(other.serialize()).payload == b"payload"
    assert verifier.verify_json(other.serialize()).signatures[0].header == {"alg": alg, "kid": "k"}


@pytest.mark.parametrize("alg", [alg for alg in JOSERFC_SIGNS if alg not in ("Ed25519", "Ed448")])
def test_pyjwt_signatures(alg: str) -> None:
    members = signing_key(alg)
    theirs = pyjwt.PyJWK(members, algorithm=alg)
    token = jose.sign(ours(members, alg=alg), b'{"sub":"a"}', kid="")
    reader = pyjwt.PyJWK(public(members), algorithm=alg)
    assert pyjwt.decode(token, reader, algorithms=[alg]) == {"sub": "a"}
    back = pyjwt.encode({"sub": "a"}, theirs, algorithm=alg)
    assert jose.verify(ours(public(members), alg=alg), back).payload == b'{"sub":"a"}'


@pytest.mark.parametrize(("alg", "enc", "curve"), PAIRS)
def test_encryption(alg: str, enc: str, curve: str) -> None:
    members = encryption_key(alg, enc, curve)
    key, receiver = ours(members, alg=alg), ours(public(members), alg=alg)
    decrypter = jose.JweDecrypter(key, encs=[enc])
    parties = {"apu": "QWxpY2U", "apv": "Qm9i"} if alg.startswith("ECDH") else {}
    token = jose.encrypt(receiver, PLAINTEXT, enc=enc, header=parties, kid="")
    assert twin.decrypt(members, token) == PLAINTEXT
    assert decrypter.decrypt(twin.encrypt(members, alg, enc, PLAINTEXT, **parties)).plaintext == PLAINTEXT
    if alg not in ("RSA-OAEP-384", "RSA-OAEP-512"):  # joserfc has neither
        theirs = import_key(members)
        assert joserfc_jwe.decrypt_compact(token, theirs, algorithms=[alg, enc]).plaintext == PLAINTEXT
        back = joserfc_jwe.encrypt_compact(
            {"alg": alg, "enc": enc}, PLAINTEXT, import_key(public(members)), algorithms=[alg, enc]
        )
        assert decrypter.decrypt(back).plaintext == PLAINTEXT
    if alg not in ("RSA-OAEP-384", "RSA-OAEP-512") and not (alg.startswith("ECDH") and parties):
        _jwcrypto(alg, enc, members, receiver, decrypter)


def _jwcrypto(alg: str, enc: str, members: dict[str, Any], receiver: Any, decrypter: jose.JweDecrypter) -> None:
    theirs = jwcrypto_jwk.JWK(**members)
    document = jose.encrypt_json([receiver], PLAINTEXT, enc=enc, aad=b"aad", flattened=True)
    read = jwcrypto_jwe.JWE()
    read.deserialize(document, theirs)
    assert read.payload == PLAINTEXT
    header = json.dumps({"alg": alg, "enc": enc})
    made_there = jwcrypto_jwe.JWE(
        PLAINTEXT, protected=header, recipient=jwcrypto_jwk.JWK(**public(members)), aad=b"aad"
    )
    assert decrypter.decrypt_json(made_there.serialize(), aad=b"aad").plaintext == PLAINTEXT
    assert decrypter.decrypt(_compact(PLAINTEXT, header, theirs)).plaintext == PLAINTEXT


def _compact(plaintext: bytes, header: str, key: Any) -> str:
    found: str = jwcrypto_jwe.JWE(plaintext, protected=header, recipient=key).serialize(compact=True)
    return found


@pytest.mark.parametrize("alg", ECDH)
@pytest.mark.parametrize("curve", CURVES)
def test_jwcrypto_agreement(alg: str, curve: str) -> None:
    members = made(curve)
    key = ours(members, alg=alg)
    _jwcrypto(alg, "A256GCM", members, key, jose.JweDecrypter(key))


def test_several_recipients_with_jwcrypto_and_joserfc() -> None:
    keys = [("A128KW", ""), ("ECDH-ES+A256KW", "EC-P384"), ("RSA-OAEP-256", ""), ("A256GCMKW", "")]
    members = [encryption_key(alg, "", curve) | {"kid": f"key {at}"} for at, (alg, curve) in enumerate(keys)]
    receivers = [(ours(public(one)), alg) for one, (alg, _) in zip(members, keys, strict=True)]
    document = jose.encrypt_json(receivers, PLAINTEXT, enc="A192CBC-HS384", aad=b"aad", unprotected={"typ": "x"})
    for one in members:
        read = jwcrypto_jwe.JWE()
        read.deserialize(document, jwcrypto_jwk.JWK(**one))
        assert read.payload == PLAINTEXT
    ring = KeySet([import_key(one) for one in members])
    algorithms = [alg for alg, _ in keys] + ["A192CBC-HS384"]
    assert joserfc_jwe.decrypt_json(json.loads(document), ring, algorithms=algorithms).plaintext == PLAINTEXT
    for at, (one, (alg, _)) in enumerate(zip(members, keys, strict=True)):
        found = jose.JweDecrypter(ours(one), algs=[alg]).decrypt_json(document, aad=b"aad")
        assert (found.plaintext, found.recipient, found.header["kid"]) == (PLAINTEXT, at, f"key {at}")
        assert found.header["typ"] == "x"


def test_several_signatures_with_jwcrypto() -> None:
    keys = [ours(signing_key(alg), alg=alg, kid=alg) for alg in ("ES256", "RS256", "EdDSA", "HS256", "ES512")]
    document = jose.sign_json([jose.JwsSigner(key) for key in keys], b"payload")
    for key in keys:
        read = jwcrypto_jws.JWS()
        read.deserialize(document)
        read.verify(jwcrypto_jwk.JWK(**key.export()))
    found = jose.JwsVerifier(keys).verify_json(document)
    assert [one.key.kid for one in found.signatures] == [key.kid for key in keys]


@pytest.mark.parametrize("alg", [alg.value for alg in core.JweAlgorithm if alg.startswith("ML-KEM")])
@pytest.mark.parametrize("enc", ENCS)
def test_ml_kem_after_the_draft(alg: str, enc: str) -> None:
    """draft-ietf-jose-pqc-kem-05 has no examples: the header, the KDF and the wrapping are made again by hand."""
    from cryptography.hazmat.primitives import keywrap

    from pycryptoutil.crypto import keys

    key = jose.generate(alg.partition("+")[0], alg=alg)
    assert isinstance(key, jose.JwkPrivate)
    assert key.export()["alg"] == alg
    token = jose.encrypt(jose.parse_public(key.public.members()), PLAINTEXT, enc=enc)
    protected, encrypted, iv, body, tag = token.split(".")
    header = json.loads(twin.b64d(protected))
    assert not isinstance(key.handle, jose.jwk.Ed448Key)
    secret = keys.decapsulate(key.handle, twin.b64d(header["ek"]))
    name, size = (alg, int(alg[-5:-2]) // 8) if "+" in alg else (enc, twin.KEY_BYTES[enc])
    info = len(name).to_bytes(4) + name.encode() + (size * 8).to_bytes(4)
    derived = twin.kmac256(secret, info, size)
    cek = keywrap.aes_key_unwrap(derived, twin.b64d(encrypted)) if "+" in alg else derived
    assert bool(encrypted) is ("+" in alg)
    opened = twin.content_open(enc, cek, twin.b64d(iv), protected.encode(), twin.b64d(body), twin.b64d(tag))
    assert opened == PLAINTEXT
    assert jose.decrypt(key, token).plaintext == PLAINTEXT
    with pytest.raises(Fault):
        jose.decrypt(jose.generate(alg.partition("+")[0], alg=alg, kid=key.kid), token)


def test_kmac256() -> None:
    """NIST SP 800-185's sample 5 for the twin, the twin for the core."""
    import hashlib

    assert twin.sha3_256(b"abc") == hashlib.sha3_256(b"abc").digest()
    sample = twin.kmac256(bytes(range(0x40, 0x60)), bytes(range(4)), 64, b"My Tagged Application")
    assert sample.hex().startswith(
        "20c570c31346f703c9ac36c61c03cb64c3970d0cfc787e9b79599d273a68d2f7f69d4cc3de9d104a351689"
    )
    for size in (1, 16, 32, 136, 137, 300):
        for length in (0, 1, 127, 128, 136, 400):
            key, data = bytes(range(size % 250 + 1)), bytes(length)
            assert core.kmac256(key, data, size) == twin.kmac256(key, data, size)
