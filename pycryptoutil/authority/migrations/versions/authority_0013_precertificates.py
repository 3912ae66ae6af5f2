"""Precertificates.

Revision ID: authority_0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0013"
down_revision = "authority_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "precertificates",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("authority_id", "serial", name="precertificates_pk"),
    )
    rls.enable(op, "precertificates")


def downgrade() -> None:
    op.drop_table("precertificates")
