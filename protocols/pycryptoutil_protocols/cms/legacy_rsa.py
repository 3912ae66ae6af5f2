"""RSA with SHA-1 or MD5: told apart from what is accepted, and verified where a profile allows it to an old client."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pycryptoutil_protocols import algorithms, der, oids
from pycryptoutil_protocols.faults import Fault, FaultKind

from .digests import LEGACY

_SIGNATURES = {"1.2.840.113549.1.1.4": "md5", "1.2.840.113549.1.1.5": "sha1", "1.3.14.3.2.29": "sha1"}
_HASHES: dict[str, hashes.HashAlgorithm] = {"md5": hashes.MD5(), "sha1": hashes.SHA1()}  # noqa: S303


def digest_of(signature_algorithm: bytes, digest: str) -> str:
    """Return the old hash of a signature AlgorithmIdentifier, or nothing when it is not one of these."""
    oid, _ = algorithms.split_algorithm(der.read(signature_algorithm))
    if oid == oids.RSA_ENCRYPTION:
        return digest if digest in LEGACY else ""
    return _SIGNATURES.get(oid, "")


def verify(spki: bytes, digest: str, data: bytes, signature: bytes) -> None:
    """Raise Fault(BAD_SIGNATURE) unless ``signature`` is PKCS#1 v1.5 over ``data``; the key must be strong enough."""
    algorithms.key_info(spki)
    try:
        key = load_der_public_key(spki)
        if not isinstance(key, rsa.RSAPublicKey):
            raise Fault(FaultKind.BAD_ALGORITHM, "RSA signature by another key", "the algorithms do not fit")
        key.verify(signature, data, padding.PKCS1v15(), _HASHES[digest])
    except InvalidSignature:
        raise Fault(FaultKind.BAD_SIGNATURE, f"RSA with {digest} does not verify", "not validly signed") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Fault(FaultKind.BAD_ALGORITHM, f"RSA with {digest}: {error}", "not supported") from None
