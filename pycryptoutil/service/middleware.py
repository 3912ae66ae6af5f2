"""What every request passes, in this order; each step is one small function.

A step ends the request by raising a Fault or by setting ``exchange.response``. ENTRY steps run on the reactor as soon
as the header section is there, before a byte of the body is read or a place in the queue is taken, so they do no I/O.
WORK steps run on a worker thread. EXIT steps run on the reactor for every answer.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import structlog
from pycryptoutil_protocols.faults import Fault, FaultKind
from pydantic import BaseModel, ValidationError

from pycryptoutil.http.message import Listener, Response
from pycryptoutil.http.problem import FieldError, InvalidInput, fault_headers, problem
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.definition import Context
from pycryptoutil.service.exchange import Edge, Exchange, Phase
from pycryptoutil.service.router import MethodNotAllowed, Side

log = structlog.get_logger()

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
FETCH_METADATA = ("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user")
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
PREFLIGHT_HEADERS = "Content-Type, X-CSRF-Token, X-Request-Id, If-Match, If-None-Match, Idempotency-Key"
QUIET = frozenset({FaultKind.RATE_LIMITED, FaultKind.BUSY, FaultKind.SEALED})  # a flood must not flood the log too
# read once: an attribute of an enum costs as much as a call
_ADMIN, _PLAIN, _READY = Listener.ADMIN, Listener.PLAIN, Phase.READY
_SERVICE, _BROWSER, _PAGE, _PROTOCOL, _SIDE_ADMIN = Side.SERVICE, Side.BROWSER, Side.PAGE, Side.PROTOCOL, Side.ADMIN
HSTS = ("Strict-Transport-Security", "max-age=31536000")


class Stage(enum.Enum):
    """When a step runs, and where."""

    FAULT = "fault"  # whenever another step raised
    ENTRY = "entry"
    WORK = "work"
    EXIT = "exit"


# --- recover ----------------------------------------------------------------------------------------------------------


def recover(edge: Edge, exchange: Exchange, error: BaseException | None = None) -> None:
    """Turn what was raised into an answer of the path's own form; the detail goes to the log with the request id."""
    request = exchange.request
    fault = error if isinstance(error, Fault) else Fault(FaultKind.INTERNAL, "unexpected exception")
    context: dict[str, Any] = {"request_id": request.request_id, "service": edge.service, "kind": fault.kind.value}
    if fault.kind is FaultKind.INTERNAL:
        log.error("request failed", detail=fault.detail, exc_info=error, **context)
    elif fault.kind in QUIET:
        log.debug("request refused", detail=fault.detail, **context)
    else:
        log.info("request refused", detail=fault.detail, **context)
    exchange.fault = fault
    exchange.response = encode_fault(exchange, fault)


def encode_fault(exchange: Exchange, fault: Fault) -> Response:
    """Encode a fault in the path's own form, with the header fields that HTTP itself wants of it."""
    encoder = exchange.match.resource.faults if exchange.match else None
    response = None
    if encoder is not None:
        try:
            response = encoder(fault, exchange.request)
        except Exception:
            log.exception("fault encoder failed", request_id=exchange.request.request_id)
    if response is None:
        response = problem(fault, exchange.request)
    wanted = fault_headers(fault)
    if isinstance(fault, MethodNotAllowed):
        wanted += (("Allow", fault.allow),)
    present = {name.lower() for name, _ in response.headers}
    missing = tuple((name, value) for name, value in wanted if name.lower() not in present)
    return response.with_headers(*missing) if missing else response


# --- entry ------------------------------------------------------------------------------------------------------------


def check_request_id(_edge: Edge, exchange: Exchange) -> None:
    """The adapter gave every request an id (the peer's, if it was well-formed); without one nothing can be logged."""
    if not exchange.request.request_id:
        raise Fault(FaultKind.INTERNAL, "request without an id")


def allow_address(edge: Edge, exchange: Exchange) -> None:
    """Let in only the configured networks (public and plain listeners)."""
    networks = edge.settings.allowed_networks
    if not networks or exchange.request.listener is _ADMIN:
        return
    try:
        address = ipaddress.ip_address(exchange.request.peer.partition("%")[0])
    except ValueError:
        raise Fault(FaultKind.FORBIDDEN, "peer without an address", "Your address is not allowed.") from None
    mapped = getattr(address, "ipv4_mapped", None)
    if not any((mapped or address) in network for network in networks):
        raise Fault(FaultKind.FORBIDDEN, f"address {address} is not in network.allowed", "Your address is not allowed.")


