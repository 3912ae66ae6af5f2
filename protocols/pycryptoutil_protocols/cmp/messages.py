"""The values of the Certificate Management Protocol (RFC 9810), as plain data: headers, messages, all body types.

``CertTemplate``, ``CertReqMsg`` and what they hold are in :mod:`pycryptoutil_protocols.crmf.messages`. Certificates,
CRLs, names, public keys and algorithm identifiers are DER. Free text is a tuple of strings.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols import der
from pycryptoutil_protocols.crmf.messages import (
    CertId,
    CertReqMessages,
    CertTemplate,
    EncryptedKey,
    PublicationInfo,
)
from pycryptoutil_protocols.names import GeneralName, GeneralNameKind
from pycryptoutil_protocols.x509 import Extension

CONTENT_TYPE = "application/pkixcmp"
PVNO_2, PVNO_3 = 2, 3  # cmp2000, cmp2021


class BodyType(enum.IntEnum):
    """The CHOICE of PKIBody; values are its tag numbers (RFC 9810 section 5.1.2)."""

    IR = 0
    IP = 1
    CR = 2
    CP = 3
    P10CR = 4
    POPDECC = 5
    POPDECR = 6
    KUR = 7
    KUP = 8
    KRR = 9
    KRP = 10
    RR = 11
    RP = 12
    CCR = 13
    CCP = 14
    CKUANN = 15
    CANN = 16
    RANN = 17
    CRLANN = 18
    PKICONF = 19
    NESTED = 20
    GENM = 21
    GENP = 22
    ERROR = 23
    CERTCONF = 24
    POLLREQ = 25
    POLLREP = 26


REQUEST_TYPES = frozenset({BodyType.IR, BodyType.CR, BodyType.KUR, BodyType.KRR, BodyType.CCR})  # CertReqMessages
RESPONSE_TYPES = frozenset({BodyType.IP, BodyType.CP, BodyType.KUP, BodyType.CCP})  # CertRepMessage
RESPONSE_OF = {
    BodyType.IR: BodyType.IP,
    BodyType.CR: BodyType.CP,
    BodyType.P10CR: BodyType.CP,
    BodyType.KUR: BodyType.KUP,
    BodyType.KRR: BodyType.KRP,
    BodyType.CCR: BodyType.CCP,
    BodyType.RR: BodyType.RP,
    BodyType.GENM: BodyType.GENP,
    BodyType.CERTCONF: BodyType.PKICONF,
    BodyType.POPDECR: BodyType.IP,
}


class PKIStatus(enum.IntEnum):
    """RFC 9810 section 5.2.3."""

    ACCEPTED = 0
    GRANTED_WITH_MODS = 1
    REJECTION = 2
    WAITING = 3
    REVOCATION_WARNING = 4
    REVOCATION_NOTIFICATION = 5
    KEY_UPDATE_WARNING = 6


class PKIFailureInfo(enum.IntEnum):
    """Bits of failInfo (RFC 9810 section 5.2.3)."""

    BAD_ALG = 0
    BAD_MESSAGE_CHECK = 1
    BAD_REQUEST = 2
    BAD_TIME = 3
    BAD_CERT_ID = 4
    BAD_DATA_FORMAT = 5
    WRONG_AUTHORITY = 6
    INCORRECT_DATA = 7
    MISSING_TIME_STAMP = 8
    BAD_POP = 9
    CERT_REVOKED = 10
    CERT_CONFIRMED = 11
    WRONG_INTEGRITY = 12
    BAD_RECIPIENT_NONCE = 13
    TIME_NOT_AVAILABLE = 14
    UNACCEPTED_POLICY = 15
    UNACCEPTED_EXTENSION = 16
    ADD_INFO_NOT_AVAILABLE = 17
    BAD_SENDER_NONCE = 18
    BAD_CERT_TEMPLATE = 19
    SIGNER_NOT_TRUSTED = 20
    TRANSACTION_ID_IN_USE = 21
    UNSUPPORTED_VERSION = 22
    NOT_AUTHORIZED = 23
    SYSTEM_UNAVAIL = 24
    SYSTEM_FAILURE = 25
    DUPLICATE_CERT_REQ = 26


FreeText = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PKIStatusInfo:
    """A status, text for people, and why it failed."""

    status: PKIStatus
    text: FreeText = ()
    failures: frozenset[PKIFailureInfo] = frozenset()


@dataclass(frozen=True, slots=True)
class InfoTypeAndValue:
    """General information; ``value`` is DER, empty when absent. :mod:`.general` reads and makes each type."""

    oid: str
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class PKIHeader:
    """RFC 9810 section 5.1.1. ``protection_algorithm`` is a DER AlgorithmIdentifier, empty when absent."""

    sender: GeneralName
    recipient: GeneralName
    pvno: int = PVNO_2
    message_time: datetime | None = None
    protection_algorithm: bytes = b""
    sender_kid: bytes | None = None
    recipient_kid: bytes | None = None
    transaction_id: bytes | None = None
    sender_nonce: bytes | None = None
    recipient_nonce: bytes | None = None
    free_text: FreeText = ()
    general_info: tuple[InfoTypeAndValue, ...] = ()

    def info(self, oid: str) -> InfoTypeAndValue | None:
        """Return the general info of a type, or None."""
        return next((one for one in self.general_info if one.oid == oid), None)


# Bodies


@dataclass(frozen=True, slots=True)
class CertRequests:
    """Of ir, cr, kur, krr, ccr."""

    messages: CertReqMessages


@dataclass(frozen=True, slots=True)
class CertifiedKeyPair:
    """Exactly one of ``certificate`` and ``encrypted_certificate`` is set; ``private_key`` when the CA made the key."""

    certificate: bytes = b""
    encrypted_certificate: EncryptedKey | None = None
    private_key: EncryptedKey | None = None
    publication: PublicationInfo | None = None


@dataclass(frozen=True, slots=True)
class CertResponse:
    """The answer to one request; ``request_id`` is -1 for p10cr."""

    request_id: int
    status: PKIStatusInfo
    key_pair: CertifiedKeyPair | None = None
    response_info: bytes | None = None


@dataclass(frozen=True, slots=True)
class CertRepMessage:
    """Of ip, cp, kup, ccp."""

    responses: tuple[CertResponse, ...]
    ca_certificates: tuple[bytes, ...] = ()  # caPubs


@dataclass(frozen=True, slots=True)
class Pkcs10:
    """Of p10cr: a DER CertificationRequest, see :mod:`pycryptoutil_protocols.csr`."""

    request: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge (RFC 9810 section 5.2.8.3.3); pvno 3 uses ``encrypted_rand``, a DER EnvelopedData SEQUENCE."""

    owf: bytes | None  # DER AlgorithmIdentifier; absent after the first: as the one before
    witness: bytes
    challenge: bytes
    encrypted_rand: bytes = b""


