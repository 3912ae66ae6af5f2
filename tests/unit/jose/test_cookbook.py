"""RFC 7520 and its neighbours: every example is read, and every reproducible signature made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import jose
from pycryptoutil.jose.jws import JwsSigner, JwsVerifier
from tests.support.vectors import folder

Example = dict[str, Any]
JWS = [
    "jws/4_1.rsa_v15_signature",
    "jws/4_2.rsa-pss_signature",
    "jws/4_3.ecdsa_signature",
    "jws/4_4.hmac-sha2_integrity_protection",
    "jws/4_5.signature_with_detached_content",
    "jws/4_6.protecting_specific_header_fields",
    "jws/4_7.protecting_content_only",
    "jws/4_8.multiple_signatures",
    "curve25519/jws",
]
JWE = [
    "jwe/5_4.key_agreement_with_key_wrapping_using_ecdh-es_and_aes-keywrap_with_aes-gcm",
    "jwe/5_5.key_agreement_using_ecdh-es_with_aes-cbc-hmac-sha2",
    "jwe/5_6.direct_encryption_using_aes-gcm",
    "jwe/5_7.key_wrap_using_aes-gcm_keywrap_with_aes-cbc-hmac-sha2",
    "jwe/5_8.key_wrap_using_aes-keywrap_with_aes-gcm",
    "jwe/5_10.including_additional_authentication_data",
    "jwe/5_11.protecting_specific_header_fields",
    "jwe/5_12.protecting_content_only",
    "jwe/5_13.encrypting_to_multiple_recipients",
    "curve25519/ecdh-es",
]
# RSA1_5, RSA-OAEP with SHA-1, PBES2 and DEFLATE: refused by policy
REFUSED = [
    "jwe/5_1.key_encryption_using_rsa_v15_and_aes-hmac-sha2",
    "jwe/5_2.key_encryption_using_rsa-oaep_with_aes-gcm",
    "jwe/5_3.key_wrap_using_pbes2-aes-keywrap_with-aes-cbc-hmac-sha2",
    "jwe/5_9.compressed_content",
]


def read(name: str) -> Example:
    found: Example = json.loads((folder() / "jose-cookbook" / f"{name}.json").read_text())
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_no_example_is_forgotten() -> None:
    root = folder() / "jose-cookbook"
    found = {path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.json")}
    keys = {name for name in found if name.startswith("jwk/")}
    others = {"package", "6.nesting_signatures_and_encryption"}
    others |= {"rfc7797/4.2.hmac-sha2_b64_false", "rfc7797/hmac-sha2_b64_false"}
    assert found == {*JWS, *JWE, *REFUSED} | keys | others
    assert len(keys) == 6


@pytest.mark.parametrize("name", JWS)
def test_signatures(name: str) -> None:
    example = read(name)
    payload = example["input"]["payload"].encode()
    ring, algs = [jose.parse(key) for key in listed(example["input"]["key"])], listed(example["input"]["alg"])
    output = example["output"]
    detached = "detached" in name
    verifier = JwsVerifier(ring, algs=algs)
    if "compact" in output:
        assert verifier.verify(output["compact"], payload if detached else None).payload == payload
    for form in ("json", "json_flat"):
        if form in output:
            found = verifier.verify_json(json.dumps(output[form]), payload if detached else None)
            assert found.payload == payload
            assert len(found.signatures) == len(output[form].get("signatures", [0]))
    for key, alg, signing in zip(ring, algs, listed(example["signing"]), strict=True):
        protected = signing.get("protected")
        if protected is None:
            continue  # a signature without a protected header is read, and not made, here
        extra = {name: value for name, value in protected.items() if name not in ("alg", "kid")}
        assert not isinstance(key, jose.JwkPublic)
        signer = JwsSigner(key, alg=alg, header=extra, kid=protected.get("kid", ""))
        again = verifier.verify(signer.sign(payload))
        assert again.header == protected
        deterministic = example.get("reproducible") and alg not in ("ES512", "PS384")
        if deterministic and "compact" in output and json.dumps(protected) == json.dumps(signer.header):
            assert signer.sign(payload, detached=detached) == output["compact"]


@pytest.mark.parametrize("name", JWE)
def test_encryption(name: str) -> None:
    example = read(name)
    given = example["input"]
    plaintext = given["plaintext"].encode()
    aad = given["aad"].encode() if "aad" in given else None
    algs = listed(given["alg"])
    for key, alg in zip(listed(given["key"]), algs, strict=True):
        if alg in ("RSA1_5", "RSA-OAEP"):
            with pytest.raises(Fault):
                jose.JweDecrypter(jose.parse(key), algs=[alg])
            continue
        decrypter = jose.JweDecrypter(jose.parse(key), algs=[alg] if "alg" not in key else None)
        if "compact" in example["output"]:
            assert decrypter.decrypt(example["output"]["compact"]).plaintext == plaintext
        for form in ("json", "json_flat"):
            if form in example["output"]:
                found = decrypter.decrypt_json(json.dumps(example["output"][form]), aad=aad)
                assert found.plaintext == plaintext
                assert found.header["alg"] == alg


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_policy(name: str) -> None:
    example = read(name)
    alg = example["input"]["alg"]
    key = example["input"].get("key") or {"kty": "oct", "k": "A" * 43}
    with pytest.raises(Fault) as raised:
        decrypter = jose.JweDecrypter(jose.parse(key), algs=None if "alg" in key else [alg])
        decrypter.decrypt(example["output"]["compact"])
    assert raised.value.kind is FaultKind.BAD_ALGORITHM


def test_nested() -> None:
    """The inner object is read; the outer one is RSA-OAEP with SHA-1, which is refused."""
    example = read("6.nesting_signatures_and_encryption")
    inner = example["sign"]
    key = jose.parse(inner["input"]["key"])
    found = JwsVerifier(key, algs=[inner["input"]["alg"]]).verify(inner["output"]["compact"])
    assert found.payload == inner["input"]["payload"].encode()
    outer = example["encrypt"]
    with pytest.raises(Fault):
        jose.JweDecrypter(jose.parse(outer["input"]["key"]), algs=[outer["input"]["alg"]])


def test_unencoded_payload() -> None:
    """The example in the folder of RFC 7797 has ``b64`` without ``crit``, against section 6: refused as it stands."""
    for name in ("rfc7797/4.2.hmac-sha2_b64_false", "rfc7797/hmac-sha2_b64_false"):
        example = read(name)
        key = jose.parse(example["input"]["key"] | {"alg": "HS256"})
        assert isinstance(key, jose.JwkSecret)
        payload = example["input"]["payload"].encode()
        for form in ("json", "json_flat"):
            if form not in example["output"]:
                continue
            document = example["output"][form]
            part = document.get("signatures", [document])[0]
            header = json.loads(jose.text.b64d(part["protected"]))
            if "crit" in header:
                assert JwsVerifier(key).verify_json(json.dumps(document)).payload == payload
            else:
                with pytest.raises(Fault):
                    JwsVerifier(key).verify_json(json.dumps(document))
        if "compact" in example["output"]:
            assert JwsVerifier(key).verify(example["output"]["compact"]).payload == payload
        made = JwsSigner(key, kid="", encoded=False)
        assert JwsVerifier(key).verify(made.sign(payload, detached=True), payload).payload == payload


RFC7797_KEY = {
    "kty": "oct",
    "alg": "HS256",
    "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
}


def test_rfc_7797_section_4_2() -> None:
    token = "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY"
    key = jose.parse(RFC7797_KEY)
    assert isinstance(key, jose.JwkSecret)
    assert JwsVerifier(key).verify(token, b"$.02").payload == b"$.02"
    assert JwsSigner(key, encoded=False).sign(b"$.02", detached=True) == token


@pytest.mark.parametrize("path", ["3_1", "3_2", "3_3", "3_4", "3_5", "3_6"])
def test_keys(path: str) -> None:
    found = next(Path(folder() / "jose-cookbook" / "jwk").glob(f"{path}.*"))
    members = json.loads(found.read_text())
    key = jose.parse(members)
    exported = key.members() if isinstance(key, jose.JwkPublic) else key.export()
    assert exported == members


def test_thumbprint_of_rfc_7638() -> None:
    members = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
        "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
        "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
        "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    assert jose.parse(members).thumbprint() == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_thumbprint_of_rfc_8037() -> None:
    members = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert jose.parse(members).thumbprint() == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_ecdh_es_of_rfc_7518_appendix_c() -> None:
    from tests.support.jose_twin import concat_kdf

    secret = bytes([158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218])
    secret += bytes([128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196])
    assert concat_kdf(secret, "A128GCM", b"Alice", b"Bob", 16) == jose.text.b64d("VqqN6vgjbSBcIijNcacQGg")
