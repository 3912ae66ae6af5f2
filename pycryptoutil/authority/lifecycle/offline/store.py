"""Statements on CAs that wait for a certificate from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, String, Table, Text, UniqueConstraint, select

from pycryptoutil.authority.store import metadata
from pycryptoutil.storage import Instant, Reader, UnitOfWork

requests = Table(
    "authority_requests",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),  # the CA's, once it is one
    Column("name", String(64), nullable=False),
    Column("public_id", String(128), nullable=False),
    Column("subject", Text, nullable=False),
    Column("csr", LargeBinary, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("key_algorithm", String(16), nullable=False),
    Column("signature_algorithm", String(24), nullable=False),
    Column("spki_sha256", String(64), nullable=False),
    Column("replaces", String(32), nullable=False, server_default=""),  # the CA that is to get this key
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(300), nullable=False),
    PrimaryKeyConstraint("id", name="authority_requests_pk"),
    UniqueConstraint("tenant_id", "name", name="authority_requests_name_unique"),
)


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A row of ``authority_requests``."""

    id: str
    tenant_id: str
    name: str
    public_id: str
    subject: str
    csr: bytes = field(repr=False)
    sealed_key: bytes = field(repr=False)
    key_algorithm: str
    signature_algorithm: str
    spki_sha256: str
    replaces: str
    created_at: datetime
    created_by: str


_COLUMNS: Final = tuple(requests.c[name] for name in RequestRow.__slots__)


def insert(uow: UnitOfWork, row: RequestRow) -> None:
    """Fault(CONFLICT) if the name is taken."""
    uow.execute(requests.insert().values(**{name: getattr(row, name) for name in RequestRow.__slots__}))


def all_requests(reader: Reader) -> list[RequestRow]:
    """Return the tenant's, oldest first."""
    found = reader.execute(
        select(*_COLUMNS).where(requests.c.tenant_id == reader.tenant_id).order_by(requests.c.created_at, requests.c.id)
    )
    return [RequestRow(**row._asdict()) for row in found]


def delete(uow: UnitOfWork, request_id: str) -> None:
    """Forget one, and its key."""
    uow.execute(requests.delete().where(requests.c.tenant_id == uow.tenant_id, requests.c.id == request_id))
