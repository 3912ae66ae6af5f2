"""Rows: SQLite or PostgreSQL, units of work, migrations, the audit chain and leases."""

from pycryptoutil.storage.database import SYSTEM_TENANT, Database, Reader, UnitOfWork, in_unit_of_work
from pycryptoutil.storage.prepared import Prepared
from pycryptoutil.storage.types import Instant, Json, canonical_json

__all__ = [
    "SYSTEM_TENANT",
    "Database",
    "Instant",
    "Json",
    "Prepared",
    "Reader",
    "UnitOfWork",
    "canonical_json",
    "in_unit_of_work",
]
