"""JOSE's part of the algorithm policy, and the core's handles for it. What is not listed here is refused.

Deliberately absent: ``none``; RSA1_5 and RSA-OAEP (SHA-1); PBES2, whose cost the sender chooses; ES256K; compression.
ML-KEM follows draft-ietf-jose-pqc-kem-05, the last version of that draft that speaks of JOSE.
"""

from __future__ import annotations

import enum
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import _core
from pycryptoutil.crypto.policy import AgreementAlgorithm, KeyAlgorithm

SecretKey = _core.SecretKey
JwsSigner = _core.JwsSigner
JwsVerifier = _core.JwsVerifier
JweEncrypter = _core.JweEncrypter
JweDecrypter = _core.JweDecrypter
base64url_decode = _core.base64url_decode
base64url_encode = _core.base64url_encode
jwe_encrypt_json = _core.jwe_encrypt_json
jws_inspect = _core.jws_inspect
kmac256 = _core.kmac256

__all__ = [
    "ENC_NAMES",
    "HMAC_BYTES",
    "JWS_NAMES",
    "KEY_BYTES",
    "SIV_BYTES",
    "ContentEncryption",
    "JweAlgorithm",
    "JweDecrypter",
    "JweEncrypter",
    "JwsAlgorithm",
    "JwsSigner",
    "JwsVerifier",
    "SecretKey",
    "base64url_decode",
    "base64url_encode",
    "content_encryption",
    "encryption_algorithms",
    "jwe_algorithm",
    "jwe_encrypt_json",
    "jws_algorithm",
    "jws_inspect",
    "kmac256",
    "signature_algorithms",
]


class JwsAlgorithm(enum.StrEnum):
    """RFC 7518, 8037, 9864 and 9964."""

    HS256 = "HS256"
    HS384 = "HS384"
    HS512 = "HS512"
    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"
    ED25519 = "Ed25519"
    ED448 = "Ed448"
    ML_DSA_44 = "ML-DSA-44"
    ML_DSA_65 = "ML-DSA-65"
    ML_DSA_87 = "ML-DSA-87"


class JweAlgorithm(enum.StrEnum):
    """RFC 7518 and draft-ietf-jose-pqc-kem-05."""

    DIR = "dir"
    A128KW = "A128KW"
    A192KW = "A192KW"
    A256KW = "A256KW"
    A128GCMKW = "A128GCMKW"
    A192GCMKW = "A192GCMKW"
    A256GCMKW = "A256GCMKW"
    RSA_OAEP_256 = "RSA-OAEP-256"
    RSA_OAEP_384 = "RSA-OAEP-384"
    RSA_OAEP_512 = "RSA-OAEP-512"
    ECDH_ES = "ECDH-ES"
    ECDH_ES_A128KW = "ECDH-ES+A128KW"
    ECDH_ES_A192KW = "ECDH-ES+A192KW"
    ECDH_ES_A256KW = "ECDH-ES+A256KW"
    ML_KEM_512 = "ML-KEM-512"
    ML_KEM_768 = "ML-KEM-768"
    ML_KEM_1024 = "ML-KEM-1024"
    ML_KEM_512_A128KW = "ML-KEM-512+A128KW"
    ML_KEM_768_A192KW = "ML-KEM-768+A192KW"
    ML_KEM_1024_A256KW = "ML-KEM-1024+A256KW"


class ContentEncryption(enum.StrEnum):
    """RFC 7518 section 5."""

    A128GCM = "A128GCM"
    A192GCM = "A192GCM"
    A256GCM = "A256GCM"
    A128CBC_HS256 = "A128CBC-HS256"
    A192CBC_HS384 = "A192CBC-HS384"
    A256CBC_HS512 = "A256CBC-HS512"


JWS_NAMES: Final = frozenset(alg.value for alg in JwsAlgorithm)
ENC_NAMES: Final = frozenset(enc.value for enc in ContentEncryption)

_S = JwsAlgorithm
_E = JweAlgorithm

HMAC_BYTES: Final[dict[str, int]] = {_S.HS256: 32, _S.HS384: 48, _S.HS512: 64}
"""Shortest keys (RFC 7518 section 3.2), which is also what is generated."""

