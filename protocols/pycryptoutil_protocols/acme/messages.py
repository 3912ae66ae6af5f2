"""Resources' states, and the payloads of requests as plain data (RFC 8555 sections 7.1 and 7.3 to 7.6)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .jwk import decode_base64url
from .problems import ProblemType, malformed, refused

MAX_IDENTIFIERS = 100
MAX_CONTACTS = 10
_MAX_VALUE = 512
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z")
_MAILBOX = re.compile(r"mailto:[A-Za-z0-9.!#$&'*+/=^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}\Z")
_MAX_SECONDS = 10 * 366 * 86400


class AccountStatus(enum.StrEnum):
    """Section 7.1.6."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"


class OrderStatus(enum.StrEnum):
    """Section 7.1.6, and RFC 8739 section 3.1.3."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"
    CANCELED = "canceled"


class AuthorizationStatus(enum.StrEnum):
    """Section 7.1.6."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ChallengeStatus(enum.StrEnum):
    """Section 7.1.6."""

    PENDING = "pending"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class IdentifierType(enum.StrEnum):
    """RFC 8555, RFC 8738 and draft-ietf-acme-device-attest."""

    DNS = "dns"
    IP = "ip"
    PERMANENT_IDENTIFIER = "permanent-identifier"


class ChallengeType(enum.StrEnum):
    """RFC 8555 section 8, RFC 8737 and draft-ietf-acme-device-attest."""

    HTTP_01 = "http-01"
    DNS_01 = "dns-01"
    TLS_ALPN_01 = "tls-alpn-01"
    DEVICE_ATTEST_01 = "device-attest-01"


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """``value`` as it came, and in its normal form once the CA has looked at it."""

    type: str
    value: str

    @property
    def wildcard(self) -> bool:
        """Tell whether it stands for every name one label below."""
        return self.type == IdentifierType.DNS and self.value.startswith("*.")

    def document(self) -> dict[str, str]:
        """JSON."""
        return {"type": self.type, "value": self.value}


def challenge_types(identifier: Identifier, offered: frozenset[str]) -> tuple[ChallengeType, ...]:
    """Return what can prove control of an identifier: only the DNS shows who holds a wildcard (section 8.3)."""
    match identifier.type:
        case IdentifierType.DNS if identifier.wildcard:
            fitting: tuple[ChallengeType, ...] = (ChallengeType.DNS_01,)
        case IdentifierType.DNS:
            fitting = (ChallengeType.HTTP_01, ChallengeType.DNS_01, ChallengeType.TLS_ALPN_01)
        case IdentifierType.IP:  # RFC 8738 section 7: dns-01 must not be used
            fitting = (ChallengeType.HTTP_01, ChallengeType.TLS_ALPN_01)
        case IdentifierType.PERMANENT_IDENTIFIER:
            fitting = (ChallengeType.DEVICE_ATTEST_01,)
        case _:
            fitting = ()
    return tuple(one for one in fitting if one in offered)


def _known(payload: Mapping[str, Any], name: str, kind: type, what: str) -> Any:
    value = payload.get(name)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise malformed(f"{name} is not {what}")
    return value


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """newAccount and account updates; None where the client says nothing."""

    contact: tuple[str, ...] | None
    terms_agreed: bool
    only_existing: bool
    status: str | None
    external_binding: Any


def account_request(payload: Mapping[str, Any]) -> AccountRequest:
    """Read a payload; malformed, unsupportedContact or invalidContact."""
    contact = _known(payload, "contact", list, "a list")
    if contact is not None:
        if len(contact) > MAX_CONTACTS:
            raise malformed(f"more than {MAX_CONTACTS} contacts")
        for one in contact:
            _check_contact(one)
    return AccountRequest(
        contact=tuple(contact) if contact is not None else None,
        terms_agreed=bool(_known(payload, "termsOfServiceAgreed", bool, "a boolean")),
        only_existing=bool(_known(payload, "onlyReturnExisting", bool, "a boolean")),
        status=_known(payload, "status", str, "a string"),
        external_binding=_known(payload, "externalAccountBinding", dict, "an object"),
    )


def _check_contact(value: Any) -> None:
    if not isinstance(value, str):
        raise malformed("a contact is a string")
    if not value.startswith("mailto:"):
        raise refused(ProblemType.UNSUPPORTED_CONTACT, "only mailto contacts are supported")
    if not _MAILBOX.match(value):  # one address, no header fields (section 7.3)
        raise refused(ProblemType.INVALID_CONTACT, "a contact is no e-mail address")