@dataclass(frozen=True, slots=True)
class Challenges:
    """Of popdecc."""

    challenges: tuple[Challenge, ...]


@dataclass(frozen=True, slots=True)
class ChallengeResponses:
    """Of popdecr: the integers that were decrypted."""

    values: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRecovery:
    """Of krp."""

    status: PKIStatusInfo
    new_certificate: bytes = b""
    ca_certificates: tuple[bytes, ...] = ()
    history: tuple[CertifiedKeyPair, ...] = ()


@dataclass(frozen=True, slots=True)
class RevDetails:
    """Which certificate to revoke (issuer and serial in the template), and how (reason code … as extensions)."""

    template: CertTemplate
    crl_entry: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class RevRequest:
    """Of rr."""

    details: tuple[RevDetails, ...]


@dataclass(frozen=True, slots=True)
class RevResponse:
    """Of rp: one status for each request, in order."""

    status: tuple[PKIStatusInfo, ...]
    certificates: tuple[CertId, ...] = ()
    crls: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class CaKeyUpdate:
    """Of ckuann. ``version`` 2 has all three; 3 (RootCaKeyUpdateContent) may leave out all but ``new_with_new``."""

    new_with_new: bytes
    new_with_old: bytes = b""
    old_with_new: bytes = b""
    version: int = 2


