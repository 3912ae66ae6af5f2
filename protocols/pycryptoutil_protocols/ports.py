"""What the codecs need from outside, as structural types."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Signer(Protocol):
    """A private key that signs with one fixed algorithm and never shows itself."""

    @property
    def signature_algorithm(self) -> str:
        """The name from :mod:`pycryptoutil.crypto.policy`, for example ``ecdsa-sha256``."""

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""

    def sign(self, data: bytes) -> bytes:
        """Sign ``data``; ECDSA signatures are DER (RFC 3279 section 2.2.3)."""


class Verifier(Protocol):
    """A public key."""

    def verify(self, signature_algorithm: str, data: bytes, signature: bytes) -> None:
        """Raise Fault(BAD_SIGNATURE) unless ``signature`` is over ``data``."""


class Clock(Protocol):
    """Wall and monotonic time."""

    def now(self) -> datetime:
        """UTC, timezone-aware."""

    def monotonic(self) -> float:
        """Seconds, never going backwards."""


class Decryptor(Protocol):
    """A private key that opens what was encrypted to it and never shows itself: what CMS needs of a recipient's key.

    Each method is for keys of its kind, and raises Fault(BAD_ALGORITHM) for others.
    """

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""

    def rsa_decrypt(self, padding: str, ciphertext: bytes) -> bytes:
        """Decrypt with ``oaep-sha1|sha256|sha384|sha512`` or ``pkcs1``; a Fault when the padding is wrong."""

    def ecdh(self, peer_spki: bytes) -> bytes:
        """The shared secret with the key in a SubjectPublicKeyInfo on the same curve."""

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret in an ML-KEM ciphertext."""
