"""What bad input gets: a clear problem document, alone and in a batch, and nothing in it of what was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pycryptoutil import jose
from pycryptoutil.jose.text import b64d, b64e
from tests.support.door import Answer, Caller, Door

PAYLOAD = b64e(b'{"sub":"a"}')


@pytest.fixture
def rings(small_door: Door) -> Caller:
    caller = small_door.admin
    for name, algorithm, use in (
        ("tokens", "ES256", "sig"),
        ("other", "ES256", "sig"),
        ("macs", "HS256", "sig"),
        ("box", "ECDH-ES+A256KW/EC-P256", "enc"),
        ("wraps", "A256KW", "enc"),
    ):
        made = caller.post("/elastic-jwks", {"name": name, "algorithm": algorithm, "use": use})
        assert made.status == 201, made.text
    return caller


def problem(answer: Answer) -> tuple[int, str]:
    """The status and the kind of a problem document, which must be whole."""
    document = answer.json
    assert answer.headers.get("content-type") == "application/problem+json"
    assert document["status"] == answer.status
    assert document["detail"], "a problem says what it is"
    assert document["request_id"]
    return answer.status, document["type"].rpartition(":")[2]


def in_batch(caller: Caller, path: str, bad: dict[str, Any], good: dict[str, Any]) -> tuple[int, str]:
    """The problem of a bad item between two good ones, which must come through."""
    found = caller.post(f"{path}/batch", {"operations": [good, bad, good]})
    assert found.status == 200, found.text
    first, middle, last = found.json["results"]
    assert "result" in first, first
    assert "result" in last
    assert found.json["failed"] == 1
    assert middle["problem"]["detail"]
    return middle["problem"]["status"], middle["problem"]["type"].rpartition(":")[2]


def token(header: Any, payload: str = PAYLOAD, signature: str = "AAAA") -> str:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return f"{b64e(raw)}.{payload}.{signature}"


def signed(caller: Caller, ring: str = "tokens", **more: Any) -> Any:
    made = caller.post("/jws/sign", {"key": ring, "payload": PAYLOAD, **more})
    assert made.status == 200, made.text
    return made.json["jws"]


def kid(caller: Caller, ring: str) -> str:
    return str(caller.get(f"/elastic-jwks/{ring}").json["kid"])


BAD_JWS: dict[str, tuple[str, int]] = {
    "empty": ("", 400),
    "no dots": ("abc", 400),
    "two parts": ("e30.e30", 400),
    "four parts": ("e30.e30.AA.AA", 400),
    "header is no base64url": ("###.e30.AA", 400),
    "header is padded": ("e30=.e30.AA", 400),
    "header has loose bits": ("e31.e30.AA", 400),
    "header is no JSON": (token(b"{"), 400),
    "header is a list": (token(b"[]"), 400),
    "header is not UTF-8": (token(b'{"alg":"\xff"}'), 400),
    "header is UTF-16": (token('{"alg":"ES256"}'.encode("utf-16")), 400),
    "no alg": (token({}), 400),
    "alg is a number": (token({"alg": 1}), 400),
    "none": (token({"alg": "none"}, signature=""), 400),
    "None": (token({"alg": "None"}, signature=""), 400),
    "nonE": (token({"alg": "nonE"}), 400),
    "unknown alg": (token({"alg": "ES256K"}), 400),
    "duplicate member": (token(b'{"alg":"ES256","alg":"ES256"}'), 400),
    "duplicate kid": (token(b'{"alg":"ES256","kid":"a","kid":"b"}'), 400),
    "unknown crit": (token({"alg": "ES256", "crit": ["exp"], "exp": 1}), 400),
    "empty crit": (token({"alg": "ES256", "crit": []}), 400),
    "crit names a member that is not there": (token({"alg": "ES256", "crit": ["b64"]}), 400),
    "crit is a string": (token({"alg": "ES256", "crit": "b64"}), 400),
    "deep": (token(b'{"alg":"ES256","x":' + b"[" * 5000 + b"]" * 5000 + b"}"), 400),
    "oversize header": (token({"alg": "ES256", "x": "y" * 20_000}), 413),
    "kid is a path": (token({"alg": "ES256", "kid": "../../etc/passwd"}), 422),
    "kid is SQL": (token({"alg": "ES256", "kid": "' OR 1=1 --"}), 422),
    "kid is a list": (token({"alg": "ES256", "kid": ["a"]}), 400),
    "kid is long": (token({"alg": "ES256", "kid": "k" * 10_000}), 422),
    "NaN": (token(b'{"alg":"ES256","x":NaN}'), 400),
}


@pytest.mark.parametrize("name", BAD_JWS)
def test_malformed_jws(rings: Caller, name: str) -> None:
    jws, status = BAD_JWS[name]
    body = {"key": "tokens", "jws": jws}
    alone = problem(rings.post("/jws/verify", body))
    assert alone[0] == status
    assert in_batch(rings, "/jws/verify", body, {"key": "tokens", "jws": signed(rings)}) == alone
    given = {"jwk": rings.get("/elastic-jwks/tokens/versions/1").json["jwk"], "jws": jws}
    assert problem(rings.post("/jws/verify", given))[0] in (400, 413)


def test_every_part_of_a_jws_is_protected(rings: Caller) -> None:
    header, payload, signature = signed(rings).split(".")
    other = b64d(signature)
    for jws in (
        f"{header}.{b64e(b'other')}.{signature}",
        f"{header}.{payload}.{b64e(other[:-1] + bytes([other[-1] ^ 1]))}",
        f"{header}.{payload}.{b64e(other[:-1])}",
        f"{header}.{payload}.",
        f"{b64e(b64d(header)[:-1] + b',' + b64e(b'x').encode() + b'}')}.{payload}.{signature}",
    ):
        assert problem(rings.post("/jws/verify", {"key": "tokens", "jws": jws}))[0] == 400


def test_another_ring_s_key(rings: Caller) -> None:
    jws = signed(rings)
    assert problem(rings.post("/jws/verify", {"key": "other", "jws": jws})) == (422, "invalid")
    claimed = token({"alg": "ES256", "kid": kid(rings, "other")}, jws.split(".")[1], jws.split(".")[2])
    assert problem(rings.post("/jws/verify", {"key": "other", "jws": claimed})) == (400, "bad-signature")
    nameless = token({"alg": "ES256"}, jws.split(".")[1], jws.split(".")[2])
    assert problem(rings.post("/jws/verify", {"key": "other", "jws": nameless})) == (400, "bad-signature")


def test_algorithm_confusion(rings: Caller) -> None:
    """HMAC with the public key's text as its secret, which a careless library takes."""
    found = rings.get("/elastic-jwks/tokens/versions/1").json
    for secret in (found["pem"].encode(), json.dumps(found["jwk"]).encode()):
        forged = jose.sign(
            jose.JwkSecret.of(jose.jwk.core.SecretKey.from_bytes(secret), jose.Usage("HS256")), b"{}", kid=found["kid"]
        )
        for keys in ({"key": "tokens"}, {"jwk": found["jwk"]}, {"jwks": {"keys": [found["jwk"]]}}):
            assert problem(rings.post("/jws/verify", {**keys, "jws": forged})) == (400, "bad-algorithm")
    jws = signed(rings)
    header = json.loads(b64d(jws.split(".")[0]))
    for alg in ("ES384", "RS256", "HS256", "EdDSA"):
        changed = token(header | {"alg": alg}, *jws.split(".")[1:])
        assert problem(rings.post("/jws/verify", {"key": "tokens", "jws": changed})) == (400, "bad-algorithm")


