"""Every operation does what it says, singly, in batches and streamed; and others read what it makes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc import jwe as their_jwe
from joserfc import jws as their_jws
from joserfc.jwk import KeySet

from pycryptoutil.jose.text import b64d, b64e
from pycryptoutil.service.definition import Context
from tests.support.door import Caller, Door

SIGNS = [
    "HS256", "RS256/RSA-2048", "PS384/RSA-2048", "ES256", "ES384", "ES512", "EdDSA/Ed25519", "EdDSA/Ed448", "Ed25519",
    "ML-DSA-44", "ML-DSA-65",
]  # fmt: skip
ENCRYPTS = [
    "A256GCM", "A128CBC-HS256", "A256KW", "A128GCMKW", "RSA-OAEP-256/RSA-2048", "ECDH-ES/EC-P256",
    "ECDH-ES+A256KW/X25519", "ML-KEM-768+A192KW",
]  # fmt: skip
FORMS = ["compact", "flattened", "general"]


@pytest.fixture
def admin(small_door: Door) -> Caller:
    return small_door.admin


def ring(caller: Caller, name: str, algorithm: str, use: str = "sig", **more: Any) -> dict[str, Any]:
    made = caller.post("/elastic-jwks", {"name": name, "algorithm": algorithm, "use": use, **more})
    assert made.status == 201, made.text
    found: dict[str, Any] = made.json
    return found


def ask(caller: Caller, path: str, **body: Any) -> Any:
    found = caller.post(path, body)
    assert found.status == 200, found.text
    return found.json


@pytest.mark.parametrize("algorithm", SIGNS)
def test_what_is_signed_verifies(admin: Caller, algorithm: str) -> None:
    made = ring(admin, "r", algorithm)
    for form in FORMS:
        for encoded in (True, False):
            for detached in (True, False):
                text = "a text" if encoded or detached else "plain"
                jws = ask(
                    admin, "/jws/sign", key="r", text=text, serialization=form, encoded=encoded, detached=detached
                )
                body = {"key": "r", "jws": jws["jws"]} | ({"payload": b64e(text.encode())} if detached else {})
                found = ask(admin, "/jws/verify", **body)
                assert b64d(found["payload"]).decode() == text
                assert (found["kid"], found["header"]["alg"]) == (made["kid"], algorithm.partition("/")[0])
                other = body | {"payload": b64e(b"another")}
                assert admin.post("/jws/verify", other).status == 400


@pytest.mark.parametrize("algorithm", ENCRYPTS)
def test_what_is_encrypted_decrypts(admin: Caller, algorithm: str) -> None:
    made = ring(admin, "r", algorithm, "enc")
    for form in FORMS:
        aad = {} if form == "compact" else {"aad": b64e(b"bound")}
        jwe = ask(admin, "/jwe/encrypt", key="r", text="a text", serialization=form, **aad)["jwe"]
        found = ask(admin, "/jwe/decrypt", key="r", jwe=jwe, **aad)
        assert (b64d(found["payload"]), found["kid"]) == (b"a text", made["kid"])
    assert admin.post("/jwe/decrypt", {"key": "r", "jwe": jwe, "encs": ["A192GCM"], **aad}).status == 400


def test_rotated_rings_read_what_they_made_before(admin: Caller) -> None:
    ring(admin, "r", "ES256")
    ring(admin, "b", "A256KW", "enc")
    jws, jwe = ask(admin, "/jws/sign", key="r", text="a")["jws"], ask(admin, "/jwe/encrypt", key="b", text="a")["jwe"]
    for name in ("r", "b"):
        admin.post(f"/elastic-jwks/{name}/rotate", {"force": True})
    after = ask(admin, "/jws/sign", key="r", text="a")["jws"]
    assert ask(admin, "/jws/verify", key="r", jws=jws)["kid"] != ask(admin, "/jws/verify", key="r", jws=after)["kid"]
    assert ask(admin, "/jwe/decrypt", key="b", jwe=jwe)["payload"] == b64e(b"a")


def test_several_signatures(admin: Caller) -> None:
    ring(admin, "one", "ES256")
    ring(admin, "two", "EdDSA/Ed25519")
    signers = [{"key": "one", "header": {"typ": "a"}}, {"key": "two", "unprotected": {"x": 1}}]
    jws = ask(admin, "/jws/sign", signers=signers, text="a", serialization="general")["jws"]
    assert len(jws["signatures"]) == 2
    assert jws["signatures"][1]["header"] == {"x": 1}
    keys = [admin.get(f"/elastic-jwks/{name}/versions/1").json["jwk"] for name in ("one", "two")]
    both = ask(admin, "/jws/verify", jwks={"keys": keys}, jws=jws)
    assert len(both["signatures"]) == 2
    assert admin.post("/jws/verify", {"key": "one", "jws": jws}).status == 400
    found = ask(admin, "/jws/verify", key="one", jws=jws, require="any")
    assert (len(found["signatures"]), len(found["refused"])) == (1, 1)
    jws["signatures"][0]["signature"] = jws["signatures"][1]["signature"]
    assert admin.post("/jws/verify", {"key": "one", "jws": jws, "require": "any"}).status == 400


def test_several_recipients(admin: Caller) -> None:
    ring(admin, "mine", "ECDH-ES+A256KW/X25519", "enc")
    ring(admin, "shared", "A256KW", "enc")
    theirs = ask(admin, "/jwk/generate", algorithm="RSA-2048", use="enc")
    recipients = [{"key": "mine"}, {"key": "shared"}, {"jwk": theirs["public_jwk"], "alg": "RSA-OAEP-256"}]
    jwe = ask(admin, "/jwe/encrypt", recipients=recipients, text="a", serialization="general", enc="A256CBC-HS512")[
        "jwe"
    ]
    assert len(jwe["recipients"]) == 3
    for name in ("mine", "shared"):
        assert ask(admin, "/jwe/decrypt", key=name, jwe=jwe)["payload"] == b64e(b"a")
    key = KeySet.import_key_set({"keys": [theirs["jwk"]]})
    registry = their_jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256CBC-HS512"])
    alone = jwe | {"recipients": [jwe["recipients"][2]]}
    assert their_jwe.decrypt_json(alone, key, registry=registry).plaintext == b"a"


def test_another_library_verifies_by_the_published_set(admin: Caller) -> None:
    for name, algorithm in (("a", "ES256"), ("b", "RS256/RSA-2048"), ("c", "EdDSA/Ed25519")):
        ring(admin, name, algorithm)
    published = admin.door.send("GET", "/.well-known/jwks.json", []).json
    keys = KeySet.import_key_set(published)
    for name, alg in (("a", "ES256"), ("b", "RS256"), ("c", "EdDSA")):
        jws = ask(admin, "/jws/sign", key=name, text="a", header={"typ": "JWT"})["jws"]
        found = their_jws.deserialize_compact(jws, keys, algorithms=[alg])
        assert found.payload == b"a"
        assert found.headers()["typ"] == "JWT"


# -- JWT ---------------------------------------------------------------------------------------------------------------

POLICY = {"issuer": "https://as.test", "audience": ["api"], "lifetime": 600, "typ": "at+jwt"}


def test_tokens_by_policy(admin: Caller) -> None:
    ring(admin, "tokens", "ES256", token_policy=POLICY)
    token = ask(admin, "/jwt/create", key="tokens", claims={"sub": "a", "iss": "https://as.test"})["token"]
    found = ask(admin, "/jwt/validate", key="tokens", token=token, policy={"audiences": ["api"], "typ": "at+jwt"})
    claims, now = found["claims"], int(admin.door.clock.now().timestamp())
    assert (claims["iss"], claims["aud"], claims["sub"], claims["iat"]) == ("https://as.test", "api", "a", now)
    assert (claims["exp"], claims["nbf"], found["header"]["typ"]) == (now + 600, now, "at+jwt")
    assert claims["jti"]
    for given in ({"iss": "https://other.test"}, {"exp": now + 10_000}, {"aud": "other"}):
        assert admin.post("/jwt/create", {"key": "tokens", "claims": given}).status == 403
    for given in ({"sub": 1}, {"exp": "soon"}, {"nbf": -1}):
        assert admin.post("/jwt/create", {"key": "tokens", "claims": given}).status in (400, 403)
    inspected = ask(admin, "/jwt/inspect", token=token)
    assert (inspected["claims"], inspected["verified"], inspected["encrypted"]) == (claims, False, False)
    before = admin.get("/elastic-jwks/tokens").headers.get("etag")
    admin.patch("/elastic-jwks/tokens", {"token_policy": {**POLICY, "lifetime": 60}})
    assert admin.get("/elastic-jwks/tokens", headers={"If-None-Match": before}).status == 200
    again = ask(admin, "/jwt/create", key="tokens", claims={})["token"]
    assert ask(admin, "/jwt/inspect", token=again)["claims"]["exp"] == now + 60


def test_tokens_that_are_not_good_any_more(admin: Caller) -> None:
    ring(admin, "tokens", "ES256", token_policy=POLICY)
    token = ask(admin, "/jwt/create", key="tokens", claims={"sub": "a"})["token"]

    def status(**policy: Any) -> int:
        return admin.post("/jwt/validate", {"key": "tokens", "token": token, "policy": policy}).status

    good = {"audiences": ["api"]}
    assert status(**good) == 200
    assert status() == 403  # it is for somebody
    assert status(audiences=["web"]) == 403
    assert status(**good, issuers=["https://other.test"]) == 403
    assert status(**good, issuers=[]) == 200
    assert status(**good, typ="JWT") == 422
    assert status(**good, required=["exp", "scope"]) == 422
    assert status(**good, subject="b") == 403
    clock = admin.door.clock
    clock.advance(-61)
    assert status(**good) == 400  # not yet
    clock.advance(61 + 659)
    assert status(**good) == 200  # within the skew
    assert status(**good, skew=0) == 410
    assert status(**good, max_age=300) == 410
    clock.advance(1)
    assert status(**good) == 410


def test_nested_tokens(admin: Caller) -> None:
    ring(admin, "tokens", "ES256")
    ring(admin, "box", "ECDH-ES+A256KW/X25519", "enc")
    theirs = ask(admin, "/jwk/generate", algorithm="EC-P256", use="enc")
    nested = ask(admin, "/jwt/create", key="tokens", claims={"sub": "a"}, encrypt={"key": "box"})["token"]
    assert nested.count(".") == 4
    found = ask(admin, "/jwt/validate", key="tokens", decrypt_key="box", token=nested)
    assert found["claims"]["sub"] == "a"
    assert ask(admin, "/jwt/inspect", token=nested)["encrypted"] is True
    assert admin.post("/jwt/validate", {"key": "tokens", "token": nested}).status == 422  # of no key of this ring
    only = ask(admin, "/jwe/encrypt", key="box", text='{"sub":"a"}', header={"cty": "JWT"})["jwe"]
    assert admin.post("/jwt/validate", {"key": "tokens", "decrypt_key": "box", "token": only}).status == 400  # unsigned
    bare = ask(admin, "/jwe/encrypt", key="box", text="a")["jwe"]
    assert admin.post("/jwt/validate", {"key": "tokens", "decrypt_key": "box", "token": bare}).status == 422
    other = ask(
        admin, "/jwt/create", key="tokens", claims={}, encrypt={"jwk": theirs["public_jwk"], "enc": "A128CBC-HS256"}
    )
    assert ask(admin, "/jwt/inspect", token=other["token"])["header"]["enc"] == "A128CBC-HS256"


# -- SD-JWT ------------------------------------------------------------------------------------------------------------


def test_selective_disclosure(admin: Caller) -> None:
    ring(admin, "issuer", "ES256")
    ring(admin, "holder", "ES256")
    holder = admin.get("/elastic-jwks/holder/versions/1").json["jwk"]
    claims = {"sub": "a", "name": "N", "address": {"city": "C", "zip": "1"}, "nations": ["DE", "FR"]}
    paths = [["name"], ["address", "city"], ["nations", 1]]
    whole = ask(admin, "/sd-jwt/issue", key="issuer", claims=claims, disclosable=paths, holder=holder, decoys=3)[
        "sd_jwt"
    ]
    listed = ask(admin, "/sd-jwt/inspect", sd_jwt=whole)["disclosable"]
    assert sorted(str(one["path"]) for one in listed) == sorted(map(str, paths))
    shown = ask(
        admin,
        "/sd-jwt/present",
        sd_jwt=whole,
        disclose=[["address", "city"]],
        holder_key="holder",
        audience="v",
        nonce="n",
    )["sd_jwt"]
    binding = {"audience": "v", "nonce": "n"}
    found = ask(admin, "/sd-jwt/verify", key="issuer", sd_jwt=shown, key_binding=binding)
    assert found["claims"]["address"] == {"city": "C", "zip": "1"}
    assert "name" not in found["claims"]
    assert found["claims"]["nations"] == ["DE"]
    assert found["disclosed"] == [["address", "city"]]
    assert found["holder"]["x"] == holder["x"]

    def status(text: str, **more: Any) -> int:
        return admin.post("/sd-jwt/verify", {"key": "issuer", "sd_jwt": text, **more}).status

    assert status(shown, key_binding={"audience": "v", "nonce": "other"}) == 400
    assert status(shown, key_binding={"audience": "w", "nonce": "n"}) == 400
    assert status(whole, key_binding=binding) == 400
    assert status(shown) == 422  # bound, and nobody asked
    assert status(whole) == 200
    assert status(whole.replace("~", "~~", 1)) == 400
    assert status(whole.split("~")[0]) == 400
    assert admin.post("/sd-jwt/issue", {"key": "issuer", "claims": claims, "disclosable": [["none"]]}).status == 422
    assert admin.post("/sd-jwt/issue", {"key": "issuer", "claims": claims, "disclosable": [["iss"]]}).status == 422
    assert admin.post("/sd-jwt/present", {"sd_jwt": whole, "disclose": [["zip"]]}).status == 422
    admin.door.clock.advance(400)
    assert status(shown, key_binding=binding) == 400  # the proof is old


# -- JWK tools ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["RSA-2048", "EC-P256", "EC-P521", "Ed25519", "Ed448", "X25519", "ML-DSA-44", "ML-KEM-768"]
)
def test_keys_from_form_to_form(admin: Caller, kind: str) -> None:
    made = ask(admin, "/jwk/generate", algorithm=kind)
    assert made["jwk"]["kid"] == ask(admin, "/jwk/thumbprint", jwk=made["public_jwk"])["thumbprint"]
    for members, private in ((made["jwk"], True), (made["public_jwk"], False)):
        found = ask(admin, "/jwk/convert", jwk=members)
        assert found["private"] is private
        kid = members["kid"]
        assert ask(admin, "/jwk/convert", pem=found["pem"], kid=kid)["jwk"] == members
        assert ask(admin, "/jwk/convert", der=found["der"], kid=kid)["jwk"] == members
        described = ask(admin, "/jwk/validate", jwk=members)["keys"][0]
        assert (described["algorithm"], described["kind"]) == (kind, "private" if private else "public")


def test_secrets_have_no_other_form(admin: Caller) -> None:
    made = ask(admin, "/jwk/generate", algorithm="HS256")
    assert made["public_jwk"] is None
    assert admin.post("/jwk/convert", {"jwk": made["jwk"]}).status == 422
    assert ask(admin, "/jwk/validate", jwk=made["jwk"])["keys"][0]["thumbprint"] is None
    assert admin.post("/jwk/generate", {"algorithm": "RSA-1024"}).status in (400, 422)


def test_the_thumbprint_of_rfc_7638(admin: Caller) -> None:
    key = {
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": (
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok"
            "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu"
            "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8a"
            "wapJzKnqDKgw"
        ),
    }  # fmt: skip
    found = ask(admin, "/jwk/thumbprint", jwk=key)
    assert found["thumbprint"] == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert found["uri"] == f"urn:ietf:params:oauth:jwk-thumbprint:sha-256:{found['thumbprint']}"


# -- batches and streams -----------------------------------------------------------------------------------------------


def test_batches_of_mixed_items_keep_their_order(admin: Caller) -> None:
    ring(admin, "one", "ES256")
    ring(admin, "two", "EdDSA/Ed25519")
    items: list[dict[str, Any]] = []
    for number in range(40):
        body: dict[str, Any] = {"key": ("one", "two")[number % 2], "text": str(number)}
        body |= {"serialization": "general"} if number % 5 == 0 else {}
        body |= {"detached": True} if number % 7 == 0 else {}
        body = {"key": "one"} if number % 11 == 10 else body
        items.append(body)
    results = ask(admin, "/jws/sign/batch", operations=items)["results"]
    assert [one["index"] for one in results] == list(range(40))
    for number, one in enumerate(results):
        if number % 11 == 10:
            assert one["problem"]["status"] == 422
            continue
        body = {"key": items[number]["key"], "jws": one["result"]["jws"]}
        body |= {"payload": b64e(str(number).encode())} if number % 7 == 0 else {}
        assert b64d(ask(admin, "/jws/verify", **body)["payload"]) == str(number).encode()


def test_every_operation_has_a_batch_and_a_stream(admin: Caller) -> None:
    from pycryptoutil.services.jose_ja import OPERATIONS

    for operation in OPERATIONS:
        found = ask(admin, f"{operation.path}/batch", operations=[{}, 5, "x", None])
        assert [one["problem"]["status"] for one in found["results"]] == [422] * 4
        lines = stream(admin, operation.path, b"{}\n\n5\n{\n")
        assert [one.get("problem", {}).get("status") for one in lines] == [422, 400, 400, None]
        assert lines[-1] == {"done": 3, "failed": 3}


def stream(caller: Caller, path: str, raw: bytes) -> list[dict[str, Any]]:
    found = caller("POST", f"{path}/stream", raw=raw, content_type="application/x-ndjson")
    assert (found.status, found.headers.get("content-type")) == (200, "application/x-ndjson")
    return [json.loads(line) for line in found.text.splitlines()]


def test_streams_of_many_portions(admin: Caller) -> None:
    ring(admin, "tokens", "ES256")
    bodies = [json.dumps({"key": "tokens", "text": str(number)}) for number in range(2500)]
    bodies[1234] = '{"key":"tokens","key":"tokens","text":"a"}'
    bodies[2000] = '{"key":"nothing","text":"a"}'
    signed = stream(admin, "/jws/sign", "\n".join(bodies).encode())
    assert signed.pop() == {"done": 2500, "failed": 2}
    assert [one["index"] for one in signed] == list(range(2500))
    assert {one["index"] for one in signed if "problem" in one} == {1234, 2000}
    checks = [json.dumps({"key": "tokens", "jws": one["result"]["jws"]}) for one in signed if "result" in one]
    verified = stream(admin, "/jws/verify", "\r\n".join(checks).encode())
    assert verified.pop() == {"done": 2498, "failed": 0}
    texts = [b64d(one["result"]["payload"]).decode() for one in verified]
    assert texts == [str(number) for number in range(2500) if number not in (1234, 2000)]
    events = admin.get("/audit/events").json["items"]
    assert [(one["action"], one["details"]["items"]) for one in events[:2]] == [
        ("jws.verify", 2498),
        ("jws.sign", 2500),
    ]
    assert events[1]["details"]["failed"] == 2


def test_a_stream_asks_the_gate_again_for_each_portion(admin: Caller) -> None:
    """A key that is revoked while a long stream runs signs no further portion."""
    ring(admin, "tokens", "ES256")
    raw = b"\n".join(b'{"key":"tokens","text":"a"}' for _ in range(2000))
    from pycryptoutil.services.jose_ja.jws.handlers import OPERATIONS

    door = admin.door
    assert door.edge.resources is not None
    context = Context(door.edge.state, door.edge.anonymous, door.edge.resources)
    request: Any = type("Request", (), {"body": raw, "request_id": "r"})()
    response = OPERATIONS[0].stream(context, request)
    assert not isinstance(response.body, bytes)
    first = next(response.body)
    assert first.count(b'"result"') == 1000
    admin.post("/elastic-jwks/tokens/versions/1/revoke", {})
    second = next(response.body)
    assert (second.count(b'"result"'), second.count(b"version 1 is revoked")) == (0, 1000)
    assert json.loads(next(response.body)) == {"done": 2000, "failed": 1000}
