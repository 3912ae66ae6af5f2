"""The pet store's decisions: what may be made, changed and removed, and what it costs."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel

from pycryptoutil.http.conditional import check_if_match, etag
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import decode_cursor, json_response, page
from pycryptoutil.http.problem import PreconditionFailed
from pycryptoutil.service.definition import Context
from pycryptoutil.services.learn_ps import models, store
from pycryptoutil.services.learn_ps.store import Row
from pycryptoutil.storage import Reader, UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

NEXT_STATUS = {"placed": {"shipped", "cancelled"}, "shipped": {"delivered"}, "delivered": set(), "cancelled": set()}


def once(context: Context, request: Request, make: Callable[[UnitOfWork, str], None]) -> str:
    """Make something under a new id; under an Idempotency-Key that was used already, return the id made then."""
    given, identifier = request.headers.get("idempotency-key"), uuid.uuid4().hex
    if len(given) > 100:
        raise Fault(FaultKind.INVALID, "idempotency key is too long", "Idempotency-Key is at most 100 characters.")
    key = f"{context.principal.id}:{given}"
    digest = hashlib.sha256(request.path.rpartition("/")[2].encode() + b"\0" + request.body).hexdigest()
    with context.database.unit_of_work(context.tenant_id) as uow:
        if given:
            uow.lock(f"learn-ps:{key}")  # two requests of one key wait for each other
            earlier = store.find(uow, store.repeats, key, "key")
            if earlier is not None and earlier["digest"] != digest:
                public = "This Idempotency-Key was used for another request."
                raise Fault(FaultKind.CONFLICT, "idempotency key with another body", public)
            if earlier is not None:
                return str(earlier["id"])
            store.insert(uow, store.repeats, {"id": identifier, "key": key, "digest": digest})
        make(uow, identifier)
    return identifier


class Collection:
    """List, make, get, change and remove the rows of one table."""

    def __init__(self, what: str, table: Any, item: type[BaseModel], many: type[BaseModel], used_in: Any) -> None:
        self._what, self._table, self._item, self._many, self._used_in = what, table, item, many, used_in

    def show(self, _reader: Reader, *rows: Row) -> list[BaseModel]:
        """Describe rows."""
        return [self._item.model_validate({k: v for k, v in row.items() if k != "tenant_id"}) for row in rows]

    def load(self, reader: Reader, identifier: str) -> Row:
        """Return a row of this tenant, or Fault(NOT_FOUND)."""
        row = store.find(reader, self._table, identifier)
        if row is None:
            raise Fault(FaultKind.NOT_FOUND, "no such id in this tenant", f"There is no such {self._what}.")
        return row

    def answer(self, context: Context, identifier: str, status: int = 200) -> Response:
        """Answer with one, and its entity tag."""
        with context.database.read(context.tenant_id) as reader:
            row = self.load(reader, identifier)
            return json_response(self.show(reader, row)[0], status, ("ETag", etag(row["version"])))

    def list_page(self, context: Context, _request: Request) -> Response:
        """Answer with a page."""
        query = context.query.model_dump()
        limit, (after,) = query.pop("limit"), decode_cursor(query.pop("cursor")) or ("",)
        with context.database.read(context.tenant_id) as reader:
            rows = store.page(reader, self._table, after, limit + 1, **query)
            shown, following = page(rows, limit, lambda row: (row["id"],))
            return json_response(self._many.model_validate({"items": self.show(reader, *shown), "next": following}))

    def get(self, context: Context, _request: Request) -> Response:
        """Answer with one."""
        return self.answer(context, context.parameters["id"])

    def create(self, context: Context, request: Request) -> Response:
        """Make one."""

        def make(uow: UnitOfWork, identifier: str) -> None:
            self.write(uow, identifier, context.body)
            self.trace(uow, context, request, "create", identifier)

        return self.answer(context, once(context, request, make), 201)

    def trace(self, uow: UnitOfWork, context: Context, request: Request, verb: str, identifier: str) -> None:
        """Audit a change in the transaction that makes it: what cannot be audited does not happen."""
        who = f"{context.principal.kind.value}:{context.principal.id}"
        audit.append(uow, AuditEvent(f"{self._what}.{verb}", who, identifier, request_id=request.request_id))

    def write(self, uow: UnitOfWork, identifier: str, body: Any) -> None:
        """Write a new one."""
        store.insert(uow, self._table, {**body.model_dump(), "id": identifier, "version": 1})

    def update(self, context: Context, request: Request) -> Response:
        """Replace it, if nobody else did so meanwhile."""
        with context.database.unit_of_work(context.tenant_id) as uow:
            row = self.load(uow, context.parameters["id"])
            check_if_match(request, row["version"])
            values = self.decide(uow, row, context.body.model_dump())
            if not store.change(uow, self._table, row["id"], row["version"], values):
                raise PreconditionFailed("changed between reading and writing")
            self.trace(uow, context, request, "update", row["id"])
        return self.answer(context, row["id"])

    def decide(self, _uow: UnitOfWork, _row: Row, values: Row) -> Row:
        """Return the columns to change; a place for rules."""
        return values

    def delete(self, context: Context, request: Request) -> Response:
        """Remove one that no order names."""
        with context.database.unit_of_work(context.tenant_id) as uow:
            row = self.load(uow, context.parameters["id"])
            check_if_match(request, row["version"])
            if store.ordered(uow, self._used_in, row["id"]):
                raise Fault(FaultKind.CONFLICT, "named by an order", f"There are orders of this {self._what}.")
            if not store.remove(uow, self._table, row["id"], row["version"]):
                raise PreconditionFailed("changed between reading and removing")
            self.trace(uow, context, request, "delete", row["id"])
        return Response(204)


class OrderCollection(Collection):
    """Orders move stock, and move on by a table of steps."""

    def show(self, _reader: Reader, *rows: Row) -> list[BaseModel]:
        """Describe orders with what is in them."""
        found: dict[str, list[Row]] = {row["id"]: [] for row in rows}
        for item in store.items(_reader, found):
            shown = {name: item[name] for name in models.OrderItem.model_fields}
            found[item["id"]].append(shown)
        return super().show(_reader, *({**row, "items": found[row["id"]]} for row in rows))

    def write(self, uow: UnitOfWork, identifier: str, body: models.OrderBody) -> None:
        """Take the pets out of stock and write down what they cost today."""
        if store.find(uow, store.customers, body.customer_id) is None:
            raise Fault(FaultKind.INVALID, "no such customer", "There is no such customer.", pointer="#/customer_id")
        if len({item.pet_id for item in body.items}) != len(body.items):
            raise Fault(FaultKind.INVALID, "a pet twice", "Each pet is listed once.", pointer="#/items")
        lines = []
        for item in sorted(body.items, key=lambda one: one.pet_id):  # one order of locks: no deadlock
            taken = store.move_stock(uow, item.pet_id, -item.quantity)
            pet = store.find(uow, store.pets, item.pet_id)
            if pet is None:
                raise Fault(FaultKind.INVALID, "no such pet", f"There is no pet {item.pet_id}.", pointer="#/items")
            if not taken:
                raise Fault(FaultKind.CONFLICT, "out of stock", f"There are not {item.quantity} of {pet['name']!r}.")
            lines.append({"id": identifier, **item.model_dump(), "unit_price_cents": pet["price_cents"]})
        total = sum(line["quantity"] * line["unit_price_cents"] for line in lines)
        order = {"customer_id": body.customer_id, "status": "placed", "total_cents": total}
        store.insert(uow, store.orders, {**order, "id": identifier, "version": 1})
        store.insert(uow, store.order_items, *lines)

    def decide(self, uow: UnitOfWork, row: Row, values: Row) -> Row:
        """Allow the next step only; a cancelled order puts its pets back."""
        if values["status"] not in NEXT_STATUS[row["status"]]:
            public = f"An order that is {row['status']} cannot become {values['status']}."
            raise Fault(FaultKind.CONFLICT, "step is not in the table", public)
        if values["status"] == "cancelled":
            for item in store.items(uow, [row["id"]]):
                store.move_stock(uow, item["pet_id"], item["quantity"])
        return values


PETS = Collection("pet", store.pets, models.Pet, models.Pets, store.order_items.c.pet_id)
CUSTOMERS = Collection("customer", store.customers, models.Customer, models.Customers, store.orders.c.customer_id)
ORDERS = OrderCollection("order", store.orders, models.Order, models.Orders, None)
