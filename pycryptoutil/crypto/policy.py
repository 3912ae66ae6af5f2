"""The one algorithm policy. Every generate, sign, verify, wrap and hash asks here; nothing else lists algorithms.

How an algorithm is written in bytes is :mod:`pycryptoutil_protocols.algorithms`; whether it may be used is decided here.
"""

from __future__ import annotations

import enum
import math
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pycryptoutil_protocols import algorithms
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import _core

FIPS: Final[bool] = _core.FIPS
"""Whether the core carries the FIPS 140-3 module."""


class KeyAlgorithm(enum.StrEnum):
    """What a key is; the values are the core's names."""

    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"
    EC_P256 = "EC-P256"
    EC_P384 = "EC-P384"
    EC_P521 = "EC-P521"
    ED25519 = "Ed25519"
    ED448 = "Ed448"  # in certificates for others; there are no private keys of it here
    ML_DSA_44 = "ML-DSA-44"
    ML_DSA_65 = "ML-DSA-65"
    ML_DSA_87 = "ML-DSA-87"


class SignatureAlgorithm(enum.StrEnum):
    """How a signature is made; the values are the core's names."""

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
    ED448 = "ed448"  # verified only
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


class Hash(enum.StrEnum):
    """Hashes that may protect something. SHA-1 occurs as an identifier only: see :data:`IDENTIFIER_HASHES`."""

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


IDENTIFIER_HASHES: Final = frozenset({"sha1", "sha256", "sha384", "sha512"})
"""Hashes that may name a thing without protecting it: OCSP CertID and ResponderID, key identifiers."""

AEADS: Final = frozenset({"aes-128-gcm", "aes-192-gcm", "aes-256-gcm"})

_S = SignatureAlgorithm
_RSA: Final = (
    _S.RSA_SHA256,
    _S.RSA_SHA384,
    _S.RSA_SHA512,
    _S.RSA_PSS_SHA256,
    _S.RSA_PSS_SHA384,
    _S.RSA_PSS_SHA512,
)
_ECDSA: Final = (_S.ECDSA_SHA256, _S.ECDSA_SHA384, _S.ECDSA_SHA512)
# what our own keys sign with; the first is the default. An EC key signs with the hash of its own strength.
_SIGNS: Final[dict[KeyAlgorithm, tuple[SignatureAlgorithm, ...]]] = {
    KeyAlgorithm.RSA_2048: _RSA,
    KeyAlgorithm.RSA_3072: _RSA,
    KeyAlgorithm.RSA_4096: _RSA,
    KeyAlgorithm.EC_P256: (_S.ECDSA_SHA256,),
    KeyAlgorithm.EC_P384: (_S.ECDSA_SHA384,),
    KeyAlgorithm.EC_P521: (_S.ECDSA_SHA512,),
    KeyAlgorithm.ED25519: (_S.ED25519,),
    KeyAlgorithm.ED448: (),
    KeyAlgorithm.ML_DSA_44: (_S.ML_DSA_44,),
    KeyAlgorithm.ML_DSA_65: (_S.ML_DSA_65,),
    KeyAlgorithm.ML_DSA_87: (_S.ML_DSA_87,),
}
# what is believed from others, by the key's family
_VERIFIES: Final[dict[KeyAlgorithm, tuple[SignatureAlgorithm, ...]]] = {
    **_SIGNS,
    KeyAlgorithm.EC_P256: _ECDSA,
    KeyAlgorithm.EC_P384: _ECDSA,
    KeyAlgorithm.EC_P521: _ECDSA,
    KeyAlgorithm.ED448: (_S.ED448,),
}

GENERATED: Final = frozenset(algorithm for algorithm, signs in _SIGNS.items() if signs)
"""The algorithms that keys are generated and imported for."""


def default_signature(key_algorithm: KeyAlgorithm | str) -> SignatureAlgorithm:
    """Return what a key signs with when nothing else is asked; Fault(BAD_ALGORITHM) for keys that do not sign here."""
    signs = _SIGNS[parse_key_algorithm(key_algorithm)]
    if not signs:
        raise _refused(f"{key_algorithm} does not sign here")
    return signs[0]


def signatures_of(key_algorithm: KeyAlgorithm | str) -> tuple[SignatureAlgorithm, ...]:
    """Return everything that such a key may sign with, the default first."""
    return _SIGNS[parse_key_algorithm(key_algorithm)]


def parse_key_algorithm(name: str) -> KeyAlgorithm:
    """Return the member of that name; RSA of another size counts as the largest size that it reaches."""
    try:
        return KeyAlgorithm(name)
    except ValueError:
        pass
    family, _, bits = name.partition("-")
    if family == "RSA" and bits.isascii() and bits.isdigit() and len(bits) < 6:
        for algorithm in (KeyAlgorithm.RSA_4096, KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_2048):
            if int(bits) >= int(algorithm.removeprefix("RSA-")):
                return algorithm
    raise _refused(f"key algorithm {name[:40]!r}")


