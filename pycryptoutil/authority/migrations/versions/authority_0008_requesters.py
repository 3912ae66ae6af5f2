"""Certificates by who asked for them.

Revision ID: authority_0008
"""

from __future__ import annotations

from alembic import op

revision = "authority_0008"
down_revision = "authority_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("certificates_by_requester", "certificates", ["tenant_id", "requester", "created_at", "serial"])


def downgrade() -> None:
    op.drop_index("certificates_by_requester", "certificates")
