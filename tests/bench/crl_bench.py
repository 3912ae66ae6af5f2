"""A CRL from rows to bytes: read from SQLite, encoded and signed in the core, stored; against the core alone.

The core itself against SHA-256 and a signature is measured in core/core_bench.py.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pycryptoutil.authority import AuthoritySettings, CertificateAuthorityService, DistributionUrls
from pycryptoutil.authority.crl import CrlService, generate
from pycryptoutil.authority.store import certificates
from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import SystemClock
from pycryptoutil.crypto.keys import generate as generate_key
from pycryptoutil.crypto.signer import KeySigner, build_crl
from pycryptoutil.service.settings import BarrierSettings
from pycryptoutil.storage import Database, migrate

ENTRIES = 200_000
BATCH = 20_000
TENANT = "0" * 32
CLOCK = SystemClock()


def rows(authority_id: str, count: int) -> Iterator[dict[str, Any]]:
    """Revoked certificates, as the table has them."""
    now = CLOCK.now()
    for number in range(count):
        yield {
            "tenant_id": TENANT,
            "authority_id": authority_id,
            "serial": "10" + secrets.token_hex(18),
            "state": "issued",
            "subject": "CN=x",
            "names": "",
            "search": "",
            "spki_sha256": "",
            "profile": "tls-server",
            "not_before": now,
            "not_after": now.replace(year=now.year + 1),
            "tbs_sha256": "",
            "requester": "bench",
            "protocol": "est",
            "created_at": now,
            "revoked_at": now,
            "reason": number % 6,
        }


def run() -> list[dict[str, Any]]:
    """Fill a database, publish, and compare with the core fed from a list."""
    with tempfile.TemporaryDirectory(prefix="crl-bench-") as name:
        folder = Path(name)
        database = Database.open(f"sqlite:///{folder / 'bench.db'}", clock=CLOCK)
        try:
            migrate.upgrade(database, ("pycryptoutil.authority",))
            barrier = Barrier.open(database, BarrierSettings(mode="dev"), CLOCK, folder)
            service = CertificateAuthorityService(
                database, barrier, CLOCK, DistributionUrls("http://x.test"), AuthoritySettings(), 0, TENANT
            )
            service.first_start(TENANT)
            authority = service.authority(TENANT)
            every = list(rows(authority.id, ENTRIES))
            for start in range(0, ENTRIES, BATCH):
                with database.unit_of_work(TENANT) as uow:
                    uow.execute(certificates.insert(), every[start : start + BATCH])
            crls = CrlService(service.room)
            began = CLOCK.monotonic()
            document = crls.publish(TENANT, authority.id, "bench")
            ours = CLOCK.monotonic() - began
            if document.head.entries != ENTRIES:
                raise RuntimeError(f"{document.head.entries} entries")
            entries = [
                (bytes.fromhex(row["serial"]), int(row["revoked_at"].timestamp()), row["reason"] or -1, 0)
                for row in every
            ]
            signer = KeySigner(generate_key("EC-P256"))
            began = CLOCK.monotonic()
            build_crl(signer, generate.subject(authority.certificate), 0, 1, b"\x30\x00", entries)
            core = CLOCK.monotonic() - began
        finally:
            database.close()
    return [
        {
            "name": f"CRL of {ENTRIES:,} rows, read, signed and stored",
            "value": ours,
            "unit": "s",
            "limit_name": "the core alone, from a list",
            "limit_value": core,
            "ratio": ours / core,
            "aim": None,
            "better": "lower",
        }
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