@dataclass(frozen=True, slots=True)
class CertAnnouncement:
    """Of cann."""

    certificate: bytes


@dataclass(frozen=True, slots=True)
class RevAnnouncement:
    """Of rann."""

    status: PKIStatus
    certificate: CertId
    will_be_revoked_at: datetime
    bad_since: datetime
    crl_details: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class CrlAnnouncement:
    """Of crlann."""

    crls: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PkiConf:
    """Of pkiconf: nothing."""


@dataclass(frozen=True, slots=True)
class General:
    """Of genm and genp."""

    infos: tuple[InfoTypeAndValue, ...]


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """Of error."""

    status: PKIStatusInfo
    code: int | None = None
    details: FreeText = ()


@dataclass(frozen=True, slots=True)
class CertStatus:
    """``hash_algorithm`` is the DER AlgorithmIdentifier of the hash when it is not the signature's (pvno 3)."""

    cert_hash: bytes
    request_id: int
    status: PKIStatusInfo | None = None  # absent: accepted
    hash_algorithm: bytes = b""

    @property
    def accepted(self) -> bool:
        """Whether the client takes the certificate."""
        return self.status is None or self.status.status in (PKIStatus.ACCEPTED, PKIStatus.GRANTED_WITH_MODS)


@dataclass(frozen=True, slots=True)
class CertConfirm:
    """Of certConf; without statuses every certificate is rejected (RFC 9810 section 5.3.18)."""

    statuses: tuple[CertStatus, ...]


@dataclass(frozen=True, slots=True)
class PollReq:
    """Of pollReq: the ids asked after; -1 for p10cr or for a whole response (RFC 9483 section 4.4)."""

    request_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PollRepEntry:
    """``check_after`` is in seconds."""

    request_id: int
    check_after: int
    reason: FreeText = ()


@dataclass(frozen=True, slots=True)
class PollRep:
    """Of pollRep."""

    entries: tuple[PollRepEntry, ...]


@dataclass(frozen=True, slots=True)
class Nested:
    """Of nested: whole messages, with their bytes as they came in ``encoded``."""

    messages: tuple[PKIMessage, ...]


Body = (
    CertRequests
    | CertRepMessage
    | Pkcs10
    | Challenges
    | ChallengeResponses
    | KeyRecovery
    | RevRequest
    | RevResponse
    | CaKeyUpdate
    | CertAnnouncement
    | RevAnnouncement
    | CrlAnnouncement
    | PkiConf
    | General
    | ErrorMessage
    | CertConfirm
    | PollReq
    | PollRep
    | Nested
)


@dataclass(frozen=True, slots=True)
class PKIMessage:
    """A message. ``encoded`` and ``protected`` (DER ProtectedPart) are the bytes as they came or were made.

    ``protection`` is None in an unprotected message; ``extra_certificates`` lie outside of the protection.
    """

    header: PKIHeader
    kind: BodyType
    body: Body
    protection: bytes | None = field(default=None, repr=False)
    extra_certificates: tuple[bytes, ...] = field(default=(), repr=False)
    encoded: bytes = field(default=b"", repr=False, compare=False)
    protected: bytes = field(default=b"", repr=False, compare=False)


def directory_name(name: bytes) -> GeneralName:
    """Return the GeneralName of a DER Name, as sender and recipient are."""
    encoded = der.explicit(GeneralNameKind.DIRECTORY, name)
    return GeneralName(GeneralNameKind.DIRECTORY, encoded.hex(), encoded)


NULL_NAME = directory_name(der.sequence())


def name_in(general: GeneralName) -> bytes | None:
    """Return the DER Name in a directoryName, or None for another kind."""
    if general.kind is not GeneralNameKind.DIRECTORY:
        return None
    return der.read(general.der).inner().encoded
