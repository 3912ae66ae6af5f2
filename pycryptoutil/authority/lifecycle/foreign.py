"""What was signed elsewhere, as rows of ours: CAs without a key, their certificates, what they have revoked."""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind
from pycryptoutil_protocols.x509 import Certificate

from pycryptoutil.authority import names, serials, store
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.crl import series
from pycryptoutil.authority.lifecycle.linking import Request
from pycryptoutil.authority.model import AuthorityKind, AuthorityStatus, CertificateState, RevocationReason
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto import policy, x509
from pycryptoutil.crypto.signed import RevokedEntry
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

PROTOCOL: Final = "import"


def ensure(
    uow: UnitOfWork, certificate: Certificate, name: str, parent: AuthorityRow | None, request: Request
) -> AuthorityRow:
    """Return the CA of a certificate, made without a key unless it is known; Fault(CONFLICT) if the name is taken."""
    rows = store.all_authorities(uow)
    known = next((row for row in rows if row.certificate == certificate.der), None)
    if known is not None:
        return known
    if any(row.name == name for row in rows):
        text = f"there is another certificate authority {name!r} already"
        raise Fault(FaultKind.CONFLICT, text, text, pointer="name")
    row = new_row(uow.tenant_id, certificate, name, parent, request)
    store.insert_authority(uow, row)
    issuer = parent.id if parent is not None else row.id
    keep_certificate(uow, issuer, certificate, "intermediate-ca" if parent is not None else "root-ca", request)
    details = {"id": row.id, "parent": parent.name if parent is not None else "", "offline": True}
    audit.append(uow, AuditEvent("authority.install", request.actor, name, "success", details, request.request_id))
    return row


def new_row(
    tenant_id: str, certificate: Certificate, name: str, parent: AuthorityRow | None, request: Request
) -> AuthorityRow:
    """Return the row of a CA whose key is elsewhere; Fault(INVALID) for a name that no CA may have."""
    if series.of_name(name) is not None:
        text = "a name may not end as the URLs of delta CRLs and of CRL shards do"
        raise Fault(FaultKind.INVALID, text, text, pointer="name")
    key = policy.check_public_key(certificate.spki).algorithm
    try:
        signature = policy.check_request_signature(certificate.signature_algorithm).value
    except Fault:
        signature = policy.default_signature(key).value
    return AuthorityRow(
        id=uuid.uuid4().hex,
        tenant_id=tenant_id,
        name=name,
        public_id=name,
        kind=AuthorityKind.ISSUING if parent is not None else AuthorityKind.ROOT,
        parent_id=parent.id if parent is not None else "",
        status=AuthorityStatus.DISABLED,
        subject=x509.name_text(certificate.subject),
        certificate=certificate.der,
        sealed_key=b"",
        key_algorithm=key,
        signature_algorithm=signature,
        spki_sha256=x509.fingerprint(certificate.spki),
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        created_at=request.now,
    )


def keep_certificate(
    uow: UnitOfWork, authority_id: str, certificate: Certificate, profile: str, request: Request
) -> bool:
    """Keep a certificate as one that this CA has issued; False if it was known."""
    serial = serials.to_hex(certificate.serial)
    if certificates.by_serial(uow, serial, authority_id):
        return False
    row = CertificateRow(
        tenant_id=uow.tenant_id,
        authority_id=authority_id,
        serial=serial,
        state=CertificateState.RESERVED,
        subject=x509.name_text(certificate.subject),
        names="\n".join(str(names.from_general_name(one)) for one in certificate.sans),
        spki_sha256=x509.fingerprint(certificate.spki),
        profile=profile,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        tbs_sha256=hashlib.sha256(certificate.tbs).hexdigest(),
        requester=request.actor,
        credential_id="",
        protocol=PROTOCOL,
        created_at=request.now,
    )
    certificates.reserve(uow, row)
    return certificates.complete(uow, authority_id, serial, certificate.der)


def revoke(uow: UnitOfWork, authority_id: str, entry: RevokedEntry, request: Request) -> None:
    """Revoke what is known here of a CRL's entry; a hold may become a revocation, and nothing becomes good again."""
    try:
        reason = RevocationReason.of_code(entry.reason or 0)
    except ValueError:
        reason = RevocationReason.UNSPECIFIED
    for row in certificates.by_serial(uow, serials.to_hex(entry.serial), authority_id):
        held = row.reason == RevocationReason.CERTIFICATE_HOLD.code
        if row.revoked_at is not None and (not held or reason is RevocationReason.CERTIFICATE_HOLD):
            continue
        if certificates.set_revocation(uow, row, entry.revoked_at, reason, entry.invalidity_date):
            certificates.append_event(uow, authority_id, row.serial, request.now.replace(microsecond=0))
            details = {"reason": reason.value, "by": "crl"}
            event = AuditEvent("certificate.revoke", request.actor, row.serial, "success", details, request.request_id)
            audit.append(uow, event)
