"""Headers: what a request's must say (RFC 9483 section 3.5), and what an answer's says."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime

from pycryptoutil_protocols.cmp.messages import (
    NULL_NAME,
    PVNO_2,
    PVNO_3,
    InfoTypeAndValue,
    PKIFailureInfo,
    PKIHeader,
    name_in,
)
from pycryptoutil_protocols.names import same_name

from .office import Policy
from .refusal import refusal

NONCE_OCTETS = 16
_LEAST_ID, _MOST_ID = 8, 64


def new_nonce() -> bytes:
    """Return 128 random bits (RFC 9810 section 5.1.1)."""
    return os.urandom(NONCE_OCTETS)


def check_version(header: PKIHeader) -> None:
    """CMP versions 2 and 3."""
    if header.pvno not in (PVNO_2, PVNO_3):
        raise refusal(PKIFailureInfo.UNSUPPORTED_VERSION, "CMP versions 2 and 3 are supported")


def check_identifiers(header: PKIHeader) -> None:
    """A transactionID and a fresh senderNonce."""
    if header.transaction_id is None or not _LEAST_ID <= len(header.transaction_id) <= _MOST_ID:
        raise refusal(PKIFailureInfo.BAD_DATA_FORMAT, f"transactionID must have {_LEAST_ID} to {_MOST_ID} octets")
    if header.sender_nonce is None or len(header.sender_nonce) < NONCE_OCTETS:
        raise refusal(PKIFailureInfo.BAD_SENDER_NONCE, "senderNonce must have 128 bits at least")


def check_time(header: PKIHeader, policy: Policy, now: datetime) -> None:
    """The messageTime must be near our own, within the window."""
    if header.message_time is None:
        if policy.require_time:
            raise refusal(PKIFailureInfo.MISSING_TIME_STAMP, "messageTime is missing")
        return
    if abs(header.message_time - now) > policy.time_window:
        text = "messageTime is too far from this server's time"
        raise refusal(PKIFailureInfo.BAD_TIME, text, f"{text}: {header.message_time.isoformat()}")


def check_recipient(header: PKIHeader, names: Callable[[], tuple[bytes, ...]]) -> None:
    """Addressed to nobody in particular (NULL-DN), or to us."""
    if header.recipient == NULL_NAME:
        return
    name = name_in(header.recipient)
    if name is None or not any(same_name(name, one) for one in names()):
        raise refusal(PKIFailureInfo.WRONG_AUTHORITY, "the message is for another authority")


def answer(request: PKIHeader | None, now: datetime, nonce: bytes, infos: tuple[InfoTypeAndValue, ...]) -> PKIHeader:
    """Return the header of an answer, whose sender and protection are still to be put in."""
    if request is None:
        return PKIHeader(NULL_NAME, NULL_NAME, message_time=now, sender_nonce=nonce, general_info=infos)
    return PKIHeader(
        sender=NULL_NAME,
        recipient=request.sender,
        pvno=request.pvno if request.pvno in (PVNO_2, PVNO_3) else PVNO_2,
        message_time=now,
        recipient_kid=request.sender_kid,
        transaction_id=request.transaction_id,
        sender_nonce=nonce,
        recipient_nonce=request.sender_nonce,
        general_info=infos,
    )
