"""What SCEP messages say (RFC 8894 section 3), as plain data."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from pycryptoutil_protocols.cms import SignedData, SignerInfo
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.x509 import Certificate

_ARC = "2.16.840.1.113733.1.9"  # section 3.2.1: the attributes' identifiers are VeriSign's
MESSAGE_TYPE, PKI_STATUS, FAIL_INFO = f"{_ARC}.2", f"{_ARC}.3", f"{_ARC}.4"
SENDER_NONCE, RECIPIENT_NONCE, TRANSACTION_ID = f"{_ARC}.5", f"{_ARC}.6", f"{_ARC}.7"
FAIL_INFO_TEXT = "1.3.6.1.5.5.7.24.1"

NONCE_LENGTH = 16  # section 3.2.1.5
MAX_NONCE = 64
MAX_TRANSACTION_ID = 128
MAX_MESSAGE = 128 * 1024

PKI_MESSAGE = "application/x-pki-message"
CA_CERTIFICATE = "application/x-x509-ca-cert"
CA_AND_RA_CERTIFICATES = "application/x-x509-ca-ra-cert"
NEXT_CA_CERTIFICATE = "application/x-x509-next-ca-cert"


class MessageType(enum.IntEnum):
    """messageType (section 3.2.1.2)."""

    CERT_REP = 3
    RENEWAL_REQ = 17
    UPDATE_REQ = 18  # of drafts before the RFC; refused
    PKCS_REQ = 19
    CERT_POLL = 20
    GET_CERT = 21
    GET_CRL = 22


class PkiStatus(enum.IntEnum):
    """pkiStatus (section 3.2.1.3)."""

    SUCCESS = 0
    FAILURE = 2
    PENDING = 3


class FailInfo(enum.IntEnum):
    """failInfo (section 3.2.1.4)."""

    BAD_ALG = 0  # unrecognised or unsupported algorithm
    BAD_MESSAGE_CHECK = 1  # the CMS message's signature does not verify, or it cannot be decrypted
    BAD_REQUEST = 2  # the transaction is not permitted or supported
    BAD_TIME = 3  # signingTime is not close enough to the server's time
    BAD_CERT_ID = 4  # no certificate matches


@dataclass(frozen=True, slots=True)
class IssuerAndSubject:
    """Whose certificate is polled for (section 3.3.3), DER Names."""

    issuer: bytes
    subject: bytes


@dataclass(frozen=True, slots=True)
class IssuerAndSerial:
    """Which certificate is meant (sections 3.3.4 and 3.3.5)."""

    issuer: bytes
    serial: int


@dataclass(frozen=True, slots=True)
class PkiMessage:
    """A decoded PKIMessage; nothing is verified. ``envelope`` is its content, None without one.

    ``message_type`` is None for a number that is not SCEP's.
    """

    message_type: MessageType | None
    transaction_id: str
    sender_nonce: bytes
    recipient_nonce: bytes
    signed: SignedData = field(repr=False)
    signer: SignerInfo = field(repr=False)
    envelope: bytes | None = field(default=None, repr=False)
    status: PkiStatus | None = None
    fail_info: FailInfo | None = None
    fail_text: str = ""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who signed a request, and how the answer must look for this client to read it."""

    certificate: Certificate
    cipher: str  # as it encrypted to us
    oaep: bool
    digest: str
    legacy: bool  # anything in the request was DES, Triple DES, SHA-1 or MD5


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """PKCSReq or RenewalReq. ``renewal`` says which; its signer decides whether that is so."""

    csr: CertificationRequest
    renewal: bool


Body = EnrolRequest | IssuerAndSubject | IssuerAndSerial


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose signature and encryption hold; that its signer may ask is for the caller to check."""

    message: PkiMessage
    requester: Requester
    body: Body
