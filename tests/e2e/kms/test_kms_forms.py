"""What sm-kms does without JOSE: deterministic encryption, and signatures over digests."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from pycryptoutil import jose
from pycryptoutil.crypto.jose import SIV_BYTES
from pycryptoutil.jose.text import dumps
from tests.e2e.kms.test_kms_operations import PLAIN, b64, do, good, make, unb64
from tests.support.door import Door


def seal(door: Door, plaintext: bytes = PLAIN, **more: Any) -> str:
    text: str = good(do(door, "encrypt", {"plaintext": b64(plaintext), "format": "raw", **more}))["ciphertext"]
    return text


def test_the_same_gives_the_same_until_the_key_is_rotated(door: Door) -> None:
    assert make(door, algorithm="A256SIV")
    first, bound = seal(door), seal(door, aad=b64(b"column 7"))
    assert (seal(door), seal(door, aad=b64(b"column 7"))) == (first, bound)
    assert len({first, bound, seal(door, PLAIN + b"!"), seal(door, aad=b64(b"column 8"))}) == 4
    assert unb64(first)[:5] == b"\x01\x00\x00\x00\x01"
    assert len(unb64(first)) == 5 + 16 + len(PLAIN)
    for text, more in ((first, {}), (bound, {"aad": b64(b"column 7")})):
        opened = good(do(door, "decrypt", {"ciphertext": text, **more}))
        assert (unb64(opened["plaintext"]), opened["version"]) == (PLAIN, 1)
    for text, more in ((first, {"aad": b64(b"column 7")}), (bound, {}), (bound, {"aad": b64(b"column 8")})):
        assert do(door, "decrypt", {"ciphertext": text, **more}).status == 400
    items = [{"plaintext": b64(PLAIN), "format": "raw"}] * 2 + [{"plaintext": b64(PLAIN)}]
    batch = good(do(door, "encrypt", {"operations": items}))["results"]
    assert [one["result"]["ciphertext"] for one in batch[:2]] == [first, first]
    assert batch[2]["error"]["status"] == 400
    assert door.admin.post("/elastic-keys/one/rotate", {}).status in (200, 201)
    second = seal(door)
    assert second != first
    assert good(do(door, "decrypt", {"ciphertext": first}))["version"] == 1
    moved = good(do(door, "rewrap", {"ciphertext": first}))
    assert (moved["ciphertext"], moved["from_version"], moved["version"]) == (second, 1, 2)
    forged = b64(unb64(first)[:4] + b"\x02" + unb64(first)[5:])
    assert do(door, "decrypt", {"ciphertext": forged}).status == 400


@pytest.mark.parametrize(("algorithm", "size"), SIV_BYTES.items())
def test_others_decrypt_it(light: Door, algorithm: str, size: int) -> None:
    make(light, algorithm=algorithm, import_allowed=True)
    order = light.admin.post("/elastic-keys/one/import-keys", {})
    assert order.status == 201, order.text
    secret = bytes(range(size))
    jwk = {"kty": "oct", "k": b64(secret)}
    sealed = jose.encrypt(jose.parse_public(dumps(order.json["public_jwk"])), dumps(jwk))
    done = light.admin.post("/elastic-keys/one/import", {"import_key": order.json["id"], "wrapped": sealed})
    assert done.status == 201, done.text
    raw = unb64(seal(light, aad=b64(b"x")))
    assert AESSIV(secret).decrypt(raw[5:], [raw[:5] + b"x"]) == PLAIN
    assert raw[4] == done.json["version"]


def test_a_key_for_siv_makes_no_jwe(light: Door) -> None:
    """Its octets would fit another algorithm: 32 of them are an AES-256 key."""
    for algorithm in SIV_BYTES:
        make(light, name=algorithm, algorithm=algorithm)
        body = {"plaintext": b64(PLAIN)}
        for enc in ({}, {"enc": "A256GCM"}):
            assert do(light, "encrypt", body | enc, algorithm).status == 400
        assert do(light, "encrypt", {"operations": [body] * 3}, algorithm).json["failed"] == 3
        assert do(light, "datakey", {}, algorithm).status == 400
        kid = light.admin.get(f"/elastic-keys/{algorithm}/versions/1").json["kid"]
        token = jose.encrypt(jose.generate("A256GCM"), PLAIN, kid=kid)
        refused = do(light, "decrypt", {"ciphertext": token}, algorithm)
        assert (refused.status, "AES-SIV" in refused.json["detail"]) == (400, True)
    for purpose in ("wrap", "sign", "mac", "derive"):
        made = light.admin.post("/elastic-keys", {"name": "no", "purpose": purpose, "algorithm": "A256SIV"})
        assert made.status == 422, made.text


@pytest.mark.parametrize("algorithm", ["ES256", "ES512", "RS256/RSA-2048", "PS384/RSA-2048"])
def test_digests_are_signed_and_verified(door: Door, algorithm: str) -> None:
    make(door, "sign", algorithm=algorithm)
    size = algorithm.partition("/")[0][2:]
    digest = hashlib.new(f"sha{size}", PLAIN).digest()
    order = {"payload": b64(digest), "format": "raw", "prehashed": True}
    made = good(do(door, "sign", order))["signature"]
    good(do(door, "verify", {"signature": made, "payload": b64(PLAIN)}))
    found = good(do(door, "verify", {"signature": made, "payload": b64(digest), "prehashed": True}))
    assert (found["valid"], unb64(found["payload"]), found["version"]) == (True, digest, 1)
    whole = good(do(door, "sign", {"payload": b64(PLAIN), "format": "raw"}))["signature"]
    good(do(door, "verify", {"signature": whole, "payload": b64(digest), "prehashed": True}))
    for payload in (digest[::-1], digest[:-1], PLAIN):
        refused = do(door, "verify", {"signature": made, "payload": b64(payload), "prehashed": True})
        assert refused.status == (400 if len(payload) == len(digest) else 422), refused.text
    batch = [order, order | {"payload": b64(digest[:-1])}, order | {"format": "jws"}, {"payload": b64(PLAIN)}]
    results = good(do(door, "sign", {"operations": batch}))["results"]
    assert [one.get("error", {}).get("pointer") for one in results] == [None, "#/payload", "#/prehashed", None]
    checks = [{"signature": one["result"]["signature"]} for one in (results[0], results[3])]
    checks[0] |= {"payload": b64(digest), "prehashed": True}
    assert good(do(door, "verify", {"operations": [*checks, checks[1] | {"prehashed": True}]}))["failed"] == 1
    jws = [{"payload": b64(digest), "prehashed": True}] * 2
    assert good(do(door, "sign", {"operations": jws}))["failed"] == 2
    octets = {"raw": digest, "content_type": "application/octet-stream"}
    raw = do(door, "sign?format=raw&prehashed=true", None, **octets)
    assert raw.status == 200, raw.text
    good(do(door, "verify", {"signature": b64(raw.body), "payload": b64(PLAIN)}))


def test_others_verify_a_signature_over_a_digest(light: Door) -> None:
    make(light, "sign")
    digest = hashlib.sha256(PLAIN).digest()
    made = good(do(light, "sign", {"payload": b64(digest), "format": "raw", "prehashed": True}))
    pem = light.admin.get("/elastic-keys/one/versions/1").json["public_pem"]
    key = serialization.load_pem_public_key(pem.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(unb64(made["signature"]), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


@pytest.mark.parametrize("algorithm", ["Ed25519", "EdDSA/Ed448", "ML-DSA-44", "HS256"])
def test_what_signs_no_digests_says_so(light: Door, algorithm: str) -> None:
    make(light, "sign", algorithm=algorithm)
    digest = b64(hashlib.sha256(PLAIN).digest())
    signature = good(do(light, "sign", {"payload": digest, "format": "raw"}))["signature"]
    for action, body in (("sign", {"format": "raw"}), ("verify", {"signature": signature})):
        refused = do(light, action, {"payload": digest, "prehashed": True, **body})
        assert (refused.status, "digest" in refused.json["detail"]) == (400, True), refused.text
    usage = light.admin.get("/elastic-keys/one/versions/1").json["usage"]
    assert (usage["protected"], usage["processed"]) == (1, 0)
