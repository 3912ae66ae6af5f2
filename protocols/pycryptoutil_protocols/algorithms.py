"""Algorithm names ⇄ AlgorithmIdentifier, facts about public keys, and verification.

The names are those of the core (``ecdsa-sha256``, ``EC-P256`` …). This module says what bytes mean; which algorithms
an installation allows is :mod:`pycryptoutil.crypto.policy`. MD5 and SHA-1 signatures have no name here at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from . import der, oids
from .der import Element
from .faults import Fault, FaultKind

_NULL = der.null()
_HASH_OIDS = {
    "sha1": oids.SHA1,
    "sha256": oids.SHA256,
    "sha384": oids.SHA384,
    "sha512": oids.SHA512,
    "sha3-256": oids.SHA3_256,
    "sha3-384": oids.SHA3_384,
    "sha3-512": oids.SHA3_512,
}
HASH_NAMES = {value: name for name, value in _HASH_OIDS.items()}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - identifiers and OAEP only
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
}
_SIGNATURES = {
    "1.2.840.113549.1.1.11": "rsa-sha256",
    "1.2.840.113549.1.1.12": "rsa-sha384",
    "1.2.840.113549.1.1.13": "rsa-sha512",
    "1.2.840.10045.4.3.2": "ecdsa-sha256",
    "1.2.840.10045.4.3.3": "ecdsa-sha384",
    "1.2.840.10045.4.3.4": "ecdsa-sha512",
    "2.16.840.1.101.3.4.3.10": "ecdsa-sha3-256",
    "2.16.840.1.101.3.4.3.11": "ecdsa-sha3-384",
    "2.16.840.1.101.3.4.3.12": "ecdsa-sha3-512",
    "2.16.840.1.101.3.4.3.14": "rsa-sha3-256",
    "2.16.840.1.101.3.4.3.15": "rsa-sha3-384",
    "2.16.840.1.101.3.4.3.16": "rsa-sha3-512",
    oids.ED25519: "ed25519",
    oids.ED448: "ed448",
    oids.ML_DSA_44: "ml-dsa-44",
    oids.ML_DSA_65: "ml-dsa-65",
    oids.ML_DSA_87: "ml-dsa-87",
}
_SIGNATURE_OIDS = {name: value for value, name in _SIGNATURES.items()}
_CURVES = {oids.P256: ("EC-P256", 256), oids.P384: ("EC-P384", 384), oids.P521: ("EC-P521", 521)}
_FIXED_KEYS = {
    oids.ED25519: ("Ed25519", 255),
    oids.ED448: ("Ed448", 448),
    oids.X25519: ("X25519", 255),
    oids.X448: ("X448", 448),
    oids.ML_DSA_44: ("ML-DSA-44", 44),
    oids.ML_DSA_65: ("ML-DSA-65", 65),
    oids.ML_DSA_87: ("ML-DSA-87", 87),
    oids.ML_KEM_512: ("ML-KEM-512", 512),
    oids.ML_KEM_768: ("ML-KEM-768", 768),
    oids.ML_KEM_1024: ("ML-KEM-1024", 1024),
}
_MIN_RSA, _MAX_RSA = 2048, 8192
_MIN_EXPONENT, _MAX_EXPONENT = 1 << 16, 1 << 256  # FIPS 186-5 appendix A.1.1
_MAX_SALT = 1024  # OpenSSL fills an 8192-bit key by default


def _bad_algorithm(detail: str) -> Fault:
    return Fault(FaultKind.BAD_ALGORITHM, detail, "the algorithm is not supported")


def algorithm_identifier(oid: str, parameters: bytes = b"") -> bytes:
    """DER AlgorithmIdentifier; ``parameters`` is encoded already, empty for absent."""
    return der.sequence(der.oid(oid), parameters)


def split_algorithm(element: Element) -> tuple[str, Element | None]:
    """Return (object identifier, parameters or None) of an AlgorithmIdentifier."""
    reader = element.expect(der.SEQUENCE, "AlgorithmIdentifier").reader()
    oid = reader.take(der.OID, "algorithm").oid()
    parameters = reader.any() if reader.peek() else None
    reader.end("AlgorithmIdentifier")
    return oid, parameters


def hash_algorithm(name: str) -> hashes.HashAlgorithm:
    """Return cryptography's object for a hash name."""
    try:
        return _HASHES[name]
    except KeyError:
        raise _bad_algorithm(f"hash {name}") from None


def digest(name: str, data: bytes) -> bytes:
    """Hash ``data``."""
    context = hashes.Hash(hash_algorithm(name))
    context.update(data)
    return context.finalize()


