"""Reading EnvelopedData and AuthEnvelopedData, and decrypting them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.algorithms import decode_hash, hash_algorithm, split_algorithm
from pycryptoutil_protocols.attributes import decode_attributes, single_value
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind

from .content import split_content_info
from .recipients import CIPHER_NAMES, CIPHERS, KDF_HASHES, TAG_LENGTH, WRAPS, shared_info

_MAX_RECIPIENTS = 32


class RecipientKind(enum.Enum):
    """The choices of RecipientInfo that are read."""

    KEY_TRANSPORT = "ktri"
    KEY_AGREEMENT = "kari"
    KEY_ENCRYPTION_KEY = "kekri"


@dataclass(frozen=True, slots=True)
class RecipientInfo:
    """One recipient, named by ``issuer_and_serial`` (DER) or ``key_identifier``."""

    kind: RecipientKind
    issuer_and_serial: bytes
    key_identifier: bytes
    algorithm: bytes  # DER AlgorithmIdentifier of the key encryption
    encrypted_key: bytes = field(repr=False)
    originator_spki: bytes = field(default=b"", repr=False)  # key agreement: the ephemeral key, as it came
    user_keying_material: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Enveloped:
    """A decoded EnvelopedData, or AuthEnvelopedData when there is a ``tag``."""

    recipients: tuple[RecipientInfo, ...]
    content_type: str
    cipher: str
    vector: bytes = field(repr=False)
    encrypted: bytes = field(repr=False)
    tag: bytes = field(default=b"", repr=False)
    authenticated_attributes: bytes = field(default=b"", repr=False)  # as SET OF: the additional data


Unwrap = Callable[[RecipientInfo], bytes]


def _cannot_decrypt(detail: str) -> Fault:
    # one public text for every cause, so that the peer learns nothing from which step failed
    return Fault(FaultKind.MALFORMED, detail, "the message cannot be decrypted")


def _bad_algorithm(detail: str) -> Fault:
    return Fault(FaultKind.BAD_ALGORITHM, detail, "the algorithm is not supported")


def decode_enveloped(encoded: bytes) -> Enveloped:
    """Decode a ContentInfo of EnvelopedData or AuthEnvelopedData; recipients of other kinds are skipped."""
    kind, element = split_content_info(encoded)
    if kind not in (oids.ENVELOPED_DATA, oids.AUTH_ENVELOPED_DATA):
        raise Fault(FaultKind.UNSUPPORTED, f"CMS content type {kind}", "enveloped data is expected")
    authenticated = kind == oids.AUTH_ENVELOPED_DATA
    reader = element.expect(der.SEQUENCE, "EnvelopedData").reader()
    if reader.take(der.INTEGER, "version").integer() not in ((0,) if authenticated else (0, 2, 3, 4)):
        raise Fault(FaultKind.UNSUPPORTED, "EnvelopedData version", "this version is not supported")
    reader.optional(der.context(0))  # originatorInfo
    infos = reader.take(der.SET, "recipientInfos").children()
    if not 1 <= len(infos) <= _MAX_RECIPIENTS:
        raise Fault(FaultKind.TOO_LARGE, f"{len(infos)} recipients", "no recipient, or too many")
    content = reader.take(der.SEQUENCE, "encryptedContentInfo").reader()
    attributes = reader.optional(der.context(1)) if authenticated else None
    tag = reader.take(der.OCTET_STRING, "mac").octets() if authenticated else b""
    reader.optional(der.context(2 if authenticated else 1))  # unauthenticated, unprotected attributes
    reader.end("EnvelopedData")
    content_type = content.take(der.OID, "contentType").oid()
    cipher, vector = _decode_cipher(content.take(der.SEQUENCE, "contentEncryptionAlgorithm"))
    encrypted = content.take(der.context(0, constructed=False), "encryptedContent").content
    content.end("EncryptedContentInfo")
    if authenticated != cipher.endswith("-gcm") or (authenticated and len(tag) != TAG_LENGTH):
        raise _bad_algorithm("cipher and content type do not fit, or a short tag")
    if attributes is not None:
        kind_attribute = single_value(decode_attributes(attributes.children()), oids.CONTENT_TYPE)
        if kind_attribute is None or der.read(kind_attribute).oid() != content_type:
            raise der.malformed("authenticated content type differs")
    found = (_decode_recipient(info) for info in infos)
    return Enveloped(
        recipients=tuple(one for group in found for one in group),
        content_type=content_type,
        cipher=cipher,
        vector=vector,
        encrypted=encrypted,
        tag=tag,
        authenticated_attributes=der.retag(der.SET, attributes.encoded) if attributes is not None else b"",
    )


def _decode_cipher(element: Element) -> tuple[str, bytes]:
    oid, parameters = split_algorithm(element)
    cipher = CIPHER_NAMES.get(oid)
    if cipher is None or parameters is None:
        raise _bad_algorithm(f"content cipher {oid}")
    if cipher.endswith("-cbc"):
        vector = parameters.octets()
        if len(vector) != 16:
            raise der.malformed("initialisation vector")
        return cipher, vector
    reader = parameters.expect(der.SEQUENCE, "GCMParameters").reader()
    nonce = reader.take(der.OCTET_STRING, "aes-nonce").octets()
    length = reader.optional(der.INTEGER)
    reader.end("GCMParameters")
    if not 8 <= len(nonce) <= 64 or length is None or length.integer() != TAG_LENGTH:
        raise _bad_algorithm("GCM nonce or tag length")
    return cipher, nonce


def _decode_recipient(element: Element) -> tuple[RecipientInfo, ...]:
    if element.tag == der.SEQUENCE:
        return (_decode_transport(element),)
    if element.tag == der.context(1):
        return _decode_agreement(element)
    if element.tag == der.context(2):
        return (_decode_kek(element),)
    return ()


def _decode_transport(element: Element) -> RecipientInfo:
    reader = element.reader()
    reader.take(der.INTEGER, "version")
    issuer_and_serial, key_identifier = _recipient_name(reader.any("rid"))
    algorithm = reader.take(der.SEQUENCE, "keyEncryptionAlgorithm").encoded
    encrypted = reader.take(der.OCTET_STRING, "encryptedKey").octets()
    reader.end("KeyTransRecipientInfo")
    return RecipientInfo(RecipientKind.KEY_TRANSPORT, issuer_and_serial, key_identifier, algorithm, encrypted)


def _recipient_name(element: Element) -> tuple[bytes, bytes]:
    if element.tag == der.context(0, constructed=False):
        return b"", element.content
    if element.tag == der.context(0):  # RecipientKeyIdentifier: a date and another attribute may follow
        return b"", element.reader().take(der.OCTET_STRING, "subjectKeyIdentifier").octets()
    return element.expect(der.SEQUENCE, "issuerAndSerialNumber").encoded, b""


def _decode_agreement(element: Element) -> tuple[RecipientInfo, ...]:
    reader = element.reader()
    reader.take(der.INTEGER, "version")
    originator = reader.take(der.context(0), "originator").inner()
    material = reader.optional(der.context(1))
    algorithm = reader.take(der.SEQUENCE, "keyEncryptionAlgorithm").encoded
    keys = reader.take(der.SEQUENCE, "recipientEncryptedKeys").children()
    reader.end("KeyAgreeRecipientInfo")
    if originator.tag != der.context(1) or len(keys) > _MAX_RECIPIENTS:
        raise Fault(FaultKind.UNSUPPORTED, "static-static key agreement", "only an ephemeral originator is supported")
    ukm = material.inner().octets() if material is not None else None
    found: list[RecipientInfo] = []
    for key in keys:
        inner = key.expect(der.SEQUENCE, "RecipientEncryptedKey").reader()
        issuer_and_serial, key_identifier = _recipient_name(inner.any("rid"))
        encrypted = inner.take(der.OCTET_STRING, "encryptedKey").octets()
        inner.end("RecipientEncryptedKey")
        spki = der.retag(der.SEQUENCE, originator.encoded)
        kind = RecipientKind.KEY_AGREEMENT
        found.append(RecipientInfo(kind, issuer_and_serial, key_identifier, algorithm, encrypted, spki, ukm))
    return tuple(found)


def _decode_kek(element: Element) -> RecipientInfo:
    reader = element.reader()
    reader.take(der.INTEGER, "version")
    identifier = reader.take(der.SEQUENCE, "kekid").reader().take(der.OCTET_STRING, "keyIdentifier").octets()
    algorithm = reader.take(der.SEQUENCE, "keyEncryptionAlgorithm").encoded
    encrypted = reader.take(der.OCTET_STRING, "encryptedKey").octets()
    reader.end("KEKRecipientInfo")
    return RecipientInfo(RecipientKind.KEY_ENCRYPTION_KEY, b"", identifier, algorithm, encrypted)


def decrypt(enveloped: Enveloped, recipient: RecipientInfo, unwrap: Unwrap) -> bytes:
    """Return the content; ``unwrap`` gives the content key of the chosen recipient. Fault(MALFORMED) if it fails."""
    key = unwrap(recipient)
    if len(key) != CIPHERS[enveloped.cipher][1]:
        raise _cannot_decrypt("content key of a wrong size")
    if enveloped.tag:
        try:
            sealed = enveloped.encrypted + enveloped.tag
            return AESGCM(key).decrypt(enveloped.vector, sealed, enveloped.authenticated_attributes or None)
        except InvalidTag:
            raise _cannot_decrypt("GCM tag") from None
    decryptor = Cipher(algorithms.AES(key), modes.CBC(enveloped.vector)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    try:
        padded = decryptor.update(enveloped.encrypted) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise _cannot_decrypt("CBC length or padding") from None


def unwrap_rsa(key: rsa.RSAPrivateKey, *, allow_pkcs1: bool = False) -> Unwrap:
    """Return an unwrapping function for RSA-OAEP; PKCS#1 v1.5 only where old clients leave no choice."""

    def unwrap(recipient: RecipientInfo) -> bytes:
        oid, parameters = split_algorithm(der.read(recipient.algorithm))
        scheme: rsa_padding.AsymmetricPadding
        if oid == oids.RSAES_OAEP:
            scheme = _oaep(parameters)
        elif oid == oids.RSA_ENCRYPTION and allow_pkcs1:
            scheme = rsa_padding.PKCS1v15()  # OpenSSL's implicit rejection gives a random key for bad padding
        else:
            raise _bad_algorithm(f"key transport {oid}")
        try:
            return key.decrypt(recipient.encrypted_key, scheme)
        except ValueError:
            raise _cannot_decrypt("RSA decryption") from None

    return unwrap


