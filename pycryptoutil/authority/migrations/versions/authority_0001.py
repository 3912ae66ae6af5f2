"""The CA's tables.

Revision ID: authority_0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "authority_0001"
down_revision = None
branch_labels = ("authority",)
depends_on = ("core_0001",)

# what public URLs and the replicas' caches must find before the tenant is known
SYSTEM_READS = frozenset({"authorities", "revocation_events", "enrollment_credentials"})
TENANT_TABLES = (
    "authorities",
    "authority_signers",
    "certificate_profiles",
    "certificates",
    "revocation_events",
    "crls",
    "enrollment_credentials",
    "issuance_repeats",
)


def upgrade() -> None:
    op.create_table(
        "authorities",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("public_id", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("parent_id", sa.String(32), nullable=False, server_default=""),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("key_algorithm", sa.String(16), nullable=False),
        sa.Column("signature_algorithm", sa.String(24), nullable=False),
        sa.Column("spki_sha256", sa.String(64), nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("crl_number", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="authorities_pk"),
        sa.UniqueConstraint("tenant_id", "name", name="authorities_name_unique"),
        sa.UniqueConstraint("public_id", name="authorities_public_id_unique"),
    )
    op.create_table(
        "authority_signers",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("key_algorithm", sa.String(16), nullable=False),
        sa.Column("signature_algorithm", sa.String(24), nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="authority_signers_pk"),
    )
    op.create_index("authority_signers_by_authority", "authority_signers", ["tenant_id", "authority_id", "purpose"])
    op.create_table(
        "certificate_profiles",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="certificate_profiles_pk"),
    )
    op.create_table(
        "certificates",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
        sa.Column("spki_sha256", sa.String(64), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("tbs_sha256", sa.String(64), nullable=False),
        sa.Column("requester", sa.String(300), nullable=False),
        sa.Column("credential_id", sa.String(32), nullable=False, server_default=""),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("reason", sa.Integer),
        sa.Column("invalidity_date", sa.BigInteger),
        sa.Column("der", sa.LargeBinary),
        sa.PrimaryKeyConstraint("authority_id", "serial", name="certificates_pk"),
    )
    op.create_index(
        "certificates_revoked",
        "certificates",
        ["authority_id", "not_after"],
        sqlite_where=sa.text("revoked_at IS NOT NULL"),
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
    )
    op.create_index(
        "certificates_unfinished",
        "certificates",
        ["tenant_id", "created_at"],
        sqlite_where=sa.text("state = 'reserved'"),
        postgresql_where=sa.text("state = 'reserved'"),
    )
    op.create_index("certificates_by_serial", "certificates", ["tenant_id", "serial"])
    op.create_index("certificates_by_creation", "certificates", ["tenant_id", "created_at", "serial"])
    op.create_index("certificates_by_expiry", "certificates", ["tenant_id", "not_after"])
    op.create_index("certificates_by_key", "certificates", ["tenant_id", "spki_sha256"])
    op.create_table(
        "revocation_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="revocation_events_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("revocation_events_by_authority", "revocation_events", ["authority_id", "seq"])
    op.create_table(
        "crls",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("this_update", sa.BigInteger, nullable=False),
        sa.Column("next_update", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("revocation_seq", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("authority_id", "scope", "number", name="crls_pk"),
    )
    op.create_table(
        "enrollment_credentials",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("lookup", sa.String(128), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("protocols", sa.Text, nullable=False),
        sa.Column("max_uses", sa.Integer),
        sa.Column("uses", sa.Integer, nullable=False, server_default="0"),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("description", sa.String(300), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("id", name="enrollment_credentials_pk"),
        sa.UniqueConstraint("username", name="enrollment_credentials_username_unique"),
        sa.UniqueConstraint("lookup", name="enrollment_credentials_lookup_unique"),
    )
    op.create_index("enrollment_credentials_by_creation", "enrollment_credentials", ["tenant_id", "created_at", "id"])
    op.create_table(
        "issuance_repeats",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="issuance_repeats_pk"),
    )
    op.create_index("issuance_repeats_by_expiry", "issuance_repeats", ["tenant_id", "expires_at"])
    for table in TENANT_TABLES:
        rls.enable(op, table, system=table in SYSTEM_READS)
