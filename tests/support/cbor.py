"""As much CBOR (RFC 8949) as tests write."""

from __future__ import annotations

from typing import Any


def encode(value: Any) -> bytes:
    match value:
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case list():
            return _head(4, len(value)) + b"".join(map(encode, value))
        case dict():
            return _head(5, len(value)) + b"".join(encode(name) + encode(each) for name, each in value.items())
        case _:
            raise TypeError(value)


def _head(major: int, count: int) -> bytes:
    if count < 24:
        return bytes((major << 5 | count,))
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if count < 1 << 8 * size:
            return bytes((major << 5 | info,)) + count.to_bytes(size, "big")
    raise OverflowError(count)
