"""Accounts: making, binding, changing and ending them (RFC 8555 section 7.3)."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Mapping
from typing import Any

from pycryptoutil_protocols.acme import jws, messages
from pycryptoutil_protocols.acme.jwk import Jwk, stored_jwk
from pycryptoutil_protocols.acme.jws import Signed
from pycryptoutil_protocols.acme.messages import AccountRequest, AccountStatus
from pycryptoutil_protocols.acme.problems import AcmeFault, Problem, ProblemType, malformed, refused
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.acme.context import (
    HOUR,
    Caller,
    Core,
    account_over,
    account_url,
    actor_of,
    limited,
    not_yours,
)
from pycryptoutil.authority.acme.model import Place
from pycryptoutil.authority.acme.store import accounts as store
from pycryptoutil.authority.acme.store import orders as order_store
from pycryptoutil.authority.acme.store.rows import AccountRow
from pycryptoutil.authority.credentials import service as credentials
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent


def find(core: Core, place: Place, signed: Signed) -> Caller:
    """Return the account of a request's ``kid``, whose key has signed it; accountDoesNotExist, unauthorized."""
    prefix = place.url("account", "")
    if signed.kid is None:
        raise malformed("this request names its account by kid")
    if not signed.kid.startswith(prefix):
        raise refused(ProblemType.ACCOUNT_DOES_NOT_EXIST, "kid is no account of this directory")
    with core.room.database.read(place.tenant_id) as reader:
        row = store.by_id(reader, signed.kid.removeprefix(prefix))
    if row is None or row.scope != place.scope:
        raise refused(ProblemType.ACCOUNT_DOES_NOT_EXIST, "there is no such account")
    key = stored_jwk(row.jwk)
    jws.verify(signed, key)
    if row.status != AccountStatus.VALID:
        raise account_over(row.status)
    return Caller(place, row, key)


def document(place: Place, row: AccountRow) -> dict[str, Any]:
    """Return the account object (section 7.1.2)."""
    found: dict[str, Any] = {"status": row.status, "orders": f"{account_url(place, row.id)}/orders"}
    if row.contact:
        found["contact"] = list(row.contact)
    if row.terms:
        found["termsOfServiceAgreed"] = True
    if row.external_binding is not None:
        found["externalAccountBinding"] = dict(row.external_binding)
    return found


def new(core: Core, place: Place, signed: Signed, peer: str, request_id: str) -> tuple[AccountRow, bool]:
    """Return the account of the key, and whether it was made now (section 7.3)."""
    if signed.jwk is None:
        raise malformed("newAccount carries its key as jwk")
    jws.verify(signed, signed.jwk)
    request = messages.account_request(signed.document())
    with core.room.database.read(place.tenant_id) as reader:
        row = store.by_key(reader, place.scope, signed.jwk.thumbprint)
    if row is not None:
        if row.status != AccountStatus.VALID:
            raise account_over(row.status)
        return row, False
    if request.only_existing:
        raise refused(ProblemType.ACCOUNT_DOES_NOT_EXIST, "there is no account with this key")
    _check_terms(core, request)
    credential_id = _bind(core, place, request, signed.jwk)
    return _make(core, place, request, signed.jwk, credential_id, peer, request_id)


def _check_terms(core: Core, request: AccountRequest) -> None:
    if core.rules.terms_of_service and not request.terms_agreed:
        raise _terms(core, "the terms of service must be agreed to")


def _terms(core: Core, text: str) -> AcmeFault:
    url = core.rules.terms_of_service
    problem = Problem(ProblemType.USER_ACTION_REQUIRED, text, extra={"instance": url})
    return AcmeFault(problem, FaultKind.FORBIDDEN, links=(("terms-of-service", url),))


def _bind(core: Core, place: Place, request: AccountRequest, key: Jwk) -> str:
    """Return the id of the enrolment credential that an external binding proves to hold (section 7.3.4)."""
    if request.external_binding is None:
        if core.rules.external_account_required:
            raise AcmeFault(
                Problem(
                    ProblemType.EXTERNAL_ACCOUNT_REQUIRED,
                    "an external account binding is needed: an enrolment credential's user name as key identifier, "
                    "its password in base64url as key",
                ),
                FaultKind.FORBIDDEN,
            )
        return ""
    inner = jws.decode_external_binding(request.external_binding, place.url("new-account"), key)
    try:
        found, secret = credentials.reveal(core.room, place.tenant_id, inner.kid or "", "acme")
        credentials.check_label(found, place.profile, place.authority)
    except Fault as fault:
        if fault.kind in {FaultKind.UNAUTHENTICATED, FaultKind.FORBIDDEN}:
            text = "the external account binding is not valid"
            raise AcmeFault(Problem(ProblemType.UNAUTHORIZED, text), FaultKind.FORBIDDEN, detail=fault.detail) from None
        raise
    jws.verify_mac(inner, secret)
    return found.id


