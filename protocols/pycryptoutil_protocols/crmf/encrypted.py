"""What EncryptedKey carries: certificates, private keys, passphrases (RFC 9810 section 5.2.2, RFC 4211 section 2.1.9).

``seal`` always makes EnvelopedData, which CMP version 3 has. ``unseal`` also opens the older EncryptedValue, where the
symmetric key is encrypted by RSA and the content by AES-CBC.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from pycryptoutil_protocols import algorithms, cms, der, oids
from pycryptoutil_protocols.cms.unwrapping import oaep_padding
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.ports import Decryptor

from .messages import EncryptedKey, EncryptedValue

_CIPHERS = {oids.AES_128_CBC: 16, oids.AES_192_CBC: 24, oids.AES_256_CBC: 32}


def seal(content_type: str, content: bytes, recipients: Sequence[cms.Recipient]) -> EncryptedKey:
    """Encrypt ``content`` to the recipients."""
    return EncryptedKey(enveloped=cms.encrypt(content_type, content, recipients, bare=True))


def unseal(key: EncryptedKey, decryptor: Decryptor, *, allow_pkcs1: bool = False) -> tuple[str, bytes]:
    """Return (content type, content) of what was encrypted to a private key; Fault(MALFORMED, BAD_ALGORITHM).

    ``allow_pkcs1``: RSA key transport by PKCS#1 v1.5 is opened too, which older CAs have instead of OAEP. The content
    type of an EncryptedValue, which says nothing of it, is empty. Recipients are tried in turn: who asks for a
    certificate to be encrypted cannot know under which name it will be.
    """
    if key.value is not None:
        return "", _open_value(key.value, decryptor, allow_pkcs1=allow_pkcs1)
    return _open_enveloped(key.enveloped, cms.unwrap_with(decryptor, allow_pkcs1=allow_pkcs1))


def unseal_by_password(key: EncryptedKey, password: bytes) -> tuple[str, bytes]:
    """Return (content type, content) of what was encrypted to a password."""
    if key.value is not None:
        raise Fault(FaultKind.UNSUPPORTED, "EncryptedValue by password", "EnvelopedData is expected")
    return _open_enveloped(key.enveloped, cms.unwrap_password(password))


def _open_enveloped(encoded: bytes, unwrap: cms.Unwrap) -> tuple[str, bytes]:
    enveloped = cms.decode_bare_enveloped(encoded)
    last = Fault(FaultKind.MALFORMED, "no recipient", "the message cannot be decrypted")
    for recipient in enveloped.recipients:
        try:
            return enveloped.content_type, cms.decrypt(enveloped, recipient, unwrap)
        except Fault as fault:
            last = fault
    raise last


def _open_value(value: EncryptedValue, decryptor: Decryptor, *, allow_pkcs1: bool) -> bytes:
    if value.symmetric_algorithm is None or value.encrypted_symmetric_key is None:
        raise Fault(FaultKind.BAD_ALGORITHM, "EncryptedValue without algorithms", "the algorithm is not supported")
    oid, parameters = algorithms.split_algorithm(der.read(value.symmetric_algorithm))
    if oid not in _CIPHERS or parameters is None:
        raise Fault(FaultKind.BAD_ALGORITHM, f"EncryptedValue cipher {oid}", "the algorithm is not supported")
    vector = parameters.octets()
    padding_name = _padding(value)
    if padding_name == "pkcs1" and not allow_pkcs1:
        raise Fault(FaultKind.BAD_ALGORITHM, "EncryptedValue by PKCS#1 v1.5", "the algorithm is not supported")
    key = decryptor.rsa_decrypt(padding_name, value.encrypted_symmetric_key)
    if len(vector) != 16 or len(key) != _CIPHERS[oid]:
        raise der.malformed("EncryptedValue key or vector")
    opener, unpadder = Cipher(AES(key), modes.CBC(vector)).decryptor(), padding.PKCS7(128).unpadder()
    try:
        padded = opener.update(value.encrypted) + opener.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise Fault(FaultKind.MALFORMED, "EncryptedValue padding", "the message cannot be decrypted") from None


def _padding(value: EncryptedValue) -> str:
    if value.key_algorithm is None:
        return "pkcs1"  # what RFC 4210 implementations do without saying so
    oid, parameters = algorithms.split_algorithm(der.read(value.key_algorithm))
    if oid == oids.RSA_ENCRYPTION:
        return "pkcs1"
    if oid == oids.RSAES_OAEP:
        return oaep_padding(parameters)
    raise Fault(FaultKind.BAD_ALGORITHM, f"EncryptedValue key by {oid}", "the algorithm is not supported")
