"""What a wish means for the CA: under which profile, for which names, renewing which certificate."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.cmp import general
from pycryptoutil_protocols.cmp.failures import CmpFault
from pycryptoutil_protocols.cmp.messages import BodyType, PKIFailureInfo, PKIMessage, name_in
from pycryptoutil_protocols.cmp.server.wishes import Wish, unsigned_request
from pycryptoutil_protocols.crmf.messages import CertId, CertTemplate
from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.names import decode_name, same_name
from pycryptoutil_protocols.x509 import Extension, decode_certificate, find_extension

from pycryptoutil.authority.cmp.requesters import Person
from pycryptoutil.authority.model import CertificateRecord, IssueOrder
from pycryptoutil.authority.oids import CERTIFICATE_POLICIES
from pycryptoutil.authority.service import CertificateAuthorityService

_CSR: Final = "csr"  # where authority.extensions points when a profile does not let an extension in


def refuse(failure: PKIFailureInfo, text: str) -> Fault:
    """Return the fault with this bit of failInfo."""
    return CmpFault(failure, text, text)


def make(
    service: CertificateAuthorityService, person: Person, message: PKIMessage, wish: Wish, now: datetime
) -> IssueOrder:
    """Return the order for one wish; a Fault for what the requester may not ask for.

    A notBefore that has passed when the message was made is the CA's to choose: clients put their own time there.
    """
    asked_at = message.header.message_time or now  # the same whenever the message is repeated
    profile = _profile(service, person, message)
    authority = service.authority(person.tenant_id, person.authority)
    subject = decode_certificate(authority.certificate).subject
    if wish.template.issuer is not None and not same_name(wish.template.issuer, subject):
        raise refuse(PKIFailureInfo.WRONG_AUTHORITY, "the template names another issuer")
    previous = _previous(service, person, message, wish)
    wish = _without_policies(service, person.tenant_id, profile, wish)
    if previous is not None and message.kind is BodyType.KUR:
        wish = _with_names_of(previous, wish)
    return IssueOrder(
        authority=authority.name,
        profile=profile,
        csr=wish.csr,
        spki=wish.spki if not wish.signed and not wish.generate else None,
        not_before=wish.not_before if wish.not_before is not None and wish.not_before > asked_at else None,
        not_after=wish.not_after,
        protocol="cmp",
        credential=person.credential,
        previous_certificate=previous.der if previous is not None else None,
        idempotency_key=f"cmp:{(message.header.transaction_id or b'').hex()}:{wish.request_id}",
    )


def _profile(service: CertificateAuthorityService, person: Person, message: PKIMessage) -> str:
    """The requester's profile, or the one that an RA names in certProfile (RFC 9483 section 3.1)."""
    info = message.header.info(general.CERT_PROFILE)
    if info is None:
        return person.profile
    names = set(general.read_cert_profile(info))
    if len(names) != 1:
        raise refuse(PKIFailureInfo.BAD_REQUEST, "several certificate profiles cannot be asked for in one message")
    (name,) = names
    if name != person.profile:
        if not person.is_ra:
            raise refuse(PKIFailureInfo.NOT_AUTHORIZED, f"the requester is for the profile {person.profile}")
        try:
            service.profile(person.tenant_id, name)
        except Fault as fault:
            if fault.kind is not FaultKind.NOT_FOUND:
                raise
            raise refuse(PKIFailureInfo.BAD_CERT_TEMPLATE, "there is no such certificate profile") from None
    return name


# -- renewal -----------------------------------------------------------------------------------------------------------


def _previous(
    service: CertificateAuthorityService, person: Person, message: PKIMessage, wish: Wish
) -> CertificateRecord | None:
    """Return the certificate whose names bound those of the new one; None where a credential or an RA decides."""
    if message.kind is BodyType.KUR:
        if person.record is not None and not person.is_ra:
            if wish.old is not None and not _is(person.record, wish.old):
                raise refuse(PKIFailureInfo.BAD_CERT_ID, "oldCertID is not the certificate that signs the request")
            return person.record
        return _named(service, person, wish.old)
    return person.record if not person.is_ra else None


def _named(service: CertificateAuthorityService, person: Person, old: CertId | None) -> CertificateRecord:
    if old is None:
        raise refuse(PKIFailureInfo.BAD_CERT_ID, "oldCertID must say which certificate is to be updated")
    found = find(service, person.tenant_id, name_in(old.issuer), old.serial)
    if person.credential is not None and found.requester != person.credential.actor:
        raise refuse(PKIFailureInfo.NOT_AUTHORIZED, "the certificate was not issued for this credential")
    return found


