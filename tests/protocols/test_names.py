"""Names and certificates, against what pyca/cryptography says of the same bytes."""

from __future__ import annotations

import ipaddress
from datetime import UTC

import pytest
from cryptography import x509 as other
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import der, names, oids, x509
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import GeneralName, GeneralNameKind

from tests.protocols import material

text = st.text(st.characters(categories=["L", "N", "P"], max_codepoint=0xFFFF), min_size=1, max_size=20)


def attribute(oid: str, value: str, tag: int = der.UTF8_STRING) -> bytes:
    codec = {der.BMP_STRING: "utf-16-be", der.UTF8_STRING: "utf-8"}.get(tag, "ascii")
    return der.set_of([der.sequence(der.oid(oid), der.tlv(tag, value.encode(codec)))])


def cn(value: str, tag: int = der.UTF8_STRING) -> bytes:
    return der.sequence(attribute(oids.COMMON_NAME, value, tag))


@given(st.lists(text, min_size=1, max_size=5))
def test_name_reads_as_cryptography_wrote_it(values: list[str]) -> None:
    made = other.Name([other.NameAttribute(other.NameOID.ORGANIZATIONAL_UNIT_NAME, value) for value in values])
    name = names.decode_name(made.public_bytes())
    assert name.find("2.5.4.11") == tuple(values)
    assert name.der == made.public_bytes()


def test_names_are_the_same_in_any_string_type_case_and_spacing() -> None:
    assert names.same_name(cn("Host Name"), cn("host  NAME ", der.PRINTABLE_STRING))
    assert names.same_name(cn("Äpfel"), cn("ÄPFEL", der.BMP_STRING))
    assert not names.same_name(cn("a"), cn("b"))
    assert not names.same_name(
        cn("a"), der.sequence(attribute(oids.COMMON_NAME, "a"), attribute(oids.COMMON_NAME, "a"))
    )
    assert not names.same_name(cn("a"), der.sequence(attribute("2.5.4.10", "a")))


@pytest.mark.parametrize("encoded", [der.sequence(der.set_of([])), der.sequence(der.null()), der.set_of([]),
                                     der.sequence(der.set_of([der.sequence(der.oid("2.5.4.3"))]))])  # fmt: skip
def test_what_is_no_name(encoded: bytes) -> None:
    with pytest.raises(Fault) as caught:
        names.decode_name(encoded)
    assert caught.value.kind is FaultKind.MALFORMED


def test_control_characters_and_too_many_attributes() -> None:
    with pytest.raises(Fault) as caught:
        names.decode_name(cn("evil\x00.example"))
    assert caught.value.kind is FaultKind.INVALID
    with pytest.raises(Fault) as caught:
        names.decode_name(der.sequence(*[attribute("2.5.4.11", "x")] * 65))
    assert caught.value.kind is FaultKind.TOO_LARGE


def test_general_names_read_as_cryptography_wrote_them_in_order() -> None:
    made = other.SubjectAlternativeName(
        [
            other.DNSName("z.example"),
            other.DNSName("*.a.example"),
            other.IPAddress(ipaddress.ip_address("2001:db8::1")),
            other.IPAddress(ipaddress.ip_address("192.0.2.1")),
            other.RFC822Name("me@example.test"),
            other.UniformResourceIdentifier("urn:x:y"),
            other.RegisteredID(other.ObjectIdentifier("1.2.3")),
            other.DirectoryName(material.name("dir")),
            other.OtherName(other.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), der.utf8_string("upn@x")),
        ]
    )
    found = names.decode_general_names(made.public_bytes())
    assert [(one.kind.name, one.value) for one in found[:7]] == [
        ("DNS", "z.example"),
        ("DNS", "*.a.example"),
        ("IP", "2001:db8::1"),
        ("IP", "192.0.2.1"),
        ("EMAIL", "me@example.test"),
        ("URI", "urn:x:y"),
        ("REGISTERED_ID", "1.2.3"),
    ]
    assert [one.kind for one in found[7:]] == [GeneralNameKind.DIRECTORY, GeneralNameKind.OTHER]
    assert names.encode_general_names(found) == made.public_bytes()


