"""device-attest-01 (draft-ietf-acme-device-attest): what a device's hardware says of its key and of itself.

Two formats: ``apple`` (managed device attestation: the freshness code in the leaf is the digest of the token) and
``step`` (a key in a YubiKey signs the key authorization). Chains are for the caller to verify, against its own anchors.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pycryptoutil_protocols import algorithms, der, x509
from pycryptoutil_protocols.faults import Fault

from .jwk import decode_base64url
from .problems import AcmeFault, ProblemType, refused

_APPLE_SERIAL, _APPLE_UDID = "1.2.840.113635.100.8.9.1", "1.2.840.113635.100.8.9.2"
_APPLE_FRESHNESS = "1.2.840.113635.100.8.11.1"
_YUBICO_SERIAL = "1.3.6.1.4.1.41482.3.7"
_MAX_DEPTH, _MAX_ITEMS, _MAX_OBJECT = 8, 64, 64 * 1024
_SIGNATURES = {"RSA": "rsa-sha256", "EC": "ecdsa-sha256", "EdDSA": "ed25519"}
FORMATS = ("apple", "step")


def bad(text: str) -> AcmeFault:
    """Return the fault of an attestation that proves nothing."""
    return refused(ProblemType.BAD_ATTESTATION_STATEMENT, text)


@dataclass(frozen=True, slots=True)
class Attestation:
    """What holds if the chain does. ``identifiers`` are the names by which the hardware may be asked for."""

    format: str
    chain: tuple[bytes, ...]
    identifiers: frozenset[str]
    spki: bytes


def decode(payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return (format, statement) of a challenge response's ``attObj``."""
    text = payload.get("attObj")
    if not isinstance(text, str) or len(text) > _MAX_OBJECT:
        raise bad("the response has no attObj")
    found, rest = _item(decode_base64url(text, "attObj"), 0)
    if rest or not isinstance(found, dict):
        raise bad("attObj is no CBOR map")
    kind, statement = found.get("fmt"), found.get("attStmt")
    if not isinstance(kind, str) or not isinstance(statement, dict):
        raise bad("attObj has no fmt or attStmt")
    if kind not in FORMATS:
        raise bad(f"the attestation format {kind[:32]!r} is not supported")
    return kind, statement


def check(payload: Mapping[str, Any], token: str, key_authorization: str) -> Attestation:
    """Check everything but the chain; badAttestationStatement."""
    kind, statement = decode(payload)
    chain = statement.get("x5c")
    if not isinstance(chain, list) or not chain or not all(isinstance(one, bytes) for one in chain):
        raise bad("the statement has no x5c")
    try:
        leaf = x509.decode_certificate(chain[0])
        identifiers = _apple(leaf, token) if kind == "apple" else _step(leaf, statement, key_authorization)
    except AcmeFault:
        raise
    except Fault as fault:
        raise bad(f"the statement's certificate is malformed: {fault.public}") from None
    return Attestation(kind, tuple(chain), identifiers, leaf.spki)


def _apple(leaf: x509.Certificate, token: str) -> frozenset[str]:
    freshness = leaf.extension(_APPLE_FRESHNESS)
    if freshness is None or not hmac.compare_digest(freshness.value, hashlib.sha256(token.encode()).digest()):
        raise bad("the freshness code is not of this challenge's token")
    values = (leaf.extension(oid) for oid in (_APPLE_SERIAL, _APPLE_UDID))
    return frozenset(one.value.decode("ascii", "replace") for one in values if one is not None)


def _step(leaf: x509.Certificate, statement: Mapping[str, Any], key_authorization: str) -> frozenset[str]:
    wrapped = statement.get("sig")
    signature, rest = _item(wrapped, 0) if isinstance(wrapped, bytes) else (None, b"")
    if not isinstance(signature, bytes) or rest:
        raise bad("the statement has no sig")
    name = _SIGNATURES.get(algorithms.key_info(leaf.spki).family)
    if name is None:
        raise bad("the attested key is of a kind that is not supported")
    try:
        algorithms.verify(leaf.spki, algorithms.signature_identifier(name), key_authorization.encode(), signature)
    except Fault:
        raise bad("sig is not over the key authorization") from None
    serial = leaf.extension(_YUBICO_SERIAL)
    return frozenset({str(der.read(serial.value).integer())} if serial is not None else ())


# CBOR (RFC 8949), as much of it as attestation objects have: definite lengths, no tags, no floats


def _item(data: bytes, depth: int) -> tuple[Any, bytes]:
    if not data or depth > _MAX_DEPTH:
        raise bad("attObj is no CBOR that is understood")
    major, info = data[0] >> 5, data[0] & 0x1F
    count, rest = _count(info, data[1:])
    match major:
        case 0:
            return count, rest
        case 1:
            return -1 - count, rest
        case 2 | 3:
            if count > len(rest):
                raise bad("attObj is truncated")
            return (rest[:count] if major == 2 else _text(rest[:count])), rest[count:]
        case 4:
            return _array(count, rest, depth)
        case 5:
            return _map(count, rest, depth)
        case 7 if info in (20, 21, 22):
            return {20: False, 21: True, 22: None}[info], rest
        case _:
            raise bad("attObj is no CBOR that is understood")


def _count(info: int, rest: bytes) -> tuple[int, bytes]:
    if info < 24:
        return info, rest
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(info)
    if size is None or len(rest) < size:
        raise bad("attObj is no CBOR that is understood")
    return int.from_bytes(rest[:size], "big"), rest[size:]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise bad("attObj has text that is not UTF-8") from None


def _array(count: int, rest: bytes, depth: int) -> tuple[list[Any], bytes]:
    found = []
    for _ in range(_limited(count)):
        value, rest = _item(rest, depth + 1)
        found.append(value)
    return found, rest


def _map(count: int, rest: bytes, depth: int) -> tuple[dict[str, Any], bytes]:
    found: dict[str, Any] = {}
    for _ in range(_limited(count)):
        name, rest = _item(rest, depth + 1)
        value, rest = _item(rest, depth + 1)
        if not isinstance(name, str) or name in found:
            raise bad("a map's names are different texts")
        found[name] = value
    return found, rest


def _limited(count: int) -> int:
    if count > _MAX_ITEMS:
        raise bad("attObj has too many items")
    return count
