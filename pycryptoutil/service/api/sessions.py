"""Log in, log out, and what one has open: the routes of a person's own sessions."""

from __future__ import annotations

from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import ValidationError

from pycryptoutil.http.forms import FORM, form_fields
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.paging import json_response
from pycryptoutil.http.problem import FieldError, InvalidInput
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service import store
from pycryptoutil.service.access import Access
from pycryptoutil.service.api import models
from pycryptoutil.service.definition import Context, Principal, PrincipalKind
from pycryptoutil.service.realms import SQL
from pycryptoutil.service.sessions import COOKIE, NewSession
from pycryptoutil.service.tenants import actor
from pycryptoutil.storage import audit
from pycryptoutil.storage.audit import AuditEvent

TAG = "Sessions"


def me(principal: Principal) -> models.Me:
    """Describe a principal to itself."""
    return models.Me.model_validate(
        {
            "id": principal.id,
            "tenant_id": principal.tenant_id,
            "kind": principal.kind.value,
            "name": principal.name,
            "scopes": sorted(principal.scopes),
        }
    )


def open_session(access: Access, request: Request, username: str, password: str) -> tuple[NewSession, Principal]:
    """Check the password, end the session the browser came with, and start a new one."""
    access.csrf.check_origin(request)  # a login from another site would put the victim into the attacker's account
    identity = access.authenticator.login(request, username, password)
    old = _old_session(access, request)
    with access.database.unit_of_work(identity.tenant_id) as uow:
        if old is not None and old.tenant_id == identity.tenant_id:
            store.revoke_sessions(uow, old.principal_id, access.clock.now(), only=old.id)
        session = access.sessions.create(uow, identity.principal_id, identity.name, identity.realm)
        who = f"{PrincipalKind.USER.value}:{identity.principal_id}"
        audit.append(uow, AuditEvent("session.create", who, session.row.id, request_id=request.request_id))
    principal = Principal(
        identity.principal_id,
        identity.tenant_id,
        PrincipalKind.USER,
        identity.name,
        identity.scopes,
        session.row.id,
    )
    return session, principal


def _old_session(access: Access, request: Request) -> store.SessionRow | None:
    cookie = request.cookie(COOKIE)
    if not cookie:
        return None
    try:
        return access.sessions.find(cookie).session
    except Fault as fault:
        if fault.kind is not FaultKind.UNAUTHENTICATED:
            raise
        return None


def close_session(access: Access, principal: Principal, request: Request, *, only: str = "", but: str = "") -> int:
    """Revoke sessions of a principal's own, with a trace."""
    with access.database.unit_of_work(principal.tenant_id) as uow:
        revoked = store.revoke_sessions(uow, principal.id, access.clock.now(), only=only, but=but)
        if revoked:
            event = AuditEvent(
                "session.revoke",
                actor(principal),
                only or principal.id,
                details={"sessions": revoked},
                request_id=request.request_id,
            )
            audit.append(uow, event)
    return revoked


