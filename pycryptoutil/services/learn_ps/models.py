"""What the pet store takes and gives, as JSON. Money is in cents: no float ever holds a price."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pycryptoutil.http.paging import JsonModel, PageQuery

Text = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")]
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Cents = Annotated[int, Field(ge=0, le=100_000_000)]
Stock = Annotated[int, Field(ge=0, le=1_000_000)]
PetStatus = Literal["available", "discontinued"]
OrderStatus = Literal["placed", "shipped", "delivered", "cancelled"]


class PetBody(JsonModel):
    """A pet as it shall be, and how many of it there are."""

    name: Text
    species: Text
    price_cents: Cents
    stock: Stock = 0
    status: PetStatus = "available"


class Pet(PetBody):
    """A pet. ``version`` is also its entity tag."""

    id: str
    version: int


class CustomerBody(JsonModel):
    """A customer as it shall be."""

    name: Text
    email: Email


class Customer(CustomerBody):
    """A customer."""

    id: str
    version: int


class ItemBody(JsonModel):
    """So many of a pet."""

    pet_id: Id
    quantity: int = Field(ge=1, le=1000)


class OrderBody(JsonModel):
    """A new order. It takes the pets out of stock, or fails as a whole."""

    customer_id: Id
    items: list[ItemBody] = Field(min_length=1, max_length=50)


class OrderPatch(JsonModel):
    """Where the order is now."""

    status: OrderStatus


class OrderItem(ItemBody):
    """With the price of the day of the order."""

    unit_price_cents: int


class Order(JsonModel):
    """An order; its total is computed."""

    id: str
    version: int
    customer_id: str
    status: OrderStatus
    total_cents: int
    items: list[OrderItem]


class Pets(JsonModel):
    """One page."""

    items: list[Pet]
    next: str | None


class Customers(JsonModel):
    """One page."""

    items: list[Customer]
    next: str | None


class Orders(JsonModel):
    """One page."""

    items: list[Order]
    next: str | None


class OrderQuery(PageQuery):
    """Which orders."""

    customer_id: str = Field(default="", max_length=32)
