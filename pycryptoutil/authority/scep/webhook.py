"""Asking somebody else whether a challenge is good: one HTTP POST, outside of any unit of work.

The question is JSON: ``challenge``, ``transaction_id``, ``profile``, ``authority``, ``subject``, ``names``, ``csr``
(base64 DER), ``time``. With a secret, ``X-Signature: sha256=<hex>`` is HMAC-SHA-256 over the body. Only status 200 and
``{"allow": true}`` let the client enrol; ``reason`` of a refusal goes to the log.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any, Final

from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.names import from_general_name
from pycryptoutil.authority.outreach import Poster, Unreachable
from pycryptoutil.authority.scep.rules import Webhook
from pycryptoutil.clock import Clock
from pycryptoutil.crypto.x509 import name_text

_MAX_ANSWER: Final = 64 * 1024
_RETRY: Final = 30


def question(webhook: Webhook, csr: CertificationRequest, transaction_id: str, authority: str, now: datetime) -> bytes:
    """Return the JSON of a question."""
    document = {
        "challenge": csr.challenge_password or "",
        "transaction_id": transaction_id,
        "profile": webhook.profile,
        "authority": authority,
        "subject": name_text(csr.subject),
        "names": [str(from_general_name(name)) for name in csr.sans],
        "csr": base64.b64encode(csr.der).decode("ascii"),
        "time": now.isoformat(),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def signature(secret: str, body: bytes) -> str:
    """Return the value of X-Signature."""
    return "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def ask(webhook: Webhook, body: bytes, clock: Clock) -> None:
    """Raise Fault(UNAUTHENTICATED) unless the webhook allows it, UNAVAILABLE when it cannot be asked."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if webhook.secret:
        headers["X-Signature"] = signature(webhook.secret, body)
    # configuration says where it goes, so that may be anywhere
    poster = Poster(clock, None, ca_file=webhook.ca_file, agent="pycryptoutil-scep")
    try:
        answer = poster.post(webhook.url, body, headers, webhook.timeout, _MAX_ANSWER)
    except Unreachable as fault:
        raise _away(f"webhook of {webhook.profile}: {fault.detail}") from None
    status = answer.status
    if status >= 500 or status == 429:
        raise _away(f"webhook of {webhook.profile}: HTTP {status}")
    document = _document(answer.body) if status == 200 else {}
    if document.get("allow") is not True:
        reason = str(document.get("reason", ""))[:200]
        detail = f"webhook of {webhook.profile} says no: HTTP {status} {reason!r}"
        raise Fault(FaultKind.UNAUTHENTICATED, detail, "the challenge password is not accepted")


def _document(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _away(detail: str) -> Fault:
    return Fault(FaultKind.UNAVAILABLE, detail, "try again later", retry_after=_RETRY)
