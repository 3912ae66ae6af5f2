"""Encrypting to recipients (RFC 5652 section 6, RFC 5083, RFC 5084, RFC 4056/8017 OAEP, RFC 5753).

The content key and, for ECDH, the ephemeral key are random and live only here. Algorithms are those that FIPS 140-3
approves: AES-CBC and AES-GCM, AES-KW, RSA-OAEP with SHA-256, ECDH with the X9.63 KDF (SP 800-56C). PKCS#1 v1.5 is
never written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.algorithms import algorithm_identifier, hash_identifier
from pycryptoutil_protocols.attributes import Attribute
from pycryptoutil_protocols.csr import Capability
from pycryptoutil_protocols.faults import Fault, FaultKind

from .content import content_info

CIPHERS = {
    "aes-128-cbc": (oids.AES_128_CBC, 16),
    "aes-192-cbc": (oids.AES_192_CBC, 24),
    "aes-256-cbc": (oids.AES_256_CBC, 32),
    "aes-128-gcm": (oids.AES_128_GCM, 16),
    "aes-192-gcm": (oids.AES_192_GCM, 24),
    "aes-256-gcm": (oids.AES_256_GCM, 32),
}
CIPHER_NAMES = {oid: name for name, (oid, _) in CIPHERS.items()}
WRAPS = {oids.AES_128_WRAP: 16, oids.AES_192_WRAP: 24, oids.AES_256_WRAP: 32}
WRAP_OIDS = {size: oid for oid, size in WRAPS.items()}
KDF_HASHES: dict[str, hashes.HashAlgorithm] = {
    oids.DH_SHA256_KDF: hashes.SHA256(),
    oids.DH_SHA384_KDF: hashes.SHA384(),
    oids.DH_SHA512_KDF: hashes.SHA512(),
}
TAG_LENGTH = 16


@dataclass(frozen=True, slots=True)
class KeyTransport:
    """An RSA key; named by ``issuer_and_serial`` (DER) or, when that is empty, by ``key_identifier``."""

    spki: bytes = field(repr=False)
    issuer_and_serial: bytes = b""
    key_identifier: bytes = b""


@dataclass(frozen=True, slots=True)
class KeyAgreement:
    """An elliptic curve key; named as in KeyTransport."""

    spki: bytes = field(repr=False)
    issuer_and_serial: bytes = b""
    key_identifier: bytes = b""


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """A symmetric key that both sides have, of 16, 24 or 32 octets."""

    key: bytes = field(repr=False)
    key_identifier: bytes


Recipient = KeyTransport | KeyAgreement | KeyEncryptionKey


def recipient_for_key(spki: bytes, *, issuer_and_serial: bytes = b"", key_identifier: bytes = b"") -> Recipient:
    """Return the recipient that suits a public key; Fault(BAD_ALGORITHM) for one that cannot receive."""
    match _public_key(spki):
        case rsa.RSAPublicKey():
            return KeyTransport(spki, issuer_and_serial, key_identifier)
        case ec.EllipticCurvePublicKey():
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
    content_type: str, content: bytes, recipients: Sequence[Recipient], *, cipher: str = "aes-256-cbc"
) -> bytes:
    """DER ContentInfo of EnvelopedData, or of AuthEnvelopedData for a GCM cipher."""
    oid, size = CIPHERS[cipher]
    key = os.urandom(size)
    infos = der.set_of(_recipient_info(recipient, key) for recipient in recipients)
    if cipher.endswith("-gcm"):
        return _authenticated(content_type, content, oid, key, infos)
    vector = os.urandom(16)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    encrypted = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    # RFC 5652 section 6.1: 0 only while every recipient is a KeyTransRecipientInfo by issuer and serial number
    plain = all(isinstance(one, KeyTransport) and one.issuer_and_serial for one in recipients)
    body = der.sequence(
        der.integer(0 if plain else 2),
        infos,
        _encrypted_content_info(content_type, algorithm_identifier(oid, der.octet_string(vector)), encrypted),
    )
    return content_info(oids.ENVELOPED_DATA, body)


def _authenticated(content_type: str, content: bytes, oid: str, key: bytes, infos: bytes) -> bytes:
    nonce = os.urandom(12)
    # RFC 5083 section 2.1: authAttrs with contentType unless the content is id-data
    attributes = b""
    if content_type != oids.DATA:
        attributes = der.set_of((Attribute(oids.CONTENT_TYPE, (der.oid(content_type),)).encode(),))
    sealed = AESGCM(key).encrypt(nonce, content, attributes or None)
    parameters = der.sequence(der.octet_string(nonce), der.integer(TAG_LENGTH))
    body = der.sequence(
        der.integer(0),
        infos,
        _encrypted_content_info(content_type, algorithm_identifier(oid, parameters), sealed[:-TAG_LENGTH]),
        der.retag(der.context(1), attributes) if attributes else b"",
        der.octet_string(sealed[-TAG_LENGTH:]),
    )
    return content_info(oids.AUTH_ENVELOPED_DATA, body)


def _encrypted_content_info(content_type: str, algorithm: bytes, encrypted: bytes) -> bytes:
    return der.sequence(der.oid(content_type), algorithm, der.implicit(0, encrypted))


def _public_key(spki: bytes) -> object:
    try:
        return serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Fault(FaultKind.MALFORMED, f"recipient key: {error}", "the recipient's key cannot be read") from None


def _recipient_info(recipient: Recipient, key: bytes) -> bytes:
    match recipient:
        case KeyTransport():
            return _key_transport(recipient, key)
        case KeyAgreement():
            return _key_agreement(recipient, key)
        case KeyEncryptionKey():
            return _key_encryption(recipient, key)


def _key_transport(recipient: KeyTransport, key: bytes) -> bytes:
    public = _public_key(recipient.spki)
    if not isinstance(public, rsa.RSAPublicKey):
        raise Fault(FaultKind.BAD_ALGORITHM, "key transport to a key that is not RSA", "an RSA key is needed")
    hashing = hashes.SHA256()
    encrypted = public.encrypt(key, rsa_padding.OAEP(rsa_padding.MGF1(hashing), hashing, None))
    sha256 = hash_identifier("sha256", null=True)
    parameters = der.sequence(der.explicit(0, sha256), der.explicit(1, algorithm_identifier(oids.MGF1, sha256)))
    return der.sequence(
        der.integer(0 if recipient.issuer_and_serial else 2),
        recipient.issuer_and_serial or der.implicit(0, recipient.key_identifier),
        algorithm_identifier(oids.RSAES_OAEP, parameters),
        der.octet_string(encrypted),
    )


def _key_agreement(recipient: KeyAgreement, key: bytes) -> bytes:
    public = _public_key(recipient.spki)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise Fault(FaultKind.BAD_ALGORITHM, "key agreement with a key that is not EC", "an EC key is needed")
    ephemeral = ec.generate_private_key(public.curve)
    wrap = algorithm_identifier(WRAP_OIDS[len(key)])
    secret = ephemeral.exchange(ec.ECDH(), public)
    wrapping = X963KDF(hashes.SHA256(), len(key), shared_info(wrap, len(key), None)).derive(secret)
    spki = der.read(
        ephemeral.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    identifier = recipient.issuer_and_serial or der.explicit(0, der.octet_string(recipient.key_identifier))
    return der.explicit(
        1,
        der.integer(3),
        der.explicit(0, der.retag(der.context(1), spki.encoded)),
        algorithm_identifier(oids.DH_SHA256_KDF, wrap),
        der.sequence(der.sequence(identifier, der.octet_string(aes_key_wrap(wrapping, key)))),
    )


def shared_info(wrap: bytes, size: int, user_keying_material: bytes | None) -> bytes:
    """DER ECC-CMS-SharedInfo (RFC 5753 section 7.2)."""
    return der.sequence(
        wrap,
        der.explicit(0, der.octet_string(user_keying_material)) if user_keying_material is not None else b"",
        der.explicit(2, der.octet_string((8 * size).to_bytes(4, "big"))),
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