def _oaep(parameters: Element | None) -> rsa_padding.OAEP:
    reader = (parameters.expect(der.SEQUENCE, "RSAES-OAEP-params") if parameters else der.read(b"\x30\x00")).reader()
    hash_field, mask_field, label = (reader.optional(der.context(number)) for number in range(3))
    reader.end("RSAES-OAEP-params")
    hashing = hash_algorithm(decode_hash(hash_field.inner()) if hash_field else "sha1")
    mask_hash = "sha1"
    if mask_field is not None:
        oid, inner = split_algorithm(mask_field.inner())
        if oid != oids.MGF1 or inner is None:
            raise _bad_algorithm(f"mask generation {oid}")
        mask_hash = decode_hash(inner)
    if label is not None:
        oid, inner = split_algorithm(label.inner())
        if oid != oids.P_SPECIFIED or inner is None or inner.octets():
            raise _bad_algorithm("OAEP label")
    return rsa_padding.OAEP(rsa_padding.MGF1(hash_algorithm(mask_hash)), hashing, None)


def unwrap_ec(key: ec.EllipticCurvePrivateKey) -> Unwrap:
    """Return an unwrapping function for ephemeral-static ECDH with AES key wrap."""

    def unwrap(recipient: RecipientInfo) -> bytes:
        oid, parameters = split_algorithm(der.read(recipient.algorithm))
        if oid not in KDF_HASHES or parameters is None:
            raise _bad_algorithm(f"key agreement {oid}")
        wrap_oid, _ = split_algorithm(parameters)
        size = WRAPS.get(wrap_oid)
        if size is None:
            raise _bad_algorithm(f"key wrap {wrap_oid}")
        secret = key.exchange(ec.ECDH(), _originator_key(recipient.originator_spki, key.curve))
        info = shared_info(parameters.encoded, size, recipient.user_keying_material)
        return _unwrap(_kdf(KDF_HASHES[oid], size, info, secret), recipient.encrypted_key)

    return unwrap


