"""Realms: by what somebody may be known. The file realm comes from configuration and needs no database; it beats SQL.

Beating means deciding: a name that the file realm has is never looked up in SQL, so a row cannot give a second password
to a name that configuration owns.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import Clock
from pycryptoutil.service import store
from pycryptoutil.service.attempts import Refused
from pycryptoutil.service.hashing import MAX_SECRET, Hasher, Registry, StoredHash, looks_hashed
from pycryptoutil.service.settings import FileRealmSettings, RealmSettings
from pycryptoutil.storage import SYSTEM_TENANT, Database

PASSWORD_PURPOSE = "password"  # noqa: S105  a label
CLIENT_PURPOSE = "client-secret"
DEFAULT_TENANT_KEY = "default_tenant_id"
FILE = "file"
SQL = "sql"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who proved to be who, with what may be done as of now."""

    tenant_id: str
    principal_id: str
    name: str
    scopes: frozenset[str]
    realm: str


def normalized(password: str) -> str:
    """Return one form of a password however the keyboard composed it (SP 800-63B section 3.1.1.2: NFKC)."""
    return unicodedata.normalize("NFKC", password)


def check_secret_size(secret: str) -> None:
    """Fault(UNAUTHENTICATED) for a secret longer than any that was ever stored, before work is spent on it."""
    if len(secret) > MAX_SECRET or len(secret.encode("utf-8", "surrogatepass")) > MAX_SECRET:
        raise Fault(FaultKind.UNAUTHENTICATED, "secret is too long")


class Tenants:
    """From what people write to tenant ids. An empty text is the default tenant and needs no database.

    A new installation that starts sealed has no default tenant yet; it is looked up once there is one.
    """

    def __init__(self, database: Database, default_tenant_id: str) -> None:
        self._database = database
        self._default = default_tenant_id

    @property
    def default_tenant_id(self) -> str:
        """The first tenant's id; empty before the first unsealed start."""
        if not self._default:
            with self._database.read(SYSTEM_TENANT) as reader:
                self._default = store.instance_value(reader, DEFAULT_TENANT_KEY)
        return self._default

    def resolve(self, text: str) -> str:
        """Return the id of an active tenant by its name or id; an empty string if there is none."""
        if text in {"", self.default_tenant_id}:
            return self.default_tenant_id
        with self._database.read(SYSTEM_TENANT) as reader:
            row = store.find_tenant_named(reader, text) or store.find_tenant(reader, text)
        return row.tenant_id if row is not None and row.status == store.ACTIVE else ""


@contextmanager
def _of(tenant_id: str, principal_id: str) -> Iterator[None]:
    """Let a refusal say, inside only, who was meant."""
    try:
        yield
    except Fault as fault:
        if fault.kind is FaultKind.UNAUTHENTICATED:
            raise Refused(fault, tenant_id, principal_id) from None
        raise


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    tenant: str
    scopes: frozenset[str]
    secret: str = field(repr=False)

    def principal_id(self, kind: str) -> str:
        """Stable for one name in one tenant, and never a row's id."""
        digest = hashlib.sha256(f"{kind}\0{self.tenant}\0{self.name}".encode()).hexdigest()
        return f"file-{digest[:40]}"


class FileRealm:
    """Users and clients that configuration carries."""

    def __init__(self, settings: FileRealmSettings, tenants: Tenants, hasher: Hasher) -> None:
        self._tenants = tenants
        self._hasher = hasher
        self._key = secrets.token_bytes(32)
        self._users = [
            _Entry(user.username, user.tenant, frozenset(user.scopes), normalized(user.password.get_secret_value()))
            for user in settings.users
        ]
        self._clients = {
            client.client_id: _Entry(
                client.client_id, client.tenant, frozenset(client.scopes), client.client_secret.get_secret_value()
            )
            for client in settings.clients
        }
        self._by_id = {entry.principal_id(store.USER): entry for entry in self._users}

    def find_user(self, tenant_id: str, name: str) -> _Entry | None:
        """Return the entry of a name in a tenant."""
        named = (entry for entry in self._users if entry.name == name)
        return next((entry for entry in named if self._tenants.resolve(entry.tenant) == tenant_id), None)

    def find_client(self, client_id: str) -> _Entry | None:
        """Return the entry of a client id."""
        return self._clients.get(client_id)

    def by_id(self, principal_id: str) -> Identity:
        """Return the user a session was made for; Fault(UNAUTHENTICATED) once configuration dropped the name."""
        entry = self._by_id.get(principal_id)
        if entry is None:
            raise Fault(FaultKind.UNAUTHENTICATED, "the file realm no longer has this user")
        return self._identity(entry, store.USER)

    def verify(self, entry: _Entry, kind: str, given: str) -> Identity:
        """Check a secret; Fault(UNAUTHENTICATED) if it differs."""
        if looks_hashed(entry.secret):
            low = StoredHash.parse(entry.secret).algorithm.startswith("pbkdf2")
            purpose = PASSWORD_PURPOSE if kind == store.USER else CLIENT_PURPOSE
            registry = Registry.LOW_RANDOM if low else Registry.HIGH_RANDOM
            self._hasher.verify(registry, given, entry.secret, purpose=purpose)
        else:
            self._compare(entry, kind, given)
        return self._identity(entry, kind)

    def _compare(self, entry: _Entry, kind: str, given: str) -> None:
        if kind == store.USER:
            self._hasher.waste(given)  # else the time of a refusal would tell which names are configuration's
        if not hmac.compare_digest(self._blind(given), self._blind(entry.secret)):
            raise Fault(FaultKind.UNAUTHENTICATED, "secret does not match the file realm's")

    def _blind(self, secret: str) -> bytes:
        """Equal lengths for the comparison, whatever the secrets are."""
        return hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256")

    def _identity(self, entry: _Entry, kind: str) -> Identity:
        tenant_id = self._tenants.resolve(entry.tenant)
        if not tenant_id:
            raise Fault(
                FaultKind.UNAUTHENTICATED, f"the file realm names an unknown or disabled tenant {entry.tenant!r}"
            )
        return Identity(tenant_id, entry.principal_id(kind), entry.name, entry.scopes, FILE)


