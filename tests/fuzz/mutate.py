"""Deterministic mutations: what the smoke test runs, and what stands in for atheris where it is not installed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_INTERESTING = (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x30, 0x31, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xA0, 0xFF)


def mutations(seeds: Sequence[bytes], seed: str) -> Iterator[bytes]:
    """Yield damaged inputs without end, the same ones for the same ``seed``."""
    source = random.Random(seed)
    yield b""
    yield from seeds
    while True:
        data = bytearray(source.choice(seeds))
        for _ in range(source.choice((1, 1, 1, 2, 3, 8))):
            _mutate(data, source, seeds)
        yield bytes(data)


def _mutate(data: bytearray, source: random.Random, seeds: Sequence[bytes]) -> None:
    if not data:
        data += source.randbytes(source.randrange(1, 16))
        return
    at = source.randrange(len(data))
    match source.randrange(8):
        case 0:
            data[at] ^= 1 << source.randrange(8)
        case 1:
            data[at] = source.choice(_INTERESTING)
        case 2:
            del data[at : at + source.randrange(1, 9)]
        case 3:
            data[at:at] = source.randbytes(source.randrange(1, 9))
        case 4:
            data[at:at] = data[at : at + source.randrange(1, 65)]
        case 5:
            del data[at:]
        case 6:
            other = source.choice(seeds)
            start = source.randrange(len(other))
            data[at : at + 16] = other[start : start + 16]
        case _:
            data[at] = (data[at] + source.choice((-1, 1))) & 0xFF
