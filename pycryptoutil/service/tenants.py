"""Tenants and who belongs to them: making tenants, users and clients, and the first of each in a new database.

Generated client secrets are 256 random bits (HKDF registry); a person's password is hashed with PBKDF2.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock
from pycryptoutil.service import store
from pycryptoutil.service.definition import ADMINISTRATOR_SCOPE, Principal
from pycryptoutil.service.hashing import MAX_SECRET, Hasher, Registry
from pycryptoutil.service.realms import CLIENT_PURPOSE, DEFAULT_TENANT_KEY, PASSWORD_PURPOSE, normalized
from pycryptoutil.storage import SYSTEM_TENANT, Database, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

MIN_PASSWORD = 12  # characters; a longer one beats any rule about kinds of characters (SP 800-63B section 3.1.1)
DEFAULT_TENANT = "default"
FIRST_USER = "admin"

TENANT_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
SCOPE = r"^[a-z][a-z0-9_.-]{0,31}(:[a-z][a-z0-9_.-]{0,31})?$"

TEMPLATE_SCOPES = {
    ADMINISTRATOR_SCOPE: "everything in the tenant",
    "principals:read": "see users, clients, their tokens, sessions and certificates",
    "principals:write": "make, change and remove users and clients that hold no more scopes than oneself",
    "tokens:write": "see, make and revoke API tokens of one's own, with no more scopes than oneself",
    "audit:read": "read and verify the tenant's audit chain",
}


@dataclass(frozen=True, slots=True)
class NewPrincipal:
    """A principal just made, with the only copy of its secret (empty if a person chose it)."""

    row: store.PrincipalRow
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FirstCredentials:
    """The administrator of a new installation, as a person and as a program."""

    tenant_id: str
    tenant: str
    username: str
    client_id: str
    password: str = field(repr=False)
    client_secret: str = field(repr=False)


def actor(principal: Principal) -> str:
    """Return how the audit chain names who did something."""
    return f"{principal.kind.value}:{principal.id}"


def check_password(password: str) -> str:
    """Return the normalised password; Fault(INVALID) if it is too short, too long or one character repeated."""
    text = normalized(password)
    if len(text) < MIN_PASSWORD or len(set(text)) < 4:
        public = f"A password has at least {MIN_PASSWORD} characters, at least four of them different."
        raise Fault(FaultKind.INVALID, "password is too weak", public, pointer="#/password")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SECRET:
        public = f"A password has at most {MAX_SECRET} bytes."
        raise Fault(FaultKind.INVALID, "password is too long", public, pointer="#/password")
    return text


def check_username(name: str) -> str:
    """Return the NFC form of a user name; Fault(INVALID) for one with a slash, a colon or unprintable characters."""
    text = unicodedata.normalize("NFC", name)
    if not 1 <= len(text) <= 128 or not text.isprintable() or re.search(r"[\s/:]", text):
        public = "A user name has 1 to 128 printable characters, no space, slash or colon."
        raise Fault(FaultKind.INVALID, "user name is not acceptable", public, pointer="#/name")
    return text


class Accounts:
    """Makes tenants and principals in a caller's unit of work."""

    def __init__(self, hasher: Hasher, clock: Clock) -> None:
        self._hasher = hasher
        self._clock = clock

    def hash_password(self, password: str) -> str:
        """Check and hash a person's password (slow: do it before opening a unit of work)."""
        return self._hasher.hash(Registry.LOW_RANDOM, check_password(password), purpose=PASSWORD_PURPOSE)

    def new_secret(self) -> tuple[str, str]:
        """Return a new client secret and its hash."""
        secret = secrets.token_urlsafe(32)
        return secret, self._hasher.hash(Registry.HIGH_RANDOM, secret, purpose=CLIENT_PURPOSE)

    def tenant(self, uow: UnitOfWork, name: str, tenant_id: str) -> store.TenantRow:
        """Write a tenant."""
        now = self._clock.now()
        row = store.TenantRow(tenant_id, name, store.ACTIVE, now, now)
        store.insert_tenant(uow, row)
        return row

    def user(
        self,
        uow: UnitOfWork,
        tenant_id: str,
        name: str,
        password_hash: str,
        scopes: frozenset[str],
        *,
        display_name: str = "",
        expires_at: datetime | None = None,
    ) -> store.PrincipalRow:
        """Write a user; ``password_hash`` is of :meth:`hash_password`."""
        row = self._row(tenant_id, uuid.uuid4().hex, store.USER, name, password_hash, scopes, display_name, expires_at)
        store.insert_principal(uow, row)
        return row

    def client(
        self,
        uow: UnitOfWork,
        tenant_id: str,
        scopes: frozenset[str],
        *,
        display_name: str = "",
        expires_at: datetime | None = None,
    ) -> NewPrincipal:
        """Write a client. Its id is its user name in HTTP Basic, and unique in the installation."""
        secret, secret_hash = self.new_secret()
        client_id = uuid.uuid4().hex
        row = self._row(tenant_id, client_id, store.CLIENT, client_id, secret_hash, scopes, display_name, expires_at)
        store.insert_principal(uow, row)
        return NewPrincipal(row, secret)

    def _row(
        self,
        tenant_id: str,
        identifier: str,
        kind: str,
        name: str,
        secret_hash: str,
        scopes: frozenset[str],
        display_name: str,
        expires_at: datetime | None,
    ) -> store.PrincipalRow:
        now = self._clock.now()
        return store.PrincipalRow(
            tenant_id=tenant_id,
            id=identifier,
            kind=kind,
            name=name,
            display_name=display_name,
            secret_hash=secret_hash,
            scopes=scopes,
            status=store.ACTIVE,
            created_at=now,
            updated_at=now,
            expires_at=expires_at,
        )


def default_tenant_id(database: Database) -> str:
    """Return the first tenant's id, or an empty string before the first start."""
    with database.read(SYSTEM_TENANT) as reader:
        return store.instance_value(reader, DEFAULT_TENANT_KEY)


def bootstrap(database: Database, hasher: Hasher, clock: Clock, publish: Callable[[FirstCredentials], None]) -> str:
    """Make the default tenant and its administrator in a new database; return the default tenant's id.

    Idempotent, and safe against another process doing the same. ``publish`` gets the secrets before the commit: a crash
    between the two leaves a file that the next start overwrites, never an administrator whom nobody can be.
    """
    known = default_tenant_id(database)
    if known:
        return known
    accounts = Accounts(hasher, clock)
    password = secrets.token_urlsafe(24)
    password_hash = accounts.hash_password(password)
    everything = frozenset({ADMINISTRATOR_SCOPE})
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.lock("bootstrap")
        known = store.instance_value(uow, DEFAULT_TENANT_KEY)
        if known:
            return known
        tenant = accounts.tenant(uow, DEFAULT_TENANT, uuid.uuid4().hex)
        accounts.user(uow, tenant.tenant_id, FIRST_USER, password_hash, everything, display_name="Administrator")
        client = accounts.client(uow, tenant.tenant_id, everything, display_name="Administrator's program")
        store.set_instance_value(uow, DEFAULT_TENANT_KEY, tenant.tenant_id, clock.now())
        audit.append(uow, AuditEvent("installation.create", "system", tenant.tenant_id))
        publish(FirstCredentials(tenant.tenant_id, tenant.name, FIRST_USER, client.row.id, password, client.secret))
    return tenant.tenant_id
