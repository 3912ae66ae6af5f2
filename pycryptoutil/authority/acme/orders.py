"""Orders and authorizations up to where a validator takes over (RFC 8555 sections 7.4 and 7.5)."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from pycryptoutil_protocols.acme import messages, renewal
from pycryptoutil_protocols.acme.messages import (
    AuthorizationStatus,
    AutoRenewal,
    ChallengeStatus,
    Identifier,
    IdentifierType,
    OrderRequest,
    OrderStatus,
)
from pycryptoutil_protocols.acme.problems import AcmeFault, Problem, ProblemType, joined, malformed, refused
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import names
from pycryptoutil.authority.acme import accounts, views
from pycryptoutil.authority.acme.context import HOUR, Caller, Core, limited, not_yours
from pycryptoutil.authority.acme.model import AutoRenewalRules
from pycryptoutil.authority.acme.predecessors import find_predecessor
from pycryptoutil.authority.acme.store import orders as store
from pycryptoutil.authority.acme.store.rows import AccountRow, AuthorizationRow, ChallengeRow, OrderRow
from pycryptoutil.authority.credentials import service as credentials
from pycryptoutil.authority.model import Credential
from pycryptoutil.authority.profile import Profile
from pycryptoutil.storage import Reader, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

_TOKEN_OCTETS: Final = 32
_PAGE: Final = 50


def credential_of(core: Core, account: AccountRow) -> Credential | None:
    """Return the enrolment credential that an account is bound to, while it may be used; unauthorized after that."""
    if not account.credential_id:
        return None
    try:
        found = credentials.get(core.room, account.tenant_id, account.credential_id)
    except Fault:
        found = None
    over = found is None or found.status != "active"
    if found is None or over or (found.expires_at is not None and found.expires_at <= core.now):
        text = "the account's external binding is not valid any more"
        raise AcmeFault(Problem(ProblemType.UNAUTHORIZED, text), FaultKind.FORBIDDEN)
    return found


# -- names -------------------------------------------------------------------------------------------------------------


def normal_identifiers(
    core: Core, profile: Profile, credential: Credential | None, asked: Sequence[Identifier]
) -> tuple[Identifier, ...]:
    """Return identifiers in normal form; one problem for each that is refused (section 6.7.1)."""
    found: list[Identifier] = []
    wrong: list[Problem] = []
    for one in asked:
        try:
            found.append(_normal(core, profile, credential, one))
        except Fault as fault:
            kind = fault.problem.type if isinstance(fault, AcmeFault) else ProblemType.REJECTED_IDENTIFIER
            wrong.append(Problem(kind, fault.public, identifier=(one.type, one.value)))
    if wrong:
        raise AcmeFault(joined(wrong, "some of the identifiers were refused"), FaultKind.POLICY)
    return tuple(dict.fromkeys(found))


def _normal(core: Core, profile: Profile, credential: Credential | None, one: Identifier) -> Identifier:
    if not messages.challenge_types(one, frozenset(core.rules.challenges)):
        text = f"identifiers of type {one.type} cannot be validated here"
        raise refused(ProblemType.UNSUPPORTED_IDENTIFIER, text)
    if one.type == IdentifierType.PERMANENT_IDENTIFIER:
        return _device(credential, one)
    san = names.make_name(one.type, one.value)
    if one.type == IdentifierType.IP and san.value != one.value:  # RFC 8738 section 3
        raise malformed("an address is written in its canonical form")
    names.check_names((san,), profile.names)
    if credential is not None and not credential.names.empty and not names.credential_allows(credential.names, san):
        raise refused(ProblemType.REJECTED_IDENTIFIER, "the account's external binding does not allow this name")
    return Identifier(one.type, san.value)


def _device(credential: Credential | None, one: Identifier) -> Identifier:
    if not one.value.isascii() or not one.value.isprintable() or len(one.value) > 64:
        raise refused(ProblemType.REJECTED_IDENTIFIER, "a device's identifier is up to 64 printable characters")
    bound = credential is not None and not credential.names.empty
    if bound and credential is not None and not names.credential_allows_common_name(credential.names, one.value):
        raise refused(ProblemType.REJECTED_IDENTIFIER, "the account's external binding does not allow this name")
    return one


# -- orders ------------------------------------------------------------------------------------------------------------


def new(core: Core, caller: Caller, payload: Mapping[str, Any]) -> tuple[OrderRow, list[AuthorizationRow]]:
    """Make an order with the authorizations that it needs (section 7.4)."""
    request = messages.order_request(payload)
    accounts.check_terms_current(core, caller.account)
    profile, credential = core.profile(caller.place), credential_of(core, caller.account)
    identifiers = normal_identifiers(core, profile, credential, request.identifiers)
    _check_kinds(identifiers)
    _check_times(core, request, profile)
    if request.replaces:
        find_predecessor(core, caller, request.replaces, identifiers)
    now, limit = core.now, core.rules.limits.orders_per_account
    with core.room.database.unit_of_work(caller.place.tenant_id) as uow:
        uow.lock(f"acme-account:{caller.account.id}")  # one pending authorization for a name, whoever is first
        if limit and store.count_orders(uow, caller.account.id, now - HOUR) >= limit:
            raise limited("too many new orders of this account", HOUR)
        if request.replaces and store.replaced(uow, request.replaces, now):
            problem = Problem(ProblemType.ALREADY_REPLACED, "another order replaces this certificate")
            raise AcmeFault(problem, FaultKind.CONFLICT)
        found = [authorize(core, uow, caller, one, now) for one in identifiers]
        ready = all(one.status == AuthorizationStatus.VALID for one in found)
        row = _row(core, caller, request, identifiers, OrderStatus.READY if ready else OrderStatus.PENDING, now)
        # an order is of no use beyond what it rests on
        row = replace(row, expires_at=min(row.expires_at, *(one.expires_at for one in found)))
        store.insert_order(uow, row, [one.id for one in found])
        details = {"identifiers": [f"{one.type}:{one.value}" for one in identifiers]}
        audit.append(uow, AuditEvent("acme.order.create", caller.actor, row.id, details=details,
                                     request_id=caller.request_id))  # fmt: skip
    return row, found


def _check_kinds(identifiers: Sequence[Identifier]) -> None:
    devices = [one for one in identifiers if one.type == IdentifierType.PERMANENT_IDENTIFIER]
    if devices and len(identifiers) > 1:
        raise refused(ProblemType.REJECTED_IDENTIFIER, "a device's identifier stands alone in its order")


def _check_times(core: Core, request: OrderRequest, profile: Profile) -> None:
    now = core.now
    if request.not_after is not None and request.not_after <= max(now, request.not_before or now):
        raise malformed("notAfter has passed, or is before notBefore")
    if request.auto_renewal is not None:
        rules = core.rules.auto_renewal
        if rules is None:
            raise malformed("auto-renewal is not offered")
        _check_renewal(request.auto_renewal, rules, now, profile.validity.backdate)


def _check_renewal(wanted: AutoRenewal, rules: AutoRenewalRules, now: datetime, backdate: timedelta) -> None:
    start = max(wanted.start or now, now)
    problems = (
        (wanted.end <= start, "end-date has passed, or is before start-date"),
        (wanted.end - start > rules.maximum, f"auto-renewal lasts {rules.maximum} at most"),
        (wanted.lifetime < rules.minimum, f"each certificate lives {rules.minimum} at least"),
        (wanted.adjust > backdate, f"lifetime-adjust is {int(backdate.total_seconds())} seconds at most"),
        (wanted.allow_get and not rules.allow_get, "allow-certificate-get is not offered"),
    )
    for wrong, text in problems:
        if wrong:
            raise malformed(text)


def _row(
    core: Core,
    caller: Caller,
    request: OrderRequest,
    identifiers: Sequence[Identifier],
    status: OrderStatus,
    now: datetime,
) -> OrderRow:
    return OrderRow(
        tenant_id=caller.place.tenant_id,
        id=uuid.uuid4().hex,
        account_id=caller.account.id,
        status=status,
        identifiers=[[one.type, one.value] for one in identifiers],
        not_before=request.not_before,
        not_after=request.not_after,
        expires_at=now + core.rules.order_lifetime,
        error=None,
        csr=None,
        enrolment_id="",
        authority=caller.place.authority,
        profile=caller.place.profile,
        serial="",
        replaces=request.replaces,
        auto_renewal=request.auto_renewal.document() if request.auto_renewal is not None else None,
        renew_at=None,
        renewals=0,
        created_at=now,
        changed_at=now,
    )


def own_order(core: Core, caller: Caller, order_id: str) -> tuple[OrderRow, list[AuthorizationRow]]:
    """Return an order of this account; unauthorized for another's."""
    with core.room.database.read(caller.place.tenant_id) as reader:
        row = store.order(reader, order_id)
        if row is None or row.account_id != caller.account.id:
            raise not_yours()
        return row, store.authorizations_of_order(reader, order_id)


