"""From a ready order to its certificate (RFC 8555 section 7.4), and to the next one of an auto-renewal (RFC 8739)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from pycryptoutil_protocols.acme import messages
from pycryptoutil_protocols.acme.messages import AccountStatus, AuthorizationStatus, IdentifierType, OrderStatus
from pycryptoutil_protocols.acme.problems import AcmeFault, Problem, ProblemType, problem_of, refused
from pycryptoutil_protocols.csr import CertificationRequest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import names
from pycryptoutil.authority.acme import orders, views
from pycryptoutil.authority.acme.context import Caller, Core, actor_of
from pycryptoutil.authority.acme.store import accounts as account_store
from pycryptoutil.authority.acme.store import orders as store
from pycryptoutil.authority.acme.store.rows import AccountRow, AuthorizationRow, OrderRow
from pycryptoutil.authority.enrolment import Enrolment, EnrolmentState
from pycryptoutil.authority.model import IssuedCertificate, IssueOrder, RevocationReason
from pycryptoutil.crypto import x509
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

_BAD_CSR: Final = frozenset(
    {
        FaultKind.MALFORMED,
        FaultKind.INVALID,
        FaultKind.TOO_LARGE,
        FaultKind.UNSUPPORTED,
        FaultKind.BAD_ALGORITHM,
        FaultKind.BAD_POP,
        FaultKind.BAD_SIGNATURE,
        FaultKind.WEAK_KEY,
        FaultKind.POLICY,
    }
)
_PASSING: Final = frozenset(
    {FaultKind.UNAVAILABLE, FaultKind.SEALED, FaultKind.STORAGE_FULL, FaultKind.BUSY, FaultKind.RATE_LIMITED}
)
_RETRY: Final = timedelta(minutes=5)
_SYSTEM: Final = "system"
_REASON: Final = RevocationReason.SUPERSEDED  # what allowed the certificate holds no more, and no key is in danger

CheckCaa: TypeAlias = Callable[[OrderRow, AccountRow], None]

_log = logging.getLogger(__name__)


def finalize(core: Core, caller: Caller, order_id: str, payload: Mapping[str, Any]) -> tuple[OrderRow, bool]:
    """Take the CSR; also whether the certificate must wait for the DNS to be asked about CAA again."""
    row, found = orders.own_order(core, caller, order_id)
    now = core.now
    status = views.order_status(row, now)
    if status != OrderStatus.READY:
        text = f"the order is {status}, and only one that is ready can be finalized"
        raise AcmeFault(Problem(ProblemType.ORDER_NOT_READY, text), FaultKind.CONFLICT)
    if any(views.authorization_status(one, now) != AuthorizationStatus.VALID for one in found):
        text = "an authorization has run out since the order became ready: order anew"
        raise AcmeFault(Problem(ProblemType.ORDER_NOT_READY, text), FaultKind.CONFLICT)
    csr = messages.csr_of(payload)
    _check_csr(caller, row, found, csr)
    values = {"status": OrderStatus.PROCESSING, "csr": csr, "changed_at": now}
    with core.room.database.unit_of_work(caller.place.tenant_id) as uow:
        if not store.change_order(uow, row.id, (OrderStatus.READY,), values):
            raise AcmeFault(Problem(ProblemType.ORDER_NOT_READY, "the order is being processed"), FaultKind.CONFLICT)
    return row, needs_caa(core, row, found)


def needs_caa(core: Core, row: OrderRow, found: Sequence[AuthorizationRow]) -> bool:
    """Tell whether CAA was last asked about too long ago (RFC 8659 section 3, BR 3.2.2.8)."""
    return _asked_before(row, found, core.now - core.rules.caa_recheck)


def _asked_before(row: OrderRow, found: Sequence[AuthorizationRow], moment: datetime) -> bool:
    if row.caa_at is not None and row.caa_at >= moment:
        return False
    return any(one.type == IdentifierType.DNS and (one.validated_at or moment) < moment for one in found)


def _check_csr(caller: Caller, row: OrderRow, found: Sequence[AuthorizationRow], encoded: bytes) -> None:
    try:
        csr = x509.verify_csr(encoded)
        device = row.identifiers[0][0] == IdentifierType.PERMANENT_IDENTIFIER
        asked = set() if device else _names(csr)
    except Fault as fault:
        raise refused(ProblemType.BAD_CSR, fault.public or "the CSR is not valid", fault.detail) from None
    if csr.spki == caller.key.spki:  # section 11.1
        raise refused(ProblemType.BAD_CSR, "the CSR has the account's own key")
    if device:
        _check_device(csr, found[0])
    elif asked != {f"{kind}:{value}" for kind, value in row.identifiers}:
        raise refused(ProblemType.BAD_CSR, "the CSR's names are not the order's identifiers")


def _names(csr: CertificationRequest) -> set[str]:
    found = [*map(names.from_general_name, csr.sans), *map(names.guess_name, csr.name.common_names)]
    return {f"{one.kind}:{one.value}" for one in found}


def _check_device(csr: CertificationRequest, owner: AuthorizationRow) -> None:
    if hashlib.sha256(csr.spki).hexdigest() != owner.attested_spki:
        raise refused(ProblemType.BAD_CSR, "the CSR's key is not the one that the device has attested")
    if any(one != owner.value for one in csr.name.common_names):
        raise refused(ProblemType.BAD_CSR, "the CSR's common name is not the device's identifier")


# -- the certificate ---------------------------------------------------------------------------------------------------


def finish(core: Core, tenant_id: str, order_id: str, request_id: str = "", *, waits: bool) -> None:
    """Have an order that is being processed certified.

    While its client waits, a refusal is raised and the order is ready again; when it does not, the order is over.
    """
    with core.room.database.read(tenant_id) as reader:
        row = store.order(reader, order_id)
    if row is None or row.status != OrderStatus.PROCESSING:
        return
    try:
        result = _enrol(core, row, request_id)
    except Fault as fault:
        _failed(core, row, fault, waits=waits)
        if waits:
            raise _as_problem(fault) from None
        return
    settle(core, row, result)


def _enrol(core: Core, row: OrderRow, request_id: str) -> Enrolment:
    if row.enrolment_id:
        return core.enroller.enrolment(row.tenant_id, row.enrolment_id)
    with core.room.database.read(row.tenant_id) as reader:
        account = account_store.by_id(reader, row.account_id)
    if account is None or row.csr is None:
        raise Fault(FaultKind.INTERNAL, f"order {row.id} without account or CSR")
    order = _issue_order(core, row, orders.credential_of(core, account))
    return core.enroller.enrol(row.tenant_id, order, actor_of(account), request_id)


def _issue_order(core: Core, row: OrderRow, credential: Any) -> IssueOrder:
    kind, value = row.identifiers[0]
    device = kind == IdentifierType.PERMANENT_IDENTIFIER
    not_before, not_after = row.not_before, row.not_after
    if row.auto_renewal is not None:
        not_before, not_after = _next_validity(core, row.auto_renewal)
    csr = row.csr or b""
    return IssueOrder(
        authority=row.authority,
        profile=row.profile,
        csr=None if device else csr,
        spki=x509.verify_csr(csr).spki if device else None,
        subject=f"CN={_escape(value)}" if device else None,
        sans=() if device else tuple(f"{kind}:{value}" for kind, value in row.identifiers),
        not_before=not_before,
        not_after=not_after,
        protocol="acme",
        credential=credential,
        idempotency_key=f"acme:{row.id}:{row.renewals}",
    )


def _escape(value: str) -> str:
    """RFC 4514 section 2.4."""
    return "".join(f"\\{ord(one):02x}" if not one.isalnum() else one for one in value)


def _next_validity(core: Core, document: Mapping[str, Any]) -> tuple[datetime | None, datetime]:
    wanted = messages.auto_renewal(document)
    now = core.now
    start = max(wanted.start or now, now)
    end = min(start + wanted.lifetime, wanted.end)
    return (start - wanted.adjust if wanted.adjust or start > now else None), end


def settle(core: Core, row: OrderRow, result: Enrolment) -> None:
    """Write down what became of an order's enrolment."""
    now = core.now
    values: dict[str, Any] = {"changed_at": now}
    match result.state:
        case EnrolmentState.PENDING:
            values["enrolment_id"] = result.id
        case EnrolmentState.ISSUED if result.certificate is not None:
            values |= {"status": OrderStatus.VALID, "serial": result.certificate.serial}
            if row.auto_renewal is not None:
                values["renew_at"] = _renew_at(row.auto_renewal, result.certificate)
        case _:
            problem = Problem(ProblemType.UNAUTHORIZED, result.reason or "the request was rejected")
            values |= {"status": OrderStatus.INVALID, "error": problem.document()}
    with core.room.database.unit_of_work(row.tenant_id) as uow:
        changed = store.change_order(uow, row.id, (OrderStatus.PROCESSING,), values)
        account = account_store.by_id(uow, row.account_id) if not changed else None
        if account is not None and account.status != AccountStatus.VALID:  # it ended while the CA was asked
            core.enroller.withdraw_enrolments(uow, actor_of(account))


