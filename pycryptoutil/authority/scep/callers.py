"""Who enrols: by a challenge password, or by a certificate of ours that is to be renewed (RFC 8894 section 2.2)."""

from __future__ import annotations

import hmac
from datetime import datetime

from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import same_name
from pycryptoutil_protocols.scep.messages import EnrolRequest, Request
from pycryptoutil_protocols.x509 import Certificate, own_certificate

from pycryptoutil.authority.credentials.service import check_label
from pycryptoutil.authority.model import Credential
from pycryptoutil.authority.scep import webhook
from pycryptoutil.authority.scep.place import Caller, Place, refuse
from pycryptoutil.authority.scep.rules import ScepRules, StaticChallenge, Webhook
from pycryptoutil.authority.service import CertificateAuthorityService

_WRONG = "the challenge password is not accepted"


def identify(
    service: CertificateAuthorityService,
    rules: ScepRules,
    place: Place,
    request: Request,
    body: EnrolRequest,
    now: datetime,
) -> Caller:
    """Return who asks; Fault(UNAUTHENTICATED, FORBIDDEN, EXPIRED, BAD_ALGORITHM).

    RenewalReq needs a certificate of ours. PKCSReq signed by one, for no other names than it has, is what clients sent
    for a renewal before the RFC, and is taken for one; its challenge, if any, is the one that was spent at first.
    """
    certificate, challenge = request.requester.certificate, body.csr.challenge_password
    if body.renewal or _renews(place, certificate, body.csr):
        caller = _by_certificate(service, rules, place, certificate)
    elif challenge is None:
        detail = "PKCSReq without challengePassword"
        raise Fault(FaultKind.UNAUTHENTICATED, detail, "a challengePassword is needed")
    else:
        caller = _by_challenge(service, rules, place, request.message.transaction_id, body.csr, challenge, now)
    if request.requester.legacy:
        check_legacy(service, place, caller.profile, caller.credential.username if caller.credential else "")
    return caller


def check_legacy(service: CertificateAuthorityService, place: Place, profile: str, username: str) -> None:
    """Raise Fault(BAD_ALGORITHM) unless the profile names this credential as one that has nothing better."""
    named = service.profile(place.tenant_id, profile).legacy_credentials
    if not username or username not in named:
        public = "DES, Triple DES, SHA-1 and MD5 are not accepted"
        raise Fault(FaultKind.BAD_ALGORITHM, f"old algorithms from {username or 'nobody named'}", public)


def _renews(place: Place, certificate: Certificate, csr: CertificationRequest) -> bool:
    issuer = own_certificate(place.authority.certificate).subject
    if certificate.issuer == certificate.subject or not same_name(certificate.issuer, issuer):
        return False
    held = {name.comparable() for name in certificate.sans}
    new_names = any(name.comparable() not in held for name in csr.sans)
    return csr.challenge_password is None or not (new_names or not same_name(csr.subject, certificate.subject))


def _by_certificate(
    service: CertificateAuthorityService, rules: ScepRules, place: Place, certificate: Certificate
) -> Caller:
    if not rules.renewal:
        raise refuse("renewal by certificate is not offered here")
    record = service.certificate_status_for_client((certificate.der,))
    profile = place.profile if place.named else record.profile
    if (record.tenant_id, record.authority, record.profile) != (place.tenant_id, place.authority.name, profile):
        detail = f"certificate {record.serial} of {record.authority}/{record.profile}"
        raise refuse("the certificate to be renewed is of another profile or CA", detail)
    return Caller(record.profile, f"certificate:{record.serial}", certificate=record)


def _by_challenge(
    service: CertificateAuthorityService,
    rules: ScepRules,
    place: Place,
    transaction_id: str,
    csr: CertificationRequest,
    challenge: str,
    now: datetime,
) -> Caller:
    credential = _credential(service, place, challenge)
    if credential is not None:
        return Caller(credential.profile, credential.actor, credential=credential, challenge=challenge)
    shared = [one for one in rules.challenges if _applies(service, one, place)]
    matches = [hmac.compare_digest(one.secret.encode(), challenge.encode()) for one in shared]
    if any(matches):
        return Caller(place.profile, f"scep:static:{place.profile}", challenge=challenge)
    for asked in rules.webhooks:
        if _applies(service, asked, place):
            question = webhook.question(asked, csr, transaction_id, place.authority.name, now)
            webhook.ask(asked, question, service.room.clock)
            return Caller(place.profile, f"scep:webhook:{place.profile}", challenge=challenge)
    raise Fault(FaultKind.UNAUTHENTICATED, "no credential, static challenge or webhook has this challenge", _WRONG)


def _credential(service: CertificateAuthorityService, place: Place, challenge: str) -> Credential | None:
    """Return the enrolment credential whose secret this is; None for a secret that is nobody's."""
    try:
        found = service.credential_by_secret(place.tenant_id, challenge, "scep")
    except Fault as fault:
        if fault.kind is FaultKind.UNAUTHENTICATED:
            return None
        raise
    check_label(found, place.profile if place.named else "", place.authority.name)
    return found


def _applies(service: CertificateAuthorityService, entry: StaticChallenge | Webhook, place: Place) -> bool:
    """Static challenges and webhooks are of the installation's own tenant, and of one profile and CA."""
    wanted = service.resolve_label(None, f":{entry.authority}:{entry.profile}")
    return (wanted.tenant_id, wanted.authority, wanted.profile) == (
        place.tenant_id,
        place.authority.name,
        place.profile,
    )
