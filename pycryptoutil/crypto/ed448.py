"""Ed448 private keys, which the core does not have: cryptography holds them."""

from __future__ import annotations

from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from pycryptoutil_protocols.faults import Fault, FaultKind


class Ed448Key:
    """A private key with the face of the core's PrivateKey; it cannot be copied, pickled or shown."""

    __slots__ = ("_key", "public_spki")
    algorithm: Final = "Ed448"

    def __init__(self, key: ed448.Ed448PrivateKey) -> None:
        self._key = key
        self.public_spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @classmethod
    def generate(cls) -> Ed448Key:
        """Return a fresh key."""
        return cls(ed448.Ed448PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> Ed448Key:
        """Return the key of 57 octets; Fault(MALFORMED)."""
        try:
            return cls(ed448.Ed448PrivateKey.from_private_bytes(seed))
        except ValueError as error:
            raise _malformed(str(error)) from None

    @classmethod
    def from_pkcs8(cls, der: bytes) -> Ed448Key:
        """Import a document; Fault(MALFORMED)."""
        try:
            key = load_der_private_key(der, None)
        except (ValueError, TypeError) as error:
            raise _malformed(str(error)) from None
        if not isinstance(key, ed448.Ed448PrivateKey):
            raise _malformed("another algorithm")
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        """Return the signature, 114 octets."""
        return self._key.sign(data)

    def export_pkcs8(self) -> bytes:
        """Return the unencrypted document."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def export_seed(self) -> bytes:
        """Return the 57 octets of the key."""
        return self._key.private_bytes_raw()

    def __repr__(self) -> str:
        return "<PrivateKey Ed448>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key cannot be copied or pickled")


def verify(spki: bytes, data: bytes, signature: bytes) -> None:
    """Raise Fault(BAD_SIGNATURE) unless ``signature`` is over ``data``."""
    key = load_der_public_key(spki)
    if not isinstance(key, ed448.Ed448PublicKey):
        raise _malformed("another algorithm")
    try:
        key.verify(signature, data)
    except InvalidSignature:
        raise Fault(FaultKind.BAD_SIGNATURE, "Ed448", "the signature is not valid") from None


def _malformed(detail: str) -> Fault:
    return Fault(FaultKind.MALFORMED, f"Ed448 key: {detail}", "the key cannot be read")
