"""The audit chain, proved from the command line against a database that somebody has touched."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier
from pycryptoutil.cli import exits
from pycryptoutil.clock import FixedClock
from pycryptoutil.service import audit, bootstrap
from pycryptoutil.service.settings import BarrierSettings
from pycryptoutil.service.upkeep import Upkeep, tasks
from pycryptoutil.storage import Database, migrate
from pycryptoutil.storage.audit import AuditEvent, append
from tests.support.suite import call_cli


class Installation:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.clock = FixedClock()
        self.file = data / "pycryptoutil.db"
        self.database = Database.open(f"sqlite:///{self.file}", clock=self.clock)
        migrate.upgrade(self.database, ())
        self.barrier = Barrier.open(self.database, BarrierSettings(mode="dev"), self.clock, data)
        self.tenant, written = bootstrap.bootstrap(self.database, self.barrier, data)
        assert written == data / "admin.json"
        self.upkeep = Upkeep(self.database, self.barrier, self.clock, data, "test", ())
        self.upkeep.publish_head_key()

    def event(self, target: str) -> None:
        with self.database.unit_of_work(self.tenant) as uow:
            append(uow, AuditEvent("pet.create", "test", target))

    def sign(self) -> int:
        return audit.sign_heads(self.database, self.barrier)

    def touch(self, statement: str, *values: object) -> None:
        connection = self.intrude()
        with connection:
            connection.execute(statement, values)
        connection.close()

    def intrude(self) -> sqlite3.Connection:
        """Open the file as somebody who may do everything: the triggers that forbid changes are gone first."""
        self.database.close()
        connection = sqlite3.connect(self.file)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        return connection

    def verify(self, *options: str | Path) -> tuple[int, str]:
        self.database.close()
        done = call_cli("audit", "verify", "--data-dir", self.data, *options)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    tmp_path.chmod(0o700)
    made = Installation(tmp_path)
    yield made
    made.database.close()


def test_second_bootstrap_makes_nothing(installation: Installation) -> None:
    before = (installation.data / "admin.json").read_bytes()
    assert bootstrap.bootstrap(installation.database, installation.barrier, installation.data) == (
        installation.tenant,
        None,
    )
    assert (installation.data / "admin.json").read_bytes() == before


def test_heads_are_signed_when_they_moved(installation: Installation) -> None:
    assert installation.sign() >= 1
    assert installation.sign() == 0
    installation.event("a")
    assert installation.sign() == 1
    installation.barrier.seal()
    assert installation.sign() == 0  # without keys nothing is signed, and nothing fails


def test_intact(installation: Installation) -> None:
    installation.event("a")
    installation.sign()
    installation.event("b")
    code, said = installation.verify("--json")
    assert code == 0
    rows = {row["tenant"]: row for row in json.loads(said)}
    mine = rows[installation.tenant]
    assert (mine["result"], mine["events"] - mine["signed_to"], mine["signatures"]) == ("intact", 1, "checked")


def test_altered_event(installation: Installation) -> None:
    installation.event("the-target")
    installation.sign()
    installation.touch("UPDATE audit_events SET target = 'another' WHERE target = 'the-target'")
    code, said = installation.verify()
    assert code == exits.INTEGRITY
    assert "altered or out of order" in said


def test_tail_cut_off_with_its_signatures_is_betrayed_by_a_kept_head(installation: Installation) -> None:
    installation.event("kept")
    installation.sign()
    installation.event("cut")
    installation.sign()
    installation.database.close()
    kept = installation.data / "kept.jsonl"
    done = call_cli("audit", "heads", "--data-dir", installation.data)
    assert done.returncode == 0, done.stderr
    kept.write_text(done.stdout)
    connection = installation.intrude()
    with connection:
        last = connection.execute("SELECT seq, previous_hash FROM audit_events WHERE target = 'cut'").fetchone()
        for table in ("audit_events", "audit_signatures"):
            connection.execute(f"DELETE FROM {table} WHERE tenant_id = ? AND seq = ?", (installation.tenant, last[0]))
        connection.execute(
            "UPDATE audit_heads SET seq = ?, hash = ? WHERE tenant_id = ?", (last[0] - 1, last[1], installation.tenant)
        )
    connection.close()
    assert installation.verify()[0] == 0  # the database alone does not show it
    code, said = installation.verify("--kept-heads", kept)
    assert code == exits.INTEGRITY
    assert "missing at the end" in said


def test_head_of_another_key(installation: Installation, tmp_path: Path) -> None:
    installation.event("a")
    installation.sign()
    (tmp_path / "other").mkdir(mode=0o700)
    other = Installation(tmp_path / "other")
    other.database.close()
    code, said = installation.verify("--public-key", other.data / audit.PUBLIC_KEY_FILE)
    assert code == exits.INTEGRITY
    assert "signed by another key" in said


def test_forged_signature(installation: Installation) -> None:
    installation.sign()
    installation.touch("UPDATE audit_signatures SET signature = zeroblob(64)")
    code, said = installation.verify()
    assert code == exits.INTEGRITY, said


def test_export_streams_every_event(installation: Installation) -> None:
    for number in range(3):
        installation.event(f"pet-{number}")
    installation.database.close()
    done = call_cli("audit", "export", "--data-dir", installation.data, "--tenant", installation.tenant)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["target"] for event in events[-3:]] == ["pet-0", "pet-1", "pet-2"]
    for earlier, later in itertools.pairwise(events):
        assert later["previous_hash"] == earlier["hash"]
    after = call_cli(
        "audit",
        "export",
        "--data-dir",
        installation.data,
        "--tenant",
        installation.tenant,
        "--after",
        str(events[-2]["seq"]),
    )
    assert [json.loads(line)["target"] for line in after.stdout.splitlines()] == ["pet-2"]


def test_nothing_to_verify(tmp_path: Path) -> None:
    done = call_cli("audit", "verify", "--data-dir", tmp_path / "nowhere")
    assert done.returncode == exits.NOT_FOUND
    assert "holds no database" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_upkeep_tasks_run(installation: Installation) -> None:
    for task in tasks(300):
        task.run(installation.upkeep)
    installation.barrier.seal()
    for task in tasks(300):
        task.run(installation.upkeep)


def test_public_key_that_is_none() -> None:
    with pytest.raises(Fault) as caught:
        audit.public_key_from_pem("hello")
    assert caught.value.kind is FaultKind.MALFORMED
