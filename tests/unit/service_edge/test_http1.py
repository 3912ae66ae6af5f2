"""The parser by itself: nothing it is given may raise anything but BadRequest, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pycryptoutil.service.http1 import BadRequest, BodyReader, Head, find_end, parse_fields, parse_request_line

GOOD = b"POST /a%20b?x=1&y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-Thing:  v \t\r\n\r\n"


def parse(data: bytes) -> Head | None:
    end = find_end(data, 32768)
    if end < 0:
        return None
    cut = data.find(b"\r\n", 0, end + 2)
    fields = parse_fields(data[cut + 2 : end + 2].decode("latin-1"), 100)
    return parse_request_line(data[:cut].decode("latin-1"), fields)


def test_a_good_request() -> None:
    head = parse(GOOD)
    assert head is not None
    assert (head.method, head.path, head.raw_path) == ("POST", "/a b", "/a%20b")
    assert head.query == {"x": ("1",), "y": ("",)}
    assert head.fields.length == 3
    assert list(head.fields.headers) == [("host", "a"), ("content-length", "3"), ("x-thing", "v")]
    assert head.persistent


@given(st.binary(max_size=200))
@example(b"\r\n\r\n")
@example(b"\r\n\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n\r\n")
def test_anything_is_parsed_or_refused(data: bytes) -> None:
    try:
        parse(data)
    except BadRequest as bad:
        refused = bad
    else:
        return
    assert 400 <= refused.status < 600
    assert refused.reason.isascii()


@given(st.integers(0, len(GOOD) - 1), st.sampled_from([b"\r", b"\n", b"\0", b" ", b":", b"\x0b", b"\xff", b"%", b","]))
def test_an_inserted_byte_never_changes_the_framing(at: int, byte: bytes) -> None:
    data = GOOD[:at] + byte + GOOD[at:]
    try:
        head = parse(data)
    except BadRequest:
        return
    if head is None:
        return
    if head.fields.length not in {3, 0}:
        # a digit cannot have been inserted, so only the field's own name can have been broken
        pytest.fail(f"length became {head.fields.length}")
    if head.fields.length == 0:
        assert "content-length" not in head.fields.headers


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.lists(st.integers(1, 20), min_size=1, max_size=30),
    st.sampled_from([b"", b";a=b", b" \t"]),
)
def test_chunked_bodies_are_the_same_however_they_arrive(parts: list[bytes], cuts: list[int], extension: bytes) -> None:
    wire = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n\r\nNEXT"
    reader, buffer, complete, at, turn = BodyReader(None, 10_000), bytearray(), False, 0, 0
    while not complete and at < len(wire):
        step = cuts[turn % len(cuts)]
        buffer += wire[at : at + step]
        at, turn = at + step, turn + 1
        complete = reader.feed(buffer)
    assert complete
    assert reader.body == b"".join(parts)
    assert bytes(buffer) + wire[at:] == b"NEXT"


@given(st.binary(max_size=100))
@settings(max_examples=300)
def test_chunked_garbage_is_refused_or_waited_for(data: bytes) -> None:
    reader = BodyReader(None, 50)
    try:
        reader.feed(bytearray(data))
    except BadRequest:
        return
    assert len(reader.body) <= 50


def test_a_body_may_not_grow_over_its_limit() -> None:
    with pytest.raises(BadRequest) as caught:
        BodyReader(11, 10)
    assert caught.value.status == 413
    reader = BodyReader(None, 10)
    assert not reader.feed(bytearray(b"a\r\n0123456789\r\n"))
    with pytest.raises(BadRequest) as caught:
        reader.feed(bytearray(b"1\r\n"))
    assert caught.value.status == 413
