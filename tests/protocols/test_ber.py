"""BER becomes DER: by hand, by property, within limits, and never anything but a Fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from asn1crypto import core as asn1
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import ber, cms, der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind

from tests.protocols import material

# a value as a tree: (tag, content octets) or (tag, children)
Tree = tuple[int, "bytes | list[Tree]"]
PRIMITIVE = st.tuples(st.sampled_from([0x02, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x80, 0x41]), st.binary(max_size=300))
TREES = st.recursive(
    PRIMITIVE,
    lambda children: st.tuples(st.sampled_from([0x30, 0x31, 0xA0, 0xA3, 0x60]), st.lists(children, max_size=5)),
    max_leaves=12,
)


def as_der(tree: Tree) -> bytes:
    tag, content = tree
    return der.tlv(tag, content if isinstance(content, bytes) else b"".join(map(as_der, content)))


def as_ber(tree: Tree, draw: st.DataObject) -> bytes:
    """The same value in some form that BER allows."""
    tag, content = tree
    if isinstance(content, list):
        body = b"".join(as_ber(child, draw) for child in content)
        if draw.draw(st.booleans()):
            return bytes((tag, 0x80)) + body + b"\x00\x00"
        return header(tag, len(body), draw) + body
    if tag in (0x04, 0x0C, 0x13) and draw.draw(st.booleans()):
        cut = draw.draw(st.integers(0, len(content)))
        pieces = b"".join(header(0x04, len(part), draw) + part for part in (content[:cut], content[cut:]))
        if draw.draw(st.booleans()):
            return bytes((tag | 0x20, 0x80)) + pieces + b"\x00\x00"
        return header(tag | 0x20, len(pieces), draw) + pieces
    return header(tag, len(content), draw) + content


def header(tag: int, length: int, draw: st.DataObject) -> bytes:
    octets = draw.draw(st.integers(0, 5))
    if octets == 0 or length >= 1 << (8 * octets):
        return der.tlv(tag, bytes(length))[:-length] if length else bytes((tag, 0))
    return bytes((tag, 0x80 | octets)) + length.to_bytes(octets, "big")


@given(TREES, st.data())
def test_any_form_becomes_the_one_form(tree: Tree, data: st.DataObject) -> None:
    expected = as_der(tree)
    assert ber.to_der(as_ber(tree, data)) == expected
    assert ber.to_der(expected) == expected


@given(st.binary(max_size=200))
def test_noise_raises_nothing_but_fault(noise: bytes) -> None:
    try:
        made = ber.to_der(noise)
    except Fault:
        return
    der.check(made)
    assert ber.to_der(made) == made


def test_asn1crypto_reads_the_same_value() -> None:
    source = bytes.fromhex("30800201 05 24800402aabb 0401cc 0000 0101 01 0000".replace(" ", ""))
    made = ber.to_der(source)
    assert made == bytes.fromhex("300b 020105 0403aabbcc 0101ff".replace(" ", ""))
    for one in (source, made):
        parsed = asn1.SequenceOf.load(one, spec=asn1.Any)
        assert [item.native for item in parsed] == [5, b"\xaa\xbb\xcc", True]


def test_bit_strings_in_pieces() -> None:
    assert ber.to_der(bytes.fromhex("2380 0303000f0f 030204f0 0000".replace(" ", ""))) == bytes.fromhex("0304040f0ff0")
    assert ber.to_der(bytes.fromhex("23800000")) == bytes.fromhex("030100")
    for wrong in ("2380 030204f0 0302000f 0000", "2380 0300 0000", "2380 0401aa 0000"):
        with pytest.raises(Fault) as caught:
            ber.to_der(bytes.fromhex(wrong.replace(" ", "")))
        assert caught.value.kind is FaultKind.MALFORMED


@pytest.mark.parametrize(
    "encoded",
    [
        "", "30", "3080", "308000", "0480", "3003048000", "30803004020100", "308000000000", "0000", "300000",
        "1f8101 00", "30ff", "3082", "3001", "24800201010000", "30 84 ffffffff", "3080 3002 0000 0000",
    ],
)  # fmt: skip
def test_broken_forms(encoded: str) -> None:
    with pytest.raises(Fault) as caught:
        ber.to_der(bytes.fromhex(encoded.replace(" ", "")))
    assert caught.value.kind is FaultKind.MALFORMED


@pytest.mark.parametrize("opening", [b"\x30\x80", b"\x24\x80", b"\xa0\x80"])
def test_ten_thousand_deep(opening: bytes) -> None:
    with pytest.raises(Fault) as caught:
        ber.to_der(opening * 10_000 + b"\x00\x00" * 10_000)
    assert caught.value.kind is FaultKind.TOO_LARGE


def test_limits_are_exact() -> None:
    nested = b"\x30\x80" * 5 + b"\x00\x00" * 5
    assert ber.to_der(nested, max_depth=5) == bytes.fromhex("30083006300430023000")
    wide = der.sequence(*[der.null()] * 9)
    assert ber.to_der(wide, max_elements=10, max_size=len(wide)) == wide
    for call in (
        lambda: ber.to_der(nested, max_depth=4),
        lambda: ber.to_der(wide, max_elements=9),
        lambda: ber.to_der(wide, max_size=len(wide) - 1),
    ):
        with pytest.raises(Fault) as caught:
            call()
        assert caught.value.kind is FaultKind.TOO_LARGE


def test_openssl_s_streamed_cms_is_read(tmp_path: Path) -> None:
    """``-stream`` writes indefinite lengths and the content in pieces, as Apple and Java clients do."""
    key = material.private_key("RSA-2048")
    certificate = material.certificate(key)
    (tmp_path / "cert.pem").write_bytes(material.cert_pem(certificate))
    (tmp_path / "key.pem").write_bytes(material.key_pem(key))
    content = bytes(range(256)) * 80
    signed = material.openssl(
        "cms", "-sign", "-stream", "-binary", "-nodetach", "-outform", "DER",
        "-signer", tmp_path / "cert.pem", "-inkey", tmp_path / "key.pem",
        stdin=content,
    )  # fmt: skip
    assert signed[:2] == b"\x30\x80"
    found = cms.decode_signed_data(cms.from_ber(signed))
    assert found.content == content
    cms.verify_signed_data(found)
    with pytest.raises(Fault):
        cms.decode_signed_data(signed)
    enveloped = material.openssl(
        "cms", "-encrypt", "-stream", "-binary", "-aes-256-cbc", "-outform", "DER", tmp_path / "cert.pem",
        stdin=content,
    )  # fmt: skip
    assert b"\xa0\x80" in enveloped[:2000]
    opened = cms.decode_enveloped(cms.from_ber(enveloped))
    assert cms.decrypt(opened, opened.recipients[0], cms.unwrap_rsa(key, allow_pkcs1=True)) == content
    assert opened.content_type == oids.DATA