def parse_signature_algorithm(name: str) -> SignatureAlgorithm:
    """Return the member of that name."""
    try:
        return SignatureAlgorithm(name)
    except ValueError:
        raise _refused(f"signature algorithm {name[:40]!r}") from None


def parse_hash(name: str) -> Hash:
    """Return the member of that name."""
    try:
        return Hash(name)
    except ValueError:
        raise _refused(f"hash {name[:40]!r}") from None


def check_signs(key_algorithm: str, signature_algorithm: str) -> SignatureAlgorithm:
    """Return the signature algorithm if a key of ours may sign with it, else Fault(BAD_ALGORITHM)."""
    chosen = parse_signature_algorithm(signature_algorithm)
    if chosen not in signatures_of(key_algorithm):
        raise _refused(f"{key_algorithm} does not sign with {chosen}")
    return chosen


def check_verifies(key_algorithm: str, signature_algorithm: str) -> SignatureAlgorithm:
    """Return the signature algorithm if it is believed from such a key, else Fault(BAD_ALGORITHM)."""
    chosen = parse_signature_algorithm(signature_algorithm)
    if chosen not in _VERIFIES[parse_key_algorithm(key_algorithm)]:
        raise _refused(f"{chosen} with a key of {key_algorithm}")
    return chosen


def check_signature_algorithm(identifier: bytes, spki: bytes | None = None) -> SignatureAlgorithm:
    """Read a DER AlgorithmIdentifier, of a CSR for example; with ``spki``, it must go with that key.

    Fault(BAD_ALGORITHM) for SHA-1, MD5, SHA-3, odd RSASSA-PSS parameters and whatever else is not listed here.
    """
    chosen = parse_signature_algorithm(algorithms.decode_signature(identifier).name)
    if spki is not None:
        check_verifies(algorithms.key_info(spki).algorithm, chosen)
    return chosen


@lru_cache(maxsize=32)
def signature_identifier(signature_algorithm: str) -> bytes:
    """DER AlgorithmIdentifier of a signature algorithm."""
    return algorithms.signature_identifier(parse_signature_algorithm(signature_algorithm))


def check_public_key(spki: bytes) -> KeyAlgorithm:
    """Return what a subject's key is; Fault(WEAK_KEY, BAD_ALGORITHM, MALFORMED) if it must not be certified.

    RSA from 2048 to 8192 bits is accepted, with an odd exponent over 2^16 (FIPS 186-5), unless its modulus shows one of
    the known weaknesses: small factors, close primes, or the fingerprint of ROCA (CVE-2017-15361).
    """
    info = algorithms.key_info(spki)
    algorithm = parse_key_algorithm(info.algorithm)
    if info.pss_only:
        raise _refused("a public key restricted to RSASSA-PSS")
    if algorithm is KeyAlgorithm.ED448:
        try:
            load_der_public_key(spki)
        except ValueError as error:
            raise Fault(FaultKind.MALFORMED, f"Ed448 key: {error}", "the public key cannot be read") from None
        return algorithm
    _core.PublicKey.from_spki(spki)  # canonical encoding; the point is on its curve
    if info.family == "RSA":
        key = load_der_public_key(spki)
        if isinstance(key, rsa.RSAPublicKey):
            _check_modulus(key.public_numbers().n)
    return algorithm


def _primes(limit: int) -> list[int]:
    return [number for number in range(3, limit) if all(number % factor for factor in range(2, math.isqrt(number) + 1))]


_SMALL_FACTORS: Final = math.prod(_primes(752))  # the bound of SP 800-89 section 5.3.3
# ROCA's primes are powers of 65537 modulo many small primes, and so are its moduli
_ROCA: Final = [(prime, {pow(65537, power, prime) for power in range(prime)}) for prime in _primes(168)]
_FERMAT_ROUNDS: Final = 100
_SQUARES: Final = frozenset(number * number % 256 for number in range(256))


def _check_modulus(modulus: int) -> None:
    if math.gcd(modulus, _SMALL_FACTORS) != 1:
        raise _weak("the modulus has a small factor")
    if all(modulus % prime in powers for prime, powers in _ROCA):
        raise _weak("the modulus has the fingerprint of CVE-2017-15361")
    # Fermat: primes that are close to each other are found within a few rounds
    middle = math.isqrt(modulus - 1) + 1
    square = middle * middle - modulus
    for _ in range(_FERMAT_ROUNDS):
        if square % 256 in _SQUARES and math.isqrt(square) ** 2 == square:
            raise _weak("the primes of the modulus are close to each other")
        square += 2 * middle + 1
        middle += 1


def _weak(detail: str) -> Fault:
    return Fault(FaultKind.WEAK_KEY, f"RSA: {detail}", "the RSA key is weak")


def _refused(detail: str) -> Fault:
    return Fault(FaultKind.BAD_ALGORITHM, detail, "the algorithm is not supported")
