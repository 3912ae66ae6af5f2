"""Making, listing and checking enrolment credentials."""

from __future__ import annotations

import hmac
import secrets
import uuid
from datetime import datetime
from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import names
from pycryptoutil.authority import store as tables
from pycryptoutil.authority.credentials import store
from pycryptoutil.authority.credentials.store import CredentialRow
from pycryptoutil.authority.model import PROTOCOLS, AuthorityStatus, Credential, CredentialOrder, NewCredential
from pycryptoutil.authority.room import Room, load_profile
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

_USERNAME_OCTETS: Final = 10
_SECRET_OCTETS: Final = 24  # 192 bits: nobody guesses it, so a keyed hash suffices to look it up
_LOOKUP: Final = "enrollment-credential"
_MAX_SECRET: Final = 256
_MAX_USERNAME: Final = 64
_MAX_PATTERNS: Final = 200
_DUMMY: Final = "0" * 64


def lookup(room: Room, password: str) -> str:
    """Return the keyed hash under which a secret is found."""
    return room.barrier.lookup_mac(_LOOKUP, password.encode()).hex()


def add(room: Room, tenant_id: str, order: CredentialOrder, actor: str, request_id: str) -> NewCredential:
    """Make a credential; Fault(INVALID, NOT_FOUND, POLICY) for an order that could never enrol."""
    now = room.clock.now()
    patterns = names.check_patterns(order.names)
    _check_order(order, now)
    with room.database.read(tenant_id) as reader:
        ca = room.find(tables.all_authorities(reader), order.authority)
        profile = load_profile(reader, order.profile)
    if ca.status is not AuthorityStatus.ACTIVE:
        raise Fault(FaultKind.CONFLICT, f"CA {ca.name} is disabled", "the certificate authority is disabled")
    if profile.is_ca or profile.ocsp_no_check or profile.kind != "x509":
        text = f"the profile {profile.name} cannot be enrolled for"
        raise Fault(FaultKind.POLICY, text, text, pointer="profile")
    if patterns.empty and profile.credential_names == "required":
        text = f"the profile {profile.name} asks a credential to say which names it is for"
        raise Fault(FaultKind.POLICY, text, text, pointer="names")
    password = secrets.token_urlsafe(_SECRET_OCTETS)
    identifier = uuid.uuid4().hex
    credential = Credential(
        id=identifier,
        tenant_id=tenant_id,
        username="enroll-" + secrets.token_hex(_USERNAME_OCTETS),
        profile=profile.name,
        authority=ca.name,
        names=patterns,
        protocols=tuple(dict.fromkeys(order.protocols)),
        max_uses=order.max_uses,
        uses=0,
        expires_at=order.expires_at,
        status="active",
        description=order.description,
        created_at=now,
        created_by=actor,
    )
    sealed = room.barrier.encrypt(password.encode(), tables.aad(tables.CREDENTIAL_SECRETS, tenant_id, identifier))
    row = CredentialRow(credential, ca.id, lookup(room, password), sealed)
    with room.database.unit_of_work(tenant_id) as uow:
        store.insert(uow, row)
        details = {"profile": profile.name, "authority": ca.name, "protocols": list(credential.protocols)}
        audit.append(uow, AuditEvent("credential.create", actor, credential.username, "success", details, request_id))
    return NewCredential(credential, password)


def _check_order(order: CredentialOrder, now: datetime) -> None:
    unknown = [name for name in order.protocols if name not in PROTOCOLS]
    counts = (order.names.dns, order.names.ip, order.names.email, order.names.uri, order.names.common_name)
    problems = (
        (bool(unknown), f"no such protocol: {', '.join(unknown)}; there are {', '.join(PROTOCOLS)}", "protocols"),
        (sum(map(len, counts)) > _MAX_PATTERNS, f"more than {_MAX_PATTERNS} patterns", "names"),
        (order.max_uses is not None and order.max_uses < 1, "max_uses is less than 1", "max_uses"),
        (order.expires_at is not None and order.expires_at <= now, "expires_at has passed", "expires_at"),
    )
    for wrong, text, pointer in problems:
        if wrong:
            raise Fault(FaultKind.INVALID, text, text, pointer=pointer)


