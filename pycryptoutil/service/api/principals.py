"""Users, clients, their secrets and their certificates: an administrator's routes.

Nobody gives a scope that is not theirs, and nobody changes whoever holds one that is not theirs.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.crypto import x509
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import PageQuery, decode_cursor, json_response, page
from pycryptoutil.http.route import Route
from pycryptoutil.service import store
from pycryptoutil.service.access import Access
from pycryptoutil.service.api import models
from pycryptoutil.service.api.sessions import session_list
from pycryptoutil.service.api.tokens import check_above, check_grant, revoke_token, token_page
from pycryptoutil.service.definition import ADMINISTRATOR_SCOPE, Context
from pycryptoutil.service.principals import certificate_matches
from pycryptoutil.service.tenants import actor, check_username
from pycryptoutil.storage import UnitOfWork, audit
from pycryptoutil.storage.audit import AuditEvent

TAG = "Principals"
READ = "principals:read"
WRITE = "principals:write"


def _values(row: store.PrincipalRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "display_name": row.display_name,
        "scopes": sorted(row.scopes),
        "status": row.status,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "expires_at": row.expires_at,
    }


def _invalid(detail: str, pointer: str) -> Fault:
    return Fault(FaultKind.INVALID, detail, detail, pointer=pointer)


class PrincipalRoutes:
    """The handlers."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self) -> tuple[Route, ...]:
        """Return the table."""
        one = "/principals/<principal_id>"
        return (
            Route("listPrincipals", ("GET",), "/principals", self.list, scope=READ, tag=TAG,
                  query=models.PrincipalQuery, response=models.PrincipalList, summary="Users and clients, by name"),
            Route("createPrincipal", ("POST",), "/principals", self.create, scope=WRITE, tag=TAG, status=201,
                  body=models.PrincipalBody, response=models.PrincipalCreated,
                  summary="Make a user or a client; a client's secret is shown this once"),
            Route("getPrincipal", ("GET",), one, self.get, scope=READ, tag=TAG, response=models.PrincipalItem,
                  summary="One user or client"),
            Route("updatePrincipal", ("PATCH",), one, self.update, scope=WRITE, tag=TAG,
                  body=models.PrincipalPatch, response=models.PrincipalItem,
                  summary="Change scopes, display name or status; disabling counts at once"),
            Route("deletePrincipal", ("DELETE",), one, self.delete, scope=WRITE, tag=TAG, status=204, produces=(),
                  summary="Remove a principal with its tokens, sessions and certificate bindings"),
            Route("replaceSecret", ("POST",), one + "/secret", self.replace_secret, scope=WRITE, tag=TAG,
                  body=models.SecretBody, response=models.SecretCreated,
                  summary="Set a user's password, or make a client a new secret; ends its sessions"),
            Route("hashSecret", ("POST",), "/secret-hashes", self.hash_secret, scope=WRITE, tag=TAG,
                  body=models.HashBody, response=models.HashMade,
                  summary="Hash a password for the file realm, or make a client's secret for it; nothing is stored"),
            Route("listPrincipalSessions", ("GET",), one + "/sessions", self.list_sessions, scope=READ, tag=TAG,
                  response=models.SessionList, summary="A user's live sessions"),
            Route("revokePrincipalSessions", ("DELETE",), one + "/sessions", self.revoke_sessions, scope=WRITE,
                  tag=TAG, response=models.Revoked, summary="End all sessions of a user"),
            Route("listPrincipalTokens", ("GET",), one + "/tokens", self.list_tokens, scope=READ, tag=TAG,
                  query=PageQuery, response=models.TokenList, summary="A principal's API tokens"),
            Route("revokePrincipalToken", ("DELETE",), one + "/tokens/<token_id>", self.revoke_token, scope=WRITE,
                  tag=TAG, status=204, produces=(), summary="Revoke an API token of a principal"),
            Route("listBindings", ("GET",), one + "/certificates", self.list_bindings, scope=READ, tag=TAG,
                  response=models.BindingList, summary="Client certificates that stand for a principal"),
            Route("createBinding", ("POST",), one + "/certificates", self.create_binding, scope=WRITE, tag=TAG,
                  body=models.BindingBody, response=models.BindingItem, status=201,
                  summary="Let a client certificate stand for a principal"),
            Route("deleteBinding", ("DELETE",), one + "/certificates/<binding_id>", self.delete_binding, scope=WRITE,
                  tag=TAG, status=204, produces=(), summary="Let a client certificate stand for nobody"),
        )  # fmt: skip

    def list(self, context: Context, _request: Request) -> Response:
        """Show a page."""
        query: models.PrincipalQuery = context.query
        position = decode_cursor(query.cursor, 2)
        after = (position[0], position[1]) if position else None
        with self._access.database.read(context.tenant_id) as reader:
            rows = store.list_principals(reader, query.kind or "", after, query.limit + 1)
        shown, following = page(rows, query.limit, lambda row: (row.name, row.id))
        items = [models.PrincipalItem(**_values(row)) for row in shown]
        return json_response(models.PrincipalList(items=items, next=following))

    def create(self, context: Context, request: Request) -> Response:
        """Make one, with no more scopes than its maker has."""
        access, body = self._access, context.body
        scopes = frozenset(body.scopes)
        check_grant(context.principal, scopes)
        expires_at = None
        if body.expires_in is not None:
            expires_at = access.clock.now() + timedelta(seconds=body.expires_in)
        if body.kind == store.CLIENT:
            row, secret = self._create_client(context, request, body, scopes, expires_at)
        else:
            row, secret = self._create_user(context, request, body, scopes, expires_at), None
        return json_response(models.PrincipalCreated(**_values(row), client_secret=secret), 201)

    def _create_client(
        self,
        context: Context,
        request: Request,
        body: models.PrincipalBody,
        scopes: frozenset[str],
        expires_at: datetime | None,
    ) -> tuple[store.PrincipalRow, str]:
        if body.name is not None or body.password is not None:
            raise _invalid("A client's id and secret are generated.", "#/name" if body.name else "#/password")
        with self._access.database.unit_of_work(context.tenant_id) as uow:
            made = self._access.accounts.client(
                uow, context.tenant_id, scopes, display_name=body.display_name, expires_at=expires_at
            )
            self._trace(uow, "principal.create", context, request, made.row.id, scopes=sorted(scopes))
        return made.row, made.secret

    def _create_user(
        self,
        context: Context,
        request: Request,
        body: models.PrincipalBody,
        scopes: frozenset[str],
        expires_at: datetime | None,
    ) -> store.PrincipalRow:
        if body.name is None:
            raise _invalid("A user needs a name.", "#/name")
        if body.password is None:
            raise _invalid("A user needs a password.", "#/password")
        name = check_username(body.name)
        password_hash = self._access.accounts.hash_password(body.password)
        with self._access.database.unit_of_work(context.tenant_id) as uow:
            if store.find_user(uow, name) is not None:
                raise Fault(FaultKind.CONFLICT, "user name is taken", "There is a user of that name already.")
            row = self._access.accounts.user(
                uow,
                context.tenant_id,
                name,
                password_hash,
                scopes,
                display_name=body.display_name,
                expires_at=expires_at,
            )
            self._trace(uow, "principal.create", context, request, row.id, scopes=sorted(scopes))
        return row

    def get(self, context: Context, _request: Request) -> Response:
        """Show one."""
        with self._access.database.read(context.tenant_id) as reader:
            row = store.required(store.find_principal(reader, context.parameters["principal_id"]))
        return json_response(models.PrincipalItem(**_values(row)))

    def update(self, context: Context, request: Request) -> Response:
        """Change what is given."""
        access, body = self._access, context.body
        changes = {key: value for key, value in body.model_dump(exclude_unset=True).items() if value is not None}
        if not changes:
            raise _invalid("Nothing to change is given.", "#")
        if "scopes" in changes:
            changes["scopes"] = frozenset(changes["scopes"])
            check_grant(context.principal, changes["scopes"])
        with access.database.unit_of_work(context.tenant_id) as uow:
            row = self._target(uow, context)
            loses = changes.get("status") == store.DISABLED or (
                "scopes" in changes and ADMINISTRATOR_SCOPE not in changes["scopes"]
            )
            if loses:
                self._keep_an_administrator(uow, row)
            store.update_principal(uow, row.id, access.clock.now(), **changes)
            if changes.get("status") == store.DISABLED:
                store.revoke_sessions(uow, row.id, access.clock.now())
            traced = {key: sorted(value) if key == "scopes" else value for key, value in changes.items()}
            traced.pop("display_name", None)  # personal data
            self._trace(uow, "principal.update", context, request, row.id, **traced)
            changed = store.required(store.find_principal(uow, row.id))
        return json_response(models.PrincipalItem(**_values(changed)))

    def delete(self, context: Context, request: Request) -> Response:
        """Remove one and everything that opens a door in its name."""
        with self._access.database.unit_of_work(context.tenant_id) as uow:
            row = self._target(uow, context)
            self._keep_an_administrator(uow, row)
            store.delete_principal(uow, row.id)
            self._trace(uow, "principal.delete", context, request, row.id)
        return Response(204)

    def replace_secret(self, context: Context, request: Request) -> Response:
        """Replace a password or a client secret."""
        access, body = self._access, context.body
        with access.database.read(context.tenant_id) as reader:
            row = self._target(reader, context)
        secret: str | None = None
        if row.kind == store.CLIENT:
            if body.password is not None:
                raise _invalid("A client's secret is generated.", "#/password")
            secret, secret_hash = access.accounts.new_secret()
        else:
            if body.password is None:
                raise _invalid("A user needs a password.", "#/password")
            secret_hash = access.accounts.hash_password(body.password)
        with access.database.unit_of_work(context.tenant_id) as uow:
            row = self._target(uow, context)
            store.update_principal(uow, row.id, access.clock.now(), secret_hash=secret_hash)
            store.revoke_sessions(uow, row.id, access.clock.now())
            self._trace(uow, "principal.secret", context, request, row.id)
        return json_response(models.SecretCreated(client_secret=secret))

    def hash_secret(self, context: Context, _request: Request) -> Response:
        """Give what ``realms.file`` takes instead of the secret itself."""
        accounts, password = self._access.accounts, context.body.password
        if password is not None:
            return json_response(models.HashMade(hash=accounts.hash_password(password)))
        secret, hashed = accounts.new_secret()
        return json_response(models.HashMade(hash=hashed, client_secret=secret))

    def list_sessions(self, context: Context, _request: Request) -> Response:
        """Show a user's sessions."""
        now = self._access.clock.now()
        with self._access.database.read(context.tenant_id) as reader:
            row = store.required(store.find_principal(reader, context.parameters["principal_id"]))
            rows = store.list_sessions(reader, row.id, now, self._access.sessions.live_since(now))
        return json_response(session_list(rows))

    def revoke_sessions(self, context: Context, request: Request) -> Response:
        """End a user's sessions."""
        with self._access.database.unit_of_work(context.tenant_id) as uow:
            row = self._target(uow, context)
            count = store.revoke_sessions(uow, row.id, self._access.clock.now())
            self._trace(uow, "session.revoke", context, request, row.id, sessions=count)
        return json_response(models.Revoked(revoked=count))

    def list_tokens(self, context: Context, _request: Request) -> Response:
        """Show a principal's tokens."""
        with self._access.database.read(context.tenant_id) as reader:
            row = store.required(store.find_principal(reader, context.parameters["principal_id"]))
        return token_page(self._access, context, row.id)

    def revoke_token(self, context: Context, request: Request) -> Response:
        """Revoke a principal's token."""
        with self._access.database.read(context.tenant_id) as reader:
            row = self._target(reader, context)
        revoke_token(self._access, context, request, row.id, context.parameters["token_id"])
        return Response(204)

    def list_bindings(self, context: Context, _request: Request) -> Response:
        """Show a principal's certificates."""
        with self._access.database.read(context.tenant_id) as reader:
            row = store.required(store.find_principal(reader, context.parameters["principal_id"]))
            rows = store.list_bindings(reader, row.id)
        return json_response(models.BindingList(items=[_binding(one) for one in rows]))

    def create_binding(self, context: Context, request: Request) -> Response:
        """Bind a certificate or its key."""
        body: models.BindingBody = context.body
        try:
            (der,) = x509.certificates_of(body.certificate.encode())
            value = dict(certificate_matches(der))[body.match]
        except (ValueError, Fault):  # none, several, or not to be read
            raise _invalid("Not one PEM certificate that can be read.", "#/certificate") from None
        with self._access.database.unit_of_work(context.tenant_id) as uow:
            row = self._target(uow, context)
            bound = store.BindingRow(
                context.tenant_id, uuid.uuid4().hex, row.id, body.match, value, self._access.clock.now()
            )
            store.insert_binding(uow, bound)
            self._trace(uow, "certificate.bind", context, request, row.id, match=body.match, value=value)
        return json_response(_binding(bound), 201)

    def delete_binding(self, context: Context, request: Request) -> Response:
        """Unbind."""
        with self._access.database.unit_of_work(context.tenant_id) as uow:
            row = self._target(uow, context)
            if not store.delete_binding(uow, row.id, context.parameters["binding_id"]):
                raise Fault(FaultKind.NOT_FOUND, "no such binding of this principal", "There is no such binding.")
            self._trace(uow, "certificate.unbind", context, request, row.id)
        return Response(204)

    @staticmethod
    def _target(reader: Any, context: Context) -> store.PrincipalRow:
        """Load whom the path names, and refuse if it is somebody stronger."""
        row = store.required(store.find_principal(reader, context.parameters["principal_id"]))
        check_above(context.principal, row)
        return row

    @staticmethod
    def _keep_an_administrator(uow: UnitOfWork, row: store.PrincipalRow) -> None:
        """A tenant without an administrator could never get one again."""
        if ADMINISTRATOR_SCOPE not in row.scopes or row.status != store.ACTIVE:
            return
        uow.lock(f"administrators:{uow.tenant_id}")  # two units removing the last two must meet
        if store.count_administrators(uow, ADMINISTRATOR_SCOPE) <= 1:
            public = "This is the tenant's last administrator."
            raise Fault(FaultKind.CONFLICT, "last administrator of the tenant", public)

    @staticmethod
    def _trace(uow: UnitOfWork, action: str, context: Context, request: Request, target: str, **details: Any) -> None:
        event = AuditEvent(action, actor(context.principal), target, details=details, request_id=request.request_id)
        audit.append(uow, event)


def _binding(row: store.BindingRow) -> models.BindingItem:
    values = {"id": row.id, "match": row.match, "value": row.value, "created_at": row.created_at}
    return models.BindingItem.model_validate(values)