def limit_method_and_size(edge: Edge, exchange: Exchange) -> None:
    """The path exists, has this method, and takes a body of this size."""
    match = exchange.match
    if match is None or not match.resource.methods:
        limit_address_rate(edge, exchange)  # looking for paths counts too
        raise Fault(FaultKind.NOT_FOUND, "no such path", "There is nothing at this path.")
    method = exchange.request.method
    mount = match.resource.methods.get(method)
    if mount is None:
        if method == "OPTIONS":
            return
        limit_address_rate(edge, exchange)
        raise MethodNotAllowed(method, match.resource.allow)
    exchange.mount = mount
    exchange.max_body = limit = mount.route.max_body or edge.settings.limits.max_body
    if exchange.framed_length is not None and exchange.framed_length > limit:
        detail = f"{exchange.framed_length} bytes announced, {limit} allowed"
        raise Fault(FaultKind.TOO_LARGE, detail, "The content is too large.")


def limit_address_rate(edge: Edge, exchange: Exchange) -> None:
    """Count this request for its address."""
    mount = exchange.mount
    if exchange.request.listener is not _ADMIN and (mount is None or mount.route.rate_limited):
        edge.limiter.check_address(exchange.request.peer)


def refuse_unready(edge: Edge, exchange: Exchange) -> None:
    """Sealed, starting or stopping, only the admin listener is served."""
    if exchange.request.listener is _ADMIN:
        return
    if edge.barrier.sealed:
        raise Fault(FaultKind.SEALED, "the barrier is sealed", "The service is sealed.", retry_after=30)
    if edge.phase is not _READY:
        raise Fault(FaultKind.UNAVAILABLE, edge.phase.value, "The service is starting or stopping.", retry_after=2)


def gate_fetch_metadata(edge: Edge, exchange: Exchange) -> None:
    """Programs' paths are not for browsers, and browsers' paths are not for other sites (W3C Fetch Metadata)."""
    side, headers = exchange.side, exchange.request.headers
    if side is _PROTOCOL:
        return
    if side is _SERVICE:
        if any(name in headers for name in FETCH_METADATA):
            raise Fault(
                FaultKind.FORBIDDEN, "browser on a service path", "This path is for programs, not for browsers."
            )
        if "cookie" in headers:  # cookies mean nothing to programs: nobody after this sees one
            exchange.request = exchange.request.without("cookie")
        return
    if side is _SIDE_ADMIN:
        host = headers.get("host")
        name = host[: host.rfind(":")] if host.rfind(":") > host.rfind("]") else host
        if name.lower() not in LOCAL_HOSTS or "origin" in headers or any(one in headers for one in FETCH_METADATA):
            raise Fault(FaultKind.FORBIDDEN, "foreign host or browser on admin", "The admin listener is local only.")
        return
    if "authorization" in headers:  # nor do programs' tokens open what is for people
        public = "This path takes a session, not an Authorization field."
        raise Fault(FaultKind.UNAUTHENTICATED, "authorization on a browser path", public)
    site = headers.get("sec-fetch-site")
    if site in {"", "same-origin", "none"} or headers.get("origin").lower() in edge.origins:
        return
    navigation = headers.get("sec-fetch-mode") == "navigate" and exchange.request.method in SAFE_METHODS
    if not (navigation and side is _PAGE and headers.get("sec-fetch-dest") in {"", "document"}):
        raise Fault(FaultKind.FORBIDDEN, f"fetch from {site[:20]}", "Other sites may not call this.")


def share_across_origins(edge: Edge, exchange: Exchange) -> None:
    """CORS: configured origins only, and only on browsers' paths; also answers OPTIONS."""
    request, side = exchange.request, exchange.side
    if side is _BROWSER or side is _PAGE:
        _share(edge, exchange)
    if request.method != "OPTIONS" or exchange.mount is not None or exchange.match is None:
        return
    allow = exchange.match.resource.allow
    exchange.response = Response(204, headers=(("Allow", allow),))
    if exchange.origin and "access-control-request-method" in request.headers:
        exchange.extra_headers += (
            ("Access-Control-Allow-Methods", allow),
            ("Access-Control-Allow-Headers", PREFLIGHT_HEADERS),
            ("Access-Control-Max-Age", str(int(edge.settings.cors.max_age))),
        )


