"""Indexes of a search: names and domains, and each condition in the order of the answer.

Revision ID: authority_0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0012"
down_revision = "authority_0011"
branch_labels = None
depends_on = None

BY: dict[str, list[str]] = {
    "profile": ["tenant_id", "profile", "created_at", "serial"],
    "protocol": ["tenant_id", "protocol", "created_at", "serial"],
    "authority": ["tenant_id", "authority_id", "created_at", "serial"],
}


def upgrade() -> None:
    op.create_table(
        "certificate_names",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("term", sa.String(256), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "term", "created_at", "serial", "authority_id", name="certificate_names_pk"
        ),
        sqlite_with_rowid=False,
    )
    rls.enable(op, "certificate_names")
    op.create_table(
        "certificate_names_indexed",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="certificate_names_indexed_pk"),
    )
    rls.enable(op, "certificate_names_indexed")
    for name, columns in BY.items():
        op.create_index(f"certificates_by_{name}", "certificates", columns)
    op.drop_index("certificates_by_key", "certificates")
    op.create_index("certificates_by_key", "certificates", ["tenant_id", "spki_sha256", "created_at", "serial"])
    op.drop_index("certificates_by_serial", "certificates")
    op.create_index("certificates_by_serial", "certificates", ["tenant_id", "serial", "created_at"])
    op.create_index(
        "certificates_revoked_by_creation",
        "certificates",
        ["tenant_id", "created_at", "serial"],
        sqlite_where=sa.text("revoked_at IS NOT NULL"),
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("certificates_revoked_by_creation", "certificates")
    op.drop_index("certificates_by_key", "certificates")
    op.create_index("certificates_by_key", "certificates", ["tenant_id", "spki_sha256"])
    op.drop_index("certificates_by_serial", "certificates")
    op.create_index("certificates_by_serial", "certificates", ["tenant_id", "serial"])
    for name in BY:
        op.drop_index(f"certificates_by_{name}", "certificates")
    op.drop_table("certificate_names_indexed")
    op.drop_table("certificate_names")
