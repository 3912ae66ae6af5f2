"""ACME.

Revision ID: authority_0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0006"
down_revision = "authority_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "acme_nonces",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("nonce", name="acme_nonces_pk"),
    )
    op.create_index("acme_nonces_by_end", "acme_nonces", ["tenant_id", "expires_at"])
    rls.enable(op, "acme_nonces")
    op.create_table(
        "acme_accounts",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("scope", sa.String(160), nullable=False),
        sa.Column("thumbprint", sa.String(64), nullable=False),
        sa.Column("jwk", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("terms", sa.Text, nullable=False),
        sa.Column("credential_id", sa.String(32), nullable=False),
        sa.Column("external_binding", sa.Text, nullable=True),
        sa.Column("url", sa.String(500), nullable=False),
        sa.Column("peer", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="acme_accounts_pk"),
    )
    op.create_index("acme_accounts_by_key", "acme_accounts", ["tenant_id", "scope", "thumbprint"], unique=True)
    op.create_index("acme_accounts_by_peer", "acme_accounts", ["tenant_id", "peer", "created_at"])
    rls.enable(op, "acme_accounts")
    op.create_table(
        "acme_orders",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("identifiers", sa.Text, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=True),
        sa.Column("not_after", sa.BigInteger, nullable=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("csr", sa.LargeBinary, nullable=True),
        sa.Column("enrolment_id", sa.String(64), nullable=False),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("replaces", sa.String(200), nullable=False),
        sa.Column("auto_renewal", sa.Text, nullable=True),
        sa.Column("renew_at", sa.BigInteger, nullable=True),
        sa.Column("renewals", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="acme_orders_pk"),
    )
    op.create_index("acme_orders_by_account", "acme_orders", ["tenant_id", "account_id", "created_at", "id"])
    op.create_index("acme_orders_by_renewal", "acme_orders", ["renew_at", "tenant_id"])
    op.create_index("acme_orders_by_replaces", "acme_orders", ["tenant_id", "replaces"])
    op.create_index("acme_orders_by_serial", "acme_orders", ["tenant_id", "serial"])
    op.create_index("acme_orders_by_status", "acme_orders", ["status", "changed_at", "tenant_id"])
    rls.enable(op, "acme_orders", system=True)
    op.create_table(
        "acme_authorizations",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("value", sa.String(512), nullable=False),
        sa.Column("wildcard", sa.Boolean, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("validated_at", sa.BigInteger, nullable=True),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("attested_spki", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="acme_authorizations_pk"),
    )
    op.create_index(
        "acme_authorizations_by_name", "acme_authorizations", ["tenant_id", "account_id", "type", "value", "expires_at"]
    )
    rls.enable(op, "acme_authorizations")
    op.create_table(
        "acme_order_authorizations",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("order_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("authorization_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "position", name="acme_order_authorizations_pk"),
    )
    op.create_index(
        "acme_order_authorizations_by_authorization", "acme_order_authorizations", ["tenant_id", "authorization_id"]
    )
    rls.enable(op, "acme_order_authorizations")
    op.create_table(
        "acme_challenges",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("authorization_id", sa.String(32), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("validated_at", sa.BigInteger, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=True),
        sa.Column("claimed_until", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="acme_challenges_pk"),
    )
    op.create_index("acme_challenges_by_authorization", "acme_challenges", ["tenant_id", "authorization_id"])
    op.create_index("acme_challenges_by_due", "acme_challenges", ["due_at", "tenant_id"])
    rls.enable(op, "acme_challenges", system=True)


def downgrade() -> None:
    op.drop_table("acme_challenges")
    op.drop_table("acme_order_authorizations")
    op.drop_table("acme_authorizations")
    op.drop_table("acme_orders")
    op.drop_table("acme_accounts")
    op.drop_table("acme_nonces")
