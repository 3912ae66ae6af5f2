"""EST under a profile that asks for approval: 202 until people have agreed (RFC 7030 section 4.2.3)."""

from __future__ import annotations

import base64

import httpx
from cryptography.hazmat.primitives.serialization import load_der_private_key

from tests.support.authority import csr
from tests.support.pki import PKCS10, Ca, certificate_of

PROFILE = """name: two-eyes
title: Somebody agrees
approvals: 1
validity: {default: 30d, maximum: 90d}
keys: {algorithms: [EC-P256]}
names: {types: [dns], required: true, private: true}
key_usage: {default: [digitalSignature]}
extended_key_usage: [clientAuth]
"""


def prepared(ca: Ca) -> tuple[str, str]:
    put = ca.suite.api().put("profiles/two-eyes", content=PROFILE, headers={"Content-Type": "application/yaml"})
    assert put.status_code == 200, put.text
    return ca.credential("two-eyes")


def post(ca: Ca, request: bytes, who: tuple[str, str], operation: str = "simpleenroll") -> httpx.Response:
    url = ca.est(operation, "two-eyes")
    return ca.suite.http().post(url, content=base64.encodebytes(request), headers=PKCS10, auth=who)


def waits(answer: httpx.Response) -> None:
    assert answer.status_code == 202, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert "approv" in answer.text


def the_request(ca: Ca, who: tuple[str, str]) -> str:
    rows = ca.suite.cli_json("ca", "approvals", "list", "--requester", f"credential:{who[0]}")
    (row,) = rows
    return str(row["id"])


def test_waits_then_enrols(ca: Ca) -> None:
    who = prepared(ca)
    request = csr("w.example.test")
    waits(post(ca, request, who))
    waits(post(ca, request, who))
    identifier = the_request(ca, who)
    assert "w.example.test" in ca.suite.cli("ca", "approvals", "show", identifier).stdout
    done = ca.suite.cli_json("ca", "approvals", "approve", identifier, "--comment", "fine")
    given = post(ca, request, who)
    assert given.status_code == 200, given.text
    assert f"{certificate_of(given.content).serial_number:x}" == done["serial"]
    assert ca.suite.cli_json("ca", "approvals", "list", "--requester", f"credential:{who[0]}") == []
    ca.suite.cli("ca", "approvals", "approve", "nothing", code=7)


def test_a_rejection_is_told(ca: Ca) -> None:
    who = prepared(ca)
    request = csr("r.example.test")
    waits(post(ca, request, who))
    ca.suite.cli("ca", "approvals", "reject", the_request(ca, who), "--comment", "not ours")
    refused = post(ca, request, who)
    assert refused.status_code == 403
    assert "not ours" in refused.text


def test_a_key_made_by_the_server_waits(ca: Ca) -> None:
    who = prepared(ca)
    request = csr("k.example.test")
    waits(post(ca, request, who, "serverkeygen"))
    ca.suite.cli("ca", "approvals", "approve", the_request(ca, who))
    given = post(ca, request, who, "serverkeygen")
    assert given.status_code == 200, given.text
    boundary = given.headers["content-type"].partition("boundary=")[2].strip('"')
    parts = given.content.split(b"--" + boundary.encode())
    key = load_der_private_key(base64.b64decode(parts[1].partition(b"\r\n\r\n")[2]), None)
    leaf = certificate_of(parts[2].partition(b"\r\n\r\n")[2])
    assert key.public_key() == leaf.public_key()
