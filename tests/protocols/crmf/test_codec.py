"""CRMF: what is written is read again and by pyasn1 too, what real clients send, and what is refused (RFC 4211)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc4211
from pycryptoutil_protocols import algorithms, der
from pycryptoutil_protocols.cmp import codec as cmp_codec
from pycryptoutil_protocols.cmp.messages import NULL_NAME, CertRequests
from pycryptoutil_protocols.crmf import codec as crmf
from pycryptoutil_protocols.crmf import controls, values
from pycryptoutil_protocols.crmf.messages import (
    ArchiveOptions,
    AttributeTypeAndValue,
    CertReqMsg,
    CertRequest,
    CertTemplate,
    EncryptedKey,
    PrivateKeyPop,
)
from pycryptoutil_protocols.faults import Fault

from tests.protocols import material
from tests.protocols.cmp import strategies

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
quick = settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
quicker = settings(quick, max_examples=10, phases=[Phase.explicit, Phase.generate])


@quick
@given(message=strategies.request_messages)
def test_crmf_requests(message: Any) -> None:
    encoded = crmf.encode_message(message)
    (again,) = crmf.decode_messages(der.read(der.sequence(encoded)))
    assert again == message
    assert crmf.encode_request(again.request) == crmf.encode_request(message.request)


@quicker
@given(message=strategies.request_messages)
def test_pyasn1_reads_crmf(message: Any) -> None:
    encoded = der.sequence(crmf.encode_message(message))
    found, rest = decoder.decode(encoded, asn1Spec=rfc4211.CertReqMessages())
    assert rest == b""
    assert encoder.encode(found) == encoded


@pytest.mark.parametrize("path", [one for one in material.vectors("cmp/openssl3*/*r-*.der") if "answer" not in one])
def test_requests_of_openssl(path: str) -> None:
    body = cmp_codec.decode(material.vector(path)).body
    if isinstance(body, CertRequests):
        encoded = crmf.encode_messages(body.messages)
        found, rest = decoder.decode(encoded, asn1Spec=rfc4211.CertReqMessages())
        assert rest == b""
        assert encoder.encode(found) == encoded
        assert encoded in material.vector(path)


def test_empty_choices_are_not_written() -> None:
    for call in (
        lambda: values.encode_encrypted_key(EncryptedKey()),
        lambda: crmf.encode_message(CertReqMsg(CertRequest(0, CertTemplate()), PrivateKeyPop())),
        lambda: controls.encode_controls(controls.Controls(archive=ArchiveOptions())),
    ):
        with pytest.raises(Fault):
            call()


# -- CRMF


def control(oid: str, value: bytes) -> bytes:
    return der.sequence(values.encode_attribute(AttributeTypeAndValue(oid, value)))


@pytest.mark.parametrize(
    "encoded",
    [
        der.sequence(),
        control(controls.REGISTRATION_TOKEN, der.utf8_string("")),
        control(controls.REGISTRATION_TOKEN, der.utf8_string("x" * 1025)),
        control(controls.REGISTRATION_TOKEN, der.octet_string(b"x")),
        control(controls.ARCHIVE_OPTIONS, der.null()),
        control(controls.PUBLICATION_INFO, der.sequence(der.integer(2))),
        control(controls.PUBLICATION_INFO, der.sequence(der.integer(1), der.sequence())),
        control(controls.PUBLICATION_INFO, der.sequence(der.integer(0), der.sequence(der.sequence(der.integer(0))))),
        control(controls.OLD_CERT_ID, der.sequence(NULL_NAME.der)),
        control(controls.PROTOCOL_ENCRYPTION_KEY, der.sequence()),
        der.sequence(*[values.encode_attribute(AttributeTypeAndValue("1.2.3", der.null()))] * 2),
        der.sequence(*[values.encode_attribute(AttributeTypeAndValue(f"1.2.{n}", der.null())) for n in range(65)]),
    ],
)
def test_bad_controls(encoded: bytes) -> None:
    with pytest.raises(Fault):
        controls.decode_controls(der.read(encoded))


def pop(encoded: bytes) -> bytes:
    return der.sequence(der.sequence(crmf.encode_request(CertRequest(0, CertTemplate())), encoded))


@pytest.mark.parametrize(
    "encoded",
    [
        der.implicit(0, b"x"),
        der.explicit(2, der.null()),
        der.explicit(2, der.implicit(1, b"\x02")),
        der.explicit(2, der.implicit(0, b"\x01x")),
        der.explicit(4, der.null()),
        der.explicit(1, der.null()),
        der.explicit(1, algorithms.signature_identifier("ed25519")),
    ],
)
def test_bad_proofs(encoded: bytes) -> None:
    with pytest.raises(Fault):
        crmf.decode_messages(der.read(pop(encoded)))


@pytest.mark.parametrize(
    "encoded",
    [
        der.sequence(der.implicit(0, b"\x03")),
        der.sequence(der.implicit(1, b"\x00\x01")),
        der.sequence(der.implicit(1, bytes(65))),
        der.sequence(der.explicit(5, der.null())),
        der.sequence(der.explicit(6, der.null())),
        der.sequence(der.explicit(4, der.explicit(0, der.null()))),
        der.sequence(der.explicit(9, der.null())),
        der.sequence(der.explicit(5, der.sequence()), der.implicit(1, b"\x01")),
        der.sequence(der.explicit(10, der.null())),
    ],
)
def test_bad_templates(encoded: bytes) -> None:
    with pytest.raises(Fault):
        crmf.decode_template(der.read(encoded))
