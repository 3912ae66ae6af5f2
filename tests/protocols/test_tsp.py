"""Time-stamps: what we write, others read alike; what others write, we read; every failure code."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import cms as acms
from asn1crypto import tsp as atsp
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.tsp import codec, exchange, failures
from pycryptoutil_protocols.tsp.messages import FailureInfo, MessageImprint, Status, TimeStampReply, TimeStampRequest
from pycryptoutil_protocols.tsp.token import decode_token, sign_token, signing_certificate, verify_token
from pycryptoutil_protocols.x509 import Extension

from tests.protocols.material import SIGNERS, cert_pem, openssl, vector, vectors
from tests.protocols.tsp_material import DATA, NOW, POLICY, RULES, SERIAL, asked, tsa

QUALIFIED = Extension(oids.QC_STATEMENTS, False, der.sequence())
OPENSSL_READS = [pair for pair in SIGNERS if pair[1].startswith(("rsa-sha", "ecdsa"))]  # its PKCS#7 has no PSS


def refusal(request: bytes | TimeStampRequest, rules: exchange.Policy = RULES) -> TimeStampReply:
    """Answer a request that must be refused."""
    try:
        decoded = codec.decode_request(request) if isinstance(request, bytes) else request
        exchange.check_request(decoded, rules)
    except Fault as fault:
        return codec.decode_reply(failures.error_reply(fault))
    raise AssertionError("granted")


# --- golden bytes


@pytest.mark.parametrize("name", vectors("tsp/openssl-sha*[!1].tsq") + vectors("tsp/j*.tsq") + vectors("tsp/os*.tsq"))
def test_requests_of_real_clients(name: str) -> None:
    request = codec.decode_request(vector(name))
    exchange.check_request(request, RULES)
    assert codec.encode_request(request) == vector(name)
    theirs = atsp.TimeStampReq.load(vector(name), strict=True)
    assert theirs["message_imprint"]["hashed_message"].native == request.imprint.digest
    assert theirs["nonce"].native == request.nonce
    assert theirs["cert_req"].native == request.cert_req
    assert request.imprint.der == theirs["message_imprint"].dump()


def test_openssl_asks_for_these() -> None:
    assert codec.decode_request(vector("tsp/openssl-sha256.tsq")).imprint.digest == hashlib.sha256(DATA).digest()
    assert codec.decode_request(vector("tsp/openssl-plain.tsq")).nonce is None
    assert codec.decode_request(vector("tsp/openssl-policy.tsq")).policy == "1.2.3.4"


# --- differential


@pytest.mark.parametrize(("algorithm", "signature"), SIGNERS)
@pytest.mark.parametrize("certificates", [True, False])
def test_tokens_verify_and_asn1crypto_reads_the_same(algorithm: str, signature: str, certificates: bool) -> None:
    authority = tsa(algorithm, signature)
    token = authority.token(asked(nonce=-5), certificates=certificates)
    found = verify_token(token, candidates=(authority.der,))
    assert found.info.nonce == -5
    assert found.info.gen_time == NOW.replace(microsecond=0)
    assert found.certificates == ((authority.der,) if certificates else ())
    content = acms.ContentInfo.load(token, strict=True)["content"]
    assert content["version"].native == "v3"
    attributes = {one["type"].native: one["values"] for one in content["signer_infos"][0]["signed_attrs"]}
    assert "signing_time" not in attributes
    binding = attributes["signing_certificate_v2"][0]["certs"][0]
    assert binding["cert_hash"].native == hashlib.sha256(authority.der).digest()
    assert binding["issuer_serial"]["serial_number"].native == authority.certificate.serial_number
    theirs = atsp.TSTInfo.load(content["encap_content_info"]["content"].contents, strict=True)
    assert theirs["serial_number"].native == SERIAL
    assert theirs["policy"].native == POLICY
    assert theirs["accuracy"]["seconds"].native == 1


@pytest.mark.parametrize(("algorithm", "signature"), OPENSSL_READS)
def test_openssl_verifies(algorithm: str, signature: str, tmp_path: Path) -> None:
    authority = tsa(algorithm, signature)
    (tmp_path / "ca.pem").write_bytes(cert_pem(authority.certificate))
    (tmp_path / "data").write_bytes(DATA)
    openssl("ts", "-query", "-data", tmp_path / "data", "-sha512", "-cert", "-out", tmp_path / "q.tsq")
    request = codec.decode_request((tmp_path / "q.tsq").read_bytes())
    rules = dataclasses.replace(RULES, include_name=True, fraction_digits=6, accuracy=1_002_003)
    (tmp_path / "r.tsr").write_bytes(codec.encode_reply(authority.token(request, rules)))
    openssl("asn1parse", "-inform", "DER", "-in", tmp_path / "r.tsr")
    text = openssl("ts", "-reply", "-in", tmp_path / "r.tsr", "-text").decode()
    assert "0x01 seconds, 0x02 millis, 0x03 micros" in text
    assert "15.123456 2026" in text
    common = ("ts", "-verify", "-in", tmp_path / "r.tsr", "-CAfile", tmp_path / "ca.pem", "-attime", 1780000000)
    openssl(*common, "-queryfile", tmp_path / "q.tsq")
    openssl(*common, "-data", tmp_path / "data")


def test_ed25519_and_ml_dsa_tokens_have_their_hash() -> None:
    """SHA-512, as RFC 8419 and RFC 9882 ask for, and CMSAlgorithmProtection says the same."""
    for pair in (("Ed25519", "ed25519"), ("ML-DSA-65", "ml-dsa-65")):
        content = acms.ContentInfo.load(tsa(*pair).token(asked()))["content"]
        assert content["signer_infos"][0]["digest_algorithm"]["algorithm"].native == "sha512"


# --- properties


imprints = st.sampled_from(sorted(exchange.HASHES)).map(lambda name: asked(name).imprint)
extensions = st.lists(
    st.builds(Extension, st.sampled_from(["1.2.3", "2.5.29.99", "1.3.6.1.4.1.1"]), st.booleans(), st.binary()),
    max_size=3,
    unique_by=lambda one: one.oid,
).map(tuple)
requests = st.builds(
    TimeStampRequest,
    imprints,
    st.sampled_from(["", "1.2.3.4", "2.999.1"]),
    st.none() | st.integers(-(2**1000), 2**1000),
    st.booleans(),
    extensions,
)


@given(requests)
def test_requests_round_trip(request: TimeStampRequest) -> None:
    assert codec.decode_request(codec.encode_request(request)) == request


@given(
    requests,
    st.integers(0, 6),
    st.none() | st.integers(1, 10**10),
    st.booleans(),
    st.integers(0, 10**9),
)
def test_tst_infos_round_trip(
    request: TimeStampRequest, digits: int, accuracy: int | None, ordering: bool, micros: int
) -> None:
    rules = exchange.Policy(("1.2.3.4", "2.999.1"), accuracy, ordering, digits, include_name=True)
    plain = dataclasses.replace(request, extensions=())
    at = NOW + timedelta(microseconds=micros)
    info = exchange.decide(plain, rules, at, SERIAL, tsa().certificate.subject.public_bytes())
    again = codec.decode_tst_info(codec.encode_tst_info(info))
    assert again.gen_time <= at < again.gen_time + timedelta(microseconds=10 ** (6 - digits))
    assert dataclasses.replace(again, gen_time=at, fraction_digits=digits) == info
    theirs = atsp.TSTInfo.load(codec.encode_tst_info(info), strict=True)
    assert theirs["gen_time"].native == again.gen_time


@given(st.sampled_from(Status), st.text(max_size=50), st.sets(st.integers(0, 40)))
def test_replies_round_trip(status: Status, text: str, bits: set[int]) -> None:
    token = tsa().token(asked()) if status in (Status.GRANTED, Status.GRANTED_WITH_MODS) else b""
    reply = codec.decode_reply(codec.encode_reply(token, status=status, text=text, failures=bits))
    assert reply == TimeStampReply(status, (text,) if text else (), frozenset(bits), token)


def test_a_fraction_has_no_zero_at_its_end() -> None:
    at = NOW.replace(microsecond=500000)
    assert codec.encode_gen_time(at, 6)[2:] == b"20260601123015.5Z"
    assert codec.encode_gen_time(at.replace(microsecond=9), 3)[2:] == b"20260601123015Z"
    assert codec.encode_gen_time(at.replace(microsecond=999999), 3)[2:] == b"20260601123015.999Z"


# --- refusals: each code of RFC 3161


def raw(imprint: bytes, *rest: bytes, version: int = 1) -> bytes:
    return der.sequence(der.integer(version), imprint, *rest)


GOOD = asked().imprint.der
NESTED = b""
for _ in range(10_000):
    NESTED = der.tlv(0x30, NESTED) if len(NESTED) < 16_000 else NESTED

REFUSED = [
    ("not DER", b"hello", FailureInfo.BAD_DATA_FORMAT),
    ("empty", b"", FailureInfo.BAD_DATA_FORMAT),
    ("trailing", raw(GOOD) + b"\x00", FailureInfo.BAD_DATA_FORMAT),
    ("trailing inside", raw(GOOD, der.null()), FailureInfo.BAD_DATA_FORMAT),
    ("indefinite length", b"\x30\x80\x02\x01\x01" + GOOD + b"\x00\x00", FailureInfo.BAD_DATA_FORMAT),
    ("deep", NESTED, FailureInfo.BAD_DATA_FORMAT),
    ("huge", b"\x30\x84\x7f\xff\xff\xff" + bytes(20_000), FailureInfo.BAD_DATA_FORMAT),
    ("long nonce", raw(GOOD, der.integer(1 << 2000)), FailureInfo.BAD_DATA_FORMAT),
    ("nonce not minimal", raw(GOOD, b"\x02\x02\x00\x01"), FailureInfo.BAD_DATA_FORMAT),
    ("empty extensions", raw(GOOD, b"\xa0\x00"), FailureInfo.BAD_DATA_FORMAT),
    ("hash parameters", raw(GOOD.replace(b"\x30\x0b", b"\x30\x0e", 1)), FailureInfo.BAD_DATA_FORMAT),
    ("version 2", raw(GOOD, version=2), FailureInfo.BAD_REQUEST),
    ("version 0", raw(GOOD, version=0), FailureInfo.BAD_REQUEST),
    ("sha1", "tsp/openssl-sha1.tsq", FailureInfo.BAD_ALG),
    ("md5", "tsp/openssl-md5.tsq", FailureInfo.BAD_ALG),
    (
        "no hash at all",
        raw(der.sequence(der.sequence(der.oid(oids.RSA_ENCRYPTION), der.null()), der.octet_string(bytes(32)))),
        FailureInfo.BAD_ALG,
    ),
    (
        "wrong length",
        raw(der.sequence(der.sequence(der.oid(oids.SHA256)), der.octet_string(bytes(31)))),
        FailureInfo.BAD_DATA_FORMAT,
    ),
    (
        "no digest",
        raw(der.sequence(der.sequence(der.oid(oids.SHA256)), der.octet_string(b""))),
        FailureInfo.BAD_DATA_FORMAT,
    ),
    ("policy", raw(GOOD, der.oid("1.2.3.9")), FailureInfo.UNACCEPTED_POLICY),
    (
        "extension",
        codec.encode_request(asked(extensions=(Extension("1.2.3", False, b""),))),
        FailureInfo.UNACCEPTED_EXTENSION,
    ),
    (
        "critical",
        codec.encode_request(asked(extensions=(Extension("1.2.3", True, b""),))),
        FailureInfo.UNACCEPTED_EXTENSION,
    ),
    ("qualified", codec.encode_request(asked(extensions=(QUALIFIED,))), FailureInfo.ADD_INFO_NOT_AVAILABLE),
]


@pytest.mark.parametrize(("name", "request_", "failure"), REFUSED, ids=[name for name, _, _ in REFUSED])
def test_refusals(name: str, request_: bytes | str, failure: FailureInfo) -> None:
    given = vector(request_) if isinstance(request_, str) else request_
    reply = refusal(given)
    assert reply.status is Status.REJECTION
    assert reply.failures == {failure}
    assert reply.text
    assert reply.text[0]
    assert not reply.token


@pytest.mark.parametrize(
    ("kind", "failure", "http"),
    [
        (FaultKind.STALE, FailureInfo.TIME_NOT_AVAILABLE, 200),
        (FaultKind.UNAVAILABLE, FailureInfo.SYSTEM_FAILURE, 503),
        (FaultKind.INTERNAL, FailureInfo.SYSTEM_FAILURE, 200),
        (FaultKind.NOT_FOUND, FailureInfo.BAD_REQUEST, 404),
    ],
)
def test_faults_of_the_server(kind: FaultKind, failure: FailureInfo, http: int) -> None:
    fault = Fault(kind, "detail nobody may see")
    reply = codec.decode_reply(failures.error_reply(fault))
    assert reply.failures == {failure}
    assert "nobody" not in "".join(reply.text)
    assert failures.http_status(kind) == http


def test_every_kind_has_a_code_and_openssl_reads_it(tmp_path: Path) -> None:
    for kind in FaultKind:
        assert failures.failure_info(Fault(kind, "")) in FailureInfo
        assert failures.http_status(kind) < 500 or failures.http_status(kind) == 503
    for failure in FailureInfo:
        (tmp_path / "r").write_bytes(codec.encode_reply(status=Status.REJECTION, failures=(failure,)))
        text = openssl("ts", "-reply", "-in", tmp_path / "r", "-text").decode()
        assert "Failure info: unspecified" not in text
        (info,) = der.split_sequence((tmp_path / "r").read_bytes())
        assert atsp.PKIStatusInfo.load(info, strict=True)["fail_info"].native == {
            failure.name.lower().replace("extension", "extensions")
        }


def test_a_qualified_authority_says_so() -> None:
    rules = dataclasses.replace(RULES, qualified=True)
    info = decode_token(tsa().token(asked(extensions=(QUALIFIED,)), rules))
    assert [one.oid for one in info.extensions] == [oids.QC_STATEMENTS]
    assert der.oid(oids.QUALIFIED_TIME_STAMP) in info.extensions[0].value


# --- what a client checks


def granted(request: TimeStampRequest) -> TimeStampReply:
    return codec.decode_reply(codec.encode_reply(tsa().token(request)))


def test_a_reply_that_fits() -> None:
    request = asked(nonce=7, policy="1.2.3.5")
    reply = granted(request)
    exchange.check_reply(request, reply, verify_token(reply.token).info)


@pytest.mark.parametrize("other", [{"nonce": 8}, {"nonce": None}, {"policy": "1.2.3.4"}, {"hash_name": "sha512"}])
def test_a_reply_to_another_request(other: dict[str, object]) -> None:
    reply = granted(asked(**({"nonce": 7, "policy": "1.2.3.5"} | other)))  # type: ignore[arg-type]
    with pytest.raises(Fault, match="another"):
        exchange.check_reply(asked(nonce=7, policy="1.2.3.5"), reply, decode_token(reply.token))


@pytest.mark.parametrize("purpose", ["lax", "several", "none"])
def test_a_certificate_for_more_than_time_stamps(purpose: str) -> None:
    with pytest.raises(Fault, match="time-stamping only"):
        verify_token(tsa(purpose=purpose).token(asked()))


def test_a_token_bound_to_another_certificate() -> None:
    """The signature is right, and names by ESSCertIDv2 a certificate that the token does not carry."""
    authority, other = tsa(), tsa("EC-P384", "ecdsa-sha384")
    token = authority.token(asked())
    own, theirs = (signing_certificate(one.der).encode() for one in (authority, other))
    assert own in token
    assert own != theirs
    with pytest.raises(Fault):
        verify_token(token.replace(hashlib.sha256(authority.der).digest(), hashlib.sha256(other.der).digest()))


def test_an_altered_token() -> None:
    token = tsa().token(asked())
    with pytest.raises(Fault) as caught:
        verify_token(token.replace(b"20260601123015Z", b"20260601123016Z"))
    assert caught.value.kind is FaultKind.BAD_SIGNATURE


def test_a_token_without_certificates_needs_candidates() -> None:
    token = tsa().token(asked(), certificates=False)
    with pytest.raises(Fault) as caught:
        verify_token(token)
    assert caught.value.kind is FaultKind.NOT_FOUND


def test_certificates_are_a_set() -> None:
    """Strict readers want DER's order, whatever order was given."""
    authority, other = tsa(), tsa("EC-P384", "ecdsa-sha384")
    info = exchange.decide(asked(), RULES, NOW, SERIAL, b"")
    tokens = [
        sign_token(info, authority.signer, authority.der, order)
        for order in ((authority.der, other.der), (other.der, authority.der))
    ]
    found = [verify_token(one).certificates for one in tokens]
    assert found[0] == found[1] == tuple(sorted((authority.der, other.der)))