def test_keys_inside_of_a_token_are_not_trusted(rings: Caller) -> None:
    mine = jose.generate("EC-P256", alg="ES256", kid="")
    assert isinstance(mine, jose.JwkPrivate)
    for header in (
        {"jwk": mine.public.members()},
        {"jku": "https://attacker.example.test/jwks.json"},
        {"x5u": "https://attacker.example.test/c.pem"},
        {"x5c": ["AAAA"]},
    ):
        forged = jose.sign(mine, b"{}", header=header)
        assert problem(rings.post("/jws/verify", {"key": "tokens", "jws": forged})) == (400, "bad-signature")


def test_secrets_and_private_keys_are_no_verification_keys(rings: Caller) -> None:
    jws = signed(rings)
    secret = rings.post("/jwk/generate", {"algorithm": "HS256"}).json["jwk"]
    private = rings.post("/jwk/generate", {"algorithm": "EC-P256", "alg": "ES256"}).json["jwk"]
    for keys in ({"jwk": secret}, {"jwk": private}, {"jwks": {"keys": [secret]}}, {"jwks": {"keys": [private]}}):
        refused = rings.post("/jws/verify", {**keys, "jws": jws})
        assert problem(refused) == (422, "invalid")
        assert secret["k"] not in refused.text
    for keys in ({}, {"key": "tokens", "jwk": secret}, {"jwks": {"keys": []}}):
        assert problem(rings.post("/jws/verify", {**keys, "jws": jws}))[0] in (400, 422)


