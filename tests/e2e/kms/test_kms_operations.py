"""Operations of sm-kms: one, many, JSON and raw, and every refusal."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pycryptoutil import jose
from pycryptoutil.keyring import Purpose
from pycryptoutil.keyring.catalog import names
from tests.support.door import Answer, Door


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def make(door: Door, purpose: str = "encrypt", name: str = "one", **more: Any) -> str:
    made = door.admin.post("/elastic-keys", {"name": name, "purpose": purpose, **more})
    assert made.status == 201, made.text
    return str(made.json["id"])


def do(door: Door, action: str, body: Any, name: str = "one", **more: Any) -> Answer:
    return door.admin.post(f"/elastic-keys/{name}/{action}", body, **more)


def good(answer: Answer) -> Any:
    assert answer.status == 200, answer.text
    return answer.json


PLAIN = b"attack at dawn"


# keys of 3072 and 4096 bits run the same code, and take seconds to generate
LARGE = ("RSA-3072", "RSA-4096")


JWES = [one for one in names(Purpose.ENCRYPT) if not one.endswith((*LARGE, "SIV"))]


@pytest.mark.parametrize("algorithm", JWES)
def test_every_algorithm_encrypts_and_decrypts_what_it_should(light: Door, algorithm: str) -> None:
    make(light, algorithm=algorithm)
    for aad in (None, b64(b"invoice 7")):
        sealed = good(do(light, "encrypt", {"plaintext": b64(PLAIN)} | ({"aad": aad} if aad else {})))
        opened = {"ciphertext": sealed["ciphertext"]}
        assert unb64(good(do(light, "decrypt", opened | ({"aad": aad} if aad else {})))["plaintext"]) == PLAIN
        for wrong in (b64(b"invoice 8"), None if aad else b64(b"")):
            refused = do(light, "decrypt", opened | ({"aad": wrong} if wrong is not None else {}))
            assert (refused.status, refused.headers.get("content-type")) == (400, "application/problem+json")


@pytest.mark.parametrize("algorithm", [one for one in names(Purpose.SIGN) if not one.endswith(LARGE)])
def test_every_algorithm_signs_and_verifies(light: Door, algorithm: str) -> None:
    make(light, "sign", algorithm=algorithm)
    for options in ({"format": "jws"}, {"format": "jws", "detached": True, "typ": "x"}, {"format": "raw"}):
        made = good(do(light, "sign", {"payload": b64(PLAIN), **options}))
        alone = options == {"format": "jws"}
        given = {} if alone else {"payload": b64(PLAIN)}
        found = good(do(light, "verify", {"signature": made["signature"], **given}))
        assert (found["valid"], unb64(found["payload"]), found["version"]) == (True, PLAIN, 1)
        if not alone:
            assert do(light, "verify", {"signature": made["signature"], "payload": b64(b"other")}).status == 400


def test_a_raw_ecdsa_signature_is_what_others_verify(light: Door) -> None:
    make(light, "sign")
    made = good(do(light, "sign", {"payload": b64(PLAIN), "format": "raw"}))
    pem = light.admin.get("/elastic-keys/one/versions/1").json["public_pem"]
    key = serialization.load_pem_public_key(pem.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(unb64(made["signature"]), PLAIN, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_macs(light: Door, algorithm: str) -> None:
    make(light, "mac", algorithm=algorithm)
    made = good(do(light, "mac", {"data": b64(PLAIN)}))
    assert len(unb64(made["mac"])) == int(algorithm[2:]) // 8
    good(do(light, "verify-mac", {"data": b64(PLAIN), "mac": made["mac"]}))
    for data, mac in ((b"other", unb64(made["mac"])), (PLAIN, bytes(32)), (PLAIN, unb64(made["mac"])[:-1])):
        assert do(light, "verify-mac", {"data": b64(data), "mac": b64(mac)}).status == 400


@pytest.mark.parametrize("algorithm", ["A256KW", "A128GCMKW", "RSA-OAEP-256/RSA-2048", "ML-KEM-768+A192KW"])
def test_keys_are_wrapped_and_unwrapped(light: Door, algorithm: str) -> None:
    make(light, "wrap", algorithm=algorithm)
    secret = bytes(range(32))
    wrapped = good(do(light, "wrap", {"key": b64(secret)}))
    assert unb64(good(do(light, "unwrap", {"wrapped": wrapped["wrapped"]}))["key"]) == secret
    raw = do(light, "wrap", {"key": b64(secret), "format": "raw"})
    if algorithm != "A256KW":
        assert raw.status == 400
        return
    assert len(unb64(good(raw)["wrapped"])) == 40
    back = good(do(light, "unwrap", {"wrapped": raw.json["wrapped"], "version": 1}))
    assert unb64(back["key"]) == secret


def test_secrets_are_derived_and_agreed_on(light: Door) -> None:
    make(light, "derive", "hkdf")
    order = {"info": b64(b"session"), "salt": b64(b"x"), "length": 48}
    first = good(do(light, "derive", order, "hkdf"))
    assert first["secret"] == good(do(light, "derive", order, "hkdf"))["secret"]
    assert first["secret"] != good(do(light, "derive", {"length": 48}, "hkdf"))["secret"]
    make(light, "derive", "left", algorithm="ECDH/X25519")
    make(light, "derive", "right", algorithm="ECDH/X25519")
    halves = {
        name: light.admin.get(f"/elastic-keys/{name}/versions/1").json["public_jwk"] for name in ("left", "right")
    }
    secrets = [good(do(light, "derive", {"peer": halves[b]}, a)) for a, b in (("left", "right"), ("right", "left"))]
    assert secrets[0]["secret"] == secrets[1]["secret"]
    assert do(light, "derive", {}, "left").status == 422
    make(light, "derive", "other", algorithm="ECDH/EC-P256")
    assert do(light, "derive", {"peer": halves["left"]}, "other").status == 400


def test_kem(light: Door) -> None:
    make(light, "encapsulate")
    made = good(do(light, "encapsulate", {}))
    assert good(do(light, "decapsulate", {"ciphertext": made["ciphertext"]}))["secret"] == made["secret"]
    assert do(light, "decapsulate", {"ciphertext": b64(b"short")}).status == 400


def test_data_keys(light: Door) -> None:
    make(light)
    make(light, "wrap", "wrapping")
    for name, back, member in (("one", "decrypt", "ciphertext"), ("wrapping", "unwrap", "wrapped")):
        made = good(do(light, "datakey", {"bits": 512}, name))
        found = good(do(light, back, {member: made["wrapped"]}, name))
        assert found.get("plaintext", found.get("key")) == made["plaintext"]
        assert len(unb64(made["plaintext"])) == 64
        assert "plaintext" not in good(do(light, "datakey", {"plaintext": False}, name))


def test_raw_bodies(light: Door) -> None:
    make(light)
    octets = {"raw": PLAIN, "content_type": "application/octet-stream"}
    sealed = do(light, "encrypt?aad=eA", None, **octets)
    assert (sealed.status, sealed.headers.get("content-type")) == (200, "application/jose")
    assert sealed.headers.get("key-version") == "1"
    back = do(light, "decrypt?aad=eA", None, raw=sealed.body, content_type="application/jose")
    assert (back.status, back.body, back.headers.get("content-type")) == (200, PLAIN, "application/octet-stream")
    assert do(light, "decrypt", None, raw=sealed.body, content_type="application/jose").status == 400
    raw = do(light, "encrypt?format=raw", None, **octets)
    assert raw.body[:5] == b"\x01\x00\x00\x00\x01"
    assert len(raw.body) == 5 + 12 + len(PLAIN) + 16
    assert do(light, "decrypt", None, raw=raw.body, content_type="application/octet-stream").body == PLAIN
    assert do(light, "decrypt", {"ciphertext": b64(raw.body)}).status == 200
    assert do(light, "encrypt?mac=eA", None, **octets).status == 422
    assert do(light, "encrypt?aad=eA", {"plaintext": "eA"}).status == 422  # parameters and JSON
    assert do(light, "encrypt", None, raw=b"x", content_type="text/plain").status == 415
    make(light, "sign", "signing")
    token = do(light, "sign", None, "signing", **octets)
    assert do(light, "verify", None, "signing", raw=token.body, content_type="application/jose").body == PLAIN
    shown = do(light, "sign", None, "signing", **octets, headers={"Accept": "application/json"})
    assert shown.json["version"] == 1


def test_a_bad_item_leaves_its_siblings_alone(door: Door) -> None:
    make(door)
    items: list[Any] = [{"plaintext": b64(b"%d" % number)} for number in range(100)]
    items[17], items[18], items[19], items[20] = {"plaintext": "!"}, {"plaintext": 1}, 7, {"plaintext": "eA", "x": 1}
    found = good(do(door, "encrypt", {"operations": items}))
    assert (len(found["results"]), found["failed"]) == (100, 4)
    for number, one in enumerate(found["results"]):
        assert ("error" in one) == (number in (17, 18, 19, 20))
    assert found["results"][17]["error"]["status"] == 400
    assert {found["results"][number]["error"]["status"] for number in (18, 19, 20)} == {422}
    texts = [one["result"]["ciphertext"] for one in found["results"] if "result" in one]
    bad = "e30.a.b.c.d"
    opened = good(do(door, "decrypt", {"operations": [{"ciphertext": text} for text in [*texts, bad]]}))
    assert opened["failed"] == 1
    assert unb64(opened["results"][-2]["result"]["plaintext"]) == b"99"
    usage = door.admin.get("/elastic-keys/one/versions/1").json["usage"]
    assert (usage["protected"], usage["processed"]) == (96, 96)


@pytest.mark.parametrize("algorithm", ["ES256", "Ed448", "HS256"])
def test_a_batch_signs_what_one_would(light: Door, algorithm: str) -> None:
    make(light, "sign", algorithm=algorithm)
    for options in ({}, {"typ": "x", "detached": True}, {"format": "raw"}):
        items: list[Any] = [{"payload": b64(b"%d" % number), **options} for number in range(20)]
        items[3], items[4] = {"payload": "!", **options}, {**options}
        found = good(do(light, "sign", {"operations": items}))
        assert [number for number, one in enumerate(found["results"]) if "error" in one] == [3, 4]
        for number, one in enumerate(found["results"]):
            if "result" not in one:
                continue
            given = {"payload": b64(b"%d" % number)} if options else {}
            good(do(light, "verify", {"signature": one["result"]["signature"], **given}))
    usage = light.admin.get("/elastic-keys/one/versions/1").json["usage"]
    assert (usage["protected"], usage["processed"]) == (54, 54)
    mixed = [{"payload": "eA"}, {"payload": "eA", "version": 7}, {"payload": "eA", "format": "raw"}]
    assert [("error" in one) for one in good(do(light, "sign", {"operations": mixed}))["results"]] == [
        False,
        True,
        False,
    ]
    gone = good(do(light, "sign", {"operations": [{"payload": "eA", "version": 7}] * 2}))
    assert (gone["failed"], gone["results"][0]["error"]["status"]) == (2, 404)


@pytest.mark.parametrize("batch", [[], {}, "x", [{"plaintext": "eA"}] * 1001])
def test_a_batch_is_a_list_of_some(light: Door, batch: Any) -> None:
    make(light)
    assert do(light, "encrypt", {"operations": batch}).status == 422
    assert do(light, "encrypt", {"operations": [{"plaintext": "eA"}], "plaintext": "eA"}).status == 422


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"[]", 400),
        (b'{"plaintext": "eA", "plaintext": "eA"}', 400),
        (b'{"plaintext": "e"}', 400),
        (b'{"plaintext": "eB"}', 400),
        (b'{"plaintext": NaN}', 400),
        (b'{"plaintext": "eA", "enc": "A128GCM"}', 400),
        (b'{"plaintext": "eA", "enc": "none"}', 422),
        (b'{"plaintext": "eA", "version": 2}', 404),
        (b'{"plaintext": "eA", "version": 0}', 422),
        (b'{"plaintext": "' + b"A" * 40 + b'", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", 422),
    ],
)
def test_bad_bodies(light: Door, raw: bytes, status: int) -> None:
    make(light)
    answer = do(light, "encrypt", None, raw=raw)
    assert answer.status in ({status, 400} if len(raw) > 5000 else {status}), answer.text
    assert answer.headers.get("content-type") == "application/problem+json"


def test_what_others_made_is_refused(light: Door) -> None:
    make(light)
    make(light, "sign", "signing")
    own = jose.generate("A256GCM")
    kid = light.admin.get("/elastic-keys/one/versions/1").json["kid"]
    forged = jose.encrypt(own, PLAIN, kid=kid)
    assert do(light, "decrypt", {"ciphertext": forged}).status == 400
    foreign = do(light, "decrypt", {"ciphertext": jose.encrypt(own, PLAIN)})
    assert foreign.status == 422
    assert do(light, "decrypt", {"ciphertext": jose.encrypt(own, PLAIN, kid="")}).status == 422
    public = light.admin.get("/elastic-keys/signing/versions/1").json["public_jwk"]
    secret = jose.JwkSecret.of(
        jose.jwk.core.SecretKey.from_bytes(unb64(public["x"])), jose.Usage("HS256", public["kid"])
    )
    assert do(light, "verify", {"signature": jose.sign(secret, PLAIN)}, "signing").status == 400
    embedded = jose.generate("EC-P256", alg="ES256", kid=public["kid"])
    assert isinstance(embedded, jose.JwkPrivate)
    lured = jose.sign(embedded, PLAIN, header={"jwk": embedded.public.members()})
    assert do(light, "verify", {"signature": lured}, "signing").status == 400
    header = json.dumps({"alg": "none", "kid": public["kid"]}).encode()
    none = f"{b64(header)}.{b64(PLAIN)}."
    assert do(light, "verify", {"signature": none}, "signing").status == 400
    for kid in ("../../etc/passwd", "' OR 1=1 --", "x" * 5000):
        assert do(light, "decrypt", {"ciphertext": jose.encrypt(own, PLAIN, kid=kid)}).status == 422


def test_status_is_enforced_on_every_operation(door: Door) -> None:
    make(door)
    first = good(do(door, "encrypt", {"plaintext": "eA"}))["ciphertext"]
    admin = door.admin
    assert admin.post("/elastic-keys/one/rotate").status == 201
    second = good(do(door, "encrypt", {"plaintext": "eA"}))["ciphertext"]
    good(do(door, "decrypt", {"ciphertext": first}))
    assert admin.post("/elastic-keys/one/versions/1/revoke", {"reason": "leaked"}).json["status"] == "revoked"
    refused = do(door, "decrypt", {"ciphertext": first})
    assert (refused.status, refused.json["detail"]) == (409, "version 1 is revoked")
    assert do(door, "rewrap", {"ciphertext": first}).status == 409
    assert do(door, "encrypt", {"plaintext": "eA", "version": 1}).status == 409
    good(do(door, "decrypt", {"ciphertext": second}))
    assert admin.patch("/elastic-keys/one", {"min_decrypt_version": 2}).status == 200
    assert admin.post("/elastic-keys/one/rotate").status == 201
    assert admin.patch("/elastic-keys/one", {"min_decrypt_version": 3}).status == 200
    low = do(door, "decrypt", {"ciphertext": second})
    assert (low.status, low.json["detail"]) == (409, "version 2 is below the minimum of 3")
    assert do(door, "encrypt", {"plaintext": "eA", "version": 2}).status == 409
    admin.post("/elastic-keys/one/disable")
    assert do(door, "encrypt", {"plaintext": "eA"}).json["detail"] == "the key is disabled"
    assert do(door, "sign", {"payload": "eA"}).status == 409


def test_another_tenants_key_is_404_like_none(door: Door) -> None:
    identifier = make(door)
    token = good(do(door, "encrypt", {"plaintext": "eA"}))["ciphertext"]
    stranger, _ = door.tenant("other")
    for reference in (identifier, "one", "nothing"):
        answers = [
            stranger.post(f"/elastic-keys/{reference}/encrypt", {"plaintext": "eA"}),
            stranger.post(f"/elastic-keys/{reference}/decrypt", {"ciphertext": token}),
            stranger.post(f"/elastic-keys/{reference}/encrypt", {"operations": [{"plaintext": "eA"}]}),
            stranger.get(f"/elastic-keys/{reference}"),
            stranger.get(f"/elastic-keys/{reference}/versions"),
            stranger.post(f"/elastic-keys/{reference}/rotate"),
            stranger.delete(f"/elastic-keys/{reference}"),
        ]
        assert {(one.status, one.json["detail"]) for one in answers} == {(404, "there is no such key")}
    assert stranger.get("/elastic-keys").json["total"] == 0


def test_scopes_are_apart(light: Door) -> None:
    make(light)
    token = good(do(light, "encrypt", {"plaintext": "eA"}))["ciphertext"]
    writer = light.client("keys:encrypt")
    assert writer.post("/elastic-keys/one/encrypt", {"plaintext": "eA"}).status == 200
    assert writer.post("/elastic-keys/one/decrypt", {"ciphertext": token}).status == 403
    assert writer.post("/elastic-keys/one/rotate").status == 403
    assert writer.get("/elastic-keys").status == 403
    assert light.anonymous.get("/elastic-keys").status == 401
    mover = light.client("keys:rewrap")
    assert mover.post("/elastic-keys/one/rewrap", {"ciphertext": token}).status == 200


def test_rewrap_moves_to_the_active_version_with_other_data(door: Door) -> None:
    make(door, algorithm="A256KW")
    old = good(do(door, "encrypt", {"plaintext": b64(PLAIN), "aad": "eA", "enc": "A256CBC-HS512"}))["ciphertext"]
    assert good(do(door, "rewrap", {"ciphertext": old, "aad": "eA"}))["changed"] is False
    door.admin.post("/elastic-keys/one/rotate")
    moved = good(do(door, "rewrap", {"ciphertext": old, "aad": "eA", "new_aad": "eQ"}))
    assert (moved["from_version"], moved["version"], moved["changed"]) == (1, 2, True)
    assert "A256CBC-HS512" in unb64(json.loads(moved["ciphertext"])["protected"]).decode()
    assert do(door, "decrypt", {"ciphertext": moved["ciphertext"], "aad": "eA"}).status == 400
    assert unb64(good(do(door, "decrypt", {"ciphertext": moved["ciphertext"], "aad": "eQ"}))["plaintext"]) == PLAIN
    usage = door.admin.get("/elastic-keys/one/versions/1").json["usage"]
    assert (usage["protected"], usage["rewrapped"], usage["outstanding"]) == (1, 1, 0)


def test_random_octets_and_keys_that_are_not_kept(light: Door) -> None:
    first, second = (light.admin.post("/random", {"length": 48}).json["random"] for _ in range(2))
    assert first != second
    assert len(unb64(first)) == 48
    assert light.admin.post("/random", {"operations": [{}] * 100}).json["failed"] == 0
    assert light.admin.post("/random", {"operations": [{}] * 101}).status == 422
    mine = jose.generate("EC-P256", alg="ECDH-ES+A256KW")
    assert isinstance(mine, jose.JwkPrivate)
    for algorithm in ("EC-P256", "Ed448", "ML-DSA-65", "ML-KEM-768", "A256GCM", "HS512"):
        made = light.admin.post("/generate", {"algorithm": algorithm, "recipient": mine.public.members()})
        assert made.status == 200, made.text
        private = jose.parse(jose.decrypt(mine, made.json["jwe"]).plaintext)
        assert private.kid == made.json["kid"]
        if isinstance(private, jose.JwkPrivate):
            assert private.public.members() == made.json["public_jwk"]
        else:
            assert "public_jwk" not in made.json
    for algorithm in ("RSA-1024", "secp256k1", "none"):
        assert light.admin.post("/generate", {"algorithm": algorithm, "recipient": mine.public.members()}).status == 400
    signing = jose.generate("Ed25519")
    assert isinstance(signing, jose.JwkPrivate)
    refused = light.admin.post("/generate", {"algorithm": "EC-P256", "recipient": signing.public.members()})
    assert refused.status == 422
