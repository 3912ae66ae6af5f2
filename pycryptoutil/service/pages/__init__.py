"""Pages of the template: landing, login, account, audit, the API viewer and their style; and a service's own.

They work without a script. Everything comes from this package and the service's, so the strictest content security
policy holds: nothing inline or from outside.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http import openapi
from pycryptoutil.http.forms import CSRF_FIELD, FORM, MAX_FORM, form_fields
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.page import Entry, Page, PageHandler, PageSet, View
from pycryptoutil.http.problem import TITLES, fault_headers, status_of
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.access import Access
from pycryptoutil.service.definition import Context, Principal, ServiceDefinition
from pycryptoutil.service.pages import viewer
from pycryptoutil.service.pages.audit import AuditPages
from pycryptoutil.service.pages.rendering import STATIC_TYPES, environment, static_files
from pycryptoutil.service.sessions import COOKIE

HTML = "text/html; charset=utf-8"
HOME = "/browser/"
LOGIN = "/browser/login"
TAG = "Pages"
NO_PAGES = PageSet("")
_PRIVATE = ("Cache-Control", "no-store")
_SHARED = ("Cache-Control", "public, max-age=3600")
_NEXT = re.compile(r"/browser/[A-Za-z0-9._~/-]*")


def safe_next(text: str) -> str:
    """Return where to go after a login: a page of this site, whatever was asked."""
    return text if _NEXT.fullmatch(text) and not any(part in text for part in ("//", "..", "/api/")) else HOME


class PageRoutes:
    """The handlers. ``document`` makes the OpenAPI document once it is first asked for."""

    def __init__(self, access: Access, definition: ServiceDefinition, document: Callable[[], dict[str, Any]]) -> None:
        self._access = access
        self._definition = definition
        self._own = definition.pages or NO_PAGES
        self._audit = AuditPages(access)
        self._document = functools.cache(document)
        self._document_text = functools.cache(lambda: openapi.dumps(self._document()))
        self._viewer = functools.cache(lambda: viewer.view(self._document()))

    def routes(self) -> tuple[Route, ...]:
        """Return the table."""
        html, faults = (HTML.partition(";")[0],), self.error
        own_root = any(one.gate is Gate.PROTOCOL and one.path == "/" for one in self._definition.routes)
        root = Route("root", ("GET",), "/", self.to_home, Gate.PROTOCOL, None, tag=TAG, status=303, produces=(),
                     faults=faults, summary="Goes to the landing page")  # fmt: skip
        return (
            *(() if own_root else (root,)),
            Route("openapi", ("GET",), "/openapi.json", self.openapi, scope=None, tag="Documents",
                  summary="This document"),
            Route("home", ("GET",), "/", self.home, Gate.PAGE, None, tag=TAG, produces=html, faults=faults,
                  summary="The landing page"),
            Route("homeWithoutSlash", ("GET",), "", self.to_home, Gate.PAGE, None, tag=TAG, status=303, produces=(),
                  faults=faults, summary="Goes to the landing page"),
            Route("loginPage", ("GET",), "/login", self.login_page, Gate.PAGE, None, tag=TAG, produces=html,
                  faults=faults, summary="The login form"),
            Route("loginForm", ("POST",), "/login", self.login, Gate.PAGE, None, tag=TAG, status=303, produces=(),
                  accepts=(FORM,), max_body=16384, faults=faults, summary="Log in by the form"),
            Route("logoutForm", ("POST",), "/logout", self.logout, Gate.PAGE, "", tag=TAG, status=303, produces=(),
                  accepts=(FORM,), max_body=16384, faults=faults, summary="Log out by the form"),
            Route("accountPage", ("GET",), "/account", self.account, Gate.PAGE, "", tag=TAG, produces=html,
                  faults=faults, summary="Who one is, and what one may do"),
            Route("docs", ("GET",), "/docs", self.docs, Gate.PAGE, None, tag=TAG, produces=html, faults=faults,
                  summary="The API, to be read"),
            Route("static", ("GET",), "/static/<name>", self.static, Gate.PAGE, None, tag=TAG, faults=faults,
                  produces=STATIC_TYPES, rate_limited=False, summary="Style of the pages"),
            *(route for page in (*self._own.pages, *self._audit.pages()) for route in self._routes_of(page)),
        )  # fmt: skip

    def _routes_of(self, page: Page) -> tuple[Route, ...]:
        """Return the routes of a page and its form."""
        html = (HTML.partition(";")[0],)
        made = []
        if page.show is not None:
            made.append(
                Route(page.name, ("GET",), page.path, self._shown(page.show), Gate.PAGE, page.scope, tag=TAG,
                      produces=html, faults=self.error, summary=page.summary)
            )  # fmt: skip
        if page.send is not None:
            name = f"{page.name}Form" if page.show is not None else page.name
            made.append(
                Route(name, ("POST",), page.path, self._shown(page.send), Gate.PAGE, page.send_scope or page.scope,
                      tag=TAG, status=303, produces=html, accepts=(FORM,), max_body=MAX_FORM, faults=self.error,
                      summary=f"{page.summary}: the form")
            )  # fmt: skip
        return tuple(made)

    def _shown(self, handler: PageHandler) -> Callable[[Context, Request], Response]:
        """Render what a page's handler answers."""

        def run(context: Context, request: Request) -> Response:
            answer = handler(context, request)
            if isinstance(answer, Response):
                return answer
            return self._view(answer, context.principal, request)

        return run

    def _view(self, view: View, principal: Principal, request: Request) -> Response:
        return self.render(view.template, view.status, **self._frame(principal, request), **view.values)

    def _frame(self, principal: Principal | None, request: Request) -> dict[str, Any]:
        """Return what the layout shows around a page: who looks, where one can go, what was done."""
        done = next(iter(request.query.get("done", ())), "")
        return {
            "principal": principal,
            "csrf_token": self._access.csrf.token(principal) if principal is not None else "",
            "navigation": self.navigation(principal) if principal is not None else {},
            "here": request.path,
            "notice": self._own.notices.get(done, ""),
        }

    def navigation(self, principal: Principal) -> dict[str, list[Entry]]:
        """Return the lines that this principal may follow, by the group they stand in."""
        groups: dict[str, list[Entry]] = {}
        for entry in (*self._own.navigation, *self._audit.navigation()):
            if principal.may(entry.scope):
                groups.setdefault(entry.group, []).append(entry)
        return groups

    def render(self, template: str, code: int = 200, *headers: tuple[str, str], **values: Any) -> Response:
        """Fill a template."""
        page = environment(self._own.package, self._own.shared).get_template(template)
        frame: dict[str, Any] = {"principal": None, "csrf_token": "", "navigation": {}, "here": "", "notice": ""}
        fixed = {"title": self._definition.title, "service": self._definition, "csrf_field": CSRF_FIELD}
        text = page.render(frame | {"now": self._now()} | fixed | values)
        return Response(code, text.encode(), HTML, (_PRIVATE, *headers))

    def _now(self) -> Any:
        return self._access.clock.now()

    def openapi(self, _context: Context, _request: Request) -> Response:
        """Give the document to programs and browsers alike."""
        text = self._document_text()
        tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
        return Response(200, text, "application/json", (("Cache-Control", "public, max-age=60"), ("ETag", tag)))

    def home(self, _context: Context, request: Request) -> Response:
        """Lead who is logged in to the first page of the service's own; to anybody else, say what this is."""
        principal = self._visitor(request)
        if principal is not None and self._own.navigation:
            first = next((entry for entry in self._own.navigation if principal.may(entry.scope)), None)
            if first is not None:
                return Response(303, headers=(("Location", first.path), _PRIVATE))
        return self.render("home.html", **self._frame(principal, request))

    def account(self, context: Context, request: Request) -> Response:
        """Say who one is."""
        return self._view(View("account.html"), context.principal, request)

    def to_home(self, _context: Context, _request: Request) -> Response:
        """Add the slash."""
        return Response(303, headers=(("Location", HOME), _PRIVATE))

    def login_page(self, _context: Context, request: Request) -> Response:
        """Show the form."""
        following = safe_next(next(iter(request.query.get("next", ())), ""))
        return self.render("login.html", following=following, username="", failure="")

    def login(self, _context: Context, request: Request) -> Response:
        """Take the form; a refusal shows it again."""
        from pycryptoutil.service.api.sessions import open_session

        fields = form_fields(request)
        username, following = fields.get("username", ""), safe_next(fields.get("next", ""))
        try:
            if not username or not fields.get("password"):
                raise Fault(FaultKind.INVALID, "login form is not filled in", "Give a user name and a password.")
            session, _ = open_session(self._access, request, username, fields["password"])
        except Fault as fault:
            if fault.kind not in {FaultKind.UNAUTHENTICATED, FaultKind.RATE_LIMITED, FaultKind.INVALID}:
                raise
            status = status_of(fault.kind)
            return self.render(
                "login.html",
                status,
                *fault_headers(fault),
                following=following,
                username=username[:400],
                failure=fault.public or TITLES[status],
            )
        headers = (("Location", following), _PRIVATE, self._access.sessions.set_cookie(session))
        return Response(303, headers=headers)

    def logout(self, context: Context, request: Request) -> Response:
        """End the session."""
        from pycryptoutil.service.api.sessions import close_session

        close_session(self._access, context.principal, request, only=context.principal.session_id)
        return Response(303, headers=(("Location", LOGIN), _PRIVATE, self._access.sessions.clear_cookie()))

    def docs(self, _context: Context, request: Request) -> Response:
        """Show the API."""
        return self.render("docs.html", api=self._viewer(), **self._frame(self._visitor(request), request))

    def static(self, context: Context, _request: Request) -> Response:
        """Give one of the package's own files; the name is looked up, never joined to a path."""
        found = static_files().get(context.parameters["name"])
        if found is None:
            raise Fault(FaultKind.NOT_FOUND, "no such static file", "There is nothing at this path.")
        content, media_type, tag = found
        return Response(200, content, media_type, (_SHARED, ("ETag", tag)))

    def error(self, fault: Fault, request: Request) -> Response:
        """Answer a fault as a page; who is not logged in is sent to the form."""
        status = status_of(fault.kind)
        if status == 401 and request.method == "GET":
            return Response(303, headers=(("Location", f"{LOGIN}?next={quote(request.path)}"), _PRIVATE))
        return self.render(
            "error.html",
            status,
            *fault_headers(fault),
            status=status,
            heading=TITLES.get(status, "Error"),
            detail=fault.public,
            request_id=request.request_id,
            failed=True,  # who looks is not known here: the session may be what failed
        )

    def _visitor(self, request: Request) -> Principal | None:
        """Who looks at a public page, if a session says so."""
        if request.cookie(COOKIE):
            try:
                return self._access.authenticator.authenticate_browser(request)
            except Fault as fault:
                if fault.kind is not FaultKind.UNAUTHENTICATED:
                    raise
        return None
