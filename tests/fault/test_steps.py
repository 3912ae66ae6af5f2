"""kill -9 before every step of issuance and of a CRL's publication; clocks that step back; databases of yesterday."""

from __future__ import annotations

import json
import shutil
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority import IssueOrder, RevocationReason, issue
from pycryptoutil.authority.crl import CrlService
from pycryptoutil.authority.crl import store as crl_store
from pycryptoutil.storage import Database, audit
from tests.support import forkserver
from tests.support.authority import TENANT, World, csr, open_world
from tests.support.databases import Databases
from tests.support.issuing_process import PUBLISHING
from tests.support.suite import environment

pytestmark = pytest.mark.fault

PACKAGES = ("pycryptoutil.storage", "pycryptoutil.authority")


_MINE = "SELECT serial FROM certificates WHERE names LIKE '%.example.com%'"


def killed(what: str, url: str, folder: Path, step: int, stdin: bytes = b"") -> None:
    """Run a CA that ends itself before a step."""
    words = [what, url, folder, str(step)]
    done = forkserver.run(words, env=environment(), data=stdin, module="tests.support.issuing_process")
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.read(TENANT) as reader:
        return [tuple(row) for row in reader.execute(statement).all()]


def events(database: Database, action: str) -> list[dict[str, Any]]:
    """Return the details of the audit events of one kind, after walking the whole chain."""
    with database.read(TENANT) as reader:
        audit.verify(reader, TENANT)
    found = rows(database, f"SELECT details FROM audit_events WHERE action = '{action}' ORDER BY seq")
    return [json.loads(one) if isinstance(one, str) else one for (one,) in found]


def number_of(der: bytes) -> int:
    return x509.load_der_x509_crl(der).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def publish(world: World) -> int:
    crls = CrlService(world.service.room)
    return number_of(crls.publish(TENANT, world.service.authority(TENANT).id, "tester").der)


@pytest.mark.slow
def test_killed_before_every_step_of_issuance(databases: Databases, tmp_path: Path) -> None:
    """Whatever was not committed never was, and the client that asks again has one certificate."""
    url = databases.fresh(PACKAGES)
    with open_world(url, tmp_path) as world:
        steps = len(issue.WRITES)
        for step in range(steps + 2):
            request = csr(f"n{step}.example.com")
            killed("issue", url, tmp_path, step, request)
            database = world.database
            assert rows(database, "SELECT serial FROM certificates WHERE state <> 'issued'") == []
            durable = rows(database, f"SELECT serial FROM certificates WHERE names LIKE '%n{step}.example.com%'")
            assert len(durable) == (1 if step > steps else 0), f"before step {step}"
            order = IssueOrder(profile="tls-server", csr=request, idempotency_key="k")
            issued = world.service.issue(TENANT, order, "tester")
            assert issued.repeated == bool(durable)
            found = rows(database, f"SELECT serial FROM certificates WHERE names LIKE '%n{step}.example.com%'")
            assert found == [(issued.serial,)]
        serials = [serial for (serial,) in rows(world.database, "SELECT serial FROM certificates")]
        assert len(serials) == len(set(serials))
        events(world.database, "certificate.issue")
        promised = rows(world.database, "SELECT target FROM audit_events WHERE action = 'certificate.issue'")
        assert {serial for (serial,) in rows(world.database, _MINE)} <= {
            target.rpartition("/")[2] for (target,) in promised
        }


@pytest.mark.slow
def test_killed_before_every_step_of_a_crl(databases: Databases, tmp_path: Path) -> None:
    """Every number that was signed, or might have been, is in the audit log; none is given twice; the list goes on."""
    url = databases.fresh(PACKAGES)
    with open_world(url, tmp_path) as world:
        issued = world.service.issue(TENANT, IssueOrder(profile="tls-server", csr=csr("a.example.com")), "tester")
        world.service.revoke(TENANT, issued.serial, RevocationReason.KEY_COMPROMISE, None, "tester")
        last = publish(world)
        authority, lost = world.service.authority(TENANT).id, 0
        for step, name in enumerate(PUBLISHING):
            killed("publish", url, tmp_path, step)
            with world.database.read(TENANT) as reader:
                newest = crl_store.newest(reader, authority, "full")
            assert newest is not None
            x509.load_der_x509_crl(newest.der)
            assert (newest.head.number > last) == (name == "answer"), name
            signed = [one["number"] for one in events(world.database, "crl.sign") if "scope" not in one]
            published = [one["number"] for one in events(world.database, "crl.publish") if "scope" not in one]
            assert set(published) <= set(signed)
            lost += name in {"sign", "signed", "insert", "commit"}
            assert len(signed) - len(published) == lost, f"{name}: a number is given up, and known to be"
            world.clock.advance(61)  # the lease of the dead runs out
            number = publish(world)
            assert number > max(signed, default=0), name
            last = number
        signed = [one["number"] for one in events(world.database, "crl.sign")]
        assert len(signed) == len(set(signed))