def test_a_ring_for_encryption_does_not_sign(rings: Caller) -> None:
    assert problem(rings.post("/jws/sign", {"key": "box", "text": "a"})) == (422, "invalid")
    assert problem(rings.post("/jwe/encrypt", {"key": "tokens", "text": "a"})) == (422, "invalid")
    assert problem(rings.post("/jwe/decrypt", {"key": "tokens", "jwe": "e30.AA.AA.AA.AA"})) == (422, "invalid")
    assert problem(rings.post("/jwt/create", {"key": "wraps", "claims": {}})) == (422, "invalid")


BAD_JWK: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "no kty": ({}, (400,)),
    "unknown kty": ({"kty": "X"}, (400,)),
    "point not on its curve": ({"kty": "EC", "crv": "P-256", "x": b64e(b"\1" * 32), "y": b64e(b"\1" * 32)}, (400,)),
    "point of another size": ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, (400,)),
    "the point at infinity": ({"kty": "EC", "crv": "P-256", "x": b64e(bytes(32)), "y": b64e(bytes(32))}, (400,)),
    "unknown curve": ({"kty": "EC", "crv": "secp256k1", "x": b64e(b"\1" * 32), "y": b64e(b"\1" * 32)}, (400,)),
    "short RSA": ({"kty": "RSA", "n": b64e(b"\xc1" + b"\1" * 127), "e": "AQAB"}, (400,)),
    "even exponent": ({"kty": "RSA", "n": b64e(b"\xc1" + b"\1" * 255), "e": "Ag"}, (400,)),
    "huge RSA": ({"kty": "RSA", "n": b64e(b"\xc1" + b"\1" * 4000), "e": "AQAB"}, (400,)),
    "short secret for its alg": ({"kty": "oct", "k": "AAAA", "alg": "HS256"}, (400,)),
    "alg of another kty": ({"kty": "oct", "k": b64e(bytes(32)), "alg": "ES256"}, (400,)),
    "use is unknown": ({"kty": "oct", "k": b64e(bytes(32)), "use": "both"}, (422,)),
    "key_ops is a string": ({"kty": "oct", "k": b64e(bytes(32)), "key_ops": "sign"}, (400,)),
    "some private members": ({"kty": "RSA", "n": b64e(b"\xc1" + b"\1" * 255), "e": "AQAB", "p": "AQ"}, (400,)),
    "n is no string": ({"kty": "RSA", "n": 5, "e": "AQAB"}, (400,)),
}


@pytest.mark.parametrize("name", BAD_JWK)
def test_bad_keys(rings: Caller, name: str) -> None:
    key, statuses = BAD_JWK[name]
    assert problem(rings.post("/jwk/validate", {"jwk": key}))[0] in statuses
    assert problem(rings.post("/jwk/validate", {"jwks": {"keys": [key]}}))[0] in statuses
    assert problem(rings.post("/jwe/encrypt", {"jwk": key, "text": "a"}))[0] in (*statuses, 422)
    good = {"jwk": rings.get("/elastic-jwks/tokens/versions/1").json["jwk"]}
    assert in_batch(rings, "/jwk/validate", {"jwk": key}, good)[0] in statuses


def test_halves_of_two_keys(rings: Caller) -> None:
    one, two = (rings.post("/jwk/generate", {"algorithm": "EC-P256"}).json["jwk"] for _ in range(2))
    mixed = one | {"d": two["d"]}
    refused = rings.post("/jwk/validate", {"jwk": mixed})
    assert problem(refused) == (400, "malformed")
    assert two["d"] not in refused.text