def _share(edge: Edge, exchange: Exchange) -> None:
    origin = exchange.request.headers.get("origin").lower()
    if origin and origin in edge.origins:
        exchange.origin = origin
        exchange.extra_headers = (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", "X-Request-Id, ETag, Location, Retry-After"),
        )
    if edge.origins:
        exchange.extra_headers += (("Vary", "Origin"),)


# --- work -------------------------------------------------------------------------------------------------------------


def refuse_forgery(edge: Edge, exchange: Exchange) -> None:
    """An unsafe request from a browser comes from this origin or a configured one; its token is checked next."""
    request = exchange.request
    if exchange.side not in {_BROWSER, _PAGE} or request.method in SAFE_METHODS:
        return
    origin = request.headers.get("origin").lower()
    own = {*edge.own_origins, f"https://{request.headers.get('host').lower()}"}
    if origin and origin not in own and not exchange.origin:
        raise Fault(FaultKind.FORBIDDEN, "foreign origin", "The request comes from another site.")


def authenticate(edge: Edge, exchange: Exchange) -> None:
    """Learn who asks, by the means of the path's side; anew on every request."""
    request, mount = exchange.request, _mount(exchange)
    if edge.certificates is not None and request.tls is not None and request.tls.client_verified:
        edge.certificates.check(request.tls.client_chain)
    if mount.route.scope is None or mount.side in {_PROTOCOL, _SIDE_ADMIN}:
        exchange.principal = edge.anonymous
    elif mount.side is _SERVICE:
        exchange.principal = edge.authenticator.authenticate_service(request)
    else:
        exchange.principal = principal = edge.authenticator.authenticate_browser(request)
        if request.method not in SAFE_METHODS:
            edge.authenticator.check_csrf(request, principal)


def limit_principal_rate(edge: Edge, exchange: Exchange) -> None:
    """Count this request for who made it."""
    if exchange.principal is not None and exchange.principal.id and _mount(exchange).route.rate_limited:
        edge.limiter.check_principal(exchange.principal.id)


def authorize(_edge: Edge, exchange: Exchange) -> None:
    """The principal holds the route's scope, now."""
    mount = _mount(exchange)
    scope = mount.route.scope
    if not scope or mount.side in {_PROTOCOL, _SIDE_ADMIN}:
        return
    if exchange.principal is None or not exchange.principal.may(scope):
        raise Fault(FaultKind.FORBIDDEN, f"scope {scope} is missing", f"This needs the scope {scope}.")


def validate(_edge: Edge, exchange: Exchange) -> None:
    """Decode the query and the body into the route's models."""
    route, request = _mount(exchange).route, exchange.request
    accepts = route.accepts or (("application/json",) if route.body else ())
    sent = request.method not in SAFE_METHODS and (request.body or route.body)
    if accepts and sent and request.content_type not in accepts:
        public = f"Send {' or '.join(accepts)}."
        raise Fault(FaultKind.UNSUPPORTED_MEDIA_TYPE, f"content type {request.content_type[:60]!r}", public)
    if route.query is not None:
        exchange.query = parse_query(route.query, request.query)
    if route.body is not None:
        exchange.body = parse_body(route.body, request.body)


def handle(edge: Edge, exchange: Exchange) -> None:
    """Run the route's handler."""
    if edge.resources is None and exchange.request.listener is not _ADMIN:
        raise Fault(FaultKind.UNAVAILABLE, "not built yet", "The service is starting.", retry_after=2)
    mount = _mount(exchange)
    state = edge.admin_state if mount.side is _SIDE_ADMIN else edge.state
    context = Context(
        state,
        exchange.principal or edge.anonymous,
        edge.resources,  # type: ignore[arg-type]  # None only on admin routes, which use their own state
        exchange.parameters,
        exchange.body,
        exchange.query,
    )
    exchange.response = mount.route.handler(context, exchange.request)


def _mount(exchange: Exchange) -> Any:
    if exchange.mount is None:
        raise Fault(FaultKind.INTERNAL, "work before entry")
    return exchange.mount


