"""What statistics count.

Revision ID: authority_0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0007"
down_revision = "authority_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "certificates_issued_days",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("issued", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day", "profile", "protocol", name="certificates_issued_days_pk"),
    )
    rls.enable(op, "certificates_issued_days")
    op.create_table(
        "certificates_counted",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("through", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="certificates_counted_pk"),
    )
    rls.enable(op, "certificates_counted")
    op.drop_index("certificates_by_expiry", "certificates")
    op.create_index(
        "certificates_by_expiry",
        "certificates",
        ["tenant_id", "not_after", "serial", "revoked_at"],
        sqlite_where=sa.text("state = 'issued'"),
        postgresql_where=sa.text("state = 'issued'"),
    )
    op.create_index(
        "certificates_by_revocation",
        "certificates",
        ["tenant_id", "revoked_at", "reason"],
        sqlite_where=sa.text("revoked_at IS NOT NULL"),
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("certificates_by_revocation", "certificates")
    op.drop_index("certificates_by_expiry", "certificates")
    op.create_index("certificates_by_expiry", "certificates", ["tenant_id", "not_after"])
    op.drop_table("certificates_counted")
    op.drop_table("certificates_issued_days")
