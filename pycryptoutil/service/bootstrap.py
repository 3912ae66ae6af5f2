"""The first start of a new database: the administrator's one-time secret goes into a 0600 file, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

from pycryptoutil.barrier import Barrier
from pycryptoutil.service import ready, tenants
from pycryptoutil.service.hashing import Hasher
from pycryptoutil.storage import Database


def bootstrap(database: Database, barrier: Barrier, data_dir: Path) -> tuple[str, Path | None]:
    """Return the default tenant's id, and the secrets' file if this call made the tenant and its administrator.

    Fault(SEALED) for a new database while keys are away: the secrets' hashes need the pepper.
    """
    path = data_dir / ready.CREDENTIALS_FILE
    written: list[Path] = []

    def publish(found: tenants.FirstCredentials) -> None:
        document = {
            "tenant": found.tenant_id,
            "username": found.username,
            "password": found.password,
            "client_id": found.client_id,
            "client_secret": found.client_secret,
        }
        ready.write_private(path, json.dumps(document, indent=2) + "\n")
        written.append(path)

    tenant_id = tenants.bootstrap(database, Hasher(barrier.pepper), database.clock, publish)
    return tenant_id, written[0] if written else None
