"""Requests of CAs that are certified elsewhere.

Revision ID: authority_0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0010"
down_revision = "authority_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "authority_requests",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("public_id", sa.String(128), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("csr", sa.LargeBinary, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("key_algorithm", sa.String(16), nullable=False),
        sa.Column("signature_algorithm", sa.String(24), nullable=False),
        sa.Column("spki_sha256", sa.String(64), nullable=False),
        sa.Column("replaces", sa.String(32), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("id", name="authority_requests_pk"),
        sa.UniqueConstraint("tenant_id", "name", name="authority_requests_name_unique"),
    )
    rls.enable(op, "authority_requests")


def downgrade() -> None:
    op.drop_table("authority_requests")