def _renew_at(document: Mapping[str, Any], issued: IssuedCertificate) -> datetime | None:
    """Half of a certificate's life before it ends; never once it lasts to the end of the whole."""
    end = messages.auto_renewal(document).end
    if issued.not_after >= end - timedelta(seconds=1):
        return None
    return issued.not_after - (issued.not_after - issued.not_before) / 2


def _failed(core: Core, row: OrderRow, fault: Fault, *, waits: bool) -> None:
    passing = fault.kind in _PASSING
    if not waits and passing:
        raise fault  # it is tried again later
    values: dict[str, Any] = {"changed_at": core.now}
    if waits:
        values |= {"status": OrderStatus.READY, "csr": None}
    else:
        values |= {"status": OrderStatus.INVALID, "error": _as_problem(fault).problem.document()}
    with core.room.database.unit_of_work(row.tenant_id) as uow:
        store.change_order(uow, row.id, (OrderStatus.PROCESSING,), values)
        if not passing:
            event = AuditEvent("acme.order.refused", f"acme:{row.account_id}", row.id, "failure",
                               {"why": fault.detail[:500]})  # fmt: skip
            audit.append(uow, event)


def _as_problem(fault: Fault) -> AcmeFault:
    if isinstance(fault, AcmeFault):
        return fault
    problem = problem_of(fault)
    if fault.kind in _BAD_CSR:
        problem = Problem(ProblemType.BAD_CSR, fault.public or "the CSR is refused")
    return AcmeFault(problem, fault.kind, detail=fault.detail, retry_after=fault.retry_after)


