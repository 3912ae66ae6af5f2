"""The audit chain: whatever is done to its rows, verify finds it."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pycryptoutil_protocols.faults import Fault, FaultKind
from sqlalchemy import Executable, delete, insert, select, update

from pycryptoutil.clock import FixedClock, SystemClock
from pycryptoutil.storage import SYSTEM_TENANT, Database, UnitOfWork, audit
from pycryptoutil.storage.schema import audit_events, audit_heads, audit_signatures, instance

EVENTS = audit_events.c
KEY = b"k" * 32


def sign(message: bytes) -> bytes:
    return hmac.digest(KEY, message, "sha256")


def check(head: audit.SignedHead) -> None:
    if not hmac.compare_digest(head.signature, sign(head.message())):
        raise Fault(FaultKind.BAD_SIGNATURE, "head")


def record(database: Database, count: int, tenant: str = "t") -> None:
    for n in range(count):
        with database.unit_of_work(tenant) as uow:
            event = audit.AuditEvent("pet.create", "me", f"pet:{n}", details={"b": n, "a": ["ü"]}, request_id=f"r{n}")
            audit.append(uow, event)


def verified(database: Database, tenant: str = "t", heads: list[audit.SignedHead] | None = None) -> audit.Verified:
    with database.read(tenant) as reader:
        return audit.verify(reader, tenant, check, heads or [])


def broken(database: Database, heads: list[audit.SignedHead] | None = None) -> str:
    with pytest.raises(Fault) as caught:
        verified(database, heads=heads)
    assert caught.value.kind is FaultKind.BAD_SIGNATURE
    return caught.value.detail


def tamper(database: Database, *statements: Executable) -> None:
    """Do what somebody does who owns the tables and has taken the triggers away."""
    with database.unit_of_work("t") as uow:
        if uow.dialect == "sqlite":
            uow.execute("DROP TRIGGER IF EXISTS audit_events_no_update")
            uow.execute("DROP TRIGGER IF EXISTS audit_events_no_delete")
        else:
            uow.execute("ALTER TABLE audit_events DISABLE TRIGGER audit_events_append_only")
        for statement in statements:
            uow.execute(statement)


def signed(database: Database) -> audit.SignedHead:
    with database.unit_of_work("t") as uow:
        head = audit.sign_head(uow, sign, algorithm="hmac-sha256", key_id="test")
    assert head is not None
    return head


def test_a_chain_verifies_and_tells_its_length(database: Database) -> None:
    record(database, 3)
    record(database, 2, "other")
    assert verified(database).events == 3
    assert verified(database, "other").events == 2
    assert verified(database, "nobody").events == 0


def test_events_come_back_as_they_were(database: Database) -> None:
    record(database, 2)
    with database.read("t") as reader:
        records = list(audit.export(reader, "t"))
        assert [r.seq for r in audit.export(reader, "t", after=1)] == [2]
    assert records[1].event == audit.AuditEvent("pet.create", "me", "pet:1", "success", {"a": ["ü"], "b": 1}, "r1")
    assert records[1].details_json == '{"a":["\\u00fc"],"b":1}'
    assert records[1].previous_hash == records[0].hash


def test_the_hash_is_the_documented_one(tmp_path: Path) -> None:
    """An independent computation of docs/architecture.md's formula, so that others can verify an export."""
    clock = FixedClock(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    database = Database.open(f"sqlite:///{tmp_path}/a.db", clock=clock)
    from pycryptoutil.storage import migrate

    migrate.upgrade(database, ())
    with database.unit_of_work("t") as uow:
        audit.append(uow, audit.AuditEvent("a", "b", "c", "failure", {"z": 1}, "r"))
    with database.read("t") as reader:
        (found,) = audit.export(reader, "t")
    text = (
        '{"action":"a","actor":"b","details":"{\\"z\\":1}","id":"ID","occurred_at":"2026-01-02T03:04:05.000006+00:00",'
        '"outcome":"failure","request_id":"r","seq":1,"target":"c","tenant_id":"t"}'
    ).replace("ID", found.id)
    assert found.hash == hashlib.sha256(bytes(32) + text.encode()).digest()
    database.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("action", "pet.delete"),
        ("actor", "you"),
        ("target", "pet:9"),
        ("outcome", "failure"),
        ("request_id", "r9"),
        ("details", '{"a":["\\u00fc"],"b":2}'),
        ("details", "not json"),
        ("id", "0" * 32),
        ("occurred_at", datetime(2020, 1, 1, tzinfo=UTC)),
        ("hash", bytes(32)),
        ("previous_hash", bytes(31) + b"x"),
    ],
)
def test_an_altered_row_is_found(database: Database, column: str, value: object) -> None:
    record(database, 3)
    tamper(database, update(audit_events).where(EVENTS.tenant_id == "t", EVENTS.seq == 2).values({column: value}))
    assert "event 2: altered" in broken(database)


def test_a_deleted_row_is_found(database: Database) -> None:
    record(database, 3)
    tamper(database, delete(audit_events).where(EVENTS.tenant_id == "t", EVENTS.seq == 2))
    assert "event 2: missing" in broken(database)


def test_swapped_rows_are_found(database: Database) -> None:
    record(database, 3)

    def renumber(old: int, new: int) -> Executable:
        return update(audit_events).where(EVENTS.tenant_id == "t", EVENTS.seq == old).values(seq=new)

    tamper(database, renumber(2, 99), renumber(3, 2), renumber(99, 3))
    assert "event 2: altered or out of order" in broken(database)


