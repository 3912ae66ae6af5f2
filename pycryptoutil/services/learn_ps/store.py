"""The pet store's tables and statements. Each statement is filtered by the reader's tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Integer, MetaData, String, Table, and_, select

from pycryptoutil.storage import Reader, UnitOfWork

Row = Mapping[str, Any]

_metadata = MetaData()


def _table(name: str, *columns: Column[Any]) -> Table:
    return Table(name, _metadata, Column("tenant_id", String(64)), Column("id", String(32)), *columns)


pets = _table(
    "ps_pets", Column("version", Integer), Column("name", String(100)), Column("species", String(100)),
    Column("price_cents", BigInteger), Column("stock", Integer), Column("status", String(20)),
)  # fmt: skip
customers = _table(
    "ps_customers", Column("version", Integer), Column("name", String(100)), Column("email", String(254))
)
orders = _table(
    "ps_orders", Column("version", Integer), Column("customer_id", String(32)), Column("status", String(20)),
    Column("total_cents", BigInteger),
)  # fmt: skip
order_items = _table(
    "ps_order_items", Column("pet_id", String(32)), Column("quantity", Integer), Column("unit_price_cents", BigInteger)
)
repeats = _table("ps_repeats", Column("key", String(200)), Column("digest", String(64)))


def _rows(reader: Reader, statement: Any) -> list[Row]:
    return [dict(row) for row in reader.execute(statement).mappings()]


def page(reader: Reader, table: Table, after: str, limit: int, **equal: str) -> list[Row]:
    """Return rows by id, after that id."""
    where = [table.c[name] == value for name, value in equal.items() if value]
    query = select(table).where(table.c.tenant_id == reader.tenant_id, table.c.id > after, *where)
    return _rows(reader, query.order_by(table.c.id).limit(limit))


def find(reader: Reader, table: Table, value: str, by: str = "id") -> Row | None:
    """Return one row of this tenant."""
    query = select(table).where(table.c.tenant_id == reader.tenant_id, table.c[by] == value)
    return next(iter(_rows(reader, query)), None)


def insert(uow: UnitOfWork, table: Table, *rows: Row) -> None:
    """Write rows of this tenant; Fault(CONFLICT) on a unique value."""
    uow.execute(table.insert(), [{**row, "tenant_id": uow.tenant_id} for row in rows])


def _at(uow: UnitOfWork, table: Table, identifier: str, version: int) -> ColumnElement[bool]:
    return and_(table.c.tenant_id == uow.tenant_id, table.c.id == identifier, table.c.version == version)


def change(uow: UnitOfWork, table: Table, identifier: str, version: int, values: Row) -> bool:
    """Change a row that is still at that version; False if it is not."""
    statement = table.update().where(_at(uow, table, identifier, version))
    return uow.execute(statement.values(version=version + 1, **values)).rowcount == 1


def remove(uow: UnitOfWork, table: Table, identifier: str, version: int) -> bool:
    """Delete a row that is still at that version; False if it is not."""
    return uow.execute(table.delete().where(_at(uow, table, identifier, version))).rowcount == 1


def move_stock(uow: UnitOfWork, pet_id: str, quantity: int) -> bool:
    """Put back ``quantity`` (negative: take out, of an available pet, as many as there are); False if it cannot be."""
    where = and_(pets.c.tenant_id == uow.tenant_id, pets.c.id == pet_id, pets.c.stock + quantity >= 0)
    if quantity < 0:
        where = and_(where, pets.c.status == "available")
    values = {"stock": pets.c.stock + quantity, "version": pets.c.version + 1}
    return uow.execute(pets.update().where(where).values(values)).rowcount == 1


def items(reader: Reader, order_ids: Iterable[str]) -> list[Row]:
    """Return what is in these orders, by order and pet."""
    columns = order_items.c
    query = select(order_items).where(columns.tenant_id == reader.tenant_id, columns.id.in_(list(order_ids)))
    return _rows(reader, query.order_by(columns.id, columns.pet_id))


def ordered(reader: Reader, column: Column[Any], identifier: str) -> bool:
    """Tell whether any order names this pet (order_items.c.pet_id) or customer (orders.c.customer_id)."""
    table = column.table
    query = select(column).where(table.c.tenant_id == reader.tenant_id, column == identifier)
    return reader.execute(query.limit(1)).first() is not None
