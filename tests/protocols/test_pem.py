"""Base64 in every form that clients send, and nothing else."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols import der, pem
from pycryptoutil_protocols.faults import Fault, FaultKind

LIMIT = 1 << 16


@given(st.binary(min_size=1, max_size=400), st.integers(1, 90), st.sampled_from([b"\n", b"\r\n", b"", b" ", b"\t\n"]))
def test_any_wrapping_decodes(data: bytes, width: int, newline: bytes) -> None:
    text = base64.b64encode(data)
    wrapped = newline.join(text[at : at + width] for at in range(0, len(text), width))
    assert pem.decode_base64(wrapped + newline, LIMIT) == data


@given(st.binary(min_size=1, max_size=400))
def test_what_is_encoded_is_wrapped_at_64_and_decodes(data: bytes) -> None:
    text = pem.encode_base64(data)
    lines = text.split(b"\n")
    assert lines[-1] == b""
    assert all(len(line) == 64 for line in lines[:-2])
    assert 1 <= len(lines[-2]) <= 64
    assert pem.decode_base64(text, LIMIT) == data


@pytest.mark.parametrize("text", [b"", b"   ", b"A", b"AAA", b"AA=A", b"====", b"AAAA=", b"AA*A", b"AAA\x00", b"A_-A",
                                  b"AAAA\xff", b"AA==AAAA", "ÄÖÜß".encode()])  # fmt: skip
def test_garbage_is_malformed(text: bytes) -> None:
    with pytest.raises(Fault) as caught:
        pem.decode_base64(text, LIMIT)
    assert caught.value.kind is FaultKind.MALFORMED


def test_size_limit_counts_decoded_octets() -> None:
    assert len(pem.decode_base64(pem.encode_base64(bytes(100)), 100)) == 100
    with pytest.raises(Fault) as caught:
        pem.decode_base64(pem.encode_base64(bytes(110)), 100)
    assert caught.value.kind is FaultKind.TOO_LARGE


@given(st.binary(max_size=300))
def test_body_in_all_three_forms(content: bytes) -> None:
    encoded = der.sequence(der.octet_string(content), der.null())
    assert pem.decode_body(encoded, LIMIT) == encoded
    assert pem.decode_body(pem.encode_base64(encoded), LIMIT) == encoded
    assert pem.decode_body(b"\r\n" + pem.encode_pem("X", encoded) + b"\n", LIMIT, ("X",)) == encoded


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"-----BEGIN X-----",
        b"-----BEGIN X-----\nAAAA\n-----END Y-----",
        b"-----BEGIN X-----\n-----END X-----",
        b"-----BEGIN Y-----\nAAAA\n-----END Y-----",
        b"-----BEGIN X-----\nAAAA\n-----END X-----\n-----BEGIN X-----\nAAAA\n-----END X-----",
        b"text -----BEGIN X-----\nAAAA\n-----END X-----",
    ],
)
def test_bodies_that_are_none_of_them(body: bytes) -> None:
    with pytest.raises(Fault) as caught:
        pem.decode_body(body, LIMIT, ("X",))
    assert caught.value.kind is FaultKind.MALFORMED


def test_a_large_body_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Fault) as caught:
        pem.decode_body(b"A" * (3 * LIMIT), LIMIT)
    assert caught.value.kind is FaultKind.TOO_LARGE
    with pytest.raises(Fault):
        pem.decode_body(der.octet_string(b"x").replace(b"\x04", b"\x30") + bytes(LIMIT), LIMIT)


@given(st.binary(max_size=200))
def test_arbitrary_bodies_raise_nothing_but_fault(body: bytes) -> None:
    with contextlib.suppress(Fault):
        pem.decode_body(body, LIMIT)
