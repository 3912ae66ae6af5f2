"""Who enrols: an enrolment credential by Basic, or a certificate of ours by TLS (RFC 7030 section 3.2.3)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import CertificateAuthorityService, CertificateRecord, Credential, Label
from pycryptoutil.http.message import Request

CHALLENGE: Final = 'Basic realm="est", charset="UTF-8"'
_MAX_HEADER: Final = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Exactly one of ``credential`` and ``certificate`` is there; ``secret`` is the credential's, as it was sent."""

    tenant_id: str
    authority: str
    profile: str
    actor: str
    credential: Credential | None = None
    certificate: CertificateRecord | None = None
    secret: str = field(default="", repr=False)


def identify(service: CertificateAuthorityService, request: Request, label: str) -> Caller:
    """Return who asks, and for what; Fault(UNAUTHENTICATED, FORBIDDEN, EXPIRED, NOT_FOUND).

    Without a label the profile and the CA are those that the credential, or the certificate to renew, is for.
    A user name and password say more than a certificate that may be of somebody else's making, and go before it.
    """
    place = service.resolve_label(None, label)
    given = request.headers.get("authorization")
    if given:
        return _by_password(service, place, label, given)
    if request.tls is not None and request.tls.client_chain:
        return _by_certificate(service, place, label, request.tls.client_chain)
    raise unauthenticated("neither Authorization nor a client certificate")


def _by_password(service: CertificateAuthorityService, place: Label, label: str, given: str) -> Caller:
    username, secret = _basic(given)
    profile, authority = (place.profile, place.authority) if label else ("", "")
    credential = service.credential_authenticate(place.tenant_id, username, secret, "est", profile, authority)
    return Caller(
        credential.tenant_id,
        credential.authority,
        credential.profile,
        credential.actor,
        credential=credential,
        secret=secret,
    )


def _by_certificate(service: CertificateAuthorityService, place: Label, label: str, chain: tuple[bytes, ...]) -> Caller:
    record = service.certificate_status_for_client(chain)
    profile, authority = (place.profile, place.authority) if label else (record.profile, record.authority)
    if (record.tenant_id, record.profile, record.authority) != (place.tenant_id, profile, authority):
        raise Fault(
            FaultKind.FORBIDDEN,
            f"certificate {record.serial} of {record.authority}/{record.profile} at label {label!r}",
            "the client certificate is of another profile or CA",
        )
    return Caller(record.tenant_id, authority, profile, f"certificate:{record.serial}", certificate=record)


def unauthenticated(detail: str) -> Fault:
    """Return the fault that asks for a user name and password."""
    public = "give an enrolment credential's user name and password, or a client certificate issued here"
    return Fault(FaultKind.UNAUTHENTICATED, detail, public, challenges=(CHALLENGE,))


def _basic(header: str) -> tuple[str, str]:
    """Read Basic credentials (RFC 7617)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(header) > _MAX_HEADER:
        raise unauthenticated("Authorization is not Basic")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise unauthenticated("Basic credentials do not decode") from None
    username, colon, password = text.partition(":")
    if not colon or any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise unauthenticated("Basic credentials without a colon, or with control characters")
    return username, password