def parse_body(model: type[BaseModel], body: bytes) -> BaseModel:
    """Validate a JSON body; InvalidInput names each place by JSON pointer, and quotes no value."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if any(one["type"] == "json_invalid" for one in found):
            raise Fault(FaultKind.MALFORMED, "body is not JSON", "The body is not valid JSON.") from None
        raise _invalid(found, "#", "The body does not fit its schema.") from None


def parse_query(model: type[BaseModel], query: Mapping[str, tuple[str, ...]]) -> BaseModel:
    """Validate query parameters; only a parameter whose field is a tuple may repeat."""
    given: dict[str, Any] = {}
    for name, values in query.items():
        field = model.model_fields.get(name)
        if field is not None and getattr(field.annotation, "__origin__", None) in {tuple, list, set, frozenset}:
            given[name] = values
        elif len(values) > 1:
            raise InvalidInput("repeated parameter", "A parameter is repeated.", (FieldError(name, "repeated", True),))
        else:
            given[name] = values[0]
    try:
        return model.model_validate(given, strict=False)  # all are text: numbers and dates are read from it
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise _invalid(found, "", "A query parameter does not fit its schema.") from None


def _invalid(errors: Any, prefix: str, public: str) -> InvalidInput:
    """The library's list of errors, as ours."""
    fields = []
    for one in errors:
        parts = [str(part).replace("~", "~0").replace("/", "~1") for part in one["loc"]]
        place = "".join(f"/{part}" for part in parts)
        fields.append(FieldError(prefix + place if prefix else place[1:], str(one["msg"]), not prefix))
    return InvalidInput(f"{len(fields)} places break the schema", public, tuple(fields))


# --- exit -------------------------------------------------------------------------------------------------------------


def answer_conditionally(_edge: Edge, exchange: Exchange) -> None:
    """Answer 304 if the peer has it already (RFC 9110 section 13)."""
    request, response = exchange.request, exchange.response
    if response is None or response.status != 200 or request.method not in {"GET", "HEAD"}:
        return
    headers = request.headers
    if "if-none-match" not in headers and "if-modified-since" not in headers:
        return
    own = {name.lower(): value for name, value in response.headers}
    if "if-none-match" in headers:
        etag = own.get("etag", "")
        wanted = [one.strip().removeprefix("W/") for one in ",".join(headers.get_all("if-none-match")).split(",")]
        fresh = bool(etag) and ("*" in wanted or etag.removeprefix("W/") in wanted)
    else:
        fresh = _not_modified_since(own.get("last-modified", ""), headers.get("if-modified-since"))
    if fresh:
        if not isinstance(response.body, bytes) and hasattr(response.body, "close"):
            response.body.close()
        kept = {"etag", "cache-control", "expires", "last-modified", "vary", "content-location", "set-cookie"}
        exchange.response = Response(304, headers=tuple(item for item in response.headers if item[0].lower() in kept))


def _not_modified_since(modified: str, since: str) -> bool:
    """Compare two HTTP dates; what is no date is ignored (RFC 9110 section 13.1.3)."""
    if not modified or modified == since:
        return bool(modified)
    try:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(since)
    except (TypeError, ValueError, OverflowError):
        return False


def add_security_headers(edge: Edge, exchange: Exchange) -> None:
    """What the path's side wants of every answer; a handler's own choice of the same field wins."""
    response = exchange.response
    if response is None:
        return
    tls = exchange.request.listener is not _PLAIN and edge.settings.profile != "dev"
    side = exchange.side
    names = tuple([name for name, _ in response.headers])
    key = (exchange.door, tls, names)
    block = _BLOCKS.get(key)
    if block is None:
        if len(_BLOCKS) > 1024:
            _BLOCKS.clear()
        own = {name.lower() for name in names}
        wanted = SECURITY[side] + ((HSTS,) if tls else ())
        block = _BLOCKS[key] = "".join(f"{name}: {value}\r\n" for name, value in wanted if name.lower() not in own)
    exchange.security = block


