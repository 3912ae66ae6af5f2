"""Route rows → where they are mounted, and finding one by path. The table stays data; werkzeug matches the patterns."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pycryptoutil_protocols.faults import Fault, FaultKind
from werkzeug.exceptions import NotFound
from werkzeug.http import parse_accept_header
from werkzeug.routing import Map, MapAdapter, RequestRedirect, Rule

from pycryptoutil.errors import StartupError
from pycryptoutil.http.message import Listener, Request, Response
from pycryptoutil.http.problem import problem
from pycryptoutil.http.route import FaultEncoder, Gate, Route

SERVICE_PREFIX = "/service/api/v1"
BROWSER_PREFIX = "/browser/api/v1"
PAGE_PREFIX = "/browser"
_BROWSER_API = "/browser/api/"
MAX_REMEMBERED = 4096
MAX_REMEMBERED_PATH = 512

_PLACEHOLDER = re.compile(r"<(?:[^<>:]*:)?([^<>:]+)>")


class Side(enum.Enum):
    """Whose door a mounted route is behind; it decides authentication and headers."""

    SERVICE = "service"
    BROWSER = "browser"
    PAGE = "page"
    PROTOCOL = "protocol"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Mount:
    """One route at one path."""

    route: Route
    side: Side
    pattern: str


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: werkzeug keeps it as a key
class Resource:
    """Everything mounted at one path."""

    pattern: str
    methods: Mapping[str, Mount]
    side: Side
    faults: FaultEncoder | None  # the path's own error form, if it has one
    allow: str  # the value of Allow
    door: str  # the side's name: reading it off an enum is slow

    @classmethod
    def of(cls, pattern: str, methods: Mapping[str, Mount]) -> Resource:
        """Put together what is mounted at one path; all of it is behind the same door."""
        side = next(iter(methods.values())).side
        faults = next((mount.route.faults for mount in methods.values() if mount.route.faults), None)
        return cls(pattern, methods, side, faults, ", ".join(sorted({*methods, "OPTIONS"})), side.name)


@dataclass(frozen=True, slots=True)
class Match:
    """A path that exists."""

    resource: Resource
    parameters: Mapping[str, str] = field(default_factory=dict)


def _for_readers(page: FaultEncoder) -> FaultEncoder:
    """Return an encoder that answers with a page whoever says to read HTML; a problem document anybody else."""

    def encode(fault: Fault, request: Request) -> Response:
        wanted = parse_accept_header(request.headers.get("accept"))
        reads_html = any(kind.lower() == "text/html" and quality > 0 for kind, quality in wanted)
        return page(fault, request) if reads_html else problem(fault, request)

    return encode


def _no_page(resources: Iterable[Resource]) -> Match | None:
    """Return what stands where a page is looked for and there is none; None where there are no pages at all."""
    page = next((one.faults for one in resources if one.side is Side.PAGE and one.faults), None)
    if page is None:
        return None
    return Match(Resource(PAGE_PREFIX, {}, Side.PAGE, _for_readers(page), "", Side.PAGE.name))


class MethodNotAllowed(Fault):
    """The path exists, not for this method; ``allow`` lists the ones it has (RFC 9110 section 15.5.6)."""

    def __init__(self, method: str, allow: str) -> None:
        public = "This path does not have that method."
        super().__init__(FaultKind.METHOD_NOT_ALLOWED, f"{method[:20]} not in {allow}", public)
        self.allow = allow


def mounts(route: Route, admin_prefix: str) -> tuple[Mount, ...]:
    """Return where a route is mounted, by its gate."""
    places: tuple[tuple[Side, str], ...]
    match route.gate:
        case Gate.API:
            places = ((Side.SERVICE, SERVICE_PREFIX), (Side.BROWSER, BROWSER_PREFIX))
        case Gate.SERVICE:
            places = ((Side.SERVICE, SERVICE_PREFIX),)
        case Gate.BROWSER:
            places = ((Side.BROWSER, BROWSER_PREFIX),)
        case Gate.PAGE:
            places = ((Side.PAGE, PAGE_PREFIX),)
        case Gate.PROTOCOL:
            places = ((Side.PROTOCOL, ""),)
        case Gate.ADMIN:
            places = ((Side.ADMIN, admin_prefix),)
    return tuple(Mount(route, side, prefix + route.path) for side, prefix in places)


def _belongs(mount: Mount, listener: Listener) -> bool:
    if mount.side is Side.ADMIN or listener is Listener.ADMIN:
        return mount.side is Side.ADMIN and listener is Listener.ADMIN
    return listener in mount.route.listeners


class _MatchedRule(Rule):
    """A rule that is only matched: werkzeug would compile two functions that build its URL, most of a start's time."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: ARG002  werkzeug names it
        return _build_nothing


def _build_nothing(_rule: Rule, **_values: object) -> tuple[str, str]:
    raise NotImplementedError("URLs are not built from rules here")


class Router:
    """The routes of one listener. Trailing slashes and repeated slashes mean what they say; nothing redirects."""

    def __init__(self, routes: Iterable[Route], listener: Listener, admin_prefix: str) -> None:
        tables: dict[str, dict[str, Mount]] = {}
        shapes: dict[str, str] = {}
        for route in routes:
            for mount in mounts(route, admin_prefix):
                if not _belongs(mount, listener):
                    continue
                shape = _PLACEHOLDER.sub("<>", mount.pattern)
                if shapes.setdefault(shape, mount.pattern) != mount.pattern:
                    raise StartupError(f"routes {shapes[shape]} and {mount.pattern} are the same path")
                table = tables.setdefault(mount.pattern, {})
                for method in route.methods:
                    if method in table and not (method == "HEAD" and table[method].route is route):
                        raise StartupError(f"{method} {mount.pattern} is routed twice")
                    table[method] = mount
        for table in tables.values():
            if "GET" in table:
                table.setdefault("HEAD", table["GET"])
        resources = {pattern: Resource.of(pattern, table) for pattern, table in tables.items()}
        self._exact = {pattern: Match(found) for pattern, found in resources.items() if "<" not in pattern}
        rules = [_MatchedRule(pattern, endpoint=found) for pattern, found in resources.items() if "<" in pattern]
        self._patterns: MapAdapter | None = None
        if rules:
            self._patterns = Map(rules, strict_slashes=True, merge_slashes=False, redirect_defaults=False).bind("")
        self._remembered: dict[str, Match] = {}
        self._no_page = _no_page(resources.values())
        self.resources = tuple(resources.values())

    def find(self, path: str) -> Match | None:
        """Return what is at a decoded path, or None. Where people look for pages and there is none: without methods."""
        found = self._find(path)
        if found is None and path.startswith(f"{PAGE_PREFIX}/") and not f"{path}/".startswith(_BROWSER_API):
            return self._no_page
        return found

    def _find(self, path: str) -> Match | None:
        found = self._exact.get(path)
        if found is None:
            found = self._remembered.get(path)
        if found is not None or self._patterns is None:
            return found
        if path[:1] != "/" or path[:2] == "//":  # werkzeug would not mind
            return None
        try:
            endpoint, parameters = self._patterns.match(path, method="GET")
        except (NotFound, RequestRedirect):
            return None
        found = Match(endpoint, {name: str(value) for name, value in parameters.items()})
        if len(path) <= MAX_REMEMBERED_PATH:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[path] = found
        return found
