"""ACME's tables."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from pycryptoutil.authority.store import metadata
from pycryptoutil.storage import Instant, Json

_ID: Final = 32

nonces = Table(  # that were used, until they would be too old anyway
    "acme_nonces",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("expires_at", Instant, nullable=False),
    PrimaryKeyConstraint("nonce", name="acme_nonces_pk"),
    Index("acme_nonces_by_end", "tenant_id", "expires_at"),
)

accounts = Table(
    "acme_accounts",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(_ID), nullable=False),
    Column("scope", String(160), nullable=False),  # CA and profile: each label is a server of its own
    Column("thumbprint", String(64), nullable=False),
    Column("jwk", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("contact", Json, nullable=False),
    Column("terms", Text, nullable=False),  # the URL of the terms that were agreed to
    Column("credential_id", String(_ID), nullable=False),  # of the external binding; empty: none
    Column("external_binding", Json, nullable=True),
    Column("url", String(500), nullable=False),
    Column("peer", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("id", name="acme_accounts_pk"),
    Index("acme_accounts_by_key", "tenant_id", "scope", "thumbprint", unique=True),
    Index("acme_accounts_by_peer", "tenant_id", "peer", "created_at"),
)

orders = Table(
    "acme_orders",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(_ID), nullable=False),
    Column("account_id", String(_ID), nullable=False),
    Column("status", String(16), nullable=False),
    Column("identifiers", Json, nullable=False),
    Column("not_before", Instant, nullable=True),
    Column("not_after", Instant, nullable=True),
    Column("expires_at", Instant, nullable=False),
    Column("error", Json, nullable=True),
    Column("csr", LargeBinary, nullable=True),
    Column("enrolment_id", String(64), nullable=False),
    Column("authority", String(64), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("replaces", String(200), nullable=False),
    Column("auto_renewal", Json, nullable=True),
    Column("renew_at", Instant, nullable=True),  # when the next certificate of an auto-renewal is due
    Column("renewals", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("caa_at", Instant),  # when CAA was asked about again; empty: not since the names were validated
    PrimaryKeyConstraint("id", name="acme_orders_pk"),
    Index("acme_orders_by_account", "tenant_id", "account_id", "created_at", "id"),
    Index("acme_orders_by_serial", "tenant_id", "serial"),
    Index("acme_orders_by_replaces", "tenant_id", "replaces"),
    Index("acme_orders_by_status", "status", "changed_at", "tenant_id"),
    Index("acme_orders_by_renewal", "renew_at", "tenant_id"),
)

authorizations = Table(
    "acme_authorizations",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(_ID), nullable=False),
    Column("account_id", String(_ID), nullable=False),
    Column("type", String(64), nullable=False),
    Column("value", String(512), nullable=False),
    Column("wildcard", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("validated_at", Instant, nullable=True),
    Column("method", String(32), nullable=False),  # that validated it
    Column("attested_spki", String(64), nullable=False),  # the key that a device has attested, as SHA-256
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("id", name="acme_authorizations_pk"),
    Index("acme_authorizations_by_name", "tenant_id", "account_id", "type", "value", "expires_at"),
)

order_authorizations = Table(
    "acme_order_authorizations",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("order_id", String(_ID), nullable=False),
    Column("position", Integer, nullable=False),
    Column("authorization_id", String(_ID), nullable=False),
    PrimaryKeyConstraint("order_id", "position", name="acme_order_authorizations_pk"),
    Index("acme_order_authorizations_by_authorization", "tenant_id", "authorization_id"),
)

challenges = Table(
    "acme_challenges",
    metadata,
    Column("tenant_id", String(64), nullable=False),
    Column("id", String(_ID), nullable=False),
    Column("authorization_id", String(_ID), nullable=False),
    Column("type", String(32), nullable=False),
    Column("token", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("validated_at", Instant, nullable=True),
    Column("error", Json, nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Instant, nullable=True),  # when it is to be tried (again); empty: not asked for, or decided
    Column("claimed_until", Instant, nullable=True),  # by the replica that tries it
    PrimaryKeyConstraint("id", name="acme_challenges_pk"),
    Index("acme_challenges_by_authorization", "tenant_id", "authorization_id"),
    Index("acme_challenges_by_due", "due_at", "tenant_id"),
)

TABLES: Final = (nonces, accounts, orders, authorizations, order_authorizations, challenges)
