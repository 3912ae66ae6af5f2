"""Wrapping a content key under a symmetric one: AES-KW (RFC 3394), the password's way (RFC 3211), and the KDFs."""

from __future__ import annotations

import hmac
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.algorithms import algorithm_identifier, split_algorithm
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

WRAPS = {oids.AES_128_WRAP: 16, oids.AES_192_WRAP: 24, oids.AES_256_WRAP: 32}
WRAP_OIDS = {size: oid for oid, size in WRAPS.items()}
CBC_SIZES = {oids.AES_128_CBC: 16, oids.AES_192_CBC: 24, oids.AES_256_CBC: 32}
AGREEMENTS: dict[str, hashes.HashAlgorithm] = {  # dhSinglePass-stdDH with the KDF of X9.63 (RFC 5753)
    oids.DH_SHA256_KDF: hashes.SHA256(),
    oids.DH_SHA384_KDF: hashes.SHA384(),
    oids.DH_SHA512_KDF: hashes.SHA512(),
}
HKDF_AGREEMENTS: dict[str, hashes.HashAlgorithm] = {  # the same with HKDF (RFC 8418)
    oids.DH_HKDF_SHA256: hashes.SHA256(),
    oids.DH_HKDF_SHA384: hashes.SHA384(),
    oids.DH_HKDF_SHA512: hashes.SHA512(),
}
_HKDFS: dict[str, hashes.HashAlgorithm] = {
    oids.HKDF_SHA256: hashes.SHA256(),
    oids.HKDF_SHA384: hashes.SHA384(),
    oids.HKDF_SHA512: hashes.SHA512(),
}
_PRFS: dict[str, hashes.HashAlgorithm] = {
    oids.HMAC_SHA1: hashes.SHA1(),  # noqa: S303 - the default of PBKDF2-params; HMAC does not need its collisions away
    oids.HMAC_SHA256: hashes.SHA256(),
    oids.HMAC_SHA384: hashes.SHA384(),
    oids.HMAC_SHA512: hashes.SHA512(),
}
MAX_ITERATIONS = 1_000_000  # half a second
_MAX_SALT = 256
_BLOCK = 16


def cannot_decrypt(detail: str) -> Fault:
    """One public text for every cause, so that the peer learns nothing from which step failed."""
    return Fault(FaultKind.MALFORMED, detail, "the message cannot be decrypted")


def bad_algorithm(detail: str) -> Fault:
    """Return the Fault of an algorithm that is not offered."""
    return Fault(FaultKind.BAD_ALGORITHM, detail, "the algorithm is not supported")


def wrap_size(oid: str) -> int:
    """Return the size of an AES key wrap's key."""
    try:
        return WRAPS[oid]
    except KeyError:
        raise bad_algorithm(f"key wrap {oid}") from None


def unwrap_key(kek: bytes, encrypted: bytes) -> bytes:
    """AES-KW."""
    try:
        return aes_key_unwrap(kek, encrypted)
    except (InvalidUnwrap, ValueError):
        raise cannot_decrypt("AES key unwrap") from None


def agreed_key(oid: str, size: int, info: bytes, secret: bytes) -> bytes:
    """Derive the key-encryption key from an ECDH secret; ``info`` is DER ECC-CMS-SharedInfo."""
    if oid in AGREEMENTS:
        return X963KDF(AGREEMENTS[oid], size, info).derive(secret)
    if oid in HKDF_AGREEMENTS:
        return HKDF(HKDF_AGREEMENTS[oid], size, None, info).derive(secret)
    raise bad_algorithm(f"key agreement {oid}")


def encapsulated_key(derivation: bytes, size: int, info: bytes, secret: bytes) -> bytes:
    """Derive the key-encryption key from a KEM's secret (RFC 9629 section 5); ``derivation`` is DER."""
    oid, parameters = split_algorithm(der.read(derivation))
    if oid not in _HKDFS or parameters is not None:
        raise bad_algorithm(f"key derivation {oid}")
    return HKDF(_HKDFS[oid], size, None, info).derive(secret)