def test_a_row_from_another_tenant_is_found(database: Database) -> None:
    record(database, 1)
    record(database, 1, "other")
    tamper(database, delete(audit_events).where(EVENTS.tenant_id == "t"))
    with database.read("other") as reader:
        row = reader.execute(select(audit_events).where(EVENTS.tenant_id == "other")).one()._asdict()
    tamper(database, insert(audit_events).values(row | {"tenant_id": "t"}))
    assert "event 1" in broken(database)


def test_a_tail_that_is_cut_off_is_found_by_the_head(database: Database) -> None:
    record(database, 3)
    tamper(database, delete(audit_events).where(EVENTS.tenant_id == "t", EVENTS.seq == 3))
    assert "event 3: missing at the end" in broken(database)


def test_a_tail_cut_off_together_with_the_head_is_found_by_the_signature(database: Database) -> None:
    record(database, 3)
    kept = signed(database)
    with database.read("t") as reader:
        second = reader.execute(select(EVENTS.hash).where(EVENTS.tenant_id == "t", EVENTS.seq == 2)).scalar_one()
    cut = [
        delete(audit_events).where(EVENTS.tenant_id == "t", EVENTS.seq == 3),
        update(audit_heads).where(audit_heads.c.tenant_id == "t").values(seq=2, hash=second),
    ]
    tamper(database, *cut)
    assert "event 3: missing at the end" in broken(database)
    tamper(database, delete(audit_signatures).where(audit_signatures.c.tenant_id == "t"))
    assert verified(database).events == 2, "nothing in the database can tell any more"
    assert "event 3: missing at the end" in broken(database, [kept])


def test_a_rewritten_chain_is_found_by_the_signature(database: Database) -> None:
    record(database, 2)
    kept = signed(database)
    tamper(
        database,
        delete(audit_events).where(EVENTS.tenant_id == "t"),
        delete(audit_heads).where(audit_heads.c.tenant_id == "t"),
        delete(audit_signatures).where(audit_signatures.c.tenant_id == "t"),
    )
    record(database, 2)
    assert verified(database).events == 2
    assert "event 2: not what the signed head says" in broken(database, [kept])


def test_a_forged_signature_is_found(database: Database) -> None:
    record(database, 1)
    signed(database)
    tamper(database, update(audit_signatures).values(key_id="another"))
    broken(database)


def test_a_head_is_signed_once(database: Database) -> None:
    with database.unit_of_work("t") as uow:
        assert audit.sign_head(uow, sign, algorithm="x", key_id="k") is None
    record(database, 1)
    first = signed(database)
    with database.unit_of_work("t") as uow:
        assert audit.sign_head(uow, sign, algorithm="x", key_id="k") is None
    record(database, 1)
    second = signed(database)
    assert (first.seq, second.seq) == (1, 2)
    result = verified(database)
    assert (result.signed_heads, result.signed_to) == (2, 2)
    with database.read("t") as reader:
        assert audit.signed_heads(reader, "t") == [first, second]


def test_update_and_delete_are_refused(database: Database) -> None:
    record(database, 1)
    for statement in (update(audit_events).values(actor="x"), delete(audit_events)):
        with pytest.raises(Fault), database.unit_of_work("t") as uow:
            uow.execute(statement)
    assert verified(database).events == 1


def test_what_cannot_be_audited_does_not_happen(database: Database) -> None:
    def attempt(spoil: Callable[[UnitOfWork], object]) -> None:
        with pytest.raises(Fault), database.unit_of_work("t") as uow:
            uow.execute(instance.insert().values(name="done", value="", updated_at=database.clock.now()))
            spoil(uow)

    attempt(lambda uow: audit.append(uow, audit.AuditEvent("a", "b", "c", details={"x": object()})))
    attempt(lambda uow: audit.append(uow, audit.AuditEvent("a", "b", "c" * 501)))
    attempt(lambda uow: audit.append(uow, audit.AuditEvent("a", "b", "c", details={"x": "y" * 70000})))
    attempt(lambda uow: audit.append(uow, audit.AuditEvent("a", "b", "c", details={"x": float("nan")})))
    with database.unit_of_work("t") as uow:
        uow.execute("ALTER TABLE audit_events RENAME TO audit_events_away")
    attempt(lambda uow: audit.append(uow, audit.AuditEvent("a", "b", "c")))
    with database.read(SYSTEM_TENANT) as reader:
        assert reader.execute(select(instance)).all() == []


def test_a_unit_that_is_taken_back_leaves_no_event(database: Database) -> None:
    record(database, 1)
    with pytest.raises(KeyError), database.unit_of_work("t") as uow:
        audit.append(uow, audit.AuditEvent("a", "b", "c"))
        raise KeyError
    record(database, 1)
    assert verified(database).events == 2


def test_several_events_of_one_unit_keep_their_order(database: Database) -> None:
    with database.unit_of_work("t") as uow:
        for n in range(5):
            audit.append(uow, audit.AuditEvent("a", "b", str(n)))
    with database.read("t") as reader:
        assert [r.event.target for r in audit.export(reader, "t")] == list("01234")
    assert verified(database).events == 5


def test_concurrent_units_make_one_chain_without_gaps(database: Database) -> None:
    def work() -> None:
        record(database, 15)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert verified(database).events == 90


def test_a_long_chain_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pycryptoutil.storage import migrate

    database = Database.open(f"sqlite:///{tmp_path}/a.db", clock=SystemClock())
    migrate.upgrade(database, ())
    monkeypatch.setattr(audit, "_BATCH", 7)
    with database.unit_of_work("t") as uow:
        for n in range(50):
            audit.append(uow, audit.AuditEvent("a", "b", str(n)))
    assert verified(database).events == 50
    database.close()
