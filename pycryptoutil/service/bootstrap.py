"""The first start of a new database: one tenant, and one administrator (a user and a client) in it.

Safe against crashes and races: everything is decided under one lock in the database; the secrets' file is durable before
the rows are, and written again by the next start if they never became so.
"""

from __future__ import annotations

import json
import secrets
import uuid
from datetime import datetime
from pathlib import Path

from pycryptoutil.barrier import Barrier
from pycryptoutil.service import ready, store
from pycryptoutil.service.definition import ADMINISTRATOR_SCOPE
from pycryptoutil.service.hashing import Hasher, Registry
from pycryptoutil.service.realms import CLIENT_PURPOSE, PASSWORD_PURPOSE, normalized
from pycryptoutil.storage import SYSTEM_TENANT, Database, audit

DEFAULT_TENANT = "default_tenant_id"
ADMINISTRATOR = "administrator_client_id"
CREDENTIALS_FILE = "admin.json"
USERNAME = "admin"
_LOCK = "bootstrap"


def default_tenant(database: Database) -> str:
    """Return the first tenant's id, making the tenant in a new database. Needs no key."""
    with database.read(SYSTEM_TENANT) as reader:
        found = store.instance_value(reader, DEFAULT_TENANT)
    if found:
        return found
    tenant_id, now = uuid.uuid4().hex, database.clock.now()
    with database.unit_of_work(tenant_id) as uow:
        uow.lock(_LOCK)
        found = store.instance_value(uow, DEFAULT_TENANT)
        if found:
            return found  # another process came first
        store.insert_tenant(uow, store.TenantRow(tenant_id, "default", store.ACTIVE, now, now))
        store.set_instance_value(uow, DEFAULT_TENANT, tenant_id, now)
        audit.append(uow, audit.AuditEvent("tenant.create", "system", tenant_id))
    return tenant_id


def administrator(database: Database, barrier: Barrier, tenant_id: str, data_dir: Path) -> Path | None:
    """Make the administrator of a new database; return the secrets' file, or None if there is one already.

    Fault(SEALED) while keys are away: the secrets' hashes need the pepper.
    """
    with database.read(SYSTEM_TENANT) as reader:
        if store.instance_value(reader, ADMINISTRATOR):
            return None
    hasher, path, now = Hasher(barrier.pepper), data_dir / CREDENTIALS_FILE, database.clock.now()
    client_id = f"client-{secrets.token_hex(8)}"
    client_secret, password = secrets.token_urlsafe(32), secrets.token_urlsafe(18)
    user_hash = hasher.hash(Registry.LOW_RANDOM, normalized(password), purpose=PASSWORD_PURPOSE)
    client_hash = hasher.hash(Registry.HIGH_RANDOM, client_secret, purpose=CLIENT_PURPOSE)
    with database.unit_of_work(tenant_id) as uow:
        uow.lock(_LOCK)
        if store.instance_value(uow, ADMINISTRATOR):
            return None  # another process came first, and its file is the right one
        user = _principal(tenant_id, store.USER, USERNAME, user_hash, now)
        client = _principal(tenant_id, store.CLIENT, client_id, client_hash, now)
        for row in (user, client):
            store.insert_principal(uow, row)
            audit.append(uow, audit.AuditEvent("principal.create", "system", row.id, details={"kind": row.kind}))
        store.set_instance_value(uow, ADMINISTRATOR, client_id, now)
        document = {
            "tenant": tenant_id,
            "username": USERNAME,
            "password": password,
            "client_id": client_id,
            "client_secret": client_secret,
        }
        ready.write_private(path, json.dumps(document, indent=2) + "\n")
    return path


def _principal(tenant_id: str, kind: str, name: str, secret_hash: str, now: datetime) -> store.PrincipalRow:
    return store.PrincipalRow(
        tenant_id=tenant_id,
        id=uuid.uuid4().hex,
        kind=kind,
        name=name,
        display_name="Administrator",
        secret_hash=secret_hash,
        scopes=frozenset({ADMINISTRATOR_SCOPE}),
        status=store.ACTIVE,
        created_at=now,
        updated_at=now,
        expires_at=None,
    )
