"""The routes that every service has: who one is, sessions, API tokens, principals, tenants, audit, the document."""

from __future__ import annotations

from collections.abc import Iterable

from pycryptoutil.http.route import Route
from pycryptoutil.service import openapi_files
from pycryptoutil.service.access import Access
from pycryptoutil.service.api.principals import PrincipalRoutes
from pycryptoutil.service.api.sessions import SessionRoutes
from pycryptoutil.service.api.tenants import TenantRoutes
from pycryptoutil.service.api.tokens import TokenRoutes
from pycryptoutil.service.definition import ServiceDefinition
from pycryptoutil.service.pages import PageRoutes


def template_routes(access: Access, definition: ServiceDefinition, others: Iterable[Route] = ()) -> tuple[Route, ...]:
    """Return the template's routes of one service, to be served beside its own.

    ``others`` are routes of the edge (health) that the document lists too.
    """
    beside = (*definition.routes, *others)
    pages = PageRoutes(access, definition, lambda: openapi_files.document(definition, (*beside, *mine)))
    mine: tuple[Route, ...] = (
        *SessionRoutes(access).routes(),
        *TokenRoutes(access).routes(),
        *PrincipalRoutes(access).routes(),
        *TenantRoutes(access).routes(),
        *pages.routes(),
    )
    return mine


def every_route(access: Access, definition: ServiceDefinition) -> tuple[Route, ...]:
    """Return every public route of a service: its own, the edge's and the template's."""
    from pycryptoutil.service.app import HEALTH_ROUTES  # which composes a service out of these routes

    return (*definition.routes, *HEALTH_ROUTES, *template_routes(access, definition, HEALTH_ROUTES))
