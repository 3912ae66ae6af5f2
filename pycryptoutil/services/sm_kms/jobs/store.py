"""Statements on rewrap jobs. An object's row holds what it was, and then what became of it: nothing is kept twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text, bindparam, select, update

from pycryptoutil.storage import Instant, Reader, UnitOfWork

_metadata = MetaData()
jobs = Table(
    "kms_rewrap_jobs", _metadata, Column("tenant_id", String(64)), Column("id", String(32)),
    Column("key_id", String(32)), Column("state", String(16)), Column("aad", Text), Column("new_aad", Text),
    Column("total", BigInteger), Column("done", BigInteger), Column("failed", BigInteger),
    Column("created_by", String(300)), Column("created_at", Instant), Column("finished_at", Instant),
)  # fmt: skip
objects = Table(
    "kms_rewrap_objects", _metadata, Column("tenant_id", String(64)), Column("job_id", String(32)),
    Column("position", BigInteger), Column("ciphertext", Text), Column("error", String(300)),
)  # fmt: skip
_j, _o = jobs.c, objects.c


@dataclass(frozen=True, slots=True)
class Job:
    """A job: ``open`` while objects come, ``running``, ``finished``."""

    id: str
    key_id: str
    state: str
    aad: str | None
    new_aad: str | None
    total: int
    done: int  # with those that failed
    failed: int
    created_by: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Item:
    """An object of a job, by its place in the stream."""

    position: int
    ciphertext: str
    error: str = ""


def _job(row: Any) -> Job:
    return Job(**{name: getattr(row, name) for name in Job.__dataclass_fields__})


def insert(uow: UnitOfWork, job: Job) -> None:
    """Add a job."""
    values = {name: getattr(job, name) for name in Job.__dataclass_fields__}
    uow.execute(jobs.insert().values(tenant_id=uow.tenant_id, **values))


def find(reader: Reader, job_id: str) -> Job | None:
    """Return one."""
    row = reader.execute(select(jobs).where(_j.tenant_id == reader.tenant_id, _j.id == job_id)).one_or_none()
    return None if row is None else _job(row)


def listing(reader: Reader, limit: int) -> list[Job]:
    """Return the newest ones."""
    query = select(jobs).where(_j.tenant_id == reader.tenant_id).order_by(_j.created_at.desc(), _j.id).limit(limit)
    return [_job(row) for row in reader.execute(query)]


def change(uow: UnitOfWork, job_id: str, **values: Any) -> None:
    """Change a job, whose lock is held."""
    uow.execute(update(jobs).where(_j.tenant_id == uow.tenant_id, _j.id == job_id).values(**values))


def remove(uow: UnitOfWork, job_id: str) -> None:
    """Forget a job and its objects."""
    uow.execute(objects.delete().where(_o.tenant_id == uow.tenant_id, _o.job_id == job_id))
    uow.execute(jobs.delete().where(_j.tenant_id == uow.tenant_id, _j.id == job_id))


def running(reader: Reader) -> list[tuple[str, str]]:
    """Return tenant and id of the jobs to work on, over all tenants (a reader of the system)."""
    query = select(_j.tenant_id, _j.id).where(_j.state == "running").order_by(_j.created_at).limit(100)
    return [(row.tenant_id, row.id) for row in reader.execute(query)]


def add(uow: UnitOfWork, job_id: str, first: int, ciphertexts: Sequence[str]) -> None:
    """Append objects."""
    rows = [
        {"tenant_id": uow.tenant_id, "job_id": job_id, "position": place, "ciphertext": text, "error": ""}
        for place, text in enumerate(ciphertexts, first)
    ]
    uow.execute(objects.insert(), rows)


def items(reader: Reader, job_id: str, first: int, limit: int) -> list[Item]:
    """Return objects from a place on."""
    query = select(_o.position, _o.ciphertext, _o.error).where(
        _o.tenant_id == reader.tenant_id, _o.job_id == job_id, _o.position >= first
    )
    rows = reader.execute(query.order_by(_o.position).limit(limit))
    return [Item(row.position, row.ciphertext, row.error) for row in rows]


_WRITE = (
    update(objects)
    .where(_o.tenant_id == bindparam("of_tenant"), _o.job_id == bindparam("of_job"), _o.position == bindparam("at"))
    .values(ciphertext=bindparam("text"), error=bindparam("why"))
)


def write(uow: UnitOfWork, job_id: str, found: Sequence[Item]) -> None:
    """Write what became of objects."""
    rows = [
        {"of_tenant": uow.tenant_id, "of_job": job_id, "at": one.position, "text": one.ciphertext, "why": one.error}
        for one in found
    ]
    uow.execute(_WRITE, rows)