def test_malformed_jwe(rings: Caller) -> None:
    good = rings.post("/jwe/encrypt", {"key": "box", "payload": PAYLOAD}).json["jwe"]
    parts = good.split(".")
    header = json.loads(b64d(parts[0]))

    def with_header(**more: Any) -> str:
        return ".".join([b64e(json.dumps(header | more).encode()), *parts[1:]])

    for jwe in (
        "", "a.b", ".".join(parts[:4]), "..".join(parts), with_header(alg="RSA1_5"), with_header(alg="RSA-OAEP"),
        with_header(alg="PBES2-HS256+A128KW"), with_header(alg="none"), with_header(alg="dir"), with_header(zip="DEF"),
        with_header(crit=["x"], x=1), with_header(enc="A128CBC"), with_header(enc="none"),
        with_header(epk={"kty": "EC", "crv": "P-256", "x": b64e(b"\1" * 32), "y": b64e(b"\1" * 32)}),
        with_header(epk={"kty": "EC", "crv": "P-384", "x": b64e(b"\1" * 48), "y": b64e(b"\1" * 48)}),
        with_header(epk=5), with_header(x=1),
        ".".join([*parts[:3], b64e(b"x" + b64d(parts[3])), parts[4]]),
        ".".join([*parts[:4], b64e(bytes(16))]),
        ".".join([*parts[:4], b64e(bytes(8))]),
        ".".join([parts[0], "", *parts[2:]]),
        ".".join([*parts[:2], "AA", *parts[3:]]),
    ):  # fmt: skip
        body = {"key": "box", "jwe": jwe}
        alone = problem(rings.post("/jwe/decrypt", body))
        assert alone[0] == 400, jwe
        assert in_batch(rings, "/jwe/decrypt", body, {"key": "box", "jwe": good}) == alone
    oversize = with_header(x="y" * 20_000)
    assert problem(rings.post("/jwe/decrypt", {"key": "box", "jwe": oversize})) == (413, "too-large")
    assert problem(rings.post("/jwe/decrypt", {"key": "wraps", "jwe": good})) == (422, "invalid")


def test_additional_data_is_asserted_on_both_sides(rings: Caller) -> None:
    bare = rings.post("/jwe/encrypt", {"key": "box", "text": "a", "serialization": "flattened"}).json["jwe"]
    bound = rings.post("/jwe/encrypt", {"key": "box", "text": "a", "serialization": "flattened", "aad": "AAAA"})
    jwe = bound.json["jwe"]

    def status(jwe: Any, aad: str | None) -> int:
        return rings.post("/jwe/decrypt", {"key": "box", "jwe": jwe, "aad": aad}).status

    assert status(jwe, "AAAA") == status(bare, None) == 200
    assert {status(jwe, None), status(jwe, "BBBB"), status(bare, "AAAA")} == {400}
    assert status(jwe | {"aad": "BBBB"}, "BBBB") == 400
    assert rings.post("/jwe/encrypt", {"key": "box", "text": "a", "aad": "AAAA"}).status == 422
    compact = rings.post("/jwe/encrypt", {"key": "box", "text": "a"}).json["jwe"]
    assert status(compact, "AAAA") == 422


def test_malformed_json_serialisations(rings: Caller) -> None:
    good = signed(rings, serialization="general")
    one = good["signatures"][0]
    for jws in (
        {}, {"payload": PAYLOAD}, {"payload": PAYLOAD, "signatures": []}, {"payload": 5, "signatures": [one]},
        {"payload": PAYLOAD, "signatures": {}}, {"payload": PAYLOAD, "signatures": [5]},
        {"payload": PAYLOAD, "signatures": [one], "signature": one["signature"]},
        {"payload": PAYLOAD, "signatures": [one] * 101},
        {"payload": PAYLOAD, "signatures": [one | {"header": {"alg": "none"}}]},
        {"payload": PAYLOAD, "signatures": [one | {"header": []}]},
        {"payload": PAYLOAD, "signatures": [one | {"protected": "####"}]},
    ):  # fmt: skip
        assert problem(rings.post("/jws/verify", {"key": "tokens", "jws": jws}))[0] in (400, 413, 422), jws
    for jwe in ({}, {"recipients": []}, {"recipients": [5]}, {"protected": 5}, {"recipients": [{}] * 101}):
        assert problem(rings.post("/jwe/decrypt", {"key": "box", "jwe": jwe}))[0] in (400, 422), jwe