class Realms:
    """Every way to prove an identity with a name and a secret."""

    def __init__(
        self, settings: RealmSettings, database: Database, hasher: Hasher, clock: Clock, default_tenant_id: str
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._clock = clock
        self.tenants = Tenants(database, default_tenant_id)
        self.file = FileRealm(settings.file, self.tenants, hasher)
        self.sql_enabled = settings.sql.enabled

    def login(self, username: str, password: str) -> Identity:
        """Check a person's ``name`` or ``tenant/name`` and password; Fault(UNAUTHENTICATED), in about equal time."""
        check_secret_size(password)
        password = normalized(password)
        tenant, _, name = username.rpartition("/")
        tenant_id = self.tenants.resolve(tenant) if len(username) <= 400 else ""
        entry = self.file.find_user(tenant_id, name) if tenant_id else None
        if entry is not None:
            with _of(tenant_id, entry.principal_id(store.USER)):
                return self.file.verify(entry, store.USER, password)
        row = None
        if tenant_id and self.sql_enabled:
            with self._database.read(tenant_id) as reader:
                owner = store.find_tenant(reader, tenant_id)
                if owner is not None and owner.status == store.ACTIVE:
                    row = store.find_user(reader, name)
        if row is None or not row.secret_hash:
            self._hasher.waste(password)
            raise Fault(FaultKind.UNAUTHENTICATED, "unknown user or tenant")
        with _of(row.tenant_id, row.id):
            fresh = self._hasher.verify(Registry.LOW_RANDOM, password, row.secret_hash, purpose=PASSWORD_PURPOSE)
            return self._accept(row, fresh)

    def client(self, client_id: str, secret: str) -> Identity:
        """Check a client id and its secret; Fault(UNAUTHENTICATED)."""
        check_secret_size(secret)
        entry = self.file.find_client(client_id)
        if entry is not None:
            with _of(self.tenants.resolve(entry.tenant) or SYSTEM_TENANT, entry.principal_id(store.CLIENT)):
                return self.file.verify(entry, store.CLIENT, secret)
        found = None
        if self.sql_enabled and len(client_id) <= 200:
            with self._database.read(SYSTEM_TENANT) as reader:
                found = store.find_client_anywhere(reader, client_id)
        row = found.principal if found is not None else None
        if found is None or row is None or not row.secret_hash:
            self._hasher.hash(
                Registry.HIGH_RANDOM, secret or "-", purpose=CLIENT_PURPOSE
            )  # as long as a known one takes
            raise Fault(FaultKind.UNAUTHENTICATED, "unknown client")
        with _of(row.tenant_id, row.id):
            fresh = self._hasher.verify(Registry.HIGH_RANDOM, secret, row.secret_hash, purpose=CLIENT_PURPOSE)
            if found.tenant_status != store.ACTIVE:
                raise Fault(FaultKind.UNAUTHENTICATED, "the client's tenant is disabled")
            return self._accept(row, fresh)

    def current(self, found: store.Found) -> Identity:
        """Return who a session, token or certificate stands for, as of now; Fault(UNAUTHENTICATED) if no longer."""
        if found.tenant_status != store.ACTIVE:
            raise Fault(FaultKind.UNAUTHENTICATED, "the tenant is disabled")
        if found.session is not None and found.session.realm == FILE:
            return self.file.by_id(found.session.principal_id)
        if found.principal is None or not self.sql_enabled:
            raise Fault(FaultKind.UNAUTHENTICATED, "the principal is gone")
        return self._usable(found.principal)

    def _accept(self, row: store.PrincipalRow, fresh: str | None) -> Identity:
        identity = self._usable(row)
        if fresh is not None:
            with self._database.unit_of_work(row.tenant_id) as uow:
                store.replace_secret_hash(uow, row.id, row.secret_hash, fresh)
        return identity

    def _usable(self, row: store.PrincipalRow) -> Identity:
        if not row.usable(self._clock.now()):
            raise Fault(FaultKind.UNAUTHENTICATED, f"principal {row.id} is disabled or expired")
        return Identity(row.tenant_id, row.id, row.name, row.scopes, SQL)
