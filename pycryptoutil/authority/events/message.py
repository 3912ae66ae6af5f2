"""The request of a webhook, after Standard Webhooks 1.0: pure functions.

``webhook-signature`` is ``v1,`` and the base64 of HMAC-SHA256 over ``<webhook-id>.<webhook-timestamp>.<body>``, under
the octets whose base64 follows ``whsec_`` in the secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.events.model import Event

_PREFIX: Final = "whsec_"
_OCTETS: Final = 32
_LENGTHS: Final = range(24, 65)


def new_secret() -> str:
    """Return a secret as subscribers keep it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_OCTETS)).decode()


def key_of(secret: str) -> bytes:
    """Return the HMAC key of a secret: ``whsec_`` and base64 of 24 to 64 octets; Fault(INVALID)."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True) if secret.startswith(_PREFIX) else b""
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in _LENGTHS:
        text = f"a secret is {_PREFIX} followed by base64 of 24 to 64 octets"
        raise Fault(FaultKind.INVALID, text, text, pointer="secret")
    return key


def body(event: Event) -> bytes:
    """Return the JSON: ``type``, ``timestamp`` (when it happened), ``data``."""
    document = {"type": event.type, "timestamp": event.occurred_at.isoformat(), "data": event.data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def signature(secret: str, message_id: str, timestamp: int, content: bytes) -> str:
    """Return the value of ``webhook-signature``."""
    signed = f"{message_id}.{timestamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def headers(secret: str, event: Event, content: bytes, now: datetime) -> dict[str, str]:
    """Return the header fields of one attempt at ``now``."""
    timestamp = int(now.timestamp())
    return {
        "Content-Type": "application/json",
        "webhook-id": event.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, event.id, timestamp, content),
    }


def wait(failures: int, first: timedelta, longest: timedelta) -> timedelta:
    """Return how long to wait after so many failures in a row: doubled each time, and at random from half of it on."""
    whole: timedelta = min(first * (1 << min(failures - 1, 30)), longest)
    return whole / 2 + whole / 2 * (secrets.randbelow(1_000_001) / 1_000_000)