def test_versions_that_may_not_be_used(rings: Caller) -> None:
    """Revoked, disabled and below the minimum: alone, in a batch beside a good one, and in every operation."""
    old = signed(rings)
    old_jwt = rings.post("/jwt/create", {"key": "tokens", "claims": {}}).json["token"]
    old_jwe = rings.post("/jwe/encrypt", {"key": "box", "text": "a"}).json["jwe"]
    for ring in ("tokens", "box"):
        assert rings.post(f"/elastic-jwks/{ring}/rotate", {}).status == 200
    new = signed(rings)

    def refusals() -> set[tuple[int, str, str]]:
        found = [
            rings.post("/jws/verify", {"key": "tokens", "jws": old}),
            rings.post("/jwt/validate", {"key": "tokens", "token": old_jwt}),
            rings.post("/jwe/decrypt", {"key": "box", "jwe": old_jwe}),
        ]
        bad, good = {"key": "tokens", "jws": old}, {"key": "tokens", "jws": new}
        assert in_batch(rings, "/jws/verify", bad, good) == (409, "conflict")
        return {(*problem(one), one.json["detail"]) for one in found}

    for ring in ("tokens", "box"):
        rings.post(f"/elastic-jwks/{ring}/versions/1/disable")
    assert refusals() == {(409, "conflict", "version 1 is disabled")}
    for ring in ("tokens", "box"):
        rings.post(f"/elastic-jwks/{ring}/versions/1/enable")
        rings.patch(f"/elastic-jwks/{ring}", {"min_decrypt_version": 2})
    assert refusals() == {(409, "conflict", "version 1 is below the minimum of 2")}
    for ring in ("tokens", "box"):
        rings.post(f"/elastic-jwks/{ring}/versions/1/revoke", {"reason": "lost"})
    assert refusals() == {(409, "conflict", "version 1 is revoked")}
    for ring in ("tokens", "box"):
        rings.post(f"/elastic-jwks/{ring}/versions/2/revoke", {})
    assert problem(rings.post("/jws/sign", {"key": "tokens", "text": "a"})) == (409, "conflict")
    assert problem(rings.post("/jwe/encrypt", {"key": "box", "text": "a"})) == (409, "conflict")


def test_revocation_holds_on_every_replica_at_once(door: Door) -> None:
    door.admin.post("/elastic-jwks", {"name": "tokens", "algorithm": "ES256"})
    jws = signed(door.admin)
    other = door.definition.build(door.edge.resources)
    other.keyring.revoke(door.tenant_id, "tokens", 1, "somebody")
    assert problem(door.admin.post("/jws/verify", {"key": "tokens", "jws": jws})) == (409, "conflict")
    assert problem(door.admin.post("/jws/sign", {"key": "tokens", "text": "a"})) == (409, "conflict")


def test_another_tenant_s_ring_reads_as_none(door: Door) -> None:
    ring = door.admin.post("/elastic-jwks", {"name": "tokens", "algorithm": "ES256"}).json
    box = door.admin.post("/elastic-jwks", {"name": "box", "algorithm": "A256KW", "use": "enc"}).json
    jws = signed(door.admin)
    jwe = door.admin.post("/jwe/encrypt", {"key": "box", "text": "a"}).json["jwe"]
    stranger, _ = door.tenant("other")
    for name, box_name in (("tokens", "box"), (ring["id"], box["id"]), ("nothing", "nothing"), ("f" * 32, "f" * 32)):
        answers = [
            stranger.get(f"/elastic-jwks/{name}"),
            stranger.patch(f"/elastic-jwks/{name}", {"description": "mine"}),
            stranger.delete(f"/elastic-jwks/{name}"),
            stranger.post(f"/elastic-jwks/{name}/rotate", {}),
            stranger.get(f"/elastic-jwks/{name}/versions"),
            stranger.post(f"/elastic-jwks/{name}/versions/1/revoke", {}),
            stranger.post("/jws/sign", {"key": name, "text": "a"}),
            stranger.post("/jws/verify", {"key": name, "jws": jws}),
            stranger.post("/jwt/create", {"key": name, "claims": {}}),
            stranger.post("/jwt/validate", {"key": name, "token": jws}),
            stranger.post("/jwe/encrypt", {"key": box_name, "text": "a"}),
            stranger.post("/jwe/decrypt", {"key": box_name, "jwe": jwe}),
            stranger.post("/sd-jwt/issue", {"key": name, "claims": {}, "disclosable": []}),
        ]
        assert {(*problem(one), one.json["detail"]) for one in answers} == {(404, "not-found", "there is no such key")}
    assert door.admin.get("/elastic-jwks/tokens").json == ring