_NOSNIFF = ("X-Content-Type-Options", "nosniff")
_NO_STORE = ("Cache-Control", "no-store")
_NO_REFERRER = ("Referrer-Policy", "no-referrer")
_OWN_REFERRER = (
    "Referrer-Policy",
    "same-origin",
)  # with no-referrer, a page's form says "Origin: null", which is refused
_FOR_BROWSERS = (
    _NOSNIFF,
    _NO_STORE,
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_API_POLICY = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
_PAGE_POLICY = (
    "Content-Security-Policy",
    (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
)
SECURITY: Mapping[Side | None, tuple[tuple[str, str], ...]] = {
    None: (_NOSNIFF, _NO_STORE, _NO_REFERRER, _API_POLICY),
    Side.SERVICE: (_NOSNIFF, _NO_STORE, _NO_REFERRER, _API_POLICY),
    Side.BROWSER: (*_FOR_BROWSERS, _NO_REFERRER, _API_POLICY, ("Cross-Origin-Resource-Policy", "same-origin")),
    Side.PAGE: (*_FOR_BROWSERS, _OWN_REFERRER, _PAGE_POLICY),
    Side.ADMIN: (_NOSNIFF, _NO_STORE, _NO_REFERRER, _API_POLICY),
    Side.PROTOCOL: (_NOSNIFF,),  # caching is the protocol's own affair
}
_BLOCKS: dict[tuple[str, bool, tuple[str, ...]], str] = {}  # reactor thread only


def record(edge: Edge, exchange: Exchange) -> None:
    """Count and time the answer, and write the access log (pre-signed answers only at debug: they are many)."""
    request, response = exchange.request, exchange.response
    status = response.status if response is not None else 500
    exchange.ended = ended = edge.clock.monotonic()
    seconds = ended - exchange.started
    name = exchange.mount.route.name if exchange.mount else "unmatched"
    method = request.method if exchange.mount else "other"
    key = (exchange.label or request.listener.name, method, name)
    statistics = edge.metrics.routes.get(key)
    if statistics is None:
        statistics = edge.metrics.route(*key)
    statistics.observe(status, seconds)
    if not edge.settings.logging.access or (exchange.fast and edge.settings.logging.level != "debug"):
        return
    extra = {"peer": request.peer} if status in {401, 403, 429} else {}  # an address is personal data: abuse only
    (log.debug if exchange.fast or status == 429 else log.info)(
        "request",
        request_id=request.request_id,
        service=edge.service,
        listener=request.listener.value,
        method=request.method,
        route=name,
        path=request.raw_path[:200],
        status=status,
        ms=round(seconds * 1000, 3),
        principal=exchange.principal.id if exchange.principal else "",
        **extra,
    )


# --- the table --------------------------------------------------------------------------------------------------------

Step = Callable[[Edge, Exchange], None]


@dataclass(frozen=True, slots=True)
class Middleware:
    """One row."""

    run: Step
    stage: Stage


MIDDLEWARE: tuple[Middleware, ...] = (
    Middleware(recover, Stage.FAULT),
    Middleware(check_request_id, Stage.ENTRY),
    Middleware(allow_address, Stage.ENTRY),
    Middleware(limit_method_and_size, Stage.ENTRY),
    Middleware(limit_address_rate, Stage.ENTRY),
    Middleware(refuse_unready, Stage.ENTRY),
    Middleware(gate_fetch_metadata, Stage.ENTRY),
    Middleware(share_across_origins, Stage.ENTRY),
    Middleware(refuse_forgery, Stage.WORK),
    Middleware(authenticate, Stage.WORK),
    Middleware(limit_principal_rate, Stage.WORK),
    Middleware(authorize, Stage.WORK),
    Middleware(validate, Stage.WORK),
    Middleware(handle, Stage.WORK),
    Middleware(answer_conditionally, Stage.EXIT),
    Middleware(add_security_headers, Stage.EXIT),
    Middleware(record, Stage.EXIT),
)


def steps(stage: Stage) -> tuple[Step, ...]:
    """Return the steps of one stage, in order."""
    return tuple(row.run for row in MIDDLEWARE if row.stage is stage)


def check_route(route: Route) -> None:
    """Refuse a route that the pipeline could not keep safe: ``fast`` answers before anybody is authenticated."""
    if route.fast is not None and route.gate not in {Gate.PROTOCOL, Gate.ADMIN} and route.scope is not None:
        raise ValueError(f"{route.name}: fast= needs scope=None or a protocol path")
