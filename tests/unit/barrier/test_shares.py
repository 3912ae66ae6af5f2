"""Shares as operators type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import shares
from pycryptoutil.barrier.shares import Share

SHARE = Share(b"set1", bytes(range(50)))


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=60))
def test_what_is_written_is_read(set_id: bytes, value: bytes) -> None:
    share = Share(set_id, value)
    assert shares.parse(share.text()) == share


@given(st.integers(0), st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"))
def test_any_mistyped_character_is_told(position: int, character: str) -> None:
    text = SHARE.text()
    at = position % len(text)
    typed = text[:at] + character + text[at + 1 :]
    try:
        found = shares.parse(typed)
    except Fault:
        assert typed != text
    else:
        assert found == SHARE, "only the unused bits of the last character may differ"


@given(st.text(max_size=300))
def test_anything_else_is_told(text: str) -> None:
    with pytest.raises(Fault) as caught:
        shares.parse(text)
    assert caught.value.kind is FaultKind.INVALID
    if len(text) > 8:
        assert text not in caught.value.detail + caught.value.public


def test_spaces_and_line_ends_do_not_matter() -> None:
    text = SHARE.text()
    assert shares.parse(f"  {text[:20]} {text[20:40]}\n{text[40:]}\r\n") == SHARE


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 20])
def test_a_share_with_its_end_missing_is_told(cut: int) -> None:
    with pytest.raises(Fault):
        shares.parse(SHARE.text()[:-cut])


def test_a_share_shows_itself_only_by_its_text() -> None:
    assert "\\x01" not in repr(SHARE)
    assert SHARE.text() not in repr(SHARE)
