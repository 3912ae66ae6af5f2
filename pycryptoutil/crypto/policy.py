"""The one algorithm policy: what is approved. Every generate, sign, verify, wrap and hash asks it (FIPS 140-3).

Names of keys and signatures are the core's. SHA-1 appears nowhere here: it only names things (OCSP CertID, SKI).
"""

from __future__ import annotations

import enum
from typing import Final

from pycryptoutil_protocols import algorithms
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto._load import core

FIPS: Final[bool] = core.FIPS
"""Whether the core was built with the FIPS 140-3 module."""


class KeyAlgorithm(enum.StrEnum):
    """Keys that the core generates and holds."""

    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"
    EC_P256 = "EC-P256"
    EC_P384 = "EC-P384"
    EC_P521 = "EC-P521"
    ED25519 = "Ed25519"
    ML_DSA_44 = "ML-DSA-44"
    ML_DSA_65 = "ML-DSA-65"
    ML_DSA_87 = "ML-DSA-87"


class SignatureAlgorithm(enum.StrEnum):
    """Signatures that the core makes."""

    RSA_SHA256 = "rsa-sha256"
    RSA_SHA384 = "rsa-sha384"
    RSA_SHA512 = "rsa-sha512"
    RSA_PSS_SHA256 = "rsa-pss-sha256"
    RSA_PSS_SHA384 = "rsa-pss-sha384"
    RSA_PSS_SHA512 = "rsa-pss-sha512"
    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    ECDSA_SHA512 = "ecdsa-sha512"
    ED25519 = "ed25519"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


HASHES: Final = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"})
"""Hashes approved for signatures and message imprints."""

_RSA: Final = frozenset(alg for alg in SignatureAlgorithm if alg.startswith("rsa-"))
_DEFAULTS: Final = {
    KeyAlgorithm.RSA_2048: SignatureAlgorithm.RSA_SHA256,
    KeyAlgorithm.RSA_3072: SignatureAlgorithm.RSA_SHA256,
    KeyAlgorithm.RSA_4096: SignatureAlgorithm.RSA_SHA384,
    KeyAlgorithm.EC_P256: SignatureAlgorithm.ECDSA_SHA256,
    KeyAlgorithm.EC_P384: SignatureAlgorithm.ECDSA_SHA384,
    KeyAlgorithm.EC_P521: SignatureAlgorithm.ECDSA_SHA512,
    KeyAlgorithm.ED25519: SignatureAlgorithm.ED25519,
    KeyAlgorithm.ML_DSA_44: SignatureAlgorithm.ML_DSA_44,
    KeyAlgorithm.ML_DSA_65: SignatureAlgorithm.ML_DSA_65,
    KeyAlgorithm.ML_DSA_87: SignatureAlgorithm.ML_DSA_87,
}
_SUBJECT_KEYS: Final = frozenset(
    {"EC-P256", "EC-P384", "EC-P521", "Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"}
    | {"ML-KEM-512", "ML-KEM-768", "ML-KEM-1024", "X25519", "X448"}
)
_MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 8192


def key_algorithm(name: str) -> KeyAlgorithm:
    """Return the key algorithm of this name; Fault(BAD_ALGORITHM)."""
    try:
        return KeyAlgorithm(name)
    except ValueError:
        raise Fault(
            FaultKind.BAD_ALGORITHM, f"key algorithm {name[:40]!r}", "the key algorithm is not approved"
        ) from None


def default_signature(key: KeyAlgorithm | str) -> SignatureAlgorithm:
    """Return the signature algorithm that a key uses unless told otherwise."""
    return _DEFAULTS[key_algorithm(key)]


def check_signature(key: KeyAlgorithm | str, signature: SignatureAlgorithm | str) -> SignatureAlgorithm:
    """Return the signature algorithm if a key of this kind may make it; Fault(BAD_ALGORITHM)."""
    owner = key_algorithm(key)
    try:
        wanted = SignatureAlgorithm(signature)
    except ValueError:
        raise Fault(FaultKind.BAD_ALGORITHM, f"signature {signature[:40]!r}", "the algorithm is not approved") from None
    if owner.startswith("RSA-"):
        fits = wanted in _RSA
    elif owner.startswith("EC-"):
        fits = wanted.startswith("ecdsa-")
    else:
        fits = wanted is _DEFAULTS[owner]
    if not fits:
        raise Fault(FaultKind.BAD_ALGORITHM, f"{owner} cannot sign {wanted}", "the key cannot make this signature")
    return wanted


def signature_identifier(name: SignatureAlgorithm | str) -> bytes:
    """Return the DER AlgorithmIdentifier of a signature algorithm."""
    return algorithms.signature_identifier(str(name))


def check_public_key(spki: bytes) -> algorithms.KeyInfo:
    """Return the facts of an approved subject public key; Fault(WEAK_KEY, BAD_ALGORITHM, MALFORMED)."""
    info = algorithms.key_info(spki)
    if info.algorithm.startswith("RSA"):
        if not _MIN_RSA_BITS <= info.bits <= _MAX_RSA_BITS:
            raise Fault(
                FaultKind.WEAK_KEY, f"RSA of {info.bits} bits", f"RSA keys have {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits"
            )
    elif info.algorithm not in _SUBJECT_KEYS:
        raise Fault(FaultKind.BAD_ALGORITHM, f"key {info.algorithm}", "the key algorithm is not approved")
    return info


def check_request_signature(identifier: bytes) -> str:
    """Return the name of a peer's signature algorithm if it is approved; Fault(BAD_ALGORITHM) for SHA-1 and MD5."""
    return algorithms.decode_signature(identifier).name


def check_hash(name: str) -> str:
    """Return the hash's name if approved; Fault(BAD_ALGORITHM)."""
    if name not in HASHES:
        raise Fault(FaultKind.BAD_ALGORITHM, f"hash {name[:40]!r}", "the hash algorithm is not approved")
    return name
