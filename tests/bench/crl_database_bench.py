"""A CRL of a million entries from the rows of SQLite to the published, stored and audited list: time and peak memory.

The core's own part of it is in core/core_bench.py; this is what an operator waits for. It runs in a process of its own.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from pycryptoutil import _core
from pycryptoutil.authority import IssueOrder, RevocationReason
from pycryptoutil.authority.crl import CrlService, series
from pycryptoutil.authority.settings import AuthoritySettings
from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto import keys
from pycryptoutil.storage import Database, migrate
from tests.support.authority import NOW, TENANT, csr, open_world

ENTRIES = 1_000_000
SHARDS = 16
# serials of 17 octets under one prefix, as ours are; every second one with a reason
FILL = """
INSERT INTO certificates (tenant_id, authority_id, serial, state, subject, names, search, spki_sha256, profile,
  not_before, not_after, tbs_sha256, requester, protocol, created_at, revoked_at, reason)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :entries)
SELECT :tenant, :authority, printf('5a%016x%016x', i, abs(random())), 'issued', '', '', '', '', 'tls-server',
  :now, :now + 86400000000, '', '', 'est', :now, :now - i * 1000000, CASE i % 2 WHEN 0 THEN 1 END
FROM n
"""


def peak_memory() -> int:
    """Peak resident memory in octets. (ru_maxrss would begin with that of the parent process.)"""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def fill(path: Path, tenant: str, authority: str) -> None:
    """Put the rows in: a program of its own does it, so that its memory is not counted."""
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA synchronous = OFF")
    raw.execute("PRAGMA cache_size = -400000")
    for index in ("serial", "creation", "expiry", "key"):  # no CRL reads them, and filling them takes a minute
        raw.execute(f"DROP INDEX IF EXISTS certificates_by_{index}")
    now = int(NOW.timestamp()) * 1_000_000
    raw.execute(FILL, {"entries": ENTRIES, "tenant": tenant, "authority": authority, "now": now})
    raw.commit()
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


def measure() -> None:
    """Print what was measured as JSON."""
    with tempfile.TemporaryDirectory(prefix="crl-bench-") as folder:
        path = Path(folder) / "pycryptoutil.db"
        url = f"sqlite:///{path}"
        database = Database.open(url, clock=SystemClock())
        migrate.upgrade(database, ("pycryptoutil.authority",))
        database.close()
        with open_world(url, Path(folder)) as world:
            crls = CrlService(world.service.room)
            issuing = world.service.authority(TENANT)
            crls.publish(TENANT, issuing.id, "bench")
            subprocess.run([sys.executable, __file__, str(path), TENANT, issuing.id], check=True)
            before, start = peak_memory(), perf_counter()
            made = crls.publish(TENANT, issuing.id, "bench")
            taken, rose = perf_counter() - start, peak_memory() - before
            key = keys.generate("EC-P256")
            limit = min(
                _core.bench_sha256(made.der) + _core.bench_sign_loop(key, "ecdsa-sha256", bytes(32), 1)
                for _ in range(5)
            )
            found = {"entries": made.head.entries, "size": len(made.der), "taken": taken, "rose": rose, "limit": limit}
        found["shard"] = again(url, Path(folder), AuthoritySettings(crl_shards=SHARDS), series.shard(SHARDS, 0))
        found["delta"] = again(url, Path(folder), AuthoritySettings(crl_delta_minutes=60), series.DELTA)
    print(json.dumps(found))


def again(url: str, folder: Path, settings: AuthoritySettings, of: series.Series) -> float:
    """Return the seconds that one revocation among the million costs where the list is in parts, or has a delta."""
    with open_world(url, folder, settings) as world:
        world.clock.advance(5)
        crls = CrlService(world.service.room)
        issuing = world.service.authority(TENANT)
        issued = world.service.issue(TENANT, IssueOrder(profile="tls-server", csr=csr("a.example.test")), "bench")
        world.service.revoke(TENANT, issued.serial, RevocationReason.SUPERSEDED, None, "bench")
        start = perf_counter()
        crls.publish(TENANT, issuing.id, "bench", of)
        return perf_counter() - start


def run() -> list[dict[str, Any]]:
    """Measure in another process."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    if found["entries"] != ENTRIES:
        raise RuntimeError(f"{found['entries']} entries")
    common = {"aim": None, "better": "lower"}
    whole = {"unit": "s", "limit_name": "the whole list", "limit_value": found["taken"], **common}
    return [
        {
            "name": "CRL of 1,000,000 entries, from SQLite to published",
            "value": found["taken"],
            "unit": "s",
            "limit_name": "SHA-256 and a signature",
            "limit_value": found["limit"],
            "ratio": found["taken"] / found["limit"],
            **common,
        },
        {
            "name": "  its peak memory",
            "value": found["rose"] / 2**20,
            "unit": "MiB",
            "limit_name": "size of the list",
            "limit_value": found["size"] / 2**20,
            "ratio": found["rose"] / found["size"],
            **common,
        },
        {
            "name": f"  one of {SHARDS} shards of it",
            "value": found["shard"],
            "ratio": found["shard"] / found["taken"],
            **whole,
        },
        {
            "name": "  a delta to it, of one revocation",
            "value": found["delta"],
            "ratio": found["delta"] / found["taken"],
            **whole,
        },
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fill(Path(sys.argv[1]), *sys.argv[2:])
    else:
        measure()
