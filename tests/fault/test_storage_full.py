"""A full disk: refused, not corrupted, and over when there is space again."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import func, select

from pycryptoutil.clock import SystemClock
from pycryptoutil.storage import Database, audit, migrate
from pycryptoutil.storage.schema import instance
from tests.support.databases import PostgresCluster

pytestmark = pytest.mark.fault

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    mounted: list[Path] = []

    def mount(megabytes: int) -> Path:
        path = tmp_path / f"disk{len(mounted)}"
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs", str(path)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small file system cannot be mounted here (needs root and CAP_SYS_ADMIN)")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=False)


def write(database: Database, name: str, size: int) -> None:
    with database.unit_of_work("t") as uow:
        uow.execute(instance.insert().values(name=name, value="x" * size, updated_at=database.clock.now()))
        audit.append(uow, audit.AuditEvent("a", "b", name))


def fill(database: Database, size: int, put: Callable[[Database, str, int], None] = write) -> tuple[int, Fault]:
    """Write until it is refused; return how many were acknowledged."""
    for n in range(10_000):
        try:
            put(database, f"n{n}", size)
        except Fault as fault:
            return n, fault
    raise AssertionError


def count(database: Database) -> int:
    with database.read("t") as reader:
        return int(reader.execute(select(func.count()).select_from(instance)).scalar_one())


def test_sqlite_on_a_full_disk(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(4)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    database = Database.open(f"sqlite:///{disk}/a.db", clock=SystemClock())
    migrate.upgrade(database, ())
    acknowledged, fault = fill(database, 50_000)
    assert fault.kind is FaultKind.STORAGE_FULL
    assert acknowledged > 5
    for _ in range(3):
        with pytest.raises(Fault) as caught:
            write(database, "more", 200_000)
        assert caught.value.kind is FaultKind.STORAGE_FULL
    assert count(database) == acknowledged, "reading goes on"
    ballast.unlink()
    write(database, "after", 1000)
    assert count(database) == acknowledged + 1
    with database.unit_of_work("t") as uow:
        assert audit.verify(uow, "t").events == acknowledged + 1
        assert uow.execute("PRAGMA integrity_check").scalar_one() == "ok"
    database.close()


def test_sqlite_at_its_own_page_limit(sqlite_databases: object, open_database: Callable[[str], Database]) -> None:
    """The same without privileges: SQLite's own limit gives the same error from the same place."""
    database = open_database(sqlite_databases.fresh())  # type: ignore[attr-defined]
    with database.unit_of_work("t") as uow:
        pages = uow.execute("PRAGMA page_count").scalar_one()
        uow.execute(f"PRAGMA max_page_count = {pages + 50}")
    acknowledged, fault = fill(database, 10_000)
    assert fault.kind is FaultKind.STORAGE_FULL
    with database.unit_of_work("t") as uow:
        uow.execute("PRAGMA max_page_count = 100000")
    write(database, "after", 10_000)
    assert count(database) == acknowledged + 1
    with database.read("t") as reader:
        assert audit.verify(reader, "t").events == acknowledged + 1


def test_sqlite_when_the_system_refuses_to_let_a_file_grow(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[2])
        from tests.fault.test_storage_full import *
        database = Database.open(sys.argv[1], clock=SystemClock())
        migrate.upgrade(database, ())
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
        acknowledged, fault = fill(database, 20_000)
        assert fault.kind in (FaultKind.STORAGE_FULL, FaultKind.UNAVAILABLE), fault.detail
        assert count(database) == acknowledged
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        write(database, "after", 20_000)
        assert count(database) == acknowledged + 1
        print(acknowledged)
        """)
    command = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/a.db", str(ROOT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_postgresql_on_a_full_disk(small_disk: Callable[[int], Path], postgres_cluster: PostgresCluster) -> None:
    disk = small_disk(4)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    place = disk / "space"
    place.mkdir()
    owner = postgres_cluster.directory.stat()
    shutil.chown(place, owner.st_uid, owner.st_gid)
    for parent in list(disk.parents)[:4]:
        parent.chmod(parent.stat().st_mode | 0o011)  # the server's user must get there
    name = postgres_cluster.create()
    database = Database.open(postgres_cluster.url(name), clock=SystemClock())
    migrate.upgrade(database, ())
    with postgres_cluster.administrator() as administrator:
        administrator.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        administrator.execute("GRANT CREATE ON TABLESPACE small TO application")
    with database.unit_of_work("t") as uow:
        uow.execute("CREATE TABLE filler (name TEXT, value TEXT) TABLESPACE small")
        uow.execute("ALTER TABLE filler ALTER COLUMN value SET STORAGE EXTERNAL")  # uncompressed

    def put(database: Database, name: str, size: int) -> None:
        with database.unit_of_work("t") as uow:
            uow.execute("INSERT INTO filler VALUES (:n, :v)", {"n": name, "v": "x" * size})
            audit.append(uow, audit.AuditEvent("a", "b", name))

    acknowledged, fault = fill(database, 50_000, put)
    assert fault.kind is FaultKind.STORAGE_FULL
    with database.read("t") as reader:
        assert reader.execute("SELECT count(*) FROM filler").scalar_one() == acknowledged
        assert audit.verify(reader, "t").events == acknowledged
    ballast.unlink()
    put(database, "after", 1000)
    database.close()
    postgres_cluster.drop(name)
    with postgres_cluster.administrator() as administrator:
        administrator.execute("DROP TABLESPACE small")
