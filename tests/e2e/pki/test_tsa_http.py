"""Time-stamps over HTTP: both listeners, labels, and what bad input gets."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.tsp import codec
from pycryptoutil_protocols.tsp.exchange import check_reply
from pycryptoutil_protocols.tsp.messages import REPLY, FailureInfo, Status, TimeStampRequest
from pycryptoutil_protocols.tsp.token import decode_token, verify_token
from pycryptoutil_protocols.x509 import Extension

from tests.support.pki import Ca
from tests.support.suite import StartSuite
from tests.support.tsp import ask, post

REQUEST = TimeStampRequest(codec.encode_imprint("sha384", hashlib.sha384(b"x").digest()), nonce=42, cert_req=True)


@pytest.mark.parametrize("listener", ["plain", "public"])
@pytest.mark.parametrize("path", ["/tsa", "/tsa/", "/tsa/issuing", "/tsa/tls-server", "/tsa/issuing:timestamp"])
def test_stamps_everywhere(ca: Ca, listener: str, path: str) -> None:
    reply = ask(ca, REQUEST, path, listener)
    assert reply.status is Status.GRANTED
    token = verify_token(reply.token)
    check_reply(REQUEST, reply, token.info)
    assert token.certificate.issuer == ca.chain()[0].subject.public_bytes()


def test_by_the_root(ca: Ca) -> None:
    token = verify_token(ask(ca, REQUEST, "/tsa/root").token)
    assert token.certificate.issuer == ca.chain()[1].subject.public_bytes()
    assert token.certificates == (token.certificate.der,)


@pytest.mark.parametrize("kind", ["application/timestamp-query", "Application/Timestamp-Query; a=b"])
def test_content_types(ca: Ca, kind: str) -> None:
    assert post(ca, codec.encode_request(REQUEST), kind=kind).status_code == 200


BAD = [
    ("not DER", b"hello", 200, FailureInfo.BAD_DATA_FORMAT),
    ("empty", b"", 200, FailureInfo.BAD_DATA_FORMAT),
    ("trailing", codec.encode_request(REQUEST) + b"\x00", 200, FailureInfo.BAD_DATA_FORMAT),
    ("deep", b"\x30\x80" * 5000, 200, FailureInfo.BAD_DATA_FORMAT),
    ("too large", bytes(20_000), 200, FailureInfo.BAD_DATA_FORMAT),
    ("larger than any limit", bytes(3_000_000), 200, FailureInfo.BAD_DATA_FORMAT),
    ("version", der.sequence(der.integer(3), REQUEST.imprint.der), 200, FailureInfo.BAD_REQUEST),
    (
        "sha1",
        der.sequence(
            der.integer(1),
            der.sequence(der.sequence(der.oid(oids.SHA1)), der.octet_string(bytes(20))),
        ),
        200,
        FailureInfo.BAD_ALG,
    ),
    (
        "policy",
        codec.encode_request(TimeStampRequest(REQUEST.imprint, policy="1.2.3")),
        200,
        FailureInfo.UNACCEPTED_POLICY,
    ),
    (
        "extension",
        codec.encode_request(TimeStampRequest(REQUEST.imprint, extensions=(Extension("1.2.3", True, b"\x05\x00"),))),
        200,
        FailureInfo.UNACCEPTED_EXTENSION,
    ),
    (
        "qualified",
        codec.encode_request(
            TimeStampRequest(REQUEST.imprint, extensions=(Extension(oids.QC_STATEMENTS, False, b"\x30\x00"),))
        ),
        200,
        FailureInfo.ADD_INFO_NOT_AVAILABLE,
    ),
]


@pytest.mark.parametrize(("name", "body", "status", "failure"), BAD, ids=[one[0] for one in BAD])
def test_refusals_are_replies(ca: Ca, name: str, body: bytes, status: int, failure: FailureInfo) -> None:
    answer = post(ca, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == REPLY
    reply = codec.decode_reply(answer.content)
    assert (reply.status, reply.failures) == (Status.REJECTION, {failure})


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/tsa/nobody", "application/timestamp-query", 404),
        ("/tsa", "application/json", 415),
        ("/tsa", "text/html", 415),
    ],
)
def test_what_http_tells_too(ca: Ca, path: str, kind: str, status: int) -> None:
    answer = post(ca, codec.encode_request(REQUEST), path, kind=kind)
    assert answer.status_code == status
    assert codec.decode_reply(answer.content).status is Status.REJECTION


def test_other_methods(ca: Ca) -> None:
    answer = ca.suite.http(listener="plain").get("/tsa")
    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert codec.decode_reply(answer.content).failures == {FailureInfo.BAD_REQUEST}


def test_configured_otherwise(suite: StartSuite, tmp_path: object) -> None:
    settings = {
        "policies": ["1.2.3.4", "1.2.3.5"],
        "accuracy_microseconds": 1_500,
        "fraction_digits": 3,
        "ordering": True,
        "include_name": True,
        "qualified": True,
    }
    running = suite(tmp_path, "pki-ca", {"pki_ca": {"tsa": settings, "timestamp_signer_algorithm": "RSA-3072"}})
    ca = Ca(running)
    first, second = (decode_token(ask(ca, REQUEST).token) for _ in range(2))
    assert (first.policy, first.accuracy, first.ordering) == ("1.2.3.4", 1500, True)
    assert second.gen_time > first.gen_time
    assert second.serial != first.serial
    assert [one.oid for one in first.extensions] == [oids.QC_STATEMENTS]
    token = verify_token(ask(ca, TimeStampRequest(REQUEST.imprint, policy="1.2.3.5", cert_req=True)).token)
    assert token.info.policy == "1.2.3.5"
    assert token.info.tsa == der.explicit(4, token.certificate.subject)


def test_disabled_it_is_not_there(suite: StartSuite, tmp_path: object) -> None:
    ca = Ca(suite(tmp_path, "pki-ca", {"pki_ca": {"tsa": {"enabled": False}}}))
    assert post(ca, codec.encode_request(REQUEST)).status_code == 404


@pytest.mark.parametrize("check", ["kernel"])
def test_a_clock_that_the_kernel_does_not_vouch_for(suite: StartSuite, tmp_path: object, check: str) -> None:
    """Whichever this machine's kernel says, the answer is the protocol's own."""
    ca = Ca(suite(tmp_path, "pki-ca", {"pki_ca": {"tsa": {"clock_check": check}}}))
    from pycryptoutil.clock import kernel_clock

    said = kernel_clock()
    reply = ask(ca, REQUEST)
    if said.synchronised and said.max_error <= 1_000_000:
        assert reply.status is Status.GRANTED
    else:
        assert reply.failures == {FailureInfo.TIME_NOT_AVAILABLE}


def test_the_command(ca: Ca, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"a" * 3_000_000)
    made = ca.suite.cli_json("ca", "timestamp", file, "--hash", "sha3-512", "--label", "issuing")
    assert made["file"] == f"{file}.tsr"
    info = decode_token(codec.decode_reply((tmp_path / "file.tsr").read_bytes()).token)
    assert info.imprint.digest == hashlib.sha3_512(b"a" * 3_000_000).digest()
    assert made["serial"] == f"{info.serial:x}"
    said = ca.suite.cli("ca", "timestamp", file, "--out", tmp_path / "other").stdout
    assert said.startswith(f"{tmp_path / 'other'}: {file} existed at 20")
    refused = ca.suite.cli("ca", "timestamp", file, "--policy", "1.2.3", code=1)
    assert "1.2.3 is not offered" in refused.stderr
    assert "no such label" in ca.suite.cli("ca", "timestamp", file, "--label", "nobody", code=1).stderr
    ca.suite.cli("ca", "timestamp", file, "--policy", "x", code=2)
