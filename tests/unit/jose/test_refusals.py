"""What bad input gets: a Fault of the right kind, and never an exception of another type."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import jose
from pycryptoutil.crypto import jose as core
from pycryptoutil.crypto import keys
from pycryptoutil.jose.text import b64d, b64e

SECRET = jose.generate("HS256", kid="mac")
EC = jose.generate("EC-P256", alg="ES256", kid="ec")
DIRECT = jose.generate("A256GCM", kid="dir")
WRAP = jose.generate("A256KW", kid="kw")
AGREE = jose.generate("EC-P256", alg="ECDH-ES+A256KW", kid="agree")
KEM = jose.generate("ML-KEM-768", alg="ML-KEM-768+A192KW", kid="kem")
RSA = jose.generate("RSA-2048", alg="RSA-OAEP-256", kid="rsa")


def kind_of(call: Callable[..., object], *arguments: Any, **named: Any) -> FaultKind:
    with pytest.raises(Fault) as raised:
        call(*arguments, **named)
    return raised.value.kind


def compact(header: object, payload: bytes = b"x", signature: bytes = b"s") -> str:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return ".".join(map(b64e, (raw, payload, signature)))


MALFORMED, ALGORITHM, SIGNATURE = FaultKind.MALFORMED, FaultKind.BAD_ALGORITHM, FaultKind.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (b"", MALFORMED),
        (b"null", MALFORMED),
        (b'{"alg":"HS256","alg":"HS256"}', MALFORMED),
        (b'{"alg":"HS256","\\u0061lg":"none"}', MALFORMED),
        (b'{"alg":"HS256"} ', SIGNATURE),
        (b'\xef\xbb\xbf{"alg":"HS256"}', MALFORMED),
        (b'{"alg":"HS256","x":"\xff"}', MALFORMED),
        (b'{"alg":"HS256","x":' + b"[" * 50 + b"]" * 50 + b"}", MALFORMED),
        ({}, MALFORMED),
        ({"alg": 7}, MALFORMED),
        ({"alg": None}, MALFORMED),
        ({"alg": ""}, ALGORITHM),
        ({"alg": "none"}, ALGORITHM),
        ({"alg": "None"}, ALGORITHM),
        ({"alg": "hs256"}, ALGORITHM),
        ({"alg": "HS1"}, ALGORITHM),
        ({"alg": "ES256K"}, ALGORITHM),
        ({"alg": "RS256"}, ALGORITHM),
        ({"alg": "ES256"}, ALGORITHM),
        ({"alg": "HS256", "kid": 7}, MALFORMED),
        ({"alg": "HS256", "kid": "other"}, SIGNATURE),
        ({"alg": "HS256", "kid": "../../etc/passwd"}, SIGNATURE),
        ({"alg": "HS256", "zip": "DEF"}, ALGORITHM),
        ({"alg": "HS256", "crit": []}, MALFORMED),
        ({"alg": "HS256", "crit": "exp"}, MALFORMED),
        ({"alg": "HS256", "crit": [7]}, MALFORMED),
        ({"alg": "HS256", "crit": ["exp"], "exp": 1}, ALGORITHM),
        ({"alg": "HS256", "crit": ["alg"]}, ALGORITHM),
        ({"alg": "HS256", "crit": ["b64"]}, MALFORMED),
        ({"alg": "HS256", "crit": ["b64", "b64"], "b64": True}, MALFORMED),
        ({"alg": "HS256", "b64": False}, MALFORMED),
        ({"alg": "HS256", "crit": ["b64"], "b64": "false"}, MALFORMED),
        ({"alg": "HS256", "crit": ["b64"], "b64": 0}, MALFORMED),
        ({"alg": "HS256", "x": "y" * (16 * 1024)}, MALFORMED),
        ({"alg": "HS256", **{str(number): 1 for number in range(300)}}, MALFORMED),
        ({"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}, SIGNATURE),
        ({"alg": "HS256", "jku": "https://evil.test/jwks"}, SIGNATURE),
    ],
)
def test_headers_of_signatures(header: object, kind: FaultKind) -> None:
    token = compact(header)
    assert kind_of(jose.verify, SECRET, token) is kind
    [found] = jose.verify_many(SECRET, [token])
    assert isinstance(found, Fault)
    assert found.kind is kind
    flat = dict(zip(("protected", "payload", "signature"), token.split("."), strict=True))
    verifier = jose.JwsVerifier(SECRET)
    assert kind_of(verifier.verify_json, json.dumps(flat)) is kind


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "...", "a", "a.b", "a.b.c.d", "e30..", "e30.e30", " e30.e30.e30", "e30.e30.e30\n", "{}", "é.é.é"],
)
def test_shapes(text: str) -> None:
    assert kind_of(jose.verify, SECRET, text) is MALFORMED
    assert kind_of(jose.decrypt, DIRECT, text) is MALFORMED
    assert kind_of(jose.JwsVerifier(SECRET).verify_json, text) is MALFORMED
    assert kind_of(jose.JweDecrypter(DIRECT).decrypt_json, text) is MALFORMED


def test_a_secret_is_not_a_public_key_and_a_public_key_not_a_secret() -> None:
    """Algorithm confusion: HS256 with the octets of a public key (RFC 8725 section 2.1)."""
    assert isinstance(EC, jose.JwkPrivate)
    for octets in (EC.public.spki, EC.public.pem().encode(), json.dumps(EC.public.members()).encode()):
        forger = jose.JwkSecret.of(core.SecretKey.from_bytes(octets), jose.Usage("HS256", "ec"))
        token = jose.sign(forger, b"admin")
        assert kind_of(jose.verify, EC.public, token) is ALGORITHM
        assert kind_of(jose.JwsVerifier, EC.public, algs=["HS256"]) is ALGORITHM
    assert kind_of(core.JwsVerifier, [(keys.PublicKey.from_spki(EC.public.spki), "HS256", None)]) is ALGORITHM
    assert kind_of(jose.sign, EC, b"", alg="HS256") is ALGORITHM
    assert kind_of(jose.sign, SECRET, b"", alg="ES256") is ALGORITHM
    assert kind_of(jose.JwsVerifier, jose.generate("RSA-2048")) is FaultKind.INVALID
    assert kind_of(jose.sign, jose.generate("RSA-2048"), b"") is FaultKind.INVALID
    assert kind_of(jose.JwsVerifier, jose.generate("RSA-2048"), algs=["none"]) is ALGORITHM
    assert kind_of(jose.JweDecrypter, jose.generate("RSA-2048"), algs=["RSA1_5"]) is ALGORITHM
    assert kind_of(jose.JwsVerifier, WRAP) is ALGORITHM
    assert kind_of(jose.encrypt, jose.generate("EC-P256", use="sig"), b"") is FaultKind.POLICY
    assert kind_of(jose.sign, jose.generate("EC-P256", use="enc"), b"") is FaultKind.POLICY


def test_weak_and_mismatched_keys() -> None:
    assert kind_of(jose.parse, {"kty": "oct", "k": b64e(bytes(31)), "alg": "HS256"}) is FaultKind.WEAK_KEY
    assert kind_of(jose.parse, {"kty": "oct", "k": b64e(bytes(33)), "alg": "A256KW"}) is FaultKind.INVALID
    assert kind_of(jose.parse, {"kty": "oct", "k": b64e(bytes(32)), "alg": "ES256"}) is ALGORITHM
    assert kind_of(jose.parse, {"kty": "oct", "k": ""}) is FaultKind.INVALID
    one, two = (jose.generate("EC-P256").export() for _ in range(2))
    assert kind_of(jose.parse, one | {"d": two["d"]}) is MALFORMED
    assert kind_of(jose.parse, one | {"y": two["y"]}) is MALFORMED
    assert kind_of(jose.parse, {**one, "y": b64e(b"\x00" + b64d(one["y"]))}) is MALFORMED
    assert kind_of(jose.parse, one | {"crv": "secp256k1"}) is ALGORITHM
    assert kind_of(jose.parse, one | {"kty": "PQ"}) is ALGORITHM
    assert kind_of(jose.parse, one | {"use": "both"}) is FaultKind.INVALID
    assert kind_of(jose.parse, one | {"use": "sig", "key_ops": ["encrypt"]}) is FaultKind.INVALID
    assert kind_of(jose.parse, one | {"kid": 7}) is MALFORMED
    assert kind_of(jose.parse_public, one) is FaultKind.INVALID
    assert kind_of(jose.parse, '{"kty":"oct","kty":"oct","k":"AAAA"}') is MALFORMED
    assert kind_of(jose.parse, "[" * 60_000) is MALFORMED
    assert kind_of(jose.parse, " " * 70_000) is FaultKind.TOO_LARGE
    for algorithm in ("Ed25519", "Ed448", "X25519", "ML-DSA-65", "ML-KEM-512", "RSA-2048"):
        mine, other = jose.generate(algorithm).export(), jose.generate(algorithm).export()
        name = {"AKP": "pub", "RSA": "n"}.get(mine["kty"], "x")
        assert kind_of(jose.parse, mine | {name: other[name]}) is MALFORMED, algorithm


def jwe(header: dict[str, Any], **parts: bytes) -> str:
    values = {"key": b"", "iv": bytes(12), "body": b"", "tag": bytes(16)} | parts
    return ".".join([b64e(json.dumps(header).encode()), *(b64e(values[name]) for name in ("key", "iv", "body", "tag"))])


def epk(**members: Any) -> dict[str, Any]:
    good = jose.generate("EC-P256").public.members()  # type: ignore[union-attr]
    return {name: value for name, value in ({"kty": "EC", "crv": "P-256"} | good | members).items() if name != "kid"}


A256 = {"enc": "A256GCM"}


@pytest.mark.parametrize(
    ("key", "header", "parts", "kind"),
    [
        (DIRECT, {"alg": "dir"}, {}, MALFORMED),
        (DIRECT, {"alg": "dir", "enc": 7}, {}, MALFORMED),
        (DIRECT, {"alg": "dir", "enc": "A256CTR"}, {}, ALGORITHM),
        (DIRECT, {"alg": "dir", "enc": "A128GCM"}, {}, ALGORITHM),
        (DIRECT, {"alg": "dir", **A256}, {"key": b"x"}, MALFORMED),
        (DIRECT, {"alg": "dir", **A256}, {"iv": bytes(11)}, MALFORMED),
        (DIRECT, {"alg": "dir", **A256}, {"tag": bytes(12)}, MALFORMED),
        (DIRECT, {"alg": "dir", **A256, "zip": "DEF"}, {}, ALGORITHM),
        (DIRECT, {"alg": "dir", **A256, "crit": ["b64"], "b64": True}, {}, ALGORITHM),
        (DIRECT, {"alg": "RSA1_5", **A256}, {"key": bytes(256)}, ALGORITHM),
        (RSA, {"alg": "RSA-OAEP", **A256}, {"key": bytes(256)}, ALGORITHM),
        (DIRECT, {"alg": "PBES2-HS256+A128KW", **A256, "p2c": 10**9, "p2s": "AAAA"}, {}, ALGORITHM),
        (WRAP, {"alg": "A256KW", **A256}, {}, MALFORMED),
        (WRAP, {"alg": "A256KW", **A256}, {"key": bytes(40)}, SIGNATURE),
        (WRAP, {"alg": "A256KW", **A256}, {"key": bytes(7)}, SIGNATURE),
        (RSA, {"alg": "RSA-OAEP-256", **A256}, {"key": bytes(256)}, SIGNATURE),
        (RSA, {"alg": "RSA-OAEP-256", **A256}, {"key": bytes(1)}, SIGNATURE),
        (RSA, {"alg": "RSA-OAEP-256", **A256}, {"key": bytes(5000)}, MALFORMED),
        (AGREE, {"alg": "ECDH-ES", **A256, "epk": epk()}, {}, ALGORITHM),
        (AGREE, {"alg": "ECDH-ES+A256KW", **A256}, {"key": bytes(40)}, MALFORMED),
        (AGREE, {"alg": "ECDH-ES+A256KW", **A256, "epk": epk()}, {"key": bytes(40)}, SIGNATURE),
        (AGREE, {"alg": "ECDH-ES+A256KW", **A256, "epk": "x"}, {"key": bytes(40)}, MALFORMED),
        (AGREE, {"alg": "ECDH-ES+A256KW", **A256, "epk": epk(crv="P-384")}, {"key": bytes(40)}, MALFORMED),
        (AGREE, {"alg": "ECDH-ES+A256KW", **A256, "epk": epk(x=b64e(bytes(32)))}, {"key": bytes(40)}, MALFORMED),
        (AGREE, {"alg": "ECDH-ES+A256KW", **A256, "epk": epk(x="AA")}, {"key": bytes(40)}, MALFORMED),
        (AGREE, {"alg": "ECDH-ES+A256KW", **A256, "epk": epk(), "apu": "!"}, {"key": bytes(40)}, MALFORMED),
        (AGREE, {"alg": "ECDH-ES+A256KW", **A256, "epk": epk(), "apv": "A" * 800}, {"key": bytes(40)}, MALFORMED),
        (KEM, {"alg": "ML-KEM-768+A192KW", **A256}, {"key": bytes(40)}, MALFORMED),
        (KEM, {"alg": "ML-KEM-768+A192KW", **A256, "ek": "AA"}, {"key": bytes(40)}, MALFORMED),
        (KEM, {"alg": "ML-KEM-768+A192KW", **A256, "ek": b64e(bytes(1088))}, {"key": bytes(40)}, SIGNATURE),
    ],
)
def test_encrypted_objects(key: Any, header: dict[str, Any], parts: dict[str, bytes], kind: FaultKind) -> None:
    assert kind_of(jose.decrypt, key, jwe(header, **parts)) is kind


def test_wrong_keys_and_changed_tokens_look_the_same() -> None:
    for key in (WRAP, RSA, AGREE, KEM):
        token = jose.encrypt(key, b"secret")
        parts = token.split(".")
        seen = set()
        for at in (1, 3, 4):
            changed = list(parts)
            octets = bytearray(b64d(parts[at]))
            octets[0] ^= 1
            changed[at] = b64e(bytes(octets))
            with pytest.raises(Fault) as raised:
                jose.decrypt(key, ".".join(changed))
            seen.add((raised.value.kind, raised.value.detail, raised.value.public))
        assert len(seen) == 1, key.usage
        assert seen.pop()[0] is SIGNATURE


def test_additional_data_is_asserted_on_both_sides() -> None:
    document = jose.encrypt_json([WRAP], b"secret", aad=b"row 7")
    decrypter = jose.JweDecrypter(WRAP)
    assert decrypter.decrypt_json(document, aad=b"row 7").plaintext == b"secret"
    assert kind_of(decrypter.decrypt_json, document, aad=b"row 8") is SIGNATURE
    assert kind_of(decrypter.decrypt_json, document) is SIGNATURE
    assert kind_of(decrypter.decrypt_json, jose.encrypt_json([WRAP], b"secret"), aad=b"") is SIGNATURE
    swapped = json.loads(document) | {"aad": b64e(b"row 8")}
    assert kind_of(decrypter.decrypt_json, json.dumps(swapped), aad=b"row 8") is SIGNATURE
    assert kind_of(jose.JweDecrypter(WRAP, encs=["A128GCM"]).decrypt_json, document, aad=b"row 7") is ALGORITHM


def test_json_documents() -> None:
    good = json.loads(jose.encrypt_json([WRAP], b"secret"))
    decrypter = jose.JweDecrypter(WRAP)
    for change in (
        {"recipients": []},
        {"recipients": [7]},
        {"recipients": good["recipients"], "encrypted_key": "AAAA"},
        {"unprotected": {"enc": "A256GCM"}},
        {"iv": 7},
        {"tag": None},
        {"protected": "!"},
        {"recipients": good["recipients"] * 65},
    ):
        assert kind_of(decrypter.decrypt_json, json.dumps(good | change)) is MALFORMED, change
    twice = json.dumps(good).replace('"iv"', '"iv":"AAAA","iv"', 1)
    assert kind_of(decrypter.decrypt_json, twice) is MALFORMED
    signed = json.loads(jose.sign_json([jose.JwsSigner(SECRET)], b"x"))
    verifier = jose.JwsVerifier(SECRET)
    part = signed["signatures"][0]
    for changed in (
        signed | {"signature": "AA"},
        signed | {"signatures": []},
        {"payload": signed["payload"]},
        {"signatures": signed["signatures"]},
        signed | {"signatures": [part | {"header": {"alg": "HS256"}}]},
        signed | {"signatures": [{"header": {"alg": "HS256", "crit": ["b64"], "b64": True}, "signature": "AA"}]},
    ):
        assert kind_of(verifier.verify_json, json.dumps(changed)) is MALFORMED, changed
    two = signed | {"signatures": [part, part | {"signature": "AAAA"}]}
    assert kind_of(verifier.verify_json, json.dumps(two)) is SIGNATURE
    some = verifier.verify_json(json.dumps(two), require="any")
    assert (len(some.signatures), [fault.kind for fault in some.refused]) == (1, [SIGNATURE])
    assert kind_of(verifier.verify_json, json.dumps(signed), b"x") is MALFORMED


def test_one_bad_item_fails_alone() -> None:
    tokens: list[Any] = jose.sign_many(SECRET, [bytes([number]) for number in range(200)])
    tokens[77] = tokens[77][:-2]
    tokens[78] = b"nonsense"
    found = jose.verify_many(SECRET, tokens)
    assert [number for number, one in enumerate(found) if isinstance(one, Fault)] == [77, 78]
    assert found[76].payload == bytes([76])  # type: ignore[union-attr]
    sealed: list[Any] = jose.encrypt_many(DIRECT, [bytes([number]) for number in range(200)])
    sealed[3] = "a.b.c.d.e"
    opened = jose.decrypt_many(DIRECT, sealed)
    assert [number for number, one in enumerate(opened) if isinstance(one, Fault)] == [3]
    assert opened[4].plaintext == bytes([4])  # type: ignore[union-attr]
    unfit = jose.sign_many(SECRET, [b"good", b"not.fit", b"\x00"], encoded=False)
    assert [isinstance(one, Fault) for one in unfit] == [False, True, True]


@given(st.binary(max_size=200), st.sampled_from([SECRET, EC]))
@settings(max_examples=150, deadline=None)
def test_anything_is_refused_with_a_fault(data: bytes, key: Any) -> None:
    for call in (jose.verify, jose.decrypt):
        with pytest.raises(Fault):
            call(key if call is jose.verify else DIRECT, data)
    with pytest.raises(Fault):
        jose.JwsVerifier(key).verify_json(data)
    with pytest.raises(Fault):
        jose.parse(data)


@given(
    payload=st.binary(max_size=2000),
    header=st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name not in ("alg", "kid", "crit", "b64", "zip", "enc")),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda one: st.lists(one, max_size=3)
        ),
        max_size=4,
    ),
)
@settings(max_examples=100, deadline=None)
def test_what_is_made_is_read(payload: bytes, header: dict[str, Any]) -> None:
    signer = jose.JwsSigner(SECRET, header=header)
    verifier = jose.JwsVerifier(SECRET)
    found = verifier.verify(signer.sign(payload))
    assert (found.payload, found.header) == (payload, {"alg": "HS256", "kid": "mac"} | header)
    assert verifier.verify(signer.sign(payload, detached=True), payload).payload == payload
    assert verifier.verify_json(jose.sign_json([signer], payload)).payload == payload
    safe = {name: value for name, value in header.items() if name not in ("epk", "ek", "iv", "tag", "apu", "apv")}
    opened = jose.decrypt(DIRECT, jose.encrypt(DIRECT, payload, header=safe))
    assert (opened.plaintext, opened.header) == (payload, {"alg": "dir", "enc": "A256GCM", "kid": "dir"} | safe)


def test_handles_show_nothing() -> None:
    for key in (SECRET, EC, DIRECT, RSA):
        shown = repr(key) + str(key)
        secret = key.export()
        assert not any(str(secret[name]) in shown for name in ("d", "k", "p", "q") if name in secret)
    assert jose.JwkSet.of([SECRET, DIRECT]).public() == {"keys": []}
    assert set(jose.JwkSet.of([EC]).public()["keys"][0]) == {"kty", "crv", "x", "y", "alg", "kid"}
    assert repr(core.SecretKey.generate(16)) == "<SecretKey 16 octets>"


@pytest.mark.parametrize(
    "algorithm",
    ["RSA-2048", "EC-P256", "EC-P384", "EC-P521", "Ed25519", "Ed448", "X25519", "ML-DSA-44", "ML-DSA-87", "ML-KEM-512"],
)
def test_keys_go_through_every_form(algorithm: str) -> None:
    key = jose.generate(algorithm)
    assert isinstance(key, jose.JwkPrivate)
    assert jose.parse(json.dumps(key.export())).thumbprint() == key.thumbprint()
    assert jose.jwk.from_pem(key.export_pem()).thumbprint() == key.thumbprint()
    assert jose.jwk.from_pem(key.public.pem()).thumbprint() == key.thumbprint()
    assert isinstance(jose.jwk.from_der(key.public.spki), jose.JwkPublic)
    assert isinstance(jose.jwk.from_der(key.handle.export_pkcs8()), jose.JwkPrivate)
    without = {name: value for name, value in key.export().items() if name not in ("p", "q", "dp", "dq", "qi")}
    assert jose.parse(without).thumbprint() == key.thumbprint()
    assert key.kid == key.thumbprint()


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", "-----BEGIN PUBLIC KEY-----"]
)
def test_pem_that_is_none(text: str) -> None:
    assert kind_of(jose.jwk.from_pem, text) is MALFORMED
