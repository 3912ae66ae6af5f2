"""SSH certificates.

Revision ID: authority_0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0003"
down_revision = "authority_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ssh_certificates",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("serial", sa.String(16), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(200), nullable=False),
        sa.Column("principals", sa.Text, nullable=False),
        sa.Column("spki_sha256", sa.String(64), nullable=False),
        sa.Column("valid_after", sa.BigInteger, nullable=False),
        sa.Column("valid_before", sa.BigInteger, nullable=False),
        sa.Column("requester", sa.String(300), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("certificate", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("authority_id", "serial", name="ssh_certificates_pk"),
    )
    op.create_index("ssh_certificates_by_creation", "ssh_certificates", ["tenant_id", "created_at", "serial"])
    rls.enable(op, "ssh_certificates")


def downgrade() -> None:
    op.drop_table("ssh_certificates")