def hash_identifier(name: str, *, null: bool = False) -> bytes:
    """DER AlgorithmIdentifier of a hash; without parameters, as RFC 5754 section 2 prefers, unless ``null``."""
    return algorithm_identifier(_HASH_OIDS[name], _NULL if null else b"")


def decode_hash(element: Element) -> str:
    """Return the name of a hash's AlgorithmIdentifier, with NULL or absent parameters."""
    oid, parameters = split_algorithm(element)
    if parameters is not None:
        parameters.null()
    try:
        return HASH_NAMES[oid]
    except KeyError:
        raise _bad_algorithm(f"hash {oid}") from None


def _pss_parameters(name: str) -> bytes:
    identifier = hash_identifier(name, null=True)  # RFC 4055 section 2.1
    length = hash_algorithm(name).digest_size
    return der.sequence(
        der.explicit(0, identifier),
        der.explicit(1, algorithm_identifier(oids.MGF1, identifier)),
        der.explicit(2, der.integer(length)),
    )


@lru_cache(maxsize=64)  # there are not so many
def signature_identifier(name: str) -> bytes:
    """DER AlgorithmIdentifier of a signature algorithm's name."""
    if name.startswith("rsa-pss-"):
        return algorithm_identifier(oids.RSASSA_PSS, _pss_parameters(name.removeprefix("rsa-pss-")))
    try:
        return algorithm_identifier(_SIGNATURE_OIDS[name], _NULL if name.startswith("rsa-") else b"")
    except KeyError:
        raise _bad_algorithm(f"signature algorithm {name}") from None