def ask_caa(
    core: Core, row: OrderRow, account: AccountRow, found: Sequence[AuthorizationRow], check_caa: CheckCaa
) -> bool:
    """Ask about CAA again; False if that has ended the order.

    While an order waits for an approval and the last answer counts yet, a resolver that fails is asked again later.
    """
    try:
        check_caa(row, account)
    except AcmeFault as fault:
        counts = not _asked_before(row, found, core.now - core.rules.caa_valid)
        if row.enrolment_id and fault.problem.type is not ProblemType.CAA and counts:
            return True
        _take_back(core, row)
        values = {"status": OrderStatus.INVALID, "error": fault.problem.document(), "changed_at": core.now}
    else:
        values = {"caa_at": core.now}
    with core.room.database.unit_of_work(row.tenant_id) as uow:
        store.change_order(uow, row.id, (OrderStatus.PROCESSING,), values)
    return "caa_at" in values


def _take_back(core: Core, row: OrderRow) -> None:
    """Withdraw what waits for an approval; what was approved meanwhile, and nobody has been given, is revoked."""
    if not row.enrolment_id:
        return
    try:
        core.enroller.cancel_enrolment(
            row.tenant_id, row.enrolment_id, _SYSTEM, reason="CAA does not allow it any more"
        )
    except Fault as fault:
        if fault.kind is not FaultKind.CONFLICT:
            raise
        issued = core.enroller.enrolment(row.tenant_id, row.enrolment_id).certificate
        if issued is None:
            return
        try:
            core.enroller.revoke(row.tenant_id, issued.serial, _REASON, None, _SYSTEM, authority=issued.authority)
        except Fault as already:
            if already.kind is not FaultKind.CONFLICT:
                raise


# -- auto-renewal ------------------------------------------------------------------------------------------------------


def renew(core: Core, row: OrderRow, check_caa: CheckCaa) -> None:
    """Issue the next certificate of an auto-renewal; on trouble, try again in some minutes until its end."""
    now = core.now
    if row.auto_renewal is None:
        return
    over = messages.auto_renewal(row.auto_renewal).end <= now
    with core.room.database.unit_of_work(row.tenant_id) as uow:
        if not store.claim_renewal(uow, row, None if over else now + _RETRY) or over:
            return
        account = account_store.by_id(uow, row.account_id)
    if account is None or account.status != AccountStatus.VALID:
        return
    check_caa(row, account)  # before every certificate (RFC 8659 section 3), unlike control of the names
    following = _issue_order(core, replace(row, renewals=row.renewals + 1), orders.credential_of(core, account))
    result = core.enroller.enrol(row.tenant_id, following, actor_of(account))
    if result.state is not EnrolmentState.ISSUED or result.certificate is None:
        _log.warning("auto-renewal of order %s: %s", row.id, result.state.value)
        return
    values = {
        "serial": result.certificate.serial,
        "renewals": row.renewals + 1,
        "renew_at": _renew_at(row.auto_renewal, result.certificate),
        "changed_at": core.now,
    }
    with core.room.database.unit_of_work(row.tenant_id) as uow:
        store.change_order(uow, row.id, (OrderStatus.VALID,), values)


def cancel(core: Core, caller: Caller, order_id: str) -> OrderRow:
    """End an auto-renewal (RFC 8739 section 3.1.3)."""
    row, _ = orders.own_order(core, caller, order_id)
    if row.auto_renewal is None or row.status != OrderStatus.VALID:
        problem = Problem(ProblemType.AUTO_RENEWAL_CANCELLATION_INVALID, "only a valid auto-renewal can be canceled")
        raise AcmeFault(problem, FaultKind.CONFLICT)
    with core.room.database.unit_of_work(caller.place.tenant_id) as uow:
        values = {"status": OrderStatus.CANCELED, "renew_at": None, "changed_at": core.now}
        if store.change_order(uow, row.id, (OrderStatus.VALID,), values):
            audit.append(uow, AuditEvent("acme.order.cancel", caller.actor, row.id, request_id=caller.request_id))
        return store.order(uow, row.id) or row
