"""Failures of start-up and of the Rust core. Requests fail with ``pycryptoutil_protocols.faults.Fault``."""

from __future__ import annotations

from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

_KINDS: Final = {
    "malformed": (FaultKind.MALFORMED, "the data cannot be decoded"),
    "invalid": (FaultKind.INVALID, "a value is not acceptable"),
    "bad-algorithm": (FaultKind.BAD_ALGORITHM, "the algorithm is not supported"),
    "bad-signature": (FaultKind.BAD_SIGNATURE, "the signature is not valid"),
    "weak-key": (FaultKind.WEAK_KEY, "the key is too weak"),
    "io": (FaultKind.UNAVAILABLE, ""),
    "storage-full": (FaultKind.STORAGE_FULL, ""),
}


class CoreError(Fault):
    """Raised by the Rust core. It is a Fault, so that a hot call needs no wrapper that translates.

    ``detail`` never carries key material or plaintext.
    """

    def __init__(self, kind: str, detail: str) -> None:
        fault, public = _KINDS.get(kind, (FaultKind.INTERNAL, ""))
        super().__init__(fault, detail, public)


class ConfigurationError(Exception):
    """A setting is wrong. ``key`` names it as written in configuration, for example ``barrier.secret_file``."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(f"{key}: {message}" if key else message)
        self.message = message
        self.key = key


class StartupError(Exception):
    """The service cannot start, and why; the text is meant for the operator."""