def find(service: CertificateAuthorityService, tenant_id: str, issuer: bytes | None, serial: int) -> CertificateRecord:
    """Return the tenant's certificate of an issuer and a serial number; CmpFault(BAD_CERT_ID)."""
    unknown = refuse(PKIFailureInfo.BAD_CERT_ID, "there is no such certificate")
    if issuer is None or serial <= 0:
        raise unknown
    for authority in service.authorities(tenant_id):
        if same_name(decode_certificate(authority.certificate).subject, issuer):
            try:
                return service.certificate(tenant_id, f"{serial:x}", authority.name)
            except Fault as fault:
                if fault.kind is not FaultKind.NOT_FOUND:
                    raise
    raise unknown


def _is(record: CertificateRecord, wanted: CertId) -> bool:
    certificate, issuer = decode_certificate(record.der), name_in(wanted.issuer)
    return issuer is not None and wanted.serial == certificate.serial and same_name(issuer, certificate.issuer)


def _with_names_of(previous: CertificateRecord, wish: Wish) -> Wish:
    """Take the names of the old certificate where the request says none (RFC 9483 section 4.1.3)."""
    certificate = decode_certificate(previous.der)
    template = wish.template
    names = find_extension(template.extensions, oids.SUBJECT_ALT_NAME)
    has_subject = template.subject is not None and bool(decode_name(template.subject).rdns)
    held = certificate.extension(oids.SUBJECT_ALT_NAME)
    if wish.signed or (has_subject and (names is not None or held is None)):
        return wish
    extensions = template.extensions
    if names is None and held is not None:
        extensions = (*extensions, Extension(oids.SUBJECT_ALT_NAME, False, held.value))
    subject = template.subject if has_subject else certificate.subject
    return _asking(wish, replace(template, subject=subject, extensions=extensions))


def _asking(wish: Wish, template: CertTemplate) -> Wish:
    return replace(wish, csr=unsigned_request(template), template=template)


# -- policies ----------------------------------------------------------------------------------------------------------


def _without_policies(service: CertificateAuthorityService, tenant_id: str, profile: str, wish: Wish) -> Wish:
    """Check the certificate policies that are asked for; those of the profile go in by themselves."""
    asked = find_extension(wish.template.extensions, CERTIFICATE_POLICIES)
    if asked is None or wish.signed:
        return wish
    offered = {one.oid for one in service.profile(tenant_id, profile).policies}
    for child in der.read(asked.value).expect(der.SEQUENCE, "CertificatePolicies").children():
        if child.reader().take(der.OID, "policyIdentifier").oid() not in offered:
            text = f"the profile {profile} does not have this certificate policy"
            raise refuse(PKIFailureInfo.UNACCEPTED_POLICY, text)
    kept = tuple(one for one in wish.template.extensions if one.oid != CERTIFICATE_POLICIES)
    return _asking(wish, replace(wish.template, extensions=kept))


# -- refusals ----------------------------------------------------------------------------------------------------------

_TRANSIENT: Final = frozenset(
    {
        FaultKind.UNAVAILABLE,
        FaultKind.SEALED,
        FaultKind.BUSY,
        FaultKind.STORAGE_FULL,
        FaultKind.RATE_LIMITED,
        FaultKind.INTERNAL,
    }
)


def is_transient(fault: Fault) -> bool:
    """Tell whether a fault has nothing to do with what was asked for: the same may succeed later."""
    return fault.kind in _TRANSIENT


def as_cmp(fault: Fault) -> Fault:
    """Return a refusal of issuance with the bit of failInfo that says most of it."""
    if isinstance(fault, CmpFault):
        return fault
    failure = {
        FaultKind.INVALID: PKIFailureInfo.BAD_CERT_TEMPLATE,
        FaultKind.NOT_FOUND: PKIFailureInfo.BAD_CERT_TEMPLATE,
        FaultKind.CONFLICT: PKIFailureInfo.NOT_AUTHORIZED,  # the CA is disabled, or revoked
        FaultKind.BAD_SIGNATURE: PKIFailureInfo.BAD_POP,
    }.get(fault.kind)
    if fault.kind is FaultKind.POLICY and fault.pointer == _CSR:
        failure = PKIFailureInfo.UNACCEPTED_EXTENSION
    return fault if failure is None else CmpFault(failure, fault.detail, fault.public)
