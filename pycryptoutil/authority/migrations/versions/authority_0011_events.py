"""Webhooks: who is told, what, and what became of it.

Revision ID: authority_0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0011"
down_revision = "authority_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_subscriptions",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("types", sa.Text, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("description", sa.String(300), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("paused_until", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("id", name="event_subscriptions_pk"),
    )
    op.create_index("event_subscriptions_by_tenant", "event_subscriptions", ["tenant_id", "created_at", "id"])
    rls.enable(op, "event_subscriptions", system=True)  # the barrier's rewrap job reads those of every tenant
    op.create_table(
        "events",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="events_pk"),
    )
    op.create_index("events_by_time", "events", ["tenant_id", "occurred_at"])
    rls.enable(op, "events")
    op.create_table(
        "event_deliveries",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("event_id", sa.String(40), nullable=False),
        sa.Column("subscription_id", sa.String(40), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("claimed_until", sa.BigInteger),
        sa.Column("answer", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="event_deliveries_pk"),
    )
    op.create_index(
        "event_deliveries_due",
        "event_deliveries",
        ["due_at", "tenant_id"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "event_deliveries_by_subscription", "event_deliveries", ["tenant_id", "subscription_id", "created_at", "id"]
    )
    op.create_index("event_deliveries_by_event", "event_deliveries", ["tenant_id", "event_id"])
    op.create_index("event_deliveries_finished", "event_deliveries", ["tenant_id", "finished_at"])
    rls.enable(op, "event_deliveries", system=True)
    op.create_table(
        "expiry_notices",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("days", sa.Integer, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "days", name="expiry_notices_pk"),
    )
    rls.enable(op, "expiry_notices")


def downgrade() -> None:
    for table in ("expiry_notices", "event_deliveries", "events", "event_subscriptions"):
        op.drop_table(table)
