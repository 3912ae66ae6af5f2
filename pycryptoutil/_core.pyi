"""The Rust core. Every failure raises pycryptoutil.errors.CoreError, which is a Fault. Imported only by crypto/."""

import os
from collections.abc import Iterable, Sequence
from typing import Self, final

from pycryptoutil.errors import CoreError

__all__ = [
    "BUILD_DIGEST",
    "FIPS",
    "CertificateSigner",
    "JweDecrypter",
    "JweEncrypter",
    "JwsSigner",
    "JwsVerifier",
    "OcspSigner",
    "PrivateKey",
    "PublicKey",
    "SecretKey",
    "SymmetricKey",
    "aead_decrypt",
    "aead_encrypt",
    "aes_kw_unwrap",
    "aes_kw_wrap",
    "base64url_decode",
    "base64url_encode",
    "bench_decrypt_loop",
    "bench_encrypt_loop",
    "bench_mac_loop",
    "bench_sha256",
    "bench_sign_loop",
    "bench_verify_loop",
    "build_crl",
    "build_crl_file",
    "check_crl_entries",
    "constant_time_equal",
    "encode_crl_entries",
    "hkdf",
    "hmac",
    "jwe_encrypt_json",
    "jws_inspect",
    "kmac256",
    "shamir_combine",
    "shamir_split",
]

BUILD_DIGEST: str  # hex SHA-256 over the Rust sources the binary was built from
FIPS: bool  # built with the FIPS module

# algorithm names: RSA-2048 RSA-3072 RSA-4096 EC-P256 EC-P384 EC-P521 Ed25519 ML-DSA-44 ML-DSA-65 ML-DSA-87,
# and keys that do not sign: X25519 ML-KEM-512 ML-KEM-768 ML-KEM-1024
# signature algorithm names: rsa-sha256|384|512, rsa-pss-sha256|384|512, ecdsa-sha256|384|512, ed25519, ml-dsa-44|65|87

@final
class PrivateKey:
    """A private key held in Rust, zeroised when dropped; repr shows the algorithm only; cannot be pickled or copied."""
    @staticmethod
    def generate(algorithm: str) -> PrivateKey: ...
    @staticmethod
    def from_pkcs8(der: bytes) -> PrivateKey: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def public_spki(self) -> bytes: ...
    def public_key(self) -> PublicKey: ...
    def sign(self, signature_algorithm: str, data: bytes) -> bytes: ...
    def sign_digest(self, signature_algorithm: str, digest: bytes) -> bytes:
        """RSA and ECDSA: sign what is hashed already, with the scheme's hash."""
    def ecdh(self, peer_spki: bytes) -> bytes:
        """EC and X25519: the raw shared secret with a peer on the same curve. Derive keys from it."""
    def rsa_decrypt(self, padding: str, ciphertext: bytes) -> bytes:
        """padding: oaep-sha1 | oaep-sha256 | oaep-sha384 | oaep-sha512 (MGF1 with the same hash) | pkcs1.

        Every failure is the same BAD_SIGNATURE. With pkcs1 the caller must not let a peer tell it from a content that
        does not decrypt: go on with a random key of the right length (RFC 3218 section 2.3.2)."""
    def decapsulate(self, ciphertext: bytes) -> bytes:
        """ML-KEM: the 32-octet secret. A ciphertext for another key gives another secret, not an error."""
    def export_pkcs8(self) -> bytes: ...
    def seal(self, key: SymmetricKey, aad: bytes) -> bytes:
        """PKCS#8 encrypted under key (same format as SymmetricKey.encrypt) without passing through Python."""
    @staticmethod
    def unseal(key: SymmetricKey, sealed: bytes, aad: bytes) -> PrivateKey: ...

@final
class PublicKey:
    @staticmethod
    def from_spki(der: bytes) -> PublicKey: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def spki(self) -> bytes: ...
    def verify(self, signature_algorithm: str, data: bytes, signature: bytes) -> None: ...
    def verify_digest(self, signature_algorithm: str, digest: bytes, signature: bytes) -> None: ...
    def rsa_encrypt(self, padding: str, plaintext: bytes) -> bytes: ...
    def encapsulate(self) -> tuple[bytes, bytes]:
        """ML-KEM: (ciphertext, 32-octet secret)."""

