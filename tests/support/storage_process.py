"""A process to be killed: ``python -m tests.support.storage_process write|start|rewrap URL DATA_DIR NAME``.

It says what it was promised on standard output, one line each, unbuffered: whatever was said must survive.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from pycryptoutil.barrier import Barrier, SealedColumn, rewrap
from pycryptoutil.clock import SystemClock
from pycryptoutil.storage import SYSTEM_TENANT, Database, audit, lease, migrate
from pycryptoutil.storage.schema import instance

WRITERS = 4
COLUMN = SealedColumn("pets", ("n",), "sealed", "pet")


@dataclass(frozen=True)
class Options:
    """The section ``barrier`` of the settings."""

    mode: str = "dev"
    shares: int = 5
    threshold: int = 3
    secret_file: Path | None = None
    root_lifetime: float = 1e9
    intermediate_lifetime: float = 1e9
    content_lifetime: float = 1e9
    content_uses: int = 1 << 24


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def write(database: Database, name: str) -> None:
    """Write units from several threads for ever, and say each once it is durable."""

    def work(thread: int) -> None:
        for n in range(1_000_000):
            key = f"{name}-{thread}-{n}"
            with database.unit_of_work("t") as uow:
                uow.execute(instance.insert().values(name=key, value="", updated_at=database.clock.now()))
                audit.append(uow, audit.AuditEvent("instance.write", name, key))
            say(key)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def start(database: Database, data_dir: Path, name: str) -> None:
    """Do what every process of a suite does first; then say what it found."""
    say("ready")
    sys.stdin.readline()
    applied = migrate.upgrade(database, ("pycryptoutil.authority",))
    barrier = Barrier.open(database, Options(), database.clock, data_dir)
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        leader = lease.acquire(uow, "leader", name, 3600)
    sealed = barrier.encrypt(b"value", b"aad").hex()
    say(
        json.dumps({"applied": applied, "leader": leader, "sealed": sealed, "mac": barrier.lookup_mac("p", b"v").hex()})
    )


def rewrap_all(database: Database, data_dir: Path) -> None:
    """Rewrap in small batches, and say how far it is."""
    rewrap.BATCH = 3  # type: ignore[misc]
    barrier = Barrier.open(database, Options(), database.clock, data_dir)
    barrier.rewrap([COLUMN], lambda _, done, __: say(str(done)))
    say("done")


def main() -> None:
    """Run one of the above."""
    what, url, data_dir, name = sys.argv[1:]
    database = Database.open(url, clock=SystemClock())
    match what:
        case "write":
            write(database, name)
        case "start":
            start(database, Path(data_dir), name)
        case "rewrap":
            rewrap_all(database, Path(data_dir))
    database.close()


if __name__ == "__main__":
    main()
