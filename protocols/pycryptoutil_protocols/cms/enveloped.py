"""Reading EnvelopedData and AuthEnvelopedData, and decrypting them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.algorithms import split_algorithm
from pycryptoutil_protocols.attributes import decode_attributes, single_value
from pycryptoutil_protocols.ber import joined_octets
from pycryptoutil_protocols.der import Element
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Certificate

from .content import MAX_CMS, MAX_DEPTH, names_certificate, split_content_info
from .keywrap import bad_algorithm, cannot_decrypt

CIPHERS = {
    "aes-128-cbc": (oids.AES_128_CBC, 16),
    "aes-192-cbc": (oids.AES_192_CBC, 24),
    "aes-256-cbc": (oids.AES_256_CBC, 32),
    "aes-128-gcm": (oids.AES_128_GCM, 16),
    "aes-192-gcm": (oids.AES_192_GCM, 24),
    "aes-256-gcm": (oids.AES_256_GCM, 32),
}
CIPHER_NAMES = {oid: name for name, (oid, _) in CIPHERS.items()}
LEGACY_CIPHERS = {"des-ede3-cbc": (oids.DES_EDE3_CBC, 24), "des-cbc": (oids.DES_CBC, 8)}
_LEGACY_NAMES = {oid: name for name, (oid, _) in LEGACY_CIPHERS.items()}
TAG_LENGTH = 16
_MAX_RECIPIENTS = 32
_MAX_KEY_LENGTH = 64


class RecipientKind(enum.Enum):
    """The choices of RecipientInfo that are read."""

    KEY_TRANSPORT = "ktri"
    KEY_AGREEMENT = "kari"
    KEY_ENCRYPTION_KEY = "kekri"
    PASSWORD = "pwri"  # noqa: S105 - a name
    KEY_ENCAPSULATION = "kemri"  # RFC 9629


@dataclass(frozen=True, slots=True)
class RecipientInfo:
    """One recipient, named by ``issuer_and_serial`` (DER) or ``key_identifier``; a password has no name."""

    kind: RecipientKind
    issuer_and_serial: bytes
    key_identifier: bytes
    algorithm: bytes  # DER AlgorithmIdentifier of the key encryption
    encrypted_key: bytes = field(repr=False)
    originator_spki: bytes = field(default=b"", repr=False)  # key agreement: the ephemeral key, as it came
    user_keying_material: bytes | None = field(default=None, repr=False)
    content_key_length: int = 0  # octets that the content's cipher wants
    derivation: bytes = field(default=b"", repr=False)  # pwri, kemri: DER AlgorithmIdentifier of the key derivation
    encapsulation: bytes = b""  # kemri: DER AlgorithmIdentifier of the KEM
    ciphertext: bytes = field(default=b"", repr=False)  # kemri: the KEM's
    key_length: int = 0  # kemri: octets of the key-encryption key


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


def decode_enveloped(encoded: bytes, *, legacy: bool = False) -> Enveloped:
    """Decode a ContentInfo of EnvelopedData or AuthEnvelopedData; recipients of other kinds are skipped.

    ``legacy`` reads Triple DES and DES too: only from a peer that is known to have nothing else.
    """
    kind, element = split_content_info(encoded)
    if kind not in (oids.ENVELOPED_DATA, oids.AUTH_ENVELOPED_DATA):
        raise Fault(FaultKind.UNSUPPORTED, f"CMS content type {kind}", "enveloped data is expected")
    return decode_enveloped_element(element, authenticated=kind == oids.AUTH_ENVELOPED_DATA, legacy=legacy)


def decode_bare_enveloped(encoded: bytes, *, authenticated: bool = False) -> Enveloped:
    """Decode EnvelopedData, or AuthEnvelopedData, without ContentInfo, as CRMF and CMP carry it."""
    return decode_enveloped_element(der.read(encoded, MAX_CMS, MAX_DEPTH), authenticated=authenticated)


def decode_enveloped_element(element: Element, *, authenticated: bool = False, legacy: bool = False) -> Enveloped:
    """Decode the SEQUENCE of an EnvelopedData or AuthEnvelopedData."""
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
    cipher, vector, size = _decode_cipher(content.take(der.SEQUENCE, "contentEncryptionAlgorithm"), legacy)
    pieces = content.optional(der.context(0))  # BER has it in pieces
    encrypted = joined_octets(pieces or content.take(der.context(0, constructed=False), "encryptedContent"))
    content.end("EncryptedContentInfo")
    if authenticated != cipher.endswith("-gcm") or (authenticated and len(tag) != TAG_LENGTH):
        raise bad_algorithm("cipher and content type do not fit, or a short tag")
    if attributes is not None:
        kind_attribute = single_value(decode_attributes(attributes.children()), oids.CONTENT_TYPE)
        if kind_attribute is None or der.read(kind_attribute).oid() != content_type:
            raise der.malformed("authenticated content type differs")
    found = (_decode_recipient(info, size) for info in infos)
    return Enveloped(
        recipients=tuple(one for group in found for one in group),
        content_type=content_type,
        cipher=cipher,
        vector=vector,
        encrypted=encrypted,
        tag=tag,
        authenticated_attributes=der.retag(der.SET, attributes.encoded) if attributes is not None else b"",
    )


def _decode_cipher(element: Element, legacy: bool) -> tuple[str, bytes, int]:
    """Return (name, initialisation vector or nonce, octets of the key)."""
    oid, parameters = split_algorithm(element)
    cipher = CIPHER_NAMES.get(oid)
    if legacy and oid in _LEGACY_NAMES and parameters is not None:
        vector = parameters.octets()
        if len(vector) != 8:
            raise der.malformed("initialisation vector")
        return _LEGACY_NAMES[oid], vector, LEGACY_CIPHERS[_LEGACY_NAMES[oid]][1]
    if cipher is None or parameters is None:
        raise bad_algorithm(f"content cipher {oid}")
    size = CIPHERS[cipher][1]
    if cipher.endswith("-cbc"):
        vector = parameters.octets()
        if len(vector) != 16:
            raise der.malformed("initialisation vector")
        return cipher, vector, size
    reader = parameters.expect(der.SEQUENCE, "GCMParameters").reader()
    nonce = reader.take(der.OCTET_STRING, "aes-nonce").octets()
    length = reader.optional(der.INTEGER)
    reader.end("GCMParameters")
    if not 8 <= len(nonce) <= 64 or length is None or length.integer() != TAG_LENGTH:
        raise bad_algorithm("GCM nonce or tag length")
    return cipher, nonce, size


def _decode_recipient(element: Element, size: int) -> tuple[RecipientInfo, ...]:
    found: tuple[RecipientInfo, ...] = ()
    match element.tag:
        case der.SEQUENCE:
            found = (_decode_transport(element),)
        case 0xA1:
            found = _decode_agreement(element)
        case 0xA2:
            found = (_decode_kek(element),)
        case 0xA3:
            found = (_decode_password(element),)
        case 0xA4:
            found = _decode_other(element)
        case _:
            pass
    return tuple(replace(one, content_key_length=size) for one in found)


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


def _decode_password(element: Element) -> RecipientInfo:
    reader = element.reader()
    reader.take(der.INTEGER, "version")
    derivation = reader.optional(der.context(0))
    algorithm = reader.take(der.SEQUENCE, "keyEncryptionAlgorithm").encoded
    encrypted = reader.take(der.OCTET_STRING, "encryptedKey").octets()
    reader.end("PasswordRecipientInfo")
    return RecipientInfo(
        RecipientKind.PASSWORD,
        b"",
        b"",
        algorithm,
        encrypted,
        derivation=der.retag(der.SEQUENCE, derivation.encoded) if derivation is not None else b"",
    )


def _decode_other(element: Element) -> tuple[RecipientInfo, ...]:
    """OtherRecipientInfo: only KEMRecipientInfo (RFC 9629 section 3) is known."""
    other = element.reader()
    kind, value = other.take(der.OID, "oriType").oid(), other.any("oriValue")
    other.end("OtherRecipientInfo")
    if kind != oids.ORI_KEM:
        return ()
    reader = value.expect(der.SEQUENCE, "KEMRecipientInfo").reader()
    if reader.take(der.INTEGER, "version").integer() != 0:
        raise Fault(FaultKind.UNSUPPORTED, "KEMRecipientInfo version", "this version is not supported")
    issuer_and_serial, key_identifier = _recipient_name(reader.any("rid"))
    encapsulation = reader.take(der.SEQUENCE, "kem").encoded
    ciphertext = reader.take(der.OCTET_STRING, "kemct").octets()
    derivation = reader.take(der.SEQUENCE, "kdf").encoded
    length = reader.take(der.INTEGER, "kekLength").integer()
    material = reader.optional(der.context(0))
    algorithm = reader.take(der.SEQUENCE, "wrap").encoded
    encrypted = reader.take(der.OCTET_STRING, "encryptedKey").octets()
    reader.end("KEMRecipientInfo")
    if not 1 <= length <= _MAX_KEY_LENGTH:
        raise bad_algorithm("length of the key-encryption key")
    return (
        RecipientInfo(
            RecipientKind.KEY_ENCAPSULATION,
            issuer_and_serial,
            key_identifier,
            algorithm,
            encrypted,
            user_keying_material=material.inner().octets() if material is not None else None,
            derivation=derivation,
            encapsulation=encapsulation,
            ciphertext=ciphertext,
            key_length=length,
        ),
    )


def decrypt(enveloped: Enveloped, recipient: RecipientInfo, unwrap: Callable[[RecipientInfo], bytes]) -> bytes:
    """Return the content; ``unwrap`` gives the content key of the chosen recipient. Fault(MALFORMED) if it fails."""
    key = unwrap(recipient)
    if len(key) != (CIPHERS | LEGACY_CIPHERS)[enveloped.cipher][1]:
        raise cannot_decrypt("content key of a wrong size")
    if enveloped.tag:
        try:
            sealed = enveloped.encrypted + enveloped.tag
            return AESGCM(key).decrypt(enveloped.vector, sealed, enveloped.authenticated_attributes or None)
        except InvalidTag:
            raise cannot_decrypt("GCM tag") from None
    decryptor = Cipher(block_cipher(enveloped.cipher, key), modes.CBC(enveloped.vector)).decryptor()
    unpadder = padding.PKCS7(8 * len(enveloped.vector)).unpadder()
    try:
        padded = decryptor.update(enveloped.encrypted) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise cannot_decrypt("CBC length or padding") from None


def block_cipher(name: str, key: bytes) -> algorithms.AES | TripleDES:
    """Return the block cipher of a CBC cipher's name; DES is Triple DES with one key."""
    if name in LEGACY_CIPHERS:
        return TripleDES(key * 3 if name == "des-cbc" else key)
    return algorithms.AES(key)


def recipient_of(enveloped: Enveloped, certificate: Certificate) -> RecipientInfo:
    """Return the recipient that names this certificate; Fault(NOT_FOUND) when none does."""
    for recipient in enveloped.recipients:
        if recipient.issuer_and_serial:
            if names_certificate(recipient.issuer_and_serial, certificate):
                return recipient
        elif recipient.key_identifier and recipient.key_identifier == certificate.subject_key_identifier:
            return recipient
    raise Fault(FaultKind.NOT_FOUND, "no recipient has this certificate", "the message is encrypted to somebody else")
