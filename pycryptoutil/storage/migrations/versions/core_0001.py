"""The template's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "core_0001"
down_revision = None
branch_labels = ("core",)
depends_on = None

# True: found before the tenant is known (by name, token, session or certificate), so the system tenant sees them all
TENANT_TABLES = {
    "tenants": True,
    "principals": True,
    "certificate_bindings": True,
    "api_tokens": True,
    "sessions": True,
    "audit_events": False,
    "audit_heads": False,
    "audit_signatures": False,
}


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("status", sa.String(20), nullable=False, server_default="active"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="tenants_pk"),
        sa.UniqueConstraint("name", name="tenants_name_unique"),
    )
    op.create_table(
        "principals",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("display_name", sa.String(200), nullable=False, server_default=""),
        sa.Column("secret_hash", sa.Text, nullable=False, server_default=""),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("status", sa.String(20), nullable=False, server_default="active"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="principals_pk"),
        sa.UniqueConstraint("tenant_id", "kind", "name", name="principals_name_unique"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name="principals_tenant"),
    )
    op.create_index("principals_by_name", "principals", ["kind", "name"])
    principal = ["tenant_id", "principal_id"], ["principals.tenant_id", "principals.id"]
    op.create_table(
        "certificate_bindings",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("principal_id", sa.String(64), nullable=False),
        sa.Column("match", sa.String(20), nullable=False),
        sa.Column("value", sa.String(128), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="certificate_bindings_pk"),
        sa.UniqueConstraint("match", "value", name="certificate_bindings_value_unique"),
        sa.ForeignKeyConstraint(*principal, name="certificate_bindings_principal", ondelete="CASCADE"),
    )
    op.create_table(
        "api_tokens",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("principal_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("lookup", sa.String(128), nullable=False),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="api_tokens_pk"),
        sa.UniqueConstraint("lookup", name="api_tokens_lookup_unique"),
        sa.ForeignKeyConstraint(*principal, name="api_tokens_principal", ondelete="CASCADE"),
    )
    op.create_table(
        "sessions",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("principal_id", sa.String(64), nullable=False),
        sa.Column("principal_name", sa.String(200), nullable=False),
        sa.Column("realm", sa.String(64), nullable=False),
        sa.Column("lookup", sa.String(128), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="sessions_pk"),
        sa.UniqueConstraint("lookup", name="sessions_lookup_unique"),
    )
    op.create_index("sessions_by_principal", "sessions", ["tenant_id", "principal_id"])
    op.create_index("sessions_by_expiry", "sessions", ["expires_at"])
    _audit()
    _installation()
    for table, system in TENANT_TABLES.items():
        rls.enable(op, table, system=system)
    rls.append_only(op, "audit_events")


def _audit() -> None:
    op.create_table(
        "audit_events",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("actor", sa.String(300), nullable=False),
        sa.Column("target", sa.String(500), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("request_id", sa.String(100), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name="audit_events_pk"),
    )
    op.create_index("audit_events_by_time", "audit_events", ["tenant_id", "occurred_at"])
    op.create_table(
        "audit_heads",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="audit_heads_pk"),
    )
    op.create_table(
        "audit_signatures",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("signed_at", sa.BigInteger, nullable=False),
        sa.Column("algorithm", sa.String(40), nullable=False),
        sa.Column("key_id", sa.String(128), nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name="audit_signatures_pk"),
    )


def _installation() -> None:
    op.create_table(
        "barrier_keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("level", sa.String(20), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("parent_id", sa.String(32), nullable=False, server_default=""),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("retired_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="barrier_keys_pk"),
        sa.UniqueConstraint("level", "generation", name="barrier_keys_generation_unique"),
    )
    op.create_table(
        "rewrap_progress",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("rewrapped", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("name", name="rewrap_progress_pk"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="leases_pk"),
    )
    op.create_table(
        "instance",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="instance_pk"),
    )