@final
class SymmetricKey:
    """32 bytes in Rust, zeroised."""
    @staticmethod
    def generate() -> SymmetricKey: ...
    @staticmethod
    def from_bytes(key: bytes) -> SymmetricKey: ...
    @staticmethod
    def unwrap(kek: SymmetricKey, wrapped: bytes) -> SymmetricKey:
        """AES-KW, RFC 3394."""
    def wrap(self, kek: SymmetricKey) -> bytes: ...
    def derive(self, info: bytes, salt: bytes = b"") -> SymmetricKey:
        """HKDF-SHA256 to a 32-byte key that stays in Rust."""
    def encrypt(self, plaintext: bytes, aad: bytes) -> bytes:
        """AES-256-GCM, random 96-bit nonce: nonce || ciphertext || tag."""
    def decrypt(self, sealed: bytes, aad: bytes) -> bytes: ...
    def hmac(self, algorithm: str, data: bytes) -> bytes:
        """algorithm: sha256 | sha384 | sha512"""
    def export(self) -> bytes: ...
    def seal(self, key: SymmetricKey, aad: bytes) -> bytes:
        """This key encrypted under another without passing through Python."""
    @staticmethod
    def unseal(key: SymmetricKey, sealed: bytes, aad: bytes) -> SymmetricKey: ...

@final
class SecretKey:
    """1 to 1024 octets in Rust, zeroised; repr shows the length only."""
    @staticmethod
    def generate(length: int) -> SecretKey: ...
    @staticmethod
    def from_bytes(key: bytes) -> SecretKey: ...
    def __len__(self) -> int: ...
    def export(self) -> bytes: ...
    def equals(self, other: SecretKey) -> bool:
        """In constant time."""
    def hmac(self, algorithm: str, data: bytes) -> bytes: ...
    def derive(self, algorithm: str, salt: bytes, info: bytes, length: int) -> SecretKey:
        """HKDF with sha256 | sha384 | sha512 to a key that stays in Rust."""
    def encrypt(self, plaintext: bytes, aad: bytes) -> bytes:
        """AES-GCM by the key's length, random 96-bit nonce: nonce || ciphertext || tag."""
    def decrypt(self, sealed: bytes, aad: bytes) -> bytes: ...
    def siv_encrypt(self, plaintext: bytes, aad: Sequence[bytes] | bytes) -> bytes:
        """AES-SIV (RFC 5297) by the key's 32, 48 or 64 octets: synthetic IV || ciphertext, the same every time.

        aad: components of S2V, up to 126; octets alone are one component, an empty sequence is none.
        """
    def siv_decrypt(self, sealed: bytes, aad: Sequence[bytes] | bytes) -> bytes: ...
    def wrap(self, secret: bytes) -> bytes:
        """AES-KW, RFC 3394."""
    def unwrap(self, wrapped: bytes) -> bytes: ...
    def thumbprint(self) -> bytes:
        """SHA-256 of RFC 7638 section 3.2, 32 octets."""
    def seal(self, key: SymmetricKey, aad: bytes) -> bytes: ...
    @staticmethod
    def unseal(key: SymmetricKey, sealed: bytes, aad: bytes) -> SecretKey: ...

@final
class JwsSigner:
    """Signs with one key under one protected header (JSON, whole), which is encoded once. alg must be the header's."""
    def __new__(cls, key: PrivateKey | SecretKey, alg: str, header: bytes) -> Self: ...
    def sign(self, payload: bytes, detached: bool = False) -> str: ...
    def sign_many(self, payloads: Sequence[bytes], detached: bool = False) -> list[str | CoreError]:
        """On every core, the GIL released once; a failure stands in the list."""
    def part(self, payload: bytes) -> tuple[str, str]:
        """Protected header and signature, encoded, for a JSON serialisation."""