def test_made_names_equal_read_ones() -> None:
    made = (GeneralName.dns("a.b"), GeneralName.email("a@b"), GeneralName.uri("x:y"), GeneralName.ip("192.0.2.1"))
    assert names.decode_general_names(names.encode_general_names(made)) == made
    for bad in (lambda: GeneralName.dns("ä.b"), lambda: GeneralName.ip("300.1.1.1")):
        with pytest.raises(Fault):
            bad()


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (der.sequence(), FaultKind.INVALID),
        (der.sequence(der.implicit(2, b"")), FaultKind.INVALID),
        (der.sequence(der.implicit(2, b"a\x00b")), FaultKind.INVALID),
        (der.sequence(der.implicit(2, b"\xff")), FaultKind.MALFORMED),
        (der.sequence(der.implicit(7, bytes(5))), FaultKind.INVALID),
        (der.sequence(der.implicit(9, b"x")), FaultKind.MALFORMED),
        (der.sequence(der.implicit(4, b"x")), FaultKind.MALFORMED),
        (der.sequence(der.explicit(2, der.null())), FaultKind.MALFORMED),
        (der.sequence(der.utf8_string("x")), FaultKind.MALFORMED),
        (der.sequence(*[der.implicit(2, b"a")] * 1001), FaultKind.TOO_LARGE),
    ],
)
def test_general_names_that_are_refused(encoded: bytes, kind: FaultKind) -> None:
    with pytest.raises(Fault) as caught:
        names.decode_general_names(encoded)
    assert caught.value.kind is kind


@pytest.mark.parametrize("algorithm", material.ALGORITHMS)
def test_certificate_facts_are_those_of_cryptography(algorithm: str) -> None:
    made = material.certificate(material.private_key(algorithm), "host", serial=1 << 158, sans=("b.x", "a.x"))
    facts = x509.decode_certificate(material.cert_der(made))
    assert facts.serial == made.serial_number
    assert facts.subject == made.subject.public_bytes()
    assert facts.issuer == made.issuer.public_bytes()
    assert facts.not_before == made.not_valid_before_utc.astimezone(UTC)
    assert facts.not_after == made.not_valid_after_utc
    assert facts.spki == material.spki(material.private_key(algorithm))
    assert facts.tbs == made.tbs_certificate_bytes
    assert facts.signature == made.signature
    assert [one.value for one in facts.sans] == ["b.x", "a.x"]
    wanted = made.extensions.get_extension_for_class(other.SubjectKeyIdentifier).value.digest
    assert facts.subject_key_identifier == wanted
    assert [one.oid for one in facts.extensions] == [one.oid.dotted_string for one in made.extensions]
    assert x509.encode_extensions(facts.extensions) in facts.tbs


def test_extensions_must_not_repeat() -> None:
    one = x509.Extension("1.2.3", False, b"x").encode()
    with pytest.raises(Fault) as caught:
        x509.decode_extensions(der.read(der.sequence(one, one)))
    assert caught.value.kind is FaultKind.INVALID
    many = [x509.Extension(f"1.2.{number}", True, b"").encode() for number in range(65)]
    with pytest.raises(Fault) as caught:
        x509.decode_extensions(der.read(der.sequence(*many)))
    assert caught.value.kind is FaultKind.TOO_LARGE


@given(st.data())
def test_a_damaged_certificate_raises_nothing_but_fault(data: st.DataObject) -> None:
    encoded = bytearray(material.cert_der(material.certificate(material.private_key("EC-P256"), sans=("a.b",))))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        facts = x509.decode_certificate(bytes(encoded))
        assert facts.sans is not None
        assert facts.subject_key_identifier is not None
    except Fault:
        pass