def listing(core: Core, caller: Caller, account_id: str, cursor: tuple[datetime, str] | None) -> list[OrderRow]:
    """Return one order more than a page of the account's has, if there is one (section 7.1.2.1)."""
    if account_id != caller.account.id:
        raise not_yours()
    with core.room.database.read(caller.place.tenant_id) as reader:
        return store.orders_of_account(reader, account_id, cursor, core.now, _PAGE + 1)


PAGE: Final = _PAGE


# -- authorizations ----------------------------------------------------------------------------------------------------


def authorize(core: Core, uow: UnitOfWork, caller: Caller, one: Identifier, now: datetime) -> AuthorizationRow:
    """Return an authorization of this account for a name: one that it has, or a new one; rateLimited."""
    value = one.value.removeprefix("*.")
    account = caller.account.id
    soon = now + timedelta(minutes=5)
    held = store.reusable(uow, account, one.type, value, one.wildcard, soon)
    # what a device attests is bound to a key, and to one order
    if held is not None and one.type != IdentifierType.PERMANENT_IDENTIFIER:
        return held
    limit = core.rules.limits.failures_per_name
    if limit and store.count_failures(uow, account, one.type, value, now - HOUR) >= limit:
        raise limited(f"too many failed validations of {one.value}", HOUR)
    row = AuthorizationRow(
        tenant_id=uow.tenant_id,
        id=uuid.uuid4().hex,
        account_id=account,
        type=one.type,
        value=value,
        wildcard=one.wildcard,
        status=AuthorizationStatus.PENDING,
        expires_at=now + core.rules.order_lifetime,
        validated_at=None,
        method="",
        attested_spki="",
        created_at=now,
    )
    offered = messages.challenge_types(one, frozenset(core.rules.challenges))
    store.insert_authorization(uow, row, [_challenge(row, kind) for kind in offered])
    return row


