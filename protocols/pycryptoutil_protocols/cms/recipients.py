"""Encrypting to recipients (RFC 5652 section 6, RFC 5083, RFC 5084, RFC 4056/8017 OAEP, RFC 5753).

The content key and, for ECDH, the ephemeral key are random and live only here. Algorithms are those that FIPS 140-3
approves: AES-CBC and AES-GCM, AES-KW, RSA-OAEP with SHA-256, ECDH with the X9.63 KDF (SP 800-56C), ML-KEM with HKDF
(RFC 9629, RFC 9936), PBKDF2. PKCS#1 v1.5 is written only to whom ``KeyTransport.pkcs1`` says, as SCEP clients need.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, rsa, x25519
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.algorithms import algorithm_identifier, hash_identifier, split_algorithm
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.csr import Capability
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

from .content import content_info
from .enveloped import CIPHER_NAMES, CIPHERS, LEGACY_CIPHERS, TAG_LENGTH, block_cipher
from .keywrap import (
    WRAP_OIDS,
    agreed_key,
    encapsulated_key,
    kem_info,
    password_key,
    pbkdf2_identifier,
    pwri_wrap,
    shared_info,
)

KEMS = {oids.ML_KEM_512: 16, oids.ML_KEM_768: 32, oids.ML_KEM_1024: 32}  # octets of the key that wraps (RFC 9936)
_SMALLEST_WRAPPED = 16  # octets that AES key wrap needs


@dataclass(frozen=True, slots=True)
class KeyTransport:
    """An RSA key; named by ``issuer_and_serial`` (DER) or, when that is empty, by ``key_identifier``."""

    spki: bytes = field(repr=False)
    issuer_and_serial: bytes = b""
    key_identifier: bytes = b""
    pkcs1: bool = False


@dataclass(frozen=True, slots=True)
class KeyAgreement:
    """An elliptic curve or X25519 key; named as in KeyTransport."""

    spki: bytes = field(repr=False)
    issuer_and_serial: bytes = b""
    key_identifier: bytes = b""


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """A symmetric key that both sides have, of 16, 24 or 32 octets."""

    key: bytes = field(repr=False)
    key_identifier: bytes


@dataclass(frozen=True, slots=True)
class KeyEncapsulation:
    """An ML-KEM key; named as in KeyTransport.

    ``encapsulate`` takes the SubjectPublicKeyInfo and returns (KEM ciphertext, secret); without it pyca/cryptography
    does it, which has no ML-KEM-512.
    """

    spki: bytes = field(repr=False)
    issuer_and_serial: bytes = b""
    key_identifier: bytes = b""
    encapsulate: Encapsulate | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Password:
    """A password that both sides have: PBKDF2, then AES-KW (RFC 9481 section 4.4) or PWRI-KEK (RFC 3211)."""

    password: bytes = field(repr=False)
    iterations: int = 100_000
    pwri_kek: bool = False


Encapsulate = Callable[[bytes], tuple[bytes, bytes]]
Recipient = KeyTransport | KeyAgreement | KeyEncryptionKey | KeyEncapsulation | Password


def recipient_for_key(
    spki: bytes,
    *,
    issuer_and_serial: bytes = b"",
    key_identifier: bytes = b"",
    encapsulate: Encapsulate | None = None,
    pkcs1: bool = False,
) -> Recipient:
    """Return the recipient that suits a public key; Fault(BAD_ALGORITHM) for one that cannot receive."""
    oid, _ = split_algorithm(_algorithm_of(spki))
    if oid in KEMS:
        return KeyEncapsulation(spki, issuer_and_serial, key_identifier, encapsulate)
    match _public_key(spki):
        case rsa.RSAPublicKey():
            return KeyTransport(spki, issuer_and_serial, key_identifier, pkcs1)
        case ec.EllipticCurvePublicKey() | x25519.X25519PublicKey():
            return KeyAgreement(spki, issuer_and_serial, key_identifier)
        case _:
            raise Fault(FaultKind.BAD_ALGORITHM, "key cannot receive CMS", "this kind of key cannot decrypt")


def negotiate_cipher(capabilities: Sequence[Capability], default: str = "aes-256-cbc") -> str:
    """Return the content cipher: the first that the client lists and we have, or ``default`` when it lists none.

    A CBC cipher goes before a GCM one, because RFC 7030 names EnvelopedData, and OpenSSL 3.0 cannot read the
    authenticated attributes that AuthEnvelopedData needs here. Fault(BAD_ALGORITHM) when nothing listed is ours.
    """
    offered = [CIPHER_NAMES[one.oid] for one in capabilities if one.oid in CIPHER_NAMES]
    if offered:
        return next((cipher for cipher in offered if cipher.endswith("-cbc")), offered[0])
    if any(one.oid.startswith(_CIPHER_ARCS) for one in capabilities):
        raise Fault(FaultKind.BAD_ALGORITHM, "no common content cipher", "none of the listed ciphers is supported")
    return default


# content encryption identifiers that S/MIME agents list: RSADSI and NIST ciphers, ChaCha20-Poly1305, not key wraps
_CIPHER_ARCS = ("1.2.840.113549.3.", "1.2.840.113549.1.9.16.3.18")


def encrypt(
    content_type: str,
    content: bytes,
    recipients: Sequence[Recipient],
    *,
    cipher: str = "aes-256-cbc",
    bare: bool = False,
) -> bytes:
    """DER ContentInfo of EnvelopedData, or of AuthEnvelopedData for a GCM cipher; ``bare`` without ContentInfo.

    ``des-ede3-cbc`` and ``des-cbc`` are written too, for a client that is known to have nothing else.
    """
    oid, size = (CIPHERS | LEGACY_CIPHERS)[cipher]
    if size < _SMALLEST_WRAPPED and not all(isinstance(one, KeyTransport) for one in recipients):
        raise Fault(FaultKind.BAD_ALGORITHM, f"AES key wrap of a key for {cipher}", "the cipher is not supported")
    key = os.urandom(size)
    infos = der.set_of(_recipient_info(recipient, key) for recipient in recipients)
    if cipher.endswith("-gcm"):
        body = _authenticated(content_type, content, oid, key, infos)
        return body if bare else content_info(oids.AUTH_ENVELOPED_DATA, body)
    chosen = block_cipher(cipher, key)
    vector = os.urandom(chosen.block_size // 8)
    padder = padding.PKCS7(chosen.block_size).padder()
    encryptor = Cipher(chosen, modes.CBC(vector)).encryptor()
    encrypted = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    body = der.sequence(
        der.integer(_version(recipients)),
        infos,
        _encrypted_content_info(content_type, algorithm_identifier(oid, der.octet_string(vector)), encrypted),
    )
    return body if bare else content_info(oids.ENVELOPED_DATA, body)


def _version(recipients: Sequence[Recipient]) -> int:
    """RFC 5652 section 6.1."""
    if any(isinstance(one, Password | KeyEncapsulation) for one in recipients):
        return 3
    return 0 if all(isinstance(one, KeyTransport) and one.issuer_and_serial for one in recipients) else 2


def _authenticated(content_type: str, content: bytes, oid: str, key: bytes, infos: bytes) -> bytes:
    nonce = os.urandom(12)
    # RFC 5083 section 2.1: authAttrs with contentType unless the content is id-data
    attributes = b""
    if content_type != oids.DATA:
        attributes = der.set_of((Attribute(oids.CONTENT_TYPE, (der.oid(content_type),)).encode(),))
    sealed = AESGCM(key).encrypt(nonce, content, attributes or None)
    parameters = der.sequence(der.octet_string(nonce), der.integer(TAG_LENGTH))
    return der.sequence(
        der.integer(0),
        infos,
        _encrypted_content_info(content_type, algorithm_identifier(oid, parameters), sealed[:-TAG_LENGTH]),
        der.retag(der.context(1), attributes) if attributes else b"",
        der.octet_string(sealed[-TAG_LENGTH:]),
    )


def _encrypted_content_info(content_type: str, algorithm: bytes, encrypted: bytes) -> bytes:
    return der.sequence(der.oid(content_type), algorithm, der.implicit(0, encrypted))


def _public_key(spki: bytes) -> object:
    try:
        return serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Fault(FaultKind.MALFORMED, f"recipient key: {error}", "the recipient's key cannot be read") from None


def _algorithm_of(spki: bytes) -> Element:
    return der.read_sequence(spki).take(der.SEQUENCE, "algorithm")


def _recipient_info(recipient: Recipient, key: bytes) -> bytes:
    match recipient:
        case KeyTransport():
            return _key_transport(recipient, key)
        case KeyAgreement():
            return _key_agreement(recipient, key)
        case KeyEncryptionKey():
            return _key_encryption(recipient, key)
        case KeyEncapsulation():
            return _key_encapsulation(recipient, key)
        case Password():
            return _password(recipient, key)


def _key_transport(recipient: KeyTransport, key: bytes) -> bytes:
    public = _public_key(recipient.spki)
    if not isinstance(public, rsa.RSAPublicKey):
        raise Fault(FaultKind.BAD_ALGORITHM, "key transport to a key that is not RSA", "an RSA key is needed")
    if recipient.pkcs1:
        encrypted = public.encrypt(key, rsa_padding.PKCS1v15())
        algorithm = algorithm_identifier(oids.RSA_ENCRYPTION, der.null())
    else:
        hashing = hashes.SHA256()
        encrypted = public.encrypt(key, rsa_padding.OAEP(rsa_padding.MGF1(hashing), hashing, None))
        sha256 = hash_identifier("sha256", null=True)
        parameters = der.sequence(der.explicit(0, sha256), der.explicit(1, algorithm_identifier(oids.MGF1, sha256)))
        algorithm = algorithm_identifier(oids.RSAES_OAEP, parameters)
    return der.sequence(
        der.integer(0 if recipient.issuer_and_serial else 2),
        recipient.issuer_and_serial or der.implicit(0, recipient.key_identifier),
        algorithm,
        der.octet_string(encrypted),
    )


def _key_agreement(recipient: KeyAgreement, key: bytes) -> bytes:
    public = _public_key(recipient.spki)
    ephemeral: ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey
    if isinstance(public, ec.EllipticCurvePublicKey):
        ephemeral = ec.generate_private_key(public.curve)
        secret, scheme = ephemeral.exchange(ec.ECDH(), public), oids.DH_SHA256_KDF
    elif isinstance(public, x25519.X25519PublicKey):
        ephemeral = x25519.X25519PrivateKey.generate()
        secret, scheme = ephemeral.exchange(public), oids.DH_HKDF_SHA256  # RFC 8418 section 2.1
    else:
        raise Fault(FaultKind.BAD_ALGORITHM, "key agreement with a key that is not EC", "an EC key is needed")
    wrap = algorithm_identifier(WRAP_OIDS[len(key)])
    wrapping = agreed_key(scheme, len(key), shared_info(wrap, len(key), None), secret)
    spki = ephemeral.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    identifier = recipient.issuer_and_serial or der.explicit(0, der.octet_string(recipient.key_identifier))
    return der.explicit(
        1,
        der.integer(3),
        der.explicit(0, der.retag(der.context(1), spki)),
        algorithm_identifier(scheme, wrap),
        der.sequence(der.sequence(identifier, der.octet_string(aes_key_wrap(wrapping, key)))),
    )


def _key_encryption(recipient: KeyEncryptionKey, key: bytes) -> bytes:
    oid = WRAP_OIDS.get(len(recipient.key))
    if oid is None:
        raise Fault(FaultKind.BAD_ALGORITHM, "key-encryption key of an odd size", "the key is no AES key")
    return der.explicit(
        2,
        der.integer(4),
        der.sequence(der.octet_string(recipient.key_identifier)),
        algorithm_identifier(oid),
        der.octet_string(aes_key_wrap(recipient.key, key)),
    )


def _key_encapsulation(recipient: KeyEncapsulation, key: bytes) -> bytes:
    kem, _ = split_algorithm(_algorithm_of(recipient.spki))
    size = KEMS.get(kem)
    if size is None:
        raise Fault(FaultKind.BAD_ALGORITHM, "encapsulation to a key that is not ML-KEM", "an ML-KEM key is needed")
    ciphertext, secret = (recipient.encapsulate or _encapsulate)(recipient.spki)
    wrap, derivation = algorithm_identifier(WRAP_OIDS[size]), algorithm_identifier(oids.HKDF_SHA256)
    wrapping = encapsulated_key(derivation, size, kem_info(wrap, size, None), secret)
    info = der.sequence(
        der.integer(0),
        recipient.issuer_and_serial or der.implicit(0, recipient.key_identifier),
        algorithm_identifier(kem),
        der.octet_string(ciphertext),
        derivation,
        der.integer(size),
        wrap,
        der.octet_string(aes_key_wrap(wrapping, key)),
    )
    return der.explicit(4, der.oid(oids.ORI_KEM), info)


def _encapsulate(spki: bytes) -> tuple[bytes, bytes]:
    public = _public_key(spki)
    if not isinstance(public, mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey):
        raise Fault(FaultKind.BAD_ALGORITHM, "ML-KEM-512 without a callable", "this kind of key cannot decrypt")
    secret, ciphertext = public.encapsulate()
    return ciphertext, secret


def _password(recipient: Password, key: bytes) -> bytes:
    derivation = pbkdf2_identifier(os.urandom(16), recipient.iterations, 32)
    wrapping = password_key(derivation, 32, recipient.password, recipient.iterations)
    if recipient.pwri_kek:
        vector = os.urandom(16)
        inner = algorithm_identifier(oids.AES_256_CBC, der.octet_string(vector))
        algorithm, encrypted = algorithm_identifier(oids.PWRI_KEK, inner), pwri_wrap(wrapping, vector, key)
    else:
        algorithm, encrypted = algorithm_identifier(oids.AES_256_WRAP), aes_key_wrap(wrapping, key)
    return der.explicit(
        3, der.integer(0), der.retag(der.context(0), derivation), algorithm, der.octet_string(encrypted)
    )
