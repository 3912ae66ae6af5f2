"""The messages of RFC 3161 as plain data."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols.x509 import Extension

QUERY = "application/timestamp-query"
REPLY = "application/timestamp-reply"


class Status(enum.IntEnum):
    """PKIStatus (section 2.4.2)."""

    GRANTED = 0
    GRANTED_WITH_MODS = 1
    REJECTION = 2
    WAITING = 3
    REVOCATION_WARNING = 4
    REVOCATION_NOTIFICATION = 5


class FailureInfo(enum.IntEnum):
    """PKIFailureInfo (section 2.4.2); the values are bit numbers."""

    BAD_ALG = 0
    BAD_REQUEST = 2
    BAD_DATA_FORMAT = 5
    TIME_NOT_AVAILABLE = 14
    UNACCEPTED_POLICY = 15
    UNACCEPTED_EXTENSION = 16
    ADD_INFO_NOT_AVAILABLE = 17
    SYSTEM_FAILURE = 25


@dataclass(frozen=True, slots=True)
class MessageImprint:
    """What is time-stamped. ``der`` is echoed as it came; ``hash_algorithm`` is a name, or dotted if it has none."""

    hash_algorithm: str
    digest: bytes
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TimeStampRequest:
    """TimeStampReq (section 2.4.1); ``policy`` is empty when none is asked for."""

    imprint: MessageImprint
    policy: str = ""
    nonce: int | None = None
    cert_req: bool = False
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class TstInfo:
    """TSTInfo (section 2.4.2). ``accuracy`` is in microseconds, None when the token does not state it."""

    policy: str
    imprint: MessageImprint
    serial: int
    gen_time: datetime
    accuracy: int | None = None
    ordering: bool = False
    nonce: int | None = None
    tsa: bytes = b""  # DER GeneralName
    extensions: tuple[Extension, ...] = ()
    fraction_digits: int = 0  # of gen_time when it is written


@dataclass(frozen=True, slots=True)
class TimeStampReply:
    """TimeStampResp; ``token`` is the DER ContentInfo, empty unless the status grants one."""

    status: Status
    text: tuple[str, ...] = ()
    failures: frozenset[int] = frozenset()  # bit numbers of PKIFailureInfo
    token: bytes = field(default=b"", repr=False)
