"""Project Wycheproof against JOSE. Every file has its written decision on what this side sees otherwise."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault

from pycryptoutil import jose
from pycryptoutil.crypto import keys
from pycryptoutil.jose.jws import JwsVerifier
from tests.support.vectors import wycheproof

Case = dict[str, Any]


def cases(name: str) -> Iterator[tuple[dict[str, Any], Case]]:
    for group in wycheproof(name):
        for case in group["tests"]:
            yield group, case


def outcome(call: Any) -> Any:
    """Return what a call gives, or its Fault."""
    try:
        return call()
    except Fault as fault:
        return fault


def held(
    name: str,
    attempt: Any,
    *,
    refused: frozenset[int] = frozenset(),
    accepted: frozenset[int] = frozenset(),
    flags: frozenset[str] = frozenset(),
) -> int:
    """Hold an attempt to every case: valid must pass, anything else must not, but for the written decisions."""
    wrong, count = [], 0
    for group, case in cases(name):
        count += 1
        expected = case["result"] == "valid" and case["tcId"] not in refused and not flags & set(case["flags"])
        expected = expected or case["tcId"] in accepted
        found = outcome(lambda group=group, case=case: attempt(group, case))  # type: ignore[misc]
        if isinstance(found, Fault) is expected:
            wrong.append((case["tcId"], group["comment"], case["comment"], case["result"], case["flags"], found))
    assert not wrong
    return count


def verifier(key: dict[str, Any]) -> JwsVerifier:
    return JwsVerifier(jose.JwkSet.parse(key) if "keys" in key else jose.parse(key))


def test_json_web_signature() -> None:
    """Decided otherwise than the vectors say.

    346, 350: the header says PS384 and the key PS256; 347, 351: the key's alg is "ES521", which is none. A key is
    pinned to its alg here. 372, 373: symbols outside the alphabet are refused (RFC 7515 section 2). 367,
    370: "invalid", but octet for octet the token of a valid case.
    """
    accepted = frozenset({367, 370})
    tokens = {case["jws"]: case["tcId"] for _, case in cases("json_web_signature") if case["result"] == "valid"}
    assert all(case["jws"] in tokens for _, case in cases("json_web_signature") if case["tcId"] in accepted)

    def attempt(group: Case, case: Case) -> object:
        return verifier(group.get("public", group["private"])).verify(case["jws"])

    refused = frozenset({346, 347, 350, 351, 372, 373})
    assert held("json_web_signature", attempt, refused=refused, accepted=accepted) > 400


def test_json_web_key() -> None:
    """All as the vectors say: mixed sets, doubled kids, weak and mismatched keys are refused when they are read."""

    def attempt(group: Case, case: Case) -> object:
        return verifier(group.get("public", group["private"])).verify(case["jws"])

    held("json_web_key", attempt)


def test_json_web_encryption() -> None:
    """Refused beyond the vectors: RSA1_5, RSA-OAEP with SHA-1, PBES2 and compression."""
    refused = frozenset(
        case["tcId"]
        for _group, case in cases("json_web_encryption")
        if header(case["jwe"]).get("alg") in ("RSA1_5", "RSA-OAEP")
        or str(header(case["jwe"]).get("alg")).startswith("PBES2")
    )

    def attempt(group: Case, case: Case) -> object:
        key = dict(group["private"])
        opened = jose.JweDecrypter(jose.parse(key)).decrypt(case["jwe"])
        if "enc" in case:
            assert opened.header["enc"] == case["enc"]
        assert opened.plaintext.hex() == case.get("pt", opened.plaintext.hex())
        return opened

    held("json_web_encryption", attempt, refused=refused, flags=frozenset({"CompressedPlaintext"}))


def header(token: str) -> dict[str, Any]:
    try:
        part = token.split(".")[0]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def test_json_web_crypto() -> None:
    """All as the vectors say; the file mixes signatures and encryption. JSON is no compact serialisation."""

    def attempt(group: Case, case: Case) -> object:
        for kind in ("jws", "jwe"):
            if isinstance(case.get(kind), dict):
                case[kind] = json.dumps(case[kind])
        if "jws" in case:
            return verifier(group.get("public", group["private"])).verify(case["jws"])
        key = group["private"]
        ring = jose.JwkSet.parse(key) if "keys" in key else jose.parse(key)
        return jose.JweDecrypter(ring).decrypt(case["jwe"])

    held("json_web_crypto", attempt)


@pytest.mark.parametrize(
    ("name", "enc"),
    [
        ("a128cbc_hs256", "aes-128-cbc-hmac-sha256"),
        ("a192cbc_hs384", "aes-192-cbc-hmac-sha384"),
        ("a256cbc_hs512", "aes-256-cbc-hmac-sha512"),
    ],
)
def test_cbc_with_hmac(name: str, enc: str) -> None:
    """All as the vectors say."""
    count = 0
    for _group, case in cases(name):
        count += 1
        key, iv, aad, message, body, tag = (
            bytes.fromhex(case[part]) for part in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        opened = outcome(lambda: keys.aead_decrypt(enc, key, iv, body + tag, aad))  # noqa: B023 - called at once
        if case["result"] == "valid":
            assert opened == message
            assert keys.aead_encrypt(enc, key, iv, message, aad) == body + tag
        else:
            assert isinstance(opened, Fault), case
    assert count > 50


def test_x25519_keys() -> None:
    """Acceptable are points of small order and of the twist: small order is refused, the twist is not told apart."""
    wrong = []
    for _group, case in cases("x25519_jwk"):
        try:
            private = jose.parse(case["private"])
            assert isinstance(private, jose.JwkPrivate)
            shared = keys.ecdh(private.handle, jose.parse_public(case["public"]).spki)  # type: ignore[arg-type]
            passed = shared.hex() == case["shared"]
        except Fault:
            passed = False
        zero = set(case["flags"]) & {"ZeroSharedSecret", "LowOrderPublic"}
        expected = case["result"] != "invalid" and not zero
        if passed is not expected:
            wrong.append((case["tcId"], case["comment"], case["flags"], case["result"]))
    assert not wrong
