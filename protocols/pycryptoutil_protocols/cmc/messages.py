"""The messages of CMC (RFC 5272 section 3, RFC 6402), as plain data. Encoded parts are DER, kept as they came."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols.crmf.messages import CertReqMsg
from pycryptoutil_protocols.csr import CertificationRequest

MAX_BODY_PART = (1 << 32) - 1
THIS_MESSAGE = 0  # RFC 5272 section 3.2.2: the reference to the PKIData itself, never a part's own identifier

PKI_DATA = "1.3.6.1.5.5.7.12.2"
PKI_RESPONSE = "1.3.6.1.5.5.7.12.3"
KP_CMC_CA, KP_CMC_RA, KP_CMC_ARCHIVE = (f"1.3.6.1.5.5.7.3.{number}" for number in (27, 28, 29))
NO_SIGNATURE = "1.3.6.1.5.5.7.6.2"  # RFC 5272 appendix C.1
UNSIGNED_DATA = "1.2.840.113549.1.9.16.2.34"  # RFC 5272 section 3.2.3.2, an unsigned attribute

BodyPartPath = tuple[int, ...]
"""Identifiers from the outermost message inwards; one of them names a part of the message itself."""


class Status(enum.IntEnum):
    """CMCStatus (RFC 5272 section 6.1.3)."""

    SUCCESS = 0
    FAILED = 2
    PENDING = 3
    NO_SUPPORT = 4
    CONFIRM_REQUIRED = 5
    POP_REQUIRED = 6
    PARTIAL = 7


class FailInfo(enum.IntEnum):
    """CMCFailInfo (RFC 5272 section 6.1.4)."""

    BAD_ALG = 0
    BAD_MESSAGE_CHECK = 1
    BAD_REQUEST = 2
    BAD_TIME = 3
    BAD_CERT_ID = 4
    UNSUPPORTED_EXT = 5
    MUST_ARCHIVE_KEYS = 6
    BAD_IDENTITY = 7
    POP_REQUIRED = 8
    POP_FAILED = 9
    NO_KEY_REUSE = 10
    INTERNAL_CA_ERROR = 11
    TRY_LATER = 12
    AUTH_DATA_FAIL = 13


@dataclass(frozen=True, slots=True)
class PendInfo:
    """What to ask with, and when (RFC 5272 section 6.1.1)."""

    token: bytes
    time: datetime


@dataclass(frozen=True, slots=True)
class ExtendedFailInfo:
    """A failure outside of CMCFailInfo: its type, and its value in DER."""

    oid: str
    value: bytes


@dataclass(frozen=True, slots=True)
class StatusInfo:
    """CMCStatusInfoV2, or with ``version`` 1 the older CMCStatusInfo, whose references are not paths.

    ``failure`` and ``extended`` go with FAILED only, ``pending`` with PENDING and PARTIAL only.
    """

    status: Status
    parts: tuple[BodyPartPath, ...]
    text: str = ""
    failure: FailInfo | None = None
    pending: PendInfo | None = None
    extended: ExtendedFailInfo | None = None
    version: int = 2


@dataclass(frozen=True, slots=True)
class Control:
    """TaggedAttribute: a control with its values in DER, some of which are secret."""

    body_part: int
    oid: str
    values: tuple[bytes, ...] = field(repr=False)


class RequestKind(enum.Enum):
    """The choices of TaggedRequest."""

    PKCS10 = "tcr"
    CRMF = "crm"
    OTHER = "orm"


@dataclass(frozen=True, slots=True)
class TaggedRequest:
    """One request for a certificate; ``encoded`` is the TaggedRequest with its tag, as encrypted POP quotes it."""

    kind: RequestKind
    body_part: int
    encoded: bytes = field(repr=False)
    csr: CertificationRequest | None = None
    crmf: CertReqMsg | None = None
    other_type: str = ""
    other_value: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class TaggedContent:
    """TaggedContentInfo: a CMS object, such as another message that was put into this one."""

    body_part: int
    content_info: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OtherMessage:
    """OtherMsg."""

    body_part: int
    oid: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PkiData:
    """A request; ``request_sequence`` is the reqSequence as it came, which an identity proof covers."""

    controls: tuple[Control, ...] = ()
    requests: tuple[TaggedRequest, ...] = ()
    contents: tuple[TaggedContent, ...] = ()
    others: tuple[OtherMessage, ...] = ()
    request_sequence: bytes = field(default=b"\x30\x00", repr=False)


@dataclass(frozen=True, slots=True)
class PkiResponse:
    """An answer."""

    controls: tuple[Control, ...] = ()
    contents: tuple[TaggedContent, ...] = ()
    others: tuple[OtherMessage, ...] = ()
