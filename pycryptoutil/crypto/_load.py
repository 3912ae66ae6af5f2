"""The Rust core, checked, and its errors as Faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import _core as core
from pycryptoutil.crypto import _guard
from pycryptoutil.errors import CoreError

__all__ = ["core", "fault_of", "faults"]

_guard.check(core.BUILD_DIGEST, Path(__file__).resolve().parents[1])

_KINDS: Final = {
    "malformed": (FaultKind.MALFORMED, "the encoding is malformed"),
    "invalid": (FaultKind.INVALID, "a value is not acceptable"),
    "bad-algorithm": (FaultKind.BAD_ALGORITHM, "the algorithm is not supported"),
    "bad-signature": (FaultKind.BAD_SIGNATURE, "the signature or tag does not verify"),
    "weak-key": (FaultKind.WEAK_KEY, "the key is too weak"),
    "io": (FaultKind.UNAVAILABLE, "a file could not be written"),
}


def fault_of(error: CoreError) -> Fault:
    """Return the Fault of a core error."""
    kind, public = _KINDS.get(error.kind, (FaultKind.INTERNAL, ""))
    return Fault(kind, f"core: {error.detail}", public)


@contextmanager
def faults() -> Iterator[None]:
    """Turn core errors of the block into Faults."""
    try:
        yield
    except CoreError as error:
        raise fault_of(error) from None