@final
class JwsVerifier:
    """A ring of (key, alg, kid); a key serves its alg only, whatever a header says."""
    def __new__(cls, keys: Sequence[tuple[PublicKey | SecretKey, str, str | None]]) -> Self: ...
    def verify(self, token: str | bytes, payload: bytes | None = None) -> tuple[int, bytes, bytes]:
        """Index of the key, protected header JSON, payload; with a detached payload that is b"" here."""
    def verify_many(self, tokens: Sequence[str | bytes]) -> list[tuple[int, bytes, bytes] | CoreError]: ...
    def verify_json(
        self, text: str | bytes, payload: bytes | None = None
    ) -> tuple[bytes, list[tuple[int, bytes] | CoreError]]:
        """The payload, and for each signature the key's index and the header's parameters, or why not."""

def jws_inspect(text: str | bytes, payload: bytes | None = None) -> tuple[bytes, list[tuple[bytes, bytes, bytes]]]:
    """Payload and (header JSON, signing input, signature) of each signature: every check but the signature's."""

@final
class JweEncrypter:
    """Encrypts to one recipient; header is the protected header's JSON without what each message adds."""
    def __new__(cls, key: PublicKey | SecretKey, alg: str, header: bytes) -> Self: ...
    def encrypt(self, plaintext: bytes) -> str: ...
    def encrypt_many(self, plaintexts: Sequence[bytes]) -> list[str | CoreError]: ...

def jwe_encrypt_json(
    recipients: Sequence[tuple[PublicKey | SecretKey, str, bytes]],
    protected: bytes,
    unprotected: bytes,
    aad: bytes | None,
    plaintext: bytes,
    flattened: bool,
) -> str:
    """recipients: (key, alg, its header JSON); enc stands in protected."""

@final
class JweDecrypter:
    """A ring of (key, alg, kid), and the content encryptions that are accepted.

    An enc in place of alg: the key is that content's own, delivered directly ("dir")."""
    def __new__(cls, keys: Sequence[tuple[PrivateKey | SecretKey, str, str | None]], encs: Sequence[str]) -> Self: ...
    def decrypt(self, token: str | bytes) -> tuple[int, bytes, bytes]: ...
    def decrypt_many(self, tokens: Sequence[str | bytes]) -> list[tuple[int, bytes, bytes] | CoreError]: ...
    def decrypt_json(self, text: str | bytes) -> tuple[int, int, bytes, bytes, bytes | None]:
        """Index of the key, of the recipient, header parameters, plaintext, additional authenticated data."""

def base64url_encode(data: bytes) -> str: ...
def base64url_decode(text: str | bytes) -> bytes:
    """Only the canonical form without padding."""

def kmac256(key: bytes, data: bytes, length: int) -> bytes:
    """NIST SP 800-185 with an empty customization string."""

