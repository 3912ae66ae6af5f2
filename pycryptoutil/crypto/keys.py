"""Key handles and the primitives over bytes.

Private and symmetric keys live in the Rust core and are zeroised there, or in a PKCS#11 token; Python holds handles
that cannot be copied, pickled or shown. Every failure is a Fault: the core's :class:`~pycryptoutil.errors.CoreError`
is one.
"""

from __future__ import annotations

from typing import Protocol

from pycryptoutil_protocols import algorithms
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil import _core
from pycryptoutil.crypto import policy
from pycryptoutil.crypto.policy import AgreementAlgorithm, KeyAlgorithm

PrivateKey = _core.PrivateKey
PublicKey = _core.PublicKey
SymmetricKey = _core.SymmetricKey

aead_decrypt = _core.aead_decrypt
aead_encrypt = _core.aead_encrypt
aes_kw_unwrap = _core.aes_kw_unwrap
aes_kw_wrap = _core.aes_kw_wrap
constant_time_equal = _core.constant_time_equal
hkdf = _core.hkdf
hmac = _core.hmac
shamir_combine = _core.shamir_combine
shamir_split = _core.shamir_split

__all__ = [
    "AgreementAlgorithm",
    "KeyAlgorithm",
    "KeyHandle",
    "PrivateKey",
    "PublicKey",
    "SymmetricKey",
    "aead_decrypt",
    "aead_encrypt",
    "aes_kw_unwrap",
    "aes_kw_wrap",
    "constant_time_equal",
    "decapsulate",
    "ecdh",
    "encapsulate",
    "generate",
    "hkdf",
    "hmac",
    "load_pkcs8",
    "require_equal",
    "rsa_decrypt",
    "rsa_encrypt",
    "shamir_combine",
    "shamir_split",
    "sign_digest",
    "sign_loop",
    "verify",
    "verify_digest",
]


class KeyHandle(Protocol):
    """A private key wherever it is: :class:`PrivateKey` in the core, or one in a token. It never shows itself.

    A method that is not for keys of its kind raises Fault(BAD_ALGORITHM); one whose token is away, UNAVAILABLE.
    """

    @property
    def algorithm(self) -> str:
        """The name of what the key is (:class:`~pycryptoutil.crypto.policy.KeyAlgorithm`)."""

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""

    def sign(self, signature_algorithm: str, data: bytes) -> bytes:
        """Sign ``data``; ECDSA signatures are DER (RFC 3279 section 2.2.3)."""

    def rsa_decrypt(self, padding: str, ciphertext: bytes) -> bytes:
        """Decrypt with a padding of :data:`policy.RSA_PADDINGS`; Fault(BAD_SIGNATURE), the same for every cause."""

    def ecdh(self, peer_spki: bytes) -> bytes:
        """Return the raw shared secret with a peer's key on the same curve."""

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Return the secret in an ML-KEM ciphertext."""


def generate(algorithm: KeyAlgorithm | AgreementAlgorithm | str) -> PrivateKey:
    """Generate a key; Fault(BAD_ALGORITHM) for what the policy does not list."""
    return PrivateKey.generate(policy.own_key_algorithm(algorithm))


def load_pkcs8(der: bytes) -> PrivateKey:
    """Import an unencrypted PKCS#8 document; Fault(MALFORMED, BAD_ALGORITHM, WEAK_KEY).

    The same weaknesses are refused as in a subject's key.
    """
    key = PrivateKey.from_pkcs8(der)
    policy.check_public_key(key.public_spki)
    return key


def ecdh(key: PrivateKey, peer_spki: bytes) -> bytes:
    """Return the raw shared secret of an EC or X25519 key and a peer's; derive keys from it, do not use it as one.

    Fault(MALFORMED) for a point that is not on the curve or of small order, BAD_ALGORITHM for another curve.
    """
    return key.ecdh(peer_spki)


def rsa_encrypt(spki: bytes, padding: str, plaintext: bytes) -> bytes:
    """Encrypt to an RSA key with ``padding`` (see :data:`policy.RSA_PADDINGS`); the key is checked first."""
    policy.check_public_key(spki)
    return PublicKey.from_spki(spki).rsa_encrypt(policy.check_rsa_padding(padding), plaintext)


def rsa_decrypt(key: KeyHandle, padding: str, ciphertext: bytes) -> bytes:
    """Decrypt with an RSA key; Fault(BAD_SIGNATURE), the same for every cause.

    With ``pkcs1`` that fault is itself an oracle (RFC 3218): the caller catches it and goes on with a random key, so
    that a peer sees only a content that does not decrypt.
    """
    return key.rsa_decrypt(policy.check_rsa_padding(padding), ciphertext)


def encapsulate(spki: bytes) -> tuple[bytes, bytes]:
    """Return an ML-KEM ciphertext for a public key and the 32-octet secret in it (FIPS 203)."""
    return PublicKey.from_spki(spki).encapsulate()


def decapsulate(key: PrivateKey, ciphertext: bytes) -> bytes:
    """Return the secret in an ML-KEM ciphertext; one that was made for another key gives another secret."""
    return key.decapsulate(ciphertext)


def require_equal(left: bytes, right: bytes) -> None:
    """Raise Fault(BAD_SIGNATURE) unless both are the same, in constant time."""
    if not constant_time_equal(left, right):
        raise Fault(FaultKind.BAD_SIGNATURE, "values differ")


def sign_digest(key: PrivateKey, signature_algorithm: str, digest: bytes) -> bytes:
    """Sign what the caller hashed, with the hash of an RSA or ECDSA scheme; Fault(BAD_ALGORITHM, INVALID)."""
    return key.sign_digest(policy.check_signature(key.algorithm, signature_algorithm), digest)


def sign_loop(key: PrivateKey, signature_algorithm: str, count: int) -> float:
    """Return the seconds that ``count`` bare signatures take, one after the other: what signing is measured against."""
    return _core.bench_sign_loop(key, signature_algorithm, bytes(64), count)


def verify(spki: bytes, signature_algorithm: str, data: bytes, signature: bytes) -> None:
    """Raise Fault(BAD_SIGNATURE) unless ``signature`` is over ``data``; BAD_ALGORITHM, WEAK_KEY, MALFORMED before."""
    info = algorithms.key_info(spki)
    chosen = policy.check_verification(info.algorithm, signature_algorithm)
    if chosen is policy.SignatureAlgorithm.ED448:
        algorithms.verify(spki, policy.signature_identifier(chosen), data, signature)
        return
    PublicKey.from_spki(spki).verify(chosen, data, signature)


def verify_digest(spki: bytes, signature_algorithm: str, digest: bytes, signature: bytes) -> None:
    """Do the same as :func:`verify` for what the caller hashed; Fault(INVALID) for a digest of another length."""
    chosen = policy.check_verification(algorithms.key_info(spki).algorithm, signature_algorithm)
    PublicKey.from_spki(spki).verify_digest(chosen, digest, signature)
