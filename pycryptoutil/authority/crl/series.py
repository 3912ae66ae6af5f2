"""The sequences of CRLs that a CA may publish: of all its certificates, of one shard of them, and of what changed.

A certificate belongs to the shard of its serial's last octet, so nothing need be stored with it: the number of shards
is in the shard's name, and a CA that once had eight goes on publishing those eight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pycryptoutil.authority.model import DELTA_SUFFIX, shard_suffix

COUNTS: Final = (2, 4, 8, 16, 32, 64, 128, 256)
_SCOPE: Final = re.compile(r"shard-(\d{1,3})-(\d{1,3})")
_NAME: Final = re.compile(r"(.+)-(\d{1,3})of(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Series:
    """One of them. ``scope`` is how it is stored, ``suffix`` what is behind the CA's public id in its URL."""

    scope: str
    suffix: str = ""
    count: int = 1
    index: int = 0

    def holds(self, octet: int) -> bool:
        """Tell whether a serial that ends in this octet belongs here."""
        return octet % self.count == self.index

    @property
    def tails(self) -> tuple[str, ...]:
        """The last two hex digits of the serials that belong here; nothing where all do."""
        if self.count == 1:
            return ()
        octets = range(self.index, 256, self.count)
        # an imported CA may have a serial of one digit
        return (*(f"{octet:02x}" for octet in octets), *(f"{octet:x}" for octet in octets if octet < 16))


FULL: Final = Series("full")
DELTA: Final = Series("delta", DELTA_SUFFIX)


def shard(count: int, index: int) -> Series:
    """Return one of ``count`` shards."""
    return Series(f"shard-{count}-{index}", shard_suffix(count, index), count, index)


def of_scope(scope: str) -> Series | None:
    """Read a stored name."""
    if scope in {FULL.scope, DELTA.scope}:
        return FULL if scope == FULL.scope else DELTA
    found = _SCOPE.fullmatch(scope)
    return shard(int(found[1]), int(found[2])) if found else None


def of_name(name: str) -> tuple[str, Series] | None:
    """Read ``{public id}-delta`` or ``{public id}-{index}of{count}``; None for anything else."""
    if name.endswith(DELTA_SUFFIX):
        return name.removesuffix(DELTA_SUFFIX), DELTA
    found = _NAME.fullmatch(name)
    if found is None or int(found[3]) not in COUNTS or int(found[2]) >= int(found[3]):
        return None
    made = shard(int(found[3]), int(found[2]))
    return (found[1], made) if name == found[1] + made.suffix else None  # one spelling only
