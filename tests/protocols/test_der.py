"""DER reading is strict, bounded and iterative; writing is its inverse."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind


def kind(data: bytes, **limits: int) -> FaultKind | None:
    try:
        der.check(data, **limits)
    except Fault as fault:
        return fault.kind
    return None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x01",
        b"\x30\x00\x00",  # trailing octet
        b"\x30\x80\x00\x00",  # indefinite length
        b"\x30\x81\x05\x04\x03abc",  # could be short
        b"\x30\x82\x00\x80" + b"\x05\x00" * 64,  # leading zero
        b"\x30\x85\x00\x00\x00\x00\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x02\x04\x05",  # child longer than its parent
        b"\x1f\x81\x01\x00",  # multi-byte tag
        b"\x00\x00",  # end of contents
        b"\x30\x03\x02\x01",
    ],
)
def test_what_is_not_der_is_malformed(data: bytes) -> None:
    assert kind(data) is FaultKind.MALFORMED


def test_ten_thousand_levels_neither_recurse_nor_pass() -> None:
    nested = b""
    for _ in range(10_000):
        nested = der.sequence(nested)
    assert kind(nested) is FaultKind.TOO_LARGE
    assert kind(nested, max_depth=10_001) is None


def test_limits_are_inclusive() -> None:
    two = der.sequence(der.sequence())
    assert kind(two, max_depth=2) is None
    assert kind(two, max_depth=1) is FaultKind.TOO_LARGE
    assert kind(two, max_size=4) is None
    assert kind(two, max_size=3) is FaultKind.TOO_LARGE


@pytest.mark.parametrize(
    ("encoded", "read"),
    [
        ("0200", "integer"),
        ("02020001", "integer"),  # not minimal
        ("0202ff80", "integer"),
        ("010101", "boolean"),
        ("0102ffff", "boolean"),
        ("050100", "null"),
        ("0600", "oid"),
        ("06028001", "oid"),  # arc not minimal
        ("060181", "oid"),  # unfinished arc
        ("0300", "bits"),
        ("03020700", "bits"),  # unused bits
        ("0c02c328", "text"),  # not UTF-8
        ("1e03003031", "text"),  # half a BMP character
        ("170d3236303130313030303030305a00"[:-2].replace("30305a", "30315b"), "time"),
        ("170b323630313031303030305a", "time"),  # no seconds
        ("181332303236303130313030303030302e355a"[:38], "time"),  # fraction
        ("180f32303236313330313030303030305a", "time"),  # month 13
        ("180f30303030303130313030303030305a", "time"),  # year 0
        ("0400", "integer"),
    ],
)
def test_values_that_are_not_der_are_malformed(encoded: str, read: str) -> None:
    with pytest.raises(Fault) as caught:
        getattr(der.elements(bytes.fromhex(encoded))[0], read)()
    assert caught.value.kind is FaultKind.MALFORMED


@given(st.integers(min_value=-(1 << 600), max_value=1 << 600))
def test_integers_round_trip(value: int) -> None:
    assert der.read(der.integer(value)).integer() == value


@given(st.binary(max_size=300))
def test_octet_and_bit_strings_round_trip(value: bytes) -> None:
    assert der.read(der.octet_string(value)).octets() == value
    assert der.read(der.bit_string(value)).bits() == value


@given(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 1 << 60), max_size=6))
def test_object_identifiers_round_trip(first: int, second: int, rest: list[int]) -> None:
    dotted = ".".join(map(str, (first, second, *rest)))
    assert der.read(der.oid(dotted)).oid() == dotted


@pytest.mark.parametrize("dotted", ["", "1", "3.1", "1.40", "a.b", "1.-2", "1.2.x", "1..2"])
def test_bad_dotted_identifiers_are_refused(dotted: str) -> None:
    with pytest.raises(Fault):
        der.oid(dotted)


@given(st.datetimes(datetime(1950, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - Hypothesis wants them naive
def test_times_round_trip_in_seconds(moment: datetime) -> None:
    exact = moment.replace(microsecond=0, tzinfo=UTC)
    unix = int(exact.timestamp())
    assert der.read(der.x509_time(unix)).time() == exact
    assert der.read(der.generalized_time(unix)).time() == exact
    assert der.x509_time(unix)[0] == (der.UTC_TIME if exact.year < 2050 else der.GENERALIZED_TIME)


@given(st.lists(st.binary(max_size=8), max_size=6))
def test_set_of_is_sorted(values: list[bytes]) -> None:
    encoded = der.set_of(map(der.octet_string, values))
    children = [child.encoded for child in der.read(encoded).children()]
    assert children == sorted(map(der.octet_string, values))


nested = st.recursive(
    st.binary(max_size=40).map(der.octet_string) | st.integers().map(der.integer) | st.just(der.null()),
    lambda inner: st.lists(inner, max_size=5).map(lambda parts: der.sequence(*parts)),
    max_leaves=40,
)


@given(nested)
def test_what_is_written_is_read(encoded: bytes) -> None:
    der.check(encoded)
    element = der.read(encoded)
    assert element.encoded == encoded
    if element.tag == der.SEQUENCE:
        assert b"".join(der.split_sequence(encoded)) == element.content


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_nothing_but_fault(data: bytes) -> None:
    try:
        der.check(data)
    except Fault:
        return
    der.read(data)


@given(nested, st.data())
def test_a_prefix_or_an_extension_is_never_accepted(encoded: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(encoded) - 1))
    assert kind(encoded[:cut]) is FaultKind.MALFORMED
    assert kind(encoded + b"\x05\x00") is FaultKind.MALFORMED


def test_openssl_reads_what_is_written() -> None:
    encoded = der.sequence(
        der.integer(-129), der.oid("2.999.3"), der.utf8_string("ä"), der.explicit(3, der.boolean(True)), der.null(),
        der.octet_string(bytes(300)), der.enumerated(5), der.x509_time(0), der.generalized_time(4102444800),
    )  # fmt: skip
    done = subprocess.run(["openssl", "asn1parse", "-inform", "DER"], input=encoded, capture_output=True, check=True)
    text = done.stdout.decode()
    for expected in ("-81", "2.999.3", "cont [ 3 ]", "700101000000Z", "21000101000000Z", "BOOLEAN           :255"):
        assert expected in text


def test_a_reader_names_what_is_missing_or_left() -> None:
    reader = der.read_sequence(der.sequence(der.integer(1), der.null()))
    assert reader.take(der.INTEGER).integer() == 1
    with pytest.raises(Fault):
        reader.end("thing")
    with pytest.raises(Fault):
        reader.take(der.INTEGER, "number")
    with pytest.raises(Fault):
        der.read_sequence(der.sequence()).any("thing")
    with pytest.raises(Fault):
        der.read(der.null()).children()
