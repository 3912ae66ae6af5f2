"""Issuance, step by step: the table of :mod:`pycryptoutil.authority.decisions`, then the one of writes below.

What only decides is done before the unit of work, so that the one writer of SQLite is not kept waiting; what writes is
one unit: the serial is in the database before anything is signed, and nobody is answered before all of it is durable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from pycryptoutil_protocols import der
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import store
from pycryptoutil.authority.certificates import records
from pycryptoutil.authority.certificates import store as certificates
from pycryptoutil.authority.certificates.store import CertificateRow
from pycryptoutil.authority.credentials import store as credentials
from pycryptoutil.authority.decisions import DECISIONS
from pycryptoutil.authority.events import EventType, emit
from pycryptoutil.authority.issuance import Issuance
from pycryptoutil.authority.model import CertificateState, IssuedCertificate, IssueOrder
from pycryptoutil.authority.names import refused
from pycryptoutil.authority.room import Room, chain, load_profile
from pycryptoutil.authority.store import AuthorityRow
from pycryptoutil.crypto import x509
from pycryptoutil.storage import Reader, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_REFUSALS: Final = frozenset(
    {
        FaultKind.POLICY,
        FaultKind.FORBIDDEN,
        FaultKind.WEAK_KEY,
        FaultKind.BAD_ALGORITHM,
        FaultKind.BAD_POP,
        FaultKind.CONFLICT,
    }
)


# -- writing -----------------------------------------------------------------------------------------------------------


def ask_again(i: Issuance, uow: UnitOfWork) -> None:
    """Look again at what may have changed since: the CA's status, and whether the key was compromised."""
    standing = certificates.standing(uow, i.ca.id, i.spki_sha256)
    if not standing.active:
        raise Fault(FaultKind.CONFLICT, f"CA {i.ca.name} is disabled", "the certificate authority is disabled")
    refuse_revoked_authority(uow, i.ca, i.rows)
    if standing.compromised:
        raise Fault(FaultKind.WEAK_KEY, "the key was revoked as compromised", "the key is known to be compromised")


def refuse_revoked_authority(reader: Reader, ca: AuthorityRow, rows: list[AuthorityRow]) -> None:
    """Raise Fault(CONFLICT) below a CA that is revoked or on hold: nobody would accept what it issues."""
    revoked = records.revoked_authority(reader, ca, rows)
    if revoked is not None:
        text = "the certificate authority, or one above it, is revoked"
        raise Fault(FaultKind.CONFLICT, f"CA {revoked.name} is revoked", text)


def spend_credential(i: Issuance, uow: UnitOfWork) -> None:
    """Count one use of the credential; the database decides between concurrent requests.

    What was approved has counted when it was asked for.
    """
    credential = i.order.credential
    if credential is not None and not i.enrolment and not credentials.use(uow, credential.id, i.now):
        text = "the enrolment credential is used up, has expired or was withdrawn"
        raise Fault(FaultKind.FORBIDDEN, f"{credential.username}: {text}", text)


def reserve_serial(i: Issuance, uow: UnitOfWork) -> None:
    """INSERT first: two certificates of one serial cannot be."""
    certificates.reserve(
        uow,
        CertificateRow(
            tenant_id=uow.tenant_id,
            authority_id=i.ca.id,
            serial=i.serial_hex,
            state=CertificateState.RESERVED,
            subject=x509.name_text(i.subject.der),
            names="\n".join(map(str, i.sans)),
            spki_sha256=i.spki_sha256,
            profile=i.profile.name,
            not_before=i.not_before,
            not_after=i.not_after,
            tbs_sha256=i.tbs_sha256,
            requester=i.requester,
            credential_id=i.order.credential.id if i.order.credential is not None else "",
            protocol=i.order.protocol,
            created_at=i.now,
        ),
    )


def remember_answer(i: Issuance, uow: UnitOfWork) -> None:
    """Keep what a repeat is answered with."""
    if i.order.idempotency_key:
        window = timedelta(hours=i.room.settings.idempotency_hours)
        certificates.remember(uow, i.repeat_digest, i.ca.id, i.serial_hex, i.now, window)


def audit_intent(i: Issuance, uow: UnitOfWork) -> None:
    """Say what will be signed, in the same unit: what cannot be audited is not signed."""
    audit.append(
        uow,
        AuditEvent(
            "certificate.issue",
            i.requester,
            f"{i.ca.name}/{i.serial_hex}",
            details={
                "profile": i.profile.name,
                "protocol": i.order.protocol,
                "tbs_sha256": i.tbs_sha256,
                "spki_sha256": i.spki_sha256,
                "not_after": i.not_after.isoformat(),
                "renews": hashlib.sha256(i.order.previous_certificate or b"").hexdigest()
                if i.order.previous_certificate
                else "",
            }
            | ({"enrolment": i.enrolment} if i.enrolment else {}),
            request_id=i.request_id,
        ),
    )


def sign(i: Issuance, _uow: UnitOfWork) -> None:
    """Sign exactly what was linted."""
    i.der = i.key.signer.sign(i.tbs)