def _challenge(row: AuthorizationRow, kind: str) -> ChallengeRow:
    return ChallengeRow(
        tenant_id=row.tenant_id,
        id=uuid.uuid4().hex,
        authorization_id=row.id,
        type=kind,
        token=secrets.token_urlsafe(_TOKEN_OCTETS),
        status=ChallengeStatus.PENDING,
        validated_at=None,
        error=None,
        attempts=0,
        due_at=None,
        claimed_until=None,
    )


def pre_authorize(
    core: Core, caller: Caller, payload: Mapping[str, Any]
) -> tuple[AuthorizationRow, list[ChallengeRow], bool]:
    """Authorize a name before it is ordered (section 7.4.1); also whether the authorization was made now."""
    asked = messages.new_authorization(payload)
    accounts.check_terms_current(core, caller.account)
    if asked.wildcard:  # section 7.4.1
        raise malformed("a wildcard cannot be authorized before it is ordered")
    profile, credential = core.profile(caller.place), credential_of(core, caller.account)
    (one,) = normal_identifiers(core, profile, credential, (asked,))
    now = core.now
    with core.room.database.unit_of_work(caller.place.tenant_id) as uow:
        uow.lock(f"acme-account:{caller.account.id}")
        row = authorize(core, uow, caller, one, now)
        limit = core.rules.limits.authorizations_per_account
        if limit and row.created_at == now and store.count_unused(uow, caller.account.id, now - HOUR) > limit:
            raise limited("too many new authorizations of this account", HOUR)
        return row, store.challenges_of(uow, row.id), row.created_at == now


