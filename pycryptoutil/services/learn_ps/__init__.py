"""learn-ps: a pet store. It shows what a service of this house is: a table of routes, handlers and a store."""

from __future__ import annotations

from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.services.learn_ps.routes import ROUTES

SERVICE = ServiceDefinition(
    name="learn-ps",
    product="Learn",
    title="Pet Store",
    public_port=8888,
    admin_port=9098,
    routes=ROUTES,
    build=lambda resources: resources,  # nothing to keep between requests: everything is in the database
    migrations=("pycryptoutil.services.learn_ps",),
    scopes={
        "pets:read": "see pets",
        "pets:write": "add, change and remove pets",
        "customers:read": "see customers",
        "customers:write": "add, change and remove customers",
        "orders:read": "see orders",
        "orders:write": "place orders and move them on",
    },
)
