"""Rewrapping: everything, once, beside others, and on after a kill."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.barrier import Barrier, SealedColumn, rewrap
from pycryptoutil.crypto.keys import PrivateKey
from pycryptoutil.storage import SYSTEM_TENANT, Database
from pycryptoutil.storage.schema import tenants
from tests.unit.barrier.conftest import Instances

COLUMN = SealedColumn("pets", ("kind", "n"), "sealed", "pet")
TENANTS = (SYSTEM_TENANT, "a", "b")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrap, "BATCH", 4)


@pytest.fixture
def database(instances: Instances) -> Database:
    database = instances.database
    now = database.clock.now()
    blob = "BLOB" if database.dialect == "sqlite" else "BYTEA"
    with database.unit_of_work(SYSTEM_TENANT) as uow:
        uow.execute(
            f"CREATE TABLE pets (tenant_id TEXT, kind TEXT, n INTEGER, sealed {blob}, PRIMARY KEY (tenant_id, kind, n))"
        )
        for tenant in ("a", "b"):
            uow.execute(tenants.insert().values(tenant_id=tenant, name=tenant, created_at=now, updated_at=now))
    return database


def fill(database: Database, barrier: Barrier, count: int = 10) -> None:
    for tenant in TENANTS:
        for n in range(count):
            put(database, barrier, tenant, n, b"%s-%d" % (tenant.encode(), n))
        with database.unit_of_work(tenant) as uow:
            uow.execute("INSERT INTO pets VALUES (:t, 'none', 0, NULL)", {"t": tenant})


def put(database: Database, barrier: Barrier, tenant: str, n: int, value: bytes, kind: str = "cat") -> None:
    sealed = barrier.encrypt(value, COLUMN.aad(tenant, kind, n))
    with database.unit_of_work(tenant) as uow:
        uow.execute("DELETE FROM pets WHERE tenant_id = :t AND kind = :k AND n = :n", {"t": tenant, "k": kind, "n": n})
        uow.execute("INSERT INTO pets VALUES (:t, :k, :n, :s)", {"t": tenant, "k": kind, "n": n, "s": sealed})


def contents(database: Database, barrier: Barrier) -> dict[tuple[str, int], bytes]:
    """Read everything, and insist that it is under the content key in use."""
    found = {}
    for tenant in TENANTS:
        with database.read(tenant) as reader:
            rows = reader.execute("SELECT kind, n, sealed FROM pets WHERE tenant_id = :t", {"t": tenant}).all()
        for kind, n, sealed in rows:
            if sealed is not None:
                assert barrier.is_current(bytes(sealed)), (tenant, n)
                found[tenant, n] = barrier.decrypt(bytes(sealed), COLUMN.aad(tenant, kind, n))
    return found


def everything(count: int = 10) -> dict[tuple[str, int], bytes]:
    return {(tenant, n): b"%s-%d" % (tenant.encode(), n) for tenant in TENANTS for n in range(count)}


def test_everything_moves_to_the_content_key_in_use(instances: Instances, database: Database) -> None:
    barrier = instances.open()
    fill(database, barrier)
    barrier.rotate("root")
    seen: list[tuple[str, int, int]] = []
    assert barrier.rewrap([COLUMN], lambda *step: seen.append(step)) == 30
    assert contents(database, barrier) == everything()
    assert seen[-1] == ("pets.sealed", 30, 30)
    assert [done for _, done, _ in seen[:3]] == [4, 8, 10]
    assert barrier.rewrap([COLUMN]) == 0


def test_private_keys_are_rewrapped_as_keys(instances: Instances, database: Database) -> None:
    barrier = instances.open()
    key = PrivateKey.generate("EC-P384")
    aad = COLUMN.aad("a", "key", 1)
    with database.unit_of_work("a") as uow:
        uow.execute("INSERT INTO pets VALUES ('a', 'key', 1, :s)", {"s": barrier.seal_key(key, aad)})
    barrier.rotate("content")
    assert barrier.rewrap([COLUMN]) == 1
    with database.read("a") as reader:
        sealed = bytes(reader.execute("SELECT sealed FROM pets WHERE kind = 'key'").scalar_one())
    assert barrier.is_current(sealed)
    assert barrier.open_key(sealed, aad).public_spki == key.public_spki


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after", [1, 3, 4, 7])
def test_a_killed_run_loses_nothing_and_the_next_goes_on(instances: Instances, database: Database, after: int) -> None:
    barrier = instances.open()
    fill(database, barrier)
    barrier.rotate("content")
    steps: list[int] = []

    def kill(_: str, done: int, __: int) -> None:
        steps.append(done)
        if len(steps) == after:
            raise Killed

    with pytest.raises(Killed):
        barrier.rewrap([COLUMN], kill)
    again = instances.open()
    looked_at: list[int] = []
    moved = again.rewrap([COLUMN], lambda _, done, __: looked_at.append(done))
    assert moved == 30 - steps[-1]
    assert looked_at[0] <= 4
    assert len([n for n in looked_at if n]) < 2 * 9, "it went on where the first run was, then looked once at all"
    assert contents(database, again) == everything()


def test_a_kill_inside_a_batch_takes_back_the_batch(
    instances: Instances, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = instances.open()
    fill(database, barrier)
    barrier.rotate("content")
    from pycryptoutil.barrier import store

    calls: list[int] = []
    replace = store.Values.replace

    def dying(self: store.Values, *arguments: object) -> bool:
        calls.append(1)
        if len(calls) == 6:
            raise Killed
        return replace(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(store.Values, "replace", dying)
        with pytest.raises(Killed):
            barrier.rewrap([COLUMN])
    assert barrier.rewrap([COLUMN]) == 26
    assert contents(database, barrier) == everything()


def beside(monkeypatch: pytest.MonkeyPatch, at: int, act: Callable[[], None]) -> None:
    """Act as another instance after the ``at``-th batch was read and before it is written."""
    from pycryptoutil.barrier import store

    batch = store.Values.batch
    calls: list[int] = []

    def reading(self: store.Values, *arguments: object) -> list[store.SealedValue]:
        found = batch(self, *arguments)  # type: ignore[arg-type]
        calls.append(1)
        if len(calls) == at:
            act()
        return found

    monkeypatch.setattr(store.Values, "batch", reading)


def test_a_value_written_meanwhile_is_never_overwritten(
    instances: Instances, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier, stale = instances.open(), instances.open()
    fill(database, barrier)
    barrier.rotate("content")

    def write() -> None:
        put(database, stale, SYSTEM_TENANT, 1, b"newer, under the old key")
        put(database, barrier, SYSTEM_TENANT, 2, b"newer, under the new key")
        with database.unit_of_work(SYSTEM_TENANT) as uow:
            uow.execute("DELETE FROM pets WHERE tenant_id = 'system' AND n = 3")

    beside(monkeypatch, 1, write)
    barrier.rewrap([COLUMN])
    expected = everything()
    expected[SYSTEM_TENANT, 1] = b"newer, under the old key"
    expected[SYSTEM_TENANT, 2] = b"newer, under the new key"
    del expected[SYSTEM_TENANT, 3]
    assert contents(database, barrier) == expected


def test_a_value_written_behind_the_place_by_a_stale_instance_is_found(
    instances: Instances, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier, stale = instances.open(), instances.open()
    fill(database, barrier)
    barrier.rotate("content")
    beside(monkeypatch, 4, lambda: put(database, stale, SYSTEM_TENANT, 0, b"late"))
    assert barrier.rewrap([COLUMN]) == 31
    assert contents(database, barrier) == everything() | {(SYSTEM_TENANT, 0): b"late"}


def test_a_rotation_in_the_middle_begins_anew(
    instances: Instances, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = instances.open()
    fill(database, barrier)
    barrier.rotate("content")
    beside(monkeypatch, 3, lambda: barrier.rotate("content") and None)
    barrier.rewrap([COLUMN])
    assert contents(database, barrier) == everything()


def test_a_damaged_value_is_named_and_holds_up_nothing(instances: Instances, database: Database) -> None:
    barrier = instances.open()
    fill(database, barrier)
    with database.unit_of_work("a") as uow:
        uow.execute("UPDATE pets SET sealed = :s WHERE tenant_id = 'a' AND n = 5", {"s": b"\x01" + bytes(60)})
    barrier.rotate("content")
    with pytest.raises(Fault) as caught:
        barrier.rewrap([COLUMN])
    assert caught.value.kind is FaultKind.INTERNAL
    assert "1 sealed values" in caught.value.detail
    assert "pets.sealed of a cat:5" in caught.value.detail
    with database.unit_of_work("a") as uow:
        uow.execute("DELETE FROM pets WHERE tenant_id = 'a' AND n = 5")
    expected = everything()
    del expected["a", 5]
    assert contents(database, barrier) == expected


def test_two_runs_at_once_do_no_harm(instances: Instances, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier, other = instances.open(), instances.open()
    fill(database, barrier)
    barrier.rotate("content")
    done: list[int] = []
    beside(monkeypatch, 2, lambda: done.append(other.rewrap([COLUMN])))
    done.append(barrier.rewrap([COLUMN]))
    assert sum(done) == 30
    assert contents(database, barrier) == everything()
