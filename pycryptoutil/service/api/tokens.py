"""API tokens of one's own."""

from __future__ import annotations

from datetime import timedelta

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import PageQuery, decode_cursor, json_response, page
from pycryptoutil.http.route import Route
from pycryptoutil.service import store
from pycryptoutil.service.access import Access
from pycryptoutil.service.api import models
from pycryptoutil.service.definition import ADMINISTRATOR_SCOPE, Context, Principal
from pycryptoutil.service.tenants import actor
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

TAG = "API tokens"
WRITE = "tokens:write"  # for reading them too: a narrow token that leaked shall not look around or revoke others


def check_grant(principal: Principal, scopes: frozenset[str]) -> None:
    """Fault(FORBIDDEN) unless the principal holds everything it would give away."""
    missing = sorted(scope for scope in scopes if not principal.may(scope))
    if missing:
        public = f"One cannot grant what one has not: {', '.join(missing)}."
        raise Fault(FaultKind.FORBIDDEN, f"{actor(principal)} may not grant {missing}", public)


def check_above(principal: Principal, target: store.PrincipalRow) -> None:
    """Fault(FORBIDDEN) unless the principal holds every scope of whom it would change: else it could become them."""
    if not all(principal.may(scope) for scope in target.scopes):
        public = "This principal holds scopes that you do not."
        raise Fault(FaultKind.FORBIDDEN, f"{actor(principal)} may not change {target.id}", public)


def item(row: store.TokenRow) -> models.TokenItem:
    """Describe a token."""
    return models.TokenItem(
        id=row.id,
        principal_id=row.principal_id,
        name=row.name,
        scopes=sorted(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


class TokenRoutes:
    """The handlers."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self) -> tuple[Route, ...]:
        """Return the table."""
        return (
            Route("listTokens", ("GET",), "/tokens", self.list, scope=WRITE, tag=TAG, query=PageQuery,
                  response=models.TokenList, summary="One's own API tokens"),
            Route("createToken", ("POST",), "/tokens", self.create, scope=WRITE, tag=TAG,
                  body=models.TokenBody, response=models.TokenCreated, status=201,
                  summary="Make an API token for oneself; it is shown this once"),
            Route("revokeToken", ("DELETE",), "/tokens/<token_id>", self.revoke, scope=WRITE, tag=TAG, status=204,
                  produces=(), summary="Revoke one of one's own API tokens"),
        )  # fmt: skip

    def list(self, context: Context, _request: Request) -> Response:
        """Show them, without the tokens."""
        return token_page(self._access, context, context.principal.id)

    def create(self, context: Context, request: Request) -> Response:
        """Make one that is at most as strong as its maker is now."""
        access, principal, body = self._access, context.principal, context.body
        scopes = frozenset(body.scopes)
        check_grant(principal, scopes)
        expires_at = access.clock.now() + timedelta(seconds=body.expires_in)
        with access.database.unit_of_work(principal.tenant_id) as uow:
            owner = store.find_principal(uow, principal.id)
            if owner is None:
                public = "Principals of the configuration have no API tokens."
                raise Fault(FaultKind.CONFLICT, "principal of the file realm", public)
            if ADMINISTRATOR_SCOPE not in owner.scopes and not scopes <= owner.scopes:
                raise Fault(FaultKind.FORBIDDEN, "owner lost scopes meanwhile", "The scopes have changed; try again.")
            if owner.expires_at is not None:
                expires_at = min(expires_at, owner.expires_at)
            made = access.tokens.create(uow, owner.id, body.name, scopes, expires_at)
            event = AuditEvent(
                "token.create",
                actor(principal),
                made.row.id,
                details={"scopes": sorted(scopes)},
                request_id=request.request_id,
            )
            audit.append(uow, event)
        created = models.TokenCreated(**item(made.row).model_dump(), token=made.text)
        return json_response(created, 201)

    def revoke(self, context: Context, request: Request) -> Response:
        """Revoke it at once."""
        revoke_token(self._access, context, request, context.principal.id, context.parameters["token_id"])
        return Response(204)


def token_page(access: Access, context: Context, principal_id: str) -> Response:
    """Answer with one page of a principal's tokens."""
    query: PageQuery = context.query
    (after,) = decode_cursor(query.cursor) or ("",)
    with access.database.read(context.tenant_id) as reader:
        rows = store.list_tokens(reader, principal_id, after, query.limit + 1)
    shown, following = page(rows, query.limit, lambda row: (row.id,))
    return json_response(models.TokenList(items=[item(row) for row in shown], next=following))


def revoke_token(access: Access, context: Context, request: Request, principal_id: str, token_id: str) -> None:
    """Revoke a token of a principal; one that is revoked already stays so (DELETE is idempotent)."""
    with access.database.unit_of_work(context.tenant_id) as uow:
        row = store.find_token(uow, token_id)
        if row is None or row.principal_id != principal_id:
            raise Fault(FaultKind.NOT_FOUND, "no such token of this principal", "There is no such token.")
        if store.revoke_token(uow, token_id, access.clock.now()):
            event = AuditEvent("token.revoke", actor(context.principal), token_id, request_id=request.request_id)
            audit.append(uow, event)