def aead_encrypt(
    algorithm: str, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes
) -> bytes: ...  # aes-128|192|256-gcm, aes-128-cbc-hmac-sha256 aes-192-cbc-hmac-sha384 aes-256-cbc-hmac-sha512
def aead_decrypt(algorithm: str, key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes: ...
def aes_kw_wrap(kek: bytes, key: bytes) -> bytes: ...
def aes_kw_unwrap(kek: bytes, wrapped: bytes) -> bytes: ...
def hkdf(algorithm: str, secret: bytes, salt: bytes, info: bytes, length: int) -> bytes: ...
def hmac(algorithm: str, key: bytes, data: bytes) -> bytes: ...
def constant_time_equal(left: bytes, right: bytes) -> bool: ...
def shamir_split(secret: bytes, shares: int, threshold: int) -> list[bytes]: ...
def shamir_combine(shares: Sequence[bytes]) -> bytes: ...

class CertificateSigner:
    """Builds and signs certificates for one issuer; the constant parts are encoded once and patched."""
    def __new__(cls, key: PrivateKey, signature_algorithm: str, issuer: bytes) -> Self:
        """issuer: DER Name."""
    def tbs(
        self, serial: bytes, not_before: int, not_after: int, subject: bytes, spki: bytes, extensions: bytes
    ) -> bytes:
        """DER TBSCertificate v3. serial: big-endian magnitude; times: Unix seconds (UTCTime to 2049, then
        GeneralizedTime); subject, spki: DER; extensions: DER of SEQUENCE OF Extension (without the [3] tag)."""
    def sign(self, tbs: bytes) -> bytes:
        """DER Certificate over exactly these bytes."""

class OcspSigner:
    """Builds and signs basic OCSP responses (RFC 6960 section 4.2.1) by key hash."""
    def __new__(cls, key: PrivateKey, signature_algorithm: str, certificates: Sequence[bytes]) -> Self:
        """certificates: DER, put into BasicOCSPResponse.certs (empty for a CA-signed response)."""
    def sign(
        self, singles: Sequence[_SingleStatus], produced_at: int, nonce: bytes | None = None, extensions: bytes = b""
    ) -> bytes:
        """A whole DER OCSPResponse. extensions: DER of further responseExtensions, concatenated Extension values."""
    def sign_many(self, singles: Sequence[_SingleStatus], produced_at: int) -> list[bytes]:
        """One response for each, on every core, with the GIL released once."""

# (cert_id DER as asked, status: 0 good 1 revoked 2 unknown, revoked_at Unix or 0, reason or -1, this_update, next_update or 0,
#  singleExtensions: concatenated DER Extension values or b"")
_SingleStatus = tuple[bytes, int, int, int, int, int, bytes]

def build_crl(
    key: PrivateKey,
    signature_algorithm: str,
    issuer: bytes,
    this_update: int,
    next_update: int,
    extensions: bytes,
    entries: Iterable[_CrlEntry | bytes],
) -> bytes:
    """DER CertificateList v2, streaming from the iterator; extensions: DER SEQUENCE OF Extension (AKI, CRLNumber, IDP …).

    An entry is a tuple, or bytes: a run of DER entries (RFC 5280 section 5.1.2.6) as encode_crl_entries makes them, of
    any length. Runs are checked and copied, which is several times as fast as encoding tuples; both may be mixed.
    Memory peaks near the size of the result."""

def build_crl_file(
    path: str | os.PathLike[str],
    key: PrivateKey,
    signature_algorithm: str,
    issuer: bytes,
    this_update: int,
    next_update: int,
    extensions: bytes,
    entries: Iterable[_CrlEntry | bytes],
) -> int:
    """The same into a file (fsynced, renamed into place) in bounded memory; returns its length.

    Ed25519 and ML-DSA sign a message whole, so for them memory holds the list once."""

def encode_crl_entries(entries: Iterable[_CrlEntry | bytes]) -> bytes:
    """The DER run of these entries: what a store can keep beside each revocation and pass to build_crl."""

def check_crl_entries(chunk: bytes) -> int:
    """Count the entries of a DER run; CoreError if it is none."""

_CrlEntry = tuple[bytes, int, int, int]  # serial magnitude, revoked_at Unix, reason or -1, invalidity date Unix or 0

def bench_sign_loop(key: PrivateKey, signature_algorithm: str, data: bytes, count: int) -> float:
    """Seconds for count bare signatures in aws-lc: the limit that benchmarks compare with."""

def bench_sha256(data: bytes) -> float:
    """Seconds for one SHA-256 over data."""

def bench_mac_loop(key: SecretKey, alg: str, data: bytes, count: int) -> float:
    """Seconds for count bare HMACs; alg is JWS's, as below."""

def bench_verify_loop(key: PublicKey, alg: str, data: bytes, signature: bytes, count: int) -> float:
    """Seconds for count bare verifications of a JWS signature."""

def bench_encrypt_loop(key: PublicKey | SecretKey, alg: str, enc: str, plaintext: bytes, count: int) -> float:
    """Seconds for count key deliveries and encryptions, with no token around them."""

def bench_decrypt_loop(key: PrivateKey | SecretKey, alg: str, token: bytes, count: int) -> float:
    """Seconds for count key recoveries and decryptions; the token is parsed once."""