def shared_info(wrap: bytes, size: int, user_keying_material: bytes | None) -> bytes:
    """DER ECC-CMS-SharedInfo (RFC 5753 section 7.2)."""
    return der.sequence(
        wrap,
        der.explicit(0, der.octet_string(user_keying_material)) if user_keying_material is not None else b"",
        der.explicit(2, der.octet_string((8 * size).to_bytes(4, "big"))),
    )


def kem_info(wrap: bytes, size: int, user_keying_material: bytes | None) -> bytes:
    """DER CMSORIforKEMOtherInfo (RFC 9629 section 5)."""
    return der.sequence(
        wrap,
        der.integer(size),
        der.explicit(0, der.octet_string(user_keying_material)) if user_keying_material is not None else b"",
    )


# passwords


def pbkdf2_identifier(salt: bytes, iterations: int, size: int) -> bytes:
    """DER AlgorithmIdentifier of PBKDF2 with HMAC-SHA-256 (RFC 8018 appendix A.2)."""
    prf = algorithm_identifier(oids.HMAC_SHA256, der.null())
    parameters = der.sequence(der.octet_string(salt), der.integer(iterations), der.integer(size), prf)
    return algorithm_identifier(oids.PBKDF2, parameters)


def password_key(
    derivation: bytes | Element, size: int, password: bytes, max_iterations: int = MAX_ITERATIONS
) -> bytes:
    """Derive a key of ``size`` octets as a PBKDF2 AlgorithmIdentifier says; Fault(BAD_ALGORITHM) beyond the limits."""
    element = derivation if isinstance(derivation, Element) else der.read(derivation)
    oid, parameters = split_algorithm(element)
    if oid != oids.PBKDF2 or parameters is None:
        raise bad_algorithm(f"password key derivation {oid}")
    reader = parameters.expect(der.SEQUENCE, "PBKDF2-params").reader()
    salt = reader.take(der.OCTET_STRING, "salt").octets()
    iterations = reader.take(der.INTEGER, "iterationCount").integer()
    length = reader.optional(der.INTEGER)
    prf_field = reader.optional(der.SEQUENCE)
    reader.end("PBKDF2-params")
    prf, prf_parameters = split_algorithm(prf_field) if prf_field is not None else (oids.HMAC_SHA1, None)
    if prf_parameters is not None:
        prf_parameters.null()
    if prf not in _PRFS:
        raise bad_algorithm(f"PBKDF2 with {prf}")
    if not 1 <= iterations <= max_iterations or len(salt) > _MAX_SALT:
        raise bad_algorithm(f"PBKDF2 with {iterations} iterations, limit {max_iterations}")
    if length is not None and length.integer() != size:
        raise bad_algorithm("PBKDF2 key length")
    return PBKDF2HMAC(_PRFS[prf], size, salt, iterations).derive(password)


def pwri_wrap(kek: bytes, vector: bytes, key: bytes) -> bytes:
    """Wrap a key as id-alg-PWRI-KEK does with AES-CBC (RFC 3211 section 2.3.1): encrypted twice."""
    block = bytes((len(key),)) + bytes(octet ^ 0xFF for octet in key[:3]) + key
    size = max(2 * _BLOCK, -(-len(block) // _BLOCK) * _BLOCK)
    once = _cbc_encrypt(kek, vector, block + os.urandom(size - len(block)))
    return _cbc_encrypt(kek, once[-_BLOCK:], once)


def pwri_unwrap(kek: bytes, vector: bytes, encrypted: bytes) -> bytes:
    """Undo ``pwri_wrap``."""
    if len(encrypted) < 2 * _BLOCK or len(encrypted) % _BLOCK or len(vector) != _BLOCK:
        raise cannot_decrypt("PWRI-KEK length")
    last = _cbc_decrypt(kek, encrypted[-2 * _BLOCK : -_BLOCK], encrypted[-_BLOCK:])
    block = _cbc_decrypt(kek, vector, _cbc_decrypt(kek, last, encrypted))
    key = block[4 : 4 + block[0]]
    check = bytes(octet ^ 0xFF for octet in key[:3])
    if len(key) != block[0] or len(key) < 8 or not hmac.compare_digest(check, block[1:4]):
        raise cannot_decrypt("PWRI-KEK check value")
    return key


def _cbc_encrypt(key: bytes, vector: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _cbc_decrypt(key: bytes, vector: bytes, data: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    return decryptor.update(data) + decryptor.finalize()