@pytest.mark.parametrize(
    "reply",
    [
        codec.encode_reply(status=Status.GRANTED),
        der.sequence(der.sequence(der.integer(9))),
        der.sequence(der.sequence(der.integer(2), der.tlv(0x03, b"\x09\x00"))),
        der.sequence(der.sequence(der.integer(2), der.tlv(0x03, b""))),
        b"\x30\x00",
    ],
)
def test_malformed_replies(reply: bytes) -> None:
    with pytest.raises(Fault) as caught:
        codec.decode_reply(reply)
    assert caught.value.kind is FaultKind.MALFORMED


@pytest.mark.parametrize("time", [b"20260601123015.Z", b"20260601123015.50Z", b"20260601123015", b"202606011230Z"])
def test_malformed_times(time: bytes) -> None:
    info = codec.encode_tst_info(exchange.decide(asked(), RULES, NOW, 1, b""))
    with pytest.raises(Fault):
        codec.decode_tst_info(_replace_time(info, time))


def _replace_time(info: bytes, time: bytes) -> bytes:
    children = der.read(info).children()
    return der.sequence(*(der.tlv(one.tag, time) if one.tag == 0x18 else one.encoded for one in children))


def test_an_imprint_of_the_wrong_length_cannot_be_asked_for() -> None:
    with pytest.raises(Fault):
        codec.encode_imprint("sha256", bytes(31))
    assert isinstance(asked().imprint, MessageImprint)


@pytest.mark.parametrize("name", ["tsp/openssl-rsa.tsr", "tsp/openssl-ec.tsr"])
def test_tokens_of_openssl(name: str) -> None:
    request, reply = codec.decode_request(vector("tsp/openssl-sha256.tsq")), codec.decode_reply(vector(name))
    found = verify_token(reply.token)
    exchange.check_reply(request, reply, found.info)
    assert (found.info.accuracy, found.info.ordering, found.info.policy) == (1_500_100, True, "1.2.3.4")
    assert found.info.tsa == der.explicit(4, found.certificate.subject)
    assert codec.encode_tst_info(found.info) in reply.token


def test_a_refusal_of_openssl() -> None:
    reply = codec.decode_reply(vector("tsp/openssl-refused.tsr"))
    assert (reply.status, reply.failures) == (Status.REJECTION, {FailureInfo.BAD_ALG})