def _kdf(algorithm: hashes.HashAlgorithm, size: int, info: bytes, secret: bytes) -> bytes:
    return X963KDF(algorithm, size, info).derive(secret)


def _originator_key(spki: bytes, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    """Read the ephemeral key; RFC 5753 lets its parameters be absent or NULL, so only the point is taken."""
    reader = der.read_sequence(spki)
    oid, _ = split_algorithm(reader.take(der.SEQUENCE, "algorithm"))
    point = reader.take(der.BIT_STRING, "publicKey").bits()
    if oid != oids.EC_PUBLIC_KEY:
        raise _bad_algorithm(f"originator key {oid}")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError:
        raise _cannot_decrypt("originator point is not on the curve") from None


def unwrap_kek(kek: bytes) -> Unwrap:
    """Return an unwrapping function for a symmetric key."""

    def unwrap(recipient: RecipientInfo) -> bytes:
        oid, _ = split_algorithm(der.read(recipient.algorithm))
        if WRAPS.get(oid) != len(kek):
            raise _bad_algorithm(f"key wrap {oid}")
        return _unwrap(kek, recipient.encrypted_key)

    return unwrap


def _unwrap(kek: bytes, encrypted: bytes) -> bytes:
    try:
        return aes_key_unwrap(kek, encrypted)
    except InvalidUnwrap:
        raise _cannot_decrypt("AES key unwrap") from None
