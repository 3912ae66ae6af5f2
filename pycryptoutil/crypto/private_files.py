"""Private keys as other programs keep them: PKCS#8, PKCS#1 and SEC 1 in PEM or DER, encrypted or not."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from pycryptoutil_protocols.faults import Fault, FaultKind


def needs_passphrase(data: bytes) -> bool:
    """Tell whether a key in PEM is encrypted."""
    return b"ENCRYPTED" in data


def read_private_key(data: bytes, passphrase: bytes | None = None) -> bytes:
    """Return unencrypted PKCS#8, DER; Fault(INVALID) for a wrong passphrase or what is no key, never with its text."""
    load = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
    try:
        key = load(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if needs_passphrase(data) and passphrase is None:
            raise _wrong("the private key is encrypted: its passphrase is needed") from None
        raise _wrong("this is no private key that can be read, or its passphrase is another one") from None
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _wrong(text: str) -> Fault:
    return Fault(FaultKind.INVALID, text, text)
