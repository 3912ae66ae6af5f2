"""The pet store's table of routes: both doors, one line of it each."""

from __future__ import annotations

from pycryptoutil.http.paging import PageQuery
from pycryptoutil.http.route import Route
from pycryptoutil.services.learn_ps import models
from pycryptoutil.services.learn_ps.handlers import CUSTOMERS, ORDERS, PETS

ROUTES = (
    Route("listPets", ("GET",), "/pets", PETS.list_page, scope="pets:read", tag="Pets", query=PageQuery,
          response=models.Pets, summary="Pets, page by page"),
    Route("createPet", ("POST",), "/pets", PETS.create, scope="pets:write", tag="Pets", body=models.PetBody,
          response=models.Pet, status=201, summary="Add a pet; an Idempotency-Key makes repeats safe"),
    Route("getPet", ("GET",), "/pets/<id>", PETS.get, scope="pets:read", tag="Pets", response=models.Pet,
          summary="One pet"),
    Route("updatePet", ("PUT",), "/pets/<id>", PETS.update, scope="pets:write", tag="Pets", body=models.PetBody,
          response=models.Pet, summary="Replace a pet; If-Match guards against lost updates"),
    Route("deletePet", ("DELETE",), "/pets/<id>", PETS.delete, scope="pets:write", tag="Pets", status=204,
          produces=(), summary="Remove a pet that was never ordered"),
    Route("listCustomers", ("GET",), "/customers", CUSTOMERS.list_page, scope="customers:read", tag="Customers",
          query=PageQuery, response=models.Customers, summary="Customers, page by page"),
    Route("createCustomer", ("POST",), "/customers", CUSTOMERS.create, scope="customers:write", tag="Customers",
          body=models.CustomerBody, response=models.Customer, status=201, summary="Add a customer"),
    Route("getCustomer", ("GET",), "/customers/<id>", CUSTOMERS.get, scope="customers:read", tag="Customers",
          response=models.Customer, summary="One customer"),
    Route("updateCustomer", ("PUT",), "/customers/<id>", CUSTOMERS.update, scope="customers:write",
          tag="Customers", body=models.CustomerBody, response=models.Customer, summary="Replace a customer"),
    Route("deleteCustomer", ("DELETE",), "/customers/<id>", CUSTOMERS.delete, scope="customers:write",
          tag="Customers", status=204, produces=(), summary="Remove a customer who never ordered"),
    Route("listOrders", ("GET",), "/orders", ORDERS.list_page, scope="orders:read", tag="Orders",
          query=models.OrderQuery, response=models.Orders, summary="Orders, all or a customer's"),
    Route("createOrder", ("POST",), "/orders", ORDERS.create, scope="orders:write", tag="Orders",
          body=models.OrderBody, response=models.Order, status=201, summary="Place an order; takes pets out of stock"),
    Route("getOrder", ("GET",), "/orders/<id>", ORDERS.get, scope="orders:read", tag="Orders",
          response=models.Order, summary="One order"),
    Route("updateOrder", ("PATCH",), "/orders/<id>", ORDERS.update, scope="orders:write", tag="Orders",
          body=models.OrderPatch, response=models.Order, summary="Ship, deliver or cancel an order"),
)  # fmt: skip
