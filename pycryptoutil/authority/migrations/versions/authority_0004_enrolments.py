"""Requests that wait for approval, their approvers' decisions, and the memory of multi-message protocols.

Revision ID: authority_0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0004"
down_revision = "authority_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pending = sa.text("state = 'pending'")
    op.create_table(
        "enrolments",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False, server_default=""),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("requester", sa.String(300), nullable=False),
        sa.Column("actor", sa.String(300), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("spki_sha256", sa.String(64), nullable=False),
        sa.Column("key_algorithm", sa.String(24), nullable=False),
        sa.Column("credential_id", sa.String(32), nullable=False, server_default=""),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary),
        sa.Column("needed", sa.Integer, nullable=False),
        sa.Column("approvals", sa.Integer, nullable=False, server_default="0"),
        sa.Column("serial", sa.String(40), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="enrolments_pk"),
    )
    op.create_index("enrolments_by_creation", "enrolments", ["tenant_id", "created_at", "id"])
    op.create_index("enrolments_by_digest", "enrolments", ["tenant_id", "digest"])
    op.create_index(
        "enrolments_waiting_unique",
        "enrolments",
        ["tenant_id", "digest"],
        unique=True,
        sqlite_where=pending,
        postgresql_where=pending,
    )
    op.create_index(
        "enrolments_waiting", "enrolments", ["tenant_id", "requester"], sqlite_where=pending, postgresql_where=pending
    )
    op.create_table(
        "enrolment_decisions",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("enrolment_id", sa.String(32), nullable=False),
        sa.Column("approver", sa.String(300), nullable=False),
        sa.Column("actor", sa.String(300), nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("comment", sa.String(500), nullable=False, server_default=""),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("enrolment_id", "approver", name="enrolment_decisions_pk"),
    )
    op.create_table(
        "protocol_transactions",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("owner", sa.String(300), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "protocol", "id", name="protocol_transactions_pk"),
    )
    op.create_index("protocol_transactions_by_owner", "protocol_transactions", ["tenant_id", "protocol", "owner"])
    op.create_index("protocol_transactions_by_expiry", "protocol_transactions", ["protocol", "expires_at"])
    rls.enable(op, "enrolments", system=True)
    rls.enable(op, "enrolment_decisions")
    rls.enable(op, "protocol_transactions", system=True)


def downgrade() -> None:
    op.drop_table("protocol_transactions")
    op.drop_table("enrolment_decisions")
    op.drop_table("enrolments")
