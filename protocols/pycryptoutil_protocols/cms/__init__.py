"""CMS (RFC 5652), for every protocol that carries it.

Signed: ``encode_certs_only``, ``decode_certs_only``, ``build_signed_data``, ``decode_signed_data``,
``verify_signed_data``. Enveloped (also AuthEnvelopedData, RFC 5083): ``encrypt`` to ``KeyTransport`` (RSA-OAEP),
``KeyAgreement`` (ephemeral-static ECDH) and ``KeyEncryptionKey`` recipients, ``decode_enveloped``, ``decrypt`` with
an unwrapping function such as ``unwrap_rsa``, ``unwrap_ec``, ``unwrap_kek``. Functions take and give whole DER
ContentInfo values unless they say otherwise; ``content_info``/``split_content_info`` go between the two.
"""

from __future__ import annotations

from pycryptoutil_protocols.attributes import Attribute

from .content import content_info, split_content_info
from .enveloped import (
    Enveloped,
    RecipientInfo,
    RecipientKind,
    Unwrap,
    decode_enveloped,
    decrypt,
    unwrap_ec,
    unwrap_kek,
    unwrap_rsa,
)
from .recipients import (
    CIPHERS,
    KeyAgreement,
    KeyEncryptionKey,
    KeyTransport,
    Recipient,
    encrypt,
    negotiate_cipher,
    recipient_for_key,
)
from .signed import (
    SignedData,
    SignerInfo,
    build_signed_data,
    decode_certs_only,
    decode_signed_data,
    encode_certs_only,
    verify_signed_data,
)

__all__ = [
    "CIPHERS",
    "Attribute",
    "Enveloped",
    "KeyAgreement",
    "KeyEncryptionKey",
    "KeyTransport",
    "Recipient",
    "RecipientInfo",
    "RecipientKind",
    "SignedData",
    "SignerInfo",
    "Unwrap",
    "build_signed_data",
    "content_info",
    "decode_certs_only",
    "decode_enveloped",
    "decode_signed_data",
    "decrypt",
    "encode_certs_only",
    "encrypt",
    "negotiate_cipher",
    "recipient_for_key",
    "split_content_info",
    "unwrap_ec",
    "unwrap_kek",
    "unwrap_rsa",
    "verify_signed_data",
]
