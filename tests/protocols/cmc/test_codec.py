"""CMC's structures: what is written is read again, by us and by others, and what is wrong is refused."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import core
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols import algorithms, der, names, oids
from pycryptoutil_protocols.cmc import authenticated, codec, controls, proofs, values
from pycryptoutil_protocols.cmc.messages import (
    PKI_DATA,
    Control,
    ExtendedFailInfo,
    FailInfo,
    OtherMessage,
    PendInfo,
    PkiData,
    PkiResponse,
    RequestKind,
    Status,
    StatusInfo,
    TaggedContent,
)
from pycryptoutil_protocols.crmf.messages import CertTemplate, PublicationAction, PublicationInfo, SinglePubInfo
from pycryptoutil_protocols.csr import ChangeSubjectName
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Extension

from tests.protocols.cmc import requests
from tests.support.cmc import dns_names, subject

SHA256 = algorithms.hash_identifier("sha256")
NAME = subject("someone")
CONTENT = der.sequence(der.oid(oids.DATA), der.explicit(0, der.octet_string(b"x")))
MOMENT = datetime(2026, 7, 8, 9, 10, 11, tzinfo=UTC)
DIRECTORY = names.decode_general_name(der.read(der.explicit(4, NAME)))
REQUEST = codec.pkcs10_request(5, requests.pkcs10())
MAC = values.MacProof(SHA256, proofs.hmac_identifier("sha256"), b"witness")

EXAMPLES: list[tuple[controls.Kind, object]] = [
    (controls.STATUS_INFO, StatusInfo(Status.FAILED, ((1,), (2,)), "no", FailInfo.BAD_REQUEST, version=1)),
    (controls.IDENTIFICATION, "enroll-ä"),
    (controls.IDENTITY_PROOF, bytes(20)),
    (controls.DATA_RETURN, b"anything"),
    (controls.TRANSACTION_ID, 2**200),
    (controls.SENDER_NONCE, b"nonce"),
    (controls.RECIPIENT_NONCE, b""),
    (controls.ADD_EXTENSIONS, values.AddExtensions(1, (2, 3), (dns_names("a.test"), Extension("1.2.3", True, b"v")))),
    (controls.ENCRYPTED_POP, values.EncryptedPop(REQUEST, CONTENT, MAC.mac_algorithm, SHA256, b"w")),
    (controls.DECRYPTED_POP, values.DecryptedPop(5, MAC.mac_algorithm, b"proof")),
    (controls.RA_POP_WITNESS, values.RaPopWitness(0, ())),
    (controls.GET_CERT, values.GetCert(DIRECTORY, 2**150)),
    (controls.GET_CRL, values.GetCrl(NAME)),
    (controls.GET_CRL, values.GetCrl(NAME, names.GeneralName.uri("http://x/y"), MOMENT, b"\x03\x02\x01\x06")),
    (controls.REVOKE_REQUEST, values.RevokeRequest(NAME, 77, 1)),
    (controls.REVOKE_REQUEST, values.RevokeRequest(NAME, 77, 4, MOMENT, b"secret", "because")),
    (controls.REG_INFO, b"name?value%"),
    (controls.RESPONSE_INFO, b"text"),
    (controls.QUERY_PENDING, b"token"),
    (controls.POP_LINK_RANDOM, bytes(64)),
    (controls.POP_LINK_WITNESS, bytes(20)),
    (controls.CONFIRM_ACCEPTANCE, values.IssuerAndSerial(NAME, 77)),
    (controls.STATUS_INFO_V2, StatusInfo(Status.SUCCESS, ((0,),))),
    (controls.STATUS_INFO_V2, StatusInfo(Status.PENDING, ((1,), (2, 3)), pending=PendInfo(b"token", MOMENT))),
    (controls.STATUS_INFO_V2, StatusInfo(Status.FAILED, ((1,),), extended=ExtendedFailInfo("1.2.3", der.null()))),
    (controls.TRUSTED_ANCHORS, values.TrustAnchors(9, SHA256, (bytes(32), b"\x01" * 32))),
    (controls.AUTH_DATA, 12),
    (controls.BATCH_REQUESTS, (1, 2)),
    (controls.BATCH_RESPONSES, (2**32 - 1,)),
    (controls.PUBLISH_CERT, values.Publication(SHA256, (bytes(32),), PublicationInfo(PublicationAction.DONT_PUBLISH))),
    (
        controls.PUBLISH_CERT,
        values.Publication(SHA256, (), PublicationInfo(PublicationAction.PLEASE_PUBLISH, (SinglePubInfo(2),))),
    ),
    (controls.MOD_CERT_TEMPLATE, values.ModCertTemplate((1, 2), (3,), CertTemplate(subject=NAME))),
    (controls.MOD_CERT_TEMPLATE, values.ModCertTemplate((0,), (3,), CertTemplate(not_after=MOMENT), replace=False)),
    (controls.CONTROL_PROCESSED, ((1,), (2, 3))),
    (controls.POP_LINK_WITNESS_V2, MAC),
    (controls.IDENTITY_PROOF_V2, MAC),
    (controls.RA_IDENTITY_WITNESS, (4, 5)),
    (controls.CHANGE_SUBJECT_NAME, ChangeSubjectName(NAME, (names.GeneralName.dns("b.test"),))),
    (controls.CHANGE_SUBJECT_NAME, ChangeSubjectName(None, (names.GeneralName.dns("b.test"),))),
    (controls.RESPONSE_BODY, (7,)),
]


def refusal(kind: FaultKind, call: object, *arguments: object) -> Fault:
    with pytest.raises(Fault) as caught:
        call(*arguments)  # type: ignore[operator]
    assert caught.value.kind is kind, caught.value.detail
    return caught.value


@pytest.mark.parametrize(("kind", "value"), EXAMPLES, ids=lambda one: getattr(one, "name", ""))
def test_each_control_is_read_as_it_was_written(kind: controls.Kind, value: object) -> None:
    control = kind.control(9, value)
    assert control.oid == f"1.3.6.1.5.5.7.7.{kind.number}"
    encoded = codec.encode_response(PkiResponse((control,)))
    found = codec.decode_response(encoded)
    assert kind.value(found.controls[0]) == value
    assert codec.encode_response(found) == encoded
    assert core.Sequence.load(encoded, strict=True).contents  # asn1crypto reads it too


def test_every_control_of_the_rfcs_is_known() -> None:
    assert {kind for kind, _ in EXAMPLES} == set(controls.KINDS.values())
    # RFC 5272 section 11 and RFC 6402 appendix A; 12 to 14 and 20 were never given
    assert {kind.number for kind in controls.KINDS.values()} == {*range(1, 12), *range(15, 20), *range(21, 38)}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("failure", [None, *FailInfo])
def test_statuses(status: Status, failure: FailInfo | None) -> None:
    pending = PendInfo(b"t", MOMENT) if status in (Status.PENDING, Status.PARTIAL) else None
    value = StatusInfo(status, ((1,),), "text", failure, pending)
    encoded = values.encode_status(value)
    if failure is not None and status is not Status.FAILED:
        refusal(
            FaultKind.INVALID,
            values.decode_status,
            der.read(values.encode_status(StatusInfo(status, ((1,),), "text", failure))),
        )
    else:
        assert values.decode_status(der.read(encoded)) == value


def test_status_numbers() -> None:
    # RFC 5272 sections 6.1.3 and 6.1.4
    assert [one.value for one in Status] == [0, 2, 3, 4, 5, 6, 7]
    assert [one.value for one in FailInfo] == list(range(14))


def test_extended_failures_are_read_tagged_and_not() -> None:
    # the two modules in RFC 6402's appendix differ
    inner = der.sequence(der.oid("1.2.3"), der.null())
    for other in (inner, der.retag(der.context(1), inner)):
        encoded = der.sequence(der.integer(2), der.sequence(der.integer(1)), other)
        assert values.decode_status(der.read(encoded)).extended == ExtendedFailInfo("1.2.3", der.null())
        refusal(FaultKind.MALFORMED, values.decode_status_v1, der.read(encoded))


BAD_STATUSES = {
    "no status 1": der.sequence(der.integer(1), der.sequence(der.integer(1))),
    "empty bodyList": der.sequence(der.integer(0), der.sequence()),
    "failure 14": der.sequence(der.integer(2), der.sequence(der.integer(1)), der.integer(14)),
    "pending without pendInfo": der.sequence(der.integer(3), der.sequence(der.integer(1))),
    "pendInfo with success": der.sequence(
        der.integer(0), der.sequence(der.integer(1)), der.sequence(der.octet_string(b""), der.generalized_time(0))
    ),
    "huge status": der.sequence(der.tlv(der.INTEGER, b"\x01" * 200), der.sequence(der.integer(1))),
}


@pytest.mark.parametrize("name", BAD_STATUSES)
def test_bad_statuses(name: str) -> None:
    with pytest.raises(Fault):
        values.decode_status(der.read(BAD_STATUSES[name]))


def test_requests_of_every_kind() -> None:
    crm = codec.crmf_request(requests.crmf(7))
    orm = codec.other_request(8, "1.2.3.4", der.null())
    data = PkiData(
        (controls.SENDER_NONCE.control(1, b"n"),),
        (REQUEST, crm, orm),
        (TaggedContent(2, der.sequence(der.oid(oids.DATA))),),
        (OtherMessage(3, "1.2.3", der.null()),),
    )
    found = codec.decode_data(codec.encode_data(data))
    assert [one.kind for one in found.requests] == [RequestKind.PKCS10, RequestKind.CRMF, RequestKind.OTHER]
    assert [one.body_part for one in found.requests] == [5, 7, 8]
    assert found.requests[0].csr.der == requests.pkcs10() or found.requests[0].csr is not None
    assert found.requests[1].crmf.request.template.spki == requests.SIGNER.public_spki
    assert (found.requests[2].other_type, found.requests[2].other_value) == ("1.2.3.4", der.null())
    assert found.contents == data.contents
    assert found.others == data.others
    assert found.request_sequence == der.sequence(REQUEST.encoded, crm.encoded, orm.encoded)


def parts(**sequences: bytes) -> bytes:
    """A PKIData of encoded sequences."""
    order = ("controls", "requests", "contents", "others")
    return der.sequence(*(der.sequence(sequences.get(name, b"")) for name in order))


def tagged(identifier: bytes, value: bytes = b"") -> bytes:
    return der.sequence(identifier, der.oid(controls.SENDER_NONCE.oid), der.set_of((value or der.octet_string(b""),)))


BAD_DATA: dict[str, tuple[bytes, FaultKind]] = {
    "empty": (b"", FaultKind.MALFORMED),
    "no sequence": (der.null(), FaultKind.MALFORMED),
    "three parts": (der.sequence(*[der.sequence()] * 3), FaultKind.MALFORMED),
    "five parts": (der.sequence(*[der.sequence()] * 5), FaultKind.MALFORMED),
    "trailing octets": (parts() + b"\x05\x00", FaultKind.MALFORMED),
    "identifier 0": (parts(controls=tagged(der.integer(0))), FaultKind.INVALID),
    "negative identifier": (parts(controls=tagged(der.integer(-1))), FaultKind.INVALID),
    "identifier of 33 bits": (parts(controls=tagged(der.integer(2**32))), FaultKind.INVALID),
    "enormous identifier": (parts(controls=tagged(der.integer(2**64))), FaultKind.INVALID),
    "same identifier": (parts(controls=tagged(der.integer(1)) * 2), FaultKind.INVALID),
    "same identifier elsewhere": (
        parts(controls=tagged(der.integer(5)), requests=REQUEST.encoded),
        FaultKind.INVALID,
    ),
    "control without values": (parts(controls=der.sequence(der.integer(1))), FaultKind.MALFORMED),
    "strange request": (parts(requests=der.explicit(3, der.integer(1))), FaultKind.MALFORMED),
    "PKCS#10 that is none": (
        parts(requests=der.explicit(0, der.integer(1), der.sequence())),
        FaultKind.MALFORMED,
    ),
    "CRMF with identifier 0": (
        parts(requests=codec.crmf_request(requests.crmf(0)).encoded),
        FaultKind.INVALID,
    ),
    "too many controls": (
        parts(controls=b"".join(tagged(der.integer(number)) for number in range(1, 300))),
        FaultKind.TOO_LARGE,
    ),
    "too large": (
        parts(controls=tagged(der.integer(1), der.octet_string(bytes(codec.MAX_MESSAGE)))),
        FaultKind.TOO_LARGE,
    ),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data(name: str) -> None:
    encoded, kind = BAD_DATA[name]
    refusal(kind, codec.decode_data, encoded)


def test_nesting_is_limited() -> None:
    encoded = b""
    for _ in range(10_000):
        encoded = der.tlv(der.SEQUENCE, encoded)
    refusal(FaultKind.TOO_LARGE, codec.decode_data, encoded)


def test_indefinite_length_is_no_der() -> None:
    refusal(FaultKind.MALFORMED, codec.decode_data, b"\x30\x80" + parts()[2:] + b"\x00\x00")


def test_controls_that_may_not_be() -> None:
    nonce, again = controls.SENDER_NONCE.control(1, b"n"), controls.SENDER_NONCE.control(2, b"n")
    unknown = Control(3, "1.2.3.4", (der.null(),))
    anchors = controls.AUTH_DATA.control(4, 1)
    challenge = controls.BATCH_RESPONSES.control(5, (1,))
    inside = controls.CHANGE_SUBJECT_NAME.control(6, ChangeSubjectName(NAME, None))
    assert controls.strange((nonce, again)) == (again,)
    assert controls.strange((unknown, anchors, challenge, inside)) == (unknown, challenge, inside)
    assert controls.strange((challenge,), response=True) == ()
    assert controls.strange((controls.IDENTIFICATION.control(1, "x"),), response=True)
    revoke = [controls.REVOKE_REQUEST.control(number, values.RevokeRequest(NAME, number, 0)) for number in (1, 2)]
    assert controls.strange(revoke) == ()


def test_a_control_has_one_value() -> None:
    for found in ((), (der.octet_string(b""), der.octet_string(b"x"))):
        refusal(FaultKind.INVALID, controls.SENDER_NONCE.value, Control(1, controls.SENDER_NONCE.oid, found))


def test_long_values_are_refused() -> None:
    long = der.octet_string(bytes(values.MAX_OCTETS + 1))
    refusal(FaultKind.TOO_LARGE, controls.DATA_RETURN.value, Control(1, controls.DATA_RETURN.oid, (long,)))
    text = der.utf8_string("x" * 1025)
    refusal(FaultKind.INVALID, controls.IDENTIFICATION.value, Control(1, controls.IDENTIFICATION.oid, (text,)))
    number = der.tlv(der.INTEGER, b"\x01" * 129)
    refusal(FaultKind.TOO_LARGE, controls.TRANSACTION_ID.value, Control(1, controls.TRANSACTION_ID.oid, (number,)))


BODY_PARTS = st.integers(1, 2**32 - 1)
OCTETS = st.binary(max_size=40)


@st.composite
def messages(draw: st.DrawFn) -> PkiData:
    count = draw(st.integers(0, 6))
    identifiers = draw(st.lists(BODY_PARTS, min_size=count + 3, max_size=count + 3, unique=True))
    found = []
    for identifier in identifiers[3:]:
        kind, value = draw(st.sampled_from(EXAMPLES))
        found.append(kind.control(identifier, value))
    contents = (TaggedContent(identifiers[0], der.sequence(der.octet_string(draw(OCTETS)))),)
    others = (OtherMessage(identifiers[1], "1.2.840", der.octet_string(draw(OCTETS))),)
    asked = (codec.other_request(identifiers[2], "1.2.3", der.octet_string(draw(OCTETS))),)
    return PkiData(tuple(found), asked, contents, others, der.sequence(*(one.encoded for one in asked)))


@settings(deadline=None, max_examples=60)
@given(messages())
def test_messages_round_trip(data: PkiData) -> None:
    encoded = codec.encode_data(data)
    assert codec.decode_data(encoded) == data
    assert core.Sequence.load(encoded, strict=True).dump(force=True) == encoded


@settings(deadline=None, max_examples=60)
@given(messages(), st.data())
def test_damage_raises_nothing_but_faults(data: PkiData, draw: st.DataObject) -> None:
    encoded = bytearray(codec.encode_data(data))
    for _ in range(draw.draw(st.integers(1, 3))):
        encoded[draw.draw(st.integers(0, len(encoded) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = codec.decode_data(bytes(encoded))
        for control in found.controls:
            kind = controls.KINDS.get(control.oid)
            if kind is not None:
                kind.value(control)
    except Fault:
        pass


def test_openssl_reads_what_is_written(tmp_path: Path) -> None:
    data = PkiData(tuple(kind.control(number, value) for number, (kind, value) in enumerate(EXAMPLES, 10)), (REQUEST,))
    (tmp_path / "data.der").write_bytes(codec.encode_data(data))
    done = subprocess.run(
        ["openssl", "asn1parse", "-inform", "DER", "-in", str(tmp_path / "data.der")],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in (
        "id-cmc-identification",
        "id-cmc-popLinkRandom",
        "id-cmc-confirmCertAcceptance",
        "id-cmc-revokeRequest",
    ):
        assert name in done.stdout


# authenticated data


def test_authenticated_data() -> None:
    encoded = authenticated.authenticate(PKI_DATA, b"content", b"secret")
    found = authenticated.decode_authenticated(encoded)
    assert (found.content_type, found.content) == (PKI_DATA, b"content")
    authenticated.verify(found, b"secret")
    refusal(FaultKind.BAD_SIGNATURE, authenticated.verify, found, b"another")
    changed = encoded.replace(b"content", b"CONTENT")
    refusal(FaultKind.BAD_SIGNATURE, authenticated.verify, authenticated.decode_authenticated(changed), b"secret")


def test_openssl_sees_authenticated_data(tmp_path: Path) -> None:
    (tmp_path / "x.der").write_bytes(authenticated.authenticate(PKI_DATA, b"content", b"secret"))
    done = subprocess.run(
        ["openssl", "asn1parse", "-inform", "DER", "-in", str(tmp_path / "x.der")],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("id-smime-ct-authData", "PBKDF2", "id-aes256-wrap", "hmacWithSHA256", "id-cct-PKIData"):
        assert name in done.stdout, name


def test_too_many_iterations_are_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticated, "ITERATIONS", authenticated.MAX_ITERATIONS)
    encoded = authenticated.authenticate(PKI_DATA, b"content", b"secret")
    most = der.integer(authenticated.MAX_ITERATIONS)
    found = authenticated.decode_authenticated(encoded.replace(most, b"\x02" + most[1:2] + b"\x7f\xff\xff"))
    refusal(FaultKind.BAD_ALGORITHM, authenticated.verify, found, b"secret")