KEY_BYTES: Final[dict[str, int]] = {
    "A128KW": 16,
    "A192KW": 24,
    "A256KW": 32,
    "A128GCMKW": 16,
    "A192GCMKW": 24,
    "A256GCMKW": 32,
    "A128GCM": 16,
    "A192GCM": 24,
    "A256GCM": 32,
    "A128CBC-HS256": 32,
    "A192CBC-HS384": 48,
    "A256CBC-HS512": 64,
}
"""Octets of a symmetric key by the name of its algorithm."""

SIV_BYTES: Final[dict[str, int]] = {"A128SIV": 32, "A192SIV": 48, "A256SIV": 64}
"""Octets of a key for AES-SIV (RFC 5297), by our own names: JOSE has none, and so no JWE is made with them."""

_RSA_SIGNS: Final = (_S.PS256, _S.PS384, _S.PS512, _S.RS256, _S.RS384, _S.RS512)
_SIGNS: Final[dict[str, tuple[JwsAlgorithm, ...]]] = {
    KeyAlgorithm.EC_P256: (_S.ES256,),
    KeyAlgorithm.EC_P384: (_S.ES384,),
    KeyAlgorithm.EC_P521: (_S.ES512,),
    KeyAlgorithm.ED25519: (_S.EDDSA, _S.ED25519),
    "Ed448": (_S.EDDSA, _S.ED448),
    KeyAlgorithm.ML_DSA_44: (_S.ML_DSA_44,),
    KeyAlgorithm.ML_DSA_65: (_S.ML_DSA_65,),
    KeyAlgorithm.ML_DSA_87: (_S.ML_DSA_87,),
}
_ECDH: Final = (_E.ECDH_ES_A256KW, _E.ECDH_ES_A192KW, _E.ECDH_ES_A128KW, _E.ECDH_ES)
_ENCRYPTS: Final[dict[str, tuple[JweAlgorithm, ...]]] = {
    KeyAlgorithm.EC_P256: _ECDH,
    KeyAlgorithm.EC_P384: _ECDH,
    KeyAlgorithm.EC_P521: _ECDH,
    AgreementAlgorithm.X25519: _ECDH,
    AgreementAlgorithm.ML_KEM_512: (_E.ML_KEM_512_A128KW, _E.ML_KEM_512),
    AgreementAlgorithm.ML_KEM_768: (_E.ML_KEM_768_A192KW, _E.ML_KEM_768),
    AgreementAlgorithm.ML_KEM_1024: (_E.ML_KEM_1024_A256KW, _E.ML_KEM_1024),
}


def jws_algorithm(name: str) -> JwsAlgorithm:
    """Return the member of that name; Fault(BAD_ALGORITHM)."""
    try:
        return JwsAlgorithm(name)
    except ValueError:
        raise _refused(f"JWS alg {name[:40]!r}") from None


def jwe_algorithm(name: str) -> JweAlgorithm:
    """Return the member of that name; Fault(BAD_ALGORITHM)."""
    try:
        return JweAlgorithm(name)
    except ValueError:
        raise _refused(f"JWE alg {name[:40]!r}") from None


def content_encryption(name: str) -> ContentEncryption:
    """Return the member of that name; Fault(BAD_ALGORITHM)."""
    try:
        return ContentEncryption(name)
    except ValueError:
        raise _refused(f"JWE enc {name[:40]!r}") from None


def signature_algorithms(key: str) -> tuple[JwsAlgorithm, ...]:
    """Return what an asymmetric key of that algorithm signs with in JWS, none if it does not."""
    return _RSA_SIGNS if key.startswith("RSA-") else _SIGNS.get(key, ())


def encryption_algorithms(key: str) -> tuple[JweAlgorithm, ...]:
    """Return by which JWE algorithms an asymmetric key of that algorithm receives, the preferred first."""
    if key.startswith("RSA-"):
        return (_E.RSA_OAEP_256, _E.RSA_OAEP_384, _E.RSA_OAEP_512)
    return _ENCRYPTS.get(key, ())


def _refused(detail: str) -> Fault:
    return Fault(FaultKind.BAD_ALGORITHM, detail, "the algorithm is not supported")