def signature_hash(name: str) -> str:
    """Return the hash that goes with a signature algorithm in CMS digestAlgorithm (RFC 8419, RFC 9882: SHA-512)."""
    for prefix in ("rsa-pss-", "rsa-", "ecdsa-"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return "sha512"


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """A decoded signature AlgorithmIdentifier; ``salt_length`` is of RSASSA-PSS, else -1."""

    name: str
    salt_length: int = -1


def decode_signature(identifier: bytes | Element) -> SignatureAlgorithm:
    """Decode a signature AlgorithmIdentifier; Fault(BAD_ALGORITHM) for what has no name here, such as SHA-1."""
    return _decode_signature(identifier.encoded if isinstance(identifier, Element) else identifier)


@lru_cache(maxsize=64)  # the same few again and again
def _decode_signature(identifier: bytes) -> SignatureAlgorithm:
    oid, parameters = split_algorithm(der.read(identifier))
    if oid == oids.RSASSA_PSS:
        if parameters is None:
            raise _bad_algorithm("RSASSA-PSS without parameters")
        return _decode_pss(parameters)
    name = _SIGNATURES.get(oid)
    if name is None:
        raise _bad_algorithm(f"signature algorithm {oid}")
    if parameters is not None:
        if not name.startswith("rsa-"):
            raise der.malformed(f"{name} with parameters")
        parameters.null()
    return SignatureAlgorithm(name)


def _decode_pss(parameters: Element) -> SignatureAlgorithm:
    reader = parameters.expect(der.SEQUENCE, "RSASSA-PSS-params").reader()
    hash_field, mask_field = reader.optional(der.context(0)), reader.optional(der.context(1))
    salt_field, trailer = reader.optional(der.context(2)), reader.optional(der.context(3))
    reader.end("RSASSA-PSS-params")
    if hash_field is None or mask_field is None:
        raise _bad_algorithm("RSASSA-PSS with SHA-1")  # the default
    name = decode_hash(hash_field.inner())
    mask, mask_hash = split_algorithm(mask_field.inner())
    if name == "sha1" or mask != oids.MGF1 or mask_hash is None or decode_hash(mask_hash) != name:
        raise _bad_algorithm("RSASSA-PSS whose mask generation hash differs, or with SHA-1")
    salt = salt_field.inner().integer() if salt_field else 20
    if not 0 <= salt <= _MAX_SALT or (trailer is not None and trailer.inner().integer() != 1):
        raise _bad_algorithm("RSASSA-PSS salt length or trailer")
    return SignatureAlgorithm(f"rsa-pss-{name}", salt)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What a SubjectPublicKeyInfo says: ``algorithm`` is the core's name where there is one."""

    algorithm: str
    family: str  # RSA EC EdDSA XDH ML-DSA ML-KEM
    bits: int
    key: bytes  # content of subjectPublicKey: what key identifiers and OCSP issuerKeyHash hash
    pss_only: bool = False


def key_info(spki: bytes | Element) -> KeyInfo:
    """Decode a SubjectPublicKeyInfo and check the key's form; Fault(BAD_ALGORITHM, WEAK_KEY, MALFORMED)."""
    return _key_info(spki if isinstance(spki, bytes) else spki.encoded)


@lru_cache(maxsize=64)  # one request asks several times about the same key
def _key_info(spki: bytes) -> KeyInfo:
    element = der.read(spki)
    reader = element.expect(der.SEQUENCE, "SubjectPublicKeyInfo").reader()
    oid, parameters = split_algorithm(reader.any("algorithm"))
    key = reader.take(der.BIT_STRING, "subjectPublicKey").bits()
    reader.end("SubjectPublicKeyInfo")
    if oid in (oids.RSA_ENCRYPTION, oids.RSASSA_PSS):
        if oid == oids.RSA_ENCRYPTION and parameters is not None:
            parameters.null()
        bits = _rsa_bits(key)
        return KeyInfo(f"RSA-{bits}", "RSA", bits, key, pss_only=oid == oids.RSASSA_PSS)
    if oid == oids.EC_PUBLIC_KEY:
        if parameters is None or parameters.tag != der.OID or parameters.oid() not in _CURVES:
            raise _bad_algorithm("elliptic curve other than P-256, P-384, P-521")
        name, bits = _CURVES[parameters.oid()]
        return KeyInfo(name, "EC", bits, key)
    if oid not in _FIXED_KEYS:
        raise _bad_algorithm(f"public key algorithm {oid}")
    if parameters is not None:
        raise der.malformed(f"public key algorithm {oid} with parameters")
    name, bits = _FIXED_KEYS[oid]
    family = {"Ed": "EdDSA", "X2": "XDH", "X4": "XDH"}.get(name[:2], name[:6])
    return KeyInfo(name, family, bits, key)


def _rsa_bits(key: bytes) -> int:
    reader = der.read_sequence(key)
    modulus, exponent = reader.any("modulus").integer(), reader.any("publicExponent").integer()
    reader.end("RSAPublicKey")
    bits = modulus.bit_length()
    if modulus <= 0 or modulus % 2 == 0 or exponent % 2 == 0:
        raise Fault(FaultKind.WEAK_KEY, "RSA modulus or exponent is even or negative", "the RSA key is not valid")
    if not _MIN_EXPONENT < exponent < _MAX_EXPONENT:
        raise Fault(FaultKind.WEAK_KEY, "RSA exponent out of range", "the RSA exponent is out of range")
    if not _MIN_RSA <= bits <= _MAX_RSA:
        raise Fault(FaultKind.WEAK_KEY, f"RSA key of {bits} bits", f"RSA keys have {_MIN_RSA} to {_MAX_RSA} bits here")
    return bits


def verify(spki: bytes, algorithm: bytes | Element, data: bytes, signature: bytes) -> None:
    """Raise Fault(BAD_SIGNATURE) unless ``signature`` is over ``data``; BAD_ALGORITHM, WEAK_KEY or MALFORMED before."""
    chosen = decode_signature(algorithm)
    info = key_info(spki)
    name = chosen.name
    if info.pss_only and not name.startswith("rsa-pss-"):
        raise _bad_algorithm("RSASSA-PSS key with another signature algorithm")
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Fault(FaultKind.MALFORMED, f"public key: {error}", "the public key cannot be read") from None
    try:
        match key:
            case rsa.RSAPublicKey() if name.startswith("rsa-"):
                _verify_rsa(key, chosen, data, signature)
            case ec.EllipticCurvePublicKey() if name.startswith("ecdsa-"):
                key.verify(signature, data, ec.ECDSA(hash_algorithm(name.removeprefix("ecdsa-"))))
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey() if name == info.algorithm.lower():
                key.verify(signature, data)
            case mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey() if (
                name == info.algorithm.lower()
            ):
                key.verify(signature, data)
            case _:
                raise _bad_algorithm(f"{name} with a key of {info.algorithm}")
    except InvalidSignature:
        raise Fault(FaultKind.BAD_SIGNATURE, f"{name} does not verify", "the signature is not valid") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad_algorithm(f"{name}: {error}") from None


def _verify_rsa(key: rsa.RSAPublicKey, chosen: SignatureAlgorithm, data: bytes, signature: bytes) -> None:
    chosen_hash = hash_algorithm(chosen.name.removeprefix("rsa-").removeprefix("pss-"))
    if chosen.salt_length >= 0:
        key.verify(signature, data, padding.PSS(padding.MGF1(chosen_hash), chosen.salt_length), chosen_hash)
    else:
        key.verify(signature, data, padding.PKCS1v15(), chosen_hash)
