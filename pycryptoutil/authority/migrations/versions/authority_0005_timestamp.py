"""The order of time-stamps.

Revision ID: authority_0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0005"
down_revision = "authority_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "timestamp_order",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("last_gen_time", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "authority", name="timestamp_order_pk"),
    )
    rls.enable(op, "timestamp_order")


def downgrade() -> None:
    op.drop_table("timestamp_order")
