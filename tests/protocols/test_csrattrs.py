"""CsrAttrs against the examples of RFC 7030 and RFC 9908, and against pyasn1's modules of both."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.der import decoder, encoder
from pyasn1_alt_modules import rfc7030, rfc9908
from pycryptoutil_protocols import der, names, oids, x509
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.est import csrattrs
from pycryptoutil_protocols.est.csrattrs import CsrAttributes, ExtensionTemplate, NameTemplate
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material

MAC_ADDRESS = "1.3.6.1.1.1.1.22"
KEYS = [
    "EC-P256",
    "EC-P384",
    "EC-P521",
    "RSA-2048",
    "RSA-3072",
    "RSA-4096",
    "Ed25519",
    "Ed448",
    "ML-DSA-44",
    "ML-DSA-87",
]


def test_example_of_rfc_7030_section_4_5_2() -> None:
    decoded = csrattrs.decode(material.vector("rfc7030/s4.5.2-csrattrs.b64"))
    assert decoded.identifiers == (oids.CHALLENGE_PASSWORD, "1.2.840.10045.4.3.3")
    assert decoded.key == "EC-P384"
    assert [one.oid for one in decoded.attributes] == [oids.EC_PUBLIC_KEY, oids.EXTENSION_REQUEST]
    assert der.read(decoded.attributes[1].values[0]).oid() == MAC_ADDRESS  # not an extension, says RFC 8951
    assert decoded.extensions == ()


def test_the_same_can_be_written() -> None:
    wish = CsrAttributes(
        key="EC-P384",
        signature="ecdsa-sha384",
        challenge_password=True,
        attributes=(Attribute(oids.EXTENSION_REQUEST, (der.oid(MAC_ADDRESS),)),),
        template=False,
    )
    ours = der.split_sequence(csrattrs.encode(wish))
    assert sorted(ours) == sorted(der.split_sequence(material.vector("rfc7030/s4.5.2-csrattrs.b64")))


def test_example_of_rfc_7030_appendix_a2() -> None:
    decoded = csrattrs.decode(material.vector("rfc7030/a2-csrattrs.b64"))
    assert decoded.identifiers == (
        MAC_ADDRESS, oids.CHALLENGE_PASSWORD, "1.3.36.3.3.2.8.1.1.11", "2.16.840.1.101.3.4.2.2",
    )  # fmt: skip
    assert [one.oid for one in decoded.attributes] == ["2.999.1", "2.999.2"]
    assert decoded.key == ""


def test_examples_of_rfc_9908() -> None:
    (found,) = csrattrs.decode(material.vector("rfc9908/s5.1-acp.b64")).extensions
    assert (found.oid, found.critical) == (oids.SUBJECT_ALT_NAME, True)
    (name,) = names.decode_general_names(found.value)
    assert b"rfc8994+fd739fc23c3440112233445500000000+@acp.example.com" in name.der
    second = csrattrs.decode(material.vector("rfc9908/s5.2-rfc7030.b64"))
    assert (second.key, second.identifiers) == (
        "EC-P384",
        (oids.CHALLENGE_PASSWORD, MAC_ADDRESS, "1.2.840.10045.4.3.3"),
    )
    third = csrattrs.decode(material.vector("rfc9908/s5.3-attributes.b64"))
    assert (third.key, third.identifiers[1:]) == ("EC-P521", (*FRIENDLY_DRINK_SERIAL, "1.2.840.10045.4.3.4"))
    assert csrattrs.decode(material.vector("rfc9908/s5.4-rsa-4096.b64")).key == "RSA-4096"
    assert csrattrs.decode(material.vector("rfc9908/s5.5-ec-p384.b64")).key == "EC-P384"
    # an Extension where Extensions belong: not understood, and no error either
    assert csrattrs.decode(material.vector("rfc9908/draft-unwrapped-extension.b64")).extensions == ()


FRIENDLY_DRINK_SERIAL = ("1.2.840.113549.1.9.20", "0.9.2342.19200300.100.1.5", oids.SERIAL_NUMBER)


@pytest.mark.parametrize(
    ("path", "wish"),
    [
        ("s5.2-rfc7030", CsrAttributes("EC-P384", "ecdsa-sha384", None, (), True, (MAC_ADDRESS,), (), False)),
        ("s5.3-attributes", CsrAttributes("EC-P521", "ecdsa-sha512", None, (), True, FRIENDLY_DRINK_SERIAL, (), False)),
        ("s5.4-rsa-4096", CsrAttributes("RSA-4096", "rsa-sha256", None, (), True, (), (), False)),
        ("s5.5-ec-p384", CsrAttributes("EC-P384", "ecdsa-sha384", None, (), True, (oids.SERIAL_NUMBER,), (), False)),
    ],
)
def test_examples_of_rfc_9908_can_be_written(path: str, wish: CsrAttributes) -> None:
    """CsrAttrs is a SEQUENCE OF, whose order means nothing."""
    ours = der.split_sequence(csrattrs.encode(wish))
    assert sorted(ours) == sorted(der.split_sequence(material.vector(f"rfc9908/{path}.b64")))


def test_the_acp_example_can_be_written() -> None:
    (found,) = csrattrs.decode(material.vector("rfc9908/s5.1-acp.b64")).extensions
    wish = CsrAttributes(extensions=(ExtensionTemplate(found.oid, found.critical, found.value),), template=False)
    assert csrattrs.encode(wish) == material.vector("rfc9908/s5.1-acp.b64")


# RFC 9908 section 3.4 prints this one as text: two given OUs, an open CN, P-256, and open extension values
PRINTED = CsrAttributes(
    key="EC-P256",
    subject=(
        NameTemplate(oids.COMMON_NAME),
        NameTemplate("2.5.4.11", der.utf8_string("myDept")),
        NameTemplate("2.5.4.11", der.utf8_string("myGroup")),
    ),
    extensions=(
        ExtensionTemplate(
            oids.SUBJECT_ALT_NAME,
            value=der.sequence(der.implicit(2, b"www.myServer.com"), der.implicit(7, b"")),
        ),
        ExtensionTemplate(oids.KEY_USAGE, critical=True, value=bytes.fromhex("03020388")),
        ExtensionTemplate(oids.EXTENDED_KEY_USAGE),
    ),
)


def template_of(encoded: bytes) -> object:
    """The template in CsrAttrs, as pyasn1 reads it, which must consume every octet and write the same again."""
    attrs, rest = decoder.decode(encoded, asn1Spec=rfc7030.CsrAttrs())
    assert not rest
    assert encoder.encode(attrs) == encoded
    for item in attrs:
        attribute = item["attribute"] if item.getName() == "attribute" else None
        if attribute is not None and attribute["attrType"] == rfc9908.id_aa_certificationRequestInfoTemplate:
            template, rest = decoder.decode(
                bytes(attribute["attrValues"][0]), asn1Spec=rfc9908.CertificationRequestInfoTemplate()
            )
            assert not rest
            return template
    return None


def test_printed_template_is_what_pyasn1_reads() -> None:
    template = template_of(csrattrs.encode(PRINTED))
    assert template["version"] == 0  # type: ignore[index]
    rdns = template["subject"]["rdnSequence"]  # type: ignore[index]
    assert [str(rdn[0]["type"]) for rdn in rdns] == ["2.5.4.3", "2.5.4.11", "2.5.4.11"]
    assert [rdn[0]["value"].isValue for rdn in rdns] == [False, True, True]
    assert str(template["subjectPKInfo"]["algorithm"]["algorithm"]) == oids.EC_PUBLIC_KEY  # type: ignore[index]
    assert not template["subjectPKInfo"]["subjectPublicKey"].isValue  # type: ignore[index]
    (attribute,) = template["attributes"]  # type: ignore[index]
    assert attribute["type"] == rfc9908.id_aa_extensionReqTemplate
    (value,) = attribute["values"]
    extensions, rest = decoder.decode(bytes(value), asn1Spec=rfc9908.ExtensionReqTemplate())
    assert not rest
    assert [(str(one["extnID"]), bool(one["critical"]), one["extnValue"].isValue) for one in extensions] == [
        (oids.SUBJECT_ALT_NAME, False, True),
        (oids.KEY_USAGE, True, True),
        (oids.EXTENDED_KEY_USAGE, False, False),
    ]


def test_printed_template_goes_round() -> None:
    template = csrattrs.decode(csrattrs.encode(PRINTED)).template
    assert template is not None
    assert template.subject == PRINTED.subject
    assert template.key == PRINTED.key
    assert template.extensions == PRINTED.extensions


@pytest.mark.parametrize("key", KEYS)
def test_key_type_and_size_in_both_forms(key: str) -> None:
    encoded = csrattrs.encode(CsrAttributes(key=key))
    assert template_of(encoded) is not None
    decoded = csrattrs.decode(encoded)
    assert decoded.key == key
    assert decoded.template is not None
    assert decoded.template.key == key


@pytest.mark.parametrize("key", ["DSA-1024", "RSA-x", "RSA-512", "RSA-999999", "EC-P224"])
def test_keys_that_cannot_be_asked_for(key: str) -> None:
    with pytest.raises(Fault) as caught:
        csrattrs.encode(CsrAttributes(key=key))
    assert caught.value.kind is FaultKind.BAD_ALGORITHM


def test_extension_values_decide_the_template_s_attribute() -> None:
    """RFC 9908 section 3.4: ExtensionReq when all are given, ExtensionReqTemplate else, never both."""
    whole = ExtensionTemplate(oids.KEY_USAGE, critical=True, value=b"\x03\x02\x07\x80")
    for extensions, oid in (
        ((whole,), oids.EXTENSION_REQUEST),
        ((whole, ExtensionTemplate(oids.SUBJECT_ALT_NAME)), oids.EXTENSION_REQUEST_TEMPLATE),
    ):
        decoded = csrattrs.decode(csrattrs.encode(CsrAttributes(extensions=extensions)))
        assert decoded.template is not None
        assert [one.oid for one in decoded.template.attributes] == [oid]
        assert decoded.template.extensions == extensions
        assert decoded.extensions == (x509.Extension(oids.KEY_USAGE, True, b"\x03\x02\x07\x80"),)


def test_nothing_wanted_is_an_empty_sequence() -> None:
    assert csrattrs.encode(CsrAttributes()) == b"\x30\x00"
    assert csrattrs.decode(b"\x30\x00").template is None


def test_no_template_without_need_or_when_switched_off() -> None:
    for wish in (
        CsrAttributes(signature="ecdsa-sha256"),
        CsrAttributes(key="EC-P256", template=False),
        CsrAttributes(key="EC-P256", challenge_password=True),  # which a template cannot ask for
        CsrAttributes(key="EC-P256", wanted=(oids.SERIAL_NUMBER,)),
    ):
        assert csrattrs.decode(csrattrs.encode(wish)).template is None


OID = st.tuples(st.integers(0, 2), st.integers(0, 39), st.integers(0, 1 << 40)).map(lambda t: ".".join(map(str, t)))
EXTENSION = st.builds(ExtensionTemplate, OID, st.booleans(), st.none() | st.binary(max_size=20))
WISH = st.builds(
    CsrAttributes,
    key=st.sampled_from(["", *KEYS]),
    signature=st.sampled_from(["", "rsa-pss-sha256", "ecdsa-sha384", "ml-dsa-65"]),
    subject=st.none()
    | st.lists(st.builds(NameTemplate, OID, st.none() | st.text(max_size=9).map(der.utf8_string)), max_size=4).map(
        tuple
    ),
    extensions=st.lists(EXTENSION, max_size=5, unique_by=lambda one: one.oid).map(tuple),
    challenge_password=st.booleans(),
    template=st.booleans(),
)


@given(WISH)
def test_what_is_wished_comes_back(wish: CsrAttributes) -> None:
    decoded = csrattrs.decode(csrattrs.encode(wish))
    assert (oids.CHALLENGE_PASSWORD in decoded.identifiers) == wish.challenge_password
    if wish.template and not wish.challenge_password and (wish.subject is not None or wish.key or wish.extensions):
        assert decoded.template is not None
        assert decoded.template.subject == wish.subject
        assert decoded.template.key == wish.key
        assert decoded.template.extensions == wish.extensions
    full = [x509.Extension(one.oid, one.critical, one.value) for one in wish.extensions if one.value is not None]
    assert list(decoded.extensions) == full


@given(WISH, st.data())
def test_damage_raises_nothing_but_fault(wish: CsrAttributes, data: st.DataObject) -> None:
    encoded = bytearray(csrattrs.encode(wish))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Fault):
        csrattrs.decode(bytes(encoded))
