"""What the decoder refuses, and with which failInfo: nothing but Faults comes out of it, whatever goes in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycryptoutil_protocols import der
from pycryptoutil_protocols.cmp import codec
from pycryptoutil_protocols.cmp.failures import CmpFault, failure_of
from pycryptoutil_protocols.cmp.messages import (
    NULL_NAME,
    BodyType,
    CertifiedKeyPair,
    CertRepMessage,
    CertResponse,
    General,
    InfoTypeAndValue,
    Nested,
    Pkcs10,
    PkiConf,
    PKIFailureInfo,
    PKIMessage,
    PKIStatus,
    PKIStatusInfo,
    PollReq,
    directory_name,
    name_in,
)
from pycryptoutil_protocols.crmf import codec as crmf
from pycryptoutil_protocols.crmf.messages import (
    CertReqMsg,
    CertRequest,
    CertTemplate,
)
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName

from tests.protocols import material as keys
from tests.protocols.cmp import material

GOOD = codec.encode(material.sealed(BodyType.POLLREQ, PollReq((0,)))).encoded
HEADER = codec.encode_header(material.header())
ACCEPTED = der.sequence(der.integer(PKIStatus.ACCEPTED))
REAL = keys.vector("cmp/openssl30/kur-sig.kur.der")


def refused(encoded: bytes, kind: FaultKind | None = None, failure: PKIFailureInfo | None = None) -> Fault:
    with pytest.raises(Fault) as caught:
        codec.decode(encoded)
    if kind is not None:
        assert caught.value.kind is kind, caught.value.detail
    if failure is not None:
        assert failure_of(caught.value) is failure
    return caught.value


def message(body: bytes, header: bytes = HEADER, *rest: bytes) -> bytes:
    return der.sequence(header, body, *rest)


def of(kind: BodyType, inner: bytes) -> bytes:
    return message(der.explicit(kind, inner))


def test_trailing_octets() -> None:
    refused(GOOD + b"\x00", FaultKind.MALFORMED, PKIFailureInfo.BAD_DATA_FORMAT)
    refused(message(der.explicit(BodyType.PKICONF, der.null(), der.null())), FaultKind.MALFORMED)
    refused(message(der.explicit(BodyType.PKICONF, der.null()), HEADER, der.null()), FaultKind.MALFORMED)


@pytest.mark.parametrize("length", range(0, len(GOOD), 3))
def test_truncation(length: int) -> None:
    refused(GOOD[:length], FaultKind.MALFORMED)


def test_indefinite_length() -> None:
    refused(b"\x30\x80" + GOOD[2:] + b"\0\0", FaultKind.MALFORMED, PKIFailureInfo.BAD_DATA_FORMAT)


def test_depth() -> None:
    bomb = b""
    for _ in range(10_000):
        bomb = der.sequence(bomb)
    refused(bomb, FaultKind.TOO_LARGE, PKIFailureInfo.BAD_DATA_FORMAT)
    refused(of(BodyType.GENM, der.sequence(der.sequence(der.oid("1.2.3"), bomb))), FaultKind.TOO_LARGE)
    assert codec.peek_header(bomb) is None


def test_size() -> None:
    huge = of(BodyType.GENM, der.sequence(der.sequence(der.oid("1.2.3"), der.octet_string(bytes(1 << 20)))))
    refused(huge, FaultKind.TOO_LARGE)


def test_nesting() -> None:
    inner = codec.encode(PKIMessage(material.header(), BodyType.PKICONF, PkiConf()))
    for level in range(codec.MAX_NESTING + 1):
        inner = codec.encode(PKIMessage(material.header(), BodyType.NESTED, Nested((inner,))))
        if level < codec.MAX_NESTING:
            codec.decode(inner.encoded)
    refused(inner.encoded, FaultKind.TOO_LARGE)
    refused(of(BodyType.NESTED, der.sequence()), FaultKind.INVALID)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_raises_nothing_but_faults(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from([GOOD, REAL])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    codec.peek_header(bytes(damaged))
    try:
        codec.decode(bytes(damaged))
    except Fault as fault:
        failure_of(fault)


@given(st.binary(max_size=60))
def test_noise(noise: bytes) -> None:
    refused(noise)


@pytest.mark.parametrize("pvno", [0, 1, 4, 255])
def test_versions(pvno: int) -> None:
    encoded = codec.encode(material.sealed(BodyType.PKICONF, PkiConf(), pvno=pvno)).encoded
    fault = refused(encoded, failure=PKIFailureInfo.UNSUPPORTED_VERSION)
    assert isinstance(fault, CmpFault)
    seen = codec.peek_header(encoded)
    assert seen is not None
    assert seen.pvno == pvno
    assert seen.transaction_id == bytes(range(16))


def test_the_header_of_a_bad_body_is_seen() -> None:
    encoded = of(BodyType.IR, der.null())
    refused(encoded, FaultKind.MALFORMED)
    seen = codec.peek_header(encoded)
    assert seen is not None
    assert seen.sender_nonce == bytes(range(16, 32))
    assert codec.peek_header(b"") is None
    assert codec.peek_header(der.sequence()) is None


@pytest.mark.parametrize("tag", [0x30, 0x80, 0xBB, 0xBF, 0x61, 0x00])
def test_bodies_of_no_type(tag: int) -> None:
    refused(message(der.tlv(tag, der.null())), FaultKind.MALFORMED)


@pytest.mark.parametrize("pvno", [-1, 256, 1 << 600])
def test_absurd_versions(pvno: int) -> None:
    header = der.sequence(der.integer(pvno), NULL_NAME.der, NULL_NAME.der)
    refused(message(der.explicit(BodyType.PKICONF, der.null()), header))


@pytest.mark.parametrize("field", [4, 5, 6])
def test_ids_and_nonces_are_bounded(field: int) -> None:
    def header(size: int) -> bytes:
        octets = der.explicit(field, der.octet_string(bytes(size)))
        return der.sequence(der.integer(2), NULL_NAME.der, NULL_NAME.der, octets)

    body = der.explicit(BodyType.PKICONF, der.null())
    codec.decode(message(body, header(64)))
    refused(message(body, header(65)), FaultKind.INVALID)


@pytest.mark.parametrize(
    ("kind", "inner"),
    [
        (BodyType.IR, der.sequence()),
        (BodyType.IP, der.sequence(der.sequence())),
        (BodyType.RR, der.sequence()),
        (BodyType.RP, der.sequence(der.sequence())),
        (BodyType.POLLREQ, der.sequence()),
        (BodyType.POLLREP, der.sequence()),
        (BodyType.CRLANN, der.sequence()),
        (BodyType.POPDECC, der.sequence()),
        (BodyType.POPDECR, der.sequence(der.integer(-1))),
        (BodyType.POLLREQ, der.sequence(der.sequence(der.integer(-2)))),
        (BodyType.POLLREP, der.sequence(der.sequence(der.integer(0), der.integer(-1)))),
        (BodyType.ERROR, der.sequence(der.sequence(der.integer(7)))),
        (BodyType.ERROR, der.sequence(der.sequence(der.integer(2), der.sequence()))),
    ],
)
def test_values_out_of_range(kind: BodyType, inner: bytes) -> None:
    refused(of(kind, inner), FaultKind.INVALID, PKIFailureInfo.BAD_DATA_FORMAT)


@pytest.mark.parametrize(
    ("kind", "inner"),
    [
        (BodyType.PKICONF, der.sequence()),
        (BodyType.ERROR, der.sequence(der.sequence(der.integer(2), der.tlv(der.BIT_STRING, b"\x08\x00")))),
        (BodyType.ERROR, der.sequence(der.sequence(der.integer(2), der.tlv(der.BIT_STRING, b"\x01\x01")))),
        (BodyType.ERROR, der.sequence(der.sequence(der.integer(2), der.tlv(der.BIT_STRING)))),
        (BodyType.ERROR, der.sequence(der.sequence(der.integer(2), der.sequence(der.tlv(0x0C, b"\xff"))))),
        (BodyType.CERTCONF, der.null()),
        (
            BodyType.IP,
            der.sequence(
                der.sequence(
                    der.sequence(
                        der.integer(0), der.sequence(der.integer(0)), der.sequence(der.explicit(2, der.null()))
                    )
                )
            ),
        ),
    ],
)
def test_malformed_bodies(kind: BodyType, inner: bytes) -> None:
    refused(of(kind, inner), FaultKind.MALFORMED)


def test_too_many_of_a_kind() -> None:
    many = der.sequence(*(der.sequence(der.integer(0)) for _ in range(65)))
    refused(of(BodyType.POLLREQ, many), FaultKind.TOO_LARGE)
    request = CertReqMsg(CertRequest(0, CertTemplate()))
    refused(of(BodyType.IR, crmf.encode_messages((request,) * 65)), FaultKind.TOO_LARGE)


def test_fractions_of_seconds_are_read() -> None:
    time = der.explicit(0, der.tlv(der.GENERALIZED_TIME, b"20270506070809.5Z"))
    header = der.sequence(der.integer(2), NULL_NAME.der, NULL_NAME.der, time)
    found = codec.decode(message(der.explicit(BodyType.PKICONF, der.null()), header))
    assert found.header.message_time == material.NOW
    for bad in (b"20270506070809.50Z", b"20270506070809.Z", b"20270506070809", b"20271306070809Z"):
        time = der.explicit(0, der.tlv(der.GENERALIZED_TIME, bad))
        header = der.sequence(der.integer(2), NULL_NAME.der, NULL_NAME.der, time)
        refused(message(der.explicit(BodyType.PKICONF, der.null()), header), FaultKind.MALFORMED)


def test_unknown_bits_of_failinfo_are_left_out() -> None:
    bits = der.tlv(der.BIT_STRING, b"\x00\x80\x00\x00\x3f")  # badAlg, duplicateCertReq, and five from the future
    body = codec.decode(of(BodyType.ERROR, der.sequence(der.sequence(der.integer(2), bits)))).body
    assert body.status.failures == {PKIFailureInfo.BAD_ALG, PKIFailureInfo.DUPLICATE_CERT_REQ}  # type: ignore[union-attr]


def test_names() -> None:
    name = keys.name("x").public_bytes()
    assert name_in(directory_name(name)) == name
    assert name_in(GeneralName.dns("a.example.test")) is None


# -- what cannot be written


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (BodyType.IR, PkiConf()),
        (BodyType.NESTED, PkiConf()),
        (BodyType.IR, Nested(())),
        (BodyType.IP, CertRepMessage((CertResponse(0, PKIStatusInfo(PKIStatus.ACCEPTED), CertifiedKeyPair()),))),
    ],
)
def test_what_makes_no_sense_is_not_written(kind: BodyType, body: Any) -> None:
    with pytest.raises(Fault):
        codec.encode(PKIMessage(material.header(), kind, body))


def test_general_messages_may_be_empty() -> None:
    found = codec.decode(of(BodyType.GENM, der.sequence()))
    assert found.body == General(())
    refused(of(BodyType.GENM, der.sequence(der.sequence())), FaultKind.MALFORMED)
    assert InfoTypeAndValue("1.2.3").value == b""


def test_secrets_are_not_shown() -> None:
    from pycryptoutil_protocols.crmf.messages import Controls

    assert "hidden" not in repr(Controls(registration_token="hidden", authenticator="hidden"))
    assert "hidden" not in repr(Pkcs10(b"hidden"))
