"""Units of work on both databases."""

from __future__ import annotations

from pycryptoutil.storage import Database, audit


def test_audit_roundtrip(database: Database) -> None:
    with database.unit_of_work("a") as uow:
        audit.append(uow, audit.AuditEvent("x.y", "me", "it", details={"n": 1}))
    with database.read("a") as reader:
        assert audit.verify(reader, "a").events == 1
