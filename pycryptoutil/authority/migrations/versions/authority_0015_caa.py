"""When the DNS was asked about CAA for an order that waits.

Revision ID: authority_0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "authority_0015"
down_revision = "authority_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("acme_orders", sa.Column("caa_at", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("acme_orders", "caa_at")
