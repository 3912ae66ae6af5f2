"""Key handles and the symmetric primitives, with the core's errors as Faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import policy
from pycryptoutil.crypto._load import core, faults

KEY_LENGTH: Final = 32


@final
class SymmetricKey:
    """256 bits held in Rust and zeroised when dropped."""

    __slots__ = ("_handle",)

    def __init__(self, handle: core.SymmetricKey) -> None:
        self._handle = handle

    def __repr__(self) -> str:
        return "<SymmetricKey>"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")

    @property
    def handle(self) -> core.SymmetricKey:
        """For this room only."""
        return self._handle

    @classmethod
    def generate(cls) -> SymmetricKey:
        """Make a random key."""
        with faults():
            return cls(core.SymmetricKey.generate())

    @classmethod
    def from_bytes(cls, key: bytes) -> SymmetricKey:
        """Take 32 octets; Fault(INVALID) for another length."""
        with faults():
            return cls(core.SymmetricKey.from_bytes(key))

    @classmethod
    def unwrap(cls, kek: SymmetricKey, wrapped: bytes) -> SymmetricKey:
        """Unwrap by AES-KW (RFC 3394); Fault(BAD_SIGNATURE) for the wrong key."""
        with faults():
            return cls(core.SymmetricKey.unwrap(kek.handle, wrapped))

    def wrap(self, kek: SymmetricKey) -> bytes:
        """Wrap by AES-KW (RFC 3394)."""
        with faults():
            return self._handle.wrap(kek.handle)

    def derive(self, info: bytes, salt: bytes = b"") -> SymmetricKey:
        """HKDF-SHA256 (RFC 5869) to another key that stays in Rust."""
        with faults():
            return SymmetricKey(self._handle.derive(info, salt))

    def encrypt(self, plaintext: bytes, aad: bytes) -> bytes:
        """AES-256-GCM with a random nonce: nonce, ciphertext, tag."""
        with faults():
            return self._handle.encrypt(plaintext, aad)

    def decrypt(self, sealed: bytes, aad: bytes) -> bytes:
        """Undo :meth:`encrypt`; Fault(BAD_SIGNATURE)."""
        with faults():
            return self._handle.decrypt(sealed, aad)

    def hmac(self, algorithm: str, data: bytes) -> bytes:
        """HMAC with sha256, sha384 or sha512."""
        with faults():
            return self._handle.hmac(algorithm, data)

    def export(self) -> bytes:
        """Give the octets: only for a share, a backup or a library that must have them."""
        return self._handle.export()


@final
class PrivateKey:
    """A private key held in Rust: it signs, and shows itself only to :meth:`export_pkcs8`."""

    __slots__ = ("_algorithm", "_handle", "_spki")

    def __init__(self, handle: core.PrivateKey) -> None:
        self._handle = handle
        self._algorithm = policy.key_algorithm(handle.algorithm) if not handle.algorithm.startswith("RSA") else None
        self._spki = handle.public_spki()

    def __repr__(self) -> str:
        return f"<PrivateKey {self.algorithm}>"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")

    @property
    def handle(self) -> core.PrivateKey:
        """For this room only."""
        return self._handle

    @classmethod
    def generate(cls, algorithm: policy.KeyAlgorithm | str) -> PrivateKey:
        """Make a key; Fault(BAD_ALGORITHM)."""
        with faults():
            return cls(core.PrivateKey.generate(policy.key_algorithm(algorithm)))

    @classmethod
    def from_pkcs8(cls, der: bytes) -> PrivateKey:
        """Import DER PrivateKeyInfo; Fault(MALFORMED, WEAK_KEY, BAD_ALGORITHM)."""
        with faults():
            return cls(core.PrivateKey.from_pkcs8(der))

    @classmethod
    def unseal(cls, key: SymmetricKey, sealed: bytes, aad: bytes) -> PrivateKey:
        """Open what :meth:`seal` made, inside Rust."""
        with faults():
            return cls(core.PrivateKey.unseal(key.handle, sealed, aad))

    @property
    def algorithm(self) -> str:
        """The name of its key algorithm, such as ``EC-P256`` or ``RSA-3072``."""
        return self._algorithm or self._handle.algorithm

    @property
    def public_spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self._spki

    def public_key(self) -> PublicKey:
        """Return the public half."""
        return PublicKey.from_spki(self._spki)

    def sign(self, signature_algorithm: policy.SignatureAlgorithm | str, data: bytes) -> bytes:
        """Sign; ECDSA in DER."""
        with faults():
            return self._handle.sign(str(signature_algorithm), data)

    def seal(self, key: SymmetricKey, aad: bytes) -> bytes:
        """Encrypt its PKCS#8 without passing through Python."""
        with faults():
            return self._handle.seal(key.handle, aad)

    def export_pkcs8(self) -> bytes:
        """Give DER PrivateKeyInfo. The caller audits it."""
        with faults():
            return self._handle.export_pkcs8()


