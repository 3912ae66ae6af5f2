"""The root key under a key that nobody has: M of N custodians have to come together to use it.

The private key is encrypted (AES-256-GCM) under a random key, which is split by Shamir's scheme and kept nowhere else.
For a key in a PKCS#11 token it is the token's PIN, with the place of the key, that is encrypted so.
Each share is known here by its hash, so that a foreign or mistyped one is told as such, and whose it is goes into the
transcript.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import shares
from pycryptoutil.barrier.shares import Share
from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto.keys import (
    KeyHandle,
    PrivateKey,
    aead_decrypt,
    aead_encrypt,
    load_pkcs8,
    shamir_combine,
    shamir_split,
)
from pycryptoutil.crypto.pkcs11 import KeyReference, Token, TokenConfig, TokenKey
from pycryptoutil.storage import canonical_json

MAX_CUSTODIANS: Final = 20
_ALGORITHM: Final = "aes-256-gcm"
_AAD: Final = b"pycryptoutil ceremony root key\n"


@dataclass(frozen=True, slots=True)
class Custodian:
    """Somebody who holds a share; ``digest`` is SHA-256 of the share in hex."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class NewShare:
    """A share on the way to its custodian."""

    custodian: Custodian
    text: str = field(repr=False)


def check_custodians(names: Sequence[str], threshold: int) -> None:
    """Raise Fault(INVALID) for what is no rule of M of N."""
    problems = (
        (len(set(names)) != len(names), "two custodians have the same name"),
        (not all(name.strip() and name.isprintable() and len(name) <= 100 for name in names), "a name is empty or odd"),
        (not 2 <= len(names) <= MAX_CUSTODIANS, f"there must be 2 to {MAX_CUSTODIANS} custodians"),
        (not 2 <= threshold <= len(names), "the threshold must be at least 2 and at most the number of custodians"),
    )
    for wrong, text in problems:
        if wrong:
            raise Fault(FaultKind.INVALID, text, text)


def lock(
    key: KeyHandle, certificate: bytes, names: Sequence[str], threshold: int, token: TokenConfig | None = None
) -> tuple[bytes, list[NewShare]]:
    """Return the encrypted key, as it is kept, and a share for each custodian. ``token``: where the key is, if so."""
    check_custodians(names, threshold)
    secret, nonce = secrets.token_bytes(32), secrets.token_bytes(12)
    set_id = hashlib.sha256(certificate).digest()[:4]
    texts = [Share(set_id, value).text() for value in shamir_split(secret, len(names), threshold)]
    encrypted = aead_encrypt(_ALGORITHM, secret, nonce, _encode(key, token), _AAD + certificate)
    document = {
        "version": 1,
        "algorithm": _ALGORITHM,
        "nonce": base64.b64encode(nonce).decode("ascii"),
        "ciphertext": base64.b64encode(encrypted).decode("ascii"),
    }
    made = [NewShare(Custodian(name, _digest(text)), text) for name, text in zip(names, texts, strict=True)]
    return canonical_json(document).encode("ascii") + b"\n", made


def unlock(
    locked: bytes, certificate: bytes, custodians: Sequence[Custodian], threshold: int, given: Sequence[str]
) -> tuple[KeyHandle, tuple[str, ...]]:
    """Return the key and whose shares have opened it; Fault(FORBIDDEN) says what is wrong with the shares."""
    found: dict[str, Share] = {}
    by_digest = {one.digest: one.name for one in custodians}
    for number, text in enumerate(given, 1):
        share, name = _parse(text, number), by_digest.get(_digest("".join(text.split())))
        if name is None:
            raise _refused(f"share {number} is not one of this root's")
        if name in found:
            raise _refused(f"the share of {name} was given twice")
        found[name] = share
    if len(found) < threshold:
        raise _refused(f"{threshold} shares are needed, and {len(found)} were given")
    secret = shamir_combine([share.value for share in found.values()][:threshold])
    return _decrypt(locked, certificate, secret), tuple(found)


def _decrypt(locked: bytes, certificate: bytes, secret: bytes) -> KeyHandle:
    try:
        document = json.loads(locked)
        nonce = base64.b64decode(document["nonce"], validate=True)
        encrypted = base64.b64decode(document["ciphertext"], validate=True)
        if document["version"] != 1 or document["algorithm"] != _ALGORITHM:
            raise KeyError
    except (ValueError, KeyError, TypeError, binascii.Error):
        text = "the file of the root key is damaged"
        raise Fault(FaultKind.MALFORMED, text, text) from None
    try:
        opened = aead_decrypt(_ALGORITHM, secret, nonce, encrypted, _AAD + certificate)
    except Fault:
        raise _refused("the shares do not open the root key: it, or the root certificate, was exchanged") from None
    return _in_token(opened) if opened.startswith(b"{") else load_pkcs8(opened)


def _encode(key: KeyHandle, token: TokenConfig | None) -> bytes:
    """PKCS#8, or JSON with what a token is entered by."""
    if isinstance(key, PrivateKey):
        return key.export_pkcs8()
    if token is None or not isinstance(key, TokenKey):
        raise Fault(FaultKind.INTERNAL, f"a root key of {key.algorithm} that is neither here nor in a token")
    found = {"module": token.module, "pin": token.pin, "key": json.loads(key.reference.encode())}
    return json.dumps(found).encode()


def _in_token(encoded: bytes) -> TokenKey:
    """Return the key; Fault(UNAVAILABLE) unless its token is there and takes the PIN."""
    found = json.loads(encoded)
    reference = KeyReference.decode(json.dumps(found["key"]).encode())
    key = Token(TokenConfig(found["module"], reference.token, found["pin"], sessions=1), SystemClock()).key(reference)
    key.check()
    return key


def _parse(text: str, number: int) -> Share:
    try:
        return shares.parse(text)
    except Fault:
        raise _refused(f"share {number} is mistyped, or is no share") from None


def _digest(text: str) -> str:
    return hashlib.sha256(b"pycryptoutil ceremony share\n" + text.encode()).hexdigest()


def _refused(text: str) -> Fault:
    return Fault(FaultKind.FORBIDDEN, text, text)