def _make(
    core: Core, place: Place, request: AccountRequest, key: Jwk, credential_id: str, peer: str, request_id: str
) -> tuple[AccountRow, bool]:
    now, limit = core.now, core.rules.limits.accounts_per_address
    identifier = uuid.uuid4().hex
    row = AccountRow(
        tenant_id=place.tenant_id,
        id=identifier,
        scope=place.scope,
        thumbprint=key.thumbprint,
        jwk=key.canonical,
        status=AccountStatus.VALID,
        contact=list(request.contact or ()),
        terms=core.rules.terms_of_service,
        credential_id=credential_id,
        external_binding=request.external_binding,
        url=account_url(place, identifier),
        peer=network_of(peer),
        created_at=now,
    )
    with core.room.database.unit_of_work(place.tenant_id) as uow:
        if limit and store.count_of_peer(uow, row.peer, now - HOUR) >= limit:
            raise limited("too many new accounts from this address", HOUR)
        made = store.insert(uow, row)
        if made:
            details = {"scope": place.scope, "thumbprint": key.thumbprint, "credential": credential_id}
            audit.append(uow, AuditEvent("acme.account.create", actor_of(row), row.id, details=details,
                                         request_id=request_id))  # fmt: skip
        else:  # another request with this key was first
            row = store.by_key(uow, place.scope, key.thumbprint) or row
    return row, made


def network_of(peer: str) -> str:
    """Return what new accounts are counted by: an IPv4 address, or the /64 that an IPv6 client has all of."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))


def check_terms_current(core: Core, account: AccountRow) -> None:
    """Raise userActionRequired while the terms have changed since the account agreed (section 7.3.3)."""
    if core.rules.terms_of_service and account.terms != core.rules.terms_of_service:
        raise _terms(core, "the terms of service have changed: agree to them by an update of the account")


def update(core: Core, caller: Caller, account_id: str, payload: Mapping[str, Any]) -> AccountRow:
    """Change contacts, agree to new terms, or deactivate (sections 7.3.2 and 7.3.6)."""
    if account_id != caller.account.id:
        raise not_yours()
    request = messages.account_request(payload)
    changes: dict[str, Any] = {}
    if request.contact is not None:
        changes["contact"] = list(request.contact)
    if request.terms_agreed:
        changes["terms"] = core.rules.terms_of_service
    if request.status is not None and request.status != AccountStatus.VALID:
        if request.status != AccountStatus.DEACTIVATED:
            raise malformed("an account can only be deactivated")
        changes["status"] = request.status
    if changes:
        _change(core, caller, "acme.account.update", changes, {"changed": sorted(changes)})
    with core.room.database.read(caller.place.tenant_id) as reader:
        return store.by_id(reader, account_id) or caller.account


def _change(core: Core, caller: Caller, action: str, changes: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    with core.room.database.unit_of_work(caller.place.tenant_id) as uow:
        store.change(uow, caller.account.id, changes)
        if changes.get("status") == AccountStatus.DEACTIVATED:  # section 7.3.6: what it had begun is over
            problem = Problem(ProblemType.UNAUTHORIZED, "the account was deactivated")
            order_store.end_account(uow, caller.account.id, problem.document(), core.now)
            core.enroller.withdraw_enrolments(uow, caller.actor, caller.request_id)
        audit.append(uow, AuditEvent(action, caller.actor, caller.account.id, "success", details, caller.request_id))


def change_key(core: Core, caller: Caller, signed: Signed) -> AccountRow:
    """Give the account another key (section 7.3.5); HTTP 409 with the other account's URL if the key has one."""
    key = jws.decode_key_change(signed, caller.url, caller.key)
    place = caller.place
    with core.room.database.read(place.tenant_id) as reader:
        other = store.by_key(reader, place.scope, key.thumbprint)
    if other is not None:
        problem = Problem(ProblemType.MALFORMED, "another account has this key", status=409)
        raise AcmeFault(problem, FaultKind.CONFLICT, location=account_url(place, other.id))
    details = {"thumbprint": key.thumbprint}
    _change(core, caller, "acme.account.key-change", {"jwk": key.canonical, "thumbprint": key.thumbprint}, details)
    with core.room.database.read(place.tenant_id) as reader:
        return store.by_id(reader, caller.account.id) or caller.account