def listing(room: Room, tenant_id: str, after: tuple[datetime, str] | None, limit: int) -> list[Credential]:
    """Return credentials, newest first."""
    with room.database.read(tenant_id) as reader:
        return [row.credential for row in store.listing(reader, after, limit)]


def get(room: Room, tenant_id: str, credential_id: str) -> Credential:
    """Return one by its id or user name; Fault(NOT_FOUND)."""
    with room.database.read(tenant_id) as reader:
        row = store.by_id(reader, credential_id) or store.by_username(reader, credential_id)
    if row is None:
        raise _unknown()
    return row.credential


def delete(room: Room, tenant_id: str, credential_id: str, actor: str, request_id: str) -> None:
    """Withdraw a credential; certificates issued with it stay."""
    found = get(room, tenant_id, credential_id)
    with room.database.unit_of_work(tenant_id) as uow:
        if not store.delete(uow, found.id):
            raise _unknown()
        audit.append(uow, AuditEvent("credential.delete", actor, found.username, request_id=request_id))


def _unknown() -> Fault:
    return Fault(FaultKind.NOT_FOUND, "no such enrolment credential", "there is no such enrolment credential")


def authenticate(room: Room, tenant_id: str, username: str, password: str, protocol: str) -> Credential:
    """Return the credential of a user name and password, if it may be used by ``protocol`` now.

    Fault(UNAUTHENTICATED) says nothing of which part was wrong; an unknown name takes as long as a wrong password.
    """
    if len(username) > _MAX_USERNAME or len(password) > _MAX_SECRET:
        raise _wrong("user name or password too long")
    given = lookup(room, password)
    with room.database.read(tenant_id) as reader:
        row = store.by_username(reader, username)
    matches = hmac.compare_digest(given, row.lookup if row is not None else _DUMMY)
    if row is None or not matches:
        raise _wrong("unknown user name or wrong password")
    return _usable(room, row.credential, protocol)


def authenticate_secret(room: Room, tenant_id: str, password: str, protocol: str) -> Credential:
    """Return the credential whose secret this is: for protocols that send nothing else, such as SCEP."""
    if len(password) > _MAX_SECRET:
        raise _wrong("password too long")
    with room.database.read(tenant_id) as reader:
        row = store.by_lookup(reader, lookup(room, password))
    if row is None:
        raise _wrong("unknown secret")
    return _usable(room, row.credential, protocol)


def reveal(room: Room, tenant_id: str, username: str, protocol: str) -> tuple[Credential, bytes]:
    """Return a credential with its secret, for protocols that prove it by a MAC (CMP, CMC, ACME). Never to a peer."""
    with room.database.read(tenant_id) as reader:
        row = store.by_username(reader, username[: _MAX_USERNAME + 1])
    if row is None:
        raise _wrong("unknown reference")
    usable = _usable(room, row.credential, protocol)
    aad = tables.aad(tables.CREDENTIAL_SECRETS, tenant_id, usable.id)
    return usable, room.barrier.decrypt(row.sealed_secret, aad)


def _usable(room: Room, credential: Credential, protocol: str) -> Credential:
    # uses are counted where a certificate is issued: a retry of the last one gets its certificate again
    now = room.clock.now()
    if credential.status != "active":
        raise _wrong(f"{credential.username} is {credential.status}")
    if credential.expires_at is not None and credential.expires_at <= now:
        raise _wrong(f"{credential.username} has expired")
    if credential.protocols and protocol not in credential.protocols:
        text = f"the credential is not for {protocol}"
        raise Fault(FaultKind.FORBIDDEN, f"{credential.username}: {text}", text)
    return credential


def check_label(credential: Credential, profile: str, authority: str) -> None:
    """Raise Fault(FORBIDDEN) unless the credential is for this profile and CA; an empty one is not asked about."""
    if (profile and credential.profile != profile) or (authority and credential.authority != authority):
        text = f"the credential is for the profile {credential.profile} of {credential.authority}"
        raise Fault(FaultKind.FORBIDDEN, f"{credential.username}: {text}", text)


def _wrong(detail: str) -> Fault:
    return Fault(FaultKind.UNAUTHENTICATED, f"enrolment credential: {detail}", "unknown or wrong enrolment credential")
