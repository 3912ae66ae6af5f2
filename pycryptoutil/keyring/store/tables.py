"""The keyring's tables (branch ``keyring``), and which of their columns the barrier seals."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pycryptoutil.barrier import SealedColumn
from pycryptoutil.storage import Instant, Json

metadata = MetaData()

roots = Table(
    "keyring_roots",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id", name="keyring_roots_pk"),
    UniqueConstraint("tenant_id", "generation", name="keyring_roots_generation_unique"),
)

elastic_keys = Table(
    "elastic_keys",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("owner", String(32), nullable=False),  # sm-kms | jose-ja: each service has its own names
    Column("name", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("algorithm", String(64), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("policy", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("latest_version", Integer, nullable=False),
    Column("active_version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("rotated_at", Instant, nullable=False),
    Column("rotates_at", Instant),
    Column("delete_at", Instant),
    Column("change", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id", name="elastic_keys_pk"),
    UniqueConstraint("tenant_id", "owner", "name", name="elastic_keys_name_unique"),
)

versions = Table(
    "key_versions",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kid", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("root_id", String(32), nullable=False),
    Column("material", LargeBinary, nullable=False),  # under the tenant's root; empty once destroyed
    Column("public_key", LargeBinary, nullable=False),  # SPKI; empty for secrets
    Column("created_at", Instant, nullable=False),
    Column("activated_at", Instant),
    Column("revoked_at", Instant),
    Column("destroyed_at", Instant),
    Column("reason", String(300), nullable=False),
    Column("protected", BigInteger, nullable=False, server_default="0"),
    Column("processed", BigInteger, nullable=False, server_default="0"),
    Column("rewrapped", BigInteger, nullable=False, server_default="0"),
    Column("last_used_at", Instant),
    PrimaryKeyConstraint("tenant_id", "key_id", "version", name="key_versions_pk"),
    UniqueConstraint("tenant_id", "key_id", "kid", name="key_versions_kid_unique"),
)

approvals = Table(
    "key_approvals",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("action", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("requested_by", String(300), nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("details", Json, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id", name="key_approvals_pk"),
)

votes = Table(
    "key_approval_votes",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("approval_id", String(32), nullable=False),
    Column("actor", String(300), nullable=False),
    Column("voted_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "approval_id", "actor", name="key_approval_votes_pk"),
)

imports = Table(
    "key_imports",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(32), nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("alg", String(32), nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("expires_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id", name="key_imports_pk"),
)

ROOTS: Final = SealedColumn("keyring_roots", ("id",), "sealed", "keyring-root")
IMPORTS: Final = SealedColumn("key_imports", ("id",), "sealed_key", "key-import")
SEALED_COLUMNS: Final = (ROOTS, IMPORTS)