def own_authorization(core: Core, caller: Caller, authorization_id: str) -> tuple[AuthorizationRow, list[ChallengeRow]]:
    """Return an authorization of this account; unauthorized for another's."""
    with core.room.database.read(caller.place.tenant_id) as reader:
        return _own(reader, caller, authorization_id), store.challenges_of(reader, authorization_id)


def _own(reader: Reader, caller: Caller, authorization_id: str) -> AuthorizationRow:
    row = store.authorization(reader, authorization_id)
    if row is None or row.account_id != caller.account.id:
        raise not_yours()
    return row


def deactivate(
    core: Core, caller: Caller, authorization_id: str, payload: Mapping[str, Any]
) -> tuple[AuthorizationRow, list[ChallengeRow]]:
    """Give an authorization up (section 7.5.2); orders that need it are over."""
    if payload.get("status") != AuthorizationStatus.DEACTIVATED:
        raise malformed("an authorization can only be deactivated")
    with core.room.database.unit_of_work(caller.place.tenant_id) as uow:
        row = _own(uow, caller, authorization_id)
        live = (AuthorizationStatus.PENDING, AuthorizationStatus.VALID)
        if store.change_authorization(uow, row.id, live, {"status": AuthorizationStatus.DEACTIVATED}):
            event = AuditEvent("acme.authorization.deactivate", caller.actor, f"{row.type}:{row.value}")
            audit.append(uow, event)
            settle(core, uow, row.id, Problem(ProblemType.UNAUTHORIZED, f"{row.value}: deactivated"))
        return _own(uow, caller, authorization_id), store.challenges_of(uow, authorization_id)


def settle(core: Core, uow: UnitOfWork, authorization_id: str, failure: Problem | None) -> None:
    """Bring the orders that wait for an authorization to what it came to: ready when all are valid, or invalid."""
    now = core.now
    for row in store.orders_of_authorization(uow, authorization_id):
        if failure is not None:
            values = {"status": OrderStatus.INVALID, "error": failure.document(), "changed_at": now}
            store.change_order(uow, row.id, (OrderStatus.PENDING, OrderStatus.READY), values)
            continue
        found = store.authorizations_of_order(uow, row.id)
        if all(views.authorization_status(one, now) == AuthorizationStatus.VALID for one in found):
            values = {"status": OrderStatus.READY, "changed_at": now}
            store.change_order(uow, row.id, (OrderStatus.PENDING,), values)


# -- challenges --------------------------------------------------------------------------------------------------------


def own_challenge(core: Core, caller: Caller, challenge_id: str) -> tuple[ChallengeRow, AuthorizationRow]:
    """Return a challenge of this account; unauthorized for another's."""
    with core.room.database.read(caller.place.tenant_id) as reader:
        row = store.challenge(reader, challenge_id)
        if row is None:
            raise not_yours()
        return row, _own(reader, caller, row.authorization_id)


def respond(core: Core, caller: Caller, challenge_id: str) -> tuple[ChallengeRow, AuthorizationRow, bool]:
    """Let a validator try a challenge (section 7.5.1), or try it again now (8.2); also whether this request did so."""
    row, owner = own_challenge(core, caller, challenge_id)
    now = core.now
    if views.authorization_status(owner, now) != AuthorizationStatus.PENDING:
        return row, owner, False
    if row.status == ChallengeStatus.PROCESSING:
        with core.room.database.unit_of_work(caller.place.tenant_id) as uow:
            begun = store.hasten(uow, row.id, now)  # it costs one of its attempts, so there is no need of a rate
            return store.challenge(uow, row.id) or row, owner, begun
    if row.status != ChallengeStatus.PENDING:
        return row, owner, False
    with core.room.database.unit_of_work(caller.place.tenant_id) as uow:
        limit = core.rules.limits.validations_at_once
        if limit and store.count_processing(uow, caller.account.id) >= limit:
            raise limited("too many validations of this account at once", timedelta(seconds=10))
        values = {"status": ChallengeStatus.PROCESSING, "due_at": now}
        begun = store.change_challenge(uow, row.id, (ChallengeStatus.PENDING,), values)
        return store.challenge(uow, row.id) or row, owner, begun


def certificate_id_of(certificate: bytes) -> str:
    """Return what ``replaces`` calls a certificate."""
    return renewal.certificate_id(certificate).text
