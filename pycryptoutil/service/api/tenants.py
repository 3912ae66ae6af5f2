"""Tenants (for administrators of the default tenant) and each tenant's own audit chain."""

from __future__ import annotations

import json
import secrets
import uuid
from typing import Any

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import PageQuery, decode_cursor, json_response, page
from pycryptoutil.http.route import Route
from pycryptoutil.service import audit as chains
from pycryptoutil.service import store
from pycryptoutil.service.access import Access
from pycryptoutil.service.api import models
from pycryptoutil.service.definition import ADMINISTRATOR_SCOPE, Context
from pycryptoutil.service.tenants import actor, check_username
from pycryptoutil.storage import SYSTEM_TENANT, audit
from pycryptoutil.storage.audit import AuditEvent

TAG = "Tenants"
AUDIT_TAG = "Audit"
AUDIT_READ = "audit:read"


def _values(row: store.TenantRow) -> dict[str, Any]:
    return {"id": row.tenant_id, "name": row.name, "status": row.status, "created_at": row.created_at}


class TenantRoutes:
    """The handlers."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self) -> tuple[Route, ...]:
        """Return the table."""
        admin = ADMINISTRATOR_SCOPE
        return (
            Route("listTenants", ("GET",), "/tenants", self.list, scope=admin, tag=TAG, query=PageQuery,
                  response=models.TenantList, summary="All tenants (administrators of the default tenant)"),
            Route("createTenant", ("POST",), "/tenants", self.create, scope=admin, tag=TAG, body=models.TenantBody,
                  response=models.TenantCreated, status=201,
                  summary="Make a tenant and its administrator, whose secrets are shown this once"),
            Route("getTenant", ("GET",), "/tenants/<tenant_id>", self.get, scope=admin, tag=TAG,
                  response=models.TenantItem, summary="One tenant; one's own, or any for the default tenant"),
            Route("updateTenant", ("PATCH",), "/tenants/<tenant_id>", self.update, scope=admin, tag=TAG,
                  body=models.TenantPatch, response=models.TenantItem, summary="Disable or enable a tenant"),
            Route("listAuditEvents", ("GET",), "/audit/events", self.events, scope=AUDIT_READ, tag=AUDIT_TAG,
                  query=models.AuditQuery, response=models.AuditList, summary="The tenant's events, newest first"),
            Route("verifyAudit", ("GET",), "/audit/verification", self.verify, scope=AUDIT_READ, tag=AUDIT_TAG,
                  response=models.AuditVerification, summary="Prove that the tenant's chain is whole"),
        )  # fmt: skip

    def _check_default(self, context: Context) -> None:
        if context.tenant_id != self._access.default_tenant_id:
            public = "Only administrators of the default tenant manage tenants."
            raise Fault(FaultKind.FORBIDDEN, "not of the default tenant", public)

    def list(self, context: Context, _request: Request) -> Response:
        """Show a page."""
        self._check_default(context)
        query: PageQuery = context.query
        (after,) = decode_cursor(query.cursor) or ("",)
        with self._access.database.read(SYSTEM_TENANT) as reader:
            rows = store.list_tenants(reader, after, query.limit + 1)
        shown, following = page(rows, query.limit, lambda row: (row.name,))
        items = [models.TenantItem(**_values(row)) for row in shown]
        return json_response(models.TenantList(items=items, next=following))

    def create(self, context: Context, request: Request) -> Response:
        """Make a tenant; its creation is the first event of its own chain."""
        self._check_default(context)
        access, body = self._access, context.body
        username = check_username(body.administrator)
        password = secrets.token_urlsafe(24)
        password_hash = access.accounts.hash_password(password)
        everything = frozenset({ADMINISTRATOR_SCOPE})
        with access.database.read(SYSTEM_TENANT) as reader:
            if store.find_tenant_named(reader, body.name) is not None:
                raise Fault(FaultKind.CONFLICT, "tenant name is taken", "There is a tenant of that name already.")
        with access.database.unit_of_work(uuid.uuid4().hex) as uow:
            row = access.accounts.tenant(uow, body.name, uow.tenant_id)
            access.accounts.user(uow, row.tenant_id, username, password_hash, everything)
            client = access.accounts.client(uow, row.tenant_id, everything)
            event = AuditEvent("tenant.create", actor(context.principal), row.name, request_id=request.request_id)
            audit.append(uow, event)
        created = models.TenantCreated(
            **_values(row), username=username, password=password, client_id=client.row.id, client_secret=client.secret
        )
        return json_response(created, 201)

    def get(self, context: Context, _request: Request) -> Response:
        """Show one; another tenant's id reads as one that never was."""
        return json_response(models.TenantItem(**_values(self._visible(context))))

    def update(self, context: Context, request: Request) -> Response:
        """Disable or enable; it counts from the next request on."""
        self._check_default(context)
        access, status = self._access, context.body.status
        row = self._visible(context)
        if row.tenant_id == access.default_tenant_id and status == store.DISABLED:
            raise Fault(FaultKind.CONFLICT, "default tenant", "The default tenant cannot be disabled.")
        with access.database.unit_of_work(row.tenant_id) as uow:
            store.set_tenant_status(uow, status, access.clock.now())
            event = AuditEvent(
                "tenant.update",
                actor(context.principal),
                row.name,
                details={"status": status},
                request_id=request.request_id,
            )
            audit.append(uow, event)
        return json_response(models.TenantItem(**_values(row) | {"status": status}))

    def _visible(self, context: Context) -> store.TenantRow:
        tenant_id = context.parameters["tenant_id"]
        row = None
        if context.tenant_id in {tenant_id, self._access.default_tenant_id}:
            with self._access.database.read(SYSTEM_TENANT) as reader:
                row = store.find_tenant(reader, tenant_id)
        if row is None:
            raise Fault(FaultKind.NOT_FOUND, "no such tenant to be seen", "There is no such tenant.")
        return row

    def events(self, context: Context, _request: Request) -> Response:
        """Show a page of the chain."""
        query: models.AuditQuery = context.query
        position = decode_cursor(query.cursor)
        before = int(position[0]) if position and position[0].isdecimal() and len(position[0]) < 19 else None
        with self._access.database.read(context.tenant_id) as reader:
            rows = store.list_audit(reader, before, query.limit + 1, query.action)
        shown, following = page(rows, query.limit, lambda row: (str(row.seq),))
        items = [
            models.AuditItem(
                seq=row.seq,
                id=row.id,
                occurred_at=row.occurred_at,
                action=row.action,
                actor=row.actor,
                target=row.target,
                outcome=row.outcome,
                request_id=row.request_id,
                details=json.loads(row.details),
                hash=row.hash.hex(),
            )
            for row in shown
        ]
        return json_response(models.AuditList(items=items, next=following))

    def verify(self, context: Context, _request: Request) -> Response:
        """Walk the chain; a broken one answers 400 and names the first event that is not as it was written."""
        key = chains.HeadKey.of(self._access.barrier)
        found = chains.verify(self._access.database, context.tenant_id, key.spki)
        return json_response(
            models.AuditVerification(
                events=found.events,
                head=found.head.hex(),
                signed_heads=found.signed_heads,
                signed_to=found.signed_to,
            )
        )
