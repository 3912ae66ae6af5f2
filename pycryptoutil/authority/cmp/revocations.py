"""Revocation by CMP: what a client asks for (rr), and what it does not confirm."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pycryptoutil_protocols import der, oids
from pycryptoutil_protocols.cmp.failures import CmpFault, status_info
from pycryptoutil_protocols.cmp.messages import PKIFailureInfo, PKIStatus, PKIStatusInfo, RevDetails
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.cmp import orders
from pycryptoutil.authority.cmp.requesters import Person
from pycryptoutil.authority.model import CertificateRecord, CertificateStatus, RevocationReason
from pycryptoutil.authority.service import CertificateAuthorityService
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

_UNCONFIRMED: Final = RevocationReason.CESSATION_OF_OPERATION
_ACCEPTED: Final = PKIStatusInfo(PKIStatus.ACCEPTED)


def revoke(
    service: CertificateAuthorityService,
    person: Person,
    details: RevDetails,
    actor: str,
    request_id: str,
    *,
    again: bool,
) -> PKIStatusInfo:
    """Revoke one certificate, as far as the requester may; a refusal is a status, not a fault."""
    try:
        _revoke(service, person, details, actor, request_id, again=again)
    except Fault as fault:
        if orders.is_transient(fault):
            raise
        return status_info(orders.as_cmp(fault))
    return _ACCEPTED


def _revoke(
    service: CertificateAuthorityService,
    person: Person,
    details: RevDetails,
    actor: str,
    request_id: str,
    *,
    again: bool,
) -> None:
    template = details.template
    if template.serial is None or template.issuer is None:
        text = "a revocation request names issuer and serial number"
        raise orders.refuse(PKIFailureInfo.BAD_CERT_TEMPLATE, text)
    reason, invalidity = _entry(details)
    record = orders.find(service, person.tenant_id, template.issuer, template.serial)
    check_owner(person, record)
    if reason is RevocationReason.REMOVE_FROM_CRL and not person.is_ra:
        # who put it on hold may have had reason to: its owner does not take that back
        raise orders.refuse(PKIFailureInfo.NOT_AUTHORIZED, "a hold is released by a registration authority")
    try:
        service.revoke(person.tenant_id, record.serial, reason, invalidity, actor, request_id, record.authority)
    except Fault as fault:
        if fault.kind is not FaultKind.CONFLICT:
            raise
        if again and record.status is CertificateStatus.REVOKED and record.reason is reason:
            return  # by the first try, whose answer was lost
        raise CmpFault(PKIFailureInfo.CERT_REVOKED, fault.detail, fault.public) from None


def check_owner(person: Person, record: CertificateRecord) -> None:
    """An RA speaks for everybody of its tenant, others for themselves; CmpFault(NOT_AUTHORIZED)."""
    if person.is_ra:
        return
    own = person.record is not None and record.serial == person.record.serial and record.der == person.record.der
    theirs = person.credential is not None and record.requester == person.credential.actor
    if not own and not theirs:
        raise orders.refuse(PKIFailureInfo.NOT_AUTHORIZED, "the certificate is somebody else's")


def _entry(details: RevDetails) -> tuple[RevocationReason, datetime | None]:
    """Read the CRL entry extensions that a request may bring (RFC 5280 section 5.3)."""
    reason, invalidity = RevocationReason.UNSPECIFIED, None
    for extension in details.crl_entry:
        if extension.oid == oids.REASON_CODE:
            try:
                reason = RevocationReason.of_code(der.read(extension.value).expect(der.ENUMERATED).integer())
            except ValueError:
                raise orders.refuse(PKIFailureInfo.BAD_DATA_FORMAT, "there is no such reason code") from None
        elif extension.oid == oids.INVALIDITY_DATE:
            invalidity = der.read(extension.value).expect(der.GENERALIZED_TIME).time()
        elif extension.critical:
            text = "crlEntryDetails has a critical extension that is not known here"
            raise orders.refuse(PKIFailureInfo.UNACCEPTED_EXTENSION, text)
    return reason, invalidity


def discard(
    service: CertificateAuthorityService,
    tenant_id: str,
    authority: str,
    serial: str,
    actor: str,
    why: str,
    request_id: str = "",
) -> None:
    """Revoke a certificate that was not confirmed, and say why in the audit log; one revoked already stays so."""
    try:
        service.revoke(tenant_id, serial, _UNCONFIRMED, None, actor, request_id, authority)
    except Fault as fault:
        if fault.kind not in {FaultKind.CONFLICT, FaultKind.NOT_FOUND}:
            raise
        return
    with service.room.database.unit_of_work(tenant_id) as uow:
        event = AuditEvent(
            "certificate.unconfirmed", actor, f"{authority}/{serial}", "success", {"why": why}, request_id
        )
        audit.append(uow, event)
