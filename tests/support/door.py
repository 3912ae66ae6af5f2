"""A service without sockets: the real router and middleware, called with plain requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import FixedClock
from pycryptoutil.http.message import Headers, Listener, Request, Response, TlsInfo
from pycryptoutil.http.route import Route
from pycryptoutil.service import tenants
from pycryptoutil.service.access import Access
from pycryptoutil.service.api import every_route
from pycryptoutil.service.definition import Resources, ServiceDefinition, Urls
from pycryptoutil.service.exchange import Edge, Exchange, Phase
from pycryptoutil.service.hashing import Hasher
from pycryptoutil.service.metrics import Metrics
from pycryptoutil.service.middleware import Stage, recover, steps
from pycryptoutil.service.router import Router
from pycryptoutil.service.settings import BarrierSettings, ServiceSettings
from pycryptoutil.storage import Database

HOST = "ps.example.test:8888"
ORIGIN = f"https://{HOST}"


@dataclass(frozen=True)
class Answer:
    """A response, read."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def cookie(self) -> str:
        """The session cookie that was set."""
        pair = self.headers.get("set-cookie").partition(";")[0]
        assert pair.startswith("__Host-session="), pair
        return pair.partition("=")[2]


@dataclass(frozen=True)
class Caller:
    """Who asks, and at which door."""

    door: Door
    prefix: str = "/service/api/v1"
    headers: tuple[tuple[str, str], ...] = ()
    tls: TlsInfo | None = None
    peer: str = "192.0.2.1"

    def with_headers(self, *headers: tuple[str, str]) -> Self:
        return replace(self, headers=(*self.headers, *headers))

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        sent = [*self.headers, *(headers or {}).items()]
        data = b""
        if form is not None:
            data, content_type = urlencode(form).encode(), "application/x-www-form-urlencoded"
        elif raw is not None:
            data = raw
        elif body is not None:
            data = json.dumps(body).encode()
        if data:
            sent.append(("Content-Type", content_type))
        return self.door.send(method, self.prefix + path, sent, data, self.tls, self.peer)

    def get(self, path: str, **more: Any) -> Answer:
        return self("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self("POST", path, body, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self("PUT", path, body, **more)

    def patch(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self("PATCH", path, body, **more)

    def delete(self, path: str, **more: Any) -> Answer:
        return self("DELETE", path, **more)


class Door:
    """One service over one database, with an administrator of the default tenant."""

    def __init__(
        self,
        definition: ServiceDefinition,
        url: str,
        directory: Path,
        settings: ServiceSettings | None = None,
        clock: FixedClock | None = None,
    ) -> None:
        self.clock = clock or FixedClock()
        self.definition = definition
        self.settings = settings or ServiceSettings(profile="test")
        self.database = Database.open(url, clock=self.clock, pool_size=4)
        self.barrier = Barrier.open(self.database, BarrierSettings(mode="dev"), self.clock, directory)
        self.hasher = Hasher(self.barrier.pepper)
        self.first: list[tenants.FirstCredentials] = []
        self.tenant_id = tenants.bootstrap(self.database, self.hasher, self.clock, self.first.append)
        self._resources = Resources(
            settings=definition.settings(),
            database=self.database,
            barrier=self.barrier,
            clock=self.clock,
            urls=Urls(ORIGIN, "https://127.0.0.1:9098"),
            data_dir=directory,
            default_tenant_id=self.tenant_id,
            profile="test",
        )
        self.configure(self.settings)

    def configure(self, settings: ServiceSettings) -> None:
        """Take other settings, as a restart would."""
        self.settings = settings
        self.access = Access.build(settings, self.database, self.barrier, self.clock, self.tenant_id)
        self.routes: tuple[Route, ...] = every_route(self.access, self.definition)
        self._router = Router(self.routes, Listener.PUBLIC, "/admin/v1")
        self.edge = Edge(
            settings=settings,
            clock=self.clock,
            barrier=self.barrier,
            metrics=Metrics(self.definition.name),
            authenticator=self.access.authenticator,
            limiter=self.access.limiter,
            default_tenant_id=self.tenant_id,
            service=self.definition.name,
            phase=Phase.READY,
            state=self.definition.build(self._resources),
            resources=self._resources,
        )

    def close(self) -> None:
        self.database.close()

    # --- callers

    @property
    def anonymous(self) -> Caller:
        return Caller(self)

    @property
    def browser(self) -> Caller:
        """A browser without a session, on a page of this site."""
        return Caller(self, "/browser/api/v1", (("Origin", ORIGIN), ("Sec-Fetch-Site", "same-origin")))

    @property
    def page(self) -> Caller:
        return Caller(self, "/browser", (("Origin", ORIGIN),))

    @property
    def admin(self) -> Caller:
        return self.basic(self.first[0].client_id, self.first[0].client_secret)

    def basic(self, name: str, secret: str) -> Caller:
        credentials = base64.b64encode(f"{name}:{secret}".encode()).decode()
        return Caller(self, headers=(("Authorization", f"Basic {credentials}"),))

    def bearer(self, token: str) -> Caller:
        return Caller(self, headers=(("Authorization", f"Bearer {token}"),))

    def client(self, *scopes: str, by: Caller | None = None) -> Caller:
        """A new client with these scopes."""
        made = (by or self.admin).post("/principals", {"kind": "client", "scopes": list(scopes)})
        assert made.status == 201, made.text
        return self.basic(made.json["name"], made.json["client_secret"])

    def tenant(self, name: str) -> tuple[Caller, dict[str, Any]]:
        """A new tenant's administrator."""
        made = self.admin.post("/tenants", {"name": name})
        assert made.status == 201, made.text
        return self.basic(made.json["client_id"], made.json["client_secret"]), made.json

    def login(self, username: str = "admin", password: str = "") -> tuple[Caller, Answer]:
        """A browser with a session, its CSRF token sent along."""
        given = {"username": username, "password": password or self.first[0].password}
        answer = self.browser.post("/login", given)
        assert answer.status == 200, answer.text
        cookie = ("Cookie", f"__Host-session={answer.cookie}")
        return self.browser.with_headers(cookie, ("X-CSRF-Token", answer.json["csrf_token"])), answer

    # --- the pipeline

    def send(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        tls: TlsInfo | None = None,
        peer: str = "192.0.2.1",
    ) -> Answer:
        parts = urlsplit(target)
        query = {name: tuple(values) for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Request(
            method,
            parts.path,
            parts.path,
            query,
            Headers([("Host", HOST), *headers]),
            body,
            Listener.PUBLIC,
            peer,
            "request-1",
            self.clock.now(),
            tls or TlsInfo("TLSv1.3", "TLS_AES_128_GCM_SHA256"),
        )
        exchange = Exchange(request, self._router.find(parts.path), len(body), self.clock.monotonic())
        self._run(exchange)
        for step in steps(Stage.EXIT):
            step(self.edge, exchange)
        return self._read(exchange)

    def _run(self, exchange: Exchange) -> None:
        for stage in (Stage.ENTRY, Stage.WORK):
            for step in steps(stage):
                try:
                    step(self.edge, exchange)
                except Exception as error:
                    recover(self.edge, exchange, error)
                if exchange.response is not None:
                    return

    @staticmethod
    def _read(exchange: Exchange) -> Answer:
        response: Response | None = exchange.response
        assert response is not None
        lines = [line.partition(": ") for line in exchange.security.split("\r\n") if line]
        fields = [*response.headers, *exchange.extra_headers, *((name, value) for name, _, value in lines)]
        if response.media_type:
            fields.append(("Content-Type", response.media_type))
        body: bytes | Iterator[bytes] = response.body
        return Answer(response.status, Headers(fields), body if isinstance(body, bytes) else b"".join(body))
