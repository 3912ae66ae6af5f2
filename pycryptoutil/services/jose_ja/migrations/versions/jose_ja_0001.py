"""What tokens of a ring say by policy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "jose_ja_0001"
down_revision = None
branch_labels = ("jose_ja",)
depends_on = ("core_0001",)


def upgrade() -> None:
    op.create_table(
        "jose_token_policies",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("ring_id", sa.String(32), nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "ring_id", name="jose_token_policies_pk"),
    )
    rls.enable(op, "jose_token_policies")
