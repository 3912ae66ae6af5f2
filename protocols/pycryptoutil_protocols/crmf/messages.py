"""The values of the Certificate Request Message Format (RFC 4211, ASN.1 of RFC 5912 and RFC 9810), as plain data.

Names, algorithm identifiers, public keys and certificates are DER; an absent optional one is None or empty.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols.names import GeneralName
from pycryptoutil_protocols.x509 import Extension


@dataclass(frozen=True, slots=True)
class CertTemplate:
    """What the requester wants in the certificate, or which certificate is meant (RFC 4211 section 5).

    ``spki`` is a SubjectPublicKeyInfo; its BIT STRING is empty when the CA makes the key (RFC 9483 section 4.1.6).
    """

    serial: int | None = None
    issuer: bytes | None = None
    subject: bytes | None = None
    spki: bytes | None = field(default=None, repr=False)
    not_before: datetime | None = None
    not_after: datetime | None = None
    extensions: tuple[Extension, ...] = ()
    version: int | None = None
    signing_algorithm: bytes | None = None
    issuer_unique_id: bytes | None = None  # content octets of the BIT STRING
    subject_unique_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class AttributeTypeAndValue:
    """A control or registration info: a type and its one value in DER. The value may be a secret token."""

    oid: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertId:
    """A certificate by issuer and serial number (RFC 4211 section 6.5)."""

    issuer: GeneralName
    serial: int


class PublicationAction(enum.IntEnum):
    """RFC 4211 section 6.3."""

    DONT_PUBLISH = 0
    PLEASE_PUBLISH = 1


@dataclass(frozen=True, slots=True)
class SinglePubInfo:
    """Where to publish: ``method`` 0 anywhere, 1 X.500, 2 web, 3 LDAP."""

    method: int
    location: GeneralName | None = None


@dataclass(frozen=True, slots=True)
class PublicationInfo:
    """PKIPublicationInfo (RFC 4211 section 6.3)."""

    action: PublicationAction
    infos: tuple[SinglePubInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class EncryptedValue:
    """The old form of EncryptedKey, deprecated by RFC 4211 section 2.1 and still sent by CMP version 2."""

    intended_algorithm: bytes | None
    symmetric_algorithm: bytes | None
    encrypted_symmetric_key: bytes | None = field(repr=False)
    key_algorithm: bytes | None
    value_hint: bytes | None
    encrypted: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EncryptedKey:
    """``enveloped`` is the DER of EnvelopedData as a SEQUENCE (no ContentInfo around it); else ``value`` is set."""

    enveloped: bytes = field(default=b"", repr=False)
    value: EncryptedValue | None = None


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """PKIArchiveOptions (RFC 4211 section 6.4): exactly one is set."""

    encrypted_key: EncryptedKey | None = None
    key_gen_parameters: bytes | None = None
    archive_generated: bool | None = None


@dataclass(frozen=True, slots=True)
class Controls:
    """The controls of a request, decoded (RFC 4211 section 6); ``other`` keeps those without a field here."""

    registration_token: str | None = field(default=None, repr=False)
    authenticator: str | None = field(default=None, repr=False)
    publication: PublicationInfo | None = None
    archive: ArchiveOptions | None = None
    old_certificate: CertId | None = None
    protocol_encryption_key: bytes | None = None  # DER SubjectPublicKeyInfo
    other: tuple[AttributeTypeAndValue, ...] = ()


@dataclass(frozen=True, slots=True)
class CertRequest:
    """``encoded`` is the DER as it came, which a signature POP signs; empty in one that is still to be encoded."""

    request_id: int
    template: CertTemplate
    controls: Controls = Controls()
    encoded: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PkMac:
    """PKMACValue: a MAC over a public key, by algorithm (DER) and value."""

    algorithm: bytes
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKeyInput:
    """POPOSigningKeyInput: exactly one of ``sender`` and ``mac`` is set; ``encoded`` as in CertRequest."""

    spki: bytes
    sender: GeneralName | None = None
    mac: PkMac | None = None
    encoded: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RaVerified:
    """The RA says that it has verified possession; worth something only from an authorised RA."""


@dataclass(frozen=True, slots=True)
class SignaturePop:
    """POPOSigningKey; without ``input`` the signature is over the CertRequest (RFC 4211 section 4.1)."""

    algorithm: bytes
    signature: bytes = field(repr=False)
    input: SigningKeyInput | None = None


class SubsequentMessage(enum.IntEnum):
    """How possession of a decryption key will be shown (RFC 4211 section 4.2)."""

    ENCR_CERT = 0
    CHALLENGE_RESP = 1


@dataclass(frozen=True, slots=True)
class PrivateKeyPop:
    """POPOPrivKey of keyEncipherment, or of keyAgreement when ``agreement``: exactly one of the others is set."""

    agreement: bool = False
    subsequent: SubsequentMessage | None = None
    this_message: bytes | None = field(default=None, repr=False)
    dh_mac: bytes | None = field(default=None, repr=False)
    agree_mac: PkMac | None = None
    encrypted_key: bytes | None = field(default=None, repr=False)  # DER EnvelopedData as a SEQUENCE


ProofOfPossession = RaVerified | SignaturePop | PrivateKeyPop


@dataclass(frozen=True, slots=True)
class CertReqMsg:
    """One request with its proof of possession; None when the CA makes the key, or for encrypting keys at times."""

    request: CertRequest
    pop: ProofOfPossession | None = None
    registration_info: tuple[AttributeTypeAndValue, ...] = ()


CertReqMessages = tuple[CertReqMsg, ...]
