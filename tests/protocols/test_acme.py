"""ACME's codecs and judgements, against the RFCs' examples, against josepy and joserfc, and against nonsense."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import josepy
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import import_key
from pycryptoutil_protocols.acme import attestation, caa, jws, messages, renewal, validation
from pycryptoutil_protocols.acme.jwk import decode_base64url, decode_jwk, encode_base64url, stored_jwk
from pycryptoutil_protocols.acme.messages import ChallengeType, Identifier
from pycryptoutil_protocols.acme.problems import AcmeFault, Problem, ProblemType, joined, problem_of
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols.material import cert_der
from tests.support import acme as support
from tests.support.acme import AccountKey
from tests.support.cbor import encode
from tests.support.tls_alpn import challenge_certificate

ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "PS384", "EdDSA")
KEYS = {name: AccountKey.new(name) for name in ALGORITHMS}
ALL = frozenset(ChallengeType)


def kind_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(AcmeFault) as caught:
        call(*arguments)
    return caught.value.problem.type.value


# --- keys


def test_the_thumbprint_of_rfc_7638() -> None:
    document = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV"
        "4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZH"
        "zu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awa"
        "pJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    assert decode_jwk(document).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_keys_are_read_as_others_read_them(name: str) -> None:
    document = KEYS[name].jwk
    key = decode_jwk(document)
    assert key.thumbprint == import_key(document).thumbprint()
    assert stored_jwk(key.canonical) == key
    assert name in key.algorithms
    if name != "EdDSA":
        assert josepy.b64encode(josepy.JWK.from_json(document).thumbprint()).decode() == key.thumbprint


@pytest.mark.parametrize("name", ALGORITHMS)
@given(payload=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_requests_are_verified(name: str, payload: dict[str, str]) -> None:
    key = KEYS[name]
    header = {"alg": name, "jwk": key.jwk, "nonce": "n", "url": "https://x"}
    body = json.dumps(support.jws(header, payload, key.sign)).encode()
    signed = jws.decode(body)
    assert signed.jwk is not None
    jws.verify(signed, signed.jwk)
    assert signed.document() == payload
    assert jws.check_request(signed, "https://x") == "n"
    other = decode_jwk(KEYS["ES256" if name != "ES256" else "ES384"].jwk)
    assert kind_of(jws.verify, signed, other) == "badSignatureAlgorithm"


def test_what_josepy_signs() -> None:
    from acme.jws import JWS

    key = josepy.JWKEC(key=KEYS["ES256"].key)
    made = JWS.sign(b'{"a":1}', key=key, alg=josepy.ES256, nonce=b"nonce", url="https://x", kid="https://x/1")
    signed = jws.decode(made.json_dumps().encode())
    jws.verify(signed, decode_jwk(KEYS["ES256"].jwk))
    assert (signed.kid, signed.url, signed.document()) == ("https://x/1", "https://x", {"a": 1})


@given(st.binary(max_size=64))
def test_base64url_has_one_form(data: bytes) -> None:
    text = encode_base64url(data)
    assert decode_base64url(text, "x") == data
    for wrong in (text + "=", text + "\n", " " + text):
        assert kind_of(decode_base64url, wrong, "x") == "malformed"


def test_base64url_with_bits_to_spare() -> None:
    for wrong in ("AB", "AAB", "A", "A+", "A/", 5, None):
        assert kind_of(decode_base64url, wrong, "x") == "malformed"


@given(st.binary(max_size=200))
def test_bytes_are_requests_or_malformed(data: bytes) -> None:
    assert kind_of(jws.decode, data) == "malformed"


# --- messages


def test_which_challenges_there_are() -> None:
    def kinds(kind: str, value: str) -> set[str]:
        return set(messages.challenge_types(Identifier(kind, value), ALL))

    assert kinds("dns", "a.example") == {"http-01", "dns-01", "tls-alpn-01"}
    assert kinds("dns", "*.a.example") == {"dns-01"}
    assert kinds("ip", "192.0.2.1") == {"http-01", "tls-alpn-01"}
    assert kinds("permanent-identifier", "x") == {"device-attest-01"}
    assert kinds("email", "a@example.com") == set()


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("2026-06-01T00:00:00Z", True), ("2026-06-01T00:00:00.123456789Z", True), ("2026-06-01T02:00:00+02:00", True),
        ("2026-06-01", False), ("2026-06-01T00:00:00", False), ("2026-13-01T00:00:00Z", False), ("now", False),
        ("2026-06-01 00:00:00Z", False), ("٢٠٢٦-06-01T00:00:00Z", False),
    ],
)  # fmt: skip
def test_times(text: str, known: bool) -> None:
    payload = {"identifiers": [{"type": "dns", "value": "a.example"}], "notAfter": text}
    if known:
        found = messages.order_request(payload).not_after
        assert found is not None
        assert found.astimezone(UTC).replace(microsecond=0) == datetime(2026, 6, 1, tzinfo=UTC)
    else:
        assert kind_of(messages.order_request, payload) == "malformed"


def test_problems_never_hold_null() -> None:
    made = joined([Problem(ProblemType.DNS, "x", ("dns", "a")), Problem(ProblemType.TLS, "y")], "several")
    text = made.encode().decode()
    assert "null" not in text
    assert made.type is ProblemType.COMPOUND
    assert "subproblems" not in Problem(ProblemType.DNS, "x").document()
    assert "status" not in made.document()["subproblems"][0]


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_fault_is_a_problem(kind: FaultKind) -> None:
    found = problem_of(Fault(kind, "detail nobody may see", "public"))
    assert found.http_status != 500 or kind is FaultKind.INTERNAL
    assert b"nobody" not in found.encode()


# --- proofs


def test_http_01_and_dns_01() -> None:
    expected = validation.key_authorization("token", "thumb")
    validation.http_01(b"token.thumb", expected)
    validation.http_01(b"token.thumb \r\n\n", expected)
    for wrong in (b"", b" token.thumb", b"token.thumbs", b"TOKEN.thumb", b"\xff"):
        assert kind_of(validation.http_01, wrong, expected) == "incorrectResponse"
    right = encode_base64url(hashlib.sha256(b"token.thumb").digest()).encode()
    validation.dns_01([b"x", right], expected)
    assert kind_of(validation.dns_01, [], expected) == "incorrectResponse"
    assert kind_of(validation.dns_01, [right + b"="], expected) == "incorrectResponse"
    assert validation.dns_name(Identifier("dns", "*.a.example")) == "_acme-challenge.a.example"


def test_names_of_addresses_in_tls() -> None:
    """RFC 8738 section 6."""
    assert validation.server_name(Identifier("ip", "192.0.2.1")) == "1.2.0.192.in-addr.arpa"
    assert validation.server_name(Identifier("ip", "2001:db8::1")).endswith(".8.b.d.0.1.0.0.2.ip6.arpa")


DIGEST = hashlib.sha256(b"token.thumb").digest()
NAME = Identifier("dns", "a.example")


@pytest.mark.parametrize("name", [NAME, Identifier("ip", "192.0.2.1"), Identifier("ip", "2001:db8::1")])
def test_tls_alpn_01(name: Identifier) -> None:
    validation.tls_alpn_01(cert_der(challenge_certificate(name, DIGEST)), "acme-tls/1", name, "token.thumb")


@pytest.mark.parametrize(
    "made",
    [
        challenge_certificate(NAME, bytes(32)),
        challenge_certificate(NAME, DIGEST, critical=False),
        challenge_certificate(NAME, DIGEST, extension=False),
        challenge_certificate(NAME, DIGEST, more=(x509.DNSName("b.example"),)),
        challenge_certificate(NAME, DIGEST, more=(x509.RFC822Name("a@example.com"),)),
        challenge_certificate(NAME, DIGEST, issuer="somebody else"),
        challenge_certificate(Identifier("dns", "b.example"), DIGEST),
        challenge_certificate(Identifier("ip", "192.0.2.1"), DIGEST),
    ],
)
def test_tls_alpn_01_that_proves_nothing(made: x509.Certificate) -> None:
    assert kind_of(validation.tls_alpn_01, cert_der(made), "acme-tls/1", NAME, "token.thumb") == "incorrectResponse"


def test_tls_alpn_01_without_the_protocol() -> None:
    good = cert_der(challenge_certificate(NAME, DIGEST))
    for protocol in (None, "http/1.1"):
        assert kind_of(validation.tls_alpn_01, good, protocol, NAME, "token.thumb") == "incorrectResponse"
    assert kind_of(validation.tls_alpn_01, b"", "acme-tls/1", NAME, "token.thumb") == "incorrectResponse"


# --- CAA (RFC 8659, RFC 8657)


ISSUING = caa.Issuing(("ca1.example.net",), "https://ca1.example.net/account/1", "http-01", False)
WILD = caa.Issuing(("ca1.example.net",), "https://ca1.example.net/account/1", "dns-01", True)


def allowed(issuing: caa.Issuing, *records: tuple[int, str, str]) -> bool:
    try:
        caa.check([caa.Record(*one) for one in records], issuing, "a.example.com")
    except AcmeFault as fault:
        return fault.problem.type is not ProblemType.CAA
    return True


@pytest.mark.parametrize(
    ("records", "plain", "wild"),
    [
        ((), True, True),
        (((0, "issue", "ca1.example.net"),), True, True),
        (((0, "ISSUE", "CA1.example.NET"),), True, True),
        (((0, "issue", "ca2.example.org"),), False, False),
        (((0, "issue", "ca2.example.org"), (0, "issue", "ca1.example.net")), True, True),
        (((0, "issue", ";"),), False, False),
        (((0, "issue", ""),), False, False),
        (((0, "issue", "ca1.example.net"), (0, "issuewild", ";")), True, False),
        (((0, "issuewild", "ca1.example.net"),), True, True),
        (((0, "issue", "ca2.example.org"), (0, "issuewild", "ca1.example.net")), False, True),
        (((0, "iodef", "mailto:security@example.com"),), True, True),
        (((128, "tbs", "unknown"),), False, False),
        (((0, "tbs", "unknown"),), True, True),
        (((128, "issue", "ca1.example.net"),), True, True),
        (((0, "issue", "ca1.example.net; account=230123"),), True, True),
        (((0, "issue", "ca1.example.net ; a=1 ; b=2 ;"),), True, True),
        (((0, "issue", "%%%%%"),), False, False),
        (((0, "issue", "ca1.example.net; %%%"),), False, False),
        (((0, "issue", "ca1.example.net; validationmethods=dns-01"),), False, True),
        (((0, "issue", "ca1.example.net; validationmethods=http-01,dns-01"),), True, True),
        (((0, "issue", "ca1.example.net; validationmethods=http-01; validationmethods=dns-01"),), False, False),
        (((0, "issue", "ca1.example.net; accounturi=https://ca1.example.net/account/1"),), True, True),
        (((0, "issue", "ca1.example.net; accounturi=https://ca1.example.net/account/2"),), False, False),
    ],
)
def test_caa(records: tuple[tuple[int, str, str], ...], plain: bool, wild: bool) -> None:
    assert (allowed(ISSUING, *records), allowed(WILD, *records)) == (plain, wild)


def test_climbing() -> None:
    assert list(caa.climb("*.a.b.example")) == ["a.b.example", "b.example", "example"]


@given(st.text(max_size=40), st.text(max_size=60))
def test_no_caa_record_breaks_it(tag: str, value: str) -> None:
    allowed(ISSUING, (0, tag, value), (0, "issue", value))


# --- renewal information (RFC 9773)


def test_the_identifier_of_rfc_9773() -> None:
    text = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    found = renewal.decode_certificate_id(text)
    assert found.key_identifier.hex() == "69885b6b87464041e1b37b847ba0ae2cde01c8d4"
    assert found.serial == 0x87654321
    assert found.text == text


@pytest.mark.parametrize("text", ["", ".", "AA", "AA.", ".AA", "AA.h2VDIQ==", "AA.AAAAAQ", "A.AA", "AA.AQ.AQ", "é.AQ"])
def test_identifiers_have_one_form(text: str) -> None:
    assert kind_of(renewal.decode_certificate_id, text) == "malformed"


# --- attestation objects


values = st.recursive(
    st.integers(-(2**63), 2**63) | st.binary(max_size=20) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(values)
def test_cbor_is_read_as_it_was_written(value: Any) -> None:
    assert attestation._item(encode(value), 0) == (value, b"")


@given(st.binary(max_size=100))
def test_bytes_are_attestations_or_bad(data: bytes) -> None:
    with pytest.raises(AcmeFault):
        attestation.check({"attObj": encode_base64url(data)}, "token", "token.thumb")