def test_a_lease_of_the_dead_is_waited_for(databases: Databases, tmp_path: Path) -> None:
    url = databases.fresh(PACKAGES)
    with open_world(url, tmp_path) as world:
        killed("publish", url, tmp_path, PUBLISHING.index("sign"))
        with pytest.raises(Fault) as caught:
            publish(world)
        assert caught.value.kind is FaultKind.BUSY
        assert caught.value.retry_after
        world.clock.advance(61)
        publish(world)


def test_a_clock_that_steps_back_ten_minutes(databases: Databases, tmp_path: Path) -> None:
    """No serial twice, no CRL number down, nothing revoked forgotten, and whoever is issued to can use it at once."""
    url = databases.fresh(PACKAGES)
    with open_world(url, tmp_path) as world:
        world.clock.advance(86400)
        serials, numbers = [], []
        for back in (0, 600, 0, 600):
            world.clock.instant -= timedelta(seconds=back)
            order = IssueOrder(profile="tls-server", csr=csr("a.example.com"))
            issued = world.service.issue(TENANT, order, "tester")
            leaf = x509.load_der_x509_certificate(issued.der)
            assert leaf.not_valid_before_utc <= world.clock.now() < leaf.not_valid_after_utc
            world.service.revoke(TENANT, issued.serial, RevocationReason.SUPERSEDED, None, "tester")
            serials.append(issued.serial)
            crls = CrlService(world.service.room)
            crls.tick()
            document = crls.of_authority(TENANT, world.service.authority(TENANT).id)
            numbers.append(number_of(document.der))
            listed = x509.load_der_x509_crl(document.der)
            assert {f"{one.serial_number:x}" for one in listed} == set(serials)
            assert listed.next_update_utc is not None
            assert listed.next_update_utc > world.clock.now()
            world.clock.advance(5)
        assert len(set(serials)) == 4
        assert numbers == sorted(set(numbers))
        events(world.database, "certificate.revoke")


def test_a_database_of_yesterday(sqlite_databases: Databases, tmp_path: Path) -> None:
    """The file is put back as it was: CRL numbers go on from the time, serials from chance."""
    url = sqlite_databases.fresh(PACKAGES)
    path = Path(url.removeprefix("sqlite:///"))
    with open_world(url, tmp_path) as world:
        publish(world)
        world.clock.advance(1)
        instant = world.clock.instant
    kept = tmp_path / "kept.db"
    shutil.copy(path, kept)
    numbers, serials = [], []
    with open_world(url, tmp_path) as world:
        world.clock.instant = instant
        for _ in range(3):
            world.clock.advance(3600)
            numbers.append(publish(world))
            order = IssueOrder(profile="tls-server", csr=csr("a.example.com"))
            serials.append(world.service.issue(TENANT, order, "tester").serial)
        instant = world.clock.instant
    for beside in path.parent.glob(path.name + "-*"):
        beside.unlink()
    shutil.copy(kept, path)
    with open_world(url, tmp_path) as world:
        world.clock.instant = instant + timedelta(seconds=5)
        again = publish(world)
        assert again > max(numbers), "what relying parties have seen is not gone below"
        with world.database.read(TENANT) as reader:
            head = crl_store.newest_head(reader, world.service.authority(TENANT).id, "full")
        assert head is not None
        stale = crl_store.CrlRow(head, b"")
        with pytest.raises(Fault) as caught, world.database.unit_of_work(TENANT) as uow:
            crl_store.insert(uow, stale, scheduled=False)
        assert f"CRL number {head.number} is not greater than {head.number}" in caught.value.detail
        order = IssueOrder(profile="tls-server", csr=csr("a.example.com"))
        assert world.service.issue(TENANT, order, "tester").serial not in serials
