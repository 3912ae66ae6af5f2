"""The servers that http_bench.py measures, in one process: one works while the others idle. Prints ports as JSON."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import protocol, reactor
from twisted.web import resource, server

from pycryptoutil.barrier import Barrier
from pycryptoutil.clock import SystemClock
from pycryptoutil.http.message import Listener, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service import logging, tenants
from pycryptoutil.service.access import Access
from pycryptoutil.service.definition import Resources, Urls
from pycryptoutil.service.exchange import Edge, Phase
from pycryptoutil.service.hashing import Hasher
from pycryptoutil.service.listeners import HttpListener
from pycryptoutil.service.metrics import Metrics
from pycryptoutil.service.pipeline import Dispatcher
from pycryptoutil.service.router import Router
from pycryptoutil.service.settings import BarrierSettings, LoggingSettings, RateLimitSettings, ServiceSettings
from pycryptoutil.service.sockets import Address, bind
from pycryptoutil.service.workers import WorkerPool
from pycryptoutil.storage import Database, migrate

BODY = bytes(300)  # about an OCSP response without certificates
ANSWER = Response(
    200,
    BODY,
    "application/ocsp-response",
    (
        ("Cache-Control", "public, max-age=3600, no-transform, must-revalidate"),
        ("ETag", '"5f1c2a"'),
        ("Expires", "Tue, 24 Nov 2026 12:00:00 GMT"),
        ("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT"),
    ),
)
WIRE = b"HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
EMPTY = Response(204)


class Bare(protocol.Protocol):
    """Writes constant bytes for whatever comes."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(WIRE)


class BareWeb(resource.Resource):
    """twisted.web's own least."""

    isLeaf = True  # noqa: N815  Twisted's name

    def render_GET(self, request: Any) -> bytes:
        request.setResponseCode(204)
        return b""


ROUTES = (
    Route(
        "ocsp",
        ("GET", "POST"),
        "/ocsp/<ca>",
        lambda _context, _request: ANSWER,
        gate=Gate.PROTOCOL,
        fast=lambda _state, _request, _parameters: ANSWER,
        listeners=frozenset({Listener.PLAIN}),
    ),
    Route("empty", ("GET",), "/empty", lambda _context, _request: EMPTY, gate=Gate.SERVICE),
    Route("open", ("GET",), "/open", lambda _context, _request: EMPTY, gate=Gate.SERVICE, scope=None),
)


def main() -> None:
    """Listen and say where."""
    folder = Path(tempfile.mkdtemp(prefix="http-bench-"))
    clock = SystemClock()
    logging.configure(LoggingSettings(level="info", format="json"))
    database = Database.open(f"sqlite:///{folder / 'bench.db'}", clock=clock)
    migrate.upgrade(database, ())
    barrier = Barrier.open(database, BarrierSettings(mode="dev"), clock, folder)
    first: list[tenants.FirstCredentials] = []
    tenant = tenants.bootstrap(database, Hasher(barrier.pepper), clock, first.append)
    # the limiter counts, but one client must be able to measure more than an ordinary one may ask
    generous = RateLimitSettings(per_address=1e6, address_burst=1_000_000, per_principal=1e6, principal_burst=1_000_000)
    settings = ServiceSettings(profile="test", rate_limit=generous)
    access = Access.build(settings, database, barrier, clock, tenant)
    edge = Edge(
        settings=settings,
        clock=clock,
        barrier=barrier,
        metrics=Metrics("bench"),
        authenticator=access.authenticator,
        limiter=access.limiter,
        default_tenant_id=tenant,
        service="bench",
        phase=Phase.READY,
        resources=Resources(None, database, barrier, clock, Urls("", ""), folder, tenant),
    )
    pool = WorkerPool("bench", reactor, threads=8, depth=256)
    pool.start()
    dispatcher = Dispatcher(
        edge,
        {kind: Router(ROUTES, kind, "/admin/v1") for kind in Listener},
        dict.fromkeys(Listener, pool),
    )
    ports: dict[str, Any] = {}
    for kind, name in ((Listener.PLAIN, "plain"), (Listener.PUBLIC, "public")):
        bound = bind([Address("bench", kind, "127.0.0.1", 0)])["bench", kind]
        listener = HttpListener(kind, bound, dispatcher, settings.limits, reactor, None)
        listener.open()
        ports[name] = bound.getsockname()[1]
    factory = protocol.Factory.forProtocol(Bare)
    ports["bare"] = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port
    ports["web"] = reactor.listenTCP(0, server.Site(BareWeb()), interface="127.0.0.1").getHost().port
    ports["basic"] = base64.b64encode(f"{first[0].client_id}:{first[0].client_secret}".encode()).decode()
    print(json.dumps(ports), flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
