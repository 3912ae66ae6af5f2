"""The tenant of a name in a public URL."""

from __future__ import annotations

from sqlalchemy import or_, select

from pycryptoutil.storage import Reader
from pycryptoutil.storage.schema import tenants


def find_tenant(reader: Reader, name: str) -> str | None:
    """Return the active tenant of this name or id; the reader must be the system tenant's."""
    query = select(tenants.c.tenant_id).where(
        or_(tenants.c.name == name, tenants.c.tenant_id == name), tenants.c.status == "active"
    )
    found: str | None = reader.execute(query.limit(1)).scalars().first()
    return found
