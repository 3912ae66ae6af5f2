"""What each series of CRLs covers, so that it cannot change unnoticed.

Revision ID: authority_0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0002"
down_revision = "authority_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "crl_scopes",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("only", sa.String(16), nullable=False),
        sa.Column("uris", sa.Text, nullable=False),
        sa.Column("scheduled_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("authority_id", "scope", name="crl_scopes_pk"),
    )
    rls.enable(op, "crl_scopes")


def downgrade() -> None:
    op.drop_table("crl_scopes")
