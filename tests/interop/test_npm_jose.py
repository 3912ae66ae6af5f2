"""npm's jose, both ways: every signature algorithm, every pair of alg and enc that it has, JSON, JWT, thumbprints."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault

from pycryptoutil import jose
from pycryptoutil.jose import jwt
from pycryptoutil.jose.text import b64d, b64e
from tests.support.node import NodePeer
from tests.support.suite import StartSuite

pytestmark = pytest.mark.interop
SIGNS = {
    **{f"HS{size}": f"HS{size}" for size in (256, 384, 512)},
    **{f"{kind}{size}": "RSA-2048" for kind in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": "EC-P256",
    "ES384": "EC-P384",
    "ES512": "EC-P521",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
}
PQC = ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"]
ENCS = ["A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"]
PAIRS = [
    *itertools.product(("dir", "A128KW", "A192KW", "A256KW", "A128GCMKW", "A192GCMKW", "A256GCMKW"), ENCS, [""]),
    *itertools.product(("RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"), ENCS, ["RSA-2048"]),
    *itertools.product(
        ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"),
        ENCS,
        ["EC-P256", "EC-P384", "EC-P521", "X25519"],
    ),
]
TEXT = b"You can trust us to stick with you through thick and thin"


@pytest.fixture(scope="module")
def peer() -> Iterator[NodePeer]:
    found = NodePeer(Path(__file__).with_name("jose_peer.mjs"), "jose@6")
    yield found
    found.close()


@cache
def made(algorithm: str) -> dict[str, Any]:
    found = jose.generate(algorithm, kid="").export()
    return {name: value for name, value in found.items() if name != "alg" or found["kty"] == "AKP"}


def public(members: dict[str, Any]) -> dict[str, Any]:
    key = jose.parse(members)
    return members if isinstance(key, jose.JwkSecret) else key.public.members()


@pytest.mark.parametrize("alg", SIGNS)
def test_signatures(peer: NodePeer, alg: str) -> None:
    members = made(SIGNS[alg])
    key = jose.parse(members | {"alg": alg})
    assert not isinstance(key, jose.JwkPublic)
    assert b64d(peer.ask("verify", jwk=public(members), alg=alg, token=jose.sign(key, TEXT))) == TEXT
    token = peer.ask("sign", jwk=members, alg=alg, payload=b64e(TEXT))
    assert jose.verify(key, token).payload == TEXT
    unencoded = peer.ask("sign", jwk=members, alg=alg, payload=b64e(b"a.b"), b64=False)
    assert jose.verify(key, unencoded, b"a.b").payload == b"a.b"
    document = json.loads(jose.sign_json([jose.JwsSigner(key)], TEXT, headers=[{"x": 1}]))
    assert b64d(peer.ask("verifyGeneral", jwk=public(members), alg=alg, document=document)) == TEXT


@pytest.mark.parametrize("alg", PQC)
def test_ml_dsa(peer: NodePeer, alg: str) -> None:
    members = made(alg)
    key = jose.parse(members)
    assert isinstance(key, jose.JwkPrivate)
    token = peer.ask("sign", jwk=members, alg=alg, payload=b64e(TEXT))
    assert jose.verify(key, token).payload == TEXT
    assert b64d(peer.ask("verify", jwk=public(members), alg=alg, token=jose.sign(key, TEXT))) == TEXT
    assert peer.ask("thumbprint", jwk=public(members)) == key.thumbprint()


@pytest.mark.parametrize(("alg", "enc", "kind"), PAIRS)
def test_encryption(peer: NodePeer, alg: str, enc: str, kind: str) -> None:
    members = made(kind or (enc if alg == "dir" else alg))
    key, receiver = jose.parse(members | {"alg": alg}), jose.parse(public(members) | {"alg": alg})
    parties = {"apu": b64e(b"Alice"), "apv": b64e(b"Bob")} if alg.startswith("ECDH") else {}
    token = jose.encrypt(receiver, TEXT, enc=enc, header=parties)
    assert b64d(peer.ask("decrypt", jwk=members, alg=alg, enc=enc, token=token)) == TEXT
    token = peer.ask("encrypt", jwk=public(members), alg=alg, enc=enc, plaintext=b64e(TEXT), **parties)
    assert jose.decrypt(key, token, encs=[enc]).plaintext == TEXT


def test_several_recipients(peer: NodePeer) -> None:
    chosen = {"A256KW": "A256KW", "ECDH-ES+A128KW": "X25519", "RSA-OAEP-256": "RSA-2048", "A128GCMKW": "A128GCMKW"}
    keys = [made(kind) for kind in chosen.values()]
    receivers = [(jose.parse(public(one)), alg) for one, alg in zip(keys, chosen, strict=True)]
    document = json.loads(jose.encrypt_json(receivers, TEXT, enc="A256CBC-HS512", aad=b"aad"))
    theirs = peer.ask(
        "encryptGeneral",
        jwks=list(map(public, keys)),
        algs=list(chosen),
        enc="A256GCM",
        plaintext=b64e(TEXT),
        aad=b64e(b"aad"),
    )
    for one, alg in zip(keys, chosen, strict=True):
        assert peer.ask("decryptGeneral", jwk=one, alg=alg, document=document) == [b64e(TEXT), b64e(b"aad")]
        ring = jose.JweDecrypter(jose.parse(one | {"alg": alg}))
        assert ring.decrypt_json(json.dumps(theirs), aad=b"aad").plaintext == TEXT


@pytest.mark.parametrize("kind", ["RSA-2048", "EC-P256", "EC-P521", "Ed25519", "X25519", "HS256"])
def test_thumbprints(peer: NodePeer, kind: str) -> None:
    assert peer.ask("thumbprint", jwk=made(kind)) == jose.parse(made(kind)).thumbprint()


def test_tokens(peer: NodePeer) -> None:
    key = jose.generate("EC-P256", alg="ES256")
    now = 4_000_000_000  # far enough ahead of the peer's own clock
    policy = jwt.CreationPolicy("https://as.test", ("api",), lifetime=600, not_before=False)
    token = jose.sign(key, json.dumps(policy.claims({"sub": "a"}, 1_700_000_000) | {"exp": now}).encode())
    published = jose.JwkSet.of([key]).public()
    found = peer.ask("jwt", jwks=published, token=token, issuer="https://as.test", audience="api")
    assert found["sub"] == "a"
    with pytest.raises(ValueError, match="ERR_JWT"):
        peer.ask("jwt", jwks=published, token=token, issuer="https://other.test", audience="api")
    with pytest.raises(Fault):
        jose.verify(jose.generate("EC-P256"), token)


def test_tokens_of_jose_ja_by_its_published_keys(
    suite: StartSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """npm's jose fetches /.well-known/jwks.json over TLS by itself: before a rotation, after it, and a revocation."""
    running = suite(tmp_path, "jose-ja")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(running.trust_bundle))
    peer = NodePeer(Path(__file__).with_name("jose_peer.mjs"), "jose@6")
    base = running.url("jose-ja")
    url = f"{base}/.well-known/jwks.json"
    try:
        for name, algorithm in (("tokens", "ES256"), ("rsa", "PS256/RSA-2048"), ("okp", "EdDSA/Ed25519")):
            running.cli("jose", "create", name, "--algorithm", algorithm)
            signed = running.cli("jose", "sign", name, stdin='{"sub":"a"}').stdout.strip()
            found = peer.ask("remoteJwt", url=url, token=signed)
            assert found["payload"] == {"sub": "a"}
            kid = running.cli_json("jose", "show", name)["kid"]
            assert found["header"] == {"alg": algorithm.partition("/")[0], "kid": kid, "typ": "JWT"}
        before = running.cli("jose", "token", "tokens", stdin='{"sub":"b"}').stdout.strip()
        running.cli("jose", "rotate", "tokens")
        after = running.cli("jose", "token", "tokens", stdin='{"sub":"b"}').stdout.strip()
        ring = running.cli_json("jose", "show", "tokens")["jwks_url"]
        for place, token in itertools.product((url, ring), (before, after)):
            assert peer.ask("remoteJwt", url=place, token=token, issuer=base)["payload"]["sub"] == "b"
        running.cli("jose", "revoke", "tokens", "--version", "1")
        with pytest.raises(ValueError, match="ERR_JWKS_NO_MATCHING_KEY"):
            peer.ask("remoteJwt", url=url, token=before)
        with pytest.raises(ValueError, match="ERR_JWKS_NO_MATCHING_KEY"):
            peer.ask("remoteJwt", url=f"{base}/jwks/default/rsa/jwks.json", token=after)
    finally:
        peer.close()