class SessionRoutes:
    """The handlers."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self) -> tuple[Route, ...]:
        """Return the table."""
        return (
            Route("whoAmI", ("GET",), "/me", self.who_am_i, response=models.Me, tag=TAG,
                  summary="Who the caller is"),
            Route("login", ("POST",), "/login", self.login, Gate.BROWSER, None, tag=TAG,
                  accepts=("application/json", FORM), described_body=models.LoginBody, response=models.SessionView,
                  max_body=16384, summary="Log in with name and password; sets the session cookie"),
            Route("logout", ("POST",), "/logout", self.logout, Gate.BROWSER, tag=TAG, status=204, produces=(),
                  summary="End this session"),
            Route("getSession", ("GET",), "/session", self.current, Gate.BROWSER, response=models.SessionView, tag=TAG,
                  summary="This session, with its CSRF token"),
            Route("listSessions", ("GET",), "/sessions", self.list_own, Gate.BROWSER, response=models.SessionList,
                  tag=TAG, summary="One's own live sessions"),
            Route("revokeSession", ("DELETE",), "/sessions/<session_id>", self.revoke, Gate.BROWSER, tag=TAG,
                  status=204, produces=(), summary="End one of one's own sessions"),
            Route("revokeOtherSessions", ("DELETE",), "/sessions", self.revoke_others, Gate.BROWSER, tag=TAG,
                  response=models.Revoked, summary="End all of one's own sessions but this one"),
            Route("changePassword", ("POST",), "/password", self.change_password, Gate.BROWSER, tag=TAG, status=204,
                  body=models.PasswordBody, produces=(), summary="Change one's own password; ends the other sessions"),
        )  # fmt: skip

    def who_am_i(self, context: Context, _request: Request) -> Response:
        """Answer with the principal."""
        return json_response(me(context.principal))

    def login(self, _context: Context, request: Request) -> Response:
        """Take JSON or a form."""
        body = login_body(request)
        session, principal = open_session(self._access, request, body.username, body.password)
        return json_response(self._view(session.row, principal), 200, self._access.sessions.set_cookie(session))

    def logout(self, context: Context, request: Request) -> Response:
        """End the session at once, in the database too."""
        close_session(self._access, context.principal, request, only=context.principal.session_id)
        return Response(204, headers=(self._access.sessions.clear_cookie(),))

    def current(self, context: Context, _request: Request) -> Response:
        """Give the CSRF token to a page's script."""
        row = next((row for row in self._own(context) if row.id == context.principal.session_id), None)
        if row is None:
            raise Fault(FaultKind.UNAUTHENTICATED, "session ended meanwhile", "The session is not valid; log in again.")
        return json_response(self._view(row, context.principal))

    def list_own(self, context: Context, _request: Request) -> Response:
        """Show what is open."""
        return json_response(session_list(self._own(context), context.principal.session_id))

    def revoke(self, context: Context, request: Request) -> Response:
        """End one."""
        session_id = context.parameters["session_id"]
        if not close_session(self._access, context.principal, request, only=session_id):
            raise Fault(FaultKind.NOT_FOUND, "no such session of this principal", "There is no such session.")
        own = session_id == context.principal.session_id
        return Response(204, headers=(self._access.sessions.clear_cookie(),) if own else ())

    def revoke_others(self, context: Context, request: Request) -> Response:
        """End all but this."""
        count = close_session(self._access, context.principal, request, but=context.principal.session_id)
        return json_response(models.Revoked(revoked=count))

    def change_password(self, context: Context, request: Request) -> Response:
        """Check the old password, as a stolen session must not be enough."""
        access, principal, body = self._access, context.principal, context.body
        with access.database.read(principal.tenant_id) as reader:
            row = store.find_principal(reader, principal.id)
            tenant = store.find_tenant(reader, principal.tenant_id)
        if row is None or tenant is None:
            public = "This user's password is in the configuration."
            raise Fault(FaultKind.CONFLICT, "user of the file realm", public)
        identity = access.authenticator.login(request, f"{tenant.name}/{row.name}", body.current)
        if identity.realm != SQL or identity.principal_id != row.id:
            raise Fault(FaultKind.CONFLICT, "name is the file realm's", "This user's password is in the configuration.")
        fresh = access.accounts.hash_password(body.password)
        with access.database.unit_of_work(principal.tenant_id) as uow:
            store.update_principal(uow, row.id, access.clock.now(), secret_hash=fresh)
            store.revoke_sessions(uow, row.id, access.clock.now(), but=principal.session_id)
            audit.append(uow, AuditEvent("principal.password", actor(principal), row.id, request_id=request.request_id))
        return Response(204)

    def _own(self, context: Context) -> list[store.SessionRow]:
        now = self._access.clock.now()
        with self._access.database.read(context.tenant_id) as reader:
            return store.list_sessions(reader, context.principal.id, now, self._access.sessions.live_since(now))

    def _view(self, row: store.SessionRow, principal: Principal) -> models.SessionView:
        return models.SessionView(
            id=row.id,
            principal=me(principal),
            csrf_token=self._access.csrf.token(principal),
            created_at=row.created_at,
            expires_at=row.expires_at,
        )


def session_list(rows: list[store.SessionRow], current: str = "") -> models.SessionList:
    """Describe live sessions."""
    return models.SessionList(
        items=[
            models.SessionItem(
                id=row.id,
                realm=row.realm,
                created_at=row.created_at,
                seen_at=row.seen_at,
                expires_at=row.expires_at,
                current=row.id == current,
            )
            for row in rows
        ]
    )


def login_body(request: Request) -> models.LoginBody:
    """Read name and password from JSON or a form; the values are never quoted back."""
    try:
        if request.content_type == FORM:
            return models.LoginBody.model_validate(form_fields(request))
        return models.LoginBody.model_validate_json(request.body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if any(one["type"] == "json_invalid" for one in found):
            raise Fault(FaultKind.MALFORMED, "body is not JSON", "The body is not valid JSON.") from None
        places = tuple(FieldError("#/" + "/".join(map(str, one["loc"])), str(one["msg"])) for one in found)
        raise InvalidInput("login body breaks its schema", "The body does not fit its schema.", places) from None
