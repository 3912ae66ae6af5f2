"""OCSP responses signed ahead, from the rows of SQLite to the memory that the reactor answers from: per second.

That is how long a process that starts meets questions without an answer at hand. The limit is the signature alone.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from pycryptoutil import _core
from pycryptoutil.authority.ocsp import OcspService
from pycryptoutil.authority.revocation_status import RevocationWatch
from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto import keys
from pycryptoutil.storage import Database, migrate
from tests.support.authority import NOW, TENANT, open_world

ENTRIES = 20_000
# serials of 17 octets under one prefix, as ours are; every hundredth one revoked
FILL = """
INSERT INTO certificates (tenant_id, authority_id, serial, state, subject, names, search, spki_sha256, profile,
  not_before, not_after, tbs_sha256, requester, protocol, created_at, revoked_at, reason)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :entries)
SELECT :tenant, :authority, printf('5a%016x%016x', i, abs(random())), 'issued', '', '', '', '', 'tls-server',
  :now, :now + 864000000000, '', '', 'est', :now + i, CASE i % 100 WHEN 0 THEN :now END, CASE i % 100 WHEN 0 THEN 1 END
FROM n
"""


def run() -> list[dict[str, Any]]:
    """Fill a database, and start a responder on it."""
    with tempfile.TemporaryDirectory(prefix="ocsp-bench-") as folder:
        path = Path(folder) / "pycryptoutil.db"
        url = f"sqlite:///{path}"
        database = Database.open(url, clock=SystemClock())
        migrate.upgrade(database, ("pycryptoutil.authority",))
        database.close()
        with open_world(url, Path(folder)) as world:
            issuing = world.service.authority(TENANT)
            raw = sqlite3.connect(path)
            now = int(NOW.timestamp()) * 1_000_000
            raw.execute(FILL, {"entries": ENTRIES, "tenant": TENANT, "authority": issuing.id, "now": now})
            raw.commit()
            raw.close()
            watch = RevocationWatch(world.service.room.database, world.clock)
            ocsp = OcspService(world.service.room, watch)
            watch.poll()
            start = perf_counter()
            signed = ocsp.warm()
            taken = perf_counter() - start
    if signed < ENTRIES:
        raise RuntimeError(f"{signed} signed, {len(ocsp.cache)} kept")
    key = keys.generate("EC-P256")
    limit = 1000 / min(_core.bench_sign_loop(key, "ecdsa-sha256", bytes(32), 1000) for _ in range(5))
    return [
        {
            "name": "OCSP responses signed ahead, from SQLite to memory",
            "value": signed / taken,
            "unit": "responses/s",
            "limit_name": "P-256 signatures, one thread",
            "limit_value": limit,
            "ratio": signed / taken / limit,
            "aim": None,
            "better": "higher",
        }
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
