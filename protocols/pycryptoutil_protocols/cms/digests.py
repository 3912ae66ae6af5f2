"""Which hash a signature's content may be digested with, beside those that are signature hashes elsewhere."""

from __future__ import annotations

import hashlib

from pycryptoutil_protocols import algorithms, oids
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

LEGACY = frozenset({"sha1", "md5"})
_SHAKES = {oids.SHAKE128: "shake128", oids.SHAKE256: "shake256", oids.SHAKE256_LEN: "shake256"}
_SHAKE_LENGTHS = {"shake128": 32, "shake256": 64}  # octets (RFC 8702 section 3.1)
_SHA2_SHA3 = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"})
# RFC 8419 section 3.1 (OpenSSL writes SHA-512 for Ed448), RFC 9882 section 3.3: no weaker than the signature
_ALLOWED = {
    "ed25519": frozenset({"sha512"}),
    "ed448": frozenset({"shake256", "sha512"}),
    "ml-dsa-44": _SHA2_SHA3 | {"shake128", "shake256"},
    "ml-dsa-65": frozenset({"sha384", "sha512", "sha3-384", "sha3-512", "shake256"}),
    "ml-dsa-87": frozenset({"sha512", "sha3-512", "shake256"}),
}


def decode_digest(element: Element) -> str:
    """Return the name of a DigestAlgorithmIdentifier, or its object identifier when it has none here."""
    oid, parameters = algorithms.split_algorithm(element)
    if oid == oids.SHAKE256_LEN:
        if parameters is None or parameters.integer() != 512:
            return oid
    elif parameters is not None:
        parameters.null()
    return algorithms.HASH_NAMES.get(oid) or _SHAKES.get(oid) or ("md5" if oid == oids.MD5 else oid)


def check_digest(name: str, signature: str) -> None:
    """Fault(BAD_ALGORITHM) unless a signature of that algorithm may be over signed attributes with this digest."""
    if name not in _ALLOWED.get(signature, {algorithms.signature_hash(signature)}):
        raise Fault(FaultKind.BAD_ALGORITHM, f"{name} digest with {signature}", "the algorithms do not fit")


def digest(name: str, data: bytes, *, legacy: bool = False) -> bytes:
    """Hash ``data``; SHA-1 and MD5 only for a peer that is known to have nothing else."""
    if name in LEGACY and legacy:
        return hashlib.new(name, data, usedforsecurity=False).digest()
    if name in _SHAKE_LENGTHS:
        return hashlib.new(name, data).digest(_SHAKE_LENGTHS[name])  # type: ignore[call-arg]  # it is a SHAKE
    if name in LEGACY:
        raise Fault(FaultKind.BAD_ALGORITHM, f"{name} message digest", f"{_TITLES[name]} is not accepted")
    return algorithms.digest(name, data)


_TITLES = {"sha1": "SHA-1", "md5": "MD5"}
