"""Serial numbers: 136 random bits under an instance prefix, positive, below 2^159 (CA/B BR 7.1 asks for 64 bits)."""

from __future__ import annotations

import secrets
from typing import Final

_PREFIX_OCTETS: Final = 2
_RANDOM_OCTETS: Final = 17
_FLOOR: Final = 0x1000  # the first octet is 0x10 to 0x4f: no leading zero, and no sign bit


def new_serial(instance: int) -> bytes:
    """Return the magnitude of a new serial. Prefixes repeat after 16384 instances, and the random part does not."""
    prefix = _FLOOR + (instance % 0x4000)
    return prefix.to_bytes(_PREFIX_OCTETS, "big") + secrets.token_bytes(_RANDOM_OCTETS)


def to_hex(serial: bytes | int) -> str:
    """Return a serial as the tables and APIs write it: lower-case hex without leading zeros."""
    return f"{serial if isinstance(serial, int) else int.from_bytes(serial, 'big'):x}"


def normal_hex(text: str) -> str:
    """Read what people paste: upper case, colons, 0x, leading zeros. ValueError if it is no serial."""
    digits = text.strip().lower().replace(":", "").replace(" ", "").removeprefix("0x")
    if not 1 <= len(digits) <= 64:
        raise ValueError(text)
    return f"{int(digits, 16):x}"
