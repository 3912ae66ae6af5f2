"""Elastic keys, their versions, tenant roots, approvals and import keys.

Revision ID: keyring_0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "keyring_0001"
down_revision = None
branch_labels = ("keyring",)
depends_on = ("core_0001",)

# rotation and the end of waiting periods are found over all tenants
SYSTEM_READS = frozenset({"elastic_keys"})
TENANT_TABLES = ("keyring_roots", "elastic_keys", "key_versions", "key_approvals", "key_approval_votes", "key_imports")


def upgrade() -> None:
    op.create_table(
        "keyring_roots",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="keyring_roots_pk"),
        sa.UniqueConstraint("tenant_id", "generation", name="keyring_roots_generation_unique"),
    )
    op.create_table(
        "elastic_keys",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("algorithm", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("latest_version", sa.Integer, nullable=False),
        sa.Column("active_version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("rotated_at", sa.BigInteger, nullable=False),
        sa.Column("rotates_at", sa.BigInteger),
        sa.Column("delete_at", sa.BigInteger),
        sa.Column("change", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="elastic_keys_pk"),
        sa.UniqueConstraint("tenant_id", "owner", "name", name="elastic_keys_name_unique"),
    )
    op.create_index("elastic_keys_by_creation", "elastic_keys", ["tenant_id", "owner", "created_at", "id"])
    op.create_index("elastic_keys_by_rotation", "elastic_keys", ["owner", "rotates_at"])
    op.create_table(
        "key_versions",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("root_id", sa.String(32), nullable=False),
        sa.Column("material", sa.LargeBinary, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("activated_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("destroyed_at", sa.BigInteger),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("protected", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("processed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("rewrapped", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_used_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("tenant_id", "key_id", "version", name="key_versions_pk"),
        sa.UniqueConstraint("tenant_id", "key_id", "kid", name="key_versions_kid_unique"),
    )
    op.create_index("key_versions_by_root", "key_versions", ["tenant_id", "root_id"])
    op.create_table(
        "key_approvals",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested_by", sa.String(300), nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("needed", sa.Integer, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="key_approvals_pk"),
    )
    op.create_index("key_approvals_by_key", "key_approvals", ["tenant_id", "key_id", "requested_at"])
    op.create_table(
        "key_approval_votes",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("approval_id", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(300), nullable=False),
        sa.Column("voted_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "approval_id", "actor", name="key_approval_votes_pk"),
    )
    op.create_table(
        "key_imports",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("alg", sa.String(32), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="key_imports_pk"),
    )
    for table in TENANT_TABLES:
        rls.enable(op, table, system=table in SYSTEM_READS)


def downgrade() -> None:
    for table in reversed(TENANT_TABLES):
        op.drop_table(table)
