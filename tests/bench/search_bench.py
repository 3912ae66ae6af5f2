"""Searching a million certificates: each typical question beside a look-up by primary key on the same database.

It runs in a process of its own. Names are hostN.deptM.example.test, 1,000 departments; one certificate in 100 is
revoked, one in 10,000 is by CMP, and the last hundred are of one requester.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import text

from pycryptoutil.authority import CertificateFilter, CertificateStatus
from pycryptoutil.authority.certificates import store
from pycryptoutil.clock import SystemClock
from pycryptoutil.storage import Database, migrate
from tests.support.authority import NOW, TENANT, World, open_world

ROWS = 1_000_000
SCALE = {"rows": ROWS}
_SERIAL = "printf('5a%032x', i)"
_CREATED = ":now - (:rows - i) * 2592000"  # thirty days, evenly
FILL = f"""
INSERT INTO certificates (tenant_id, authority_id, serial, state, subject, names, search, spki_sha256, profile,
  not_before, not_after, tbs_sha256, requester, protocol, created_at, revoked_at, reason, der)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
SELECT :tenant, :authority, {_SERIAL}, 'issued', '', printf('dns:host%d.dept%d.example.test', i, i % 1000),
  printf(char(10) || 'dns:host%d.dept%d.example.test', i, i % 1000), printf('%064x', i),
  CASE i % 500 WHEN 0 THEN 'device' ELSE 'tls-server' END,
  :now, :now + (i % 90 + 1) * 86400000000, '', CASE WHEN i > :rows - 100 THEN 'user:late' ELSE 'credential:many' END,
  CASE i % 10000 WHEN 0 THEN 'cmp' ELSE 'acme' END, {_CREATED},
  CASE i % 100 WHEN 0 THEN :now - i END, CASE i % 100 WHEN 0 THEN 1 END, zeroblob(600)
FROM n
"""
NAMES = f"""
INSERT INTO certificate_names (tenant_id, term, created_at, serial, authority_id)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows),
  t(k) AS (VALUES ('=host%d.dept%d.example.test'), ('.host%d.dept%d.example.test'), ('.dept'), ('.example.test'),
    ('.test'))
SELECT :tenant, CASE k WHEN '.dept' THEN printf('.dept%d.example.test', i % 1000) ELSE printf(k, i, i % 1000) END,
  {_CREATED}, {_SERIAL}, :authority
FROM n, t ORDER BY 2, 3
"""


def fill(path: Path, tenant: str, authority: str) -> None:
    """Put the rows in, then the indexes."""
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA synchronous = OFF")
    raw.execute("PRAGMA cache_size = -300000")
    raw.execute(f"PRAGMA temp_store_directory = '{path.parent}'")
    indexes = raw.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'certificates' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        raw.execute(f"DROP INDEX {name}")
    given = {"rows": SCALE["rows"], "tenant": tenant, "authority": authority, "now": int(NOW.timestamp()) * 1_000_000}
    raw.execute(FILL, given)
    raw.execute(NAMES, given)
    raw.execute("INSERT INTO certificate_names_indexed VALUES (:tenant, :now, '', 1)", given)
    for _, statement in indexes:
        raw.execute(statement)
    raw.commit()
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


def questions(world: World) -> dict[str, Callable[[], Any]]:
    """What operators ask; each returns what was found, to be checked by whoever reads the numbers."""
    service, rows = world.service, SCALE["rows"]

    def ask(**wanted: Any) -> Callable[[], Any]:
        return lambda: service.certificates(TENANT, CertificateFilter(**wanted), "", 50)

    middle = service.certificates(TENANT, CertificateFilter(created_to=NOW - timedelta(days=15)), "", 1).cursor
    return {
        "the newest 50": ask(),
        "50 from the middle, by cursor": lambda: service.certificates(TENANT, CertificateFilter(), middle, 50),
        "one by its serial": ask(serial=f"5a{rows // 3:032x}"),
        "one by its key": ask(spki_sha256=f"{rows // 3:064x}"),
        "one by its exact name": ask(name=f"host{rows // 3}.dept{rows // 3 % 1000}.example.test"),
        "50 of a domain of 1,000": ask(domain="dept7.example.test"),
        "50 of the domain of all": ask(domain="example.test"),
        "50 of a requester of 100": ask(requester="user:late"),
        "50 of a rare protocol": ask(protocol="cmp"),
        "50 of a profile and a protocol": ask(profile="device", protocol="acme"),
        "50 revoked": ask(status=CertificateStatus.REVOKED),
        "50 that expire soonest": ask(status=CertificateStatus.VALID, not_after_from=NOW, sort="expiry"),
        "50 of a domain that expire in a week": ask(domain="dept7.example.test", not_after_to=NOW + timedelta(days=7)),
        "contains, common": ask(contains="dept7."),
        "contains, in none: one page of the budget": ask(contains="nowhere"),
        "statistics of 30 days": lambda: service.statistics(TENANT),
    }


def timed(call: Callable[[], Any], times: int) -> float:
    """Seconds of the median."""
    taken = []
    for _ in range(times):
        start = perf_counter()
        call()
        taken.append(perf_counter() - start)
    return median(taken)


def measure() -> None:
    """Print what was measured as JSON."""
    with tempfile.TemporaryDirectory(prefix="search-bench-") as folder:
        path = Path(folder) / "pycryptoutil.db"
        url = f"sqlite:///{path}"
        database = Database.open(url, clock=SystemClock())
        migrate.upgrade(database, ("pycryptoutil.authority",))
        database.close()
        with open_world(url, Path(folder)) as world:
            issuing = world.service.authority(TENANT)
            start = perf_counter()
            subprocess.run([sys.executable, __file__, str(path), TENANT, issuing.id, str(SCALE["rows"])], check=True)
            found = {"fill": perf_counter() - start}
            start = perf_counter()
            world.service.maintain()
            found["roll up, once"] = perf_counter() - start
            serial = f"5a{SCALE['rows'] // 2:032x}"
            by_key = text("SELECT * FROM certificates WHERE authority_id = :a AND serial = :s")
            with world.database.read(TENANT) as reader:
                given = {"a": issuing.id, "s": serial}
                found["limit"] = timed(lambda: reader.execute(by_key, given).one(), 200)
                if len(store.by_serial(reader, serial)) != 1:
                    raise RuntimeError(serial)
            asked = {name: timed(call, 7) for name, call in questions(world).items()}
    print(json.dumps({"asked": asked, **found}))


def run() -> list[dict[str, Any]]:
    """Measure in another process."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    limit = found["limit"]
    common = {"limit_name": "a row by its primary key", "limit_value": limit * 1000, "aim": None, "better": "lower"}
    rows = [
        {"name": f"search of 1,000,000: {name}", "value": taken * 1000, "unit": "ms", "ratio": taken / limit, **common}
        for name, taken in found["asked"].items()
    ]
    once = ("fill", "roll up, once")
    return rows + [
        {"name": f"  {name}", "value": found[name], "unit": "s", "ratio": None, "aim": None} for name in once
    ]


if __name__ == "__main__":
    if len(sys.argv) > 3:
        SCALE["rows"] = int(sys.argv[4])
        fill(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
    else:
        if len(sys.argv) > 1:
            SCALE["rows"] = int(sys.argv[1])
        measure()
