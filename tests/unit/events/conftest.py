"""A CA on both kinds of database, and a receiver of webhooks on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

import pytest

from pycryptoutil.authority.events import EventRules, EventService, NewSubscription, SubscriptionOrder
from tests.support.authority import TENANT, World, open_world
from tests.support.databases import Databases

PACKAGES = ("pycryptoutil.authority",)
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
RULES = EventRules(allow=LOOPBACK, allow_http=True, timeout=2.0, retry_after=timedelta(seconds=8))


@dataclass
class Receiver:
    """Answers what a test tells it to, and keeps what it was told."""

    port: int = 0
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hook: Callable[[BaseHTTPRequestHandler], None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?from=ca"


@dataclass
class Told:
    """The CA, its webhooks and the receiver."""

    world: World
    events: EventService
    receiver: Receiver

    def subscribe(self, *types: str, url: str = "") -> NewSubscription:
        return self.events.add(TENANT, SubscriptionOrder(url or self.receiver.url, types), "user:tester")


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[World]:
    with open_world(databases.fresh(PACKAGES), tmp_path) as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            if made.hook is not None:
                made.hook(self)
                return
            self.send_response(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def told(world: World, receiver: Receiver) -> Told:
    return Told(world, EventService(world.service.room, RULES), receiver)
