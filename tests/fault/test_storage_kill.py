"""kill -9 at any instant: what was answered is there, and the next start repairs the rest by itself."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import SystemClock
from pycryptoutil.storage import SYSTEM_TENANT, Database, audit, migrate
from pycryptoutil.storage.schema import instance, tenants
from tests.support.databases import Databases
from tests.support.forkserver import Piped
from tests.support.storage_process import COLUMN, Options
from tests.support.suite import environment

pytestmark = pytest.mark.fault


def run(what: str, url: str, data_dir: Path, name: str) -> Piped:
    return Piped("tests.support.storage_process", [what, url, data_dir, name], environment())


def said_before_the_kill(process: Piped, lines: int, seconds: float) -> list[str]:
    """Let it say so many lines, then wait a little, then kill it; return every whole line."""
    said = [process.stdout.readline() for _ in range(lines)]
    SystemClock().sleep(seconds)
    process.kill()
    _, rest, _ = process.end()
    return [line for line in "".join([*said, rest]).split("\n")[:-1] if line]


def test_every_acknowledged_unit_survives(database_url: str, open_database: Callable[[str], Database]) -> None:
    random.seed(7)
    acknowledged: list[str] = []
    for round_ in range(6):
        process = run("write", database_url, Path(), f"run{round_}")
        acknowledged += said_before_the_kill(process, random.randint(1, 60), random.random() * 0.05)
        database = open_database(database_url)
        with database.read("t") as reader:
            there = set(reader.execute(select(instance.c.name)).scalars())
            chain = audit.verify(reader, "t")
        assert set(acknowledged) <= there
        assert chain.events == len(there), "a row and its audit event are one"
        with database.unit_of_work("t") as uow:
            audit.append(uow, audit.AuditEvent("instance.check", "test", str(round_)))
            uow.execute(instance.insert().values(name=f"check{round_}", value="", updated_at=database.clock.now()))
    assert len(acknowledged) > 60


def test_a_start_that_was_killed_anywhere_is_finished_by_the_next(databases: Databases, tmp_path: Path) -> None:
    random.seed(11)
    url = databases.empty()
    for round_ in range(8):
        process = run("start", url, tmp_path, f"run{round_}")
        process.say("go\n")
        said_before_the_kill(process, 1, random.random() * 0.25)
    process = run("start", url, tmp_path, "last")
    process.say("go\n")
    code, out, err = process.end()
    assert code == 0, err
    assert json.loads(out.split("\n")[1])["sealed"]
    database = Database.open(url, clock=SystemClock())
    migrate.check(database, ("pycryptoutil.authority",))
    with database.read(SYSTEM_TENANT) as reader:
        audit.verify(reader, SYSTEM_TENANT)
    database.close()


def test_processes_that_start_together_agree(databases: Databases, tmp_path: Path) -> None:
    url = databases.empty()
    processes = [run("start", url, tmp_path, f"p{n}") for n in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.say("go\n")
    results = []
    for process in processes:
        code, out, err = process.end()
        assert code == 0, err
        results.append(json.loads(out.strip().split("\n")[-1]))
    assert sum(bool(result["applied"]) for result in results) == 1
    assert sum(result["leader"] for result in results) == 1
    assert len({result["mac"] for result in results}) == 1
    database = Database.open(url, clock=SystemClock())
    barrier = Barrier.open(database, Options(), database.clock, tmp_path)
    assert {barrier.decrypt(bytes.fromhex(result["sealed"]), b"aad") for result in results} == {b"value"}
    database.close()


def test_a_rewrap_that_is_killed_again_and_again_ends_with_everything(database_url: str, tmp_path: Path) -> None:
    random.seed(13)
    database = Database.open(database_url, clock=SystemClock())
    barrier = Barrier.open(database, Options(), database.clock, tmp_path)
    blob = "BLOB" if database.dialect == "sqlite" else "BYTEA"
    now = database.clock.now()
    with database.unit_of_work("t") as uow:
        uow.execute(tenants.insert().values(tenant_id="t", name="t", created_at=now, updated_at=now))
        uow.execute(f"CREATE TABLE pets (tenant_id TEXT, n INTEGER, sealed {blob}, PRIMARY KEY (tenant_id, n))")
        for n in range(150):
            sealed = barrier.encrypt(b"pet %d" % n, COLUMN.aad("t", n))
            uow.execute("INSERT INTO pets VALUES ('t', :n, :s)", {"n": n, "s": sealed})
    barrier.rotate("content")
    places: list[int] = []
    for _ in range(3):
        process = run("rewrap", database_url, tmp_path, "")
        places += [int(line) for line in said_before_the_kill(process, 3, random.random() * 0.01) if line != "done"]
    process = run("rewrap", database_url, tmp_path, "")
    _, out, err = process.end()
    assert out.endswith("done\n"), err
    with database.read("t") as reader:
        rows = reader.execute("SELECT n, sealed FROM pets ORDER BY n").all()
    assert [barrier.decrypt(bytes(sealed), COLUMN.aad("t", n)) for n, sealed in rows] == [
        b"pet %d" % n for n in range(150)
    ]
    assert all(barrier.is_current(bytes(sealed)) for _, sealed in rows)
    database.close()


def test_two_processes_writing_at_once_make_one_chain(
    database_url: str, open_database: Callable[[str], Database]
) -> None:
    processes = [run("write", database_url, Path(), f"p{n}") for n in range(2)]
    said = [said_before_the_kill(process, 80, 0) for process in processes]
    database = open_database(database_url)
    with database.read("t") as reader:
        there = set(reader.execute(select(instance.c.name)).scalars())
        chain = audit.verify(reader, "t")
    assert {line for lines in said for line in lines} <= there
    assert chain.events == len(there)
