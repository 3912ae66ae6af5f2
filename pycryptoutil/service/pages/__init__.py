"""Pages of the template: landing, login, the API viewer and their style. They work without a script.

Everything comes from this package, so the strictest content security policy holds: nothing inline or from outside.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.http import openapi
from pycryptoutil.http.message import Request, Response
from pycryptoutil.http.problem import TITLES, fault_headers, status_of
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.access import Access
from pycryptoutil.service.csrf import FIELD, FORM, form_fields
from pycryptoutil.service.definition import Context, Principal, ServiceDefinition
from pycryptoutil.service.pages import viewer
from pycryptoutil.service.sessions import COOKIE

HTML = "text/html; charset=utf-8"
HOME = "/browser/"
LOGIN = "/browser/login"
TAG = "Pages"
_PRIVATE = ("Cache-Control", "no-store")
_SHARED = ("Cache-Control", "public, max-age=3600")
_NEXT = re.compile(r"/browser/[A-Za-z0-9._~/-]*")
_STATIC_TYPES: Mapping[str, str] = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@functools.cache
def environment() -> Environment:
    """Return the templates: escaped always, an unknown name is an error."""
    loader = PackageLoader("pycryptoutil.service", "pages/templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@functools.cache
def static_files() -> Mapping[str, tuple[bytes, str, str]]:
    """Return name -> (content, media type, entity tag) of the files beside the templates."""
    found = {}
    for entry in resources.files("pycryptoutil.service").joinpath("pages", "static").iterdir():
        media_type = _STATIC_TYPES.get(entry.name[entry.name.rfind(".") :])
        if media_type:
            content = entry.read_bytes()
            found[entry.name] = (content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


def safe_next(text: str) -> str:
    """Return where to go after a login: a page of this site, whatever was asked."""
    return text if _NEXT.fullmatch(text) and not any(part in text for part in ("//", "..", "/api/")) else HOME


class PageRoutes:
    """The handlers. ``document`` makes the OpenAPI document once it is first asked for."""

    def __init__(self, access: Access, definition: ServiceDefinition, document: Callable[[], dict[str, Any]]) -> None:
        self._access = access
        self._definition = definition
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
            Route("docs", ("GET",), "/docs", self.docs, Gate.PAGE, None, tag=TAG, produces=html, faults=faults,
                  summary="The API, to be read"),
            Route("static", ("GET",), "/static/<name>", self.static, Gate.PAGE, None, tag=TAG, faults=faults,
                  produces=tuple(kind.partition(";")[0] for kind in _STATIC_TYPES.values()), rate_limited=False,
                  summary="Style of the pages"),
        )  # fmt: skip

    def render(self, template: str, code: int = 200, *headers: tuple[str, str], **values: Any) -> Response:
        """Fill a template."""
        page = environment().get_template(template)
        values.setdefault("principal", None)
        values.setdefault("csrf_token", "")
        text = page.render(title=self._definition.title, service=self._definition, csrf_field=FIELD, **values)
        return Response(code, text.encode(), HTML, (_PRIVATE, *headers))

    def openapi(self, _context: Context, _request: Request) -> Response:
        """Give the document to programs and browsers alike."""
        text = self._document_text()
        tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
        return Response(200, text, "application/json", (("Cache-Control", "public, max-age=60"), ("ETag", tag)))

    def home(self, _context: Context, request: Request) -> Response:
        """Say what this is, and who is logged in."""
        return self.render("home.html", **self._visitor(request))

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
        return self.render("docs.html", api=self._viewer(), **self._visitor(request))

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
        )

    def _visitor(self, request: Request) -> dict[str, Any]:
        """Who looks at a public page, if a session says so."""
        principal: Principal | None = None
        if request.cookie(COOKIE):
            try:
                principal = self._access.authenticator.authenticate_browser(request)
            except Fault as fault:
                if fault.kind is not FaultKind.UNAUTHENTICATED:
                    raise
        token = self._access.csrf.token(principal) if principal else ""
        return {"principal": principal, "csrf_token": token}