def compare(i: Issuance, _uow: UnitOfWork) -> None:
    """Refuse to hand out anything but what was linted, under a signature that holds."""
    tbs, _, signature = der.read(i.der).children()
    if tbs.encoded != i.tbs:
        raise Fault(FaultKind.INTERNAL, f"serial {i.serial_hex}: what was signed is not what was linted")
    try:
        i.key.public.verify(i.key.signature_algorithm, tbs.encoded, signature.bits())
    except Fault as fault:
        raise Fault(FaultKind.INTERNAL, f"serial {i.serial_hex}: own signature: {fault.detail}") from None


def keep(i: Issuance, uow: UnitOfWork) -> None:
    """Store the certificate under its reserved serial."""
    if not certificates.complete(uow, i.ca.id, i.serial_hex, i.der):
        raise Fault(FaultKind.INTERNAL, f"serial {i.serial_hex} is not reserved any more")


def tell(i: Issuance, uow: UnitOfWork) -> None:
    """Tell who has subscribed, once all of this is durable."""
    data = {"serial": i.serial_hex, "authority": i.ca.name, "profile": i.profile.name,
            "subject": x509.name_text(i.subject.der), "sans": list(map(str, i.sans)),
            "not_before": i.not_before.isoformat(), "not_after": i.not_after.isoformat(),
            "requester": i.requester, "protocol": i.order.protocol}  # fmt: skip
    emit(uow, EventType.CERTIFICATE_ISSUED, data)


WRITES: Final[tuple[Callable[[Issuance, UnitOfWork], None], ...]] = (
    ask_again,
    spend_credential,
    reserve_serial,
    remember_answer,
    audit_intent,
    sign,
    compare,
    keep,
    tell,
)


def run(room: Room, tenant_id: str, order: IssueOrder, actor: str, request_id: str) -> IssuedCertificate:
    """Issue one certificate; a refusal is audited too. Fault(POLICY) where approval is needed first."""
    return run_begun(begin(room, tenant_id, order, actor, request_id))


def run_begun(i: Issuance) -> IssuedCertificate:
    """Issue what :func:`begin` has looked up."""
    order = i.order
    if i.earlier is not None:
        return i.earlier
    with refusals_audited(i):
        if i.profile.approvals:
            raise refused(f"certificates of the profile {i.profile.name} are issued after approval only", "profile")
        try:
            decide(i)
            precertify(i)
            with i.room.database.unit_of_work(i.ca.tenant_id) as uow:
                write(i, uow)
        except Fault as fault:
            # another thread or replica was serving the same request, and may have spent the credential for it
            raced = fault.kind in {FaultKind.CONFLICT, FaultKind.FORBIDDEN}
            if raced and order.idempotency_key:
                with i.room.database.read(i.ca.tenant_id) as reader:
                    earlier = _repeated(i, reader)
                if earlier is not None:
                    return earlier
            raise
    return i.issued()


def begin(room: Room, tenant_id: str, order: IssueOrder, actor: str, request_id: str) -> Issuance:
    """Look up the CA, the profile and what a repeat is answered with; Fault(NOT_FOUND, SEALED)."""
    with room.database.read(tenant_id) as reader:
        rows = store.all_authorities(reader)
        ca = room.find(rows, order.authority)
        profile = load_profile(reader, order.profile or room.settings.default_profile)
        i = Issuance(room, order, actor, request_id, room.clock.now(), rows, ca, profile, room.keys.of(ca))
        i.earlier = _repeated(i, reader) if order.idempotency_key else None
    return i


def decide(i: Issuance) -> None:
    """Run every decision; afterwards it is known what would be signed."""
    for step in DECISIONS:
        step(i)


def precertify(i: Issuance) -> None:
    """Get timestamps of CT logs, where the profile asks for any: slow, and outside of any unit of work."""
    if i.profile.ct.logs:
        from pycryptoutil.authority import transparency  # it is made of these steps

        transparency.precertify(i)


def write(i: Issuance, uow: UnitOfWork) -> None:
    """Run every write in the caller's unit: the certificate is signed, and durable when the unit is."""
    for step in i.writes or WRITES:
        step(i, uow)


@contextmanager
def refusals_audited(i: Issuance) -> Iterator[None]:
    """Audit what the block refuses, outside of its own unit of work."""
    try:
        yield
    except Fault as fault:
        if fault.kind in _REFUSALS:
            _audit_refusal(i, fault)
        raise


def _repeated(i: Issuance, reader: Reader) -> IssuedCertificate | None:
    found = certificates.remembered(reader, i.repeat_digest, i.now)
    row = next(iter(certificates.by_serial(reader, found[1], found[0])), None) if found is not None else None
    # a certificate revoked since is no answer to a retry: whoever asks again wants one that works
    if row is None or row.revoked_at is not None:
        return None
    return records.answer(row, i.ca.name, chain(i.ca, i.rows), repeated=True)


def _audit_refusal(i: Issuance, fault: Fault) -> None:
    with i.room.database.unit_of_work(i.ca.tenant_id) as uow:
        audit.append(
            uow,
            AuditEvent(
                "certificate.issue",
                i.requester,
                f"{i.ca.name}/{i.profile.name}",
                "failure",
                {"kind": fault.kind.value, "protocol": i.order.protocol, "where": fault.pointer},
                i.request_id,
            ),
        )
