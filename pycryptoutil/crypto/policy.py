"""The one algorithm policy. Every generate, sign, verify, wrap and hash asks here; nothing else lists algorithms.

How an algorithm is written in bytes is :mod:`pycryptoutil_protocols.algorithms`; what may be used is decided here.
"""

from __future__ import annotations

import enum
import math
from functools import lru_cache
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pycryptoutil_protocols import algorithms
from pycryptoutil_protocols.der import read_sequence
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
    ML_DSA_44 = "ML-DSA-44"
    ML_DSA_65 = "ML-DSA-65"
    ML_DSA_87 = "ML-DSA-87"


class AgreementAlgorithm(enum.StrEnum):
    """Keys that agree or decapsulate and never sign; the values are the core's names."""

    X25519 = "X25519"
    ML_KEM_512 = "ML-KEM-512"
    ML_KEM_768 = "ML-KEM-768"
    ML_KEM_1024 = "ML-KEM-1024"


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

AEADS: Final = frozenset(
    {
        "aes-128-gcm",
        "aes-192-gcm",
        "aes-256-gcm",
        "aes-128-cbc-hmac-sha256",
        "aes-192-cbc-hmac-sha384",
        "aes-256-cbc-hmac-sha512",
    }
)

RSA_PADDINGS: Final = frozenset({"oaep-sha1", "oaep-sha256", "oaep-sha384", "oaep-sha512", "pkcs1"})
"""RSA encryption. SHA-1 and PKCS #1 v1.5 are for CMS and SCEP peers that know nothing else; JOSE refuses both."""

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
    KeyAlgorithm.ML_DSA_44: (_S.ML_DSA_44,),
    KeyAlgorithm.ML_DSA_65: (_S.ML_DSA_65,),
    KeyAlgorithm.ML_DSA_87: (_S.ML_DSA_87,),
}
_AGREES: Final = frozenset(algorithm.value for algorithm in AgreementAlgorithm)
# what else is certified for others: kinds that this core has no private keys of
_SUBJECTS_ONLY: Final = frozenset({"Ed448", "X448"})


def default_signature(key: KeyAlgorithm | str) -> SignatureAlgorithm:
    """Return what a key signs with when nothing else is asked."""
    return _SIGNS[_rounded(key)][0]


def signatures_of(key: KeyAlgorithm | str) -> tuple[SignatureAlgorithm, ...]:
    """Return everything that such a key may sign with, the default first."""
    return _SIGNS[_rounded(key)]


def key_algorithm(name: str) -> KeyAlgorithm:
    """Return the algorithm of that name, for keys of our own; Fault(BAD_ALGORITHM)."""
    try:
        return KeyAlgorithm(name)
    except ValueError:
        raise _refused(f"key algorithm {name[:40]!r}") from None


def only_agrees(name: str) -> bool:
    """Tell whether keys of this algorithm agree or decapsulate, and can sign nothing."""
    return name in _AGREES or name == "X448"


def own_key_algorithm(name: str) -> KeyAlgorithm | AgreementAlgorithm:
    """Return the algorithm of that name, of signing keys or of others that the core holds; Fault(BAD_ALGORITHM)."""
    try:
        return AgreementAlgorithm(name)
    except ValueError:
        return key_algorithm(name)


def check_rsa_padding(name: str) -> str:
    """Return the padding if RSA may encrypt with it, else Fault(BAD_ALGORITHM)."""
    if name not in RSA_PADDINGS:
        raise _refused(f"RSA padding {name[:40]!r}")
    return name


def _rounded(name: str) -> KeyAlgorithm:
    """Return the algorithm of that name, where RSA of another size counts as the largest size that it reaches."""
    family, _, bits = name.partition("-")
    if family == "RSA" and bits.isascii() and bits.isdigit() and len(bits) < 6:
        for algorithm in (KeyAlgorithm.RSA_4096, KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_2048):
            if int(bits) >= int(algorithm.removeprefix("RSA-")):
                return algorithm
    return key_algorithm(name)


def signature_algorithm(name: str) -> SignatureAlgorithm:
    """Return the member of that name."""
    try:
        return SignatureAlgorithm(name)
    except ValueError:
        raise _refused(f"signature algorithm {name[:40]!r}") from None


def check_hash(name: str) -> Hash:
    """Return the hash of that name if it may protect something; Fault(BAD_ALGORITHM)."""
    try:
        return Hash(name)
    except ValueError:
        raise _refused(f"hash {name[:40]!r}") from None


def check_signature(key: KeyAlgorithm | str, signature: SignatureAlgorithm | str) -> SignatureAlgorithm:
    """Return the signature algorithm if a key of ours may sign with it, else Fault(BAD_ALGORITHM)."""
    chosen = signature_algorithm(signature)
    if chosen not in signatures_of(key):
        raise _refused(f"{key} does not sign with {chosen}")
    return chosen


def check_verification(key: KeyAlgorithm | str, signature: SignatureAlgorithm | str) -> SignatureAlgorithm:
    """Return the signature algorithm if it is believed from such a key, else Fault(BAD_ALGORITHM).

    Others may pair a curve with the hash of another strength (RFC 5480 section 4 only recommends the same).
    """
    chosen = signature_algorithm(signature)
    if key == "Ed448":
        believed: tuple[SignatureAlgorithm, ...] = (_S.ED448,)
    elif key.startswith("EC-"):
        believed = _ECDSA if key_algorithm(key) else ()
    else:
        believed = signatures_of(key)
    if chosen not in believed:
        raise _refused(f"{chosen} with a key of {key}")
    return chosen


def check_request_signature(identifier: bytes, spki: bytes | None = None) -> SignatureAlgorithm:
    """Read a peer's DER AlgorithmIdentifier, of a CSR for example; with ``spki``, it must go with that key.

    Fault(BAD_ALGORITHM) for SHA-1, MD5, SHA-3, odd RSASSA-PSS parameters and whatever else is not listed here.
    """
    chosen = signature_algorithm(algorithms.decode_signature(identifier).name)
    if spki is not None:
        check_verification(algorithms.key_info(spki).algorithm, chosen)
    return chosen


@lru_cache(maxsize=32)
def signature_identifier(signature: str) -> bytes:
    """DER AlgorithmIdentifier of a signature algorithm."""
    return algorithms.signature_identifier(signature_algorithm(signature))


def check_public_key(spki: bytes) -> algorithms.KeyInfo:
    """Return the facts of a subject's key; Fault(WEAK_KEY, BAD_ALGORITHM, MALFORMED) if it must not be certified.

    RSA from 2048 to 8192 bits is accepted, with an odd exponent over 2^16 (FIPS 186-5), unless its modulus shows one of
    the known weaknesses: small factors, close primes, or the fingerprint of ROCA (CVE-2017-15361).
    """
    info = algorithms.key_info(spki)
    if info.pss_only:
        raise _refused("a public key restricted to RSASSA-PSS")
    if info.algorithm in _SUBJECTS_ONLY:
        try:
            load_der_public_key(spki)
        except (ValueError, UnsupportedAlgorithm) as error:
            detail = f"{info.algorithm} key: {error}"
            raise Fault(FaultKind.MALFORMED, detail, "the public key cannot be read") from None
        return info
    if info.algorithm not in _AGREES:
        _rounded(info.algorithm)
    _core.PublicKey.from_spki(spki)  # canonical encoding; the point is on its curve
    if info.family == "RSA":
        modulus = read_sequence(info.key).any("modulus").integer()
        _check_modulus(modulus)
    return info


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
