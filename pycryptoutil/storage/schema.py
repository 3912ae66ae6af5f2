"""The template's own tables (branch ``core``). The migrations create them; a test compares the two.

Every table with ``tenant_id`` is under row-level security on PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pycryptoutil.storage.types import Instant, Json

metadata = MetaData()

TENANT_ID_LENGTH = 64

tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", String(TENANT_ID_LENGTH), nullable=False),
    Column("name", String(200), nullable=False),
    Column("status", String(20), nullable=False, server_default="active"),  # active | disabled
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", name="tenants_pk"),
    UniqueConstraint("name", name="tenants_name_unique"),
)

principals = Table(
    "principals",
    metadata,
    Column("tenant_id", String(TENANT_ID_LENGTH), nullable=False),
    Column("id", String(64), nullable=False),
    Column("kind", String(20), nullable=False),  # user | client
    Column("name", String(200), nullable=False),  # user name or client id
    Column("display_name", String(200), nullable=False, server_default=""),
    Column("secret_hash", Text, nullable=False, server_default=""),  # of the hash registries; empty: none set
    Column("scopes", Json, nullable=False),  # list of str
    Column("status", String(20), nullable=False, server_default="active"),  # active | disabled
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("expires_at", Instant),
    PrimaryKeyConstraint("tenant_id", "id", name="principals_pk"),
    UniqueConstraint("tenant_id", "kind", "name", name="principals_name_unique"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name="principals_tenant"),
    Index("principals_by_name", "kind", "name"),
)

certificate_bindings = Table(
    "certificate_bindings",
    metadata,
    Column("tenant_id", String(TENANT_ID_LENGTH), nullable=False),
    Column("id", String(64), nullable=False),
    Column("principal_id", String(64), nullable=False),
    Column("match", String(20), nullable=False),  # spki-sha256 | certificate-sha256
    Column("value", String(128), nullable=False),  # lower-case hex
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "id", name="certificate_bindings_pk"),
    UniqueConstraint("match", "value", name="certificate_bindings_value_unique"),
    ForeignKeyConstraint(
        ["tenant_id", "principal_id"],
        ["principals.tenant_id", "principals.id"],
        name="certificate_bindings_principal",
        ondelete="CASCADE",
    ),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("tenant_id", String(TENANT_ID_LENGTH), nullable=False),
    Column("id", String(64), nullable=False),
    Column("principal_id", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("lookup", String(128), nullable=False),  # keyed hash of the token
    Column("token_hash", Text, nullable=False),
    Column("scopes", Json, nullable=False),  # list of str, at most the principal's
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    PrimaryKeyConstraint("tenant_id", "id", name="api_tokens_pk"),
    UniqueConstraint("lookup", name="api_tokens_lookup_unique"),
    ForeignKeyConstraint(
        ["tenant_id", "principal_id"],
        ["principals.tenant_id", "principals.id"],
        name="api_tokens_principal",
        ondelete="CASCADE",
    ),
)

sessions = Table(
    "sessions",
    metadata,
    Column("tenant_id", String(TENANT_ID_LENGTH), nullable=False),
    Column("id", String(64), nullable=False),
    Column("principal_id", String(64), nullable=False),  # a file-realm user has no row in principals: no foreign key
    Column("principal_name", String(200), nullable=False),
    Column("realm", String(64), nullable=False),
    Column("lookup", String(128), nullable=False),  # keyed hash of the session secret
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    PrimaryKeyConstraint("tenant_id", "id", name="sessions_pk"),
    UniqueConstraint("lookup", name="sessions_lookup_unique"),
    Index("sessions_by_principal", "tenant_id", "principal_id"),
    Index("sessions_by_expiry", "expires_at"),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("tenant_id", String(TENANT_ID_LENGTH), nullable=False),
    Column("seq", BigInteger, nullable=False),  # 1, 2, 3 … without gaps
    Column("id", String(64), nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("action", String(100), nullable=False),
    Column("actor", String(300), nullable=False),
    Column("target", String(500), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("request_id", String(100), nullable=False),
    Column("details", Text, nullable=False),  # canonical JSON, exactly the bytes that were hashed
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "seq", name="audit_events_pk"),
    Index("audit_events_by_time", "tenant_id", "occurred_at"),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("tenant_id", String(TENANT_ID_LENGTH), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", name="audit_heads_pk"),
)

audit_signatures = Table(
    "audit_signatures",
    metadata,
    Column("tenant_id", String(TENANT_ID_LENGTH), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("signed_at", Instant, nullable=False),
    Column("algorithm", String(40), nullable=False),
    Column("key_id", String(128), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "seq", name="audit_signatures_pk"),
)

barrier_keys = Table(
    "barrier_keys",
    metadata,
    Column("id", String(32), nullable=False),
    Column("level", String(20), nullable=False),  # unseal | root | intermediate | content | static
    Column("generation", Integer, nullable=False),
    Column("parent_id", String(32), nullable=False, server_default=""),
    Column("wrapped", LargeBinary, nullable=False),  # by the parent; of an unseal key: its check value
    Column("facts", Json, nullable=False),  # of an unseal key: mode, salt, shares, threshold
    Column("uses", BigInteger, nullable=False, server_default="0"),  # approximate
    Column("created_at", Instant, nullable=False),
    Column("retired_at", Instant),  # kept for reading
    PrimaryKeyConstraint("id", name="barrier_keys_pk"),
    UniqueConstraint("level", "generation", name="barrier_keys_generation_unique"),
)

rewrap_progress = Table(
    "rewrap_progress",
    metadata,
    Column("name", String(200), nullable=False),  # table.column
    Column("key_id", String(32), nullable=False),
    Column("cursor", Json, nullable=False),  # tenant and key column values of the last row done
    Column("rewrapped", BigInteger, nullable=False),
    Column("finished_at", Instant),
    PrimaryKeyConstraint("name", name="rewrap_progress_pk"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(200), nullable=False),
    Column("holder", String(200), nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("term", BigInteger, nullable=False),  # grows with every change of holder: a fencing token
    PrimaryKeyConstraint("name", name="leases_pk"),
)

instance = Table(
    "instance",
    metadata,
    Column("name", String(100), nullable=False),  # facts of the installation, such as default_tenant_id
    Column("value", Text, nullable=False),
    Column("updated_at", Instant, nullable=False),
    PrimaryKeyConstraint("name", name="instance_pk"),
)