def test_bodies_that_are_no_bodies(rings: Caller) -> None:
    def sent(raw: bytes, path: str = "/jws/sign", kind: str = "application/json") -> tuple[int, str]:
        return problem(rings("POST", path, raw=raw, content_type=kind))

    assert sent(b"") == (400, "malformed") or sent(b"") == (415, "unsupported-media-type")
    assert sent(b"{") == (400, "malformed")
    assert sent(b"[]") == (400, "malformed")
    assert sent(b'"x"') == (400, "malformed")
    assert sent(b"\xff{}") == (400, "malformed")
    assert sent(b'{"key":"tokens","key":"tokens","text":"a"}') == (400, "malformed")
    assert sent(b'{"key":"tokens","claims":{"a":1,"a":2}}', "/jwt/create") == (400, "malformed")
    assert sent(b'{"key":"tokens","claims":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "/jwt/create") == (
        400,
        "malformed",
    )
    assert sent(b'{"key":"tokens","text":"\\ud800"}') == (422, "invalid")
    assert sent(b'{"key":"tokens","claims":{"a":1e999}}', "/jwt/create")[0] == 422
    assert sent(b"{}", kind="text/plain") == (415, "unsupported-media-type")
    assert sent(b'{"operations":[]}', "/jws/sign/batch") == (422, "invalid")
    assert sent(b'{"operations":{}}', "/jws/sign/batch") == (422, "invalid")
    assert sent(b'{"operations":[{}],"x":1}', "/jws/sign/batch") == (422, "invalid")
    assert sent(json.dumps({"operations": [{}] * 1001}).encode(), "/jws/sign/batch") == (422, "invalid")
    found = rings.post("/jws/sign", {"key": "tokens", "text": "secret words", "colour": "secret words"})
    assert problem(found) == (422, "invalid")
    assert found.json["errors"] == [{"pointer": "#/colour", "detail": "Extra inputs are not permitted"}]
    assert "secret words" not in found.text


def test_contradictions_in_a_body(rings: Caller) -> None:
    for path, body in (
        ("/jws/sign", {"key": "tokens"}),
        ("/jws/sign", {"key": "tokens", "text": "a", "payload": "AA"}),
        ("/jws/sign", {"text": "a"}),
        ("/jws/sign", {"key": "tokens", "text": "a", "signers": [{"key": "tokens"}]}),
        ("/jws/sign", {"signers": [{"key": "tokens"}, {"key": "other"}], "text": "a"}),
        ("/jws/sign", {"signers": [{"key": "tokens"}, {"key": "other"}], "text": "a", "serialization": "flattened"}),
        ("/jws/sign", {"key": "tokens", "text": "a", "unprotected": {"x": 1}}),
        ("/jws/sign", {"key": "tokens", "text": "a", "header": {"kid": "x"}}),
        ("/jws/sign", {"key": "tokens", "text": "a", "header": {"alg": "none"}}),
        ("/jws/sign", {"key": "tokens", "text": "a", "header": {"crit": ["x"]}}),
        ("/jws/sign", {"key": "tokens", "text": "a.b", "encoded": False}),
        ("/jwe/encrypt", {"text": "a"}),
        ("/jwe/encrypt", {"key": "box", "recipients": [{"key": "box"}], "text": "a"}),
        ("/jwe/encrypt", {"recipients": [{"key": "box"}, {"key": "wraps"}], "text": "a"}),
        ("/jwe/encrypt", {"recipients": [{}], "text": "a", "serialization": "general"}),
        ("/jwe/encrypt", {"key": "box", "text": "a", "header": {"zip": "DEF"}}),
        ("/jwk/convert", {}),
        ("/jwk/validate", {}),
    ):
        assert problem(rings.post(path, body)) == (422, "invalid"), (path, body)
    for alg in ("RSA1_5", "none", "dir", "RSA-OAEP"):
        refused = rings.post("/jwe/encrypt", {"key": "box", "text": "a", "alg": alg})
        assert problem(refused) == (400, "bad-algorithm")


def test_failures_are_audited_always_and_successes_now_and_then(rings: Caller) -> None:
    for _ in range(150):
        signed(rings)
    for _ in range(3):
        rings.post("/jws/verify", {"key": "tokens", "jws": "a.b.c"})
    found = rings.get("/audit/events?limit=200").json["items"]
    signs = [one for one in found if one["action"] == "jws.sign"]
    fails = [one for one in found if one["action"] == "jws.verify"]
    assert [one["outcome"] for one in signs] == ["success", "success"]  # the first and the hundred and first
    assert [one["outcome"] for one in fails] == ["failure"] * 3
    assert fails[0]["details"] == {"items": 1, "failed": 1, "faults": {"malformed": 1}}
    assert (fails[0]["target"], fails[0]["request_id"]) == ("tokens", "request-1")


def test_a_sealed_barrier(rings: Caller) -> None:
    jws = signed(rings)
    rings.door.barrier.seal()
    for path, body in (("/jws/sign", {"key": "tokens", "text": "a"}), ("/jws/verify", {"key": "tokens", "jws": jws})):
        assert rings.post(path, body).status == 503
