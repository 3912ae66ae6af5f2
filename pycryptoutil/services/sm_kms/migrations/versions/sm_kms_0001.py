"""Rewrap jobs and their objects.

Revision ID: sm_kms_0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "sm_kms_0001"
down_revision = None
branch_labels = ("sm_kms",)
depends_on = ("core_0001",)


def upgrade() -> None:
    op.create_table(
        "kms_rewrap_jobs",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("aad", sa.Text),
        sa.Column("new_aad", sa.Text),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(300), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="kms_rewrap_jobs_pk"),
    )
    op.create_index("kms_rewrap_jobs_by_state", "kms_rewrap_jobs", ["state"])
    op.create_table(
        "kms_rewrap_objects",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("ciphertext", sa.Text, nullable=False),
        sa.Column("error", sa.String(300), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("tenant_id", "job_id", "position", name="kms_rewrap_objects_pk"),
    )
    # the background task finds the jobs of every tenant
    rls.enable(op, "kms_rewrap_jobs", system=True)
    rls.enable(op, "kms_rewrap_objects")


def downgrade() -> None:
    op.drop_table("kms_rewrap_objects")
    op.drop_table("kms_rewrap_jobs")
