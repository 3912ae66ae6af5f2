"""CMS (RFC 5652), for every protocol that carries it.

Signed: ``encode_certs_only``, ``decode_certs_only``, ``sign`` (several signers, certificates and CRLs, attached or
detached), ``build_signed_data`` (one signer), ``decode_signed_data``, ``verify_signed_data``, ``verify_signer``.
Enveloped (also AuthEnvelopedData, RFC 5083): ``encrypt`` to ``KeyTransport`` (RSA), ``KeyAgreement``
(ephemeral-static ECDH), ``KeyEncryptionKey``, ``KeyEncapsulation`` (ML-KEM, RFC 9629) and ``Password`` recipients;
``decode_enveloped``, ``recipient_of`` and ``decrypt`` with an unwrapping function: ``unwrap_with`` for a key handle,
``unwrap_kek``, ``unwrap_password``. Functions take and give whole DER ContentInfo values unless they say otherwise;
``content_info``/``split_content_info`` go between the two, and ``from_ber`` goes before them where clients send BER.
"""

from __future__ import annotations

from pycryptoutil_protocols.attributes import Attribute

from .content import (
    MAX_CMS,
    MAX_DEPTH,
    content_info,
    from_ber,
    names_certificate,
    split_content_info,
    split_issuer_and_serial,
)
from .digests import check_digest, decode_digest
from .enveloped import (
    CIPHERS,
    LEGACY_CIPHERS,
    Enveloped,
    RecipientInfo,
    RecipientKind,
    decode_bare_enveloped,
    decode_enveloped,
    decode_enveloped_element,
    decrypt,
    recipient_of,
)
from .keywrap import password_key, pbkdf2_identifier
from .recipients import (
    Encapsulate,
    KeyAgreement,
    KeyEncapsulation,
    KeyEncryptionKey,
    KeyTransport,
    Password,
    Recipient,
    encrypt,
    negotiate_cipher,
    recipient_for_key,
)
from .signed import (
    SignedData,
    SignerInfo,
    check_attributes,
    decode_certs_only,
    decode_signed_data,
    is_signer,
    verify_signed_data,
    verify_signer,
)
from .signing import Signature, build_signed_data, encode_certs_only, sign, signed_attributes
from .unwrapping import (
    SoftDecryptor,
    Unwrap,
    unwrap_ec,
    unwrap_kek,
    unwrap_password,
    unwrap_rsa,
    unwrap_with,
)

__all__ = [
    "CIPHERS",
    "LEGACY_CIPHERS",
    "MAX_CMS",
    "MAX_DEPTH",
    "Attribute",
    "Encapsulate",
    "Enveloped",
    "KeyAgreement",
    "KeyEncapsulation",
    "KeyEncryptionKey",
    "KeyTransport",
    "Password",
    "Recipient",
    "RecipientInfo",
    "RecipientKind",
    "Signature",
    "SignedData",
    "SignerInfo",
    "SoftDecryptor",
    "Unwrap",
    "build_signed_data",
    "check_attributes",
    "check_digest",
    "content_info",
    "decode_bare_enveloped",
    "decode_certs_only",
    "decode_digest",
    "decode_enveloped",
    "decode_enveloped_element",
    "decode_signed_data",
    "decrypt",
    "encode_certs_only",
    "encrypt",
    "from_ber",
    "is_signer",
    "names_certificate",
    "negotiate_cipher",
    "password_key",
    "pbkdf2_identifier",
    "recipient_for_key",
    "recipient_of",
    "sign",
    "signed_attributes",
    "split_content_info",
    "split_issuer_and_serial",
    "unwrap_ec",
    "unwrap_kek",
    "unwrap_password",
    "unwrap_rsa",
    "unwrap_with",
    "verify_signed_data",
    "verify_signer",
]
