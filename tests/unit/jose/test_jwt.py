"""JWT by policy, nested tokens, and SD-JWT: what is made verifies, and each rule that is broken is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import jose
from pycryptoutil.jose import jwt, sdjwt
from pycryptoutil.jose.jwt import CreationPolicy, ValidationPolicy
from pycryptoutil.jose.text import b64d, b64e

NOW = 1_760_000_000
KEY = jose.generate("EC-P256", alg="ES256")
HOLDER = jose.generate("Ed25519")
SIGNER = jose.JwsSigner(KEY, header={"typ": "at+jwt"})
VERIFIER = jose.JwsVerifier(KEY)
CREATION = CreationPolicy(issuer="https://as.test", audience=("api",), lifetime=600)
POLICY = ValidationPolicy(frozenset({"https://as.test"}), frozenset({"api"}), typ="at+jwt", skew=30)


def kind_of(call: Callable[..., object], *arguments: Any, **named: Any) -> FaultKind:
    with pytest.raises(Fault) as raised:
        call(*arguments, **named)
    return raised.value.kind


def test_a_token_goes_around() -> None:
    token = jwt.create(SIGNER, {"sub": "a", "scope": "x"}, CREATION, NOW)
    found = jwt.validate(VERIFIER, token, POLICY, NOW)
    assert found.header == {"alg": "ES256", "kid": KEY.kid, "typ": "at+jwt"}
    assert {name: found.claims[name] for name in ("iss", "aud", "exp", "nbf", "iat", "sub", "scope")} == {
        "iss": "https://as.test",
        "aud": "api",
        "exp": NOW + 600,
        "nbf": NOW,
        "iat": NOW,
        "sub": "a",
        "scope": "x",
    }
    assert found.claims["jti"]
    many = jwt.create_many(SIGNER, [{"sub": str(number)} for number in range(40)], CREATION, NOW)
    found_many = [jwt.validate(VERIFIER, one, POLICY, NOW) for one in many if isinstance(one, str)]
    assert [one.claims["sub"] for one in found_many] == [str(number) for number in range(40)]


@pytest.mark.parametrize(
    ("change", "at", "kind"),
    [
        ({}, 630, FaultKind.EXPIRED),
        ({}, -31, FaultKind.STALE),
        ({"iss": "https://other.test"}, 0, FaultKind.FORBIDDEN),
        ({"iss": None}, 0, FaultKind.FORBIDDEN),
        ({"aud": ["other"]}, 0, FaultKind.FORBIDDEN),
        ({"aud": None}, 0, FaultKind.FORBIDDEN),
        ({"aud": []}, 0, FaultKind.MALFORMED),
        ({"aud": 7}, 0, FaultKind.MALFORMED),
        ({"exp": None}, 0, FaultKind.INVALID),
        ({"exp": "soon"}, 0, FaultKind.MALFORMED),
        ({"exp": True}, 0, FaultKind.MALFORMED),
        ({"exp": 1e300}, 0, FaultKind.MALFORMED),
        ({"nbf": NOW + 100}, 0, FaultKind.STALE),
        ({"iat": NOW + 100}, 0, FaultKind.STALE),
        ({"sub": 7}, 0, FaultKind.MALFORMED),
    ],
)
def test_rules(change: dict[str, Any], at: int, kind: FaultKind) -> None:
    claims = CREATION.claims({"sub": "a"}, NOW) | change
    token = SIGNER.sign(json.dumps({name: value for name, value in claims.items() if value is not None}).encode())
    assert kind_of(jwt.validate, VERIFIER, token, POLICY, NOW + at) is kind


def test_more_rules() -> None:
    token = jwt.create(SIGNER, {"sub": "a"}, CREATION, NOW)
    for policy, kind in (
        (replace(POLICY, typ="jwt"), FaultKind.INVALID),
        (replace(POLICY, required=frozenset({"exp", "scope"})), FaultKind.INVALID),
        (replace(POLICY, subject="b"), FaultKind.FORBIDDEN),
        (replace(POLICY, audiences=frozenset()), FaultKind.FORBIDDEN),
        (replace(POLICY, audiences=frozenset({"other"})), FaultKind.FORBIDDEN),
    ):
        assert kind_of(jwt.validate, VERIFIER, token, policy, NOW) is kind
    old = replace(POLICY, max_age=60)
    jwt.validate(VERIFIER, token, old, NOW + 89)
    assert kind_of(jwt.validate, VERIFIER, token, old, NOW + 90) is FaultKind.EXPIRED
    typed = jose.JwsSigner(KEY, header={"typ": "application/AT+JWT"})
    jwt.validate(VERIFIER, jwt.create(typed, {}, CREATION, NOW), POLICY, NOW)
    assert kind_of(jwt.create, SIGNER, {"iss": "other"}, CREATION, NOW) is FaultKind.POLICY
    assert kind_of(jwt.create, SIGNER, {"x": float("nan")}, CREATION, NOW) is FaultKind.INVALID
    assert kind_of(jwt.create, SIGNER, {"x": "y" * jwt.MAX_CLAIMS}, CREATION, NOW) is FaultKind.TOO_LARGE
    for payload in (b"[]", b"{", b'{"exp":1,"exp":2}', b'{"exp":NaN}', b"\xff", b"[" * 100_000):
        assert kind_of(jwt.validate, VERIFIER, SIGNER.sign(payload), POLICY, NOW) is FaultKind.MALFORMED


def test_nested() -> None:
    receiver = jose.generate("X25519", alg="ECDH-ES+A256KW")
    encrypter = jose.JweEncrypter(receiver, header={"cty": "JWT"})
    decrypter = jose.JweDecrypter(receiver)
    token = jwt.create_nested(SIGNER, encrypter, {"sub": "a"}, CREATION, NOW)
    assert jwt.validate_nested(decrypter, VERIFIER, token, POLICY, NOW).claims["sub"] == "a"
    plain = jose.JweEncrypter(receiver)
    assert kind_of(jwt.create_nested, SIGNER, plain, {}, CREATION, NOW) is FaultKind.INVALID
    unsigned = jose.JweEncrypter(receiver).encrypt(json.dumps(CREATION.claims({}, NOW)).encode())
    assert kind_of(jwt.validate_nested, decrypter, VERIFIER, unsigned, POLICY, NOW) is FaultKind.INVALID
    bare = encrypter.encrypt(json.dumps(CREATION.claims({}, NOW)).encode())
    assert kind_of(jwt.validate_nested, decrypter, VERIFIER, bare, POLICY, NOW) is FaultKind.MALFORMED
    seen = jwt.introspect(token)
    assert seen.encrypted
    assert seen.header["cty"] == "JWT"
    inside = jwt.introspect(jwt.create(SIGNER, {"sub": "a"}, CREATION, NOW))
    assert inside.claims is not None
    assert inside.claims["sub"] == "a"
    assert kind_of(jwt.introspect, "a.b") is FaultKind.MALFORMED


CLAIMS = {
    "sub": "user_42",
    "given_name": "John",
    "address": {"street_address": "123 Main St", "locality": "Anytown", "country": "US"},
    "nationalities": ["US", "DE"],
    "degrees": [{"name": "BSc", "year": 2001}, {"name": "MSc", "year": 2003}],
}
DISCLOSABLE: tuple[sdjwt.Path, ...] = (
    ("given_name",),
    ("address",),
    ("address", "street_address"),
    ("address", "country"),
    ("nationalities", 0),
    ("nationalities", 1),
    ("degrees", 1, "year"),
)
SD = replace(POLICY, typ="dc+sd-jwt", audiences=frozenset())
SD_CREATION = CreationPolicy(issuer="https://as.test", lifetime=600)
SD_SIGNER = jose.JwsSigner(KEY, header={"typ": "dc+sd-jwt"})
BINDER = jose.JwsSigner(HOLDER, header={"typ": "kb+jwt"}, kid="")


def issued(**options: Any) -> str:
    assert isinstance(HOLDER, jose.JwkPrivate)
    return sdjwt.issue(SD_SIGNER, CLAIMS, DISCLOSABLE, SD_CREATION, NOW, holder=HOLDER.public, **options)


def test_the_disclosures_of_rfc_9901() -> None:
    """Section 4.2: the digests that the RFC prints for its two disclosures."""
    name = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    element = "WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0"
    digests = [sdjwt._digest(one, "sha-256") for one in (name, element)]
    assert digests == ["X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0", "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs"]
    payload = {"_sd": [digests[0]], "nationalities": ["DE", {"...": digests[1]}], "exp": NOW + 9}
    text = "~".join([SIGNER.sign(json.dumps(payload).encode()), name, element, ""])
    found = sdjwt.verify(VERIFIER, text, ValidationPolicy(), NOW)
    assert found.claims == {"family_name": "Möbius", "nationalities": ["DE", "FR"], "exp": NOW + 9}


@pytest.mark.parametrize("algorithm", sdjwt.HASHES)
def test_everything_and_nothing_is_disclosed(algorithm: str) -> None:
    text = issued(hash_algorithm=algorithm, decoys=3)
    assert set(sdjwt.paths(text)) == set(DISCLOSABLE)
    whole = sdjwt.verify(VERIFIER, text, SD, NOW)
    assert {name: whole.claims[name] for name in CLAIMS} == CLAIMS
    assert set(whole.disclosed) == set(DISCLOSABLE)
    bare = sdjwt.verify(VERIFIER, sdjwt.present(text, []), SD, NOW)
    assert bare.disclosed == ()
    assert "address" not in bare.claims
    assert bare.claims["nationalities"] == []
    assert bare.claims["degrees"] == [{"name": "BSc", "year": 2001}, {"name": "MSc"}]
    assert "Main St" not in sdjwt.present(text, [("nationalities", 1)])
    assert not {"_sd", "_sd_alg", "..."} & set(whole.claims)


@given(st.sets(st.sampled_from(DISCLOSABLE)))
@settings(max_examples=60, deadline=None)
def test_what_is_chosen_is_disclosed(chosen: set[sdjwt.Path]) -> None:
    found = sdjwt.verify(VERIFIER, sdjwt.present(issued(), chosen), SD, NOW)
    outer = {path[:1] for path in chosen if path[0] == "address"}
    assert set(found.disclosed) == chosen | outer
    address = found.claims.get("address", {})
    assert ("street_address" in address) is (("address", "street_address") in chosen)
    assert ("given_name" in found.claims) is (("given_name",) in chosen)


def test_key_binding() -> None:
    text = issued()
    binding = sdjwt.KeyBinding("https://rp.test", "n-1")
    shown = sdjwt.present(text, [("given_name",)], holder=BINDER, audience=binding.audience, nonce="n-1", now=NOW)
    found = sdjwt.verify(VERIFIER, shown, SD, NOW, key_binding=binding)
    assert found.holder is not None
    assert found.holder.thumbprint() == HOLDER.thumbprint()
    for wrong in (replace(binding, nonce="n-2"), replace(binding, audience="other"), replace(binding, nonce="")):
        assert kind_of(sdjwt.verify, VERIFIER, shown, SD, NOW, key_binding=wrong) is FaultKind.BAD_POP
    late = NOW + binding.max_age + 1
    assert kind_of(sdjwt.verify, VERIFIER, shown, SD, late, key_binding=binding) is FaultKind.BAD_POP
    assert kind_of(sdjwt.verify, VERIFIER, shown, SD, NOW) is FaultKind.INVALID
    assert kind_of(sdjwt.verify, VERIFIER, text, SD, NOW, key_binding=binding) is FaultKind.BAD_POP
    # another disclosure than the one that was signed for
    parts, other = sdjwt.split(shown), sdjwt.split(text).disclosures
    swapped = "~".join([parts.jwt, *other, parts.key_binding])
    assert kind_of(sdjwt.verify, VERIFIER, swapped, SD, NOW, key_binding=binding) is FaultKind.BAD_POP
    stranger = jose.JwsSigner(jose.generate("Ed25519"), header={"typ": "kb+jwt"}, kid="")
    forged = sdjwt.present(text, [], holder=stranger, audience=binding.audience, nonce="n-1", now=NOW)
    assert kind_of(sdjwt.verify, VERIFIER, forged, SD, NOW, key_binding=binding) is FaultKind.BAD_POP
    assert kind_of(sdjwt.present, text, [], holder=SIGNER, audience="a", nonce="n") is FaultKind.INVALID
    assert kind_of(sdjwt.present, shown, []) is FaultKind.INVALID


def test_tampering() -> None:
    text = issued()
    parts = sdjwt.split(text)
    stranger = b64e(json.dumps(["salt", "admin", True]).encode())
    for disclosures in ([stranger], [parts.disclosures[0]] * 2, ["!"], [b64e(b"7")], [b64e(b"[1,2]")]):
        changed = "~".join([parts.jwt, *disclosures, ""])
        assert kind_of(sdjwt.verify, VERIFIER, changed, SD, NOW) is FaultKind.MALFORMED
    for nonsense in ("", "~", parts.jwt, "a~~", parts.jwt + "~~", "x" * (sdjwt.MAX_SIZE + 1)):
        with pytest.raises(Fault):
            sdjwt.verify(VERIFIER, nonsense, SD, NOW)
    assert kind_of(sdjwt.present, text, [("salary",)]) is FaultKind.INVALID


@pytest.mark.parametrize(
    "payload",
    [
        {"_sd": "x"},
        {"_sd": [7]},
        {"_sd": ["a", "a"]},
        {"list": [{"...": "a", "more": 1}]},
        {"...": "a"},
        {"_sd_alg": "md5"},
        {"_sd": ["X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"], "family_name": "known already"},
        {"list": [{"...": "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"}]},
    ],
)
def test_payloads_that_break_the_rules(payload: dict[str, Any]) -> None:
    disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    text = "~".join([SIGNER.sign(json.dumps(payload | {"exp": NOW + 9}).encode()), disclosure, ""])
    assert kind_of(sdjwt.verify, VERIFIER, text, ValidationPolicy(), NOW) in (
        FaultKind.MALFORMED,
        FaultKind.BAD_ALGORITHM,
    )


@pytest.mark.parametrize("path", [(), ("exp",), ("iss",), ("nothing",), ("address", "nothing"), ("nationalities", 7)])
def test_what_cannot_be_hidden(path: sdjwt.Path) -> None:
    assert kind_of(sdjwt.issue, SD_SIGNER, CLAIMS, [path], SD_CREATION, NOW) is FaultKind.INVALID
    assert kind_of(sdjwt.issue, SD_SIGNER, {"_sd": 1}, [], SD_CREATION, NOW) is FaultKind.INVALID


def test_hidden_claims_are_salted() -> None:
    one, two = (json.loads(b64d(sdjwt.split(issued()).jwt.split(".")[1])) for _ in range(2))
    assert one["_sd"] != two["_sd"]
    assert one["_sd"] == sorted(one["_sd"])
