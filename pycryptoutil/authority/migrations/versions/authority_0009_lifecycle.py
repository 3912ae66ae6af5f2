"""Generations of a CA, and the links between them.

Revision ID: authority_0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0009"
down_revision = "authority_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("authorities", sa.Column("line", sa.String(32), nullable=False, server_default=""))
    op.add_column("authorities", sa.Column("generation", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "authority_rollovers",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("old_id", sa.String(32), nullable=False),
        sa.Column("new_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("activated_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="authority_rollovers_pk"),
    )
    op.create_index("authority_rollovers_by_old", "authority_rollovers", ["tenant_id", "old_id"])
    rls.enable(op, "authority_rollovers")
    op.create_table(
        "authority_links",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("rollover_id", sa.String(32), nullable=False, server_default=""),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("authority_id", "serial", name="authority_links_pk"),
    )
    op.create_index("authority_links_by_creation", "authority_links", ["tenant_id", "created_at"])
    rls.enable(op, "authority_links")


def downgrade() -> None:
    op.drop_table("authority_links")
    op.drop_table("authority_rollovers")
    op.drop_column("authorities", "generation")
    op.drop_column("authorities", "line")