@final
class PublicKey:
    """A public key that verifies."""

    __slots__ = ("_handle",)

    def __init__(self, handle: core.PublicKey) -> None:
        self._handle = handle

    def __repr__(self) -> str:
        return f"<PublicKey {self.algorithm}>"

    @classmethod
    def from_spki(cls, der: bytes) -> PublicKey:
        """Import DER SubjectPublicKeyInfo; Fault(MALFORMED, WEAK_KEY, BAD_ALGORITHM)."""
        with faults():
            return cls(core.PublicKey.from_spki(der))

    @property
    def algorithm(self) -> str:
        """The name of its key algorithm."""
        return self._handle.algorithm

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self._handle.spki()

    def verify(self, signature_algorithm: policy.SignatureAlgorithm | str, data: bytes, signature: bytes) -> None:
        """Raise Fault(BAD_SIGNATURE) unless ``signature`` is over ``data``."""
        with faults():
            self._handle.verify(str(signature_algorithm), data, signature)


def verify(spki: bytes, signature_algorithm: policy.SignatureAlgorithm | str, data: bytes, signature: bytes) -> None:
    """Verify with a DER SubjectPublicKeyInfo; Fault(BAD_SIGNATURE)."""
    PublicKey.from_spki(spki).verify(signature_algorithm, data, signature)


def aead_encrypt(algorithm: str, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """AES-GCM (``aes-128-gcm``, ``aes-192-gcm``, ``aes-256-gcm``), 96-bit nonce: ciphertext and tag."""
    with faults():
        return core.aead_encrypt(algorithm, key, nonce, plaintext, aad)


def aead_decrypt(algorithm: str, key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    """Undo :func:`aead_encrypt`; Fault(BAD_SIGNATURE)."""
    with faults():
        return core.aead_decrypt(algorithm, key, nonce, ciphertext, aad)


def aes_kw_wrap(kek: bytes, key: bytes) -> bytes:
    """AES key wrap (RFC 3394)."""
    with faults():
        return core.aes_kw_wrap(kek, key)


def aes_kw_unwrap(kek: bytes, wrapped: bytes) -> bytes:
    """Undo :func:`aes_kw_wrap`; Fault(BAD_SIGNATURE)."""
    with faults():
        return core.aes_kw_unwrap(kek, wrapped)


def hkdf(algorithm: str, secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF (RFC 5869); ``length`` in octets."""
    with faults():
        return core.hkdf(algorithm, secret, salt, info, length)


def hmac(algorithm: str, key: bytes, data: bytes) -> bytes:
    """HMAC (FIPS 198-1)."""
    with faults():
        return core.hmac(algorithm, key, data)


def require_equal(left: bytes, right: bytes) -> None:
    """Raise Fault(BAD_SIGNATURE) unless both are the same, in constant time."""
    if not core.constant_time_equal(left, right):
        raise Fault(FaultKind.BAD_SIGNATURE, "values differ")


def shamir_split(secret: bytes, shares: int, threshold: int) -> list[bytes]:
    """Split a secret over GF(256) so that any ``threshold`` of ``shares`` give it back (Shamir 1979)."""
    with faults():
        return core.shamir_split(secret, shares, threshold)


def shamir_combine(shares: Sequence[bytes]) -> bytes:
    """Join shares; too few or foreign ones give a wrong secret, which the caller detects by a check value."""
    with faults():
        return core.shamir_combine(shares)