def _identifier(value: Any) -> Identifier:
    if not isinstance(value, Mapping) or not {"type", "value"} <= set(value):
        raise malformed("an identifier has type and value")
    kind, text = value["type"], value["value"]
    if not isinstance(kind, str) or not isinstance(text, str) or not 1 <= len(text) <= _MAX_VALUE or len(kind) > 64:
        raise malformed("an identifier's type and value are short strings")
    return Identifier(kind, text)


@dataclass(frozen=True, slots=True)
class AutoRenewal:
    """RFC 8739 section 3.1.1; durations in seconds."""

    start: datetime | None
    end: datetime
    lifetime: timedelta
    adjust: timedelta
    allow_get: bool

    def document(self) -> dict[str, Any]:
        """JSON, as it is stored and shown."""
        found: dict[str, Any] = {
            "end-date": self.end.isoformat(),
            "lifetime": int(self.lifetime.total_seconds()),
            "lifetime-adjust": int(self.adjust.total_seconds()),
            "allow-certificate-get": self.allow_get,
        }
        return found | ({"start-date": self.start.isoformat()} if self.start is not None else {})


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """newOrder."""

    identifiers: tuple[Identifier, ...]
    not_before: datetime | None
    not_after: datetime | None
    replaces: str
    auto_renewal: AutoRenewal | None
    profile: str


def order_request(payload: Mapping[str, Any]) -> OrderRequest:
    """Read a payload; malformed."""
    values = _known(payload, "identifiers", list, "a list")
    if not values:
        raise malformed("an order has identifiers")
    if len(values) > MAX_IDENTIFIERS:
        raise malformed(f"an order has at most {MAX_IDENTIFIERS} identifiers")
    renewal = _known(payload, "auto-renewal", dict, "an object")
    request = OrderRequest(
        identifiers=tuple(dict.fromkeys(map(_identifier, values))),
        not_before=_time(payload, "notBefore"),
        not_after=_time(payload, "notAfter"),
        replaces=_known(payload, "replaces", str, "a string") or "",
        auto_renewal=auto_renewal(renewal) if renewal is not None else None,
        profile=_known(payload, "profile", str, "a string") or "",
    )
    if renewal is not None and (request.not_before or request.not_after):
        raise malformed("auto-renewal goes with neither notBefore nor notAfter")  # RFC 8739 section 3.1.1
    return request


def auto_renewal(document: Mapping[str, Any]) -> AutoRenewal:
    """Read an auto-renewal object; malformed."""
    end = _time(document, "end-date")
    if end is None:
        raise malformed("auto-renewal has an end-date")
    lifetime, adjust = (_seconds(document, name) for name in ("lifetime", "lifetime-adjust"))
    if not lifetime:
        raise malformed("auto-renewal has a lifetime")
    if adjust >= lifetime:
        raise malformed("lifetime-adjust is less than lifetime")
    allow = bool(_known(document, "allow-certificate-get", bool, "a boolean"))
    return AutoRenewal(_time(document, "start-date"), end, lifetime, adjust, allow)


def _seconds(document: Mapping[str, Any], name: str) -> timedelta:
    value = _known(document, name, int, "a number of seconds") or 0
    if not 0 <= value <= _MAX_SECONDS:
        raise malformed(f"{name} is out of range")
    return timedelta(seconds=value)


def _time(payload: Mapping[str, Any], name: str) -> datetime | None:
    text = _known(payload, name, str, "a time")
    if text is None:
        return None
    try:
        if not _TIME.match(text):
            raise ValueError
        return datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise malformed(f"{name} is no RFC 3339 time") from None


def new_authorization(payload: Mapping[str, Any]) -> Identifier:
    """Read newAuthz (section 7.4.1); malformed."""
    return _identifier(payload.get("identifier"))


def csr_of(payload: Mapping[str, Any]) -> bytes:
    """Read finalize (section 7.4); badCSR."""
    value = payload.get("csr")
    if not isinstance(value, str) or not value:
        raise malformed("finalize has a csr")
    return decode_base64url(value, "csr")


@dataclass(frozen=True, slots=True)
class RevocationRequest:
    """revokeCert (section 7.6)."""

    certificate: bytes
    reason: int


def revocation_request(payload: Mapping[str, Any]) -> RevocationRequest:
    """Read a payload; malformed."""
    certificate = decode_base64url(payload.get("certificate"), "certificate")
    reason = _known(payload, "reason", int, "a number")
    return RevocationRequest(certificate, reason or 0)
