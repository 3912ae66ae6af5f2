"""The pet store's tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pycryptoutil.storage.migrations import rls

revision = "learn_ps_0001"
down_revision = None
branch_labels = ("learn_ps",)
depends_on = ("core_0001",)


def _table(name: str, *parts: sa.schema.SchemaItem, key: tuple[str, ...] = ("tenant_id", "id")) -> None:
    ids = (sa.Column("tenant_id", sa.String(64), nullable=False), sa.Column("id", sa.String(32), nullable=False))
    op.create_table(name, *ids, *parts, sa.PrimaryKeyConstraint(*key, name=f"{name}_pk"))
    rls.enable(op, name)


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _belongs(column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"])


def upgrade() -> None:
    _table(
        "ps_pets", _number("version"), _text("name", 100), _text("species", 100), _number("price_cents"),
        _number("stock"), _text("status", 20), sa.CheckConstraint("stock >= 0", name="ps_pets_stock"),
    )  # fmt: skip
    _table(
        "ps_customers", _number("version"), _text("name", 100), _text("email", 254),
        sa.UniqueConstraint("tenant_id", "email", name="ps_customers_email"),
    )  # fmt: skip
    _table(
        "ps_orders", _number("version"), _text("customer_id", 32), _text("status", 20), _number("total_cents"),
        _belongs("customer_id", "ps_customers"),
    )  # fmt: skip
    _table(
        "ps_order_items", _text("pet_id", 32), _number("quantity"), _number("unit_price_cents"),
        _belongs("id", "ps_orders"), _belongs("pet_id", "ps_pets"), key=("tenant_id", "id", "pet_id"),
    )  # fmt: skip
    _table("ps_repeats", _text("key", 200), _text("digest", 64), key=("tenant_id", "key"))
    op.create_index("ps_orders_by_customer", "ps_orders", ["tenant_id", "customer_id"])
    op.create_index("ps_order_items_by_pet", "ps_order_items", ["tenant_id", "pet_id"])
