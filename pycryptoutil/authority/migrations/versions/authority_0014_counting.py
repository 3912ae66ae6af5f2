"""Counting what expires without looking at rows.

Revision ID: authority_0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "authority_0014"
down_revision = "authority_0013"
branch_labels = None
depends_on = None


def _index(columns: list[str]) -> None:
    op.drop_index("certificates_by_expiry", "certificates")
    op.create_index(
        "certificates_by_expiry",
        "certificates",
        columns,
        sqlite_where=sa.text("state = 'issued'"),
        postgresql_where=sa.text("state = 'issued'"),
    )


def upgrade() -> None:
    _index(["tenant_id", "not_after", "serial", "revoked_at", "state"])


def downgrade() -> None:
    _index(["tenant_id", "not_after", "serial", "revoked_at"])
